"""The mesh value, its edges, reference weights and quality report, for all three geometries.

Owns `Mesh` and what is computed from one. NumPy and SciPy only: knows nothing of how meshes are
made (`meshmake`), checked (`meshcheck`) or stored (`meshfiles`), nor of DOLFINx and measures. All
vertices lie on the unit sphere; cells are flat (triangles or chords), so areas are those of the
inscribed polyhedron.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from meanfield.arguments import checked_arguments
from meanfield.errors import InputError
from meanfield.geometry.manifolds import Manifold, manifold
from meanfield.geometry.manifolds.base import interval_edges
from meanfield.geometry.sphere import Array, log_area
from meanfield.geometry.triangles import cell_edges, cotangents

__all__ = [
    "DELAUNAY_TOLERANCE",
    "IntArray",
    "Mesh",
    "MeshReport",
    "delaunay_weights",
    "edge_range",
    "inspect_mesh",
    "mesh_edges",
]

IntArray = NDArray[np.int64]

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

    Example:
        >>> points = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
        >>> mesh = mf.Mesh('circle', 2, points, np.array([[0, 1], [1, 2], [2, 3], [3, 0]]))
        >>> mesh.n_vertices, mesh.n_cells
        (4, 4)
    """

    geometry: str
    d: int
    points: Array
    cells: IntArray

    def __post_init__(self) -> None:
        gdim, corners = self.manifold.gdim, self.manifold.corners
        if not corners > 1:
            raise InputError(f"a mesh of '{self.geometry}' found: it has none")
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

    @cached_property
    def manifold(self) -> Manifold:
        """The geometry of its coordinates."""
        return manifold(self.geometry, self.d)

    def embedded(self) -> Array:
        """Vertices as (n, d) unit vectors; zonal: the meridian (sin theta, 0, .., 0, cos theta)."""
        return self.manifold.embed(self.points)


# ---------------------------------------------------------------------------------------------
# Edges and weights


@checked_arguments
def mesh_edges(mesh: Mesh) -> IntArray:
    """Edges (E, 2) of a mesh, each once, lower vertex first, in lexicographic order."""
    if mesh.cells.shape[1] == 3:
        return cell_edges(mesh.cells, mesh.n_vertices)[0]
    return interval_edges(mesh.cells)[0]


@checked_arguments
def edge_range(mesh: Mesh) -> tuple[float, float]:
    """Length of the shortest and of the longest edge, as chords (zonal: in theta)."""
    least, most, corners = math.inf, 0.0, mesh.cells.shape[1]
    for k in range(corners if corners == 3 else 1):
        way = mesh.points[mesh.cells[:, k]] - mesh.points[mesh.cells[:, (k + 1) % corners]]
        squared = np.einsum("ij,ij->i", way, way)
        least, most = min(least, float(squared.min())), max(most, float(squared.max()))
    return math.sqrt(least), math.sqrt(most)


@checked_arguments
def delaunay_weights(mesh: Mesh) -> tuple[IntArray, Array, Array]:
    """Edge weights c_ij = -K_ij of the P1 stiffness matrix and dual-cell masses, in closed form.

    These are the reference for the DOLFINx assembly. In the flat measure of the cells, not
    normalised: areas on S^2, lengths on S^1, sin^{d-2}(theta) dtheta on the zonal interval.

    * triangles: c = (cot a + cot b) / 2 with the angles opposite the edge, w = area of the Voronoi
      cell (through the circumcentres), c_ij |x_i - x_j| being the length of its side: with the
      thirds of the triangles instead, the divergence of a linear field converges in the mean only;
    * circle: c = 1 / h, w = sum of h / 2 with the chord length h;
    * zonal: c = sin^{d-2}(middle) / h (the stiffness by the midpoint rule), w_i = int sin^{d-2}
      over the half intervals at i (``manifolds.zonal.half_masses``). With the exact integrals of
      P1 instead, the divergence at a pole would be wrong by a factor d / (2 (d-1)) however fine
      the mesh.

    Returns:
        Edges (E, 2) as `mesh_edges`, c (E,), w (n,). c >= 0 if and only if the mesh is Delaunay.

    Raises:
        InputError: if a zonal weight underflows (high d, fine mesh at the poles).
    """
    return mesh.manifold.edge_weights(mesh.points, mesh.cells)


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


@checked_arguments
def inspect_mesh(mesh: Mesh) -> MeshReport:
    """Measure a mesh: counts, edge lengths, area error, triangle quality, edge weights."""
    edges, c, w = delaunay_weights(mesh)
    h = np.linalg.norm(mesh.points[edges[:, 1]] - mesh.points[edges[:, 0]], axis=1)
    total = math.log(float(w.sum())) + mesh.manifold.log_factor
    quality_min = quality_mean = angle = None
    if mesh.manifold.dimension == 2:
        cot, area = cotangents(mesh.points, mesh.cells)
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
