"""From a case to a result: set-up, the time loop, observers and schedules, why it stopped.

Owns the order of things; what is computed belongs to the solver, what is measured and written to
its track, the files to ``results``. Everything here runs on every rank; rank 0 writes the files.
"""

from __future__ import annotations

import math
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from tqdm import tqdm

from meanfield.case import Case, FixedMesh
from meanfield.collective import Alone, on_root
from meanfield.errors import BrokenInvariantError, InputError, MeanfieldWarning
from meanfield.geometry.sphere import Array
from meanfield.results.checkpoint import load_checkpoint, save_checkpoint
from meanfield.results.folder import RunFolder, utc_now
from meanfield.signals import StopWish, stop_wishes
from meanfield.software import load_dolfinx, load_mpi, provenance
from meanfield.tracks import Track, make_track

__all__ = ["Result", "Watch", "run"]

Observer = Callable[[Any], None]


@dataclass(frozen=True)
class Watch:
    """An observer (what) with its schedule (when): called on every rank, with the solver.

    Attributes:
        observer: any function of the solver; it may call collective methods, but not change it.
        every: call after each so many steps; None: never by steps.
        outputs: call at the output times of the case as well (the start and the end included).

    It is called once where both are due.
    """

    observer: Observer
    every: int | None = None
    outputs: bool = True

    def __post_init__(self) -> None:
        if self.every is not None and self.every < 1:
            raise InputError(f"Watch.every = {self.every} found, 1 or more steps expected")


@dataclass(frozen=True)
class Result:
    """What a run leaves behind in memory.

    Attributes:
        t, steps: where it stopped.
        stop_reason: "end", "stationary", "wall limit", "interrupted" or "broken invariant: ...".
        series: columns of the series, (rows,) each (on rank 0; empty elsewhere).
        folder: the run folder, or None.
        timings: seconds in "set-up", "output", "other" and what the solver counts ("field", ...).
        warnings: what should be known about the result.
        solver: the solver in its last state.
    """

    t: float
    steps: int
    stop_reason: str
    series: dict[str, Array]
    folder: Path | None
    timings: dict[str, float]
    warnings: list[str]
    solver: Any = field(repr=False)


def run(
    case: Case,
    folder: str | Path | None = None,
    *,
    overwrite: bool = False,
    resume: bool = False,
    progress: bool | None = None,
    observers: Sequence[Watch] = (),
    comm: Any = None,
    announce: Callable[[], None] | None = None,
) -> Result:
    """Run a case, with or without a folder for its results. Collective.

    Ctrl-C (or SIGTERM, SIGUSR1) stops after the current step, with everything written; a second
    one stops at once. A run that stopped early can be resumed from its folder, also on another
    number of ranks. MPICH's mpiexec passes all three on and waits. Open MPI's kills its processes
    half a second after Ctrl-C, so that the last output may be what remains; ``kill -USR1`` of it,
    which it passes on, leaves them the time.

    Args:
        case: what to run.
        folder: where to leave the results; None keeps the series in memory only.
        overwrite: replace the run in the folder.
        resume: go on from the folder's checkpoint; only the title, the times and the figures of
            the case may differ from before.
        progress: a progress bar; None shows one on a terminal and plain rows elsewhere.
        observers: what else to call, and when.
        comm: an mpi4py communicator; None means the world.
        announce: called on every rank when nothing can be refused any more, before the first step.

    Raises:
        InputError: on every rank, before anything is written, if the case cannot be run.
    """
    begun = time.perf_counter()
    comm = _communicator(case, comm)
    if resume and folder is None:
        raise InputError("resume = True found without a folder, the folder of a run expected")
    if folder is not None:
        path = Path(folder)
        on_root(comm, lambda: _check_folder(case, path, overwrite, resume))

    with _collected_warnings() as notes:
        track = make_track(case, comm)
        if resume:
            _resume(case, track, Path(str(folder)))
        else:
            for text in track.initial_notes():
                warnings.warn(text, MeanfieldWarning, stacklevel=1)

        def make_records() -> _Records:
            run_folder = None
            if folder is not None:
                run_folder = RunFolder(folder) if resume else RunFolder.create(folder, overwrite)
            return _Records(case, run_folder, track, resume)

        records = on_root(comm, make_records, share=False)
        if announce is not None:
            announce()
        label = track.solver.interaction.energy_label
        shown = _Progress(progress, comm.rank == 0, track.solver.t, case.time.end, label)
        loop = _Loop(case, track, records, observers, shown, begun)
        try:
            with stop_wishes() as stop:
                reason = loop.run(stop, fresh=not resume)
                # Still deaf to a first signal: that of another rank may have been the faster one.
                return loop.finish(reason, notes)
        except BaseException as error:
            loop.abandon(error)
            raise


def _communicator(case: Case, comm: Any) -> Any:
    """The world by default; tokens and characteristics do without MPI, and without DOLFINx."""
    density = isinstance(case.solver, FixedMesh)
    if density:
        load_dolfinx()
    if comm is not None:
        return comm
    try:
        return load_mpi().COMM_WORLD
    except ImportError:
        if density:
            raise
        return Alone()


def _check_folder(case: Case, path: Path, overwrite: bool, resume: bool) -> None:
    if not resume:
        RunFolder.check(path, overwrite)
        return
    folder = RunFolder.open(path)
    if not folder.checkpoint_path.is_file():
        raise InputError(f"{path} has no checkpoint to resume from: start again with overwrite")
    conflicts = case.resume_conflicts(Case.from_toml(folder.case_path))
    if conflicts:
        raise InputError(
            f"the case differs from that of {path} in {', '.join(conflicts)}: a run that goes on "
            "may change its title, times and figures only"
        )


def _resume(case: Case, track: Track, path: Path) -> None:
    def load() -> Any:
        folder = RunFolder(path)
        track.remember(folder.read_run())
        return track.saved_state(load_checkpoint(folder.checkpoint_path))

    state = on_root(track.comm, load, share=False)
    track.solver.restore(state)
    if track.solver.t >= case.time.end:
        raise InputError(
            f"time.end = {case.time.end:g} found, but the run in {path} has reached "
            f"t = {track.solver.t:g} already: give a later end"
        )


@contextmanager
def _collected_warnings() -> Iterator[list[str]]:
    """Keep the package's own warnings for the record, and show those that the user wants to see."""
    notes: list[str] = []
    with warnings.catch_warnings():
        shown, wanted = warnings.showwarning, list(warnings.filters)
        warnings.simplefilter("always", MeanfieldWarning)

        def keep(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if not issubclass(category, MeanfieldWarning):
                shown(message, category, filename, lineno, file, line)
            elif str(message) not in notes:
                notes.append(str(message))
                with warnings.catch_warnings():
                    warnings.showwarning = shown
                    warnings.filters[:] = wanted  # type: ignore[index]  # a list, says the manual
                    warnings.warn_explicit(message, category, filename, lineno)

        warnings.showwarning = keep
        yield notes


# ------------------------------------------------------------------ what rank 0 keeps


class _Records:
    """Series, fields, checkpoints and the record of the run. On rank 0 only."""

    def __init__(self, case: Case, folder: RunFolder | None, track: Track, resume: bool) -> None:
        self.case, self.folder, self.track = case, folder, track
        self.rows: list[dict[str, float]] = []
        self._series = None
        self.about: dict[str, Any] = {}
        self._before: dict[str, Any] = {}  # what the parts before this one have recorded
        if folder is None:
            return
        ranks, t = track.comm.size, track.solver.t
        resume_at = t if resume else None
        if resume:
            self._before = folder.read_run()
            resumed = [*self._before.get("resumed", []), utc_now()]
            self.about = {**self._before, "resumed": resumed}
        self.about |= {
            **provenance(),
            "ranks": ranks,
            "seed": case.seed,
            "started": self.about.get("started", utc_now()),
            "ended": None,
            "stop_reason": None,
            **track.about(),
        }
        folder.write_case(case)
        folder.write_run(self.about)
        folder.log(f"{'resumed at' if resume else 'started at'} t = {t:g} on {ranks} ranks")
        self._series = folder.series(track.columns, resume_at)
        track.open(folder, resume_at)

    def add_row(self, row: dict[str, float]) -> None:
        if self._series is not None:
            self._series.write(row)
        self.rows.append(row)

    def add_fields(self, t: float, snapshot: Any) -> None:
        if self.folder is not None:
            self.track.write(t, snapshot)

    def save(self, state: Any) -> None:
        if self.folder is not None:
            values = {k: v for k, v in asdict(state).items() if v is not None}
            save_checkpoint(self.folder.checkpoint_path, **values)

    def log(self, line: str) -> None:
        if self.folder is not None:
            self.folder.log(line)

    def close(self, about: dict[str, Any]) -> None:
        """Write down how it ended, and draw. Changes ``about``: pictures take time and may fail."""
        if self.folder is None:
            return
        self._close_files()
        # A run that is ended while it draws has ended well before.
        self._write_end(about)
        self.folder.log(f"stopped: {about['stop_reason']}, t = {about['t']:g}")
        if self.case.output.figures:
            from meanfield.results.plots import make_figures

            start = time.perf_counter()
            try:
                pictures = make_figures(self.folder)
                about["figures"] = [picture.name for picture in pictures]
            except Exception as error:  # a picture that fails must not lose the run
                text = f"the figures could not be drawn: {error}"
                about["warnings"].append(text)
                warnings.warn(text, MeanfieldWarning, stacklevel=1)
            about["timings"]["output"] += time.perf_counter() - start
            self._write_end(about)

    def abandon(self, error: BaseException) -> None:
        """Close the files after an error that the loop does not know."""
        if self.folder is None:
            return
        self._close_files()
        if self.about.get("stop_reason") is None:
            what = f"failed: {type(error).__name__}: {error}".rstrip(": ")
            if isinstance(error, KeyboardInterrupt):
                what = "interrupted"  # for the second time: not even this step was finished
            self.about |= {"stop_reason": what, "ended": utc_now()}
            self.folder.write_run(self.about)
            self.folder.log(what)

    def _close_files(self) -> None:
        if self._series is not None:
            self._series.close()
        self.track.close()

    def _write_end(self, about: dict[str, Any]) -> None:
        """Write run.json, with the parts of the run before the last resumption counted in."""
        assert self.folder is not None
        timings, notes = self._before.get("timings") or {}, self._before.get("warnings") or []
        self.about |= about
        self.about["ended"] = utc_now()
        self.about["timings"] = {k: v + timings.get(k, 0.0) for k, v in about["timings"].items()}
        self.about["warnings"] = list(dict.fromkeys([*notes, *about["warnings"]]))
        self.folder.write_run(self.about)

    def series(self) -> dict[str, Array]:
        if self.folder is not None:
            return self.folder.read_series()
        return {name: np.array([row[name] for row in self.rows]) for name in self.track.columns}


class _Progress:
    """A bar on a terminal, a row at each output elsewhere. Silent on ranks above 0."""

    def __init__(
        self, wanted: bool | None, root: bool, begin: float, end: float, energy: str
    ) -> None:
        terminal = sys.stderr.isatty()
        self._energy = energy  # how it is written
        self._rows = root and wanted is None and not terminal
        self._bar: Any = None
        self._end = end
        if root and (wanted or (wanted is None and terminal)):
            self._bar = tqdm(
                initial=begin,
                total=end,
                unit="t",
                bar_format="{percentage:3.0f}% |{bar}| t = {n:.4g}/{total:.4g} "
                "[{elapsed}<{remaining}{postfix}]",
                file=sys.stderr,
                leave=True,
            )

    def step(self, solver: Any, row: dict[str, float] | None) -> None:
        """After every step, with the last row of the series (nothing is computed for this)."""
        if self._bar is None:
            return
        text = f"dt = {solver.dt:.2g}"
        if row is not None:
            text += f", {self._energy} = {row['energy_scaled']:.5g}"
            what, name = ("max rho", "rho_max") if "rho_max" in row else ("|m|", "mean_norm")
            text += f", {what} = {row[name]:.3g}"
        self._bar.n = min(solver.t, self._end)
        self._bar.set_postfix_str(text, refresh=False)
        self._bar.update(0)

    def output(self, row: dict[str, float]) -> None:
        """After every output."""
        if not self._rows:
            return
        text = (
            f"t = {row['t']:<9.6g} step {int(row['step']):<7d} dt = {row['dt']:<9.3g} "
            f"{self._energy} = {row['energy_scaled']:<11.8g} |m| = {row['mean_norm']:<9.6g} "
        )
        if "rho_max" in row:
            text += f"max rho = {row['rho_max']:<9.4g} "
        text += f"clusters {int(row['clusters'])}"
        sys.stderr.write(text + "\n")  # one call: lines of several processes stay whole
        sys.stderr.flush()

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


# ------------------------------------------------------------------ the loop


class _Loop:
    """One run: steps from output to output, and what is due in between."""

    def __init__(
        self,
        case: Case,
        track: Track,
        records: _Records | None,
        observers: Sequence[Watch],
        progress: _Progress,
        begun: float,
    ) -> None:
        self.case, self.track, self.records = case, track, records
        self.solver = track.solver
        self.observers, self.progress, self.begun = observers, progress, begun
        self.output_seconds = 0.0
        self._landed = -math.inf  # time of the last output
        self._good: Any = None  # the state at that time, on rank 0
        self._last_row: dict[str, float] | None = None
        self._observed: list[float | None] = [None] * len(observers)  # when each was called last
        # Observers may be on some ranks only.
        comm = track.comm
        self._watched = any(comm.allgather(bool(observers)) if comm.size > 1 else observers)
        self._before = dict(self.solver.timings)
        self.setup_seconds = time.perf_counter() - begun

    def run(self, stop: StopWish, fresh: bool) -> str:
        """Advance to the end, or to the first reason to stop; returns the reason."""
        solver, case = self.solver, self.case
        try:
            if fresh:
                self._output()
            else:
                self._landed, self._good = solver.t, solver.state()
            for target in case.output_times():
                if target <= solver.t:
                    continue
                while solver.t < target:
                    reason = self._reason_to_stop(stop)
                    if reason:
                        return self._stopped(reason)
                    solver.advance(target)
                    self._after_step()
                self._output()
        except BrokenInvariantError as error:
            return self._broken(error)
        return "end"

    def _reason_to_stop(self, stop: StopWish) -> str:
        solver, limits = self.solver, self.case.time
        late = limits.wall_limit is not None and (
            time.perf_counter() - self.begun > limits.wall_limit
        )
        # Ranks are signalled, and their clocks run, each on its own: they decide together.
        asked, over = float(stop.asked), float(late)
        if self.track.comm.size > 1:
            asked, over = np.max(self.track.comm.allgather((asked, over)), axis=0)
        if asked:
            return "interrupted"
        if over:
            return "wall limit"
        if (
            limits.stationary is not None
            and (solver.step % limits.series_every == 0 or solver.t == self._landed)
            and self.track.speed() < limits.stationary
        ):
            return "stationary"
        return ""

    def _stopped(self, reason: str) -> str:
        if self.solver.t > self._landed:  # between outputs
            self._output()
        return reason

    def _broken(self, error: BrokenInvariantError) -> str:
        """Keep the last good state: the one before the step, or else the last one written."""
        if not math.isfinite(self._landed):
            raise error
        try:
            self.track.check()
            self._stopped("")
        except BrokenInvariantError:
            self.solver.restore(self._good)
        return f"broken invariant: {error}"

    def _after_step(self) -> None:
        solver = self.solver
        self.progress.step(solver, self._last_row)
        if solver.step % self.case.time.series_every == 0:
            self._row()
        self._observe(lambda watch: watch.every is not None and solver.step % watch.every == 0)

    def _observe(self, due: Callable[[Watch], bool]) -> None:
        """Call the observers that are due, none of them twice at the same time."""
        for k, watch in enumerate(self.observers):
            if due(watch) and self._observed[k] != self.solver.t:
                self._observed[k] = self.solver.t
                watch.observer(self.solver)
        if self._watched:  # a mistake of theirs must not reach the solver
            self.track.check()

    def _row(self) -> dict[str, float]:
        """A row of the series, unless there is one at this time; returns it. Collective."""
        solver = self.solver
        if self._last_row is not None and solver.t <= self._last_row["t"]:
            return self._last_row
        with self._output_clock():
            self.track.check()
            row = self.track.row()
            records = self.records
            on_root(
                self.track.comm,
                lambda: records.add_row(row) if records is not None else None,
                share=False,
            )
            self._last_row = row
        return row

    @contextmanager
    def _output_clock(self) -> Iterator[None]:
        """Count the time within as output, except for what the solver counts as its own."""
        solver, start = self.solver, time.perf_counter()
        before = sum(solver.timings.values())
        try:
            yield
        finally:
            own = sum(solver.timings.values()) - before
            self.output_seconds += time.perf_counter() - start - own

    def _output(self) -> None:
        """Everything that is due at an output time. Collective."""
        self.track.check()  # also if there is a row already
        row = self._row()
        with self._output_clock():
            self._write(row)
            self._observe(lambda watch: watch.outputs)
            self.progress.output(row)

    def _write(self, row: dict[str, float]) -> None:
        """Fields, checkpoint and a line of the log. Collective."""
        solver, records = self.solver, self.records
        snapshot = self.track.snapshot()
        state, label = solver.state(), solver.interaction.energy_label

        def write() -> None:
            assert records is not None
            records.add_fields(solver.t, snapshot)
            records.save(state)
            records.log(
                f"t = {solver.t:.8g}, step {solver.step}, dt = {solver.dt:.3g}, "
                f"{label} = {row['energy_scaled']:.10g}, mass - 1 = {row['mass'] - 1:.1e}"
            )

        on_root(self.track.comm, write, share=False)
        self._landed, self._good = solver.t, state

    def abandon(self, error: BaseException) -> None:
        """Let go of everything after an error. Not collective."""
        self.progress.close()
        if self.records is not None:
            with suppress(Exception):  # the first error is the one to tell
                self.records.abandon(error)

    def finish(self, reason: str, notes: list[str]) -> Result:
        """Close all files and put the result together. Collective."""
        solver, records = self.solver, self.records
        self.progress.close()
        outcome, texts = self.track.outcome()
        for text in texts:
            warnings.warn(text, MeanfieldWarning, stacklevel=1)
        seconds = time.perf_counter() - self.begun
        timings = {
            "set-up": self.setup_seconds,
            **{k: v - self._before[k] for k, v in solver.timings.items()},
            "output": self.output_seconds,
        }
        timings["other"] = max(0.0, seconds - sum(timings.values()))
        about = {
            "t": solver.t,
            "steps": solver.step,
            "stop_reason": reason,
            "timings": timings,
            "warnings": list(notes),
            **outcome,
        }

        def close() -> dict[str, Array]:
            assert records is not None
            records.close(about)
            return records.series()

        series = on_root(self.track.comm, close, share=False) or {}
        return Result(
            t=solver.t,
            steps=solver.step,
            stop_reason=reason,
            series=series,
            folder=None if records is None or records.folder is None else records.folder.path,
            timings=timings,
            warnings=list(notes),
            solver=solver,
        )
