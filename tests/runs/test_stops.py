"""Why a run stops, what it warns of, and what is left when something breaks."""

from __future__ import annotations

import math
import re
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import FILES, PREVIOUS, about, all_numbers, at_step, original, run, same_series, small

import meanfield as mf
from meanfield import cli
from meanfield.dynamics.eulerian import EulerianSolver
from meanfield.geometry.sphere import Array
from meanfield.results.checkpoint import load_checkpoint
from meanfield.runs import simulation

# ------------------------------------------------------------------ why it stops


def test_wall_limit(tmp_path: Path) -> None:
    nap = mf.Watch(lambda solver: time.sleep(0.05), mf.EverySteps(1))
    case = small(time__end=50.0, time__outputs=[], time__wall_limit=0.5)
    start = time.perf_counter()
    result = run(case, tmp_path / "run", observers=[nap])
    seconds = time.perf_counter() - start
    assert result.stop_reason == about(tmp_path / "run")["stop_reason"] == "wall limit"
    assert 0.5 <= seconds and 0 <= result.t < 50.0
    assert result.series["t"][-1] == result.t
    # The limit is one of each start, not of all together.
    more = small(time__end=result.t + 0.1, time__outputs=[], time__wall_limit=60.0)
    assert run(more, tmp_path / "run", resume=True).stop_reason == "end"


def test_stationary(tmp_path: Path) -> None:
    repel = {"model.value": -1, "time.end": 200.0, "time.outputs": [], "time.stationary": 0.02}
    speeds: list[tuple[int, float]] = []

    def speed(solver: Any) -> None:
        m = solver.weights * solver.rho
        speeds.append((solver.step, math.sqrt(m @ np.sum(solver.velocity() ** 2, axis=1))))

    result = run(
        small(repel),
        tmp_path / "run",
        observers=[mf.Watch(speed, mf.EverySteps(1) | mf.AtOutputs())],
    )
    assert result.stop_reason == about(tmp_path / "run")["stop_reason"] == "stationary"
    assert 0 < result.t < 200.0
    looked_at = [value for step, value in speeds if step % 4 == 0]
    assert looked_at[-1] < 0.02 and min(looked_at[:-1]) >= 0.02
    assert np.all(np.diff(result.series["energy"]) < 0)  # V = -I: E decreases
    assert result.warnings == []


def test_stationary_from_the_start(tmp_path: Path) -> None:
    case = small({"initial.type": "uniform", "time.stationary": 1e-8})
    result = run(case, tmp_path / "run")
    assert (result.stop_reason, result.t, result.steps) == ("stationary", 0.0, 0)
    assert {path.name for path in (tmp_path / "run").iterdir()} == FILES - {PREVIOUS}
    assert result.series["t"].tolist() == [0.0]


# ------------------------------------------------------------------ when something breaks


def spoil(solver: Any) -> None:
    solver.rho[7] = np.nan


def spoil_everything(solver: Any) -> None:
    solver.rho = np.full_like(solver.rho, np.nan)


def make_negative(solver: Any) -> None:
    solver.rho[7] = -1.0


@pytest.mark.parametrize("fields", [["rho", "velocity"], ["rho"]])
@pytest.mark.parametrize("action", [spoil, spoil_everything, make_negative])
@pytest.mark.parametrize("step", [3, 4, 5])  # with a row of the series at the fourth
def test_nan_between_steps(
    tmp_path: Path, action: Callable[[Any], None], step: int, fields: list[str]
) -> None:
    case = small(time__outputs=[0.05, 0.1], output__fields=fields)
    result = run(case, tmp_path / "run", observers=[at_step(step, action)])
    reason = about(tmp_path / "run")["stop_reason"]
    assert result.stop_reason == reason
    assert reason.startswith("broken invariant: density negative or ")
    # The last state that was written is the last good one, in memory and on disk.
    saved = load_checkpoint(tmp_path / "run" / "checkpoint.npz")
    assert saved["t"] == result.t == result.solver.t
    assert all(np.all(np.isfinite(saved[name])) for name in ("rho", "history"))
    assert np.all(result.solver.rho >= 0) and np.all(np.isfinite(result.solver.rho))
    all_numbers(result.series)


def test_nan_after_an_output_has_been_written(tmp_path: Path) -> None:
    late = mf.Watch(lambda solver: spoil(solver) if solver.t == 0.3 else None)
    result = run(small(), tmp_path / "run", observers=[late])
    assert result.stop_reason.startswith("broken invariant: density negative or not finite")
    assert result.t == 0.3 == load_checkpoint(tmp_path / "run" / "checkpoint.npz")["t"]
    assert np.all(np.isfinite(result.solver.rho))


def test_nan_at_the_landing(tmp_path: Path) -> None:
    """The state of an output time is spoilt before it is written: it is not."""
    steps: list[float] = []
    count = mf.Watch(lambda solver: steps.append(solver.t), mf.EverySteps(1))
    run(small(), observers=[count])
    number = 1 + steps.index(0.45)
    result = run(small(), tmp_path / "run", observers=[at_step(number, spoil_everything)])
    assert result.stop_reason.startswith("broken invariant: ")
    assert result.t == 0.3
    assert tuple(mf.read_fields(tmp_path / "run" / "fields.vtkhdf").times) == (0.0, 0.3)


def test_nan_in_a_step_keeps_the_state_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = run(small(time__series_every=1))
    check = EulerianSolver._check

    def fails(self: Any, rho: Array, dt: float) -> None:
        if self.step == 7:
            rho = rho.copy()
            rho[3] = np.nan
        check(self, rho, dt)

    monkeypatch.setattr(EulerianSolver, "_check", fails)
    result = run(small(time__series_every=1), tmp_path / "run")
    assert result.stop_reason.startswith("broken invariant: density negative or NaN at 1 vertices")
    assert result.steps == 7 and result.t == reference.series["t"][7]
    assert result.t not in small().output_times()  # not just the last output
    saved = load_checkpoint(tmp_path / "run" / "checkpoint.npz")
    assert saved["t"] == result.t and np.all(np.isfinite(saved["rho"]))
    assert mf.read_fields(tmp_path / "run" / "fields.vtkhdf").times[-1] == result.t
    same_series({k: v[:8] for k, v in reference.series.items()}, result.series, 1e-12)
    # Mended, it goes on.
    monkeypatch.undo()
    again = run(small(time__series_every=1), tmp_path / "run", resume=True)
    assert again.stop_reason == "end"
    np.testing.assert_allclose(again.solver.rho, reference.solver.rho, rtol=1e-12)


def test_fields_that_cannot_be_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    velocity = EulerianSolver.velocity

    def infinite(self: Any) -> Array:
        return velocity(self) * (np.inf if self.t > 0.4 else 1.0)

    monkeypatch.setattr(EulerianSolver, "velocity", infinite)
    with np.errstate(invalid="ignore"):
        result = run(small(), tmp_path / "run")
    assert "field 'velocity' at t = 0.45 is not finite" in result.stop_reason
    assert result.t == 0.3 == load_checkpoint(tmp_path / "run" / "checkpoint.npz")["t"]


def test_exit_code_of_a_broken_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small.write(tmp_path / "small.toml")
    real = simulation.run
    watch = at_step(5, spoil)
    monkeypatch.setattr(simulation, "run", lambda *a, **k: real(*a, **k, observers=[watch]))
    monkeypatch.chdir(tmp_path)
    assert cli.main(["run", "small.toml", "--no-progress", "-o", "out"]) == 3
    shown = capsys.readouterr()
    assert "broken invariant" in shown.err and "last good state is in out" in shown.err
    assert np.all(np.isfinite(load_checkpoint(tmp_path / "out" / "checkpoint.npz")["rho"]))
    assert cli.main(["info", "out"]) == 0
    assert "broken invariant" in capsys.readouterr().out


def test_errors_of_observers_are_recorded_and_files_let_go(tmp_path: Path) -> None:
    bad = at_step(5, lambda solver: solver.step / 0)
    with pytest.raises(ZeroDivisionError):
        run(small(), tmp_path / "run", observers=[bad])
    data = about(tmp_path / "run")
    assert data["stop_reason"] == "failed: ZeroDivisionError: division by zero"
    assert data["ended"] is not None
    result = run(small(), tmp_path / "run", resume=True)
    assert result.stop_reason == about(tmp_path / "run")["stop_reason"] == "end"
    assert np.all(np.diff(result.series["t"]) > 0)


def test_figures_that_fail_do_not_lose_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from meanfield import figures

    def fails(folder: object) -> list[Path]:
        raise RuntimeError("no ink")

    monkeypatch.setattr(figures, "make_figures", fails)
    with pytest.warns(mf.MeanfieldWarning, match="no ink"):
        result = run(small(output__figures=True), tmp_path / "run")
    data = about(tmp_path / "run")
    assert result.stop_reason == data["stop_reason"] == "end"
    assert any("no ink" in text for text in data["warnings"])
    assert any("no ink" in text for text in result.warnings)


def test_a_run_ended_while_it_draws_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from meanfield import figures

    def killed(folder: object) -> list[Path]:
        assert about(tmp_path / "run")["stop_reason"] == "end"
        raise KeyboardInterrupt

    monkeypatch.setattr(figures, "make_figures", killed)
    with pytest.raises(KeyboardInterrupt):
        run(small(output__figures=True), tmp_path / "run")
    data = about(tmp_path / "run")
    assert data["stop_reason"] == "end" and data["t"] == 1.0 and data["timings"]["field"] > 0


# ------------------------------------------------------------------ warnings


def test_law_that_the_mesh_does_not_resolve(tmp_path: Path) -> None:
    case = small(
        {"initial.type": "von-mises-fisher", "initial.mean": [0.0, 0.6, 0.8]},
        initial__concentration=3000.0,
        time__end=0.01,
        time__outputs=[],
    )
    with pytest.warns(mf.MeanfieldWarning, match="the mesh gives .*: this law is hardly"):
        result = run(case, tmp_path / "run")
    data = about(tmp_path / "run")
    assert data["warnings"] == result.warnings
    (text,) = [text for text in result.warnings if "normalised" in text]
    mesh = case.geometry.build_mesh()
    weights = original(result, result.solver.weights)
    told = re.findall(r"a mass of ([\d.e+-]+),", text)
    assert float(told[0]) == pytest.approx(weights @ case.initial.density(mesh.points), rel=1e-3)


def test_clusters_that_the_mesh_does_not_resolve(tmp_path: Path) -> None:
    fullest: list[tuple[float, float]] = []
    watch = mf.Watch(
        lambda s: fullest.append((s.t, float(np.max(s.weights * s.rho)))),
        mf.EverySteps(4) | mf.AtOutputs(),
    )
    case = small(time__end=8.0, time__outputs=[])
    with pytest.warns(mf.MeanfieldWarning, match="clusters are narrower than the mesh"):
        result = run(case, tmp_path / "run", observers=[watch])
    first = next(t for t, mass in fullest if mass > 0.1)
    assert 0 < first < 8
    data = about(tmp_path / "run")
    (text,) = data["warnings"]
    assert text == result.warnings[0]
    assert text.startswith(f"from t = {first:.4g} on, one vertex holds more than 10% of all mass")
    # A resumed run does not discover it again.
    with pytest.warns(mf.MeanfieldWarning):
        run(small(time__end=8.5, time__outputs=[]), tmp_path / "run", resume=True)
    assert about(tmp_path / "run")["warnings"] == [text]


def test_warnings_are_recorded_even_if_nobody_wants_to_see_them(tmp_path: Path) -> None:
    case = small(geometry__level=2, time__end=0.1, time__outputs=[])
    for action in ("ignore", "always", "error"):
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter(action, mf.MeanfieldWarning)
            if action == "error":
                with pytest.raises(mf.MeanfieldWarning, match="take a finer mesh"):
                    run(case)
                continue
            result = run(case, tmp_path / action)
        assert len(result.warnings) == 1 and about(tmp_path / action)["warnings"] == result.warnings
        assert len(seen) == (1 if action == "always" else 0)
