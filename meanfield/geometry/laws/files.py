"""Laws and density functions read from files: values on a mesh file, a function in a Python file.

A Python file is run: use only what you trust. Knows nothing of cases or TOML.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from meanfield.errors import InputError, MeanfieldWarning, suggest
from meanfield.geometry.laws.function import Function
from meanfield.geometry.laws.tabulated import TabulatedDensity, TabulatedProfile
from meanfield.geometry.meshcheck import checked_circle, checked_sphere
from meanfield.geometry.sphere import Array

__all__ = ["LoadedFunction", "load_function", "read_tabulated"]


def read_tabulated(path: Path, array: str, d: int) -> TabulatedDensity | TabulatedProfile:
    """Read a law from a mesh file: the point data ``array``, one number for each vertex.

    For d = 3 the file holds triangles, for d = 2 a closed loop of lines; they are checked and
    repaired like a mesh to compute on (`checked_sphere`, `checked_circle`), and the law lives on
    the repaired mesh. In any d it may hold a zonal mesh: lines with the point data "theta", the
    angle from e_d, as `write_mesh` makes it.

    Args:
        path: a file that meshio reads.
        array: name of the point data.
        d: dimension of the surrounding space that the geometry has.

    Raises:
        InputError: if there is no such file, array or kind of cell, or the values are no density.
    """
    path = path.resolve()
    data = _load(path)
    values = _vertex_values(data, path, array)
    source = (str(path), array)
    triangles, lines = data.get_cells_type("triangle"), data.get_cells_type("line")
    if len(lines) and not len(triangles) and "theta" in data.point_data:
        dimension = np.ravel(data.point_data.get("ambient_dimension", [d]))
        if np.any(dimension != d):
            raise InputError(
                f"path: found a zonal mesh for d = {dimension[0]:g} in {path}, expected d = {d}"
            )
        used = np.unique(lines)
        theta = np.asarray(data.point_data["theta"], dtype=np.float64).ravel()[used]
        order = np.argsort(theta)
        return TabulatedProfile(d, theta[order], values[used][order], source)
    cells = {2: lines, 3: triangles}.get(d, np.empty(0))
    if not len(cells):
        wanted = {2: "a closed loop of lines", 3: "triangles"}.get(d, "a zonal mesh")
        raise InputError(
            f"path: found {', '.join(sorted({b.type for b in data.cells})) or 'no'} cells in "
            f"{path}, expected {wanted} (the geometry has d = {d}), or lines with point data "
            "'theta' from 0 to pi"
        )
    check = checked_circle if d == 2 else checked_sphere
    try:
        mesh = check(np.asarray(data.points), cells, lambda text: _warn(f"{path.name}: {text}"))
    except InputError as error:
        raise InputError(f"path: {path}: {error}") from error
    used = np.unique(cells)
    if mesh.n_vertices != len(used):
        raise InputError(
            f"path: {len(used) - mesh.n_vertices} vertices of {path} coincide with others, "
            "expected one value at each place; merge them first"
        )
    return TabulatedDensity(mesh.points, mesh.cells, values[used], source)


def _vertex_values(data: Any, path: Path, array: str) -> Array:
    """The point data, one number for each vertex."""
    if array not in data.point_data:
        names = sorted(data.point_data)
        raise InputError(
            f"array: found no point data '{array}' in {path}{suggest(array, names)}, expected one "
            f"of: {', '.join(names) or '(the file has none)'}"
        )
    values = np.asarray(data.point_data[array], dtype=np.float64)
    values = values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values
    if values.shape != (len(data.points),):
        raise InputError(
            f"array: found '{array}' of shape {values.shape} in {path}, expected one number for "
            f"each of the {len(data.points)} vertices"
        )
    return values


def _warn(text: str) -> None:
    warnings.warn(text, MeanfieldWarning, stacklevel=4)


def _load(path: Path) -> Any:
    """Let meshio read the file, quietly; whatever it raises or exits with becomes InputError."""
    import meshio  # here, since it takes 0.2 s and nothing else needs it

    if not path.is_file():
        raise InputError(f"path: found no file {path}, expected a mesh file that meshio reads")
    with path.open("rb") as file:
        gmsh = file.read(11) == b"$MeshFormat"  # .msh is also an Ansys extension, tried first
    chatter = io.StringIO()
    try:
        with contextlib.redirect_stdout(chatter), contextlib.redirect_stderr(chatter):
            return meshio.read(path, "gmsh" if gmsh else None)
    except (Exception, SystemExit) as error:  # a damaged file can raise anything
        said = " ".join((chatter.getvalue() or f"{type(error).__name__}: {error}").split())
        raise InputError(
            f"path: {path} cannot be read by meshio ({said[:300]}); expected a mesh file such as "
            ".vtu, .msh or .xdmf"
        ) from error


class LoadedFunction:
    """A function of a user's file, which other processes find again in that file.

    Two are the same that come from files of the same name with the same text.
    """

    def __init__(self, path: Path, name: str, function: Function) -> None:
        self.path, self.__name__, self._function = path, name, function
        self._mark = (path, name, path.read_bytes())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LoadedFunction) and self._mark == other._mark

    def __hash__(self) -> int:
        return hash(self._mark)

    def __call__(self, x: Array) -> Array:
        """The function itself."""
        return self._function(x)

    def __reduce__(self) -> tuple[Callable[[Path, str], LoadedFunction], tuple[Path, str]]:
        return load_function, (self.path, self.__name__)


def load_function(path: Path, name: str) -> LoadedFunction:
    """Run a Python file and return one of its functions.

    Raises:
        InputError: if there is no such file or function, or the file fails.
    """
    path = path.resolve()
    if not path.is_file():
        raise InputError(f"path: found no file {path}, expected a Python file")
    spec = importlib.util.spec_from_file_location(f"meanfield_user_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise InputError(f"path: found {path}, expected a Python file, name ending in .py")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # a fault of the user's file, whatever it is
        said = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"path: running {path} raised {said}") from error
    found = getattr(module, name, None)
    if not callable(found):
        names = sorted(n for n in vars(module) if callable(getattr(module, n)) and n[0] != "_")
        raise InputError(
            f"name: found no function '{name}' in {path}{suggest(name, names)}, expected one of: "
            f"{', '.join(names) or '(the file has none)'}"
        )
    return LoadedFunction(path, name, found)
