"""S^2: unit vectors, triangles."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from meanfield.errors import InputError
from meanfield.geometry.manifolds.base import (
    Grid,
    IntArray,
    Manifold,
    bincounted,
)
from meanfield.geometry.manifolds.transforms import Basis, Harmonics, Located, load_ducc0
from meanfield.geometry.sphere import Array
from meanfield.geometry.threads import in_parts
from meanfield.geometry.triangles import cell_edges, cotangents

__all__ = ["S2", "SphereGrid", "SphereHarmonics"]


class S2(Manifold):
    """S^2: unit vectors (n, 3), triangles counterclockwise seen from outside."""

    name: ClassVar[str] = "sphere"
    dimension: ClassVar[int] = 2
    only_d: ClassVar[int | None] = 3
    few: ClassVar[int] = 400
    most_degree: ClassVar[int] = 1024

    def in_space(self, points: Array) -> Array:
        return points

    def from_space(self, x: Array, beside: Callable[[str], Array]) -> Array:
        return x

    def tangents(self, x: Array, y: Array) -> Array:
        from meanfield.geometry.manifolds.frames import edge_tangents  # compiled: where needed

        # NumPy's cross products and norms of three numbers each were most of a set-up.
        out = np.empty((len(x), 2))
        edge_tangents(x, y, out)
        return out

    def edge_weights(self, points: Array, cells: IntArray) -> tuple[IntArray, Array, Array]:
        n = len(points)
        edges, sides = cell_edges(cells, n)
        cot, _ = cotangents(points, cells)
        c = bincounted(sides, 0.5 * cot, len(edges))
        corners = points[cells]
        opposite = np.roll(corners, -1, axis=1) - np.roll(corners, -2, axis=1)
        squared = np.sum(opposite**2, axis=2)
        # What is nearest to a corner: |side|^2 cot(opposite angle) / 8 for both of its sides.
        pieces = squared * cot / 8.0
        return edges, c, bincounted(cells, pieces.sum(axis=1, keepdims=True) - pieces, n)

    def shares(self, points: Array, cells: IntArray) -> Array:
        # The solid angle (van Oosterom and Strackee 1983): also for cells of half a sphere.
        a, b, c = (points[cells[:, k]] for k in (0, 1, 2))
        volume = np.abs(np.sum(a * np.cross(b, c), axis=1))
        below = 1.0 + np.sum(a * b, axis=1) + np.sum(b * c, axis=1) + np.sum(c * a, axis=1)
        return np.asarray(2.0 * np.arctan2(volume, below) / (4.0 * math.pi))

    def harmonics(self, degree: int, epsilon: float = 1e-13) -> Harmonics:
        return SphereHarmonics(degree, epsilon)

    def grid(self, degree: int, size: int) -> Grid:
        return SphereGrid(degree, size)


# ------------------------------------------------------------------ transforms


class _Packing:
    """Real coefficients, orthonormal for sigma, from and to the complex ones of ducc0.

    Those are orthonormal for the area, sqrt(4 pi) apart, and a real field is
    a_l0 Y_l0 + 2 Re sum_{m>0} a_lm Y_lm: sqrt(2) makes the real pair orthonormal.
    """

    def __init__(self, degree: int) -> None:
        self._sines = degree + 1  # where the orders above 0 begin
        # ducc0 keeps m = 0: l = 0..L, m = 1: l = 1..L, ...
        several = np.arange((degree + 1) * (degree + 2) // 2) > degree
        self._scale = np.where(several, math.sqrt(8.0 * math.pi), math.sqrt(4.0 * math.pi))
        self._inverse = np.where(several, math.sqrt(2.0 * math.pi), math.sqrt(4.0 * math.pi))

    def real(self, alm: NDArray[np.complex128]) -> Array:
        """(coefficients,) from ducc0's moments."""
        scaled = alm * self._scale
        return np.concatenate([scaled.real, scaled.imag[self._sines :]])

    def complex(self, coefficients: Array) -> NDArray[np.complex128]:
        """(1, count) for ducc0's synthesis."""
        count = self._scale.size
        alm = np.zeros((1, count), dtype=np.complex128)
        alm.real[0] = coefficients[:count] * self._inverse
        alm.imag[0, self._sines :] = coefficients[count:] * self._inverse[self._sines :]
        return alm


@dataclass(frozen=True)
class _Spherical(Basis):
    """The functions of both transforms: cosines, order 0 and up, then sines; degrees ascend."""

    @property
    def d(self) -> int:
        return 3

    @cached_property
    def degrees(self) -> NDArray[np.int64]:
        l = np.concatenate([np.arange(m, self.degree + 1) for m in range(self.degree + 1)])
        return np.concatenate([l, l[self.degree + 1 :]])

    @cached_property
    def _packing(self) -> _Packing:
        return _Packing(self.degree)


@dataclass(frozen=True)
class SphereHarmonics(_Spherical, Harmonics):
    """Spherical harmonics on S^2 by ``ducc0.sht`` (nonuniform spherical harmonic transforms)."""

    def locate(self, points: Array) -> Located:
        x = np.asarray(points, dtype=np.float64)
        if x.ndim != 2 or x.shape[1] != 3:
            raise InputError(f"points of shape {x.shape} found, (n, 3) unit vectors expected")
        angles = np.empty((x.shape[0], 2))
        angles[:, 0] = np.arctan2(np.hypot(x[:, 0], x[:, 1]), x[:, 2])
        angles[:, 1] = np.arctan2(x[:, 1], x[:, 0])
        angles[:, 1] += np.where(angles[:, 1] < 0.0, 2.0 * np.pi, 0.0)
        return Located(x, angles)

    @property
    def _options(self) -> dict[str, Any]:
        return {"lmax": self.degree, "mmax": self.degree, "epsilon": self.epsilon, "nthreads": 1}

    def moments(self, points: Array | Located, weights: Array) -> Array:
        at = self._located(points)
        n = at.angles.shape[0]
        if n == 0:
            return np.zeros(self.degrees.size)
        masses = np.ascontiguousarray(weights, dtype=np.float64).reshape(1, n)

        def part(nodes: slice) -> NDArray[np.complex128]:
            return load_ducc0().sht.adjoint_synthesis_general(
                map=masses[:, nodes], loc=at.angles[nodes], spin=0, **self._options
            )[0]

        return self._packing.real(reduce(np.add, in_parts(n, part)))

    def values(self, coefficients: Array, points: Array | Located) -> Array:
        at = self._located(points)
        n = at.angles.shape[0]
        if n == 0:
            return np.zeros(0)
        alm = self._packing.complex(coefficients)

        def part(nodes: slice) -> Array:
            return load_ducc0().sht.synthesis_general(
                alm=alm, loc=at.angles[nodes], spin=0, **self._options
            )[0]

        return np.concatenate(in_parts(n, part))

    def gradient(self, coefficients: Array, points: Array | Located) -> Array:
        at = self._located(points)
        n = at.angles.shape[0]
        if n == 0:
            return np.zeros((0, 3))
        alm = self._packing.complex(coefficients)

        from meanfield.geometry.manifolds.frames import add_frame  # compiled: where needed

        out = np.empty((n, 3))

        def part(nodes: slice) -> Array:
            slopes = load_ducc0().sht.synthesis_general(
                alm=alm, loc=at.angles[nodes], spin=1, mode="DERIV1", **self._options
            )
            add_frame(at.points[nodes], slopes, out[nodes])
            return out[nodes]

        in_parts(n, part)
        return out

    def moment_rates(self, points: Array | Located, flows: Array) -> Array:
        at = self._located(points)
        n = at.angles.shape[0]
        if n == 0:
            return np.zeros(self.degrees.size)

        from meanfield.geometry.manifolds.frames import in_frame  # compiled: where needed

        slopes = np.empty((2, n))
        in_frame(at.points, np.ascontiguousarray(flows), slopes)

        def part(nodes: slice) -> NDArray[np.complex128]:
            return load_ducc0().sht.adjoint_synthesis_general(
                map=slopes[:, nodes], loc=at.angles[nodes], spin=1, mode="DERIV1", **self._options
            )[0]

        return self._packing.real(reduce(np.add, in_parts(n, part)))

    def hessian(self, coefficients: Array, points: Array | Located) -> Array:
        """Its trace is the Laplacian, and the rest a tensor of spin 2."""
        at = self._located(points)
        n = at.angles.shape[0]
        if n == 0:
            return np.zeros((0, 3, 3))
        trace = self.values(self.laplacian_coefficients(coefficients), at)
        if self.degree < 2:  # all there is, and ducc0 has no spin above its degree
            project = np.eye(3) - np.einsum("ni,nj->nij", at.points, at.points)
            return 0.5 * trace[:, None, None] * project
        l = self.degrees.astype(np.float64)
        root = np.sqrt(np.maximum((l + 2.0) * (l + 1.0) * l * (l - 1.0), 0.0))
        alm = self._packing.complex(root * coefficients)
        alm = np.concatenate([alm, np.zeros_like(alm)])

        from meanfield.geometry.manifolds.frames import add_frame  # compiled: where needed

        def part(nodes: slice) -> Array:
            found = load_ducc0().sht.synthesis_general(
                alm=alm, loc=at.angles[nodes], spin=2, **self._options
            )
            return np.asarray(found).T

        # f_tt - f_pp and 2 f_tp in the frame along theta and phi, with the other sign.
        spin = -np.concatenate(in_parts(n, part))
        frame = np.empty((2, n, 3))
        for k, unit in enumerate(np.eye(2)):
            add_frame(at.points, np.ascontiguousarray(np.tile(unit[:, None], n)), frame[k])
        u, v = frame
        first, second = 0.5 * (trace + spin[:, 0]), 0.5 * (trace - spin[:, 0])
        across = np.einsum("n,ni,nj->nij", 0.5 * spin[:, 1], u, v)
        out = np.einsum("n,ni,nj->nij", first, u, u) + np.einsum("n,ni,nj->nij", second, v, v)
        return out + across + across.transpose(0, 2, 1)

    def tangent(self, phi: Array, psi: Array, points: Array | Located) -> Array:
        """grad phi + x x grad psi from the coefficients of phi and psi, (n, 3)."""
        at = self._located(points)
        n = at.angles.shape[0]
        if n == 0:
            return np.zeros((0, 3))
        root = np.sqrt(self.degrees * (self.degrees + 1.0))
        alm = np.concatenate([self._packing.complex(root * f) for f in (phi, psi)])

        from meanfield.geometry.manifolds.frames import add_frame  # compiled: where needed

        out = np.empty((n, 3))

        def part(nodes: slice) -> Array:
            slopes = load_ducc0().sht.synthesis_general(
                alm=alm, loc=at.angles[nodes], spin=1, **self._options
            )
            add_frame(at.points[nodes], slopes, out[nodes])
            return out[nodes]

        in_parts(n, part)
        return out


@dataclass(frozen=True)
class SphereGrid(_Spherical, Grid):
    """``size`` Gauss-Legendre rings of 2 ``size`` nodes, transforms by ``ducc0.sht``."""

    most_size: ClassVar[int] = 512

    @property
    def manifold(self) -> S2:
        return S2(3)

    @property
    def _longitudes(self) -> int:
        return 2 * self.size

    @cached_property
    def _angles(self) -> tuple[Array, Array]:
        theta = load_ducc0().misc.GL_thetas(self.size)
        phi = 2.0 * np.pi * np.arange(self._longitudes) / self._longitudes
        return np.repeat(theta, self._longitudes), np.tile(phi, self.size)

    @cached_property
    def weights(self) -> Array:
        ring = load_ducc0().misc.GL_weights(self.size, self._longitudes) / (4.0 * np.pi)
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

    def _map(self, values: Array) -> Array:
        return np.ascontiguousarray(
            (values * self.weights).reshape(-1, self.size, self._longitudes)
        )

    def analyse(self, values: Array) -> Array:
        alm = load_ducc0().sht.adjoint_synthesis_2d(
            map=self._map(values), spin=0, lmax=self.degree, geometry="GL", nthreads=1
        )
        return self._packing.real(alm[0])

    def synthesise(self, coefficients: Array) -> Array:
        field = load_ducc0().sht.synthesis_2d(
            alm=self._packing.complex(coefficients), spin=0, lmax=self.degree, geometry="GL",
            ntheta=self.size, nphi=self._longitudes, nthreads=1,
        )  # fmt: skip
        return np.asarray(field).reshape(-1)

    def gradient(self, coefficients: Array) -> Array:
        field = load_ducc0().sht.synthesis_2d(
            alm=self._packing.complex(coefficients), spin=1, lmax=self.degree, geometry="GL",
            ntheta=self.size, nphi=self._longitudes, nthreads=1, mode="DERIV1",
        )  # fmt: skip
        return np.asarray(field).reshape(2, -1)

    def in_frame(self, vectors: Array) -> Array:
        return np.stack([np.sum(vectors * along, axis=1) for along in self._frame])

    def analyse_gradient(self, vectors: Array) -> Array:
        alm = load_ducc0().sht.adjoint_synthesis_2d(
            map=self._map(vectors), spin=1, lmax=self.degree, geometry="GL", nthreads=1,
            mode="DERIV1",
        )  # fmt: skip
        return self._packing.real(alm[0])

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
