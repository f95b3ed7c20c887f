"""Who looks at a run (observers), and when (schedules).

Owns the order in which they are asked, what they may do to a run (add columns, end it), and that
all ranks agree on it. Knows states by their view; nothing of files.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from meanfield.analysis.columns import Column, View
from meanfield.collective import Communicator
from meanfield.dynamics.solver import Solver
from meanfield.errors import InputError
from meanfield.options import Numbers, checked

__all__ = [
    "AtOutputs",
    "AtTimes",
    "EverySteps",
    "Observer",
    "Schedule",
    "Watch",
    "Watches",
]


class Schedule(ABC):
    """When an observer is called; ``a | b``: whenever either says so.

    Attributes:
        times: at which a run lands for it, beside its output times.
    """

    times: tuple[float, ...] = ()

    @abstractmethod
    def due(self, t: float, step: int, output: bool) -> bool:
        """Whether to call at this time, after so many steps; ``output``: at an output time."""

    def __or__(self, other: Schedule) -> Schedule:
        return _Either(self, other)


@dataclass(frozen=True)
class AtOutputs(Schedule):
    """At the output times of the case, the start and the end included."""

    def due(self, t: float, step: int, output: bool) -> bool:
        return output


@dataclass(frozen=True)
class EverySteps(Schedule):
    """After each so many steps of the solver.

    Args:
        steps: 1 or more.
    """

    steps: int = 1

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise InputError(f"EverySteps({self.steps}) found, 1 or more steps expected")

    def due(self, t: float, step: int, output: bool) -> bool:
        return step > 0 and step % self.steps == 0


class AtTimes(Schedule):
    """At given times, on which the steps of the run then end exactly.

    Args:
        times: finite; those before the start or after the end are not met.
    """

    def __init__(self, times: Iterable[float]) -> None:
        good: tuple[float, ...] = checked("AtTimes.times", Numbers, list(times))  # type: ignore[assignment]
        self.times = tuple(sorted(good))

    def due(self, t: float, step: int, output: bool) -> bool:
        return t in self.times


class _Either(Schedule):
    def __init__(self, first: Schedule, second: Schedule) -> None:
        self._parts = (first, second)
        self.times = tuple(sorted({*first.times, *second.times}))

    def due(self, t: float, step: int, output: bool) -> bool:
        return any(part.due(t, step, output) for part in self._parts)


class Observer:
    """Looks at a run: a child overrides what it needs. Called on every rank that has it.

    It is given a view of the state (``mean``, ``clusters``, ``field``, ..., and the ``solver``). It
    may ask what is collective (then on all ranks), but not change the solver.

    Attributes:
        columns: to be added to the series; their names must be new ones, and the same on all ranks.
    """

    columns: tuple[Column, ...] = ()

    def initialise(self, view: View) -> None:
        """Before the first step, or the first one after a resumption."""

    def handle(self, view: View) -> str | None:
        """Whenever it is due. A text ends the run, as its ``stop_reason``.

        Raises:
            BrokenInvariantError: the run has failed; it ends in its last good state.
        """
        return None

    def finalise(self, view: View, reason: str) -> None:
        """When the run is over, whatever the reason; after an error on the ranks that see it."""


class _Plain(Observer):
    """A function of the solver as an observer; a text that it returns ends the run."""

    def __init__(self, function: Callable[[Solver], object]) -> None:
        self._function = function

    def handle(self, view: View) -> str | None:
        said = self._function(view.solver)
        return said if isinstance(said, str) else None


@dataclass(frozen=True)
class Watch:
    """An observer (what) with its schedule (when): called once where several things are due.

    Attributes:
        observer: an ``Observer``, or any function of the solver.
        when: ``AtOutputs()``, ``EverySteps(n)``, ``AtTimes([...])``, or several, joined by ``|``.
    """

    observer: Observer | Callable[[Solver], object]
    when: Schedule = AtOutputs()


class Watches:
    """All observers of a run, on this rank and on the others. Collective.

    Args:
        given: of this rank; a function or an ``Observer`` without schedule is called at outputs.
        comm: the ranks, which may have different ones.

    Attributes:
        columns: of all of them.
        times: at which the run has to land.

    Raises:
        InputError: columns that are not the same on all ranks. On every rank.
    """

    def __init__(
        self,
        given: Sequence[Watch | Observer | Callable[[Solver], object]],
        comm: Communicator,
    ) -> None:
        watches = [one if isinstance(one, Watch) else Watch(one) for one in given]
        for watch in watches:
            if not (isinstance(watch.observer, Observer) or callable(watch.observer)):
                raise InputError(f"observer {watch.observer!r} found, a function expected")
        self._observers = [
            one.observer if isinstance(one.observer, Observer) else _Plain(one.observer)
            for one in watches
        ]
        self._when = [watch.when for watch in watches]
        self._seen: list[float | None] = [None] * len(watches)  # when each was called last
        self._comm = comm
        self.columns = tuple(c for one in self._observers for c in one.columns)
        own = tuple(t for when in self._when for t in when.times)
        names = tuple(column.name for column in self.columns)
        everywhere = comm.allgather((bool(watches), own, names))
        if len({ranks_names for _, _, ranks_names in everywhere}) > 1:
            raise InputError(
                "observers with other columns on other ranks found, the same on all expected"
            )
        self.any = any(some for some, _, _ in everywhere)
        self.times = tuple(sorted({t for _, times, _ in everywhere for t in times}))

    def initialise(self, view: View) -> None:
        """Before the first step."""
        for observer in self._observers:
            observer.initialise(view)

    def handle(self, view: View, output: bool) -> str:
        """Ask those that are due, none of them twice at one time; the reason to end, or ""."""
        solver, reason = view.solver, ""
        for k, observer in enumerate(self._observers):
            due = self._when[k].due(solver.t, solver.step, output)
            if due and self._seen[k] != solver.t:
                self._seen[k] = solver.t
                reason = reason or observer.handle(view) or ""
        solver.check()  # a mistake of theirs must not reach the solver
        return next((said for said in self._comm.allgather(reason) if said), "")

    def finalise(self, view: View, reason: str) -> None:
        """When the run is over."""
        for observer in self._observers:
            observer.finalise(view, reason)
