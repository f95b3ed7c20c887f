"""Two finished runs held against each other: densities of any solver, at the times they share.

Reads run folders, never a live run. Densities are compared at the same nodes, those of a mesh that
stays: that on a mesh that has moved is evaluated there (``analysis.evaluate``). As long as the
nodes resolve both, W_2 is that of the masses at the nodes, too: what the nodes cost is the same on
both sides, and two densities that agree have distance zero. Once a density has collapsed between
the nodes (it has not mass one there), each run's own points take their place: a moved vertex with
its mass, a cell of a mesh that stays.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from meanfield.analysis.evaluate import log_density_at
from meanfield.analysis.quadrature import density_measure, spread_bound
from meanfield.analysis.wasserstein import quantise, wasserstein
from meanfield.errors import InputError
from meanfield.geometry.mesh import Mesh, delaunay_weights, icosphere
from meanfield.geometry.sphere import Array
from meanfield.interaction.measure import Measure
from meanfield.results.folder import RunFolder
from meanfield.results.formats import FieldSeries, read_fields
from meanfield.runs.pointwise import DensityInTime
from meanfield.studies.grid import Grid
from meanfield.studies.sides import common_steps
from meanfield.whole import write_table

__all__ = [
    "RunDifference",
    "compare_runs",
    "difference_grid",
    "difference_table",
    "write_differences",
]

_SAME = 1e-9  # relative difference of times that are the same
_SAME_NODE = 1e-9  # distance of vertices that are the same
_MOST = 10_300  # points of a measure in an exact distance: one more than level 5 has
_SEEN = 0.7  # largest error of that mass with which L1 means something
_RESOLVED = 1e-3  # largest error of a density's mass at the nodes


@dataclass(frozen=True)
class RunDifference:
    """Two runs at one time.

    Attributes:
        t: the time.
        l1: int |rho_1 - rho_2| dsigma at the nodes of a mesh; nan where a density has collapsed
            between the nodes, which then miss more than 70 % of its mass (or see as much too much).
        w2: Wasserstein distance in radians.
        w2_error: what it may be wrong by: for masses at the nodes the square root of the mass that
            the nodes do not see (displaced by a radian, that much), else a bound for the points
            that stand for the densities.
        nodes: whether W_2 is that of the masses at the nodes.
        energy: (E_2 - E_1), scaled, from the series; nan where a model has no energy.
        mean: length of the difference of int x dmu from the series.
    """

    t: float
    l1: float
    w2: float
    w2_error: float
    nodes: bool
    energy: float
    mean: float


def compare_runs(
    first: str | Path, second: str | Path, distances: bool = True, time: float | None = None
) -> list[RunDifference]:
    """Compare the densities of two run folders at all output times that both have.

    The nodes of L1 are those of a mesh that stays, the first run's if both do; if both move, those
    from which the first run's started.

    Args:
        first, second: folders of runs on the same geometry.
        distances: whether to compute W_2 (exact, seconds a time); nan otherwise.
        time: one of these times; None: all of them.

    Raises:
        InputError: no such runs, other geometries, or no time in common.
    """
    runs = [_Run(first), _Run(second)]
    one, two = (run.fields for run in runs)
    if (one.geometry, one.d) != (two.geometry, two.d):
        raise InputError(
            f"{second} is on '{two.geometry}' (d = {two.d}), {first} on '{one.geometry}' "
            f"(d = {one.d}): the same geometry expected"
        )
    pairs = common_steps((first, second), (one.times, two.times), time)
    nodes = _Nodes((two if one.moving and not two.moving else one).mesh)
    fewer = nodes
    if nodes.mesh.manifold.dimension == 2 and nodes.mesh.n_vertices > _MOST:
        fewer = _Nodes(icosphere(5))
    found = []
    for i, j in pairs:
        steps = list(zip(runs, (i, j), strict=True))
        values = [run.at(k, nodes.mesh) for run, k in steps]
        w2, error, at_nodes = math.nan, math.nan, False
        if distances:
            w2, error, at_nodes = _distance(steps, values if fewer is nodes else None, fewer)
        rows = [run.row(float(one.times[i])) for run in runs]
        found.append(
            RunDifference(
                float(one.times[i]),
                _l1(nodes.weights, values),
                w2,
                error,
                at_nodes,
                float(rows[1][0] - rows[0][0]),
                float(np.linalg.norm(rows[1][1:] - rows[0][1:])),
            )
        )
    return found


class _Nodes:
    """Vertices of a mesh with their parts of the uniform probability."""

    def __init__(self, mesh: Mesh) -> None:
        weights = delaunay_weights(mesh)[2]
        self.mesh, self.weights = mesh, weights / weights.sum()


def _l1(weights: Array, values: Sequence[Array]) -> float:
    """L1 distance of two densities at the nodes; nan where these miss most of the mass."""
    if max(abs(float(np.dot(weights, rho)) - 1.0) for rho in values) > _SEEN:
        return math.nan
    return float(np.dot(weights, np.abs(values[0] - values[1])))


def _distance(
    steps: Sequence[tuple[_Run, int]], values: Sequence[Array] | None, nodes: _Nodes
) -> tuple[float, float, bool]:
    """W_2, its error, whether at the nodes; ``values``: densities there, if they are known."""
    if values is None:
        values = [run.at(k, nodes.mesh) for run, k in steps]
    masses = [nodes.weights * rho for rho in values]
    unseen = [abs(float(m.sum()) - 1.0) for m in masses]
    if max(unseen) < _RESOLVED:
        one, two = (Measure(nodes.mesh.points, m / m.sum()) for m in masses)
        return wasserstein(one, two, 2).distance, math.sqrt(sum(unseen)), True
    (one, wrong_one), (two, wrong_two) = (run.measure(k) for run, k in steps)
    return wasserstein(one, two, 2).distance, wrong_one + wrong_two, False


def _known(path: Path) -> DensityInTime | None:
    """What tells the density between vertices that have moved; None where nothing does."""
    try:
        known = DensityInTime(path)
    except InputError:
        return None
    return known if known.end > -math.inf else None


class _Run:
    """The densities of a run folder."""

    def __init__(self, path: str | Path) -> None:
        self.folder = RunFolder.open(path)
        if not self.folder.fields_path.is_file():
            file = self.folder.fields_path.name
            raise InputError(f"{path} has no density ({file}): the run of one expected")
        self.fields: FieldSeries = read_fields(self.folder.fields_path)
        if not len(self.fields.times):
            raise InputError(f"{path} has no output yet: a run with one or more expected")
        if not {"rho", "log10_rho"} & set(self.fields.names):
            raise InputError(f"{path} has no density among its fields: 'rho' or 'log10_rho'")
        self.series = self.folder.read_series()
        self.has_energy = "energy_scaled" in self.series
        self._known = _known(self.folder.path) if self.fields.moving else None

    def _log_rho(self, k: int) -> Array:
        if "log10_rho" in self.fields.names:
            return math.log(10.0) * self.fields.read("log10_rho", k)
        return np.asarray(np.log(np.maximum(self.fields.read("rho", k), 1e-300)))

    def _mesh(self, k: int) -> Mesh:
        return self.fields.at(k).mesh

    def _rho(self, k: int) -> Array:
        if "rho" in self.fields.names and not self.fields.moving:
            return self.fields.read("rho", k)
        return np.asarray(np.exp(np.minimum(self._log_rho(k), 700.0)))

    def at(self, k: int, nodes: Mesh) -> Array:
        """rho at the vertices of a mesh; of one that moves by its history, where that is known."""
        mesh = self._mesh(k)
        if not self.fields.moving:
            if np.array_equal(mesh.points, nodes.points):
                return self._rho(k)
            # Of nested meshes the nodes are among its vertices: nothing is interpolated.
            far, among = cKDTree(mesh.points).query(nodes.points)
            if np.max(far) < _SAME_NODE:
                return self._rho(k)[among]
        t = float(self.fields.times[k])
        if self._known is not None and t <= self._known.end:
            rho = self._known.density_at(nodes.points, t)
            if np.all(np.isfinite(rho)):
                return rho
        if self.fields.moving:
            mass = self.fields.read("mass", k)
        else:
            mass = delaunay_weights(mesh)[2] * self._rho(k)
            mass = mass / mass.sum()
        return np.asarray(np.exp(log_density_at(mesh, self._log_rho(k), mass, nodes.points)))

    def measure(self, k: int) -> tuple[Measure, float]:
        """The density as weighted points, and a bound for what they are wrong by."""
        mesh = self._mesh(k)
        if self.fields.moving:
            mass = np.maximum(self.fields.read("mass", k), 0.0)
            # A mass is anywhere in the cell of its vertex: the same law on other points is as near.
            measure, error = Measure(mesh.points, mass / mass.sum()), spread_bound(mesh, mass)
        else:
            measure, error = density_measure(mesh, self._rho(k))
        if mesh.manifold.latitudes or len(measure.weights) <= _MOST:
            return measure, error
        fewer, moved = quantise(measure, _MOST)
        return fewer, error + moved

    def row(self, t: float) -> Array:
        """Scaled E and the mean at a time, nan where the series has no such row or no energy."""
        names = [n for n in self.series if n.startswith("mean_") and n != "mean_norm"]
        k = np.flatnonzero(np.abs(self.series["t"] - t) <= _SAME * max(1.0, abs(t)))
        if not k.size:
            return np.full(1 + len(names), np.nan)
        found = [self.series[name][k[0]] for name in names]
        return np.array([self.series["energy_scaled"][k[0]] if self.has_energy else np.nan, *found])


def difference_grid(rows: Sequence[RunDifference], energy: str) -> Grid:
    """A table for people; ``energy``: how the scaled energy is written."""
    cells = []
    for r in rows:
        w2 = "-" if math.isnan(r.w2) else f"{r.w2:.3e} (+-{r.w2_error:.0e})"
        l1 = "-" if math.isnan(r.l1) else f"{r.l1:.3e}"
        change = "-" if math.isnan(r.energy) else f"{r.energy:.3e}"
        cells.append((f"{r.t:.6g}", l1, w2, change, f"{r.mean:.3e}"))
    heads = ("t", "L1", "W2", f"d{energy}", "|d mean|")
    return Grid(heads, tuple(cells), (10, 10, 20, 13, 10), (0, 1, 1, 1, 1))


def difference_table(rows: Sequence[RunDifference], energy: str) -> list[str]:
    """Its lines."""
    return difference_grid(rows, energy).lines()


def write_differences(path: Path, rows: Sequence[RunDifference]) -> None:
    """Write the table as csv, replacing the file."""
    names = list(RunDifference.__annotations__)
    write_table(path, names, ([getattr(r, name) for name in names] for r in rows))
