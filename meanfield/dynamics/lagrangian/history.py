"""The moments of a measure at all times so far, which tell the field that it made.

The field hangs on the measure by few numbers, its moments. Kept with their time derivatives after
each step they tell the field at any time of the past: by the polynomial that has these values and
slopes at the nearest steps (Hermite). So points can be followed afterwards (``following``), forward
and backward, exactly but for that interpolation. Knows only arrays.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from meanfield.geometry.sphere import Array

__all__ = ["History"]

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
