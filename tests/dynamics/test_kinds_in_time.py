"""Kinds of attention that look at other masses (l2, sinkhorn), with matrices in time."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import few_tokens, run, small
from scipy.integrate import solve_ivp

import meanfield as mf
from meanfield.case import Particles
from meanfield.dynamics.lagrangian import LagrangianSolver
from meanfield.dynamics.particles import ParticleSolver
from meanfield.geometry.mesh import icosphere
from meanfield.geometry.sphere import Array, uniform_points
from meanfield.interaction.composite import HeadMatrices, Moving, MovingHead
from meanfield.interaction.composite.kinds.sinkhorn import Sinkhorn
from meanfield.interaction.intime import Combined, TableInTime, WaveInTime
from meanfield.interaction.measure import Measure

Q = np.array([[1.0, 0.3, 0.0], [-0.2, 1.0, 0.1], [0.0, 0.4, 0.8]])
K = np.diag([1.4, 1.0, 0.6])
BETA = WaveInTime(np.array(2.0), np.array(1.5), 2.0 * math.pi / 7.0, 0.3)
WIDE = WaveInTime(K, np.diag([0.0, 0.5, 0.5]), 1.3)
KINDS: dict[str, Any] = {"l2": "l2", "sinkhorn": Sinkhorn(1e-13)}
every_kind = pytest.mark.parametrize("kind", KINDS)


def beta(t: float) -> float:
    return 2.0 + 1.5 * math.cos(7.0 * t + 0.3)


def keys(t: float) -> Array:
    return np.asarray(K + math.cos(2.0 * math.pi * t / 1.3) * np.diag([0.0, 0.5, 0.5]))


def beating(kind: str) -> Moving:
    """A = beta(t) K(t)^T Q."""
    A = Combined((BETA, WIDE), lambda b, k: b * k.T @ Q, (3, 3), 9.0)
    both = Combined((BETA, WIDE), lambda b, k: b * k.T @ k, (3, 3), 9.0)
    return Moving((MovingHead(A, np.eye(3), both),), KINDS[kind], 3, "sphere")


def weights(kind: str, t: float, y: Array) -> Array:
    """(n, n) of attention between tokens."""
    if kind == "l2":
        apart = (y @ Q.T)[:, None, :] - (y @ keys(t).T)[None, :, :]
        w = np.exp(-0.5 * beta(t) * np.sum(apart**2, axis=2))
        return np.asarray(w / w.sum(axis=1, keepdims=True))
    w = np.exp(beta(t) * (y @ Q.T) @ (y @ keys(t).T).T)
    for _ in range(2000):
        w /= w.sum(axis=0)
        w /= w.sum(axis=1, keepdims=True)
        if np.abs(w.sum(axis=0) - 1.0).max() < 1e-14:
            break
    return np.asarray(w)


@every_kind
def test_tokens_follow_the_equation_summed_by_hand(kind: str) -> None:
    x = uniform_points(12, 3, np.random.default_rng(5))

    def rate(t: float, y: Array) -> Array:
        y = y.reshape(x.shape)
        v = weights(kind, t, y) @ y
        return np.asarray(v - np.sum(v * y, axis=1, keepdims=True) * y).ravel()

    found = solve_ivp(rate, (0.0, 0.5), x.ravel(), method="DOP853", rtol=1e-10, atol=1e-10)
    solver = ParticleSolver(beating(kind), x, options=Particles(rtol=1e-10, atol=1e-12))
    while solver.t < 0.5:
        solver.advance(0.5)
    assert np.abs(solver.x - x).max() > 0.05
    assert np.abs(solver.x.ravel() - found.y[:, -1]).max() <= 1e-8


@every_kind
def test_the_density_between_vertices_is_not_told_by_moments_alone(kind: str) -> None:
    solver = LagrangianSolver(beating(kind), icosphere(2), lambda x: 1.0 + 0.2 * x[:, 2])
    solver.advance(0.3)
    with pytest.raises(mf.InputError, match="not told by the moments of one measure"):
        solver.density_at(np.eye(3), 0.0)


@pytest.mark.filterwarnings("ignore::meanfield.errors.MeanfieldWarning")
@every_kind
@pytest.mark.parametrize("solver", ["eulerian", "particles"])
def test_a_run_in_time_goes_on(kind: str, solver: str, tmp_path: Path) -> None:
    """To the last bit: potentials of sinkhorn attention hang on the measure alone."""
    head = {
        "beta": {"times": [0.0, 0.4], "values": [3.0, 1.0]},
        "K": {"mean": K, "amplitude": 0.3 * K, "period": 0.7},
    }
    recipe = few_tokens if solver == "particles" else small.but(geometry__level=2, solver=solver)
    recipe = recipe.but(
        model={"attention": kind, "heads": [head]}, time={"end": 0.5, "outputs": {"every": 0.25}}
    )
    run(recipe(), tmp_path / "parts")
    longer = recipe(time__end=1.0)
    run(longer, tmp_path / "parts", resume=True)
    run(longer, tmp_path / "whole")
    parts, whole = (mf.RunFolder.open(tmp_path / n).read_series() for n in ("parts", "whole"))
    assert np.array_equal(parts["mean_norm"], whole["mean_norm"])
    assert np.ptp(parts["mean_norm"]) > 1e-3


def test_a_head_that_stays_has_moments_once_for_all_times() -> None:
    """A head in time has moments of its own always, one that stays where its keys weigh."""
    value = TableInTime(np.array([0.0, 1.0]), np.array([K, np.eye(3)]))
    keys = TableInTime(np.array([0.0, 1.0]), np.array([K, np.eye(3)]))
    stays = HeadMatrices(np.eye(3), np.eye(3), np.eye(3))
    model = Moving((stays, MovingHead(value, np.eye(3), keys)), "l2", 3, "sphere")
    assert model.harmonics is not None
    for t in (0.0, 1.0):
        assert model.at(t).further == model.further == model.harmonics.degrees.size
    with pytest.raises(mf.InputError, match=r"heads\[0\]: HeadMatrices\(A, V\) found"):
        Moving((MovingHead(value, np.eye(3)),), "l2", 3)
    with pytest.raises(mf.InputError, match=r"keys: a matrix of shape \(2, 2\) found"):
        MovingHead(value, np.eye(3), np.eye(2))


def test_sigmoid_heads_that_change_all_the_time_are_summed_over_a_grid() -> None:
    """The matrix between harmonics is dear: made where parameters stay between jumps."""
    steps = TableInTime(np.array([0.0, 1.0]), np.array([3.0 * Q, K]))
    wave = WaveInTime(3.0 * Q, 0.0 * K, 1.0)
    jumping, beats = (
        Moving((MovingHead(value, np.eye(3)),), "sigmoid", 3, "sphere") for value in (steps, wave)
    )
    assert jumping.at(0.5).lasting and not beats.at(0.5).lasting
    x = uniform_points(50, 3, np.random.default_rng(5))
    one, other = (model.field(Measure.equal(x), 0.5).velocity(x) for model in (jumping, beats))
    assert np.abs(one - other).max() <= 1e-9
    assert not np.array_equal(one, other)
