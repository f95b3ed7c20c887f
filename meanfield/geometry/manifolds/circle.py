"""S^1: unit vectors in the plane, intervals."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, reduce
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
from meanfield.geometry.manifolds.transforms import Basis, Harmonics, Located, load_ducc0
from meanfield.geometry.sphere import Array
from meanfield.geometry.threads import in_parts

__all__ = ["S1", "CircleGrid", "CircleHarmonics", "CircleNodes", "turn"]


def turn(first: Array, last: Array) -> Array:
    """Angles in [0, 2 pi) from one angle on to another; cells may be wider than pi.

    Ends that have changed places by round-off are one place, not a whole turn apart.
    """
    found = (last - first) % (2.0 * math.pi)
    return np.where(found > 2.0 * math.pi - 1e-9, 0.0, found)


class S1(Manifold):
    """S^1: unit vectors (n, 2), intervals counterclockwise."""

    name: ClassVar[str] = "circle"
    dimension: ClassVar[int] = 1
    only_d: ClassVar[int | None] = 2
    closed: ClassVar[bool] = True
    few: ClassVar[int] = 400
    most_degree: ClassVar[int] = 2048

    def in_space(self, points: Array) -> Array:
        return np.column_stack([points, np.zeros(len(points))])

    def from_space(self, x: Array, beside: Callable[[str], Array]) -> Array:
        return x[:, :2]

    def vectors_in_space(self, points: Array, vectors: Array) -> Array:
        return self.in_space(vectors) if vectors.shape[1] == 2 else vectors

    def angles(self, points: Array) -> Array:
        return np.arctan2(points[:, 1], points[:, 0])

    def uniform_per_radian(self, points: Array) -> Array:
        return np.full(len(points), 1.0 / (2.0 * math.pi))

    def evenly(self, cells: int) -> Array:
        angle = np.linspace(-np.pi, np.pi, 2 * cells + 1)[:-1]
        return np.stack([np.cos(angle), np.sin(angle)], axis=1)

    def _in_frame(self, x: Array, v: Array) -> Array:
        along = np.column_stack([-x[:, 1], x[:, 0]])
        return np.column_stack([np.sum(v * along, axis=1), np.zeros(len(x))])

    def edge_weights(self, points: Array, cells: IntArray) -> tuple[IntArray, Array, Array]:
        h = np.linalg.norm(points[cells[:, 1]] - points[cells[:, 0]], axis=1)
        w = bincounted(cells, np.stack([h, h], axis=1) / 2.0, len(points))
        edges, order = interval_edges(cells)
        return edges, np.reciprocal(h)[order], w

    def shares(self, points: Array, cells: IntArray) -> Array:
        angle = self.angles(points)
        return turn(angle[cells[:, 0]], angle[cells[:, 1]]) / (2.0 * math.pi)

    def harmonics(self, degree: int, epsilon: float = 1e-13) -> Harmonics:
        return CircleHarmonics(degree, epsilon)

    def grid(self, degree: int, size: int) -> Grid:
        return CircleGrid(degree, size)


# ------------------------------------------------------------------ transforms


@dataclass(frozen=True)
class _Circular(Basis):
    """The functions of both transforms: 1, sqrt2 cos(phi), sqrt2 sin(phi), sqrt2 cos(2 phi), ..."""

    @property
    def d(self) -> int:
        return 2

    @cached_property
    def degrees(self) -> NDArray[np.int64]:
        return np.concatenate([[0], np.repeat(np.arange(1, self.degree + 1), 2)])


@dataclass(frozen=True)
class CircleHarmonics(_Circular, Harmonics):
    """Fourier modes at any points, by ``ducc0.nufft``."""

    def locate(self, points: Array) -> Located:
        x = np.asarray(points, dtype=np.float64)
        if x.ndim != 2 or x.shape[1] != 2:
            raise InputError(f"points of shape {x.shape} found, (n, 2) unit vectors expected")
        return Located(x, np.arctan2(x[:, 1], x[:, 0]))

    def moments(self, points: Array | Located, weights: Array) -> Array:
        at = self._located(points)
        n = at.angles.size
        if n == 0:
            return np.zeros(self.degrees.size)
        masses = np.ascontiguousarray(weights, dtype=np.float64).astype(np.complex128)

        def part(nodes: slice) -> NDArray[np.complex128]:
            return load_ducc0().nufft.nu2u(
                points=masses[nodes],
                coord=at.angles[nodes].reshape(-1, 1),
                out=np.zeros(2 * self.degree + 1, dtype=np.complex128),
                forward=True,
                epsilon=self.epsilon,
                nthreads=1,
                fft_order=False,
            )

        modes = reduce(np.add, in_parts(n, part))
        positive = modes[self.degree + 1 :]
        out = np.empty(self.degrees.size)
        out[0] = modes[self.degree].real
        out[1::2] = np.sqrt(2.0) * positive.real
        out[2::2] = -np.sqrt(2.0) * positive.imag
        return out

    def _synthesise(self, coefficients: Array, at: Located) -> Array:
        n = at.angles.size
        if n == 0:
            return np.zeros(0)
        modes = np.zeros(2 * self.degree + 1, dtype=np.complex128)
        modes[self.degree] = coefficients[0]
        half = np.sqrt(0.5) * (coefficients[1::2] - 1j * coefficients[2::2])
        modes[self.degree + 1 :] = half
        modes[: self.degree] = np.conj(half[::-1])

        def part(nodes: slice) -> Array:
            values = load_ducc0().nufft.u2nu(
                grid=modes,
                coord=at.angles[nodes].reshape(-1, 1),
                forward=False,
                epsilon=self.epsilon,
                nthreads=1,
                fft_order=False,
            )
            return np.asarray(values.real)

        return np.concatenate(in_parts(n, part))

    def values(self, coefficients: Array, points: Array | Located) -> Array:
        return self._synthesise(coefficients, self._located(points))

    def gradient(self, coefficients: Array, points: Array | Located) -> Array:
        at = self._located(points)
        k = self.degrees[1::2]
        derivative = np.zeros_like(coefficients)
        derivative[1::2] = k * coefficients[2::2]
        derivative[2::2] = -k * coefficients[1::2]
        slope = self._synthesise(derivative, at)
        return slope[:, None] * np.column_stack([-np.sin(at.angles), np.cos(at.angles)])

    def moment_rates(self, points: Array | Located, flows: Array) -> Array:
        at = self._located(points)
        speed = np.cos(at.angles) * flows[:, 1] - np.sin(at.angles) * flows[:, 0]
        along, k = self.moments(at, speed), self.degrees[1::2]
        out = np.zeros_like(along)
        out[1::2], out[2::2] = -k * along[2::2], k * along[1::2]
        return out

    def hessian(self, coefficients: Array, points: Array | Located) -> Array:
        at = self._located(points)
        bend = self._synthesise(self.laplacian_coefficients(coefficients), at)
        along = np.column_stack([-np.sin(at.angles), np.cos(at.angles)])
        return bend[:, None, None] * along[:, :, None] * along[:, None, :]


@dataclass(frozen=True)
class CircleGrid(_Circular, MatrixGrid):
    """Equally spaced nodes."""

    most_size: ClassVar[int] = 8192
    span: ClassVar[float] = 2.0 * math.pi
    closed: ClassVar[bool] = True

    @property
    def manifold(self) -> S1:
        return S1(2)

    @cached_property
    def _angles(self) -> Array:
        return 2.0 * np.pi * np.arange(self.size) / self.size

    @cached_property
    def weights(self) -> Array:
        return np.full(self.size, 1.0 / self.size)

    @cached_property
    def points(self) -> Array:
        return np.column_stack([np.cos(self._angles), np.sin(self._angles)])

    @cached_property
    def functions(self) -> tuple[Array, Array]:
        k = np.arange(1.0, self.degree + 1)[:, None]
        cosine, sine = (
            math.sqrt(2.0) * np.cos(k * self._angles),
            math.sqrt(2.0) * np.sin(k * self._angles),
        )
        f, df = np.zeros((2, 2 * self.degree + 1, self._angles.size))
        f[0] = 1.0
        f[1::2], f[2::2] = cosine, sine
        df[1::2], df[2::2] = -k * sine, k * cosine
        return f, df

    def in_frame(self, vectors: Array) -> Array:
        x = self.points
        return np.asarray(x[:, 0] * vectors[:, 1] - x[:, 1] * vectors[:, 0])[None]

    def generators(self, gradient: Array) -> Array:
        return gradient

    def resized(self, degree: int, size: int) -> CircleGrid:
        return CircleGrid(degree, size)

    def at_angles(self, angles: Array, lengths: Array) -> CircleNodes:
        return CircleNodes(self.degree, self.size, angles=angles, lengths=lengths)


@dataclass(frozen=True, eq=False)
class CircleNodes(CircleGrid):
    """The same at other nodes: ``angles`` (n,), ``lengths`` (n,) their weights in the angle."""

    angles: Array = field(kw_only=True)
    lengths: Array = field(kw_only=True)

    @property
    def _angles(self) -> Array:
        return self.angles

    @cached_property
    def weights(self) -> Array:
        return self.lengths / (2.0 * math.pi)
