"""Runs of the implicit solver from a case to a folder: geometries, noise, rest, resumption."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cases import ZONAL, about, plain, run
from reference import STATIONARY_PROFILES

import meanfield as mf
from meanfield import cli
from meanfield.dynamics.solver import EnergyWatch
from meanfield.geometry.mesh import unstructured_sphere, write_mesh
from meanfield.interaction.contract import AnyField

noisy = plain.but(
    {"geometry.level": 3, "model.kappa": 0.1, "solver.type": "implicit"},
    time={"end": 1.0, "outputs": [0.3], "series_every": 1},
    output__figures=False,
)
RECIPES = {
    "sphere": noisy,
    "circle": noisy.but(
        geometry={"type": "circle", "vertices": 64},
        initial={"type": "von-mises-fisher", "mean": [1.0, 0.0], "concentration": 2.0},
    ),
    "zonal": noisy.but(ZONAL),
}


@pytest.mark.filterwarnings("ignore:from t =:meanfield.errors.MeanfieldWarning")
@pytest.mark.parametrize("model", ["sa", "usa"])
@pytest.mark.parametrize("kind", RECIPES)
def test_a_noisy_density_on_every_geometry(kind: str, model: str, tmp_path: Path) -> None:
    case = RECIPES[kind](model__attention=model, model__kappa=0.3)
    result = run(case, tmp_path / "run")
    series = result.series
    assert result.stop_reason == "end" and {0.0, 0.3, 1.0} <= set(series["t"])
    np.testing.assert_allclose(series["mass"], 1.0, atol=1e-13)
    assert np.all(series["rho_min"] > 0.0)
    free = 0.3 * series["entropy"] - series["energy"]
    if model == "usa":
        np.testing.assert_allclose(series["free_energy"], free, rtol=1e-12)
        assert np.all(np.diff(series["free_energy"]) < 0.0)
    else:
        assert "free_energy" not in series  # with noise no functional of sa is known to fall
    data = about(tmp_path / "run")
    assert data["energy_violations"] == 0
    assert sum(data["linear_solves"].values()) >= 3 * result.steps
    assert {"field", "fluxes", "linear"} <= data["timings"].keys()
    fields = mf.read_fields(tmp_path / "run" / "fields.vtkhdf")
    np.testing.assert_allclose(fields.times, [0.0, 0.3, 1.0])


@pytest.mark.filterwarnings("ignore:(a mesh of|E moved):meanfield.errors.MeanfieldWarning")
@pytest.mark.parametrize("solver", ["eulerian", "implicit"])
def test_steps_that_are_tried_again_are_recorded(
    solver: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # V = -I: the explicit solver looks at E before a step and after each try; here it finds E too
    # low before the first one, and after two tries.
    changes = {
        "model.value": -1, "model.kappa": 0.0, "solver.type": solver, "geometry.level": 2,
        "time.end": 0.1, "time.outputs": [0.05],
    }  # fmt: skip
    left, usual = [3], EnergyWatch.lost

    def lost(self: EnergyWatch, field: AnyField) -> bool:
        left[0] -= 1
        return left[0] >= 0 or usual(self, field)

    monkeypatch.setattr(EnergyWatch, "lost", lost)
    case = noisy(changes)
    run(case, tmp_path / "run")
    data = about(tmp_path / "run")
    expected = 2 if solver == "eulerian" else 0
    assert data["rejected_for_energy"] == expected <= data["rejected_steps"]
    longer = noisy({**changes, "time.end": 0.2})
    mf.run(longer, tmp_path / "run", resume=True, progress=False)
    assert about(tmp_path / "run")["rejected_for_energy"] == expected


def test_a_mesh_file(tmp_path: Path) -> None:
    write_mesh(tmp_path / "mesh.vtu", unstructured_sphere(500, 3))
    result = run(noisy(geometry={"type": "file", "file": str(tmp_path / "mesh.vtu")}))
    assert result.stop_reason == "end"
    np.testing.assert_allclose(result.series["mass"], 1.0, atol=1e-13)


def test_without_noise_there_is_no_free_energy() -> None:
    result = run(noisy(model__kappa=0.0))
    assert "free_energy" not in result.series
    assert np.all(np.diff(result.series["energy"]) > 0.0)


def test_it_comes_to_rest_and_stops() -> None:
    profile = STATIONARY_PROFILES[0]
    rest = {"time.end": 1e4, "time.outputs": [], "time.stationary": 1e-8}
    result = run(RECIPES["zonal"](rest, geometry__d=3, geometry__vertices=257))
    assert result.stop_reason == "stationary" and result.t < 200.0
    assert result.solver.speed() < 1e-8
    assert result.series["mean_norm"][-1] == pytest.approx(profile.moments[0], abs=1e-5)
    # At rest X itself is not zero: diffusion balances it.
    v, m = result.solver.velocity(), result.solver.weights * result.solver.rho
    assert np.sqrt(m @ np.sum(v * v, axis=1)) > 0.1


def test_a_run_goes_on_to_the_bit(tmp_path: Path) -> None:
    once = run(noisy(), tmp_path / "once")
    run(noisy(time__end=0.3, time__outputs=[]), tmp_path / "twice")
    twice = run(noisy(), tmp_path / "twice", resume=True)
    assert twice.steps == once.steps
    np.testing.assert_array_equal(twice.solver.rho, once.solver.rho)
    for name, values in once.series.items():
        np.testing.assert_array_equal(twice.series[name], values, err_msg=name)


def test_a_checkpoint_of_another_solver_is_refused(tmp_path: Path) -> None:
    run(noisy(model__kappa=0.0, time__end=0.3, time__outputs=[]), tmp_path / "run")
    other = noisy(model__kappa=0.0, solver__type="eulerian")
    with pytest.raises(mf.InputError, match="differs from the one that was begun in solver"):
        run(other, tmp_path / "run", resume=True)


@pytest.mark.parametrize(
    ("solver", "words"),
    [
        ({"scheme": "upwind"}, ["solver.scheme", "fitted"]),
        ({"order": 3}, ["solver.order", "from 1 to 2"]),
        ({"rtol": 0.5}, ["solver.rtol", "0.1"]),
        ({"dt": 0}, ["solver.dt", "above 0"]),
        ({"linear_tolerance": 1.0}, ["solver.linear_tolerance"]),
        ({"cfl": 0.5}, ["cfl"]),
    ],
)
def test_what_a_case_may_not_say(solver: dict[str, object], words: list[str]) -> None:
    with pytest.raises(mf.InputError) as error:
        noisy(solver={"type": "implicit", **solver})
    assert all(word in str(error.value) for word in words)


def test_characteristics_name_the_one_with_noise(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = plain.write(tmp_path / "case.toml", model__kappa=0.1, solver={"type": "lagrangian"})
    assert cli.main(["run", str(source), "--dry-run"]) == 2
    assert 'solver.type = "implicit"' in capsys.readouterr().err


def test_fixed_steps_and_first_order() -> None:
    result = run(noisy(solver={"type": "implicit", "dt": 0.05, "order": 1, "scheme": "fitted"}))
    assert result.steps == 20
    assert set(np.round(result.series["dt"][1:], 12)) == {0.05}
