"""Makes meshes of surfaces that others triangulated: checks, repairs and refuses.

Owns what a surface must be before the solvers see it (on a sphere, closed, outward, Delaunay);
knows nothing of files. What is wrong is an `InputError` that names the vertex, edge or triangle by
its number in the input; what is repaired is told as a notice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from meanfield.errors import InputError
from meanfield.geometry.meshcore import DELAUNAY_TOLERANCE, IntArray, Mesh, delaunay_weights
from meanfield.geometry.sphere import Array, normalize
from meanfield.geometry.triangles import cell_edges, hull_cells

__all__ = ["SPHERE_TOLERANCE", "Notice", "checked_circle", "checked_sphere"]

Notice = Callable[[str], None]

#: Largest relative deviation of a vertex from the common sphere that is repaired by projection.
SPHERE_TOLERANCE = 1e-6

#: Vertices nearer than this on the unit sphere are one vertex (two roundings to single precision).
MERGE_DISTANCE = 2e-7


def checked_sphere(points: Array, cells: IntArray, notice: Notice) -> Mesh:
    """Make a sphere mesh of a triangulated surface, or say what keeps it from being one.

    In this order: vertices that no triangle uses are dropped; a sphere is fitted and the vertices
    are moved to the unit sphere, if none is off by more than 1e-6 of the radius; coincident
    vertices are merged; the surface must be closed, in one piece and without handles; triangles are
    turned outward; connectivity that folds or is not Delaunay is replaced by the convex hull.

    Args:
        points: (n, 3) coordinates, any centre and radius.
        cells: (m, 3) triangles in any orientation.
        notice: called with one line for each repair.

    Raises:
        InputError: names the worst vertex, edge or triangle (numbered from 0 as in the input).
    """
    points, cells, number = _used(points, cells, 3, notice)
    unit = _on_unit_sphere(points, number, "sphere", notice)
    unit, cells, number = _merged(unit, cells, number, notice)
    _check_triangles(unit, cells, number)
    n = len(unit)
    edges, sides = cell_edges(cells, n)
    _check_closed(edges, np.bincount(sides.ravel(), minlength=len(edges)), number, "triangle")
    pieces = connected_components(_graph(edges, n), directed=False, return_labels=False)
    euler = n - len(edges) + len(cells)
    if pieces != 1 or euler != 2:
        raise InputError(
            f"the surface has {pieces} piece(s) and Euler characteristic {euler} = {n} vertices - "
            f"{len(edges)} edges + {len(cells)} triangles; a sphere has one piece and 2: "
            "remove the handles or the other pieces"
        )

    # Around the centre, outward is the sign of the volume: a true sphere mesh is then consistent.
    volume = np.linalg.det(unit[cells])
    inward = int(np.sum(volume < 0.0))
    cells = np.where((volume < 0.0)[:, None], cells[:, [0, 2, 1]], cells)
    direction = np.where(cells[:, [1, 2, 0]] < cells[:, [2, 0, 1]], 1.0, -1.0)
    # cells were turned, so the edge opposite each corner must be looked up again
    sides = cell_edges(cells, n)[1]
    turns = np.bincount(sides.ravel(), direction.ravel(), len(edges))
    folded = bool(np.any(turns != 0.0) or np.any(volume == 0.0))
    if inward and not folded:
        notice(f"turned {inward} of {len(cells)} triangles outward")

    mesh = Mesh("sphere", 3, unit, cells)
    weights = delaunay_weights(mesh)[1]
    if folded or weights.min() < -DELAUNAY_TOLERANCE:
        mesh = Mesh("sphere", 3, unit, hull_cells(unit))
        bad = int(np.sum(weights < -DELAUNAY_TOLERANCE))
        why = (
            "the triangles fold over each other"
            if folded
            else f"{bad} edges are not Delaunay (smallest cotangent weight {weights.min():.3g})"
        )
        notice(f"{why}: connectivity rebuilt as the convex hull of the same {n} vertices")
    return mesh


def checked_circle(points: Array, lines: IntArray, notice: Notice) -> Mesh:
    """Make a circle mesh of a closed loop of lines (m, 2) in a plane z = const; see above.

    Lines are turned counterclockwise; a loop that runs back and forth is replaced by the
    neighbours in angle.

    Raises:
        InputError: names the worst vertex or what is open.
    """
    points, lines, number = _used(points, lines, 2, notice)
    if points.shape[1] == 3:
        spread = np.ptp(points[:, 2])
        if spread > SPHERE_TOLERANCE * np.ptp(points[:, :2], axis=0).max():
            raise InputError(
                f"lines make a circle only in a plane z = const, found z from "
                f"{points[:, 2].min():.9g} to {points[:, 2].max():.9g}: rotate the loop to z = 0 "
                "(for a sphere, write triangles)"
            )
        points = points[:, :2]
    unit = _on_unit_sphere(points, number, "circle", notice)
    unit, lines, number = _merged(unit, lines, number, notice)
    same = np.flatnonzero(lines[:, 0] == lines[:, 1])
    if len(same):
        raise InputError(f"line {same[0]} is degenerate: both ends are one vertex; remove it")
    n = len(unit)
    _check_closed(np.arange(n)[:, None], np.bincount(lines.ravel(), minlength=n), number, "line")
    pieces = connected_components(_graph(lines, n), directed=False, return_labels=False)
    if pieces != 1 or n < 3:
        raise InputError(
            f"expected one closed loop of at least 3 lines, found {pieces} loop(s), {n} vertices"
        )
    ring = np.argsort(np.arctan2(unit[:, 1], unit[:, 0]))
    follows = np.stack([ring, np.roll(ring, -1)], axis=1)
    start, end = unit[follows[:, 0]], unit[follows[:, 1]]
    if np.any(start[:, 0] * end[:, 1] - start[:, 1] * end[:, 0] <= 0.0):
        raise InputError(
            "the vertices lie on one side of the circle: they must surround the centre"
        )
    successor = np.empty(n, dtype=np.int64)
    successor[ring] = np.roll(ring, -1)
    forward, backward = successor[lines[:, 0]] == lines[:, 1], successor[lines[:, 1]] == lines[:, 0]
    if not np.all(forward | backward):
        notice(f"the loop runs back and forth: joined the {n} vertices in the order of their angle")
        lines = follows
    elif not np.all(forward):
        notice(f"turned {int(np.sum(~forward))} of {n} lines counterclockwise")
        lines = np.where(forward[:, None], lines, lines[:, ::-1])
    return Mesh("circle", 2, unit, lines)


# ---------------------------------------------------------------------------------------------
# Checks and repairs. `number` (n,) holds the input's number of each vertex, for messages.


def _used(
    points: Array, cells: IntArray, corners: int, notice: Notice
) -> tuple[Array, IntArray, IntArray]:
    """Drop vertices that no cell uses, such as the centre that gmsh stores."""
    points, cells = np.asarray(points, dtype=np.float64), np.asarray(cells, dtype=np.int64)
    if points.ndim != 2 or points.shape[1] not in (corners, 3):
        raise InputError(f"expected points with {corners} coordinates, found shape {points.shape}")
    if cells.min() < 0 or cells.max() >= len(points):
        raise InputError(
            f"cells name vertices {cells.min()} to {cells.max()}, but there are {len(points)} "
            "points: the file is damaged"
        )
    used = np.zeros(len(points), dtype=bool)
    used[cells.ravel()] = True
    number = np.flatnonzero(used)
    bad = number[~np.all(np.isfinite(points[number]), axis=1)]
    if len(bad):
        raise InputError(f"vertex {bad[0]} is not finite: {points[bad[0]]} ({len(bad)} such)")
    if len(number) < len(points):
        notice(f"dropped {len(points) - len(number)} point(s) that no cell uses")
    return points[number], (np.cumsum(used) - 1)[cells], number


def _on_unit_sphere(points: Array, number: IntArray, what: str, notice: Notice) -> Array:
    """Move vertices to the unit sphere about their fitted centre, or name the worst one."""
    norm = np.linalg.norm(points, axis=1, keepdims=True)
    off = np.abs(norm - 1.0)
    if off.max() <= 4.0 * np.finfo(np.float64).eps:
        return points  # nothing to gain: a file that we wrote comes back bit by bit
    if off.max() <= SPHERE_TOLERANCE:
        notice(f"projected the vertices to the unit {what} (largest move {off.max():.2g})")
        return normalize(points)
    dim = points.shape[1]
    if len(points) < dim + 1:
        raise InputError(f"{len(points)} vertices do not determine a {what}: refine the mesh")
    centre, radius = _fit(points, np.ones(len(points), dtype=bool))
    deviation = np.linalg.norm(points - centre, axis=1) / radius - 1.0
    if np.abs(deviation).max() > SPHERE_TOLERANCE:
        # A few outliers pull the fit: refit to the better half, so that they are named, not others.
        for _ in range(5):
            good = np.abs(deviation) <= np.median(np.abs(deviation))
            if good.sum() < dim + 1:
                break
            centre, radius = _fit(points, good)
            deviation = np.linalg.norm(points - centre, axis=1) / radius - 1.0
    worst = int(np.argmax(np.abs(deviation)))
    if not abs(deviation[worst]) <= SPHERE_TOLERANCE:
        count = int(np.sum(np.abs(deviation) > SPHERE_TOLERANCE))
        raise InputError(
            f"the vertices do not lie on a {what}: vertex {number[worst]} at "
            f"{_show(points[worst])} is off by {deviation[worst]:+.3g} of the radius "
            f"(fitted centre {_show(centre)}, radius {radius:.9g}); {count} of {len(points)} "
            f"vertices are off by more than {SPHERE_TOLERANCE:g}: project them to the {what} first"
        )
    notice(
        f"recentred from {_show(centre)} and rescaled from radius {radius:.9g} "
        f"(largest deviation {abs(deviation[worst]):.2g} of the radius)"
    )
    return normalize(points - centre)


def _fit(points: Array, chosen: NDArray[np.bool_]) -> tuple[Array, float]:
    """Centre and radius by least squares of |x|^2 = 2 <c, x> + (r^2 - |c|^2) on some rows."""
    # About the mean and in units of the size: else an offset of many radii costs the digits.
    mean = points[chosen].mean(axis=0)
    size = float(np.abs(points[chosen] - mean).max()) or 1.0
    x = (points[chosen] - mean) / size
    matrix = np.column_stack([2.0 * x, np.ones(len(x))])
    solution = np.linalg.lstsq(matrix, np.sum(x * x, axis=1), rcond=None)[0]
    centre = solution[:-1]
    radius = float(np.sqrt(max(float(solution[-1] + centre @ centre), 0.0)))
    return mean + size * centre, size * radius or 1.0


def _merged(
    points: Array, cells: IntArray, number: IntArray, notice: Notice
) -> tuple[Array, IntArray, IntArray]:
    """Merge coincident vertices into the first of them; the others keep their order."""
    pairs = cKDTree(points).query_pairs(MERGE_DISTANCE, output_type="ndarray")
    if not len(pairs):
        return points, cells, number
    label = connected_components(_graph(pairs, len(points)), directed=False)[1]
    first = np.unique(label, return_index=True)[1]
    kept = np.sort(first)
    new = np.searchsorted(kept, np.asarray(first))[np.asarray(label)]
    notice(f"merged {len(points)} vertices into {len(kept)}: the others coincide with them")
    return points[kept], new[cells], number[kept]


def _check_triangles(points: Array, cells: IntArray, number: IntArray) -> None:
    corners = points[cells]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    longest = max(
        float(np.linalg.norm(corners[:, k] - corners[:, k - 1], axis=1).max()) for k in range(3)
    )
    # Distinct vertices on a sphere are never in line, so only coincident corners get this small.
    bad = np.flatnonzero(np.linalg.norm(normal, axis=1) <= 1e-14 * longest**2)
    if len(bad):
        raise InputError(
            f"triangle {bad[0]} is degenerate: corners {list(map(int, number[cells[bad[0]]]))} "
            f"coincide ({len(bad)} such of {len(cells)}): remove these triangles"
        )


def _check_closed(edges: IntArray, uses: IntArray, number: IntArray, kind: str) -> None:
    """Each edge of triangles, each vertex of lines, must belong to exactly two of them."""
    bad = np.flatnonzero(uses != 2)
    if not len(bad):
        return
    ends = " and ".join(str(number[k]) for k in edges[bad[0]])
    what, where = ("edge", "of vertices ") if kind == "triangle" else ("vertex", "")
    reason = (
        f"fill the holes of the {'surface' if kind == 'triangle' else 'loop'}"
        if uses[bad[0]] < 2
        else f"remove {kind}s that overlap or branch off"
    )
    raise InputError(
        f"the mesh is not closed: the {what} {where}{ends} belongs to {uses[bad[0]]} {kind}(s) "
        f"instead of 2 ({len(bad)} such): {reason}"
    )


def _graph(edges: IntArray, n: int) -> Any:
    return coo_array((np.ones(len(edges), dtype=np.int8), (edges[:, 0], edges[:, 1])), shape=(n, n))


def _show(x: Array) -> str:
    return "(" + ", ".join(f"{value:.9g}" for value in x) + ")"
