"""Points that follow a field whose moments are known, later or earlier.

By steps of order 8 with the change of log rho on the way, between times that are chosen beforehand
or as the field asks for; or by order 4 without, for what only has to be seen. No step goes over a
jump of the interaction. Where moments do not tell the field, at dark points, the change is nan.

Knows an interaction with transforms and a history of moments; nothing of masses and meshes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from meanfield.dynamics.lagrangian.history import History
from meanfield.dynamics.lagrangian.paths import located, rates_in
from meanfield.dynamics.rungekutta import PAIRS, TOO_SMALL, weighted_sum
from meanfield.errors import BrokenInvariantError
from meanfield.geometry.sphere import Array
from meanfield.interaction.contract import AnyField, AnyInteraction, DarkPoints
from meanfield.interaction.measure import Measure

__all__ = ["Followed", "Following", "even_times", "field_at", "follow"]


def field_at(model: AnyInteraction, history: History, t: float) -> AnyField:
    """The field at a time of the past; it has no sources: dark points have no values."""
    on = model.manifold
    nobody = Measure(model.locate(np.zeros((0, on.gdim))), np.zeros(0))
    moments = None if model.is_external else history.at(t)
    return model.field_of_moments(moments, nobody, t, None)


def even_times(times: Array, rates: Array, t: float, t_end: float, longest: float) -> Array:
    """Times (k,) from ``t`` to ``t_end``, later or earlier, between which equally much happens.

    Args:
        times: (n,) ascending, where the rates are known.
        rates: (n,) > 0: how much happens in a unit of time, linear between.
        longest: how much may happen between two times.
    """
    low, high = min(t, t_end), max(t, t_end)
    inner = times[(times > low) & (times < high)]
    knots = np.concatenate([[low], inner, [high]])
    rate = np.interp(knots, times, rates)
    passed = np.concatenate([[0.0], np.cumsum(0.5 * (rate[1:] + rate[:-1]) * np.diff(knots))])
    count = max(1, math.ceil(passed[-1] / longest * (1.0 - 1e-9)))
    found = np.interp(passed[-1] * np.arange(count + 1) / count, passed, knots)
    found[0], found[-1] = low, high
    return found if t <= t_end else found[::-1].copy()


class Followed(NamedTuple):
    """Where points have got to.

    Attributes:
        x: (n, k) unit vectors.
        change: (n,) that of log rho on the way, the integral of -div X; nan: the way led over a
            dark point, whose field moments do not tell, or nowhere.
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

    Args:
        model: the interaction.
        history: moments between both times (of a field that nobody makes: of no time).
        x: (n, k) unit vectors.
        longest: step, or what gives it at a time. Those up to the end, or a jump, are equal as long
            as it is.
    """
    points = Following(model, history, x)
    for start, stop in _pieces(model, t, t_end):
        s = start
        while s != stop:
            parts = _parts(stop - s, longest, s)
            # What is slow at first may be fast where it leads.
            parts = max(parts, _parts(stop - s, longest, s + (stop - s) / parts))
            s_new = stop if parts == 1 else s + (stop - s) / parts
            if s_new == s:
                raise BrokenInvariantError(f"no step moves time at t = {s:.6g}{TOO_SMALL}")
            points.step(s, s_new, min(start, stop))
            s = s_new
    return points.result()


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


class Following:
    """Points on their way through the field of a history.

    Args:
        model: the interaction.
        history: moments at all times that are asked for.
        x: (n, k) unit vectors where they begin.
    """

    def __init__(self, model: AnyInteraction, history: History, x: Array) -> None:
        self._model, self._history, self._on = model, history, model.manifold
        self._x, self._change = x, np.zeros(len(x))
        self._lost = np.zeros(len(x), dtype=bool)
        self._pair = PAIRS["dop853"]

    def result(self) -> Followed:
        """Where they are."""
        return Followed(self._x, np.where(self._lost, np.nan, self._change))

    def through(self, times: Array) -> Followed:
        """By one step of order 8 between each two times (k,), later or earlier; where they are."""
        for t, t_new in itertools.pairwise(self._cut(times)):
            self.step(float(t), float(t_new), float(min(t, t_new)))
        return self.result()

    def glimpsed(self, times: Array) -> Followed:
        """By one step of order 4 between each two times; the change is 0, or nan."""
        for t, t_new in itertools.pairwise(self._cut(times)):
            dt, low = float(t_new - t), float(min(t, t_new))
            slopes: list[Array] = []
            for share in (0.0, 0.5, 0.5, 1.0):
                ahead = self._x + share * dt * slopes[-1] if slopes else self._x
                slopes.append(
                    self._rates(self._retracted(ahead), float(t) + share * dt, low, False)
                )
            k1, k2, k3, k4 = slopes
            self._x = self._retracted(self._x + (dt / 6.0) * (k1 + 2.0 * k2 + 2.0 * k3 + k4))
        return self.result()

    def step(self, t: float, t_new: float, low: float) -> None:
        """One of order 8 from ``t`` to ``t_new``, of a time without jumps from ``low`` on."""
        pair, x, dt = self._pair, self._x, t_new - t
        k = x.shape[1]
        stages = np.empty((pair.b.size, len(x), k + 1))
        for i in range(pair.b.size):
            change = weighted_sum(dt * pair.a[i, :i], stages[:i])[:, :k] if i else 0.0
            stages[i] = self._rates(self._retracted(x + change), t + pair.c[i] * dt, low, True)
        step = weighted_sum(dt * pair.b, stages)
        self._x = self._retracted(x + step[:, :k])
        self._change += step[:, k]

    def _cut(self, times: Array) -> Array:
        """Times with all jumps between them."""
        low, high = float(times.min()), float(times.max())
        jumps = [a for a, _ in _pieces(self._model, low, high)[1:]]
        if not jumps:
            return times
        found = np.union1d(times, jumps)
        return found if times[0] <= times[-1] else found[::-1]

    def _retracted(self, y: Array) -> Array:
        """Where a step leads; nowhere: nothing is known any more."""
        found = self._on.retracted(y)
        if found is None:
            self._lost[:] = True
            return self._x
        return found

    def _rates(self, x: Array, t: float, low: float, divergence: bool) -> Array:
        """Velocities, and -div X if asked for; zero where the field is not known, kept in mind.

        Of a time that ends at a jump, what is within.
        """
        last = math.nextafter(self._model.next_jump(low), -math.inf)
        field = field_at(self._model, self._history, min(max(t, low), last))
        dark, at = DarkPoints(), located(self._model, x)
        with np.errstate(all="ignore"):  # dark points
            if divergence:
                rates = rates_in(field, self._on, x, at, dark)
            else:
                rates = self._on.lifted_velocity(x, field.velocity(at, seen=dark))
        unknown = ~np.all(np.isfinite(rates), axis=1)
        if dark.where is not None:
            unknown |= dark.where
        if np.any(unknown):
            self._lost = self._lost | unknown
            rates[unknown] = 0.0
        return rates
