"""What a run leaves behind: its series, and its densities or tokens at any output time.

The same whether it comes from ``run`` or from the folder: what is in files is read from them when
it is asked for. Nothing is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from meanfield.arguments import checked_arguments
from meanfield.collective import on_root
from meanfield.errors import InputError
from meanfield.geometry.sphere import Array
from meanfield.results.folder import RunFolder
from meanfield.results.formats import FieldSeries, TokenSeries
from meanfield.results.gaussians import gaussian_density, gaussian_fields, of_gaussians
from meanfield.results.outputs import OutputFields, outputs_in, step_at
from meanfield.results.series import Series
from meanfield.runs.live import Live
from meanfield.runs.resultwords import case_words, energy_words, html_table, table_in

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pyvista import PolyData

    from meanfield.analysis.clustertable import ClusterTable
    from meanfield.case import Case
    from meanfield.dynamics.solver import Solver
    from meanfield.results.clusters import ClusterReader
    from meanfield.runs.pointwise import DensityInTime
    from meanfield.scenes import Look

__all__ = ["Result"]

_STAYS = (
    "the solver of a run stays in its process: expected arrays, which .fields, .tokens(t), "
    ".at(x, t) and .series of this result give"
)


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """What a run leaves behind, in memory and in its folder. Goes to other processes (pickle).

    From ``run`` or ``load``. Times are those of outputs; a run without a folder has its last state
    only. On several ranks ``at`` is for all of them, and so is whatever a run without a folder
    gives; files are read on rank 0.

    Attributes:
        t, steps: where it stopped; where its series ends, if it has not ended.
        stop_reason: "end", "stationary", "wall limit", "interrupted", "broken invariant: ...", or
            what an observer has ended it with; "not ended" of a run that is still running, or was
            killed.
        series: columns of the series, (rows,) each (on rank 0; empty elsewhere).
        folder: the run folder, or None.
        timings: seconds in "set-up", "output", "other" and what the solver counts ("field", ...);
            from ``load``, of all parts of a run that was gone on with.
        warnings: what should be known about the result.
        signal: number of the signal that has interrupted it, or 0.
        live: solver and case, in the process of the run.
        recorded: the table of the case, in another process.

    Example:
        >>> import meanfield as mf
        >>> result = mf.load("results/clustering")
        >>> energy, rho = result.series["energy"], result.at([[0.0, 0.0, 1.0]], t=2.0)
    """

    t: float
    steps: int
    stop_reason: str
    series: Series
    folder: Path | None
    timings: dict[str, float]
    warnings: list[str]
    signal: int = 0
    live: Live | None = None
    recorded: Mapping[str, object] | None = field(default=None)

    # ---- what was run ------------------------------------------------------------------------

    @property
    def solver(self) -> Solver:
        """The solver in its last state, in the process of the run.

        Raises:
            AttributeError: this is another process.
        """
        if self.live is None:
            raise AttributeError(_STAYS)
        return self.live.track.solver

    @cached_property
    def case(self) -> Case:
        """What was run. A law that was made in Python is known by its name in other processes.

        Raises:
            InputError: it cannot be read.
        """
        from meanfield.case import Case

        if self.live is not None:
            return self.live.case
        for recorded in (False, True):
            try:
                if self.recorded is not None:
                    return Case.from_dict(self.recorded, recorded=recorded)
                return Case.from_toml(self._run_folder("case").case_path, recorded=recorded)
            except InputError:
                if recorded:
                    raise
        raise AssertionError

    def _run_folder(self, asked: str) -> RunFolder:
        if self.folder is None:
            if self.live is not None and self.live.where is not None:
                raise InputError(
                    f"{asked}: the files of this run are read on rank 0: call it there, or "
                    f"mf.load('{self.live.where}')"
                )
            raise InputError(
                f"{asked}: this run has no folder, and its solver stays in its process: expected a "
                "run with a folder, mf.run(case, folder)"
            )
        return RunFolder(self.folder)

    # ---- outputs -----------------------------------------------------------------------------

    def _outputs(self, asked: str) -> FieldSeries | TokenSeries:
        """What the field file has; without a folder, what it would have of the last state."""
        if self.live is not None and not self.live.on_disk:
            track = self.live.track
            made = track.in_memory()
            found = on_root(track.comm, lambda: made)
            assert found is not None
            return found
        return outputs_in(self._run_folder(asked), asked)

    @property
    def fields(self) -> OutputFields:
        """The densities at the vertices, by output times.

        Of each of its ``times`` it gives ``mesh(t)``, ``density(t)``, ``velocity(t)``,
        ``masses(t)`` and, of any field in the file, ``read(name, t)``.

        Raises:
            InputError: a run of tokens, or one that has written no fields.
        """
        return self._fields("fields")

    def _fields(self, asked: str) -> OutputFields:
        found = self._outputs(asked)
        if isinstance(found, FieldSeries):
            return OutputFields(found)
        raise InputError(
            f"{asked}: found a run that follows {found.n} points and no density on a mesh: "
            "expected that of a density; .tokens(t) tells where they are"
        )

    def _tokens(self, asked: str) -> TokenSeries:
        found = self._outputs(asked)
        if isinstance(found, TokenSeries):
            return found
        raise InputError(
            f"{asked}: found a run of a density, that of tokens expected (solver.type = "
            "'particles', 'layers'): .fields and .at(x, t) tell the density"
        )

    @property
    def times(self) -> Array:
        """Output times, (k,), increasing; of a run without a folder, that of its last state.

        Raises:
            InputError: there are no fields and no tokens.
        """
        return self._outputs("times").times

    @checked_arguments
    def at(self, points: object, t: float | None = None) -> Array:
        """rho with respect to the uniform probability (uniform = 1) at any points, (m,).

        Along characteristics exact at any time so far, not only at outputs: to 1e-6 in log rho
        where steps were short enough for it (``solver.pointwise``), else to 1e-5, by following each
        point back through the moments of the run (``DensityInTime``). Where these do not tell it
        (few points are left, a model whose field is no function of moments, a law that is only
        known by its name), and for all other solvers: that of an output, log rho linear in each
        cell of the mesh (``OutputFields.at``); of a density by position, that of all positions
        together. Of Gaussians: that of an output, in closed form. Collective.

        Args:
            points: (m, d) unit vectors, or points (m, gdim) of the geometry.
            t: the time; None: that of the last output.

        Raises:
            InputError: a run of tokens, points of another shape, or a time at which the density is
                not known: the nearest outputs are told.
        """
        live = self.live
        if of_gaussians(self._table):
            return gaussian_density(self._tokens("at"), points, t)
        if live is not None and self._follows_moments:
            solver = live.track.solver
            last = self.t if t is None else t
            if solver.density_from <= last <= solver.density_until:  # type: ignore[attr-defined]
                return np.asarray(solver.density_at(points, last))  # type: ignore[attr-defined]
        if live is not None and live.track.comm.size > 1 and live.on_disk:
            found = on_root(live.track.comm, lambda: self._fields("at").at(points, t))
            assert found is not None
            return found
        if live is None and (known := self._known) is not None:
            last = float(self.times[-1]) if t is None else t
            if known.begin <= last <= known.end:
                return known.density_at(points, last)
        return self._fields("at").at(points, t)

    @property
    def _follows_moments(self) -> bool:
        """Whether the solver in this process may know the density at any time."""
        from meanfield.dynamics.lagrangian import LagrangianSolver
        from meanfield.geometry.laws.recorded import RecordedLaw

        live = self.live
        assert live is not None
        recorded = isinstance(live.case.initial, RecordedLaw)
        return isinstance(live.track.solver, LagrangianSolver) and not recorded

    @cached_property
    def _known(self) -> DensityInTime | None:
        """What the history in the folder tells of the density; None where there is none."""
        from meanfield.runs.pointwise import known_in

        return None if self.folder is None else known_in(self.folder, self.case)

    @checked_arguments
    def tokens(self, t: float | None = None) -> Array:
        """Where the tokens are: unit vectors (n, d), in the order of their numbers.

        In the precision of the file (``output.precision``).
        Of a run of Gaussians: the points by which they are summed.

        Args:
            t: an output time; None: the last.

        Raises:
            InputError: a run of a density, no output time, or a file of an earlier version with
                projections alone (d > 3).
        """
        found = self._tokens("tokens")
        return found.coordinates(step_at(found.times, t))

    @checked_arguments
    def clusters(self, t: float | None = None) -> ClusterTable:
        """The clusters of a density or of tokens, the heaviest first: centre, mass and spread.

        As many as the column ``clusters`` counts; with the numbers that they keep from output to
        output, as in ``clusters.csv``, where the run has a folder.

        Args:
            t: an output time; None: the last.

        Raises:
            InputError: no output time, a density by position, or neither a density nor coordinates
                of tokens in the file.
        """
        from meanfield.results.clusters import with_kept_numbers

        reader = self._cluster_reader("clusters")
        k = step_at(reader.series.times, t)
        return reader.at(k) if self.folder is None else with_kept_numbers(reader, k, self.folder)

    def cluster_history(self) -> Series:
        """The clusters at all output times, a row each: t, cluster, mass, spread, ring, x1, ...

        ``cluster`` is the number that each keeps. From ``clusters.csv``; of a run that goes on, or
        has no folder, made of what there is.

        Raises:
            InputError: as ``clusters``.
        """
        from meanfield.results.clusters import cluster_history

        return Series(cluster_history(self._cluster_reader("cluster_history"), self.folder))

    def _cluster_reader(self, asked: str) -> ClusterReader:
        from meanfield.results.clusters import ClusterReader

        return ClusterReader(self._outputs(asked), self._collapsed)

    @property
    def _collapsed(self) -> float | None:
        """Length of an edge of a mesh that moves up to which it has collapsed; None: not told."""
        from meanfield.results.clusters import collapsed_edge

        if self.live is not None and not self.live.on_disk:
            return collapsed_edge(on_root(self.live.track.comm, self.live.track.about))
        return None if self.folder is None else collapsed_edge(RunFolder(self.folder).read_run())

    @checked_arguments
    def to_pyvista(self, t: float | None = None) -> PolyData:
        """One output as PyVista has it, in three dimensions.

        Args:
            t: an output time; None: the last.

        Returns:
            Of a density its triangles or lines, with the point data ``rho``, ``log10_rho``,
            ``mass``, ``velocity`` (as far as it was written); of tokens their points, with ``id``,
            ``mass``, ``cluster``, ``velocity`` (of d > 3 projections).
        """
        from meanfield.results.grids import density_grid, token_grid

        found = self._outputs("to_pyvista")
        if isinstance(found, TokenSeries):
            return token_grid(found, t)
        return density_grid(OutputFields(found), t)

    @checked_arguments
    def plot(self, what: str | None = None, t: float | None = None, ax: object = None) -> Axes:
        """Draw one output, or a column of the series against time.

        Args:
            what: "density": a curve over the angle (circle, zonal), an equal-area map of the sphere
                (longitude against the last coordinate; on axes with a projection, such as "hammer",
                by that; grey where it is emptier than the colours tell, rings round narrow
                clusters; also of Gaussians); "tokens": such a map, for d = 2 their distribution
                over the angle, for d > 3 that of their inner products; or the name of a column of
                the series. None: the density or the tokens.
            t: an output time; None: the last. Of a column: marked.
            ax: matplotlib axes to draw on; None: those of a figure of its own, which a notebook
                shows.

        Returns:
            The axes.

        Raises:
            InputError: there is nothing of this name, or no such output.
        """
        from meanfield.figures.onaxes import draw

        if what is not None and what in self.series:
            return draw(None, self.series, what, t, ax)
        if what == "density" and of_gaussians(self._table):
            return draw(gaussian_fields(self._tokens("plot"), t), self.series, what, t, ax)
        return draw(self._outputs("plot"), self.series, what, t, ax, self._collapsed)

    @checked_arguments
    def view(self, t: float | None = None, look: Look | None = None, backend: str = "") -> object:
        """Show an output as a scene to turn and zoom: see ``figures.view``."""
        from meanfield.figures.view import view

        return view(self._outputs("view"), t, look, backend)

    # ---- in words, and elsewhere -------------------------------------------------------------

    @property
    def _table(self) -> Mapping[str, object]:
        """The case as plain data; empty where it cannot be read."""
        if self.live is not None:
            return self.live.case.to_dict()
        if self.recorded is not None:
            return self.recorded
        return {} if self.folder is None else table_in(self.folder)

    @property
    def _words(self) -> list[tuple[str, str]]:
        """What it is, in a few words each."""
        stopped = f"{self.stop_reason}, at t = {self.t:.6g} after {self.steps} steps"
        folder = self.folder if self.live is None else self.live.where
        return [
            *case_words(self._table),
            ("stopped", stopped),
            *energy_words(self.series),
            ("warnings", str(len(self.warnings))),
            ("folder", "none" if folder is None else str(folder)),
        ]

    def __repr__(self) -> str:
        (_, title), *rows = self._words
        lines = (f"  {name:<13} {text}" for name, text in rows if text)
        return "\n".join([f"Result of '{title}'", *lines])

    def _repr_html_(self) -> str:
        """The table that a notebook shows."""
        return html_table(self._words)

    def __getstate__(self) -> dict[str, object]:
        names = ("t", "steps", "stop_reason", "series", "folder", "timings", "warnings", "signal")
        state: dict[str, object] = {name: getattr(self, name) for name in names}
        table = self.recorded if self.live is None else self.live.case.to_dict()
        return {**state, "live": None, "recorded": table}

    def __setstate__(self, state: dict[str, object]) -> None:
        vars(self).update(state)
