"""Quadrature grids with orthonormal harmonics on them: zonal S^{d-1}, S^1 and S^2.

Unlike ``attention.harmonics``, which transforms at any points, a grid has nodes of its own choice,
so that products of harmonics are integrated to round-off; there it gives matrices (zonal, circle)
or fast transforms (sphere). All is with respect to sigma, the uniform probability. Knows nothing of
beta, kappa and stationary states.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import ducc0
import numpy as np
from numpy.typing import NDArray

from meanfield.errors import InputError
from meanfield.geometry.polynomials import gauss_gegenbauer, zonal_functions
from meanfield.geometry.sphere import Array, embed

__all__ = [
    "CircleGrid",
    "Grid",
    "MatrixGrid",
    "SphereGrid",
    "ZonalGrid",
    "grid_for",
]


@dataclass(frozen=True)
class Grid(ABC):
    """Nodes, weights and harmonics of degree 0..``degree``, orthonormal in L^2(sigma).

    Attributes:
        degree: largest degree.
        size: resolution: nodes of theta (zonal, sphere) or of the circle.
    """

    degree: int
    size: int

    @property
    @abstractmethod
    def geometry(self) -> str:
        """Coordinates of ``points``: "zonal", "circle" or "sphere"."""

    @property
    @abstractmethod
    def d(self) -> int:
        """Dimension of the ambient space."""

    @property
    @abstractmethod
    def weights(self) -> Array:
        """(n,) quadrature weights for sigma, sum 1."""

    @property
    @abstractmethod
    def points(self) -> Array:
        """(n, gdim) nodes: colatitudes (zonal) or unit vectors."""

    @property
    @abstractmethod
    def degrees(self) -> NDArray[np.int64]:
        """(n_coefficients,) degree of each harmonic; the first one is the constant 1."""

    @abstractmethod
    def analyse(self, values: Array) -> Array:
        """int Y_k f dsigma from the values (n,) of f, (n_coefficients,)."""

    @abstractmethod
    def synthesise(self, coefficients: Array) -> Array:
        """sum_k c_k Y_k at the nodes, (n,)."""

    @abstractmethod
    def gradient(self, coefficients: Array) -> Array:
        """Components (k, n) of the surface gradient in an orthonormal frame at the nodes."""

    @abstractmethod
    def analyse_gradient(self, vectors: Array) -> Array:
        """int <grad Y_k, v> dsigma from components (k, n): the adjoint of ``gradient``."""

    @abstractmethod
    def generators(self, gradient: Array) -> Array:
        """Derivatives of a function with this gradient under the rotations, (rotations, n)."""

    @property
    def unit_vectors(self) -> Array:
        """(n, d) the nodes as unit vectors; zonal: one of each circle of latitude."""
        return embed(self.geometry, self.d, self.points)

    @abstractmethod
    def resized(self, degree: int, size: int) -> Grid:
        """The same geometry with another degree and size."""


@dataclass(frozen=True)
class MatrixGrid(Grid):
    """A grid whose harmonics are held as a matrix."""

    @property
    @abstractmethod
    def functions(self) -> tuple[Array, Array]:
        """Harmonics and their derivatives along the only direction, each (coefficients, n)."""

    def gram(self, values: Array) -> Array:
        """int Y_j f Y_k dsigma from the values (n,) of f, (coefficients, coefficients)."""
        f = self.functions[0]
        return np.asarray((f * (self.weights * values)) @ f.T)

    def analyse(self, values: Array) -> Array:
        return np.asarray(self.functions[0] @ (self.weights * values))

    def synthesise(self, coefficients: Array) -> Array:
        return np.asarray(coefficients @ self.functions[0])

    def gradient(self, coefficients: Array) -> Array:
        return np.asarray(coefficients @ self.functions[1])[None]

    def analyse_gradient(self, vectors: Array) -> Array:
        return np.asarray(self.functions[1] @ (self.weights * vectors[0]))


@dataclass(frozen=True)
class ZonalGrid(MatrixGrid):
    """Axially symmetric functions on S^{d-1}, any d >= 2: Gauss-Gegenbauer nodes in cos(theta)."""

    dimension: int = 3

    @property
    def geometry(self) -> str:
        return "zonal"

    @property
    def d(self) -> int:
        return self.dimension

    @property
    def cosines(self) -> Array:
        """(n,) cos(theta), descending."""
        return gauss_gegenbauer(self.dimension, self.size)[0]

    @property
    def weights(self) -> Array:
        return gauss_gegenbauer(self.dimension, self.size)[1]

    @cached_property
    def points(self) -> Array:
        return np.arccos(self.cosines)[:, None]

    @cached_property
    def degrees(self) -> NDArray[np.int64]:
        return np.arange(self.degree + 1)

    @cached_property
    def functions(self) -> tuple[Array, Array]:
        return zonal_functions(self.dimension, 0, self.degree, self.cosines)

    def generators(self, gradient: Array) -> Array:
        return np.zeros((0, self.size))  # the axis is fixed

    def resized(self, degree: int, size: int) -> ZonalGrid:
        return ZonalGrid(degree, size, self.dimension)


@dataclass(frozen=True)
class CircleGrid(MatrixGrid):
    """S^1: equally spaced nodes and 1, sqrt2 cos(k phi), sqrt2 sin(k phi), ..."""

    @property
    def geometry(self) -> str:
        return "circle"

    @property
    def d(self) -> int:
        return 2

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
    def degrees(self) -> NDArray[np.int64]:
        return np.concatenate([[0], np.repeat(np.arange(1, self.degree + 1), 2)])

    @cached_property
    def functions(self) -> tuple[Array, Array]:
        k = np.arange(1.0, self.degree + 1)[:, None]
        cosine, sine = (
            math.sqrt(2.0) * np.cos(k * self._angles),
            math.sqrt(2.0) * np.sin(k * self._angles),
        )
        f, df = np.zeros((2, 2 * self.degree + 1, self.size))
        f[0] = 1.0
        f[1::2], f[2::2] = cosine, sine
        df[1::2], df[2::2] = -k * sine, k * cosine
        return f, df

    def generators(self, gradient: Array) -> Array:
        return gradient

    def resized(self, degree: int, size: int) -> CircleGrid:
        return CircleGrid(degree, size)


@dataclass(frozen=True)
class SphereGrid(Grid):
    """S^2: ``size`` Gauss-Legendre rings of 2 ``size`` nodes, transforms by ``ducc0.sht``.

    The real coefficients of a field are those of cosines (and m = 0), then those of sines.
    """

    @property
    def geometry(self) -> str:
        return "sphere"

    @property
    def d(self) -> int:
        return 3

    @property
    def _longitudes(self) -> int:
        return 2 * self.size

    @cached_property
    def _angles(self) -> tuple[Array, Array]:
        theta = ducc0.misc.GL_thetas(self.size)
        phi = 2.0 * np.pi * np.arange(self._longitudes) / self._longitudes
        return np.repeat(theta, self._longitudes), np.tile(phi, self.size)

    @cached_property
    def weights(self) -> Array:
        ring = ducc0.misc.GL_weights(self.size, self._longitudes) / (4.0 * np.pi)
        return np.repeat(ring, self._longitudes)

    @cached_property
    def _frame(self) -> tuple[Array, Array]:
        """Unit vectors (n, 3) along theta and along phi."""
        theta, phi = self._angles
        ct, st, cp, sp = np.cos(theta), np.sin(theta), np.cos(phi), np.sin(phi)
        return (
            np.stack([ct * cp, ct * sp, -st], axis=1),
            np.stack([-sp, cp, np.zeros_like(cp)], axis=1),
        )

    @cached_property
    def points(self) -> Array:
        theta, phi = self._angles
        st = np.sin(theta)
        return np.stack([st * np.cos(phi), st * np.sin(phi), np.cos(theta)], axis=1)

    @cached_property
    def _orders(self) -> NDArray[np.int64]:
        return np.concatenate([np.full(self.degree + 1 - m, m) for m in range(self.degree + 1)])

    @cached_property
    def degrees(self) -> NDArray[np.int64]:
        l = np.concatenate([np.arange(m, self.degree + 1) for m in range(self.degree + 1)])
        return np.concatenate([l, l[self._orders > 0]])

    def _alm(self, coefficients: Array) -> NDArray[np.complex128]:
        """ducc0's coefficients (orthonormal for the area, real field = a_l0 + 2 Re of the rest)."""
        count = self._orders.size
        alm = np.zeros(count, dtype=np.complex128)
        alm.real = coefficients[:count]
        alm.imag[self._orders > 0] = coefficients[count:]
        return (alm * np.where(self._orders > 0, math.sqrt(2.0 * np.pi), math.sqrt(4.0 * np.pi)))[
            None
        ]

    def _real(self, alm: NDArray[np.complex128]) -> Array:
        scaled = alm[0] * np.where(self._orders > 0, math.sqrt(8.0 * np.pi), math.sqrt(4.0 * np.pi))
        return np.concatenate([scaled.real, scaled.imag[self._orders > 0]])

    def _map(self, values: Array) -> Array:
        return np.ascontiguousarray(
            (values * self.weights).reshape(-1, self.size, self._longitudes)
        )

    def analyse(self, values: Array) -> Array:
        return self._real(
            ducc0.sht.adjoint_synthesis_2d(
                map=self._map(values), spin=0, lmax=self.degree, geometry="GL", nthreads=1
            )
        )

    def synthesise(self, coefficients: Array) -> Array:
        field = ducc0.sht.synthesis_2d(
            alm=self._alm(coefficients), spin=0, lmax=self.degree, geometry="GL",
            ntheta=self.size, nphi=self._longitudes, nthreads=1,
        )  # fmt: skip
        return np.asarray(field).reshape(-1)

    def gradient(self, coefficients: Array) -> Array:
        field = ducc0.sht.synthesis_2d(
            alm=self._alm(coefficients), spin=1, lmax=self.degree, geometry="GL",
            ntheta=self.size, nphi=self._longitudes, nthreads=1, mode="DERIV1",
        )  # fmt: skip
        return np.asarray(field).reshape(2, -1)

    def analyse_gradient(self, vectors: Array) -> Array:
        return self._real(
            ducc0.sht.adjoint_synthesis_2d(
                map=self._map(vectors), spin=1, lmax=self.degree, geometry="GL", nthreads=1,
                mode="DERIV1",
            )
        )  # fmt: skip

    def generators(self, gradient: Array) -> Array:
        along_theta, along_phi = self._frame
        x = self.points
        rows = []
        for axis in np.eye(3):
            turn = np.cross(axis, x)
            rows.append(
                gradient[0] * np.sum(turn * along_theta, axis=1)
                + gradient[1] * np.sum(turn * along_phi, axis=1)
            )
        return np.stack(rows)

    def resized(self, degree: int, size: int) -> SphereGrid:
        return SphereGrid(degree, size)


def grid_for(geometry: str, d: int, degree: int, size: int) -> Grid:
    """The grid of a geometry: "zonal" (any d >= 2), "circle" (d = 2) or "sphere" (d = 3).

    Raises:
        InputError: a geometry or dimension that has none.
    """
    if geometry == "zonal" and d >= 2:
        return ZonalGrid(degree, size, d)
    if geometry == "circle" and d == 2:
        return CircleGrid(degree, size)
    if geometry == "sphere" and d == 3:
        return SphereGrid(degree, size)
    raise InputError(
        f"geometry '{geometry}' with d = {d} found; 'sphere' (d = 3), 'circle' (d = 2) or 'zonal' "
        "(d >= 2) expected"
    )
