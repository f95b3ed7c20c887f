"""Errors and values shared by all ranks, so that no rank waits for one that has failed.

Knows mpi4py communicators by their methods only (``Communicator``), and nothing of the rest of the
package.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Alone",
    "Communicator",
    "everywhere",
    "joined",
    "max_over_ranks",
    "on_root",
    "own_share",
    "sum_over_ranks",
]

T = TypeVar("T")


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
        error = comm.bcast(error, root=0)
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
        error = next((e for e in comm.allgather(error) if e is not None), None)
    if error is not None:
        raise error
    return value  # type: ignore[return-value]


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
