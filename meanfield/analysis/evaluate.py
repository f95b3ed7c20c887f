"""The P1 density of a triangulation that has moved, at points that stay.

What a Lagrangian solver leaves is a value at each vertex of a mesh that the flow has deformed; to
hold it against another density, or to draw it, it is read at fixed points. Linear interpolation of
log rho: densities of clusters span many decades, and the result stays positive. Between clusters
the flow tears cells apart until all their corners are in dense places; what such a cell holds is
bounded by its mass, which it has kept, over its area.

NumPy only; knows nothing of solvers and files.
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from meanfield.errors import InputError
from meanfield.geometry.manifolds.circle import turn
from meanfield.geometry.mesh import Mesh
from meanfield.geometry.sphere import Array

__all__ = ["LOG_FLOOR", "log_bounds", "log_density_at"]

LOG_FLOOR = -700.0
"""log of a density of zero, for the interpolation: e^-700 is the smallest double, nearly."""

_BLOCK = 20_000  # triangles at a time
_CANDIDATES = 1_000_000  # pairs of a triangle and a point near it, at a time


def log_density_at(mesh: Mesh, log_rho: Array, mass: Array, points: Array) -> Array:
    """log rho of a moved P1 density at fixed points.

    Linear in each cell, and at most the log of 4 times the mean density of the cell, its mass over
    its area. (A cell that resolves the density varies less than that.)

    Args:
        mesh: the moved mesh, in the coordinates of its geometry. Its cells may be long, flat or
            turned over: a point takes the values of the cell that holds it (of several, the one
            whose sides are farthest away). One that no cell holds, because all of them have been
            drawn to one side of the sphere, gets ``LOG_FLOOR``.
        log_rho: (n,) at the vertices; -inf counts as ``LOG_FLOOR``.
        mass: (n,) that the vertices carry, sum one; a cell has equal shares of its corners'.
        points: (q, gdim): unit vectors, or colatitudes (q, 1).

    Returns:
        (q,) interpolated linearly: along rays from the centre (sphere), in the angle (else).

    Raises:
        InputError: shapes that do not fit.
    """
    n = mesh.n_vertices
    if (
        log_rho.shape != (n,)
        or mass.shape != (n,)
        or points.ndim != 2
        or points.shape[1] != mesh.gdim
    ):
        raise InputError(
            f"values of shape {log_rho.shape} and points of shape {points.shape} found, "
            f"({mesh.n_vertices},) and (q, {mesh.gdim}) expected"
        )
    values = np.maximum(log_rho, LOG_FLOOR)
    most = log_bounds(mesh, mass)
    on = mesh.manifold
    if on.dimension == 2:
        return _on_sphere(mesh, values, most, points)
    period = 2.0 * math.pi if on.closed else None
    return _on_line(on.angles(mesh.points), mesh.cells, values, most, on.angles(points), period)


def log_bounds(mesh: Mesh, mass: Array) -> Array:
    """log of 4 times the mean density of each cell, (m,), at least ``LOG_FLOOR``.

    Args:
        mesh: the moved mesh.
        mass: (n,) that the vertices carry; a cell has equal shares of its corners'.
    """
    uses = np.bincount(mesh.cells.ravel(), minlength=mesh.n_vertices)
    held = np.sum((mass / np.maximum(uses, 1))[mesh.cells], axis=1)
    shares = mesh.manifold.shares(mesh.points, mesh.cells)
    with np.errstate(divide="ignore"):
        most = np.log(4.0 * held) - np.log(np.maximum(shares, 1e-300))
    return np.asarray(np.maximum(most, LOG_FLOOR))


def _on_line(
    where: Array,
    cells: NDArray[np.int64],
    values: Array,
    most: Array,
    at: Array,
    period: float | None = None,
) -> Array:
    """Interpolation in intervals that do not overlap; ``LOG_FLOOR`` outside all of them. Round a
    circle (``period`` 2 pi), they close at +-pi.
    """
    first, last = where[cells[:, 0]], where[cells[:, 1]]
    one, two = values[cells[:, 0]], values[cells[:, 1]]
    if period is not None:
        last = first + turn(first, last)
        # Once more, a turn earlier: one of both holds any angle from -pi to pi.
        first, last = np.concatenate([first, first - period]), np.concatenate([last, last - period])
        one, two, most = np.tile(one, 2), np.tile(two, 2), np.tile(most, 2)
    order = np.lexsort((last, first))  # of cells that begin in one place, the longest comes last
    cell = order[np.clip(np.searchsorted(first[order], at, side="right") - 1, 0, len(order) - 1)]
    width = last[cell] - first[cell]
    s = np.clip((at - first[cell]) / np.where(width > 0.0, width, 1.0), 0.0, 1.0)
    found = np.minimum((1.0 - s) * one[cell] + s * two[cell], most[cell])
    outside = (at > last[cell] + 1e-9) | (at < first[cell] - 1e-9)
    return np.where(outside, LOG_FLOOR, found)


def _on_sphere(mesh: Mesh, values: Array, most: Array, points: Array) -> Array:
    corners = mesh.points[mesh.cells]
    centres = corners.sum(axis=1)
    length = np.linalg.norm(centres, axis=1)
    kept = np.flatnonzero(length > 0.0)
    centres = centres[kept] / length[kept, None]
    radius = np.max(np.linalg.norm(corners[kept] - centres[:, None], axis=2), axis=1)
    reach = radius * (1.0 + 1e-9) + 1e-12
    at_corners = values[mesh.cells]
    tree = cKDTree(points)
    best = np.full(len(points), -np.inf)
    out = np.zeros(len(points))
    for start in range(0, len(kept), _BLOCK):
        block = slice(start, start + _BLOCK)
        # Cells that are torn over half of the sphere have half of all points: a bounded number of
        # candidates at a time.
        sums = np.cumsum(tree.query_ball_point(centres[block], reach[block], return_length=True))
        ends = np.searchsorted(sums, np.arange(_CANDIDATES, sums[-1], _CANDIDATES), side="right")
        for part in np.split(np.arange(start, start + len(sums)), np.unique(ends)):
            if not part.size:
                continue
            found = tree.query_ball_point(centres[part], reach[part])
            counts = np.array([len(f) for f in found])
            if counts.sum() == 0:
                continue
            candidates = np.concatenate([f for f in found if f]).astype(np.int64)
            cells = np.repeat(kept[part], counts)
            _interpolate(points, corners, at_corners, most, cells, candidates, best, out)
    return np.where(best < -1e-9, LOG_FLOOR, out)


@nb.njit(cache=True)
def _interpolate(
    points: Array, corners: Array, values: Array, most: Array, cells: NDArray[np.int64],
    candidates: NDArray[np.int64], best: Array, out: Array,
) -> None:  # fmt: skip
    """Barycentric coordinates of each candidate in its cell; the innermost cell wins."""
    for k in range(cells.size):
        i = candidates[k]
        x = points[i]
        a, b, c = corners[cells[k], 0], corners[cells[k], 1], corners[cells[k], 2]
        la = _det(x, b, c)
        lb = _det(a, x, c)
        lc = _det(a, b, x)
        volume = _det(a, b, c)
        if volume == 0.0:
            continue
        la, lb, lc = la / volume, lb / volume, lc / volume
        total = la + lb + lc
        if not total > 0.0:
            continue
        inside = min(la, lb, lc) / total
        if inside > best[i]:
            best[i] = inside
            v = values[cells[k]]
            out[i] = min((la * v[0] + lb * v[1] + lc * v[2]) / total, most[cells[k]])


@nb.njit(cache=True)
def _det(a: Array, b: Array, c: Array) -> float:
    return (
        a[0] * (b[1] * c[2] - b[2] * c[1])
        + a[1] * (b[2] * c[0] - b[0] * c[2])
        + a[2] * (b[0] * c[1] - b[1] * c[0])
    )
