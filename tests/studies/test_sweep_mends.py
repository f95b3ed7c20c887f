"""Sweeps that were killed, that fail in part, that end early: nothing of another is taken."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import few_tokens

import meanfield as mf
from meanfield.errors import InputError, MeanfieldWarning
from meanfield.studies import ended
from meanfield.studies.sweep.axes import parse_range

TOKENS = few_tokens.but({"solver.number": 4, "time.end": 1.0, "time.outputs.every": 0.5})
VARY: dict[Any, Any] = {"model.beta": [1.0, 4.0]}
RUNS = mf.SweepOptions(progress=False, kernel="never")


def test_runs_of_a_killed_sweep_are_not_taken_for_others(tmp_path: Path) -> None:
    """Killed, it had not recorded the files of its runs; another sweep overwrites it."""
    mf.sweep(TOKENS(), VARY, tmp_path / "old", options=RUNS)
    mf.sweep(TOKENS(model__kappa=0.5), VARY, tmp_path / "new", options=RUNS)
    shutil.rmtree(tmp_path / "new/points")
    shutil.copytree(tmp_path / "old/points", tmp_path / "new/points")  # which no record tells
    other: dict[Any, Any] = {"model.beta": [2.0, 3.0, 5.0]}
    again = mf.sweep(TOKENS(), other, tmp_path / "new", overwrite=True, options=RUNS)
    fresh = mf.sweep(TOKENS(), other, tmp_path / "fresh", options=RUNS)
    for name, column in fresh.table.columns.items():
        np.testing.assert_array_equal(again.table.columns[name].mean, column.mean)


def test_what_is_stationary_stays_as_it_is(tmp_path: Path) -> None:
    case = TOKENS({"time.end": 40.0, "time.outputs.every": 10.0, "time.stationary": 1e-3})
    vary: dict[Any, Any] = {"model.beta": [0.5, 1.0]}
    found = mf.sweep(case, vary, tmp_path / "s", seeds=2, options=RUNS).table
    np.testing.assert_allclose(found.columns["mean_norm"].mean[:, -1], 1.0, atol=1e-4)
    assert np.all(found.probability[:, -1] == 1.0)


def test_any_failure_harms_no_other_and_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = ended.run

    def faulty(case: mf.Case, *rest: Any, **more: Any) -> object:
        if case.seed == TOKENS().seed + 1:
            raise ZeroDivisionError("a bug")
        return honest(case, *rest, **more)

    monkeypatch.setattr(ended, "run", faulty)
    with pytest.warns(MeanfieldWarning, match="2 realisations have failed"):
        found = mf.sweep(TOKENS(), VARY, tmp_path / "s", seeds=3, options=RUNS)
    assert [one.reason for one in found.failures] == ["ZeroDivisionError: a bug"] * 2
    assert list(found.table.failed) == [1, 1]
    monkeypatch.setattr(ended, "run", honest)
    found = mf.sweep(TOKENS(), VARY, tmp_path / "s", seeds=3, resume=True, options=RUNS)
    assert not found.failures and list(found.table.failed) == [0, 0]


def test_a_varied_file_that_has_changed_is_another_sweep(tmp_path: Path) -> None:
    for name, angle in (("a", 0.1), ("b", 0.2)):
        np.save(tmp_path / f"{name}.npy", [[1, 0, 0], [np.cos(angle), np.sin(angle), 0]])
    vary: dict[Any, Any] = {"solver.tokens": [str(tmp_path / f"{n}.npy") for n in "ab"]}
    case = TOKENS({"solver": {"type": "particles", "tokens": vary["solver.tokens"][0]}})
    mf.sweep(case, vary, tmp_path / "s", options=RUNS)
    np.save(tmp_path / "b.npy", [[1, 0, 0], [0, 1.0, 0]])
    with pytest.raises(InputError, match="digests"):
        mf.sweep(case, vary, tmp_path / "s", resume=True, options=RUNS)


def test_seeds_that_change_nothing_are_told(tmp_path: Path) -> None:
    case = TOKENS({"solver.tokens": "quantised"})
    with pytest.warns(MeanfieldWarning, match="nothing in the case is random"):
        mf.sweep(case, VARY, tmp_path / "s", seeds=2, options=RUNS)


def test_ranges() -> None:
    assert parse_range("geometry.d=log:2:128:7")[1] == [2, 4, 8, 16, 32, 64, 128]
    assert all(isinstance(d, int) for d in parse_range("geometry.d=log:2:128:7")[1])
    with pytest.raises(InputError, match="expected KEY=A:B:N"):
        parse_range("model.beta=1:9")
    with pytest.raises(InputError, match=r"model\.beta: found a value twice"):
        mf.sweep(TOKENS(), {"model.beta": [1.0, 1.0]}, "nowhere", options=RUNS)
