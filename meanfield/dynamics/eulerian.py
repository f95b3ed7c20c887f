"""The Eulerian finite-element solver: P1 density, explicit edge fluxes along the drift.

Mass m_i = w_i rho_i moves along edges: dm_i/dt = -sum_j c_ij F(rho_i, rho_j, u_ij), u_ij the drop
of the drift along the edge: xi_j - xi_i of a potential, else as in ``drops`` (upwind-type fluxes of
a finite-volume form of P1: Schlichting and Seis 2020). Conservative to round-off and positive by
construction. Where the field has an energy the sign of its change, proved for Euler steps with
upwinding where it is convex, is checked each step and a violation recorded. Where it is not convex
such a step is first tried again, shorter: near rest the longest stable step grows without bound,
while what it may be for the energy does not.

Nonlinear diffusion with fronts (m > 1) is a part of the drop, v_ij = u_ij - kappa (H'_j - H'_i), of
the density at each stage; the density on an edge is then the mean of its ends, at most twice the
upwind one (``dynamics.porous``). Steps are of the order of h^2: for short runs. Here the free
energy, which falls in continuous time, is watched.

Linear diffusion is that of the implicit solver (``dynamics.fluxes``) at the density of each stage:
mass leaves a vertex at a rate that hangs on drops alone, as an edge has at most twice the upwind
density here, too; so that steps up to its inverse, of the order of h^2/kappa, keep densities
positive. Fast diffusion (m < 1) has no such bound: where little is left it leaves at a rate of
rho^{m-1}.

Where kappa depends on time each stage has that of its time, and steps are as short as it takes to
know its mean, and at most twice the last; the free energy is watched between jumps of kappa, and
not where it changes all the time.

In time the drift is extrapolated through those of the last four steps: one field a step. Next to
rest fluxes are drifts to first order, and what a step makes of them is their mean over it by the
rule of its stages, which for two is the trapezoidal one: wrong by z^2/12 where something grows by z
in a step, whatever the mesh. So all stages are shifted to the exact mean (``stepping.History``),
and the rate of growth is as wrong as the prediction of the drift is: of the order of h^2, as the
mesh is (``stepping.Pace``). Until there are four, steps are short, with a field at every stage.

Knows a space, an interaction and the state; nothing of files, cases or observers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from meanfield.case.solvers import Eulerian
from meanfield.dynamics.density import MASS_TOLERANCE, DensitySolver, DensityState
from meanfield.dynamics.drift import Drift
from meanfield.dynamics.edgesweep import EdgeSweep
from meanfield.dynamics.exchange import Exchange
from meanfield.dynamics.movingdiffusion import AnyDiffusion
from meanfield.dynamics.porous import diffusive_rates
from meanfield.dynamics.solver import EnergyWatch, State
from meanfield.dynamics.space import P1Space
from meanfield.dynamics.stepping import STEPPERS, History, Pace, of_mesh
from meanfield.errors import InputError
from meanfield.geometry.sphere import Array
from meanfield.interaction.contract import AnyField, AnyInteraction
from meanfield.interaction.diffusion import Diffusion
from meanfield.interaction.intime import InTime
from meanfield.options import chosen

__all__ = ["EulerianSolver", "EulerianState"]

_NOISE = 4.0  # of the extrapolated drift, over that of the transforms
_WITH_DIFFUSION = 4.0 / 9.0  # of ``cfl``: explicit diffusion is stable up to one
_FIRST = 1e-2  # first step, over that which is stable where kappa is largest
_MOST = 2.0  # with linear diffusion: density of an edge over the upwind one
_START = STEPPERS["ssprk3"]  # until the history is there, with a field at every stage
_SAME = 1.0 + 1e-9
_TRIES = 12  # of a step after which the energy is too low, each half as long


@dataclass(frozen=True, eq=False)
class EulerianState(DensityState):
    """All that a restart needs, in the original vertex order (rank 0 holds it).

    Attributes:
        allowed: the step that the prediction error suggests next; rate: largest outflow rate at
            its end, or met in the last step (over all ranks).
        history_times: (k,) and history: what drops are made of at the last steps, (k, n) if that is
            one row, a potential, and (k, c, n) if there are c. Levels are made anew.
        curvature: (n,) of log rho in the last stage (``EdgeSweep``); empty where there is none.
    """

    allowed: float
    rate: float
    history_times: Array
    history: Array
    curvature: Array = field(default_factory=lambda: np.zeros(0))


class EulerianSolver(DensitySolver):
    """Advance a P1 density by explicit limited fluxes.

    Args:
        space: the finite-element space.
        interaction: the model; its geometry and d must be the space's.
        rho: (n_owned,) initial density with respect to sigma at this rank's vertices, >= 0; it is
            normalised to mass one.
        options: choices of the discretisation.
        t: initial time.
        diffusion: with an exponent of 1 or more, also in time.

    Attributes:
        timings: seconds spent in "field" and "sweep"; all others are those of ``DensitySolver``.

    Raises:
        InputError: a density that is negative, not finite or zero everywhere, on any rank; fast
            diffusion.
    """

    state_kind = EulerianState

    def __init__(
        self,
        space: P1Space,
        interaction: AnyInteraction,
        rho: Array,
        options: Eulerian | None = None,
        t: float = 0.0,
        diffusion: AnyDiffusion | InTime | float = 0.0,
    ) -> None:
        self.options = chosen(Eulerian, options)
        watch = EnergyWatch(MASS_TOLERANCE)
        accuracy, tail = self.options.tolerance, self.options.tail
        super().__init__(space, interaction, rho, t, accuracy, watch, diffusion, tail)
        self._spreads = self.diffusion_in_time.has_fronts
        if self.diffuses and self.diffusion_in_time.exponent < 1.0:
            told = "a kappa in time" if self.kappa_moves else f"kappa = {self.kappa:g}"
            raise InputError(
                f"{told} with exponent {self.diffusion_in_time.exponent:g} found, explicit steps "
                "take an exponent of 1 or more: below it their rates have no bound where little is "
                "left"
            )
        scheme = self.options.scheme
        self._exchange: Exchange | None = None  # with linear diffusion
        if self.diffuses and not self._spreads:
            limits = "fitted" if scheme == "upwind" else scheme
            self._exchange = Exchange(space, self.weights, limits, _MOST)
        self._stages = STEPPERS[self.options.stepper]
        # One stage has the field of its own density: nothing is extrapolated.
        self._extrapolates = self.options.field == "extrapolated" and len(self._stages) > 1
        centred = self._spreads and scheme != "upwind"
        self._sweep = EdgeSweep(space, self.weights, "mean" if centred else scheme)
        self.timings["sweep"] = 0.0
        interaction = self.interaction  # cut to the mesh
        self._tries = 1
        self._free_energy: float | None = None  # seen last, with diffusion
        self._diffusive = self.diffusion_in_time.acts
        if not self._diffusive and interaction.energy_kind is not None:
            self._tries = 1 if interaction.convexity == "positive" else _TRIES
        self._history = History()
        self._allowed = math.inf  # step suggested by the prediction error
        self._rate = 0.0  # of all ranks; 0: not known
        self._curvature: Array | None = None  # of log rho, of the last step that was taken

    # ------------------------------------------------------------------ the state

    def state(self) -> EulerianState | None:
        """Everything that a restart needs, on rank 0 (None elsewhere). Collective."""
        rho = self.space.gather(self.rho)
        entries = self._history.entries()
        n = self.space.n_owned
        kept = [rows[:-1] if self._edges.changes else rows for _, rows in entries]
        values = [[self.space.gather(row[:n]) for row in rows] for rows in kept]
        bends = self._curvature
        curvature = np.zeros(0) if bends is None else self.space.gather(bends)
        if rho is None or curvature is None:
            return None
        stack = np.array(values) if values else np.zeros((0, self.space.n_global))
        if stack.ndim == 3 and stack.shape[1] == 1:
            stack = stack[:, 0]
        times = np.array([entry[0] for entry in entries])
        return EulerianState(
            self.t, self.step, self.dt, rho, self._allowed, self._rate, times, stack, curvature
        )

    def _restore(self, state: State | None) -> None:
        assert state is None or isinstance(state, EulerianState)
        numbers: tuple[float, float, list[float], int] = (0.0, 0.0, [], 1)
        history: Array = np.zeros((0, 1, 0))
        if state is not None:
            history = state.history if state.history.ndim == 3 else state.history[:, None]
            numbers = state.allowed, state.rate, state.history_times.tolist(), history.shape[1]
        self._allowed, self._rate, times, count = self.space.comm.bcast(numbers, root=0)
        self.rho = self.space.scatter(None if state is None else state.rho)
        self._free_energy = None
        bends = None if state is None or state.curvature.size == 0 else state.curvature
        known = self.space.comm.bcast(bends is not None, root=0)
        self._curvature = self.space.scatter(bends) if known else None
        self._history = History()
        for k, t in enumerate(times):
            rows: Array = np.empty((count, self.space.n_local))
            for c in range(count):
                owned = self.space.scatter(None if state is None else history[k, c])
                self.space.with_ghosts(owned, rows[c])
            self._history.append(t, self._with_level(rows, t))
        self._field = None

    def _leave_behind(self) -> None:
        self._history, self._rate = History(), 0.0
        self._free_energy = None

    # ------------------------------------------------------------------ stepping

    def _take(self, t_end: float) -> float:
        rows = self._rows_now()
        if self._diffusive:
            self._see_free_energy()
        else:
            self._see_energy(self.field())
        longest = min(self._longest_by_cfl(), self._allowed)
        for left in reversed(range(self._tries)):
            dt, rho, rate = self._stable(rows, longest, t_end)
            self._check(rho, dt)
            field: AnyField | None = None
            if self._tries > 1:  # evaluated anyway, when the next step begins
                field = self._field_of(rho, self._within(self._after(dt, t_end)))
            if field is None or not left or not self._energy.lost(field):
                break
            self.refused += 1
            self._allowed = longest = 0.5 * dt
        self.rho, self._field = rho, field
        self._rate, self._curvature = rate, self._sweep.curvature
        return dt

    def _stable(self, rows: Array, longest: float, t_end: float) -> tuple[float, Array, float]:
        """A step of at most ``longest``, and what ``_stepped`` gives of it. Collective.

        A shorter one where mass turns out to move so fast that densities could be negative.
        """
        if self.dt == 0.0 and self._flowing is not None:
            longest = min(longest, _FIRST * self._longest_with(self._flowing.widest))
        longest = self._known(longest, t_end)
        while True:
            dt = self._fitted(t_end, longest)
            if self.kappa_moves and self._spreads:
                end = self._within(self._after(dt, t_end))
                most = self._longest_with(self.diffusion_in_time.at(end))
                if dt > 1.01 * most:
                    longest = max(most, 0.5 * dt)
                    continue
            rho, rate = self._stepped(rows, dt)
            if rho is not None:
                return dt, rho, rate
            longest = self._longest_at(rate)
            if self._rate > 0.0:
                longest = min(0.5 * dt, longest)

    def _stepped(self, rows: Array, dt: float) -> tuple[Array | None, float]:
        """The density after a step of ``dt``, and the largest outflow rate met. Collective.

        The rate is that of the stage that is latest in time, with which the next step begins; of
        all stages where it is watched: where the interaction, or kappa, moves, and with linear
        diffusion. None where such a step is too long for it.
        """
        known = self._extrapolates and self._history.full
        stages = _START if self._extrapolates and not known else self._stages
        weights = self._history.stage_weights(stages, self.t, dt) if known else []
        watched = self._exchange is not None or self.interaction.moves or self.kappa_moves
        latest = max(stage.offset for stage in stages)
        old = self.rho
        rho: Array = old
        self._sweep.curvature = self._curvature  # whatever steps that were dropped have left
        fastest = 0.0
        for number, stage in enumerate(stages):
            now = self._within(self.t + stage.offset * dt)
            if known:
                stage_rows = self._history.combined(weights[number])
            else:
                stage_rows = rows if number == 0 else self._rows_of(self._field_of(rho, now))
            drift = self._spread(self._edges.of(stage_rows), rho, now)
            new = number == 0 and self._rate == 0.0
            with self._timed("sweep"):
                if self._exchange is not None:
                    rates = self._exchange.rates(drift, rho, self.diffusion_in_time.at(now).kappa)
                    rho = self._exchange.step(rho, rates, dt, stage.keep, old)
                    fastest = max(fastest, rates.fastest)
                else:
                    asked = watched or new or stage.offset == latest
                    rho = self._sweep.euler(rho, drift, dt, stage.keep, old, asked)
                    if asked:
                        (rate,) = self.space.max(self._sweep.rate)
                        fastest = max(fastest, rate)
            if (new and dt > self._longest_at(fastest) * _SAME) or (watched and fastest * dt > 1.0):
                return None, fastest
        return rho, fastest

    def _rows_now(self) -> Array:
        """The rows of the current field, added to the history; bounds the step by their error."""
        entries = self._history.entries()
        if entries and entries[-1][0] == self.t:
            return entries[-1][1]
        full = self._history.full
        predicted = self._history.at(self.t) if full else None
        rows = self._rows_of(self.field())
        if predicted is None or not self._extrapolates:
            # The first steps; or whatever energies have left of a step may grow again.
            first = self._pace.first
            self._allowed = min(2.0 * self._allowed, first) if full else first
        else:
            wrong, size = self._edges.apart(rows, predicted, self.rho)
            noise = _NOISE * self.interaction.epsilon
            self._allowed = self._pace.next(self.dt, wrong, size, noise)
        self._history.append(self.t, rows)
        return rows

    @cached_property
    def _pace(self) -> Pace:
        accuracy = self.options.accuracy
        if not self._extrapolates:
            return Pace(1.0 if accuracy is None else accuracy, len(self._stages), self._linear_rate)
        if accuracy is None:
            accuracy = of_mesh(self.space.manifold.mean_edge(self.space.n_global))
        return Pace(accuracy, self._history.depth, self._linear_rate)

    def _longest_by_cfl(self) -> float:
        diffusion = self.diffusion_in_time.at(self.t)
        if diffusion.is_linear:
            return self._longest_at(self._rate)
        return self._longest_at(max(self._rate, *self.space.max(self._rate_with(diffusion))))

    def _longest_at(self, rate: float) -> float:
        """The longest step at an outflow rate."""
        return self._share * self.options.cfl / rate if rate > 0.0 else math.inf

    @property
    def _share(self) -> float:
        return 1.0 if self.diffusion_in_time.is_linear else _WITH_DIFFUSION

    def _longest_with(self, diffusion: Diffusion) -> float:
        """The longest step that is stable with this diffusion alone. Collective."""
        (rate,) = self.space.max(self._rate_with(diffusion))
        return _WITH_DIFFUSION * self.options.cfl / rate if rate > 0.0 else math.inf

    def _spread(self, drift: Drift, rho: Array, t: float) -> Drift:
        """A drift with what diffusion of this density (n_owned,) adds at a time. Collective.

        Of linear diffusion nothing, but of a tail that is closed beside it.
        """
        diffusion = self.diffusion_in_time.at(t)
        if not (diffusion.acts if self._spreads else diffusion.local > 0.0):
            return drift
        local = self.space.with_ghosts(rho)
        pressure: Array = diffusion.pressure(local) if self._spreads else diffusion.local * local
        return drift.less(pressure, self.space.stars.neighbour)

    def _rate_with(self, diffusion: Diffusion) -> float:
        stars = self.space.stars
        mobility = diffusion.mobility(self.space.with_ghosts(self.rho))
        return diffusive_rates(stars.neighbour, stars.coefficient, self.weights, mobility)

    def _see_free_energy(self) -> None:
        """Note a step in which the free energy has risen, where it is one that falls."""
        if self.interaction.energy_kind != "gradient" or not self.diffusion_in_time.piecewise:
            return
        now, before = self.free_energy_excess(), self._free_energy
        if before is not None:
            scale, noise = self._known_to(self.field(), now, self.diffusion)
            if now - before > noise:
                self._energy.record(now - before, scale)
        self._free_energy = now

    @property
    def _mass_tolerance(self) -> float:
        return MASS_TOLERANCE * max(1.0, math.sqrt(self.step))  # round-off of each step adds up
