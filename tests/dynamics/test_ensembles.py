"""Ensembles against an independent reference, exact results, and themselves in another company."""

from __future__ import annotations

import numba as nb
import numpy as np
import pytest
from scipy.integrate import solve_ivp

import meanfield as mf
from meanfield.analysis.exact import equiangular_solution
from meanfield.case.batched import batched_model
from meanfield.dynamics.clusters import cluster_labels
from meanfield.dynamics.ensembles import Noise, Watch, run_ensemble
from meanfield.dynamics.particles import ParticleSolver
from meanfield.dynamics.tokens import initial_tokens
from meanfield.errors import InputError
from meanfield.interaction.attention import Attention
from meanfield.interaction.batched import BatchedHead, BatchedModel

TIMES = np.linspace(0.0, 6.0, 61)


def tokens(R: int, n: int, d: int, seed: int = 1) -> np.ndarray:
    x = np.random.default_rng(seed).standard_normal((R, n, d))
    return x / np.linalg.norm(x, axis=2, keepdims=True)


def reference(model: BatchedModel, x: np.ndarray, times: np.ndarray) -> np.ndarray:
    """(k, n, d) tokens, by SciPy's DOP853."""
    n, d = x.shape
    f = np.ones((n, n)) if model.mask is None else model.mask

    def rate(_: float, y: np.ndarray) -> np.ndarray:
        X = y.reshape(n, d)  # back on the sphere, from which V = -I drives away what is off it
        X = X / np.linalg.norm(X, axis=1, keepdims=True)
        e = f * np.exp(model.beta * X @ X.T)
        c = e.sum(1) if model.normalised else np.count_nonzero(f, axis=1)
        u = model.value * (e @ X) / np.asarray(c)[:, None]
        return (u - np.sum(u * X, 1, keepdims=True) * X).ravel()

    done = solve_ivp(
        rate, (0.0, times[-1]), x.ravel(), "DOP853", times, rtol=1e-10, atol=1e-12
    )  # fmt: skip
    found = done.y.T.reshape(-1, n, d)
    return found / np.linalg.norm(found, axis=2, keepdims=True)


@pytest.mark.parametrize("d", [20, 4])
@pytest.mark.parametrize(
    ("normalised", "value", "causal"),
    [(True, 1, False), (True, 1, True), (True, -1, False), (False, 1, False), (False, -1, True)],
)
def test_against_another_integrator(d: int, normalised: bool, value: int, causal: bool) -> None:
    n = 12
    mask = np.tril(np.ones((n, n))) if causal else None
    model = BatchedModel(n, d, normalised, 2.0, value, mask=mask)
    x = tokens(2, n, d)
    found = run_ensemble(model, x, Watch(TIMES, np.array([0, 30]), states=True), tolerance=1e-6)
    for r in range(2):
        y = reference(model, x[r], TIMES)
        G = y @ y.transpose(0, 2, 1)
        mean = (G.sum((1, 2)) - n) / (n * (n - 1))
        norm = np.linalg.norm(y.mean(axis=1), axis=1)
        for name, exact in (
            ("inner_product", G[:, 0, 1]), ("mean_inner_product", mean), ("mean_norm", norm)
        ):  # fmt: skip
            np.testing.assert_allclose(found.columns[name][r], exact, atol=1e-4)
        assert found.states is not None
        states = found.states[r, 1]
        np.testing.assert_allclose(states if d >= n else states @ states.T, G[30], atol=1e-4)
        assert found.snapshots["clusters"][r, 1] == 1 + cluster_labels(y[30], 0.1).max()
    assert not found.failed.any()


@pytest.mark.parametrize("beta", [0.0, 1.0, 5.0])
def test_equiangular_tokens_are_exact(beta: float) -> None:
    n = 16
    times = np.linspace(0.0, 12.0, 121)
    found = run_ensemble(
        BatchedModel(n, n, True, beta), np.eye(n)[None], Watch(times, np.zeros(0, int))
    )
    exact = equiangular_solution(times, 0.0, "sa", beta, n)
    np.testing.assert_allclose(found.columns["inner_product"][0], exact, atol=1e-4)
    np.testing.assert_allclose(found.columns["mean_inner_product"][0], exact, atol=1e-4)


def test_both_forms_agree() -> None:
    x, model, watch = (
        tokens(3, 12, 16),
        BatchedModel(12, 16, True, 4.0),
        Watch(TIMES, np.array([60])),
    )
    one, two = (run_ensemble(model, x, watch, form=form) for form in ("gram", "coordinates"))
    for name in ("inner_product", "mean_inner_product", "mean_norm"):
        np.testing.assert_allclose(one.columns[name], two.columns[name], atol=2e-4)
    np.testing.assert_allclose(
        one.snapshots["energy_scaled"], two.snapshots["energy_scaled"], rtol=1e-3
    )


def test_the_company_of_a_realisation_changes_nothing() -> None:
    x, watch = tokens(5, 12, 3), Watch(TIMES, np.array([10]), bins=np.linspace(-1.0, 1.0, 9))
    model = BatchedModel(12, 3, True, 3.0)
    whole, part = run_ensemble(model, x, watch), run_ensemble(model, x[3:4], watch)
    for name, column in whole.columns.items():
        assert np.array_equal(column[3:4], part.columns[name])
    assert np.array_equal(whole.histogram[3:4], part.histogram)
    assert np.all(whole.histogram.sum(axis=2) == 12 * 11 // 2)


@pytest.mark.parametrize("attention", ["sa", "usa"])
def test_a_realisation_is_a_run(attention: str) -> None:
    case = mf.Case(
        seed=7, geometry=mf.Unmeshed(d=3), time=mf.Time(end=6.0), initial=mf.standard_density(),
        model=mf.Model(attention=attention, beta=2.0), solver=mf.Particles(number=10),
    )  # fmt: skip
    x = initial_tokens(case.initial, 10, case.seed, "iid")
    found = run_ensemble(batched_model(case), x[None], Watch(TIMES[:21], np.array([0, 20])))
    solver = ParticleSolver(Attention(attention, 2.0, 3), x)  # type: ignore[arg-type]
    assert abs(found.snapshots["energy_scaled"][0, 0] - solver.energy(scaled=True)) < 1e-6
    while solver.t < TIMES[20]:
        solver.advance(TIMES[20])
    y = solver.x
    assert abs(found.columns["inner_product"][0, 20] - y[0] @ y[1]) < 1e-4
    assert abs(found.snapshots["energy_scaled"][0, 1] - solver.energy(scaled=True)) < 1e-4


def test_collapsed_tokens_of_usa_become_one() -> None:
    """Stiffness e^9 inside clusters: without merging more steps than allowed."""
    watch = Watch(np.linspace(0.0, 30.0, 31), np.array([30]))
    found = run_ensemble(BatchedModel(32, 2, False, 9.0), tokens(2, 32, 2), watch)
    assert not found.failed.any() and found.calls.max() < 60_000
    assert np.all(found.snapshots["clusters"] < 32)
    assert np.all(np.isfinite(found.columns["close"]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tokens": np.ones((1, 4, 3))}, "length"),
        ({"tokens": tokens(1, 5, 3)}, "expected"),
        ({"watch": Watch(np.array([1.0, 2.0]), np.zeros(0, int))}, "ascending from 0"),
        ({"watch": Watch(TIMES, np.array([61]))}, "places"),
        ({"form": "grim"}, "gram"),
        ({"seeds": np.array([1, 2])}, "seeds"),
        ({"tolerance": 1.0}, "tolerance"),
    ],
)
def test_bad_input_is_one_line(change: dict[str, object], message: str) -> None:
    given = {"tokens": tokens(1, 4, 3), "watch": Watch(TIMES, np.zeros(0, int)), **change}
    with pytest.raises(InputError, match=message) as error:
        run_ensemble(BatchedModel(4, 3, True, 1.0), **given)  # type: ignore[arg-type]
    assert "\n" not in str(error.value)


def test_threads_change_nothing() -> None:
    x, watch = tokens(7, 12, 16), Watch(TIMES, np.array([10]))
    before, found = nb.get_num_threads(), []
    try:
        for threads in (1, before):
            nb.set_num_threads(threads)
            found.append(run_ensemble(BatchedModel(12, 16, True, 3.0), x, watch))
    finally:
        nb.set_num_threads(before)
    for name, column in found[0].columns.items():
        np.testing.assert_array_equal(column, found[1].columns[name])


@pytest.mark.parametrize(("d", "beta"), [(8, 5.0), (2, 5.0), (40, 5.0)])
def test_errors_of_inner_products_are_small_by_default(d: int, beta: float) -> None:
    n, times = 32, np.linspace(0.0, 12.0, 121)
    x = tokens(2, n, d, seed=5)
    model = BatchedModel(n, d, True, beta)
    found = run_ensemble(model, x, Watch(times, np.zeros(0, int)))
    for r in range(2):
        y = reference(model, x[r], times)
        exact = np.sum(y[:, 0] * y[:, 1], axis=1)
        assert np.abs(found.columns["inner_product"][r] - exact).max() < 1e-4


def test_heads_and_noise_go_to_their_kernels() -> None:
    n, d = 6, 4
    x, rng = tokens(2, n, d), np.random.default_rng(3)
    A, V = rng.standard_normal((2, d, d))
    watch = Watch(TIMES[:21], np.array([20]), states=True)
    heads = BatchedModel(n, d, True, heads=(BatchedHead(A, V),))
    found = run_ensemble(heads, x, watch)
    solver = ParticleSolver(mf.Composite((mf.HeadMatrices(A, V),), "sa", d, "any"), x[1])
    while solver.t < TIMES[20]:
        solver.advance(TIMES[20])
    assert found.states is not None
    np.testing.assert_allclose(found.states[1, 0], solver.x, atol=1e-4)

    plain = BatchedModel(n, d, True, 2.0)
    noise, seeds = Noise(kappa=0.1, common=0.05, dt=0.02), np.array([4, 5])
    noisy = run_ensemble(plain, x, watch, noise=noise, seeds=seeds)
    options = mf.Particles(number=n, common_noise=0.05, dt=0.02)
    path = ParticleSolver(Attention("sa", 2.0, d), x[1], options=options, kappa=0.1, seed=5)
    while path.t < TIMES[20]:
        path.advance(min(TIMES[TIMES > path.t + 1e-12]))
    assert noisy.states is not None
    np.testing.assert_allclose(noisy.states[1, 0], path.x, atol=1e-10)
    for wrong in ({"form": "gram"}, {"seeds": None}, {"noise": Noise(dt=0.1)}):
        with pytest.raises(InputError):
            run_ensemble(plain, x, watch, **{"noise": noise, "seeds": seeds, **wrong})  # type: ignore[arg-type]
    with pytest.raises(InputError, match="matrices"):
        run_ensemble(heads, x, watch, form="gram")


def test_nearly_antipodal_tokens_keep_their_digits() -> None:
    """Two tokens: g' = 2 (1 - g^2) w, w = 1/(1 + e^{beta (1 - g)}), unstable at g = -1."""
    times, beta = np.linspace(0.0, 8.0, 41), 1.0
    angles = np.pi - np.array([1e-2, 1e-3, 1e-4, 1e-5])
    x = np.stack([np.tile([1.0, 0.0], (4, 1)), np.stack([np.cos(angles), np.sin(angles)], 1)], 1)
    found = run_ensemble(BatchedModel(2, 2, True, beta), x, Watch(times, np.zeros(0, int)))

    def rate(_: float, angle: np.ndarray) -> np.ndarray:
        return -2.0 * np.sin(angle) / (1.0 + np.exp(beta * (1.0 - np.cos(angle))))

    done = solve_ivp(rate, (0.0, 8.0), angles, "DOP853", times, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(found.columns["inner_product"], np.cos(done.y), atol=1e-4)


@pytest.mark.parametrize("delta", [1e-6, 1e-5, 1e-3])
def test_all_pairs_of_one_cluster_are_close(delta: float) -> None:
    x, times = tokens(4, 6, 8), np.linspace(0.0, 20.0, 21)
    found = run_ensemble(
        BatchedModel(6, 8, True, 1.0), x, Watch(times, np.zeros(0, int), delta=delta)
    )
    assert np.all(found.columns["close"][:, -1] == 1.0)


def test_tokens_that_part_do_not_become_one() -> None:
    """Two tokens 4e-5 apart, half way between two clusters of usa that pull them apart."""
    angles = np.r_[np.pi / 2 + np.array([-2e-5, 2e-5]), np.zeros(15), np.full(15, np.pi)]
    x = np.stack([np.cos(angles), np.sin(angles)], 1)[None]
    watch = Watch(np.linspace(0.0, 0.6, 31), np.zeros(0, int))
    model = BatchedModel(32, 2, False, 4.0)
    one = run_ensemble(model, x, watch)
    two = run_ensemble(model, x, watch, form="matrices", tolerance=1e-10)
    for name in ("inner_product", "mean_inner_product"):
        np.testing.assert_allclose(one.columns[name], two.columns[name], atol=1e-4)


def test_repulsion_is_as_accurate() -> None:
    x, watch = tokens(20, 8, 8), Watch(TIMES, np.zeros(0, int))
    model = BatchedModel(8, 8, True, 3.0, -1)
    one = run_ensemble(model, x, watch)
    two = run_ensemble(model, x, watch, form="matrices", tolerance=1e-10)
    for name in ("inner_product", "mean_norm"):
        np.testing.assert_allclose(one.columns[name], two.columns[name], atol=1e-4)


def test_a_mask_of_sa_knows_no_unit() -> None:
    mask = np.tril(np.random.default_rng(1).random((12, 12)))
    x, watch = tokens(2, 12, 16), Watch(TIMES, np.zeros(0, int))
    one, two = (
        run_ensemble(BatchedModel(12, 16, True, 2.0, mask=factor * mask), x, watch)
        for factor in (1.0, 1e-44)
    )
    for name, column in one.columns.items():
        np.testing.assert_allclose(column, two.columns[name], atol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"beta": np.nan}, "beta = nan"),
        ({"beta": -301.0}, "beta = -301"),
        ({"value": 2}, "value = 2"),
        ({"mask": np.ones((5, 5))}, "mask: an array of shape"),
        ({"mask": -np.ones((6, 6))}, "factors >= 0"),
        ({"heads": (BatchedHead(np.eye(2), np.eye(3)),)}, r"heads\[0\]\.A"),
        ({"heads": (BatchedHead(np.full((3, 3), np.nan), np.eye(3)),)}, "finite"),
    ],
)
def test_a_model_that_is_none_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        BatchedModel(6, 3, True, **change)  # type: ignore[arg-type]
