"""What one rank alone meets ends all: with its line, and without a wait."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from cases import small
from processes import Job, needs_dolfinx, needs_launcher, ranks

PROGRAM = """
import sys
from mpi4py import MPI
from meanfield import cli
from meanfield.errors import InputError
from meanfield.runs import simulation

ERRORS = {"input": InputError("no such thing"), "disk": OSError(28, "full"), "odd": KeyError("odd")}
make_track = simulation.make_track

def fails(*arguments):
    if MPI.COMM_WORLD.rank == 1:
        raise ERRORS[sys.argv[1]]
    return make_track(*arguments)

simulation.make_track = fails
sys.exit(cli.main(["run", "small.toml", "-o", "out", "--no-progress"]))
"""


@needs_dolfinx
@needs_launcher
@pytest.mark.mpi
@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("input", "on rank 1 alone: error: no such thing"),
        ("disk", "on rank 1 alone: error: [Errno 28] full"),
        ("odd", "KeyError: 'odd'"),
    ],
)
def test_a_rank_that_fails_alone(
    tmp_path: Path, start: Callable[..., Job], kind: str, said: str
) -> None:
    small.write(tmp_path / "small.toml")
    (tmp_path / "program.py").write_text(PROGRAM, "utf-8")
    done = start(*ranks(2, "program.py", kind), cwd=tmp_path).finish()
    assert done.code != 0 and said in done.said
