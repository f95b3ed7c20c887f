"""Time stepping apart from what is stepped: stages, history in time, step to the next output.

Knows nothing of space or attention.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numba as nb
import numpy as np

from meanfield.geometry.sphere import Array

__all__ = ["STEPPERS", "History", "Pace", "Stage", "fitted_step", "grown_step", "of_mesh", "shares"]

_BLOCK = 512  # values at a time, as in ``dynamics.sweep``
_OF_MESH, _COARSEST = 0.3, 1e-4  # accuracy in time: of h^2, and at most
_FIRST, _MOST = 0.1, 0.5  # of perturbations of the uniform state: growth in a step
_GAUSS = tuple(zip((0.5 - math.sqrt(0.15), 0.5, 0.5 + math.sqrt(0.15)), (5, 8, 5), strict=True))


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


def shares(stages: Sequence[Stage]) -> tuple[float, ...]:
    """The weights b_s of the stages in the step: its quadrature rule in time, sum one."""
    kept = 1.0
    found = []
    for stage in reversed(stages):
        kept *= 1.0 - stage.keep
        found.append(kept)
    return tuple(reversed(found))


@dataclass
class History:
    """Values at the last few times, extrapolated by the polynomial Q through them.

    With four of them the extrapolation over one step is wrong by O(dt^4).
    """

    depth: int = 4
    _entries: deque[tuple[float, Array]] = field(default_factory=deque)

    @property
    def full(self) -> bool:
        """Whether there are enough entries for the full order."""
        return len(self._entries) >= self.depth

    def append(self, t: float, values: Array) -> None:
        """Add the newest values; the oldest go."""
        self._entries.append((t, np.require(values, np.float64, ("C", "W"))))
        while len(self._entries) > self.depth:
            self._entries.popleft()

    def entries(self) -> list[tuple[float, Array]]:
        """(time, values) from old to new."""
        return list(self._entries)

    def at(self, t: float) -> Array:
        """Q(t); the stored values themselves at stored times."""
        for known, values in self._entries:
            if t == known:
                return values
        return self.combined(self._weights(t))

    def stage_weights(self, stages: Sequence[Stage], t: float, dt: float) -> list[list[float]]:
        """Of the entries, in what each stage of a step from ``t`` takes: Q, with its mean exact.

            Q(t + c_s dt) + (1/dt) int_t^{t+dt} Q - sum_r b_r Q(t + c_r dt)

        The shift, the same for all stages, is of the order of the rule b, c (dt^2 for "ssprk2"), so
        that the order of the step stays; what the rule is wrong by in the values alone is gone. It
        is all that there is next to rest, where fluxes are the values' alone.
        """
        at = [self._weights(t + stage.offset * dt) for stage in stages]
        shift = [0.0] * len(self._entries)
        terms = [(gauss / 18.0, self._weights(t + c * dt)) for c, gauss in _GAUSS]
        terms += [(-share, known) for share, known in zip(shares(stages), at, strict=True)]
        for share, weights in terms:
            shift = [one + share * weight for one, weight in zip(shift, weights, strict=True)]
        return [[a + b for a, b in zip(weights, shift, strict=True)] for weights in at]

    def combined(self, weights: Sequence[float]) -> Array:
        """The entries, times a weight each, summed from old to new."""
        parts = tuple(values.reshape(-1) for _, values in self._entries)
        out = np.empty_like(self._entries[-1][1])
        _combine(parts, np.array(weights), out.reshape(-1))
        return out

    def _weights(self, t: float) -> list[float]:
        """Of the entries in Q(t)."""
        found = []
        for ti, _ in self._entries:
            weight = 1.0
            for tj, _ in self._entries:
                if tj != ti:
                    weight *= (t - tj) / (ti - tj)
            found.append(weight)
        return found


@nb.njit(error_model="numpy", cache=True)
def _combine(parts: tuple[Array, ...], weights: Array, out: Array) -> None:
    """sum_k weights_k parts_k, in this order, block by block."""
    for start in range(0, out.size, _BLOCK):
        stop = min(out.size, start + _BLOCK)
        here = out[start:stop]
        here[:] = 0.0
        for k in range(len(parts)):
            part, weight = parts[k][start:stop], weights[k]
            for i in range(stop - start):
                here[i] += weight * part[i]


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


@dataclass(frozen=True)
class Pace:
    """How long steps may be for what grows at the uniform state.

    A step of size z over the growth time of a mode, by an extrapolation of this order, is wrong by
    about z^order relative to the step, in the prediction as in the rate at which the mode grows:
    the tolerance of the one is the error of the other.

    Attributes:
        accuracy: relative error of growth rates; 1: whatever it is.
        order: of that error in the step.
        fastest: the fastest rate of any mode.
    """

    accuracy: float
    order: int
    fastest: float

    @property
    def first(self) -> float:
        """The longest step where there is no prediction to be wrong."""
        return min(_FIRST, self.accuracy ** (1.0 / self.order)) / max(self.fastest, 1e-300)

    def next(self, dt: float, wrong: float, size: float, noise: float) -> float:
        """The longest step after one of ``dt`` whose prediction was wrong.

        Args:
            dt: of the last step.
            wrong: error of what was predicted.
            size: of what was predicted.
            noise: of predictions, which is no reason to slow down. Perturbations of the uniform
                state that are below it grow unseen: in time, too.
        """
        unseen = noise / self.accuracy
        grown = grown_step(dt, wrong / max(size + unseen, 1e-300), self.accuracy, self.order)
        most = self.first if size < unseen else _MOST / max(self.fastest, 1e-300)
        return min(grown, most)


def of_mesh(h: float) -> float:
    """The accuracy of growth rates in time that a mesh with edges of length ``h`` is worth."""
    return min(_COARSEST, _OF_MESH * h * h)
