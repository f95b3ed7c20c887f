"""Values at some times: in steps, or joined by straight lines. Random paths are such tables."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from meanfield.arguments import checked_arguments
from meanfield.checks import real_array
from meanfield.errors import InputError, suggest
from meanfield.geometry.sphere import Array
from meanfield.interaction.intime.base import InTime, digest, finite, largest_norm, read_only

__all__ = ["TableInTime", "ornstein_uhlenbeck"]

_WAYS = ("step", "linear")
_INSTANTS = 33  # nodes that show what values there are
_KINKS = 1000  # nodes of a broken line beyond which steps do not end at each of them


class TableInTime(InTime):
    """Values at some times; before the first time the first one, after the last the last.

    Args:
        times: (n,) in rising order.
        values: (n, *shape), or a list of n numbers, vectors or matrices.
        interpolate: "step": each value holds from its time on; "linear": straight lines between.
            At the nodes of these steps end, too, unless there are more than 1000 of them.

    Raises:
        InputError: times that do not rise, another number of values, what is not finite.

    Example:
        >>> mf.TableInTime(np.array([0.0, 1.0]), np.array([[1.0], [2.0]]), 'linear').at(0.5)
        array([1.5])
    """

    @checked_arguments
    def __init__(
        self, times: Array, values: Array, interpolate: Literal["step", "linear"] = "step"
    ) -> None:
        if interpolate not in _WAYS:
            raise InputError(
                f"interpolate: found '{interpolate}', expected 'step' or 'linear'"
                f"{suggest(interpolate, _WAYS)}"
            )
        self.interpolate = interpolate
        self.times, self.values = _rising(times), finite(values, "values")
        if self.values.ndim == 0 or len(self.values) != self.times.size:
            found = "one number" if self.values.ndim == 0 else f"{len(self.values)} of them"
            raise InputError(
                f"values: found {found} for {self.times.size} times, expected one for each"
            )
        self.shape = self.values.shape[1:]
        self.largest = largest_norm(self.values)
        self._jumps = self._all_jumps()

    def _all_jumps(self) -> Array:
        """Times at which the value jumps, or its slope does."""
        n, values = self.times.size, self.values.reshape(self.times.size, -1)
        if n == 1 or (self.interpolate == "linear" and n > _KINKS):
            return self.times[:0]
        if self.interpolate == "linear":
            return self.times
        changes = np.any(values[1:] != values[:-1], axis=1)
        return self.times[1:][changes]

    def at(self, t: float) -> Array:
        times, last = self.times, self.times.size - 1
        k = int(np.searchsorted(times, t, side="right")) - 1
        if k < 0 or k == last or self.interpolate == "step":
            return self._row(min(max(k, 0), last))
        share = (t - times[k]) / (times[k + 1] - times[k])
        if share == 0.0:
            return self._row(k)
        return read_only((1.0 - share) * self.values[k] + share * self.values[k + 1])

    def _row(self, k: int) -> Array:
        return read_only(self.values[k])

    def next_jump(self, t: float) -> float:
        k = int(np.searchsorted(self._jumps, t, side="right"))
        return float(self._jumps[k]) if k < self._jumps.size else math.inf

    @property
    def piecewise(self) -> bool:
        return self.interpolate == "step"

    def instants(self) -> Array:
        n = self.times.size
        return self.times[np.unique(np.linspace(0, n - 1, min(n, _INSTANTS)).astype(int))]

    def fingerprint(self) -> str:
        return digest("table", self.interpolate, self.times, self.values)


def _rising(times: object) -> Array:
    found = real_array(times, "times", "a list of numbers")
    if found.ndim != 1 or not found.size:
        raise InputError(
            f"times: an array of shape {found.shape} found, a list of one number or more expected"
        )
    found = finite(found, "times")
    back = np.flatnonzero(np.diff(found) <= 0.0)
    if back.size:
        k = int(back[0])
        what = "given twice" if found[k + 1] == found[k] else "out of order"
        raise InputError(
            f"times: {found[k + 1]:g} after {found[k]:g} found ({what}), times that rise expected"
        )
    return found


@checked_arguments
def ornstein_uhlenbeck(
    mean: Array,
    rate: float,
    variance: float,
    seed: int,
    until: float,
    step: float,
    symmetric: bool = False,
) -> TableInTime:
    """A path of dD = rate (mean - D) dt + sqrt(2 rate variance) dB, each entry on its own.

    It begins in the stationary law, of this mean and variance, and is drawn by the exact transition
    law (covariances ``variance`` e^{-rate (t - s)}) at the times 0, ``step``, ..., with straight
    lines between. A path until a later time goes on where this one ends.

    Args:
        mean: a number or an array.
        rate: of the decay of correlations, > 0.
        variance: of each entry, >= 0.
        seed: >= 0; equal seeds give equal paths.
        until: the time that it reaches at least, >= 0.
        step: between the times of the table, > 0.
        symmetric: a matrix whose entries on and above the diagonal are drawn, and mirrored.

    Raises:
        InputError: numbers out of their ranges, or a ``mean`` that is not symmetric.

    >>> path = mf.ornstein_uhlenbeck(np.zeros(2), 1.0, 1.0, seed=0, until=1.0, step=0.1)
    >>> path.at(0.5).shape
    (2,)
    """
    centre = finite(mean, "mean")
    for name, value, least in (("rate", rate, "> 0"), ("step", step, "> 0")):
        if not 0.0 < value < math.inf:
            raise InputError(f"{name}: found {value:g}, expected a finite number {least}")
    for name, value in (("variance", variance), ("until", until)):
        if not 0.0 <= value < math.inf:
            raise InputError(f"{name}: found {value:g}, expected a finite number >= 0")
    if seed < 0:
        raise InputError(f"seed: found {seed}, expected a whole number >= 0")
    steps = math.ceil(until / step * (1.0 - 1e-12))
    if steps * max(centre.size, 1) > 10**8:
        raise InputError(
            f"step: found {step:g} until {until:g}, {steps} steps of {centre.size} numbers, "
            "expected at most 1e8 numbers"
        )
    noise = np.random.default_rng(seed).standard_normal((steps + 1, *centre.shape))
    if symmetric:
        if centre.ndim != 2 or centre.shape[0] != centre.shape[1] or np.any(centre != centre.T):
            raise InputError(f"mean: found {centre.tolist()}, expected a symmetric matrix")
        upper = np.triu(noise)
        noise = upper + np.swapaxes(np.triu(noise, 1), -1, -2)
    decay = math.exp(-rate * step)
    spread = math.sqrt(-math.expm1(-2.0 * rate * step))
    away = np.empty_like(noise)
    away[0] = noise[0]
    for k in range(steps):
        away[k + 1] = decay * away[k] + spread * noise[k + 1]
    values = centre + math.sqrt(variance) * away
    return TableInTime(step * np.arange(steps + 1.0), values, "linear")
