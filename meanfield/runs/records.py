"""What a run leaves in its folder: series, fields, checkpoints and how it went. On rank 0 only."""

from __future__ import annotations

import shutil
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np

from meanfield.analysis.columns import ADDED, RETIRED
from meanfield.case import Case, MeshFile
from meanfield.case.memory import MESH_FILE, from_memory
from meanfield.case.words import record_of
from meanfield.dynamics.solver import State
from meanfield.errors import MeanfieldWarning
from meanfield.geometry.sphere import Array
from meanfield.results.clusters import write_clusters
from meanfield.results.folder import RunFolder, listed
from meanfield.results.series import Changed, SeriesWriter
from meanfield.runs.restart import ENTRY, Restart, before, identity, told
from meanfield.runs.tracks import Track
from meanfield.software import provenance, utc_now
from meanfield.whole import bring_to_disk, whole_file

__all__ = ["Records", "in_folder"]


def in_folder(case: Case, folder: RunFolder) -> Case:
    """The case with a copy of its mesh in the folder, if that is from memory.

    The copy has the bytes of the file that stands for it, by whose digest runs go on.
    """
    source = from_memory(case.geometry)
    if source is None:
        return case
    target = folder.file(MESH_FILE)
    if not target.is_file():
        with whole_file(target) as part:
            shutil.copyfile(source, part)
    return replace(case, geometry=MeshFile(target.absolute()))


class Records:
    """Series, fields, checkpoints and the record of a run; without a folder, the series alone.

    Args:
        case: what is run.
        folder: where; None: in memory.
        track: what is measured and written.
        columns: names in a row of the series.
        notes: the warnings, as they come.
        restart: what a run that goes on goes on from.
    """

    def __init__(
        self,
        case: Case,
        folder: RunFolder | None,
        track: Track,
        columns: Sequence[str],
        notes: Sequence[str],
        restart: Restart | None,
    ) -> None:
        self.case = case if folder is None else in_folder(case, folder)
        self.folder, self.track = folder, track
        self._columns, self._notes = tuple(columns), notes
        self._rows: list[dict[str, float]] = []
        self._series: SeriesWriter | None = None
        self._about: dict[str, object] = {}
        self._before: dict[str, object] = {}  # what the parts before this one have recorded
        self._saved: float | None = None  # time of the newest checkpoint
        if folder is None:
            return
        t, self._identity = track.solver.t, identity(self.case)
        if restart is not None:
            # What may still be refused comes first: nothing has been written yet.
            track.open(folder, t)
            folder.take_checkpoint(restart.path)
            if folder.clusters_path.name in folder.files():
                folder.clusters_path.unlink(missing_ok=True)  # it ends before what comes
            self._saved = t
            self._before = before(folder, restart)
            self._about = {**self._before, "resumed": [*listed(self._before, "resumed"), utc_now()]}
        self._describe(folder)
        folder.log(
            f"{'started' if restart is None else 'resumed'} at t = {t:g} on {track.comm.size} ranks"
        )
        resume_at, changed = None if restart is None else t, Changed(RETIRED, ADDED)
        self._series = folder.series(self._columns, resume_at, changed)
        if self._series.dropped:
            names = " and ".join(self._series.dropped)
            folder.log(f"no longer a column of the series, and dropped from it: {names}")
        if self._series.cut:
            folder.log(f"cut off after t = {t:g}: {self._series.cut}")
        if restart is None:
            track.open(folder, None)

    def _describe(self, folder: RunFolder) -> None:
        self._about |= {
            **provenance(),
            "ranks": self.track.comm.size,
            "seed": self.case.seed,
            "started": self._about.get("started", utc_now()),
            "ended": None,
            "stop_reason": None,
            **record_of(self.case, self.track.solver.interaction.describe()),
            **self.track.about(),
        }
        folder.write_case(self.case)
        folder.write_run(self._about)

    @property
    def standing(self) -> tuple[float | None, dict[str, float] | None]:
        """Time of the last step in the field file, and the last row of the series; None: no such.

        What is in the folder when a run goes on: it may be behind the state.
        """
        return self.track.written_until, None if self._series is None else self._series.last

    def add_row(self, row: dict[str, float]) -> None:
        """Add a row to the series."""
        if self._series is not None:
            self._series.write(row)
        self._rows.append(row)

    def add_output(self, write_fields: Callable[[], None], state: State | None, line: str) -> None:
        """Write the fields, a checkpoint, and a line of the log."""
        if self.folder is None:
            return
        write_fields()
        self.add_checkpoint(state)
        self.folder.log(line)

    def add_checkpoint(self, state: State | None) -> None:
        """Write a checkpoint, when all that it counts has reached the disk."""
        if self.folder is None:
            return
        assert state is not None and self._series is not None
        folder, until = self.folder, self.track.written_until
        bring_to_disk(*folder.data_paths())
        record = told(
            self._identity,
            rows=self._series.rows,
            fields=until,
            outcome=self.track.outcome()[0],
            warnings=[*listed(self._before, "warnings"), *self._notes],
        )
        # Two of one time would be one.
        folder.save_checkpoint(state.t != self._saved, **state.values(), **{ENTRY: record})
        self._saved = state.t

    def close(
        self,
        about: dict[str, object],
        timings: dict[str, float],
        notes: list[str],
        draw: bool = True,
    ) -> None:
        """Write down how it ended, and draw.

        Args:
            about: for run.json.
            timings, notes: likewise; changed, as pictures take time and may fail.
            draw: whether there is time for the table of clusters, and for pictures.
        """
        if self.folder is None:
            return
        self._close_files()
        # A run that is ended while it draws has ended well before.
        self._write_end(about, timings, notes)
        self.folder.log(f"stopped: {about['stop_reason']}, t = {about['t']:g}")
        if draw:
            start = time.perf_counter()
            self._conclude(self.folder, about, notes)
            timings["output"] += time.perf_counter() - start
            self._write_end(about, timings, notes)

    def _conclude(self, folder: RunFolder, about: dict[str, object], notes: list[str]) -> None:
        """Make what is made of the files: what fails must not lose the run, and is told."""

        def clusters() -> None:
            write_clusters(folder)

        def pictures() -> None:
            from meanfield.figures import make_figures

            about["figures"] = [picture.name for picture in make_figures(folder)]

        made: dict[str, Callable[[], None]] = {"clusters.csv could not be written": clusters}
        if self.case.output.figures:
            made["the figures could not be drawn"] = pictures
        for what, make in made.items():
            try:
                make()
            except Exception as error:
                text = f"{what}: {error}"
                notes.append(text)
                warnings.warn(text, MeanfieldWarning, stacklevel=1)

    def abandon(self, reason: str) -> None:
        """Close the files after an error that the loop does not know."""
        if self.folder is None:
            return
        with suppress(OSError):  # of which one was told already
            self._close_files()
        if self._about.get("stop_reason") is None:
            self._about |= {"stop_reason": reason, "ended": utc_now()}
            self.folder.write_run(self._about)
            self.folder.log(reason)

    def _close_files(self) -> None:
        try:
            if self._series is not None:
                self._series.close()
        finally:
            self.track.close()

    def _write_end(
        self, about: Mapping[str, object], timings: Mapping[str, float], notes: Sequence[str]
    ) -> None:
        """Write run.json, with the parts of the run before the last resumption counted in."""
        assert self.folder is not None
        earlier = self._before.get("timings")
        if not isinstance(earlier, dict):
            earlier = {}
        self._about |= about
        self._about["ended"] = utc_now()
        self._about["timings"] = {k: v + earlier.get(k, 0.0) for k, v in timings.items()}
        self._about["warnings"] = list(dict.fromkeys([*listed(self._before, "warnings"), *notes]))
        self.folder.write_run(self._about)

    def series(self) -> dict[str, Array]:
        """The series, (rows,) for each column."""
        if self.folder is not None:
            return self.folder.read_series()
        return {name: np.array([row[name] for row in self._rows]) for name in self._columns}
