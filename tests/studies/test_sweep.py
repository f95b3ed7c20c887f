"""Sweeps: the same numbers however they are done, what goes on, what fails, what is refused."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import CIRCLE, few_tokens, small
from fakekernel import FakeKernel, install
from processes import needs_dolfinx

import meanfield as mf
from meanfield.results.sweeptable import SweepTable, has_sweep
from meanfield.studies.sweep.gather import half_time
from meanfield.studies.sweep.plan import make_plan
from meanfield.studies.sweep.report import estimate

TOKENS = few_tokens.but({"solver.number": 8, "time.end": 3.0, "time.outputs.every": 0.5})
VARY: dict[Any, Any] = {"model.beta": [1.0, 4.0]}
QUICK = mf.SweepOptions(progress=False, kernel="never")


def same(one: SweepTable, two: SweepTable) -> None:
    """All numbers are the same, to the last bit."""
    assert one.columns.keys() == two.columns.keys()
    for name, column in one.columns.items():
        for kind in ("mean", "error", "quantiles"):
            left, right = getattr(column, kind), getattr(two.columns[name], kind)
            np.testing.assert_array_equal(left, right, err_msg=f"{kind} of {name}")
    for name in ("probability", "half", "half_error", "finished", "failed", "times"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))


@pytest.fixture(scope="module")
def by_runs(tmp_path_factory: pytest.TempPathFactory) -> mf.SweepResult:
    """Three seeds at two points, each by a run of its own in this process."""
    folder = tmp_path_factory.mktemp("sweep") / "runs"
    return mf.sweep(TOKENS(), VARY, folder, seeds=3, options=QUICK)


def test_a_realisation_is_the_run_with_that_seed(by_runs: mf.SweepResult) -> None:
    column = by_runs.table.columns["mean_norm"]
    ends = []
    for k in range(3):
        case = TOKENS(model__beta=4.0, seed=3 + k)
        result = mf.run(case, progress=False)
        ends.append(result.series["mean_norm"][-1])
    assert column.mean[1, -1] == pytest.approx(np.mean(ends), rel=1e-14)
    assert column.error[1, -1] == pytest.approx(np.std(ends, ddof=1) / np.sqrt(3), rel=1e-12)
    assert column.quantiles[1, 2, -1] == pytest.approx(np.median(ends), rel=1e-14)
    assert list(by_runs.table.finished) == [3, 3] and not by_runs.failures


def test_the_pair_is_that_of_the_tokens(by_runs: mf.SweepResult) -> None:
    solver = mf.run(TOKENS(model__beta=1.0, seed=3), progress=False).solver
    series = mf.RunFolder.open(by_runs.folder / "points/00000/seed-0").read_series()
    x = solver.x  # type: ignore[attr-defined]
    assert series["inner_product"][-1] == pytest.approx(x[0] @ x[1], abs=1e-9)
    gram = x @ x.T
    close = (np.count_nonzero(gram >= 1.0 - 1e-3) - 8) / 56
    assert series["close"][-1] == close


def test_the_kernel_gives_what_runs_give(
    by_runs: mf.SweepResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, FakeKernel())
    found = mf.sweep(TOKENS(), VARY, tmp_path / "kernel", seeds=3)
    for name in ("inner_product", "close", "mean_norm"):
        left, right = (r.table.columns[name].mean for r in (found, by_runs))
        np.testing.assert_allclose(left, right, atol=1e-4, err_msg=name)
    np.testing.assert_array_equal(found.table.probability, by_runs.table.probability)
    assert not (tmp_path / "kernel" / "points").exists()


@pytest.mark.parametrize(
    "changes", [{}, {"model.kappa": 0.1, "solver.dt": 0.05}, {"model.mask": "causal"}]
)
def test_ensembles_give_what_runs_give(changes: dict[str, object], tmp_path: Path) -> None:
    """The same tokens, and with noise the same path, through both."""
    tables = []
    for kernel in ("always", "never"):
        options = mf.SweepOptions(progress=False, kernel=kernel)
        case = TOKENS({"time.end": 1.5, **changes})
        found = mf.sweep(case, VARY, tmp_path / kernel, seeds=2, options=options)
        assert not found.failures and (tmp_path / kernel / "points").exists() == (kernel == "never")
        tables.append(found.table)
    for name in ("inner_product", "mean_norm"):
        left, right = (table.columns[name].mean for table in tables)
        np.testing.assert_allclose(left, right, atol=1e-4, err_msg=name)


def test_blocks_and_order_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = FakeKernel()
    install(monkeypatch, kernel)
    tables = []
    for block in (256, 2):
        options = mf.SweepOptions(block=block, progress=False)
        folder = tmp_path / str(block)
        tables.append(mf.sweep(TOKENS(), VARY, folder, seeds=5, options=options).table)
    assert kernel.sizes == [5, 5, 2, 2, 2, 2, 1, 1]
    same(*tables)


def test_an_executor_of_the_user_gives_the_same(by_runs: mf.SweepResult, tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        found = mf.sweep(TOKENS(), VARY, tmp_path / "x", seeds=3, executor=pool, options=QUICK)
    same(found.table, by_runs.table)


@pytest.mark.slow
def test_processes_give_the_same(by_runs: mf.SweepResult, tmp_path: Path) -> None:
    options = mf.SweepOptions(progress=False, kernel="never", jobs=2)
    found = mf.sweep(TOKENS(), VARY, tmp_path / "two", seeds=3, options=options)
    same(found.table, by_runs.table)


def test_it_goes_on_where_it_was_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = mf.SweepOptions(block=2, progress=False)
    install(monkeypatch, FakeKernel())
    whole = mf.sweep(TOKENS(), VARY, tmp_path / "whole", seeds=4, options=options)
    install(monkeypatch, FakeKernel(stop_after=3))
    with pytest.raises(KeyboardInterrupt):
        mf.sweep(TOKENS(), VARY, tmp_path / "parts", seeds=4, options=options)
    folder = mf.RunFolder.open(tmp_path / "parts")
    assert folder.read_run()["stop_reason"] == "interrupted" and not has_sweep(folder)
    rest = FakeKernel()
    install(monkeypatch, rest)
    found = mf.sweep(TOKENS(), VARY, tmp_path / "parts", seeds=4, resume=True, options=options)
    assert rest.sizes == [2]
    same(found.table, whole.table)
    more = FakeKernel()
    install(monkeypatch, more)
    mf.sweep(TOKENS(), VARY, tmp_path / "parts", seeds=6, resume=True, options=options)
    assert more.sizes == [2, 2]


def test_a_run_that_has_ended_is_not_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = mf.sweep(TOKENS(), VARY, tmp_path / "s", seeds=1, options=QUICK)
    lost = sorted((tmp_path / "s" / "blocks").iterdir())[0]
    lost.unlink()  # as if it was killed between the run and its block
    monkeypatch.setattr("meanfield.studies.ended.run", None)
    again = mf.sweep(TOKENS(), VARY, tmp_path / "s", seeds=1, resume=True, options=QUICK)
    same(first.table, again.table)


def test_another_sweep_is_not_gone_on_with(by_runs: mf.SweepResult) -> None:
    for vary, seeds, message in (
        ({"model.beta": [1.0, 5.0]}, 3, "what is varied"),
        (VARY, 2, "seeds: found 2, expected 3 or more"),
    ):
        with pytest.raises(mf.InputError, match=message):
            mf.sweep(TOKENS(), vary, by_runs.folder, seeds=seeds, resume=True, options=QUICK)
    with pytest.raises(mf.InputError, match="the case"):
        mf.sweep(TOKENS(seed=4), VARY, by_runs.folder, seeds=3, resume=True, options=QUICK)
    with pytest.raises(mf.InputError, match="already holds a run"):
        mf.sweep(TOKENS(), VARY, by_runs.folder, seeds=3, options=QUICK)


def test_failures_are_recorded_and_harm_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, FakeKernel())
    good = mf.sweep(TOKENS(seed=4), {}, tmp_path / "good", seeds=3).table
    install(monkeypatch, FakeKernel(failing=[3]))
    with pytest.warns(mf.MeanfieldWarning, match="1 realisations have failed, .* seed 3"):
        found = mf.sweep(TOKENS(), {}, tmp_path / "bad", seeds=4)
    assert list(found.table.finished) == [4] and list(found.table.failed) == [1]
    assert found.failures[0].reason == "the step became too small for its error"
    for name in good.columns:
        np.testing.assert_array_equal(
            found.table.columns[name].mean, good.columns[name].mean, err_msg=name
        )
    record = json.loads((tmp_path / "bad" / "run.json").read_text("utf-8"))
    assert record["failed"] == 1 and record["failures"][0][1] == 3


def test_a_run_that_fails_is_a_failure(tmp_path: Path) -> None:
    np.savetxt(tmp_path / "long.csv", 2.0 * np.eye(3), delimiter=",")  # no unit vectors
    vary = {"solver.tokens": ["iid", str(tmp_path / "long.csv")], "solver.number": [3]}
    with pytest.warns(mf.MeanfieldWarning, match=r"1 realisations have failed"):
        found = mf.sweep(TOKENS(), vary, tmp_path / "s", options=QUICK)
    assert list(found.table.failed) == [0, 1]
    assert np.isnan(found.table.probability[1]).all()
    assert np.isfinite(found.table.probability[0]).all()


@needs_dolfinx
def test_densities_and_tokens_in_one_sweep(tmp_path: Path) -> None:
    case = small.but(CIRCLE, time__end=0.2, time__outputs=[0.1])
    vary = {("solver.type", "solver.number"): [("particles", 8)], "model.beta": [1.0, 2.0]}
    tokens = mf.sweep(case(), vary, tmp_path / "tokens", options=QUICK)
    assert np.isfinite(tokens.table.probability).all()
    density = mf.sweep(case(), {"model.beta": [1.0, 2.0]}, tmp_path / "density", options=QUICK)
    assert np.isnan(density.table.probability).all()
    result = mf.run(case(model__beta=2.0), progress=False)
    assert density.table.columns["energy"].mean[1, -1] == result.series["energy"][-1]
    assert list(density.table.times) == [0.0, 0.1, 0.2]


def test_overwriting_leaves_nothing_of_the_sweep_before(tmp_path: Path) -> None:
    mf.sweep(TOKENS(), VARY, tmp_path / "s", seeds=2, options=QUICK)
    mf.sweep(TOKENS(), {}, tmp_path / "s", overwrite=True, options=QUICK)
    assert [p.name for p in (tmp_path / "s" / "blocks").iterdir()] == [
        "point-00000-from-000000.npz"
    ]
    assert not (tmp_path / "s" / "points/00001/seed-0/series.csv").exists()


@pytest.mark.parametrize(
    ("vary", "message"),
    [
        ({"model.betta": [1.0]}, "vary model.betta: a case has no such key .*model.beta"),
        ({"model.beta": [1.0, "x"]}, "at model.beta = x: model.beta"),
        ({"time.end": [1.0, 2.0]}, "time.end = 2.0: found other output times"),
        ({"geometry.d": [3, 1]}, "at geometry.d = 1: "),
        ({"model.beta": []}, "model.beta: found 0 values"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_is_written(
    vary: dict[Any, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(mf.InputError, match=message) as refused:
        mf.sweep(TOKENS(), vary, tmp_path / "s", options=QUICK)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "s").exists()


def test_what_the_kernel_cannot_do_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, FakeKernel())
    vary = {("solver.type", "solver.layers", "solver.number"): [("layers", 10, 4)]}
    with pytest.raises(mf.InputError, match=r"solver.type = layers.*: not for the kernel"):
        make_plan(TOKENS(), vary, 1, mf.SweepOptions(kernel="always"))
    (point,) = make_plan(TOKENS(), vary, 1, mf.SweepOptions()).points
    assert point.why == "heads: not for this kernel" and point.model is None
    (point,) = make_plan(TOKENS(), {}, 1, mf.SweepOptions()).points
    assert point.why == "" and point.model is not None and point.model.n == 8
    with pytest.raises(mf.InputError, match=r"kernel: found 'allways', expected .*always'"):
        mf.SweepOptions(kernel="allways")  # type: ignore[arg-type]


def test_a_plan_is_estimated(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, FakeKernel())
    options = mf.SweepOptions(block=100)
    told = estimate(make_plan(TOKENS(), VARY, 1000, options))
    assert (told.kernel_points, told.blocks, told.runs) == (2, 20, 0)
    assert 0.0 < told.seconds < 1e5 and "kernel: about" in told.time_words
    assert told.disk == 2 * 1000 * 7 * (7 * 4)  # points, seeds, output times, columns


def test_what_a_block_raises_is_its_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise mf.InputError("not these tokens")

    install(monkeypatch, FakeKernel())
    monkeypatch.setattr("meanfield.dynamics.ensembles.run_ensemble", refuse)
    with pytest.warns(mf.MeanfieldWarning, match="2 realisations have failed"):
        found = mf.sweep(TOKENS(), {}, tmp_path / "s", seeds=2)
    assert {failure.reason for failure in found.failures} == {"not these tokens"}


def test_states_are_kept_where_they_are_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, FakeKernel())
    options = mf.SweepOptions(keep="states", progress=False)
    found = mf.sweep(TOKENS(), {}, tmp_path / "s", seeds=2, options=options)
    with np.load(found.folder / "blocks/point-00000-from-000000.npz") as block:
        assert block["states"].shape == (2, 7, 8, 8)
        np.testing.assert_array_equal(block["places"], np.arange(7))


def test_the_table_is_read_back(by_runs: mf.SweepResult) -> None:
    again = SweepTable.read(by_runs.folder)
    same(again, by_runs.table)
    assert again.axes[0].values == ((1.0,), (4.0,))
    rows = (by_runs.folder / "sweep.csv").read_text("utf-8").splitlines()
    assert re.match("model.beta,finished,failed,half_time", rows[0]) and len(rows) == 3


def test_the_time_at_one_half_is_between_outputs() -> None:
    times = np.array([0.0, 1.0, 2.0, 4.0])
    at, error = half_time(times, np.array([0.0, 0.1, 0.6, 0.4]), 100)
    assert at == pytest.approx(1.8)
    assert error == pytest.approx(0.05 / 0.5)
    assert np.isnan(half_time(times, np.array([0.0, 0.1, 0.2, 0.3]), 100)).all()
