"""What can be done to coefficients of spherical harmonics on S^2 without leaving them.

Rotations, products with the coordinates, restriction to lower degrees, and the harmonics themselves
at scattered points as a matrix. Coefficients are those of ``SphereHarmonics``: real, orthonormal
for sigma, cosines of order m = 0, 1, ... and then sines of order m = 1, 2, ..., degrees ascending
in each. Knows nothing of what interacts.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numba as nb
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from meanfield.geometry.manifolds.transforms import load_ducc0
from meanfield.geometry.sphere import Array

__all__ = [
    "Places",
    "coordinate_products",
    "harmonics_at",
    "lower",
    "places",
    "rotated",
    "tangential",
]


class Places(NamedTuple):
    """Which harmonic each coefficient belongs to.

    Attributes:
        l, m: (n_coefficients,) degree and order.
        sine: (n_coefficients,) whether it is the sine.
    """

    l: NDArray[np.int64]
    m: NDArray[np.int64]
    sine: NDArray[np.bool_]


@lru_cache(maxsize=64)
def places(degree: int) -> Places:
    """The harmonics up to a degree, in their order."""
    m = np.concatenate([np.full(degree + 1 - m, m) for m in range(degree + 1)])
    l = np.concatenate([np.arange(m, degree + 1) for m in range(degree + 1)])
    several = m > 0
    sine = np.arange(m.size + np.count_nonzero(several)) >= m.size
    return Places(np.concatenate([l, l[several]]), np.concatenate([m, m[several]]), sine)


def index_of(degree: int, l: NDArray[np.int64], m: NDArray[np.int64], sine: bool) -> Array:
    """Numbers of harmonics among those up to ``degree``."""
    inside = m * (2 * degree + 1 - m) // 2 + l
    if not sine:
        return np.asarray(inside)
    cosines = (degree + 1) * (degree + 2) // 2
    return np.asarray(cosines + inside - (degree + 1))


@lru_cache(maxsize=256)
def lower(degree: int, of: int) -> NDArray[np.int64]:
    """Numbers, among the harmonics up to the degree ``of``, of those up to ``degree``."""
    return np.flatnonzero(places(of).l <= degree)


# ------------------------------------------------------------------ products with coordinates


@lru_cache(maxsize=64)
def coordinate_products(degree: int, of: int) -> tuple[csr_matrix, csr_matrix, csr_matrix]:
    """Matrices of the products with x_1, x_2, x_3: coefficients of x_k f from those of f.

    The same matrices turn moments of mu into those of y_k mu, as they are symmetric.

    Args:
        degree: of the products that are kept.
        of: degree of f.
    """
    top = max(degree, of)
    rows: list[list[Array]] = [[], [], []]
    columns: list[list[Array]] = [[], [], []]
    values: list[list[Array]] = [[], [], []]

    def put(k: int, row: Array, column: Array, value: Array) -> None:
        """An entry and its mirror image."""
        rows[k] += [row, column]
        columns[k] += [column, row]
        values[k] += [value, value]

    for m in range(top + 1):
        l = np.arange(m, top)  # to degree l + 1, the same order
        up = np.sqrt(((l + 1.0) ** 2 - m * m) / (4.0 * (l + 1.0) ** 2 - 1.0))
        for sine in (False, True)[: 2 if m else 1]:
            here, there = (index_of(top, j, np.full_like(l, m), sine) for j in (l, l + 1))
            put(2, there, here, up)
        # To order m + 1: sin(theta) P_lm is a sum of P_{l+1,m+1} and P_{l-1,m+1}.
        half = 0.5 if m else math.sqrt(0.5)
        above = -half * np.sqrt((l + m + 1.0) * (l + m + 2.0) / ((2 * l + 1.0) * (2 * l + 3.0)))
        k = np.arange(m + 2, top + 1)
        below = half * np.sqrt((k - m) * (k - m - 1.0) / ((2 * k - 1.0) * (2 * k + 1.0)))
        for j, to, value in ((l, l + 1, above), (k, k - 1, below)):
            orders = np.full_like(j, m)
            cosine = index_of(top, j, orders, False)
            next_cosine = index_of(top, to, orders + 1, False)
            next_sine = index_of(top, to, orders + 1, True)
            put(0, next_cosine, cosine, value)
            put(1, next_sine, cosine, -value)  # sines come with a minus, see ``harmonics_at``
            if m:
                sine_here = index_of(top, j, orders, True)
                put(0, next_sine, sine_here, value)
                put(1, next_cosine, sine_here, value)
    size = (top + 1) ** 2
    keep, given = lower(degree, top), lower(of, top)
    found = []
    for axis in range(3):
        entries = np.concatenate(values[axis]) if values[axis] else np.zeros(0)
        where = tuple(
            np.concatenate(x) if x else np.zeros(0, dtype=np.int64)
            for x in (rows[axis], columns[axis])
        )
        whole = csr_matrix((entries, where), shape=(size, size))
        found.append(csr_matrix(whole[keep][:, given]))
    return found[0], found[1], found[2]


@lru_cache(maxsize=64)
def divergence_rows(of: int) -> tuple[csr_matrix, csr_matrix, csr_matrix]:
    """Matrices D_k with sum_k D_k f_k the coefficients, to degree ``of`` + 1, of div(P_x F).

    F = (f_1, f_2, f_3) in R^3. Of x_k f_k what comes from one degree lower counts -(l + 1) times,
    what comes from one degree higher l times.
    """
    weighted = []
    out, into = places(of + 1).l, places(of).l
    for product in coordinate_products(of + 1, of):
        entries = product.tocoo()
        l = out[entries.row]
        factor = np.where(into[entries.col] < l, -(l + 1.0), l)
        weighted.append(
            csr_matrix((entries.data * factor, (entries.row, entries.col)), shape=product.shape)
        )
    return weighted[0], weighted[1], weighted[2]


@lru_cache(maxsize=64)
def curl_rows(of: int) -> tuple[csr_matrix, csr_matrix, csr_matrix]:
    """Matrices C_k with sum_k C_k f_k the coefficients, to degree ``of`` + 1, of div(x x F).

    Minus the surface curl of the tangential part of F = (f_1, f_2, f_3).
    """
    products, rows = coordinate_products(of + 1, of), divergence_rows(of + 1)
    keep = lower(of + 1, of + 2)
    found = []
    for k in range(3):
        i, j = (k + 1) % 3, (k + 2) % 3  # x x F has x_j f_k at i, and -x_i f_k at j
        whole = csr_matrix(rows[i] @ products[j] - rows[j] @ products[i])[keep]
        whole.data[np.abs(whole.data) < 1e-12 * (of + 2)] = 0.0
        whole.eliminate_zeros()
        found.append(csr_matrix(whole))
    return found[0], found[1], found[2]


def tangential(field: Array, degree: int) -> tuple[Array, Array, Array]:
    """The tangential part of F as grad phi + x x grad psi.

    Args:
        field: (3, n_coefficients) of F.
        degree: of F.

    Returns:
        phi, psi and the divergence, to one degree more.
    """
    l = places(degree + 1).l
    inverse = np.where(l > 0, 1.0 / np.maximum(l * (l + 1.0), 1.0), 0.0)
    bend = _summed(divergence_rows(degree), field)
    return -inverse * bend, inverse * _summed(curl_rows(degree), field), bend


def _summed(matrices: tuple[csr_matrix, csr_matrix, csr_matrix], field: Array) -> Array:
    first, second, third = (m @ f for m, f in zip(matrices, field, strict=True))
    return np.asarray(first + second + third)


# ------------------------------------------------------------------ rotations


def rotated(coefficients: Array, degree: int, rotation: Array) -> Array:
    """Coefficients of f(R^T x), or moments of a measure that is moved by R.

    Args:
        coefficients: (n_coefficients,) of f, or several rows of them.
        degree: of f.
        rotation: (3, 3) R, determinant one.
    """
    if np.array_equal(rotation, np.eye(3)):
        return coefficients
    theta = math.atan2(math.hypot(rotation[0, 2], rotation[1, 2]), rotation[2, 2])
    if math.sin(theta) > 1e-12:
        phi = math.atan2(rotation[1, 2], rotation[0, 2])
        psi = math.atan2(rotation[2, 1], -rotation[2, 0])
    else:  # about the axis, perhaps turned over
        phi = 0.0
        psi = math.atan2(rotation[1, 0], rotation[1, 1])
    if coefficients.ndim > 1:
        return np.stack([rotated(row, degree, rotation) for row in coefficients])
    cosines = (degree + 1) * (degree + 2) // 2
    alm = np.zeros(cosines, dtype=np.complex128)
    alm.real = coefficients[:cosines]
    alm.imag[degree + 1 :] = coefficients[cosines:]
    # Those of order 0 are sqrt(2) times as large beside the others as in the complex form.
    alm[: degree + 1] *= math.sqrt(2.0)
    turned = load_ducc0().sht.rotate_alm(alm, degree, psi, theta, phi)
    turned[: degree + 1] *= math.sqrt(0.5)
    return np.concatenate([turned.real, turned.imag[degree + 1 :]])


# ------------------------------------------------------------------ the harmonics as a matrix


def harmonics_at(x: Array, degree: int) -> Array:
    """(n, n_coefficients) the harmonics at unit vectors x (n, 3)."""
    out = np.empty((len(x), (degree + 1) ** 2))
    _harmonics_at(np.ascontiguousarray(x, dtype=np.float64), degree, out)
    return out


@nb.njit(cache=True)
def _harmonics_at(x: Array, degree: int, out: Array) -> None:
    """P_lm(cos theta) cos(m phi) and -P_lm sin(m phi), with the sign (-1)^m in P_lm."""
    cosines = (degree + 1) * (degree + 2) // 2
    for i in range(x.shape[0]):
        z = x[i, 2]
        s = math.hypot(x[i, 0], x[i, 1])
        c, t = (x[i, 0] / s, x[i, 1] / s) if s > 0.0 else (1.0, 0.0)
        diagonal = 1.0  # P_mm
        cm, sm = 1.0, 0.0  # cos(m phi), sin(m phi)
        for m in range(degree + 1):
            if m > 0:
                diagonal *= -s * math.sqrt((2.0 * m + 1.0) / (2.0 * m))
                cm, sm = cm * c - sm * t, sm * c + cm * t
            factor = 1.0 if m == 0 else math.sqrt(2.0)
            start = m * (2 * degree + 1 - m) // 2
            before, now, last = 0.0, diagonal, 0.0
            for l in range(m, degree + 1):
                if l > m:
                    step = math.sqrt((4.0 * l * l - 1.0) / (1.0 * l * l - m * m))
                    before, now = now, step * (z * now - last * before)
                    last = 1.0 / step
                out[i, start + l] = factor * now * cm
                if m > 0:
                    out[i, cosines + start + l - (degree + 1)] = -factor * now * sm
