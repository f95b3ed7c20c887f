"""The density of a run at one time, as points are compared with it.

From the folder of a run, or from the live solver of one that has none. Of characteristics the
history tells the density at any point and time (``runs.pointwise``): it is taken at the nodes of a
mesh that stays, as long as these see its mass; then, and where there is no history, the vertices
that have moved stand for it with their masses, at output times. Knows nothing of what is compared.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from meanfield.analysis.quadrature import density_measure
from meanfield.analysis.samplemoments import MomentLaw
from meanfield.case import Case, Unmeshed
from meanfield.dynamics.lagrangian import LagrangianSolver, SlicedSolver
from meanfield.dynamics.solver import Solver
from meanfield.errors import InputError
from meanfield.geometry.mesh import Mesh, circle, delaunay_weights, icosphere, zonal_interval
from meanfield.geometry.sphere import Array
from meanfield.interaction.measure import Measure
from meanfield.results.comparison import StoredDensity, StoredSlices
from meanfield.results.folder import RunFolder
from meanfield.results.formats import FieldSeries, read_fields
from meanfield.runs.pointwise import DensityInTime
from meanfield.runs.result import Result
from meanfield.studies.sides import (
    Side,
    density_of,
    has_tokens,
    side_of_density,
    side_of_masses,
    step_at,
)

__all__ = ["DensityAt", "density_at"]

_LEVEL, _VERTICES = 5, 2_049  # of the nodes at which characteristics are evaluated
_RESOLVED = 1e-3  # largest error of a density's mass at them
_PIECES = 60_000  # points, about, by which moments of a density are integrated
_MOST_CUTS = 16
_SAME = 1e-9  # relative difference of times that are the same

AtPoints = Callable[[Array], Array]


@dataclass(frozen=True, eq=False)
class DensityAt:
    """A density at one time.

    Attributes:
        stored: as the clouds of a comparison are held against it, with one time.
        side: as points with masses, and to draw from.
        t: the time.
        energy: scaled E; nan where the model has none, or nothing tells it.
        label: how the scaled energy is written.
        case: of the run; None: unknown.
    """

    stored: StoredDensity
    side: Side
    t: float
    energy: float
    label: str
    case: Case | None

    @cached_property
    def moments(self) -> MomentLaw:
        """Its low moments, and what those of draws fluctuate by."""
        fine, other = self._measures()
        return MomentLaw.of(fine, self.side.on, other)

    def _measures(self) -> tuple[Measure, Measure | None]:
        """It as many points, for integrals; and in another reading, by its masses at vertices."""
        if self.side.density is None:
            return self.side.measure, None
        mesh, rho = self.side.density
        cuts = round((_PIECES / len(mesh.cells)) ** (1.0 / mesh.manifold.dimension))
        fine = density_measure(mesh, rho, refine=min(max(cuts, 1), _MOST_CUTS))[0]
        masses = self.stored.masses(0)
        return fine, Measure(masses.points, masses.weights / masses.weights.sum())

    def energy_of(self, x: Array, weights: Array) -> float:
        """Scaled E of tokens (n, d) over pairs of different ones: its mean over independent draws
        is E of the density. nan, where there is none.
        """
        if self.case is None or math.isnan(self.energy) or len(x) < 2:
            return math.nan
        model = self.case.model.on(Unmeshed(self.case.geometry.d))
        if model.energy_kind is None:
            return math.nan
        effective = 1.0 / float(np.sum(weights**2))
        return float(model.pair_energy(Measure(x, weights), effective, self.t))


def density_at(density: Result | str | Path, t: float | None) -> DensityAt:
    """The density of a run at a time.

    Args:
        density: the folder of a run; or what ``run`` has returned: its folder or, where it has
            none, its solver at the time where it stopped.
        t: an output time (of characteristics with a history any time); None: the last one.

    Raises:
        InputError: no run of a density, or no such time.
    """
    if t is not None and not math.isfinite(t):
        raise InputError(f"t = {t:g} found, a finite time expected")
    if not isinstance(density, Result):
        return _of_folder(RunFolder.open(density), t)
    if density.folder is not None:
        return _of_folder(RunFolder.open(density.folder), t)
    return _of_solver(density.solver, t)


def _made(side: Side, t: float, energy: tuple[float, str], case: Case | None) -> DensityAt:
    times = np.array([t])
    if side.density is not None:
        mesh, rho = side.density
        area = delaunay_weights(mesh)[2]
        stored = StoredDensity(mesh, times, rho[None], None, area / area.sum())
    else:
        x, mass = np.asarray(side.measure.points), side.measure.weights
        assert side.moved is not None
        mesh = side.moved
        slices = StoredSlices(x[None, None], mass[None])
        nothing = np.zeros(len(x))  # the vertices themselves stand for it
        stored = StoredDensity(mesh, times, nothing[None], None, nothing, slices)
    return DensityAt(stored, side, t, *energy, case)


# ------------------------------------------------------------------ of a folder


def _of_folder(folder: RunFolder, t: float | None) -> DensityAt:
    if not folder.fields_path.is_file():
        what = "one of tokens" if has_tokens(folder) else "without fields"
        raise InputError(
            f"{folder.path}: the run of a density expected ({folder.fields_path.name}), found "
            f"{what}"
        )
    fields = read_fields(folder.fields_path)
    if "position" in fields.names:
        raise InputError(
            f"{folder.path}: a density by position found, whose tokens are draws in an order; "
            "expected one without, or `meanfield compare` of its case"
        )
    side, t = _side_of_folder(folder, fields, t)
    return _made(side, t, _energy(folder, t), _case(folder))


def _side_of_folder(folder: RunFolder, fields: FieldSeries, t: float | None) -> tuple[Side, float]:
    if fields.moving and (known := _history(folder)) is not None:
        t = float(fields.times[-1]) if t is None and len(fields.times) else t
        if t is not None and 0.0 <= t <= known.end:
            words = _words(str(folder.path), fields.manifold.describe(), t)
            side = _at_nodes(fields.mesh, lambda x: known.density_at(x, t), words)
            if side is not None:
                return side, t
    k = step_at(folder, fields.times, t)
    t, mesh = float(fields.times[k]), fields.at(k).mesh
    words = _words(str(folder.path), mesh.manifold.describe(), t)
    if fields.moving:
        return side_of_masses(mesh, fields.read("mass", k), words), t
    rho = density_of(fields, k, folder.path)
    if not np.all(np.isfinite(rho)):
        raise InputError(f"{folder.path}: the density is not known at t = {t:g}, see run.json")
    return side_of_density(mesh, rho, words), t


def _case(folder: RunFolder) -> Case | None:
    """The case of a run; None: it needs code or files that are not here."""
    try:
        return Case.from_toml(folder.case_path)
    except InputError:
        return None


def _history(folder: RunFolder) -> DensityInTime | None:
    try:
        return DensityInTime(folder.path)
    except InputError:
        return None


def _words(path: str, geometry: str, t: float) -> str:
    return f"{path}: a density on {geometry}, t = {t:g}"


def _energy(folder: RunFolder, t: float) -> tuple[float, str]:
    """Scaled E of the series at a time, nan where it has no such row; and how it is written."""
    series, label = folder.read_series(), str(folder.read_energy()["label"])
    if "energy_scaled" not in series:
        return math.nan, label
    k = np.flatnonzero(np.abs(series["t"] - t) <= _SAME * max(1.0, abs(t)))
    return (float(series["energy_scaled"][k[0]]) if k.size else math.nan), label


# ------------------------------------------------------------------ of characteristics


def _at_nodes(initial: Mesh, rho_at: AtPoints, words: str) -> Side | None:
    """The density at nodes that stay; None: they do not see its mass, or it is not known there."""
    on = initial.manifold
    if on.dimension == 2:
        nodes = icosphere(_LEVEL)
    else:
        nodes = zonal_interval(_VERTICES, on.d) if on.latitudes else circle(_VERTICES)
    area = delaunay_weights(nodes)[2]
    rho = rho_at(nodes.points)
    if not np.all(np.isfinite(rho)) or abs(float(area @ rho / area.sum()) - 1.0) > _RESOLVED:
        return None
    return side_of_density(nodes, rho, words)


# ------------------------------------------------------------------ of a live run


def _of_solver(solver: Solver, t: float | None) -> DensityAt:
    if t is not None and abs(t - solver.t) > _SAME * max(1.0, abs(t)):
        raise InputError(
            f"t = {t:g} found, {solver.t:g} expected, where the run stopped: run it with a folder "
            "to compare at its output times"
        )
    if isinstance(solver, SlicedSolver) or not isinstance(solver, LagrangianSolver):
        raise InputError(
            f"found a run of {type(solver).__name__} without a folder, whose mesh is not kept: "
            "run it with a folder"
        )
    words = _words("the run", solver.manifold.describe(), solver.t)
    side = None
    if solver.density_until >= solver.t:
        side = _at_nodes(solver.reference, solver.density_at, words)
    if side is None:
        side = side_of_masses(solver.moved_mesh(), solver.mass, words)
    return _made(side, solver.t, (math.nan, "E"), None)
