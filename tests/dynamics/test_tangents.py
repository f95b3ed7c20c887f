"""Derivatives of tokens by those at the start, against closed forms; norms, exponents, restarts."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
from cases import few_tokens, small
from tokencases import same_run

import meanfield as mf
from meanfield.case import Particles
from meanfield.collective import Alone
from meanfield.dynamics.layers import LayerSolver
from meanfield.dynamics.particles import ParticleSolver
from meanfield.dynamics.solver import State
from meanfield.dynamics.tangents import Tangents
from meanfield.dynamics.tokensolver import TokenSolver
from meanfield.errors import InputError
from meanfield.geometry.manifolds import Ambient
from meanfield.geometry.sphere import Array, uniform_points
from meanfield.interaction.attention import Attention
from meanfield.runs.tracks.make import make_track

TIGHT = Particles(rtol=1e-10, atol=1e-12)


def _pair(angle: float) -> Array:
    return np.array([[1.0, 0.0], [math.cos(angle), math.sin(angle)]])


def _to(solver: TokenSolver, end: float) -> Tangents:
    while solver.t < end:
        solver.advance(end)
    assert solver.tangents is not None
    return solver.tangents


def _norm(tangents: Tangents) -> float:
    return math.exp(tangents.growth)


def test_nothing_has_grown_at_the_start() -> None:
    x = uniform_points(5, 4, np.random.default_rng(0))
    for most, number, exact in ((15, 15, True), (99, 15, True), (14, 14, False), (1, 1, False)):
        tangents = Tangents(x, most, Ambient(4))
        assert (len(tangents.vectors), tangents.exact) == (number, exact)
        assert tangents.growth == pytest.approx(0.0, abs=1e-14)
        flat = tangents.vectors.reshape(number, -1)
        np.testing.assert_allclose(flat @ flat.T, np.eye(number), atol=1e-14)
        assert np.abs(np.einsum("knd,nd->kn", tangents.vectors, x)).max() < 1e-14
    other = Tangents(x, 3, Ambient(4), seed=1).vectors
    assert np.abs(other - Tangents(x, 3, Ambient(4), seed=2).vectors).max() > 0.1


@pytest.mark.parametrize("d", [2, 3])
def test_two_tokens_without_temperature_have_a_known_derivative(d: int) -> None:
    """usa, beta = 0: phi' = -sin(phi), tan(phi/2) = tan(phi_0/2) e^{-t}; the mean angle stays.

    On the circle the derivative of the angle between them is sin(phi)/sin(phi_0), and of the mean
    1. Out of the plane (d = 3) z_i' = (z_j - cos(phi) z_i)/2: the sum grows at the rate
    (1 - cos(phi))/2, the difference decays at (1 + cos(phi))/2.
    """
    start = np.zeros((2, d))
    start[:, :2] = _pair(3.0)
    geometry = "circle" if d == 2 else "sphere"
    solver = ParticleSolver(Attention("usa", 0.0, d, geometry), start, options=TIGHT)
    solver.carry(100)
    largest = 0.0
    for t in (1.0, 2.0, 4.0, 8.0):
        phi = 2.0 * math.atan(math.tan(1.5) * math.exp(-t))
        along = math.sin(phi) / math.sin(3.0)
        # int (1 - cos phi)/2 dt = -log of cos(phi_0/2) over cos(phi/2), by d phi = -sin phi dt
        turned = math.cos(0.5 * phi) / math.cos(1.5) if d == 3 else 1.0
        expected = max(1.0, along, turned)
        assert _norm(_to(solver, t)) == pytest.approx(expected, rel=1e-9)
        largest = max(largest, expected)
    assert largest > 5.0


def test_a_layer_has_the_derivative_of_its_map() -> None:
    """Two angles: theta_1 -> theta_1 + atan(h s/2), s = sin(phi), as the field is tangential."""
    h, phi = 0.5, 2.5
    model = Attention("usa", 0.0, 2, "circle", method="direct")
    solver = LayerSolver(model, _pair(phi), layer_step=h)
    solver.carry(2)
    expected = 1.0
    for layer in range(1, 6):
        s, c = 0.5 * math.sin(phi), 0.5 * math.cos(phi)
        expected *= 1.0 - 2.0 * h * c / (1.0 + (h * s) ** 2)
        phi -= 2.0 * math.atan(h * s)
        assert _norm(_to(solver, layer * h)) == pytest.approx(max(1.0, abs(expected)), rel=1e-10)
    assert expected > 1.05


def test_what_attracts_decays_at_the_slowest_rate() -> None:
    """Around one cluster of sa differences decay by e^{-t}, and the turn of all of them stays."""
    rng = np.random.default_rng(1)
    x = uniform_points(1, 3, rng) + 1e-3 * rng.normal(size=(6, 3))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    solver = ParticleSolver(Attention("sa", 2.0, 3, "sphere"), x, options=TIGHT)
    solver.carry(12)
    tangents = _to(solver, 5.0)
    s = np.linalg.svd(tangents.vectors.reshape(12, -1), compute_uv=False)
    s *= math.exp(tangents.scale)
    np.testing.assert_allclose(s[:2], 1.0, atol=1e-5)  # curvature of the sphere: 1e-6
    np.testing.assert_allclose(s[2:], math.exp(-5.0), rtol=1e-3)
    assert solver.points == 6


@pytest.mark.parametrize("d", [2, 3, 5])
def test_turns_of_all_tokens_are_kept_and_equal_directions_are_orthogonal(d: int) -> None:
    """J of a turn of all tokens is that turn of what they became: its length is known."""
    x = uniform_points(4, d, np.random.default_rng(d))
    solver = ParticleSolver(Attention("sa", 3.0, d, "any"), x, options=TIGHT)
    solver.carry(4 * (d - 1))
    first = solver.tangents.vectors.copy() if solver.tangents is not None else np.zeros(0)
    tangents = _to(solver, 2.0)
    turn = np.zeros((d, d))
    turn[0, 1], turn[1, 0] = 1.0, -1.0
    share = np.einsum("knd,nd->k", first, x @ turn)  # of the turn along each direction
    found = math.exp(tangents.scale) * np.einsum("k,knd->nd", share, tangents.vectors)
    np.testing.assert_allclose(found, solver.x @ turn, atol=1e-9)


def test_fewer_directions_tell_less() -> None:
    x = uniform_points(6, 3, np.random.default_rng(4))
    grown = []
    for most in (1, 4, 12):
        solver = ParticleSolver(Attention("usa", -2.0, 3, "sphere"), x)
        solver.carry(most, seed=5)
        grown.append(_norm(_to(solver, 3.0)))
    assert grown[0] < grown[2] and grown[1] < grown[2]
    assert grown[2] > 1.1


def test_tangents_do_not_change_the_tokens() -> None:
    x = uniform_points(8, 3, np.random.default_rng(6))
    options = Particles(merge=False)
    plain, carrying = (
        ParticleSolver(Attention("sa", 4.0, 3, "sphere"), x, options=options) for _ in range(2)
    )
    carrying.carry(3)
    for t in (0.5, 2.0):
        while plain.t < t:
            assert plain.advance(t) == carrying.advance(t)
            np.testing.assert_array_equal(plain.x, carrying.x)
    assert (plain.step, plain.rejected) == (carrying.step, carrying.rejected)


def _free_exponent(d: int, common: float, time: float) -> tuple[float, float]:
    """Of one token that nobody pulls, in a common noise; and its standard error.

    (usa, beta = 0 pulls a token to itself: not at all.)
    """
    found = []
    for seed in range(8):
        options = Particles(dt=0.1, common_noise=common)
        solver = ParticleSolver(
            Attention("usa", 0.0, d, "any"), np.eye(d)[:1], options=options, seed=seed
        )
        solver.carry(d)
        found.append(_to(solver, time).growth / time)
    return float(np.mean(found)), float(np.std(found) / math.sqrt(7.0))


@pytest.mark.parametrize("d", [2, 3])
def test_the_exponent_of_a_common_noise(d: int) -> None:
    """-kappa_0 (d - 1), that of the gradient flow on S^{d-1}."""
    mean, error = _free_exponent(d, 0.5, 6.0)
    assert error < 0.2
    assert mean == pytest.approx(-0.5 * (d - 1), abs=4.0 * error)


@pytest.mark.slow
def test_the_exponent_of_a_common_noise_in_the_long_run() -> None:
    mean, error = _free_exponent(3, 0.5, 40.0)
    assert error < 0.1
    assert mean == pytest.approx(-1.0, abs=4.0 * error)


def test_what_cannot_be_carried_is_refused() -> None:
    x = uniform_points(3, 3, np.random.default_rng(0))
    model = Attention("sa", 1.0, 3, "sphere")
    with pytest.raises(InputError, match=r"^tangents = 4 found with noise of each token"):
        ParticleSolver(model, x, kappa=0.1).carry(4)
    with pytest.raises(InputError, match=r"^tangents = 0 found, at least 1 expected"):
        ParticleSolver(model, x).carry(0)
    with pytest.raises(InputError, match="most"):
        ParticleSolver(model, x).carry("all")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"^output.tangents: found 3 with a density"):
        small({"output.tangents": 3})
    with pytest.raises(InputError, match=r"^output.tangents: found 3 with noise"):
        few_tokens({"output.tangents": 3, "model.kappa": 0.1})
    with pytest.raises(InputError, match=r"^output.tangents: found 3 with .*centre = true"):
        few_tokens({"output.tangents": 3, "model.normalisation": {"type": "post", "centre": True}})
    lengths = few_tokens({"output.tangents": 3, "model.normalisation": "pre"})
    with pytest.raises(InputError, match=r"^output.tangents = 3 found with tokens that have len"):
        make_track(lengths, Alone())


def test_a_state_has_its_tangents() -> None:
    x = uniform_points(4, 3, np.random.default_rng(2))
    model = Attention("sa", 3.0, 3, "sphere")
    one, other = ParticleSolver(model, x), ParticleSolver(model, x)
    one.carry(3)
    other.carry(3)
    _to(one, 1.0)
    other.restore(one.state())
    assert _to(one, 2.0).growth == _to(other, 2.0).growth
    bare = ParticleSolver(model, x)
    with pytest.raises(InputError, match=r"^a state with tangents of shape \(0, 0, 0\) found"):
        other.restore(bare.state())
    # Checkpoints of earlier versions have none.
    values = {k: v for k, v in bare.state().values().items() if k not in ("tangents", "growth")}
    state: State = type(bare.state()).from_values(values)
    bare.restore(state)
    assert dataclasses.asdict(state)["tangents"].shape == (0, 0, 0)


@pytest.mark.parametrize("solver", ["particles", "layers"])
def test_a_run_tells_norm_and_exponent_also_when_it_goes_on(solver: str, tmp_path: Path) -> None:
    changes: dict[str, object] = {"solver.number": 5, "output.tangents": 10}
    if solver == "layers":
        changes |= {"solver.type": "layers", "solver.layers": 10}
    whole, part = tmp_path / "whole", tmp_path / "part"
    found = mf.run(few_tokens(changes), whole, progress=False).series
    assert found["jacobian_norm"][0] == pytest.approx(1.0, abs=1e-14)
    assert math.isnan(found["lyapunov"][0])
    np.testing.assert_allclose(
        found["lyapunov"][1:], np.log(found["jacobian_norm"][1:]) / found["t"][1:], rtol=1e-12
    )
    mf.run(few_tokens({**changes, "time.end": 1.0}), part, progress=False)
    mf.run(few_tokens(changes), part, resume=True, progress=False)
    same_run(whole, part)


def test_a_run_of_random_directions_says_so() -> None:
    with pytest.warns(mf.MeanfieldWarning, match="of 3 random directions"):
        mf.run(
            few_tokens({"solver.number": 5, "output.tangents": 3, "time.end": 0.5}), progress=False
        )


def test_directions_of_which_nothing_is_left_end_no_run() -> None:
    """A V of rank one: all outputs are along e_1, whatever the tokens."""
    case = few_tokens(
        {
            "solver": {"type": "layers", "layers": 1, "number": 4, "residual": 0.0},
            "model": {"attention": "sa", "heads": [{"beta": 1.0, "V": np.diag([1.0, 0.0, 0.0])}]},
            "output.tangents": 100,
            "time": {"end": 1.0},
        }
    )
    series = mf.run(case, progress=False).series
    assert series["jacobian_norm"][-1] < 1e-9
    assert series["lyapunov"][-1] < -20.0
