"""Mesh files: read by whichever reader copes (`meshread`), written by meshio.

Owns the formats that are written, and which kind of mesh a file gives. What a surface must be is
checked in `meshcheck`; knows nothing of run folders.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from meanfield.arguments import checked_arguments
from meanfield.errors import InputError, MeanfieldWarning, suggest
from meanfield.geometry.meshcheck import (
    SPHERE_TOLERANCE,
    Notice,
    checked_circle,
    checked_points,
    checked_sphere,
)
from meanfield.geometry.meshcore import IntArray, Mesh
from meanfield.geometry.meshmake import zonal_interval
from meanfield.geometry.meshread import Raw, lines, quiet, read_by_turns, triangles
from meanfield.geometry.sphere import Array
from meanfield.whole import whole_file

__all__ = ["WRITABLE", "checked_surface", "read_mesh", "write_mesh", "zonal_data"]

#: Extensions offered for writing, each read back by a test, and the geometries they can hold.
WRITABLE = {
    ".vtu": ("sphere", "circle", "zonal"),
    ".vtk": ("sphere", "circle", "zonal"),
    ".msh": ("sphere", "circle", "zonal"),
    ".xdmf": ("sphere", "circle", "zonal"),
    ".stl": ("sphere",),
    ".obj": ("sphere",),
    ".ply": ("sphere",),
    ".off": ("sphere",),
}

# Point data that make a line mesh a zonal one.
_THETA, _DIMENSION = "theta", "ambient_dimension"


# ---------------------------------------------------------------------------------------------
# Reading


@checked_arguments
def read_mesh(path: str | Path, on_notice: Notice | None = None, project: bool = False) -> Mesh:
    """Read a mesh of the sphere, the circle or the zonal interval from a file of any kind.

    Triangles make a sphere (quads and polygons are split, of volumes the boundary is taken, points
    alone get their convex hull), a closed loop of lines in a plane z = const makes a circle, lines
    with the point data "theta" and "ambient_dimension" (see `write_mesh`) make a zonal mesh. Of the
    fields.vtkhdf of a run it is the mesh of the last step. What is checked and repaired: see
    `checked_sphere` and `checked_circle`.

    Args:
        path: .msh, .vtu, .stl, .xdmf, .obj, .ply, .vtk, .off, .vtp, .vtkhdf or another format of
            meshio (or of trimesh, if that is installed).
        on_notice: called with one line of text for each repair; without it, a `MeanfieldWarning`.
        project: move vertices to the sphere that fits them best however far they are off.

    Raises:
        InputError: if the file cannot be read or is no such mesh.

    Example:
        >>> mesh = mf.read_mesh('sphere.msh')
    """
    path = Path(path)
    notify = _warn if on_notice is None else on_notice

    def mesh(raw: Raw, notice: Notice) -> Mesh:
        try:
            zonal = zonal_data(raw)
            return (
                checked_surface(raw, notice, project=project)[0]
                if zonal is None
                else _zonal(*zonal)
            )
        except InputError as error:
            raise InputError(f"{path}: {error}") from None

    made, notes = read_by_turns(path, mesh)
    for note in notes:
        notify(f"{path.name}: {note}")
    return made


def _warn(text: str) -> None:
    warnings.warn(text, MeanfieldWarning, stacklevel=3)


def checked_surface(
    raw: Raw, notice: Notice, d: int = 3, project: bool = False
) -> tuple[Mesh, IntArray]:
    """Make a sphere or a circle of what a file holds.

    Args:
        raw: the file.
        notice: called with one line for each repair.
        d: 2 if lines are wanted where there are triangles, too.
        project: see `read_mesh`.

    Returns:
        The mesh, and the vertex that each of the file's points has become, (n,), -1: none.

    Raises:
        InputError: if there are no such cells or points, or they make no sphere or circle.
    """
    pairs, notes = lines(raw), list[str]()
    if not (len(pairs) and d == 2):
        faces = triangles(raw, notes)
        if len(faces):
            for note in notes:
                notice(note)
            return checked_sphere(raw.points, faces, notice, project)
    if len(pairs):
        return checked_circle(raw.points, pairs, notice, project)
    if raw.declared and raw.points.shape[1] == 3 and len(raw.points) > 3:
        return checked_points(raw.points, notice, project)
    raise InputError(
        f"expected triangles (a sphere) or lines (a circle), found {raw.contents} and "
        f"{len(raw.points)} points: write the cells of the surface too"
    )


def zonal_data(raw: Raw, d: int | None = None) -> tuple[Array, Array, IntArray] | None:
    """Angles and dimensions of the points, (n,) each, and lines of a file with a zonal mesh.

    ``d``: the dimension where the file does not tell it. None if the file holds anything else.
    """
    pairs = lines(raw)
    told = {} if d is None else {_DIMENSION: np.full(len(raw.points), float(d))}
    found = {**told, **raw.data}
    if not len(pairs) or set(raw.counts()) - {"line", "vertex"} or _THETA not in found:
        return None
    if _DIMENSION not in found:
        return None
    theta, dimension = (np.asarray(found[k], np.float64).ravel() for k in (_THETA, _DIMENSION))
    if found[_THETA].dtype == np.float32 and raw.points.shape[1] == 3:
        # As a run along characteristics writes it: the places on the meridian have all digits.
        angle = np.arctan2(raw.points[:, 0], raw.points[:, 2])
        if len(theta) == len(angle) and np.all(np.abs(theta - angle) < SPHERE_TOLERANCE):
            theta = angle
    return theta, dimension, pairs


def _zonal(theta: Array, dimension: Array, pairs: IntArray) -> Mesh:
    d = np.unique(dimension)
    if len(d) != 1 or d[0] != round(d[0]):
        raise InputError(f"{_DIMENSION!r} must be one integer for all points, found {d[:3]}")
    mesh = zonal_interval(d=int(d[0]), theta=theta)
    pairs = np.sort(pairs, axis=1)
    pairs = pairs[np.argsort(pairs[:, 0], kind="stable")]
    if not np.array_equal(pairs, mesh.cells):
        raise InputError("the lines of a zonal mesh must join each angle theta to the next one")
    return mesh


# ---------------------------------------------------------------------------------------------
# Writing


@checked_arguments
def write_mesh(
    path: str | Path,
    mesh: Mesh,
    overwrite: bool = False,
    fields: Mapping[str, Array] | None = None,
) -> None:
    """Write a mesh; the extension chooses the format (see `WRITABLE`).

    Coordinates are written in double precision. Circles get z = 0. A zonal mesh becomes the
    meridian (sin theta, 0, cos theta) of lines with the point data "theta" and
    "ambient_dimension" (= d at each point), from which `read_mesh` makes it again. ``fields`` are
    written as further point data, (n_vertices,) each.

    Raises:
        InputError: if the file exists and ``overwrite`` is false, if the format is unknown or
            cannot hold this geometry, or if the file cannot be written.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    able = [ext for ext, kinds in WRITABLE.items() if mesh.geometry in kinds]
    if suffix not in WRITABLE:
        raise InputError(
            f"{path}: cannot write a mesh with the extension {suffix!r}{suggest(suffix, WRITABLE)};"
            f" expected one of {', '.join(able)}"
        )
    if suffix not in able:
        raise InputError(
            f"{path}: {suffix} files cannot hold a {mesh.geometry} mesh, which is made of lines; "
            f"choose one of {', '.join(able)}"
        )
    if path.is_dir():
        raise InputError(f"{path} is a folder: give a file name with an extension")
    if path.exists() and not overwrite:
        raise InputError(f"{path} exists already: choose another name, or ask to overwrite it")

    import meshio  # here, since it takes 0.2 s

    points, point_data = mesh.manifold.in_space(mesh.points), dict(fields or {})
    beside = mesh.manifold.beside_space(mesh.points)
    if beside:
        point_data |= {**beside, _DIMENSION: np.full(mesh.n_vertices, float(mesh.d))}
    kind = "triangle" if mesh.manifold.dimension == 2 else "line"
    data = meshio.Mesh(points, [(kind, mesh.cells.astype(np.int32))], point_data=point_data)
    # XDMF inline: else the numbers go to a second file, which could overwrite an unrelated .h5.
    options: dict[str, Any] = {"data_format": "XML"} if suffix == ".xdmf" else {}
    file_format = "gmsh" if suffix == ".msh" else meshio.extension_to_filetypes[suffix][0]
    try:
        with whole_file(path, shared=True) as part, quiet(io.StringIO()):
            meshio.write(part, data, file_format, **options)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from error
