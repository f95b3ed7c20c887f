"""Blocks of points in kd order, and couplings of points that follow a coupling of their blocks.

NumPy; knows nothing of costs.
"""

from __future__ import annotations

import numpy as np

from meanfield.analysis.wasserstein_1d import Coupling, overlay
from meanfield.geometry.mesh import IntArray
from meanfield.geometry.sphere import Array

__all__ = ["blocks", "lifted"]


def _first(n: int, count: int) -> IntArray:
    """Where each of ``count`` blocks begins: n points halved as the kd tree does it.

    Other contiguous ranges would have points on both sides of a cut, far apart: ten times the
    variance.
    """
    edges = np.array([0, n])
    while len(edges) - 1 < count:
        halved = np.empty(2 * len(edges) - 1, dtype=np.int64)
        halved[::2], halved[1::2] = edges, (edges[:-1] + edges[1:]) // 2
        edges = halved
    return edges[:-1]


def blocks(x: Array, a: Array, count: int) -> tuple[Array, Array]:
    """Gather points in boxes of the kd tree, of almost equal numbers.

    Args:
        x: (n, d) unit vectors in kd order.
        a: (n,) masses > 0.
        count: of blocks, a power of two; n and more leave everything as it is.

    Returns:
        Mean direction (count, d) and mass of each block.
    """
    if count >= len(x):
        return x, a
    first = _first(len(x), count)
    mass = np.add.reduceat(a, first)
    mean = np.add.reduceat(x * a[:, None], first, axis=0)
    length = np.linalg.norm(mean, axis=1, keepdims=True)
    # A block all around the sphere has no mean direction: its first point stands for it.
    known = length > 1e-3 * mass[:, None]
    centres = np.where(known, mean / np.maximum(length, 1e-300), x[first])
    return np.ascontiguousarray(centres), mass


def lifted(coarse: Coupling, a: Array, b: Array) -> Coupling:
    """A coupling of finer blocks (or points) of the same two measures.

    Mass that goes from one coarse block to another does so in the order of the finer ones. Where
    boundaries of blocks do not meet, the cumulated masses decide.

    Args:
        coarse: coupling of coarser blocks.
        a, b: (n,) and (m,) masses > 0 of the finer blocks, in kd order.

    Returns:
        At most n + m more pieces than before, with a and b as marginals up to round-off.
    """
    keep = coarse.mass > 0.0
    i, j, mass = coarse.source[keep], coarse.target[keep], coarse.mass[keep]
    sides = []
    for weights, key in ((a, (j, i)), (b, (i, j))):
        entries = np.lexsort(key)
        pieces = overlay(weights, mass[entries])
        entry = entries[pieces.target]
        by_entry = np.argsort(entry, kind="stable")
        sides.append((pieces.source[by_entry], pieces.mass[by_entry]))
    (source, mass_a), (target, mass_b) = sides
    pieces = overlay(mass_a, mass_b)
    return Coupling(source[pieces.source], target[pieces.target], pieces.mass)
