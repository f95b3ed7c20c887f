"""Tokens against time: one temporal VTKHDF file of moving points, written step by step, read back.

Owns what is in the file and how tokens of any dimension become points in three. Knows nothing of
solvers, and is no record to go on from: that is the checkpoint's. Points are stored in single
precision unless asked otherwise, so that their lengths are 1 to 1e-7 only. Of tokens in more than
three dimensions they are projections; all d coordinates are data of the points, ``coordinates``.

The group ``/meanfield`` keeps the ambient dimension, the frame of those coordinates and, where they
do not tell how near tokens are to each other (d > 3), the distribution of inner products.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield.errors import InputError
from meanfield.geometry.sphere import Array
from meanfield.results.formats.base import INNER_PRODUCT_EDGES, TokenSeries
from meanfield.results.formats.vtkhdf.reading import damaged, open_file, read_rows, read_times
from meanfield.results.formats.vtkhdf.temporal import TemporalWriter
from meanfield.results.stored import (
    checked_frame,
    checked_masses,
    chosen_pairs,
    inner_products,
    stored_vectors,
)

__all__ = ["LengthWriter", "TokenWriter", "read"]

_KIND = "particle file"
_LENGTH = "PointData/length"
_COORDINATES = "PointData/coordinates"
_VERTEX = 1  # VTK's number for cells of one point

# Out of sight of VTK: it has nothing to do with points or cells.
_INNER_PRODUCTS = "/meanfield/inner_products"


class TokenWriter(TemporalWriter):
    """Appends tokens to a VTKHDF file, which ParaView (>= 5.13), VTK and pyvista read in time.

    Every step has all points, with ``cluster`` and ``velocity``; ``id`` (0 to n - 1) and ``mass``
    do not change. After each :meth:`write` the file on disk is complete: a viewer can open it
    during the run (it is not locked) and a run that is killed later leaves it readable.

    Points are in three dimensions: on the circle (x, y, 0), on S^2 as they are, for d > 3 the
    coordinates of their projection onto the three rows of ``frame``. Velocities likewise, so that
    they are those of the points shown.

    For d > 3 each step also keeps ``coordinates``, all d of them (n d numbers in the precision of
    the file, before compression), and the distribution of the inner products <x_i, x_j>, i < j,
    each weighted by m_i m_j: of all pairs or, above 400 000, of a fixed sample.

    Args:
        path: the file to make; an existing one is replaced unless ``resume_at`` is given.
        d: ambient dimension of the sphere, at least 2.
        n: number of tokens, at least 1.
        masses: (n,) masses as they are to be stored; None: 1/n each.
        frame: (3, d) orthonormal rows, for d > 3 only; None: the first three axes.
        precision: "float32" or "float64", how points, velocities and coordinates are stored.
        compression: "gzip" or "none".
        resume_at: append to an existing file after dropping its steps with t > resume_at.
        coordinates: whether there are those, for d > 3. A file of an earlier version that has none
            goes on without.

    Raises:
        InputError: if precision or compression is not one of those, or the file to resume is
            missing, unreadable or was written for other tokens.
        ValueError: if d, n, masses or frame are not as said.
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
        held = checked_masses(masses, d, n)
        super().__init__(path, _KIND, n, precision=precision, compression=compression)
        self._d, self._shape = d, (n, d)
        self._masses = held
        self._frame = checked_frame(frame, d)
        self._rows = ("Points", "PointData/cluster", "PointData/velocity")
        if self._with_lengths:
            self._rows += (_LENGTH,)
        if d > 3:
            self._rows += (_INNER_PRODUCTS, _COORDINATES) if coordinates else (_INNER_PRODUCTS,)
            self._pairs = chosen_pairs(n)
        self._begin(resume_at)

    def _create(self) -> None:
        cells = np.arange(self._n, dtype=np.int64)[:, None]
        self._create_grid(cells, _VERTEX, None, {"content": "tokens", "d": self._d})
        self._create_static("id", np.arange(self._n, dtype=np.int32))
        self._create_static("mass", self._masses)
        self._create_point_data("cluster", 1, np.int32)
        self._create_point_data("velocity", 3, self._dtype)
        if self._with_lengths:
            self._create_point_data("length", 1, np.float64)
        if self._frame is not None:
            self._file["meanfield"]["frame"] = self._frame
            self._create_per_step("inner_products", len(INNER_PRODUCT_EDGES) - 1)
        if _COORDINATES in self._rows:
            self._create_point_data("coordinates", self._d, self._dtype)

    def _resume(self) -> Array:
        old = _describe(self._file, self.path)
        root = self._file["VTKHDF"]
        wanted = f"to resume, {self.path} must hold the run's own tokens"
        if (old.n, old.d) != (self._n, self._d):
            raise InputError(
                f"{wanted}: found {old.n} of dimension {old.d}, expected {self._n} of dimension "
                f"{self._d}; start again with --overwrite"
            )
        if not np.array_equal(root["PointData/mass"][:], self._masses):
            raise InputError(f"{wanted}: found other masses; start again with --overwrite")
        if self._frame is not None and (
            old.frame is None or not np.array_equal(old.frame, self._frame)
        ):
            raise InputError(f"{wanted}: found another frame; start again with --overwrite")
        if root["Points"].dtype != self._dtype:
            raise InputError(
                f"{wanted}: found {root['Points'].dtype}, expected {self._dtype}; "
                "resume with the output.precision of the run"
            )
        if "coordinates" not in old.names:
            self._rows = tuple(name for name in self._rows if name != _COORDINATES)
        elif self._d > 3 and _COORDINATES not in self._rows:
            raise InputError(
                f"{wanted}: found all coordinates, expected none; resume with the "
                "output.coordinates of the run"
            )
        return old.times

    def write(
        self, t: float, x: Array, cluster: NDArray[np.integer[Any]], velocity: Array,
        length: Array | None = None,
    ) -> None:  # fmt: skip
        """Append one step and bring it to the file.

        Args:
            t: time, above that of the step before.
            x: tokens in the order of their numbers, (n, d).
            cluster: number of the cluster of each token, (n,) integers.
            velocity: (n, d).
            length: (n,) lengths, of a file that has them.

        Raises:
            BrokenInvariantError: if a coordinate is NaN or infinite, or too large for the stored
                precision. Nothing is written then.
            ValueError: if t does not increase, shapes are not as said, lengths are missing or not
                expected, or a number of a cluster is no integer or beyond 2^31.
        """
        self._check_time(t)
        labels = np.asarray(cluster)
        if labels.shape != (self._n,) or not np.issubdtype(labels.dtype, np.integer):
            raise ValueError(
                f"clusters of shape {labels.shape} and type {labels.dtype}: expected ({self._n},) "
                "integers"
            )
        if np.abs(labels).max() > np.iinfo(np.int32).max:
            raise ValueError(f"number of a cluster {np.abs(labels).max()}: expected below 2^31")
        shown = (self._shape, self._frame, self._dtype, t)
        values: dict[str, NDArray[Any]] = {
            "Points": stored_vectors("position", x, *shown),
            "PointData/velocity": stored_vectors("velocity", velocity, *shown),
            "PointData/cluster": labels.astype(np.int32),
        }
        if (length is not None) != self._with_lengths:
            raise ValueError(
                f"lengths {'missing' if self._with_lengths else 'found, none expected'}"
            )
        if length is not None:
            if length.shape != (self._n,) or not np.all(np.isfinite(length)):
                raise ValueError(f"lengths of shape {length.shape}: expected ({self._n},), finite")
            values[_LENGTH] = np.asarray(length, dtype=np.float64)
        if self._d > 3:
            values[_INNER_PRODUCTS] = inner_products(x, self._masses, self._pairs)[None]
        if _COORDINATES in self._rows:
            values[_COORDINATES] = stored_vectors("position", x, self._shape, None, self._dtype, t)
        self._append(t, values)


class LengthWriter(TokenWriter):
    """The same with the length of each token as ``length``, in double precision."""

    _with_lengths = True


# -- reading --------------------------------------------------------------------------------------


class _Tokens(TokenSeries):
    def _points(self, k: int) -> Array:
        return read_rows(self.path, _KIND, "Points", k * self.n, (k + 1) * self.n)

    def _read(self, name: str, k: int | None) -> NDArray[Any]:
        start = 0 if k is None else k * self.n
        return read_rows(self.path, _KIND, f"PointData/{name}", start, start + self.n)

    def _inner_products(self, k: int) -> Array:
        return read_rows(self.path, _KIND, _INNER_PRODUCTS, k, k + 1)[0]


def read(path: Path) -> TokenSeries:
    """Open a particle file of a finished, running or killed run.

    Raises:
        InputError: if there is no such file or it was not written by :class:`TokenWriter`.
    """
    with open_file(path, "r", _KIND) as file:
        return _describe(file, path)


def _describe(file: h5py.File, path: Path) -> TokenSeries:
    try:
        times = read_times(file, path)
        own, root = file["meanfield"], file["VTKHDF"]
        if own.attrs["content"] != "tokens":
            raise KeyError(f"content {own.attrs['content']}")
        data = root["PointData"]
        # What is static cannot grow.
        names = tuple(name for name, values in data.items() if values.maxshape[0] is None)
        return _Tokens(
            path=path,
            times=times,
            n=int(root["NumberOfPoints"][0]),
            d=int(own.attrs["d"]),
            frame=np.asarray(own["frame"][:]) if "frame" in own else None,
            names=names,
            static=tuple(name for name in data if name not in names),
        )
    except (KeyError, OSError) as error:
        raise damaged(path, _KIND, error) from error
