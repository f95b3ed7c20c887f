"""Linear attention: X = sum_h P_x V_h M A_h x with M = int y y^T dmu, weights <A_h x, y>.

Nothing is normalised, and second moments are all that it takes of a measure: it is exact in any
dimension and on any geometry. A head with V = c A^T is the gradient of c <A x, M A x>/2. Where A is
symmetric or skew, E = (c/4) iint <x, A y>^2 dmu dmu increases at the rate int |X|^2 dmu.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import ClassVar

import numpy as np

from meanfield.collective import Communicator, sum_over_ranks
from meanfield.geometry.manifolds import Located, Manifold
from meanfield.geometry.sphere import Array
from meanfield.interaction.composite.field import CompositeField, Flow
from meanfield.interaction.composite.kind import Kind
from meanfield.interaction.composite.matrices import HeadMatrices
from meanfield.interaction.composite.model import Heads
from meanfield.interaction.contract import DarkPoints, EnergyKind
from meanfield.interaction.drifts import LinearDrift
from meanfield.interaction.expansion import Convexity
from meanfield.interaction.measure import Measure, plain

__all__ = ["LinearAttention"]

_DEGREE = 2  # of second moments


def _squares(on: Manifold, points: Array) -> Array:
    """(n, d, d) y y^T of points; its mean over the circle of latitude (zonal)."""
    y, d = on.embed(points), on.d
    if not on.latitudes:
        return np.asarray(np.einsum("ni,nj->nij", y, y))
    along = y[:, -1] ** 2
    out = np.zeros((len(y), d, d))
    across = np.arange(d - 1)
    out[:, across, across] = ((1.0 - along) / (d - 1))[:, None]
    out[:, -1, -1] = along
    return out


@lru_cache(maxsize=16)
def _of_harmonics(on: Manifold, degree: int) -> Array:
    """(n_coefficients, d, d) with M = sum_k a_k times it."""
    grid = on.grid(degree, 2 * degree + 6)
    squares = _squares(on, grid.points)
    columns = [grid.analyse(square) for square in squares.reshape(len(squares), -1).T]
    return np.stack(columns, axis=1).reshape(-1, on.d, on.d)


class LinearField(CompositeField):
    """Heads with the weights <A x, y>."""

    def is_gradient(self, head: HeadMatrices) -> bool:
        return head.gradient_factor is not None

    @cached_property
    def _apart(self) -> Array:
        """M less that of the uniform measure of the same mass, (d, d). Collective."""
        model = self.interaction
        on, d = model.manifold, model.d
        if self.moments is not None:
            assert model.harmonics is not None
            moments = self.moments.copy()
            moments[0] = 0.0
            return np.asarray(np.tensordot(moments, _of_harmonics(on, model.harmonics.degree), 1))
        weights = self.measure.weights
        local = np.einsum("n,nij->ij", weights, _squares(on, plain(self.measure.points)))
        second = sum_over_ranks(self._comm, local.ravel()).reshape(d, d)
        return np.asarray(second - self.mass / d * np.eye(d))

    def _second(self, head: HeadMatrices) -> Array:
        """M, or what of it moves tokens where the uniform measure does not."""
        if head.rests:
            return self._apart
        return self._apart + self.mass / head.d * np.eye(head.d)

    def heads_flow(
        self, of: tuple[int, ...], at: Located, order: int, scaled: bool, seen: DarkPoints | None
    ) -> Flow:
        """See ``CompositeField``. Collective."""
        on = self.interaction.manifold
        heads = [self.interaction.heads[k] for k in of]
        drift = LinearDrift(np.sum([h.V @ self._second(h) @ h.A for h in heads], axis=0))
        x = on.embed(at.points)
        velocity = on.components(at.points, drift.vector(x))
        return Flow(velocity, drift.divergence(x) if order > 1 else None)

    def head_potential(self, k: int, at: Located, seen: DarkPoints | None) -> Array:
        """c <A x, M A x>/2."""
        head = self.interaction.heads[k]
        assert head.gradient_factor is not None
        w = self.interaction.manifold.embed(at.points) @ head.A.T
        return np.asarray(
            0.5 * head.gradient_factor * np.einsum("ni,ij,nj->n", w, self._second(head), w)
        )

    # ------------------------------------------------------------------ energies

    def _summed(self, of: Callable[[Array], float]) -> float:
        """sum_h c_h/4 times a number of A_h."""
        return sum(0.25 * (h.gradient_factor or 0.0) * of(h.A) for h in self.interaction.heads)

    def heads_excess(self) -> float:
        """E less that of the uniform measure, without cancellation. Collective."""
        apart, share = self._apart, self.mass / self.interaction.d

        def excess(A: Array) -> float:
            linear = np.sum(apart * (A @ A.T + A.T @ A))
            return float(share * linear + np.sum(apart * (A @ apart @ A.T)))

        return self._summed(excess)

    def heads_energy(self) -> float:
        """sum_h c_h/4 iint <x, A_h y>^2 dmu dmu. Collective."""
        share = self.mass / self.interaction.d
        return self.heads_excess() + self._summed(lambda A: float(share**2 * np.sum(A * A)))

    def own_energy(self) -> float:
        x = self.interaction.manifold.embed(plain(self.measure.points))
        weights = self.measure.weights
        return self._summed(
            lambda A: float(np.dot(weights, np.einsum("ni,ij,nj->n", x, A, x) ** 2))
        )

    def energy_bound(self) -> float:
        heads = self.interaction.heads
        return self.mass * sum(0.5 * abs(h.gradient_factor or 0.0) * h.size**2 for h in heads)


@dataclass(frozen=True)
class LinearAttention(Kind):
    """Weights <A x, y>, not normalised."""

    name: ClassVar[str] = "linear"

    def degree(self, head: HeadMatrices, d: int, tolerance: float = 1e-15) -> int:
        return _DEGREE

    def is_gradient(self, head: HeadMatrices) -> bool:
        return head.gradient_factor is not None

    def pair_series(self, r: Array, degree: int, d: int) -> Array:
        """Of (r t)^2/2: degrees 0 and 2."""
        out = np.zeros((r.size, degree + 1))
        out[:, 0] = r * r / (2.0 * d)
        if degree >= _DEGREE:
            out[:, _DEGREE] = r * r / (d * (d + 2.0))
        return out

    def rate(self, head: HeadMatrices, d: int) -> float:
        return head.strength * head.size

    def field(
        self, model: Heads, measure: Measure, moments: Array | None, t: float,
        comm: Communicator | None,
    ) -> CompositeField:  # fmt: skip
        return LinearField(model, measure, moments, t, comm)

    def energy_kind(self, model: Heads) -> EnergyKind | None:
        """ "gradient": all V = c A^T with A symmetric or skew."""
        return None if self._odd(model) is not None else "gradient"

    def _odd(self, model: Heads) -> str | None:
        """Why there is no energy; None: there is."""
        for k in model.acting:
            head = model.heads[k]
            if head.gradient_factor is None:
                return f"V of heads[{k}] is no multiple of A^T"
            if not head.symmetric and not head.skew:
                return f"A of heads[{k}] is not symmetric"
        return None

    def why_no_energy(self, model: Heads) -> str:
        return self._odd(model) or ""

    def convexity(self, model: Heads) -> Convexity:
        """<x, A y>^2 is a positive kernel where the eigenvalues of A have one sign."""
        signs: set[Convexity] = set()
        for head in (model.heads[k] for k in model.acting):
            low, high = head.eigenvalues[0], head.eigenvalues[-1]
            noise = 1e-13 * head.size
            if head.skew or (low < -noise and high > noise):
                return "mixed"
            signs.add("positive" if (head.gradient_factor or 0.0) > 0.0 else "negative")
        return signs.pop() if len(signs) == 1 else "mixed" if signs else "positive"

    def dirac_energy(self, model: Heads) -> float:
        if len(model.heads) != 1 or model.drifts:
            return math.nan
        (head,) = model.heads
        factor = head.gradient_factor or 0.0
        return 0.25 * factor * head.size**2 if factor > 0.0 and head.symmetric else math.nan

    def sharpness(self, model: Heads) -> float:
        """2: a kernel of degree two narrows clusters to no width of its own."""
        return 2.0
