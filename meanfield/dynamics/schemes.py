"""Tokens in a scheme of normalisation: directions theta_i and lengths r_i.

    theta_i' = P A_i/s_i,    r_i' as the scheme says,    A_i the output of attention at theta_i

The same Runge-Kutta pair as without a scheme moves both: (theta, log r) on S^{d-1} x R, so that an
error of r is relative, and lengths stay positive however long or short. Source: arXiv 2510.22026.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from meanfield.arguments import checked_arguments
from meanfield.case.normalisation import Normalisation
from meanfield.case.tokensolvers import Particles
from meanfield.dynamics.movingdiffusion import AnyDiffusion
from meanfield.dynamics.noise import LENGTHS, start_generator
from meanfield.dynamics.particles import ParticleSolver, ParticleState
from meanfield.dynamics.rungekutta import Setting
from meanfield.dynamics.solver import State
from meanfield.dynamics.tokensolver import refuse_with_noise
from meanfield.dynamics.vanishing import refuse_vanishing, sizes
from meanfield.errors import BrokenInvariantError
from meanfield.geometry.manifolds import Ambient, Manifold
from meanfield.geometry.sphere import Array, tangent_project
from meanfield.interaction.contract import AnyInteraction
from meanfield.interaction.intime import InTime
from meanfield.interaction.measure import Measure
from meanfield.interaction.rescaling import rescaling

__all__ = ["SchemeSolver", "SchemeState"]

_LONGEST_LOG = 340.0  # log of a length whose products with others are doubles
_SOON = 1e-9  # of the time: how near the end of a length is where steps no longer move time


@dataclass(frozen=True, eq=False)
class SchemeState(ParticleState):
    """All that a restart needs.

    Attributes:
        log_length: (n,) log r; zeros where there are no lengths.
    """

    log_length: Array


@dataclass(frozen=True)
class _WithLengths(Ambient):
    """S^{d-1} x R: directions on a manifold, and log r in one more column."""

    on: Manifold
    name: ClassVar[str] = "directions and lengths"

    def retracted(self, y: Array) -> Array | None:
        """Rows (n, d + 1) whose directions are of unit length; None: none, or lengths too long."""
        directions, logs = self.on.retracted(y[:, : self.d]), y[:, self.d :]
        if directions is None or not np.all(np.isfinite(logs)) or np.any(logs > _LONGEST_LOG):
            return None
        return np.concatenate([directions, logs], axis=1)

    def tangential(self, x: Array, vectors: Array) -> Array:
        """What of (n, d + 1) a velocity may have: any change of log r."""
        inside = self.on.tangential(x[:, : self.d], vectors[:, : self.d])
        return np.concatenate([inside, vectors[:, self.d :]], axis=1)


class SchemeSolver(ParticleSolver):
    """Advance tokens in a scheme of normalisation; else as ``ParticleSolver`` does.

    Outputs are direct sums. Tokens that have collapsed become one point where there are no
    lengths; with lengths none does: tokens of one direction part if their lengths differ.

    Args:
        interaction: the model; one that has ``outputs``.
        x0: (n, d) unit vectors, directions.
        weights: (n,) masses >= 0, scaled to sum 1; None: equal ones.
        scheme: of normalisation, without gain and centre: they are of the interaction. Its first
            lengths are drawn by ``seed``, where they are a law.
        options, kappa, seed, t: as for ``ParticleSolver``; noise, of directions, only where there
            are no lengths.

    Attributes:
        All are those of ``ParticleSolver``.

    Raises:
        InputError: parameters or tokens that cannot be used.
        BrokenInvariantError: an output is 0 at once where the scheme divides by it.
    """

    state_kind = SchemeState
    follows_field = False

    @checked_arguments
    def __init__(
        self,
        interaction: AnyInteraction,
        x0: Array,
        weights: Array | None = None,
        *,
        scheme: Normalisation,
        options: Particles | None = None,
        kappa: AnyDiffusion | InTime | float = 0.0,
        seed: int = 0,
        t: float = 0.0,
    ) -> None:
        scheme.refuse_heads()
        self.scheme = scheme
        self._logs: Array = np.zeros(0)  # known when the number of tokens is
        super().__init__(interaction, x0, weights, options=options, kappa=kappa, seed=seed, t=t)
        refuse_with_noise(self.diffuses, scheme)
        first = scheme.first_lengths(self.n, start_generator(self.seed, LENGTHS))
        self._logs = np.log(first)
        self._merges = self._merges and not scheme.has_length
        self._set_points(self.x, np.arange(self.n) if scheme.has_length else self._group)
        self.rescales = scheme.sees_length and rescaling(self.interaction, t) is not None
        self._first_velocity()

    # ------------------------------------------------------------- the state, seen from outside

    @property
    def x(self) -> Array:
        """(n, d) directions, unit vectors."""
        return np.ascontiguousarray(super().x[:, : self.d])

    @property
    def lengths(self) -> Array | None:
        """(n,) r; None: tokens have no lengths."""
        return np.exp(self._points[:, self.d]) if self.scheme.has_length else None

    @property
    def has_energy(self) -> bool:
        """Whether the energy of the directions is one that the flow increases."""
        return super().has_energy and not self.scheme.sees_length

    @property
    def may_change(self) -> bool:
        """Attention that sees lengths moves directions that are at rest."""
        return super().may_change or self.scheme.sees_length

    def rescaled(self) -> Array | None:
        """(n, d) e^{-tV} x of tokens without normalisation, V the sum of V of all heads.

        None: in another scheme, or where heads depend on time, or are not softmax: no such V is
        known.
        """
        undo = rescaling(self.interaction, self.t) if self.rescales else None
        if undo is None or self.lengths is None:
            return None
        return np.asarray((self.lengths[:, None] * self.x) @ undo.T)

    def measure(self) -> Measure:
        """The empirical measure of the directions: each different point once."""
        points = np.ascontiguousarray(self._points[:, : self.d])
        return Measure(self._model.locate(points), self._masses)

    def velocity(self) -> Array:
        """theta' of the tokens, (n, d)."""
        return super().velocity()[:, : self.d]

    def state(self) -> SchemeState:
        """Everything that a restart needs."""
        logs = self._points[:, self.d].copy() if self.scheme.has_length else np.zeros(self.n)
        return SchemeState(**super().state().values(), log_length=logs)  # type: ignore[arg-type]

    def _restore(self, state: State | None) -> None:
        assert isinstance(state, SchemeState)
        self._logs = state.log_length
        super()._restore(state)

    def _set_points(self, x: Array, group: NDArray[np.int64]) -> None:
        super()._set_points(x, group)
        if self.scheme.has_length and len(self._logs) == len(self._points):
            self._points = np.column_stack([self._points, self._logs])

    def check(self) -> None:
        """Refuse tokens that are none; see ``Solver``."""
        super().check()
        if not np.all(np.isfinite(self._points)):
            raise BrokenInvariantError(f"lengths not finite at t = {self.t:.6g}")

    # ------------------------------------------------------------------ stepping

    def _own_jump(self) -> float:
        return self.scheme.next_jump(self.t)

    def _setting(self) -> Setting:
        on = self.interaction.manifold
        return Setting(_WithLengths(self.d, on) if self.scheme.has_length else on)

    def _field_at(self, x: Array, t: float) -> Array:
        """(theta', (log r)') of tokens that are at ``x``; theta' alone where there are no r."""
        self.evaluations += 1
        scheme, d, t = self.scheme, self.d, self._within(t)
        theta = x[:, :d]
        r = np.exp(x[:, d]) if scheme.has_length else np.ones(len(x))
        with self._timed("field"), np.errstate(over="ignore", invalid="ignore"):
            seen = theta * r[:, None] if scheme.sees_length else np.ascontiguousarray(theta)
            out = self._model.outputs(seen, self._masses, t)
            size = sizes(out)
        if scheme.divides:
            refuse_vanishing(scheme, self._model, seen, self._masses, size, t)
        with np.errstate(over="ignore", invalid="ignore"):
            rates = scheme.rates(np.sum(theta * out, axis=1), size, r, t)
            turn = tangent_project(theta, rates.factor[:, None] * out)
            if not scheme.has_length:
                return turn
            return np.column_stack([turn, rates.growth / r])

    def _take(self, t_end: float) -> float:
        try:
            return super()._take(t_end)
        except BrokenInvariantError as error:
            raise self._explained(error) from error

    def _explained(self, error: BrokenInvariantError) -> BrokenInvariantError:
        """Why steps no longer move time, where it is lengths."""
        lengths = self.lengths
        if lengths is None:
            return error
        with np.errstate(divide="ignore", invalid="ignore"):
            left = -1.0 / self._first_velocity()[:, self.d]  # until r = 0, at this rate
        left = np.where(left > 0.0, left, math.inf)
        token = int(np.argmin(left))
        if left[token] < _SOON * max(self.t, 1e-3):
            return BrokenInvariantError(
                f"the length of token {token} reaches 0 at t = {self.t + left[token]:.6g}: it has "
                f"no direction from then on; expected an earlier end, or a scheme without lengths"
            )
        if self.scheme.sees_length:
            return BrokenInvariantError(
                f"tokens of length {lengths.max():.3g} at t = {self.t:.6g}: outputs are no doubles "
                "from then on, or steps too small; expected an earlier end"
            )
        return error
