"""n tokens on S^{d-1}: dx_i = X[mu_n](x_i) dt + sqrt(2 kappa) dB_i, mu_n = sum_j m_j delta_{x_j}.

The particle system that the density is the limit of. The velocity is that of the very same field
code (``Interaction.field``), so that comparing the two tests the discretisation alone.

Knows tokens, an interaction and the state; nothing of meshes, files, cases or observers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from meanfield.arguments import checked_arguments
from meanfield.case.tokensolvers import Particles
from meanfield.dynamics.clusters import collapsed_groups, numbered_groups
from meanfield.dynamics.movingdiffusion import AnyDiffusion, diffusion_of
from meanfield.dynamics.noise import common_draw, step_generator
from meanfield.dynamics.rungekutta import (
    TOO_SMALL,
    Control,
    Setting,
    Unquestioned,
    largest_row,
    pair_named,
    try_step,
)
from meanfield.dynamics.solver import State
from meanfield.dynamics.stepping import grown_step
from meanfield.dynamics.tokensolver import TokenSolver, TokenState, check_noise, tokens_for
from meanfield.errors import BrokenInvariantError, InputError
from meanfield.geometry.brownian import common_step
from meanfield.geometry.sphere import Array
from meanfield.interaction.contract import AnyField, AnyInteraction
from meanfield.interaction.diffusion import Diffusion
from meanfield.interaction.intime import InTime
from meanfield.interaction.measure import Measure
from meanfield.options import chosen

__all__ = ["ParticleSolver", "ParticleState"]

_FEW = 400  # tokens for which direct sums are faster than transforms, and free of their noise
_MERGE_EVERY = 10  # steps between searches for what has collapsed, among many tokens
_TURN = 0.3  # noise: root mean square angle of a step over the width of the kernel
_BEND = 0.02  # noise: largest difference between the drifts of Euler's and the midpoint rule
_STILL = 1e-9  # kappa in time: integral over a step that need not be known


@dataclass(frozen=True, eq=False)
class ParticleState(TokenState):
    """All that a restart needs.

    Attributes:
        group: (n,) tokens with the same number are one point for good.
        longest, previous: what the step control remembers.
        rejected: rejected steps so far.
        seed: of the noise.
    """

    group: NDArray[np.int64]
    longest: float
    previous: float
    rejected: int
    seed: int


class ParticleSolver(TokenSolver):
    """Advance tokens, deterministic (kappa = 0) or with noise.

    kappa = 0: an embedded Runge-Kutta pair with retraction to the sphere and control of the
    largest error of a token (angle): at most ``atol + rtol * (largest distance moved in the step)``
    a step. Tokens that the flow has brought within ``atol`` of each other, and still brings
    closer, become one point of their joint mass for good: an error of the size of the tolerance,
    made once, that takes the stiffness of a collapsed cluster out of the system, so that steps can
    grow to the time scale of the clusters (for attention e^{beta(1 - cos angle)}), by any number of
    orders of magnitude. Tokens keep their numbers. Equal tokens stay exactly equal.

    kappa > 0: Strang splitting, half a step of Brownian motion, a step of the drift by the
    midpoint rule, half a step of Brownian motion: weak order 2 in the step. Without ``dt`` the step
    follows the turn by noise and the bending of the drift as found in *earlier* steps; none is
    rejected, which would favour some noises over others. Where kappa depends on time the steps
    are these at all times, also at those where it is 0; each half has the mean of kappa over it.
    Noise that all tokens have in common (``options.common_noise``) acts likewise, between the other
    one and the drift: half a step before it and half a step after it.

    Args:
        interaction: the model; geometry "sphere", "circle" (harmonic transforms) or "any". With
            ``method="auto"``, few tokens are summed directly, and all of them where the series of
            the interaction does not end (singular kernels).
        x0: (n, d) unit vectors.
        weights: (n,) masses >= 0, scaled to sum 1; None: equal ones.
        options: tolerances, steps, what becomes one point; where tokens come from is not read.
        kappa: diffusion, the noise is sqrt(2 kappa) dB on the sphere; also in time.
        seed: of the noise, 0 <= seed < 2^64: the same on any number of threads, and over restarts.
        t: initial time.

    Attributes:
        rejected: number of rejected steps.
        evaluations: number of field evaluations.
        timings: seconds spent in "field" and "noise".
        All others are those of ``TokenSolver``.

    Raises:
        InputError: parameters or tokens that cannot be used.
    """

    state_kind: ClassVar[type[ParticleState]] = ParticleState

    @checked_arguments
    def __init__(
        self,
        interaction: AnyInteraction,
        x0: Array,
        weights: Array | None = None,
        *,
        options: Particles | None = None,
        kappa: AnyDiffusion | InTime | float = 0.0,
        seed: int = 0,
        t: float = 0.0,
    ) -> None:
        self.options = options = chosen(Particles, options)
        x = tokens_for(interaction, x0)
        diffusion = diffusion_of(kappa)
        self._common = options.common_noise
        _check_numbers(diffusion, options, seed)
        super().__init__(interaction.by(options.interaction), x.shape, weights, t, diffusion)
        self.pair = pair_named(options.method)
        self.seed = int(seed)
        self.evaluations = 0
        self.timings["noise"] = 0.0
        self._control = Control(options.rtol, options.atol, self.pair.error_order)
        group = np.arange(self.n)
        # Where own terms are left out, or tokens have an order, each point is one token.
        self._merges = not self.diffuses and options.merge and not interaction.one_point_each
        if self._merges:
            group = np.unique(x, axis=0, return_inverse=True)[1].reshape(-1)
        self._set_points(x, group)

    # ------------------------------------------------------------- the state, seen from outside

    @property
    def x(self) -> Array:
        """(n, d) tokens, unit vectors."""
        return self._points[self._group] if len(self._points) < self.n else self._points

    @property
    def diffuses(self) -> bool:
        """Whether there is noise at any time, of each token or common to all."""
        return super().diffuses or self._common > 0.0

    @property
    def rejected(self) -> int:
        """Number of rejected steps so far."""
        return self._control.rejected

    @property
    def points(self) -> int:
        """Number of different points: tokens that have not become one with others."""
        return len(self._points)

    def measure(self) -> Measure:
        """The empirical measure: each different point once, with the mass of its tokens."""
        return Measure(self._model.locate(self._points), self._masses)

    def field(self) -> AnyField:
        """The field of the current tokens."""
        return self._model.field(self.measure(), self.t)

    def velocity(self) -> Array:
        """X at the tokens, (n, d)."""
        return self._first_velocity()[self._group]

    def state(self) -> ParticleState:
        """Everything that a restart needs."""
        control = self._control
        return ParticleState(
            t=self.t,
            step=self.step,
            dt=self.dt,
            x=self.x.copy(),
            group=self._group.copy(),
            longest=control.longest,
            previous=control.previous,
            rejected=control.rejected,
            seed=self.seed,
            **self._carried(),
        )

    def _restore(self, state: State | None) -> None:
        assert isinstance(state, ParticleState)
        self.seed = state.seed
        control = self._control
        control.longest, control.previous = state.longest, state.previous
        control.rejected = state.rejected
        self._set_points(state.x, state.group)

    def _set_points(self, x: Array, group: NDArray[np.int64]) -> None:
        """Keep one point of each group, in the order of their first tokens."""
        self._group: NDArray[np.int64]
        self._group, first = numbered_groups(group)
        self._points: Array = np.ascontiguousarray(x[first])
        self._masses = np.bincount(self._group, weights=self.weights)
        model = self.interaction
        few = len(self._points) <= _FEW and model.exact_sums
        sums = model.method == "auto" and (few or not model.series_ends)
        self._model = model.direct() if sums else model
        self._velocity: Array | None = None

    # ------------------------------------------------------------------ tangents

    @checked_arguments
    def carry(self, most: int, seed: int = 0) -> None:
        """As ``TokenSolver``; tokens are then not merged, whose differences would be lost."""
        super().carry(most, seed)
        self._merges = False
        self._set_points(self.x, np.arange(self.n))

    def _again(self, state: TokenState, t: float) -> Array:
        assert isinstance(state, ParticleState)
        kept = self._control
        self._control = Unquestioned(kept.rtol, kept.atol, kept.order)
        try:
            return super()._again(replace(state, longest=math.inf), t)
        finally:
            self._control = kept

    # ------------------------------------------------------------------ stepping

    def _forget(self) -> None:
        self._velocity = None

    def _take(self, t_end: float) -> float:
        return self._noisy_step(t_end) if self.diffuses else self._smooth_step(t_end)

    def _settle(self) -> None:
        few = len(self._points) <= _FEW
        if self._merges and (few or self.step % _MERGE_EVERY == 0):
            self._merge()

    def _field_at(self, x: Array, t: float) -> Array:
        """The velocity of tokens that are at ``x`` (m, d), at themselves."""
        self.evaluations += 1
        with self._timed("field"):
            model = self._model
            at = model.locate(x)
            return model.field(Measure(at, self._masses), self._within(t)).own_velocity()

    def _first_velocity(self) -> Array:
        if self._velocity is None:
            self._velocity = self._field_at(self._points, self.t)
        return self._velocity

    def _setting(self) -> Setting:
        """Where points move."""
        return Setting(self.interaction.manifold)

    def _smooth_step(self, t_end: float) -> float:
        first, control, setting = self._first_velocity(), self._control, self._setting()
        if control.longest == 0.0:
            control.start(self._field_at, self._points, first, self.t, t_end, setting)
        while True:
            dt = self._fitted(t_end, control.longest, TOO_SMALL)
            t_new = self._after(dt, t_end)
            trial = try_step(
                self.pair, self._field_at, self._points, first, self.t, dt, t_new, setting
            )
            if control.accepts(dt, trial):
                assert trial.x is not None
                self._points, self._velocity = trial.x, trial.velocity
                return dt

    def _noisy_step(self, t_end: float) -> float:
        on = self.interaction.manifold
        dt = self._fitted(t_end, self._longest_noisy_step(t_end))
        end, half = self._within(self._after(dt, t_end)), self.t + 0.5 * dt
        first, second = (
            self.diffusion_in_time.mean(*ends) for ends in ((self.t, half), (half, end))
        )
        with self._timed("noise"):
            rng = step_generator(self.seed, self.step)
            of_all = self._of_all()
            x = self._moved(self._shaken(self._points, 0.5 * first * dt, rng), dt, of_all)
        slope = self._field_at(x, self.t)
        middle = on.retracted(x + 0.5 * dt * slope)
        y = None
        if middle is not None:
            drift = self._field_at(middle, half)
            y = on.retracted(x + dt * drift)
        if y is None:
            raise BrokenInvariantError(
                f"a token left the sphere in the step of {dt:.1e} at t = {self.t:.6g}: take a "
                "smaller dt"
            )
        bend = dt * largest_row(drift - slope)
        with self._timed("noise"):
            self._points = self._shaken(self._moved(y, dt, of_all), 0.5 * second * dt, rng)
        self._velocity = None
        if self.options.dt is None:
            self._control.longest = grown_step(dt, bend, _BEND, 2)
        return dt

    def _longest_noisy_step(self, t_end: float) -> float:
        if self.options.dt is not None:
            return self.options.dt
        most = 0.5 * (_TURN * self.interaction.width) ** 2 / (self.d - 1)
        kappa, diffusion = self.kappa, self.diffusion_in_time
        turn = most / (kappa + self._common) if kappa + self._common > 0.0 else math.inf
        if self._control.longest == 0.0:
            speed = largest_row(self._first_velocity())
            self._control.longest = 0.01 / speed if speed > 0.0 else turn
        longest = min(turn, self._control.longest)
        if isinstance(diffusion, Diffusion) or diffusion.piecewise:
            return longest
        # Twice the last step at most: an oscillation is met before steps are as long as it.
        before = self.dt if self.dt > 0.0 else 0.01 * most / diffusion.largest
        end = self._within(min(t_end, self.t + min(longest, 2.0 * before)))
        return diffusion.longest(self.t, end, most, _STILL)

    def _shaken(self, x: Array, tau: float, rng: np.random.Generator) -> Array:
        """Tokens after Brownian motions for a time ``tau``."""
        return self.interaction.manifold.brownian(x, tau, rng)

    def _of_all(self) -> np.random.Generator:
        """The random numbers of what all tokens have in common, in this step."""
        seed = self.options.common_seed
        return step_generator(self.seed if seed is None else seed, self.step, 1)

    def _moved(self, x: Array, dt: float, rng: np.random.Generator) -> Array:
        """Tokens after half a step of common noise."""
        if self._common == 0.0:
            return x
        w, backward = common_draw(rng, self.d, self._common * dt)
        return common_step(x[None], w[None], np.array([backward]))[0]

    # ------------------------------------------------------------------ collapsed tokens

    def _merge(self) -> None:
        """Make one point of tokens within ``atol`` whose distances the flow shrinks."""
        found = collapsed_groups(
            self._points, self._masses, self._first_velocity(), self._control.atol
        )
        if found is not None:
            group, x = found
            self._set_points(x[self._group], group[self._group])


# ------------------------------------------------------------------ checks of what users give


def _check_numbers(diffusion: AnyDiffusion, options: Particles, seed: int) -> None:
    dt = options.dt
    check_noise(diffusion, seed)
    if dt is not None and not (diffusion.acts or options.common_noise):
        raise InputError(
            f"dt = {dt:g} found with kappa = 0, where steps follow the error; give rtol and atol, "
            "or kappa > 0"
        )
