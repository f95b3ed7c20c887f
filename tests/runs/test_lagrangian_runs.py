"""Runs along characteristics: the run folder, the moving mesh in it, going on."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import CIRCLE, ZONAL, about, plain, run
from parameters import slow_but
from viewer import Viewer

import meanfield as mf
from meanfield.case import apply_overrides
from meanfield.errors import InputError

moving = plain.but(
    {"geometry.level": 3, "solver.type": "lagrangian"},
    time={"end": 2.0, "outputs": {"every": 0.5}, "series_every": 2},
    output={"precision": "float64", "figures": False},
)
RECIPES = {
    "sphere": moving,
    "circle": moving.but({**CIRCLE, "geometry.vertices": 100}),
    "zonal": moving.but(
        {**ZONAL, "geometry.vertices": 80, "initial.coefficients": [0.3, 0.2]},
        model={"attention": "usa", "beta": 2.0},
    ),
    "mesh": moving.but(solver__start="mesh"),
}

each = pytest.mark.parametrize("name", RECIPES)
each_start_slowly = pytest.mark.parametrize("name", slow_but(range(3), list(RECIPES)))


@each
def test_run_folder_and_the_moving_mesh(name: str, tmp_path: Path) -> None:
    result = run(RECIPES[name](), tmp_path / "run")
    assert result.stop_reason == "end" and result.t == 2.0
    series = result.series
    np.testing.assert_allclose(series["mass"], 1.0, atol=1e-13)
    assert np.all(np.diff(series["energy"]) > 0.0) and np.all(np.diff(series["entropy"]) > 0.0)
    assert np.all(series["rho_min"] > 0.0) and np.all(series["points"] >= 2)
    fields = mf.read_fields(tmp_path / "run" / "fields.vtkhdf")
    assert fields.moving and len(fields.times) == 5
    solver = result.solver
    last = fields.at(-1)
    np.testing.assert_array_equal(last.read("mass", -1), solver.mass)
    np.testing.assert_allclose(
        last.read("log10_rho", -1) * math.log(10.0), solver.log_density(), rtol=0.0, atol=1e-12
    )
    np.testing.assert_allclose(last.mesh.points, solver.moved_mesh().points, rtol=0.0, atol=1e-15)
    np.testing.assert_array_equal(last.cells, solver.reference.cells)
    # Vectors are tangential, and as long as the velocity.
    v = last.read("velocity", -1)
    assert np.max(np.abs(np.sum(v * last.points, axis=1))) < 1e-12 * max(1.0, np.abs(v).max())
    np.testing.assert_allclose(
        np.linalg.norm(v, axis=1), np.linalg.norm(solver.velocity(), axis=1), rtol=1e-12, atol=1e-15
    )
    # Moments of the masses in the file are those of the series.
    x = last.points if fields.geometry != "zonal" else last.points[:, 2:]
    mean = last.read("mass", -1) @ x
    assert np.linalg.norm(mean) == pytest.approx(series["mean_norm"][-1], abs=1e-12)
    data = about(tmp_path / "run")
    assert data["energy_violations"] == 0 and data["largest_energy_violation"] == 0.0
    assert data["merge_error"] == 0.0 and data["different_points"] == solver.points
    assert data["mesh"]["vertices"] == len(last.points) == solver.n
    assert name != "mesh" or solver.n == 642


@each_start_slowly
def test_viewers_read_every_step(name: str, tmp_path: Path) -> None:
    run(RECIPES[name](), tmp_path / "run")
    path = tmp_path / "run" / "fields.vtkhdf"
    fields = mf.read_fields(path)
    viewer = Viewer(path)
    for k in (4, 0, 2, 4):
        mesh = viewer.step(k)
        there = fields.at(k)
        np.testing.assert_array_equal(mesh.points, there.points)
        np.testing.assert_array_equal(mesh.cells_dict[5 if fields.geometry == "sphere" else 3],
                                      there.cells)  # fmt: skip
        for field in ("rho", "velocity", "mass"):
            np.testing.assert_array_equal(mesh.point_data[field], there.read(field, k))


@each_start_slowly
def test_going_on_gives_the_run_that_was_not_interrupted(name: str, tmp_path: Path) -> None:
    # A chart is laid for the end of a run, so that an earlier one has another.
    recipe = RECIPES[name].but(solver__start="mesh")
    whole = run(recipe(), tmp_path / "whole")
    first = recipe(time__end=1.0)
    run(first, tmp_path / "parts")
    second = run(recipe(), tmp_path / "parts", resume=True)
    assert second.steps == whole.steps
    for column in ("energy", "mean_norm", "entropy", "rho_max"):
        assert second.series[column][-1] == pytest.approx(whole.series[column][-1], rel=1e-12)
    one, two = (mf.read_fields(tmp_path / p / "fields.vtkhdf") for p in ("whole", "parts"))
    np.testing.assert_array_equal(one.times, two.times)
    for k in range(len(one.times)):
        np.testing.assert_allclose(one.at(k).points, two.at(k).points, rtol=0.0, atol=1e-12)
        np.testing.assert_array_equal(one.at(k).cells, two.at(k).cells)
        np.testing.assert_allclose(one.read("rho", k), two.read("rho", k), rtol=1e-10)


@pytest.mark.parametrize("name", slow_but([1], list(RECIPES)))
def test_pictures(name: str, tmp_path: Path) -> None:
    run(RECIPES[name](output__figures=True), tmp_path / "run")
    for picture in ("density", "energy"):
        assert (tmp_path / "run" / "figures" / f"{picture}.png").stat().st_size > 10_000


def test_a_collapsed_cluster_is_beyond_float32_and_written_all_the_same(tmp_path: Path) -> None:
    late = moving(model__beta=1.0, time__end=60.0, time__outputs=[30.0],
               output__precision="float32", geometry__level=2)  # fmt: skip
    result = run(late, tmp_path / "run")
    assert result.solver.points == 1 and result.series["clusters"][-1] == 1.0
    fields = mf.read_fields(tmp_path / "run" / "fields.vtkhdf")
    assert np.all(np.isfinite(fields.read("rho", -1)))
    assert fields.read("log10_rho", -1).max() > 40.0
    assert result.stop_reason == "end"


def test_solver_can_be_one_word_in_a_case(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('solver = "lagrangian"\n' + plain.text())
    assert mf.Case.from_toml(tmp_path / "a.toml").solver == mf.Lagrangian()
    assert mf.Case.from_toml(tmp_path / "a.toml", ["solver=eulerian"]).solver == mf.Eulerian()
    with pytest.raises(InputError, match="did you mean 'lagrangian'"):
        mf.Case.from_toml(tmp_path / "a.toml", ["solver=lagrangean"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model__kappa": 0.1}, "the lagrangian solver has kappa = 0 only"),
        ({"solver__rtol": 1.0}, "solver.rtol: expected a number from 1e-13 to 0.1"),
        ({"solver__pointwise": 1}, "solver.pointwise: expected true or false"),
        ({"solver__method": "rk4"}, "solver.method"),
        ({"geometry": {"type": "unmeshed", "d": 3}}, "the lagrangian solver needs a mesh"),
    ],
)
def test_refusals(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        moving(**changes)


@pytest.mark.parametrize("key", ["refine", "refine_longest", "refine_mass", "refine_vertices"])
def test_insertion_of_vertices_tells_what_is_there_instead(key: str) -> None:
    table = moving.table()
    table["solver"][key] = 1
    told = rf"^solver.{key}: .* 'lagrangian' has none: .* output\.mesh = \"fixed\""
    with pytest.raises(InputError, match=told):
        mf.Case.from_dict(table)
    with pytest.raises(InputError, match=told.replace("^", "^--set ")):
        apply_overrides(moving.table(), [f"solver.{key}=1"])
