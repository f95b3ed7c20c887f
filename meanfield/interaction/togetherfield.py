"""What a measure does to a token by several interactions: made by ``Together.field``."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from meanfield.collective import Alone, Communicator, everywhere
from meanfield.geometry.manifolds import Located
from meanfield.geometry.sphere import Array
from meanfield.interaction.anyfield import scaled_squares
from meanfield.interaction.contract import AnyField, AnyInteraction, DarkPoints
from meanfield.interaction.measure import Measure

__all__ = ["Share", "TogetherField"]


class Share(NamedTuple):
    """One of several interactions, with its field.

    Attributes:
        interaction, field: both.
        unit: turns its scaled energies into those of all.
    """

    interaction: AnyInteraction
    field: AnyField
    unit: float


class TogetherField(AnyField):
    """The sum of the fields of one measure.

    Args:
        model: the interactions together.
        shares: each of them with its field.
        measure, moments, t, comm: as for ``AnyField``.
    """

    def __init__(
        self,
        model: AnyInteraction,
        shares: tuple[Share, ...],
        measure: Measure,
        moments: Array | None,
        t: float,
        comm: Communicator | None,
    ) -> None:
        super().__init__(measure, moments, t, comm)
        self.interaction, self.shares = model, shares

    def _located(self, points: Array | Located) -> Located:
        """Points that somebody has given, checked: together, as ranks wait for each other."""
        if isinstance(points, Located):
            return points
        model = self.interaction
        comm = Alone() if self._comm is None else self._comm
        return model.locate(everywhere(comm, lambda: model.manifold.checked(points)))

    def _factor(self, share: Share, scaled: bool) -> float:
        """What its velocity is multiplied by: *scaled* ones have factors of their own."""
        if not scaled:
            return 1.0
        return math.exp(share.interaction.factor_log - self.interaction.factor_log)

    def velocity(
        self, points: Array | Located, scaled: bool = False, seen: DarkPoints | None = None
    ) -> Array:
        at = self._located(points)
        out = np.zeros(at.points.shape)
        for share in self.shares:
            out += self._factor(share, scaled) * share.field.velocity(at, scaled, seen)
        return out

    def own_velocity(self, scaled: bool = False) -> Array:
        return np.asarray(
            sum(self._factor(one, scaled) * one.field.own_velocity(scaled) for one in self.shares)
        )

    def velocity_and_divergence(
        self, points: Array | Located, scaled: bool = False, seen: DarkPoints | None = None
    ) -> tuple[Array, Array]:
        at = self._located(points)
        velocity, divergence = np.zeros(at.points.shape), np.zeros(len(at.points))
        for share in self.shares:
            v, div = share.field.velocity_and_divergence(at, scaled, seen)
            factor = self._factor(share, scaled)
            velocity += factor * v
            divergence += factor * div
        return velocity, divergence

    def along_edges(self, points: Located, seen: DarkPoints | None = None) -> Array:
        """A potential of all that have one, and the velocity of what has none. Collective."""
        n, k = points.points.shape
        xi, velocity = np.zeros(n), np.zeros((k, n))
        for share in self.shares:
            rows = share.field.along_edges(points, seen)
            told = int(share.interaction.has_gradient)
            if told:
                xi += rows[0]
            if len(rows) > told:
                velocity += rows[told:]
        rows = np.concatenate([xi[None], velocity])
        model = self.interaction
        if model.has_potential:
            return rows[:1]
        return rows if model.has_gradient else rows[1:]

    # ------------------------------------------------------------------ energies

    def energy(self, scaled: bool = False) -> float:
        """What increases along the flow: the energies, each with its sign; nan: there is none."""
        if self.interaction.energy_kind is None:
            return math.nan
        total = 0.0
        for share in self.shares:
            value = share.interaction.ascending(share.field.energy(scaled))
            total += share.unit * value if scaled else value
        return total

    def energy_excess(self) -> float:
        if self.interaction.energy_kind is None:
            return math.nan
        return sum(
            share.unit * share.interaction.ascending(share.field.energy_excess())
            for share in self.shares
        )

    def ascent(self) -> float:
        return sum(share.unit * share.field.ascent() for share in self.shares)

    def dissipation_density(self, points: Array | Located) -> Array:
        """Scaled |X|^2, (n,): see ``AnyField``. Collective."""
        return self._squared(self.velocity(points, scaled=True))

    def own_dissipation_density(self) -> Array:
        return self._squared(self.own_velocity(scaled=True))

    def _squared(self, v: Array) -> Array:
        return scaled_squares(v, self.interaction.factor_log, self.interaction.scaled(1.0))

    def energy_noise(self, masses: float = 0.0) -> float:
        return sum(share.unit * share.field.energy_noise(masses) for share in self.shares)

    def tail_share(self) -> float:
        """The largest one."""
        return max(share.field.tail_share() for share in self.shares)
