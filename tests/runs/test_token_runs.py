"""Runs of tokens from beginning to end: what comes out, where they start, special clouds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cases import about, few_tokens, files, run
from scipy.integrate import solve_ivp
from tokencases import ANY, KINDS, TOKEN_FILES, each_kind
from viewer import Viewer

import meanfield as mf
from meanfield.dynamics.layers import layers
from meanfield.dynamics.tokens import initial_tokens
from meanfield.geometry.sphere import Array, uniform_points
from meanfield.results.formats import read_tokens_file
from meanfield.runs.tracks import make_interaction


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


# ------------------------------------------------------------------ what comes out


@each_kind
def test_a_run_leaves_everything(kind: str, tmp_path: Path) -> None:
    case, folder = few_tokens(KINDS[kind]), tmp_path / "run"
    d, end = case.geometry.d, case.time.end
    assert not isinstance(case.solver, mf.Eulerian)
    result = run(case, folder)
    assert (result.t, result.stop_reason, result.folder) == (end, "end", folder)
    assert files(folder) == TOKEN_FILES

    shown = min(d, 8)
    power = [f"power_{l}" for l in range(9)] if d <= 3 else []
    assert list(result.series) == [
        *("t", "step", "dt", "mass", "energy", "energy_scaled"),
        *(() if case.model.kappa else ("dissipation", "energy_residual")),
        *(f"mean_{k + 1}" for k in range(shown)),
        "mean_norm",
        *(f"m2_{k + 1}" for k in range(shown)),
        *("rank", "effective_dimension"),
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
    case = few_tokens(KINDS[kind])
    assert not isinstance(case.solver, mf.Eulerian)
    places: list[Array] = []
    watch = mf.Watch(lambda solver: places.append(solver.x.copy()))
    run(case, tmp_path / "run", observers=[watch])

    path = tmp_path / "run" / "particles.vtkhdf"
    stored = read_tokens_file(path)
    assert stored.times.tolist() == list(case.output_times())
    assert (stored.n, stored.d) == (case.solver.number, case.geometry.d)
    viewer = Viewer(path)
    assert len(viewer) == len(places)
    for k, x in enumerate(places):
        grid = viewer.step(k)
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
    case = few_tokens({**KINDS[kind], "solver.rtol": 1e-9, "solver.atol": 1e-12, "time.end": 1.0})
    start = initial_tokens(case.initial, case.solver.number, 3)  # type: ignore[union-attr]

    def slope(t: float, y: Array) -> Array:
        return velocity(case, y.reshape(start.shape)).ravel()

    right = solve_ivp(slope, (0.0, 1.0), start.ravel(), method="DOP853", rtol=1e-11, atol=1e-12)
    x = run(case).solver.x
    np.testing.assert_allclose(x, right.y[:, -1].reshape(start.shape), rtol=0.0, atol=2e-8)


def test_the_energy_rises_with_attraction_and_falls_with_repulsion() -> None:
    for value in (1, -1):
        series = run(few_tokens({"model.value": value, "time.series_every": 1})).series
        assert np.all(value * np.diff(series["energy"]) > 0.0)


@pytest.mark.parametrize("kind", ["layers", "layers, d = 8"])
def test_layers_are_counted(kind: str) -> None:
    case = few_tokens(KINDS[kind])
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
    exact = run(few_tokens({"solver.rtol": 1e-9, "solver.atol": 1e-12, "time.end": 1.0})).solver.x
    errors = []
    for count in (20, 40, 80):
        changes = {**KINDS["layers"], "solver.layers": count, "time.end": 1.0}
        errors.append(np.abs(run(few_tokens(changes)).solver.x - exact).max())
    np.testing.assert_allclose(np.divide(errors[:-1], errors[1:]), 2.0, atol=0.15)


@pytest.mark.parametrize("changes", [{}, ANY])
def test_figures_are_drawn(changes: dict[str, object], tmp_path: Path) -> None:
    run(few_tokens({**changes, "output.figures": True}), tmp_path / "run")
    assert sorted(about(tmp_path / "run")["figures"]) == ["energy.png", "particles.png"]
    for name in ("energy", "particles"):
        assert (tmp_path / "run" / "figures" / f"{name}.png").stat().st_size > 10_000


def test_single_precision_and_no_compression(tmp_path: Path) -> None:
    changes = {"output.precision": "float32", "output.compression": "none"}
    result = run(few_tokens(changes), tmp_path / "run")
    points = read_tokens_file(tmp_path / "run" / "particles.vtkhdf").points(-1)
    np.testing.assert_array_equal(points, result.solver.x.astype(np.float32))


def test_on_a_meshed_geometry_the_mesh_does_not_matter(tmp_path: Path) -> None:
    meshed = few_tokens({"geometry.type": "sphere", "geometry.level": 1})
    np.testing.assert_array_equal(run(meshed).solver.x, run(few_tokens()).solver.x)


# ------------------------------------------------------------------ seeds


@pytest.mark.parametrize("kind", ["sphere", "many", "noise", "noise, d = 8", "layers"])
def test_a_seed_gives_the_same_run_and_another_one_another(kind: str, tmp_path: Path) -> None:
    first, again, other = (
        run(few_tokens({**KINDS[kind], "seed": seed}), tmp_path / name)
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
    one, two = (run(few_tokens({**changes, "seed": seed})).solver.x for seed in (3, 4))
    assert np.abs(one - two).max() > 0.1
    without = {"solver.tokens": "quantised"}
    one, two = (run(few_tokens({**without, "seed": seed})).solver.x for seed in (3, 4))
    np.testing.assert_array_equal(one, two)


def test_noise_takes_the_step_it_is_given() -> None:
    result = run(few_tokens({**KINDS["noise"], "solver.dt": 0.02}))
    assert result.steps == 100
    np.testing.assert_allclose(result.series["dt"][1:], 0.02, rtol=1e-6)


# ------------------------------------------------------------------ where tokens start


def test_quantised_tokens_represent_the_law_better() -> None:
    law = few_tokens().initial
    grid = np.random.default_rng(0).normal(size=(400_000, 3))
    grid /= np.linalg.norm(grid, axis=1, keepdims=True)
    mean = (law.density(grid)[:, None] * grid).mean(axis=0)  # to about 2e-3
    errors = {}
    for tokens in ("quantised", "iid"):
        series = run(few_tokens({"solver.tokens": tokens, "time.end": 0.5})).series
        start = np.array([series[f"mean_{k + 1}"][0] for k in range(3)])
        errors[tokens] = float(np.linalg.norm(start - mean))
    assert errors["quantised"] < 0.02 < errors["iid"]


@pytest.mark.parametrize("d", [2, 3, 8])
@pytest.mark.parametrize("solver", ["particles", "layers"])
def test_tokens_of_a_file(d: int, solver: str, tmp_path: Path) -> None:
    x = uniform_points(7, d, np.random.default_rng(1))
    np.save(tmp_path / "first.npy", x)
    raw = few_tokens({"geometry.d": d, "initial.type": "uniform"}).to_dict()
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
    np.save(tmp_path / "first.npy", uniform_points(7, 3, np.random.default_rng(1)))
    changes = {"solver.tokens": "first.npy", "solver.number": 8}
    with pytest.raises(mf.InputError, match=r"first\.npy: 7 tokens found, 8 expected"):
        run(few_tokens(changes, tmp_path), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_bad_file_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    np.save(tmp_path / "first.npy", 2.0 * uniform_points(50, 3, np.random.default_rng(1)))
    with pytest.raises(mf.InputError, match=r"point \d+ has length 2"):
        run(few_tokens({"solver.tokens": "first.npy"}, tmp_path), tmp_path / "run")
    np.save(tmp_path / "first.npy", uniform_points(50, 2, np.random.default_rng(1)))
    with pytest.raises(mf.InputError, match=r"shape \(50, 2\).*d = 3"):
        run(few_tokens({"solver.tokens": "first.npy"}, tmp_path), tmp_path / "run")
    assert not (tmp_path / "run").exists()


# ------------------------------------------------------------------ special clouds


def of_points(tmp_path: Path, points: Array, **changes: object) -> mf.Case:
    np.save(tmp_path / "points.npy", points)
    keys = {"solver.tokens": "points.npy", "solver.number": len(points)}
    keys |= {"geometry.d": points.shape[1], "initial.type": "uniform"}
    keys |= {key.replace("__", "."): value for key, value in changes.items()}
    return few_tokens(keys, tmp_path)


@pytest.mark.parametrize("d", [2, 3, 8])
@pytest.mark.parametrize("n", [1, 30])
def test_one_point_stays_where_it_is(n: int, d: int, tmp_path: Path) -> None:
    x = np.repeat(uniform_points(1, d, np.random.default_rng(2)), n, axis=0)
    result = run(of_points(tmp_path, x, output__figures=d == 3), tmp_path / "run")
    np.testing.assert_allclose(result.solver.x, x, rtol=0.0, atol=1e-14)
    assert result.stop_reason == "end" and result.warnings == []
    np.testing.assert_array_equal(result.series["clusters"], 1.0)
    np.testing.assert_allclose(result.series["largest_cluster"], 1.0, rtol=1e-14)
    np.testing.assert_allclose(result.series["mean_norm"], 1.0, rtol=1e-13)
    np.testing.assert_allclose(result.series["energy"], np.exp(4.0) / 8.0, rtol=1e-10)


def test_one_point_is_stationary(tmp_path: Path) -> None:
    x = np.repeat(uniform_points(1, 3, np.random.default_rng(2)), 5, axis=0)
    result = run(of_points(tmp_path, x, time__stationary=1e-9, time__end=100.0), tmp_path / "run")
    assert result.stop_reason == "stationary" and result.t < 100.0


def test_one_token_with_noise_wanders_off(tmp_path: Path) -> None:
    x = uniform_points(1, 3, np.random.default_rng(2))
    result = run(of_points(tmp_path, x, model__kappa=0.05))
    assert result.stop_reason == "end"
    assert 0.01 < np.arccos(float(result.solver.x[0] @ x[0])) < 3.0


def test_one_token_through_layers_stays(tmp_path: Path) -> None:
    x = uniform_points(1, 3, np.random.default_rng(2))
    solver = {"solver__type": "layers", "solver__layers": 4}
    result = run(of_points(tmp_path, x, **solver), tmp_path / "run")
    np.testing.assert_allclose(result.solver.x, x, rtol=0.0, atol=1e-14)


@pytest.mark.parametrize("d", [2, 3, 8])
@pytest.mark.parametrize("solver", ["particles", "layers"])
def test_equal_tokens_stay_equal_and_weigh_twice(d: int, solver: str, tmp_path: Path) -> None:
    points = uniform_points(10, d, np.random.default_rng(3))
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
        case = few_tokens({"geometry.d": d, "initial.type": "uniform"})
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
        run(few_tokens({"solver.cluster_angle": angle})).series["clusters"][-1]
        for angle in (0.5, 0.01)
    )
    assert few < many


@pytest.mark.parametrize("kind", ["sphere", "circle", "d = 8", "layers, d = 8"])
def test_the_particle_file_has_the_tokens_to_the_last_bit(kind: str, tmp_path: Path) -> None:
    seen: list[Array] = []
    case = few_tokens({**KINDS[kind], "output.precision": "float64", "time.outputs": [0.5]})
    result = run(case, tmp_path / "run", observers=[lambda solver: seen.append(solver.x.copy())])
    tokens = read_tokens_file(tmp_path / "run" / "particles.vtkhdf")
    assert len(tokens.times) == len(seen) == 3
    for k, x in enumerate(seen):
        np.testing.assert_array_equal(tokens.coordinates(k), x)
    np.testing.assert_array_equal(tokens.coordinates(-1), result.solver.x)


def test_coordinates_may_be_left_out(tmp_path: Path) -> None:
    case = few_tokens({**ANY, "output.coordinates": False})
    run(case, tmp_path / "run")
    tokens = read_tokens_file(tmp_path / "run" / "particles.vtkhdf")
    assert tokens.points(0).shape == (50, 3)
    with pytest.raises(mf.InputError, match=r"output\.coordinates = false"):
        tokens.coordinates(0)
    with pytest.raises(mf.InputError, match=r"differs .* in output\.coordinates"):
        run(few_tokens({**ANY, "time.end": 2.0}), tmp_path / "run", resume=True)
