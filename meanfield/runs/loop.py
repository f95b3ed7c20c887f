"""The time loop: from output to output, what is due in between, and why it ends.

Knows solvers, observers and records by what they offer; nothing of how any of them works.
"""

from __future__ import annotations

import bisect
import math
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from meanfield.analysis.columns import row_of
from meanfield.case import Case
from meanfield.collective import max_over_ranks, on_root
from meanfield.dynamics.solver import Solver, State
from meanfield.dynamics.sweep import at_most_threads
from meanfield.errors import BrokenInvariantError, MeanfieldWarning
from meanfield.geometry.sphere import Array
from meanfield.runs.observers import Watches
from meanfield.runs.progress import Progress
from meanfield.runs.records import Records
from meanfield.runs.tracks import Track
from meanfield.signals import StopWish, ends_process

__all__ = ["Loop"]


class Loop:
    """One run: steps from output to output, and what is due in between. Collective.

    Args:
        case: what is run.
        track: the solver, and what is measured and written of it.
        records: what rank 0 keeps (None elsewhere).
        watches: the observers.
        progress: what is shown.
        begun: when all this began (``time.perf_counter``).
        saving: seconds after which a checkpoint is due; inf: at outputs only.

    Attributes:
        signal: the number of the signal that has interrupted it, or 0.
        timings: after ``finish``: seconds in "set-up", "output", "other" and what the solver
            counts.
    """

    def __init__(
        self,
        case: Case,
        track: Track,
        records: Records | None,
        watches: Watches,
        progress: Progress,
        begun: float,
        saving: float = math.inf,
    ) -> None:
        self.case, self.track, self.records = case, track, records
        self.solver: Solver = track.solver
        self.watches, self.progress, self.begun = watches, progress, begun
        self.timings: dict[str, float] = {}
        self.signal = 0
        self._saving, self._saved = saving, time.perf_counter()
        self._landings = watches.within(case.output_times())
        self._output_seconds = 0.0
        self._landed = -math.inf  # time of the last output
        self._good: State | None = None  # the state at that time, on rank 0
        self._last_row: dict[str, float] | None = None
        self._ended = ""  # why an observer has ended the run
        self._before = dict(self.solver.timings)
        self._setup_seconds = time.perf_counter() - begun

    def run(self, stop: StopWish, fresh: bool) -> str:
        """Advance to the end, or to the first reason to stop; returns the reason."""
        with at_most_threads(self.solver.threads):  # once, and not in every step
            return self._run(stop, fresh)

    def _run(self, stop: StopWish, fresh: bool) -> str:
        solver = self.solver
        try:
            self.watches.initialise(self.track.view())
            if fresh:
                self._output()
            else:
                self._go_on()
            for target in self.case.output_times():
                if target <= solver.t:
                    continue
                while solver.t < target:
                    reason = self._reason_to_stop(stop)
                    if reason:
                        return self._stopped(reason)
                    solver.advance(min(target, self._next_watched()))
                    self._after_step()
                self._output()
        except BrokenInvariantError as error:
            return self._broken(error)
        return self._ended or "end"

    def _go_on(self) -> None:
        """Take over what is in the folder, which may be behind the state. Collective."""
        records = self.records
        known = on_root(
            self.track.comm, lambda: (None, None) if records is None else records.standing
        )
        assert known is not None
        written, self._last_row = known
        self._landed = self.solver.t if written is None else written
        self._good = self.solver.state()

    def _next_watched(self) -> float:
        """The next time on which an observer wants the run to land."""
        times = self._landings
        k = bisect.bisect_right(times, self.solver.t)
        return times[k] if k < len(times) else math.inf

    def _reason_to_stop(self, stop: StopWish) -> str:
        solver, limits, now = self.solver, self.case.time, time.perf_counter()
        late = limits.wall_limit is not None and now - self.begun > limits.wall_limit
        due = now - self._saved > self._saving
        # Ranks are signalled, and their clocks run, each on its own: they decide together.
        asked, over, save = max_over_ranks(
            self.track.comm, float(stop.number), float(late), float(due)
        )
        if asked or save:
            self._save()  # who has asked may not wait for fields and pictures
        if asked:
            self.signal = int(asked)
            return "interrupted"
        if over:
            return "wall limit"
        if self._ended:
            return self._ended
        if (
            limits.stationary is not None
            and (solver.step % limits.series_every == 0 or solver.t == self._landed)
            and not solver.may_change
            and solver.speed() < limits.stationary
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
            self.solver.check()
            self._stopped("")
        except BrokenInvariantError:
            self.solver.restore(self._good)
        return f"broken invariant: {error}"

    def _after_step(self) -> None:
        self.progress.step(self.solver, self._last_row)
        if self.solver.step % self.case.time.series_every == 0:
            self._row()
        self._observe(output=False)

    def _observe(self, output: bool) -> None:
        if self.watches.any:
            self._ended = self.watches.handle(self.track.view(), output) or self._ended

    def _row(self) -> dict[str, float]:
        """A row of the series, unless there is one at this time; returns it. Collective."""
        solver, records = self.solver, self.records
        if self._last_row is not None and solver.t <= self._last_row["t"]:
            return self._last_row
        with self._output_clock():
            solver.check()
            view = self.track.view()
            view.previous = self._last_row
            row = row_of(self.track.columns, view) | self.watches.row(view)
            self.track.note()
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
            self._output_seconds += time.perf_counter() - start - own

    def _output(self) -> None:
        """Everything that is due at an output time. Collective."""
        self.solver.check()  # also if there is a row already
        row = self._row()
        with self._output_clock():
            self._write(row)
            self._observe(output=True)
            self.progress.output(row)

    def _save(self) -> None:
        """A checkpoint between outputs. Collective."""
        if self.solver.t > self._landed:
            with self._output_clock():
                self.solver.check()
                state, records = self.solver.state(), self.records
                on_root(
                    self.track.comm,
                    lambda: records.add_checkpoint(state) if records is not None else None,
                    share=False,
                )
        self._saved = time.perf_counter()

    def _write(self, row: dict[str, float]) -> None:
        """Fields, checkpoint and a line of the log. Collective."""
        solver, records = self.solver, self.records
        write_fields, state = self.track.gathered(), solver.state()
        line = f"t = {solver.t:.8g}, step {solver.step}, dt = {solver.dt:.3g}, "
        if "energy_scaled" in row:
            line += f"{solver.interaction.energy_label} = {row['energy_scaled']:.10g}, "
        line += f"mass - 1 = {row['mass'] - 1:.1e}"

        def write() -> None:
            assert records is not None
            records.add_output(write_fields, state, line)

        on_root(self.track.comm, write, share=False)
        self._landed, self._good = solver.t, state
        self._saved = time.perf_counter()

    def abandon(self, error: BaseException) -> None:
        """Let go of everything after an error. Not collective."""
        self.progress.close()
        reason = f"failed: {type(error).__name__}: {error}".rstrip(": ")
        if isinstance(error, KeyboardInterrupt):
            reason = "interrupted"  # for the second time: not even this step was finished
        with suppress(Exception):  # the first error is the one to tell
            self.watches.finalise(self.track.view(), reason)
        if self.records is not None:
            with suppress(Exception):
                self.records.abandon(reason)

    def finish(self, reason: str, notes: list[str]) -> dict[str, Array]:
        """Close all files; returns the series (on rank 0). Collective.

        ``notes``: the warnings so far, in which those of the end will be.
        """
        solver, records = self.solver, self.records
        self.progress.close()
        if reason == "end":
            self.track.conclude()
        outcome, texts = self.track.outcome()
        for text in [*texts, *self.watches.finalise(self.track.view(), reason)]:
            warnings.warn(text, MeanfieldWarning, stacklevel=1)
        seconds = time.perf_counter() - self.begun
        self.timings = timings = {
            "set-up": self._setup_seconds,
            **{k: v - self._before.get(k, 0.0) for k, v in solver.timings.items()},
            "output": self._output_seconds,
        }
        timings["other"] = max(0.0, seconds - sum(timings.values()))
        about = {"t": solver.t, "steps": solver.step, "stop_reason": reason, **outcome}

        def close() -> dict[str, Array]:
            assert records is not None
            hurry = ends_process(self.signal)
            records.close(about, timings, list(notes), draw=not hurry)
            return records.series()

        return on_root(self.track.comm, close, share=False) or {}
