"""Which tokens are near each other: connected components of the graph "closer than an angle".

Never stores the edges of a clique: tokens are first put into cells so small that all tokens of a
cell are neighbours, and only what is between cells is looked at. Knows only points.
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from meanfield.errors import InputError
from meanfield.geometry.sphere import Array
from meanfield.geometry.unionfind import join, root_of

__all__ = ["cluster_labels", "collapsed_groups", "numbered_groups"]

IntArray = NDArray[np.int64]

_PROBE = 2000  # points looked at first, to see whether a full search would pay
_ROUND_OFF = (
    2e-14  # distance below which unit vectors are the same up to some units in the last place
)
_HIGH_DIMENSION = 4  # above it, a cell has too many neighbours for trees to help
_BLOCK = 4_000_000  # pairs at a time


def cluster_labels(x: Array, angle: float) -> IntArray:
    """Number the clusters of tokens: chains of neighbours closer than ``angle`` belong together.

    Needs memory for the tokens and some neighbours of each occupied cell (of size ``angle``), not
    for the pairs of tokens: a million tokens in one place are one cell.

    Args:
        x: (n, d) unit vectors.
        angle: radians, in (0, pi].

    Returns:
        (n,) labels 0, 1, ...: 0 is the cluster of most tokens; of equals, the one that holds the
        token of lowest number comes first.

    Raises:
        InputError: the angle is out of its range.
    """
    if not 0.0 < angle <= math.pi:
        raise InputError(f"angle = {angle:g} found, 0 < angle <= pi expected")
    x = np.ascontiguousarray(x, dtype=np.float64)
    n, d = x.shape
    if n == 0:
        return np.zeros(0, dtype=np.int64)
    chord = 2.0 * math.sin(0.5 * angle)
    parent = np.arange(n)
    if d > _HIGH_DIMENSION and chord > 1e-5:
        _join_by_products(x, chord, parent)
    else:
        _join_by_cells(x, chord, parent)
    _flatten(parent)
    return _by_size(parent)


def collapsed_groups(
    points: Array, masses: Array, velocity: Array, radius: float
) -> tuple[IntArray, Array] | None:
    """Find groups of points that are as good as one: close to their mean and getting closer.

    Args:
        points: (m, d) unit vectors; masses: (m,) >= 0; velocity: (m, d).
        radius: largest distance of a member of a group from its mean (a chord).

    Returns:
        (m,) the lowest number of a member of each point's group (its own where it stays alone) and
        (m, d) unit vectors: the mean of its group (the point itself where it stays alone); None if
        there is nothing to join.
    """
    m, d = points.shape
    near = 2.0 * math.asin(min(1.0, 0.5 * radius))
    if m > _PROBE:  # a full search costs as much as some steps: look at a part first
        probe = points[:: m // _PROBE]
        if len(np.unique(cluster_labels(probe, near))) > 0.9 * len(probe):
            return None
    labels = cluster_labels(points, near)
    count = int(labels.max()) + 1
    if count == m:
        return None
    share = masses + 1e-300  # points of mass zero have a mean, too
    total = np.bincount(labels, weights=share)

    def means(values: Array, weights: Array) -> Array:
        sums = (np.bincount(labels, weights=weights * values[:, k]) for k in range(d))
        return np.stack(list(sums), axis=1) / total[:, None]

    # A chain of neighbours may be long: only its core, what is near the mean, is joined.
    core = np.sum((points - means(points, share)[labels]) ** 2, axis=1) <= radius**2
    share = np.where(core, share, 0.0)
    total = np.bincount(labels, weights=share)
    total = np.where(total > 0.0, total, 1.0)
    mean = means(points, share)
    away = points - mean[labels]
    growth = np.bincount(
        labels, weights=share * np.sum(away * (velocity - means(velocity, share)[labels]), axis=1)
    )
    members = np.bincount(labels, weights=core)
    spread = np.zeros(count)
    np.maximum.at(spread, labels, np.where(core, np.sum(away * away, axis=1), 0.0))
    # At distances of round-off, differences of velocities are noise: whatever came so near stays.
    nearing = (growth <= 0.0) | (spread <= _ROUND_OFF**2)
    joined = core & ((members > 1) & nearing & (spread <= radius**2))[labels]
    if not np.any(joined):
        return None
    length = np.linalg.norm(mean, axis=1, keepdims=True)
    centre = mean / np.where(length > 0.0, length, 1.0)
    numbers = np.arange(m)
    lowest = np.full(count, m)
    np.minimum.at(lowest, labels[joined], numbers[joined])
    group = np.where(joined, lowest[labels], numbers)
    return group, np.where(joined[:, None], centre[labels], points)


def numbered_groups(group: IntArray) -> tuple[IntArray, IntArray]:
    """Number groups 0, 1, ... in the order of their first members.

    Args:
        group: (n,) members of one group have the same number, whatever it is.

    Returns:
        (n,) the new numbers, and the first member of each group.
    """
    _, first, inverse = np.unique(group, return_index=True, return_inverse=True)
    order = np.argsort(first, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(order.size)
    return rank[inverse.reshape(-1)], first[order]


def _join_by_products(x: Array, chord: float, parent: IntArray) -> None:
    """All pairs, a block of rows at a time; |x - y|^2 = 2 - 2 <x, y> is good to 1e-8 in |x - y|."""
    n = len(x)
    rows = max(1, _BLOCK // n)
    least = 1.0 - 0.5 * chord * chord
    for start in range(0, n, rows):
        near = x[start : start + rows] @ x[start:].T > least
        _join_rows(near, start, parent)


def _join_by_cells(x: Array, chord: float, parent: IntArray) -> None:
    n, d = x.shape
    # Diagonal just below the chord: all tokens of a cell are neighbours.
    side = 0.999 * chord / math.sqrt(d)
    keys = np.floor(x / side).astype(np.int64)
    order = np.lexsort(keys.T)
    new = np.ones(n, dtype=bool)
    new[1:] = np.any(keys[order[1:]] != keys[order[:-1]], axis=1)
    starts = np.flatnonzero(new)
    stops = np.append(starts[1:], n)
    y = x[order]
    low, high = np.minimum.reduceat(y, starts), np.maximum.reduceat(y, starts)
    _join_runs(order, starts, stops, parent)
    if len(starts) == 1:
        return
    centres = 0.5 * (low + high)
    radius = 0.5 * np.linalg.norm(high - low, axis=1)
    tree = cKDTree(centres)
    reach = chord + 2.0 * float(radius.max()) + 1e-15
    # Cells in blocks: a cell has a bounded number of neighbours, but there may be 1e6 cells.
    for begin in range(0, len(starts), 50_000):
        block = np.arange(begin, min(begin + 50_000, len(starts)))
        pairs = cKDTree(centres[block]).sparse_distance_matrix(tree, reach, output_type="ndarray")
        first, second, distance = block[pairs["i"]], pairs["j"], pairs["v"]
        near = (second > first) & (distance < chord + radius[first] + radius[second] + 1e-15)
        first, second = first[near], second[near]
        # Nearest first: once joined, further pairs of the same clusters need no comparison.
        rank = np.argsort(distance[near], kind="stable")
        _join_cells(
            y, order, starts, stops, low, high, first[rank], second[rank], chord * chord, parent
        )


@nb.njit(cache=True)
def _join_rows(near: NDArray[np.bool_], start: int, parent: IntArray) -> None:
    for i in range(near.shape[0]):
        for j in range(i + 1, near.shape[1]):
            if near[i, j]:
                join(parent, start + i, start + j)


@nb.njit(cache=True)
def _join_runs(order: IntArray, starts: IntArray, stops: IntArray, parent: IntArray) -> None:
    for k in range(starts.size):
        for i in range(starts[k] + 1, stops[k]):
            join(parent, order[starts[k]], order[i])


@nb.njit(cache=True)
def _join_cells(
    y: Array, order: IntArray, starts: IntArray, stops: IntArray, low: Array, high: Array,
    first: IntArray, second: IntArray, limit: float, parent: IntArray,
) -> None:  # fmt: skip
    d = y.shape[1]
    for k in range(first.size):
        a, b = first[k], second[k]
        if root_of(parent, order[starts[a]]) == root_of(parent, order[starts[b]]):
            continue
        gap = 0.0  # squared distance of the bounding boxes
        for c in range(d):
            g = max(low[a, c] - high[b, c], low[b, c] - high[a, c], 0.0)
            gap += g * g
        if gap >= limit:
            continue
        found = False
        for i in range(starts[a], stops[a]):
            for j in range(starts[b], stops[b]):
                s = 0.0
                for c in range(d):
                    s += (y[i, c] - y[j, c]) ** 2
                if s < limit:
                    found = True
                    break
            if found:
                break
        if found:
            join(parent, order[starts[a]], order[starts[b]])


@nb.njit(cache=True)
def _flatten(parent: IntArray) -> None:
    for i in range(parent.size):
        parent[i] = root_of(parent, i)


def _by_size(root: IntArray) -> IntArray:
    """Number the roots by falling size; roots are the lowest tokens of their clusters."""
    _, inverse, counts = np.unique(root, return_inverse=True, return_counts=True)
    rank = np.empty(counts.size, dtype=np.int64)
    rank[np.argsort(-counts, kind="stable")] = np.arange(counts.size)
    return np.asarray(rank[inverse.reshape(-1)])
