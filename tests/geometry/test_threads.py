"""How many threads a process takes: its part of the processors that its launcher gives."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable

import pytest
from processes import Job, needs_launcher, ranks

from meanfield.collective import Alone
from meanfield.geometry import threads
from meanfield.geometry.threads import available_cpus, share_cpus
from meanfield.surroundings import launched

LAUNCHED = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS", "PMIX_RANK", "PMI_RANK")


class Ranks(Alone):
    """The first of some ranks, which have told where they are and what they may run on."""

    def __init__(self, *told: tuple[str, list[int]]) -> None:
        self.told, self.size = list(told), len(told)

    def allgather(self, value: object) -> list[object]:  # type: ignore[override]
        assert value == self.told[0]
        return list(self.told)


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    names = (*LAUNCHED, "OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS", "SLURM_CPUS_PER_TASK")
    for name in names:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(threads, "_agreed", {})


def may_run_on(monkeypatch: pytest.MonkeyPatch, cpus: list[int]) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(cpus), raising=False)


HERE = platform.node()


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ([(HERE, [0, 1, 2, 3]), (HERE, [0, 1, 2, 3])], 2),  # not bound
        ([(HERE, [0, 1]), (HERE, [2, 3])], 2),  # bound, two each
        ([(HERE, [4]), (HERE, [5])], 1),  # bound to cores
        ([(HERE, [0, 1]), (HERE, [0, 1]), (HERE, [0, 1])], 1),  # more ranks than processors
        ([(HERE, [0, 1, 2, 3]), ("another", [0, 1, 2, 3])], 4),  # on two machines
        ([(HERE, [0, 1, 2, 3]), (HERE, [2, 3])], 3),  # a part is shared
    ],
)
def test_ranks_agree(
    told: list[tuple[str, list[int]]], found: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_run_on(monkeypatch, told[0][1])
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", str(len(told)))
    monkeypatch.setenv("OMPI_COMM_WORLD_LOCAL_SIZE", str(len(told)))
    assert launched() == len(told)
    share_cpus(Ranks(*told))
    assert available_cpus() == found


def test_without_an_agreement_the_ranks_of_the_launcher_share(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    may_run_on(monkeypatch, list(range(8)))
    assert available_cpus() == 8
    monkeypatch.setenv("MPI_LOCALNRANKS", "2")
    assert available_cpus() == 4
    # A communicator that leaves out some of the ranks knows nothing of theirs.
    monkeypatch.setenv("PMI_SIZE", "4")
    share_cpus(Ranks((HERE, list(range(8))), (HERE, list(range(8)))))
    share_cpus(Ranks((HERE, list(range(8)))))
    assert available_cpus() == 4


def test_slurm_tells_the_processors_of_a_task(monkeypatch: pytest.MonkeyPatch) -> None:
    may_run_on(monkeypatch, list(range(8)))
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "3")
    assert available_cpus() == 3
    monkeypatch.setenv("MPI_LOCALNRANKS", "4")
    assert available_cpus() == 2
    monkeypatch.setenv("PMI_SIZE", "2")
    share_cpus(Ranks((HERE, list(range(8))), ("another", list(range(8)))))
    assert available_cpus() == 3


PROGRAM = """\
from meanfield.software import load_mpi
from meanfield.geometry.threads import available_cpus, share_cpus
import os
comm = load_mpi().COMM_WORLD
share_cpus(comm)
told = comm.allgather((available_cpus(), sorted(os.sched_getaffinity(0))))
if comm.rank == 0:
    total = len({cpu for _, cpus in told for cpu in cpus})
    print("taken", sum(number for number, _ in told), "of", total)
"""


@needs_launcher
@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="no affinity here")
def test_two_ranks_take_no_more_than_there_are(start: Callable[..., Job]) -> None:
    ended = start(*ranks(2, "-c", PROGRAM)).finish()
    assert ended.code == 0, ended.said
    (line,) = [line.split() for line in ended.out.splitlines() if line.startswith("taken")]
    assert 2 <= int(line[1]) <= max(2, int(line[3]))
