"""Quadrature rules of high degree on each geometry, with cells between their nodes.

Exact for polynomials of a degree that grows with the number of nodes, weights > 0 of sum one. Knows
nothing of meshes that others make, nor of what is integrated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from meanfield.errors import InputError
from meanfield.geometry.manifolds import Manifold
from meanfield.geometry.mesh import IntArray, hull_cells
from meanfield.geometry.polynomials import gauss_gegenbauer
from meanfield.geometry.sphere import Array

__all__ = ["Rule", "cells_between", "log_crowding", "resting_ends", "rule_on"]


@dataclass(frozen=True, eq=False)
class Rule:
    """Nodes and weights for the uniform probability.

    Attributes:
        points: (n, gdim) in the coordinates of the geometry; weights: (n,) > 0, sum one.
        degree: of harmonics up to which it is exact, to 3e-11.
    """

    points: Array
    weights: Array
    degree: int


def rule_on(manifold: Manifold, number: int) -> Rule:
    """The rule of about ``number`` nodes on a geometry.

    S^2: Gauss-Legendre latitudes with fewer longitudes near the poles. S^1: equal steps. Zonal:
    Gauss-Gegenbauer nodes.

    Raises:
        InputError: fewer than 8 nodes, or a geometry that has none.
    """
    if manifold.dimension == 0:
        raise InputError(f"no quadrature rule on '{manifold.name}'")
    if number < 8:
        raise InputError(f"{number} nodes of a quadrature rule found, 8 or more expected")
    if manifold.dimension == 2:
        return _on_sphere(number)
    return _on_circle(number) if manifold.closed else _on_latitudes(manifold.d, number)


def cells_between(manifold: Manifold, points: Array) -> IntArray:
    """Cells (m, corners) of points (n, gdim): triangles of the hull, or intervals in their order.

    In zonal geometry from the first point to the last: with ``resting_ends`` all of it.
    """
    if manifold.dimension == 2:
        return hull_cells(points)
    order = np.argsort(manifold.angles(points), kind="stable")
    ends = np.roll(order, -1) if manifold.closed else order[1:]
    return np.stack([order[: len(ends)], ends], axis=1)


def resting_ends(manifold: Manifold) -> Array:
    """Points (k, gdim) where an interval ends: both poles in zonal geometry, where X = 0.

    No Gauss rule has them as nodes: for functions on all of the interval they are added with the
    weight 0.
    """
    ends = manifold.latitudes and not manifold.closed
    return np.array([[0.0], [math.pi]]) if ends else np.zeros((0, manifold.gdim))


def log_crowding(manifold: Manifold, points: Array, log_rho: Array) -> float:
    """log of the highest density as the nodes of a rule see it.

    On a surface that with respect to sigma; on a curve that of the angle, times its range, which a
    cluster as narrow as 1/n of it makes about n wherever it is.
    """
    if manifold.dimension == 2:
        return float(np.max(log_rho))
    span = 2.0 * math.pi if manifold.closed else math.pi
    with np.errstate(divide="ignore"):  # poles
        share = np.log(span * manifold.uniform_per_radian(points))
    return float(np.max(log_rho + share))


def _longitudes(latitudes: int, sine: Array) -> IntArray:
    """On each latitude about as many nodes as the degree 2 ``latitudes`` - 1 takes there."""
    needed = np.ceil(2.0 * latitudes * sine + 0.5 * latitudes**0.6 + 6.0)
    return np.minimum(2 * latitudes, needed.astype(np.int64))


def _on_sphere(number: int) -> Rule:
    latitudes = max(4, round(math.sqrt(number / 1.42)))
    z, v = gauss_gegenbauer(3, latitudes)
    sine = np.sqrt(1.0 - z * z)
    counts = _longitudes(latitudes, sine)
    row = np.repeat(np.arange(latitudes), counts)
    place = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    # Odd rows are shifted by half a step.
    phi = (place + 0.5 * (row % 2)) * (2.0 * math.pi / counts[row])
    points = np.stack([sine[row] * np.cos(phi), sine[row] * np.sin(phi), z[row]], axis=1)
    return Rule(points, (v / counts)[row], _degree(latitudes))


def _degree(latitudes: int) -> int:
    """Degree to which fewer longitudes near the poles leave 3e-11, as measured at all sizes."""
    return min(2 * latitudes - 1, max(latitudes + 1, math.floor(1.75 * latitudes) - 26))


def _on_circle(number: int) -> Rule:
    phi = 2.0 * math.pi * np.arange(number) / number
    return Rule(
        np.stack([np.cos(phi), np.sin(phi)], axis=1), np.full(number, 1.0 / number), number - 1
    )


def _on_latitudes(d: int, number: int) -> Rule:
    cosines, weights = gauss_gegenbauer(d, number)
    return Rule(np.arccos(cosines)[:, None], weights, 2 * number - 1)
