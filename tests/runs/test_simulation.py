"""Runs from beginning to end: what they leave, why they stop, and how they go on."""

from __future__ import annotations

import datetime
import fcntl
import importlib.metadata
import json
import math
import os
import pty
import re
import shutil
import signal
import struct
import sys
import termios
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from processes import HANG, ROOT, Job, python
from scipy.special import gammaln, ive

import meanfield as mf
from meanfield import cli
from meanfield.case import apply_overrides
from meanfield.dynamics.eulerian import EulerianSolver
from meanfield.geometry.laws import FunctionDensity
from meanfield.geometry.mesh import Mesh, unstructured_sphere, write_mesh
from meanfield.geometry.sphere import Array
from meanfield.results.checkpoint import load_checkpoint
from meanfield.runs import simulation
from meanfield.software import DOLFINX_RANGE

Start = Callable[..., Job]

TOML = """\
title = "Small"
[geometry]
type = "sphere"
level = 3
[model]
attention = "sa"
beta = 4.0
[initial]
type = "standard"
[solver]
cfl = 0.2
[time]
end = 1.0
outputs = [0.3, 0.45]
series_every = 4
[output]
figures = false
"""

FILES = {"case.toml", "run.json", "series.csv", "fields.vtkhdf", "run.log", "checkpoint.npz"}

GEOMETRIES: dict[str, dict[str, object]] = {
    "sphere": {},
    "circle": {
        "geometry.type": "circle",
        "geometry.vertices": 64,
        "initial.type": "fourier",
        "initial.cos": [0.1, 0.0, 0.2],
        "initial.sin": [0.05],
    },
    "zonal": {
        "geometry.type": "zonal",
        "geometry.d": 5,
        "geometry.vertices": 65,
        "initial.type": "gegenbauer",
        "initial.coefficients": [0.3, 0.25],
    },
}


def small(changes: Mapping[str, object] | None = None, **more: object) -> mf.Case:
    """A case that takes a moment, with some keys changed (``time__end`` for ``time.end``)."""
    import tomllib

    overrides = {**(changes or {}), **{key.replace("__", "."): v for key, v in more.items()}}
    return mf.Case.from_dict(apply_overrides(tomllib.loads(TOML), overrides))


def run(case: mf.Case, folder: Path | None = None, **options: Any) -> mf.Result:
    return mf.run(case, folder, **{"progress": False, **options})


def original(result: mf.Result, owned: Array) -> Array:
    """Values at the vertices in the order of the mesh."""
    values = result.solver.space.gather(owned)
    assert values is not None
    return values


def about(folder: Path) -> dict[str, Any]:
    data = json.loads((folder / "run.json").read_text("utf-8"))
    assert isinstance(data, dict)
    return data


def at_step(number: int, action: Callable[[Any], None]) -> mf.Watch:
    """An observer that acts after one step."""

    def observer(solver: Any) -> None:
        if solver.step == number:
            action(solver)

    return mf.Watch(observer, mf.EverySteps(1))


# ------------------------------------------------------------------ from Python


def test_ten_lines_of_python() -> None:
    case = mf.Case(
        title="ten lines",
        geometry=mf.Sphere(level=3),
        model=mf.Model(attention="sa", beta=4.0),
        initial=mf.standard_density(),
        time=mf.Time(end=1.0, outputs=mf.Every(0.25)),
    )
    result = mf.run(case, progress=False)
    t, energy = result.series["t"], result.series["energy"]
    assert result.stop_reason == "end" and result.t == t[-1] == 1.0 and t[0] == 0.0
    assert np.all(np.diff(energy) > 0)
    assert result.folder is None
    assert result.solver.rho.min() >= 0


def python_blocks() -> list[str]:
    return re.findall(
        r"^```python\n(.*?)^```", (ROOT / "README.md").read_text("utf-8"), re.M | re.S
    )


def test_readme_example(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    block = python_blocks()[0]
    lines = [line for line in block.splitlines() if line.strip()]
    assert 8 <= len(lines) <= 14  # about ten, as promised
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(compile(block, "README.md", "exec"), names)
    (result,) = (value for value in names.values() if isinstance(value, mf.Result))
    assert result.stop_reason == "end"
    assert np.all(np.diff(result.series["energy"]) > 0)
    assert capsys.readouterr().out.startswith("end")
    assert result.folder is not None
    assert {path.name for path in result.folder.iterdir()} == FILES | {"figures"}


def test_other_readme_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for block in python_blocks()[1:]:
        names: dict[str, Any] = {}
        exec(compile(block, "README.md", "exec"), names)
        for name in ("velocity", "energy"):
            if name in names:
                assert np.all(np.isfinite(names[name]))
        if "OneCluster" in names:
            assert names["result"].stop_reason == "one cluster" and 0.0 < names["result"].t < 20.0
            assert 0.5 < names["result"].series["height"][-1] < 0.71


def test_the_doctest_of_the_package_builds_its_case() -> None:
    source = "\n".join(
        line.strip()[4:]
        for line in str(mf.__doc__).splitlines()
        if line.strip()[:3] in (">>>", "...")
    )
    names: dict[str, Any] = {}
    exec(source, names)
    assert names["result"].stop_reason == "end"


# ------------------------------------------------------------------ what a run leaves


class Finished:
    """One run with everything on, looked at by many tests."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.case = small(output__figures=True)
        self.steps: list[tuple[float, int, float]] = []
        self.times: list[float] = []
        start = time.perf_counter()
        with warnings.catch_warnings(record=True) as self.warned:
            warnings.simplefilter("always")
            self.result = run(
                self.case,
                folder,
                observers=[mf.Watch(self.look, mf.EverySteps(1))],
            )
        self.seconds = time.perf_counter() - start
        self.mesh: Mesh = self.case.geometry.build_mesh()

    def look(self, solver: Any) -> None:
        self.steps.append((solver.t, solver.step, solver.dt))
        self.times.append(time.perf_counter())


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    return Finished(tmp_path_factory.mktemp("runs") / "not" / "there yet")


def test_folder_is_complete(finished: Finished) -> None:
    found = {str(p.relative_to(finished.folder)) for p in finished.folder.rglob("*") if p.is_file()}
    assert found == FILES | {"figures/energy.png", "figures/density.png"}


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
    assert data["figures"] == ["energy.png", "density.png"]
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
    for name in ("energy.png", "density.png"):
        path = finished.folder / "figures" / name
        assert path.stat().st_size > 10_000
        with Image.open(path) as picture:
            picture.verify()
            assert min(picture.size) > 300


def columns(d: int, moments: int) -> list[str]:
    return [
        *("t", "step", "dt", "mass", "rho_min", "rho_max", "energy", "energy_scaled", "entropy"),
        *(f"mean_{k}" for k in range(1, moments + 1)),
        "mean_norm",
        *(f"m2_{k}" for k in range(1, moments + 1)),
        *(f"power_{k}" for k in range(9)),
        "clusters",
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
    import pyvista

    reader = pyvista.get_reader(str(finished.folder / "fields.vtkhdf")).reader
    reader.UpdateInformation()
    times = finished.case.output_times()
    assert reader.GetNumberOfSteps() == len(times)
    fields = mf.read_fields(finished.folder / "fields.vtkhdf")
    grids = []
    for k in range(len(times)):
        reader.SetStep(k)
        reader.Modified()
        reader.Update()
        grid = pyvista.wrap(reader.GetOutput()).copy(deep=True)
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
    text = TOML.replace('type = "sphere"\nlevel = 3', 'type = "file"\nfile = "mine.vtu"')
    (tmp_path / "mine.toml").write_text(text.replace("beta = 4.0", "beta = 1.0"), "utf-8")
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
    with pytest.raises(mf.InputError, match="mesh file has changed"):
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


# ------------------------------------------------------------------ going on


def same_series(one: dict[str, Array], two: dict[str, Array], tolerance: float) -> None:
    assert list(one) == list(two)
    for name in one:
        np.testing.assert_allclose(
            one[name], two[name], rtol=tolerance, atol=tolerance, err_msg=name
        )


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_to_two_is_to_one_and_then_to_two(tmp_path: Path, geometry: str) -> None:
    outputs = {"time.outputs": [0.5, 1.0, 1.7], "time.end": 2.0}
    once = run(small({**GEOMETRIES[geometry], **outputs}), tmp_path / "once")
    first = small({**GEOMETRIES[geometry], "time.outputs": [0.5], "time.end": 1.0})
    run(first, tmp_path / "twice")
    twice = run(small({**GEOMETRIES[geometry], **outputs}), tmp_path / "twice", resume=True)
    assert (once.t, once.steps) == (twice.t, twice.steps)
    same_series(once.series, twice.series, 1e-12)
    np.testing.assert_allclose(once.solver.rho, twice.solver.rho, rtol=1e-12)
    fields = [mf.read_fields(tmp_path / name / "fields.vtkhdf") for name in ("once", "twice")]
    assert tuple(fields[0].times) == tuple(fields[1].times) == (0.0, 0.5, 1.0, 1.7, 2.0)
    for k in range(5):
        np.testing.assert_allclose(
            fields[0].read("rho", k), fields[1].read("rho", k), rtol=1e-6, atol=1e-30
        )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_interrupted_runs_go_on_as_if_nothing_had_been(
    tmp_path: Path, number: signal.Signals
) -> None:
    once = run(small(time__end=1.0), tmp_path / "once")
    before = signal.getsignal(number)
    if number != signal.SIGINT:  # which would end the tests, should it come through
        signal.signal(number, lambda *_: pytest.fail("not caught"))
    inside = signal.getsignal(number)
    try:
        ask = at_step(5, lambda solver: os.kill(os.getpid(), number))
        stopped = run(small(time__end=1.0), tmp_path / "twice", observers=[ask])
        assert signal.getsignal(number) is inside
    finally:
        signal.signal(number, before)
    assert stopped.stop_reason == about(tmp_path / "twice")["stop_reason"] == "interrupted"
    assert stopped.steps == 5 and stopped.t not in small().output_times()
    # Everything is there up to where it stopped.
    assert stopped.series["t"][-1] == stopped.t
    fields = mf.read_fields(tmp_path / "twice" / "fields.vtkhdf")
    assert fields.times[-1] == stopped.t

    twice = run(small(time__end=1.0), tmp_path / "twice", resume=True)
    assert (twice.stop_reason, twice.t, twice.steps) == ("end", 1.0, once.steps)
    np.testing.assert_allclose(once.solver.rho, twice.solver.rho, rtol=1e-12)
    extra = set(twice.series["t"]) - set(once.series["t"])
    assert extra == {stopped.t}
    shared = np.isin(twice.series["t"], once.series["t"])
    same_series(once.series, {k: v[shared] for k, v in twice.series.items()}, 1e-12)
    data = about(tmp_path / "twice")
    assert data["stop_reason"] == "end" and len(data["resumed"]) == 1
    assert "interrupted" not in (tmp_path / "twice" / "run.json").read_text("utf-8")


def test_seconds_and_warnings_of_all_parts_are_kept(tmp_path: Path) -> None:
    coarse = {"geometry.level": 2, "time.outputs": [], "initial.type": "von-mises-fisher"}
    coarse |= {"initial.mean": [0.0, 0.6, 0.8], "initial.concentration": 400.0}
    with pytest.warns(mf.MeanfieldWarning):
        first = run(small(coarse), tmp_path / "run")
    kept = about(tmp_path / "run")
    assert kept["warnings"] == first.warnings
    with pytest.warns(mf.MeanfieldWarning):
        second = run(small(coarse, time__end=2.0), tmp_path / "run", resume=True)
    data = about(tmp_path / "run")
    assert data["warnings"] == first.warnings  # the same ones are told once
    assert any("normalised to 1" in text for text in data["warnings"])
    assert not any("normalised to 1" in text for text in second.warnings)
    for name, seconds in second.timings.items():
        assert data["timings"][name] == pytest.approx(kept["timings"][name] + seconds)
    assert data["started"] == kept["started"]


def test_a_second_signal_stops_at_once(tmp_path: Path) -> None:
    def twice(solver: Any) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5.0)
        pytest.fail("went on")

    with pytest.raises(KeyboardInterrupt):
        run(small(), tmp_path / "run", observers=[at_step(2, twice)])
    assert about(tmp_path / "run")["stop_reason"] == "interrupted"
    assert run(small(), tmp_path / "run", resume=True).stop_reason == "end"


def test_background_jobs_stay_deaf_to_ctrl_c() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        ask = at_step(2, lambda solver: os.kill(os.getpid(), signal.SIGINT))
        assert run(small(), observers=[ask]).stop_reason == "end"
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_runs_in_a_thread() -> None:
    found: list[mf.Result] = []
    thread = threading.Thread(target=lambda: found.append(run(small())))
    thread.start()
    thread.join(HANG)
    assert found[0].stop_reason == "end"


def test_resuming_is_refused_where_it_makes_no_sense(finished: Finished, tmp_path: Path) -> None:
    before = (finished.folder / "run.json").read_bytes()
    with pytest.raises(mf.InputError, match=r"has reached t = 1 already: give a later end"):
        run(finished.case, finished.folder, resume=True)
    with pytest.raises(mf.InputError, match=r"model\.beta"):
        run(small(model__beta=5.0, time__end=2.0), finished.folder, resume=True)
    with pytest.raises(mf.InputError, match="no folder"):
        run(finished.case, tmp_path / "nowhere", resume=True)
    with pytest.raises(mf.InputError, match="without a folder"):
        run(finished.case, resume=True)
    copy = tmp_path / "copy"
    shutil.copytree(finished.folder, copy)
    (copy / "checkpoint.npz").unlink()
    with pytest.raises(mf.InputError, match="no checkpoint"):
        run(small(time__end=2.0), copy, resume=True)
    (copy / "checkpoint.npz").write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(mf.InputError, match="truncated or damaged"):
        run(small(time__end=2.0), copy, resume=True)
    assert (finished.folder / "run.json").read_bytes() == before


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
    assert {path.name for path in (tmp_path / "run").iterdir()} == FILES
    assert result.series["t"].tolist() == [0.0]


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
    for name, column in result.series.items():
        assert np.all(np.isfinite(column)), name


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
    (tmp_path / "small.toml").write_text(TOML, "utf-8")
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


def test_a_folder_that_cannot_be_made() -> None:
    if not Path("/proc/self").exists():
        pytest.skip("no /proc, where nobody may make folders")
    with pytest.raises(mf.InputError, match="/proc"):
        run(small(), Path("/proc/meanfield"))


# ------------------------------------------------------------------ warnings


def test_law_that_the_mesh_does_not_resolve(tmp_path: Path) -> None:
    case = small(
        {"initial.type": "von-mises-fisher", "initial.mean": [0.0, 0.6, 0.8]},
        initial__concentration=3000.0,
        time__end=0.01,
        time__outputs=[],
    )
    with pytest.warns(mf.MeanfieldWarning, match="normalised to 1: it hardly resolves this law"):
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


# ------------------------------------------------------------------ observers


def test_observers_are_called_on_schedule() -> None:
    called: dict[str, list[tuple[float, int]]] = {
        "steps": [],
        "outputs": [],
        "both": [],
        "never": [],
    }

    def note(name: str) -> Callable[[Any], None]:
        return lambda solver: called[name].append((solver.t, solver.step))

    every = 2
    steps: list[tuple[float, int]] = []
    result = run(
        small(),
        observers=[
            mf.Watch(lambda solver: steps.append((solver.t, solver.step)), mf.EverySteps(1)),
            mf.Watch(note("steps"), mf.EverySteps(every)),
            mf.Watch(note("outputs")),
            mf.Watch(note("both"), mf.EverySteps(every) | mf.AtOutputs()),
            mf.Watch(note("never"), mf.AtTimes([])),
        ],
    )
    assert [step for _, step in steps] == list(range(1, result.steps + 1))
    outputs = small().output_times()
    assert called["steps"] == [s for s in steps if s[1] % every == 0]
    assert tuple(t for t, _ in called["outputs"]) == outputs
    due = [s for s in steps if s[1] % every == 0 or s[0] in outputs]
    assert called["both"] == [(0.0, 0), *due]  # once where both are due
    assert called["never"] == []
    with pytest.raises(mf.InputError, match=r"a whole number, 1 or more, found 0"):
        mf.EverySteps(0)


def test_observers_do_not_change_the_run() -> None:
    plain = run(small())

    def curious(solver: Any) -> None:
        solver.velocity()
        solver.state()

    watched = run(small(), observers=[mf.Watch(curious, mf.EverySteps(1) | mf.AtOutputs())])
    np.testing.assert_array_equal(plain.solver.rho, watched.solver.rho)


def test_the_folder_does_not_change_the_run(finished: Finished) -> None:
    memory = run(finished.case)
    same_series(memory.series, finished.result.series, 0.0)
    np.testing.assert_array_equal(memory.solver.rho, finished.result.solver.rho)


# ------------------------------------------------------------------ progress


def test_rows_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    result = run(small(), progress=None)
    shown = capsys.readouterr()
    lines = shown.err.splitlines()
    assert shown.out == ""
    assert [float(line.split()[2]) for line in lines] == list(small().output_times())
    assert lines[-1].split() == [
        *("t", "=", "1", "step", str(result.steps), "dt", "=", f"{result.solver.dt:.3g}"),
        *("E", "e^-|beta|", "=", f"{result.series['energy_scaled'][-1]:.8g}"),
        *("|m|", "=", f"{result.series['mean_norm'][-1]:.6g}"),
        *("max", "rho", "=", f"{result.series['rho_max'][-1]:.4g}", "clusters", "3"),
    ]


def test_silence(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run(small(output__figures=True), tmp_path / "run", progress=False)
    assert tuple(capfd.readouterr()) == ("", "")


def in_a_terminal(monkeypatch: pytest.MonkeyPatch, action: Callable[[], object]) -> str:
    """What appears on a terminal that standard error is connected to."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 120, 0, 0))
    parts: list[bytes] = []

    def read() -> None:
        try:
            while part := os.read(master, 4096):
                parts.append(part)
        except OSError:  # the other end was closed: that is how a terminal ends
            pass

    reader = threading.Thread(target=read)
    reader.start()
    with os.fdopen(slave, "w", encoding="utf-8") as terminal, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", terminal)
        action()
    reader.join(HANG)
    os.close(master)
    return b"".join(parts).decode("utf-8")


def test_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    nap = mf.Watch(lambda solver: time.sleep(0.12), mf.EverySteps(3))  # the bar is lazy
    shown = in_a_terminal(monkeypatch, lambda: run(small(), progress=None, observers=[nap]))
    frames = [frame for frame in shown.split("\r") if "%" in frame]
    assert len(frames) > 3
    assert "step " not in shown  # no rows
    last = frames[-1]
    assert last.startswith("100%") and "t = 1/1" in last
    for part in ("dt = ", "E e^-|beta| = ", "max rho = "):
        assert part in last
    percent = [int(frame.split("%")[0]) for frame in frames]
    assert percent == sorted(percent)
    assert in_a_terminal(monkeypatch, lambda: run(small(), progress=False)) == ""


def test_a_bar_where_it_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    run(small(), progress=True)
    shown = capsys.readouterr().err
    assert "100%" in shown and "t = 1/1" in shown


# ------------------------------------------------------------------ tokens go the same way


TOKENS: dict[str, dict[str, object]] = {
    "particles": {"solver.type": "particles", "solver.number": 60},
    "layers": {"solver.type": "layers", "solver.number": 60, "solver.layers": 10},
    "noisy": {"solver.type": "particles", "solver.number": 60, "model.kappa": 0.1},
}


def tokens(kind: str, **more: object) -> mf.Case:
    changes = {"geometry.type": "unmeshed", "geometry.d": 3, **TOKENS[kind]}
    return small({**changes, "time.outputs": [0.3, 0.5], "time.series_every": 2, **more})


@pytest.mark.parametrize("kind", TOKENS)
def test_tokens_go_on_to_the_bit(tmp_path: Path, kind: str) -> None:
    once = run(tokens(kind), tmp_path / "once")
    assert once.stop_reason == "end" and once.t == once.series["t"][-1] == 1.0
    found = {path.name for path in (tmp_path / "once").iterdir()}
    assert found == FILES - {"fields.vtkhdf"} | {"particles.vtkhdf"}
    assert {0.0, 0.3, 0.5, 1.0} <= set(once.series["t"])
    data = about(tmp_path / "once")
    assert data["tokens"] == 60 and data["steps"] == once.steps
    # In two parts, the second from the checkpoint.
    run(tokens(kind, **{"time.end": 0.5, "time.outputs": [0.3]}), tmp_path / "twice")
    twice = run(tokens(kind), tmp_path / "twice", resume=True)
    same_series(once.series, twice.series, 0.0)
    np.testing.assert_array_equal(once.solver.x, twice.solver.x)
    # Interrupted in the midst.
    ask = at_step(3, lambda solver: os.kill(os.getpid(), signal.SIGINT))
    stopped = run(tokens(kind), tmp_path / "stopped", observers=[ask])
    assert (stopped.stop_reason, stopped.steps) == ("interrupted", 3)
    again = run(tokens(kind), tmp_path / "stopped", resume=True)
    np.testing.assert_array_equal(once.solver.x, again.solver.x)


@pytest.mark.parametrize("kind", TOKENS)
def test_tokens_that_are_not_finite(tmp_path: Path, kind: str) -> None:
    def lose(solver: Any) -> None:
        solver.x[3] = np.nan

    number = 1 + run(tokens(kind)).steps // 2
    result = run(tokens(kind), tmp_path / "run", observers=[at_step(number, lose)])
    assert result.stop_reason.startswith("broken invariant: tokens not finite at t = ")
    assert about(tmp_path / "run")["stop_reason"] == result.stop_reason
    assert np.all(np.isfinite(result.solver.x))
    saved = load_checkpoint(tmp_path / "run" / "checkpoint.npz")
    assert saved["t"] == result.t and np.all(np.isfinite(saved["x"]))
    assert all(np.all(np.isfinite(column)) for column in result.series.values())


# ------------------------------------------------------------------ from outside


def running(start: Start, folder: Path, *words: str) -> Job:
    return start(*python("-m", "meanfield", "run", *words), cwd=folder)


def wait_for_rows(path: Path, rows: int, job: Job) -> None:
    job.wait_until(
        lambda: path.is_file() and len(path.read_text("utf-8").splitlines()) > rows, f"{rows} rows"
    )


LONG = ("--set", "time.end=1e6", "--set", "solver.cfl=0.01", "--set", "time.outputs.every=20")
"""Long enough to be interrupted: a thousand short steps and more."""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupting_the_command(tmp_path: Path, start: Start, number: signal.Signals) -> None:
    (tmp_path / "small.toml").write_text(TOML, "utf-8")
    job = running(start, tmp_path, "small.toml", "-o", "out", *LONG)
    wait_for_rows(tmp_path / "out" / "series.csv", 5, job)
    job.send(number)
    ended = job.finish()
    assert ended.code == 130
    assert "meanfield run out --resume" in ended.err and "Traceback" not in ended.said
    data = about(tmp_path / "out")
    assert data["stop_reason"] == "interrupted" and 0 < data["t"] < 1e6
    series = mf.RunFolder(tmp_path / "out").read_series()
    assert series["t"][-1] == data["t"]

    end = data["t"] + 0.01
    settings = ("--set", f"time.end={end!r}", "--set", "time.outputs=[]")
    ended = running(start, tmp_path, "out", "--resume", *settings).finish()
    assert ended.code == 0, ended.said
    assert "stopped" in ended.out
    longer = mf.RunFolder(tmp_path / "out").read_series()
    assert longer["t"][-1] == end and np.all(np.diff(longer["t"]) > 0)
    rows = len(series["t"])
    same_series(series, {name: column[:rows] for name, column in longer.items()}, 0.0)


@pytest.mark.slow
@pytest.mark.parametrize("rows", [0, 3, 40, 77])
def test_killed_runs_are_readable_and_go_on(tmp_path: Path, start: Start, rows: int) -> None:
    import pyvista

    (tmp_path / "small.toml").write_text(TOML, "utf-8")
    # An output at every few steps: most of the time it is writing.
    often = ("--set", "time.outputs.every=0.01", "--set", "time.end=100")
    job = running(start, tmp_path, "small.toml", "-o", "out", *often)
    wait_for_rows(tmp_path / "out" / "series.csv", rows, job)
    # Not before there is something to go on from.
    job.wait_until((tmp_path / "out" / "checkpoint.npz").is_file, "checkpoint")
    job.kill()
    job.finish()
    data = about(tmp_path / "out")
    assert data["stop_reason"] is None and data["ended"] is None
    folder = mf.RunFolder.open(tmp_path / "out")
    series, saved = folder.read_series(), load_checkpoint(folder.checkpoint_path)
    assert np.all(np.diff(series["t"]) > 0) and saved["t"] in series["t"]
    fields = mf.read_fields(folder.fields_path)
    for k in range(len(fields.times)):
        assert np.all(np.isfinite(fields.read("rho", k)))
    assert saved["t"] in fields.times
    grid = pyvista.get_reader(str(folder.fields_path)).read()
    assert grid.n_points == 642

    end = saved["t"] + 0.05
    outputs = {"every": 0.01}
    case = mf.Case.from_toml(tmp_path / "small.toml", {"time.end": end, "time.outputs": outputs})
    result = run(case, tmp_path / "out", resume=True)
    reference = run(case)
    assert result.stop_reason == "end"
    same_series(reference.series, result.series, 1e-12)
    np.testing.assert_allclose(result.solver.rho, reference.solver.rho, rtol=1e-12)
    assert tuple(mf.read_fields(folder.fields_path).times) == case.output_times()
