"""Meshes: the one place to import from. See the modules below for what each owns.

meshcore: the `Mesh` value, edges, reference weights, report; meshmake: generators; grading: finer
at a point; meshcheck: what a surface that others made must be; meshread: files as they are;
meshfiles: reading and writing meshes. No DOLFINx anywhere.
"""

from __future__ import annotations

from meanfield.geometry.grading import graded
from meanfield.geometry.meshcheck import SPHERE_TOLERANCE, checked_circle, checked_sphere
from meanfield.geometry.meshcore import (
    DELAUNAY_TOLERANCE,
    IntArray,
    Mesh,
    MeshReport,
    delaunay_weights,
    edge_range,
    inspect_mesh,
    mesh_edges,
)
from meanfield.geometry.meshfiles import WRITABLE, read_mesh, write_mesh
from meanfield.geometry.meshmake import (
    circle,
    icosphere,
    icosphere_hierarchy,
    unstructured_sphere,
    usual_mesh,
    zonal_interval,
)
from meanfield.geometry.triangles import hull_cells

__all__ = [
    "DELAUNAY_TOLERANCE",
    "SPHERE_TOLERANCE",
    "WRITABLE",
    "IntArray",
    "Mesh",
    "MeshReport",
    "checked_circle",
    "checked_sphere",
    "circle",
    "delaunay_weights",
    "edge_range",
    "graded",
    "hull_cells",
    "icosphere",
    "icosphere_hierarchy",
    "inspect_mesh",
    "mesh_edges",
    "read_mesh",
    "unstructured_sphere",
    "usual_mesh",
    "write_mesh",
    "zonal_interval",
]
