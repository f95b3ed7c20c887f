"""The linear-implicit solver of a density with or without diffusion: any step, kappa >= 0.

    (W + dt A(xi^n)) rho^{n+1} = W rho^n,        A: edge fluxes of ``dynamics.fluxes``

with the potential xi^n of the old density. What is *proved*, for every dt, every rough density and
with the limited fluxes as well as without (they only scale each edge by g_ij = g_ji > 0, taken
from the old density):

* rho >= 0 and mass is conserved (M-matrix with zero column sums), exactly as computed, too: see
  ``dynamics.linear``.
* rho ~ exp(xi/kappa) is at rest exactly, if xi is its own potential (Gibbs states).
* identity link (usa, kernels), any kappa >= 0: the free energy F = kappa H - E never increases. H
  is convex: H(rho') - H(rho) <= <log rho', m' - m>. E = E_+ - E_- by the signs of the kernel's
  coefficients, both convex: E_+(rho') - E_+(rho) >= <xi_+^n, m' - m> with the potential of the old
  density, -E_-(rho') + E_-(rho) >= <xi_-', m' - m> with that of the *new* one. So with
  xi = xi_+^n + xi_-' F(rho') - F(rho) <= <kappa log rho' - xi, m' - m> =
  -dt sum_edges c_ij F_ij (mu_i - mu_j), mu = kappa log rho' - xi, and F_ij has the sign of
  mu_i - mu_j.
* log link (sa), kappa = 0, all signs alike: E moves the right way: attractive, with the old
  potential, E(rho') - E(rho) >= <q^n, m' - m> = dt sum_edges c_ij F_ij (q_j - q_i) >= 0, as xi
  rises with q; repulsive, with the new one, likewise.

The repulsive part xi_-' makes a step a fixed point in the few moments of that part, found by
Anderson acceleration (a linear solve an iteration), to a tolerance far below the change of F. A
step for which none is found is refused and halved; a fixed one stops the run.

*Monitored*: the same signs for the extrapolated step below, and for the log link with mixed signs
(sa, beta < 0), whose potential is the old one: the two times do not mix in a logarithm. The log
link with noise has no known Lyapunov functional: nothing is watched.

Second order in time: one step of dt (giving f) and two of dt/2 (giving h) are combined to h^2/f,
the extrapolation of log rho: positive whatever the step, and equal to the Richardson extrapolation
2h - f up to (h - f)^2/f = O(dt^4); its mass, 1 + O(dt^4), is divided out. h/f is kept within 1/2
and 2, so that nothing wild happens in tails that no step resolves. If its energy moves the wrong
way, h itself is taken, for which the above is proved; if that does, too (where it is not), the step
is rejected and halved.

Implicit potential: where next to nothing moves, the old potential holds every cluster where it was:
one that drifts at a speed v gets no further than v over its rate of relaxation, however long the
step. Such phases are stepped through with the potential of the *new* density,
(W + dt A(xi^{n+1})) rho^{n+1} = W rho^n, a fixed point in the few moments that make up the
potential. Positivity, mass and Gibbs states are untouched: these hold in any potential; where
attraction takes part the signs of the energy are monitored, and a step that fails is refused.
"auto" takes, of the two ways, the one that gets further for a linear solve, by trying the other
from time to time in slow phases (where everything repels, both are the same).

Error control: the distance of h and f in total variation, sum w |h - f|, is at most ``rtol`` times
the smaller of 1 and 100 times the change of the density over the step. The latter matters where
hardly anything moves: a perturbation of an unstable state, however small, grows at its own rate
only if steps resolve it. Changes below 1e-8 are not looked at: steps then double.

Knows a space, an interaction and the state; nothing of files, cases or observers.
"""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from meanfield.case.solvers import Implicit
from meanfield.dynamics.anderson import Anderson
from meanfield.dynamics.density import LOG_FLOOR, DensitySolver, DensityState
from meanfield.dynamics.fluxes import dissipation, exchange_rates, log_gradients
from meanfield.dynamics.limiters import limiter
from meanfield.dynamics.linear import EdgeSystem, Rates, Solution
from meanfield.dynamics.solver import EnergyWatch, State
from meanfield.dynamics.space import P1Space
from meanfield.errors import BrokenInvariantError, InputError
from meanfield.geometry.sphere import Array
from meanfield.interaction.field import Field
from meanfield.interaction.interaction import Interaction
from meanfield.options import chosen

__all__ = ["ImplicitSolver", "ImplicitState"]

_WATCHED_CHANGE = 1e-8  # changes of the density below this do not bound the step
_RELATIVE = 100.0  # times rtol: error of a step relative to its change
_GROWTH = 2.0
_ITERATIONS = 25  # of the fixed point
_FIXED_POINT = 0.02  # its tolerance over that of the step
_SLOW = 1.0 / _RELATIVE  # change over a step below which the implicit potential is tried
_WAIT, _LONGEST_WAIT, _TRIAL = 10, 320, 8  # steps before a trial, and in it
_REFUSALS = 60  # of one step: by then it is 1e-18 of what was tried first


@dataclass(frozen=True, eq=False)
class ImplicitState(DensityState):
    """All that a restart needs, in the original vertex order (rank 0 holds it).

    Attributes:
        control: (6,) what the choice of the next step hangs on (``_Control``).
    """

    control: Array


@dataclass
class _Control:
    """The next step: which potential, how long, and when to try the other one.

    Attributes:
        implicit: whether the potential is to be implicit.
        explicit_step, implicit_step: the steps that the errors suggest; 0 before the first.
        cost: linear solves of an implicit step over those of an explicit one.
        countdown: slow steps until the next trial, or steps of a trial that are left.
        wait: slow steps between trials.
    """

    implicit: float = 0.0
    explicit_step: float = 0.0
    implicit_step: float = 0.0
    cost: float = 1.0
    countdown: float = _WAIT
    wait: float = _WAIT

    @property
    def step(self) -> float:
        return self.implicit_step if self.implicit else self.explicit_step

    def suggest(self, dt: float, error: float, allowed: float) -> None:
        """The next step from the error of this one, which is of order dt^2."""
        limit = _GROWTH * max(dt, self.step)
        best = 0.9 * dt * math.sqrt(allowed / error) if error > 0.0 else math.inf
        step = min(limit, max(best, 0.2 * dt))
        if self.implicit:
            self.implicit_step = step
        else:
            self.explicit_step = step

    def choose(self, change: float, dt: float) -> None:
        """Whether to go on with this potential after a step of ``dt`` that changed so much."""
        if not self.implicit:
            if change <= _SLOW and self.explicit_step < 0.9 * _GROWTH * dt:
                self.countdown -= 1
            if self.countdown <= 0:
                self.implicit, self.countdown = 1.0, _TRIAL
                self.implicit_step = self.explicit_step
            return
        self.countdown -= 1
        if change > 4.0 * _SLOW:  # nothing is slow any more: what the explicit step was is long ago
            self.implicit, self.wait, self.countdown = 0.0, _WAIT, _WAIT
            self.explicit_step = self.implicit_step
        elif self.countdown <= 0 and self.implicit_step < self.cost * self.explicit_step:
            self.implicit, self.wait = 0.0, min(2 * self.wait, _LONGEST_WAIT)
            self.countdown = self.wait


@dataclass(frozen=True, eq=False)
class _Trial:
    """A step that is not accepted yet.

    Attributes:
        densities: after it, the best first.
        error, allowed: its error, and what that may be.
        change: of the density, in total variation.
        solves: linear solves that it took.
    """

    densities: list[Array]
    error: float
    allowed: float
    change: float
    solves: int


class ImplicitSolver(DensitySolver):
    """Advance a P1 density by linear-implicit steps.

    Args:
        space, interaction, rho, t: as for ``DensitySolver``.
        kappa: diffusion, >= 0.
        options: choices of the discretisation.

    Attributes:
        rejected: steps refused for their error; refused: for their energy.
        lowered: steps for which the extrapolation moved the energy the wrong way, and was left out.
        residual: largest 1-norm of a linear residual so far (masses).
        failed: steps whose fixed point was not found.
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
        interaction: Interaction,
        rho: Array,
        kappa: float = 0.0,
        options: Implicit | None = None,
        t: float = 0.0,
    ) -> None:
        if not 0.0 <= kappa < math.inf:
            raise InputError(f"kappa = {kappa:g} found, a finite number >= 0 expected")
        self.options = chosen(Implicit, options)
        # A step is as good as its linear solve.
        wrong = self.options.linear_tolerance
        watch = EnergyWatch(wrong, 1e-13 + wrong)
        super().__init__(space, interaction, rho, t, self.options.tolerance, watch)
        self.kappa = float(kappa)
        self._limiter = limiter(self.options.scheme)
        self.timings |= {"fluxes": 0.0, "linear": 0.0}
        self.rejected = self.refused = self.lowered = self.failed = self.iterations = 0
        self.residual, self._count = 0.0, 0
        self.solves: dict[str, int] = {}
        self._system = EdgeSystem(
            space, self.weights, self.options.linear_tolerance, self.options.linear
        )
        self._control = _Control(implicit=float(self.options.potential == "implicit"))
        self._back = _back_tangents(space)
        interaction = self.interaction  # cut to the mesh
        kind = interaction.energy_kind
        self._watched = kind == "gradient" or (kind == "monotone" and self.kappa == 0.0)
        # Moments whose potential is the new one in every step: see above for the log link.
        if kind == "gradient" or interaction.convexity == "negative":
            self._implicit: NDArray[np.bool_] = interaction.repels
        else:
            self._implicit = np.zeros(interaction.metric.size, dtype=bool)
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
        self._control = _Control(*self.space.comm.bcast(control, root=0))
        self.rho = self.space.scatter(None if state is None else state.rho)
        self._field = None

    def speed(self) -> float:
        """Root mean square velocity of the mass: of X - kappa grad log rho, zero at rest.

        For kappa = 0 that of X itself. Collective.
        """
        if self.kappa == 0.0:
            return super().speed()
        rho = self.space.with_ghosts(self.rho).copy()
        local = dissipation(
            self.space.stars.neighbour,
            self.space.stars.coefficient,
            self.field_potential(self.field()),
            self.kappa,
            rho,
            _log(rho),
        )
        (total,) = self.space.sum(local)
        return math.sqrt(total)

    def free_energy(self) -> float:
        """kappa H - drive E, scaled, up to a constant: falls for the identity link. Collective."""
        return self._functional(self.rho, self.field())

    def _functional(self, rho: Array, field: Field) -> float:
        energy = -field.ascent()
        if self.kappa == 0.0:
            return energy
        (entropy,) = self.space.sum(float(np.dot(self.weights * rho, _log(rho))))
        return energy + self.interaction.scaled(self.kappa) * entropy

    # ------------------------------------------------------------------ stepping

    def _take(self, t_end: float) -> float:
        rates = self._rates(self.field_potential(self.field()), self.rho)
        fixed, control = self.options.dt, self._control
        if control.step == 0.0:
            control.explicit_step = control.implicit_step = self._first_step(rates)
        longest = control.step if fixed is None else fixed
        before = self._functional(self.rho, self.field()) if self._watched else 0.0
        for attempt in range(_REFUSALS + 1):
            dt = self._fitted(t_end, longest)
            trial = self._try(rates, dt)
            if trial is None:
                self.failed += 1
                if fixed is not None and not self._control.implicit:
                    raise BrokenInvariantError(
                        f"the repulsive part of a fixed step of {dt:.3g} was not solved for after "
                        f"t = {self.t:.6g}: take a smaller dt, or none to control it"
                    )
                longest = 0.5 * dt
                continue
            if fixed is None and trial.error > trial.allowed:
                self.rejected += 1
                longest = dt * max(0.2, 0.8 * math.sqrt(trial.allowed / trial.error))
                continue
            chosen = self._choose(trial.densities, before, last=attempt == _REFUSALS)
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

    def _first_step(self, rates: Rates) -> float:
        """A step over which little of the mass moves."""
        (moved,) = self.space.sum(float(np.dot(self.rho, rates.leaving)))
        fastest = max(min(moved, rates.fastest), self._linear_rate, 1e-300)
        return 0.1 * math.sqrt(self.options.rtol) / fastest

    def _try(self, rates: Rates, dt: float) -> _Trial | None:
        """A step of ``dt``; None if there is no fixed point to be found."""
        options, w, before = self.options, self.weights, self._count
        if options.order == 1 and options.dt is not None:
            once = self._euler(rates, self.rho, dt, None)
            return None if once is None else _Trial([once], 0.0, 1.0, 0.0, 1)
        full = self._euler(rates, self.rho, dt, None)
        half = None if full is None else self._euler(rates, self.rho, 0.5 * dt, None)
        if full is None or half is None:
            return None
        field = self._field_of(half)
        between = self._rates(self.field_potential(field), half)
        twice = self._euler(between, half, 0.5 * dt, field)
        if twice is None:
            return None
        error, change = self.space.sum(
            float(np.dot(w, np.abs(twice - full))), float(np.dot(w, np.abs(twice - self.rho)))
        )
        densities = [twice] if options.order == 1 else [self._extrapolated(full, twice), twice]
        return _Trial(densities, error, self._allowed(change), change, self._count - before)

    def _allowed(self, change: float) -> float:
        """The error that a step may have which changes the density by so much."""
        return self.options.rtol * min(1.0, _RELATIVE * max(change, _WATCHED_CHANGE))

    def _euler(self, rates: Rates, old: Array, dt: float, field: Field | None) -> Array | None:
        """One implicit Euler step from ``old``, which has these ``rates`` and this ``field``.

        With an implicit potential a fixed point of the moments of the new density: None if it is
        not found.
        """
        rho = self._solve(rates, old, dt)
        everything = bool(self._control.implicit)
        if not everything and not np.any(self._implicit):
            return rho
        start = (self.field() if field is None else field).moments
        assert start is not None
        weights = self.interaction.metric
        if not everything:
            weights = np.where(self._implicit, weights, 0.0)
        anderson = Anderson(np.sqrt(weights))
        moments = start
        for _ in range(_ITERATIONS):
            found = self._field_of(rho)
            assert found.moments is not None
            moments, moved = anderson.next(moments, found.moments)
            # Moments of degree l are as large as the root of the number of harmonics.
            change = anderson.norm(moments - start)
            if moved <= _FIXED_POINT * self._allowed(change):
                return rho
            mixed = moments if everything else np.where(self._implicit, moments, start)
            guess = self.interaction.field_of_moments(
                mixed, self._measure_of(rho), self.t, self.space.comm
            )
            rho = self._solve(self._rates(self.field_potential(guess), old), old, dt)
        return None

    def _extrapolated(self, full: Array, twice: Array) -> Array:
        ratio = np.ones_like(full)
        np.divide(twice, full, out=ratio, where=full > 0.0)
        rho: Array = twice * np.clip(ratio, 0.5, 2.0)
        w = self.weights
        (mass,) = self.space.sum(float(np.dot(w, rho)))
        rho /= mass
        return rho

    def _choose(
        self, candidates: list[Array], before: float, last: bool
    ) -> tuple[Array, Field] | None:
        """The first density whose energy has moved the right way, with its field."""
        for number, rho in enumerate(candidates):
            field = self._field_of(rho)
            if not self._watched:
                return rho, field
            after = self._functional(rho, field)
            scale = abs(field.energy(scaled=True)) + abs(after)
            noise = self._energy.noise(field, scale, self.interaction.scaled(self.kappa))
            if after - before <= noise:
                self.lowered += number
                return rho, field
        if not last:
            return None
        self._energy.record(after - before, scale)
        return rho, field

    def _rates(self, xi: Array, rho: Array) -> Rates:
        """Rates of exchange in the potential ``xi`` (n_local,), limited by ``rho`` (n_owned,)."""
        with self._timed("fluxes"):
            return self._exchange(xi, rho)

    def _exchange(self, xi: Array, rho: Array) -> Rates:
        space, stars, n = self.space, self.space.stars, self.space.n_owned
        limited = self._limiter.active
        log_rho: Array = np.zeros(0)
        gradient: Array = np.zeros((2, 0))
        if limited:
            log_rho = _log(space.with_ghosts(rho))
            gradient = np.empty((2, space.n_local))
            own = gradient if space.n_local == n else np.empty((2, n))
            log_gradients(stars.neighbour, stars.tangent, stars.gram, log_rho, own)
            for k in range(2):
                gradient[k] = space.with_ghosts(own[k])
        arriving, leaving = np.empty(stars.coefficient.shape), np.empty(n)
        exchange_rates(
            stars.neighbour, stars.coefficient, stars.tangent, self._back, xi, self.kappa, limited,
            self._limiter.limit, log_rho, gradient, arriving, leaving,
        )  # fmt: skip
        (fastest,) = space.max(float(np.max(leaving / self.weights, initial=0.0)))
        order = None
        if self.kappa == 0.0 and space.comm.size == 1:
            order = np.argsort(xi, kind="stable")
        return Rates(arriving, leaving, order, fastest)

    def _solve(self, rates: Rates, old: Array, dt: float) -> Array:
        with self._timed("linear"):
            solution: Solution = self._system.solve(rates, old, dt)
        self.iterations += solution.iterations
        self._count += 1
        self.residual = max(self.residual, solution.residual)
        self.solves[solution.method] = self.solves.get(solution.method, 0) + 1
        return solution.rho


def _log(rho: Array) -> Array:
    return np.log(np.maximum(rho, LOG_FLOOR))


def _back_tangents(space: P1Space) -> NDArray[np.float32]:
    """Tangents of all edges in the stars, seen from the neighbour: (K, 2, n_owned) float32."""
    neighbour = space.stars.neighbour
    back = np.zeros((neighbour.shape[0], 2, space.n_owned), dtype=np.float32)
    own = np.arange(space.n_owned)
    for k in range(neighbour.shape[0]):
        real = neighbour[k] != own
        there, here = space.points[neighbour[k, real]], space.points[own[real]]
        back[k][:, real] = space.manifold.tangents(there, here).T
    return back
