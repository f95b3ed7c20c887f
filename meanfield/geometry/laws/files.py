"""Laws and density functions read from files: values on a mesh file, a function in a Python file.

A Python file is run: use only what you trust. Knows nothing of cases or TOML.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

from meanfield.errors import InputError, MeanfieldWarning, suggest
from meanfield.geometry.laws.function import Function
from meanfield.geometry.laws.tabulated import Source, TabulatedDensity, TabulatedProfile
from meanfield.geometry.meshcheck import Notice
from meanfield.geometry.meshcore import IntArray, Mesh
from meanfield.geometry.meshfiles import checked_surface, zonal_data
from meanfield.geometry.meshread import Raw, read_by_turns
from meanfield.geometry.points import unit_vectors
from meanfield.geometry.sphere import Array
from meanfield.trust import refuse_code

__all__ = ["LoadedFunction", "load_function", "read_tabulated", "read_values"]

Made = TypeVar("Made")

_SAME_VALUE = 1e-6
"""Values at copies of one vertex may differ so much, relatively: they were written with digits."""


def read_tabulated(
    path: Path, array: str, d: int, time: float | None = None
) -> TabulatedDensity | TabulatedProfile:
    """Read a law from a mesh file: the point data ``array``, one number for each vertex.

    For d = 3 the file gives a sphere, for d = 2 a circle, read, checked and repaired like a mesh to
    compute on (`read_mesh`), and the law lives on the repaired mesh. In any d it may hold a zonal
    mesh: lines with the point data "theta", the angle from e_d, as `write_mesh` makes it. The
    fields.vtkhdf of a run is such a file.

    Args:
        path: a mesh file.
        array: name of the point data.
        d: dimension of the surrounding space that the geometry has.
        time: which one of the times of a VTKHDF file; None: the last.

    Raises:
        InputError: if there is no such file, array, time or kind of cell, or the values are no
            density.
    """
    path = path.resolve()
    source: Source = (str(path), array) if time is None else (str(path), array, time)

    def on_mesh(mesh: Mesh, values: Array) -> TabulatedDensity | TabulatedProfile:
        return TabulatedDensity(mesh.points, mesh.cells, values, source)

    def on_angles(theta: Array, values: Array) -> TabulatedDensity | TabulatedProfile:
        return TabulatedProfile(d, theta, values, source)

    return _read(path, array, d, time, on_mesh, on_angles)


def read_values(path: Path, array: str, d: int, time: float | None = None) -> tuple[Array, Array]:
    """Read values at points from a mesh file, as laws are read, or from a table of numbers.

    Args:
        path: a mesh file, see ``read_tabulated``; or .npy or .csv with d coordinates and the value
            in each row (.csv: after at most one line of names).
        array: name of the point data of a mesh file.
        d: dimension of the surrounding space.
        time: which one of the times of a VTKHDF file; None: the last.

    Returns:
        (n, d) unit vectors, of a zonal mesh (n, 1) angles; and (n,) values.

    Raises:
        InputError: no such file or array, or what are no numbers at unit vectors.
    """
    path = path.resolve()
    if path.suffix.lower() in (".npy", ".csv"):
        table = _rows_of(path, d)
        return unit_vectors(table[:, :d], d, f"path: the points of {path}"), table[:, d]
    found = _read(
        path, array, d, time, lambda mesh, values: (mesh.points, values),
        lambda theta, values: (theta[:, None], values),
    )  # fmt: skip
    if not np.all(np.isfinite(found[1])):
        raise InputError(f"array: found values that are not finite in '{array}' of {path}")
    return found


def _rows_of(path: Path, d: int) -> Array:
    """The rows of a table of numbers, (n, d + 1)."""
    try:
        if path.suffix.lower() == ".npy":
            rows = np.load(path, allow_pickle=False)
        else:
            lines = path.read_text("utf-8-sig").splitlines()
            named = bool(lines) and any(c.isalpha() and c not in "eE" for c in lines[0])
            rows = np.loadtxt(lines[named:], delimiter=",", ndmin=2)
    except FileNotFoundError:
        raise InputError(f"path: found no file {path}") from None
    except (OSError, ValueError, EOFError) as error:
        raise InputError(
            f"path: {path} is no table of numbers: {' '.join(f'{error}'.split())}"
        ) from None
    if rows.dtype.kind not in "iuf" or rows.ndim != 2 or rows.shape[1] != d + 1 or len(rows) < 2:
        raise InputError(
            f"path: found an array of shape {rows.shape} in {path}, expected (n, {d + 1}): {d} "
            "coordinates and the value in each row"
        )
    if not np.all(np.isfinite(rows)):
        raise InputError(f"path: found numbers that are not finite in {path}")
    return rows.astype(np.float64)


def _read(
    path: Path, array: str, d: int, time: float | None, on_mesh: Callable[[Mesh, Array], Made],
    on_angles: Callable[[Array, Array], Made],
) -> Made:  # fmt: skip
    """What is made of the point data of a mesh file: on a surface, or on the angles of a zonal one.

    Raises:
        InputError: see ``read_tabulated``.
    """

    def made_of(raw: Raw, notice: Notice) -> Made:
        values = _vertex_values(raw, path, array)
        zonal = zonal_data(raw, d)
        if zonal is not None:
            return on_angles(*_profile(zonal, values, d, path))
        try:
            mesh, vertex = checked_surface(raw, notice, d)
        except InputError as error:
            raise InputError(f"path: {path}: {error}") from error
        if mesh.d != d:
            wanted = {2: "a closed loop of lines", 3: "triangles"}.get(d, "a zonal mesh")
            raise InputError(
                f"path: found {', '.join(raw.counts())} cells in {path}, expected {wanted} (the "
                f"geometry has d = {d}), or lines with point data 'theta' from 0 to pi"
            )
        return on_mesh(mesh, _merged(values, vertex, path))

    if not path.exists():
        raise InputError(f"path: found no file {path}, expected a mesh file")
    try:
        made, notes = read_by_turns(path, made_of, time)
    except InputError as error:
        named = str(error).startswith(("path:", "array:", "values:", "theta:", "time:", "d:"))
        raise error if named else InputError(f"path: {error}") from None
    for note in notes:
        warnings.warn(f"{path.name}: {note}", MeanfieldWarning, stacklevel=3)
    return made


def _profile(
    zonal: tuple[Array, Array, IntArray], values: Array, d: int, path: Path
) -> tuple[Array, Array]:
    """The angles of a zonal mesh, whose vertices may come in any order, rising; and the values."""
    theta, dimension, pairs = zonal
    if np.any(dimension != d):
        raise InputError(
            f"path: found a zonal mesh for d = {dimension[0]:g} in {path}, expected d = {d}"
        )
    used = np.unique(pairs)
    order = used[np.argsort(theta[used])]
    return theta[order], values[order]


def _merged(values: Array, vertex: IntArray, path: Path) -> Array:
    """Values at the vertices, (n,), of those at the points of the file that became them."""
    points = np.flatnonzero(vertex >= 0)
    at = vertex[points]
    first = points[np.unique(at, return_index=True)[1]]
    made = values[first]
    apart = np.abs(values[points] - made[at]) > _SAME_VALUE * np.abs(made[at])
    if np.any(apart):
        one, two = first[at[apart][0]], points[apart][0]
        raise InputError(
            f"path: {int(apart.sum())} points of {path} coincide with others that have other "
            f"values: {values[one]:.9g} at point {one}, {values[two]:.9g} at {two}; expected one "
            "value at each place"
        )
    return made


def _vertex_values(raw: Raw, path: Path, array: str) -> Array:
    """The point data, one number for each vertex."""
    if array not in raw.data:
        names = sorted(raw.data)
        raise InputError(
            f"array: found no point data '{array}' in {path}{suggest(array, names)}, expected one "
            f"of: {', '.join(names) or '(the file has none)'}"
        )
    values = np.asarray(raw.data[array])
    if values.dtype.kind not in "biuf":
        raise InputError(
            f"array: found '{array}' of type {values.dtype} in {path}, expected numbers"
        )
    values = values.astype(np.float64)
    values = values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values
    if values.shape != (len(raw.points),):
        raise InputError(
            f"array: found '{array}' of shape {values.shape} in {path}, expected one number for "
            f"each of the {len(raw.points)} vertices"
        )
    return values


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
        InputError: if there is no such file or function, the file fails, or it may not be run
            (``meanfield.trust``).
    """
    path = path.resolve()
    if not path.is_file():
        raise InputError(f"path: found no file {path}, expected a Python file")
    refuse_code(path)
    spec = importlib.util.spec_from_file_location(f"meanfield_user_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise InputError(f"path: found {path}, expected a Python file, name ending in .py")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # a fault of the user's file, whatever it is
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
