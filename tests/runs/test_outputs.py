"""What a run leaves in its folder, on every geometry, and whether the numbers are right."""

from __future__ import annotations

import datetime
import importlib.metadata
import math
import re
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from cases import FILES, GEOMETRIES, about, original, run, same_series, small
from finished import Finished
from PIL import Image
from scipy.special import gammaln, ive
from viewer import Viewer

import meanfield as mf
from meanfield.geometry.laws import FunctionDensity
from meanfield.geometry.mesh import Mesh, unstructured_sphere, write_mesh
from meanfield.geometry.sphere import Array
from meanfield.results.checkpoint import load_checkpoint
from meanfield.software import DOLFINX_RANGE

# ------------------------------------------------------------------ what a run leaves


def test_folder_is_complete(finished: Finished) -> None:
    found = {str(p.relative_to(finished.folder)) for p in finished.folder.rglob("*") if p.is_file()}
    assert found == FILES | {f"figures/{name}.png" for name in ("energy", "density", "density-map")}


def test_the_resolved_case_is_the_case(finished: Finished) -> None:
    again = mf.Case.from_toml(finished.folder / "case.toml")
    assert again == finished.case
    assert again.output_times() == (0.0, 0.3, 0.45, 1.0)
    # Resolved: also what the user left to the defaults.
    assert 'scheme = "log-muscl"' in (finished.folder / "case.toml").read_text("utf-8")


def test_run_json(finished: Finished) -> None:
    data = about(finished.folder)
    for package in ("meanfield", "numpy", "ducc0", "numba", "scipy", "h5py", "mpi4py"):
        assert data[package] == importlib.metadata.version(package)
    version = tuple(int(part) for part in data["dolfinx"].split(".")[:2])
    assert DOLFINX_RANGE[0] <= version < DOLFINX_RANGE[1]
    assert data["python"] == ".".join(map(str, sys.version_info[:3]))
    assert data["ranks"] == 1 and data["seed"] == 0
    assert data["stop_reason"] == finished.result.stop_reason == "end"
    assert data["t"] == 1.0 and data["steps"] == finished.result.steps == len(finished.steps)
    assert data["energy_violations"] == 0 and data["largest_energy_violation"] == 0.0
    assert data["warnings"] == finished.result.warnings == []
    assert not [w for w in finished.warned if issubclass(w.category, mf.MeanfieldWarning)]
    assert data["figures"] == ["energy.png", "density.png", "density-map.png"]
    mesh = data["mesh"]
    assert (mesh["vertices"], mesh["cells"]) == (642, 1280)
    assert 0.1 < mesh["h_min"] < mesh["h_max"] < 0.2


def test_timing_split(finished: Finished) -> None:
    data = about(finished.folder)
    timings = data["timings"]
    assert list(timings) == ["set-up", "field", "sweep", "output", "other"]
    assert all(seconds >= 0 for seconds in timings.values())
    assert timings["field"] > 0 and timings["sweep"] > 0
    assert timings["output"] > 0  # the figures are in it
    assert finished.times[-1] - finished.times[0] < sum(timings.values()) < finished.seconds
    assert timings == pytest.approx(finished.result.timings)
    begin, end = (datetime.datetime.fromisoformat(data[name]) for name in ("started", "ended"))
    assert begin.utcoffset() == datetime.timedelta(0)
    assert -1 <= (end - begin).total_seconds() <= finished.seconds + 1


def test_the_log_tells_the_story(finished: Finished) -> None:
    lines = (finished.folder / "run.log").read_text("utf-8").splitlines()
    assert "started at t = 0 on 1 rank" in lines[0]
    assert [re.findall(r"t = ([\d.]+), step", line) for line in lines[1:-1]] == [
        ["0"], ["0.3"], ["0.45"], ["1"],
    ]  # fmt: skip
    assert lines[-1].endswith("stopped: end, t = 1")


def test_figures_are_pictures(finished: Finished) -> None:
    for name in ("energy.png", "density.png", "density-map.png"):
        path = finished.folder / "figures" / name
        assert path.stat().st_size > 10_000
        with Image.open(path) as picture:
            picture.verify()
            assert min(picture.size) > 300


def columns(d: int, moments: int) -> list[str]:
    return [
        *("t", "step", "dt", "mass", "rho_min", "rho_max", "energy", "energy_scaled", "entropy"),
        *("dissipation", "energy_residual"),
        *(f"mean_{k}" for k in range(1, moments + 1)),
        "mean_norm",
        *(f"m2_{k}" for k in range(1, moments + 1)),
        *(f"power_{k}" for k in range(9)),
        *("clusters", "largest_cluster"),
    ]


def test_series_columns_and_rows(finished: Finished) -> None:
    header = (finished.folder / "series.csv").read_text("utf-8").splitlines()[0]
    assert header.split(",") == list(finished.result.series) == columns(3, 3)
    series = mf.RunFolder(finished.folder).read_series()
    for name, column in finished.result.series.items():
        np.testing.assert_array_equal(series[name], column)
    outputs = finished.case.output_times()
    expected = [(0.0, 0, 0.0)]
    expected += [s for s in finished.steps if s[1] % 4 == 0 or s[0] in outputs]
    rows = list(zip(series["t"], series["step"], series["dt"], strict=True))
    assert rows == expected
    assert np.all(np.diff(series["t"]) > 0)


def test_output_times_are_landed_on_exactly(finished: Finished) -> None:
    fields = mf.read_fields(finished.folder / "fields.vtkhdf")
    assert tuple(fields.times) == finished.case.output_times() == (0.0, 0.3, 0.45, 1.0)
    assert set(fields.times) <= set(finished.result.series["t"])
    # No tiny step is left over before a landing.
    sizes = [dt for _, _, dt in finished.steps]
    assert min(sizes) > 0.2 * max(sizes)


def test_paraview_file_holds_the_density_in_the_order_of_the_mesh(finished: Finished) -> None:
    viewer = Viewer(finished.folder / "fields.vtkhdf")
    times = finished.case.output_times()
    assert len(viewer) == len(times)
    fields = mf.read_fields(finished.folder / "fields.vtkhdf")
    grids = []
    for k in range(len(times)):
        grid = viewer.step(k).copy(deep=True)
        np.testing.assert_array_equal(grid.points, finished.mesh.points)
        np.testing.assert_array_equal(grid["rho"], fields.read("rho", k))
        assert grid["rho"].dtype == np.float32
        np.testing.assert_allclose(grid["log10_rho"], np.log10(grid["rho"]), atol=1e-6)
        np.testing.assert_array_equal(grid["velocity"], fields.read("velocity", k))
        radial = np.sum(grid["velocity"] * finished.mesh.points, axis=1)
        assert np.abs(radial).max() < 1e-6 * np.abs(grid["velocity"]).max()
        grids.append(grid)
    solver = finished.result.solver
    last = original(finished.result, solver.rho)
    np.testing.assert_array_equal(grids[-1]["rho"], last.astype(np.float32))
    velocity = original(finished.result, solver.velocity())
    np.testing.assert_array_equal(grids[-1]["velocity"], velocity.astype(np.float32))
    wanted = finished.case.initial.density(finished.mesh.points)
    np.testing.assert_allclose(grids[0]["rho"], wanted, rtol=2e-3)  # normalised on the mesh
    assert np.ptp(grids[0]["rho"] / wanted) < 1e-6


def test_the_checkpoint_is_the_last_state(finished: Finished) -> None:
    saved = load_checkpoint(finished.folder / "checkpoint.npz")
    assert (saved["t"], saved["step"]) == (1.0, finished.result.steps)
    np.testing.assert_array_equal(
        saved["rho"], original(finished.result, finished.result.solver.rho)
    )


# ------------------------------------------------------------------ the numbers in the series


def pair_kernel(mesh: Mesh, beta: float) -> Array:
    """e^{beta <x,y>} for all pairs of vertices; zonal: its mean over the circles of latitude."""
    if mesh.geometry != "zonal":
        return np.exp(beta * mesh.points @ mesh.points.T)
    theta = mesh.points[:, 0]
    z = np.maximum(abs(beta) * np.outer(np.sin(theta), np.sin(theta)), 1e-12)
    nu = (mesh.d - 3) / 2
    log_mean = gammaln(nu + 1) + nu * np.log(2 / z) + np.log(ive(nu, z)) + z
    return np.exp(log_mean + beta * np.outer(np.cos(theta), np.cos(theta)))


def recomputed(mesh: Mesh, weights: Array, rho: Array, beta: float) -> dict[str, float]:
    """The series by its definitions, from a density (n,) and nodal weights (n,)."""
    m = weights * rho
    x = np.cos(mesh.points) if mesh.geometry == "zonal" else mesh.points
    mean, second = m @ x, np.einsum("i,ij,ik->jk", m, x, x)
    # The uniform part is integrated exactly, by the mean of the kernel, and the rest by the nodes.
    nu = mesh.d / 2 - 1
    uniform = math.exp(math.lgamma(nu + 1) + nu * math.log(2 / beta) + beta) * ive(nu, beta)
    rest = m - weights
    energy = (rest @ pair_kernel(mesh, beta) @ rest + (1 + 2 * rest.sum()) * uniform) / (2 * beta)
    numbers = {
        "mass": m.sum(),
        "rho_min": rho.min(),
        "rho_max": rho.max(),
        "energy": energy,
        "energy_scaled": energy * math.exp(-abs(beta)),
        "entropy": m @ np.log(rho),
        "mean_norm": math.hypot(*mean),
        "power_0": 1.0,
        **{f"mean_{k + 1}": value for k, value in enumerate(mean)},
        **{f"m2_{k + 1}": value for k, value in enumerate(np.linalg.eigvalsh(second))},
    }
    if mesh.geometry != "zonal":
        d = mesh.d
        numbers["power_1"] = d * (mean @ mean) if d > 1 else 0.0
        numbers["power_2"] = (d + 2) / 2 * (d * np.sum(second**2) - 1)
    return numbers


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("attention", ["sa", "usa"])
def test_series_follows_from_the_fields(tmp_path: Path, geometry: str, attention: str) -> None:
    changes = {**GEOMETRIES[geometry], "output.precision": "float64", "time.outputs": [0.1]}
    if attention == "usa":
        changes |= {"time.end": 0.2, "time.outputs": [0.02]}
    case = small({**changes, "model.attention": attention})
    result = run(case, tmp_path / "run")
    mesh = case.geometry.build_mesh()
    weights = original(result, result.solver.weights)
    fields, series = mf.read_fields(tmp_path / "run" / "fields.vtkhdf"), result.series
    assert list(series) == columns(mesh.d, 1 if geometry == "zonal" else mesh.d)
    for k, t in enumerate(fields.times):
        (row,) = np.flatnonzero(series["t"] == t)
        wanted = recomputed(mesh, weights, fields.read("rho", k), case.model.beta)
        for name, value in wanted.items():
            assert series[name][row] == pytest.approx(value, rel=1e-8, abs=1e-10), (name, t)
    assert np.abs(series["mass"] - 1).max() < 1e-13
    assert np.all(np.diff(series["energy"]) > 0)
    if geometry == "sphere" and attention == "sa":
        # Three bumps: the background hides none of them after a while.
        assert series["clusters"][-1] == 3


def test_a_uniform_law_has_no_clusters_and_no_entropy() -> None:
    result = run(small({"initial.type": "uniform"}))
    for name in ("clusters", "entropy", "mean_norm", *(f"power_{k}" for k in range(1, 9))):
        np.testing.assert_allclose(result.series[name], 0.0, atol=1e-12)
    np.testing.assert_allclose(result.series["rho_max"], 1.0, atol=1e-12)


# ------------------------------------------------------------------ other geometries


@pytest.mark.parametrize("geometry", ["circle", "zonal"])
def test_circle_and_zonal_runs_leave_the_same_things(tmp_path: Path, geometry: str) -> None:
    case = small(GEOMETRIES[geometry], output__figures=True)
    result = run(case, tmp_path / "run")
    assert result.stop_reason == "end" and result.warnings == []
    found = {path.name for path in (tmp_path / "run").iterdir()}
    assert found == FILES | {"figures"}
    for name in ("energy.png", "density.png"):
        assert (tmp_path / "run" / "figures" / name).stat().st_size > 10_000
    mesh = case.geometry.build_mesh()
    fields = mf.read_fields(tmp_path / "run" / "fields.vtkhdf")
    np.testing.assert_array_equal(fields.mesh.points, mesh.points)
    wanted = case.initial.density(mesh.embedded())
    np.testing.assert_allclose(fields.read("rho", 0), wanted, rtol=2e-3)
    assert np.ptp(fields.read("rho", 0) / wanted) < 1e-6
    np.testing.assert_array_equal(
        fields.read("rho", -1), original(result, result.solver.rho).astype(np.float32)
    )
    velocity = original(result, result.solver.velocity())
    if geometry == "zonal":  # d theta / dt along the meridian
        theta = mesh.points[:, 0]
        along = np.column_stack([np.cos(theta), 0 * theta, -np.sin(theta)])
        velocity = velocity * along
    else:
        velocity = np.column_stack([velocity, 0 * velocity[:, 0]])
    np.testing.assert_allclose(fields.read("velocity", -1), velocity, rtol=1e-6, atol=1e-7)


def test_mesh_of_the_user(tmp_path: Path) -> None:
    write_mesh(tmp_path / "mine.vtu", unstructured_sphere(300, 1))
    changes = {"geometry.type": "file", "geometry.file": "mine.vtu", "model.beta": 1.0}
    small.write(tmp_path / "mine.toml", changes)
    case = mf.Case.from_toml(tmp_path / "mine.toml")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mf.MeanfieldWarning)  # irregular and coarse
        result = run(case, tmp_path / "run")
    assert result.stop_reason == "end" and result.t == 1.0
    mesh = mf.read_mesh(tmp_path / "mine.vtu")
    fields = mf.read_fields(tmp_path / "run" / "fields.vtkhdf")
    np.testing.assert_array_equal(fields.mesh.points, mesh.points)
    wanted = case.initial.density(mesh.points)
    assert np.ptp(fields.read("rho", 0) / wanted) < 1e-5
    assert np.all(np.diff(result.series["energy"]) > 0)
    assert about(tmp_path / "run")["mesh"]["vertices"] == 300

    # The file changes, then the run cannot go on.
    write_mesh(tmp_path / "mine.vtu", unstructured_sphere(301, 1), overwrite=True)
    later = mf.Case.from_toml(tmp_path / "mine.toml", ["time.end=2"])
    with pytest.raises(mf.InputError, match=r"the content of geometry\.file"):
        run(later, tmp_path / "run", resume=True)
    assert about(tmp_path / "run")["stop_reason"] == "end"


def test_law_given_as_a_python_function(tmp_path: Path) -> None:
    law = FunctionDensity(lambda x: 1.0 + 0.5 * x[:, 2], d=3)
    case = mf.Case(
        title="function",
        geometry=mf.Sphere(level=3),
        model=mf.Model(attention="sa", beta=1.0),
        initial=law,
        time=mf.Time(end=0.5),
        output=mf.Output(figures=False),
    )
    result = run(case, tmp_path / "run")
    assert result.series["mean_3"][0] == pytest.approx(0.5 / 3, rel=1e-2)
    text = (tmp_path / "run" / "case.toml").read_text("utf-8")
    assert 'type = "python"' in text


def test_the_folder_does_not_change_the_run(finished: Finished) -> None:
    memory = run(finished.case)
    same_series(memory.series, finished.result.series, 0.0)
    np.testing.assert_array_equal(memory.solver.rho, finished.result.solver.rho)


def test_overwriting_must_be_asked_for(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run(small(), folder)
    (folder / "notes.txt").write_text("mine", "utf-8")
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    with pytest.raises(mf.InputError, match="already holds a run"):
        run(small(time__end=0.5), folder)
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    result = run(small(time__end=0.5), folder, overwrite=True)
    assert result.series["t"][-1] == 0.5
    assert mf.read_fields(folder / "fields.vtkhdf").times[-1] == 0.5
    assert (folder / "notes.txt").read_text("utf-8") == "mine"
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.tex").write_text("mine", "utf-8")
    for overwrite in (False, True):
        with pytest.raises(mf.InputError, match="no run made it"):
            run(small(), other, overwrite=overwrite)
    assert [path.name for path in other.iterdir()] == ["thesis.tex"]


def test_a_folder_that_cannot_be_made() -> None:
    if not Path("/proc/self").exists():
        pytest.skip("no /proc, where nobody may make folders")
    with pytest.raises(mf.InputError, match="/proc"):
        run(small(), Path("/proc/meanfield"))
