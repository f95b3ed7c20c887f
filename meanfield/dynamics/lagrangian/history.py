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

import numpy as np

from meanfield.dynamics.lagrangian.paths import located, rates_in
from meanfield.dynamics.rungekutta import PAIRS, try_step
from meanfield.geometry.sphere import Array
from meanfield.interaction.contract import AnyInteraction, DarkPoints
from meanfield.interaction.measure import Measure

__all__ = ["History", "follow"]

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
        """Whether there is no entry for what follows ``t``: nothing yet, or after a jump there."""
        if not self._times or self._times[-1] < t:
            return True
        before = math.nextafter(t, -math.inf)
        doubled = len(self) > 1 and self._times[-2] == t
        return next_jump(before) == t and not doubled

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
        made._rows = list(rows[:, 1:].reshape(len(rows), 2, -1))
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

    def steps(self, t: float, t_end: float) -> list[tuple[float, float]]:
        """Pieces of the way from ``t`` to ``t_end`` within one step each, in that order."""
        low, high = min(t, t_end), max(t, t_end)
        times = np.unique(self.times)
        inner = times[(times > low) & (times < high)]
        knots = np.concatenate([[low], inner, [high]])
        pieces = [(float(a), float(b)) for a, b in itertools.pairwise(knots)]
        return pieces if t <= t_end else [(b, a) for a, b in reversed(pieces)]


def _hermite(nodes: Array, t: float) -> tuple[Array, Array]:
    """Weights of values and of slopes at nodes in the polynomial that has them, at ``t``."""
    gaps = nodes[:, None] - nodes[None, :]
    np.fill_diagonal(gaps, 1.0)
    ahead = np.where(np.eye(len(nodes), dtype=bool), 1.0, (t - nodes)[None, :] / gaps)
    square = np.prod(ahead, axis=1) ** 2
    bend = np.sum(1.0 / gaps, axis=1) - 1.0
    return (1.0 - 2.0 * (t - nodes) * bend) * square, (t - nodes) * square


def follow(
    model: AnyInteraction, history: History, x: Array, t: float, t_end: float, longest: float
) -> tuple[Array, Array] | None:
    """Where points at ``t`` are at ``t_end``, earlier or later, and how log rho changes on the way.

    By steps of order 8. None: at dark points, whose field moments do not tell.

    Args:
        model: the interaction.
        history: moments between both times.
        x: (n, k) unit vectors.
        longest: step; steps of the history are cut into equal parts.

    Returns:
        (n, k) unit vectors, and (n,) the integral of -div X along the way.
    """
    nobody = Measure(located(model, x[:0]), np.zeros(0))
    change: Array = np.zeros(len(x))
    dark, on, pair = DarkPoints(), model.manifold, PAIRS["dop853"]
    for start, stop in history.steps(t, t_end):
        # Of a piece that begins or ends at a jump, what is within.
        low = min(start, stop)
        last = math.nextafter(model.next_jump(low), -math.inf)

        def rates(y: Array, s: float, low: float = low, last: float = last) -> Array:
            field = model.field_of_moments(history.at(s), nobody, min(max(s, low), last), None)
            with np.errstate(all="ignore"):  # dark points
                return rates_in(field, on, y, located(model, y), dark)

        count = max(1, math.ceil(abs(stop - start) / longest * (1.0 - 1e-9)))
        dt, first = (stop - start) / count, rates(x, start)
        for k in range(count):
            s = start + k * dt
            s_new = start + (k + 1) * dt if k + 1 < count else stop
            trial = try_step(pair, rates, x, first, s, dt, s_new)
            if trial.x is None or dark.most:
                return None
            x, change, first = trial.x, change + trial.carried[:, 0], trial.velocity
    return x, change
