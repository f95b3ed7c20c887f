"""What all tests need of the process they run in, and of those that they start."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from processes import Job


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Prepare the process that runs tests; the one that only hands them out to workers does not."""
    _hear_ctrl_c()
    worker = hasattr(config, "workerinput")
    if not worker and config.getoption("numprocesses", None):
        return
    # One thread for each worker, two where there is none: more threads than cores would only be
    # slower. Before numba is imported, and for all that the tests start.
    for name in ("MEANFIELD_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ.setdefault(name, "1" if worker else "2")
    # Its threads start with the first kernel that is found in the cache; the next one to be
    # compiled would then fail, and only where the cache holds just some of them.
    if "numba" in sys.modules:
        raise pytest.UsageError("numba was imported before the number of its threads was set here")
    try:
        # First, as a DOLFINx from PyPI wants it: some tests import parts of it themselves.
        from meanfield.software import load_dolfinx

        load_dolfinx()
    except ValueError:  # none here: what needs it is skipped, and says so
        pass


def _hear_ctrl_c() -> None:
    """Let Ctrl-C be heard: tests press it, in this process and in those that they start.

    A shell starts with SIGINT ignored what a script puts into the background, and all processes
    started from there inherit that: a test of an interruption would then wait for nothing.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder for commands that are given in this process, which is none of MPI's."""
    monkeypatch.chdir(tmp_path)
    for name in ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMIX_RANK", "SLURM_STEP_NUM_TASKS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def no_energy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Zonal kernels as if nothing were known that their flow increases; who asks for it, fails."""
    from meanfield.interaction.field import Field
    from meanfield.interaction.interaction import Interaction

    for name in ("energy_kind", "convexity"):
        monkeypatch.setattr(Interaction, name, property(lambda _: None))
    for name in ("energy_label", "dirac_energy", "has_double_energy"):
        monkeypatch.setattr(Interaction, name, property(lambda _: pytest.fail("no energy")))
    monkeypatch.setattr(Interaction, "pair_energy", lambda *_: pytest.fail("no energy"))
    for name in ("energy", "energy_excess", "ascent", "energy_noise", "dissipation_density"):
        monkeypatch.setattr(Field, name, lambda *_, **__: pytest.fail("no energy"))


@pytest.fixture
def start() -> Iterator[Callable[..., Job]]:
    """Start a command; it ends with the test, with all that it has started itself."""
    jobs: list[Job] = []

    def launch(*command: str, cwd: Path | None = None, **variables: str) -> Job:
        jobs.append(Job(command, cwd, **variables))
        return jobs[-1]

    yield launch
    for job in jobs:
        job.close()
