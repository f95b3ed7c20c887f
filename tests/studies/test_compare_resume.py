"""Comparisons that are interrupted, killed or asked for more: they go on."""

from __future__ import annotations

import csv
import dataclasses
import math
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import about, contents, files
from comparisons import compared, quick, tasks
from processes import HANG, Job, needs_dolfinx, python

import meanfield as mf
from meanfield import cli
from meanfield.geometry.laws import FunctionDensity
from meanfield.geometry.mesh import icosphere, write_mesh
from meanfield.studies import tasks as work
from meanfield.studies.evaluate import Comparison
from meanfield.studies.report import draw, summary
from meanfield.studies.tasks import Task

pytestmark = needs_dolfinx

Start = Callable[..., Job]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"case": {"model.beta": 4.5}}, "model.beta, the case of the particles"),
        ({"case": {"seed": 1}}, "seed"),
        ({"case": {"geometry.level": 2}}, "geometry.level"),
        ({"times": [0.3]}, "times"),
        ({"exponents": (2,)}, "exponents"),
        ({"particle_case": compared({"model.beta": 4.4})}, "the case of the particles"),
    ],
)
def test_going_on_with_something_else_is_refused(
    options: dict[str, Any], named: str, tmp_path: Path
) -> None:
    quick(compared(), tmp_path / "x")
    before = contents(tmp_path / "x")
    options = dict(options)
    case = compared(options.pop("case", {}))
    with pytest.raises(mf.InputError, match=f"with other values of .*{named}"):
        quick(case, tmp_path / "x", resume=True, **options)
    assert contents(tmp_path / "x") == before


def test_overwriting_deletes_its_own_files_only(tmp_path: Path) -> None:
    folder = tmp_path / "x"
    quick(compared({"output.figures": True}), folder, numbers=(20, 30), exponents=(2,))
    mine = {"notes.txt", "tasks/notes.txt", "tasks/mine-n20-r0.npz", "figures/mine.png"}
    for name in mine:
        (folder / name).write_text("mine")
    (folder / "tasks" / "floor-n20-r0.npz.tmp").write_text("left behind by a killed process")
    quick(compared(), folder, numbers=(25,), overwrite=True)
    tables = {"case.toml", "run.json", "compare.csv", "rates.csv"}
    kept = tables | {"density.npz", "density-coarse.npz"}
    assert files(folder) == kept | mine | tasks((25,), 2, ("particles",))
    assert all((folder / name).read_text() == "mine" for name in mine)


def test_more_particles_and_replicas_may_be_asked_for_later(tmp_path: Path) -> None:
    whole = quick(compared(), tmp_path / "whole", numbers=(20, 30), replicas=4)
    quick(compared(), tmp_path / "parts", numbers=(30,), replicas=3)
    before = contents(tmp_path / "parts")
    parts = quick(compared(), tmp_path / "parts", numbers=(20, 30), replicas=4, resume=True)
    assert parts.rows == whole.rows
    after = contents(tmp_path / "parts")
    for name in (*tasks((30,), 3, ("particles",)), "density.npz"):
        assert after[name] == before[name]
    data = about(tmp_path / "parts")
    assert data["numbers"] == [20, 30] and data["replicas"] == 4 and len(data["resumed"]) == 1
    assert after["compare.csv"] == (tmp_path / "whole" / "compare.csv").read_bytes()


def test_clouds_of_an_earlier_version_are_made_again(tmp_path: Path) -> None:
    """Theirs were made without parts of them, their density on one mesh."""
    folder = tmp_path / "x"
    first = quick(compared(), folder, numbers=(40,))
    (folder / "density-coarse.npz").unlink()
    for name in tasks((40,), 2, ("particles",)):
        with np.load(folder / name) as data:
            earlier = {"x": data["x"], "energy": data["energy"][:, 0]}
        np.savez(folder / name, **earlier)
    with pytest.warns(mf.MeanfieldWarning, match="2 clouds of an earlier version are made again"):
        again = quick(compared(), folder, numbers=(40,), resume=True)
    assert again.rows == first.rows and not math.isnan(first.rows[0]["moment_bias"])
    assert (folder / "density-coarse.npz").is_file()


def test_going_on_with_what_is_finished_changes_nothing(tmp_path: Path) -> None:
    first = quick(compared(), tmp_path / "x")
    before = {name: os.stat(tmp_path / "x" / name).st_mtime_ns for name in tasks((20,), 2, (
        "particles",))}  # fmt: skip
    again = quick(compared({"title": "New words"}), tmp_path / "x", resume=True)
    assert again.rows == first.rows
    assert all(os.stat(tmp_path / "x" / name).st_mtime_ns == at for name, at in before.items())


@pytest.mark.parametrize("finished_tasks", [0, 3])
def test_an_error_half_way_loses_nothing(
    finished_tasks: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = quick(compared(), tmp_path / "whole", replicas=5)
    begun: list[str] = []
    real = Task.run

    def fails(self: Task) -> None:
        begun.append(self.path.name)
        if len(begun) > finished_tasks:
            raise KeyboardInterrupt
        real(self)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Task, "run", fails)
        quick(compared(), tmp_path / "parts", replicas=5)
    left = {name for name in files(tmp_path / "parts") if name.startswith("tasks/")}
    assert left == {f"tasks/{name}" for name in begun[:-1]}
    assert about(tmp_path / "parts")["stop_reason"] == "interrupted"
    assert not (tmp_path / "parts" / "compare.csv").exists()
    with pytest.raises(mf.InputError, match="no finished comparison"):
        draw(tmp_path / "parts")
    parts = quick(compared(), tmp_path / "parts", replicas=5, resume=True)
    assert parts.rows == whole.rows


def test_ctrl_c_while_the_density_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = work.run

    def interrupted(case: mf.Case, **options: Any) -> mf.Result:
        def press(solver: Any) -> None:
            os.kill(os.getpid(), signal.SIGINT)

        watch = mf.Watch(press, mf.EverySteps(1))
        return real(case, **{**options, "observers": [*options["observers"], watch]})

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(work, "run", interrupted)
        quick(compared(), tmp_path / "x")
    assert files(tmp_path / "x") == {"case.toml", "run.json"}
    assert (
        quick(compared(), tmp_path / "x", resume=True).rows
        == quick(compared(), tmp_path / "y").rows
    )


STALLING = """\
import sys
import time
from pathlib import Path

from meanfield import cli
from meanfield.studies.tasks import Task

whole = Task.run


def run(task):
    while len(list(Path("out/tasks").glob("*.npz"))) >= 4:
        time.sleep(0.1)
    whole(task)


Task.run = run
if __name__ == "__main__":
    sys.exit(cli.main(sys.argv[1:]))
"""


def comparing(start: Start, here: Path, *words: str) -> Job:
    """A comparison that never gets beyond some clouds: there is time to interrupt it."""
    (here / "stalling.py").write_text(STALLING)
    return start(*python("stalling.py", "compare", "small.toml", *words, "-o", "out"), cwd=here)


def same_tables(one: Path, two: Path) -> None:
    """Tables of two comparisons agree, to what other processes make of round-off."""
    for name in ("compare.csv", "rates.csv"):
        rows = [list(csv.reader((path / name).open(newline=""))) for path in (one, two)]
        assert rows[0][0] == rows[1][0] and len(rows[0]) == len(rows[1]) > 1
        for a, b in zip(rows[0][1:], rows[1][1:], strict=True):
            for x, y in zip(a, b, strict=True):
                assert x == y or float(x) == pytest.approx(float(y), rel=1e-8, abs=1e-12)


def wait_for(folder: Path, count: int, job: Job) -> set[str]:
    """Wait until so many clouds are finished; gives their files."""
    done: set[str] = set()

    def enough() -> bool:
        done.update(path.name for path in (folder / "tasks").glob("*.npz"))
        return len(done) >= count

    job.wait_until(enough, f"{count} clouds")
    return done


def nothing_is_left(job: Job) -> bool:
    """Whether a job has ended all its processes; given the time to."""
    begun = time.monotonic()
    while job.left() and time.monotonic() - begun < HANG:
        time.sleep(0.05)
    return not job.left()


OPTIONS = ("--particles", "50", "200", "--replicas", "6", "--no-progress")


@pytest.mark.slow
def test_ctrl_c_and_on_with_two_processes(
    finished: Comparison, here: Path, start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the end the table is the one of a single process that was never interrupted."""
    job = comparing(start, here, *OPTIONS, "--jobs", "2")
    done = wait_for(here / "out", 2, job)
    job.send_all(signal.SIGINT)
    ended = job.finish()
    assert ended.code == 130, ended.said
    assert "interrupted: what is finished is kept" in ended.err and "--resume" in ended.err
    assert "Traceback" not in ended.said and "Error" not in ended.said
    assert nothing_is_left(job)
    folder = here / "out"
    assert about(folder)["stop_reason"] == "interrupted"
    kept = {path.name: path.stat().st_mtime_ns for path in (folder / "tasks").glob("*.npz")}
    assert done <= kept.keys() and len(kept) < len(tasks())
    for name in kept:  # all of them whole
        assert set(np.load(folder / "tasks" / name)) >= {"w2", "quadrature"}

    assert cli.main(["compare", "small.toml", *OPTIONS, "-j", "2", "-o", "out", "--resume"]) == 0
    shown = capsys.readouterr().out
    for name, at in kept.items():
        assert (folder / "tasks" / name).stat().st_mtime_ns == at
    assert tasks() <= files(folder)
    same_tables(folder, finished.folder)
    assert all(line in shown for line in summary(finished))
    for name in tasks():
        one, two = (np.load(path / name) for path in (folder, finished.folder))
        for key in two:
            # Round-off is not promised to be the same: vectorised loops over tokens have other
            # remainders when another number of threads shares them (seen on one processor: one
            # unit in the last place of some coordinates).
            np.testing.assert_allclose(
                one[key], two[key], rtol=1e-12, atol=1e-13, err_msg=f"{name}: {key}"
            )


@pytest.mark.slow
def test_being_terminated_ends_all_processes(here: Path, start: Start) -> None:
    job = comparing(start, here, *OPTIONS, "--jobs", "2")
    wait_for(here / "out", 1, job)
    job.send(signal.SIGTERM)  # to the first process alone, as a batch system does
    ended = job.finish()
    assert ended.code == 128 + signal.SIGTERM and "Traceback" not in ended.said
    assert nothing_is_left(job)


SCRIPT = """\
import sys
import time

import meanfield as mf
from meanfield.studies.compare import compare
from meanfield.studies.settings import Clouds
from meanfield.studies.tasks import Task

whole = Task.run


def run(task):
    whole(task)
    time.sleep(600)


Task.run = run
case = mf.Case.from_toml("small.toml")
try:
    compare(case, Clouds((20,), 3, exponents=()), "out", progress=False)
except KeyboardInterrupt:
    print("went on")
"""


@pytest.mark.slow
def test_a_signal_ends_a_script_after_its_comparison_has_stopped(here: Path, start: Start) -> None:
    (here / "script.py").write_text(SCRIPT)
    job = start(*python("script.py"), cwd=here)
    wait_for(here / "out", 1, job)
    job.send(signal.SIGTERM)
    ended = job.finish()
    assert ended.code == -signal.SIGTERM and "went on" not in ended.said
    assert about(here / "out")["stop_reason"] == "interrupted"


def test_files_that_have_changed_are_told(tmp_path: Path) -> None:
    """Clouds of two laws, or two meshes, are not mixed, whatever the file's name."""
    write_mesh(tmp_path / "mesh.vtu", icosphere(2))
    case = compared(geometry={"type": "file", "file": str(tmp_path / "mesh.vtu")})
    quick(case, tmp_path / "x")
    write_mesh(tmp_path / "mesh.vtu", icosphere(3), overwrite=True)
    before = contents(tmp_path / "x")
    with pytest.raises(mf.InputError, match=r"other values of the file of geometry\.file"):
        quick(case, tmp_path / "x", resume=True)
    assert contents(tmp_path / "x") == before


def test_another_law_made_in_python_is_told(tmp_path: Path) -> None:
    def case(tilt: float) -> mf.Case:
        return dataclasses.replace(
            compared(), initial=FunctionDensity(lambda x: 1.0 + tilt * x[:, 2], d=3)
        )

    quick(case(0.5), tmp_path / "x")
    quick(case(0.5), tmp_path / "x", resume=True, replicas=3)
    with pytest.raises(mf.InputError, match="other values of the law"):
        quick(case(0.4), tmp_path / "x", resume=True)


def test_a_process_that_is_killed_is_told(tmp_path: Path) -> None:
    """As the system does when memory runs out."""

    def kill_one() -> None:
        deadline = time.monotonic() + HANG
        while time.monotonic() < deadline:
            for child in multiprocessing.active_children():
                if child.pid is not None and child.is_alive():
                    os.kill(child.pid, signal.SIGKILL)
                    return
            time.sleep(0.01)

    killer = threading.Thread(target=kill_one)
    killer.start()
    with pytest.raises(mf.InputError, match=r"one of 2 processes ended too early.*fewer jobs"):
        quick(compared(), tmp_path / "x", replicas=8, jobs=2)
    killer.join()
    assert not multiprocessing.active_children()
    assert quick(compared(), tmp_path / "x", replicas=8, resume=True).rows


@pytest.mark.slow
def test_signals_and_threads_are_put_back(tmp_path: Path) -> None:
    names = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "MEANFIELD_NUM_THREADS")
    signals = (signal.SIGINT, signal.SIGTERM)
    before = [os.environ.get(name) for name in names] + [signal.getsignal(s) for s in signals]
    quick(compared(), tmp_path / "x", jobs=2)
    after = [os.environ.get(name) for name in names] + [signal.getsignal(s) for s in signals]
    assert before == after


def test_in_a_thread_of_its_own(tmp_path: Path) -> None:
    """Where signals cannot be caught, everything else works."""
    found: list[Comparison] = []
    thread = threading.Thread(target=lambda: found.append(quick(compared(), tmp_path / "x")))
    thread.start()
    thread.join()
    assert found[0].rows == quick(compared(), tmp_path / "y").rows


def test_clouds_of_an_earlier_version_go_on(tmp_path: Path) -> None:
    """Its text of the case of the particles has fewer keys: the others had their defaults."""
    from meanfield.studies.settings import _of_particles

    case = compared({"solver.type": "implicit"})
    text = case.to_toml()
    earlier = "\n".join(
        line for line in text.splitlines() if not line.startswith(("potential", "linear ="))
    )
    assert earlier != text and _of_particles(earlier) == _of_particles(text)
