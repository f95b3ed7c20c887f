"""Softmax attention "sa", each head over its own Z, and "usa", which is not divided by anything.

    X = sum_h P_x V_h N_h/Z_h (usa: without 1/Z_h),  Z_h = int e^{<A_h x, y>} dmu(y),
    N_h = int e^{<A_h x, y>} y dmu(y)

A head with V = c A^T is a gradient, of c log Z or c Z. Source: arXiv 2312.10794, (2.7), (3.8).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from meanfield.collective import Communicator
from meanfield.errors import InputError
from meanfield.geometry.manifolds import Located
from meanfield.geometry.sphere import Array
from meanfield.interaction.anyfield import Output
from meanfield.interaction.composite.bessel import exponential_series
from meanfield.interaction.composite.energies import (
    energy_bound,
    energy_of_pairs,
    energy_of_uniform,
    excess_of_heads,
    own_energy,
)
from meanfield.interaction.composite.field import CompositeField, Flow
from meanfield.interaction.composite.kind import Kind
from meanfield.interaction.composite.matrices import HeadMatrices
from meanfield.interaction.composite.model import Heads
from meanfield.interaction.composite.parts import HeadParts
from meanfield.interaction.composite.series import BEYOND, HeadSums, series_degree
from meanfield.interaction.composite.sums import Stack, head_sums, summed_flow
from meanfield.interaction.contract import DarkPoints, EnergyKind
from meanfield.interaction.expansion import Convexity
from meanfield.interaction.measure import Measure

__all__ = ["Exponential", "ExponentialField", "Softmax", "Unnormalised"]

_SINGLE = 1e-14  # accuracy of transforms that are divided by Z


class ExponentialField(CompositeField):
    """Heads with the weights e^{<A x, y>}."""

    same_sources: ClassVar[bool] = True
    """Whether all heads sum over the same masses."""

    def is_gradient(self, head: HeadMatrices) -> bool:
        return head.gradient_factor is not None

    # ------------------------------------------------------------------ one head

    @cached_property
    def sums(self) -> tuple[HeadSums, ...]:
        """The heads with the moments of the measure."""
        model = self.interaction
        assert self.moments is not None and model.harmonics is not None
        of = model.harmonics.degree
        return tuple(
            series.sums(moments, of, model.precision)
            for series, moments in zip(model.series, self._moments_by_head, strict=True)
        )

    @property
    def _moments_by_head(self) -> Sequence[Array]:
        """Moments of what each head sums over."""
        assert self.moments is not None
        return [self.moments] * len(self.interaction.heads)

    def _sources_of(self, k: int) -> tuple[Array, Array]:
        """All points and masses that a head sums over. Collective."""
        return self._sources

    def _dark_sources(
        self, k: int, dark: NDArray[np.bool_], seen: DarkPoints | None
    ) -> tuple[Array, Array] | None:
        """The same, if any of this rank's points are dark; counts them. Collective."""
        return self._sources_for(dark, seen)

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
                model.heads[k], at.points, *self._sources_of(k), order, model.manifold, itself
            )
        parts = self.sums[k].parts(at, order)
        if not model.normalised:
            return parts
        dark = parts.z * model.relative < parts.noise
        sources = self._dark_sources(k, dark, seen)
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

    def heads_flow(
        self, of: tuple[int, ...], at: Located, order: int, scaled: bool, seen: DarkPoints | None
    ) -> Flow:
        """See ``CompositeField``. Collective."""
        model = self.interaction
        if not model.normalised and self.moments is not None:
            flow, bend = model.series[of[0]].together(
                [(self.sums[j], -model.size) for j in of], at, order
            )
            factor = self._factor(scaled)
            return Flow(factor * flow, factor * bend if order > 1 else None)
        many = len(of) > 1 and self.same_sources and not model.manifold.latitudes
        if self.moments is None and order == 1 and many:
            return self._together(at.points, scaled, of)
        return self._flow_of_each(of, at, order, scaled, seen, own=False)

    def output(self, points: Array | Located, seen: DarkPoints | None = None) -> Output:
        """A and its derivative, by direct sums: see ``AnyField``. Collective."""
        from meanfield.interaction.outputsums import summed_output  # compiled: where needed

        model = self.interaction
        on = model.manifold
        if model.drifts or not self.same_sources or model.exclude_self or not on.has_harmonics:
            self._refuse_output("of these heads")
        if on.latitudes:
            self._refuse_output(f"on '{model.geometry}'")
        x = self._located(points).points
        sources, normalised = self._sources, model.normalised
        out = Output(np.zeros(x.shape), np.zeros((*x.shape, on.d)))
        for head in (model.heads[k] for k in model.acting):
            found = summed_output((head.A, head.V), x, *sources, normalised)
            out = Output(out.vector + found.vector, out.slope + found.slope)
        return out

    def own_flow(self, of: tuple[int, ...], at: Located, scaled: bool) -> Flow:
        """See ``CompositeField``. Collective."""
        if not self.interaction.exclude_self:
            return super().own_flow(of, at, scaled)
        return self._flow_of_each(of, at, 1, scaled, None, own=True)

    def _together(self, x: Array, scaled: bool, of: tuple[int, ...]) -> Flow:
        """Heads by sums over pairs, all at the same time. Collective."""
        model, stack = self.interaction, self.interaction.stack
        if len(of) < len(model.heads):
            stack = Stack(*(part[list(of)] for part in stack))
        if model.normalised:
            return Flow(summed_flow(stack, x, *self._sources, None), None)
        return Flow(self._factor(scaled) * summed_flow(stack, x, *self._sources, model.size), None)

    def _flow_of_each(
        self, of: tuple[int, ...], at: Located, order: int, scaled: bool,
        seen: DarkPoints | None, own: bool,
    ) -> Flow:  # fmt: skip
        model = self.interaction
        velocity, divergence = np.zeros(at.points.shape), np.zeros(len(at.points))
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
        return Flow(velocity, divergence if order > 1 else None)

    def head_potential(self, k: int, at: Located, seen: DarkPoints | None) -> Array:
        """c log Z (sa) or c Z of a head with V = c A^T."""
        model = self.interaction
        head = model.heads[k]
        c = head.gradient_factor
        assert c is not None
        if model.normalised:
            return np.asarray(c * self.log_z(k, at, seen))
        parts = self._head(k, at, 0, seen)
        return np.asarray(c * np.exp(parts.log_scale) * parts.excess)

    def log_z(self, k: int, at: Located, seen: DarkPoints | None = None) -> Array:
        """log Z of a head, (n,); of one with V = c A^T that rests, relative to that. Collective."""
        head, parts = self.interaction.heads[k], self._head(k, at, 0, seen)
        whole = parts.log_scale + np.log(np.maximum(parts.z, 1e-300))
        if not head.rests:
            return np.asarray(whole)
        uniform = parts.z - parts.excess
        near = uniform > 0.0  # sums over pairs do not tell it apart
        at_rest = np.log1p(parts.excess / np.where(near, uniform, 1.0))
        return np.where(near, at_rest, whole - self._log_of_uniform(head))

    def _log_of_uniform(self, head: HeadMatrices) -> float:
        """log of Z of the uniform measure of the same mass, where that is a constant."""
        lam0 = exponential_series(np.array([head.size]), 0, self.interaction.d)[0, 0]
        return head.size + math.log(self.mass * float(lam0))

    # ------------------------------------------------------------------ energies

    def heads_excess(self) -> float:
        """Scaled E of the heads less that of the uniform measure; by moments."""
        return self._excess

    @cached_property
    def _excess(self) -> float:
        return (
            excess_of_heads(self.interaction, self.moments)
            if self.moments is not None
            else math.nan
        )

    def heads_energy(self) -> float:
        """Scaled sum_h c_h/2 iint e^{<A_h x, y>} dmu dmu. Collective for direct sums."""
        return self._energy

    @cached_property
    def _energy(self) -> float:
        model = self.interaction
        if self.moments is not None:
            return self._excess + energy_of_uniform(model) * float(self.moments[0]) ** 2
        return self._over_ranks(energy_of_pairs(model, self.measure, self._sources))

    def own_energy(self) -> float:
        """Scaled mean over tokens of the energy of one with itself."""
        return own_energy(self.interaction, self.measure)

    def dissipation_density(self, points: Array | Located) -> Array:
        """Scaled |X|^2, or Z |X|^2 for a head of sa, (n,): see ``AnyField``. Collective."""
        if self._has_z:
            return self._with_z(self._located(points), own=False)
        return super().dissipation_density(points)

    def own_dissipation_density(self) -> Array:
        """The same at the tokens. Collective."""
        if self._has_z:
            return self._with_z(self._located(self.measure.points), own=True)
        return super().own_dissipation_density()

    @property
    def _has_z(self) -> bool:
        """Whether the rate of the energy has a factor Z: X is not its gradient, but over Z."""
        return self.interaction.energy_kind == "monotone" and bool(self.interaction.acting)

    def _with_z(self, at: Located, own: bool) -> Array:
        model = self.interaction
        parts = self._head(model.acting[0], at, 1, None, own)
        assert parts.flow is not None
        scale = np.exp(parts.log_scale - model.size) * _inverse(parts.z)
        return np.asarray(scale * np.sum(parts.flow**2, axis=1))

    def energy_bound(self) -> float:
        return energy_bound(self.interaction, self.moments, self.mass)


def _inverse(z: Array) -> Array:
    """1/Z, 0 where there is no other token."""
    return np.divide(1.0, z, out=np.zeros_like(z), where=z > 0.0)


class Exponential(Kind):
    """What heads with the weights e^{<A x, y>} have in common."""

    beyond = BEYOND
    excludes_self = True

    def degree(self, head: HeadMatrices, d: int, tolerance: float = 1e-15) -> int:
        return series_degree(head.size, d, tolerance)

    def is_gradient(self, head: HeadMatrices) -> bool:
        return head.gradient_factor is not None

    def pair_series(self, r: Array, degree: int, d: int) -> Array | None:
        """Of e^{r t}, times e^{-r}."""
        return exponential_series(r, degree, d)

    def field(
        self, model: Heads, measure: Measure, moments: Array | None, t: float,
        comm: Communicator | None,
    ) -> CompositeField:  # fmt: skip
        return ExponentialField(model, measure, moments, t, comm)

    def weights(self, model: Heads, degree: int) -> Array:
        """lam_l(s) e^{-s} of the largest |A| = s: bounds those of all targets."""
        return np.asarray(exponential_series(np.array([model.size]), degree, model.d)[0])

    def energy_log(self, model: Heads) -> float:
        return model.size

    def why_no_energy(self, model: Heads) -> str:
        added = "softmax heads that are added, or a drift beside one, have none"
        return self.unlike(model) or added

    def convexity(self, model: Heads) -> Convexity:
        signs: set[Convexity] = set()
        for head in model.heads:
            low = head.eigenvalues[0]
            factor = head.gradient_factor or 0.0
            noise = 1e-13 * head.size
            if factor == 0.0 or head.size == 0.0:
                continue
            if low >= -noise:
                signs.add("positive" if factor > 0.0 else "negative")
            else:
                signs.add("mixed")
        if len(signs) <= 1:
            return signs.pop() if signs else "positive"
        return "mixed"

    def dirac_energy(self, model: Heads) -> float:
        if len(model.heads) != 1 or model.drifts:
            return math.nan
        (head,) = model.heads
        assert head.gradient_factor is not None
        low, high = float(head.eigenvalues[0]), float(head.eigenvalues[-1])
        if head.gradient_factor < 0.0 or -low > high:  # no point, or not one alone, has the most
            return math.nan
        return 0.5 * head.gradient_factor * math.exp(high - model.size)

    def energy_label(self, model: Heads) -> str:
        return "E e^-|A|" if model.size else "E"


@dataclass(frozen=True)
class Softmax(Exponential):
    """Each head over its own Z."""

    name: ClassVar[str] = "sa"
    largest: ClassVar[float] = 700.0  # weights are of size e^|A|
    normalised: ClassVar[bool] = True

    def epsilon(self, model: Heads) -> float:
        return _SINGLE

    def rate(self, head: HeadMatrices, d: int) -> float:
        return head.strength

    def energy_kind(self, model: Heads) -> EnergyKind | None:
        """ "monotone": one head with V = c A, A symmetric, and no drift."""
        if not model.heads:
            return "gradient"
        one = len(model.acting) <= 1 and not model.drifts
        return "monotone" if one and all(head.has_energy for head in model.heads) else None


@dataclass(frozen=True)
class Unnormalised(Exponential):
    """Heads that are not divided by their Z."""

    name: ClassVar[str] = "usa"
    largest: ClassVar[float] = 600.0

    def factor_log(self, model: Heads) -> float:
        return model.size

    def rate(self, head: HeadMatrices, d: int) -> float:
        lam0 = exponential_series(np.array([head.size]), 0, d)[0, 0]
        return head.strength * float(lam0) * math.exp(min(head.size, 700.0))

    def energy_kind(self, model: Heads) -> EnergyKind | None:
        """ "gradient": all V = c A with A symmetric."""
        return "gradient" if all(head.has_energy for head in model.heads) else None
