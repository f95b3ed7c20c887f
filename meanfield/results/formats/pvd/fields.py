"""Fields on the vertices against time, one .vtu a step: written step by step, read back.

What is in it is as in the temporal file of ``vtkhdf``: places in three dimensions, vectors
likewise, what does not change in each file. Knows nothing of solvers.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from meanfield.errors import InputError
from meanfield.geometry.mesh import Mesh
from meanfield.geometry.sphere import Array
from meanfield.results.formats.base import LOG10_FLOOR, FieldSeries
from meanfield.results.formats.pvd.collection import (
    CollectionWriter,
    damaged,
    read_collection,
    step_path,
)
from meanfield.results.formats.pvd.vtu import Grid, read_arrays
from meanfield.results.stored import checked_components, stored, stored_field

__all__ = ["FieldWriter", "read"]

_KIND = "field file"
_FAULTS = (KeyError, ValueError, OSError, TypeError)


class FieldWriter(CollectionWriter):
    """Appends fields to a collection, which ParaView, VTK and pyvista read in time.

    After each :meth:`write` what is on disk is complete; a run that is killed leaves it readable.
    Arguments and errors are those of ``vtkhdf.FieldWriter``.
    """

    def __init__(
        self,
        path: str | Path,
        mesh: Mesh,
        *,
        names: Mapping[str, int],
        precision: str = "float32",
        compression: str = "gzip",
        moving: bool = False,
        resume_at: float | None = None,
    ) -> None:
        super().__init__(Path(path), _KIND, precision, compression)
        self._mesh, self._moving = mesh, moving
        self._names = checked_components(names)
        self._static: dict[str, Array] = {}
        beside = mesh.manifold.beside_space(mesh.points)
        if moving:
            self._names |= dict.fromkeys(beside, 1)
        else:
            self._static = {k: np.asarray(v, dtype=np.float64) for k, v in beside.items()}
        self._about = {
            "content": "fields",
            "geometry": mesh.geometry,
            "d": mesh.d,
            "moving": moving,
            "names": self._names,
            "static": list(self._static),
            "precision": precision,
        }
        if "log10_rho" in self._names:
            self._about["log10_rho_floor"] = LOG10_FLOOR
        if resume_at is not None:
            times, found = read_collection(self.path, _KIND)
            self._check_resumed(found, {"precision": "resume with the output.precision of the run"})
            if len(times) and not moving:
                old = read(self.path)
                points = mesh.manifold.in_space(mesh.points)
                if not (
                    np.array_equal(old.points, points) and np.array_equal(old.cells, mesh.cells)
                ):
                    raise InputError(
                        f"to resume, {self.path} must hold the run's own mesh: found "
                        f"{len(old.points)} vertices, expected {mesh.n_vertices} in the same "
                        "places; start again with --overwrite"
                    )
            self._keep(times, resume_at)

    def write(
        self,
        t: float,
        values: Mapping[str, Array],
        mesh: Mesh | None = None,
        unknown: Collection[str] = (),
    ) -> None:
        """Append one step; arguments and errors are those of ``vtkhdf.FieldWriter.write``."""
        self._check_time(t)
        given = dict(values)
        if (mesh is not None) != self._moving:
            raise ValueError("a mesh that moves must be given at each step, and no other one")
        on = self._mesh if mesh is None else mesh
        if mesh is not None:
            given |= mesh.manifold.beside_space(mesh.points)
        if set(given) != set(self._names):
            raise ValueError(f"fields {sorted(values)} given, {sorted(self._names)} expected")
        data: dict[str, NDArray[Any]] = {
            name: stored_field(
                name, components, given[name], on, self._dtype, t, name not in unknown
            )
            for name, components in self._names.items()
        }
        double, item = np.dtype(np.float64), ("vertices", "vertex")
        points = stored(on.manifold.in_space(on.points), double, "the mesh", t, item)
        self._append(t, Grid(points, np.asarray(on.cells, np.int64), {**data, **self._static}))


# -- reading --------------------------------------------------------------------------------------


class _Fields(FieldSeries):
    def _at(self, k: int) -> FieldSeries:
        points, cells = _grid(self.path, k, self.cells.shape[1])
        return replace(self, points=points, cells=cells, shown=k)

    def _read(self, name: str, k: int | None) -> Array:
        return np.asarray(_arrays(self.path, k or 0, name)[0])


def _arrays(path: Path, k: int, *names: str) -> list[NDArray[Any]]:
    try:
        return read_arrays(step_path(path, k), *names)
    except _FAULTS as error:
        raise damaged(step_path(path, k), _KIND, error) from error


def _grid(path: Path, k: int, corners: int) -> tuple[Array, NDArray[np.int64]]:
    points, corner = _arrays(path, k, "Points", "connectivity")
    return np.asarray(points, np.float64), np.asarray(corner, np.int64).reshape(-1, corners)


def read(path: Path) -> FieldSeries:
    """Open the fields of a finished, running or killed run.

    Raises:
        InputError: if there is no such file or it was not written by :class:`FieldWriter`.
    """
    times, about = read_collection(path, _KIND)
    try:
        if about["content"] != "fields":
            raise KeyError(f"content {about['content']}")
        geometry, d = str(about["geometry"]), int(cast(int, about["d"]))
        names = {k: int(v) for k, v in cast(dict[str, int], about["names"]).items()}
        static = tuple(map(str, cast(list[str], about["static"])))
        moving = bool(about["moving"])
    except _FAULTS as error:
        raise damaged(path, _KIND, error) from error
    series = _Fields(
        path=path, times=times, names=names, static=static, geometry=geometry, d=d,
        points=np.zeros((0, 3)), cells=np.zeros((0, 1), dtype=np.int64), moving=moving,
    )  # fmt: skip
    if not len(times):
        return series
    points, cells = _grid(path, 0, series.manifold.corners)
    return replace(series, points=points, cells=cells)
