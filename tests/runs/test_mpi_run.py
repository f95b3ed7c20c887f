"""Runs on several ranks: the same numbers as on one, one voice, and no rank that waits for ever."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cases import LONG, about, run, same_series, small
from processes import Ended, Job, needs_launcher, ranks

import meanfield as mf
from meanfield.geometry.mesh import icosphere, write_mesh

Start = Callable[..., Job]
pytestmark = [
    pytest.mark.mpi,
    needs_launcher,
]

several = small.but(
    title="Small, on several ranks",
    time__end=0.5,
    time__outputs=[0.3],
    output__precision="float64",
)


@pytest.fixture
def here(tmp_path: Path) -> Path:
    several.write(tmp_path / "small.toml")
    return tmp_path


def meanfield(start: Start, number: int, here: Path, *words: str) -> Ended:
    return start(*ranks(number, "-m", "meanfield", *words), cwd=here).finish()


def same_runs(one: Path, two: Path, tolerance: float = 1e-10) -> None:
    """Series and fields agree, at the same times."""
    series = [mf.RunFolder(folder).read_series() for folder in (one, two)]
    same_series(*series, tolerance)
    np.testing.assert_array_equal(series[0]["step"], series[1]["step"])
    fields = [mf.read_fields(folder / "fields.vtkhdf") for folder in (one, two)]
    np.testing.assert_array_equal(fields[0].times, fields[1].times)
    np.testing.assert_allclose(fields[0].points, fields[1].points, rtol=0.0, atol=tolerance)
    for k in range(len(fields[0].times)):
        for name in ("rho", "velocity"):
            np.testing.assert_allclose(
                fields[0].read(name, k), fields[1].read(name, k), rtol=tolerance, atol=tolerance
            )


@pytest.mark.slow
def test_two_ranks_give_the_numbers_of_one(here: Path, start: Start) -> None:
    run(mf.Case.from_toml(here / "small.toml"), here / "serial")
    done = meanfield(start, 2, here, "run", "small.toml", "-o", "out")
    assert done.code == 0, done.said
    # One voice only (on either stream: Open MPI may mix them up).
    said = done.said
    assert said.count("meanfield: Small, on several ranks") == said.count("stopped   end") == 1
    assert said.count("t = 0.3 ") == said.count("t = 0.5 ") == 1
    assert "Warning" not in said
    same_runs(here / "serial", here / "out")
    data = about(here / "out")
    assert data["ranks"] == 2 and data["stop_reason"] == "end"
    seconds = sum(data["timings"].values())
    assert all(value >= 0 for value in data["timings"].values()) and seconds > 0


CHARACTERISTICS = {
    "sphere": ("time.end=2.0",),
    "fixed": ("time.end=2.0", "output.mesh=fixed"),
    "collapse": ("model.beta=9", "geometry.level=2", "time.end=40", "time.outputs=[20]"),
    "circle": ("geometry.type=circle", "geometry.vertices=65", "initial.type=fourier",
               "initial.cos=[0.1, 0, 0.2]", "model.attention=usa"),
    "zonal": ("geometry.type=zonal", "geometry.vertices=66", "geometry.d=6",
              "initial.type=gegenbauer", "initial.coefficients=[0.3, 0.2]", "model.value=-1"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (2, "zonal"),
        pytest.param(2, "sphere", marks=pytest.mark.slow),
        *(pytest.param(3, name, marks=pytest.mark.slow) for name in CHARACTERISTICS),
    ],
)
def test_characteristics_on_several_ranks(here: Path, start: Start, number: int, name: str) -> None:
    changes = ("solver.type=lagrangian", *CHARACTERISTICS[name])
    case = mf.Case.from_toml(here / "small.toml", changes)
    # On the sphere round-off of the way back to the start, times what the flow makes of it.
    tolerance = 5e-9 if name in ("sphere", "fixed") else 1e-10
    one = run(case, here / "serial")
    settings = [word for change in changes for word in ("--set", change)]
    done = meanfield(start, number, here, "run", "small.toml", "-o", "out", *settings)
    assert done.code == 0, done.said
    if name == "collapse":  # hardly an error left: round-off decides how long the last steps are
        assert one.solver.points < 100
        rows = [mf.RunFolder(here / folder).read_series() for folder in ("serial", "out")]
        for column in ("energy", "mean_1", "mean_2", "mean_3", "mass", "clusters"):
            np.testing.assert_allclose(rows[0][column][-1], rows[1][column][-1], rtol=1e-10)
    else:
        same_runs(here / "serial", here / "out", tolerance)
    fields = [mf.read_fields(here / folder / "fields.vtkhdf") for folder in ("serial", "out")]
    last = [f.at(-1) for f in fields]
    np.testing.assert_allclose(last[0].points, last[1].points, rtol=0.0, atol=tolerance)
    if name != "fixed":  # whose fields are densities, and not masses that have moved
        np.testing.assert_allclose(last[0].read("mass", -1), last[1].read("mass", -1), atol=1e-14)


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
def test_three_ranks_give_the_numbers_of_one(
    here: Path, start: Start, changes: tuple[str, ...]
) -> None:
    case = mf.Case.from_toml(here / "small.toml", changes)
    run(case, here / "serial")
    settings = [word for change in changes for word in ("--set", change)]
    done = meanfield(start, 3, here, "run", "small.toml", "-o", "out", *settings)
    assert done.code == 0, done.said
    same_runs(here / "serial", here / "out")


def test_refusal_of_rank_0_ends_all_ranks(here: Path, start: Start) -> None:
    run(mf.Case.from_toml(here / "small.toml", ["time.end=0.3"]), here / "out")
    before = {path.name: path.read_bytes() for path in (here / "out").iterdir()}
    done = meanfield(start, 2, here, "run", "small.toml", "-o", "out")
    assert done.code == 2
    (told,) = done.lines("meanfield:")
    assert told.count("meanfield: error:") == 1 and "already holds a run" in told
    assert "Traceback" not in done.said
    assert {path.name: path.read_bytes() for path in (here / "out").iterdir()} == before


PROGRAM = """\
import json
from pathlib import Path
import numpy as np
import meanfield as mf
from meanfield.geometry.mesh import icosphere, write_mesh
from meanfield.software import load_mpi

MPI = load_mpi()

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

result = mf.run(case, "broken", progress=False, observers=[mf.Watch(spoil, mf.EverySteps(1))])
broken = result.stop_reason.startswith("broken invariant") and bool(np.all(result.solver.rho >= 0))

# Parts of the world, each with a run of its own.
part = MPI.COMM_WORLD.Split(color=int(rank == 2), key=rank)
alone = mf.run(case, f"part-{int(rank == 2)}", progress=False, comm=part)

told = MPI.COMM_WORLD.gather((refused, broken, result.t, alone.t, len(alone.series)), root=0)
if rank == 0:
    Path("told.json").write_text(json.dumps(told))
"""


@pytest.mark.slow
def test_what_goes_wrong_on_one_rank_ends_all(here: Path, start: Start) -> None:
    (here / "program.py").write_text(PROGRAM, "utf-8")
    done = start(*ranks(3, "program.py"), cwd=here).finish()
    assert done.code == 0, done.said
    told = json.loads((here / "told.json").read_text())
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


def interrupt(start: Start, here: Path, count: int, number: signal.Signals) -> Ended:
    """Start a long run and send its launcher a signal in the midst of it."""
    words = ("-m", "meanfield", "run", "small.toml", "-o", "out", *LONG)
    job = start(*ranks(count, *words), cwd=here)
    series = here / "out" / "series.csv"
    job.wait_until(
        lambda: series.is_file() and len(series.read_text("utf-8").splitlines()) > 4, "rows"
    )
    job.send(number)
    return job.finish()


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 3)])
def test_interrupted_runs_go_on_with_other_ranks(
    here: Path, start: Start, before: int, after: int
) -> None:
    # mpirun passes SIGUSR1 on and leaves the rest to its ranks.
    done = interrupt(start, here, before, signal.SIGUSR1)
    assert done.code == 128 + signal.SIGUSR1, done.said
    assert done.said.count("meanfield run out --resume") == 1
    data = about(here / "out")
    assert data["stop_reason"] == "interrupted" and data["ranks"] == before
    end = data["t"] + 0.05
    settings = ("--set", f"time.end={end!r}", "--set", "time.outputs=[]")
    done = meanfield(start, after, here, "run", "out", "--resume", *settings)
    assert done.code == 0, done.said
    data = about(here / "out")
    assert (data["stop_reason"], data["ranks"], data["t"]) == ("end", after, end)

    # The same in one go, but for the row of the interruption.
    changes = {"time.end": end, "time.outputs": [], "solver.cfl": 0.01}
    case = mf.Case.from_toml(here / "small.toml", changes)
    whole = run(case)
    series = mf.RunFolder(here / "out").read_series()
    assert np.all(np.diff(series["t"]) > 0)
    # The steps aim at other ends, so the numbers are close, and not the same to the last digit.
    for name in ("energy", "mean_norm", "entropy"):
        expected = np.interp(series["t"], whole.series["t"], whole.series[name])
        np.testing.assert_allclose(series[name], expected, rtol=1e-4)


@pytest.mark.slow
def test_ctrl_c_of_mpirun_leaves_a_run_that_goes_on(here: Path, start: Start) -> None:
    # mpirun may kill its ranks before they have written their last state; then it is that of the
    # last output.
    assert interrupt(start, here, 2, signal.SIGINT).code != 0
    data = about(here / "out")
    assert data["stop_reason"] in ("interrupted", None)
    reached = mf.RunFolder(here / "out").read_series()["t"][-1]
    case = mf.Case.from_toml(
        here / "small.toml", {"time.end": reached + 0.05, "time.outputs": [], "solver.cfl": 0.01}
    )
    result = run(case, here / "out", resume=True)
    assert result.stop_reason == "end" and np.all(np.diff(result.series["t"]) > 0)
    assert np.all(np.diff(result.series["energy"]) > 0)


COUNTING = """\
import sys
from meanfield.case import MeshFile
from meanfield.errors import InputError
from meanfield.geometry import mesh
from meanfield.software import load_mpi

rank = load_mpi().COMM_WORLD.rank
read = mesh.read_mesh
def counted(path, *rest):
    with open(f"read-by-{rank}", "a") as file:
        file.write(f"{path}\\n")
    return read(path, *rest)
mesh.read_mesh = counted

def unseen(self):
    raise InputError("geometry.file: cannot be seen from here")
if rank == 1:
    MeshFile._modified = unseen

from meanfield.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("solver", ["eulerian", pytest.param("lagrangian", marks=pytest.mark.slow)])
def test_a_mesh_file_is_read_by_one_rank_and_need_be_seen_by_no_other(
    here: Path, start: Start, solver: str
) -> None:
    write_mesh(here / "ball.vtu", icosphere(2))
    small.write(here / "small.toml", {"geometry": {"type": "file", "file": "ball.vtu"}})
    (here / "counting.py").write_text(COUNTING, "utf-8")
    words = ("run", "small.toml", "-o", "out", "--set", f"solver={solver}")
    done = start(*ranks(2, "counting.py", *words), cwd=here).finish()
    assert done.code == 0, done.said
    assert (here / "read-by-0").read_text("utf-8").splitlines() == [str(here / "ball.vtu")]
    assert not (here / "read-by-1").exists()


LAW = """\
import time
from pathlib import Path
import numpy as np
from meanfield.software import load_mpi

rank = load_mpi().COMM_WORLD.rank
{act}

def rho(x):
    return 1.0 + 0.5 * x[:, 0]
"""


def law(here: Path, act: str) -> None:
    (here / "law.py").write_text(LAW.format(act=act), "utf-8")
    small.write(
        here / "small.toml", {"initial": {"type": "function", "path": "law.py", "name": "rho"}}
    )


def test_a_law_that_one_rank_cannot_load_is_refused_by_all(here: Path, start: Start) -> None:
    law(here, "if rank == 1: raise RuntimeError('not on this one')")
    done = meanfield(start, 2, here, "run", "small.toml", "-o", "out", "--trust")
    assert done.code == 2, done.said
    assert done.said.count("meanfield: error:") == 1 and "not on this one" in done.said
    assert not (here / "out").exists()


def test_an_interruption_while_a_case_is_read_ends_all_ranks(here: Path, start: Start) -> None:
    law(here, "Path(f'at-{rank}').touch(); time.sleep(600)")
    job = start(*ranks(2, "-m", "meanfield", "run", "small.toml", "-o", "out", "--trust"), cwd=here)
    job.wait_until((here / "at-0").exists, "rank 0 in the law")
    job.send(signal.SIGINT)
    assert job.finish().code != 0
    assert not (here / "out").exists()
