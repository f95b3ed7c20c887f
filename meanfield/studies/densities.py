"""The density of a run at one time, as points are compared with it.

From the folder of a run, or from the live solver of one that has none. Of characteristics the
history tells the density at any point and time (``runs.pointwise``): it is taken at the nodes of a
mesh that stays, as long as these see its mass; then, and where there is no history, the vertices
that have moved stand for it with their masses, at output times, and what these hide is told by
another reading, in the middle of cells. Knows nothing of what is compared.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from meanfield.analysis.quadrature import density_measure
from meanfield.analysis.samplemoments import MomentLaw
from meanfield.case import Case, Unmeshed
from meanfield.dynamics.lagrangian import LagrangianSolver
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

_LEVELS, _VERTICES = (5, 6), 2_049  # of the nodes at which characteristics are evaluated
_RESOLVED = 1e-3  # largest error of a density's mass at them
_HOPELESS = 0.1  # error beyond which finer ones do not see it either
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
        """It as many points, for integrals; and in another reading, by its masses at vertices.

        Of vertices that have moved with their masses: with these in the middle of cells.
        """
        if self.side.density is None:
            assert self.side.moved is not None
            return self.side.measure, _in_cells(self.side.moved, self.side.measure.weights)
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
            none, its fields at the time where it stopped.
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
    return _of_result(density, t)


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
    t = float(fields.times[-1]) if t is None and len(fields.times) else t
    side = None
    if fields.moving and t is not None and (known := _history(folder)) is not None:
        at = t
        if known.begin <= t <= known.end:
            side = _at_nodes(fields, lambda x: known.density_at(x, at), str(folder.path), at)
    if side is None or t is None:
        k = step_at(folder, fields.times, t)
        t, side = float(fields.times[k]), _side_of_step(fields, k, folder.path)
    label = str(folder.read_energy()["label"])
    return _made(side, t, (_energy(folder.read_series(), t), label), _case(folder))


def _side_of_step(fields: FieldSeries, k: int, name: Path) -> Side:
    """The density of an output, by the values or the masses of its vertices."""
    if "position" in fields.names:
        raise InputError(
            f"{name}: a density by position found, whose tokens are draws in an order; "
            "expected one without, or `meanfield compare` of its case"
        )
    t, mesh = float(fields.times[k]), fields.at(k).mesh
    words = _words(name, mesh.manifold.describe(), t)
    if fields.moving:
        return side_of_masses(mesh, fields.read("mass", k), words)
    rho = density_of(fields, k, name)
    if not np.all(np.isfinite(rho)):
        raise InputError(f"{name}: the density is not known at t = {t:g}, see run.json")
    return side_of_density(mesh, rho, words)


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


def _words(path: str | Path, geometry: str, t: float) -> str:
    return f"{path}: a density on {geometry}, t = {t:g}"


def _energy(series: Mapping[str, Array], t: float) -> float:
    """Scaled E of the series at a time, nan where it has no such row."""
    if "energy_scaled" not in series:
        return math.nan
    k = np.flatnonzero(np.abs(series["t"] - t) <= _SAME * max(1.0, abs(t)))
    return float(series["energy_scaled"][k[0]]) if k.size else math.nan


# ------------------------------------------------------------------ of characteristics


def _at_nodes(fields: FieldSeries, rho_at: AtPoints, name: str, t: float) -> Side | None:
    """The density at nodes that stay; None: they do not see its mass, or it is not known there."""
    on = fields.manifold
    if "position" in fields.names:
        return None
    for level in _LEVELS if on.dimension == 2 else (0,):
        if on.dimension == 2:
            nodes = icosphere(level)
        else:
            nodes = zonal_interval(_VERTICES, on.d) if on.latitudes else circle(_VERTICES)
        area = delaunay_weights(nodes)[2]
        rho = rho_at(nodes.points)
        error = abs(float(area @ rho / area.sum()) - 1.0)
        if error <= _RESOLVED:
            return side_of_density(nodes, rho, _words(name, on.describe(), t))
        if not error <= _HOPELESS:
            return None
    return None


def _in_cells(mesh: Mesh, mass: Array) -> Measure:
    """Masses of vertices that have moved in the middle of cells, equal parts of each to its own.

    Moments of both differ where cells are long, as between clusters: by as much as it is unknown
    where their mass is.
    """
    parts = (mass / np.maximum(np.bincount(mesh.cells.ravel(), minlength=len(mass)), 1))[mesh.cells]
    own = parts.sum(axis=1)
    kept = own > 0.0
    parts, own, ends = parts[kept], own[kept], mesh.points[mesh.cells[kept]]
    x = np.einsum("ck,ckd->cd", parts, ends) / own[:, None]
    if not mesh.manifold.latitudes:
        length = np.linalg.norm(x, axis=1, keepdims=True)
        x = np.where(length > 1e-9, x / np.maximum(length, 1e-9), ends[:, 0])
    return Measure(x, own / own.sum())


# ------------------------------------------------------------------ of a live run


def _of_result(result: Result, t: float | None) -> DensityAt:
    """Of a run without a folder: where it stopped."""
    fields = result.fields.series
    end = float(fields.times[-1])
    if t is not None and abs(t - end) > _SAME * max(1.0, abs(t)):
        raise InputError(
            f"t = {t:g} found, {end:g} expected, where the run stopped: run it with a folder "
            "to compare at its output times"
        )
    solver, side = result.solver, None
    if isinstance(solver, LagrangianSolver) and solver.density_until >= end:
        side = _at_nodes(fields, solver.density_at, "the run", end)
    if side is None:
        side = _side_of_step(fields, len(fields.times) - 1, Path("the run"))
    label = solver.interaction.energy_label
    return _made(side, end, (_energy(result.series, end), label), result.case)
