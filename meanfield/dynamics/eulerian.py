"""The Eulerian finite-element solver: P1 density, edge fluxes along the potential, kappa = 0.

Mass m_i = w_i rho_i moves along edges: dm_i/dt = -sum_j c_ij F(rho_i, rho_j, xi_j - xi_i)
(upwind-type fluxes of a finite-volume form of P1: Schlichting and Seis 2020). Conservative to
round-off and positive by construction; the sign of the energy change, proved for Euler steps with
upwinding, is checked each step and a violation recorded.

Knows a space, an interaction and the state; nothing of files, cases or observers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from meanfield.case.solvers import Eulerian
from meanfield.dynamics.density import MASS_TOLERANCE, DensitySolver, DensityState, log_of
from meanfield.dynamics.limiters import limiter
from meanfield.dynamics.solver import EnergyWatch, State
from meanfield.dynamics.space import P1Space
from meanfield.dynamics.stepping import STEPPERS, History, grown_step
from meanfield.dynamics.sweep import collect, emit, emit_to_halo
from meanfield.geometry.sphere import Array
from meanfield.interaction.interaction import Interaction
from meanfield.options import chosen

__all__ = ["EulerianSolver", "EulerianState"]

_PREDICTION = 2e-3  # largest relative error of the extrapolated potential over one step


@dataclass(frozen=True, eq=False)
class EulerianState(DensityState):
    """All that a restart needs, in the original vertex order (rank 0 holds it).

    Attributes:
        allowed: the step that the prediction error suggests next; rate: largest outflow rate met
            in the last step (over all ranks).
        history_times: (k,) and history: (k, n): potentials at the last steps.
    """

    allowed: float
    rate: float
    history_times: Array
    history: Array


class EulerianSolver(DensitySolver):
    """Advance a P1 density by explicit limited fluxes.

    Args:
        space: the finite-element space.
        interaction: the model; its geometry and d must be the space's.
        rho: (n_owned,) initial density with respect to sigma at this rank's vertices, >= 0; it is
            normalised to mass one.
        options: choices of the discretisation.
        t: initial time.

    Attributes:
        timings: seconds spent in "field" and "sweep"; all others are those of ``DensitySolver``.

    Raises:
        InputError: a density that is negative, not finite or zero everywhere, on any rank.
    """

    state_kind = EulerianState

    def __init__(
        self,
        space: P1Space,
        interaction: Interaction,
        rho: Array,
        options: Eulerian | None = None,
        t: float = 0.0,
    ) -> None:
        self.options = chosen(Eulerian, options)
        watch = EnergyWatch(MASS_TOLERANCE)
        super().__init__(space, interaction, rho, t, self.options.tolerance, watch)
        self._stages = STEPPERS[self.options.stepper]
        self._limiter = limiter(self.options.scheme)
        self.timings["sweep"] = 0.0
        self._history = History()
        self._allowed = math.inf  # step suggested by the prediction error
        self._rate = 0.0

        n, width = space.n_owned, space.stars.neighbour.shape[0]
        self._flux = np.zeros(width * n + 1)
        self._outflow, self._outrate = np.zeros(n), np.zeros(n)

    # ------------------------------------------------------------------ the state

    def state(self) -> EulerianState | None:
        """Everything that a restart needs, on rank 0 (None elsewhere). Collective."""
        (rate,) = self.space.max(self._rate)
        rho = self.space.gather(self.rho)
        entries = self._history.entries()
        values = [self.space.gather(v[: self.space.n_owned]) for _, v in entries]
        if rho is None:
            return None
        stack = np.array(values) if values else np.zeros((0, self.space.n_global))
        times = np.array([entry[0] for entry in entries])
        return EulerianState(self.t, self.step, self.dt, rho, self._allowed, rate, times, stack)

    def _restore(self, state: State | None) -> None:
        assert state is None or isinstance(state, EulerianState)
        numbers: tuple[float, float, list[float]] = (0.0, 0.0, [])
        if state is not None:
            numbers = state.allowed, state.rate, state.history_times.tolist()
        self._allowed, self._rate, times = self.space.comm.bcast(numbers, root=0)
        self.rho = self.space.scatter(None if state is None else state.rho)
        self._history = History()
        for k, t in enumerate(times):
            owned = self.space.scatter(None if state is None else state.history[k])
            self._history.append(t, self.space.with_ghosts(owned).copy())
        self._field = None

    # ------------------------------------------------------------------ stepping

    def _take(self, t_end: float) -> float:
        xi = self._potential_now()
        self._energy.see(self.field())
        longest = min(self._longest_by_cfl(xi), self._allowed)
        dt = self._fitted(t_end, longest)
        known = self.options.field == "extrapolated" and self._history.full
        old = self.rho
        rho: Array = old
        rate = 0.0
        for number, stage in enumerate(self._stages):
            if number == 0:
                stage_xi: Array = xi
            elif known:
                stage_xi = self._history.at(self.t + stage.offset * dt)
            else:
                stage_xi = self._potential_of(rho)
            with self._timed("sweep"):
                rho = self._euler(rho, stage_xi, dt, stage.keep, old)
                rate = max(rate, float(np.max(self._outrate, initial=0.0)))
        self._check(rho, dt)
        self.rho, self._field = rho, None
        self._rate = rate
        return dt

    def _potential_now(self) -> Array:
        """The potential at the current time, added to the history; bounds the step by its error."""
        entries = self._history.entries()
        if entries and entries[-1][0] == self.t:
            return entries[-1][1]
        full = self._history.full
        predicted = self._history.at(self.t) if full else None
        xi = self.field_potential(self.field())
        if predicted is not None and self.options.field == "extrapolated":
            n = self.space.n_owned
            top, bottom, wrong = self.space.max(
                float(np.max(xi[:n])),
                float(-np.min(xi[:n])),
                float(np.max(np.abs(xi[:n] - predicted[:n]))),
            )
            # Relative to the range of xi; noise of the transforms alone is no reason to slow down.
            scale = top + bottom + 1e3 * self.interaction.epsilon
            grown = grown_step(self.dt, wrong / scale, _PREDICTION, self._history.depth)
            # Next to the uniform state perturbations below that noise grow unseen: in time, too.
            self._allowed = min(grown, 0.5 / max(self._linear_rate, 1e-300))
        elif not full:
            self._allowed = 0.1 / max(self._linear_rate, 1e-300)
        self._history.append(self.t, xi)
        return xi

    def _potential_of(self, rho: Array) -> Array:
        return self.field_potential(self._field_of(rho))

    def _longest_by_cfl(self, xi: Array) -> float:
        if self._rate == 0.0:
            with self._timed("sweep"):
                self._emit(self.rho, xi, 0.0, limited=False)
                self._rate = float(np.max(self._outrate, initial=0.0))
        (rate,) = self.space.max(self._rate)
        return self.options.cfl / rate if rate > 0.0 else math.inf

    def _emit(self, rho: Array, xi: Array, dt: float, limited: bool) -> None:
        stars = self.space.stars
        local = self.space.with_ghosts(rho)
        log_rho = log_of(local) if limited else local
        emit(
            stars.neighbour, stars.coefficient, stars.tangent, stars.gram, self.weights, local,
            log_rho, xi, dt, limited, self._limiter.address, self._flux, self._outflow,
            self._outrate,
        )  # fmt: skip

    def _euler(self, rho: Array, xi: Array, dt: float, keep: float, old: Array) -> Array:
        self._emit(rho, xi, dt, self._limiter.active)
        stars, space = self.space.stars, self.space
        from_halo: Array = np.empty(0)
        if space.comm.size > 1:
            inflow = np.zeros(space.n_local)
            emit_to_halo(self._flux, stars.halo_slot, stars.halo_vertex, inflow)
            from_halo = space.add_from_ghosts(inflow)
        new = np.empty_like(rho)
        collect(
            stars.reverse, self.weights, rho, self._flux, self._outflow, from_halo, dt, keep, old,
            new,
        )  # fmt: skip
        return new

    @property
    def _mass_tolerance(self) -> float:
        return MASS_TOLERANCE * max(1.0, math.sqrt(self.step))  # round-off of each step adds up
