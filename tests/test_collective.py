"""A process alone and a communicator of mpi4py: the same answers to the same calls."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from processes import Job, needs_launcher, ranks

from meanfield.collective import (
    Alone,
    Communicator,
    everywhere,
    max_over_ranks,
    on_root,
    sum_over_ranks,
)
from meanfield.software import load_mpi


def mpi() -> Communicator:
    try:
        comm: Communicator = load_mpi().COMM_SELF
    except ImportError:
        pytest.skip("no mpi4py here")
    return comm


@pytest.mark.parametrize("make", [Alone, mpi])
def test_one_process(make: type[Alone]) -> None:
    comm: Communicator = make()
    assert (comm.rank, comm.size) == (0, 1)
    assert comm.bcast("it", root=0) == "it"
    assert comm.gather("it", root=0) == comm.allgather("it") == ["it"]
    values, total = np.array([1.0, 2.0]), np.zeros(2)
    comm.Reduce(values, total, root=0)
    comm.Bcast(total, root=0)
    np.testing.assert_array_equal(total, values)
    np.testing.assert_array_equal(sum_over_ranks(comm, values), values)
    assert max_over_ranks(comm, 1.0, -2.0) == (1.0, -2.0)
    assert on_root(comm, lambda: 3) == everywhere(comm, lambda: 3) == 3
    with pytest.raises(ZeroDivisionError):
        everywhere(comm, lambda: 1 // 0)


PROGRAM = """
import json, sys
from pathlib import Path
from mpi4py import MPI
from meanfield.collective import everywhere, is_everywhere, on_root, refuse_different
from meanfield.errors import InputError
from meanfield.signals import Stopped

class Odd(Exception):
    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")
        self.kept = open(__file__)  # which cannot be pickled

def fail(error):
    raise error

comm, told = MPI.COMM_WORLD, {}
TRIED = {
    "odd": lambda: everywhere(comm, lambda: fail(Odd("this", "that")) if comm.rank else None),
    "odd on root": lambda: on_root(comm, lambda: fail(Odd("this", "that"))),
    "two": lambda: everywhere(comm, lambda: fail(ValueError(f"of {comm.rank}"))),
    "input": lambda: everywhere(comm, lambda: fail(InputError("no")) if comm.rank else None),
    "disk": lambda: on_root(comm, lambda: fail(OSError(28, "full", "a.csv"))),
    "signal": lambda: on_root(comm, lambda: fail(Stopped(15))),
    "coded": lambda: on_root(comm, lambda: "\xff".encode().decode("ascii")),
    "case": lambda: refuse_different(comm, f"a = 1\\nb = {comm.rank}", "the case"),
}
for name, act in TRIED.items():
    try:
        act()
        said = "nothing"
    except BaseException as error:
        said = f"{type(error).__name__}: {error}"
        assert is_everywhere(error), said
        if name == "signal":
            assert error.number == 15
        if name == "odd" and comm.rank == 0:
            assert "there" in error.__notes__[0].lower() and "line" in error.__notes__[0]
    told[name] = comm.gather(said)
if comm.rank == 0:
    Path("told.json").write_text(json.dumps(told))
"""
DIFFERS = "InputError: the case differs between ranks: found 'b = 1' on rank 1, expected 'b = 0'"
TOLD = {
    "odd": ["OtherRankError: rank 1: Odd: this and that", "Odd: this and that"],
    "odd on root": ["Odd: this and that", "OtherRankError: rank 0: Odd: this and that"],
    "two": ["ValueError: of 0"] * 2,
    "input": ["InputError: no"] * 2,
    "disk": ["OSError: [Errno 28] full: 'a.csv'"] * 2,
    "signal": ["Stopped: 15"] * 2,
    "case": [f"{DIFFERS} as on rank 0"] * 2,
}


@pytest.mark.mpi
@needs_launcher
def test_errors_are_told_to_other_ranks(tmp_path: Path, start: Callable[..., Job]) -> None:
    (tmp_path / "program.py").write_text(PROGRAM, "utf-8")
    done = start(*ranks(2, "program.py"), cwd=tmp_path).finish()
    assert done.code == 0, done.said
    told = json.loads((tmp_path / "told.json").read_text("utf-8"))
    coded = told.pop("coded")
    assert told == TOLD
    # One that is made of more than a text.
    assert coded[0].startswith("UnicodeDecodeError: 'ascii'")
    assert coded[1] == f"OtherRankError: rank 0: {coded[0]}"
