"""What a format of field files is: how runs write it, and how figures read it.

Knows meshes and arrays; nothing of solvers, and nothing of what is in a file.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from meanfield.errors import InputError, suggest
from meanfield.geometry.manifolds import Manifold, manifold
from meanfield.geometry.mesh import Mesh
from meanfield.geometry.sphere import Array

__all__ = [
    "INNER_PRODUCT_EDGES",
    "LOG10_FLOOR",
    "FieldFile",
    "FieldSeries",
    "Format",
    "TokenFile",
    "TokenSeries",
]

LOG10_FLOOR = -300.0
"""What ``log10_rho`` holds where the density is zero (or below 1e-300): the smallest power of ten
that is still a normal double with room to spare. It cannot be mistaken for a computed value."""

INNER_PRODUCT_EDGES = np.linspace(-1.0, 1.0, 201)
"""Edges of the bins of the distribution of inner products."""

IntegerArray = NDArray[np.integer[Any]]


class FieldFile(Protocol):
    """Fields on a mesh, step by step."""

    @property
    def last_time(self) -> float:
        """Time of the last step, -inf before the first."""

    def write(
        self,
        t: float,
        values: Mapping[str, Array],
        mesh: Mesh | None = None,
        unknown: Collection[str] = (),
    ) -> None:
        """Append one step: (n,) scalars, (n, k) vectors; ``mesh``: where it is, if it moves.

        ``unknown``: names of fields that may be NaN, where nothing tells them.
        """

    def close(self) -> None:
        """Close the file; a second call does nothing."""


class TokenFile(Protocol):
    """Tokens, step by step."""

    @property
    def last_time(self) -> float:
        """Time of the last step, -inf before the first."""

    def write(
        self, t: float, x: Array, cluster: IntegerArray, velocity: Array,
        length: Array | None = None,
    ) -> None:  # fmt: skip
        """Append one step: tokens (n, d), number of the cluster of each, velocities (n, d).

        And lengths (n,), where the file has them.
        """

    def close(self) -> None:
        """Close the file; a second call does nothing."""


class Format(Protocol):
    """A format of field files; its name is the ending of their names."""

    @property
    def program(self) -> str:
        """What opens such a file."""

    def fields(
        self,
        path: Path,
        mesh: Mesh,
        *,
        names: Mapping[str, int],
        precision: str,
        compression: str,
        moving: bool,
        resume_at: float | None,
    ) -> FieldFile:
        """Open a file of fields for writing; see ``vtkhdf.FieldWriter`` for the arguments."""

    def tokens(
        self,
        path: Path,
        d: int,
        n: int,
        *,
        masses: Array,
        precision: str,
        compression: str,
        resume_at: float | None,
        coordinates: bool,
    ) -> TokenFile:
        """Open a file of tokens for writing; see ``vtkhdf.TokenWriter`` for the arguments."""

    def tokens_with_lengths(
        self,
        path: Path,
        d: int,
        n: int,
        *,
        masses: Array,
        precision: str,
        compression: str,
        resume_at: float | None,
        coordinates: bool,
    ) -> TokenFile:
        """The same with the length of each token."""

    def read_fields(self, path: Path) -> FieldSeries:
        """Open a file of fields of a finished, running or killed run."""

    def read_tokens(self, path: Path) -> TokenSeries:
        """Open a file of tokens of a finished, running or killed run."""


def _step(path: Path, times: Array, k: int) -> int:
    """The number of a step, which may be counted from the end."""
    steps = len(times)
    if not -steps <= k < steps:
        raise IndexError(f"step {k} of {path}, which has {steps}")
    return k % steps


@dataclass(frozen=True)
class FieldSeries(ABC):
    """What a field file holds. Values are read when asked for, one step at a time.

    Attributes:
        path: the file.
        times: times of the steps, (k,), increasing.
        names: number of components of every field that changes with time.
        static: names of the fields that do not.
        geometry: "sphere", "circle" or "zonal".
        d: ambient dimension of the sphere.
        points: vertices in three dimensions, (n, 3), as ParaView shows them; of a mesh that moves,
            at the first step.
        cells: vertex numbers of the cells, (m, 3) or (m, 2); at the first step.
        mesh: the mesh of the run, in the coordinates of its geometry; at the first step.
        moving: whether the mesh is another one at each step, see :meth:`at`.
        shown: the step whose points and cells these are.
    """

    path: Path
    times: Array
    names: dict[str, int]
    static: tuple[str, ...]
    geometry: str
    d: int
    points: Array
    cells: NDArray[np.int64]
    moving: bool = False
    shown: int = 0

    @property
    def all_names(self) -> tuple[str, ...]:
        """Names of all fields, those that change first."""
        return (*self.names, *self.static)

    @property
    def density_name(self) -> str | None:
        """The field that tells the density; None: there is none."""
        return next((name for name in ("log10_rho", "rho") if name in self.names), None)

    @property
    def mesh(self) -> Mesh:
        """The mesh of the run (see the class), vertices and cells in the run's order."""
        points = self.manifold.from_space(self.points, lambda name: self.read(name, self.shown))
        return Mesh(geometry=self.geometry, d=self.d, points=points, cells=self.cells)

    @property
    def manifold(self) -> Manifold:
        """The geometry of the mesh."""
        return manifold(self.geometry, self.d)

    def at(self, k: int) -> FieldSeries:
        """The same file, with the points and cells of step ``k`` (negative: from the end).

        Its ``mesh`` is that of the step, and its ``read`` gives values for it at the same ``k``.
        """
        return self._at(_step(self.path, self.times, k)) if self.moving else self

    def read(self, name: str, k: int = 0) -> Array:
        """Values of a field at step ``k`` (negative: from the end), (n,) or (n, 3), as doubles.

        Vectors are in three dimensions, as ParaView shows them.

        Raises:
            InputError: if the file has no such field or the file cannot be read.
            IndexError: if there is no such step.
        """
        if name not in self.all_names:
            raise InputError(
                f"no field '{name}' in {self.path}: it holds {', '.join(self.all_names)}"
                + suggest(name, self.all_names)
            )
        step = _step(self.path, self.times, k) if name in self.names else None
        return np.asarray(self._read(name, step), dtype=np.float64)

    def log10_density(self, k: int) -> Array:
        """log10 of the density at the vertices of step ``k``, (n,), nothing is -300.

        Raises:
            InputError: no density was written.
        """
        values = self.read(self.density_name or "log10_rho", k)
        return values if "log10_rho" in self.names else np.log10(np.maximum(values, 1e-300))

    @abstractmethod
    def _at(self, k: int) -> FieldSeries:
        """As ``at``, for a mesh that moves."""

    @abstractmethod
    def _read(self, name: str, k: int | None) -> Array:
        """Values at a step; None: of a field that does not change."""


@dataclass(frozen=True)
class TokenSeries(ABC):
    """What a particle file holds. Values are read when asked for, one step at a time.

    Attributes:
        path: the file.
        times: times of the steps, (k,), increasing.
        n: number of tokens.
        d: ambient dimension of the sphere.
        frame: for d > 3 the (3, d) rows that the points are coordinates along, else None.
        names: names of the data that change with time: "cluster", "velocity"; for d > 3
            "coordinates", too, unless the run was told to leave them out.
        static: names of those that do not: "id", "mass".
    """

    path: Path
    times: Array
    n: int
    d: int
    frame: Array | None
    names: tuple[str, ...]
    static: tuple[str, ...]

    def points(self, k: int) -> Array:
        """Points at step ``k`` (negative: from the end), (n, 3), as doubles; see the writer."""
        return np.asarray(self._points(_step(self.path, self.times, k)), dtype=np.float64)

    def read(self, name: str, k: int = 0) -> NDArray[Any]:
        """Data of the tokens at step ``k`` (negative: from the end).

        Returns:
            ``velocity``: (n, 3) doubles; ``coordinates``: (n, d) doubles; ``mass``: (n,) doubles;
            ``cluster``, ``id``: (n,) integers.

        Raises:
            InputError: if the file has no such data or cannot be read.
            IndexError: if there is no such step.
        """
        valid = (*self.names, *self.static)
        if name not in valid:
            raise InputError(
                f"no data '{name}' in {self.path}: it holds {', '.join(valid)}"
                + suggest(name, valid)
            )
        step = _step(self.path, self.times, k) if name in self.names else None
        values = self._read(name, step)
        return values.astype(np.int64 if values.dtype.kind == "i" else np.float64)

    def coordinates(self, k: int) -> Array:
        """Tokens at step ``k`` (negative: from the end), (n, d), as doubles: all coordinates.

        In the precision of the file; at float64 they are those of the run to the last bit.

        Raises:
            InputError: d > 3, and the file has their projections alone.
            IndexError: if there is no such step.
        """
        if self.d <= 3:
            return self.points(k)[:, : self.d]
        if "coordinates" not in self.names:
            raise InputError(
                f"{self.path} has no coordinates: found the projections of tokens in d = {self.d} "
                "to three dimensions (points), as of earlier versions or with output.coordinates = "
                "false; expected a run with output.coordinates = true"
            )
        return self.read("coordinates", k)

    def inner_products(self, k: int) -> Array:
        """Parts of the pairs of tokens with <x_i, x_j> in each bin, for d > 3.

        Returns:
            (bins,) for the bins between :data:`INNER_PRODUCT_EDGES`, sum 1; zeros for one token.

        Raises:
            InputError: if the file has none: d <= 3, where the points tell them.
            IndexError: if there is no such step.
        """
        if self.d <= 3:
            raise InputError(
                f"{self.path} has d = {self.d}: inner products are kept for d > 3 only, take them "
                "from the points"
            )
        return self._inner_products(_step(self.path, self.times, k))

    @abstractmethod
    def _points(self, k: int) -> Array:
        """Points at a step."""

    @abstractmethod
    def _read(self, name: str, k: int | None) -> NDArray[Any]:
        """Data at a step; None: of what does not change."""

    @abstractmethod
    def _inner_products(self, k: int) -> Array:
        """Parts of the pairs at a step."""
