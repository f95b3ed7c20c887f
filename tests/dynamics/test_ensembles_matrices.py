"""Ensembles by matrix products: against DOP853 and ``ParticleSolver``, one by one and together."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import meanfield as mf
from meanfield.case import Head, Particles
from meanfield.case.batchedheads import batched_heads
from meanfield.case.model import Model
from meanfield.dynamics.clusters import cluster_labels
from meanfield.dynamics.ensembles import FAILURES, Watch
from meanfield.dynamics.ensembles.matrices import advance_matrices
from meanfield.dynamics.particles import ParticleSolver
from meanfield.geometry.sphere import Array, uniform_points
from meanfield.interaction.attention import Attention
from meanfield.interaction.batched import BatchedHead, BatchedModel, MatrixField
from meanfield.interaction.composite import Composite, HeadMatrices

TIMES = np.linspace(0.0, 4.0, 21)
WATCH = Watch(TIMES, np.array([0, 10, 20]), states=True, bins=np.linspace(-1.0, 1.0, 9))


def _start(number: int, n: int, d: int) -> Array:
    rng = np.random.default_rng(100 * d + n)
    return np.stack([uniform_points(n, d, rng) for _ in range(number)])


def _random_heads(d: int) -> tuple[BatchedHead, ...]:
    """Two heads of random Q, K (in A) and V."""
    rng = np.random.default_rng(d)
    made = (rng.standard_normal((3, d, d)) / np.sqrt(d) for _ in range(2))
    return tuple(BatchedHead(2.0 * K.T @ Q, V) for Q, K, V in made)


def _composite(model: BatchedModel) -> Composite:
    heads = tuple(HeadMatrices(head.A, head.V) for head in model.heads)
    return Composite(heads, "sa" if model.normalised else "usa", model.d)


def _by_particles(solver: ParticleSolver) -> Array:
    """Tokens at the snapshots."""
    out = [solver.x]
    for end in TIMES[WATCH.snapshots[1:]]:
        while solver.t < end:
            solver.advance(end)
        out.append(solver.x)
    return np.stack(out)


# ------------------------------------------------------------------ right


@pytest.mark.parametrize("normalised", [True, False])
@pytest.mark.parametrize(("d", "n"), [(3, 20), (8, 16), (32, 12)])
def test_random_heads_agree_with_particles(d: int, n: int, normalised: bool) -> None:
    model = BatchedModel(n, d, normalised, heads=_random_heads(d))
    x = _start(3, n, d)
    found = advance_matrices(model, x, WATCH)
    assert found.states is not None and not found.failed.any()
    for r in range(3):
        solver = ParticleSolver(_composite(model), x[r], options=Particles(rtol=1e-9, atol=1e-12))
        assert np.abs(found.states[r] - _by_particles(solver)).max() < 1e-4


def _rate(model: BatchedModel, x: Array) -> Array:
    """The velocity by the formulas of ``BatchedModel``, written plainly."""
    f = np.ones((model.n, model.n)) if model.mask is None else model.mask
    eye = np.eye(model.d)
    out = np.zeros_like(x)
    plain = (BatchedHead(model.beta * eye, model.value * eye),)
    for head in model.heads or plain:
        weights = f * np.exp((x @ head.A.T) @ x.T)
        seen = weights if model.normalised else (f > 0.0)
        out += weights @ x @ head.V.T / seen.sum(axis=1, keepdims=True)
    return out - np.sum(out * x, axis=1, keepdims=True) * x


CAUSAL = np.tril(np.ones((12, 12)))


@pytest.mark.parametrize(
    "model",
    [
        BatchedModel(12, 5, True, beta=3.0),
        BatchedModel(12, 5, False, beta=2.0, value=-1),
        BatchedModel(12, 5, True, beta=3.0, mask=CAUSAL),
        BatchedModel(12, 5, False, beta=1.0, mask=CAUSAL),
        BatchedModel(12, 5, True, heads=_random_heads(5), mask=np.exp(-abs(CAUSAL - CAUSAL.T))),
    ],
)
def test_against_dop853(model: BatchedModel) -> None:
    x = _start(2, 12, 5)
    loose, tight = (advance_matrices(model, x, WATCH, tol) for tol in (1e-5, 1e-9))
    for r in range(2):
        exact = solve_ivp(
            lambda _, y: _rate(model, y.reshape(12, 5)).ravel(), (0.0, 4.0), x[r].ravel(),
            "DOP853", t_eval=TIMES, rtol=1e-11, atol=1e-13,
        ).y.T.reshape(-1, 12, 5)  # fmt: skip
        inner = np.einsum("tk,tk->t", exact[:, 0], exact[:, 1])
        gram = exact @ exact.swapaxes(1, 2)
        pairs = gram[:, *np.triu_indices(12, 1)]
        for found, error in ((loose, 1e-4), (tight, 1e-8)):
            assert found.states is not None
            columns = found.columns
            assert np.abs(columns["inner_product"][r] - inner).max() < error
            assert np.abs(columns["mean_inner_product"][r] - pairs.mean(axis=1)).max() < error
            assert np.abs(found.states[r] - exact[WATCH.snapshots]).max() < error
        norms = np.linalg.norm(exact.mean(axis=1), axis=1)
        np.testing.assert_allclose(tight.columns["mean_norm"][r], norms, atol=1e-8)
        np.testing.assert_array_equal(tight.columns["close"][r], (pairs >= 0.999).mean(axis=1))
        for s, k in enumerate(WATCH.snapshots):
            labels = cluster_labels(exact[k], WATCH.cluster_angle)
            assert tight.snapshots["clusters"][r, s] == labels.max() + 1
            assert tight.snapshots["largest"][r, s] == np.mean(labels == 0)
            counts = np.histogram(pairs[k], WATCH.bins)[0]
            np.testing.assert_array_equal(tight.histogram[r, s], counts)


def test_energies_are_those_of_a_run() -> None:
    x = _start(2, 12, 5)
    B = np.random.default_rng(0).standard_normal((5, 5))
    S = B + B.T
    known = [
        (BatchedModel(12, 5, True, beta=3.0), Attention("sa", 3.0, 5)),
        (BatchedModel(12, 5, False, beta=-2.0, value=-1), Attention("usa", -2.0, 5, value=-1)),
        (BatchedModel(12, 5, True), Attention("sa", 0.0, 5)),
    ]
    for pulls in (((S, 0.5 * S),), ((S, 0.5 * S), (-0.3 * S, S))):
        model = BatchedModel(12, 5, False, heads=tuple(BatchedHead(*pull) for pull in pulls))
        known.append((model, _composite(model)))  # type: ignore[arg-type]
    for model, interaction in known:
        solver = ParticleSolver(interaction, x[1])
        assert solver.interaction.energy_kind is not None
        energy = MatrixField(model).energy(x)[1]
        assert energy == pytest.approx(solver.energy(scaled=True), rel=1e-12)
    for model in (
        BatchedModel(12, 5, False, heads=_random_heads(5)),
        BatchedModel(12, 5, True, beta=1.0, mask=CAUSAL),
    ):
        assert np.isnan(MatrixField(model).energy(x)).all()


# ------------------------------------------------------------------ one by one


@pytest.mark.parametrize("tolerance", [1e-5, 1e-8])  # single and double precision
def test_a_system_does_not_hang_on_its_companions(
    tolerance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = BatchedModel(16, 8, True, heads=_random_heads(8))
    x = _start(700, 16, 8)  # in two blocks
    few = Watch(np.array([0.0, 0.5, 1.5]), np.array([2]), states=True)
    before = x.copy()
    together = advance_matrices(model, x, few, tolerance)
    np.testing.assert_array_equal(x, before)  # the caller's own
    assert together.states is not None and len(set(together.calls)) > 1  # own steps
    monkeypatch.setenv("MEANFIELD_NUM_THREADS", "1")
    for chosen in ([3], [699, 5, 340]):
        apart = advance_matrices(model, x[chosen], few, tolerance)
        assert apart.states is not None
        np.testing.assert_array_equal(apart.states, together.states[chosen])
        np.testing.assert_array_equal(apart.calls, together.calls[chosen])
        for name, values in apart.columns.items():
            np.testing.assert_array_equal(values, together.columns[name][chosen])


def test_one_that_fails_leaves_the_others() -> None:
    # Near tokens attract each other at a rate of e^300, which no step follows; those at right
    # angles do as well, once they are near; antipodal ones rest.
    model = BatchedModel(2, 3, False, beta=300.0, mask=1.0 - np.eye(2))
    near = np.array([[1.0, 0.0, 0.0], [np.cos(0.01), np.sin(0.01), 0.0]])
    x = np.stack([near, np.array([near[0], -near[0]]), np.eye(3)[:2]])
    found = advance_matrices(model, x, Watch(np.array([0.0, 1.0]), np.array([1]), states=True))
    assert FAILURES[found.failed[0]] and not found.failed[1] and FAILURES[found.failed[2]]
    assert found.states is not None and np.isnan(found.states[0]).all()
    assert np.isnan(found.columns["inner_product"][0, 1])
    assert found.snapshots["clusters"][1, 0] == 2
    assert found.columns["inner_product"][1, 1] == -1.0


# ------------------------------------------------------------------ from a case


def test_heads_of_a_model() -> None:
    rng = np.random.default_rng(4)
    Q, K, V = (rng.standard_normal((3, 3)) for _ in range(3))
    heads = (Head(beta=2.0, Q=Q, K=K, V=V), Head(beta=1.0))
    first, second = batched_heads(Model(attention="sa", heads=heads), 3)
    np.testing.assert_allclose(first.A, 2.0 * K.T @ Q, rtol=1e-14)
    np.testing.assert_array_equal(first.V, V)
    np.testing.assert_array_equal(second.A, np.eye(3))
    assert batched_heads(Model(attention="sa", beta=1.0), 3) == ()
    moving = Head(beta={"times": [0.0, 1.0], "values": [4.0, 9.0]})
    with pytest.raises(mf.InputError, match=r"model\.heads\[0\]: found one in time"):
        batched_heads(Model(attention="sa", heads=(moving,)), 3)
    with pytest.raises(mf.InputError, match=r"model\.attention: found 'l2'"):
        batched_heads(Model(attention="l2", heads=heads), 3)
