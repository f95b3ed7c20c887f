"""Who looks at a run (observers), and when (schedules).

Owns the order in which they are asked, what they may do to a run (add columns, end it), and that
all ranks agree on it. Knows states by their view; nothing of files.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated

from annotated_types import Ge

from meanfield.analysis.columns import RETIRED, Column, Family, View, refuse_bad
from meanfield.arguments import ON_ALL_RANKS, checked_arguments, refuse_other
from meanfield.collective import Communicator, everywhere
from meanfield.dynamics.solver import Solver
from meanfield.errors import InputError
from meanfield.options import Numbers, Whole, checked

__all__ = [
    "AtOutputs",
    "AtTimes",
    "EverySteps",
    "Observer",
    "Observers",
    "Schedule",
    "Watch",
    "Watches",
]

_SAME = 1e-12  # relative difference of times that mean the same: 3 * 0.1 is not 0.3


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
    """At the output times of the case, the start and the end included.

    Example:
        >>> mf.AtOutputs().due(t=1.0, step=3, output=True)
        True
    """

    def due(self, t: float, step: int, output: bool) -> bool:
        return output


@dataclass(frozen=True)
class EverySteps(Schedule):
    """After each so many steps of the solver.

    Args:
        steps: 1 or more.

    Example:
        >>> mf.EverySteps(5).due(t=1.0, step=10, output=False)
        True
    """

    steps: int = 1

    def __post_init__(self) -> None:
        checked("EverySteps.steps", Annotated[Whole, Ge(1)], self.steps)

    def due(self, t: float, step: int, output: bool) -> bool:
        return step > 0 and step % self.steps == 0


@dataclass(frozen=True, init=False)
class AtTimes(Schedule):
    """At given times, on which the steps of the run then end exactly.

    Times that differ from an output time by round-off are that output time. Of plain transformer
    layers, the one that a time falls into is cut in two; within others it is refused.

    Args:
        times: finite; those before the start or after the end are not met.

    Example:
        >>> mf.AtTimes([0.5, 0.25]).times
        (0.25, 0.5)
    """

    times: tuple[float, ...]

    @checked_arguments
    def __init__(self, times: Iterable[float]) -> None:
        given = list(times)
        checked("AtTimes.times", Numbers, given)
        for t in given:
            if not math.isfinite(t):
                raise InputError(f"AtTimes.times: expected finite times, found {t}")
        object.__setattr__(self, "times", tuple(sorted(float(t) for t in given)))

    def due(self, t: float, step: int, output: bool) -> bool:
        return _near(t, self.times)


@dataclass(frozen=True)
class _Either(Schedule):
    first: Schedule
    second: Schedule

    def __post_init__(self) -> None:
        times = tuple(sorted({*self.first.times, *self.second.times}))
        object.__setattr__(self, "times", times)

    def due(self, t: float, step: int, output: bool) -> bool:
        return any(part.due(t, step, output) for part in (self.first, self.second))


def _near(t: float, times: Iterable[float]) -> bool:
    """Whether a time is one of these, but for round-off."""
    return any(math.isclose(t, one, rel_tol=_SAME) for one in times)


class Observer:
    """Looks at a run: a child overrides what it needs. Called on every rank that has it.

    It is given a view of the state (``mean``, ``clusters``, ``field``, ..., and the ``solver``). It
    may ask what is collective (then on all ranks), but not change the solver.

    Attributes:
        columns: to be added to the series; their names must be new ones, and the same on all ranks.

    Example:
        >>> class Enough(mf.Observer):
        ...     def handle(self, view):
        ...         return 'enough' if view.t > 0.5 else None
    """

    columns: Sequence[Column | Family] = ()

    def initialise(self, view: View) -> None:
        """Before the first step, or the first one after a resumption."""

    def handle(self, view: View) -> str | None:
        """Whenever it is due. A text ends the run, as its ``stop_reason``.

        Raises:
            BrokenInvariantError: the run has failed; it ends in its last good state.
        """
        return None

    def finalise(self, view: View, reason: str) -> None:
        """Once, when a run that was begun is over, whatever the reason.

        After an error it is called on the ranks that see it. What it raises is a warning.
        """


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

    Example:
        >>> watch = mf.Watch(lambda solver: print(solver.t), mf.EverySteps(5))
    """

    observer: Observer | Callable[[Solver], object]
    when: Schedule = AtOutputs()

    def __post_init__(self) -> None:
        who, when = self.observer, self.when
        if isinstance(who, type) or not (isinstance(who, Observer) or callable(who)):
            raise InputError(f"observer {who!r} found, an Observer or a function expected")
        if not isinstance(when, Schedule):
            raise InputError(f"schedule {when!r} found, one such as EverySteps(5) expected")


Observers = Annotated[Sequence[Watch | Observer | Callable[[Solver], object]], ON_ALL_RANKS]
"""What a run takes; ranks may have different ones."""


def _watches(given: Observers) -> list[Watch]:
    refuse_other("observers", given, Sequence)
    return [one if isinstance(one, Watch) else Watch(one) for one in given]


def _value(column: Column, view: View) -> float:
    return float(column.value(view))


class Watches:
    """All observers of a run, on this rank and on the others. Methods are collective.

    Args:
        given: of this rank; a function or an ``Observer`` without schedule is called at outputs.
        comm: the ranks, which may have different ones.

    Attributes:
        any: whether there are any, on any rank.
        times: at which the run has to land.
        columns: of all of them; set by ``fit``.

    Raises:
        InputError: what are no observers. On every rank.
    """

    def __init__(
        self,
        given: Observers,
        comm: Communicator,
    ) -> None:
        self._comm = comm
        watches = everywhere(comm, lambda: _watches(given))
        self._observers = [
            one.observer if isinstance(one.observer, Observer) else _Plain(one.observer)
            for one in watches
        ]
        self._when = [watch.when for watch in watches]
        self._seen: list[float | None] = [None] * len(watches)  # when each was called last
        self._begun: list[Observer] = []  # and not ended
        self.columns: tuple[Column, ...] = ()
        own = tuple(t for when in self._when for t in when.times)
        ranks = comm.allgather((len(watches), own))
        self._most = max(count for count, _ in ranks)
        self.any = self._most > 0
        self.times = tuple(sorted({t for _, times in ranks for t in times}))

    def fit(self, taken: Sequence[Column], view: View) -> None:
        """Take the columns that observers add to those of a run.

        Raises:
            InputError: names that are taken, columns that the state cannot have, or other ones on
                other ranks. On every rank.
        """
        columns = everywhere(self._comm, lambda: self._added({c.name for c in taken}, view))
        names = [column.name for column in columns]
        if any(other != names for other in self._comm.allgather(names)):
            raise InputError(
                "observers with other columns on other ranks found, the same on all expected"
            )
        self.columns = tuple(columns)

    def _added(self, taken: set[str], view: View) -> list[Column]:
        added: list[Column] = []
        for entry in (entry for one in self._observers for entry in one.columns):
            lacking = entry.needs - view.offers
            if lacking:
                raise InputError(
                    f"column '{entry.name}' of an observer needs {', '.join(sorted(lacking))}, "
                    f"which this state does not have"
                )
            for column in entry.of(view):
                if column.name in taken or column.name in RETIRED:
                    raise InputError(
                        f"a column '{column.name}' of an observer found, another name expected"
                    )
                taken.add(column.name)
                added.append(column)
        return added

    def within(self, outputs: Sequence[float]) -> tuple[float, ...]:
        """The times at which a run has to land beside its output times."""
        return tuple(t for t in self.times if not _near(t, outputs))

    def _each(self, action: Callable[[int, Observer], str | None]) -> list[str]:
        """Do something with one observer after the other; what each says on this rank.

        One that fails on one rank does so on all, before the next one asks what is collective.
        """

        def act(k: int) -> str:
            return (action(k, self._observers[k]) or "") if k < len(self._observers) else ""

        return [everywhere(self._comm, partial(act, k)) for k in range(self._most)]

    def initialise(self, view: View) -> None:
        """Before the first step."""

        def begin(k: int, observer: Observer) -> None:
            self._begun.append(observer)
            observer.initialise(view)

        self._each(begin)

    def row(self, view: View) -> dict[str, float]:
        """The values of the columns.

        Raises:
            BrokenInvariantError: as ``row_of``. On every rank.
        """
        row: dict[str, float] = {}
        for column in self.columns:
            row[column.name] = everywhere(self._comm, partial(_value, column, view))
        everywhere(self._comm, lambda: refuse_bad(row, self.columns, view.t))
        return row

    def handle(self, view: View, output: bool) -> str:
        """Ask those that are due, none of them twice at one time; the reason to end, or ""."""
        solver = view.solver

        def ask(k: int, observer: Observer) -> str | None:
            due = self._when[k].due(solver.t, solver.step, output)
            if not due or self._seen[k] == solver.t:
                return None
            self._seen[k] = solver.t
            said = observer.handle(view)
            if not (said is None or isinstance(said, str)):
                raise InputError(
                    f"{type(observer).__name__}.handle gave {said!r}, a text (why the run is to "
                    "end) or None expected"
                )
            return said

        reason = next(filter(None, self._each(ask)), "")
        solver.check()  # a mistake of theirs must not reach the solver
        return next(filter(None, self._comm.allgather(reason)), "")

    def finalise(self, view: View, reason: str) -> list[str]:
        """When the run is over; returns what went wrong with that. Not collective."""
        wrong = []
        while self._begun:
            observer = self._begun.pop(0)
            try:
                observer.finalise(view, reason)
            except Exception as error:
                name = type(observer).__name__
                wrong.append(f"{name}.finalise failed: {type(error).__name__}: {error}")
        return wrong
