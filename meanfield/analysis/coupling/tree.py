"""A kd tree of points in R^d, d <= 4, with a linear model of a potential v in each of its boxes.

Each box is split at the median of its longest side, down to ``_LEAF`` points; its points are a
contiguous range of the *kd order*. In a box with centre c the model is v(y) <= a + g.(y - c) for
all its points: g by least squares over some of them, a the maximum over all of them of
v(y) - g.(y - c). Coordinates are filled up with zeros to four, which change nothing.

NumPy and Numba; knows nothing of costs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba as nb
import numpy as np

from meanfield.geometry.mesh import IntArray
from meanfield.geometry.sphere import Array

__all__ = ["CENTRE", "HALF", "MODEL", "SLOPE", "WIDTH", "Tree", "kd_order", "padded"]

WIDTH = 4
"""Coordinates that a tree has room for."""

CENTRE, HALF, SLOPE, MODEL = 0, WIDTH, 2 * WIDTH, 3 * WIDTH
"""Where in a row of ``Tree.nodes`` the centre c, half the sides, the slope g and a begin."""

_LEAF = 8
_SAMPLED = 32  # points of a box that its slope is fitted to
_RIDGE = 1e-3  # over the trace of the normal matrix: slopes across a flat box are nothing
_BLOCK = 256  # boxes that a thread takes at once


@nb.njit(cache=True)
def _split(x: Array, leaf: int) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    """Ranges [low, high) and left children (-1: a leaf; the right one is next), and the order."""
    n, d = x.shape
    room = 4 * (n // leaf + 2) + 16
    low, high = np.zeros(room, np.int64), np.zeros(room, np.int64)
    left = np.full(room, -1, np.int64)
    order = np.arange(n)
    high[0] = n
    count, k = 1, 0
    while k < count:
        first, last = low[k], high[k]
        if last - first > leaf:
            part = order[first:last].copy()
            longest, axis = -1.0, 0
            for q in range(d):
                least = most = x[part[0], q]
                for i in part:
                    least, most = min(least, x[i, q]), max(most, x[i, q])
                if most - least > longest:
                    longest, axis = most - least, q
            side = np.empty(part.size)
            for r in range(part.size):
                side[r] = x[part[r], axis]
            rank = np.argsort(side, kind="mergesort")
            for r in range(part.size):
                order[first + r] = part[rank[r]]
            middle = (first + last) // 2
            left[k] = count
            low[count], high[count] = first, middle
            low[count + 1], high[count + 1] = middle, last
            count += 2
        k += 1
    return low[:count].copy(), high[:count].copy(), left[:count].copy(), order


@nb.njit(cache=True)
def _boxes(x: Array, low: IntArray, high: IntArray, left: IntArray) -> Array:
    """Centres and half sides of the boxes, in rows with room for the models."""
    count, d = low.size, x.shape[1]
    least, most = np.empty((count, d)), np.empty((count, d))
    nodes = np.zeros((count, 3 * d + 1))
    for k in range(count - 1, -1, -1):
        for q in range(d):
            if left[k] < 0:
                a = b = x[low[k], q]
                for r in range(low[k] + 1, high[k]):
                    a, b = min(a, x[r, q]), max(b, x[r, q])
            else:
                one, two = left[k], left[k] + 1
                a, b = min(least[one, q], least[two, q]), max(most[one, q], most[two, q])
            least[k, q], most[k, q] = a, b
            nodes[k, q] = 0.5 * (a + b)
            # A little more than half: the centre and the half are rounded.
            nodes[k, d + q] = 0.5 * (b - a) + 1e-15
    return nodes


@nb.njit(cache=True)
def _slope(x: Array, v: Array, first: int, last: int, stride: int, a: Array, g: Array) -> None:
    """Ridge least squares of v on the points, by elimination in the work array a (d, 2 d + 1)."""
    d = x.shape[1]
    a[:] = 0.0
    count = 0.0
    for r in range(first, last, stride):
        count += 1.0
        for q in range(d):
            a[q, d + 1] += x[r, q]
        a[0, d + 2] += v[r]
    for q in range(d):
        a[q, d + 1] /= count
    mean = a[0, d + 2] / count
    for r in range(first, last, stride):
        for q in range(d):
            from_mean = x[r, q] - a[q, d + 1]
            a[q, d] += from_mean * (v[r] - mean)
            for s in range(d):
                a[q, s] += from_mean * (x[r, s] - a[s, d + 1])
    trace = 0.0
    for q in range(d):
        trace += a[q, q]
    g[:] = 0.0
    if trace < 1e-28:
        return
    for q in range(d):
        a[q, q] += _RIDGE * trace
    for q in range(d):
        for s in range(q + 1, d):
            factor = a[s, q] / a[q, q]
            for t in range(q, d + 1):
                a[s, t] -= factor * a[q, t]
    for q in range(d - 1, -1, -1):
        value = a[q, d]
        for s in range(q + 1, d):
            value -= a[q, s] * g[s]
        g[q] = value / a[q, q]


@nb.njit(parallel=True, cache=True)
def _fit_models(x: Array, v: Array, low: IntArray, high: IntArray, nodes: Array) -> None:
    count, d = low.size, x.shape[1]
    for block in nb.prange((count + _BLOCK - 1) // _BLOCK):
        work, g = np.empty((d, d + 3)), np.empty(d)
        for k in range(block * _BLOCK, min(count, (block + 1) * _BLOCK)):
            stride = max(1, (high[k] - low[k]) // _SAMPLED)
            _slope(x, v, low[k], high[k], stride, work, g)
            most = -np.inf
            for r in range(low[k], high[k]):
                above = v[r]
                for q in range(d):
                    above -= g[q] * (x[r, q] - nodes[k, q])
                most = max(most, above)
            for q in range(d):
                nodes[k, 2 * d + q] = g[q]
            nodes[k, 3 * d] = most


def padded(x: Array) -> Array:
    """Points (n, d), d <= 4, with zeros in the coordinates that are missing, (n, 4)."""
    out = np.zeros((len(x), WIDTH))
    out[:, : x.shape[1]] = x
    return out


@dataclass(frozen=True)
class Tree:
    """Boxes of points.

    Attributes:
        points: (n, 4), in kd order.
        order: (n,) which point as given is the k-th of the kd order.
        low, high, left: (boxes,) ranges of points, and left children; see ``_split``.
        nodes: (boxes, 13) centres, half sides, slopes and a of the last potential.
    """

    points: Array
    order: IntArray
    low: IntArray
    high: IntArray
    left: IntArray
    nodes: Array

    @classmethod
    def of(cls, x: Array) -> Tree:
        """The tree of points (n, d)."""
        wide = padded(x)
        low, high, left, order = _split(wide, _LEAF)
        wide = np.ascontiguousarray(wide[order])
        return cls(wide, order, low, high, left, _boxes(wide, low, high, left))

    def fit(self, v: Array) -> Array:
        """Model a potential (n,) of the points as given in each box; gives it in kd order."""
        ordered = np.ascontiguousarray(v[self.order])
        _fit_models(self.points, ordered, self.low, self.high, self.nodes)
        return ordered


def kd_order(x: Array) -> IntArray:
    """The kd order of points (n, d), any d: neighbours in it are neighbours in space."""
    return _split(np.ascontiguousarray(x), _LEAF)[3]
