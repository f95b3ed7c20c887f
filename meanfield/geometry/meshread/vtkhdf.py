"""VTKHDF files (UnstructuredGrid or PolyData), ours and those of others, at one of their times.

Reads by h5py: VTK itself ends the process on a damaged one. Knows the layout, and that the group
``/meanfield`` of a file of ours tells the geometry and d.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meanfield.errors import InputError
from meanfield.geometry.meshread.raw import IntArray, Raw, UnreadableError, one_line
from meanfield.geometry.meshread.vtkcells import LINES, POLYGONS, STRIPS, VERTICES, blocks
from meanfield.geometry.sphere import Array
from meanfield.software import load_h5py

__all__ = ["extensions", "read"]

_TOPOLOGIES = {"Vertices": VERTICES, "Lines": LINES, "Strips": STRIPS, "Polygons": POLYGONS}
_SAME_TIME = 1e-6


def extensions() -> list[str]:
    """The endings of names that it knows."""
    return [".vtkhdf", ".hdf"]


def read(path: Path, time: float | None = None) -> Raw:
    """Read a file at a time, or at the last of its times.

    Raises:
        UnreadableError: says what it is not.
        InputError: if it has no such time, or h5py is missing.
    """
    load_h5py()
    import h5py

    try:
        # Unlocked: a run that writes it may have it open.
        with h5py.File(path, "r", locking=False) as file:
            root = file["VTKHDF"]
            kind = root.attrs["Type"]
            kind = kind.decode() if isinstance(kind, bytes) else str(kind)
            if kind not in ("UnstructuredGrid", "PolyData"):
                raise UnreadableError(f"holds data of type {kind[:40]}")
            own = dict(file["meanfield"].attrs) if "meanfield" in file else {}
            return _Reading(root, _step(root, time, path)).raw(kind, own)
    except (UnreadableError, InputError):
        raise
    except Exception as error:  # a damaged file can raise anything
        raise UnreadableError(one_line([f"{type(error).__name__}: {error}"])) from error


def _step(root: Any, time: float | None, path: Path) -> int | None:
    """The number of the step; None for a file without times."""
    count = int(root["Steps"].attrs["NSteps"]) if "Steps" in root else 0
    times = np.asarray(root["Steps/Values"][:count], dtype=np.float64) if count else np.zeros(0)
    if time is None:
        return len(times) - 1 if len(times) else None
    if not len(times):
        raise InputError(f"time: found {time:g}, but {path} holds no times; leave it out")
    k = int(np.argmin(np.abs(times - time)))
    if abs(times[k] - time) > _SAME_TIME * max(1.0, abs(time)):
        near = ", ".join(f"{t:.9g}" for t in times[max(0, k - 1) : k + 2])
        raise InputError(
            f"time: found {time:.9g}, expected one of the {len(times)} times of {path}, "
            f"{times[0]:.9g} to {times[-1]:.9g} (near it: {near})"
        )
    return k


class _Reading:
    """Reads one step of a file, which may lie in several parts."""

    def __init__(self, root: Any, step: int | None) -> None:
        self._root, self._step = root, step
        first = self._offset("PartOffsets", 0)
        parts = len(root["NumberOfPoints"]) if step is None else self._offset("NumberOfParts", 1)
        self._parts = slice(first, first + parts)
        self._first = first
        self._sizes = np.asarray(root["NumberOfPoints"][self._parts], dtype=np.int64)

    def _offset(self, name: str, default: int, column: int = 0) -> int:
        steps = self._root.get("Steps")
        if self._step is None or steps is None or name not in steps:
            return default
        return int(np.ravel(steps[name][self._step])[column])

    def raw(self, kind: str, own: dict[str, Any]) -> Raw:
        n = int(self._sizes.sum())
        begin = self._offset("PointOffsets", 0)
        points: Array = np.asarray(self._root["Points"][begin : begin + n], dtype=np.float64)
        cells: list[tuple[str, IntArray]] = []
        if kind == "UnstructuredGrid":
            cells += self._cells(self._root, None, 0)
        else:
            for column, (name, number) in enumerate(_TOPOLOGIES.items()):
                if name in self._root:
                    cells += self._cells(self._root[name], number, column)
        data: dict[str, NDArray[Any]] = {}
        for name, values in (self._root.get("PointData") or {}).items():
            start = self._offset(f"PointDataOffsets/{name}", 0)
            data[name] = np.asarray(values[start : start + n])
        if "d" in own:
            data["ambient_dimension"] = np.full(n, float(own["d"]))
        return Raw(points, tuple(cells), data)

    def _cells(self, group: Any, number: int | None, column: int) -> list[tuple[str, IntArray]]:
        """The cells of one group; each part has offsets of its own, and points from 0."""
        made: list[tuple[str, IntArray]] = []
        counts = np.asarray(group["NumberOfCells"][:], dtype=np.int64)
        ids = np.asarray(group["NumberOfConnectivityIds"][:], dtype=np.int64)
        cell = self._offset("CellOffsets", 0, column)
        link = self._offset("ConnectivityIdOffsets", 0, column)
        # Each part has one offset more than cells; those of the parts before come first.
        offset, point = cell + self._first, 0
        for k, size in zip(range(self._parts.start, self._parts.stop), self._sizes, strict=True):
            m, used = int(counts[k]), int(ids[k])
            offsets = np.asarray(group["Offsets"][offset : offset + m + 1], dtype=np.int64)
            links = np.asarray(group["Connectivity"][link : link + used], dtype=np.int64)
            kinds = (
                np.asarray(group["Types"][cell : cell + m], dtype=np.int64)
                if number is None
                else np.full(m, number, dtype=np.int64)
            )
            made += [(name, some + point) for name, some in blocks(kinds, offsets, links)]
            cell, link, offset, point = cell + m, link + used, offset + m + 1, point + int(size)
        return made
