"""Triangles of a sphere: edges, hulls, normals, cotangents. NumPy and SciPy only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from meanfield.errors import InputError
from meanfield.geometry.sphere import Array

__all__ = ["cell_edges", "cotangents", "doubled_normals", "fans", "hull_cells"]

IntArray = NDArray[np.int64]


def cell_edges(cells: IntArray, n: int) -> tuple[IntArray, IntArray]:
    """Sorted edges (E, 2), lower vertex first; cell -> edge (m, 3), edge k opposite vertex k."""
    pairs = cells[:, [[1, 2], [2, 0], [0, 1]]].reshape(-1, 2)
    low, high = pairs.min(axis=1), pairs.max(axis=1)
    # One integer per edge: sorting it is several times faster than np.unique on rows.
    key, inverse = np.unique(low * n + high, return_inverse=True)
    return np.stack([key // n, key % n], axis=1), inverse.reshape(-1, 3).astype(np.int64)


def hull_cells(points: Array) -> IntArray:
    """Triangles (m, 3) of the convex hull of unit vectors (n, 3): their Delaunay triangulation.

    Oriented outward. For vertices on a sphere the hull is exactly the triangulation without
    negative cotangent weights: cot a + cot b has the sign of the fold at the common edge.

    Raises:
        InputError: if the hull does not hold every vertex, or not the centre of the sphere.
    """
    from scipy.spatial import ConvexHull, QhullError  # where it is needed

    try:
        cells = ConvexHull(points).simplices.astype(np.int64)
    except QhullError as error:
        reason = str(error).split("\n", maxsplit=1)[0]
        raise InputError(f"{len(points)} vertices have no convex hull ({reason})") from error
    volume = np.sum(doubled_normals(points[cells]) * points[cells[:, 0]], axis=1)
    # ConvexHull does not orient its facets; the centre is inside, so the volume's sign tells.
    cells[volume < 0.0] = cells[volume < 0.0][:, [0, 2, 1]]
    if len(cells) != 2 * len(points) - 4 or len(np.unique(cells)) != len(points):
        raise InputError(
            f"the convex hull of {len(points)} vertices has {len(cells)} triangles instead of "
            f"{2 * len(points) - 4}: some vertices coincide or nearly do; merge them"
        )
    edges, sides = cell_edges(cells, len(points))
    directed = np.where(cells[:, [1, 2, 0]] < cells[:, [2, 0, 1]], 1, -1)
    if np.any(np.bincount(sides.ravel(), directed.ravel(), len(edges)) != 0.0):
        raise InputError(
            "the vertices lie on one side of the sphere: the mesh must surround the centre"
        )
    return cells


def doubled_normals(corners: Array) -> Array:
    """(b - a) x (c - a) for triangles (m, 3, 3): outward normals with twice the area as length."""
    return np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])


def cotangents(points: Array, cells: IntArray) -> tuple[Array, Array]:
    """Cotangent of the angle at each corner (m, 3) and triangle areas (m,)."""
    corners = points[cells]
    doubled = np.linalg.norm(doubled_normals(corners), axis=1)
    cot = np.empty((len(cells), 3))
    for k in range(3):
        u = corners[:, (k + 1) % 3] - corners[:, k]
        v = corners[:, (k + 2) % 3] - corners[:, k]
        cot[:, k] = np.sum(u * v, axis=1) / doubled
    return cot, 0.5 * doubled


def fans(cells: IntArray, sides: IntArray, n: int) -> IntArray:
    """Number of rings that the triangles at each vertex make, (n,): 1 at all of a surface.

    Args:
        cells: (m, 3) triangles of a closed surface, each edge of two of them.
        sides: (m, 3) edges opposite the corners, see `cell_edges`.
        n: number of vertices.
    """
    from scipy.sparse import coo_array  # where it is needed
    from scipy.sparse.csgraph import connected_components

    m = len(cells)
    # The two triangles at each edge, and for each where its lower and its higher vertex stands.
    by_edge = np.argsort(sides.ravel(), kind="stable")
    cell, opposite = by_edge // 3, by_edge % 3
    ends = np.stack([(opposite + 1) % 3, (opposite + 2) % 3], axis=1)
    swapped = cells[cell, ends[:, 0]] > cells[cell, ends[:, 1]]
    ends[swapped] = ends[swapped][:, ::-1]
    corner = 3 * cell[:, None] + ends
    one, two = corner[0::2].ravel(), corner[1::2].ravel()
    graph = coo_array((np.ones(len(one), dtype=np.int8), (one, two)), shape=(3 * m, 3 * m))
    ring = connected_components(graph, directed=False)[1]
    first = np.unique(ring, return_index=True)[1]
    return np.bincount(cells.ravel()[first], minlength=n).astype(np.int64)
