"""The energy of a run grows by what the field dissipates: how well, and with which order."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from cases import ZONAL, Changes, few_tokens, plain, run

import meanfield as mf

END = {"sa": 0.4, "usa": 0.04}  # in which the energy grows by about a tenth
SOLVERS = {
    "eulerian": {"type": "eulerian"},
    "implicit": {"type": "implicit"},
    "lagrangian": {"type": "lagrangian"},
}


def residual(kind: str, rows: int, changes: Changes = None, **more: object) -> float:
    """Sum of the sizes of the residuals of a run with so many rows after the first one."""
    end = END[kind]
    outputs = np.linspace(0.0, end, rows + 1)[1:-1].tolist()
    table = {"model.attention": kind, "time.end": end, "time.outputs": outputs}
    case = plain({**table, "time.series_every": 10**6, **(changes or {})}, **more)
    series = run(case).series
    assert len(series["t"]) == rows + 1
    found = series["energy_residual"]
    assert math.isnan(found[0]) and np.all(np.isfinite(found[1:]))
    assert np.all(series["dissipation"] > 0.0)
    total = float(np.abs(found[1:]).sum())
    grown = abs(series["energy_scaled"][-1] / series["energy_scaled"][0] - 1.0)
    assert grown > 0.05 and total < 0.2 * grown
    return total


@pytest.mark.parametrize("kind", END)
def test_of_characteristics_only_the_trapezoidal_rule_is_left(kind: str) -> None:
    moving = {"geometry.level": 4, "solver": SOLVERS["lagrangian"]}
    coarse, fine = residual(kind, 4, moving), residual(kind, 8, moving)
    assert fine < 2e-3 and coarse / fine == pytest.approx(4.0, rel=0.1)


@pytest.mark.parametrize("kind", END)
def test_of_tokens_only_the_trapezoidal_rule_is_left(kind: str) -> None:
    tokens = {"geometry": {"type": "unmeshed", "d": 3},
              "solver": {"type": "particles", "number": 100}}  # fmt: skip
    coarse, fine = residual(kind, 4, tokens), residual(kind, 8, tokens)
    assert coarse / fine == pytest.approx(4.0, rel=0.1)


@pytest.mark.parametrize("solver", ["eulerian", "implicit"])
@pytest.mark.parametrize("kind", END)
def test_of_a_density_the_error_of_the_scheme_is_left(kind: str, solver: str) -> None:
    """Level 4: falls with the distance of rows; then with that of the vertices."""

    def at(level: int, rows: int) -> float:
        changes = {"geometry.level": level, "solver": SOLVERS[solver]}
        return residual(kind, rows, changes)

    few, many = at(4, 1), at(4, 8)
    assert many < 0.5 * few and many < 1e-3
    assert many < 0.45 * at(3, 8)


def test_zonal_and_repulsive_and_the_circle_as_well() -> None:
    circle = {"geometry.type": "circle", "geometry.vertices": 128, "initial.type": "fourier",
              "initial.cos": [0.3, 0.0, 0.2]}  # fmt: skip
    for geometry in (ZONAL | {"geometry.vertices": 129}, circle):
        for value in (1, -1):
            changes = {**geometry, "model.value": value, "model.beta": 2.0}
            for kind in END:
                end = {"time.end": 0.5} if kind == "sa" else {"time.end": 0.1}
                outputs = np.linspace(0.0, end["time.end"], 13)[1:-1].tolist()
                case = plain({**changes, **end}, model__attention=kind, time__outputs=outputs)
                series = run(case).series
                wrong = np.abs(series["energy_residual"][1:]).sum()
                grown = value * (series["energy_scaled"][-1] / series["energy_scaled"][0] - 1.0)
                assert 0.0 < wrong < 0.05 * grown, (geometry, value, kind)


def test_with_diffusion_it_is_the_free_energy_that_falls() -> None:
    noisy = {"model.kappa": 0.3, "solver": SOLVERS["implicit"]}
    table = {"model.attention": "usa", "time.end": 0.04, "time.series_every": 10**6}
    found_wrong = []
    outputs = np.linspace(0.0, 0.04, 9)[1:-1].tolist()
    for level in (3, 4):
        changes = {**table, **noisy, "geometry.level": level, "time.outputs": outputs}
        series = run(plain(changes)).series
        scale = math.exp(-4.0)
        fallen = -np.diff(series["free_energy"]) * scale
        t, rate = series["t"], series["dissipation"]
        wrong = fallen - 0.5 * np.diff(t) * (rate[1:] + rate[:-1])
        energy = series["energy_scaled"]
        found = wrong / np.maximum(energy[1:], energy[:-1])
        np.testing.assert_allclose(series["energy_residual"][1:], found, rtol=1e-6, atol=1e-12)
        assert fallen.sum() > 0.0 and np.all(fallen > 0.0)
        found_wrong.append(np.abs(wrong).sum() / fallen.sum())
    coarse, fine = found_wrong
    assert fine < 0.01 and fine < 0.5 * coarse


@pytest.mark.parametrize("kappa", [0.0, 0.1])
@pytest.mark.parametrize("kind", ["sa", "usa"])
def test_at_rest_nothing_is_dissipated_and_nothing_is_left(kind: str, kappa: float) -> None:
    changes = {"initial.type": "uniform", "model.kappa": kappa, "solver": SOLVERS["implicit"]}
    series = run(plain(changes, model__attention=kind)).series
    if kind == "sa" and kappa:
        assert "dissipation" not in series and "energy_residual" not in series
        return
    np.testing.assert_allclose(series["dissipation"], 0.0, atol=1e-20)
    np.testing.assert_allclose(series["energy_residual"][1:], 0.0, atol=1e-12)


def test_a_resumed_run_knows_the_row_before(tmp_path: Path) -> None:
    case = few_tokens()
    whole = run(case)
    run(few_tokens(time={"end": 1.0, "outputs": [0.5], "series_every": 2}), tmp_path / "run")
    more = run(case, tmp_path / "run", resume=True)
    found = more.series["energy_residual"]
    np.testing.assert_allclose(found, whole.series["energy_residual"], rtol=1e-6, atol=1e-14)
    assert np.count_nonzero(np.isnan(found)) == 1


def test_a_column_of_an_observer_may_hang_on_the_row_before() -> None:
    seen: list[tuple[float, float]] = []

    def since(view: mf.View) -> float:
        before = view.previous
        seen.append((math.nan if before is None else before["t"], view.t))
        return 0.0 if before is None else view.t - before["t"]

    class Since(mf.Observer):
        columns = (mf.Column("since", "time", "Since the row before.", since),)

    series = run(few_tokens(), observers=[Since()]).series
    np.testing.assert_allclose(series["since"][1:], np.diff(series["t"]))
    assert [t for t, _ in seen[1:]] == [t for _, t in seen[:-1]]
