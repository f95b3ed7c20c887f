"""From a case to a result: set-up, the loop, and what can be refused before it.

Owns the order of things; what is computed belongs to the solver, what is measured to columns, what
is written to tracks and records. Everything here runs on every rank; rank 0 writes the files.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from meanfield.case import Case, FixedMesh
from meanfield.collective import Alone, Communicator, on_root
from meanfield.dynamics.solver import Solver, State
from meanfield.errors import InputError, MeanfieldWarning
from meanfield.geometry.sphere import Array
from meanfield.results.checkpoint import load_checkpoint
from meanfield.results.folder import RunFolder
from meanfield.results.series import check_columns
from meanfield.runs.loop import Loop
from meanfield.runs.observers import Observer, Watch, Watches
from meanfield.runs.progress import Progress
from meanfield.runs.records import Records
from meanfield.runs.tracks import Track, make_track
from meanfield.signals import stop_wishes
from meanfield.software import load_dolfinx, load_mpi

__all__ = ["Result", "run"]


@dataclass(frozen=True)
class Result:
    """What a run leaves behind in memory.

    Attributes:
        t, steps: where it stopped.
        stop_reason: "end", "stationary", "wall limit", "interrupted", "broken invariant: ...", or
            what an observer has ended it with.
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
    solver: Solver = field(repr=False)


def run(
    case: Case,
    folder: str | Path | None = None,
    *,
    overwrite: bool = False,
    resume: bool = False,
    progress: bool | None = None,
    observers: Sequence[Watch | Observer | Callable[[Solver], object]] = (),
    comm: Communicator | None = None,
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
        observers: who else looks at the run: ``Watch(who, when)``, or a function of the solver or
            an ``Observer``, which are then called at the output times.
        comm: an mpi4py communicator; None means the world.
        announce: called on every rank when nothing can be refused any more, before the first step.

    Raises:
        InputError: on every rank, before anything is written, if the case cannot be run.
    """
    begun = time.perf_counter()
    comm = _communicator(case, comm)
    if resume and folder is None:
        raise InputError("resume = True found without a folder, the folder of a run expected")
    where = None if folder is None else Path(folder)
    if where is not None:
        on_root(comm, lambda: _check_folder(case, where, overwrite, resume))
    with _collected_warnings() as notes:
        watches, track = Watches(observers, comm), make_track(case, comm)
        records = _begin(case, track, watches, where, overwrite, resume)
        if announce is not None:
            announce()
        solver = track.solver
        label = solver.interaction.energy_label
        shown = Progress(progress, comm.rank == 0, solver.t, case.time.end, label)
        loop = Loop(case, track, records, watches, shown, begun)
        try:
            with stop_wishes() as stop:
                reason = loop.run(stop, fresh=not resume)
                # Still deaf to a first signal: that of another rank may have been the faster one.
                series = loop.finish(reason, notes)
        except BaseException as error:
            loop.abandon(error)
            raise
    folder = where if comm.rank == 0 else None
    return Result(solver.t, solver.step, reason, series, folder, loop.timings, list(notes), solver)


def _begin(
    case: Case, track: Track, watches: Watches, path: Path | None, overwrite: bool, resume: bool
) -> Records | None:
    """The state at the beginning, and on rank 0 the records of the run. Collective."""
    watches.fit(track.columns, track.view())
    names = [column.name for column in (*track.columns, *watches.columns)]
    if resume:
        assert path is not None
        _resume(case, track, path, names)
    else:
        for text in track.initial_notes():
            warnings.warn(text, MeanfieldWarning, stacklevel=1)

    def make_records() -> Records:
        folder = None
        if path is not None:
            folder = RunFolder(path) if resume else RunFolder.create(path, overwrite)
        return Records(case, folder, track, names, resume)

    return on_root(track.comm, make_records, share=False)


def _communicator(case: Case, comm: Communicator | None) -> Communicator:
    """The world by default; tokens and characteristics do without MPI, and without DOLFINx."""
    density = isinstance(case.solver, FixedMesh)
    if density:
        load_dolfinx()
    if comm is not None:
        return comm
    try:
        world: Communicator = load_mpi().COMM_WORLD
        return world
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


def _resume(case: Case, track: Track, path: Path, names: Sequence[str]) -> None:
    solver = track.solver

    def load() -> State:
        folder = RunFolder(path)
        check_columns(folder.series_path, names)
        track.remember(folder.read_run())
        return solver.state_kind.from_values(load_checkpoint(folder.checkpoint_path))

    solver.restore(on_root(track.comm, load, share=False))
    if solver.t >= case.time.end:
        raise InputError(
            f"time.end = {case.time.end:g} found, but the run in {path} has reached "
            f"t = {solver.t:g} already: give a later end"
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
