"""What is told of a step, or of what comes after the last one: columns and snapshots, compiled.

Between the ends of a step by the dense output of the pair, of what is linear in the state: inner
products, or tokens and their sum.
"""

from __future__ import annotations

import math
from typing import Any

import numba as nb
import numpy as np
from numpy.typing import NDArray

from meanfield.dynamics.ensembles.dormand import DENSE, dense_value
from meanfield.geometry.sphere import Array
from meanfield.geometry.unionfind import join, root_of
from meanfield.interaction.batched import inner_products, scaled_energy

__all__ = ["columns_at", "dense_state", "features", "moved", "snapshot"]

Real = NDArray[np.floating[Any]]
IntArray = NDArray[np.int64]


@nb.njit(error_model="numpy", cache=True)
def features(
    gram: bool, a: int, b: int, counts: Real, Y: Real, Z: Real, K: Real, h: float, F: Array
) -> None:  # fmt: skip
    """Ends, slopes and c5 of what the columns are made of, F (3, rows, 5).

    Of inner products: that of the places a and b, and the sum of all pairs (twice). Of tokens: the
    coordinates of a, those of b, those of the sum.
    """
    F[:] = 0.0
    if gram:
        F[0, 0, 0], F[0, 0, 1] = Y[a, b], Z[a, b]
        F[0, 0, 2], F[0, 0, 3] = K[0, a, b], K[6, a, b]
    for i in range(Y.shape[0]):
        c = counts[i] if gram else 1.0
        row = 0 if gram else i
        for k in range(Y.shape[1]):
            w = float(c * counts[k])
            F[2, row, 0] += w * Y[i, k]
            F[2, row, 1] += w * Z[i, k]
        if not gram:
            for p in range(2):
                at = a if p == 0 else b
                F[p, i, 0], F[p, i, 1] = Y[i, at], Z[i, at]
                F[p, i, 2], F[p, i, 3] = K[0, i, at], K[6, i, at]
        for q in (0, 2, 3, 4, 5, 6):
            e = h * DENSE[q]
            total = 0.0
            for k in range(Y.shape[1]):
                total += float(c * counts[k]) * K[q, i, k]
            F[2, row, 4] += e * total
            if q == 0:
                F[2, row, 2] += total
            if q == 6:
                F[2, row, 3] += total
            if not gram:
                F[0, i, 4] += e * K[q, i, a]
                F[1, i, 4] += e * K[q, i, b]
            elif i == a:
                F[0, 0, 4] += e * K[q, a, b]


@nb.njit(error_model="numpy", cache=True)
def columns_at(
    gram: bool, same: bool, n: int, theta: float, h: float, F: Array, out: Array
) -> None:
    """Write <x_1, x_2>, the mean inner product and |m| into out (4,), places 0, 1, 3."""
    if gram:
        f, s = F[0, 0], F[2, 0]
        product = dense_value(theta, h, f[0], f[1], f[2], f[3], f[4])
        square = dense_value(theta, h, s[0], s[1], s[2], s[3], s[4])
    else:
        product = one = two = square = 0.0
        for i in range(F.shape[1]):
            f, g, s = F[0, i], F[1, i], F[2, i]
            x = dense_value(theta, h, f[0], f[1], f[2], f[3], f[4])
            y = dense_value(theta, h, g[0], g[1], g[2], g[3], g[4])
            product += x * y
            one += x * x
            two += y * y
            square += dense_value(theta, h, s[0], s[1], s[2], s[3], s[4]) ** 2
        product /= math.sqrt(one * two)
    out[0] = 1.0 if same else product
    out[1] = (square - n) / (n * (n - 1.0))
    out[3] = math.sqrt(max(square, 0.0)) / n


@nb.njit(error_model="numpy", cache=True)
def dense_state(theta: float, h: float, Y: Real, Z: Real, K: Real, U: Array) -> None:
    """The whole state at the part ``theta`` of a step, U like Y in float64."""
    for i in range(Y.shape[0]):
        for k in range(Y.shape[1]):
            c5 = 0.0
            for q in (0, 2, 3, 4, 5, 6):
                c5 += DENSE[q] * K[q, i, k]
            U[i, k] = dense_value(
                theta, h, Y[i, k], Z[i, k], K[0, i, k], K[6, i, k], h * c5
            )  # fmt: skip


@nb.njit(error_model="numpy", cache=True)
def moved(gram: bool, decay: float, Y: Real, counts: Real, U: Array) -> None:
    """A single cluster later on, U like Y: 1 - <x, y> has fallen by the factor ``decay``."""
    if gram:
        for i in range(Y.shape[0]):
            for k in range(Y.shape[1]):
                U[i, k] = 1.0 - (1.0 - Y[i, k]) * decay
        return
    shrunk, n = math.sqrt(decay), np.sum(counts)
    for i in range(Y.shape[0]):
        mean = 0.0
        for k in range(Y.shape[1]):
            mean += counts[k] * Y[i, k] / n
        for k in range(Y.shape[1]):
            U[i, k] = mean + (Y[i, k] - mean) * shrunk


@nb.njit(error_model="numpy", cache=True)
def snapshot(
    gram: bool, U: Array, group: IntArray, law: Array, near: float, edges: Array, told: Array,
    bins: IntArray, state: Array,
) -> None:  # fmt: skip
    """Write energy, clusters, largest into told (3,), the histogram (b,) and, unless empty, state.

    Args:
        gram: whether U is (m, m) inner products, else (d, m) tokens of about unit length.
        group: (n,) place of each token.
        near: cosine of the angle of clusters; edges: (b + 1,) of the bins.
    """
    n, m = group.size, U.shape[1]
    P = U
    if not gram:
        for k in range(m):
            length = 0.0
            for i in range(U.shape[0]):
                length += U[i, k] ** 2
            for i in range(U.shape[0]):
                U[i, k] /= math.sqrt(length)
        P = np.empty((m, m))
        inner_products(U, P)
    G = np.empty((n, n))
    parent = np.arange(n)
    for i in range(n):
        for k in range(n):
            g = min(1.0, max(-1.0, P[group[i], group[k]])) if group[i] != group[k] else 1.0
            G[i, k] = g
            if k < i:
                if g > near:
                    join(parent, k, i)
                if edges.size > 1:
                    bins[min(np.searchsorted(edges, g, side="right"), edges.size - 1) - 1] += 1
    sizes = np.zeros(n)
    for i in range(n):
        sizes[root_of(parent, i)] += 1.0
    told[0] = scaled_energy(law, G)
    told[1] = np.count_nonzero(sizes)
    told[2] = sizes.max() / n
    if state.size > 0:
        for i in range(n):
            for k in range(state.shape[1]):
                state[i, k] = G[i, k] if gram else U[k, group[i]]
