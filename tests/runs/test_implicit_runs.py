"""Runs of the implicit solver from a case to a folder: geometries, noise, rest, resumption."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reference import STATIONARY_PROFILES

import meanfield as mf
from meanfield import cli
from meanfield.case import apply_overrides
from meanfield.geometry.mesh import unstructured_sphere, write_mesh

CASE: dict[str, Any] = {
    "geometry": {"type": "sphere", "level": 3},
    "model": {"attention": "sa", "beta": 4.0, "kappa": 0.1},
    "initial": {"type": "standard"},
    "solver": {"type": "implicit"},
    "time": {"end": 1.0, "outputs": [0.3], "series_every": 1},
    "output": {"figures": False},
}
GEOMETRIES: dict[str, dict[str, object]] = {
    "sphere": {},
    "circle": {
        "geometry": {"type": "circle", "vertices": 64},
        "initial": {"type": "von-mises-fisher", "mean": [1.0, 0.0], "concentration": 2.0},
    },
    "zonal": {
        "geometry": {"type": "zonal", "d": 5, "vertices": 65},
        "initial": {"type": "gegenbauer", "coefficients": [0.3, 0.25]},
    },
}


def case_of(kind: str = "sphere", **changes: object) -> mf.Case:
    table = {**CASE, **GEOMETRIES[kind]}
    overrides = {key.replace("__", "."): value for key, value in changes.items()}
    return mf.Case.from_dict(apply_overrides(table, overrides))


def run(case: mf.Case, folder: Path | None = None, **options: Any) -> mf.Result:
    return mf.run(case, folder, **{"progress": False, **options})


@pytest.mark.filterwarnings("ignore:from t =:meanfield.errors.MeanfieldWarning")
@pytest.mark.parametrize("model", ["sa", "usa"])
@pytest.mark.parametrize("kind", GEOMETRIES)
def test_a_noisy_density_on_every_geometry(kind: str, model: str, tmp_path: Path) -> None:
    case = case_of(kind, model__attention=model, model__kappa=0.3)
    result = run(case, tmp_path / "run")
    series = result.series
    assert result.stop_reason == "end" and {0.0, 0.3, 1.0} <= set(series["t"])
    np.testing.assert_allclose(series["mass"], 1.0, atol=1e-13)
    assert np.all(series["rho_min"] > 0.0)
    free = 0.3 * series["entropy"] - series["energy"]
    np.testing.assert_allclose(series["free_energy"], free, rtol=1e-12)
    if model == "usa":
        assert np.all(np.diff(series["free_energy"]) < 0.0)
    about = json.loads((tmp_path / "run" / "run.json").read_text("utf-8"))
    assert about["energy_violations"] == 0
    assert sum(about["linear_solves"].values()) >= 3 * result.steps
    assert {"field", "fluxes", "linear"} <= about["timings"].keys()
    fields = mf.read_fields(tmp_path / "run" / "fields.vtkhdf")
    np.testing.assert_allclose(fields.times, [0.0, 0.3, 1.0])


def test_a_mesh_file(tmp_path: Path) -> None:
    write_mesh(tmp_path / "mesh.vtu", unstructured_sphere(500, 3))
    result = run(case_of(geometry={"type": "file", "file": str(tmp_path / "mesh.vtu")}))
    assert result.stop_reason == "end"
    np.testing.assert_allclose(result.series["mass"], 1.0, atol=1e-13)


def test_without_noise_there_is_no_free_energy() -> None:
    result = run(case_of(model__kappa=0.0))
    assert "free_energy" not in result.series
    assert np.all(np.diff(result.series["energy"]) > 0.0)


def test_it_comes_to_rest_and_stops() -> None:
    profile = STATIONARY_PROFILES[0]
    rest = {"time.end": 1e4, "time.outputs": [], "time.stationary": 1e-8}
    result = run(case_of("zonal", geometry__d=3, geometry__vertices=257, **rest))
    assert result.stop_reason == "stationary" and result.t < 200.0
    assert result.solver.speed() < 1e-8
    assert result.series["mean_norm"][-1] == pytest.approx(profile.moments[0], abs=1e-5)
    # At rest X itself is not zero: diffusion balances it.
    v, m = result.solver.velocity(), result.solver.weights * result.solver.rho
    assert np.sqrt(m @ np.sum(v * v, axis=1)) > 0.1


def test_a_run_goes_on_to_the_bit(tmp_path: Path) -> None:
    once = run(case_of(), tmp_path / "once")
    run(case_of(time__end=0.3, time__outputs=[]), tmp_path / "twice")
    twice = run(case_of(), tmp_path / "twice", resume=True)
    assert twice.steps == once.steps
    np.testing.assert_array_equal(twice.solver.rho, once.solver.rho)
    for name, values in once.series.items():
        np.testing.assert_array_equal(twice.series[name], values, err_msg=name)


def test_a_checkpoint_of_another_solver_is_refused(tmp_path: Path) -> None:
    run(case_of(model__kappa=0.0, time__end=0.3, time__outputs=[]), tmp_path / "run")
    other = case_of(model__kappa=0.0)
    other = mf.Case.from_dict({**other.to_dict(), "solver": {"type": "eulerian"}})
    with pytest.raises(mf.InputError, match=r"differs from that of .* in solver"):
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
        mf.Case.from_dict({**CASE, "solver": {"type": "implicit", **solver}})
    assert all(word in str(error.value) for word in words)


def test_the_explicit_solver_names_the_one_with_noise(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "case.toml"
    source.write_text(
        'geometry = { type = "sphere", level = 1 }\n'
        'model = { attention = "sa", beta = 1, kappa = 0.1 }\n'
        'initial = { type = "uniform" }\ntime = { end = 1 }\n'
    )
    assert cli.main(["run", str(source), "--dry-run"]) == 2
    assert 'solver.type = "implicit"' in capsys.readouterr().err


def test_fixed_steps_and_first_order() -> None:
    result = run(case_of(solver={"type": "implicit", "dt": 0.05, "order": 1, "scheme": "fitted"}))
    assert result.steps == 20
    assert set(np.round(result.series["dt"][1:], 12)) == {0.05}
