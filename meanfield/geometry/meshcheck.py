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
from meanfield.geometry.digits import last_digits
from meanfield.geometry.meshcore import DELAUNAY_TOLERANCE, IntArray, Mesh, delaunay_weights
from meanfield.geometry.sphere import Array, normalize
from meanfield.geometry.triangles import cell_edges, fans, hull_cells

__all__ = ["SPHERE_TOLERANCE", "Notice", "checked_circle", "checked_points", "checked_sphere"]

Notice = Callable[[str], None]

#: Largest relative deviation of a vertex from the common sphere that is repaired by projection,
#: unless the numbers have fewer digits than would show it.
SPHERE_TOLERANCE = 1e-6

#: Deviations above this are no matter of digits.
DIGITS_TOLERANCE = 1e-2

#: Vertices nearer than this on the unit sphere are one vertex (two roundings to single precision).
MERGE_DISTANCE = 2e-7


def checked_sphere(
    points: Array, cells: IntArray, notice: Notice, project: bool = False
) -> tuple[Mesh, IntArray]:
    """Make a sphere mesh of a triangulated surface, or say what keeps it from being one.

    In this order: vertices that no triangle uses are dropped; a sphere is fitted and the vertices
    are moved to the unit sphere, if none is off by more than 1e-6 of the radius and what the digits
    of the coordinates explain; coincident vertices are merged; triangles without area, and those
    that are given again, are dropped; the surface must be closed, in one piece, without handles and
    around each vertex once; triangles are turned outward and must cover the sphere once;
    connectivity that folds or is not Delaunay is replaced by the convex hull.

    Args:
        points: (n, 3) coordinates, any centre and radius.
        cells: (m, 3) triangles in any orientation.
        notice: called with one line for each repair.
        project: move vertices to the fitted sphere however far they are off.

    Returns:
        The mesh, and the vertex that each of the points has become, (n,), -1: none.

    Raises:
        InputError: names the worst vertex, edge or triangle (numbered from 0 as in the input).
    """
    total = len(points)
    points, cells, number = _used(points, cells, 3, notice)
    unit = _on_unit_sphere(points, number, "sphere", notice, project)
    unit, cells, number, vertex = _merged(unit, cells, number, total, notice)
    cells = _distinct(cells, "triangle", notice)
    _check_triangles(unit, cells, number)
    n = len(unit)
    edges, sides = cell_edges(cells, n)
    _check_closed(edges, np.bincount(sides.ravel(), minlength=len(edges)), number, "triangle")
    _check_one_sphere(cells, edges, sides, number)

    return _outward(unit, cells, len(edges), notice), vertex


def _outward(unit: Array, cells: IntArray, edges: int, notice: Notice) -> Mesh:
    """Turn triangles outward; where they fold or are not Delaunay the convex hull is the mesh."""
    n = len(unit)
    # Around the centre, outward is the sign of the volume: a true sphere mesh is then consistent.
    volume = np.linalg.det(unit[cells])
    inward = int(np.sum(volume < 0.0))
    cells = np.where((volume < 0.0)[:, None], cells[:, [0, 2, 1]], cells)
    direction = np.where(cells[:, [1, 2, 0]] < cells[:, [2, 0, 1]], 1.0, -1.0)
    turns = np.bincount(cell_edges(cells, n)[1].ravel(), direction.ravel(), edges)
    folded = bool(np.any(turns != 0.0) or np.any(volume == 0.0))
    mesh = Mesh("sphere", 3, unit, cells)
    if not folded:
        cover = float(mesh.manifold.shares(unit, cells).sum())
        if abs(cover - 1.0) > 1e-6:
            raise InputError(
                f"the triangles cover the sphere {cover:.6g} times, expected once: remove the "
                "other layers"
            )
    if inward and not folded:
        notice(f"turned {inward} of {len(cells)} triangles outward")

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


def checked_points(points: Array, notice: Notice, project: bool = False) -> tuple[Mesh, IntArray]:
    """Make a sphere mesh of vertices alone, their convex hull; arguments and result as above.

    Raises:
        InputError: names the worst vertex, or says that there are too few.
    """
    points = np.asarray(points, dtype=np.float64)
    total, every = len(points), np.arange(len(points))
    points, _, number = _used(points, every[:, None], 3, notice)
    unit = _on_unit_sphere(points, number, "sphere", notice, project)
    unit, _, _, vertex = _merged(unit, every[:, None], number, total, notice)
    mesh = Mesh("sphere", 3, unit, hull_cells(unit))
    notice(f"there are points only: joined the {len(unit)} vertices as their convex hull")
    return mesh, vertex


def checked_circle(
    points: Array, lines: IntArray, notice: Notice, project: bool = False
) -> tuple[Mesh, IntArray]:
    """Make a circle mesh of a closed loop of lines (m, 2) in a plane z = const; see above.

    Lines are turned counterclockwise; a loop that runs back and forth is replaced by the
    neighbours in angle.

    Raises:
        InputError: names the worst vertex or what is open.
    """
    total = len(points)
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
    unit = _on_unit_sphere(points, number, "circle", notice, project)
    unit, lines, number, vertex = _merged(unit, lines, number, total, notice)
    lines = _distinct(lines, "line", notice)
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
    return Mesh("circle", 2, unit, lines), vertex


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


def _on_unit_sphere(
    points: Array, number: IntArray, what: str, notice: Notice, project: bool
) -> Array:
    """Move vertices to the unit sphere about their fitted centre, or name the worst one."""
    norm = np.linalg.norm(points, axis=1)
    off = np.abs(norm - 1.0)
    if off.max() <= 4.0 * np.finfo(np.float64).eps:
        return points  # nothing to gain: a file that we wrote comes back bit by bit
    unit, digits = last_digits(points) or (np.zeros(points.shape), 0)
    coarse = np.linalg.norm(unit, axis=1)
    if np.all(off <= SPHERE_TOLERANCE + np.minimum(coarse, DIGITS_TOLERANCE)):
        known = "" if off.max() <= SPHERE_TOLERANCE else f"coordinates have {digits} digits: "
        notice(f"{known}projected the vertices to the unit {what} (largest move {off.max():.2g})")
        return normalize(points)
    dim = points.shape[1]
    if len(points) < dim + 1:
        raise InputError(f"{len(points)} vertices do not determine a {what}: refine the mesh")
    centre, radius = _fit(points, np.ones(len(points), dtype=bool))
    allowed = SPHERE_TOLERANCE + np.minimum(coarse / radius, DIGITS_TOLERANCE)
    if project:
        allowed = np.full(len(points), 0.5)
    deviation = np.linalg.norm(points - centre, axis=1) / radius - 1.0
    if not project and np.any(np.abs(deviation) > allowed):
        # A few outliers pull the fit: refit to the better half, so that they are named, not others.
        for _ in range(5):
            good = np.abs(deviation) <= np.median(np.abs(deviation))
            if good.sum() < dim + 1:
                break
            centre, radius = _fit(points, good)
            deviation = np.linalg.norm(points - centre, axis=1) / radius - 1.0
    worst = int(np.argmax(np.abs(deviation) / allowed))
    if not abs(deviation[worst]) <= allowed[worst]:
        count = int(np.sum(np.abs(deviation) > allowed))
        hint = f"project them to the {what} first, as `meanfield mesh convert --project` does"
        hint = "that is no sphere" if project else hint
        raise InputError(
            f"the vertices do not lie on a {what}: vertex {number[worst]} at "
            f"{_show(points[worst])} is off by {deviation[worst]:+.3g} of the radius "
            f"(fitted centre {_show(centre)}, radius {radius:.9g}); {count} of {len(points)} "
            f"vertices are off by more than {allowed[worst]:.3g}: {hint}"
        )
    most = float(np.abs(deviation).max())
    known = "" if most <= SPHERE_TOLERANCE or project else f"coordinates have {digits} digits: "
    notice(
        f"{known}recentred from {_show(centre)} and rescaled from radius {radius:.9g} "
        f"(largest deviation {most:.2g} of the radius)"
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
    points: Array, cells: IntArray, number: IntArray, total: int, notice: Notice
) -> tuple[Array, IntArray, IntArray, IntArray]:
    """Merge coincident vertices into the first of them; the others keep their order.

    Also gives the vertex that each of the ``total`` points of the input has become, -1: none.
    """
    vertex = np.full(total, -1, dtype=np.int64)
    pairs = cKDTree(points).query_pairs(MERGE_DISTANCE, output_type="ndarray")
    if not len(pairs):
        vertex[number] = np.arange(len(points))
        return points, cells, number, vertex
    label = connected_components(_graph(pairs, len(points)), directed=False)[1]
    first = np.unique(label, return_index=True)[1]
    kept = np.sort(first)
    new = np.searchsorted(kept, np.asarray(first))[np.asarray(label)]
    vertex[number] = new
    notice(f"merged {len(points)} vertices into {len(kept)}: the others coincide with them")
    return points[kept], new[cells], number[kept], vertex


def _distinct(cells: IntArray, kind: str, notice: Notice) -> IntArray:
    """Drop cells of which two corners are one vertex, and those that are there already."""
    corners = np.sort(cells, axis=1)
    flat = np.any(corners[:, 1:] == corners[:, :-1], axis=1)
    if np.any(flat):
        notice(f"dropped {int(flat.sum())} of {len(cells)} {kind}s whose corners coincide")
        cells, corners = cells[~flat], corners[~flat]
    if not len(cells):
        raise InputError(f"all {kind}s are degenerate: their corners coincide")
    first = np.unique(corners, axis=0, return_index=True)[1]
    if len(first) < len(cells):
        notice(f"dropped {len(cells) - len(first)} of {len(cells)} {kind}s that are given again")
        cells = cells[np.sort(first)]
    return cells


def _check_one_sphere(cells: IntArray, edges: IntArray, sides: IntArray, number: IntArray) -> None:
    """A closed surface must be a sphere: in one piece, no handles, no vertex where parts touch."""
    n = len(number)
    pieces = connected_components(_graph(edges, n), directed=False, return_labels=False)
    euler = n - len(edges) + len(cells)
    around = fans(cells, sides, n)
    if pieces == 1 and np.any(around != 1):
        bad = np.flatnonzero(around != 1)
        raise InputError(
            f"the triangles at vertex {number[bad[0]]} make {around[bad[0]]} rings around it "
            f"instead of one ({len(bad)} such vertices): parts of the surface touch there; keep "
            "one of them"
        )
    if pieces != 1 or euler != 2:
        raise InputError(
            f"the surface has {pieces} piece(s) and Euler characteristic {euler} = {n} vertices - "
            f"{len(edges)} edges + {len(cells)} triangles; a sphere has one piece and 2: "
            "remove the handles or the other pieces"
        )


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
