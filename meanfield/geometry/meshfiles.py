"""Mesh files, read and written by meshio.

Owns formats, and turns whatever goes wrong in a reader into an `InputError`. What a surface must
be is checked in `meshcheck`; knows nothing of run folders and their fields (`meanfield.results`).
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import meshio
import numpy as np

from meanfield.errors import InputError, MeanfieldWarning, suggest
from meanfield.geometry.meshcheck import Notice, checked_circle, checked_sphere
from meanfield.geometry.meshcore import IntArray, Mesh
from meanfield.geometry.meshmake import zonal_interval
from meanfield.geometry.sphere import Array
from meanfield.whole import whole_file

__all__ = ["WRITABLE", "read_mesh", "write_mesh"]

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


def read_mesh(path: str | Path, on_notice: Notice | None = None) -> Mesh:
    """Read a mesh of the sphere, the circle or the zonal interval from any file meshio reads.

    Triangles make a sphere, a closed loop of lines in a plane z = const makes a circle, lines with
    the point data "theta" and "ambient_dimension" (see `write_mesh`) make a zonal mesh. What is
    checked and repaired: see `checked_sphere` and `checked_circle`.

    Args:
        path: .msh, .vtu, .stl, .xdmf, .obj, .ply, .vtk, .off or another format of meshio.
        on_notice: called with one line of text for each repair; without it, a `MeanfieldWarning`.

    Raises:
        InputError: if the file cannot be read or is no such mesh.
    """
    path = Path(path)
    notify = _warn if on_notice is None else on_notice

    def notice(text: str) -> None:
        notify(f"{path.name}: {text}")

    data = _load(path)
    try:
        return _convert(data, notice)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _warn(text: str) -> None:
    warnings.warn(text, MeanfieldWarning, stacklevel=4)


def _load(path: Path) -> Any:
    """Let meshio read the file; everything it raises, prints or exits with becomes InputError."""
    if path.is_dir():
        raise InputError(f"{path} is a folder: give the mesh file in it")
    if not path.exists():
        near = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        raise InputError(f"mesh file {path} does not exist{suggest(path.name, near)}")
    suffix = path.suffix.lower()
    formats = meshio.extension_to_filetypes.get(suffix)
    if formats is None:
        raise InputError(
            f"{path}: no mesh format has the extension {suffix!r}"
            f"{suggest(suffix, meshio.extension_to_filetypes)}; "
            f"expected one of {', '.join(WRITABLE)}, or another one that meshio reads"
        )
    chatter = io.StringIO()
    try:
        with path.open("rb") as file:
            start = file.read(1024)
        if len(start) < 1024 and not start.strip():  # a binary header may begin with blanks
            raise InputError(f"{path} is empty: expected a {suffix} mesh file")
        # .msh is also an Ansys extension, which meshio would try first.
        file_format = "gmsh" if start.startswith(b"$MeshFormat") else None
        with _captured(chatter):
            return meshio.read(path, file_format)
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    except (Exception, SystemExit) as error:
        # meshio exits the interpreter on some errors, and a broken file can raise anything.
        said = " ".join(chatter.getvalue().split()) or f"{type(error).__name__}: {error}"
        raise InputError(
            f"{path} cannot be read as {' or '.join(formats)}: {said[:300]}; "
            "check that the file is complete and that its extension names its format"
        ) from error


@contextlib.contextmanager
def _captured(chatter: io.StringIO) -> Iterator[None]:
    """Keep what meshio prints, and NumPy's warnings about damaged files, from the terminal."""
    with (
        contextlib.redirect_stdout(chatter),
        contextlib.redirect_stderr(chatter),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        yield


def _convert(data: Any, notice: Notice) -> Mesh:
    counts: dict[str, int] = {}
    for block in data.cells:
        counts[block.type] = counts.get(block.type, 0) + len(block.data)
    points = np.array(data.points, dtype=np.float64)
    found = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count) or "no cells"
    # Points and lines come along with gmsh surfaces; anything else means another kind of mesh.
    others = [
        kind for kind, n in counts.items() if n and kind not in ("triangle", "line", "vertex")
    ]
    if others:
        hint = (
            "split them into triangles"
            if set(others) <= {"quad", "polygon"}
            else "write a mesh of order one"
            if set(others) <= {"triangle6", "triangle7", "triangle10", "line3", "quad8", "quad9"}
            else "write the boundary surface only"
        )
        raise InputError(f"expected a surface of triangles only, found {found}: {hint}")
    if counts.get("triangle"):
        return checked_sphere(points, data.get_cells_type("triangle"), notice)
    if not counts.get("line"):
        raise InputError(
            f"expected triangles (a sphere) or lines (a circle), found {found} and "
            f"{len(points)} points: write the cells of the surface too"
        )
    lines = np.array(data.get_cells_type("line"), dtype=np.int64)
    if _THETA in data.point_data and _DIMENSION in data.point_data:
        return _zonal(data.point_data[_THETA], data.point_data[_DIMENSION], lines)
    return checked_circle(points, lines, notice)


def _zonal(theta: Array, dimension: Array, lines: IntArray) -> Mesh:
    theta = np.asarray(theta, dtype=np.float64).ravel()
    d = np.unique(np.asarray(dimension, dtype=np.float64))
    if len(d) != 1 or d[0] != round(d[0]):
        raise InputError(f"{_DIMENSION!r} must be one integer for all points, found {d[:3]}")
    mesh = zonal_interval(d=int(d[0]), theta=theta)
    pairs = np.sort(lines, axis=1)
    pairs = pairs[np.argsort(pairs[:, 0], kind="stable")]
    if not np.array_equal(pairs, mesh.cells):
        raise InputError("the lines of a zonal mesh must join each angle theta to the next one")
    return mesh


# ---------------------------------------------------------------------------------------------
# Writing


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
        with whole_file(path, shared=True) as part, _captured(io.StringIO()):
            meshio.write(part, data, file_format, **options)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from error
