"""Threads as the ranks of a communicator: what several ranks do to each other, in one process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from numpy.typing import NDArray

from meanfield.collective import Communicator

__all__ = ["on_ranks"]

T = TypeVar("T")


class _Rank:
    """One of them; a rank that waits for another one in vain fails after a minute."""

    def __init__(self, rank: int, size: int, board: list[Any], barrier: threading.Barrier) -> None:
        self.rank, self.size = rank, size
        self._board, self._barrier = board, barrier

    def allgather(self, value: T) -> list[T]:
        self._board[self.rank] = value
        self._barrier.wait(60.0)
        found = list(self._board)
        self._barrier.wait(60.0)
        return found

    def gather(self, value: T, root: int = 0) -> list[T] | None:
        found = self.allgather(value)
        return found if self.rank == root else None

    def bcast(self, value: T, root: int = 0) -> T:
        return self.allgather(value)[root]

    def Reduce(self, values: NDArray[Any], total: NDArray[Any], *, root: int = 0) -> None:
        total[...] = sum(self.allgather(values.copy()))

    def Bcast(self, values: NDArray[Any], root: int = 0) -> None:
        values[...] = self.allgather(values.copy())[root]


def on_ranks(size: int, action: Callable[[Communicator], T]) -> list[T | Exception]:
    """What an action gives, or raises, on each of some ranks."""
    board, barrier = [None] * size, threading.Barrier(size)

    def one(rank: int) -> T | Exception:
        try:
            return action(_Rank(rank, size, board, barrier))
        except Exception as error:
            return error

    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(one, range(size)))
