"""Runs of tokens from beginning to end: from Python and the command line, and how they go on."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from processes import ROOT, Job, needs_launcher, python, ranks
from scipy.integrate import solve_ivp

import meanfield as mf
from meanfield import cli
from meanfield.case import apply_overrides
from meanfield.dynamics.layers import layers
from meanfield.dynamics.tokens import initial_tokens
from meanfield.geometry.sphere import Array
from meanfield.results.checkpoint import load_checkpoint
from meanfield.results.formats import read_tokens_file
from meanfield.runs.tracks import make_interaction

Start = Callable[..., Job]

TOML = """\
title = "A few tokens"
seed = 3
[geometry]
type = "unmeshed"
d = 3
[model]
attention = "sa"
beta = 4.0
[initial]
type = "standard"
[solver]
type = "particles"
number = 50
[time]
end = 2.0
outputs = { every = 0.5 }
series_every = 2
[output]
figures = false
precision = "float64"
"""

# On S^1, on S^2, where there is no harmonics; with noise; through layers.
KINDS: dict[str, dict[str, object]] = {
    "circle": {"geometry.d": 2, "initial.type": "uniform"},
    "sphere": {},
    "d = 8": {"geometry.d": 8, "initial.type": "uniform"},
    "many": {"solver.number": 600, "time.end": 1.0},  # harmonic transforms, not direct sums
    "usa": {"model.attention": "usa", "model.beta": 2.0},
    "repulsive": {"model.value": -1},
    "noise": {"model.kappa": 0.05},
    "noise, d = 8": {"geometry.d": 8, "initial.type": "uniform", "model.kappa": 0.05},
    "layers": {"solver.type": "layers", "solver.number": 50, "solver.layers": 10},
    "layers, d = 8": {
        "geometry.d": 8,
        "initial.type": "uniform",
        "solver.type": "layers",
        "solver.number": 50,
        "solver.layers": 10,
    },
}
each_kind = pytest.mark.parametrize("kind", KINDS)
FILES = {"case.toml", "run.json", "series.csv", "particles.vtkhdf", "run.log", "checkpoint.npz"}


def small(changes: Mapping[str, object] | None = None, base: Path = ROOT) -> mf.Case:
    import tomllib

    return mf.Case.from_dict(apply_overrides(tomllib.loads(TOML), changes or {}), base)


def run(case: mf.Case, folder: Path | None = None, **options: Any) -> mf.Result:
    return mf.run(case, folder, **{"progress": False, **options})


def about(folder: Path) -> dict[str, Any]:
    data = json.loads((folder / "run.json").read_text("utf-8"))
    assert isinstance(data, dict)
    return data


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def velocity(case: mf.Case, x: Array) -> Array:
    """X at the tokens, straight from its formula."""
    model = case.model
    kernel = np.exp(model.beta * (x @ x.T)) / len(x)
    mean = kernel @ x
    if model.attention == "sa":
        mean /= kernel.sum(axis=1, keepdims=True)
    return model.value * (mean - np.sum(mean * x, axis=1, keepdims=True) * x)


def energy(case: mf.Case, x: Array) -> float:
    return float(np.mean(np.exp(case.model.beta * (x @ x.T)))) / (2.0 * case.model.beta)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the case few.toml in it."""
    monkeypatch.chdir(tmp_path)
    for name in ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "few.toml").write_text(TOML, "utf-8")
    return tmp_path


# ------------------------------------------------------------------ what comes out


@each_kind
def test_a_run_leaves_everything(kind: str, tmp_path: Path) -> None:
    case, folder = small(KINDS[kind]), tmp_path / "run"
    d, end = case.geometry.d, case.time.end
    assert not isinstance(case.solver, mf.Eulerian)
    result = run(case, folder)
    assert (result.t, result.stop_reason, result.folder) == (end, "end", folder)
    assert files(folder) == FILES

    shown = min(d, 8)
    power = [f"power_{l}" for l in range(9)] if d <= 3 else []
    assert list(result.series) == [
        *("t", "step", "dt", "mass", "energy", "energy_scaled"),
        *(f"mean_{k + 1}" for k in range(shown)),
        "mean_norm",
        *(f"m2_{k + 1}" for k in range(shown)),
        *power,
        *("clusters", "largest_cluster"),
    ]
    assert set(case.output_times()) <= set(result.series["t"])
    assert result.series["t"][-1] == end and np.all(np.diff(result.series["t"]) > 0.0)

    data = about(folder)
    assert (data["tokens"], data["seed"], data["ranks"]) == (case.solver.number, 3, 1)
    assert (data["t"], data["steps"], data["stop_reason"]) == (end, result.steps, "end")
    assert data["cluster_angle"] == 0.1 and set(data["timings"]) >= {"field", "output", "set-up"}
    assert mf.Case.from_toml(folder / "case.toml") == case

    # The last line, against sums over all pairs of the tokens themselves.
    x = result.solver.x
    assert x.shape == (case.solver.number, d)
    np.testing.assert_allclose(np.linalg.norm(x, axis=1), 1.0, rtol=0.0, atol=1e-14)
    last = {name: column[-1] for name, column in result.series.items()}
    assert last["mass"] == pytest.approx(1.0, abs=1e-14)
    assert last["energy"] == pytest.approx(energy(case, x), rel=1e-8)
    assert last["energy_scaled"] == pytest.approx(
        energy(case, x) * np.exp(-abs(case.model.beta)), rel=1e-8
    )
    np.testing.assert_allclose([last[f"mean_{k + 1}"] for k in range(d)], x.mean(axis=0),
                               atol=1e-14)  # fmt: skip
    np.testing.assert_allclose(
        [last[f"m2_{k + 1}"] for k in range(d)], np.linalg.eigvalsh(x.T @ x / len(x)), atol=1e-13
    )


@each_kind
def test_its_tokens_open_in_pyvista(kind: str, tmp_path: Path) -> None:
    pyvista = pytest.importorskip("pyvista")
    case = small(KINDS[kind])
    assert not isinstance(case.solver, mf.Eulerian)
    places: list[Array] = []
    watch = mf.Watch(lambda solver: places.append(solver.x.copy()))
    run(case, tmp_path / "run", observers=[watch])

    path = tmp_path / "run" / "particles.vtkhdf"
    stored = read_tokens_file(path)
    assert stored.times.tolist() == list(case.output_times())
    assert (stored.n, stored.d) == (case.solver.number, case.geometry.d)
    reader = pyvista.get_reader(str(path)).reader
    reader.UpdateInformation()
    assert reader.GetNumberOfSteps() == len(places)
    for k, x in enumerate(places):
        reader.SetStep(k)
        reader.Modified()
        reader.Update()
        grid = pyvista.wrap(reader.GetOutput())
        np.testing.assert_array_equal(grid.points[:, : min(3, x.shape[1])], x[:, :3])
        np.testing.assert_array_equal(grid["id"], np.arange(len(x)))
        shown = velocity(case, x)[:, :3]
        np.testing.assert_allclose(grid["velocity"][:, : shown.shape[1]], shown, atol=1e-8)
        # The labels are those of neighbours within the angle: equal if nearer than that.
        angle = np.arccos(np.clip(x @ x.T, -1.0, 1.0))
        label = grid["cluster"]
        assert np.all((label[:, None] == label[None, :])[angle < 0.0999])
        assert np.count_nonzero(np.bincount(label)) == label.max() + 1


@pytest.mark.parametrize("kind", ["circle", "sphere", "d = 8", "many", "usa", "repulsive"])
def test_tokens_follow_the_flow(kind: str) -> None:
    case = small({**KINDS[kind], "solver.rtol": 1e-9, "solver.atol": 1e-12, "time.end": 1.0})
    start = initial_tokens(case.initial, case.solver.number, 3)  # type: ignore[union-attr]

    def slope(t: float, y: Array) -> Array:
        return velocity(case, y.reshape(start.shape)).ravel()

    right = solve_ivp(slope, (0.0, 1.0), start.ravel(), method="DOP853", rtol=1e-11, atol=1e-12)
    x = run(case).solver.x
    np.testing.assert_allclose(x, right.y[:, -1].reshape(start.shape), rtol=0.0, atol=2e-8)


def test_the_energy_rises_with_attraction_and_falls_with_repulsion() -> None:
    for value in (1, -1):
        series = run(small({"model.value": value, "time.series_every": 1})).series
        assert np.all(value * np.diff(series["energy"]) > 0.0)


@pytest.mark.parametrize("kind", ["layers", "layers, d = 8"])
def test_layers_are_counted(kind: str) -> None:
    case = small(KINDS[kind])
    result = run(case)
    assert result.steps == 20
    np.testing.assert_allclose(result.series["dt"][1:], 0.1, rtol=1e-12)
    start = initial_tokens(case.initial, 50, 3)
    through = layers(make_interaction(case), start, 20, horizon=2.0)
    np.testing.assert_allclose(result.solver.x, through[-1], rtol=0.0, atol=1e-12)
    # Nothing but Euler steps and normalisation.
    y = start
    for _ in range(20):
        y = y + 0.1 * velocity(case, y)
        y /= np.linalg.norm(y, axis=1, keepdims=True)
    np.testing.assert_allclose(result.solver.x, y, rtol=0.0, atol=1e-9)


def test_more_layers_come_nearer_to_the_flow() -> None:
    exact = run(small({"solver.rtol": 1e-9, "solver.atol": 1e-12, "time.end": 1.0})).solver.x
    errors = []
    for count in (20, 40, 80):
        changes = {**KINDS["layers"], "solver.layers": count, "time.end": 1.0}
        errors.append(np.abs(run(small(changes)).solver.x - exact).max())
    np.testing.assert_allclose(np.divide(errors[:-1], errors[1:]), 2.0, atol=0.15)


@pytest.mark.parametrize("changes", [{}, {"geometry.d": 8, "initial.type": "uniform"}])
def test_figures_are_drawn(changes: dict[str, object], tmp_path: Path) -> None:
    run(small({**changes, "output.figures": True}), tmp_path / "run")
    assert sorted(about(tmp_path / "run")["figures"]) == ["energy.png", "particles.png"]
    for name in ("energy", "particles"):
        assert (tmp_path / "run" / "figures" / f"{name}.png").stat().st_size > 10_000


def test_single_precision_and_no_compression(tmp_path: Path) -> None:
    changes = {"output.precision": "float32", "output.compression": "none"}
    result = run(small(changes), tmp_path / "run")
    points = read_tokens_file(tmp_path / "run" / "particles.vtkhdf").points(-1)
    np.testing.assert_array_equal(points, result.solver.x.astype(np.float32))


def test_on_a_meshed_geometry_the_mesh_does_not_matter(tmp_path: Path) -> None:
    meshed = small({"geometry.type": "sphere", "geometry.level": 1})
    np.testing.assert_array_equal(run(meshed).solver.x, run(small()).solver.x)


# ------------------------------------------------------------------ seeds


@pytest.mark.parametrize("kind", ["sphere", "many", "noise", "noise, d = 8", "layers"])
def test_a_seed_gives_the_same_run_and_another_one_another(kind: str, tmp_path: Path) -> None:
    first, again, other = (
        run(small({**KINDS[kind], "seed": seed}), tmp_path / name)
        for name, seed in (("first", 3), ("again", 3), ("other", 4))
    )
    np.testing.assert_array_equal(first.solver.x, again.solver.x)
    series = [(tmp_path / name / "series.csv").read_bytes() for name in ("first", "again", "other")]
    assert series[0] == series[1] != series[2]
    # Not a single token is the same.
    assert not np.any(np.all(first.solver.x == other.solver.x, axis=1))


@pytest.mark.slow
def test_the_seed_is_of_the_noise_too() -> None:
    # From the same tokens, placed without any chance, noise leads elsewhere with another seed.
    changes = {"solver.tokens": "quantised", "model.kappa": 0.05}
    one, two = (run(small({**changes, "seed": seed})).solver.x for seed in (3, 4))
    assert np.abs(one - two).max() > 0.1
    without = {"solver.tokens": "quantised"}
    one, two = (run(small({**without, "seed": seed})).solver.x for seed in (3, 4))
    np.testing.assert_array_equal(one, two)


def test_noise_takes_the_step_it_is_given() -> None:
    result = run(small({**KINDS["noise"], "solver.dt": 0.02}))
    assert result.steps == 100
    np.testing.assert_allclose(result.series["dt"][1:], 0.02, rtol=1e-6)


# ------------------------------------------------------------------ where tokens start


def test_quantised_tokens_represent_the_law_better() -> None:
    law = small().initial
    grid = np.random.default_rng(0).normal(size=(400_000, 3))
    grid /= np.linalg.norm(grid, axis=1, keepdims=True)
    mean = (law.density(grid)[:, None] * grid).mean(axis=0)  # to about 2e-3
    errors = {}
    for tokens in ("quantised", "iid"):
        series = run(small({"solver.tokens": tokens, "time.end": 0.5})).series
        start = np.array([series[f"mean_{k + 1}"][0] for k in range(3)])
        errors[tokens] = float(np.linalg.norm(start - mean))
    assert errors["quantised"] < 0.02 < errors["iid"]


def unit(rng: np.random.Generator, n: int, d: int) -> Array:
    x = rng.normal(size=(n, d))
    return np.asarray(x / np.linalg.norm(x, axis=1, keepdims=True))


@pytest.mark.parametrize("d", [2, 3, 8])
@pytest.mark.parametrize("solver", ["particles", "layers"])
def test_tokens_of_a_file(d: int, solver: str, tmp_path: Path) -> None:
    x = unit(np.random.default_rng(1), 7, d)
    np.save(tmp_path / "first.npy", x)
    raw = small({"geometry.d": d, "initial.type": "uniform"}).to_dict()
    raw["solver"] = {"type": solver, "tokens": "first.npy"}  # without a number: all of them
    if solver == "layers":
        raw["solver"]["layers"] = 10
    result = run(mf.Case.from_dict(raw, tmp_path), tmp_path / "run")
    assert about(tmp_path / "run")["tokens"] == 7 == len(result.solver.x)
    shown = np.zeros((7, 3))
    shown[:, : min(d, 3)] = x[:, :3]
    np.testing.assert_allclose(
        read_tokens_file(tmp_path / "run" / "particles.vtkhdf").points(0), shown, atol=1e-15
    )


def test_a_file_must_have_the_number_asked_for(tmp_path: Path) -> None:
    np.save(tmp_path / "first.npy", unit(np.random.default_rng(1), 7, 3))
    changes = {"solver.tokens": "first.npy", "solver.number": 8}
    with pytest.raises(mf.InputError, match=r"first\.npy: 7 tokens found, 8 expected"):
        run(small(changes, tmp_path), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_bad_file_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    np.save(tmp_path / "first.npy", 2.0 * unit(np.random.default_rng(1), 50, 3))
    with pytest.raises(mf.InputError, match=r"row \d+ .*of length 2"):
        run(small({"solver.tokens": "first.npy"}, tmp_path), tmp_path / "run")
    np.save(tmp_path / "first.npy", unit(np.random.default_rng(1), 50, 2))
    with pytest.raises(mf.InputError, match=r"shape \(50, 2\).*d = 3"):
        run(small({"solver.tokens": "first.npy"}, tmp_path), tmp_path / "run")
    assert not (tmp_path / "run").exists()


# ------------------------------------------------------------------ special clouds


def of_points(tmp_path: Path, points: Array, **changes: object) -> mf.Case:
    np.save(tmp_path / "points.npy", points)
    keys = {"solver.tokens": "points.npy", "solver.number": len(points)}
    keys |= {"geometry.d": points.shape[1], "initial.type": "uniform"}
    keys |= {key.replace("__", "."): value for key, value in changes.items()}
    return small(keys, tmp_path)


@pytest.mark.parametrize("d", [2, 3, 8])
@pytest.mark.parametrize("n", [1, 30])
def test_one_point_stays_where_it_is(n: int, d: int, tmp_path: Path) -> None:
    x = np.repeat(unit(np.random.default_rng(2), 1, d), n, axis=0)
    result = run(of_points(tmp_path, x, output__figures=d == 3), tmp_path / "run")
    np.testing.assert_allclose(result.solver.x, x, rtol=0.0, atol=1e-14)
    assert result.stop_reason == "end" and result.warnings == []
    np.testing.assert_array_equal(result.series["clusters"], 1.0)
    np.testing.assert_allclose(result.series["largest_cluster"], 1.0, rtol=1e-14)
    np.testing.assert_allclose(result.series["mean_norm"], 1.0, rtol=1e-13)
    np.testing.assert_allclose(result.series["energy"], np.exp(4.0) / 8.0, rtol=1e-10)


def test_one_point_is_stationary(tmp_path: Path) -> None:
    x = np.repeat(unit(np.random.default_rng(2), 1, 3), 5, axis=0)
    result = run(of_points(tmp_path, x, time__stationary=1e-9, time__end=100.0), tmp_path / "run")
    assert result.stop_reason == "stationary" and result.t < 100.0


def test_one_token_with_noise_wanders_off(tmp_path: Path) -> None:
    x = unit(np.random.default_rng(2), 1, 3)
    result = run(of_points(tmp_path, x, model__kappa=0.05))
    assert result.stop_reason == "end"
    assert 0.01 < np.arccos(float(result.solver.x[0] @ x[0])) < 3.0


def test_one_token_through_layers_stays(tmp_path: Path) -> None:
    x = unit(np.random.default_rng(2), 1, 3)
    solver = {"solver__type": "layers", "solver__layers": 4}
    result = run(of_points(tmp_path, x, **solver), tmp_path / "run")
    np.testing.assert_allclose(result.solver.x, x, rtol=0.0, atol=1e-14)


@pytest.mark.parametrize("d", [2, 3, 8])
@pytest.mark.parametrize("solver", ["particles", "layers"])
def test_equal_tokens_stay_equal_and_weigh_twice(d: int, solver: str, tmp_path: Path) -> None:
    points = unit(np.random.default_rng(3), 10, d)
    x = np.concatenate([points, points[:4], points[:4]])
    options: dict[str, object] = {"solver__type": solver, "solver__atol": 1e-12}
    if solver == "layers":
        options = {"solver__type": solver, "solver__layers": 10}
    result = run(of_points(tmp_path, x, time__end=1.0, **options), tmp_path / "run")
    moved = result.solver.x
    np.testing.assert_array_equal(moved[10:14], moved[:4])
    np.testing.assert_array_equal(moved[14:18], moved[:4])
    assert np.abs(moved - x).max() > 0.01
    if solver == "particles":
        case = small({"geometry.d": d, "initial.type": "uniform"})
        right = solve_ivp(lambda t, y: velocity(case, y.reshape(x.shape)).ravel(), (0.0, 1.0),
                          x.ravel(), method="DOP853", rtol=1e-11, atol=1e-12)  # fmt: skip
        np.testing.assert_allclose(moved, right.y[:, -1].reshape(x.shape), rtol=0.0, atol=2e-6)


def test_two_opposite_tokens_do_not_know_where_to_go(tmp_path: Path) -> None:
    x = np.array([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]])
    result = run(of_points(tmp_path, x), tmp_path / "run")
    np.testing.assert_allclose(result.solver.x, x, rtol=0.0, atol=1e-12)
    np.testing.assert_array_equal(result.series["clusters"], 2.0)


def test_clusters_are_told_by_their_angle() -> None:
    few, many = (
        run(small({"solver.cluster_angle": angle})).series["clusters"][-1] for angle in (0.5, 0.01)
    )
    assert few < many


# ------------------------------------------------------------------ going on


def same_run(one: Path, two: Path) -> None:
    """Two folders hold the same numbers, to the last bit."""
    states = [load_checkpoint(folder / "checkpoint.npz") for folder in (one, two)]
    assert states[0].keys() == states[1].keys()
    for name, value in states[0].items():
        np.testing.assert_array_equal(value, states[1][name], err_msg=name)
    assert (one / "series.csv").read_bytes() == (two / "series.csv").read_bytes()
    left, right = (read_tokens_file(folder / "particles.vtkhdf") for folder in (one, two))
    np.testing.assert_array_equal(left.times, right.times)
    for k in range(len(left.times)):
        np.testing.assert_array_equal(left.points(k), right.points(k))
        for name in ("cluster", "velocity"):
            np.testing.assert_array_equal(left.read(name, k), right.read(name, k))
        if left.d > 3:
            np.testing.assert_array_equal(left.inner_products(k), right.inner_products(k))


@each_kind
def test_going_on_is_the_same_as_not_stopping(kind: str, tmp_path: Path) -> None:
    case = small({**KINDS[kind], "time.end": 2.0})
    whole = run(case, tmp_path / "whole")
    half = small({**KINDS[kind], "time.end": 1.0})
    assert run(half, tmp_path / "parts").t == 1.0
    parts = run(case, tmp_path / "parts", resume=True)
    np.testing.assert_array_equal(whole.solver.x, parts.solver.x)
    assert whole.steps == parts.steps
    same_run(tmp_path / "whole", tmp_path / "parts")
    data = about(tmp_path / "parts")
    assert len(data["resumed"]) == 1 and data["steps"] == whole.steps
    if "rejected_steps" in data:
        assert data["rejected_steps"] == about(tmp_path / "whole")["rejected_steps"]


def test_going_on_over_merged_tokens_is_the_same(tmp_path: Path) -> None:
    """Tokens that have become one point stay one, and steps stay as long as they had become."""
    changes = {"model.beta": 1.0, "time.outputs": [30.0]}
    whole = run(small({**changes, "time.end": 60.0}), tmp_path / "whole")
    assert whole.solver.points < 50
    run(small({"model.beta": 1.0, "time.outputs": [], "time.end": 30.0}), tmp_path / "parts")
    run(small({**changes, "time.end": 60.0}), tmp_path / "parts", resume=True)
    same_run(tmp_path / "whole", tmp_path / "parts")


@pytest.mark.parametrize("kind", ["sphere", "noise", "layers"])
def test_ctrl_c_and_on(kind: str, tmp_path: Path) -> None:
    changes = {**KINDS[kind], "time.end": 4.0, "time.outputs": [2.0]}
    whole = run(small(changes), tmp_path / "whole")

    def interrupt(solver: Any) -> None:
        if solver.step == 3:
            os.kill(os.getpid(), signal.SIGINT)

    watch = mf.Watch(interrupt, mf.EverySteps(1))
    stopped = run(small(changes), tmp_path / "parts", observers=[watch])
    assert (stopped.stop_reason, stopped.steps) == ("interrupted", 3)
    assert about(tmp_path / "parts")["stop_reason"] == "interrupted"
    stored = read_tokens_file(tmp_path / "parts" / "particles.vtkhdf")
    assert stored.times.tolist() == [0.0, stopped.t]
    ended = run(small(changes), tmp_path / "parts", resume=True)
    np.testing.assert_array_equal(ended.solver.x, whole.solver.x)
    assert (ended.stop_reason, ended.steps) == ("end", whole.steps)


def test_the_clock_stops_a_run_that_can_go_on(tmp_path: Path) -> None:
    late = small({"time.wall_limit": 1e-6})
    stopped = run(late, tmp_path / "run")
    assert (stopped.stop_reason, stopped.t) == ("wall limit", 0.0)
    ended = run(small(), tmp_path / "run", resume=True)
    np.testing.assert_array_equal(ended.solver.x, run(small()).solver.x)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"solver.rtol": 1e-7}, "solver.rtol"),
        ({"solver.number": 51}, "solver.number"),
        ({"seed": 4}, "seed"),
        ({"model.kappa": 0.1}, "model.kappa"),
        (KINDS["layers"], "solver.type"),
    ],
)
def test_going_on_with_something_else_is_refused(
    changes: dict[str, object], named: str, tmp_path: Path
) -> None:
    run(small({"time.end": 1.0}), tmp_path / "run")
    before = {name: (tmp_path / "run" / name).read_bytes() for name in files(tmp_path / "run")}
    with pytest.raises(mf.InputError, match=named):
        run(small(changes), tmp_path / "run", resume=True)
    after = {name: (tmp_path / "run" / name).read_bytes() for name in files(tmp_path / "run")}
    assert before == after


def test_overwriting_leaves_what_is_not_of_the_run(tmp_path: Path) -> None:
    run(small({"time.end": 1.0, "output.figures": True}), tmp_path / "run")
    (tmp_path / "run" / "notes.txt").write_text("mine")
    with pytest.raises(mf.InputError, match="already holds a run"):
        run(small(), tmp_path / "run")
    run(small(), tmp_path / "run", overwrite=True)
    assert files(tmp_path / "run") == {*FILES, "notes.txt"}


# ------------------------------------------------------------------ the command line


def say(*words: str) -> int:
    return cli.main([*words])


def test_from_the_command_line(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert say("run", "few.toml", "--no-progress", "--set", "output.figures=true") == 0
    out, err = capsys.readouterr()
    assert "meanfield: 50 tokens on S^2 (iid), sa, beta = 4, V = +I -> results/few" in out
    lines = dict(line.split(maxsplit=1) for line in out.splitlines()[3:] if " " in line)
    assert lines["stopped"] == "end, at t = 2"
    assert lines["ParaView"] == "results/few/particles.vtkhdf"
    assert lines["series"] == "results/few/series.csv"
    assert "results/few/figures/particles.png" in out and err == ""
    x = load_checkpoint(here / "results" / "few" / "checkpoint.npz")["x"]
    np.testing.assert_array_equal(x, run(small()).solver.x)


def test_info(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert say("run", "few.toml", "--no-progress", "--set", "model.kappa=0.1") == 0
    assert "beta = 4, V = +I, kappa = 0.1" in capsys.readouterr().out
    assert say("info", "results/few") == 0
    out = capsys.readouterr().out
    lines = dict(line.split(maxsplit=1) for line in out.splitlines() if not line.startswith(" "))
    assert lines["tokens"] == "50"
    assert lines["t"].startswith("2 of 2, ")
    assert "d = 3" in lines["geometry"] and "kappa = 0.1" in lines["model"]
    assert "mesh" not in lines and "rho_min" not in lines
    assert "particles.vtkhdf" in out and "noise" in out


DRY: dict[str, tuple[list[str], str, str]] = {
    "particles": ([], "50 tokens on S^2 (iid)", "5 * 50 * (6 * 8 + 4)"),
    "a million": (["solver.number=1_000_000", "output.precision=float32"],
                  "1,000,000 tokens on S^2 (iid)", "5 * 1_000_000 * (6 * 4 + 4)"),
    "d = 128": (["geometry.d=128", "initial.type=uniform"], "50 tokens on S^127 (iid)",
                "5 * 50 * (6 * 8 + 4)"),
    "layers": (["solver.type=layers", "solver.number=9", "solver.layers=20"],
               "9 tokens on S^2 (iid), 20 layers a unit of time", "5 * 9 * (6 * 8 + 4)"),
    "quantised": (["solver.tokens=quantised"], "50 tokens on S^2 (quantised)",
                  "5 * 50 * (6 * 8 + 4)"),
    "a file": (["solver.type=particles", "solver.tokens=first.npy"],
               "50 tokens on S^2 (first.npy)", "5 * 50 * (6 * 8 + 4)"),
    "a mesh": (["geometry.type=sphere", "geometry.level=5"], "50 tokens on S^2 (iid)",
               "5 * 50 * (6 * 8 + 4)"),
}  # fmt: skip


@pytest.mark.parametrize("name", DRY)
def test_dry_run(name: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(here / "first.npy", unit(np.random.default_rng(1), 50, 3))
    sets, words, size = DRY[name]
    before = files(here)
    assert say("run", "few.toml", "--dry-run", *(w for s in sets for w in ("--set", s))) == 0
    out = capsys.readouterr().out
    lines = dict(line.split(maxsplit=1) for line in out.splitlines()[:7])
    assert lines["tokens"] == words and "mesh" not in lines and "vertices" not in words
    number, unit_ = lines["fields"].removeprefix("position, velocity, cluster: ").split()[:2]
    scale = {"bytes": 1, "kB": 1e3, "MB": 1e6}[unit_.rstrip(",")]
    assert float(number) * scale == pytest.approx(eval(size), rel=0.06)
    assert lines["dolfinx"] == "not needed"
    assert "REFUSED" not in out and files(here) == before


def test_a_dry_run_looks_into_the_file(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(here / "first.npy", 3.0 * unit(np.random.default_rng(1), 50, 3))
    assert say("run", "few.toml", "--dry-run", "--set", "solver.tokens=first.npy") == 2
    error = capsys.readouterr().err
    assert error.startswith("meanfield: error: ") and "unit vectors" in error
    assert error.count("\n") == 1


def test_a_file_beside_the_case_also_when_going_on(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The case in the run folder says where the tokens came from, wherever one stands then."""
    (here / "cases").mkdir()
    np.save(here / "cases" / "first.npy", unit(np.random.default_rng(1), 20, 3))
    text = TOML.replace("number = 50", 'tokens = "first.npy"')
    (here / "cases" / "of-file.toml").write_text(text, "utf-8")
    half = ("--set", "time.end=1")
    assert say("run", "cases/of-file.toml", "-o", "out/half", "--no-progress", *half) == 0
    assert "20 tokens on S^2 (first.npy)" in capsys.readouterr().out
    (here / "elsewhere").mkdir()
    monkeypatch.chdir(here / "elsewhere")
    on = ("--resume", "--no-progress", "--set", "time.end=2")
    assert say("run", "../out/half", *on) == 0
    monkeypatch.chdir(here / "cases")
    assert say("run", "of-file.toml", "-o", "../out/whole", "--no-progress") == 0
    same_run(here / "out" / "whole", here / "out" / "half")


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (["solver.tokens=frist.npy"], "did you mean 'first.npy'?"),
        (["solver.tokens=first.npy", "solver.number=3"], "50 tokens found, 3 expected"),
        (["solver.number=0"], "solver.number: expected a whole number"),
        (["solver.interaction=harmonics", "geometry.d=8", "initial.type=uniform"], "d = 2 and 3"),
        (["solver.type=eulerian"], "needs a mesh, found 'unmeshed'"),
        (["geometry.type=zonal", "geometry.d=3", "geometry.vertices=33", "initial.type=uniform"],
         "expected 'unmeshed' with d = 3"),
        (["solver.type=layers", "solver.number=5"], "layers = 100"),
    ],
)  # fmt: skip
def test_refused_in_one_line(
    sets: list[str], message: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(here / "first.npy", unit(np.random.default_rng(1), 50, 3))
    before = files(here)
    assert say("run", "few.toml", *(w for s in sets for w in ("--set", s))) == 2
    out, err = capsys.readouterr()
    assert err.startswith("meanfield: error: ") and message in err and err.count("\n") == 1
    assert out == "" and files(here) == before


def test_tokens_need_neither_dolfinx_nor_mpi(here: Path, start: Start) -> None:
    code = (
        "import sys\n"
        "for name in ('dolfinx', 'mpi4py', 'mpi4py.MPI', 'petsc4py', 'ufl', 'basix'):\n"
        "    sys.modules[name] = None\n"
        "from meanfield import cli\n"
        "sys.exit(cli.main(['run', 'few.toml', '--no-progress', '--set', 'output.figures=true']))\n"
    )
    # h5py with MPI, which some systems have, would look for mpi4py; it has its own switch.
    done = start(*python("-c", code), cwd=here, H5PY_ALWAYS_USE_MPI="").finish()
    assert done.code == 0, done.said
    assert "stopped" in done.out and (here / "results" / "few" / "particles.vtkhdf").is_file()


def test_ctrl_c_on_the_command_line(
    here: Path, start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("run", "few.toml", "--set", "model.kappa=0.1", "--set", "solver.dt=1e-4",
             "--set", "time.outputs.every=0.01", "--set", "time.end=900")  # fmt: skip
    job = start(*python("-m", "meanfield", *words), cwd=here)
    series = here / "results" / "few" / "series.csv"
    job.wait_until(lambda: series.is_file() and series.read_text().count("\n") > 2, "rows")
    job.send(signal.SIGINT)
    done = job.finish()
    assert done.code == 130, done.said
    assert "stopped   interrupted, at t = " in done.out
    assert "can be resumed with: meanfield run results/few --resume" in done.err
    assert "Traceback" not in done.err
    end = 0.01 + json.loads((here / "results" / "few" / "run.json").read_text())["t"]
    assert say("run", "results/few", "--resume", "--no-progress", "--set", f"time.end={end!r}") == 0
    assert f"stopped   end, at t = {end:g}" in capsys.readouterr().out


@pytest.mark.mpi
@needs_launcher
def test_two_ranks_are_one_too_many(here: Path, start: Start) -> None:
    done = start(*ranks(2, "-m", "meanfield", "run", "few.toml"), cwd=here).finish()
    assert done.code == 2, done.said
    (told,) = done.lines("meanfield: ")
    assert told.endswith(
        "meanfield: error: 2 processes found, one expected: tokens use the threads of one process"
    )
    assert "Traceback" not in done.said and not (here / "results").exists()


@pytest.mark.mpi
@needs_launcher
def test_a_dry_run_on_two_ranks_is_shown_once(here: Path, start: Start) -> None:
    done = start(*ranks(2, "-m", "meanfield", "run", "few.toml", "--dry-run"), cwd=here).finish()
    assert done.code == 0 and done.said.count("50 tokens on S^2") == 1
