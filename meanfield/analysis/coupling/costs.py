"""Geodesic costs angle^p, p = 1 or 2, between unit vectors, blocked and compiled.

NumPy and Numba; knows nothing of weights and of couplings. Numba's caches do not look into other
files: whoever changes ``arc`` changes a line in the functions that call it, too.
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np

from meanfield.geometry.mesh import IntArray
from meanfield.geometry.sphere import Array

__all__ = ["arc", "cost_matrix", "pair_costs"]


@nb.njit(inline="always")
def arc(x: Array, i: int, y: Array, j: int) -> float:
    """Angle between unit vectors x_i and y_j, exact to round-off."""
    near = 0.0
    for k in range(x.shape[1]):
        near += (x[i, k] - y[j, k]) ** 2
    if near <= 2.0:
        return 2.0 * math.asin(0.5 * math.sqrt(near))
    far = 0.0
    for k in range(x.shape[1]):
        far += (x[i, k] + y[j, k]) ** 2
    return math.pi - 2.0 * math.asin(0.5 * math.sqrt(far))


@nb.njit(cache=True)
def _cost_matrix(x: Array, y: Array, p: int, out: Array) -> None:
    for i in range(x.shape[0]):
        for j in range(y.shape[0]):
            angle = arc(x, i, y, j)
            out[i, j] = angle * angle if p == 2 else angle


@nb.njit(cache=True)
def _pair_costs(x: Array, i: IntArray, y: Array, j: IntArray, p: int, out: Array) -> None:
    for k in range(i.size):
        angle = arc(x, i[k], y, j[k])
        out[k] = angle * angle if p == 2 else angle


def cost_matrix(x: Array, y: Array, p: int) -> Array:
    """Angles to the power p (1 or 2) between rows of x (n, d) and y (m, d), (n, m)."""
    out = np.empty((len(x), len(y)))
    _cost_matrix(x, y, p, out)
    return out


def pair_costs(x: Array, i: IntArray, y: Array, j: IntArray, p: int) -> Array:
    """Angles to the power p (1 or 2) between x_{i_k} and y_{j_k}, (len(i),)."""
    out = np.empty(len(i))
    _pair_costs(x, i.astype(np.int64), y, j.astype(np.int64), p, out)
    return out
