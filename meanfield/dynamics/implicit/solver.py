"""Linear-implicit steps of a density: what is tried, what is taken.

Knows a space, an interaction and the state; nothing of files, cases or observers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import astuple, dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from meanfield.case.solvers import Implicit
from meanfield.dynamics.anderson import Anderson
from meanfield.dynamics.density import DensitySolver, DensityState
from meanfield.dynamics.drift import Drift
from meanfield.dynamics.exchange import Exchange
from meanfield.dynamics.implicit.control import StepControl, allowed_error
from meanfield.dynamics.implicit.newton import NewtonSteps, Pull, Root
from meanfield.dynamics.linear import EdgeSystem, Rates, Solution
from meanfield.dynamics.movingdiffusion import AnyDiffusion
from meanfield.dynamics.solver import EnergyWatch, State
from meanfield.dynamics.space import P1Space
from meanfield.errors import BrokenInvariantError
from meanfield.geometry.sphere import Array
from meanfield.interaction.contract import AnyField, AnyInteraction
from meanfield.interaction.diffusion import Diffusion
from meanfield.interaction.intime import InTime
from meanfield.options import chosen

__all__ = ["ImplicitSolver", "ImplicitState"]

_ITERATIONS = 25  # of the fixed point
_FIXED_POINT = 0.02  # its tolerance over that of the step
_REFUSALS = 60  # of one step: by then it is 1e-18 of what was tried first


@dataclass(frozen=True, eq=False)
class ImplicitState(DensityState):
    """All that a restart needs, in the original vertex order (rank 0 holds it).

    Attributes:
        control: (6,) what the choice of the next step hangs on (``StepControl``).
    """

    control: Array


@dataclass(frozen=True, eq=False)
class _Trial:
    """A step that is not accepted yet.

    Attributes:
        densities: after it, the best first.
        error, allowed: its error, and what that may be.
        change: of the density, in total variation.
        solves: linear solves that it took.
        bound: on the functional after it, which is proved where there is one (nan: not asked).
    """

    densities: list[Array]
    error: float
    allowed: float
    change: float
    solves: int
    bound: float


class _Euler(NamedTuple):
    """Implicit Euler steps: the density after them, and the linear solves that they took."""

    rho: Array
    solves: int


class _Start:
    """What implicit Euler steps from one density are made of.

    Attributes:
        t: their time; rho: (n_owned,) the density; field: its own; drift: of the field.
    """

    def __init__(self, t: float, rho: Array, field: AnyField, drift: Drift) -> None:
        self.t, self.rho, self.field, self.drift = t, rho, field, drift
        self._made: tuple[Diffusion, Rates | Pull] | None = None

    def pull(self, diffusion: Diffusion, make: Callable[..., Rates | Pull]) -> Rates | Pull:
        """What steps with this diffusion are solved with; kept for the last one."""
        if self._made is None or self._made[0] is not diffusion:
            self._made = diffusion, make(self.drift, self.rho, diffusion)
        return self._made[1]


class ImplicitSolver(DensitySolver):
    """Advance a P1 density by linear-implicit steps.

    Args:
        space, interaction, rho, t: as for ``DensitySolver``.
        kappa: diffusion: a number >= 0, also one in time, linear, or a ``Diffusion``.
        options: choices of the discretisation.

    Attributes:
        lowered: steps for which the extrapolation moved the energy the wrong way, and was left out.
        residual: largest 1-norm of a linear residual so far (masses).
        failed: steps whose fixed point, or whose root in Newton's method, was not found.
        iterations: Krylov iterations so far; solves: number of linear solves by method.
        timings: seconds in "field", "fluxes" and "linear".
        All others are those of ``DensitySolver``.

    Raises:
        InputError: kappa negative or not finite, or a bad density, on any rank.
    """

    state_kind = ImplicitState

    def __init__(
        self,
        space: P1Space,
        interaction: AnyInteraction,
        rho: Array,
        kappa: AnyDiffusion | InTime | float = 0.0,
        options: Implicit | None = None,
        t: float = 0.0,
    ) -> None:
        self.options = chosen(Implicit, options)
        # A step is as good as its linear solve.
        wrong = self.options.linear_tolerance
        watch = EnergyWatch(wrong, 1e-13 + wrong)
        accuracy, tail = self.options.tolerance, self.options.tail
        super().__init__(space, interaction, rho, t, accuracy, watch, kappa, tail)
        self.timings |= {"fluxes": 0.0, "linear": 0.0}
        self.lowered = self.failed = self.iterations = 0
        self.residual = 0.0
        self.solves: dict[str, int] = {}
        self._system = EdgeSystem(
            space, self.weights, self.options.linear_tolerance, self.options.linear
        )
        self._control = StepControl(implicit=float(self.options.potential == "implicit"))
        self._exchange = Exchange(space, self.weights, self.options.scheme)
        self._newton: NewtonSteps | None = None
        if not self.diffusion_in_time.is_linear:
            centred = self.options.scheme != "fitted"
            self._newton = NewtonSteps(space, self.weights, self._system, centred)
        interaction = self.interaction  # cut to the mesh
        kind = interaction.energy_kind
        acts = self.diffusion_in_time.acts
        self._watched = kind == "gradient" or (kind == "monotone" and not acts)
        # Moments whose potential is the new one in every step.
        self._implicit: NDArray[np.bool_] = interaction.repels
        self._one_way = bool(np.any(self._implicit)) and interaction.convexity == "negative"

    # ------------------------------------------------------------------ the state

    def state(self) -> ImplicitState | None:
        """Everything that a restart needs, on rank 0 (None elsewhere). Collective."""
        rho = self.space.gather(self.rho)
        if rho is None:
            return None
        return ImplicitState(self.t, self.step, self.dt, rho, np.array(astuple(self._control)))

    def _restore(self, state: State | None) -> None:
        assert state is None or isinstance(state, ImplicitState)
        control: list[float] = [] if state is None else state.control.tolist()
        self._control = StepControl(*self.space.comm.bcast(control, root=0))
        self.rho = self.space.scatter(None if state is None else state.rho)
        self._field = None

    # ------------------------------------------------------------------ stepping

    def _take(self, t_end: float) -> float:
        start = _Start(self.t, self.rho, self.field(), self.drift_of(self.field()))
        fixed, control = self.options.dt, self._control
        if control.step == 0.0:
            met = self.diffusion if self._flowing is None else self._flowing.widest
            first = self._first_step(start.pull(met, self._rates))
            control.explicit_step = control.implicit_step = first
        longest = self._known(control.step, t_end) if fixed is None else fixed
        for attempt in range(_REFUSALS + 1):
            dt = self._fitted(t_end, longest)
            trial = self._try(start, dt)
            if trial is None:
                self.failed += 1
                if fixed is not None and not self._control.implicit:
                    what = "the repulsive part of " if self._newton is None else ""
                    raise BrokenInvariantError(
                        f"{what}a fixed step of {dt:.3g} was not solved for after "
                        f"t = {self.t:.6g}: take a smaller dt, or none to control it"
                    )
                longest = 0.5 * dt
                continue
            if fixed is None and trial.error > trial.allowed:
                self.rejected += 1
                longest = dt * max(0.2, 0.8 * math.sqrt(trial.allowed / trial.error))
                continue
            end = self._within(self._after(dt, t_end))
            chosen = self._choose(trial, end, last=attempt == _REFUSALS)
            if chosen is not None:
                break
            self.refused += 1
            longest = 0.5 * dt
        else:
            raise BrokenInvariantError(
                f"no step was accepted after t = {self.t:.6g}, down to {dt:.1e}"
            )
        rho, field = chosen
        self._check(rho, dt)
        if fixed is None:
            control.suggest(dt, trial.error, trial.allowed)
            if control.implicit:
                control.cost = trial.solves / 3.0
            if self.options.potential == "auto" and not self._one_way:
                control.choose(trial.change, dt)
        self.rho, self._field = rho, field
        return dt

    def _first_step(self, pull: Rates | Pull) -> float:
        """A step over which little of the mass moves."""
        if isinstance(pull, Pull):
            assert self._newton is not None
            rates = self._newton.rates(pull)
        else:
            rates = pull
        (moved,) = self.space.sum(float(np.dot(self.rho, rates.leaving)))
        fastest = max(min(moved, rates.fastest), self._linear_rate, 1e-300)
        return 0.1 * math.sqrt(self.options.rtol) / fastest

    def _try(self, start: _Start, dt: float) -> _Trial | None:
        """A step of ``dt``; None if there is no fixed point, or no root, to be found."""
        options, w = self.options, self.weights
        if options.order == 1 and options.dt is not None:
            once = self._euler(start, dt)
            if once is None:
                return None
            return _Trial([once.rho], 0.0, 1.0, 0.0, once.solves, self._bound(dt))
        full = self._euler(start, dt)
        half = None if full is None else self._euler(start, 0.5 * dt)
        if full is None or half is None:
            return None
        middle = self._within(self.t + 0.5 * dt)
        field = self._field_of(half.rho, middle)
        twice = self._euler(_Start(middle, half.rho, field, self.drift_of(field)), 0.5 * dt)
        if twice is None:
            return None
        best = twice.rho
        error, change = self.space.sum(
            float(np.dot(w, np.abs(best - full.rho))), float(np.dot(w, np.abs(best - self.rho)))
        )
        solves = full.solves + half.solves + twice.solves
        densities = [best] if options.order == 1 else [self._extrapolated(full.rho, best), best]
        allowed, bound = allowed_error(options.rtol, change), self._bound(dt, half.rho)
        return _Trial(densities, error, allowed, change, solves, bound)

    def _bound(self, dt: float, half: Array | None = None) -> float:
        """What the functional may be after a step of ``dt``, at the kappa of its end.

        That before it; and, where kappa is another one in the two halves of the step, what its
        change adds in the middle: H of the density ``half`` there times the change.
        """
        if not self._watched:
            return math.nan
        last = self.diffusion_in_time.at(self._within(self.t + dt))
        if half is None:
            return self._functional(self.rho, self.field(), last)
        first = self.diffusion_in_time.at(self._within(self.t + 0.5 * dt))
        bound = self._functional(self.rho, self.field(), first)
        if last is first:
            return bound
        return bound + self.interaction.scaled(last.kappa - first.kappa) * self._entropy(half)

    def _euler(self, origin: _Start, dt: float) -> _Euler | None:
        """One implicit Euler step, with the kappa of its end.

        With an implicit potential a fixed point of the moments of the new density, at the time
        where the step ends: None if it is not found.
        """
        everything, old, field = bool(self._control.implicit), origin.rho, origin.field
        start, end = field.moments, self._within(origin.t + dt)
        diffusion = self.diffusion_in_time.at(end)
        repelled = bool(np.any(self._implicit))
        if (everything or repelled) and self.interaction.moves:
            # Moments that stay say nothing of the rates.
            assert start is not None
            pull = self._rates(self._drift_at(start, old, end), old, diffusion)
        else:
            pull = origin.pull(diffusion, self._rates)
        step = self._solve(pull, old, dt)
        if step is None or not (everything or repelled):
            return step
        assert start is not None
        weights = self.interaction.metric
        if not everything:
            weights = np.where(self._implicit, weights, 0.0)
        anderson = Anderson(np.sqrt(weights))
        moments, solves = start, step.solves
        for _ in range(_ITERATIONS):
            found = self._field_of(step.rho, end)
            assert found.moments is not None
            moments, moved = anderson.next(moments, found.moments)
            # Moments of degree l are as large as the root of the number of harmonics.
            change = anderson.norm(moments - start)
            if moved <= _FIXED_POINT * allowed_error(self.options.rtol, change):
                return _Euler(step.rho, solves)
            mixed = moments if everything else np.where(self._implicit, moments, start)
            guess = self._rates(self._drift_at(mixed, step.rho, end), old, diffusion)
            step = self._solve(guess, old, dt, step.rho)
            if step is None:
                return None
            solves += step.solves
        return None

    def _drift_at(self, moments: Array, rho: Array, t: float) -> Drift:
        """The drift at a time of moments that are those of ``rho``, or near them. Collective."""
        comm = self.space.comm
        return self.drift_of(
            self.interaction.field_of_moments(moments, self._measure_of(rho), t, comm)
        )

    def _extrapolated(self, full: Array, twice: Array) -> Array:
        ratio = np.ones_like(full)
        np.divide(twice, full, out=ratio, where=full > 0.0)
        rho: Array = twice * np.clip(ratio, 0.5, 2.0)
        w = self.weights
        (mass,) = self.space.sum(float(np.dot(w, rho)))
        rho /= mass / self._whole
        return rho

    def _choose(self, trial: _Trial, t: float, last: bool) -> tuple[Array, AnyField] | None:
        """The first density whose energy has moved the right way, with its field at ``t``."""
        diffusion = self.diffusion_in_time.at(t)
        for number, rho in enumerate(trial.densities):
            field = self._field_of(rho, t)
            if not self._watched:
                return rho, field
            after = self._functional(rho, field, diffusion)
            scale, noise = self._known_to(field, after, diffusion)
            if after - trial.bound <= noise:
                self.lowered += number
                return rho, field
        if not last:
            return None
        self._energy.record(after - trial.bound, scale)
        return rho, field

    def _rates(self, drift: Drift, rho: Array, diffusion: Diffusion) -> Rates | Pull:
        """What a step from ``rho`` in a drift, with diffusion, is made of."""
        with self._timed("fluxes"):
            if self._newton is not None and not diffusion.is_linear:
                return self._newton.pull(drift, rho, diffusion)
            return self._exchange.rates(drift, rho, diffusion.kappa)

    def _solve(
        self, pull: Rates | Pull, old: Array, dt: float, guess: Array | None = None
    ) -> _Euler | None:
        """A step in a given drift; None if Newton's method finds none. Collective."""
        with self._timed("linear"):
            if isinstance(pull, Pull):
                assert self._newton is not None
                root = self._newton.solve(pull, dt, guess, self.options.dt is not None)
                if root is None:
                    return None
                step: Root | Solution = root
                solves, method = root.solves, "newton"
            else:
                step = solution = self._system.solve(pull, old, dt)
                solves, method = 1, solution.method
        self.iterations += step.iterations
        self.residual = max(self.residual, step.residual)
        self.solves[method] = self.solves.get(method, 0) + solves
        return _Euler(step.rho, solves)
