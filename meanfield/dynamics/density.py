"""What all densities on a P1 space have in common: the state, its measure, its field.

Knows a space, an interaction and the state; nothing of how mass is moved, of files, cases or
observers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from meanfield.case.solvers import Tail
from meanfield.collective import sum_over_ranks
from meanfield.dynamics.balance import balance_weights
from meanfield.dynamics.drift import Drift, EdgeDrift
from meanfield.dynamics.fluxes import dissipation
from meanfield.dynamics.movingdiffusion import AnyDiffusion, MovingDiffusion, diffusion_of
from meanfield.dynamics.porous import porous_dissipation
from meanfield.dynamics.solver import EnergyWatch, Solver, State
from meanfield.dynamics.space import P1Space
from meanfield.dynamics.sweep import at_most_threads, sweep_threads
from meanfield.dynamics.tails import closed
from meanfield.errors import BrokenInvariantError, InputError
from meanfield.geometry.sphere import Array
from meanfield.geometry.threads import available_cpus
from meanfield.interaction.contract import AnyField, AnyInteraction, DarkPoints
from meanfield.interaction.diffusion import Diffusion
from meanfield.interaction.intime import InTime
from meanfield.interaction.measure import Measure

__all__ = ["MASS_TOLERANCE", "DensitySolver", "DensityState", "log_of"]

_LOG_FLOOR = 1e-300
_LEVELS = 4  # as many times are met again
_STILL = 1e-6  # kappa in time: integral over a step that need not be known
MASS_TOLERANCE = 1e-12
"""What the mass may be off by after a step."""


@dataclass(frozen=True, eq=False)
class DensityState(State):
    """All that a restart needs, in the original vertex order (rank 0 holds it).

    Attributes:
        rho: (n,) density with respect to sigma.
    """

    rho: Array


class DensitySolver(Solver):
    """A P1 density with its field; subclasses advance it in time.

    Args:
        space: the finite-element space.
        interaction: the model; its geometry and d must be the space's.
        rho: (n_owned,) initial density with respect to sigma at this rank's vertices, >= 0; it is
            normalised to mass one.
        t: initial time.
        accuracy: of the transforms; None: the mesh's.
        watch: of the energy.
        diffusion: as a number kappa, also one in time, linear.
        tail: of a repulsion whose series is cut: see ``tails``.

    Attributes:
        rho: (n_owned,) density.
        weights: (n_owned,) balanced nodal weights, sum one over all ranks.
        tail: kappa_2 of a tail that is closed, and a part of ``diffusion``; 0: none is.
        rejected, refused: steps tried again, shorter, for their error and for their energy.
        initial_mass_error: mass of ``rho`` as given, minus one.
        All others are those of ``Solver``.

    Raises:
        InputError: a density that is negative, not finite or zero everywhere, on any rank; a
            negative kappa.
    """

    def __init__(
        self,
        space: P1Space,
        interaction: AnyInteraction,
        rho: Array,
        t: float = 0.0,
        accuracy: float | None = None,
        watch: EnergyWatch | None = None,
        diffusion: AnyDiffusion | InTime | float = 0.0,
        tail: Tail = "auto",
    ) -> None:
        given = diffusion_of(diffusion)
        if (interaction.geometry, interaction.d) != (space.geometry, space.d):
            raise InputError(
                f"an interaction on '{interaction.geometry}' (d = {interaction.d}) found, the "
                f"space's '{space.geometry}' (d = {space.d}) expected"
            )
        self._as_cut = interaction.on_mesh(space.n_global, accuracy)
        interaction, closing = closed(self._as_cut, given, tail)
        self.tail = closing.local - given.local
        super().__init__(interaction, space.comm, t, watch, closing)
        harmonics = interaction.harmonics
        assert harmonics is not None
        self.space = space
        self.weights, self.balanced_degree, self.balance_error = balance_weights(
            space.manifold,
            space.points[: space.n_owned],
            space.weights,
            space.n_global,
            interaction.degree(1e-6),
            lambda values: sum_over_ranks(space.comm, values),
        )
        self._at_owned = harmonics.locate(space.points[: space.n_owned])
        self._at_local = (
            self._at_owned if space.n_local == space.n_owned else harmonics.locate(space.points)
        )
        self._dark = DarkPoints()
        self.rejected = self.refused = 0
        # One to round-off; masses are compared with it, so that the uniform density is 1 exactly.
        (self._whole,) = space.sum(float(np.dot(self.weights, np.ones(space.n_owned))))
        self._set_density(np.asarray(rho, dtype=np.float64))
        self._field: AnyField | None = None
        self._edges = self._settled()
        self._levels: dict[float, Array] = {}  # of the last few times
        self.threads: int = sweep_threads(space.n_owned, available_cpus())

    def advance(self, t_end: float) -> float:
        """Take one step, on ``threads`` threads; see ``Solver``. Collective."""
        with at_most_threads(self.threads):
            return super().advance(t_end)

    def _settled(self) -> EdgeDrift:
        """What makes drifts along edges; that of the uniform measure is exact. Collective."""
        edges = EdgeDrift(self.space, self.interaction)
        if not (self.interaction.has_potential or edges.changes):
            edges.settle(*self._of_uniform(self.t))
        return edges

    def _of_uniform(self, t: float) -> tuple[Array, Array, Array]:
        """The uniform measure's field at a time, as ``EdgeDrift.level`` takes it. Collective."""
        field = self._field_of(np.ones(self.space.n_owned), t)
        with self._timed("field"):
            rows = field.along_edges(self._at_local, seen=self._dark)
            if self.space.max(float(np.max(np.abs(rows), initial=0.0))) == (0.0,):
                return rows, self.weights, np.zeros(self.space.n_owned)  # no field, at less cost
            return rows, self.weights, field.divergence(self._at_owned)

    def _level_at(self, t: float) -> Array:
        """The level (n_local,) at a time, which hangs on nothing else. Collective."""
        found = self._levels.pop(t, None)
        if found is None:
            found = self._edges.level(*self._of_uniform(t))
        self._levels[t] = found
        if len(self._levels) > _LEVELS:
            del self._levels[next(iter(self._levels))]
        return found

    def _forget(self) -> None:
        self._field = None
        if self.interaction.piecewise:
            self._edges = self._settled()

    def _set_density(self, rho: Array) -> None:
        bad = np.flatnonzero(~(np.isfinite(rho) & (rho >= 0.0)))
        (count,) = self.space.sum(float(bad.size))
        if count:
            worst = f" (the first is {rho[bad[0]]:g})" if bad.size else ""
            raise InputError(
                f"an initial density that is negative or not finite at {int(count)} vertices found"
                f"{worst}, finite values >= 0 expected"
            )
        (mass,) = self.space.sum(float(np.dot(self.weights, rho)))
        if mass <= 0.0:
            raise InputError("an initial density that vanishes at every vertex found")
        mass /= self._whole
        self.rho: Array = rho / mass
        self.initial_mass_error = mass - 1.0

    @property
    def dark_points(self) -> int:
        """Largest number of this rank's vertices at which Z was summed directly."""
        return self._dark.most

    def measure(self) -> Measure:
        """The density as masses w_i rho_i at this rank's vertices."""
        return self._measure_of(self.rho)

    def field(self) -> AnyField:
        """The field of the current density (kept until the density changes). Collective."""
        if self._field is None:
            self._field = self._field_of(self.rho)
        return self._field

    def velocity(self) -> Array:
        """X at this rank's vertices, (n_owned, gdim). Collective.

        By the series as far as it goes: of a closed tail, what it does to the moments up to there.
        """
        field = self.field()
        if self.tail > 0.0:
            comm = self.space.comm
            field = self._as_cut.field_of_moments(field.moments, field.measure, self.t, comm)
        return field.velocity(self._at_owned)

    def _flow(self) -> tuple[Array, Array]:
        return self.velocity(), self.weights * self.rho

    def speed(self) -> float:
        """Root mean square velocity of the mass: of X - kappa grad H'(rho), zero at rest.

        (H' = log rho for linear diffusion.) For kappa = 0 that of X itself, with a closed tail. A
        steady state through which mass goes round, of a field that is no gradient, is not at rest.
        Collective.
        """
        diffusion = self.diffusion
        if not diffusion.acts:
            return super().speed()
        rho = self.space.with_ghosts(self.rho).copy()
        drift, stars = self.drift_of(self.field()), self.space.stars
        edges = (stars.neighbour, stars.coefficient, drift.xi, drift.drops)
        if diffusion.is_linear:
            local = dissipation(*edges, diffusion.kappa, rho, log_of(rho))
        else:
            local = porous_dissipation(*edges, rho, diffusion.pressure(rho))
        (total,) = self.space.sum(local)
        return math.sqrt(total)

    def free_energy_excess(self) -> float:
        """F - F_uniform, scaled: falls for the identity link (kappa = 0: any). Collective.

        Where kappa depends on time it is that of the current time, and F grows by H dkappa, too.
        """
        return self._functional(self.rho, self.field(), self.diffusion)

    def _known_to(
        self, field: AnyField, functional: float, diffusion: Diffusion
    ) -> tuple[float, float]:
        """Size of the numbers that a functional is made of, and what changes of it say nothing."""
        scale = abs(field.energy(scaled=True)) + abs(functional)
        factor = self.interaction.scaled(diffusion.kappa + diffusion.local)
        return scale, self._energy.noise(field, scale, factor)

    def energy(self, scaled: bool = False) -> float:
        """E of the current density; that of a closed tail is part of it. Collective."""
        energy = super().energy(scaled)
        if self.tail == 0.0:
            return energy
        factor = self.interaction.scaled(self.tail) if scaled else self.tail
        return energy - factor * self._roughness(self.rho)

    def _roughness(self, rho: Array) -> float:
        """int (rho^2 - 1)/2 dsigma. Collective."""
        (found,) = self.space.sum(float(np.dot(self.weights * rho, rho - 1.0)))
        return 0.5 * found

    def _functional(self, rho: Array, field: AnyField, diffusion: Diffusion) -> float:
        """F - F_uniform, scaled, of a density with its field, at a kappa. Collective."""
        entropy = self._entropy(rho) if diffusion.kappa > 0.0 else 0.0
        kappa = self.interaction.scaled(diffusion.kappa)
        functional = self.interaction.free_energy(field.energy_excess(), entropy, kappa)
        if diffusion.local > 0.0:
            functional += self.interaction.scaled(diffusion.local) * self._roughness(rho)
        return functional

    def specific_entropy(self, rho: Array) -> Array:
        """H(rho)/rho, H that of its diffusion at any time; log rho where there is none."""
        return self.diffusion_in_time.specific_entropy(rho)

    def _entropy(self, rho: Array) -> float:
        """H of a density. Collective."""
        h = self.specific_entropy(rho)
        return self.space.sum(float(np.dot(self.weights * rho, h)))[0]

    @property
    def _flowing(self) -> MovingDiffusion | None:
        """Diffusion whose kappa changes all the time: not only at jumps."""
        diffusion = self.diffusion_in_time
        return None if isinstance(diffusion, Diffusion) or diffusion.piecewise else diffusion

    def _known(self, longest: float, t_end: float) -> float:
        """A step of at most ``longest`` over which kappa is known.

        At most twice the last one, so that an oscillation is met before steps are as long as it.
        """
        diffusion = self._flowing
        if diffusion is None:
            return longest
        if self.dt > 0.0:
            longest = min(longest, 2.0 * self.dt)
        end = self._within(min(t_end, self.t + longest))
        return min(longest, diffusion.longest(self.t, end, math.inf, _STILL))

    def check(self) -> None:
        """Refuse a density that is none; see ``Solver``. Collective."""
        bad = float(np.count_nonzero(~(np.isfinite(self.rho) & (self.rho >= 0.0))))
        (count,) = self.space.sum(bad)
        if count:
            raise BrokenInvariantError(
                f"density negative or not finite at {int(count)} vertices at t = {self.t:.6g}"
            )

    def fullest(self) -> float:
        """The largest mass of a vertex. Collective."""
        return self.space.max(float(np.max(self.weights * self.rho, initial=0.0)))[0]

    def _refuse_state(self, state: State) -> None:
        assert isinstance(state, DensityState)
        n = state.rho.size
        if n != self.space.n_global:
            raise InputError(
                f"a checkpoint of {n} vertices found, {self.space.n_global} expected: the mesh "
                "file has changed"
            )

    def drift_of(self, field: AnyField) -> Drift:
        """The drift of a field along all edges. Collective."""
        return self._edges.of(self._rows_of(field))

    def _rows_of(self, field: AnyField) -> Array:
        """What drops along edges are made of, at all local vertices: (c, n_local). Collective."""
        with self._timed("field"):
            rows = field.along_edges(self._at_local, seen=self._dark)
        return self._with_level(rows, field.t)

    def _with_level(self, rows: Array, t: float) -> Array:
        """Rows of a field at a time with the level of that time, if there are such. Collective."""
        return np.concatenate([rows, self._level_at(t)[None]]) if self._edges.changes else rows

    def _measure_of(self, rho: Array) -> Measure:
        return Measure(self._at_owned, self.weights * rho, self.weights)

    def _field_of(self, rho: Array, t: float | None = None) -> AnyField:
        """The field of a density, at the current time or at ``t``. Collective."""
        t = self.t if t is None else t
        with self._timed("field"):
            return self.interaction.field(self._measure_of(rho), t, self.space.comm)

    @cached_property
    def _linear_rate(self) -> float:
        """Fastest growth rate of perturbations of the uniform state, without diffusion."""
        harmonics = self.interaction.harmonics
        assert harmonics is not None
        return min(self.interaction.fastest_rate(harmonics.degree), 1e304)

    @property
    def _mass_tolerance(self) -> float:
        return MASS_TOLERANCE

    def _check(self, rho: Array, dt: float) -> None:
        """Refuse what a step of ``dt`` has led to if it is no density of mass one. Collective.

        Raises:
            BrokenInvariantError: on every rank.
        """
        mass, negative = self.space.sum(
            float(np.dot(self.weights, rho)), float(np.count_nonzero(~(rho >= 0.0)))
        )
        what = None
        if negative or not math.isfinite(mass):
            what = f"density negative or NaN at {int(negative)} vertices"
        elif abs(mass - 1.0) > self._mass_tolerance:
            what = f"mass is off by {mass - 1.0:.1e}"
        if what:
            raise BrokenInvariantError(f"{what} after the step to t = {self.t + dt:.6g}")


def log_of(rho: Array) -> Array:
    """log rho, finite also where a density has underflowed to zero."""
    return np.log(np.maximum(rho, _LOG_FLOOR))
