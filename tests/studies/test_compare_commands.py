"""Comparisons from the command line."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cases import about, files
from comparisons import compared, quick, task
from processes import Job, needs_dolfinx, needs_launcher, ranks

from meanfield import cli

pytestmark = needs_dolfinx

Start = Callable[..., Job]


def say(*words: str) -> int:
    return cli.main(["compare", *words])


FEW = ("--particles", "20", "--replicas", "3", "--no-progress")


def test_from_the_command_line(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert say("small.toml", *FEW, "--set", "output.figures=true", "--times", "0.25") == 0
    out, err = capsys.readouterr()
    assert out.startswith(
        "meanfield: Small\nmeanfield: sphere, 642 vertices, sa, beta = 4, V = +I, against "
        "particles -> results/small-compare\n"
    )
    lines = out.splitlines()
    assert sum(line.split()[:2] == ["0.25", "20"] for line in lines) == 1
    assert "table    results/small-compare/compare.csv" in lines
    assert "picture  results/small-compare/figures/side-by-side.png" in lines and err == ""
    assert "W2" in out and "W1" not in out
    # What comes of it, told and drawn again.
    assert cli.main(["info", "results/small-compare"]) == 0
    told = capsys.readouterr().out
    assert "compared  with 3 clouds of n = 20 particles each at t = 0, 0.25" in told
    assert "unknown" not in told and "stopped   end" in told
    shutil.rmtree(here / "results" / "small-compare" / "figures")
    assert cli.main(["plot", "results/small-compare"]) == 0
    drawn = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert [path.name for path in drawn] == ["distance-against-t.png", "side-by-side.png"]
    assert all(path.stat().st_size > 10_000 for path in drawn)


def test_a_line_for_each_task(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--particles", "20", "--replicas", "2", "--times", "0.25", "--no-distances")
    assert say("small.toml", *words) == 0
    lines = [line.split(",")[0] for line in capsys.readouterr().err.splitlines()]
    told = [line for line in lines if "done" in line or "replica" in line or "cloud" in line]
    assert told == [
        "density done", "density that tells the error of the other done",
        "cloud n = 20", "cloud n = 20",
    ]  # fmt: skip


def test_other_particles_from_the_command_line(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("small.toml", *FEW, "--no-distances", "--times", "0.25")
    other = ("--particles-set", "model.beta=8", "-o", "other")
    assert say(*words, *other) == 0
    assert "meanfield: particles with model.beta=8\n" in capsys.readouterr().out
    case = compared({"model.beta": 8.0})
    right = quick(compared(), here / "right", replicas=3, particle_case=case)
    assert (here / "other" / "compare.csv").read_bytes() == (
        here / "right" / "compare.csv"
    ).read_bytes()
    assert right.rows[1]["n"] == 20
    # A solver of its own, whose number is that of --particles.
    tight = ("--particles-set", "solver.type=particles", "--particles-set", "solver.rtol=1e-9")
    assert say(*words, *tight, "-o", "tight") == 0
    x, y = (task(here / name, "particles", 20, 0)["x"][-1] for name in ("tight", "right"))
    assert x.shape == (20, 3) and 0.0 < np.abs(x - y).max()
    stored = about(here / "tight")["particle_case"]
    assert "rtol = 1e-09" in stored


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--particles", "1"], "number of particles = 1 found, 2 to 1000000 expected"),
        (["--particles", "3000000"], "2 to 1000000 expected (all clouds are kept"),
        (["--particles", "many"], "argument --particles: invalid int value: 'many'"),
        (["--particles"], "argument --particles: expected at least one argument"),
        (["--replicas", "1"], "replicas = 1 found, 2 to 10000 expected"),
        (["--times", "9"], "time 9 found, 0 to time.end = 0.5 expected"),
        (["--jobs", "0"], "jobs = 0 found"),
        (["--p", "3"], "argument --p: invalid choice"),
        (["--p", "1", "--no-distances"], "not allowed with argument"),
        (["--overwrite", "--resume"], "not allowed with argument"),
        (["--resume"], "there is no folder results/small-compare"),
        (["--replica", "3"], "did you mean '--replicas'?"),
        (["--set", "solver.type=layers", "--set", "solver.number=9", "--set", "solver.layers=9"],
         "needs a density"),
        (["--reference", "900"], "reference = 900 found, none expected"),
        (["--set", "model.bet=9"], "did you mean 'model.beta'?"),
        (["--particles-set", "model.bet=9"], "did you mean 'model.beta'?"),
        (["--particles-set", "model.kappa=0.1", "--particles-set", "model.diffusion.exponent=0.5"],
         "no explicit step is stable"),
        (["--particles-set", "solver.type=layers", "--particles-set", "solver.layers=9",
          "--particles-set", "solver.number=9"], "solver.type: 'layers' found for the particles"),
        (["-o", "small.toml"], "small.toml is a file"),
    ],
)  # fmt: skip
def test_refused_in_one_line(
    words: list[str], message: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert say("small.toml", *words) == 2
    err = capsys.readouterr().err
    assert err.startswith("meanfield: error: ") and message in err and err.count("\n") == 1
    assert files(here) == {"small.toml"}


def test_a_missing_case_is_named_with_its_neighbour(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert say("smal.toml") == 2
    assert "no case file smal.toml (did you mean 'small.toml'?)" in capsys.readouterr().err


@pytest.mark.mpi
@needs_launcher
def test_mpirun_is_refused(here: Path, start: Start) -> None:
    done = start(*ranks(2, "-m", "meanfield", "compare", "small.toml"), cwd=here).finish()
    assert done.code == 2
    (told,) = done.lines("meanfield: ")
    assert "2 processes found, one expected: leave mpirun out, and say --jobs 2" in told
    assert files(here) == {"small.toml"}


def test_help_answers_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert say("--help") == 0
    out = capsys.readouterr().out
    for word in ("--particles", "--replicas", "--times", "--no-distances", "--jobs", "--resume"):
        assert word in out
    assert max(map(len, out.splitlines())) <= 100
