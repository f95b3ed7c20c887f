"""Functions that share a symmetry: those on S^2 of a finite group, those on S^1 of a k-gon.

The harmonics that a group leaves alone are few (O_h: one in 48), and the nodes of a grid that it
maps to each other count as one, so that they are held as a matrix (``MatrixGrid``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from meanfield.geometry.groups import GROUPS, dihedral, invariants, main_axis
from meanfield.geometry.manifolds.base import MatrixGrid
from meanfield.geometry.manifolds.circle import S1, CircleGrid
from meanfield.geometry.manifolds.sphere import S2, SphereGrid
from meanfield.geometry.sphere import Array

__all__ = ["InvariantGrid", "PolygonGrid"]

_SPARE = 3  # orbits more than there are functions of a degree
_SEED = 20


@dataclass(frozen=True)
class InvariantGrid(MatrixGrid):
    """Functions on S^2 that a finite group leaves alone.

    Their harmonics of degree l are made of means over the group of P_l(<x, g p>) with points p: the
    inner product of two is the mean of P_l(<p, g q>)/(2l + 1), so that they are made orthonormal
    without quadrature. Those of D_kh are cos(m phi) in longitude, of one degree by descending m.

    Attributes:
        symmetry: "tetrahedral", "octahedral", "icosahedral", or "dihedral".
        order: k of D_kh.
    """

    symmetry: str = "octahedral"
    order: int = 0

    most_size: ClassVar[int] = 512

    @property
    def d(self) -> int:
        return 3

    @property
    def manifold(self) -> S2:
        return S2(3)

    @cached_property
    def group(self) -> Array:
        """(g, 3, 3) its elements."""
        return dihedral(self.order) if self.symmetry == "dihedral" else GROUPS[self.symmetry]()

    @cached_property
    def _numbers(self) -> NDArray[np.int64]:
        return invariants(self.group, self.degree)

    @cached_property
    def degrees(self) -> NDArray[np.int64]:
        return np.repeat(np.arange(self.degree + 1), self._numbers)

    # ------------------------------------------------------------------ nodes

    @cached_property
    def whole_grid(self) -> SphereGrid:
        """The grid without symmetry, of which the nodes are a part."""
        step = 2 * main_axis(self.group)[1]
        return SphereGrid(self.degree, step * math.ceil(self.size / step))

    @cached_property
    def _orbits(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The first node of each orbit (n,), and the orbit of each node of the whole grid."""
        grid = self.whole_grid
        rings, longitudes = grid.size, 2 * grid.size
        kept, _ = main_axis(self.group)
        x = grid.points
        ring = np.repeat(np.arange(rings), longitudes)
        least = np.full(len(x), len(x))
        for g in kept:
            y = x @ g.T
            turned = np.rint(np.arctan2(y[:, 1], y[:, 0]) * longitudes / (2.0 * math.pi))
            other = ring if g[2, 2] > 0.0 else rings - 1 - ring
            image = other * longitudes + turned.astype(np.int64) % longitudes
            least = np.minimum(least, image)
        return np.unique(least, return_inverse=True)

    @cached_property
    def points(self) -> Array:
        return self.whole_grid.points[self._orbits[0]]

    @cached_property
    def weights(self) -> Array:
        first, orbit = self._orbits
        return np.bincount(orbit, self.whole_grid.weights, len(first))

    def whole(self, values: Array) -> Array:
        """Values at the nodes of ``whole_grid`` from those at the nodes, (n,)."""
        return np.asarray(values[self._orbits[1]])

    # ------------------------------------------------------------------ functions

    @cached_property
    def _functions(self) -> tuple[Array, Array]:
        """Values (k, n) and tangential gradients (k, n, 3) at the nodes."""
        x, group, numbers = self.points, self.group, self._numbers
        centres = np.random.default_rng(_SEED).standard_normal((numbers.max() + _SPARE, 3))
        centres /= np.linalg.norm(centres, axis=1, keepdims=True)
        # Rows: centres; columns: the group, at first between the centres, then at the nodes.
        images = np.einsum("gij,cj->cgi", group, centres)
        between = _Legendre(np.einsum("cgi,ei->cge", images, centres))
        at = _Legendre(np.einsum("cgi,ni->cgn", images, x))
        f = np.empty((self.degrees.size, len(x)))
        df = np.empty((self.degrees.size, len(x), 3))
        row = 0
        for l, number in enumerate(numbers):
            if number:
                use = slice(0, number + _SPARE)
                gram = between.values[use, :, use].mean(axis=1) / (2 * l + 1)
                size, vectors = np.linalg.eigh(0.5 * (gram + gram.T))
                mixed = vectors[:, -number:] / np.sqrt(size[-number:])
                new = mixed.T @ at.values[use].mean(axis=1)
                slope = np.einsum("cgn,cgi->cni", at.slopes[use], images[use]) / len(group)
                gradient = np.einsum("ck,cni->kni", mixed, slope)
                if self.symmetry == "dihedral" and number > 1:
                    by_order = self._by_order(gradient)
                    new, gradient = by_order @ new, np.einsum("kc,cni->kni", by_order, gradient)
                sign = _signs(new)
                f[row : row + number] = sign[:, None] * new
                df[row : row + number] = sign[:, None, None] * gradient
                row += number
            between.next()
            at.next()
        normal = np.einsum("kni,ni->kn", df, x)
        df -= normal[:, :, None] * x
        return f, df

    def _by_order(self, gradient: Array) -> Array:
        """(k, k) orthogonal: makes harmonics of one degree those of one azimuthal order m each.

        They are the eigenvectors of -d^2/dphi^2, by descending m; gradient: (k, n, 3).
        """
        x, y, _ = self.points.T
        turned = gradient[:, :, 1] * x - gradient[:, :, 0] * y
        _, vectors = np.linalg.eigh((turned * self.weights) @ turned.T)
        return np.asarray(vectors[:, ::-1].T)

    @cached_property
    def functions(self) -> tuple[Array, Array]:
        """Harmonics (k, n), and their derivatives along e_theta; see ``gradient`` for both."""
        f, df = self._functions
        return f, np.einsum("kni,ni->kn", df, self._frame[0])

    @cached_property
    def _frame(self) -> tuple[Array, Array]:
        """Unit vectors along theta and phi."""
        x, y, z = self.points.T
        s = np.hypot(x, y)
        cp, sp = x / s, y / s
        return np.stack([z * cp, z * sp, -s], axis=1), np.stack([-sp, cp, np.zeros_like(s)], axis=1)

    @cached_property
    def _slopes(self) -> Array:
        """(2, k, n)"""
        return np.stack([np.einsum("kni,ni->kn", self._functions[1], e) for e in self._frame])

    def gradient(self, coefficients: Array) -> Array:
        return np.asarray(coefficients @ self._slopes)

    def in_frame(self, vectors: Array) -> Array:
        return np.stack([np.sum(vectors * along, axis=1) for along in self._frame])

    def analyse_gradient(self, vectors: Array) -> Array:
        return np.asarray(np.einsum("ckn,cn->k", self._slopes, self.weights * vectors))

    def generators(self, gradient: Array) -> Array:
        return np.zeros((0, self.weights.size))  # no turn by a small angle keeps the symmetry

    def resized(self, degree: int, size: int) -> InvariantGrid:
        return InvariantGrid(degree, size, self.symmetry, self.order)


def _signs(values: Array) -> Array:
    """(k,) signs that make the largest value of each row positive; of odd ones that at one node."""
    top, bottom = values.max(axis=1), -values.min(axis=1)
    odd = np.abs(top - bottom) < 1e-6 * (top + bottom)
    first = values[np.arange(len(values)), np.argmax(np.abs(values) > 0.1 * top[:, None], axis=1)]
    return np.where(np.where(odd, first, top - bottom) < 0.0, -1.0, 1.0)


class _Legendre:
    """P_l and P_l' at some points, degree by degree.

    Attributes:
        values, slopes: of the present degree, in the shape of the points.
    """

    def __init__(self, t: Array) -> None:
        self._t, self._l = t, 0
        self.values, self.slopes = np.ones_like(t), np.zeros_like(t)
        self._before, self._slopes_before = np.zeros_like(t), np.zeros_like(t)

    def next(self) -> None:
        """Go on to the next degree."""
        l, t = self._l, self._t
        new = ((2 * l + 1) * t * self.values - l * self._before) / (l + 1)
        slopes = self._slopes_before + (2 * l + 1) * self.values
        self._before, self.values = self.values, new
        self._slopes_before, self.slopes = self.slopes, slopes
        self._l = l + 1


@dataclass(frozen=True)
class PolygonGrid(MatrixGrid):
    """Functions on S^1 with the symmetry of a k-gon that has a corner at e_1: of cos(k j phi).

    Attributes:
        order: k.
    """

    order: int = 1

    most_size: ClassVar[int] = 8192

    @property
    def d(self) -> int:
        return 2

    @property
    def manifold(self) -> S1:
        return S1(2)

    @cached_property
    def degrees(self) -> NDArray[np.int64]:
        return self.order * np.arange(self.degree // self.order + 1)

    @cached_property
    def whole_grid(self) -> CircleGrid:
        """The grid without symmetry, of which the nodes are a part."""
        step = 2 * self.order
        return CircleGrid(self.degree, step * math.ceil(self.size / step))

    @cached_property
    def _orbit(self) -> NDArray[np.int64]:
        """Of each node of the whole grid: how many steps it is from a corner."""
        period = self.whole_grid.size // self.order
        j = np.arange(self.whole_grid.size) % period
        return np.minimum(j, period - j)

    @cached_property
    def _angles(self) -> Array:
        return 2.0 * np.pi * np.arange(self._orbit.max() + 1) / self.whole_grid.size

    @cached_property
    def weights(self) -> Array:
        return np.bincount(self._orbit) / self.whole_grid.size

    @cached_property
    def points(self) -> Array:
        return np.column_stack([np.cos(self._angles), np.sin(self._angles)])

    def whole(self, values: Array) -> Array:
        """Values at the nodes of ``whole_grid`` from those at the nodes, (n,)."""
        return np.asarray(values[self._orbit])

    @cached_property
    def functions(self) -> tuple[Array, Array]:
        k = self.degrees[:, None]
        norm = np.where(k > 0, math.sqrt(2.0), 1.0)
        return norm * np.cos(k * self._angles), -norm * k * np.sin(k * self._angles)

    def in_frame(self, vectors: Array) -> Array:
        x = self.points
        return np.asarray(x[:, 0] * vectors[:, 1] - x[:, 1] * vectors[:, 0])[None]

    def generators(self, gradient: Array) -> Array:
        return np.zeros((0, self.weights.size))  # no turn by a small angle keeps the symmetry

    def resized(self, degree: int, size: int) -> PolygonGrid:
        return PolygonGrid(degree, size, self.order)
