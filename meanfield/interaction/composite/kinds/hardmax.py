"""Hardmax attention: softmax at beta = inf. Two fields, and which one is used where:

* tokens, by direct sums: X = sum_h P_x V_h y*, y* the maximiser of <A_h x, y> over the tokens
  (several, to a relative 1e-12 of |A_h x|: their mean). Constant but for jumps: explicit steps go
  through these with short steps;
* densities, which are positive everywhere, by "harmonics": the maximiser over the sphere is
  A_h x/|A_h x|: X = sum_h P_x V_h A_h x/|A_h x|, 0 where A_h x = 0, whatever the density. A head
  with V = c A^T is the gradient of c |A x|.

Softmax differs from both by a term of order 1/beta. Source: arXiv 2312.10794, limit of (2.7).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numba as nb
import numpy as np

from meanfield.collective import Communicator
from meanfield.errors import InputError
from meanfield.geometry.manifolds import Located
from meanfield.geometry.sphere import Array, tangent_project
from meanfield.interaction.composite.axial import axial
from meanfield.interaction.composite.field import CompositeField, Flow
from meanfield.interaction.composite.kind import Kind
from meanfield.interaction.composite.matrices import HeadMatrices
from meanfield.interaction.composite.model import Heads
from meanfield.interaction.composite.sums import tangential_divergence
from meanfield.interaction.contract import DarkPoints
from meanfield.interaction.measure import Measure

__all__ = ["Hardmax"]

_TIE = 1e-12  # of |A x|
_MOST = 1e3  # condition of A that rates are told by
_PAIRS = 1 << 20  # of colatitudes at a time


class HardmaxField(CompositeField):
    """Heads that follow the maximiser alone."""

    def is_gradient(self, head: HeadMatrices) -> bool:
        return self.moments is not None and head.gradient_factor is not None

    def heads_flow(
        self, of: tuple[int, ...], at: Located, order: int, scaled: bool, seen: DarkPoints | None
    ) -> Flow:
        """See ``CompositeField``. Collective."""
        velocity, divergence = np.zeros(at.points.shape), np.zeros(len(at.points))
        for k in of:
            head = self.interaction.heads[k]
            found = self._of_support(head, at) if self.moments is None else self._limit(head, at)
            velocity += found.velocity
            assert found.divergence is not None
            divergence += found.divergence
        return Flow(velocity, divergence if order > 1 else None)

    # ------------------------------------------------------------------ densities

    def _limit(self, head: HeadMatrices, at: Located) -> Flow:
        on = self.interaction.manifold
        x = on.embed(at.points)
        if head.rests:
            return Flow(np.zeros(at.points.shape), np.zeros(len(x)))
        w, inverse = self._images(head, x)
        image = w @ head.V.T
        vector = image * inverse[:, None]
        # The derivative of V A x/|A x| in R^d: V A/|A x| - V A x (A^T A x)^T/|A x|^3.
        back = w @ head.A
        product = head.V @ head.A
        trace = np.trace(product) - np.einsum("ij,ij->i", image, back) * inverse**2
        inner = np.einsum("ij,ij->i", x, image)
        bend = inner * (1.0 - np.einsum("ij,ij->i", x, back) * inverse**2)
        divergence = tangential_divergence(x, vector, trace * inverse, bend * inverse)
        return Flow(on.components(at.points, vector), np.where(inverse > 0.0, divergence, 0.0))

    def _images(self, head: HeadMatrices, x: Array) -> tuple[Array, Array]:
        """A x, and 1/|A x|, which is 0 where that is 0 to round-off."""
        w = x @ head.A.T
        r = np.linalg.norm(w, axis=1)
        seen = r > 1e-15 * head.size
        return w, np.divide(1.0, r, out=np.zeros_like(r), where=seen)

    def along_edges(self, points: Located, seen: DarkPoints | None = None) -> Array:
        """See ``AnyField``.

        Raises:
            InputError: by direct sums, which are those of tokens.
        """
        if self.moments is None and self.interaction.heads:
            raise InputError(
                "method 'direct' found for a density under hardmax attention, 'harmonics' expected"
            )
        return super().along_edges(points, seen)

    def head_potential(self, k: int, at: Located, seen: DarkPoints | None) -> Array:
        """c |A x|, less its value at rest."""
        head = self.interaction.heads[k]
        assert head.gradient_factor is not None
        if head.rests:
            return np.zeros(len(at.points))
        x = self.interaction.manifold.embed(at.points)
        return np.asarray(head.gradient_factor * np.linalg.norm(x @ head.A.T, axis=1))

    # ------------------------------------------------------------------ tokens

    def _of_support(self, head: HeadMatrices, at: Located) -> Flow:
        y, m = self._sources
        kept = np.flatnonzero(m)
        y, m = y[kept], np.ascontiguousarray(m[kept])
        if self.interaction.manifold.latitudes:
            return _on_latitudes(head, at.points[:, 0], y[:, 0], m)
        x = at.points
        w = np.ascontiguousarray(x @ head.A.T)
        best = np.zeros_like(w)
        _maximisers(w, np.ascontiguousarray(y, dtype=np.float64), m, best)
        vector = best @ head.V.T
        nothing = np.zeros(len(x))
        return Flow(tangent_project(x, vector), tangential_divergence(x, vector, nothing, nothing))


def _on_latitudes(head: HeadMatrices, theta: Array, y: Array, m: Array) -> Flow:
    """Masses on circles of latitude: each has its maximiser on the meridian of A x."""
    a, c, v, w = axial(head, "head")
    d, sines, cosines = head.d, np.sin(y), np.cos(y)
    across, along = np.zeros(theta.size), np.zeros(theta.size)
    rows = max(1, _PAIRS // max(y.size, 1))
    for start in range(0, theta.size, rows):
        at = slice(start, start + rows)
        x, z = a * np.sin(theta[at]), c * np.cos(theta[at])
        value = np.abs(x)[:, None] * sines + z[:, None] * cosines
        top = value.max(axis=1, keepdims=True)
        share = m * (value >= top - _TIE * np.hypot(x, z)[:, None])
        total = share.sum(axis=1)
        across[at], along[at] = np.sign(x) * (share @ sines) / total, share @ cosines / total
    s, k = np.sin(theta), np.cos(theta)
    flow = v * across * k - w * along * s
    turned = np.divide(flow * k, s, out=np.zeros_like(s), where=s > 0.0)
    divergence = -v * across * s - w * along * k + (d - 2) * turned
    return Flow(flow[:, None], divergence)


# Sums over the maximisers, in their order.
@nb.njit(parallel=True, cache=True)
def _maximisers(w: Array, y: Array, m: Array, best: Array) -> None:
    n, d = w.shape
    for i in nb.prange(n):
        values = np.empty(m.size)
        top, square = -np.inf, 0.0
        for k in range(d):
            square += w[i, k] * w[i, k]
        for j in range(m.size):
            t = 0.0
            for k in range(d):
                t += w[i, k] * y[j, k]
            values[j] = t
            top = max(top, t)
        level = top - _TIE * np.sqrt(square)
        total = 0.0
        for j in range(m.size):
            if values[j] >= level:
                total += m[j]
                for k in range(d):
                    best[i, k] += m[j] * y[j, k]
        for k in range(d):
            best[i, k] /= total


@dataclass(frozen=True)
class Hardmax(Kind):
    """All weight on the maximisers of <A x, y>."""

    name: ClassVar[str] = "hardmax"
    needs_beta: ClassVar[bool] = False
    series_ends: ClassVar[bool] = False  # of tokens, whose field is another one
    compiled_sums: ClassVar[bool] = False  # of densities

    def degree(self, head: HeadMatrices, d: int, tolerance: float = 1e-15) -> int:
        return 2

    def is_gradient(self, head: HeadMatrices) -> bool:
        return head.gradient_factor is not None

    def rate(self, head: HeadMatrices, d: int) -> float:
        least = float(np.abs(head.frames.sizes).min())
        return head.strength * (min(head.size / least, _MOST) if least > 0.0 else _MOST)

    def average(self, head: HeadMatrices, d: int) -> float:
        return super().average(head, d) / max(head.size, 1e-300)

    def field(
        self, model: Heads, measure: Measure, moments: Array | None, t: float,
        comm: Communicator | None,
    ) -> CompositeField:  # fmt: skip
        return HardmaxField(model, measure, moments, t, comm)

    def sharpness(self, model: Heads) -> float:
        """2: tokens and densities narrow to no width of its own."""
        return 2.0
