"""Generates meshes: icosahedral sphere, circle, zonal interval, unstructured sphere.

Owns the constructions, in NumPy, vectorised; every mesh made here is Delaunay and points outward.
Knows nothing of files, DOLFINx, measures or attention.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from meanfield.arguments import Count, checked_arguments
from meanfield.checks import real_array
from meanfield.errors import InputError
from meanfield.geometry.manifolds import Manifold
from meanfield.geometry.meshcore import IntArray, Mesh
from meanfield.geometry.sphere import Array, normalize, uniform_points
from meanfield.geometry.triangles import cell_edges, doubled_normals, hull_cells

__all__ = [
    "circle",
    "icosphere",
    "icosphere_hierarchy",
    "unstructured_sphere",
    "usual_mesh",
    "zonal_interval",
]

#: Finest icosphere offered: 41 943 042 vertices, 2 GB for the cells alone.
MAX_LEVEL = 11


def _icosahedron() -> tuple[Array, IntArray]:
    """Vertices (12, 3) on the unit sphere and outward faces (20, 3) of the icosahedron."""
    g = (1.0 + math.sqrt(5.0)) / 2.0
    # fmt: off
    points = [
        (-1, g, 0), (1, g, 0), (-1, -g, 0), (1, -g, 0), (0, -1, g), (0, 1, g),
        (0, -1, -g), (0, 1, -g), (g, 0, -1), (g, 0, 1), (-g, 0, -1), (-g, 0, 1),
    ]
    faces = [
        (0, 11, 5), (0, 5, 1), (0, 1, 7), (0, 7, 10), (0, 10, 11), (1, 5, 9), (5, 11, 4),
        (11, 10, 2), (10, 7, 6), (7, 1, 8), (3, 9, 4), (3, 4, 2), (3, 2, 6), (3, 6, 8),
        (3, 8, 9), (4, 9, 5), (2, 4, 11), (6, 2, 10), (8, 6, 7), (9, 8, 1),
    ]
    # fmt: on
    return normalize(np.array(points, dtype=np.float64)), np.array(faces, dtype=np.int64)


@checked_arguments
def icosphere_hierarchy(level: int) -> list[Mesh]:
    """Nested icosahedral meshes of levels 0 to ``level``: the last is `icosphere` (level).

    Each triangle is cut in four at the edge midpoints, which are projected to the sphere. Level l
    has 10 4^l + 2 vertices, 20 4^l triangles, and its vertices are the first ones of level l + 1:
    vertex number n_l + e of level l + 1 is the midpoint of edge e of level l.

    Raises:
        InputError: if ``level`` is no integer from 0 to 11.
    """
    if not 0 <= level <= MAX_LEVEL:
        count = f" ({10 * 4**level + 2} vertices)" if MAX_LEVEL < level < 40 else ""
        raise InputError(
            f"level of an icosphere is from 0 to {MAX_LEVEL}, found {level}{count}: "
            "choose a coarser one (level 7 has 163842 vertices)"
        )
    points, cells = _icosahedron()
    edges, sides = cell_edges(cells, len(points))
    meshes = [Mesh("sphere", 3, points, cells)]
    for _ in range(level):
        points, cells, edges, sides = _refine(points, cells, edges, sides)
        meshes.append(Mesh("sphere", 3, points, cells))
    return meshes


def _refine(
    points: Array, cells: IntArray, edges: IntArray, sides: IntArray
) -> tuple[Array, IntArray, IntArray, IntArray]:
    """One subdivision of (points, cells, edges, cell -> edge), without any sorting.

    Edge e of the parent becomes edges 2e (with its first vertex) and 2e + 1 (with its second);
    triangle t adds edges 2E + 3t + k, cutting off corner k.
    """
    n, n_edges = len(points), len(edges)
    middle = points[edges[:, 0]] + points[edges[:, 1]]
    middle /= np.linalg.norm(middle, axis=1, keepdims=True)
    mid = sides + n  # midpoint vertex of the edge opposite each corner
    inner = 2 * n_edges + np.arange(3 * len(cells), dtype=np.int64).reshape(-1, 3)

    new_cells = np.empty((len(cells), 4, 3), dtype=np.int64)
    new_sides = np.empty_like(new_cells)
    new_edges = np.empty((2 * n_edges + 3 * len(cells), 2), dtype=np.int64)
    new_edges[: 2 * n_edges : 2, 0] = edges[:, 0]
    new_edges[1 : 2 * n_edges : 2, 0] = edges[:, 1]
    new_edges[: 2 * n_edges, 1] = np.repeat(n + np.arange(n_edges, dtype=np.int64), 2)
    for k in range(3):
        after, before = (k + 1) % 3, (k + 2) % 3
        corner = cells[:, k]
        # Corner k keeps its place as the first vertex, so the orientation is that of the parent.
        new_cells[:, k, 0] = corner
        new_cells[:, k, 1] = mid[:, before]
        new_cells[:, k, 2] = mid[:, after]
        new_sides[:, k, 0] = inner[:, k]
        for place, side in ((1, sides[:, after]), (2, sides[:, before])):
            new_sides[:, k, place] = 2 * side + (edges[side, 1] == corner)
        new_edges[inner[:, k], 0] = mid[:, before]
        new_edges[inner[:, k], 1] = mid[:, after]
    new_cells[:, 3] = mid
    new_sides[:, 3] = inner
    return (
        np.concatenate([points, middle]),
        new_cells.reshape(-1, 3),
        new_edges,
        new_sides.reshape(-1, 3),
    )


@checked_arguments
def icosphere(level: int) -> Mesh:
    """Icosahedral mesh of S^2 with 10 4^level + 2 vertices (see `icosphere_hierarchy`).

    Example:
        >>> mf.icosphere(2).points.shape
        (162, 3)
    """
    return icosphere_hierarchy(level)[-1]


@checked_arguments
def circle(n: int) -> Mesh:
    """Mesh of S^1: ``n`` >= 3 equal intervals, vertex k at angle 2 pi k / n."""
    _check_count(n, 3, "a circle")
    angle = 2.0 * np.pi * np.arange(n) / n
    index = np.arange(n, dtype=np.int64)
    points = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return Mesh("circle", 2, points, np.stack([index, (index + 1) % n], axis=1))


@checked_arguments
def zonal_interval(n: int | None = None, d: int = 3, theta: ArrayLike | None = None) -> Mesh:
    """Mesh of theta in [0, pi] for axially symmetric measures on S^{d-1}.

    Args:
        n: number of vertices, both poles included, equally spaced; may be left out with ``theta``.
        d: dimension of the space that holds the sphere, at least 2.
        theta: vertex angles of one's own, (n,) strictly rising from 0 to pi.

    Raises:
        InputError: if the numbers do not make a mesh of [0, pi].
    """
    if d < 2:
        raise InputError(f"a zonal mesh needs an integer d >= 2, found {d!r}")
    if theta is None:
        if n is None:
            raise InputError("a zonal mesh needs the number of vertices n, or the angles theta")
        _check_count(n, 3, "a zonal mesh")
        angles = np.linspace(0.0, np.pi, n)
    else:
        angles = real_array(theta, "theta", "a list of angles").copy()
        if angles.ndim != 1 or len(angles) < 3 or (n is not None and n != len(angles)):
            wanted = "3 or more" if n is None else str(n)
            raise InputError(f"theta is a list of {wanted} angles, found shape {angles.shape}")
        if not np.all(np.diff(angles) > 0.0):
            raise InputError("theta must rise strictly from 0 to pi: sort it, drop repeated angles")
        if abs(angles[0]) > 1e-12 or abs(angles[-1] - np.pi) > 1e-12:
            raise InputError(
                f"theta must start at 0 and end at pi (both poles), "
                f"found {angles[0]!r} and {angles[-1]!r}"
            )
        angles[0], angles[-1] = 0.0, np.pi
    index = np.arange(len(angles), dtype=np.int64)
    cells = np.stack([index[:-1], index[1:]], axis=1)
    return Mesh("zonal", int(d), angles[:, None], cells)


@checked_arguments
def unstructured_sphere(n: int, seed: Count, relaxations: Count = 20) -> Mesh:
    """Irregular Delaunay mesh of S^2: ``n`` random points, relaxed, with their convex hull.

    Each relaxation moves a vertex to the area-weighted mean of the triangles around it (Lloyd's
    iteration with centroids), so that no triangle stays needle-shaped while the valences stay
    irregular. The same ``n`` and ``seed`` give the same mesh.
    """
    _check_count(n, 4, "an unstructured sphere")
    points = uniform_points(n, 3, np.random.default_rng(seed))
    for _ in range(relaxations):
        cells = hull_cells(points)
        corners = points[cells]
        area = np.linalg.norm(doubled_normals(corners), axis=1)
        pull = np.repeat(area[:, None] * corners.sum(axis=1), 3, axis=0)
        points = normalize(
            np.stack([np.bincount(cells.ravel(), pull[:, k], n) for k in range(3)], axis=1)
        )
    return Mesh("sphere", 3, points, hull_cells(points))


def _check_count(n: int, least: int, what: str) -> None:
    if n < least:
        raise InputError(f"{what} needs an integer number of vertices >= {least}, found {n!r}")


@checked_arguments
def usual_mesh(on: Manifold) -> Mesh:
    """A mesh on which a smooth density can be looked at."""
    if on.dimension == 2:
        return icosphere(5)
    return circle(400) if on.closed else zonal_interval(400, d=on.d)
