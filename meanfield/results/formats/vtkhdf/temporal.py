"""Writing temporal VTKHDF files: what the writers of fields and of tokens share.

Owns the skeleton of the file (VTKHDF 2.2, type UnstructuredGrid, cells stored once, values
appended step by step), the order of writing that keeps a killed run's file readable, and how a
run goes on with an earlier file. Knows neither meshes nor tokens, only data sets and their rows.

The layout is that of https://docs.vtk.org, "VTKHDF File Format". The group ``/meanfield`` beside
``/VTKHDF`` (readers must ignore it) keeps what the specification has no place for.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from meanfield.errors import InputError, suggest
from meanfield.geometry.sphere import Array
from meanfield.results.formats.vtkhdf.reading import FORMAT, open_file, system_errors
from meanfield.whole import whole_file

__all__ = ["CELL_TYPES", "PART_SIZES", "TemporalWriter"]

_GROW = 256
"""Steps per chunk of the small per-step data sets: one chunk serves nearly every run."""

CELL_TYPES = {2: 3, 3: 5}
"""VTK's number for cells with two vertices (line) and three (triangle)."""

_ROOM = 2**16
"""Bytes that a step may take beside twice its data: tables of a file, and entries for each step."""

_LARGEST_CHUNK = 2**27
"""Rows of three doubles: HDF5 allows 4 GB a chunk."""

_PARTS = {"Connectivity": np.int64, "Offsets": np.int64, "Types": np.uint8}
_PART_OFFSETS = ("PartOffsets", "CellOffsets", "ConnectivityIdOffsets")
PART_SIZES = ("NumberOfPoints", "NumberOfCells", "NumberOfConnectivityIds")

# What a step has besides its time and the offsets of its point data, as numbers or rows of one.
_STEP_ARRAYS: dict[str, tuple[int, ...]] = {
    "NumberOfParts": (),
    "PartOffsets": (),
    "PointOffsets": (),
    "CellOffsets": (1,),
    "ConnectivityIdOffsets": (1,),
}


class TemporalWriter(ABC):
    """Appends steps to a file: each is there as a whole, or readers do not see it.

    A child makes the data sets in ``_create``, checks those of an earlier file in ``_resume`` and
    says which of them grow by :attr:`_rows`.

    Args:
        path: the file to make; an existing one is replaced unless ``resume_at`` is given.
        kind: what to call such a file in messages.
        n: number of points.
        precision: "float32" or "float64", how values are stored.
        compression: "gzip" or "none".
        changing: whether points and cells may become more from one step to the next.

    Raises:
        InputError: if precision or compression is not one of those.
    """

    def __init__(
        self,
        path: str | Path,
        kind: str,
        n: int,
        *,
        precision: str,
        compression: str,
        changing: bool = False,
    ) -> None:
        for key, value, valid in (
            ("precision", precision, ("float32", "float64")),
            ("compression", compression, ("gzip", "none")),
        ):
            if value not in valid:
                raise InputError(
                    f"output.{key} = {value!r}: expected one of {', '.join(valid)}"
                    + suggest(str(value), valid)
                )
        self.path = Path(path)
        self._kind = kind
        self._n = n
        self._dtype = np.dtype(precision)
        self._points_dtype = self._dtype
        self._changing = changing
        self._part: dict[str, int] = {}
        # Shuffle groups equal bytes of neighbouring values: it is what makes floats compressible.
        self._filters: dict[str, Any] = (
            {"compression": "gzip", "compression_opts": 4, "shuffle": True}
            if compression == "gzip"
            else {}
        )
        self._rows: tuple[str, ...] = ()
        """Data sets that grow with each step, by their names below ``/VTKHDF`` or from the root."""
        self._steps = 0
        self._last = -np.inf
        self._unfinished = ExitStack()

    @abstractmethod
    def _create(self) -> None:
        """Make the data sets of a new file."""

    @abstractmethod
    def _resume(self) -> Array:
        """Check that the file is of the same run; give its times, (k,). Writes nothing.

        Raises:
            InputError: if it is not.
        """

    def _begin(self, resume_at: float | None) -> None:
        """Open the file; to be called once the child is ready for ``_create`` or ``_resume``."""
        if resume_at is None:
            with system_errors(self.path):
                # It gets its name with its first step: who opens it then can read it.
                part = self._unfinished.enter_context(whole_file(self.path))
                self._file = h5py.File(part, "w", locking=False)
                try:
                    self._create()
                    self._file.flush()
                except BaseException as error:
                    self._give_up(error)
                    raise
            return
        with open_file(self.path, "r", self._kind) as self._file:
            times = self._resume()
        with system_errors(self.path):
            self._file = open_file(self.path, "r+", self._kind)
            try:
                self._cut(times, resume_at)
            except BaseException:
                self._file.close()
                raise

    def _give_up(self, error: BaseException) -> None:
        """Close a file that has no step yet, and leave none."""
        with suppress(OSError, RuntimeError):
            self._file.close()
        self._unfinished.__exit__(type(error), error, error.__traceback__)

    # -- layout ---------------------------------------------------------------------------------

    def _create_grid(
        self, cells: NDArray[np.int64], cell_type: int, points: Array | None, about: dict[str, Any]
    ) -> None:
        """Make everything but the point data.

        Args:
            cells: point numbers, (m, corners).
            cell_type: VTK's number for cells with so many corners.
            points: (n, 3) points that stay; None: ``Points`` grows.
            about: attributes of the group ``/meanfield``.
        """
        m, corners = cells.shape
        own = self._file.create_group("meanfield")
        own.attrs["format"] = FORMAT
        for name, value in about.items():
            own.attrs[name] = value

        root = self._file.create_group("VTKHDF")
        root.attrs["Version"] = np.array([2, 2], dtype=np.int64)
        # VTK wants a string of fixed length in ASCII, which h5py does not choose by itself.
        kind = b"UnstructuredGrid"
        root.attrs.create("Type", kind, dtype=h5py.string_dtype("ascii", len(kind)))
        if points is None:
            self._create_growing("Points", (3,), self._points_dtype)
        else:
            root.create_dataset("Points", data=points, **self._filters)
        if self._changing:
            for name, dtype in _PARTS.items():
                _growing(root, name, (), dtype, min(m * corners, _LARGEST_CHUNK), self._filters)
            for name in PART_SIZES:
                _growing(root, name, (), np.int64, _GROW)
        self._new_part(cells, cell_type)

        steps = root.create_group("Steps")
        steps.attrs["NSteps"] = np.int64(0)
        _growing(steps, "Values", (), np.float64, _GROW)
        for name, shape in _STEP_ARRAYS.items():
            _growing(steps, name, shape, np.int64, _GROW)
        root.create_group("PointData")
        steps.create_group("PointDataOffsets")

    def _new_part(self, cells: NDArray[np.int64], cell_type: int) -> None:
        """Add a triangulation, which the steps that follow have.

        ``cells``: (m, corners) numbers of points.
        """
        root, (m, corners) = self._file["VTKHDF"], cells.shape
        values: dict[str, NDArray[Any]] = {
            "Connectivity": cells.ravel(),
            "Offsets": np.arange(m + 1, dtype=np.int64) * corners,
            "Types": np.full(m, cell_type, dtype=np.uint8),
        }
        sizes = dict(zip(PART_SIZES, (self._n, m, m * corners), strict=True))
        if not self._changing:
            for name, size in sizes.items():
                root[name] = np.array([size], dtype=np.int64)
            for name, data in values.items():
                root.create_dataset(name, data=data, **self._filters)
            return
        self._part = {
            "PartOffsets": root["NumberOfCells"].shape[0],
            "CellOffsets": root["Types"].shape[0],
            "ConnectivityIdOffsets": root["Connectivity"].shape[0],
        }
        for name, size in sizes.items():
            _extend(root[name], np.array([size]))
        for name, data in values.items():
            _extend(root[name], data)

    def _create_growing(self, name: str, shape: tuple[int, ...], dtype: Any) -> None:
        """Make a data set of ``n`` values of this shape a step, below ``/VTKHDF``."""
        # One chunk is one step: appending compresses each value once and touches nothing that was
        # there before; reading one step touches nothing else.
        chunks = -(-self._n * max(3, int(np.prod(shape))) // (3 * _LARGEST_CHUNK))
        _growing(self._file["VTKHDF"], name, shape, dtype, -(-self._n // chunks), self._filters)

    def _create_point_data(self, name: str, components: int, dtype: Any) -> None:
        """Make point data that change."""
        self._create_growing(f"PointData/{name}", () if components == 1 else (components,), dtype)
        _growing(self._file["VTKHDF/Steps/PointDataOffsets"], name, (), np.int64, _GROW)

    def _create_static(self, name: str, values: NDArray[Any]) -> None:
        """Make point data that do not change, (n,) or (n, 3)."""
        self._file["VTKHDF/PointData"].create_dataset(name, data=values, **self._filters)
        _growing(self._file["VTKHDF/Steps/PointDataOffsets"], name, (), np.int64, _GROW)

    def _create_per_step(self, name: str, length: int) -> None:
        """Make a table in the group ``/meanfield`` with one row of doubles a step."""
        _growing(self._file["meanfield"], name, (length,), np.float64, 1, self._filters)

    # -- writing --------------------------------------------------------------------------------

    @property
    def steps(self) -> int:
        """Number of steps in the file."""
        return self._steps

    @property
    def last_time(self) -> float:
        """Time of the last step, -inf before the first; after resuming, never above resume_at."""
        return self._last

    def _check_time(self, t: float) -> None:
        if not (np.isfinite(t) and t > self._last):
            raise ValueError(f"time {t!r} of a step must be finite and above {self._last!r}")

    def _append(
        self,
        t: float,
        values: Mapping[str, NDArray[Any]],
        cells: NDArray[np.int64] | None = None,
    ) -> None:
        """Write one step: rows for each name in :attr:`_rows`.

        ``cells``: (m, corners), where it is the first one with them.
        """
        size = sum(v.nbytes for v in values.values()) + (0 if cells is None else 2 * cells.nbytes)
        with system_errors(self.path):
            try:
                with self._reserved(size):
                    if cells is not None:
                        self._new_part(cells, CELL_TYPES[cells.shape[1]])
                    self._append_to_file(t, values)
                self._unfinished.close()
            except BaseException as error:
                if not self._steps:
                    self._give_up(error)
                raise

    @contextmanager
    def _reserved(self, size: int) -> Iterator[None]:
        """Have room on the disk for what is written within, or refuse before anything is.

        HDF5 tells in the file how long it is before it is that long: where the disk is full then,
        nobody can open it any more.

        Args:
            size: bytes of the data; chunks that are begun and tables of their own are added.

        Raises:
            OSError: there is no room.
        """
        file = self._file.id.get_vfd_handle()
        begun = os.fstat(file).st_size
        try:
            os.posix_fallocate(file, begun, 2 * size + _ROOM)
            yield
        finally:
            with suppress(OSError):
                os.ftruncate(file, max(begun, self._file.id.get_filesize()))

    def _append_to_file(self, t: float, values: Mapping[str, NDArray[Any]]) -> None:
        root, k = self._file["VTKHDF"], self._steps
        begun = {name: root[name].shape[0] for name in self._rows}
        for name in self._rows:
            _extend(root[name], values[name])
        steps = root["Steps"]
        row = dict.fromkeys(_STEP_ARRAYS, 0) | {"NumberOfParts": 1} | self._part
        row["PointOffsets"] = begun.get("Points", 0)
        for name in steps["PointDataOffsets"]:
            row[f"PointDataOffsets/{name}"] = begun.get(f"PointData/{name}", 0)
        for name, entry in row.items():
            steps[name].resize(k + 1, axis=0)
            steps[name][k] = entry
        self._file.flush()
        # Only now that all of the step is there may readers learn of it. VTK (9.4, 9.7) reads the
        # whole of Values into memory for NSteps numbers: one time too many and it crashes, one too
        # few is harmless. So NSteps goes first, for viewers of a running or killed run.
        steps.attrs.modify("NSteps", np.int64(k + 1))
        self._file.flush()
        steps["Values"].resize(k + 1, axis=0)
        steps["Values"][k] = float(t)
        self._file.flush()
        self._steps = k + 1
        self._last = float(t)

    def _cut(self, times: Array, resume_at: float) -> None:
        """Drop the steps with t > resume_at."""
        # A time that went through a decimal representation may be off in the last digit.
        slack = 1e-12 * max(1.0, abs(resume_at))
        keep = int(np.searchsorted(times, resume_at + slack, side="right"))
        root = self._file["VTKHDF"]
        steps = root["Steps"]
        # In this order for the reason given in `_append`: Values is never longer than NSteps says.
        steps["Values"].resize(keep, axis=0)
        self._file.flush()
        steps.attrs.modify("NSteps", np.int64(keep))
        self._file.flush()
        # What the last step to stay begins at, and the points it has.
        count = 0
        if keep:
            self._part = {name: int(steps[name][keep - 1].item()) for name in _PART_OFFSETS}
            count = int(root["NumberOfPoints"][self._part["PartOffsets"]])
        begun = {f"PointData/{name}": v for name, v in steps["PointDataOffsets"].items()}
        begun["Points"] = steps["PointOffsets"]
        for name in self._rows:
            # Tables of our own (from the root) have one row a step.
            end = keep
            if name in begun:
                end = int(begun[name][keep - 1]) + count if keep else 0
            root[name].resize(end, axis=0)
        for name in (*_STEP_ARRAYS, *(f"PointDataOffsets/{k}" for k in steps["PointDataOffsets"])):
            steps[name].resize(keep, axis=0)
        self._file.flush()
        self._steps = keep
        self._last = float(times[keep - 1]) if keep else -np.inf

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        with system_errors(self.path):
            self._file.close()
            self._unfinished.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _extend(data: h5py.Dataset, values: NDArray[Any]) -> None:
    """Append rows."""
    begun = data.shape[0]
    data.resize(begun + len(values), axis=0)
    data[begun:] = values


def _growing(
    group: h5py.Group,
    name: str,
    shape: tuple[int, ...],
    dtype: Any,
    chunk: int,
    filters: Mapping[str, Any] | None = None,
) -> None:
    """Make an empty data set that grows along its first axis by chunks of ``chunk`` rows."""
    group.create_dataset(
        name,
        shape=(0, *shape),
        maxshape=(None, *shape),
        chunks=(chunk, *shape),
        dtype=dtype,
        **(filters or {}),
    )
