"""Threads of this process: how many there are, and transforms done in parts by them."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from functools import cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from meanfield.collective import Communicator
from meanfield.errors import InputError
from meanfield.surroundings import launched, number_of

__all__ = ["available_cpus", "in_parts", "refuse_fork", "share_cpus"]

_THREADED_FROM = 30_000  # nodes; below, a second thread costs more than it brings (measured)
_PART = 10_240  # nodes of a transform at a time, about
_agreed: dict[str, int] = {}  # processors for this rank
_first_at: dict[str, int] = {}  # the process that has computed first
_Values = TypeVar("_Values", NDArray[np.float64], NDArray[np.complex128])


def in_parts(n: int, part: Callable[[slice], _Values]) -> list[_Values]:
    """Do a transform for parts of the nodes, each on one thread; the results in their order.

    ducc0's own threads add in the order in which they happen to arrive, and its parameters depend
    on their number: two runs, or a run and its continuation, then differ by round-off. This way
    the result depends on the nodes alone, and is as fast.
    """
    number = max(1, round(n / _PART))
    parts = [slice(n * k // number, n * (k + 1) // number) for k in range(number)]
    threads = _threads(n)
    if threads == 1 or len(parts) == 1:
        return [part(nodes) for nodes in parts]
    return list(_pool(threads).map(part, parts))


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads)


def _threads(n: int) -> int:
    if n < _THREADED_FROM:
        return 1
    return number_of("MEANFIELD_NUM_THREADS", least=1) or available_cpus()


def refuse_fork() -> None:
    """Refuse to compute in a copy of a process that has computed: its threads are not copied.

    Compiled loops would wait for them, or end the process without a word.

    Raises:
        InputError: says how processes are started instead.
    """
    here = os.getpid()
    if _first_at.setdefault("process", here) != here:
        raise InputError(
            "this process is a copy (fork) of one that has computed before, whose threads it does "
            'not have: start processes by multiprocessing.get_context("spawn") or "forkserver"'
        )


def available_cpus() -> int:
    """Number of processors for this process: its part of those that it may run on.

    As its ranks have agreed (``share_cpus``); before that, or where they have not, those of the
    process shared by all ranks that the launcher has started on the machine. Slurm's
    ``--cpus-per-task`` is a limit.
    """
    agreed = _agreed.get("cpus")
    if agreed is None:
        ranks = number_of("OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS", least=1)
        agreed = len(_own_cpus()) // (ranks or 1)
    return max(1, min(agreed, number_of("SLURM_CPUS_PER_TASK", least=1) or agreed))


def share_cpus(comm: Communicator) -> None:
    """Let the ranks tell each other which processors they may run on. Collective.

    A launcher that binds each rank gives each its own, of which it may take all; without binding
    each has all those of the machine (or of the job). No variable tells which it is, and with some
    launchers none how many ranks are beside this one.
    """
    name = platform.node()
    told = comm.allgather((name, _own_cpus()))
    if comm.size == 1 or launched() not in (None, comm.size):  # others do not take part
        return
    here = [cpus for machine, cpus in told if machine == name]
    parts = (Fraction(1, sum(cpu in cpus for cpus in here)) for cpu in _own_cpus())
    _agreed["cpus"] = max(1, int(sum(parts)))


def _own_cpus() -> list[int]:
    """Numbers of the processors that this process may run on."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
