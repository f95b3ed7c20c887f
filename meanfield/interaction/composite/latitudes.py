"""Heads on axially symmetric measures by Gegenbauer series: exact at any target, any dimension."""

from __future__ import annotations

import numpy as np

from meanfield.geometry.manifolds import Located, ZonalGrid, ZonalHarmonics
from meanfield.geometry.polynomials import gegenbauer
from meanfield.geometry.sphere import Array, harmonic_dimension
from meanfield.interaction.composite.axial import Means, Taken, assembled, axial
from meanfield.interaction.composite.bessel import exponential_series
from meanfield.interaction.composite.matrices import HeadMatrices
from meanfield.interaction.composite.parts import HeadParts
from meanfield.interaction.composite.series import (
    BEYOND,
    NOISE,
    HeadSeries,
    HeadSums,
    Precision,
    series_degree,
)

__all__ = ["LatitudeHead"]


class LatitudeHead(HeadSeries):
    """A head on latitudes.

    Args:
        head: the matrices.
    """

    def __init__(self, head: HeadMatrices) -> None:
        self.head, self.numbers = head, axial(head, "head")
        self.degree = series_degree(head.size, head.d)

    def sums(self, moments: Array, of: int, precision: Precision) -> LatitudeSums:
        """With the moments of a measure up to degree ``of``."""
        return LatitudeSums(self, moments, precision)


class LatitudeSums(HeadSums):
    """A head on latitudes and the moments of one measure.

    Args:
        series: the head.
        moments: of the measure, of ``ZonalHarmonics``.
        precision: what is asked for.
    """

    def __init__(self, series: LatitudeHead, moments: Array, precision: Precision) -> None:
        self._head, self._numbers, self._degree = series.head, series.numbers, series.degree
        self._series, self._precision, self._whole = series, precision, moments
        self._d = series.head.d
        degree = series.degree + BEYOND
        # int P_l(cos theta) dmu
        roots = np.sqrt(harmonic_dimension(moments.size - 1, self._d))
        self._moments = (moments / roots)[: degree + 1]
        self._uniform = np.zeros(degree + 1)
        self._uniform[0] = moments[0] if series.head.rests else 0.0

    def pairs(self, moments: Array) -> float:
        degree = moments.size - 1
        grid = ZonalGrid(degree, degree + 1, self._d)
        on = ZonalHarmonics(degree, self._precision.epsilon, dimension=self._d)
        matrix = self._series.pair_matrix(grid, on.locate(grid.points), self._precision)
        return float(moments @ matrix @ self._whole)

    def parts(self, at: Located, order: int) -> HeadParts:
        d, theta = self._d, at.angles
        x, z = self._numbers.a * np.sin(theta), self._numbers.c * np.cos(theta)
        table = _Table(x, z, self._degree, d)
        start, noise = self._moments - self._uniform, NOISE * float(self._moments[0])
        mass = float(self._uniform[0])
        excess = table.value(start)
        whole = excess + mass * table.series[:, 0]
        if order == 0:
            return HeadParts(table.r, whole, excess, np.full(theta.size, noise))
        across, along = table.gradient(start)[0], table.value(_along(start, d))
        means = Means(whole, across, along)
        slope = np.zeros(theta.size)
        if order > 1:
            slope = mass * table.over_r(1)
            first = _along(self._moments, d)
            squared = table.value(_along(first, d))
            means = Means(whole, across, along, table.gradient(first)[0], squared)
        left = Taken(excess, across, along, slope)
        return assembled(self._numbers, theta, d, table.r, means, left, noise)


def _along(moments: Array, d: int) -> Array:
    """Moments of cos(theta) mu from those of mu, one degree fewer (0 in the last place)."""
    l = np.arange(moments.size - 1.0)
    out = np.zeros_like(moments)
    with np.errstate(invalid="ignore", divide="ignore"):
        up, down = (l + d - 2.0) / (2.0 * l + d - 2.0), l / (2.0 * l + d - 2.0)
    if d == 2:
        up[0], down[0] = 1.0, 0.0
    out[:-1] = up * moments[1:]
    out[1:-1] += down[1:] * moments[: moments.size - 2]
    return out


class _Table:
    """int e^{<w, y> - |w|} dmu as a series of the moments of mu, at some w.

    Args:
        x, z: (n,) components of w across and along the axis.
        degree: of the series.
        d: dimension.
    """

    def __init__(self, x: Array, z: Array, degree: int, d: int) -> None:
        self.r, self._d, self._degree = np.hypot(x, z), d, degree
        safe = np.where(self.r > 0.0, self.r, 1.0)
        self._sine = np.where(self.r > 0.0, x / safe, 0.0)
        self._cosine = np.where(self.r > 0.0, z / safe, 1.0)
        self.series = exponential_series(self.r, degree + 1, d)
        self._dimension = harmonic_dimension(degree, d)
        self._p = gegenbauer(self._cosine, d, degree)

    def value(self, moments: Array) -> Array:
        """(n,) the sums."""
        c = self._dimension * moments[: self._degree + 1]
        return np.asarray(np.einsum("il,l,li->i", self.series[:, :-1], c, self._p))

    def over_r(self, l: int) -> Array:
        """lam_l/r, l >= 1: lam_{l-1}/(2l + d - 2 + r lam_{l+1}/lam_l)."""
        series, d = self.series, self._d
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = np.where(series[:, l] > 0.0, series[:, l + 1] / series[:, l], 0.0)
        return np.asarray(series[:, l - 1] / (2.0 * l + d - 2.0 + self.r * ratio))

    def gradient(self, moments: Array) -> tuple[Array, Array]:
        """Derivatives of the unscaled sums by x and z, scaled as they are."""
        degree, d = self._degree, self._d
        l = np.arange(degree + 1.0)
        over = np.stack([self.over_r(k) for k in range(1, degree + 1)], axis=1)
        radial = self.series[:, 1:].copy()  # lam_l' = lam_{l+1} + (l/r) lam_l
        radial[:, 1:] += l[1:] * over
        c = self._dimension * moments[: degree + 1]
        by_r = np.einsum("il,l,li->i", radial, c, self._p)
        # P_l' = l(l + d - 2)/(d - 1) times the polynomial of degree l - 1 in dimension d + 2.
        slopes = gegenbauer(self._cosine, d + 2, degree - 1)
        factor = (c * l * (l + d - 2.0) / (d - 1.0))[1:]
        by_angle = -self._sine * np.einsum("il,l,li->i", over, factor, slopes)
        sine, cosine = self._sine, self._cosine
        return sine * by_r + cosine * by_angle, cosine * by_r - sine * by_angle
