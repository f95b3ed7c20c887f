"""Errors and values shared by all ranks, so that no rank waits for one that has failed.

Errors travel between ranks as texts: not every one survives pickling. Knows mpi4py communicators by
their methods only (``Communicator``).
"""

from __future__ import annotations

import builtins
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from meanfield.errors import (
    BrokenInvariantError,
    InputError,
    MeanfieldWarning,
    OtherRankError,
)
from meanfield.signals import Stopped

__all__ = [
    "Alone",
    "Communicator",
    "everywhere",
    "is_everywhere",
    "joined",
    "max_over_ranks",
    "on_root",
    "own_share",
    "refuse_different",
    "sum_over_ranks",
]

T = TypeVar("T")


@runtime_checkable
class Communicator(Protocol):
    """What is used of a communicator of mpi4py: any of its, or ``Alone``.

    Methods in lower case take any object, those with a capital fill arrays in place.
    """

    @property
    def rank(self) -> int:
        """Number of this process."""

    @property
    def size(self) -> int:
        """Number of processes."""

    def bcast(self, value: T, /, root: int = 0) -> T:
        """The value of the root."""

    def gather(self, value: T, /, root: int = 0) -> list[T] | None:
        """The values of all ranks, on the root; None elsewhere."""

    def allgather(self, value: T, /) -> list[T]:
        """The values of all ranks."""

    def Reduce(self, values: NDArray[Any], total: NDArray[Any], /, *, root: int = 0) -> None:
        """Write the sum over the ranks to ``total`` of the root."""

    def Bcast(self, values: NDArray[Any], /, root: int = 0) -> None:
        """Write the values of the root to ``values``."""


class Alone:
    """The communicator of a process that is alone, where there is no mpi4py."""

    rank = 0
    size = 1

    def bcast(self, value: T, root: int = 0) -> T:
        """The value."""
        return value

    def gather(self, value: T, root: int = 0) -> list[T]:
        """The value, as a list."""
        return [value]

    def allgather(self, value: T) -> list[T]:
        """The value, as a list."""
        return [value]

    def Reduce(self, values: NDArray[Any], total: NDArray[Any], *, root: int = 0) -> None:
        """Copy the values."""
        total[...] = values

    def Bcast(self, values: NDArray[Any], root: int = 0) -> None:
        """Leave the values as they are."""


def on_root(comm: Communicator, action: Callable[[], T], share: bool = True) -> T | None:
    """Do something on rank 0; what goes wrong there is raised on every rank. Collective.

    An interruption, too: the others wait where no signal reaches them.

    ``share``: hand the value to all ranks; otherwise they get None.
    """
    value: T | None = None
    error: BaseException | None = None
    if comm.rank == 0:
        try:
            value = action()
        except BaseException as caught:
            error = caught
    if comm.size > 1:
        told = comm.bcast(None if error is None else _Told.of(error, 0), root=0)
        if told is not None:
            raise _marked(error or told.again())
    if error is not None:
        raise error
    if share and comm.size > 1:
        return comm.bcast(value, root=0)
    return value


def everywhere(comm: Communicator, action: Callable[[], T]) -> T:
    """Do something on every rank; what goes wrong on one is raised on all. Collective."""
    value: T | None = None
    error: BaseException | None = None
    try:
        value = action()
    except BaseException as caught:
        error = caught
    if comm.size > 1:
        all_told = comm.allgather(None if error is None else _Told.of(error, comm.rank))
        told = next((one for one in all_told if one is not None), None)
        if told is not None:
            own = error if told.rank == comm.rank else None
            raise _marked(own or told.again()) from (None if own is error else error)
    if error is not None:
        raise error
    return value  # type: ignore[return-value]


def refuse_different(comm: Communicator, text: str, what: str) -> None:
    """Refuse a text that is not the same on all ranks. Collective.

    Args:
        comm: the ranks.
        text: of this rank.
        what: it is, for the message.

    Raises:
        InputError: names the first rank with another one, and the first line that differs.
    """
    if comm.size == 1:
        return
    first, *others = comm.allgather(text)
    for rank, other in enumerate(others, start=1):
        if other != first:
            lines = zip(first.split("\n"), other.split("\n"), strict=False)
            here, there = next(((a, b) for a, b in lines if a != b), ("one", "more or less"))
            raise _marked(
                InputError(
                    f"{what} differs between ranks: found '{there}' on rank {rank}, expected "
                    f"'{here}' as on rank 0"
                )
            )


_MARK = "meanfield: raised on all ranks"


def is_everywhere(error: BaseException) -> bool:
    """Whether an error was raised on all ranks together, so that none waits for another."""
    return _MARK in getattr(error, "__dict__", {})


def _marked(error: BaseException) -> BaseException:
    vars(error)[_MARK] = True
    return error


_OWN = (Stopped, InputError, BrokenInvariantError, MeanfieldWarning)
"""What is raised as itself on other ranks, beside Python's own errors."""


@dataclass(frozen=True)
class _Told:
    """An error as other ranks hear of it."""

    rank: int
    kind: str
    text: str
    trace: str
    system: tuple[int, str, str] | None = None  # number, text and file of an OSError

    @classmethod
    def of(cls, error: BaseException, rank: int) -> _Told:
        kind = next((k for k in _OWN if isinstance(error, k)), type(error)).__name__
        system = None
        if isinstance(error, OSError) and error.errno is not None:
            system = error.errno, str(error.strerror), str(error.filename or "")
        return cls(rank, kind, str(error), "".join(traceback.format_exception(error)), system)

    def again(self) -> BaseException:
        """What to raise on another rank."""
        if self.system is not None:
            number, text, file = self.system
            return OSError(number, text, file) if file else OSError(number, text)
        own = {kind.__name__: kind for kind in _OWN}
        kind = own.get(self.kind) or getattr(builtins, self.kind, None)
        if isinstance(kind, type) and issubclass(kind, BaseException):
            with suppress(TypeError):  # one that is made of more than a text
                error: BaseException = kind(*([self.text] if self.text else []))
                return error
        error = OtherRankError(f"rank {self.rank}: {self.kind}: {self.text}")
        error.add_note(f"There:\n{self.trace}")
        return error


def sum_over_ranks(comm: Communicator | None, values: NDArray[Any]) -> NDArray[Any]:
    """Sum an array over the ranks of a communicator (None: one process). Collective."""
    if comm is None or comm.size == 1:
        return values
    total = np.empty_like(values)
    # Reduced on one rank, then broadcast: bitwise the same everywhere, so that ranks never
    # disagree on a decision taken from these numbers.
    comm.Reduce(values, total, root=0)
    comm.Bcast(total, root=0)
    return total


def max_over_ranks(comm: Communicator, *values: float) -> tuple[float, ...]:
    """Maxima over the ranks of a communicator (NaN if any is). Collective."""
    if comm.size == 1:
        return values
    return tuple(np.max(np.array(comm.allgather(values)), axis=0).tolist())


def own_share(comm: Communicator, n: int) -> slice:
    """This rank's block of n things."""
    return slice(n * comm.rank // comm.size, n * (comm.rank + 1) // comm.size)


def joined(comm: Communicator | None, own: NDArray[Any]) -> NDArray[Any]:
    """The arrays of all ranks (None: one process), in their order, on every rank. Collective."""
    return own if comm is None or comm.size == 1 else np.concatenate(comm.allgather(own))
