"""Runs of tokens from the command line: told, tried dry, refused, interrupted."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cases import few_tokens, files, run
from processes import Job, needs_launcher, python, ranks
from tokencases import same_run

from meanfield import cli
from meanfield.geometry.sphere import uniform_points
from meanfield.results.checkpoint import load_checkpoint

Start = Callable[..., Job]


def say(*words: str) -> int:
    return cli.main([*words])


def test_from_the_command_line(few: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert say("run", "few.toml", "--no-progress", "--set", "output.figures=true") == 0
    out, err = capsys.readouterr()
    assert "meanfield: 50 tokens on S^2 (iid), sa, beta = 4, V = +I -> results/few" in out
    lines = dict(line.split(maxsplit=1) for line in out.splitlines()[3:] if " " in line)
    assert lines["stopped"] == "end, at t = 2"
    assert lines["ParaView"] == "results/few/particles.vtkhdf"
    assert lines["series"] == "results/few/series.csv"
    assert "results/few/figures/particles.png" in out and err == ""
    x = load_checkpoint(few / "results" / "few" / "checkpoint.npz")["x"]
    np.testing.assert_array_equal(x, run(few_tokens()).solver.x)


def test_info(few: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert say("run", "few.toml", "--no-progress", "--set", "model.kappa=0.1") == 0
    assert "beta = 4, V = +I, kappa = 0.1" in capsys.readouterr().out
    assert say("info", "results/few") == 0
    out = capsys.readouterr().out
    lines = dict(line.split(maxsplit=1) for line in out.splitlines() if not line.startswith(" "))
    assert lines["tokens"] == "50"
    assert lines["t"].startswith("2 of 2, ")
    assert "d = 3" in lines["geometry"] and "kappa = 0.1" in lines["model"]
    assert "mesh" not in lines and "rho_min" not in lines
    assert "particles.vtkhdf" in out and "noise" in out


DRY: dict[str, tuple[list[str], str, str]] = {
    "particles": ([], "50 tokens on S^2 (iid)", "5 * 50 * (6 * 8 + 4)"),
    "a million": (["solver.number=1_000_000", "output.precision=float32"],
                  "1,000,000 tokens on S^2 (iid)", "5 * 1_000_000 * (6 * 4 + 4)"),
    "d = 128": (["geometry.d=128", "initial.type=uniform"], "50 tokens on S^127 (iid)",
                "5 * 50 * (6 * 8 + 4)"),
    "layers": (["solver.type=layers", "solver.number=9", "solver.layers=20"],
               "9 tokens on S^2 (iid), 20 layers a unit of time", "5 * 9 * (6 * 8 + 4)"),
    "quantised": (["solver.tokens=quantised"], "50 tokens on S^2 (quantised)",
                  "5 * 50 * (6 * 8 + 4)"),
    "a file": (["solver.type=particles", "solver.tokens=first.npy"],
               "50 tokens on S^2 (first.npy)", "5 * 50 * (6 * 8 + 4)"),
    "a mesh": (["geometry.type=sphere", "geometry.level=5"], "50 tokens on S^2 (iid)",
               "5 * 50 * (6 * 8 + 4)"),
}  # fmt: skip


@pytest.mark.parametrize("name", DRY)
def test_dry_run(name: str, few: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(few / "first.npy", uniform_points(50, 3, np.random.default_rng(1)))
    sets, words, size = DRY[name]
    before = files(few)
    assert say("run", "few.toml", "--dry-run", *(w for s in sets for w in ("--set", s))) == 0
    out = capsys.readouterr().out
    lines = dict(line.split(maxsplit=1) for line in out.splitlines()[:8])
    assert lines["tokens"] == words and "mesh" not in lines and "vertices" not in words
    number, unit_ = lines["fields"].removeprefix("position, velocity, cluster: ").split()[:2]
    scale = {"bytes": 1, "kB": 1e3, "MB": 1e6}[unit_.rstrip(",")]
    assert float(number) * scale == pytest.approx(eval(size), rel=0.06)
    assert lines["dolfinx"] == "not needed"
    assert "REFUSED" not in out and files(few) == before


def test_a_dry_run_looks_into_the_file(few: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(few / "first.npy", 3.0 * uniform_points(50, 3, np.random.default_rng(1)))
    assert say("run", "few.toml", "--dry-run", "--set", "solver.tokens=first.npy") == 2
    error = capsys.readouterr().err
    assert error.startswith("meanfield: error: ") and "unit vectors" in error
    assert error.count("\n") == 1


def test_a_file_beside_the_case_also_when_going_on(
    few: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The case in the run folder says where the tokens came from, wherever one stands then."""
    (few / "cases").mkdir()
    np.save(few / "cases" / "first.npy", uniform_points(20, 3, np.random.default_rng(1)))
    solver = {"type": "particles", "tokens": "first.npy"}
    few_tokens.write(few / "cases" / "of-file.toml", solver=solver)
    half = ("--set", "time.end=1")
    assert say("run", "cases/of-file.toml", "-o", "out/half", "--no-progress", *half) == 0
    assert "20 tokens on S^2 (first.npy)" in capsys.readouterr().out
    (few / "elsewhere").mkdir()
    monkeypatch.chdir(few / "elsewhere")
    on = ("--resume", "--no-progress", "--set", "time.end=2")
    assert say("run", "../out/half", *on) == 0
    monkeypatch.chdir(few / "cases")
    assert say("run", "of-file.toml", "-o", "../out/whole", "--no-progress") == 0
    same_run(few / "out" / "whole", few / "out" / "half")


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (["solver.tokens=frist.npy"], "did you mean 'first.npy'?"),
        (["solver.tokens=first.npy", "solver.number=3"], "50 tokens found, 3 expected"),
        (["solver.number=0"], "solver.number: expected a whole number"),
        (["solver.interaction=harmonics", "geometry.d=8", "initial.type=uniform"], "d = 2 and 3"),
        (["solver.type=eulerian"], "needs a mesh, found 'unmeshed'"),
        (["geometry.type=zonal", "geometry.d=3", "geometry.vertices=33", "initial.type=uniform"],
         "expected 'unmeshed' with d = 3"),
        (["solver.type=layers", "solver.number=5"], "layers = 100"),
    ],
)  # fmt: skip
def test_refused_in_one_line(
    sets: list[str], message: str, few: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(few / "first.npy", uniform_points(50, 3, np.random.default_rng(1)))
    before = files(few)
    assert say("run", "few.toml", *(w for s in sets for w in ("--set", s))) == 2
    out, err = capsys.readouterr()
    assert err.startswith("meanfield: error: ") and message in err and err.count("\n") == 1
    assert out == "" and files(few) == before


def test_tokens_need_neither_dolfinx_nor_mpi(few: Path, start: Start) -> None:
    code = (
        "import sys\n"
        "for name in ('dolfinx', 'mpi4py', 'mpi4py.MPI', 'petsc4py', 'ufl', 'basix'):\n"
        "    sys.modules[name] = None\n"
        "from meanfield import cli\n"
        "sys.exit(cli.main(['run', 'few.toml', '--no-progress', '--set', 'output.figures=true']))\n"
    )
    # h5py with MPI, which some systems have, would look for mpi4py; it has its own switch.
    done = start(*python("-c", code), cwd=few, H5PY_ALWAYS_USE_MPI="").finish()
    assert done.code == 0, done.said
    assert "stopped" in done.out and (few / "results" / "few" / "particles.vtkhdf").is_file()


def test_ctrl_c_on_the_command_line(
    few: Path, start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("run", "few.toml", "--set", "model.kappa=0.1", "--set", "solver.dt=1e-4",
             "--set", "time.outputs.every=0.01", "--set", "time.end=900")  # fmt: skip
    job = start(*python("-m", "meanfield", *words), cwd=few)
    series = few / "results" / "few" / "series.csv"
    job.wait_until(lambda: series.is_file() and series.read_text().count("\n") > 2, "rows")
    job.send(signal.SIGINT)
    done = job.finish()
    assert done.code == 130, done.said
    assert "stopped   interrupted, at t = " in done.out
    assert "can be resumed with: meanfield run results/few --resume" in done.err
    assert "Traceback" not in done.err
    end = 0.01 + json.loads((few / "results" / "few" / "run.json").read_text())["t"]
    assert say("run", "results/few", "--resume", "--no-progress", "--set", f"time.end={end!r}") == 0
    assert f"stopped   end, at t = {end:g}" in capsys.readouterr().out


@pytest.mark.mpi
@needs_launcher
def test_two_ranks_are_one_too_many(few: Path, start: Start) -> None:
    done = start(*ranks(2, "-m", "meanfield", "run", "few.toml"), cwd=few).finish()
    assert done.code == 2, done.said
    (told,) = done.lines("meanfield: ")
    assert told.endswith(
        "meanfield: error: 2 processes found, one expected: tokens use the threads of one process"
    )
    assert "Traceback" not in done.said and not (few / "results").exists()


@pytest.mark.mpi
@needs_launcher
def test_a_dry_run_on_two_ranks_is_shown_once(few: Path, start: Start) -> None:
    done = start(*ranks(2, "-m", "meanfield", "run", "few.toml", "--dry-run"), cwd=few).finish()
    assert done.code == 0 and done.said.count("50 tokens on S^2") == 1
