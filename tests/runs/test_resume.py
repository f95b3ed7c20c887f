"""Runs that are interrupted, killed or at their end go on as if nothing had been."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import GEOMETRIES, LONG, PREVIOUS, about, at_step, run, same_series, small
from finished import Finished
from processes import HANG, Job, python

import meanfield as mf
from meanfield.results.checkpoint import load_checkpoint

Start = Callable[..., Job]


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_to_two_is_to_one_and_then_to_two(tmp_path: Path, geometry: str) -> None:
    outputs = {"time.outputs": [0.5, 1.0, 1.7], "time.end": 2.0}
    once = run(small({**GEOMETRIES[geometry], **outputs}), tmp_path / "once")
    first = small({**GEOMETRIES[geometry], "time.outputs": [0.5], "time.end": 1.0})
    run(first, tmp_path / "twice")
    twice = run(small({**GEOMETRIES[geometry], **outputs}), tmp_path / "twice", resume=True)
    assert (once.t, once.steps) == (twice.t, twice.steps)
    same_series(once.series, twice.series, 1e-12)
    np.testing.assert_allclose(once.solver.rho, twice.solver.rho, rtol=1e-12)
    fields = [mf.read_fields(tmp_path / name / "fields.vtkhdf") for name in ("once", "twice")]
    assert tuple(fields[0].times) == tuple(fields[1].times) == (0.0, 0.5, 1.0, 1.7, 2.0)
    for k in range(5):
        np.testing.assert_allclose(
            fields[0].read("rho", k), fields[1].read("rho", k), rtol=1e-6, atol=1e-30
        )


@pytest.mark.parametrize(
    "number",
    [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP, signal.SIGQUIT],
)
def test_interrupted_runs_go_on_as_if_nothing_had_been(
    tmp_path: Path, number: signal.Signals
) -> None:
    once = run(small(time__end=1.0), tmp_path / "once")
    before, heard = signal.getsignal(number), []

    def hear(*_: object) -> None:
        heard.append(about(tmp_path / "twice")["stop_reason"])

    if number != signal.SIGINT:  # which would end the tests, should it come through
        signal.signal(number, hear)
    inside = signal.getsignal(number)
    try:
        ask = at_step(5, lambda solver: os.kill(os.getpid(), number))
        stopped = run(small(time__end=1.0), tmp_path / "twice", observers=[ask])
        assert signal.getsignal(number) is inside
    finally:
        signal.signal(number, before)
    assert stopped.stop_reason == about(tmp_path / "twice")["stop_reason"] == "interrupted"
    assert stopped.signal == number
    # Who would have ended the process still does, when all is written.
    asking = number in (signal.SIGINT, signal.SIGUSR1)
    assert heard == ([] if asking else ["interrupted"])
    assert stopped.steps == 5 and stopped.t not in small().output_times()
    # Everything is there up to where it stopped.
    assert stopped.series["t"][-1] == stopped.t
    fields = mf.read_fields(tmp_path / "twice" / "fields.vtkhdf")
    assert fields.times[-1] == stopped.t

    twice = run(small(time__end=1.0), tmp_path / "twice", resume=True)
    assert (twice.stop_reason, twice.t, twice.steps) == ("end", 1.0, once.steps)
    np.testing.assert_allclose(once.solver.rho, twice.solver.rho, rtol=1e-12)
    extra = set(twice.series["t"]) - set(once.series["t"])
    assert extra == {stopped.t}
    shared = np.isin(twice.series["t"], once.series["t"])
    found = {k: v[shared] for k, v in twice.series.items()}
    # What hangs on the row before does so on the one where it stopped.
    after = np.flatnonzero(found["t"] > stopped.t)[0]
    found["energy_residual"][after] = once.series["energy_residual"][after]
    same_series(once.series, found, 1e-12)
    data = about(tmp_path / "twice")
    assert data["stop_reason"] == "end" and len(data["resumed"]) == 1
    assert "interrupted" not in (tmp_path / "twice" / "run.json").read_text("utf-8")


def test_seconds_and_warnings_of_all_parts_are_kept(tmp_path: Path) -> None:
    coarse = {"geometry.level": 2, "time.outputs": [], "initial.type": "von-mises-fisher"}
    coarse |= {"initial.mean": [0.0, 0.6, 0.8], "initial.concentration": 400.0}
    with pytest.warns(mf.MeanfieldWarning):
        first = run(small(coarse), tmp_path / "run")
    kept = about(tmp_path / "run")
    assert kept["warnings"] == first.warnings
    with pytest.warns(mf.MeanfieldWarning):
        second = run(small(coarse, time__end=2.0), tmp_path / "run", resume=True)
    data = about(tmp_path / "run")
    assert data["warnings"] == first.warnings  # the same ones are told once
    assert any("normalised to 1" in text for text in data["warnings"])
    assert not any("normalised to 1" in text for text in second.warnings)
    for name, seconds in second.timings.items():
        assert data["timings"][name] == pytest.approx(kept["timings"][name] + seconds)
    assert data["started"] == kept["started"]


def test_a_second_signal_stops_at_once(tmp_path: Path) -> None:
    def twice(solver: Any) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5.0)
        pytest.fail("went on")

    with pytest.raises(KeyboardInterrupt):
        run(small(), tmp_path / "run", observers=[at_step(2, twice)])
    assert about(tmp_path / "run")["stop_reason"] == "interrupted"
    assert run(small(), tmp_path / "run", resume=True).stop_reason == "end"


def test_background_jobs_stay_deaf_to_ctrl_c() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        ask = at_step(2, lambda solver: os.kill(os.getpid(), signal.SIGINT))
        assert run(small(), observers=[ask]).stop_reason == "end"
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_runs_in_a_thread() -> None:
    found: list[mf.Result] = []
    thread = threading.Thread(target=lambda: found.append(run(small())))
    thread.start()
    thread.join(HANG)
    assert found[0].stop_reason == "end"


def test_resuming_is_refused_where_it_makes_no_sense(finished: Finished, tmp_path: Path) -> None:
    before = (finished.folder / "run.json").read_bytes()
    with pytest.raises(mf.InputError, match=r"has reached t = 1 already: give a later end"):
        run(finished.case, finished.folder, resume=True)
    with pytest.raises(mf.InputError, match=r"model\.beta"):
        run(small(model__beta=5.0, time__end=2.0), finished.folder, resume=True)
    with pytest.raises(mf.InputError, match="no folder"):
        run(finished.case, tmp_path / "nowhere", resume=True)
    with pytest.raises(mf.InputError, match="without a folder"):
        run(finished.case, resume=True)
    copy = tmp_path / "copy"
    shutil.copytree(finished.folder, copy)
    for name in ("checkpoint.npz", PREVIOUS):
        (copy / name).unlink()
    with pytest.raises(mf.InputError, match="no checkpoint"):
        run(small(time__end=2.0), copy, resume=True)
    (copy / "checkpoint.npz").write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(mf.InputError, match="truncated or damaged"):
        run(small(time__end=2.0), copy, resume=True)
    assert (finished.folder / "run.json").read_bytes() == before


def running(start: Start, folder: Path, *words: str) -> Job:
    return start(*python("-m", "meanfield", "run", *words), cwd=folder)


def wait_for_rows(path: Path, rows: int, job: Job) -> None:
    job.wait_until(
        lambda: path.is_file() and len(path.read_text("utf-8").splitlines()) > rows, f"{rows} rows"
    )


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_interrupting_the_command(tmp_path: Path, start: Start, number: signal.Signals) -> None:
    small.write(tmp_path / "small.toml")
    job = running(start, tmp_path, "small.toml", "-o", "out", *LONG)
    wait_for_rows(tmp_path / "out" / "series.csv", 5, job)
    job.send(number)
    ended = job.finish()
    assert ended.code == 128 + number
    assert "meanfield run out --resume" in ended.err and "Traceback" not in ended.said
    data = about(tmp_path / "out")
    assert data["stop_reason"] == "interrupted" and 0 < data["t"] < 1e6
    series = mf.RunFolder(tmp_path / "out").read_series()
    assert series["t"][-1] == data["t"]

    end = data["t"] + 0.01
    settings = ("--set", f"time.end={end!r}", "--set", "time.outputs=[]")
    ended = running(start, tmp_path, "out", "--resume", *settings).finish()
    assert ended.code == 0, ended.said
    assert "stopped" in ended.out
    longer = mf.RunFolder(tmp_path / "out").read_series()
    assert longer["t"][-1] == end and np.all(np.diff(longer["t"]) > 0)
    rows = len(series["t"])
    same_series(series, {name: column[:rows] for name, column in longer.items()}, 0.0)


@pytest.mark.slow
@pytest.mark.parametrize("rows", [0, 3, 40, 77])
def test_killed_runs_are_readable_and_go_on(tmp_path: Path, start: Start, rows: int) -> None:
    import pyvista

    small.write(tmp_path / "small.toml")
    # An output at every few steps: most of the time it is writing.
    often = ("--set", "time.outputs.every=0.01", "--set", "time.end=100")
    job = running(start, tmp_path, "small.toml", "-o", "out", *often)
    wait_for_rows(tmp_path / "out" / "series.csv", rows, job)
    # Not before there is something to go on from.
    job.wait_until((tmp_path / "out" / "checkpoint.npz").is_file, "checkpoint")
    job.kill()
    job.finish()
    data = about(tmp_path / "out")
    assert data["stop_reason"] is None and data["ended"] is None
    folder = mf.RunFolder.open(tmp_path / "out")
    # Between two renames there is the one before only.
    newest = next(path for path in folder.checkpoint_paths if path.is_file())
    series, saved = folder.read_series(), load_checkpoint(newest)
    assert np.all(np.diff(series["t"]) > 0) and saved["t"] in series["t"]
    fields = mf.read_fields(folder.fields_path)
    for k in range(len(fields.times)):
        assert np.all(np.isfinite(fields.read("rho", k)))
    assert saved["t"] in fields.times
    grid = pyvista.get_reader(str(folder.fields_path)).read()
    assert grid.n_points == 642

    end = saved["t"] + 0.05
    outputs = {"every": 0.01}
    case = mf.Case.from_toml(tmp_path / "small.toml", {"time.end": end, "time.outputs": outputs})
    result = run(case, tmp_path / "out", resume=True)
    reference = run(case)
    assert result.stop_reason == "end"
    same_series(reference.series, result.series, 1e-12)
    np.testing.assert_allclose(result.solver.rho, reference.solver.rho, rtol=1e-12)
    assert tuple(mf.read_fields(folder.fields_path).times) == case.output_times()
