"""What a measure does to a token under heads and a drift: made by ``Composite.field``."""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from meanfield.collective import Alone, Communicator, everywhere, joined, sum_over_ranks
from meanfield.errors import InputError
from meanfield.geometry.manifolds import Located
from meanfield.geometry.manifolds.algebra import lower
from meanfield.geometry.sphere import Array, harmonic_dimension
from meanfield.interaction.composite.bessel import exponential_series
from meanfield.interaction.composite.circle import circle_head_parts
from meanfield.interaction.composite.latitudes import zonal_head_parts
from meanfield.interaction.composite.parts import HeadParts
from meanfield.interaction.composite.sphere import HeadFields, summed
from meanfield.interaction.composite.sums import head_sums
from meanfield.interaction.contract import AnyField
from meanfield.interaction.measure import Measure, moments_of, plain

if TYPE_CHECKING:
    from meanfield.interaction.composite.interaction import Composite
    from meanfield.interaction.field import DarkPoints

__all__ = ["CompositeField"]

_NOISE = 2e-14  # of sums by transforms, over their bound


class _Flow(NamedTuple):
    """X (n, k) and its divergence (n,)."""

    velocity: Array
    divergence: Array | None


class CompositeField(AnyField):
    """What a measure does to a token: see ``AnyField``."""

    def __init__(
        self,
        model: Composite,
        measure: Measure,
        moments: Array | None,
        t: float,
        comm: Communicator | None,
    ) -> None:
        self.interaction = model
        self.measure = measure
        self.moments = moments
        self.t = t
        self._comm = comm
        self._fields: dict[tuple[int, bool], HeadFields] = {}

    @cached_property
    def mass(self) -> float:
        """Total mass over all ranks."""
        if self.moments is not None:
            return float(self.moments[0])
        local = np.array([float(np.sum(self.measure.weights))])
        return float(sum_over_ranks(self._comm, local)[0])

    @cached_property
    def _sources(self) -> tuple[Array, Array]:
        """All points and masses, on every rank: for direct sums."""
        x, m = plain(self.measure.points), self.measure.weights
        return joined(self._comm, x), joined(self._comm, m)

    def _located(self, points: Array | Located) -> Located:
        """Points that somebody has given, checked: together, as ranks wait for each other."""
        if isinstance(points, Located):
            return points
        model = self.interaction
        together = model.harmonics is None or model.model == "sa"
        comm = self._comm if together and self._comm is not None else Alone()
        return model.locate(everywhere(comm, lambda: model.manifold.checked(points)))

    # ------------------------------------------------------------------ one head

    def _head(self, k: int, at: Located, order: int, seen: DarkPoints | None) -> HeadParts:
        """Sums of one head, each target to ``accuracy`` of its own Z. Collective (sa)."""
        model = self.interaction
        if self.moments is None:
            return head_sums(model.heads[k], at.points, *self._sources, order, model.manifold)
        parts = self.by_transforms(k, at, order)
        if model.model != "sa":
            return parts
        # By the matrix the noise is that of the bound; of what has e^{|A x|} taken out, that of the
        # mass. What the matrix has told is as good as it has to be.
        radial = parts.log_scale < model.heads[k].size
        if model.geometry != "sphere":
            radial[:] = True
        dark = radial & (parts.z < _NOISE / model.relative * self.mass)
        return self._light_up(k, at, order, parts, dark, seen)

    def by_transforms(self, k: int, at: Located, order: int) -> HeadParts:
        """Sums of one head, whether or not Z is lost in noise. Not collective."""
        model = self.interaction
        assert self.moments is not None and model.harmonics is not None
        parts = self._by_series(k, at, order)
        if model.geometry != "sphere":
            return parts
        sphere = model.on_sphere[k]
        dim = np.ones(len(parts.z), dtype=bool)
        if sphere.has_matrix:
            dim = parts.z < _NOISE / model.relative * self._bound[k]
            if model.model == "usa":
                dim[:] = False
        if np.any(dim):
            better = sphere.by_nodes(
                self.moments, model.harmonics.degree, at.points[dim], order, model.epsilon
            )
            parts = _replaced(parts, dim, better)
        return parts

    def _by_series(self, k: int, at: Located, order: int) -> HeadParts:
        model, moments = self.interaction, self.moments
        head = model.heads[k]
        assert moments is not None and model.harmonics is not None
        if model.geometry == "circle":
            return circle_head_parts(head, at.points, moments, order)
        if model.geometry == "zonal":
            means = moments / np.sqrt(harmonic_dimension(model.harmonics.degree, model.d))
            return zonal_head_parts(model.axial[k], head.rests, at.angles, means, order, model.d)
        sphere = model.on_sphere[k]
        if not sphere.has_matrix:
            n = len(at.points)
            empty = np.zeros(n)
            wide = np.zeros((n, 3))
            return HeadParts(
                empty.copy(), empty.copy(), empty.copy(), wide, empty.copy(), wide.copy()
            )
        return sphere.by_matrix(self._fields_of(k, order == 0), at, order, model.epsilon)

    def _fields_of(self, k: int, value_only: bool) -> HeadFields:
        key = (k, value_only)
        if key not in self._fields:
            assert self.moments is not None and self.interaction.harmonics is not None
            self._fields[key] = self.interaction.on_sphere[k].fields(
                self.moments, self.interaction.harmonics.degree, value_only
            )
        return self._fields[key]

    @cached_property
    def _bound(self) -> Array:
        """(heads,): no Z e^{-|A|} is larger (Cauchy-Schwarz by degree); the same on all ranks."""
        model = self.interaction
        assert self.moments is not None and model.harmonics is not None
        power = np.sqrt(model.harmonics.power(self.moments))
        dimension = np.sqrt(harmonic_dimension(model.harmonics.degree, model.d))
        sizes = np.array([head.size for head in model.heads])
        series = exponential_series(sizes, model.harmonics.degree, model.d)
        return np.asarray(series @ (power * dimension))

    def _light_up(
        self, k: int, at: Located, order: int, parts: HeadParts, dark: Array,
        seen: DarkPoints | None,
    ) -> HeadParts:  # fmt: skip
        """Replace what is lost in noise by direct sums. Collective."""
        number = int(np.count_nonzero(dark))
        if seen is not None:
            seen.add(number)
        if sum_over_ranks(self._comm, np.array([float(number)]))[0] == 0.0:
            return parts
        sources = self._sources  # collective: every rank takes part
        if not number:
            return parts
        model = self.interaction
        exact = head_sums(model.heads[k], at.points[dark], *sources, order, model.manifold)
        return _replaced(parts, dark, exact)

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
        of: tuple[int, ...], drift: bool,
    ) -> _Flow:  # fmt: skip
        """The heads ``of`` and the drift, together. Collective."""
        model = self.interaction
        n, k = at.points.shape
        velocity, divergence = np.zeros((n, k)), np.zeros(n)
        if model.model == "usa" and self.moments is not None and model.geometry == "sphere":
            together = [j for j in of if model.on_sphere[j].has_matrix]
            of = tuple(j for j in of if j not in together)
            if together:
                self._add_together(together, at, order, scaled, velocity, divergence)
        for j in of:
            parts = self._head(j, at, order, seen)
            assert parts.flow is not None
            if model.model == "sa":
                scale = 1.0 / parts.z
            else:
                scale = self._factor(scaled) * np.exp(parts.log_scale - model.size)
            part = parts.flow * scale[:, None]
            velocity += part
            if order > 1:
                assert parts.divergence is not None and parts.slope is not None
                divergence += parts.divergence * scale
                if model.model == "sa":
                    divergence -= np.einsum("ij,ij->i", part, parts.slope) * scale
        if drift and model.drift is not None:
            self._add_drift(at, order, scaled, velocity, divergence)
        return _Flow(velocity, divergence if order > 1 else None)

    def _add_together(
        self, heads: list[int], at: Located, order: int, scaled: bool, velocity: Array,
        divergence: Array,
    ) -> None:  # fmt: skip
        """Heads of usa, summed as coefficients: one synthesis for all."""
        model = self.interaction
        assert model.harmonics is not None
        parts = [(self._fields_of(j, False), model.heads[j].size - model.size) for j in heads]
        flow, bend = summed(parts, at, order, model.epsilon)
        factor = self._factor(scaled)
        velocity += factor * flow
        if bend is not None:
            divergence += factor * bend

    def _add_drift(
        self, at: Located, order: int, scaled: bool, velocity: Array, divergence: Array
    ) -> None:
        model, x = self.interaction, at.points
        assert model.drift is not None
        factor = 1.0 / self._factor(False) if scaled else 1.0
        if model.manifold.latitudes:
            across, along = model.axial_drift
            s, c = np.sin(x[:, 0]), np.cos(x[:, 0])
            velocity[:, 0] += factor * (across - along) * s * c
            inner = across * s * s + along * c * c
            trace = (model.d - 1) * across + along
        else:
            image = x @ model.drift.T
            velocity += factor * model.manifold.tangential(x, image)
            inner = np.einsum("ij,ij->i", x, image)
            trace = float(np.trace(model.drift))
        if order > 1:
            divergence += factor * (trace - model.d * inner)

    @property
    def _every(self) -> tuple[int, ...]:
        return tuple(range(len(self.interaction.heads)))

    def velocity(
        self, points: Array | Located, scaled: bool = False, seen: DarkPoints | None = None
    ) -> Array:
        """X(x), tangent vectors (n, gdim); zonal: d theta/dt, (n, 1)."""
        return self._flow(self._located(points), 1, scaled, seen, self._every, True).velocity

    def velocity_and_divergence(
        self, points: Array | Located, scaled: bool = False, seen: DarkPoints | None = None
    ) -> tuple[Array, Array]:
        """X (n, gdim) and its surface divergence (n,) from one evaluation."""
        found = self._flow(self._located(points), 2, scaled, seen, self._every, True)
        assert found.divergence is not None
        return found.velocity, found.divergence

    def along_edges(self, points: Located, seen: DarkPoints | None = None) -> Array:
        """A potential, and the velocity of what has none: see ``AnyField``. Collective."""
        model = self.interaction
        rows = []
        if model.has_gradient:
            rows.append(self._potential(points, seen))
        if not model.has_potential:
            others = tuple(j for j in self._every if model.heads[j].gradient_factor is None)
            drift = not model.drift_is_gradient
            rows += list(self._flow(points, 1, False, seen, others, drift).velocity.T)
        return np.stack(rows)

    def _potential(self, at: Located, seen: DarkPoints | None) -> Array:
        """Of the heads with V = c A^T: sum of c log Z (sa) or c Z, and <x, M x>/2."""
        model = self.interaction
        out = np.zeros(len(at.points))
        for j, head in enumerate(model.heads):
            c = head.gradient_factor
            if not c:
                continue
            parts = self._head(j, at, 0, seen)
            if model.model == "usa":
                out += c * np.exp(parts.log_scale) * parts.excess
                continue
            # Where the head is at rest under the uniform measure, that has Z - excess, a constant.
            uniform = parts.z - parts.excess
            near = uniform > 0.0
            with np.errstate(divide="ignore", invalid="ignore"):
                out += c * np.where(
                    near,
                    np.log1p(parts.excess / np.where(near, uniform, 1.0)),
                    parts.log_scale + np.log(parts.z),
                )
        if model.drift is not None and model.drift_is_gradient:
            out += self._drift_potential(at.points)
        return out

    def _drift_potential(self, x: Array) -> Array:
        """<x, M x>/2."""
        model = self.interaction
        assert model.drift is not None
        if model.manifold.latitudes:
            across, along = model.axial_drift
            return np.asarray(0.5 * (across * np.sin(x[:, 0]) ** 2 + along * np.cos(x[:, 0]) ** 2))
        return 0.5 * np.einsum("ij,ij->i", x, x @ model.drift.T)

    # ------------------------------------------------------------------ energies

    def _pairs(self, k: int, left: Array, right: Array) -> float:
        """iint e^{<A x, y>} of two measures, by their moments; times e^{-|A|} of the largest A."""
        model = self.interaction
        assert model.harmonics is not None
        size = model.heads[k].size
        if model.geometry == "sphere" and model.on_sphere[k].has_matrix:
            sphere = model.on_sphere[k]
            values = sphere.values(left, model.harmonics.degree)
            value = float(np.dot(values, right[lower(sphere.degree, model.harmonics.degree)]))
        else:
            grid = model.grid
            field = model.field_of_moments(left, self.measure, self.t, None)
            parts = field.by_transforms(k, model.locate(grid.points), 0)
            z = parts.z * np.exp(parts.log_scale - size)
            value = float(np.dot(grid.analyse(z), right))
        return value * math.exp(size - model.size)

    @cached_property
    def _heads_excess(self) -> float:
        """Scaled E of the heads less that of the uniform measure; by moments."""
        assert self.moments is not None
        apart, twice = self.moments.copy(), self.moments.copy()
        apart[0], twice[0] = 0.0, 2.0 * twice[0]
        # <a, K a> - <u, K u> = <a - u, K (a + u)>, u the uniform part of a.
        return sum(
            0.5 * (head.gradient_factor or 0.0) * self._pairs(k, twice, apart)
            for k, head in enumerate(self.interaction.heads)
        )

    @cached_property
    def _heads_energy(self) -> float:
        """Scaled E of the heads. Collective for direct sums."""
        model = self.interaction
        factors = [0.5 * (head.gradient_factor or 0.0) for head in model.heads]
        if self.moments is not None:
            uniform = np.zeros_like(self.moments)
            uniform[0] = self.moments[0]
            pairs = [self._pairs(k, uniform, uniform) for k in self._every]
            return self._heads_excess + float(np.dot(factors, pairs))
        x, (y, m) = plain(self.measure.points), self._sources
        total = 0.0
        for head, factor in zip(model.heads, factors, strict=True):
            parts = head_sums(head, x, y, m, 0, model.manifold)
            z = np.exp(parts.log_scale - model.size) * parts.z
            total += factor * float(np.dot(self.measure.weights, z))
        return float(sum_over_ranks(self._comm, np.array([total]))[0])

    def drift_energy(self) -> float:
        """Scaled int <x, M x>/2 dmu. Collective."""
        model = self.interaction
        if model.drift is None:
            return 0.0
        local = float(
            np.dot(self.measure.weights, self._drift_potential(plain(self.measure.points)))
        )
        return model.scaled(float(sum_over_ranks(self._comm, np.array([local]))[0]))

    def own_energy(self) -> float:
        """Scaled mean over tokens of the energy of one with itself."""
        model, x = self.interaction, plain(self.measure.points)
        total = 0.0
        for head in model.heads:
            exponent = np.einsum("ij,ij->i", x, x @ head.A.T) - model.size
            total += (
                0.5
                * (head.gradient_factor or 0.0)
                * float(np.dot(self.measure.weights, np.exp(exponent)))
            )
        return total

    def energy(self, scaled: bool = False) -> float:
        """E = sum_h c_h/2 iint e^{<A_h x, y>} dmu dmu + int <x, M x>/2 dmu; nan: there is none.

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
        if model.energy_kind is None:
            return math.nan
        trace = 0.0 if model.drift is None else float(np.trace(model.drift)) / (2.0 * model.d)
        of_drift = self.drift_energy() - model.scaled(trace) * self.mass
        if self.moments is not None:
            return self._heads_excess + of_drift
        if not model.manifold.has_harmonics:
            return math.nan
        transforms = model.by("harmonics")
        assert transforms.harmonics is not None
        moments = moments_of(transforms.harmonics, self.measure, self._comm)
        again = transforms.field_of_moments(moments, self.measure, self.t, self._comm)
        return again.energy_excess()

    def ascent(self) -> float:
        """What the flow increases: E, less that of the uniform measure by transforms."""
        return self.energy(scaled=True) if self.moments is None else self.energy_excess()

    def energy_noise(self, masses: float = 0.0) -> float:
        """What ``ascent`` may be wrong by without meaning anything."""
        model = self.interaction
        factors = np.array([abs(head.gradient_factor or 0.0) for head in model.heads])
        sizes = np.array([math.exp(head.size - model.size) for head in model.heads])
        bound = self.mass * np.ones(len(model.heads))
        if self.moments is not None and len(model.heads):
            bound = self._bound
        potential = float(np.sum(factors * sizes * bound))
        if model.drift is not None:
            potential += model.scaled(float(np.linalg.norm(model.drift, 2)))
        wrong = masses + 1e-15 + 4.0 * model.epsilon
        return wrong * potential

    def tail_share(self) -> float:
        """0: the series ends."""
        return 0.0


def _replaced(parts: HeadParts, where: Array, better: HeadParts) -> HeadParts:
    """Values that are better at some targets put in their place."""
    for old, new in zip(parts, better, strict=True):
        if old is not None and new is not None:
            old[where] = new
    return parts
