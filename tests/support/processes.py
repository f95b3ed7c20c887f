"""Processes that tests start: found and ended with all that they started, whatever happens.

What a test may not hang on, and what is done about it here:

* time: nothing is limited but a process that hangs, and that after ``HANG`` seconds;
* streams: ``Ended.said`` is standard output and standard error together, as mpirun may forward a
  line of one on the other;
* processes of an earlier test: each job carries a mark in its environment, by which all of it is
  found and killed, also what has left its group (mpirun puts ranks into groups of their own);
* this process being one of MPI's: its variables do not reach a job.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

__all__ = [
    "HANG",
    "ROOT",
    "Ended",
    "Job",
    "launcher",
    "needs_dolfinx",
    "needs_launcher",
    "python",
    "ranks",
]

HANG = 900.0
"""Seconds after which a process is taken to hang: far beyond what a busy machine makes of any."""

ROOT = Path(__file__).parents[2]
_MARK = "MEANFIELD_TEST_JOB"
_ENV = shutil.which("env") or "env"  # a test may take away the path
_OF_A_RANK = ("OMPI_", "PMIX_", "PMI_", "PRTE_", "ORTE_", "HYDRA_", "HYDI_", "MPI_LOCAL", "SLURM_")
_SETTINGS = ("OMPI_MCA_", "PRTE_MCA_", "OMPI_ALLOW_RUN_AS_ROOT", "HYDRA_LAUNCHER")


@cache
def launcher() -> tuple[str, ...]:
    """Command that starts ranks of this Python's MPI, without their number; () if there is none.

    The one beside this Python comes first: another MPI's would start so many runs of one rank.
    """
    beside = str(Path(sys.executable).parent)
    for folder in (beside, None):
        for name in ("mpiexec", "mpirun"):
            path = shutil.which(name, path=folder)
            if path is not None:
                told = subprocess.run([path, "--version"], capture_output=True, text=True).stdout
                return (path, "--oversubscribe") if "Open MPI" in told else (path,)
    return ()


def python(*words: str) -> tuple[str, ...]:
    """Command of this Python, which finds the package whether it is installed or not."""
    return (sys.executable, *words)


def ranks(number: int, *words: str) -> tuple[str, ...]:
    """Command of this Python on several ranks, of one thread each."""
    threads = ("env", "MEANFIELD_NUM_THREADS=1", "NUMBA_NUM_THREADS=1")
    return (*threads, *launcher(), "-n", str(number), *python(*words))


needs_launcher = pytest.mark.skipif(not launcher(), reason="no mpiexec on the path")
needs_dolfinx = pytest.mark.skipif(
    importlib.util.find_spec("dolfinx") is None,
    reason="no DOLFINx here: run the tests with scripts/env pytest",
)


@dataclass(frozen=True)
class Ended:
    """How a job ended: exit code (negative: the signal), and what it said on its two streams."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        return self.out + self.err

    def lines(self, word: str) -> list[str]:
        """Lines of both streams that have a word in them."""
        return [line for line in self.said.splitlines() if word in line]


class Job:
    """A command in a session of its own. Use the fixture ``start``, which ends it with its test.

    Args:
        command: the words; ``python`` and ``ranks`` make the usual ones.
        cwd: the working folder.
        stdin: what it reads, as ``subprocess`` takes it.
        variables: additions to the environment.
    """

    def __init__(
        self,
        command: tuple[str, ...],
        cwd: Path | None = None,
        *,
        stdin: int = subprocess.DEVNULL,
        **variables: str,
    ) -> None:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(_OF_A_RANK) or name.startswith(_SETTINGS)
        }
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        self.mark = uuid.uuid4().hex
        self.process = subprocess.Popen(
            # Under nohup, or in the background of a script, signals would be ignored here, too.
            (_ENV, "--default-signal=HUP,INT,QUIT,TERM,USR1", *command),
            cwd=cwd,
            env={**kept, "PYTHONPATH": path, **variables, _MARK: self.mark},
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        return self.process.pid

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process, not to those that it has started."""
        self.process.send_signal(number)

    def send_all(self, number: signal.Signals) -> None:
        """Send a signal to the whole group, as a terminal does."""
        os.killpg(self.process.pid, number)

    def kill_after(self, lines: int) -> None:
        """Kill the job when it has said so many lines."""
        assert self.process.stdout is not None
        for _ in range(lines):
            self.process.stdout.readline()
        self.kill()

    def wait_until(self, happened: Callable[[], bool], what: str) -> None:
        """Wait for something that the running job does; it is an error if it ends before."""
        begun = time.monotonic()
        while not happened():
            if self.process.poll() is not None and not happened():
                ended = self.finish()
                pytest.fail(f"ended with {ended.code} before {what}:\n{ended.said}")
            if time.monotonic() - begun > HANG:
                self.kill()
                pytest.fail(f"no {what} after {HANG:g} s:\n{self.finish().said}")
            time.sleep(0.01)

    def finish(self) -> Ended:
        """Wait for the end."""
        try:
            out, err = self.process.communicate(timeout=HANG)
        except subprocess.TimeoutExpired:
            self.kill()
            out, err = self.process.communicate()
            pytest.fail(f"still there after {HANG:g} s: {self.process.args}\n{out}\n{err}")
        return Ended(self.process.returncode, out, err)

    def left(self) -> list[int]:
        """Processes of the job that are there."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
                if state != "Z" and f"{_MARK}={self.mark}".encode() in (
                    (entry / "environ").read_bytes().split(b"\0")
                ):
                    found.append(int(entry.name))
        return found

    def kill(self) -> None:
        """Kill the job and all that it has started."""
        while left := self.left():
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)
        if self.process.poll() is None:
            self.process.kill()

    def close(self) -> None:
        """End what is left; reads what nobody has read."""
        self.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
