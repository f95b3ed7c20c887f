"""From a case to a result: set-up, the loop, and what can be refused before it.

Owns the order of things; what is computed belongs to the solver, what is measured to columns, what
is written to tracks and records. Everything here runs on every rank; rank 0 writes the files.
"""

from __future__ import annotations

import math
import os
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TextIO

from meanfield.analysis.columns import ADDED, RETIRED
from meanfield.arguments import checked_arguments
from meanfield.case import Case, FixedMesh, GivenCase, Layers, as_case
from meanfield.collective import Alone, Communicator, everywhere, on_root, refuse_different
from meanfield.dynamics.lagrangian import LagrangianSolver
from meanfield.dynamics.solver import State
from meanfield.errors import InputError, MeanfieldWarning
from meanfield.geometry.laws import Uniform
from meanfield.geometry.laws.recorded import RecordedLaw
from meanfield.geometry.threads import share_cpus
from meanfield.results.folder import RunFolder
from meanfield.results.formats import format_named
from meanfield.results.series import Changed, Series, check_columns
from meanfield.runs.live import Live
from meanfield.runs.loop import Loop
from meanfield.runs.observers import Observers, Watches
from meanfield.runs.progress import Progress
from meanfield.runs.records import Records
from meanfield.runs.restart import Restart, before, find_restart
from meanfield.runs.result import Result
from meanfield.runs.tracks import Track, make_track
from meanfield.signals import act_on, stop_wishes
from meanfield.software import load_dolfinx, load_mpi

__all__ = ["run"]


_MOST_AT_RISK = 50.0
"""Seconds between checkpoints of several ranks, at most: launchers do not pass every signal on, and
some end their processes before these can save anything."""


@checked_arguments
def run(
    case: GivenCase,
    folder: str | os.PathLike[str] | None = None,
    *,
    overwrite: bool = False,
    resume: bool = False,
    progress: bool | None = None,
    observers: Observers = (),
    comm: Communicator | None = None,
    announce: Callable[[], None] | None = None,
) -> Result:
    """Run a case, with or without a folder for its results. Collective.

    Ctrl-C (SIGINT), SIGTERM, SIGHUP, SIGQUIT and SIGUSR1 stop after the current step, with
    everything written; a second one stops at once. After Ctrl-C and SIGUSR1 this returns; the
    others then do what they do without it, such as to end the process. A run that stopped early
    can be resumed from its folder, also on another number of ranks.

    Args:
        case: what to run: a case, the path of its file, or its table.
        folder: where to leave the results; None keeps the series in memory only.
        overwrite: replace the run in the folder.
        resume: go on from its checkpoint; only title, times and figures of the case may differ.
        progress: a progress bar; None shows one on a terminal and plain rows elsewhere.
        observers: ``Watch(who, when)``; a function of the solver or an ``Observer``: at outputs.
        comm: an mpi4py communicator; None means the world.
        announce: called on every rank when nothing can be refused any more, before the first step.

    Raises:
        InputError: on every rank, before anything is written, if the case cannot be run.

    >>> mf.run("clustering.toml", "results/first").stop_reason
    'end'
    """
    begun = time.perf_counter()
    comm = _world() if comm is None else comm
    share_cpus(comm)
    case = everywhere(comm, partial(_loaded, case))
    place = _Place(None if folder is None else Path(folder), overwrite, resume)
    refuse_different(comm, f"{case.to_toml()}\n{place}", "the case")
    with _collected_warnings() as notes, _claimed(comm, place):
        on_root(comm, lambda: place.check(case), share=False)
        watches, track = Watches(observers, comm), make_track(_to_build(case), comm, resume)
        records = _begin(case, track, watches, place, notes)
        shown = Progress(progress, comm.rank == 0, track.solver, case.time.end)
        loop = Loop(case, track, records, watches, shown, begun, place.saving(case, comm.size))
        try:
            everywhere(comm, announce or (lambda: None))
            shown.start()
            with stop_wishes() as stop:
                reason = loop.run(stop, fresh=not resume)
                # Still deaf to a first signal: that of another rank may have been the faster one.
                series = loop.finish(reason, notes)
        except BaseException as error:
            loop.abandon(error)
            raise
    number = loop.signal or stop.number  # which came too late to stop it
    act_on(number)  # which may end the process, as it would have without this run
    ended = (reason, Series(series), loop.timings, list(notes), number)
    return _result(case, track, place, *ended)


def _result(
    case: Case, track: Track, place: _Place, reason: str, series: Series, timings: dict[str, float],
    notes: list[str], number: int,
) -> Result:  # fmt: skip
    """What the run leaves behind on this rank."""
    return Result(
        t=track.solver.t,
        steps=track.solver.step,
        stop_reason=reason,
        series=series,
        folder=place.path if track.comm.rank == 0 else None,
        timings=timings,
        warnings=notes,
        signal=number,
        live=Live(case, track, place.path),
    )


@dataclass
class _Place:
    """Where a run leaves its results, and how it begins there.

    Attributes:
        path: the folder, or None.
        overwrite, resume: as for ``run``.
        restart: what it goes on from; set by ``check``, on rank 0.
    """

    path: Path | None
    overwrite: bool
    resume: bool
    restart: Restart | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.resume and self.path is None:
            raise InputError("resume = True found without a folder, the folder of a run expected")

    def saving(self, case: Case, ranks: int) -> float:
        """Seconds after which a checkpoint is due; inf: only at outputs."""
        minutes = 0.0 if self.path is None else case.output.checkpoint_minutes
        most = _MOST_AT_RISK if ranks > 1 else math.inf
        return min(60.0 * minutes, most) if minutes else math.inf

    def check(self, case: Case) -> None:
        """Refuse what can be refused before anything is built. Rank 0 only."""
        needed = not self.resume or case.output.mesh == "fixed"
        if needed and isinstance(case.initial, RecordedLaw):
            case.initial.refuse()
        if self.path is None:
            return
        format_named(case.output.format)  # may want a library that is missing
        if self.resume:
            self.restart = find_restart(case, RunFolder.open(self.path))
        else:
            RunFolder.check(self.path, self.overwrite)

    def folder(self) -> RunFolder | None:
        """The folder, made if it is a new run's. Rank 0 only."""
        if self.path is None:
            return None
        return RunFolder(self.path) if self.resume else RunFolder.create(self.path, self.overwrite)


@contextmanager
def _claimed(comm: Communicator, place: _Place) -> Iterator[None]:
    """Let nobody else write in the folder. Collective at the beginning."""
    with ExitStack() as stack:

        def claim() -> None:
            if place.path is None:
                return
            if place.resume:
                RunFolder.open(place.path)  # or it would be made
            stack.enter_context(RunFolder.claimed(place.path, "run"))

        on_root(comm, claim, share=False)
        yield


def _to_build(case: Case) -> Case:
    """The case with a law, if only any: where its own is not known, the state stands in for it."""
    if isinstance(case.initial, RecordedLaw):
        return replace(case, initial=Uniform(case.geometry.d))
    return case


def _begin(
    case: Case, track: Track, watches: Watches, place: _Place, notes: Sequence[str]
) -> Records | None:
    """The state at the beginning, and on rank 0 the records of the run. Collective."""
    watches.fit(track.columns, track.view())
    if isinstance(case.solver, Layers):
        asked = tuple(t for t in watches.within(case.output_times()) if 0.0 < t < case.time.end)
        case.solver.refuse_times(asked, case.model, "AtTimes.times")
    names = [column.name for column in (*track.columns, *watches.columns)]
    if place.resume:
        _resume(case, track, place, names)
    else:
        for text in track.initial_notes():
            warnings.warn(text, MeanfieldWarning, stacklevel=1)
    return on_root(
        track.comm,
        lambda: Records(case, place.folder(), track, names, notes, place.restart),
        share=False,
    )


def _world() -> Communicator:
    """All ranks; tokens and characteristics do without MPI."""
    try:
        world: Communicator = load_mpi().COMM_WORLD
        return world
    except ImportError:
        return Alone()


def _loaded(given: GivenCase) -> Case:
    """The case, when what it runs with is here, too."""
    case = as_case(given)
    if isinstance(case.solver, FixedMesh):
        load_dolfinx()
    return case


def _resume(case: Case, track: Track, place: _Place, names: Sequence[str]) -> None:
    """Go back to the state of the checkpoint, which rank 0 has. Collective."""
    solver = track.solver

    def is_closed() -> bool:
        assert place.path is not None
        return RunFolder(place.path).read_run().get("stop_reason") == "end"

    def load() -> State:
        assert place.path is not None and place.restart is not None
        folder = RunFolder(place.path)
        check_columns(folder.series_path, names, Changed(RETIRED, ADDED))
        for text in place.restart.notes:
            warnings.warn(text, MeanfieldWarning, stacklevel=1)
        track.remember(before(folder, place.restart))
        return solver.state_kind.from_values(place.restart.values)

    solver.restore(on_root(track.comm, load, share=False))
    if isinstance(case.initial, RecordedLaw) and isinstance(solver, LagrangianSolver):
        solver.density = case.initial.density  # which tells why it is not known
    for text in track.restored():
        warnings.warn(text, MeanfieldWarning, stacklevel=1)
    # Killed after its last step, it has yet to be closed.
    if solver.t > case.time.end or (solver.t == case.time.end and on_root(track.comm, is_closed)):
        raise InputError(
            f"time.end = {case.time.end:g} found, but the run in {place.path} has reached "
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
