"""Runs on several ranks: the same numbers as on one, one voice, and no rank that waits for ever."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import meanfield as mf

ROOT = Path(__file__).parents[1]
pytestmark = [
    pytest.mark.mpi,
    pytest.mark.skipif(shutil.which("mpirun") is None, reason="no mpirun on the path"),
]

TOML = """\
title = "Small, on several ranks"
[geometry]
type = "sphere"
level = 3
[model]
attention = "sa"
beta = 4.0
[initial]
type = "standard"
[solver]
cfl = 0.2
[time]
end = 0.5
outputs = [0.3]
series_every = 4
[output]
figures = false
precision = "float64"
"""


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "small.toml").write_text(TOML, "utf-8")
    return tmp_path


def start(ranks: int, here: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["mpirun", "-n", str(ranks), sys.executable, *words],
        cwd=here,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str], timeout: float = 180.0) -> tuple[int, str, str]:
    """Exit code, output and errors; a job that hangs is ended with all its ranks."""
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGTERM)  # mpirun ends its ranks
        out, err = process.communicate(timeout=30)
        pytest.fail(f"still there after {timeout} s:\n{out}\n{err}")
    return process.returncode, out, err


def meanfield(ranks: int, here: Path, *words: str) -> tuple[int, str, str]:
    return finish(start(ranks, here, "-m", "meanfield", *words))


def about(folder: Path) -> dict[str, Any]:
    data = json.loads((folder / "run.json").read_text("utf-8"))
    assert isinstance(data, dict)
    return data


def same_runs(one: Path, two: Path, tolerance: float = 1e-10) -> None:
    """Series and fields agree, at the same times."""
    series = [mf.RunFolder(folder).read_series() for folder in (one, two)]
    assert list(series[0]) == list(series[1])
    for name in series[0]:
        np.testing.assert_allclose(
            series[0][name], series[1][name], rtol=tolerance, atol=tolerance, err_msg=name
        )
    np.testing.assert_array_equal(series[0]["step"], series[1]["step"])
    fields = [mf.read_fields(folder / "fields.vtkhdf") for folder in (one, two)]
    np.testing.assert_array_equal(fields[0].times, fields[1].times)
    np.testing.assert_array_equal(fields[0].points, fields[1].points)
    for k in range(len(fields[0].times)):
        for name in ("rho", "velocity"):
            np.testing.assert_allclose(
                fields[0].read(name, k), fields[1].read(name, k), rtol=tolerance, atol=tolerance
            )


@pytest.mark.slow
def test_two_ranks_give_the_numbers_of_one(here: Path) -> None:
    mf.run(mf.Case.from_toml(here / "small.toml"), here / "serial", progress=False)
    code, out, err = meanfield(2, here, "run", "small.toml", "-o", "out")
    assert code == 0, err
    # One voice only (on either stream: Open MPI may mix them up).
    said = out + err
    assert said.count("meanfield: Small, on several ranks") == said.count("stopped   end") == 1
    assert said.count("t = 0.3 ") == said.count("t = 0.5 ") == 1
    assert "Warning" not in said
    same_runs(here / "serial", here / "out")
    data = about(here / "out")
    assert data["ranks"] == 2 and data["stop_reason"] == "end"
    seconds = sum(data["timings"].values())
    assert all(value >= 0 for value in data["timings"].values()) and seconds > 0


CHARACTERISTICS = {
    "sphere": ("solver.refine=true", "solver.refine_mass=1e-3", "time.end=2.0"),
    "collapse": ("model.beta=9", "geometry.level=2", "time.end=40", "time.outputs=[20]"),
    "circle": ("geometry.type=circle", "geometry.vertices=65", "initial.type=fourier",
               "initial.cos=[0.1, 0, 0.2]", "model.attention=usa"),
    "zonal": ("geometry.type=zonal", "geometry.vertices=66", "geometry.d=6",
              "initial.type=gegenbauer", "initial.coefficients=[0.3, 0.2]", "model.value=-1"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("ranks", "name"),
    [
        (2, "sphere"),
        *(pytest.param(3, name, marks=pytest.mark.slow) for name in CHARACTERISTICS),
    ],
)
def test_characteristics_on_several_ranks(here: Path, ranks: int, name: str) -> None:
    changes = ("solver.type=lagrangian", *CHARACTERISTICS[name])
    case = mf.Case.from_toml(here / "small.toml", changes)
    one = mf.run(case, here / "serial", progress=False)
    settings = [word for change in changes for word in ("--set", change)]
    code, _, err = meanfield(ranks, here, "run", "small.toml", "-o", "out", *settings)
    assert code == 0, err
    if name == "collapse":  # hardly an error left: round-off decides how long the last steps are
        assert one.solver.points < 100
        rows = [mf.RunFolder(here / folder).read_series() for folder in ("serial", "out")]
        for column in ("energy", "mean_1", "mean_2", "mean_3", "mass", "clusters"):
            np.testing.assert_allclose(rows[0][column][-1], rows[1][column][-1], rtol=1e-10)
    else:
        same_runs(here / "serial", here / "out")
    fields = [mf.read_fields(here / folder / "fields.vtkhdf") for folder in ("serial", "out")]
    last = [f.at(-1) for f in fields]
    np.testing.assert_allclose(last[0].points, last[1].points, rtol=0.0, atol=1e-10)
    np.testing.assert_allclose(last[0].read("mass", -1), last[1].read("mass", -1), atol=1e-14)
    if name == "sphere":  # with vertices that were not there at the start
        assert len(last[0].points) > len(fields[0].points) == 642


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        ("geometry.type=circle", "geometry.vertices=65", "initial.type=fourier",
         "initial.cos=[0.1, 0, 0.2]"),
        ("geometry.type=zonal", "geometry.vertices=66", "geometry.d=6",
         "initial.type=gegenbauer", "initial.coefficients=[0.3, 0.2]"),
        ("model.attention=usa", "model.value=-1", "time.end=0.2", "time.outputs=[0.1]",
         "solver.stepper=ssprk3", "solver.field=stages"),
    ],
    ids=["circle", "zonal", "usa-stages"],
)  # fmt: skip
def test_three_ranks_give_the_numbers_of_one(here: Path, changes: tuple[str, ...]) -> None:
    case = mf.Case.from_toml(here / "small.toml", changes)
    mf.run(case, here / "serial", progress=False)
    settings = [word for change in changes for word in ("--set", change)]
    code, _, err = meanfield(3, here, "run", "small.toml", "-o", "out", *settings)
    assert code == 0, err
    same_runs(here / "serial", here / "out")


def test_refusal_of_rank_0_ends_all_ranks(here: Path) -> None:
    mf.run(mf.Case.from_toml(here / "small.toml", ["time.end=0.3"]), here / "out", progress=False)
    before = {path.name: path.read_bytes() for path in (here / "out").iterdir()}
    code, out, err = meanfield(2, here, "run", "small.toml", "-o", "out")
    assert code == 2
    said = out + err
    assert said.count("meanfield:") == said.count("meanfield: error:") == 1
    assert "already holds a run" in said and "Traceback" not in said
    assert {path.name: path.read_bytes() for path in (here / "out").iterdir()} == before


PROGRAM = """\
import json
import numpy as np
from mpi4py import MPI
import meanfield as mf

rank = MPI.COMM_WORLD.rank
case = mf.Case.from_toml("small.toml")

# Rank 0 cannot make the folder: known only when it tries.
try:
    mf.run(case, "/proc/meanfield", progress=False)
except mf.InputError as error:
    refused = "/proc" in str(error)
else:
    refused = False

# One rank has NaN: all stop, with the last good state.
def spoil(solver):
    if solver.step == 8 and rank == 1:
        solver.rho[:] = np.nan

result = mf.run(case, "broken", progress=False, observers=[mf.Watch(spoil, 1, False)])
broken = result.stop_reason.startswith("broken invariant") and bool(np.all(result.solver.rho >= 0))

# Parts of the world, each with a run of its own.
part = MPI.COMM_WORLD.Split(color=int(rank == 2), key=rank)
alone = mf.run(case, f"part-{int(rank == 2)}", progress=False, comm=part)

told = MPI.COMM_WORLD.gather((refused, broken, result.t, alone.t, len(alone.series)), root=0)
if rank == 0:
    print(json.dumps(told))
"""


@pytest.mark.slow
def test_what_goes_wrong_on_one_rank_ends_all(here: Path) -> None:
    (here / "program.py").write_text(PROGRAM, "utf-8")
    code, out, err = finish(start(3, here, "program.py"))
    assert code == 0, err
    told = json.loads(out)
    assert [entry[0] for entry in told] == [True] * 3
    assert [entry[1] for entry in told] == [True] * 3
    assert [entry[2] for entry in told] == [0.3] * 3  # the last output before the eighth step
    assert [entry[3] for entry in told] == [0.5] * 3
    assert [entry[4] > 0 for entry in told] == [True, False, True]  # the series is on rank 0
    assert about(here / "broken")["stop_reason"].startswith("broken invariant: ")
    saved = mf.read_fields(here / "broken" / "fields.vtkhdf")
    assert tuple(saved.times) == (0.0, 0.3) and np.all(np.isfinite(saved.read("rho", -1)))
    assert (about(here / "part-0")["ranks"], about(here / "part-1")["ranks"]) == (2, 1)
    same_runs(here / "part-0", here / "part-1")


LONG = ("--set", "time.end=1e6", "--set", "solver.cfl=0.01", "--set", "time.outputs.every=20")


def interrupt(here: Path, ranks: int, folder: str, number: signal.Signals) -> tuple[int, str]:
    """Start a long run and send mpirun a signal in the midst of it; gives code and all output.

    Open MPI now and then forwards a line of standard error on standard output.
    """
    words = ("-m", "meanfield", "run", "small.toml", "-o", folder, *LONG)
    process = start(ranks, here, *words)
    series = here / folder / "series.csv"
    deadline = time.monotonic() + 180
    while not (series.is_file() and len(series.read_text("utf-8").splitlines()) > 4):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(number)
    code, out, err = finish(process, 60)
    return code, out + err


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 3)])
def test_interrupted_runs_go_on_with_other_ranks(here: Path, before: int, after: int) -> None:
    # mpirun passes SIGUSR1 on and leaves the rest to its ranks.
    code, said = interrupt(here, before, "out", signal.SIGUSR1)
    assert code == 130, said
    assert said.count("meanfield run out --resume") == 1
    data = about(here / "out")
    assert data["stop_reason"] == "interrupted" and data["ranks"] == before
    end = data["t"] + 0.05
    settings = ("--set", f"time.end={end!r}", "--set", "time.outputs=[]")
    code, _, err = meanfield(after, here, "run", "out", "--resume", *settings)
    assert code == 0, err
    data = about(here / "out")
    assert (data["stop_reason"], data["ranks"], data["t"]) == ("end", after, end)

    # The same in one go, but for the row of the interruption.
    changes = {"time.end": end, "time.outputs": [], "solver.cfl": 0.01}
    case = mf.Case.from_toml(here / "small.toml", changes)
    whole = mf.run(case, progress=False)
    series = mf.RunFolder(here / "out").read_series()
    assert np.all(np.diff(series["t"]) > 0)
    # The steps aim at other ends, so the numbers are close, and not the same to the last digit.
    for name in ("energy", "mean_norm", "entropy"):
        expected = np.interp(series["t"], whole.series["t"], whole.series[name])
        np.testing.assert_allclose(series[name], expected, rtol=1e-4)


@pytest.mark.slow
def test_ctrl_c_of_mpirun_leaves_a_run_that_goes_on(here: Path) -> None:
    # mpirun may kill its ranks before they have written their last state; then it is that of the
    # last output.
    code, _ = interrupt(here, 2, "out", signal.SIGINT)
    assert code != 0
    data = about(here / "out")
    assert data["stop_reason"] in ("interrupted", None)
    reached = mf.RunFolder(here / "out").read_series()["t"][-1]
    case = mf.Case.from_toml(
        here / "small.toml", {"time.end": reached + 0.05, "time.outputs": [], "solver.cfl": 0.01}
    )
    result = mf.run(case, here / "out", resume=True, progress=False)
    assert result.stop_reason == "end" and np.all(np.diff(result.series["t"]) > 0)
    assert np.all(np.diff(result.series["energy"]) > 0)
