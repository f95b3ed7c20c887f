"""clusters.csv: the clusters of a run through time, made from its field or particle file.

A row a cluster and output time. Owns that file, and which cluster of one time is which of the time
before. Knows nothing of solvers.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from meanfield.analysis.clustertable import (
    ClusterTable,
    clusters_of_density,
    clusters_of_moved_density,
    clusters_of_tokens,
)
from meanfield.analysis.peaks import PeakCounter
from meanfield.arguments import PathLike, checked_arguments
from meanfield.errors import InputError
from meanfield.geometry.mesh import delaunay_weights, edge_range
from meanfield.geometry.sphere import Array
from meanfield.results.folder import RunFolder
from meanfield.results.formats import FieldSeries, TokenSeries, read_fields, read_tokens_file
from meanfield.whole import write_table

__all__ = [
    "ClusterReader",
    "cluster_history",
    "collapsed_edge",
    "numbered",
    "read_cluster_history",
    "read_clusters",
    "with_kept_numbers",
    "write_clusters",
]

_COLLAPSED = 1e-3  # length of a collapsed edge over the longest of the first mesh
_LN10 = math.log(10.0)


class ClusterReader:
    """The tables of clusters of a field or particle file, step by step.

    Tokens are in the groups that the file has. A density on a mesh that stays is read as it is
    there, also where characteristics have told it (``output.mesh = "fixed"``): the column
    ``clusters`` counts those of the points that move.

    Args:
        series: the file.
        near: for a mesh that moves: an edge (chord) up to this length has collapsed; None: a
            thousandth of the longest edge of the first step.

    Raises:
        InputError: the file has no tokens with coordinates and no density, or those of slices.
    """

    def __init__(self, series: FieldSeries | TokenSeries, near: float | None = None) -> None:
        self.series = series
        self._counter: PeakCounter | None = None
        if isinstance(series, TokenSeries):
            self._weights = series.read("mass")
            return
        has = series.all_names
        if not {"rho", "log10_rho"} & set(has):
            raise InputError(
                f"no clusters in {series.path}: it holds {', '.join(has)}, expected rho or "
                "log10_rho (output.fields)"
            )
        if "position" in has:
            raise InputError(
                f"no clusters in {series.path}: found densities by position, one density expected"
            )
        self._name = "log10_rho" if "log10_rho" in has else "rho"
        if not series.moving:
            self._mesh, self._counter = series.mesh, PeakCounter(series.mesh)
            self._weights = delaunay_weights(series.mesh)[2]
        elif near is None:
            near = _COLLAPSED * edge_range(series.mesh)[1]
        self._near = near

    def at(self, k: int) -> ClusterTable:
        """The clusters at step ``k`` (negative: from the end); none where rho is not known.

        Raises:
            InputError: the file cannot be read, or has no coordinates.
            IndexError: if there is no such step.
        """
        return self.with_masses(k)[0]

    def with_masses(self, k: int) -> tuple[ClusterTable, Array]:
        """The same with the masses of all tokens or vertices, (n,), not normalised."""
        series, t = self.series, float(self.series.times[k])
        if isinstance(series, TokenSeries):
            x = series.coordinates(k)
            x /= np.linalg.norm(x, axis=1, keepdims=True)  # of single precision
            table = clusters_of_tokens(x, self._weights, series.read("cluster", k), t)
            return table, self._weights
        log_rho = self._log_rho(series, k)
        if self._counter is None:
            mesh, mass = series.at(k).mesh, series.read("mass", k)
            assert self._near is not None
            return clusters_of_moved_density(mesh, log_rho, mass, self._near, t), mass
        known = np.all(np.isfinite(log_rho) | (log_rho < 0.0))
        rho = np.exp(log_rho) if known else np.ones(len(log_rho))
        table = clusters_of_density(self._mesh, rho, t, self._counter, self._weights)
        return table, self._weights * rho

    def kept(self, count: int | None = None) -> Iterator[ClusterTable]:
        """The tables of the first steps (None: all) with the numbers that clusters keep."""
        steps = range(len(self.series.times) if count is None else count)
        return numbered(self.with_masses(k) for k in steps)

    def _log_rho(self, series: FieldSeries, k: int) -> Array:
        values = series.read(self._name, k)
        if self._name == "log10_rho":
            return values * _LN10
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(values))


def numbered(states: Iterator[tuple[ClusterTable, Array]]) -> Iterator[ClusterTable]:
    """Give the clusters of one time after the other numbers that they keep.

    A cluster has the number of the one before that most of it comes from: pairs of both times are
    taken by the mass that they share, each cluster once. The heaviest of several that merge lives
    on, and the largest part of one that is divided; any other new cluster has the next number. So
    it is for tokens, and vertices, that are the same at both times; where they are not, all
    clusters are new ones.

    Args:
        states: a table with the masses (n,) of its members, for each time.
    """
    last, before = 0, None
    for table, masses in states:
        numbers = np.zeros(len(table), dtype=np.int64)
        if before is not None and len(before.member) == len(table.member):
            inside = (table.member >= 0) & (before.member >= 0)
            shared = np.zeros((len(table), len(before)))
            np.add.at(shared, (table.member[inside], before.member[inside]), masses[inside])
            for new, old in _pairs(shared):
                numbers[new] = before.number[old]
        fresh = numbers == 0
        numbers[fresh] = last + 1 + np.arange(np.count_nonzero(fresh))
        last += int(np.count_nonzero(fresh))
        before = replace(table, number=numbers)
        yield before


def _pairs(shared: Array) -> Iterator[tuple[int, int]]:
    """Rows and columns (new, old) in the order of what they share, each taken once."""
    free_new, free_old = (np.ones(size, dtype=bool) for size in shared.shape)
    for place in np.argsort(-shared, axis=None, kind="stable"):
        new, old = divmod(int(place), shared.shape[1])
        if shared[new, old] <= 0.0:
            return
        if free_new[new] and free_old[old]:
            free_new[new] = free_old[old] = False
            yield new, old


def write_clusters(run: RunFolder) -> Path | None:
    """Write ``clusters.csv`` of a run anew: all times of its field or particle file.

    Returns:
        The file made; None: the run has no such file, or one without what clusters are made of.
    """
    if not (run.particles_path.is_file() or run.fields_path.is_file()):
        return None
    series = _series_of(run)
    try:
        reader = ClusterReader(series, collapsed_edge(run.read_run()))
        if isinstance(series, TokenSeries) and len(series.times):
            series.coordinates(0)
    except InputError:
        return None
    path = run.file(run.clusters_path.name)
    rows = (row for table in reader.kept() for row in zip(*table.columns().values(), strict=True))
    write_table(path, ClusterTable.names(series.d), rows)
    return path


def _series_of(run: RunFolder) -> FieldSeries | TokenSeries:
    """The file with the states of a run."""
    if run.particles_path.is_file():
        return read_tokens_file(run.particles_path)
    return read_fields(run.fields_path)


def collapsed_edge(about: Mapping[str, object] | None) -> float | None:
    """What the record of a run tells of the edges that have collapsed."""
    told = None if about is None else about.get("collapsed_edge")
    return float(told) if isinstance(told, int | float) else None


@checked_arguments
def read_cluster_history(folder: PathLike) -> dict[str, Array]:
    """The columns of ``clusters.csv``: t, cluster, mass, spread, ring, x1, ..., xd, (rows,) each.

    Raises:
        InputError: no run folder, no such file (it is written when a run has come to an end), or
            a damaged one.
    """
    path = RunFolder.open(folder).clusters_path
    if not path.is_file():
        raise InputError(
            f"there is no file {path}: it is written at the end of a run; expected a run that has "
            "ended, with rho or log10_rho in output.fields or with tokens"
        )
    try:
        with open(path, encoding="utf-8", newline="") as file:
            header, *rows = csv.reader(file)
        if tuple(header) != ClusterTable.names(len(header) - len(ClusterTable.names(0))):
            raise ValueError(f"columns {', '.join(header[:6])}")
        numbers = np.array([[float(v) for v in row] for row in rows]).reshape(-1, len(header))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is no table of clusters, or damaged: {error}") from None
    return dict(zip(header, numbers.T, strict=True))


@checked_arguments
def read_clusters(folder: PathLike, t: float) -> ClusterTable:
    """The clusters of a run at one of its output times, from its ``clusters.csv``.

    They have the numbers that they keep from time to time; ``member`` is empty.

    Args:
        folder: of the run.
        t: time; round-off is no matter.

    Raises:
        InputError: as ``read_cluster_history``, or no output time: the nearest one is named; or the
            table ends before, where the run has gone on.
    """
    columns, run = read_cluster_history(folder), RunFolder.open(folder)
    series = _series_of(run)
    times = series.times
    nearest = float(times[np.argmin(np.abs(times - t))]) if len(times) else math.nan
    if not math.isclose(t, nearest, rel_tol=1e-9, abs_tol=1e-12):
        raise InputError(
            f"t = {t:g} found, expected one of the {len(times)} output times of {folder}: the "
            f"nearest is {nearest:.17g}"
        )
    here = columns["t"] == nearest
    if not here.any():
        k = int(np.argmin(np.abs(times - t)))
        if found := len(ClusterReader(series, collapsed_edge(run.read_run())).at(k)):
            raise InputError(
                f"{run.clusters_path} has no cluster at t = {nearest:g}, expected the {found} of "
                "the field file: the run has gone on since it was written"
            )
    names = ClusterTable.names(len(columns) - len(ClusterTable.names(0)))
    centre = np.stack([columns[name][here] for name in names if name[0] == "x"], axis=1)
    mass, spread, ring = (columns[name][here] for name in ("mass", "spread", "ring"))
    number = columns["cluster"][here].astype(np.int64)
    return ClusterTable(nearest, centre, mass, spread, ring, number)


def with_kept_numbers(reader: ClusterReader, k: int, folder: PathLike) -> ClusterTable:
    """The clusters at a step with the numbers of ``clusters.csv``, or those that it will have."""
    table = reader.at(k)
    try:
        known = read_clusters(folder, table.t)
    except InputError:  # none yet, or one that ends before
        known = table
    if known is table or len(known) != len(table):
        *_, known = reader.kept(k + 1)
    return replace(table, number=known.number)


def cluster_history(reader: ClusterReader, folder: PathLike | None) -> dict[str, Array]:
    """The columns of ``clusters.csv`` up to the last step, also where it is not written yet."""
    times = reader.series.times
    if folder is not None and len(times):
        try:
            read_clusters(folder, float(times[-1]))
            return read_cluster_history(folder)
        except InputError:  # made anew below
            pass
    names = ClusterTable.names(reader.series.d)
    tables = [table.columns() for table in reader.kept()]
    return {
        name: np.concatenate([np.zeros(0), *(np.asarray(table[name]) for table in tables)])
        for name in names
    }
