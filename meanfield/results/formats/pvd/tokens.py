"""Tokens against time, one .vtu a step: written step by step, read back.

What is in it is as in the temporal file of ``vtkhdf``. Knows nothing of solvers, and is no record
to go on from.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield.errors import InputError
from meanfield.geometry.sphere import Array
from meanfield.results.formats.base import TokenSeries
from meanfield.results.formats.pvd.collection import (
    CollectionWriter,
    damaged,
    read_collection,
    step_path,
)
from meanfield.results.formats.pvd.vtu import Grid, read_arrays
from meanfield.results.stored import (
    checked_frame,
    checked_masses,
    chosen_pairs,
    inner_products,
    stored_vectors,
)

__all__ = ["LengthWriter", "TokenWriter", "read"]

_KIND = "particle file"
_FAULTS = (KeyError, ValueError, OSError, TypeError)
_PRODUCTS = "inner_products"


class TokenWriter(CollectionWriter):
    """Appends tokens to a collection, which ParaView, VTK and pyvista read in time.

    Arguments and errors are those of ``vtkhdf.TokenWriter``.
    """

    _with_lengths: ClassVar[bool] = False

    def __init__(
        self,
        path: str | Path,
        d: int,
        n: int,
        *,
        masses: Array | None = None,
        frame: ArrayLike | None = None,
        precision: str = "float32",
        compression: str = "gzip",
        resume_at: float | None = None,
        coordinates: bool = True,
    ) -> None:
        super().__init__(Path(path), _KIND, precision, compression)
        self._n, self._d = n, d
        self._masses = checked_masses(masses, d, n)
        self._frame = checked_frame(frame, d)
        names = ["cluster", "velocity", *(["length"] if self._with_lengths else [])]
        if d > 3:
            self._pairs = chosen_pairs(n)
            names += ["coordinates"] if coordinates else []
        self._names = names
        self._about = {
            "content": "tokens",
            "n": n,
            "d": d,
            "names": names,
            "frame": None if self._frame is None else self._frame.tolist(),
            "precision": precision,
        }
        if resume_at is not None:
            times, found = read_collection(self.path, _KIND)
            self._check_resumed(found, {
                "precision": "resume with the output.precision of the run",
                "names": "resume with the case of the run",
            })  # fmt: skip
            if len(times) and not np.array_equal(read(self.path).read("mass"), self._masses):
                raise InputError(
                    f"to resume, {self.path} must hold the run's own tokens: found other masses; "
                    "start again with --overwrite"
                )
            self._keep(times, resume_at)

    def write(
        self, t: float, x: Array, cluster: NDArray[np.integer[Any]], velocity: Array,
        length: Array | None = None,
    ) -> None:  # fmt: skip
        """Append one step; arguments and errors are those of ``vtkhdf.TokenWriter.write``."""
        self._check_time(t)
        labels = np.asarray(cluster)
        if labels.shape != (self._n,) or not np.issubdtype(labels.dtype, np.integer):
            raise ValueError(
                f"clusters of shape {labels.shape} and type {labels.dtype}: expected ({self._n},) "
                "integers"
            )
        if np.abs(labels).max() > np.iinfo(np.int32).max:
            raise ValueError(f"number of a cluster {np.abs(labels).max()}: expected below 2^31")
        if (length is not None) != self._with_lengths:
            raise ValueError(
                f"lengths {'missing' if self._with_lengths else 'found, none expected'}"
            )
        shape = (self._n, self._d)
        shown = (shape, self._frame, self._dtype, t)
        points = stored_vectors("position", x, *shown)
        data: dict[str, NDArray[Any]] = {
            "cluster": labels.astype(np.int32),
            "velocity": stored_vectors("velocity", velocity, *shown),
        }
        if length is not None:
            if length.shape != (self._n,) or not np.all(np.isfinite(length)):
                raise ValueError(f"lengths of shape {length.shape}: expected ({self._n},), finite")
            data["length"] = np.asarray(length, dtype=np.float64)
        tables: dict[str, NDArray[Any]] = {}
        if self._d > 3:
            tables[_PRODUCTS] = inner_products(x, self._masses, self._pairs)
        if "coordinates" in self._names:
            data["coordinates"] = stored_vectors("position", x, shape, None, self._dtype, t)
        data |= {"id": np.arange(self._n, dtype=np.int32), "mass": self._masses}
        cells = np.arange(self._n, dtype=np.int64)[:, None]
        self._append(t, Grid(points, cells, data, tables))


class LengthWriter(TokenWriter):
    """The same with the length of each token as ``length``, in double precision."""

    _with_lengths = True


# -- reading --------------------------------------------------------------------------------------


class _Tokens(TokenSeries):
    def _array(self, name: str, k: int) -> NDArray[Any]:
        path = step_path(self.path, k)
        try:
            return read_arrays(path, name)[0]
        except _FAULTS as error:
            raise damaged(path, _KIND, error) from error

    def _points(self, k: int) -> Array:
        return self._array("Points", k)

    def _read(self, name: str, k: int | None) -> NDArray[Any]:
        return self._array(name, k or 0)

    def _inner_products(self, k: int) -> Array:
        return self._array(_PRODUCTS, k)


def read(path: Path) -> TokenSeries:
    """Open the tokens of a finished, running or killed run.

    Raises:
        InputError: if there is no such file or it was not written by :class:`TokenWriter`.
    """
    times, about = read_collection(path, _KIND)
    try:
        if about["content"] != "tokens":
            raise KeyError(f"content {about['content']}")
        frame = about["frame"]
        return _Tokens(
            path=path,
            times=times,
            n=int(cast(int, about["n"])),
            d=int(cast(int, about["d"])),
            frame=None if frame is None else np.asarray(frame, dtype=np.float64),
            names=tuple(map(str, cast(list[str], about["names"]))),
            static=("id", "mass"),
        )
    except _FAULTS as error:
        raise damaged(path, _KIND, error) from error
