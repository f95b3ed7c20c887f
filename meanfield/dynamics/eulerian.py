"""The Eulerian finite-element solver: P1 density, edge fluxes along the potential, kappa = 0.

Mass m_i = w_i rho_i moves along edges: dm_i/dt = -sum_j c_ij F(rho_i, rho_j, xi_j - xi_i)
(upwind-type fluxes of a finite-volume form of P1: Schlichting and Seis 2020). Conservative to
round-off and positive by construction; the sign of the energy change, proved for Euler steps with
upwinding, is checked each step and a violation recorded.

Knows a space, an interaction and the state; nothing of files, cases or observers.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from meanfield.case.solvers import Eulerian
from meanfield.dynamics.density import LOG_FLOOR, MASS_TOLERANCE, DensitySolver
from meanfield.dynamics.space import P1Space
from meanfield.dynamics.stepping import STEPPERS, History, fitted_step, grown_step
from meanfield.dynamics.sweep import collect, emit, emit_to_halo
from meanfield.geometry.sphere import Array
from meanfield.interaction.interaction import Interaction
from meanfield.options import chosen

__all__ = ["EulerianSolver", "EulerianState"]

_PREDICTION = 2e-3  # largest relative error of the extrapolated potential over one step


@dataclass(frozen=True)
class EulerianState:
    """All that a restart needs, in the original vertex order (rank 0 holds it).

    Attributes:
        t: time; step: steps done.
        rho: (n,) density with respect to sigma.
        dt: size of the last step; allowed: the step that the prediction error suggests next;
            rate: largest outflow rate met in the last step (over all ranks).
        history_times: (k,) and history: (k, n): potentials at the last steps.
    """

    t: float
    step: int
    rho: Array
    dt: float
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

    def __init__(
        self,
        space: P1Space,
        interaction: Interaction,
        rho: Array,
        options: Eulerian | None = None,
        t: float = 0.0,
    ) -> None:
        self.options = chosen(Eulerian, options)
        super().__init__(space, interaction, rho, t, self.options.tolerance)
        self._stages = STEPPERS[self.options.stepper]
        self.timings["sweep"] = 0.0
        self._history = History()
        self._allowed = math.inf  # step suggested by the prediction error
        self._rate = 0.0
        self._last_energy: float | None = None

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
        return EulerianState(self.t, self.step, rho, self.dt, self._allowed, rate, times, stack)

    def restore(self, state: EulerianState | None) -> None:
        """Continue from a state that rank 0 holds; steps after it are those of one long run.

        To round-off: sums over ranks may be added in another order.
        """
        scalars: Any = None
        if state is not None:
            times = state.history_times.tolist()
            scalars = (state.t, state.step, state.dt, state.allowed, state.rate, times)
        scalars = self.space.comm.bcast(scalars, root=0)
        self.t, self.step, self.dt, self._allowed, self._rate, times = scalars
        self.rho = self.space.scatter(None if state is None else state.rho)
        self._history = History()
        for k, t in enumerate(times):
            owned = self.space.scatter(None if state is None else state.history[k])
            self._history.append(t, self.space.with_ghosts(owned).copy())
        self._field, self._last_energy = None, None

    # ------------------------------------------------------------------ stepping

    def advance(self, t_end: float) -> float:
        """Take one step, at most to ``t_end``; returns its size. Collective.

        Raises:
            BrokenInvariantError: NaN, a negative density or lost mass; the state is then the one
                before the step. Raised on every rank.
        """
        xi = self._potential_now()
        self._watch_energy()
        longest = min(self._longest_by_cfl(xi), self._allowed)
        dt = fitted_step(self.t, t_end, longest)
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
            start = time.perf_counter()
            rho = self._euler(rho, stage_xi, dt, stage.keep, old)
            rate = max(rate, float(np.max(self._outrate, initial=0.0)))
            self.timings["sweep"] += time.perf_counter() - start
        self._check(rho, dt)
        # Landing: t_end itself, not the sum of steps towards it.
        self.t = t_end if dt >= t_end - self.t else self.t + dt
        self.rho, self._field = rho, None
        self._rate = rate
        self.step += 1
        self.dt = dt
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
            start = time.perf_counter()
            self._emit(self.rho, xi, 0.0, limited=False)
            self._rate = float(np.max(self._outrate, initial=0.0))
            self.timings["sweep"] += time.perf_counter() - start
        (rate,) = self.space.max(self._rate)
        return self.options.cfl / rate if rate > 0.0 else math.inf

    def _emit(self, rho: Array, xi: Array, dt: float, limited: bool) -> None:
        stars = self.space.stars
        local = self.space.with_ghosts(rho)
        log_rho = np.log(np.maximum(local, LOG_FLOOR)) if limited else local
        emit(
            stars.neighbour, stars.coefficient, stars.tangent, stars.gram, self.weights, local,
            log_rho, xi, dt, limited, self._flux, self._outflow, self._outrate,
        )  # fmt: skip

    def _euler(self, rho: Array, xi: Array, dt: float, keep: float, old: Array) -> Array:
        self._emit(rho, xi, dt, self.options.scheme == "log-muscl")
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

    def _watch_energy(self) -> None:
        """Record a step in which E moved the wrong way by more than the noise of its evaluation."""
        field = self.field()
        ascent = field.ascent()
        if self._last_energy is not None:
            total = abs(field.energy(scaled=True))
            wrong = self._last_energy - ascent
            # Rarely wrong at all: only then is it asked what that may mean.
            if wrong > 1e-14 * total and wrong > field.energy_noise(MASS_TOLERANCE) + 1e-14 * total:
                self.energy_violations += 1
                self.energy_violation = max(self.energy_violation, wrong / max(total, 1e-300))
        self._last_energy = ascent
