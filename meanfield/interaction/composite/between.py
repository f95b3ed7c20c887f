"""T_kk' = iint w(<A x, y>) Y_k(x) Y_k'(y): a head between the harmonics of a geometry.

By Funk-Hecke at each x, T_kk' = int Y_k(x) lam_l'(|A x|) Y_k'(A x/|A x|) dsigma(x), for any kernel
w whose series lam_l(r) is given. Exact up to degrees in which that is down to round-off.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from meanfield.geometry.manifolds import CircleGrid, ZonalGrid
from meanfield.geometry.polynomials import zonal_functions
from meanfield.geometry.sphere import Array
from meanfield.interaction.composite.axial import axial
from meanfield.interaction.composite.matrices import HeadMatrices
from meanfield.interaction.composite.sphere import SphereHead

__all__ = ["Series", "SphereForm", "on_circle", "on_latitudes", "signed_across"]

Series = Callable[[Array, int], Array]
"""lam_l(r), (n, degree + 1), of r (n,) and a degree."""


def _turn(head: HeadMatrices) -> float:
    """Angle by which an axial A turns longitudes; d != 3: 0 or pi."""
    a = head.A
    if len(a) != 3:
        return 0.0 if a[0, 0] >= 0.0 else math.pi
    return math.atan2(a[1, 0] - a[0, 1], a[0, 0] + a[1, 1])


def signed_across(head: HeadMatrices) -> float:
    """What an axial A that is symmetric multiplies with what is orthogonal to the axis."""
    return math.copysign(axial(head, "head").a, head.A[0, 0])


def on_latitudes(head: HeadMatrices, series: Series, degree: int, order: int) -> Array:
    """T between zonal harmonics, or those of an azimuthal order m of degrees m, m + 1, ..."""
    numbers, d = axial(head, "head"), head.d
    grid = ZonalGrid(degree, 2 * degree + 32, d)
    t = grid.cosines
    x, z = abs(numbers.a) * np.sqrt((1.0 - t) * (1.0 + t)), numbers.c * t
    r = np.hypot(x, z)
    here, _ = zonal_functions(d, order, degree, t)
    there, _ = zonal_functions(d, order, degree, z / np.where(r > 0.0, r, 1.0))
    there *= math.cos(order * _turn(head)) * series(r, degree)[:, order:].T
    return np.asarray((here * grid.weights) @ there.T)


def on_circle(head: HeadMatrices, series: Series, degree: int) -> Array:
    """T between the functions of ``CircleGrid``."""
    grid = CircleGrid(degree, 2 * degree + 32)
    w = grid.points @ head.A.T
    r, angle = np.hypot(w[:, 0], w[:, 1]), np.arctan2(w[:, 1], w[:, 0])
    k = np.arange(1.0, degree + 1)[:, None]
    there = np.ones((2 * degree + 1, grid.size))
    there[1::2] = math.sqrt(2.0) * np.cos(k * angle)
    there[2::2] = math.sqrt(2.0) * np.sin(k * angle)
    there *= series(r, degree).T[grid.degrees]
    return np.asarray((grid.functions[0] * grid.weights) @ there.T)


class SphereForm(SphereHead):
    """A head on S^2 with a series of its own, whose T is applied in the frames of A.

    Args:
        head: the matrices.
        series: of the kernel.
        degree: of it.
    """

    def __init__(self, head: HeadMatrices, series: Series, degree: int) -> None:
        self.head, self.degree = head, degree
        self._of_kernel = series

    def radial_series(self, r: Array) -> Array:
        """(n, degree + 1) of the kernel."""
        return self._of_kernel(r, self.degree)
