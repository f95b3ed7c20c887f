"""Waves, functions of Python, and arrays that are made of others in time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from meanfield.arguments import checked_arguments
from meanfield.checks import as_found, real_array
from meanfield.errors import InputError
from meanfield.geometry.sphere import Array
from meanfield.interaction.intime.base import (
    InTime,
    asked,
    at_time,
    digest,
    finite,
    instants_of,
    is_piecewise,
    largest_norm,
    next_jump_of,
    read_only,
)

__all__ = ["Combined", "FunctionInTime", "WaveInTime"]

_PROBES = (0.0, 0.1, 0.73, 2.9, 11.0)
"""Times at which a function is asked, to tell it from another one."""
_BEYOND = 1e-9  # relative: what a value may be above its bound


class WaveInTime(InTime):
    """mean + amplitude cos(2 pi t/period + phase).

    Args:
        mean, amplitude: numbers or arrays of one shape.
        period: > 0; phase: an angle.

    Raises:
        InputError: shapes that differ, or numbers out of their ranges.

    Example:
        >>> mf.WaveInTime(np.array([1.0]), np.array([0.5]), 4.0).at(1.0)
        array([1.])
    """

    @checked_arguments
    def __init__(self, mean: Array, amplitude: Array, period: float, phase: float = 0.0) -> None:
        self.mean, self.amplitude = finite(mean, "mean"), finite(amplitude, "amplitude")
        if self.mean.shape != self.amplitude.shape:
            raise InputError(
                f"amplitude: an array of shape {self.amplitude.shape} found, that of the mean "
                f"expected: {self.mean.shape}"
            )
        if not 0.0 < period < math.inf:
            raise InputError(f"period: found {period:g}, expected a finite number > 0")
        if not math.isfinite(phase):
            raise InputError(f"phase: found {phase:g}, expected a finite number")
        self.period, self.phase = float(period), float(phase)
        self.shape = self.mean.shape
        ends = np.stack([self.mean - self.amplitude, self.mean + self.amplitude])
        self.largest = largest_norm(ends)  # a norm is convex: largest at an end

    def at(self, t: float) -> Array:
        cosine = math.cos(2.0 * math.pi * t / self.period + self.phase)
        return read_only(self.mean + cosine * self.amplitude)

    def next_jump(self, t: float) -> float:
        return math.inf

    def instants(self) -> Array:
        return self.period * np.arange(16) / 16.0

    def fingerprint(self) -> str:
        numbers = np.array([self.period, self.phase])
        return digest("wave", self.mean, self.amplitude, numbers)


class FunctionInTime(InTime):
    """Values of a Python function of time.

    Args:
        function: value at a time.
        shape: of its values; () of a number.
        largest: a bound on |value|: absolute value, length, 2-norm of a matrix.
        jumps: times at which it jumps or has a kink.

    Values are checked when they are asked for; an ``InputError`` tells the time. In two processes
    functions count as the same if they have the same values at a few times.

    Example:
        >>> mf.FunctionInTime(lambda t: np.array([np.exp(-t)]), (1,), 1.0).at(0.0)
        array([1.])
    """

    @checked_arguments
    def __init__(
        self,
        function: Callable[[float], Array],
        shape: tuple[int, ...],
        largest: float,
        jumps: Sequence[float] = (),
    ) -> None:
        self.function, self.shape, self.largest = function, tuple(shape), _bound(largest)
        self._jumps = np.sort(finite(jumps, "jumps")) if len(jumps) else np.zeros(0)
        self._last: tuple[float, Array] | None = None

    def at(self, t: float) -> Array:
        if self._last is None or self._last[0] != t:
            found = asked("function", t, self.function, t)
            self._last = t, _checked(found, self.shape, self.largest, "function", t)
        return self._last[1]

    def next_jump(self, t: float) -> float:
        k = int(np.searchsorted(self._jumps, t, side="right"))
        return float(self._jumps[k]) if k < self._jumps.size else math.inf

    def instants(self) -> Array:
        return np.concatenate([np.array(_PROBES), self._jumps])

    def fingerprint(self) -> str:
        return digest("function", repr(self.shape), *_probed(self), self._jumps)


class Combined(InTime):
    """An array that is made of others, some of which depend on time.

    Args:
        parts: what it is made of.
        function: makes the array of the parts.
        shape: of the array.
        largest: a bound on |value|: absolute value, length, 2-norm of a matrix.

    Example:
        >>> wave = mf.WaveInTime(np.eye(2), np.eye(2), 1.0)
        >>> mf.Combined((wave, np.eye(2)), lambda a, b: a @ b, (2, 2), 2.0).at(0.0).shape
        (2, 2)
    """

    @checked_arguments
    def __init__(
        self,
        parts: tuple[InTime | Array, ...],
        function: Callable[..., Array],
        shape: tuple[int, ...],
        largest: float,
    ) -> None:
        self.parts = tuple(
            part if isinstance(part, InTime) else finite(part, f"parts[{k}]")
            for k, part in enumerate(parts)
        )
        self.function, self.shape, self.largest = function, tuple(shape), _bound(largest)

    def at(self, t: float) -> Array:
        parts = (at_time(part, t) for part in self.parts)
        found = asked("a combination", t, self.function, *parts)
        return _checked(found, self.shape, self.largest, "a combination", t)

    def next_jump(self, t: float) -> float:
        return next_jump_of(self.parts, t)

    @property
    def piecewise(self) -> bool:
        return all(is_piecewise(part) for part in self.parts)

    def instants(self) -> Array:
        return instants_of(self.parts)

    def fingerprint(self) -> str:
        parts = [p.fingerprint() if isinstance(p, InTime) else p for p in self.parts]
        return digest("combined", *parts, *_probed(self))


def _probed(value: InTime) -> list[str | Array]:
    """Values at some times, of what can be known by nothing else."""
    found: list[str | Array] = []
    for t in _PROBES:
        try:
            found.append(value.at(t))
        except InputError:
            found.append("refused")
    return found


def _bound(largest: float) -> float:
    if not 0.0 <= largest < math.inf:
        raise InputError(f"largest: found {largest:g}, expected a finite number >= 0")
    return float(largest)


def _checked(value: object, shape: tuple[int, ...], largest: float, what: str, t: float) -> Array:
    """A value as it should be.

    Raises:
        InputError: of another shape, not finite, or larger than its bound; tells the time.
    """
    try:
        found = real_array(value, what, "real numbers")
    except InputError as error:
        raise InputError(f"{error} at t = {t:g}") from None
    if found.shape != shape:
        raise InputError(
            f"{what}: {as_found(value)} found at t = {t:g}, expected "
            + (f"an array of shape {shape}" if shape else "a number")
        )
    if not np.all(np.isfinite(found)):
        raise InputError(f"{what}: a value that is not finite found at t = {t:g}")
    most = largest * (1.0 + _BEYOND)
    # The root of the sum of squares is no smaller than a norm, and sooner known.
    size = math.sqrt(float(np.vdot(found, found)))
    if size > most and (size := largest_norm(found[None])) > most:
        raise InputError(
            f"{what}: a value of size {size:.6g} found at t = {t:g}, at most {largest:.6g} expected"
        )
    return read_only(found)
