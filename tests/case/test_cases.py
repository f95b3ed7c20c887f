"""The cases that come with the package: each loads, runs, and does what its file says."""

from __future__ import annotations

import json
import math
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from processes import ROOT

import meanfield as mf
from meanfield import cli
from meanfield.analysis import exact
from meanfield.dynamics.tokens import initial_tokens

CASES = sorted((ROOT / "scripts" / "cases").glob("*.toml"))

each_case = pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)

# What makes any of them small, by the type of its geometry.
TINY: dict[str, dict[str, object]] = {
    "sphere": {"geometry.level": 2},
    "circle": {"geometry.vertices": 64},
    "zonal": {"geometry.vertices": 65},
}


def tiny(path: Path) -> mf.Case:
    """A case with a coarse mesh, few tokens and two or three outputs."""
    full = mf.Case.from_toml(path)
    changes = dict(TINY.get(full.geometry.type, {}))
    if isinstance(full.solver, mf.Particles | mf.Layers):
        changes["solver.number"] = 64
    outputs = full.time.outputs
    if isinstance(outputs, mf.Geometric):
        changes["time.end"] = min(full.time.end, 4.0 * outputs.first)
        changes["time.outputs.geometric.number"] = 3
    elif isinstance(outputs, mf.Every):
        changes["time.end"] = min(full.time.end, 2.0 * outputs.every)
    else:
        changes["time.outputs"] = []
        changes["time.end"] = full.time.end / 20
    return mf.Case.from_toml(path, changes)


def test_there_are_cases_and_the_guide_lists_them() -> None:
    assert "clustering" in {path.stem for path in CASES}
    page = (ROOT / "docs" / "guide" / "cases.md").read_text("utf-8")
    listed = re.findall(r"^\| \[`([\w-]+)\.toml`\]\(\.\./\.\./scripts/cases/\1\.toml\)", page, re.M)
    assert "clustering" in listed
    assert set(listed) <= {path.stem for path in CASES}


@each_case
def test_case_loads_and_says_how_to_run_it(path: Path) -> None:
    case = mf.Case.from_toml(path)
    assert case.title and case.title != path.stem
    assert f"#   meanfield run scripts/cases/{path.name}\n" in path.read_text("utf-8")
    # Resolved and read again it is the same case.
    assert mf.Case.from_dict(case.to_dict(), path.parent) == case


@each_case
def test_case_passes_a_dry_run(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["run", str(path), "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert "REFUSED" not in shown and "nothing was run or written" in shown
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    "path",
    [
        path
        if path.stem in ("clustering", "noise", "metastable", "noisy", "layers")
        else pytest.param(path, marks=pytest.mark.slow)
        for path in CASES
    ],
    ids=lambda path: path.stem,
)
def test_case_runs_when_made_small(path: Path, tmp_path: Path) -> None:
    case = tiny(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mf.MeanfieldWarning)  # too coarse: that is meant
        result = mf.run(case, tmp_path / "run", progress=False)
    assert result.stop_reason in ("end", "stationary")
    pictures = list((tmp_path / "run" / "figures").glob("*.png"))
    assert case.output.figures and pictures
    assert all(path.stat().st_size > 10_000 for path in pictures)
    series = result.series
    assert len(series["t"]) >= 2 and series["t"][-1] == case.time.end
    if not isinstance(case.solver, mf.Particles | mf.Layers):
        np.testing.assert_allclose(series["mass"], 1.0, atol=1e-12)
        assert np.all(series.get("rho_min", 0.0) >= 0.0)
    if case.model.kappa == 0.0 and case.model.on(case.geometry).energy_kind is not None:
        assert np.all((case.model.value or 1) * np.diff(series["energy"]) > 0.0)


# ------------------------------------------------------------------ what the files say


def full_run(name: str, folder: Path) -> mf.Result:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mf.MeanfieldWarning)  # of clusters narrower than the mesh
        case = mf.Case.from_toml(ROOT / "scripts" / "cases" / f"{name}.toml")
        return mf.run(case, folder / name, progress=False)


def at(result: mf.Result, t: float, name: str) -> float:
    return float(np.interp(t, result.series["t"], result.series[name]))


def merging(result: mf.Result, before: int) -> float:
    """The time after which there are fewer clusters than this for good."""
    many = result.series["clusters"] >= before
    return float(result.series["t"][np.flatnonzero(many)[-1]])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "formed", "merged"), [("emergence", 0.4, 3.2), ("emergence_sphere", 0.48, 0.9)]
)
def test_emergence(name: str, formed: float, merged: float, tmp_path: Path) -> None:
    result = full_run(name, tmp_path)
    beta, d, series = 5.0, 3 if "sphere" in name else 2, result.series
    # Degree 3 grows the fastest; each at its own rate as long as all are small.
    rates = [exact.growth_rate("usa", beta, d, l) for l in range(1, 5)]
    assert int(np.argmax(rates)) == 2
    early = int(np.searchsorted(series["t"], 0.12))
    for l, rate in enumerate(rates, start=1):
        grown = 0.5 * math.log(series[f"power_{l}"][early] / series[f"power_{l}"][0])
        assert grown == pytest.approx(rate * series["t"][early], rel=0.1)
    assert at(result, formed, "clusters") == 3.0
    three = series["t"][series["clusters"] == 3.0]
    assert three[0] <= formed and three[-1] == pytest.approx(merged, rel=0.15)


@pytest.mark.slow
def test_clustering(tmp_path: Path) -> None:
    result = full_run("clustering", tmp_path)
    assert result.stop_reason == "end" and result.t == 14.0
    assert np.all(np.diff(result.series["energy"]) > 0.0)
    assert at(result, 4.0, "clusters") == 3.0 and at(result, 14.0, "clusters") == 2.0
    # Along characteristics between 13.0 and 13.5.
    assert merging(result, 3) == pytest.approx(13.1, abs=0.5)
    # The masses of the three clusters, by the nearest peak.
    fields = mf.read_fields(tmp_path / "clustering" / "fields.vtkhdf")
    k = int(np.flatnonzero(fields.times == 4.0)[0])
    weights = result.solver.space.gather(result.solver.weights)
    m, x = weights * fields.read("rho", k), fields.mesh.points
    masses: list[float] = []
    while len(masses) < 3:
        near = np.sum((x - x[np.argmax(m)]) ** 2, axis=1) < 0.5**2
        masses.append(float(m[near].sum()))
        m = np.where(near, 0.0, m)
    assert sorted(masses) == pytest.approx([0.25, 0.26, 0.48], abs=0.02)
    # A picture of clusters has dark and bright in it, and grey where there is next to nothing.
    from PIL import Image

    with Image.open(tmp_path / "clustering" / "figures" / "density.png") as picture:
        grey = np.asarray(picture.convert("L"))
    assert (grey < 40).mean() > 0.02 and np.ptp(grey[grey < 250]) > 180
    assert ((grey >= 180) & (grey <= 215)).mean() > 0.2


@pytest.mark.slow
def test_circle(tmp_path: Path) -> None:
    result = full_run("circle", tmp_path)
    assert at(result, 5.0, "clusters") == 3.0 == result.series["clusters"][-1]
    # They hardly move any more.
    assert abs(at(result, 10.0, "mean_norm") - at(result, 7.0, "mean_norm")) < 0.01
    fields = mf.read_fields(tmp_path / "circle" / "fields.vtkhdf")
    k = int(np.flatnonzero(fields.times == 5.0)[0])
    weights = result.solver.space.gather(result.solver.weights)
    near = fields.mesh.points[:, 0] > np.cos(np.pi / 3)
    assert (weights * fields.read("rho", k))[near].sum() == pytest.approx(0.37, abs=0.01)


@pytest.mark.slow
def test_zonal8(tmp_path: Path) -> None:
    result = full_run("zonal8", tmp_path)
    assert result.series["clusters"][-1] == 1.0
    assert at(result, 4.0, "mean_norm") < 0.7 < 0.95 < at(result, 6.0, "mean_norm")
    assert result.series["mean_1"][-1] > 0.95  # at the north pole


@pytest.mark.slow
def test_usa(tmp_path: Path) -> None:
    result = full_run("usa", tmp_path)
    assert at(result, 0.4, "clusters") == 3.0
    assert merging(result, 3) == pytest.approx(1.0, abs=0.1)
    assert np.all(np.diff(result.series["energy"]) > 0.0)


@pytest.mark.slow
def test_repulsive(tmp_path: Path) -> None:
    result = full_run("repulsive", tmp_path)
    assert np.all(np.diff(result.series["energy"]) < 0.0)
    uniform = np.sinh(4.0) / 4.0 / 8.0
    assert result.series["energy"][-1] == pytest.approx(uniform, rel=1e-4)
    assert result.series["mean_norm"][-1] < 1e-3


@pytest.mark.slow
def test_noise(tmp_path: Path) -> None:
    result = full_run("noise", tmp_path)
    assert result.stop_reason == "stationary" and 20.0 < result.t < 60.0
    assert result.series["mean_norm"][-1] == pytest.approx(0.8232, abs=1e-4)
    assert result.series["clusters"][-1] == 1.0


@pytest.mark.slow
def test_metastable(tmp_path: Path) -> None:
    """Three equal Diracs leave their balance at the rate of a ring; the rest is a logarithm."""
    result = full_run("metastable", tmp_path)
    assert result.stop_reason == "end" and result.steps < 1000
    assert np.all(np.diff(result.series["energy_scaled"]) > -1e-14)
    clusters, t = result.series["clusters"], result.series["t"]
    assert at(result, 100.0, "clusters") == 3.0 and at(result, 1e6, "clusters") == 2.0
    assert clusters[-1] == 1.0 and result.solver.points == 1
    # In the plateau the order parameter grows at the slowest rate of a ring of three.
    rate = float(np.max(exact.ring_rates("sa", 9.0, 3)))
    assert rate == pytest.approx(2.98e-5, rel=1e-2)
    late = (t > 4e4) & (t < 6e4)  # it has left its offset behind, and is small still
    slope = np.polyfit(t[late], np.log(result.series["mean_norm"][late]), 1)[0]
    assert slope == pytest.approx(rate, rel=0.2)
    assert merging(result, 3) == pytest.approx(7.08e4, rel=0.01)
    assert merging(result, 2) == pytest.approx(6.01e7, rel=0.01)


@pytest.mark.slow
def test_metastable_sphere(tmp_path: Path) -> None:
    result = full_run("metastable_sphere", tmp_path)
    assert result.stop_reason == "end" and result.steps < 1000
    assert at(result, 100.0, "clusters") == 3.0 and at(result, 1e3, "clusters") == 2.0
    assert result.series["clusters"][-1] == 1.0 and result.solver.points == 1
    assert merging(result, 3) == pytest.approx(200.0, rel=0.05)
    assert merging(result, 2) == pytest.approx(9.48e3, rel=0.05)


@pytest.mark.slow
def test_anisotropic(tmp_path: Path) -> None:
    result = full_run("anisotropic", tmp_path)
    assert np.all(np.diff(result.series["energy"]) > 0.0)
    assert result.series["clusters"][-1] == 2.0
    fields = mf.read_fields(tmp_path / "anisotropic" / "fields.vtkhdf")
    mass = result.solver.space.gather(result.solver.weights) * fields.read("rho", -1)
    assert mass[np.abs(fields.mesh.points[:, 0]) > 0.95].sum() > 0.9  # the first axis


@pytest.mark.slow
def test_perceptron(tmp_path: Path) -> None:
    result = full_run("perceptron", tmp_path)
    assert np.all(np.diff(result.series["energy"]) > 0.0)
    assert at(result, 0.5, "clusters") == 3.0 and result.series["clusters"][-1] == 1.0
    fields = mf.read_fields(tmp_path / "perceptron" / "fields.vtkhdf")
    x, weights = fields.mesh.points, result.solver.space.gather(result.solver.weights)
    silent = (x[:, 0] < -0.1) & (x[:, 1] < -0.1)
    before, after = (float((weights * fields.read("rho", k))[silent].sum()) for k in (0, -1))
    assert after > 0.3 * before  # nothing but the pull of the others there
    mass = weights * fields.read("rho", -1)
    arc = (x[:, 0] > 0.4) & (x[:, 1] > 0.4) & (np.abs(x[:, 2]) < 0.3)
    assert mass[arc].sum() > 0.8


@pytest.mark.slow
def test_rotation(tmp_path: Path) -> None:
    result = full_run("rotation", tmp_path)
    assert "energy" not in result.series
    assert at(result, 24.0, "clusters") == 1.0 and at(result, 28.0, "clusters") == 2.0
    # Characteristics: |m| = 0.819 at t = 24, to the error of a mesh of 400 vertices.
    assert at(result, 24.0, "mean_norm") == pytest.approx(0.8192, abs=5e-3)
    # The mean goes round clockwise all the time.
    t, series = result.series["t"], result.series
    angle = np.unwrap(np.arctan2(series["mean_2"], series["mean_1"]))
    assert np.all(np.diff(angle[t < 20.0]) < 0.0) and angle[-1] < angle[0] - np.pi


@pytest.mark.slow
def test_heads_in_time(tmp_path: Path) -> None:
    result = full_run("heads_in_time", tmp_path)
    assert "energy" not in result.series and result.series["clusters"][-1] == 1.0
    assert at(result, 10.0, "mean_norm") == pytest.approx(0.487, abs=0.02)
    path = ROOT / "scripts" / "cases" / "heads_in_time.toml"
    head = mf.Case.from_toml(path).to_dict()["model"]["heads"][0]  # type: ignore[index]
    alone = {**head, "K": {**head["K"], "seed": 0}, "V": "Q^T K"}
    for name, K, t in (("one", alone["K"], 4.0), ("mean", alone["K"]["mean"], 10.0)):
        changes = {"model.heads": [{**alone, "K": K}], "time.end": t}
        found = mf.run(mf.Case.from_toml(path, changes), tmp_path / name, progress=False)
        assert found.series["clusters"][-1] == 2.0
        x = found.solver.x
        ends = x[np.abs(x @ x[0]) > 0.9]
        assert len(ends) > 0.9 * len(x) and np.ptp(np.sign(ends @ x[0])) == 2.0


def test_causal(tmp_path: Path) -> None:
    """All tokens end at the first, which stays where it is."""
    path = ROOT / "scripts" / "cases" / "causal.toml"
    case = mf.Case.from_toml(path, {"solver.number": 40})
    result = mf.run(case, tmp_path / "run", progress=False)
    first = initial_tokens(case.initial, 40, case.seed, "iid")[0]
    np.testing.assert_allclose(result.solver.x[0], first, rtol=0.0, atol=1e-14)
    assert np.linalg.norm(result.solver.x - first, axis=1).max() < 1e-6


@pytest.mark.slow
def test_stack(tmp_path: Path) -> None:
    result = full_run("stack", tmp_path)
    assert result.steps == 24
    with np.load(ROOT / "scripts" / "cases" / "stack.npz") as data:
        Q, K, V = (data[name].astype(float) for name in "QKV")
    x = initial_tokens(mf.Case.from_toml(ROOT / "scripts/cases/stack.toml").initial, 64, 1, "iid")
    for q, k, v in zip(Q, K, V, strict=True):
        weights = np.exp((x @ q.T) @ (x @ k.T).T)
        pull = (weights @ x) / weights.sum(axis=1, keepdims=True) @ v.T
        x = x + (pull - np.sum(pull * x, axis=1, keepdims=True) * x) / 8.0
        x /= np.linalg.norm(x, axis=1, keepdims=True)
    np.testing.assert_allclose(result.solver.x, x, atol=1e-12)


@pytest.mark.slow
def test_matrices(tmp_path: Path) -> None:
    result = full_run("matrices", tmp_path)
    assert "energy" not in result.series
    assert result.series["clusters"][-1] == 2.0
    # V = Q^T K is symmetric only as a form: tokens end at both ends of one line all the same.
    x = result.solver.x
    assert np.min(np.abs(x @ x[0])) > 1.0 - 1e-6


def test_log_gas(tmp_path: Path) -> None:
    """Half as fine: 5/4 on t <= 3/5, all mass there, and the energy of that."""
    path = ROOT / "scripts" / "cases" / "log_gas.toml"
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        case = mf.Case.from_toml(path, {"geometry.vertices": 100})
        result = mf.run(case, tmp_path / "run", progress=False)
    assert any("tail closed beyond degree 30" in str(one.message) for one in told)
    about = json.loads((tmp_path / "run" / "run.json").read_text("utf-8"))
    assert about["tail"]["closed_beyond"] == 30
    assert about["tail"]["kappa_2"] == pytest.approx(0.5 / (31 * 32), rel=1e-12)
    assert about["energy_violations"] == 0
    assert result.stop_reason == "stationary"
    series = result.series
    assert series["mean_1"][-1] == pytest.approx(-0.2, abs=1e-4)
    assert series["rho_max"][-1] == pytest.approx(1.25, abs=0.15)  # at the edge, in one cell

    # -E = (C + int U dmu)/2, C the potential, of gas and charge, on the support: as at the far
    # pole, where the gas is 5/4 everywhere less 5/4 within the edge.
    def log_integral(v: float) -> float:
        return v * math.log(v) - v

    mean = -0.5 * (math.log(4.0) - 1.0)  # of -log |x - y| over the sphere
    hole = -0.25 * (log_integral(4.0) - log_integral(3.2)) / 0.4
    charge = -0.125 * (log_integral(4.0) - log_integral(0.8)) * 0.25 * 1.25
    potential = 1.25 * mean + 0.25 * (-math.log(2.0) - hole)
    assert series["energy"][-1] == pytest.approx(-0.5 * (potential + charge), rel=1e-5)
    assert np.all(np.diff(series["energy"]) > 0.0)
