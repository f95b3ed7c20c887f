"""Quadrature over the part of a line where a function is above a level: nodes between its ends.

What is integrated is smooth inside and like a power of the distance to the ends, where the function
comes down to the level: Gauss-Jacobi nodes, or nodes in a root of the
distance, next to them. Next to places where it nearly comes down,
or comes up again, panels halve towards them.

NumPy and SciPy only.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np

from meanfield.geometry.sphere import Array

__all__ = ["Nodes", "Parts", "parts_above", "quadrature", "stretch"]

_HALVINGS = 45
_LEAST = 0.3  # of the nodes that the whole line would have: those of the shortest panel
_WHOLE, _ORDER = 1e-9, 9.0
_SLACK = 1e-14  # of angles


@dataclass(frozen=True)
class Parts:
    """Where a function is above a level.

    Attributes:
        ends: (k, 2) the intervals, ascending.
        edges: (k, 2) whether an end is an edge, where the function comes down to the level; else it
            is an end of the line.
        cuts: further ends of panels, inside the intervals.
    """

    ends: Array
    edges: Array
    cuts: Array


def parts_above(
    line: Array, height: Array, level: float, at: Callable[[Array], tuple[Array, Array]],
    closed: bool,
) -> Parts:  # fmt: skip
    """The intervals where a function is above a level.

    Args:
        line: (n,) equally spaced, both ends among them; parts that fall between are not seen.
        height: (n,) the function there.
        level: what it is above.
        at: the function and its derivative anywhere.
        closed: whether the line is one turn; else the function is even about both ends.
    """
    above = height > level
    steps = np.flatnonzero(above[1:] != above[:-1])
    roots = _roots(line[steps], line[steps + 1], above[steps], level, at)
    first, last = line[0], line[-1]
    starts = np.concatenate([[first] if above[0] else [], roots[~above[steps]]])
    stops = np.concatenate([roots[above[steps]], [last] if above[-1] else []])
    ends = np.column_stack([starts, stops])
    edges = np.column_stack([
        np.arange(len(ends)) >= (1 if above[0] else 0),
        np.arange(len(ends)) < len(ends) - (1 if above[-1] else 0),
    ])  # fmt: skip
    width = last - first
    if closed:
        images = np.concatenate([roots - width, roots, roots + width])
    else:
        images = np.concatenate([2.0 * first - roots, roots, 2.0 * last - roots])
    images = np.sort(images)
    places, scales = _near_minima(line, height, level, above, closed)
    cuts: list[Array] = []
    for (a, b), (edge_a, edge_b) in zip(ends, edges, strict=True):
        inside = (places >= a) & (places <= b)
        marks, near = list(places[inside]), list(scales[inside])
        for x, is_edge, side in ((a, edge_a, -1), (b, edge_b, 1)):
            k = int(np.searchsorted(images, x)) + side
            if is_edge and 0 <= k < images.size:
                marks.append(x)
                near.append(abs(float(images[k]) - x))
        cuts.append(_graded(float(a), float(b), marks, near))
    return Parts(ends, edges, np.concatenate([*cuts, np.zeros(0)]))


def _roots(
    low: Array, high: Array, falls: Array, level: float,
    at: Callable[[Array], tuple[Array, Array]],
) -> Array:  # fmt: skip
    """Where the function crosses the level between neighbours: Newton's steps, kept between."""
    low, high = low.copy(), high.copy()
    x = 0.5 * (low + high)
    if not x.size:
        return x
    for _ in range(80):
        value, slope = at(x)
        value = value - level
        left = (value > 0.0) == falls  # the root lies right of x
        low, high = np.where(left, x, low), np.where(left, high, x)
        with np.errstate(divide="ignore", invalid="ignore"):
            step = x - value / slope
        # Next to the root, which may be a bound, steps end on bounds or, by round-off, beyond.
        fine = (step >= low - _SLACK) & (step <= high + _SLACK)
        following = np.where(fine, np.clip(step, low, high), 0.5 * (low + high))
        still = np.abs(following - x) <= 4e-16 * np.maximum(np.abs(x), 1e-3)
        x = following
        if np.all(still | (high - low <= 4e-16)):
            break
    return x


def _near_minima(
    line: Array, height: Array, level: float, above: Array, closed: bool
) -> tuple[Array, Array]:
    """Minima above the level, and how far from each, along the imaginary axis, the level is."""
    if closed:
        before, after = np.roll(height[:-1], 1), np.roll(height[:-1], -1)
        before, after = np.append(before, before[0]), np.append(after, after[0])
    else:
        before = np.concatenate([height[1:2], height[:-1]])
        after = np.concatenate([height[1:], height[-2:-1]])
    low = above & (height <= before) & (height <= after) & (before + after > 2.0 * height)
    h = line[1] - line[0]
    bend = (before + after - 2.0 * height)[low] / h**2
    return line[low], np.sqrt(2.0 * (height[low] - level) / bend)


def _graded(a: float, b: float, marks: list[float], near: list[float]) -> Array:
    """Ends of panels in (a, b) that halve towards marks, down to a scale of each."""
    places = sorted({a, b, *marks})
    cuts = [x for x in places if a < x < b]
    for mark, scale in zip(marks, near, strict=True):
        k = places.index(mark)
        for other in (*places[k - 1 : k], *places[k + 1 : k + 2]):
            reach = 0.5 * (other - mark)
            for _ in range(_HALVINGS):
                if abs(reach) < scale:
                    break
                cuts.append(mark + reach)
                reach *= 0.5
    return np.array(cuts)


@dataclass(frozen=True)
class Nodes:
    """A quadrature.

    Attributes:
        x: (n,) where.
        lengths: (n,) weights.
        from_edge: (n,) signed distance to the edge at which its panel ends, to all digits; inf
            where that has none.
    """

    x: Array
    lengths: Array
    from_edge: Array


def stretch(power: float) -> float:
    """p of the substitution x = v^p next to edges: a polynomial of x is one of p times its degree.

    1 for powers >= 0, which need none. Else a multiple k of 1/(1 + power), so that the function
    times dx/dv is like v^{k - 1}; where p is no whole number, terms like v^p are of a high order.
    """
    if power >= 0.0:
        return 1.0
    k = 1
    while abs(k / (1.0 + power) - round(k / (1.0 + power))) > _WHOLE and k < _ORDER * (1.0 + power):
        k += 1
    return k / (1.0 + power)


@lru_cache(maxsize=512)
def _towards_edge(n: int, power: float) -> tuple[Array, Array]:
    """Nodes in (0, 1) and weights for functions like x^power at 0, or x^{power + k}."""
    from scipy.special import roots_jacobi

    if power >= 0.0:
        part = power - math.floor(power)
        x, w = roots_jacobi(n, 0.0, part)
        return 0.5 * (1.0 + x), 0.5 * w / (1.0 + x) ** part
    v, w = np.polynomial.legendre.leggauss(n)
    v, p = 0.5 * (1.0 + v), stretch(power)
    return v**p, 0.5 * w * p * v ** (p - 1.0)


def quadrature(parts: Parts, power: float, size: float) -> Nodes:
    """Nodes and weights for functions like a power of the distance to the edges.

    Args:
        parts: where.
        power: above -1; powers that differ from it by whole numbers are integrated as well.
        size: number of nodes of a panel as long as all parts.
    """
    total = float(np.sum(parts.ends[:, 1] - parts.ends[:, 0]))
    found: list[tuple[Array, Array, Array]] = []
    for (a, b), (edge_a, edge_b) in zip(parts.ends, parts.edges, strict=True):
        inside = parts.cuts[(parts.cuts > a) & (parts.cuts < b)]
        middle = [0.5 * (a + b)] if edge_a and edge_b and not inside.size else []
        borders = np.unique(np.concatenate([[a], inside, middle, [b]]))
        for low, high in pairwise(borders):
            length = high - low
            n = math.ceil(size * (_LEAST + length / total)) + 4
            if (edge_a and low == a) or (edge_b and high == b):
                at, weight = _towards_edge(n, power)
                edge, sign = (low, 1.0) if edge_a and low == a else (high, -1.0)
                off = sign * length * at
                found.append((edge + off, length * weight, off))
            else:
                at, weight = _towards_edge(n, 0.0)
                found.append((low + length * at, length * weight, np.full(n, math.inf)))
    x, w, off = (np.concatenate(column) for column in zip(*found, strict=True))
    return Nodes(x, w, off)
