"""For each x the smallest c(x, y) - v(y) over all y, c = angle^p: by a tree in R^d up to 4, or all.

With rho the distance of x to the centre c of a box with half sides h, F(r) = (2 asin(r/2))^p the
cost as a function of the chord, and v(y) <= a + g.(y - c) in the box (``tree``): F is convex and
rising and |x - y| is convex in y, so that its tangent plane at c lies below, and

    F(rho) - a - sum_q |w (c_q - x_q) - g_q| h_q <= min over the box of c(x, y) - v(y),

w = F'(rho) / rho. The y are unit vectors: for any l, l (|y|^2 - 1) = 0 may be taken off. With
2 l c the part along c of the slope s = w (c - x) - g, the bound

    F(rho) - a - l (|c|^2 - 1) - max(l, 0) |h|^2 - sum_q |s_q - 2 l c_q| h_q

no longer sees the slope across the sphere, of which the values of v tell nothing: its error is of
order h^2 where c - v is flat along the sphere, as it is near its minimum. The larger of the two is
taken. Near the antipode (rho > 1.9), where F is steep, F of the distance to the box takes the place
of F(rho) and w = 0. Boxes are searched depth first, the lower bound first.

NumPy and Numba; knows nothing of weights and of couplings.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numba as nb
import numpy as np

from meanfield.analysis.coupling.costs import arc
from meanfield.analysis.coupling.tree import (
    CENTRE,
    HALF,
    MODEL,
    SLOPE,
    WIDTH,
    Tree,
    kd_order,
    padded,
)
from meanfield.geometry.mesh import IntArray
from meanfield.geometry.sphere import Array

__all__ = ["Points", "smallest"]

_STEEP = 1.9  # of chords: beyond, the tangent plane is of no use
_ROUND_OFF = 1e-14  # that bounds are lowered by
_BLOCK = 256  # queries that a thread takes at once
_DEPTH = 128  # of the stack: two boxes a level


@nb.njit(inline="always")
def _bound(x: Array, i: int, nodes: Array, k: int, p: int) -> float:
    """A lower bound of c(x_i, y) - v(y) over box k."""
    square = 0.0
    for q in range(WIDTH):
        square += (nodes[k, CENTRE + q] - x[i, q]) ** 2
    rho = math.sqrt(square)
    weight = 0.0
    if rho > _STEEP:
        apart = 0.0
        for q in range(WIDTH):
            outside = max(0.0, abs(nodes[k, CENTRE + q] - x[i, q]) - nodes[k, HALF + q])
            apart += outside * outside
        angle = 2.0 * math.asin(min(1.0, 0.5 * math.sqrt(apart)))
    else:
        angle = 2.0 * math.asin(0.5 * rho)
        if rho > 1e-12:
            weight = 1.0 / (math.sqrt(1.0 - 0.25 * square) * rho)
    if p == 2:
        weight *= 2.0 * angle
        angle *= angle
    plain, along, radius, sides = 0.0, 0.0, 0.0, 0.0
    for q in range(WIDTH):
        c, h = nodes[k, CENTRE + q], nodes[k, HALF + q]
        slope = weight * (c - x[i, q]) - nodes[k, SLOPE + q]
        plain += abs(slope) * h
        along += slope * c
        radius += c * c
        sides += h * h
    bound = angle - nodes[k, MODEL] - _ROUND_OFF
    if radius < 0.25 or rho > _STEEP:
        return bound - plain
    normal = 0.5 * along / radius
    bent = normal * (radius - 1.0) + max(normal, 0.0) * sides
    for q in range(WIDTH):
        c, h = nodes[k, CENTRE + q], nodes[k, HALF + q]
        slope = weight * (c - x[i, q]) - nodes[k, SLOPE + q]
        bent += abs(slope - 2.0 * normal * c) * h
    return bound - min(plain, bent)


@nb.njit(inline="always")
def _cheap(square: float, p: int) -> float:
    """A lower bound of angle^p by the square of the chord: series with positive terms."""
    if p == 2:
        return square * (1.0 + square * (1.0 / 12.0 + square * (1.0 / 90.0 + square / 560.0)))
    return math.sqrt(square) * (1.0 + square / 24.0)


@nb.njit(inline="always")
def _insert(value: Array, index: IntArray, i: int, c: float, j: int) -> float:
    """Put c where it belongs in the rising row i; the new last one."""
    k = value.shape[1] - 1
    while k > 0 and value[i, k - 1] > c:
        value[i, k] = value[i, k - 1]
        index[i, k] = index[i, k - 1]
        k -= 1
    value[i, k] = c
    index[i, k] = j
    return value[i, value.shape[1] - 1]


@nb.njit(parallel=True, cache=True)
def _search_boxes(
    x: Array,
    y: Array,
    v: Array,
    low: IntArray,
    high: IntArray,
    left: IntArray,
    nodes: Array,
    p: int,
    limits: Array,
    value: Array,
    index: IntArray,
) -> None:
    n = x.shape[0]
    for block in nb.prange((n + _BLOCK - 1) // _BLOCK):
        stack, bounds = np.empty(_DEPTH, np.int64), np.empty(_DEPTH)
        for i in range(block * _BLOCK, min(n, (block + 1) * _BLOCK)):
            limit = limits[i]
            top = 1
            stack[0], bounds[0] = 0, -np.inf
            while top > 0:
                top -= 1
                k = stack[top]
                if bounds[top] >= limit:
                    continue
                one = left[k]
                if one < 0:
                    for j in range(low[k], high[k]):
                        square = 0.0
                        for q in range(WIDTH):
                            square += (x[i, q] - y[j, q]) ** 2
                        if _cheap(square, p) - v[j] - _ROUND_OFF < limit:
                            angle = arc(x, i, y, j)
                            c = (angle * angle if p == 2 else angle) - v[j]
                            if c < limit:
                                limit = min(limit, _insert(value, index, i, c, j))
                    continue
                near, far = one, one + 1
                near_bound, far_bound = _bound(x, i, nodes, near, p), _bound(x, i, nodes, far, p)
                if far_bound < near_bound:
                    near, far = far, near
                    near_bound, far_bound = far_bound, near_bound
                if far_bound < limit:
                    stack[top], bounds[top] = far, far_bound
                    top += 1
                if near_bound < limit:
                    stack[top], bounds[top] = near, near_bound
                    top += 1


@nb.njit(parallel=True, cache=True)
def _search_all(
    x: Array, y: Array, v: Array, p: int, limits: Array, value: Array, index: IntArray
) -> None:
    n = x.shape[0]
    for block in nb.prange((n + _BLOCK - 1) // _BLOCK):
        for i in range(block * _BLOCK, min(n, (block + 1) * _BLOCK)):
            limit = limits[i]
            for j in range(y.shape[0]):
                square = 0.0
                for q in range(x.shape[1]):
                    square += (x[i, q] - y[j, q]) ** 2
                if _cheap(square, p) - v[j] - _ROUND_OFF < limit:
                    angle = arc(x, i, y, j)
                    c = (angle * angle if p == 2 else angle) - v[j]
                    if c < limit:
                        limit = min(limit, _insert(value, index, i, c, j))


class Points:
    """Points ready to search and to be searched: with a tree up to d = 4.

    Attributes:
        points: (n, d) unit vectors; up to d = 4 with zeros in the coordinates that are missing.
        tree: of these; None for d > 4.
    """

    def __init__(self, x: Array, tree: Tree | None = None) -> None:
        small = x.shape[1] <= WIDTH
        self.points = padded(x) if small else np.ascontiguousarray(x)
        self.tree = Tree.of(x) if small and tree is None else tree

    @classmethod
    def in_order(cls, x: Array) -> tuple[Points, IntArray]:
        """The points in kd order, and which row of x each of them is."""
        if x.shape[1] > WIDTH:
            order = kd_order(x)
            return cls(x[order]), order
        tree = Tree.of(x)
        return cls(tree.points, replace(tree, order=np.arange(len(x)))), tree.order

    def __len__(self) -> int:
        return len(self.points)


def smallest(
    queries: Points, among: Points, v: Array, p: int, count: int, limits: Array | None = None
) -> tuple[Array, IntArray]:
    """For each x_i the smallest c(x_i, y_j) - v_j, rising.

    Args:
        queries: the n points x, neighbours one after the other (kd order), for speed only.
        among: the m points y.
        v: (m,) potential.
        p: 1 or 2.
        count: how many are wanted.
        limits: (n,) only what is below these is wanted; everything by default.

    Returns:
        Values and indices j (n, min(count, m)); inf and -1 where there are fewer.
    """
    n, count = len(queries), min(count, len(among))
    value, index = np.full((n, count), np.inf), np.full((n, count), -1, dtype=np.int64)
    limits = np.full(n, np.inf) if limits is None else np.ascontiguousarray(limits)
    x, tree = queries.points, among.tree
    if tree is None:
        _search_all(x, among.points, np.ascontiguousarray(v), p, limits, value, index)
        return value, index
    ordered = tree.fit(v)
    _search_boxes(
        x, tree.points, ordered, tree.low, tree.high, tree.left, tree.nodes, p, limits, value, index
    )
    index = np.where(index >= 0, tree.order[index], -1)
    return value, index
