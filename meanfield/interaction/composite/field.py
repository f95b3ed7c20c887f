"""What a measure does to a token under heads and drifts: what all kinds of attention share.

Made by ``Composite.field``: each kind has its own (``kinds``).
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import NamedTuple

import numpy as np

from meanfield.collective import Alone, Communicator, everywhere, sum_over_ranks
from meanfield.geometry.manifolds import Located
from meanfield.geometry.sphere import Array
from meanfield.interaction.anyfield import scaled_squares
from meanfield.interaction.composite.matrices import HeadMatrices
from meanfield.interaction.composite.model import Heads
from meanfield.interaction.contract import AnyField, DarkPoints
from meanfield.interaction.drifts import Drift
from meanfield.interaction.measure import Measure, plain

__all__ = ["CompositeField", "Flow"]


class Flow(NamedTuple):
    """X (n, k) and its divergence (n,), None where it was not asked for."""

    velocity: Array
    divergence: Array | None


class CompositeField(AnyField):
    """What a measure does to a token: see ``AnyField``.

    A kind tells what its heads do: their flow, the potentials of those that have one, and their
    energy where there is one.
    """

    def __init__(
        self,
        model: Heads,
        measure: Measure,
        moments: Array | None,
        t: float,
        comm: Communicator | None,
    ) -> None:
        super().__init__(measure, moments, t, comm)
        self.interaction = model

    # ------------------------------------------------------------------ what a kind tells

    @abstractmethod
    def heads_flow(
        self, of: tuple[int, ...], at: Located, order: int, scaled: bool, seen: DarkPoints | None
    ) -> Flow:
        """The heads with the numbers ``of``: order 1, or 2 with divergence. Collective."""

    def own_flow(self, of: tuple[int, ...], at: Located, scaled: bool) -> Flow:
        """The same at the tokens, order 1: without their own terms, if these are left out."""
        return self.heads_flow(of, at, 1, scaled, None)

    @abstractmethod
    def head_potential(self, k: int, at: Located, seen: DarkPoints | None) -> Array:
        """(n,) of a head that is a gradient. Collective."""

    @abstractmethod
    def is_gradient(self, head: HeadMatrices) -> bool:
        """Whether a head is told by its potential."""

    def heads_energy(self) -> float:
        """Scaled E of the heads; only where there is one. Collective."""
        return math.nan

    def heads_excess(self) -> float:
        """The same less that of the uniform measure; nan: not known. Collective."""
        return math.nan

    def own_energy(self) -> float:
        """Scaled mean over tokens of the energy of one with itself."""
        return math.nan

    def energy_bound(self) -> float:
        """A bound on the scaled potential whose mean over the measure is E of the heads."""
        return math.nan

    # ------------------------------------------------------------------ all of them

    def _located(self, points: Array | Located) -> Located:
        """Points that somebody has given, checked: together, as ranks wait for each other."""
        if isinstance(points, Located):
            return points
        model = self.interaction
        together = model.harmonics is None or model.normalised
        comm = self._comm if together and self._comm is not None else Alone()
        return model.locate(everywhere(comm, lambda: model.manifold.checked(points)))

    def _over_ranks(self, value: float) -> float:
        """The sum of a number of each rank. Collective."""
        return float(sum_over_ranks(self._comm, np.array([value]))[0])

    def _flow(
        self, at: Located, order: int, scaled: bool, seen: DarkPoints | None,
        of: tuple[int, ...], drifts: tuple[Drift, ...], own: bool = False,
    ) -> Flow:  # fmt: skip
        """The heads ``of`` and ``drifts``, together. Collective."""
        n, k = at.points.shape
        velocity, divergence = np.zeros((n, k)), np.zeros(n)
        if of:
            if own:
                found = self.own_flow(of, at, scaled)
            else:
                found = self.heads_flow(of, at, order, scaled, seen)
            velocity += found.velocity
            if order > 1:
                assert found.divergence is not None
                divergence += found.divergence
        for one in drifts:
            self._add_drift(one, at, order, scaled, velocity, divergence)
        return Flow(velocity, divergence if order > 1 else None)

    def _add_drift(
        self, drift: Drift, at: Located, order: int, scaled: bool, velocity: Array,
        divergence: Array,
    ) -> None:  # fmt: skip
        on = self.interaction.manifold
        factor = math.exp(-self.interaction.factor_log) if scaled else 1.0
        x = on.embed(at.points)
        velocity += factor * on.components(at.points, drift.vector(x))
        if order > 1:
            divergence += factor * drift.divergence(x)

    @property
    def _every(self) -> tuple[int, ...]:
        return tuple(range(len(self.interaction.heads)))

    def _whole(self, at: Located, order: int, scaled: bool, seen: DarkPoints | None) -> Flow:
        return self._flow(at, order, scaled, seen, self._every, self.interaction.drifts)

    def velocity(
        self, points: Array | Located, scaled: bool = False, seen: DarkPoints | None = None
    ) -> Array:
        """X(x), tangent vectors (n, gdim); zonal: d theta/dt, (n, 1)."""
        return self._whole(self._located(points), 1, scaled, seen).velocity

    def own_velocity(self, scaled: bool = False) -> Array:
        """X at the tokens, (n, gdim); without their own terms, if these are left out."""
        at, model = self._located(self.measure.points), self.interaction
        return self._flow(at, 1, scaled, None, self._every, model.drifts, own=True).velocity

    def velocity_and_divergence(
        self, points: Array | Located, scaled: bool = False, seen: DarkPoints | None = None
    ) -> tuple[Array, Array]:
        """X (n, gdim) and its surface divergence (n,) from one evaluation."""
        found = self._whole(self._located(points), 2, scaled, seen)
        assert found.divergence is not None
        return found.velocity, found.divergence

    def along_edges(self, points: Located, seen: DarkPoints | None = None) -> Array:
        """A potential, and the velocity of what has none: see ``AnyField``. Collective."""
        model = self.interaction
        rows = []
        if model.has_gradient:
            rows.append(self._potential(points, seen))
        if not model.has_potential:
            others, drifts = self._every, model.drifts
            if model.gradients:
                others = tuple(j for j in others if not self.is_gradient(model.heads[j]))
                drifts = tuple(drift for drift in drifts if not drift.is_gradient)
            rows += list(self._flow(points, 1, False, seen, others, drifts).velocity.T)
        return np.stack(rows)

    def _potential(self, at: Located, seen: DarkPoints | None) -> Array:
        """Of the heads that are gradients, and of drifts."""
        out = np.zeros(len(at.points))
        for k, head in enumerate(self.interaction.heads):
            if head.strength > 0.0 and self.is_gradient(head):
                out += self.head_potential(k, at, seen)
        return out + self._drift_potential(at.points)

    def _drift_potential(self, points: Array) -> Array:
        """Of the drifts that have one."""
        x = self.interaction.manifold.embed(points)
        drifts = [drift for drift in self.interaction.drifts if drift.is_gradient]
        return np.asarray(sum((drift.potential(x) for drift in drifts), np.zeros(len(x))))

    # ------------------------------------------------------------------ energies

    def drift_energy(self) -> float:
        """Scaled int of the potential of the drifts. Collective."""
        model = self.interaction
        if not model.drifts:
            return 0.0
        values = self._drift_potential(plain(self.measure.points))
        local = np.array([float(np.dot(self.measure.weights, values))])
        return model.scaled(float(sum_over_ranks(self._comm, local)[0]))

    def energy(self, scaled: bool = False) -> float:
        """E of the heads - int U dmu, which increases along the flow; nan: there is none.

        ``scaled``: in the unit of ``AnyInteraction.scaled``, times e^{-|A|} of the largest A for
        e^{<A x, y>}.
        """
        model = self.interaction
        if model.energy_kind is None:
            return math.nan
        value = self.heads_energy() + self.drift_energy()
        if scaled:
            return value
        if not model.has_double_energy:
            return math.copysign(math.inf, value)
        return value * math.exp(model.energy_log)

    def energy_excess(self) -> float:
        """Scaled E - E_uniform; nan where that is not known (direct sums, d > 3)."""
        model = self.interaction
        if model.energy_kind is None or model.exclude_self:
            return math.nan
        if self.moments is None and model.manifold.has_harmonics:
            transforms = model.with_transforms
            at = transforms.locate(plain(self.measure.points))
            known = Measure(at, self.measure.weights, self.measure.quadrature)
            return transforms.field(known, self.t, self._comm).energy_excess()
        of_drift = self.drift_energy() - model.scaled(model.mean_potential) * self.mass
        return self.heads_excess() + of_drift

    def ascent(self) -> float:
        """What the flow increases: E, less that of the uniform measure by transforms."""
        return self.energy(scaled=True) if self.moments is None else self.energy_excess()

    def dissipation_density(self, points: Array | Located) -> Array:
        """Scaled |X|^2, (n,), or what a kind has instead: see ``AnyField``. Collective."""
        return self._squared(self.velocity(points, scaled=True))

    def own_dissipation_density(self) -> Array:
        """The same at the tokens. Collective."""
        return self._squared(self.own_velocity(scaled=True))

    def _squared(self, v: Array) -> Array:
        return scaled_squares(v, self.interaction.factor_log, self.interaction.scaled(1.0))

    def energy_noise(self, masses: float = 0.0) -> float:
        """What ``ascent`` may be wrong by without meaning anything."""
        model = self.interaction
        drifts = model.scaled(sum(drift.size for drift in model.drifts))
        return (masses + 1e-15 + 4.0 * model.epsilon) * (self.energy_bound() + drifts)

    def tail_share(self) -> float:
        """0: the series ends."""
        return 0.0
