"""Implicit Euler steps of nonlinear diffusion by Newton's method.

Each iteration is a linear system whose matrix is that of a linear step (``dynamics.porous``), so
that masses add up to those of the old density after each full one. What is done beside Newton's
formula: a density is kept above 0 (or a share of what it was, where H'' is infinite at 0); the
correction is halved while ||G||_1 does not fall; where no solution is found at all, that of a
shorter step is, and leads on to the longer one (continuation in dt); the last resort are upwind
densities on edges, for that one step.

Owns the iteration. Knows a space, a diffusion, drifts; nothing of interactions and of time.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from meanfield.dynamics.drift import Drift
from meanfield.dynamics.linear import EdgeSystem, Rates
from meanfield.dynamics.porous import newton_rates, step_residual
from meanfield.dynamics.space import P1Space
from meanfield.geometry.sphere import Array
from meanfield.interaction.diffusion import Diffusion

__all__ = ["NewtonSteps", "Pull", "Root"]

_ITERATIONS = 60
# Shares of a correction are tried down to this one: fluxes have kinks where the drop vanishes, with
# slopes as different as the densities at its two ends, and roots lie next to them. Where H'' is
# finite at 0 (and may vanish there) more is found by taking the last one, come what may.
_SHORTEST, _TAKEN = 2.0**-40, 2.0**-6
_LOST = 100.0  # growth of ||G|| from which there is no way back
_FALL = 1e-4  # share of a correction by which ||G|| has to fall, relatively
_ROUND_OFF = 8 * np.finfo(float).eps
_STALLED = 100.0  # times round-off: what may be left where no iteration gets further
_SHRINK, _LEADS = 8.0, 30  # of continuation: its factor, and how often it is applied
_FINEST = 1.05  # smallest factor by which it goes on


class Pull(NamedTuple):
    """What an implicit step is made of: a drift and the density before it.

    Attributes:
        drift: along all edges.
        old: (n_local,) density, ghosts included.
        diffusion: nonlinear, that of the step.
        centred: whether densities on edges are means of their ends (g), or upwind.
    """

    drift: Drift
    old: Array
    diffusion: Diffusion
    centred: bool


class Root(NamedTuple):
    """The density after a step.

    Attributes:
        rho: (n_owned,) >= 0, with the mass of the old one.
        residual: ||G||_1 in masses: bounds the distance from the exact solution for given drops.
        solves: linear systems; iterations: of Krylov solvers in them.
    """

    rho: Array
    residual: float
    solves: int
    iterations: int


class _Guess(NamedTuple):
    """A density with ghosts, its pressure, G and ||G||_1."""

    rho: Array
    pressure: Array
    excess: Array
    norm: float


class NewtonSteps:
    """Implicit steps of a nonlinear diffusion on a space. All methods are collective.

    Args:
        space: the finite-element space.
        weights: (n_owned,) nodal weights.
        system: solves linear systems on its edges.
        centred: whether densities on edges are means of their ends, or upwind.
    """

    def __init__(self, space: P1Space, weights: Array, system: EdgeSystem, centred: bool) -> None:
        self._space, self._weights = space, weights
        self._system, self._centred = system, centred
        self._tolerance = 0.1 * system.tolerance
        self._solves = self._iterations = 0

    def pull(self, drift: Drift, rho: Array, diffusion: Diffusion) -> Pull:
        """What steps from ``rho`` (n_owned,) in a drift, with diffusion, are made of."""
        return Pull(drift, np.array(self._space.with_ghosts(rho)), diffusion, self._centred)

    def rates(self, pull: Pull) -> Rates:
        """Rates of exchange at the old density: what a change of it leads to."""
        start = self._guess(pull, pull.old[: self._space.n_owned], 0.0)
        return self._linearised(pull, start)[0]

    def solve(self, pull: Pull, dt: float, guess: Array | None, patient: bool) -> Root | None:
        """A step of ``dt``; None if none is found.

        Args:
            pull: from ``pull``.
            dt: the step.
            guess: (n_owned,) density to start from; None: the old one.
            patient: whether shorter steps, and upwind densities, are tried to get there.
        """
        self._solves = self._iterations = 0
        old = pull.old[: self._space.n_owned]
        found = self._newton(pull, old if guess is None else guess, dt)
        if found is None and patient:
            found = self._continued(pull, old, dt)
        if found is None and patient and pull.centred:  # upwind has fewer kinks
            found = self._continued(pull._replace(centred=False), old, dt)
        if found is None:
            return None
        rho = found.rho[: self._space.n_owned]
        w = self._weights
        had, has = self._space.sum(float(np.dot(w, old)), float(np.dot(w, rho)))
        return Root(rho * (had / has), found.norm, self._solves, self._iterations)

    def _continued(self, pull: Pull, old: Array, dt: float) -> _Guess | None:
        """The solution by way of those of shorter steps, each the guess of the next."""
        reached, found = dt, None
        for _ in range(_LEADS):
            reached /= _SHRINK
            found = self._newton(pull, old, reached)
            if found is not None:
                break
        factor = _SHRINK
        while found is not None and reached < dt:
            goal = min(dt, factor * reached)
            start = found.rho[: self._space.n_owned]
            further = self._newton(pull, start, goal)
            if further is not None:
                found, reached, factor = further, goal, min(_SHRINK, 2.0 * factor)
            else:
                factor = factor**0.5
                if factor < _FINEST:
                    return None
        return found

    def _newton(self, pull: Pull, start: Array, dt: float) -> _Guess | None:
        now = self._guess(pull, pull.diffusion.begun(start), dt)
        taken = pull.diffusion.keeps == 0.0
        for _ in range(_ITERATIONS):
            rates, size = self._linearised(pull, now)
            floor = _ROUND_OFF * (1.0 + dt * size)
            if now.norm <= max(self._tolerance, floor):
                return now
            correction = self._system.correct(rates, -now.excess, dt)
            self._solves += 1
            if correction is None:
                return None
            self._iterations += correction.iterations
            before, share = now, 1.0
            while True:
                now = self._guess(pull, self._moved(pull, before, share * correction.delta), dt)
                falls = now.norm < before.norm * (1.0 - _FALL * share)
                if falls or share <= (_TAKEN if taken else _SHORTEST):
                    break
                share *= 0.5
            best = now if falls else before
            if not now.norm < 0.5 * before.norm and best.norm <= _STALLED * floor:
                return best
            if not (falls or (taken and now.norm < _LOST * before.norm)):
                return None
        return None

    def _moved(self, pull: Pull, before: _Guess, delta: Array) -> Array:
        rho = before.rho[: self._space.n_owned]
        return np.maximum(rho + delta, pull.diffusion.keeps * rho)

    def _guess(self, pull: Pull, rho: Array, dt: float) -> _Guess:
        space, stars = self._space, self._space.stars
        local = np.array(space.with_ghosts(rho))
        pressure = pull.diffusion.pressure(local)
        excess = np.empty(space.n_owned)
        norm = step_residual(
            stars.neighbour, stars.coefficient, self._weights, pull.drift.xi, pull.drift.drops,
            pull.old, pull.centred, local, pressure, dt, excess,
        )  # fmt: skip
        (norm,) = space.sum(norm)
        return _Guess(local, pressure, excess, norm)

    def _linearised(self, pull: Pull, at: _Guess) -> tuple[Rates, float]:
        """The matrix as rates, and the size of what they move."""
        space, stars = self._space, self._space.stars
        arriving, leaving = np.empty(stars.coefficient.shape), np.empty(space.n_owned)
        size = newton_rates(
            stars.neighbour, stars.coefficient, pull.drift.xi, pull.drift.drops,
            pull.old, pull.centred, at.rho, at.pressure, pull.diffusion.stiffness(at.rho), arriving,
            leaving,
        )  # fmt: skip
        (total,) = space.sum(size)
        (fastest,) = space.max(float(np.max(leaving / self._weights, initial=0.0)))
        return Rates(arriving, leaving, None, fastest), total
