"""Cases of phase diagrams: beta = gamma log n as theory says, random matrices as written out."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from processes import ROOT
from scipy.integrate import quad

import meanfield as mf
from meanfield.dynamics.tokens import initial_tokens
from meanfield.geometry.sphere import Array

CASES = ROOT / "scripts" / "cases"


def meeting(n: int, beta: float) -> float:
    """When n orthogonal tokens have inner products 1 - 1e-3, by their equation written out."""

    def slowness(c: float) -> float:
        weights = np.exp(beta * (1.0 - c)) + n - 1.0
        return float(weights / (2.0 * (1.0 - c) * (1.0 + (n - 1.0) * c)))

    return float(quad(slowness, 0.0, 1.0 - 1e-3, epsrel=1e-11, limit=400)[0])


def test_temperature(tmp_path: Path) -> None:
    """Half times over n and gamma are within 5 % of orthogonal tokens' (d = 512, n to 32)."""
    numbers, factors = [8, 16, 24, 32], [0.5, 1.0, 1.25, 1.5]
    vary: dict[Any, Any] = {"solver.number": numbers, "model.beta.factor": factors}
    options = mf.SweepOptions(
        progress=False, kernel="always",
        changes={"geometry.d": 512, "time.end": 12.0, "time.outputs": {"every": 0.05}},
    )  # fmt: skip
    case = CASES / "temperature.toml"
    result = mf.sweep(case, vary, tmp_path / "sweep", seeds=12, options=options)
    half = result.table.half.reshape(4, 4)
    theory = np.array(result.table.about["theory"]).reshape(4, 4)
    np.testing.assert_allclose(half, theory, rtol=0.05)
    for (i, n), (k, gamma) in itertools.product(enumerate(numbers), enumerate(factors)):
        assert theory[i, k] == pytest.approx(meeting(n, gamma * np.log(n)), rel=1e-8)
    assert theory[3, 3] == pytest.approx(10.40259, abs=5e-5)  # n = 32, gamma = 1.5
    assert np.all(np.diff(half, axis=0) > 0.0) and np.all(np.diff(half, axis=1) > 0.0)
    assert (tmp_path / "sweep" / "figures" / "sweep_plane.png").is_file()


def test_random_matrices(tmp_path: Path) -> None:
    """By the kernel, against tokens by classical Runge-Kutta with the matrices written out."""
    ensemble = [np.random.default_rng(seed).standard_normal((16, 16)) for seed in (1, 2)]
    Q, K = (0.5 * g for g in ensemble)
    A, V = 3.0 * K.T @ Q, 0.25 * Q.T @ K
    changes = {
        "geometry.d": 16, "solver.number": 8, "time.end": 4.0, "time.outputs.every": 1.0,
        "model.heads.0.Q.scale": 0.5, "model.heads.0.K.scale": 0.5, "model.heads.0.V.scale": 0.25,
    }  # fmt: skip
    options = mf.SweepOptions(progress=False, kernel="always", changes=changes)
    vary: dict[Any, Any] = {"model.heads.0.beta": [3.0]}
    case = CASES / "random_matrices.toml"
    table = mf.sweep(case, vary, tmp_path / "sweep", seeds=4, options=options).table
    pairs = []
    for seed in range(4):
        x = initial_tokens(mf.Uniform(16), 8, seed)
        for _ in range(400):
            a = velocity(x, A, V)
            b = velocity(x + 0.005 * a, A, V)
            c = velocity(x + 0.005 * b, A, V)
            x = x + 0.01 / 6.0 * (a + 2.0 * b + 2.0 * c + velocity(x + 0.01 * c, A, V))
            x /= np.linalg.norm(x, axis=1, keepdims=True)
        pairs.append(x[0] @ x[1])
    assert np.ptp(pairs) > 0.1
    assert table.columns["inner_product"].mean[0, -1] == pytest.approx(np.mean(pairs), abs=1e-4)


def velocity(x: Array, A: Array, V: Array) -> Array:
    weights = np.exp(x @ A.T @ x.T)
    pull = weights @ x @ V.T / weights.sum(axis=1, keepdims=True)
    return np.asarray(pull - np.sum(pull * x, axis=1, keepdims=True) * x)
