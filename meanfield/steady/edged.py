"""Functions for the linearised equation at a density with edges (m > 1), on its support alone.

A perturbation is h = mu^{2-m} g with g smooth up to the edge: where g does not vanish there, it
moves the edge. In g the equation is

    lam g = grad(Phi) . grad(psi) + (m - 1)(Phi - c) Laplace(psi),     psi = kappa g - xi'[h],

with coefficients as smooth as Phi, so that polynomials for g converge as they do for a density
without edges; on all of a circle they are those of cosine and sine. They are made orthonormal with
the weight mu^{2-m}; with f = w g, w = mu^{1-m/2}, all else is as in ``spectrum``. Mass does not
pass from one part of a support to another.

Owns these functions and their nodes.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import linalg

from meanfield.geometry.manifolds import CircleNodes, ZonalNodes
from meanfield.geometry.panels import stretch
from meanfield.geometry.sphere import Array
from meanfield.steady.equation import MomentMap, Point

__all__ = ["basis_between_edges", "components", "fine_between_edges"]

_MORE, _MORE_FOR_CUTS, _MOST = 40, 8, 160  # polynomials beside those of the kernel's degree


def fine_between_edges(moment_map: MomentMap, point: Point) -> tuple[Point, int]:
    """The point on nodes for products of functions, and how many functions there are of a part."""
    grid = moment_map.grid
    cuts = 0 if point.parts is None else point.parts.cuts.size
    number = grid.degree + min(_MORE + _MORE_FOR_CUTS * cuts, _MOST)
    size = round((2 * number + 16) * max(0.5 * stretch(point.law.power), 1.0))
    fine = grid.resized(grid.degree, max(grid.size, size))
    return MomentMap(moment_map.equation, fine).at(point.moments), number


def _intervals(point: Point) -> list[tuple[Array, Array, float]]:
    """Of each part of the support: the nodes (n,) in it, a coordinate in [-1, 1], its slope.

    The coordinate is linear in cos(theta) (zonal), or in the angle (circle).
    """
    grid, parts = point.grid, point.parts
    assert isinstance(grid, CircleNodes | ZonalNodes) and parts is not None
    angle = grid.angles
    ends = [(float(a), float(b)) for a, b in parts.ends]
    if grid.closed and len(ends) > 1 and not parts.edges[0, 0]:
        (_, b), (a, _) = ends[0], ends.pop()  # one part, across the angle 0
        ends[0] = (a - grid.span, b)
    found = []
    for a, b in ends:
        x = np.where(angle > b, angle - grid.span, angle) if a < 0.0 else angle
        inside = (x >= a) & (x <= b)
        if not grid.closed:
            x, a, b = np.cos(x), float(np.cos(b)), float(np.cos(a))
        found.append((inside, (2.0 * x - a - b) / (b - a), 2.0 / (b - a)))
    return found


def components(point: Point) -> Array:
    """(parts, n) 1 at the nodes of each part of a support: mass stays in it."""
    if point.parts is None:
        return np.ones((1, point.log_rho.size))
    return np.array([inside for inside, _, _ in _intervals(point)], dtype=np.float64)


def _legendre(u: Array, number: int) -> tuple[Array, Array]:
    """P_0, P_1, ... and their derivatives, each (number, n)."""
    p, dp = np.zeros((2, number, u.size))
    p[0] = 1.0
    if number > 1:
        p[1], dp[1] = u, 1.0
    for k in range(1, number - 1):
        p[k + 1] = ((2 * k + 1) * u * p[k] - k * p[k - 1]) / (k + 1)
        dp[k + 1] = dp[k - 1] + (2 * k + 1) * p[k]
    return p, dp


def _is_whole_turn(point: Point) -> bool:
    """Whether the support is all of the circle: functions on it are periodic."""
    grid, parts = point.grid, point.parts
    assert isinstance(grid, CircleNodes | ZonalNodes) and parts is not None
    return grid.closed and not np.any(parts.edges)


def _around(u: Array, number: int) -> tuple[Array, Array]:
    """1, cos(pi u), sin(pi u), ... and their derivatives, each (number or one less, n)."""
    k = math.pi * np.arange(1, (number - 1) // 2 + 1)[:, None]
    p, dp = np.zeros((2, 2 * k.size + 1, u.size))
    p[0] = 1.0
    p[1::2], p[2::2] = np.cos(k * u), np.sin(k * u)
    dp[1::2], dp[2::2] = -k * p[2::2], k * p[1::2]
    return p, dp


def basis_between_edges(point: Point, order: int, d: int, number: int) -> tuple[Array, Array]:
    """Orthonormal f at the nodes, (k, n), and the matrix of G/kappa, (k, k).

    Args:
        point: a density with ``parts``.
        order: azimuthal order about the axis; circle: -1.
        d: dimension.
        number: of functions on each part, at most.
    """
    grid = point.grid
    assert isinstance(grid, CircleNodes | ZonalNodes)
    t, sine = np.cos(grid.angles), np.sin(grid.angles)
    values, slopes = [], []
    for inside, u, steep in _intervals(point):
        most = min(number, int(inside.sum()) // 2)
        p, dp = _around(u[inside], most) if _is_whole_turn(point) else _legendre(u[inside], most)
        if grid.closed:
            value, slope = p, dp * steep
        else:  # sin^order times polynomials in t
            s, c = sine[inside] / sine[inside].max(), t[inside]
            value = s**order * p
            slope = -(s**order) * sine[inside] * dp * steep
            if order:
                slope += order * s ** (order - 1) * c / sine[inside].max() * p
        root = np.sqrt(grid.weights[inside] * point.weight[inside])
        r = linalg.qr((value * root).T, mode="r")[0][: len(p)]
        whole = np.zeros((2, len(p), t.size))
        whole[:, :, inside] = (
            linalg.solve_triangular(r.T, value, lower=True),
            (linalg.solve_triangular(r.T, slope, lower=True)),
        )
        values.append(whole[0])
        slopes.append(whole[1])
    g, dg = np.concatenate(values), np.concatenate(slopes)
    mass = grid.weights * point.rho
    stiffness = (dg * mass) @ dg.T
    if order > 0 and order * (order + d - 3) > 0:
        around = g / sine
        stiffness = stiffness + order * (order + d - 3) * (around * mass) @ around.T
    return np.sqrt(point.weight) * g, stiffness
