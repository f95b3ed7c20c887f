"""What a measure does to a token under heads and drifts: made by ``Composite.field``."""

from __future__ import annotations

import math
from functools import cached_property
from typing import NamedTuple

import numpy as np

from meanfield.collective import Alone, Communicator, everywhere, sum_over_ranks
from meanfield.errors import InputError
from meanfield.geometry.manifolds import Located
from meanfield.geometry.sphere import Array
from meanfield.interaction.composite.bessel import exponential_series
from meanfield.interaction.composite.energies import (
    energy_noise,
    energy_of_pairs,
    energy_of_uniform,
    excess_of_heads,
    own_energy,
)
from meanfield.interaction.composite.matrices import HeadMatrices
from meanfield.interaction.composite.model import Heads
from meanfield.interaction.composite.parts import HeadParts
from meanfield.interaction.composite.series import HeadSums
from meanfield.interaction.composite.sums import Stack, head_sums, summed_flow
from meanfield.interaction.contract import AnyField, DarkPoints
from meanfield.interaction.drifts import Drift
from meanfield.interaction.measure import Measure, moments_of, plain

__all__ = ["CompositeField"]


class _Flow(NamedTuple):
    """X (n, k) and its divergence (n,)."""

    velocity: Array
    divergence: Array | None


class CompositeField(AnyField):
    """What a measure does to a token: see ``AnyField``."""

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

    def _located(self, points: Array | Located) -> Located:
        """Points that somebody has given, checked: together, as ranks wait for each other."""
        if isinstance(points, Located):
            return points
        model = self.interaction
        together = model.harmonics is None or model.normalised
        comm = self._comm if together and self._comm is not None else Alone()
        return model.locate(everywhere(comm, lambda: model.manifold.checked(points)))

    # ------------------------------------------------------------------ one head

    @cached_property
    def sums(self) -> tuple[HeadSums, ...]:
        """The heads with the moments of the measure."""
        model, moments = self.interaction, self.moments
        assert moments is not None and model.harmonics is not None
        of = model.harmonics.degree
        return tuple(series.sums(moments, of, model.precision) for series in model.series)

    def _head(
        self, k: int, at: Located, order: int, seen: DarkPoints | None, own: bool = False
    ) -> HeadParts:
        """Sums of one head, each target to ``accuracy`` of its own Z. Collective (sa).

        ``own``: the targets are the tokens themselves, in their order.
        """
        model = self.interaction
        if self.moments is None:
            itself = np.arange(len(at.points)) if own and model.exclude_self else None
            return head_sums(
                model.heads[k], at.points, *self._sources, order, model.manifold, itself
            )
        parts = self.sums[k].parts(at, order)
        if not model.normalised:
            return parts
        dark = parts.z * model.relative < parts.noise
        sources = self._sources_for(dark, seen)
        if sources is None:
            return parts
        exact = head_sums(model.heads[k], at.points[dark], *sources, order, model.manifold)
        return parts.replaced(dark, exact)

    # ------------------------------------------------------------------ all of them

    def _factor(self, scaled: bool) -> float:
        """What sums with e^{-|A|} of the largest A taken out are multiplied by (usa)."""
        model = self.interaction
        if scaled:
            return 1.0
        if model.factor_log > 700.0:
            raise InputError(
                f"{model.describe()} found: the velocity is of size e^{model.factor_log:g}, no "
                "double; ask for scaled=True or take sa"
            )
        return math.exp(model.factor_log)

    def _flow(
        self, at: Located, order: int, scaled: bool, seen: DarkPoints | None,
        of: tuple[int, ...], drifts: tuple[Drift, ...], own: bool = False,
    ) -> _Flow:  # fmt: skip
        """The heads ``of`` and ``drifts``, together. Collective."""
        model = self.interaction
        n, k = at.points.shape
        velocity, divergence = np.zeros((n, k)), np.zeros(n)
        if not model.normalised and self.moments is not None and of:
            flow, bend = model.series[0].together(
                [(self.sums[j], -model.size) for j in of], at, order
            )
            factor = self._factor(scaled)
            velocity += factor * flow
            divergence += factor * bend
            of = ()
        together = self.moments is None and order == 1 and not model.manifold.latitudes
        if together and len(of) > 1 and not model.exclude_self:
            velocity += self._summed_flow(at.points, scaled, of)
            of = ()
        for j in of:
            parts = self._head(j, at, order, seen, own)
            assert parts.flow is not None
            if model.normalised:
                scale = _inverse(parts.z) if own else 1.0 / parts.z
            else:
                scale = self._factor(scaled) * np.exp(parts.log_scale - model.size)
            part = parts.flow * scale[:, None]
            velocity += part
            if order > 1:
                assert parts.divergence is not None and parts.slope is not None
                divergence += parts.divergence * scale
                if model.normalised:
                    divergence -= np.einsum("ij,ij->i", part, parts.slope) * scale
        for one in drifts:
            self._add_drift(one, at, order, scaled, velocity, divergence)
        return _Flow(velocity, divergence if order > 1 else None)

    def _summed_flow(self, x: Array, scaled: bool, of: tuple[int, ...]) -> Array:
        """Heads by sums over pairs, all at the same time, (n, d). Collective."""
        model = self.interaction
        stack = model.stack
        if len(of) < len(model.heads):
            stack = Stack(*(part[list(of)] for part in stack))
        if model.normalised:
            return summed_flow(stack, x, *self._sources, None)
        return self._factor(scaled) * summed_flow(stack, x, *self._sources, model.size)

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

    def _whole(self, at: Located, order: int, scaled: bool, seen: DarkPoints | None) -> _Flow:
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
                others = tuple(j for j in others if model.heads[j].gradient_factor is None)
                drifts = tuple(drift for drift in drifts if not drift.is_gradient)
            rows += list(self._flow(points, 1, False, seen, others, drifts).velocity.T)
        return np.stack(rows)

    def _potential(self, at: Located, seen: DarkPoints | None) -> Array:
        """Of the heads with V = c A^T: sum of c log Z (sa) or c Z, and of drifts."""
        model = self.interaction
        out = np.zeros(len(at.points))
        for j, head in enumerate(model.heads):
            c = head.gradient_factor
            if not c:
                continue
            parts = self._head(j, at, 0, seen)
            if not model.normalised:
                out += c * np.exp(parts.log_scale) * parts.excess
                continue
            whole = parts.log_scale + np.log(np.maximum(parts.z, 1e-300))
            if head.rests:  # relative to the uniform measure, whose Z is a constant then
                uniform = parts.z - parts.excess
                near = uniform > 0.0  # sums over pairs do not tell it apart
                at_rest = np.log1p(parts.excess / np.where(near, uniform, 1.0))
                whole = np.where(near, at_rest, whole - self._log_of_uniform(head))
            out += c * whole
        return out + self._drift_potential(at.points)

    def _log_of_uniform(self, head: HeadMatrices) -> float:
        """log of Z of the uniform measure of the same mass, where that is a constant."""
        lam0 = exponential_series(np.array([head.size]), 0, self.interaction.d)[0, 0]
        return head.size + math.log(self.mass * float(lam0))

    def _drift_potential(self, points: Array) -> Array:
        """Of the drifts that have one."""
        x = self.interaction.manifold.embed(points)
        drifts = [drift for drift in self.interaction.drifts if drift.is_gradient]
        return np.asarray(sum((drift.potential(x) for drift in drifts), np.zeros(len(x))))

    # ------------------------------------------------------------------ energies

    @cached_property
    def _heads_excess(self) -> float:
        """Scaled E of the heads less that of the uniform measure; by moments."""
        return excess_of_heads(self.interaction, self.moments)

    @cached_property
    def _heads_energy(self) -> float:
        """Scaled E of the heads. Collective for direct sums."""
        model = self.interaction
        if self.moments is not None:
            return self._heads_excess + energy_of_uniform(model) * float(self.moments[0]) ** 2
        local = energy_of_pairs(model, self.measure, self._sources)
        return float(sum_over_ranks(self._comm, np.array([local]))[0])

    def drift_energy(self) -> float:
        """Scaled int of the potential of the drifts. Collective."""
        model = self.interaction
        if not model.drifts:
            return 0.0
        values = self._drift_potential(plain(self.measure.points))
        local = np.array([float(np.dot(self.measure.weights, values))])
        return model.scaled(float(sum_over_ranks(self._comm, local)[0]))

    def own_energy(self) -> float:
        """Scaled mean over tokens of the energy of one with itself."""
        return own_energy(self.interaction, self.measure)

    def energy(self, scaled: bool = False) -> float:
        """E = sum_h c_h/2 iint e^{<A_h x, y>} dmu dmu - int U dmu; nan: there is none.

        It increases along the flow; for A = beta D, V = D it is (3.5) with <x, D y>.
        ``scaled``: times e^{-|A|} of the largest A.
        """
        model = self.interaction
        if model.energy_kind is None:
            return math.nan
        value = self._heads_energy + self.drift_energy()
        if scaled:
            return value
        if not model.has_double_energy:
            return math.copysign(math.inf, value)
        return value * math.exp(model.size)

    def energy_excess(self) -> float:
        """Scaled E - E_uniform; nan where that is not known (direct sums, d > 3)."""
        model = self.interaction
        if model.energy_kind is None or model.exclude_self:
            return math.nan
        of_drift = self.drift_energy() - model.scaled(model.mean_potential) * self.mass
        if self.moments is not None:
            return self._heads_excess + of_drift
        if not model.manifold.has_harmonics:
            return math.nan
        transforms = model.with_transforms
        assert transforms.harmonics is not None
        moments = moments_of(transforms.harmonics, self.measure, self._comm)
        again = CompositeField(transforms, self.measure, moments, self.t, self._comm)
        return again.energy_excess()

    def ascent(self) -> float:
        """What the flow increases: E, less that of the uniform measure by transforms."""
        return self.energy(scaled=True) if self.moments is None else self.energy_excess()

    def dissipation_density(self, points: Array | Located) -> Array:
        """Scaled |X|^2, or Z |X|^2 for a head of sa, (n,): see ``AnyField``. Collective."""
        return self._dissipation(self._located(points), own=False)

    def own_dissipation_density(self) -> Array:
        """The same at the tokens. Collective."""
        return self._dissipation(self._located(self.measure.points), own=True)

    def _dissipation(self, at: Located, own: bool) -> Array:
        model = self.interaction
        if model.normalised and model.acting:
            parts = self._head(model.acting[0], at, 1, None, own)
            assert parts.flow is not None
            scale = np.exp(parts.log_scale - model.size) * _inverse(parts.z)
            return np.asarray(scale * np.sum(parts.flow**2, axis=1))
        v = self._flow(at, 1, True, None, self._every, model.drifts, own).velocity
        with np.errstate(over="ignore"):
            return np.asarray(np.exp(model.size) * np.sum(v * v, axis=1))

    def energy_noise(self, masses: float = 0.0) -> float:
        """What ``ascent`` may be wrong by without meaning anything."""
        return energy_noise(self.interaction, self.moments, self.mass, masses)

    def tail_share(self) -> float:
        """0: the series ends."""
        return 0.0


def _inverse(z: Array) -> Array:
    """1/Z; 0 of a token that is alone."""
    return np.divide(1.0, z, out=np.zeros_like(z), where=z > 0.0)
