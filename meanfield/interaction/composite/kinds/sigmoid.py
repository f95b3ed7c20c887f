"""Sigmoid attention: X = sum_h P_x V_h int s(<A_h x, y> + b) y dmu, s(t) = 1/(1 + e^{-t}).

It is not normalised. b is the same for all heads: 0, or -log n as in practice. A head with
V = c A^T is the gradient of c int log(1 + e^{<A x, y> + b}) dmu; where A is symmetric,
E = (c/2) iint log(1 + e^{<x, A y> + b}) dmu dmu increases at the rate int |X|^2 dmu.

By harmonics on S^2 where their degree allows for the matrix between them (``logisticseries``), or A
is a multiple of an orthogonal matrix: one radius |A x|, one series (Funk-Hecke). Otherwise, and
where parameters change all the time, by sums over pairs: of the points, or, for a density, of a
grid that carries the moments of the measure to the degree of the kernel, whose series ends by the
``accuracy``.
Source: Ramapuram et al., arXiv 2409.04431.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar
from weakref import WeakKeyDictionary

import numpy as np
from scipy.special import roots_jacobi

from meanfield.collective import Communicator
from meanfield.errors import InputError
from meanfield.geometry.manifolds import S2, Located, Manifold
from meanfield.geometry.manifolds.algebra import tangential
from meanfield.geometry.polynomials import gegenbauer
from meanfield.geometry.sphere import Array
from meanfield.interaction.composite.between import SphereForm
from meanfield.interaction.composite.field import CompositeField, Flow
from meanfield.interaction.composite.kind import Kind
from meanfield.interaction.composite.logistic import (
    logistic_degree,
    logistic_sums,
    softplus,
)
from meanfield.interaction.composite.logisticseries import has_logistic_series, logistic_heads
from meanfield.interaction.composite.matrices import HeadMatrices
from meanfield.interaction.composite.model import Heads
from meanfield.interaction.composite.series import BEYOND
from meanfield.interaction.contract import DarkPoints, EnergyKind
from meanfield.interaction.expansion import Convexity
from meanfield.interaction.measure import Measure, plain

__all__ = ["Sigmoid"]

_LARGEST = 300  # degree of the series of a density


def _grid_size(on: Manifold, degree: int) -> int:
    """Of a grid that integrates products of two harmonics of this degree."""
    return 2 * degree + 2 if on.closed else degree + 1


_UNIFORM: WeakKeyDictionary[Heads, float] = WeakKeyDictionary()


class SigmoidField(CompositeField):
    """Heads with the weights s(<A x, y> + b)."""

    def __init__(
        self, bias: float, model: Heads, measure: Measure, moments: Array | None, t: float,
        comm: Communicator | None,
    ) -> None:  # fmt: skip
        super().__init__(model, measure, moments, t, comm)
        self.bias = bias

    def is_gradient(self, head: HeadMatrices) -> bool:
        return head.gradient_factor is not None

    # ------------------------------------------------------------------ what is summed over

    @cached_property
    def _on_grid(self) -> tuple[Array, Array, Array]:
        """Nodes, their masses, and those less the uniform part, for the moments of the measure."""
        model = self.interaction
        assert self.moments is not None and model.harmonics is not None
        degree = model.harmonics.degree
        grid = model.manifold.grid(degree, _grid_size(model.manifold, degree))
        whole = grid.weights * grid.synthesise(self.moments)
        return grid.points, whole, whole - self.moments[0] * grid.weights

    def _masses(self, head: HeadMatrices) -> tuple[Array, Array]:
        if self.moments is None:
            return self._sources
        points, whole, apart = self._on_grid
        return points, apart if head.rests else whole

    def _series(self, head: HeadMatrices) -> tuple[SphereForm, SphereForm] | None:
        """Those of s and of its antiderivative, where they are made."""
        model = self.interaction
        if self.moments is None or not isinstance(model.manifold, S2):
            return None
        assert model.harmonics is not None
        degree = model.harmonics.degree - BEYOND
        if not has_logistic_series(head, degree, model.lasting):
            return None
        return logistic_heads(head, self.bias, degree)

    def _apart(self, head: HeadMatrices) -> Array:
        """Moments less the uniform part, where the head is at rest under that."""
        assert self.moments is not None
        out = self.moments.copy()
        if head.rests:
            out[0] = 0.0
        return out

    # ------------------------------------------------------------------ heads

    def heads_flow(
        self, of: tuple[int, ...], at: Located, order: int, scaled: bool, seen: DarkPoints | None
    ) -> Flow:
        """See ``CompositeField``. Collective for direct sums."""
        model = self.interaction
        velocity, divergence = np.zeros(at.points.shape), np.zeros(len(at.points))
        series = {k: made for k in of if (made := self._series(model.heads[k])) is not None}
        found = [self._by_series({k: slope for k, (slope, _) in series.items()}, at, order)]
        for k in of:
            if k not in series:
                sums = logistic_sums(
                    model.heads[k], self.bias, at.points, *self._masses(model.heads[k]), order,
                    model.manifold,
                )  # fmt: skip
                assert sums.flow is not None
                found.append(Flow(sums.flow, sums.divergence))
        for one in found:
            velocity += one.velocity
            if order > 1:
                assert one.divergence is not None
                divergence += one.divergence
        return Flow(velocity, divergence if order > 1 else None)

    def _by_series(self, series: dict[int, SphereForm], at: Located, order: int) -> Flow:
        """Heads summed as coefficients: one synthesis for all."""
        if not series:
            return Flow(np.zeros(at.points.shape), np.zeros(len(at.points)))
        model = self.interaction
        assert model.harmonics is not None
        of, degree = model.harmonics.degree, model.harmonics.degree - BEYOND
        flow = np.zeros((3, (degree + 1) ** 2))
        for k, one in series.items():
            flow += one.flow(self._apart(model.heads[k]), of)[1]
        phi, psi, bend = tangential(flow, degree)
        transforms = model.manifold.harmonics(degree + 1, model.epsilon)
        velocity = transforms.tangent(phi, psi, at)  # type: ignore[attr-defined]  # on S^2
        return Flow(velocity, transforms.values(bend, at) if order > 1 else None)

    def head_potential(self, k: int, at: Located, seen: DarkPoints | None) -> Array:
        """c int log(1 + e^{<A x, y> + b}) dmu, up to a constant."""
        head = self.interaction.heads[k]
        assert head.gradient_factor is not None
        return head.gradient_factor * self._value(head, at)

    def _value(self, head: HeadMatrices, at: Located) -> Array:
        """int log(1 + e^{<A x, y> + b}) dmu, less that of the uniform part at rest."""
        model, series = self.interaction, self._series(head)
        if series is None:
            sums = logistic_sums(head, self.bias, at.points, *self._masses(head), 0, model.manifold)
            assert sums.z is not None
            return sums.z
        assert model.harmonics is not None
        c = series[1].applied(self._apart(head), model.harmonics.degree)
        return model.manifold.harmonics(series[1].degree, model.epsilon).values(c, at)

    # ------------------------------------------------------------------ energies

    def _pairs(self, x: Array, left: Array, y: Array, right: Array) -> float:
        """sum_h c_h/2 iint log(1 + e^{<x, A_h y> + b}) of two measures."""
        total = 0.0
        for head in self.interaction.heads:
            factor = 0.5 * (head.gradient_factor or 0.0)
            if factor != 0.0:
                sums = logistic_sums(head, self.bias, x, y, right, 0, self.interaction.manifold)
                assert sums.z is not None
                total += factor * float(np.dot(left, sums.z))
        return total

    def _of_moments(self, left: Array, right: Array) -> float:
        """The same of two measures by their moments."""
        model, total = self.interaction, 0.0
        assert model.harmonics is not None
        degrees, size = model.harmonics.degrees, _grid_size(model.manifold, model.harmonics.degree)
        for head in model.heads:
            factor, series = 0.5 * (head.gradient_factor or 0.0), self._series(head)
            if factor == 0.0:
                continue
            if series is not None:
                c = series[1].applied(right, model.harmonics.degree)
                total += factor * float(c @ left[degrees <= series[1].degree])
                continue
            grid = model.manifold.grid(model.harmonics.degree, size)
            one, two = (grid.weights * grid.synthesise(of) for of in (left, right))
            sums = logistic_sums(head, self.bias, grid.points, grid.points, two, 0, model.manifold)
            assert sums.z is not None
            total += factor * float(np.dot(one, sums.z))
        return total

    @cached_property
    def _excess(self) -> float:
        """E less that of the uniform measure, without cancellation: see ``energies``."""
        assert self.moments is not None
        apart, twice = self.moments.copy(), self.moments.copy()
        apart[0], twice[0] = 0.0, 2.0 * twice[0]
        return self._of_moments(apart, twice)

    def heads_excess(self) -> float:
        return math.nan if self.moments is None else self._excess

    @cached_property
    def _energy(self) -> float:
        if self.moments is not None:
            return self._excess + self._uniform_energy() * float(self.moments[0]) ** 2
        x = plain(self.measure.points)
        return self._over_ranks(self._pairs(x, self.measure.weights, *self._sources))

    def _uniform_energy(self) -> float:
        """That of the uniform measure of mass one; kept as long as the model is."""
        model = self.interaction
        if model not in _UNIFORM:
            assert model.harmonics is not None
            uniform = model.harmonics.uniform()
            _UNIFORM[model] = self._of_moments(uniform, uniform)
        return _UNIFORM[model]

    def heads_energy(self) -> float:
        """sum_h c_h/2 iint log(1 + e^{<x, A_h y> + b}) dmu dmu. Collective for direct sums."""
        return self._energy

    def own_energy(self) -> float:
        x, total = self.interaction.manifold.embed(plain(self.measure.points)), 0.0
        for head in self.interaction.heads:
            inner = np.einsum("ni,ij,nj->n", x, head.A, x)
            values = softplus(inner + self.bias)
            total += 0.5 * (head.gradient_factor or 0.0) * float(self.measure.weights @ values)
        return total

    def energy_bound(self) -> float:
        heads = self.interaction.heads
        most = [float(softplus(np.array(head.size + self.bias))) for head in heads]
        factors = [abs(head.gradient_factor or 0.0) for head in heads]
        return self.mass * float(np.dot(factors, most))


@dataclass(frozen=True)
class Sigmoid(Kind):
    """Weights s(<A x, y> + b), not normalised.

    Attributes:
        bias: b, -1e3 to 1e3.
    """

    name: ClassVar[str] = "sigmoid"
    beyond: ClassVar[int] = BEYOND
    bias: float = 0.0

    def __post_init__(self) -> None:
        if not -1e3 <= self.bias <= 1e3:
            raise InputError(f"bias = {self.bias:g} found, -1e3 to 1e3 expected")

    def degree(self, head: HeadMatrices, d: int, tolerance: float = 1e-15) -> int:
        return logistic_degree(head.size, self.bias, tolerance)

    def cut(self, model: Heads) -> float:
        return max(1e-15, 1e-2 * model.relative)

    def is_gradient(self, head: HeadMatrices) -> bool:
        return head.gradient_factor is not None

    def pair_series(self, r: Array, degree: int, d: int) -> Array:
        """Of log(1 + e^{r t + b}), by Gauss's rule."""
        reach = logistic_degree(float(np.max(r, initial=0.0)), self.bias, 1e-16)
        half = 0.5 * (d - 3)
        t, weights = roots_jacobi(degree + reach + 8, half, half)
        values = softplus(np.multiply.outer(r, t) + self.bias)
        return np.asarray(values * (weights / weights.sum()) @ gegenbauer(t, d, degree).T)

    def rate(self, head: HeadMatrices, d: int) -> float:
        return head.strength * max(1.0, 0.25 * head.size)

    def field(
        self, model: Heads, measure: Measure, moments: Array | None, t: float,
        comm: Communicator | None,
    ) -> CompositeField:  # fmt: skip
        if model.harmonics is not None and model.harmonics.degree > _LARGEST:
            raise InputError(
                f"sigmoid attention with |A| = {model.size:.4g} found, which has harmonics up to "
                f"degree {model.harmonics.degree}: at most {_LARGEST} expected; take an accuracy "
                "that is less or, for tokens, direct sums"
            )
        return SigmoidField(self.bias, model, measure, moments, t, comm)

    def weights(self, model: Heads, degree: int) -> Array:
        """Of the size of the series of s."""
        rho = math.exp(math.log(4e15) / (logistic_degree(model.size, self.bias, 1e-15) - 1))
        return np.asarray(rho ** -np.arange(degree + 1.0))

    def energy_kind(self, model: Heads) -> EnergyKind | None:
        """ "gradient": all V = c A with A symmetric."""
        return "gradient" if all(head.has_energy for head in model.heads) else None

    def why_no_energy(self, model: Heads) -> str:
        return self.unlike(model)

    def convexity(self, model: Heads) -> Convexity:
        return "mixed" if model.acting else "positive"

    def dirac_energy(self, model: Heads) -> float:
        if len(model.heads) != 1 or model.drifts:
            return math.nan
        (head,) = model.heads
        factor = head.gradient_factor or 0.0
        low, high = float(head.eigenvalues[0]), float(head.eigenvalues[-1])
        if factor <= 0.0 or -low > high:
            return math.nan
        return 0.5 * factor * float(softplus(np.array(high + self.bias)))

    def describe(self) -> str:
        return self.name if self.bias == 0.0 else f"{self.name}, b = {self.bias:.4g}"
