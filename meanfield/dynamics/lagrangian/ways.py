"""Points that follow a field whose moments are known, by steps that are chosen beforehand.

Backward with the change of log rho, by order 8; forward without, by order 4, for what only has to
be seen. Steps end where something jumps.

Knows an interaction with transforms and a history of moments; nothing of masses and meshes.
"""

from __future__ import annotations

import itertools
import math

import numpy as np

from meanfield.dynamics.lagrangian.history import History
from meanfield.dynamics.lagrangian.paths import located, rates_in
from meanfield.dynamics.rungekutta import PAIRS, weighted_sum
from meanfield.geometry.sphere import Array
from meanfield.interaction.contract import AnyField, AnyInteraction, DarkPoints
from meanfield.interaction.measure import Measure

__all__ = ["Ways", "even_times"]


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


class Ways:
    """The field of a history at any of its times, and points that follow it.

    Args:
        model: the interaction.
        history: moments at all times that are asked for.

    Attributes:
        dark: points whose field moments do not tell: then nothing here is right.
    """

    def __init__(self, model: AnyInteraction, history: History) -> None:
        self.model, self.history = model, history
        self.dark = DarkPoints()

    def _field(self, t: float, low: float) -> AnyField:
        """At a time of a step that begins, or ends, at ``low``: of a jump there, what follows."""
        last = math.nextafter(self.model.next_jump(low), -math.inf)
        gdim = self.model.manifold.gdim
        nobody = Measure(self.model.locate(np.zeros((0, gdim))), np.zeros(0))
        moments = self.history.at(t)
        return self.model.field_of_moments(moments, nobody, min(max(t, low), last), None)

    def _cut(self, times: Array) -> Array:
        """Times with all jumps between them."""
        low, high, jumps = float(times.min()), float(times.max()), []
        jump = self.model.next_jump(low)
        while jump < high:
            jumps.append(jump)
            jump = self.model.next_jump(jump)
        if not jumps:
            return times
        found = np.union1d(times, jumps)
        return found if times[0] <= times[-1] else found[::-1]

    def with_density(self, x: Array, times: Array) -> tuple[Array, Array]:
        """Where unit vectors (n, k) at the first time are at the last, and the change of log rho.

        By one step of order 8 between each two times.
        """
        pair, change = PAIRS["dop853"], np.zeros(len(x))
        on, k, count = self.model.manifold, x.shape[1], PAIRS["dop853"].b.size
        times = self._cut(times)
        stages = np.empty((count, len(x), k + 1))
        for t, t_new in itertools.pairwise(times):
            dt, low = t_new - t, float(min(t, t_new))
            for i in range(count):
                y = x
                if i:
                    step = weighted_sum(dt * pair.a[i, :i], stages[:i])[:, :k]
                    y = self._retracted(x, step)
                field = self._field(float(t + pair.c[i] * dt), low)
                with np.errstate(all="ignore"):  # dark points
                    stages[i] = rates_in(field, on, y, located(self.model, y), self.dark)
            step = weighted_sum(dt * pair.b, stages)
            x, change = self._retracted(x, step[:, :k]), change + step[:, k]
        return x, change

    def places(self, x: Array, times: Array) -> Array:
        """Where unit vectors (n, k) at the first time are at the last.

        By one step of order 4 between each two times.
        """
        times = self._cut(times)
        for t, t_new in itertools.pairwise(times):
            dt, low = t_new - t, float(min(t, t_new))
            middle = self._field(float(t + 0.5 * dt), low)
            k1 = self._velocity(self._field(float(t), low), x)
            k2 = self._velocity(middle, self._retracted(x, 0.5 * dt * k1))
            k3 = self._velocity(middle, self._retracted(x, 0.5 * dt * k2))
            last = self._retracted(x, dt * k3)
            k4 = self._velocity(self._field(float(t_new), low), last)
            x = self._retracted(x, (dt / 6.0) * (k1 + 2.0 * k2 + 2.0 * k3 + k4))
        return x

    def _retracted(self, x: Array, step: Array) -> Array:
        """Where a step leads; nowhere: as at dark points."""
        found = self.model.manifold.retracted(x + step)
        if found is None:
            self.dark.add(np.ones(len(x), dtype=bool))
        return x if found is None else found

    def _velocity(self, field: AnyField, x: Array) -> Array:
        with np.errstate(all="ignore"):  # dark points
            velocity = field.velocity(located(self.model, x), seen=self.dark)
        return self.model.manifold.lifted_velocity(x, velocity)
