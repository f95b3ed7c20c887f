"""The P1 density of a triangulation that has moved, at points that stay.

What a Lagrangian solver leaves is a value at each vertex of a mesh that the flow has deformed; to
hold it against another density, or to draw it, it is read at fixed points. Linear interpolation of
log rho: densities of clusters span many decades, and the result stays positive.

NumPy only; knows nothing of solvers and files.
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from meanfield.errors import InputError
from meanfield.geometry.mesh import Mesh
from meanfield.geometry.sphere import Array

__all__ = ["LOG_FLOOR", "log_density_at"]

LOG_FLOOR = -700.0
"""log of a density of zero, for the interpolation: e^-700 is the smallest double, nearly."""

_BLOCK = 20_000  # triangles at a time


def log_density_at(mesh: Mesh, log_rho: Array, points: Array) -> Array:
    """log rho of a moved P1 density at fixed points.

    Args:
        mesh: the moved mesh, in the coordinates of its geometry. Its cells may be long, flat or
            turned over: a point takes the values of the cell that holds it (of several, the one
            whose sides are farthest away), one in none of them those of the nearest vertex.
        log_rho: (n,) at the vertices; -inf counts as ``LOG_FLOOR``.
        points: (q, gdim): unit vectors, or colatitudes (q, 1).

    Returns:
        (q,) interpolated linearly: along rays from the centre (sphere), in the angle (else).

    Raises:
        InputError: shapes that do not fit.
    """
    if log_rho.shape != (mesh.n_vertices,) or points.ndim != 2 or points.shape[1] != mesh.gdim:
        raise InputError(
            f"values of shape {log_rho.shape} and points of shape {points.shape} found, "
            f"({mesh.n_vertices},) and (q, {mesh.gdim}) expected"
        )
    values = np.maximum(log_rho, LOG_FLOOR)
    if mesh.geometry == "sphere":
        return _on_sphere(mesh, values, points)
    if mesh.geometry == "zonal":
        order = np.argsort(mesh.points[:, 0], kind="stable")
        return np.interp(points[:, 0], mesh.points[order, 0], values[order])
    at, angle = (np.arctan2(x[:, 1], x[:, 0]) for x in (points, mesh.points))
    order = np.argsort(angle, kind="stable")
    return np.interp(at, angle[order], values[order], period=2.0 * math.pi)


def _on_sphere(mesh: Mesh, values: Array, points: Array) -> Array:
    corners = mesh.points[mesh.cells]
    centres = corners.sum(axis=1)
    length = np.linalg.norm(centres, axis=1)
    kept = np.flatnonzero(length > 0.0)
    centres = centres[kept] / length[kept, None]
    radius = np.max(np.linalg.norm(corners[kept] - centres[:, None], axis=2), axis=1)
    tree = cKDTree(points)
    best = np.full(len(points), -np.inf)
    out = np.zeros(len(points))
    for start in range(0, len(kept), _BLOCK):
        block = slice(start, start + _BLOCK)
        found = tree.query_ball_point(centres[block], radius[block] * (1.0 + 1e-9) + 1e-12)
        counts = np.array([len(f) for f in found])
        if counts.sum() == 0:
            continue
        candidates = np.concatenate([f for f in found if f]).astype(np.int64)
        cells = np.repeat(kept[block], counts)
        _interpolate(points, corners, values[mesh.cells], cells, candidates, best, out)
    lost = np.flatnonzero(best < -1e-9)
    if lost.size:
        out[lost] = values[cKDTree(mesh.points).query(points[lost])[1]]
    return out


@nb.njit(cache=True)
def _interpolate(
    points: Array, corners: Array, values: Array, cells: NDArray[np.int64],
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
            out[i] = (la * v[0] + lb * v[1] + lc * v[2]) / total


@nb.njit(cache=True)
def _det(a: Array, b: Array, c: Array) -> float:
    return (
        a[0] * (b[1] * c[2] - b[2] * c[1])
        + a[1] * (b[2] * c[0] - b[0] * c[2])
        + a[2] * (b[0] * c[1] - b[1] * c[0])
    )
