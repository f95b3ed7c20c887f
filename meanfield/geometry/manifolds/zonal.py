"""Measures on S^{d-1} that are symmetric about e_d, by their colatitude theta."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from meanfield.errors import InputError
from meanfield.geometry.manifolds.base import (
    Grid,
    IntArray,
    Manifold,
    MatrixGrid,
    bincounted,
    interval_edges,
)
from meanfield.geometry.manifolds.transforms import Basis, Harmonics, Located
from meanfield.geometry.points import zonal_angles
from meanfield.geometry.polynomials import gauss_gegenbauer, gegenbauer, zonal_functions
from meanfield.geometry.sphere import Array, colatitude, harmonic_dimension, log_area

__all__ = ["Latitudes", "ZonalGrid", "ZonalHarmonics", "ZonalNodes", "half_masses"]


def half_masses(left: Array, right: Array, d: int) -> Array:
    """Integrals of sin^{d-2} over both halves of intervals of theta, (m, 2).

    Args:
        left, right: (m,) ends in [0, pi], left < right.
        d: ambient dimension.
    """
    h = 0.5 * (right - left)[:, None]
    # At a pole the integrand is theta^{d-2} times a series in theta^2: d/2 nodes for the power, ten
    # more for the series, over intervals up to pi/2 or so.
    node, weight = np.polynomial.legendre.leggauss(d // 2 + 10)
    s = 0.5 * (1.0 + node)
    halves = [np.sin(start[:, None] + h * s) for start in (left, left + h[:, 0])]
    return np.stack([(half ** (d - 2) * h) @ (0.5 * weight) for half in halves], axis=1)


class Latitudes(Manifold):
    """Angles theta in [0, pi] from e_d, (n, 1), any d >= 2; a point is a circle of latitude."""

    name: ClassVar[str] = "zonal"
    dimension: ClassVar[int] = 1
    latitudes: ClassVar[bool] = True
    few: ClassVar[int] = 8
    most_degree: ClassVar[int] = 512

    @property
    def gdim(self) -> int:
        return 1

    def embed(self, points: Array) -> Array:
        """The meridian (sin theta, 0, ..., 0, cos theta)."""
        x = np.zeros((points.shape[0], self.d))
        x[:, 0] = np.sin(points[:, 0])
        x[:, -1] = np.cos(points[:, 0])
        return x

    def coordinates(self, x: Array) -> Array:
        return colatitude(x)[:, None]

    @property
    def moments(self) -> int:
        return 1

    def moments_of(self, points: Array) -> Array:
        """The last coordinate alone."""
        return np.cos(points)

    def normalised(self, points: Array) -> Array:
        return points

    def checked(self, points: object, name: str = "points") -> Array:
        return zonal_angles(points, name)

    def tangential(self, x: Array, vectors: Array) -> Array:
        """Along the meridian already, (n, 1)."""
        return vectors

    def in_space(self, points: Array) -> Array:
        theta = points[:, 0]
        return np.stack([np.sin(theta), np.zeros_like(theta), np.cos(theta)], axis=1)

    def from_space(self, x: Array, beside: Callable[[str], Array]) -> Array:
        return beside("theta")[:, None]

    def beside_space(self, points: Array) -> Mapping[str, Array]:
        return {"theta": points[:, 0]}

    def vectors_in_space(self, points: Array, vectors: Array) -> Array:
        """From the speed along the meridian, (n, 1)."""
        if vectors.shape[1] != 1:
            return vectors
        theta = points[:, 0]
        along = np.stack([np.cos(theta), np.zeros_like(theta), -np.sin(theta)], axis=1)
        return np.asarray(vectors * along)

    def angles(self, points: Array) -> Array:
        return points[:, 0]

    def uniform_per_radian(self, points: Array) -> Array:
        return np.asarray(np.sin(points[:, 0]) ** (self.d - 2) / self.total)

    def evenly(self, cells: int) -> Array:
        return np.linspace(0.0, np.pi, cells + 1)[:, None]

    def lift(self, points: Array) -> Array:
        """(sin theta, cos theta)."""
        theta = points[:, 0]
        x = np.stack([np.sin(theta), np.cos(theta)], axis=1)
        x[theta == math.pi, 0] = 0.0  # not 1e-16
        return x

    def settle(self, x: Array) -> Array:
        """theta in [0, pi]; beyond a pole folded back."""
        return np.arctan2(np.abs(x[:, 0]), x[:, 1])[:, None]

    def lifted_velocity(self, x: Array, velocity: Array) -> Array:
        # theta grows along (cos, -sin); beyond the pole it falls. At a pole it rests: sin(pi) is
        # 1e-16, from which a point would leave a repelling pole after t = 80 or so.
        speed = velocity[:, 0] * np.sign(x[:, 0])
        return speed[:, None] * np.stack([x[:, 1], -x[:, 0]], axis=1)

    def settled_velocity(self, points: Array, velocity: Array) -> Array:
        """Along (cos theta, -sin theta) in the half plane: its speed, (n, 1)."""
        theta = points[:, 0]
        along = np.stack([np.cos(theta), -np.sin(theta)], axis=1)
        return np.asarray(np.sum(velocity * along, axis=1, keepdims=True))

    def components(self, points: Array, vectors: Array) -> Array:
        """d theta/dt, (n, 1), of vectors at the meridian ``embed``."""
        theta = points[:, :1]
        return np.cos(theta) * vectors[:, :1] - np.sin(theta) * vectors[:, -1:]

    def tangents(self, x: Array, y: Array) -> Array:
        return np.column_stack([y[:, 0] - x[:, 0], np.zeros(len(x))])

    @property
    def log_factor(self) -> float:
        return log_area(self.d - 1)

    @property
    def total(self) -> float:
        return super().total if self.d > 2 else math.pi

    def edge_weights(self, points: Array, cells: IntArray) -> tuple[IntArray, Array, Array]:
        theta = points[cells, 0]
        left, right = theta[:, 0], theta[:, 1]
        c = np.sin(0.5 * (left + right)) ** (self.d - 2) / (right - left)
        parts = half_masses(left, right, self.d)
        if np.any(parts < 1e-290):
            raise InputError(
                f"the weight sin^{self.d - 2}(theta) underflows at the poles of this zonal mesh "
                f"({len(points)} vertices, first interval {right[0] - left[0]:.3g}): choose fewer "
                "vertices, a smaller d, or angles theta with wider intervals at the poles"
            )
        edges, order = interval_edges(cells)
        return edges, c[order], bincounted(cells, parts, len(points))

    def shares(self, points: Array, cells: IntArray) -> Array:
        ends = np.sort(points[cells, 0], axis=1)
        return half_masses(ends[:, 0], ends[:, 1], self.d).sum(axis=1) / self.total

    def harmonics(self, degree: int, epsilon: float = 1e-13) -> Harmonics:
        with np.errstate(over="ignore"):
            if not np.isfinite(harmonic_dimension(degree, self.d)[-1]):
                raise InputError(
                    f"d = {self.d} with harmonics up to degree {degree} found: their number is "
                    "beyond 1e308; take a smaller d or a smoother interaction"
                )
        return ZonalHarmonics(degree, epsilon, dimension=self.d)

    def grid(self, degree: int, size: int) -> Grid:
        return ZonalGrid(degree, size, self.d)


# ------------------------------------------------------------------ transforms


@dataclass(frozen=True)
class _AxiallySymmetric(Basis):
    """The functions of both transforms: one of each degree."""

    dimension: int = 3

    @property
    def d(self) -> int:
        return self.dimension

    @cached_property
    def degrees(self) -> NDArray[np.int64]:
        return np.arange(self.degree + 1)


@dataclass(frozen=True)
class ZonalHarmonics(_AxiallySymmetric, Harmonics):
    """Axially symmetric harmonics sqrt(dim H_l) P_l(cos theta) on S^{d-1}, any d >= 2.

    P_l is the Gegenbauer polynomial with P_l(1) = 1 (Legendre for d = 3, Chebyshev for d = 2).
    Points are colatitudes theta, (n, 1). A measure is the law of theta, whose axially symmetric
    spread over S^{d-1} is what interacts.
    """

    @cached_property
    def _root_dimension(self) -> Array:
        return np.sqrt(harmonic_dimension(self.degree, self.d))

    def locate(self, points: Array) -> Located:
        x = np.asarray(points, dtype=np.float64)
        if x.ndim != 2 or x.shape[1] != 1:
            raise InputError(f"points of shape {x.shape} found, (n, 1) angles theta expected")
        return Located(x, x[:, 0].copy())

    def moments(self, points: Array | Located, weights: Array) -> Array:
        at = self._located(points)
        return self._root_dimension * (gegenbauer(np.cos(at.angles), self.d, self.degree) @ weights)

    def values(self, coefficients: Array, points: Array | Located) -> Array:
        at = self._located(points)
        p = gegenbauer(np.cos(at.angles), self.d, self.degree)
        return (coefficients * self._root_dimension) @ p

    def gradient(self, coefficients: Array, points: Array | Located) -> Array:
        at = self._located(points)
        if self.degree == 0:
            return np.zeros((at.angles.size, 1))
        # P_l' = l(l+d-2)/(d-1) times the polynomial of degree l-1 in dimension d+2.
        p = gegenbauer(np.cos(at.angles), self.d + 2, self.degree - 1)
        l = self.degrees[1:]
        c = (coefficients * self._root_dimension)[1:] * (l * (l + self.d - 2) / (self.d - 1))
        return (-np.sin(at.angles) * (c @ p))[:, None]

    def moment_rates(self, points: Array | Located, flows: Array) -> Array:
        at = self._located(points)
        out = np.zeros(self.degree + 1)
        if self.degree > 0:
            p = gegenbauer(np.cos(at.angles), self.d + 2, self.degree - 1)
            l = self.degrees[1:]
            c = self._root_dimension[1:] * (l * (l + self.d - 2) / (self.d - 1))
            out[1:] = c * (p @ (-np.sin(at.angles) * flows[:, 0]))
        return out


@dataclass(frozen=True)
class ZonalGrid(_AxiallySymmetric, MatrixGrid):
    """Axially symmetric functions on S^{d-1}, any d >= 2: Gauss-Gegenbauer nodes in cos(theta)."""

    most_size: ClassVar[int] = 4096
    span: ClassVar[float] = math.pi

    @property
    def manifold(self) -> Latitudes:
        return Latitudes(self.dimension)

    @property
    def cosines(self) -> Array:
        """(n,) cos(theta); of a grid's own nodes descending."""
        return gauss_gegenbauer(self.dimension, self.size)[0]

    @property
    def weights(self) -> Array:
        return gauss_gegenbauer(self.dimension, self.size)[1]

    @cached_property
    def points(self) -> Array:
        return np.arccos(self.cosines)[:, None]

    @cached_property
    def functions(self) -> tuple[Array, Array]:
        return zonal_functions(self.dimension, 0, self.degree, self.cosines)

    def in_frame(self, vectors: Array) -> Array:
        return np.asarray(self.manifold.components(self.points, vectors).T)

    def generators(self, gradient: Array) -> Array:
        return np.zeros((0, gradient.shape[-1]))  # the axis is fixed

    def resized(self, degree: int, size: int) -> ZonalGrid:
        return ZonalGrid(degree, size, self.dimension)

    def at_angles(self, angles: Array, lengths: Array) -> ZonalNodes:
        return ZonalNodes(self.degree, self.size, self.dimension, angles=angles, lengths=lengths)


@dataclass(frozen=True, eq=False)
class ZonalNodes(ZonalGrid):
    """The same at other nodes: ``angles`` theta (n,), ``lengths`` (n,) their weights in theta."""

    angles: Array = field(kw_only=True)
    lengths: Array = field(kw_only=True)

    @cached_property
    def cosines(self) -> Array:
        return np.cos(self.angles)

    @cached_property
    def weights(self) -> Array:
        d = self.dimension
        half = math.exp(math.lgamma(0.5 * d) - math.lgamma(0.5 * (d - 1))) / math.sqrt(math.pi)
        return half * np.sin(self.angles) ** (d - 2) * self.lengths

    @cached_property
    def points(self) -> Array:
        return self.angles[:, None]
