"""Fields on the vertices against time: one temporal VTKHDF file, written step by step, read back.

Owns what is in the file (the mesh once, or where it is at each step if it moves; the values of each
step appended), in three dimensions as the manifold places them for ParaView. Knows nothing of
solvers: it takes arrays in the original vertex order of the mesh, on one process.

The group ``/meanfield`` keeps the geometry and the ambient dimension, so that :func:`read` can give
back the mesh of the run; its ``log10_rho_floor`` is what ``log10_rho`` is
where the density is zero.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from meanfield.errors import InputError
from meanfield.geometry.mesh import Mesh
from meanfield.geometry.sphere import Array
from meanfield.results.formats.base import LOG10_FLOOR, FieldSeries
from meanfield.results.formats.vtkhdf.reading import (
    damaged,
    open_file,
    read_rows,
    read_times,
)
from meanfield.results.formats.vtkhdf.temporal import (
    CELL_TYPES,
    PART_SIZES,
    TemporalWriter,
)
from meanfield.results.stored import checked_components, stored, stored_field

__all__ = ["FieldWriter", "read"]

_KIND = "field file"


class FieldWriter(TemporalWriter):
    """Appends fields to a VTKHDF file, which ParaView (>= 5.13), VTK and pyvista read in time.

    After each :meth:`write` the file on disk is complete: a viewer can open it during the run
    (it is not locked) and a run that is killed later leaves it readable.

    Points are stored in double precision and in three dimensions: the sphere as it is, the
    circle as (x, y, 0), a zonal interval as the half circle (sin theta, 0, cos theta) with
    ``theta`` as static point data.

    Args:
        path: the file to make; an existing one is replaced unless ``resume_at`` is given.
        mesh: the mesh, with vertices in the order of the values.
        names: number of components of every field as stored, 1 or 3.
        precision: "float32" or "float64", how values are stored.
        compression: "gzip" or "none".
        static: further point data that do not change, by name, (n,) or (n, 3).
        moving: the mesh changes from step to step: :meth:`write` is told where it is.
        resume_at: append to an existing file after dropping its steps with t > resume_at.

    Raises:
        InputError: if precision, compression or a component number is not one of those, or the
            file to resume is missing, unreadable or was written for another mesh or other fields.
    """

    def __init__(
        self,
        path: str | Path,
        mesh: Mesh,
        *,
        names: Mapping[str, int],
        precision: str = "float32",
        compression: str = "gzip",
        static: Mapping[str, Array] | None = None,
        moving: bool = False,
        resume_at: float | None = None,
    ) -> None:
        super().__init__(
            path,
            _KIND,
            len(mesh.points),
            precision=precision,
            compression=compression,
            changing=moving,
        )
        self._points_dtype = np.dtype(np.float64)
        self._mesh = mesh
        self._names = checked_components(names)
        beside = mesh.manifold.beside_space(mesh.points)
        if moving:
            self._names |= dict.fromkeys(beside, 1)
        self._rows = tuple(f"PointData/{name}" for name in self._names)
        if moving:
            self._rows += ("Points",)
        self._points = mesh.manifold.in_space(mesh.points)
        self._static = {k: np.asarray(v, dtype=np.float64) for k, v in (static or {}).items()}
        if not moving:
            self._static = {**beside, **self._static}
        for name, values in self._static.items():
            if name in self._names or values.shape not in ((self._n,), (self._n, 3)):
                raise InputError(
                    f"static field '{name}' of shape {values.shape}: expected ({self._n},) or "
                    f"({self._n}, 3), and a name that no other field has"
                )
        self._begin(resume_at)

    def _create(self) -> None:
        cells = np.asarray(self._mesh.cells, dtype=np.int64)
        about: dict[str, Any] = {"geometry": self._mesh.geometry, "d": self._mesh.d}
        if "log10_rho" in self._names:
            about["log10_rho_floor"] = LOG10_FLOOR  # what stands for zero, told to who opens it
        points = None if self._changing else self._points
        self._create_grid(cells, CELL_TYPES[cells.shape[1]], points, about)
        for name, components in self._names.items():
            self._create_point_data(name, components, self._dtype)
        for name, values in self._static.items():
            self._create_static(name, values)

    def _resume(self) -> Array:
        old = _describe(self._file, self.path)
        wanted = f"to resume, {self.path} must hold the run's own mesh and fields"
        if (
            old.geometry != self._mesh.geometry
            or old.d != self._mesh.d
            or old.moving != self._changing
            or (not self._changing and not np.array_equal(old.points, self._points))
            or (not self._changing and not np.array_equal(old.cells, self._mesh.cells))
        ):
            raise InputError(
                f"{wanted}: found {old.geometry} (d = {old.d}) with {len(old.points)} vertices, "
                f"expected {self._mesh.geometry} (d = {self._mesh.d}) with {self._n} in the same "
                "places; start again with --overwrite"
            )
        if old.names != self._names or set(old.static) != set(self._static):
            raise InputError(
                f"{wanted}: found the fields {sorted([*old.names, *old.static])}, expected "
                f"{sorted([*self._names, *self._static])}; resume with the case of the run"
            )
        data = self._file["VTKHDF/PointData"]
        for name in self._names:
            if data[name].dtype != self._dtype:
                raise InputError(
                    f"{wanted}: '{name}' is {data[name].dtype}, expected {self._dtype}; "
                    "resume with the output.precision of the run"
                )
        return old.times

    def write(
        self,
        t: float,
        values: Mapping[str, Array],
        mesh: Mesh | None = None,
        unknown: Collection[str] = (),
    ) -> None:
        """Append one step and bring it to the file.

        Args:
            t: time, above that of the step before.
            values: every field named at the start: (n,) for scalars, (n, 3) for vectors;
                vectors on the circle may have two components, on a zonal interval one, the
                speed along the meridian (d theta / dt for the velocity).
            mesh: where the mesh is now, if it moves; it may have other cells than before.
            unknown: names of fields that may be NaN, where nothing tells them.

        Raises:
            BrokenInvariantError: if a value is NaN or infinite, or too large for the stored
                precision. Only ``log10_rho`` may be -inf (zero density), stored as
                ``LOG10_FLOOR``. Nothing is written then.
            ValueError: if t does not increase or a field is missing, unknown or misshapen.
        """
        self._check_time(t)
        before, given = self._mesh, dict(values)
        if (mesh is not None) != self._changing:
            raise ValueError("a mesh that moves must be given at each step, and no other one")
        if mesh is not None:
            self._mesh, self._n = mesh, mesh.n_vertices
            given |= mesh.manifold.beside_space(mesh.points)
        if set(given) != set(self._names):
            raise ValueError(f"fields {sorted(values)} given, {sorted(self._names)} expected")
        data = {
            f"PointData/{name}": stored_field(
                name, components, given[name], self._mesh, self._dtype, t, name not in unknown
            )
            for name, components in self._names.items()
        }
        cells = None
        if mesh is not None:
            self._points = mesh.manifold.in_space(mesh.points)
            data["Points"] = stored(
                self._points, self._points_dtype, "the mesh", t, ("vertices", "vertex")
            )
            if not np.array_equal(mesh.cells, before.cells):
                cells = np.asarray(mesh.cells, dtype=np.int64)
        self._append(t, data, cells)


# -- reading --------------------------------------------------------------------------------------


class _Fields(FieldSeries):
    def _at(self, k: int) -> FieldSeries:
        with open_file(self.path, "r", _KIND) as file:
            try:
                points, cells = _grid(file["VTKHDF"], k)
            except (KeyError, OSError, IndexError) as error:
                raise damaged(self.path, _KIND, error) from error
        return replace(self, points=points, cells=cells, shown=k)

    def _read(self, name: str, k: int | None) -> Array:
        if k is None:
            return read_rows(self.path, _KIND, f"PointData/{name}", 0, len(self.points))
        with open_file(self.path, "r", _KIND) as file:
            try:
                root = file["VTKHDF"]
                start = int(root[f"Steps/PointDataOffsets/{name}"][k])
                count = int(root["NumberOfPoints"][_part(root, k)])
                values: Array = root[f"PointData/{name}"][start : start + count]
            except (KeyError, OSError, IndexError) as error:
                raise damaged(self.path, _KIND, error) from error
        return values


def _part(root: h5py.Group, k: int) -> int:
    """Which of the triangulations in the file a step has."""
    return int(root["Steps/PartOffsets"][k])


def _grid(root: h5py.Group, k: int) -> tuple[Array, NDArray[np.int64]]:
    """Points and cells of a step; before the first step, of a file that has none."""
    part, begin, first = 0, 0, 0
    if k < root["Steps/PartOffsets"].shape[0]:
        part, first = _part(root, k), int(root["Steps/PointOffsets"][k])
        begin = int(root["Steps/ConnectivityIdOffsets"][k].item())
    n, m, used = (int(root[name][part]) for name in PART_SIZES)
    points = np.asarray(root["Points"][first : first + n], dtype=np.float64)
    cells = np.asarray(root["Connectivity"][begin : begin + used], dtype=np.int64)
    return points, cells.reshape(m, -1)


def read(path: Path) -> FieldSeries:
    """Open a field file of a finished, running or killed run.

    Raises:
        InputError: if there is no such file or it was not written by :class:`FieldWriter`.
    """
    with open_file(path, "r", _KIND) as file:
        return _describe(file, path)


def _describe(file: h5py.File, path: Path) -> FieldSeries:
    try:
        times = read_times(file, path)
        own, root = file["meanfield"], file["VTKHDF"]
        data = root["PointData"]
        # The static fields are the ones that cannot grow.
        growing = {name: set_ for name, set_ in data.items() if set_.maxshape[0] is None}
        points, cells = _grid(root, 0)
        return _Fields(
            path=path,
            times=times,
            names={k: 1 if v.ndim == 1 else int(v.shape[1]) for k, v in growing.items()},
            static=tuple(k for k in data if k not in growing),
            geometry=str(own.attrs["geometry"]),
            d=int(own.attrs["d"]),
            points=points,
            cells=cells,
            moving=root["Points"].maxshape[0] is None,
        )
    except (KeyError, OSError, IndexError) as error:
        raise damaged(path, _KIND, error) from error
