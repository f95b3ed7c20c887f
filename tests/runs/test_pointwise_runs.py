"""The density at any point and time of a run: its result, its folder, fields on a fixed mesh."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import CIRCLE, ZONAL, about, plain, run

import meanfield as mf
from meanfield.geometry.laws import FunctionDensity
from meanfield.geometry.mesh import delaunay_weights
from meanfield.geometry.sphere import Array
from meanfield.paraview.state import write_state
from meanfield.results.clusters import read_clusters

fixed = plain.but(
    {"geometry.level": 3, "solver.type": "lagrangian"},
    time={"end": 1.0, "outputs": [0.5]},
    output={"precision": "float64", "figures": False, "mesh": "fixed"},
)
RECIPES = {
    "sphere": fixed,
    "circle": fixed.but({**CIRCLE, "geometry.vertices": 100}),
    "zonal": fixed.but(
        {**ZONAL, "geometry.vertices": 80, "initial.coefficients": [0.3, 0.2]},
        model={"attention": "usa", "beta": 2.0},
    ),
}
X = np.eye(3)


def bump(x: Array) -> Array:
    return np.asarray(1.0 + 0.5 * x[:, 2])


@pytest.mark.parametrize("name", RECIPES)
def test_fields_on_a_mesh_that_stays(name: str, tmp_path: Path) -> None:
    case = RECIPES[name]()
    result = run(case, tmp_path / "run")
    fields = mf.read_fields(tmp_path / "run" / "fields.vtkhdf")
    assert not fields.moving and set(fields.names) == {"rho", "log10_rho", "velocity"}
    mesh = case.geometry.build_mesh()
    np.testing.assert_allclose(fields.mesh.points, mesh.points, rtol=0.0, atol=1e-15)
    known = mf.DensityInTime(tmp_path / "run")
    assert known.end == 1.0
    weights = delaunay_weights(mesh)[2]
    for k, t in enumerate((0.0, 0.5, 1.0)):
        rho = fields.read("rho", k)
        now = result.at(mesh.points, t)
        assert np.array_equal(now, known.density_at(mesh.points, t))
        # What the steps after it tell of the one before was not known then.
        np.testing.assert_allclose(rho, now, rtol=1e-12 if t in (0.0, 1.0) else 1e-6)
        np.testing.assert_allclose(np.log10(rho), fields.read("log10_rho", k), atol=1e-12)
        assert weights @ rho / weights.sum() == pytest.approx(1.0, abs=2e-3)
    velocity = result.solver.field().velocity(mesh.points)
    np.testing.assert_allclose(
        fields.read("velocity", 2),
        mesh.manifold.vectors_in_space(mesh.points, velocity),
        rtol=0.0,
        atol=1e-12,
    )
    data = about(tmp_path / "run")
    assert data["mesh"]["vertices"] == mesh.n_vertices
    assert "rho_unresolved_from" not in data and "rho_unknown_from" not in data


def test_what_the_mesh_does_not_resolve_is_told(tmp_path: Path) -> None:
    """Clusters get narrower than its cells; the first time is kept when the run goes on."""
    coarse = fixed.but(geometry__level=2, time={"end": 4.0, "outputs": {"every": 1.0}})
    told = pytest.warns(mf.MeanfieldWarning, match="the fixed mesh does not resolve the density")
    with told:
        run(coarse(), tmp_path / "run")
    data = about(tmp_path / "run")
    fields, mesh = (
        mf.read_fields(tmp_path / "run" / "fields.vtkhdf"),
        coarse().geometry.build_mesh(),
    )
    weights = delaunay_weights(mesh)[2]
    masses = [
        float(weights @ fields.read("rho", k) / weights.sum()) for k in range(len(fields.times))
    ]
    first = next(k for k, mass in enumerate(masses) if abs(mass - 1.0) > 0.05)
    assert first > 0 and data["rho_unresolved_from"] == fields.times[first]
    assert data["rho_implied_mass"] == pytest.approx(masses[first], rel=0.1)
    with told:
        run(coarse(time__end=5.0), tmp_path / "run", resume=True)
    again = about(tmp_path / "run")
    for name in ("rho_unresolved_from", "rho_implied_mass"):
        assert again[name] == data[name]


def test_a_density_that_is_not_known_is_nan(tmp_path: Path) -> None:
    """Few points are left, whose steps are long: the run goes on to its end."""
    narrow = {"type": "von-mises-fisher", "mean": [1.0, 2.0, 0.0], "concentration": 40.0}
    case = plain(
        {"geometry.level": 3, "solver.type": "lagrangian", "solver.start": "mesh"},
        model={"attention": "sa", "beta": 25.0},
        initial=narrow,
        time={"end": 0.5},
        output={"mesh": "fixed"},
    )
    with pytest.warns(mf.MeanfieldWarning, match="is not known everywhere"):
        result = run(case, tmp_path / "run")
    assert result.stop_reason == "end" and not [w for w in result.warnings if "could not" in w]
    known = [np.isfinite(result.fields.density(t)) for t in result.times]
    assert np.all(known[0]) and not np.all(known[-1])
    assert len(result.clusters()) == 0 and np.any(np.isnan(result.at(X)))
    last = result.fields.times[-1]
    assert len(read_clusters(tmp_path / "run", last)) == 0
    assert {"density.png", "density-map.png"} <= {
        p.name for p in (tmp_path / "run/figures").iterdir()
    }
    assert "nan" not in write_state(tmp_path / "run").read_text("utf-8")
    assert about(tmp_path / "run")["rho_unknown_from"] == 0.5


def test_a_result_in_another_process_asks_its_folder(tmp_path: Path) -> None:
    case = fixed(output__mesh="moving")
    result = run(case, tmp_path / "run")
    elsewhere = pickle.loads(pickle.dumps(result))
    for t in (0.3, None):
        assert np.array_equal(elsewhere.at(X, t), result.at(X, t))
    alone = pickle.loads(pickle.dumps(run(case)))
    with pytest.raises(mf.InputError, match="this run has no folder"):
        alone.at(X)


def test_going_on_keeps_the_past(tmp_path: Path) -> None:
    run(fixed(), tmp_path / "run")
    before = mf.DensityInTime(tmp_path / "run").density_at(X, 0.7)
    result = run(fixed(time__end=1.5), tmp_path / "run", resume=True)
    np.testing.assert_allclose(result.at(X, 0.7), before, rtol=1e-5)
    whole = run(fixed(time__end=1.5))
    np.testing.assert_allclose(result.at(X), whole.at(X), rtol=1e-3)
    assert list(mf.read_fields(tmp_path / "run" / "fields.vtkhdf").times) == [0.0, 0.5, 1.0, 1.5]


def of_python(end: float, mesh: Any) -> mf.Case:
    case = fixed(output__mesh=mesh)
    parts = {name: getattr(case, name) for name in ("geometry", "model", "solver", "output")}
    return mf.Case(**parts, initial=FunctionDensity(bump, 3), time=mf.Time(end=end))


def test_a_law_of_python_has_to_be_given_again(tmp_path: Path) -> None:
    for mesh in ("moving", "fixed"):
        folder = tmp_path / mesh
        run(of_python(0.5, mesh), folder)
        with pytest.raises(mf.InputError, match="python"):
            mf.DensityInTime(folder)
        shutil.copytree(folder, tmp_path / f"{mesh} again")
        assert np.all(run(of_python(1.0, mesh), folder, resume=True).at(X) > 0.0)
        recorded = mf.Case.from_toml(folder / "case.toml", ["time.end=1.0"], recorded=True)
        if mesh == "fixed":
            with pytest.raises(mf.InputError, match="known by its name only"):
                run(recorded, tmp_path / f"{mesh} again", resume=True)
            continue
        result = run(recorded, tmp_path / f"{mesh} again", resume=True)
        assert result.t == 1.0
        # Its history starts from a law that nobody has: what is left is the moved mesh.
        np.testing.assert_allclose(result.at(X), result.fields.at(X), rtol=0.0)
        with pytest.raises(mf.InputError, match=r"t = 0\.7 found, the time of an output expected"):
            result.at(X, 0.7)


def test_a_law_in_a_file_is_of_the_case(tmp_path: Path) -> None:
    path = tmp_path / "law.py"
    path.write_text("def bump(x):\n    return 1 + 0.5 * x[:, 2]\n")
    law = {"type": "function", "path": str(path), "name": "bump"}
    table = {**fixed.table(), "initial": law}
    run(mf.Case.from_dict(table), tmp_path / "run")
    path.write_text("def bump(x):\n    return 1 - 0.5 * x[:, 2]\n")
    longer = {**table, "time": {"end": 2.0, "outputs": []}}
    with pytest.raises(mf.InputError, match=r"in the content of initial\.path"):
        run(mf.Case.from_dict(longer), tmp_path / "run", resume=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"solver.type": "eulerian"}, "with the eulerian solver, whose mesh never moves"),
        ({"solver": {"type": "particles", "number": 9}}, "with the particles solver, which has no"),
        ({"model.mask": "causal", "solver.slices": 3}, "with slices of positions"),
        ({"model.normalisation": "pre"}, "with model.normalisation = 'pre'"),
        ({"output.mesh": "fix"}, "did you mean 'fixed'"),
    ],
)
def test_refusals(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(mf.InputError, match=r"output\.mesh: ") as told:
        fixed.but(changes)()
    assert message in str(told.value) and "\n" not in str(told.value)


def test_other_runs_do_not_know_it(tmp_path: Path) -> None:
    tokens = run(
        plain(solver={"type": "particles", "number": 10}, time__end=0.1), tmp_path / "tokens"
    )
    with pytest.raises(mf.InputError, match="a run of ParticleSolver, characteristics expected"):
        mf.DensityInTime(tmp_path / "tokens")
    with pytest.raises(mf.InputError, match=r"^at: found a run that follows 10 points"):
        tokens.at(X)
    with pytest.raises(mf.InputError, match="there is no folder"):
        mf.DensityInTime(tmp_path / "nothing")
