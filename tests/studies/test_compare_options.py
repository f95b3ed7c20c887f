"""Comparisons on other geometries and of other models; what is refused."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import ot
import pytest
from cases import about, contents, files
from comparisons import CIRCLE, TIMES, ZONAL, compared, quick, task, tasks
from parameters import slow_but
from processes import needs_dolfinx
from scipy import stats

import meanfield as mf
from meanfield import cli
from meanfield.analysis.quadrature import density_measure
from meanfield.geometry.laws import FunctionDensity
from meanfield.geometry.mesh import icosphere, write_mesh
from meanfield.results.comparison import StoredDensity, read_rows
from meanfield.studies import settings
from meanfield.studies.evaluate import _Reference
from meanfield.studies.moments import linear_moments
from meanfield.studies.report import draw, summary
from meanfield.studies.resolution import coarser, order_of

pytestmark = needs_dolfinx


def test_both_distances(tmp_path: Path) -> None:
    found = quick(compared(), tmp_path / "b", replicas=6, exponents=(1, 2))
    assert about(tmp_path / "b")["exponents"] == [2, 1]
    for row in found.rows:
        assert 0.0 < row["w1"] < row["w2"] and 0.0 < row["floor_w1"] < row["floor_w2"]
        assert row["ratio_w1_low"] < row["ratio_w1"] < row["ratio_w1_high"]
    lines = summary(found)
    assert lines[0].index("W2") < lines[0].index("W1")
    assert f"{found.rows[0]['w1']:.5f}" in lines[1] and len(lines[1]) == len(lines[0])


def test_circle(tmp_path: Path) -> None:
    found = quick(compared(CIRCLE), tmp_path / "c", numbers=(30, 60), replicas=6, exponents=(1,))
    with np.load(tmp_path / "c" / "density.npz") as data:
        rho, mesh = data["rho"], compared(CIRCLE).geometry.build_mesh()
    reference, _ = density_measure(mesh, rho[-1])
    for r in range(2):
        one = task(tmp_path / "c", "particles", 30, r)
        angle = [np.mod(np.arctan2(x[:, 1], x[:, 0]) / (2.0 * np.pi), 1.0)
                 for x in (one["x"][-1], np.asarray(reference.points))]  # fmt: skip
        w1 = ot.wasserstein_circle(angle[0], angle[1], v_weights=reference.weights)
        assert one["w1"][-1] == pytest.approx(2.0 * np.pi * float(w1[0]), rel=0.02)
    for row in found.rows:
        assert row["ratio_w1_low"] < 1.2 and row["ratio_w1_high"] > 0.8 and "w2" not in row
    assert "W1" in summary(found)[0]


def test_zonal(tmp_path: Path) -> None:
    found = quick(compared(ZONAL), tmp_path / "z", numbers=(400,), replicas=6, exponents=(1,))
    with np.load(tmp_path / "z" / "density.npz") as data:
        rho, mesh = data["rho"], compared(ZONAL).geometry.build_mesh()
    for r in range(2):
        one = task(tmp_path / "z", "particles", 400, r)
        assert one["x"].shape == (2, 400, 5)
        for k in range(2):
            reference, _ = density_measure(mesh, rho[k])
            theta = np.asarray(reference.points).ravel()
            w1 = stats.wasserstein_distance(
                np.arccos(one["x"][k][:, -1]), theta, v_weights=reference.weights
            )
            assert one["w1"][k] == pytest.approx(w1, rel=1e-9)
    for row in found.rows:
        assert row["ratio_w1_low"] < 1.0 < row["ratio_w1_high"]
    assert all(rate is None for rate in found.rates.values())


@pytest.mark.parametrize("changes", [{}, CIRCLE, ZONAL])
def test_figures_on_every_geometry(changes: dict[str, object], tmp_path: Path) -> None:
    folder = tmp_path / "f"
    if changes:
        quick(compared({**changes, "output.figures": True}), folder, exponents=(2,))
        pictures = {"distance-against-t.png", "side-by-side.png"}  # one n has no rate
    else:
        quick(compared({"output.figures": True}), folder)
        pictures = {"side-by-side.png"}
    assert {path.name for path in (folder / "figures").iterdir()} == pictures
    assert set(about(folder)["figures"]) == pictures


@pytest.mark.parametrize(
    "model",
    [
        {"model.attention": "usa", "model.beta": 2.0},
        {"model.value": -1},
        {"model.beta": 0.0},
        {"model.beta": -2.0},
        {"model.beta": 30.0},
        {
            "model.attention": "usa",
            "model.beta": 90.0,
            "time.end": 1e-37,
            "output.fields": ["rho"],
            "time.outputs": [],
        },
    ],
)
@pytest.mark.filterwarnings("ignore:a mesh of .* vertices:meanfield.errors.MeanfieldWarning")
def test_other_models(model: dict[str, object], tmp_path: Path) -> None:
    found = quick(compared(model), tmp_path / "m", numbers=(300,), replicas=4, times=None)
    for row in found.rows:
        assert all(math.isfinite(value) for value in row.values())
        assert abs(row["z_energy"]) < 12.0  # of Student's t with 3 degrees of freedom


def test_without_distances(tmp_path: Path) -> None:
    found = quick(compared(), tmp_path / "n", numbers=(20, 30), replicas=3)
    assert tasks((20, 30), 3, ("particles",)) <= files(tmp_path / "n")
    assert not any("floor" in name for name in files(tmp_path / "n"))
    for row in found.rows:
        assert list(row) == ["t", "n", "replicas", "z_energy", "z_mean", "z_second", "p_value",
                             "moment_allowance", "moment_distance", "moment_resolution",
                             "moment_bias", "moment_band", "moment_share",
                             "density_error"]  # fmt: skip
    assert found.rates == {}
    assert "W2" not in "".join(summary(found)) and "z(E)" in summary(found)[0]
    # So few have no verdict, which is told; a number is that of a density.
    assert all(math.isnan(row["p_value"]) for row in found.rows)
    assert [line.split()[-1] for line in summary(found)[1:5]] == ["none"] * 4
    assert "none: no verdict" in " ".join(summary(found))


def test_the_error_of_the_density(tmp_path: Path) -> None:
    """By a density at half the resolution, where there is one."""
    errors = []
    for name, level in (("a", 3), ("b", 4)):
        found = quick(compared(geometry__level=level), tmp_path / name)
        errors.append([row["density_error"] for row in found.rows])
    assert 3.0 < errors[0][1] / errors[1][1] < 6.0  # second order
    for name, table in SOLVERS.items():
        assert order_of(compared(solver=table)) == (2 if name in ("limited", "implicit") else 1)
    write_mesh(tmp_path / "mesh.vtu", icosphere(3))
    case = compared(geometry={"type": "file", "file": str(tmp_path / "mesh.vtu")})
    found = quick(case, tmp_path / "file", numbers=(40,))
    assert all(math.isnan(row["density_error"]) for row in found.rows)
    assert "is not known: there is no coarser mesh" in summary(found)[-1]
    assert not any(math.isnan(row["p_value"]) for row in found.rows)


SOLVERS: dict[str, dict[str, object]] = {
    "limited": {"type": "eulerian"},
    "upwind": {"type": "eulerian", "scheme": "upwind"},
    "euler": {"type": "eulerian", "stepper": "euler"},
    "implicit": {"type": "implicit", "rtol": 1e-4},
    "implicit, order 1": {"type": "implicit", "order": 1},
    "fitted": {"type": "implicit", "scheme": "fitted"},
}


@pytest.mark.parametrize("name", slow_but([0, 2], list(SOLVERS)))
def test_the_error_of_the_density_is_as_large_as_it_is_told(name: str, tmp_path: Path) -> None:
    """Against 16 times as many vertices, at t = 0.5 and 1, and at the start."""
    start = {"type": "von-mises-fisher", "mean": [0.6, 0.8], "concentration": 1.5}
    case = compared(
        {**CIRCLE, "geometry.vertices": 128, "time.end": 1.0}, initial=start, solver=SOLVERS[name]
    )
    fine = dataclasses.replace(case, geometry=mf.Circle(2048), solver=mf.Eulerian())
    times = [0.5, 1.0]
    found = quick(case, tmp_path / "x", times=times)
    quick(fine, tmp_path / "fine", times=times)
    reference = StoredDensity.read(tmp_path / "fine")
    for k, row in enumerate(found.rows):
        exact = linear_moments(reference.masses(k), reference.mesh.manifold)["low"]
        near, _ = _Reference.read(tmp_path / "x", order_of(case)).at(k)
        gap = near["low"] - exact
        left = max(np.linalg.norm(gap[near["degree"].round() == l]) for l in range(1, 5))
        assert left <= 1.4 * row["density_error"] + 1e-13
        if k > 0:
            assert row["density_error"] < 0.05  # and not much larger


def test_half_the_resolution() -> None:
    def half(**changes: object) -> mf.Case | None:
        return coarser(compared(**changes))

    for geometry, fewer in ((mf.Sphere(3), mf.Sphere(2)), (mf.Circle(101), mf.Circle(50)),
                            (mf.Zonal(5, 101), mf.Zonal(5, 51))):  # fmt: skip
        case = dataclasses.replace(compared(), geometry=geometry, initial=mf.Uniform(geometry.d))
        found = coarser(case)
        assert found is not None and found.geometry == fewer and found.solver == case.solver
    implicit = half(solver={"type": "implicit", "rtol": 1e-4, "dt": 0.01})
    assert implicit is not None and isinstance(implicit.solver, mf.Implicit)
    assert (implicit.solver.rtol, implicit.solver.dt) == (8e-4, 0.02)
    assert half(geometry__level=1) is None


def test_without_distances_there_may_be_more_particles(tmp_path: Path) -> None:
    found = quick(compared(CIRCLE), tmp_path / "n", numbers=(25_000,), times=[0.0])
    assert found.rows[0]["n"] == 25_000


def test_times(tmp_path: Path) -> None:
    case = compared({"time.end": 2.0, "time.outputs": [k / 10 for k in range(20)]})
    assert settings._chosen_times(case, None) == (0.0, 0.5, 1.0, 1.5, 2.0)
    assert settings._chosen_times(case, [1.23, 0.5, 0.5]) == (0.0, 0.5, 1.23)
    assert settings._chosen_times(compared(), None) == TIMES
    found = quick(compared(), tmp_path / "t", times=[0.33, 0.1])
    assert [row["t"] for row in found.rows] == [0.0, 0.1, 0.33]


def test_the_density_is_that_of_a_run(tmp_path: Path) -> None:
    quick(compared(), tmp_path / "d", times=[0.5])
    with np.load(tmp_path / "d" / "density.npz") as data:
        rho = data["rho"]
    alone = mf.run(compared({"time.outputs": []}), progress=False)
    np.testing.assert_array_equal(rho[-1], alone.solver.space.gather(alone.solver.rho))
    assert alone.series["energy_scaled"][-1] == pytest.approx(
        float(np.load(tmp_path / "d" / "density.npz")["energy"][-1]), rel=1e-12
    )


def test_particles_of_another_case(tmp_path: Path) -> None:
    """Particles with options of their own: tolerances, noise; how many there are is asked here."""
    plain = quick(compared(), tmp_path / "plain")
    options = {"geometry.type": "unmeshed", "geometry.d": 3, "solver.type": "particles",
               "solver.number": 7}  # fmt: skip
    same = quick(compared(), tmp_path / "same", particle_case=compared(options))
    assert same.rows == plain.rows
    noisy = compared({**options, "model.kappa": 0.5})
    other = quick(compared(), tmp_path / "noisy", particle_case=noisy)
    assert other.rows[0] == plain.rows[0] and other.rows[1] != plain.rows[1]
    start, end = task(tmp_path / "noisy", "particles", 20, 0)["x"]
    assert np.mean(np.sum(start * end, axis=1)) < 0.95


def test_a_law_made_in_python(tmp_path: Path) -> None:
    """It is in no case file; who has it, in Python, goes on with it."""
    law = FunctionDensity(lambda x: 1.0 + 0.5 * x[:, 0], 3)
    case = dataclasses.replace(compared({"output.figures": True}), initial=law)
    found = quick(case, tmp_path / "p", numbers=(100,), replicas=6)
    assert found.rows[0]["p_value"] > 0.05
    assert (tmp_path / "p" / "figures" / "side-by-side.png").stat().st_size > 10_000
    more = quick(case, tmp_path / "p", numbers=(100,), replicas=7, resume=True)
    assert more.rows[0]["p_value"] > 0.05 and (tmp_path / "p" / "compare.csv").is_file()
    other = dataclasses.replace(case, initial=FunctionDensity(lambda x: 1.0 - 0.5 * x[:, 0], 3))
    with pytest.raises(mf.InputError, match=r"model\.beta"):
        changed = dataclasses.replace(other, model=mf.Model(attention="sa", beta=5.0))
        quick(changed, tmp_path / "p", numbers=(100,), replicas=6, resume=True)


@pytest.mark.filterwarnings("ignore:a mesh of .* vertices:meanfield.errors.MeanfieldWarning")
def test_the_density_of_unresolved_clusters_is_told(tmp_path: Path) -> None:
    case = compared({"time.end": 12.0, "geometry.level": 2})
    with pytest.warns(mf.MeanfieldWarning, match="narrower than the mesh"):
        quick(case, tmp_path / "u", times=[12.0])
    assert any("narrower than the mesh" in text for text in about(tmp_path / "u")["warnings"])


# ------------------------------------------------------------------ what is refused

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "n = 1": ({"numbers": [1]}, "number of particles = 1 found, 2 to 1000000 expected"),
    "n = 1000001, W_2": ({"numbers": [1_000_001], "exponents": (2,)},
                         "number of particles = 1000001 found, 2 to 1000000 expected \\(all"),
    "n = 1000001": ({"numbers": [1_000_001]}, "2 to 1000000 expected"),
    "n = 10.5": ({"numbers": [20, 10.5]}, "found 10.5, expected a whole number"),
    "n = true": ({"numbers": [True]}, "found true .*, expected a whole number"),
    "no n": ({"numbers": []}, "no number of particles found, at least one expected"),
    "1 replica": ({"replicas": 1}, "replicas = 1 found, 2 to 10000 expected \\(6 for a full"),
    "2.5 replicas": ({"replicas": 2.5}, "replicas: found 2.5, expected a whole"),
    "0 jobs": ({"jobs": 0}, "jobs = 0 found, 1 to 10000 expected"),
    "p = 3": ({"exponents": (3,)}, "exponents \\(3,\\) found, 1, 2 or both expected"),
    "t too late": ({"times": [0.1, 0.6]}, "time 0.6 found, 0 to time.end = 0.5 expected"),
    "t < 0": ({"times": [-0.1]}, "time -0.1 found, 0 to time.end"),
    "t = nan": ({"times": [math.nan]}, "found nan, expected a number"),
    "layers as the density": (
        {"case": {"solver.type": "layers", "solver.number": 9, "solver.layers": 9}},
        "solver.type: 'layers' found, a comparison needs a density",
    ),
    "layers as the particles": (
        {"other": {"solver.type": "layers", "solver.number": 9, "solver.layers": 9}},
        "solver.type: 'layers' found for the particles, .*expected 'particles'",
    ),
    "another d": ({"other": ZONAL}, "particles in d = 5 found, those of the density in d = 3"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused_before_anything_is_written(name: str, tmp_path: Path) -> None:
    options, message = REFUSED[name]
    options = dict(options)
    case = compared(options.pop("case", {}))
    if "other" in options:
        options["particle_case"] = compared(options.pop("other"))
    with pytest.raises(mf.InputError, match=message) as refused:
        quick(case, tmp_path / "x", **options)
    assert "\n" not in str(refused.value)
    assert not any(tmp_path.iterdir())


def test_existing_folders_are_left_alone(tmp_path: Path) -> None:
    quick(compared(), tmp_path / "old")
    before = contents(tmp_path / "old")
    with pytest.raises(mf.InputError, match=r"already holds .*add --overwrite"):
        quick(compared(), tmp_path / "old")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(mf.InputError, match="not empty and no run made it"):
            quick(compared(), tmp_path / "mine", overwrite=overwrite)
    with pytest.raises(mf.InputError, match=r"old.*is a file|is a file"):
        quick(compared(), tmp_path / "mine" / "notes.txt")
    assert contents(tmp_path / "old") == before and files(tmp_path / "mine") == {"notes.txt"}


def test_a_run_is_no_comparison(tmp_path: Path) -> None:
    mf.run(compared({"time.end": 0.25, "time.outputs": []}), tmp_path / "run", progress=False)
    before = contents(tmp_path / "run")
    with pytest.raises(mf.InputError, match="already holds a run: add --overwrite"):
        quick(compared(), tmp_path / "run")
    with pytest.raises(mf.InputError, match="holds a run, a comparison expected"):
        quick(compared(), tmp_path / "run", resume=True)
    with pytest.raises(mf.InputError, match="holds a run, a comparison expected"):
        draw(tmp_path / "run")
    assert contents(tmp_path / "run") == before


def test_there_must_be_something_to_go_on_with(tmp_path: Path) -> None:
    with pytest.raises(mf.InputError, match="there is no folder"):
        quick(compared(), tmp_path / "nothing", resume=True)
    assert not any(tmp_path.iterdir())


@pytest.mark.filterwarnings("ignore:no energy for this model:meanfield.errors.MeanfieldWarning")
def test_a_model_without_energy_is_compared_without_it(
    tmp_path: Path, no_energy: None, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "n"
    found = quick(compared(output__figures=True), folder, numbers=(40,), replicas=3)
    for row in found.rows:
        numbers = {name: value for name, value in row.items() if name != "z_energy"}
        assert math.isnan(row["z_energy"])
        assert all(math.isfinite(numbers[name]) for name in ("z_mean", "z_second"))
    said = summary(found)
    assert (
        all(line.split()[2] == "-" for line in said[1:3]) and "-: the model has no energy" in said
    )
    for name in ("density.npz", "density-coarse.npz", *tasks((40,), 3, ("particles",))):
        with np.load(folder / name) as data:
            assert "energy" not in data and len(data.files) > 2
    assert [row["z_energy"] for row in read_rows(mf.RunFolder(folder))] == pytest.approx(
        [math.nan, math.nan], nan_ok=True
    )
    assert cli.main(["info", str(folder)]) == 0
    assert "no energy for this model" in capsys.readouterr().out
    # More clouds go on from what is there.
    more = quick(compared(output__figures=True), folder, numbers=(40,), replicas=4, resume=True)
    assert more.rows[0]["replicas"] == 4.0 and math.isnan(more.rows[-1]["z_energy"])
