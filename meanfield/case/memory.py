"""Meshes from memory as the geometry of a case: kept in a file, as a case is data that is written.

The file is in a temporary folder of the user, under the digest of what is in it, so that all
ranks mean the same one. A run with a folder takes a copy of it there (``Records``).
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import BeforeValidator

from meanfield.case.geometry import Geometry, MeshFile
from meanfield.errors import InputError
from meanfield.geometry.mesh import Mesh, write_mesh
from meanfield.surroundings import private_folder
from meanfield.whole import whole_file

__all__ = ["MESH_FILE", "GivenGeometry", "from_memory", "geometry_of", "refuse_function"]

MESH_FILE = "mesh.vtu"
"""Name of the copy in the folder of a run."""

_BEGIN = "meanfield-mesh-"


def geometry_of(mesh: Mesh) -> MeshFile:
    """The geometry of a case with this mesh, in the order of its vertices and cells.

    Raises:
        InputError: what is no mesh of a sphere, circle or zonal interval: see ``read_mesh``.
    """
    digest = hashlib.sha256(f"{mesh.geometry} {mesh.d} {mesh.points.shape}".encode())
    digest.update(mesh.points.tobytes())
    digest.update(mesh.cells.tobytes())
    path = Path(private_folder()) / f"{_BEGIN}{digest.hexdigest()[:32]}.vtu"
    if not path.is_file():
        # Ranks, and other processes, may be doing the same.
        own = path.with_name(f"{os.getpid()}-{path.name}")
        write_mesh(own, mesh, overwrite=True)
        with whole_file(path, shared=True) as part:
            shutil.copyfile(own, part)
        own.unlink()
    made = MeshFile(path)
    _ = made.manifold  # which reads, and so checks it
    return made


def _geometry(value: object) -> object:
    if isinstance(value, Mesh):
        return geometry_of(value)
    if _of_dolfinx(value):
        raise InputError("mesh: found one of DOLFINx, expected meanfield.mesh_from_dolfinx(mesh)")
    return value


def refuse_function(value: object) -> None:
    """Refuse a function of DOLFINx as an initial law: only all ranks together can read it.

    Raises:
        InputError: says how.
    """
    if _of_dolfinx(value):
        raise InputError(
            "initial: found a function of DOLFINx, expected the values that "
            "meanfield.density_from_dolfinx(function) gives, with its mesh as geometry"
        )


def _of_dolfinx(value: object) -> bool:
    return type(value).__module__.partition(".")[0] == "dolfinx"


if TYPE_CHECKING:
    GivenGeometry = Geometry
else:
    GivenGeometry = Annotated[Geometry, BeforeValidator(_geometry)]


def from_memory(geometry: object) -> Path | None:
    """The file of a mesh from memory; None: it is none."""
    if isinstance(geometry, MeshFile):
        path = Path(geometry.file)
        if path.name.startswith(_BEGIN) and path.parent == Path(private_folder()):
            return path
    return None
