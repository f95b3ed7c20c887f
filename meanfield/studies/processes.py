"""Tasks in processes of their own, or by an executor of whoever calls.

Owns how processes are started, ended and waited for. Knows nothing of the tasks.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing.process import BaseProcess
from typing import Protocol, TypeVar, cast, runtime_checkable

from meanfield.errors import InputError
from meanfield.signals import ignored

__all__ = ["Submits", "by_executor", "in_processes"]

T = TypeVar("T")
R = TypeVar("R")
_POLL = 0.02  # seconds between two looks at what is not finished


@runtime_checkable
class Submits(Protocol):
    """What takes tasks, as a ``concurrent.futures.Executor`` does.

    Dask's ``client.get_executor()``, submitit's and mpi4py's executors are such. Of what
    ``submit`` gives only ``done()``, ``result()`` and, after an error, ``cancel()`` are used.
    """

    def submit(self, fn: Callable[..., object], /, *args: object) -> object:
        """Begin a task."""
        ...


class _Future(Protocol):
    def done(self) -> bool: ...
    def result(self) -> object: ...
    def cancel(self) -> object: ...


def in_processes(
    work: Callable[[T], R], tasks: Sequence[T], jobs: int, finished: Callable[[T, R], object]
) -> None:
    """Do tasks in ``jobs`` processes, one thread each; ``finished`` is told of each here.

    Raises:
        InputError: tasks cannot be given to processes, or one of these ended too early.
    """
    try:
        pickle.dumps(tasks[:1])
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise InputError(
            f"jobs: found {jobs}, but the case holds what other processes cannot be given "
            f"({error}): expected 1, or functions that come from a file"
        ) from None
    context = multiprocessing.get_context("spawn")
    others = set(multiprocessing.active_children())
    with _one_thread_each(jobs), ProcessPoolExecutor(jobs, mp_context=context) as pool:
        try:
            # Ctrl-C goes to all processes; only this one answers it.
            with ignored(signal.SIGINT):
                waiting = _submitted(pool, work, tasks)
            _collect(waiting, finished)
        except BaseException as error:
            # Not waited for: a task may take minutes, and files are written in one move.
            pool.shutdown(wait=False, cancel_futures=True)
            _end(set(multiprocessing.active_children()) - others)
            if isinstance(error, BrokenProcessPool):
                raise InputError(
                    f"one of {jobs} processes ended too early, most likely for want of memory (or "
                    "for want of `if __name__ == '__main__':` in a script): go on with resume, and "
                    "with fewer jobs"
                ) from None
            raise


def by_executor(
    executor: Submits,
    work: Callable[[T], R],
    tasks: Sequence[T],
    finished: Callable[[T, R], object],
) -> None:
    """Do tasks by an executor, which stays open; those that were not begun are taken back if this
    ends early."""
    waiting = _submitted(executor, work, tasks)
    try:
        _collect(waiting, finished)
    except BaseException:
        for future in waiting:
            with suppress(Exception):
                future.cancel()
        raise


def _submitted(executor: Submits, work: Callable[[T], R], tasks: Sequence[T]) -> dict[_Future, T]:
    return {cast(_Future, executor.submit(work, task)): task for task in tasks}


def _collect(waiting: dict[_Future, T], finished: Callable[[T, R], object]) -> None:
    while waiting:
        done = [future for future in waiting if future.done()]
        for future in done:
            finished(waiting.pop(future), cast(R, future.result()))
        if not done:
            time.sleep(_POLL)


@contextmanager
def _one_thread_each(jobs: int) -> Iterator[None]:
    """Processes share the cores, so that each of them keeps to one."""
    names = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "MEANFIELD_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    if jobs > 1:
        os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _end(processes: set[BaseProcess]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(timeout=2.0)
        if process.is_alive():  # libraries may catch what should end them
            process.kill()
