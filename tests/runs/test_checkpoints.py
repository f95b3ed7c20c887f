"""Checkpoints by the clock, between outputs: at most so much work is lost."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from cases import PREVIOUS, at_step, few_tokens, run, same_series, small
from tokencases import LAYERS

import meanfield as mf
from meanfield.results import checkpoint as module
from meanfield.results.checkpoint import load_checkpoint

ALWAYS = {"output.checkpoint_minutes": 1e-9}
KINDS = {
    "eulerian": small(ALWAYS, time__outputs=[], time__end=0.5),
    "implicit": small(ALWAYS, solver__type="implicit", time__outputs=[], time__end=0.5),
    "lagrangian": small(ALWAYS, solver__type="lagrangian", time__outputs=[], time__end=3.0),
    "tokens": few_tokens({**ALWAYS, "time.outputs": []}, time__end=4.0),
    "noise": few_tokens({**ALWAYS, "time.outputs": []}, time__end=4.0, model__kappa=0.05),
    "layers": few_tokens({**ALWAYS, **LAYERS, "time.outputs": []}),
}


class Killed(BaseException):
    pass


def kill(solver: object) -> None:
    raise Killed


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_goes_on_from_between_its_outputs(tmp_path: Path, kind: str) -> None:
    case = KINDS[kind]
    whole = run(case)
    assert whole.steps > 4
    with pytest.raises(Killed):
        run(case, tmp_path / "run", observers=[at_step(4, kill)])
    saved = load_checkpoint(tmp_path / "run" / "checkpoint.npz")
    assert saved["step"] == 3 and saved["t"] not in case.output_times()
    assert load_checkpoint(tmp_path / "run" / PREVIOUS)["step"] == 2
    result = run(case, tmp_path / "run", resume=True)
    assert result.steps == whole.steps
    same_series(whole.series, result.series, 1e-12)


def saved_steps(case: mf.Case, path: Path, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    steps: list[object] = []
    save = module.save_checkpoint

    def noted(*places: Path, **values: object) -> None:
        steps.append(values["step"])
        save(*places, **values)

    monkeypatch.setattr("meanfield.results.folder.save_checkpoint", noted)
    run(case, path)
    return steps


def test_by_default_only_every_five_minutes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert mf.Output().checkpoint_minutes == 5.0
    case = small(time__outputs=[], time__end=0.5)
    often = saved_steps(KINDS["eulerian"], tmp_path / "often", monkeypatch)
    assert often == list(range(len(often))) and len(often) > 5
    last = often[-1]
    assert saved_steps(case, tmp_path / "outputs", monkeypatch) == [0, last]
    never = small(time__outputs=[], time__end=0.5, output__checkpoint_minutes=0)
    assert saved_steps(never, tmp_path / "never", monkeypatch) == [0, last]


def test_what_a_checkpoint_counts_is_on_the_disk_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Series and fields are synced, then the checkpoint, and the names of the folder."""
    order: list[str] = []
    fsync, replace = os.fsync, os.replace

    def synced(file: int) -> None:
        order.append(Path(os.readlink(f"/proc/self/fd/{file}")).name)
        fsync(file)

    def moved(one: Path, two: Path) -> None:
        order.append(f"-> {Path(two).name}")
        replace(one, two)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", moved)
    run(small(time__end=0.1, time__outputs=[]), tmp_path / "run")
    checkpoints = [k for k, name in enumerate(order) if name == "-> checkpoint.npz"]
    assert len(checkpoints) == 2
    last = order[checkpoints[0] : checkpoints[1] + 2]
    data = [last.index("series.csv"), last.index("fields.vtkhdf")]
    names = ("checkpoint.npz.tmp", f"-> {PREVIOUS}", "-> checkpoint.npz")
    moves = [last.index(name, 1) for name in names]
    assert max(data) < moves[0] < moves[1] < moves[2]
    assert last[-1] == "run"  # the folder
    assert np.all(np.diff(mf.RunFolder(tmp_path / "run").read_series()["t"]) > 0)
