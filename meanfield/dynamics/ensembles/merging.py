"""Tokens at one place become one of their joint mass, compiled: stiffness inside a cluster ends."""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
from numpy.typing import NDArray

from meanfield.geometry.unionfind import join, root_of

__all__ = ["MERGED", "has_merged", "merged"]

Real = NDArray[np.floating[Any]]
IntArray = NDArray[np.int64]

MERGED = 1e-9
"""1 - <x, y> below which two tokens are at one place: 4.5e-5 radians."""


@nb.njit(error_model="numpy", cache=True)
def has_merged(G: Real, before: Real) -> bool:
    """Whether two places are one: near each other, and no farther than one step before."""
    for i in range(G.shape[0]):
        for k in range(i):
            if 1.0 - G[i, k] < MERGED and G[i, k] >= before[i, k]:
                return True
    return False


@nb.njit(error_model="numpy", cache=True)
def merged(
    gram: bool, Y: Real, G: Real, before: Real, counts: Real, group: IntArray
) -> tuple[Real, Real]:  # fmt: skip
    """The state with places that are one joined, at that of the first of them, and their counts.

    Args:
        gram: whether Y is G (m, m), else tokens (d, m).
        Y, G, before: the state, products (m, m), and those of one step before.
        counts: (m,) tokens at each place.
        group: (n,) place of each token; written anew.
    """
    m = G.shape[0]
    parent = np.arange(m)
    for i in range(m):
        for k in range(i):
            if 1.0 - G[i, k] < MERGED and G[i, k] >= before[i, k]:
                join(parent, k, i)
    kept = np.empty(m, np.int64)
    number = np.zeros(m, np.int64)
    left = 0
    for i in range(m):
        if root_of(parent, i) == i:
            kept[left] = i
            number[i] = left
            left += 1
    c = np.zeros(left, counts.dtype)
    for i in range(m):
        c[number[root_of(parent, i)]] += counts[i]
    for i in range(group.size):
        group[i] = number[root_of(parent, group[i])]
    rows = left if gram else Y.shape[0]
    y = np.empty((rows, left), Y.dtype)
    for i in range(rows):
        for k in range(left):
            y[i, k] = Y[kept[i] if gram else i, kept[k]]
    return y, c
