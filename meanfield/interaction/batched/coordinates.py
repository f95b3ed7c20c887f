"""Velocity of tokens from their coordinates, stored (d, m): the long axis is that of the tokens."""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
from numpy.typing import NDArray

from meanfield.interaction.batched.exponential import weigh

__all__ = ["coordinate_velocity", "inner_products"]

Real = NDArray[np.floating[Any]]


@nb.njit(fastmath={"contract"}, error_model="numpy", cache=True)
def inner_products(X: Real, G: Real) -> None:
    """Write G = X^T X, (m, m), for X (d, m)."""
    d, m = X.shape
    for i in range(m):
        G[i, :] = X.dtype.type(0.0)
        for c in range(d):
            x = X[c, i]
            for j in range(m):
                G[i, j] += x * X[c, j]


@nb.njit(fastmath={"contract"}, error_model="numpy", cache=True)
def coordinate_velocity(
    law: Real, seen: Real, share: Real, counts: Real, X: Real, D: Real, E: Real, G: Real, row: Real
) -> None:  # fmt: skip
    """Write D = X', (d, m), and G = X^T X; E (m, m) and row (m,) are scratch."""
    d, m = X.shape
    inner_products(X, G)
    weigh(law, seen, share, counts, G, E, row)
    for c in range(d):
        D[c, :] = X.dtype.type(0.0)
    for j in range(m):
        for c in range(d):
            x = X[c, j]
            for i in range(m):
                # The pull x_j - G_ij x_i: what is tangential, and nothing of a token itself.
                D[c, i] += E[j, i] * (x - G[j, i] * X[c, i])
    for c in range(d):
        for i in range(m):
            D[c, i] *= row[i]
