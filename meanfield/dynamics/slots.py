"""Compiled: the rows of a sparse matrix as stars of vertices, slot by slot.

Each pass is one loop over the edges: with NumPy, arrays as long as all edges in between were most
of the time and of the memory of a set-up.
"""

from __future__ import annotations

import numba as nb
import numpy as np
from numpy.typing import NDArray

from meanfield.geometry.sphere import Array

__all__ = ["largest_valence", "pair_slots", "take_rows"]

IndexArray = NDArray[np.int32]


@nb.njit(cache=True)
def largest_valence(ends: NDArray[np.int64], columns: IndexArray, n: int) -> int:
    """Largest number of entries off the diagonal in the first n rows of a CSR matrix."""
    most = 0
    for i in range(n):
        count = 0
        for place in range(ends[i], ends[i + 1]):
            if columns[place] != i:
                count += 1
        most = max(most, count)
    return most


@nb.njit(cache=True)
def take_rows(
    ends: NDArray[np.int64],
    columns: IndexArray,
    values: Array,
    neighbour: IndexArray,
    coefficient: Array,
) -> None:
    """Entries off the diagonal of the first n rows, with the opposite sign, into (K, n) slots.

    Slots that are left over point at the vertex itself, with coefficient 0.
    """
    slots, n = neighbour.shape
    for i in range(n):
        k = 0
        for place in range(ends[i], ends[i + 1]):
            if columns[place] != i:
                neighbour[k, i] = columns[place]
                coefficient[k, i] = -values[place]
                k += 1
        for rest in range(k, slots):
            neighbour[rest, i] = i
            coefficient[rest, i] = 0.0


@nb.njit(cache=True)
def pair_slots(neighbour: IndexArray, reverse: IndexArray) -> None:
    """Flat slot of the same edge seen from its other end, (K, n); K n where there is none here."""
    slots, n = neighbour.shape
    for k in range(slots):
        for i in range(n):
            j = neighbour[k, i]
            reverse[k, i] = slots * n
            if j != i and j < n:
                for back in range(slots):
                    if neighbour[back, j] == i:
                        reverse[k, i] = back * n + j
