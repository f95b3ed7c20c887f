"""The mesh value, its edges, reference weights and quality report, for all three geometries.

Owns `Mesh` and what is computed from one. NumPy and SciPy only: knows nothing of how meshes are
made (`meshmake`), checked (`meshcheck`) or stored (`meshfiles`), nor of DOLFINx and measures. All
vertices lie on the unit sphere; cells are flat (triangles or chords), so areas are those of the
inscribed polyhedron.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError

from meanfield.errors import InputError, suggest
from meanfield.geometry.sphere import Array, log_area

__all__ = [
    "DELAUNAY_TOLERANCE",
    "GEOMETRIES",
    "IntArray",
    "Mesh",
    "MeshReport",
    "cell_edges",
    "delaunay_weights",
    "doubled_normals",
    "hull_cells",
    "inspect_mesh",
    "mesh_edges",
    "zonal_half_masses",
]

IntArray = NDArray[np.int64]

#: Coordinate dimension and vertices per cell of each geometry.
GEOMETRIES = {"sphere": (3, 3), "circle": (2, 2), "zonal": (1, 2)}

#: Cotangent weights above minus this count as zero: four vertices on one circle, up to round-off.
DELAUNAY_TOLERANCE = 1e-9


@dataclass(frozen=True, eq=False)
class Mesh:
    """A mesh of one of the three geometries; arrays are not copied and must not be changed.

    Attributes:
        geometry: "sphere" (S^2), "circle" (S^1) or "zonal" (axially symmetric, S^{d-1}).
        d: dimension of the space that holds the sphere: 3, 2, or any d >= 2 for "zonal".
        points: (n, 3) or (n, 2) unit vectors; for "zonal" (n, 1) angles theta in [0, pi].
        cells: (m, 3) triangles, counterclockwise seen from outside, or (m, 2) intervals,
            counterclockwise on the circle and with rising theta on the zonal interval.
    """

    geometry: str
    d: int
    points: Array
    cells: IntArray

    def __post_init__(self) -> None:
        if self.geometry not in GEOMETRIES:
            raise InputError(
                f"unknown geometry {self.geometry!r}{suggest(self.geometry, GEOMETRIES)}; "
                f"expected one of {', '.join(GEOMETRIES)}"
            )
        gdim, corners = GEOMETRIES[self.geometry]
        fixed = {"sphere": 3, "circle": 2}.get(self.geometry)
        if (fixed is not None and self.d != fixed) or self.d < 2:
            expected = "d >= 2" if fixed is None else f"d = {fixed}"
            raise InputError(f"a {self.geometry} mesh has {expected}, found d = {self.d}")
        object.__setattr__(self, "points", np.ascontiguousarray(self.points, dtype=np.float64))
        object.__setattr__(self, "cells", np.ascontiguousarray(self.cells, dtype=np.int64))
        for name, array, columns in (("points", self.points, gdim), ("cells", self.cells, corners)):
            if array.ndim != 2 or array.shape[1] != columns:
                raise InputError(
                    f"{name} of a {self.geometry} mesh have shape (number, {columns}), "
                    f"found {array.shape}"
                )
        if self.cells.size and (self.cells.min() < 0 or self.cells.max() >= len(self.points)):
            raise InputError(
                f"cells name vertices {self.cells.min()} to {self.cells.max()}, "
                f"but the mesh has vertices 0 to {len(self.points) - 1}"
            )

    @property
    def n_vertices(self) -> int:
        """Number of vertices."""
        return len(self.points)

    @property
    def n_cells(self) -> int:
        """Number of triangles or intervals."""
        return len(self.cells)

    @property
    def gdim(self) -> int:
        """Number of coordinates per point: 3, 2 or 1."""
        return int(self.points.shape[1])

    def embedded(self) -> Array:
        """Vertices as (n, d) unit vectors; zonal: the meridian (sin theta, 0, .., 0, cos theta)."""
        if self.geometry != "zonal":
            return self.points
        x = np.zeros((self.n_vertices, self.d))
        x[:, 0] = np.sin(self.points[:, 0])
        x[:, -1] = np.cos(self.points[:, 0])
        return x


# ---------------------------------------------------------------------------------------------
# Edges and weights


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


def mesh_edges(mesh: Mesh) -> IntArray:
    """Edges (E, 2) of a mesh, each once, lower vertex first, in lexicographic order."""
    if mesh.cells.shape[1] == 3:
        return cell_edges(mesh.cells, mesh.n_vertices)[0]
    pairs = np.sort(mesh.cells, axis=1)
    edges: IntArray = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    return edges


def _sum_at(index: IntArray, values: Array, n: int) -> Array:
    """Sum ``values`` at equal ``index`` into an array of length ``n``."""
    return np.bincount(index.ravel(), values.ravel(), n).astype(np.float64)


def delaunay_weights(mesh: Mesh) -> tuple[IntArray, Array, Array]:
    """Edge weights c_ij = -K_ij of the P1 stiffness matrix and dual-cell masses, in closed form.

    These are the reference for the DOLFINx assembly. In the flat measure of the cells, not
    normalised: areas on S^2, lengths on S^1, sin^{d-2}(theta) dtheta on the zonal interval.

    * triangles: c = (cot a + cot b) / 2 with the angles opposite the edge, w = area of the Voronoi
      cell (through the circumcentres), c_ij |x_i - x_j| being the length of its side: with the
      thirds of the triangles instead, the divergence of a linear field converges in the mean only;
    * circle: c = 1 / h, w = sum of h / 2 with the chord length h;
    * zonal: c = sin^{d-2}(middle) / h (the stiffness by the midpoint rule), w_i = int sin^{d-2}
      over the half intervals at i (``zonal_half_masses``). With the exact integrals of P1 instead,
      the divergence at a pole would be wrong by a factor d / (2 (d-1)) however fine the mesh.

    Returns:
        Edges (E, 2) as `mesh_edges`, c (E,), w (n,). c >= 0 if and only if the mesh is Delaunay.

    Raises:
        InputError: if a zonal weight underflows (high d, fine mesh at the poles).
    """
    n = mesh.n_vertices
    if mesh.geometry == "sphere":
        edges, sides = cell_edges(mesh.cells, n)
        cot, _ = _cotangents(mesh)
        c = _sum_at(sides, 0.5 * cot, len(edges))
        corners = mesh.points[mesh.cells]
        opposite = np.roll(corners, -1, axis=1) - np.roll(corners, -2, axis=1)
        squared = np.sum(opposite**2, axis=2)
        # What is nearest to a corner: |side|^2 cot(opposite angle) / 8 for both of its sides.
        pieces = squared * cot / 8.0
        return edges, c, _sum_at(mesh.cells, pieces.sum(axis=1, keepdims=True) - pieces, n)
    if mesh.geometry == "circle":
        h = np.linalg.norm(mesh.points[mesh.cells[:, 1]] - mesh.points[mesh.cells[:, 0]], axis=1)
        c, parts = np.reciprocal(h), np.stack([h, h], axis=1) / 2.0
    else:
        c, parts = _zonal_weights(mesh)
    w = _sum_at(mesh.cells, parts, n)
    order = np.lexsort((mesh.cells.max(axis=1), mesh.cells.min(axis=1)))
    return mesh_edges(mesh), c[order], w


def _cotangents(mesh: Mesh) -> tuple[Array, Array]:
    """Cotangent of the angle at each corner (m, 3) and triangle areas (m,)."""
    corners = mesh.points[mesh.cells]
    doubled = np.linalg.norm(doubled_normals(corners), axis=1)
    cot = np.empty((mesh.n_cells, 3))
    for k in range(3):
        u = corners[:, (k + 1) % 3] - corners[:, k]
        v = corners[:, (k + 2) % 3] - corners[:, k]
        cot[:, k] = np.sum(u * v, axis=1) / doubled
    return cot, 0.5 * doubled


def zonal_half_masses(left: Array, right: Array, d: int) -> Array:
    """Integrals of sin^{d-2} over both halves of intervals of theta, (m, 2).

    Args:
        left, right: (m,) ends in [0, pi], left < right.
        d: ambient dimension.
    """
    h = 0.5 * (right - left)[:, None]
    # At a pole the integrand is theta^{d-2} times a series in theta^2: d/2 nodes for the power, ten
    # more for the series, over intervals up to pi/2 or so.
    node, weight = np.polynomial.legendre.leggauss(d // 2 + 10)
    s = 0.5 * (1.0 + node)
    halves = [np.sin(start[:, None] + h * s) for start in (left, left + h[:, 0])]
    return np.stack([(half ** (d - 2) * h) @ (0.5 * weight) for half in halves], axis=1)


def _zonal_weights(mesh: Mesh) -> tuple[Array, Array]:
    """c (m,) and the two parts (m, 2) of the lumped masses of each interval."""
    theta = mesh.points[mesh.cells, 0]
    left, right = theta[:, 0], theta[:, 1]
    c = np.sin(0.5 * (left + right)) ** (mesh.d - 2) / (right - left)
    parts = zonal_half_masses(left, right, mesh.d)
    if np.any(parts < 1e-290):
        raise InputError(
            f"the weight sin^{mesh.d - 2}(theta) underflows at the poles of this zonal mesh "
            f"({mesh.n_vertices} vertices, first interval {right[0] - left[0]:.3g}): choose fewer "
            "vertices, a smaller d, or angles theta with wider intervals at the poles"
        )
    return c, parts


# ---------------------------------------------------------------------------------------------
# Report


@dataclass(frozen=True)
class MeshReport:
    """Counts, sizes and quality of a mesh; quality and angle are None without triangles.

    Attributes:
        area: of the flat cells: area, length, or for zonal meshes |S^{d-2}| int sin^{d-2}.
        area_error: (area - area of S^{d-1}) / area of S^{d-1}; negative for inscribed cells.
        quality_min: least of 2 inradius / circumradius; 1 is equilateral, 0 degenerate.
        smallest_weight: least cotangent weight (see `delaunay_weights`); >= 0 if Delaunay.
        max_valence: largest number of edges at a vertex.
    """

    geometry: str
    d: int
    vertices: int
    edges: int
    cells: int
    h_min: float
    h_max: float
    area: float
    area_error: float
    quality_min: float | None
    quality_mean: float | None
    min_angle: float | None
    smallest_weight: float
    max_valence: int

    def lines(self) -> list[str]:
        """The report for the terminal, one fact a line."""
        rows: list[tuple[str, str]] = [
            ("geometry", f"{self.geometry}, S^{self.d - 1} in R^{self.d}"),
            ("vertices", f"{self.vertices}"),
            ("edges", f"{self.edges}"),
            ("cells", f"{self.cells}"),
            ("h min / max", f"{self.h_min:.6g} / {self.h_max:.6g}"),
            ("area", f"{self.area:.9g} (relative error {self.area_error:+.3e})"),
        ]
        if self.quality_min is not None and self.min_angle is not None:
            rows += [
                ("quality", f"min {self.quality_min:.4f}, mean {self.quality_mean:.4f} (best 1)"),
                ("least angle", f"{self.min_angle:.2f} degrees"),
            ]
        sign = "Delaunay" if self.smallest_weight >= -DELAUNAY_TOLERANCE else "NOT Delaunay"
        rows += [
            ("least edge weight", f"{self.smallest_weight:.4g} ({sign})"),
            ("largest valence", f"{self.max_valence}"),
        ]
        width = max(len(name) for name, _ in rows)
        return [f"{name:<{width}}  {value}" for name, value in rows]


def inspect_mesh(mesh: Mesh) -> MeshReport:
    """Measure a mesh: counts, edge lengths, area error, triangle quality, edge weights."""
    edges, c, w = delaunay_weights(mesh)
    h = np.linalg.norm(mesh.points[edges[:, 1]] - mesh.points[edges[:, 0]], axis=1)
    log_factor = log_area(mesh.d - 1) if mesh.geometry == "zonal" else 0.0
    total = math.log(float(w.sum())) + log_factor
    quality_min = quality_mean = angle = None
    if mesh.geometry == "sphere":
        cot, area = _cotangents(mesh)
        corners = mesh.points[mesh.cells]
        a, b, e = (
            np.linalg.norm(corners[:, (k + 1) % 3] - corners[:, (k + 2) % 3], axis=1)
            for k in range(3)
        )
        # inradius = 2 area / perimeter, circumradius = a b e / (4 area)
        quality = 16.0 * area**2 / (a * b * e * (a + b + e))
        quality_min, quality_mean = float(quality.min()), float(quality.mean())
        angle = float(np.degrees(np.arctan2(1.0, cot.max())))
    return MeshReport(
        geometry=mesh.geometry,
        d=mesh.d,
        vertices=mesh.n_vertices,
        edges=len(edges),
        cells=mesh.n_cells,
        h_min=float(h.min()),
        h_max=float(h.max()),
        area=math.exp(total),
        area_error=math.expm1(total - log_area(mesh.d)),
        quality_min=quality_min,
        quality_mean=quality_mean,
        min_angle=angle,
        smallest_weight=float(c.min()),
        max_valence=int(np.bincount(edges.ravel(), minlength=mesh.n_vertices).max()),
    )
