"""Runs of tokens that stop, and go on to the same bits."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import about, all_numbers, at_step, few_tokens, files, run, same_series, small
from tokencases import KINDS, TOKEN_FILES, each_kind, same_run

import meanfield as mf
from meanfield.results.checkpoint import load_checkpoint
from meanfield.results.formats import read_tokens_file


@each_kind
def test_going_on_is_the_same_as_not_stopping(kind: str, tmp_path: Path) -> None:
    case = few_tokens({**KINDS[kind], "time.end": 2.0})
    whole = run(case, tmp_path / "whole")
    half = few_tokens({**KINDS[kind], "time.end": 1.0})
    assert run(half, tmp_path / "parts").t == 1.0
    parts = run(case, tmp_path / "parts", resume=True)
    np.testing.assert_array_equal(whole.solver.x, parts.solver.x)
    assert whole.steps == parts.steps
    same_run(tmp_path / "whole", tmp_path / "parts")
    data = about(tmp_path / "parts")
    assert len(data["resumed"]) == 1 and data["steps"] == whole.steps
    if "rejected_steps" in data:
        assert data["rejected_steps"] == about(tmp_path / "whole")["rejected_steps"]


def test_going_on_over_merged_tokens_is_the_same(tmp_path: Path) -> None:
    """Tokens that have become one point stay one, and steps stay as long as they had become."""
    changes = {"model.beta": 1.0, "time.outputs": [30.0]}
    whole = run(few_tokens({**changes, "time.end": 60.0}), tmp_path / "whole")
    assert whole.solver.points < 50
    run(few_tokens({"model.beta": 1.0, "time.outputs": [], "time.end": 30.0}), tmp_path / "parts")
    run(few_tokens({**changes, "time.end": 60.0}), tmp_path / "parts", resume=True)
    same_run(tmp_path / "whole", tmp_path / "parts")


@pytest.mark.parametrize("kind", ["sphere", "noise", "layers"])
def test_ctrl_c_and_on(kind: str, tmp_path: Path) -> None:
    changes = {**KINDS[kind], "time.end": 4.0, "time.outputs": [2.0]}
    whole = run(few_tokens(changes), tmp_path / "whole")

    def interrupt(solver: Any) -> None:
        if solver.step == 3:
            os.kill(os.getpid(), signal.SIGINT)

    watch = mf.Watch(interrupt, mf.EverySteps(1))
    stopped = run(few_tokens(changes), tmp_path / "parts", observers=[watch])
    assert (stopped.stop_reason, stopped.steps) == ("interrupted", 3)
    assert about(tmp_path / "parts")["stop_reason"] == "interrupted"
    stored = read_tokens_file(tmp_path / "parts" / "particles.vtkhdf")
    assert stored.times.tolist() == [0.0, stopped.t]
    ended = run(few_tokens(changes), tmp_path / "parts", resume=True)
    np.testing.assert_array_equal(ended.solver.x, whole.solver.x)
    assert (ended.stop_reason, ended.steps) == ("end", whole.steps)


def test_the_clock_stops_a_run_that_can_go_on(tmp_path: Path) -> None:
    late = few_tokens({"time.wall_limit": 1e-6})
    stopped = run(late, tmp_path / "run")
    assert (stopped.stop_reason, stopped.t) == ("wall limit", 0.0)
    ended = run(few_tokens(), tmp_path / "run", resume=True)
    np.testing.assert_array_equal(ended.solver.x, run(few_tokens()).solver.x)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"solver.rtol": 1e-7}, "solver.rtol"),
        ({"solver.number": 51}, "solver.number"),
        ({"seed": 4}, "seed"),
        ({"model.kappa": 0.1}, "model.kappa"),
        (KINDS["layers"], "solver.type"),
    ],
)
def test_going_on_with_something_else_is_refused(
    changes: dict[str, object], named: str, tmp_path: Path
) -> None:
    run(few_tokens({"time.end": 1.0}), tmp_path / "run")
    before = {name: (tmp_path / "run" / name).read_bytes() for name in files(tmp_path / "run")}
    with pytest.raises(mf.InputError, match=named):
        run(few_tokens(changes), tmp_path / "run", resume=True)
    after = {name: (tmp_path / "run" / name).read_bytes() for name in files(tmp_path / "run")}
    assert before == after


def test_overwriting_leaves_what_is_not_of_the_run(tmp_path: Path) -> None:
    run(few_tokens({"time.end": 1.0, "output.figures": True}), tmp_path / "run")
    (tmp_path / "run" / "notes.txt").write_text("mine")
    with pytest.raises(mf.InputError, match="already holds a run"):
        run(few_tokens(), tmp_path / "run")
    run(few_tokens(), tmp_path / "run", overwrite=True)
    assert files(tmp_path / "run") == {*TOKEN_FILES, "notes.txt"}


TOKENS: dict[str, dict[str, object]] = {
    "particles": {"solver.type": "particles", "solver.number": 60},
    "layers": {"solver.type": "layers", "solver.number": 60, "solver.layers": 10},
    "noisy": {"solver.type": "particles", "solver.number": 60, "model.kappa": 0.1},
}


def tokens(kind: str, **more: object) -> mf.Case:
    changes = {"geometry.type": "unmeshed", "geometry.d": 3, **TOKENS[kind]}
    return small({**changes, "time.outputs": [0.3, 0.5], "time.series_every": 2, **more})


@pytest.mark.parametrize("kind", TOKENS)
def test_tokens_go_on_to_the_bit(tmp_path: Path, kind: str) -> None:
    once = run(tokens(kind), tmp_path / "once")
    assert once.stop_reason == "end" and once.t == once.series["t"][-1] == 1.0
    found = {path.name for path in (tmp_path / "once").iterdir()}
    assert found == TOKEN_FILES
    assert {0.0, 0.3, 0.5, 1.0} <= set(once.series["t"])
    data = about(tmp_path / "once")
    assert data["tokens"] == 60 and data["steps"] == once.steps
    # In two parts, the second from the checkpoint.
    run(tokens(kind, **{"time.end": 0.5, "time.outputs": [0.3]}), tmp_path / "twice")
    twice = run(tokens(kind), tmp_path / "twice", resume=True)
    same_series(once.series, twice.series, 0.0)
    np.testing.assert_array_equal(once.solver.x, twice.solver.x)
    # Interrupted in the midst.
    ask = at_step(3, lambda solver: os.kill(os.getpid(), signal.SIGINT))
    stopped = run(tokens(kind), tmp_path / "stopped", observers=[ask])
    assert (stopped.stop_reason, stopped.steps) == ("interrupted", 3)
    again = run(tokens(kind), tmp_path / "stopped", resume=True)
    np.testing.assert_array_equal(once.solver.x, again.solver.x)


@pytest.mark.parametrize("kind", TOKENS)
def test_tokens_that_are_not_finite(tmp_path: Path, kind: str) -> None:
    def lose(solver: Any) -> None:
        solver.x[3] = np.nan

    number = 1 + run(tokens(kind)).steps // 2
    result = run(tokens(kind), tmp_path / "run", observers=[at_step(number, lose)])
    assert result.stop_reason.startswith("broken invariant: tokens not finite at t = ")
    assert about(tmp_path / "run")["stop_reason"] == result.stop_reason
    assert np.all(np.isfinite(result.solver.x))
    saved = load_checkpoint(tmp_path / "run" / "checkpoint.npz")
    assert saved["t"] == result.t and np.all(np.isfinite(saved["x"]))
    all_numbers(result.series)
