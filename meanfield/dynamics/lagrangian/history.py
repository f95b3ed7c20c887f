"""The moments of a measure at all times so far, and points that follow the field they make.

The field hangs on the measure by few numbers, its moments. Kept with their time derivatives after
each step they tell the field at any time of the past: by the polynomial that has these values and
slopes at the nearest steps (Hermite). So points can be followed afterwards, forward and backward,
exactly but for that interpolation.

Knows an interaction with transforms, and arrays; nothing of masses, meshes and who takes steps.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from meanfield.dynamics.lagrangian.paths import located, rates_in
from meanfield.dynamics.rungekutta import PAIRS, TOO_SMALL, weighted_sum
from meanfield.errors import BrokenInvariantError
from meanfield.geometry.sphere import Array
from meanfield.interaction.contract import AnyField, AnyInteraction, DarkPoints
from meanfield.interaction.measure import Measure

__all__ = ["Followed", "History", "field_at", "follow"]

_NEAREST = 6  # steps whose values and slopes the polynomial has


class History:
    """Moments and their derivatives at the ends of steps.

    Where an interaction jumps, so do the derivatives: there is an entry before and one after.

    Attributes:
        times: of the entries, ascending; twice where something jumps.
    """

    def __init__(self) -> None:
        self._times: list[float] = []
        self._rows: list[Array] = []

    def __len__(self) -> int:
        return len(self._times)

    @property
    def times(self) -> Array:
        """(k,)."""
        return np.array(self._times)

    def append(self, t: float, moments: Array, rates: Array) -> None:
        """Add moments (c,) and their time derivatives; the same time again: after a jump."""
        self._times.append(t)
        self._rows.append(np.stack([moments, rates]))

    def misses(self, t: float, next_jump: Callable[[float], float]) -> bool:
        """Whether there is no entry for what follows ``t``: nothing yet, or after a jump there.

        Not where it has ended before.
        """
        if not self._times:
            return True
        before = math.nextafter(t, -math.inf)
        doubled = len(self) > 1 and self._times[-2] == t
        return self._times[-1] == t and next_jump(before) == t and not doubled

    def rows(self) -> Array:
        """(k, 1 + 2 c): time, moments and derivatives, for a checkpoint."""
        if not self._times:
            return np.zeros((0, 1))
        return np.column_stack([self.times, np.stack(self._rows).reshape(len(self), -1)])

    @classmethod
    def from_rows(cls, rows: Array) -> History:
        """From ``rows``."""
        made = cls()
        made._times = [float(t) for t in rows[:, 0]]
        made._rows = [row.reshape(2, -1) for row in rows[:, 1:]]
        return made

    def at(self, t: float) -> Array:
        """The moments at a time within the history; at a jump they are one value anyway."""
        times = self.times
        k = int(np.clip(np.searchsorted(times, t) - 1, 0, max(len(times) - 2, 0)))
        first, last = self._stretch(times, k)
        start = min(max(k - _NEAREST // 2 + 1, first), max(last - _NEAREST + 1, first))
        nearest = slice(start, min(start + _NEAREST, last + 1))
        value, slope = _hermite(times[nearest], t)
        rows = self._rows[nearest]
        return np.asarray(
            sum(v * row[0] + s * row[1] for v, s, row in zip(value, slope, rows, strict=True))
        )

    @staticmethod
    def _stretch(times: Array, k: int) -> tuple[int, int]:
        """First and last entry of what is smooth around the step from entry ``k``."""
        jumps = np.flatnonzero(np.diff(times) == 0.0)
        before, after = jumps[jumps < k], jumps[jumps >= k + 1]
        first = int(before[-1]) + 1 if before.size else 0
        last = int(after[0]) if after.size else len(times) - 1
        return first, last


def _hermite(nodes: Array, t: float) -> tuple[Array, Array]:
    """Weights of values and of slopes at nodes in the polynomial that has them, at ``t``."""
    gaps = nodes[:, None] - nodes[None, :]
    np.fill_diagonal(gaps, 1.0)
    ahead = np.where(np.eye(len(nodes), dtype=bool), 1.0, (t - nodes)[None, :] / gaps)
    square = np.prod(ahead, axis=1) ** 2
    bend = np.sum(1.0 / gaps, axis=1) - 1.0
    return (1.0 - 2.0 * (t - nodes) * bend) * square, (t - nodes) * square


def field_at(model: AnyInteraction, history: History, t: float) -> AnyField:
    """The field at a time of the past; it has no sources: dark points have no values."""
    on = model.manifold
    nobody = Measure(model.locate(np.zeros((0, on.gdim))), np.zeros(0))
    moments = None if model.is_external else history.at(t)
    return model.field_of_moments(moments, nobody, t, None)


class Followed(NamedTuple):
    """Where points have got to.

    Attributes:
        x: (n, k) unit vectors.
        change: (n,) that of log rho on the way, the integral of -div X; nan: the way led over a
            dark point, whose field moments do not tell.
    """

    x: Array
    change: Array


def follow(
    model: AnyInteraction,
    history: History,
    x: Array,
    t: float,
    t_end: float,
    longest: float | Callable[[float], float],
) -> Followed:
    """Where points at ``t`` are at ``t_end``, earlier or later, and how log rho changes on the way.

    By steps of order 8 through the field that the history tells; none goes over a jump.

    Args:
        model: the interaction.
        history: moments between both times (of a field that nobody makes: of no time).
        x: (n, k) unit vectors.
        longest: step, or what gives it at a time. Those up to the end, or a jump, are equal as long
            as it is.
    """
    followed = _Followed(model, history, x)
    for start, stop in _pieces(model, t, t_end):
        s = start
        while s != stop:
            parts = _parts(stop - s, longest, s)
            # What is slow at first may be fast where it leads.
            parts = max(parts, _parts(stop - s, longest, s + (stop - s) / parts))
            s_new = stop if parts == 1 else s + (stop - s) / parts
            if s_new == s:
                raise BrokenInvariantError(f"no step moves time at t = {s:.6g}{TOO_SMALL}")
            followed.step(s, s_new, min(start, stop))
            s = s_new
    return followed.result()


def _parts(way: float, longest: float | Callable[[float], float], t: float) -> int:
    """Equal steps for a way, none longer than at a time is good."""
    most = longest(t) if callable(longest) else longest
    return max(1, math.ceil(abs(way) / most * (1.0 - 1e-9)))


def _pieces(model: AnyInteraction, t: float, t_end: float) -> list[tuple[float, float]]:
    """Parts of the way from ``t`` to ``t_end`` without a jump within, in that order."""
    low, high = min(t, t_end), max(t, t_end)
    knots = [low]
    while (jump := model.next_jump(knots[-1])) < high:
        knots.append(jump)
    pieces = list(itertools.pairwise([*knots, high])) if low < high else []
    return pieces if t <= t_end else [(b, a) for a, b in reversed(pieces)]


class _Followed:
    """Points on their way through the field of a history."""

    def __init__(self, model: AnyInteraction, history: History, x: Array) -> None:
        self._model, self._history, self._on = model, history, model.manifold
        self._x, self._change = x, np.zeros(len(x))
        self._lost = np.zeros(len(x), dtype=bool)
        self._pair = PAIRS["dop853"]

    def result(self) -> Followed:
        """Where they are."""
        return Followed(self._x, np.where(self._lost, np.nan, self._change))

    def step(self, t: float, t_new: float, low: float) -> None:
        """One from ``t`` to ``t_new``, of a piece of the time that begins at ``low``."""
        pair, x, dt = self._pair, self._x, t_new - t
        # Of a piece that ends at a jump, what is within.
        last = math.nextafter(self._model.next_jump(low), -math.inf)
        k = x.shape[1]
        stages = np.empty((pair.b.size, len(x), k + 1))
        for i in range(pair.b.size):
            change = weighted_sum(dt * pair.a[i, :i], stages[:i])[:, :k] if i else 0.0
            at = self._retracted(x + change)
            stages[i] = self._rates(at, min(max(t + pair.c[i] * dt, low), last))
        step = weighted_sum(dt * pair.b, stages)
        self._x = self._retracted(x + step[:, :k])
        self._change += step[:, k]

    def _retracted(self, y: Array) -> Array:
        found = self._on.retracted(y)
        if found is None:
            raise BrokenInvariantError("points that are followed have got lost: a step too long")
        return found

    def _rates(self, x: Array, t: float) -> Array:
        """Velocities and -div X; zero where the field is not known, which is kept in mind."""
        field = field_at(self._model, self._history, t)
        dark = DarkPoints()
        with np.errstate(all="ignore"):  # dark points
            rates = rates_in(field, self._on, x, located(self._model, x), dark)
        unknown = ~np.all(np.isfinite(rates), axis=1)
        if dark.where is not None:
            unknown |= dark.where
        if np.any(unknown):
            self._lost |= unknown
            rates[unknown] = 0.0
        return rates
