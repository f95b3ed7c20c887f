"""The densities of a run by their output times: at the vertices, and at any point between them.

Reads what a field file holds, whether it is on disk or in memory. Knows nothing of solvers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from meanfield.analysis.evaluate import LOG_FLOOR, log_density_at
from meanfield.arguments import checked_arguments
from meanfield.errors import InputError
from meanfield.geometry.manifolds import Manifold
from meanfield.geometry.mesh import Mesh, delaunay_weights
from meanfield.geometry.points import unit_vectors
from meanfield.geometry.sphere import Array
from meanfield.results.folder import RunFolder
from meanfield.results.formats import FieldSeries, TokenSeries, read_fields, read_tokens_file

__all__ = ["OutputFields", "known_fields", "outputs_in", "places_on", "slices_at", "step_at"]

_SAME = 1e-9  # relative difference of times that are the same
_LARGEST_LOG = 700.0  # of a density that is a double


def step_at(times: Array, t: float | None, what: str = "t") -> int:
    """Number of the step at an output time.

    Args:
        times: of the steps, (k,), increasing.
        t: one of them, to 1e-9 of its value; None: the last.
        what: name of the argument, for messages.

    Raises:
        InputError: it is none of them: the nearest two are told; or there are none.
    """
    if not len(times):
        raise InputError(f"{what}: the run has no output yet, one expected")
    if t is None:
        return len(times) - 1
    off = np.abs(times - t)
    k = int(np.argmin(off))
    if off[k] <= _SAME * abs(t):
        return k
    nearest = " or ".join(f"{times[j]:.10g}" for j in sorted(np.argsort(off, kind="stable")[:2]))
    raise InputError(f"{what} = {t:.10g} found, the time of an output expected: {nearest}")


def outputs_in(folder: RunFolder, asked: str) -> FieldSeries | TokenSeries:
    """What the field or particle file of a run holds.

    Args:
        folder: of the run.
        asked: what is asked for, for messages.

    Raises:
        InputError: it has none, or one that cannot be read.
    """
    if folder.fields_path.is_file():
        return read_fields(folder.fields_path)
    if folder.particles_path.is_file():
        return read_tokens_file(folder.particles_path)
    raise InputError(
        f"{asked}: {folder.path} has no fields and no tokens: a run with output.fields, or one "
        "of tokens, expected"
    )


def known_fields(run: RunFolder) -> FieldSeries:
    """The fields of a run, for pictures: without the times from which on rho is not known (nan).

    Raises:
        InputError: there is no such file, or one that cannot be read.
    """
    fields = read_fields(run.fields_path)
    since = run.read_run().get("rho_unknown_from")
    if not isinstance(since, int | float):
        return fields
    return replace(fields, times=fields.times[fields.times < since])


def places_on(on: Manifold, x: object) -> Array:
    """Coordinates (n, gdim) of points that a user gives: unit vectors (n, d), or coordinates.

    Raises:
        InputError: they are neither.
    """
    if on.gdim != on.d and isinstance(x, np.ndarray) and x.shape[1:] == (on.gdim,):
        return on.checked(x)
    return on.coordinates(unit_vectors(x, on.d))


def slices_at(fields: FieldSeries, k: int) -> Iterator[tuple[float, NDArray[np.int64], Mesh]]:
    """Position, numbers of the vertices and mesh of each slice of a density by position."""
    there = fields.at(k)
    mesh, place = there.mesh, there.read("position", k)
    number_of = np.full(mesh.n_vertices, -1)
    for s in np.unique(place):
        own = np.flatnonzero(place == s)
        number_of[own] = np.arange(own.size)
        cells = number_of[mesh.cells[place[mesh.cells[:, 0]] == s]]
        yield float(s), own, Mesh(mesh.geometry, mesh.d, mesh.points[own], cells)


class OutputFields:
    """Densities of a run at the vertices of its mesh, by output times.

    Of a density by position (slices) there is a copy of the mesh for each slice, and ``read`` gives
    the field "position"; values at its vertices are those of the slice.

    Args:
        series: what the field file holds.

    Attributes:
        times: output times, (k,), increasing.
        names: names of the fields in the file.
    """

    @checked_arguments
    def __init__(self, series: FieldSeries) -> None:
        self.series = series
        self.times = series.times
        self.names = series.all_names

    def __repr__(self) -> str:
        names, n = ", ".join(self.names), len(self.times)
        return f"{names} at {n} output times on {len(self.series.points)} vertices"

    @property
    def manifold(self) -> Manifold:
        """The geometry."""
        return self.series.manifold

    @property
    def sliced(self) -> bool:
        """Whether it is a density by position."""
        return "position" in self.series.names

    @property
    def has_density(self) -> bool:
        """Whether a density was written: with the velocity alone there is none."""
        return bool({"rho", "log10_rho"} & set(self.series.names))

    def step(self, t: float | None) -> int:
        """Number of the step at an output time, see ``step_at``."""
        return step_at(self.times, t)

    @checked_arguments
    def mesh(self, t: float | None = None) -> Mesh:
        """The mesh, of one that moves that of this time, in the coordinates of its geometry.

        Args:
            t: an output time; None: the last.
        """
        return self.series.at(self.step(t)).mesh

    @checked_arguments
    def read(self, name: str, t: float | None = None) -> Array:
        """Values of a field at the vertices, (n,), vectors (n, 3) in space."""
        k = self.step(t)
        return self.series.at(k).read(name, k)

    @checked_arguments
    def log_density(self, t: float | None = None) -> Array:
        """Log rho at the vertices, (n,): that of ``density``; nothing is -700 or less.

        Raises:
            InputError: no density was written.
        """
        if "log10_rho" in self.series.names:
            return math.log(10.0) * self.read("log10_rho", t)
        if "rho" in self.series.names:
            return np.asarray(np.log(np.maximum(self.read("rho", t), math.exp(LOG_FLOOR))))
        raise InputError(
            f"no density among the fields of {self.series.path} ({', '.join(self.names)}): 'rho' "
            "or 'log10_rho' in output.fields expected"
        )

    @checked_arguments
    def density(self, t: float | None = None) -> Array:
        """rho with respect to the uniform probability (uniform = 1) at the vertices, (n,).

        Args:
            t: an output time; None: the last.

        Raises:
            InputError: no output time, or no density was written.
        """
        if "rho" in self.series.names and not self.series.moving:
            return self.read("rho", t)
        # Of a collapsed cluster rho may be beyond what is written.
        return np.asarray(np.exp(np.minimum(self.log_density(t), _LARGEST_LOG)))

    @checked_arguments
    def velocity(self, t: float | None = None) -> Array:
        """Velocities at the vertices, (n, 3), in three dimensions as ParaView shows them."""
        return self.read("velocity", t)

    @checked_arguments
    def masses(self, t: float | None = None) -> Array:
        """Masses at the vertices, (n,), sum one: of a mesh that moves those that it carries.

        On a mesh that stays: rho times the parts of the uniform probability of the dual cells.
        """
        if "mass" in self.names:
            mass = self.read("mass", t)
        else:
            mass = delaunay_weights(self.mesh(t))[2] * self.density(t)
        return np.asarray(mass / mass.sum())

    @checked_arguments
    def at(self, points: object, t: float | None = None) -> Array:
        """rho at any points, (m,): log rho is linear in each cell of the mesh where it is then.

        In a cell of a mesh that moves it is at most 4 times what the cell holds over its area. Of
        slices: that of all positions together.

        Args:
            points: (m, d) unit vectors, or points (m, gdim) of the geometry.
            t: an output time; None: the last.

        Raises:
            InputError: points of another shape or length, or no output time.
        """
        k = self.step(t)
        where = places_on(self.manifold, points)
        log_rho, mass = self.log_density(t), self.masses(t)
        if not np.all(np.isfinite(log_rho)):
            return np.full(len(where), np.nan)  # not known at this time
        if not self.sliced:
            found = log_density_at(self.mesh(t), log_rho, mass, where)
            return np.asarray(np.exp(np.minimum(found, _LARGEST_LOG)))
        rows = [
            log_density_at(mesh, log_rho[own], mass[own] / mass[own].sum(), where)
            for _, own, mesh in slices_at(self.series, k)
        ]
        return np.asarray(np.mean(np.exp(np.minimum(rows, _LARGEST_LOG)), axis=0))
