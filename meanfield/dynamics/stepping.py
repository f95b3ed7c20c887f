"""Time stepping apart from what is stepped: stages, history in time, step to the next output.

Knows nothing of space or attention.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

import numpy as np

from meanfield.geometry.sphere import Array

__all__ = ["STEPPERS", "History", "Stage", "fitted_step", "grown_step"]


@dataclass(frozen=True)
class Stage:
    """Stage of a strong-stability-preserving Runge-Kutta method (Shu and Osher 1988).

    u <- keep * u_old + (1 - keep) * (u + dt L(u, t + offset * dt)): a convex combination of Euler
    steps, so that it keeps what Euler steps of the same size keep (positivity, mass).
    """

    offset: float
    keep: float


STEPPERS: dict[str, tuple[Stage, ...]] = {
    "euler": (Stage(0.0, 0.0),),
    "ssprk2": (Stage(0.0, 0.0), Stage(1.0, 0.5)),
    "ssprk3": (Stage(0.0, 0.0), Stage(1.0, 0.75), Stage(0.5, 1.0 / 3.0)),
}


@dataclass
class History:
    """Values at the last few times, extrapolated by the polynomial through them.

    With three of them the extrapolation over one step is wrong by O(dt^3): enough for second-order
    stages with one evaluation a step.
    """

    depth: int = 3
    _entries: deque[tuple[float, Array]] = field(default_factory=deque)

    @property
    def full(self) -> bool:
        """Whether there are enough entries for the full order."""
        return len(self._entries) >= self.depth

    def append(self, t: float, values: Array) -> None:
        """Add the newest values; the oldest go."""
        self._entries.append((t, values))
        while len(self._entries) > self.depth:
            self._entries.popleft()

    def entries(self) -> list[tuple[float, Array]]:
        """(time, values) from old to new."""
        return list(self._entries)

    def at(self, t: float) -> Array:
        """The interpolating polynomial at ``t``; the stored values themselves at stored times."""
        times = [entry[0] for entry in self._entries]
        if t == times[-1]:
            return self._entries[-1][1]
        out = np.zeros_like(self._entries[-1][1])
        for i, (ti, values) in enumerate(self._entries):
            weight = math.prod((t - tj) / (ti - tj) for j, tj in enumerate(times) if j != i)
            out += weight * values
        return out


def fitted_step(t: float, t_end: float, longest: float) -> float:
    """The step of at most ``longest`` that reaches ``t_end`` in equal parts, with no tiny rest."""
    remaining = t_end - t
    if longest >= remaining:
        return remaining
    return remaining / math.ceil(remaining / longest * (1.0 - 1e-12))


def grown_step(dt: float, error: float, tolerance: float, order: int) -> float:
    """The next step from an error estimate of order ``order``: changed by a factor 0.3 to 2."""
    if error <= 0.0:
        return 2.0 * dt
    factor = 0.9 * (tolerance / error) ** (1.0 / order)
    return dt * min(2.0, max(0.3, factor))
