"""Sums over all other tokens: exact for two, against sums as they stand, and in the solvers."""

from __future__ import annotations

import math
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import plain, small_tokens

import meanfield as mf
from meanfield.case import Particles
from meanfield.dynamics.layers import LayerSolver
from meanfield.dynamics.particles import ParticleSolver
from meanfield.errors import InputError
from meanfield.geometry.sphere import Array
from meanfield.interaction.attention import Attention
from meanfield.interaction.composite import Composite, HeadMatrices
from meanfield.interaction.contract import AnyInteraction
from meanfield.interaction.interaction import Interaction
from meanfield.interaction.kernels import Gaussian, Power
from meanfield.interaction.measure import Measure
from meanfield.interaction.together import Together

A = np.array([[2.0, 1.0, 0.0], [-0.5, 1.5, 0.3], [0.2, 0.0, -1.0]])
V = np.array([[0.9, -0.4, 0.2], [0.5, 0.7, -0.3], [0.0, 0.4, 0.8]])


def tokens(n: int, d: int = 3, seed: int = 1) -> Measure:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)) + 0.4
    m = rng.uniform(0.5, 1.5, size=n)
    return Measure(x / np.linalg.norm(x, axis=1, keepdims=True), m / m.sum())


def along(x: Array, v: Array) -> Array:
    return np.asarray(v - np.sum(x * v, axis=1, keepdims=True) * x)


def others(mu: Measure, a: Array, v: Array, normalised: bool) -> Array:
    """X by sums over j != i, as they stand."""
    x, m = np.asarray(mu.points), mu.weights
    e = np.exp(x @ a.T @ x.T) * m
    np.fill_diagonal(e, 0.0)
    out = e @ x @ v.T
    if normalised:
        out /= e.sum(axis=1, keepdims=True)
    return along(x, out)


@pytest.mark.parametrize("method", ["auto", "direct"])
def test_two_tokens_look_at_each_other(method: str) -> None:
    """Softmax over one other: X_1 = P V x_2, whatever A and the masses are."""
    x = np.asarray(tokens(2).points)
    for a in (A, 300.0 * A, 0.0 * A):
        head = HeadMatrices(a, V)
        made = Composite((head,), "sa", 3, "sphere", method, exclude_self=True)
        for masses in ([0.5, 0.5], [0.9, 0.1]):
            found = made.field(Measure(x, np.array(masses))).own_velocity()
            assert found == pytest.approx(along(x, x[::-1] @ V.T), abs=1e-14)
    short = Attention("sa", 40.0, 3, "sphere", value=-1).excluding_self()
    assert short.field(Measure.equal(x)).own_velocity() == pytest.approx(along(x, -x[::-1]))


def test_a_token_alone_rests() -> None:
    made = Attention("sa", 4.0, 3).excluding_self()
    for mu in (Measure(np.eye(3)[:1], np.ones(1)), Measure(np.eye(3), np.array([0.0, 1.0, 0.0]))):
        own = made.field(mu)
        assert np.all(own.own_velocity()[mu.weights > 0.0] == 0.0)
        assert np.all(np.isfinite(own.own_dissipation_density()))


@pytest.mark.parametrize("model", ["sa", "usa"])
@pytest.mark.parametrize("n", [5, 1025, 2049])  # a block of sources is 1024
def test_against_sums_as_they_stand(model: str, n: int) -> None:
    mu = tokens(n)
    made = Composite((HeadMatrices(A, V),), model, 3, "sphere", exclude_self=True)  # type: ignore[arg-type]
    expected = others(mu, A, V, model == "sa")
    assert made.field(mu).own_velocity() == pytest.approx(expected, rel=1e-10, abs=1e-12)
    # At any other place all tokens count.
    there = np.asarray(tokens(7, seed=9).points)
    whole = Composite((HeadMatrices(A, V),), model, 3, "any")  # type: ignore[arg-type]
    assert made.field(mu).velocity(there) == pytest.approx(whole.field(mu).velocity(there))
    # A token without mass is none of the sources.
    m = mu.weights.copy()
    m[2] = 0.0
    mu = Measure(mu.points, m / m.sum())
    expected = others(mu, A, V, model == "sa")
    assert made.field(mu).own_velocity() == pytest.approx(expected, rel=1e-10, abs=1e-12)


def test_energy_over_pairs_of_others_rises() -> None:
    """Symmetric heads: E over j != i, by what its dissipation says, and its pair energy."""
    d = np.diag([2.0, 1.0, -0.5])
    for model, step in (("sa", 1e-5), ("usa", 1e-5)):
        made = Composite((HeadMatrices(d, d),), model, 3, exclude_self=True)  # type: ignore[arg-type]
        mu = tokens(12)
        x, m = np.asarray(mu.points), mu.weights
        field = made.field(mu)
        e = np.exp(x @ d @ x.T) * m * m[:, None]
        np.fill_diagonal(e, 0.0)
        assert field.energy() == pytest.approx(0.5 * e.sum(), rel=1e-12)
        v, found = field.own_velocity(), float(m @ field.own_dissipation_density())
        ends = []
        for sign in (-1.0, 1.0):
            y = x + sign * step * v
            y /= np.linalg.norm(y, axis=1, keepdims=True)
            ends.append(made.field(Measure(y, m)).energy(scaled=True))
        assert (ends[1] - ends[0]) / (2.0 * step) == pytest.approx(found, rel=1e-6)
        equal = Measure.equal(x)
        whole = Composite((HeadMatrices(d, d),), model, 3)  # type: ignore[arg-type]
        assert made.pair_energy(equal, 12) == pytest.approx(whole.pair_energy(equal, 12))


def test_own_terms_of_kernels_move_nothing() -> None:
    kernel = Interaction(Power(k=3), 3, "sphere")
    assert kernel.excluding_self() is kernel
    usa = Attention("usa", 3.0, 4)
    mu = tokens(20, 4)
    expected = others(mu, 3.0 * np.eye(4), np.eye(4), False)
    assert usa.excluding_self().field(mu).own_velocity() == pytest.approx(expected, rel=1e-10)
    both = Together((kernel, Composite((HeadMatrices(A, V),), "sa", 3, "sphere")))
    apart = both.excluding_self()
    mu = tokens(9)
    expected = kernel.field(mu).velocity(mu.points) + others(mu, A, V, True)
    assert apart.field(mu).own_velocity() == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert apart.excludes_self and not both.excludes_self


def test_tokens_in_time() -> None:
    """Two tokens under softmax: their angle falls by d alpha/dt = -2 sin alpha; none are merged."""
    alpha = 2.0
    x = np.array([[math.cos(0.5 * alpha), s * math.sin(0.5 * alpha), 0.0] for s in (1.0, -1.0)])
    made = Attention("sa", 9.0, 3, "sphere").excluding_self()
    solver = ParticleSolver(made, x, options=Particles(number=2, rtol=1e-11, atol=1e-13))
    while solver.t < 1.0:
        solver.advance(1.0)
    found = math.acos(float(solver.x[0] @ solver.x[1]))
    # tan(alpha/2) falls like e^{-2t}.
    assert math.tan(0.5 * found) == pytest.approx(math.tan(0.5 * alpha) * math.exp(-2.0), rel=1e-8)
    twins = ParticleSolver(made, np.concatenate([x, x]), options=Particles(number=4))
    assert twins.points == 4
    layer = LayerSolver(made, x, layer_step=0.1)
    layer.advance(0.1)
    step = x + 0.1 * along(x, x[::-1])
    assert layer.x == pytest.approx(step / np.linalg.norm(step, axis=1, keepdims=True), abs=1e-14)


def test_what_has_no_other_tokens_alone() -> None:
    gaussian = Interaction(Gaussian(width=0.5, link="log"), 3)
    with pytest.raises(InputError, match="no sums over other tokens alone"):
        gaussian.excluding_self()
    head = (HeadMatrices(A, V),)
    with pytest.raises(InputError, match="exclude_self: found with harmonics"):
        Composite(head, "sa", 3, "sphere", "harmonics", exclude_self=True)
    zonal = (HeadMatrices(np.eye(3), np.eye(3)),)
    with pytest.raises(InputError, match="exclude_self: found with the zonal geometry"):
        Composite(zonal, "sa", 3, "zonal", exclude_self=True)
    with pytest.raises(InputError, match="exclude_self: found for a density"):
        Composite(head, "sa", 3, "sphere", exclude_self=True).on_mesh(42)


@pytest.mark.parametrize("kind", ["particles", "layers"])
def test_the_key_in_a_case(tmp_path: Path, kind: str) -> None:
    solver: dict[str, Any] = {"type": kind, "number": 12, "exclude_self": True}
    if kind == "layers":
        solver["layers"] = 10
    model = {"attention": "sa", "heads": [{"A": A.tolist(), "V": V.tolist()}]}
    recipe = small_tokens.but(model=model, solver=solver, time__end=0.2, output__figures=False)
    case = recipe()
    assert mf.Case.from_dict(tomllib.loads(case.to_toml())) == case
    result = mf.run(case, tmp_path / "out", progress=False)
    assert result.stop_reason == "end"
    other = mf.run(recipe(solver__exclude_self=False), tmp_path / "other", progress=False)
    assert abs(result.series["mean_1"][-1] - other.series["mean_1"][-1]) > 1e-4
    with pytest.raises(InputError, match=r"solver\.exclude_self: found with harmonics"):
        recipe(solver__interaction="harmonics")
    kernel = {"interaction": {"type": "gaussian", "width": 0.5, "link": "log"}}
    with pytest.raises(InputError, match=r"solver\.exclude_self: found with a kernel"):
        mf.Case.from_dict({**recipe.table(), "model": kernel})


@pytest.mark.parametrize("kind", ["eulerian", "implicit", "lagrangian"])
def test_a_density_has_no_such_key(kind: str) -> None:
    with pytest.raises(InputError, match=r"solver\.exclude_self: .*no mass of its own"):
        plain(solver={"type": kind, "exclude_self": True})


def interactions() -> list[AnyInteraction]:
    return [Attention("sa", 3.0, 3), Composite((HeadMatrices(A, V),), "sa", 3)]


@pytest.mark.parametrize("made", interactions(), ids=lambda made: type(made).__name__)
def test_own_velocity_is_that_at_the_tokens_else(made: AnyInteraction) -> None:
    mu = tokens(30)
    field = made.field(mu)
    assert field.own_velocity() == pytest.approx(field.velocity(mu.points), abs=1e-14)
    assert field.own_dissipation_density() == pytest.approx(field.dissipation_density(mu.points))
