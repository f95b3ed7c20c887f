"""Drifts and potentials: against differences, on every geometry, and what is refused."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from meanfield.errors import InputError
from meanfield.geometry.bessel import log_scaled_bessel
from meanfield.geometry.manifolds import manifold
from meanfield.geometry.sphere import Array
from meanfield.interaction.composite import Composite
from meanfield.interaction.drifts import Drift, LinearDrift, Perceptron
from meanfield.interaction.drifts.perceptron import Ridges
from meanfield.interaction.drifts.potentials import (
    BumpPotential,
    CapPotential,
    HarmonicPotential,
    LinearPotential,
)
from meanfield.interaction.measure import Measure

RNG = np.random.default_rng(3)
B = RNG.normal(size=(4, 3))
TILTED: dict[str, Drift] = {
    "linear": LinearDrift(RNG.normal(size=(3, 3))),
    "symmetric": LinearDrift(np.array([[1.0, 0.3, 0.0], [0.3, -0.5, 0.2], [0.0, 0.2, 0.4]])),
    "tanh": Perceptron(RNG.normal(size=(3, 4)), B, RNG.normal(size=4), "tanh"),
    "gelu": Perceptron(RNG.normal(size=(3, 4)), B, None, "gelu"),
    "tied gelu": Perceptron((np.array([1.0, -0.5, 0.3, 2.0])[:, None] * B).T, B, None, "gelu"),
    "tied tanh": Perceptron(B.T, B, np.ones(4), "tanh"),
    "field": LinearPotential(field=(0.3, -0.2, 0.5)).on(3),
    "bumps": BumpPotential(centres=((1.0, 2.0, 0.0), (0.0, 0.0, -1.0)), concentration=4.0).on(3),
    "harmonic": HarmonicPotential(axis=(1.0, 1.0, 0.5), coefficients=(0.2, -0.4, 0.7)).on(3),
    "cap": CapPotential(axis=(0.0, 0.6, 0.8), strength=2.0).on(3),
    "relu": Perceptron(RNG.normal(size=(3, 4)), B, None, "relu"),
}
GRADIENTS = ("symmetric", "tied gelu", "tied tanh", "field", "bumps", "harmonic", "cap")


def somewhere(count: int = 40) -> Array:
    x = np.random.default_rng(1).normal(size=(count, 3))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def along(function: Callable[[Array], Array], x: Array, e: Array, h: float = 1e-3) -> Array:
    """Derivative along geodesics, of fourth order; of vectors that of the component along them."""
    total = np.zeros(len(x))
    for step, weight in ((1, 8.0), (-1, -8.0), (2, -1.0), (-2, 1.0)):
        y = math.cos(step * h) * x + math.sin(step * h) * e
        values = function(y)
        if values.ndim == 2:
            forward = -math.sin(step * h) * x + math.cos(step * h) * e
            values = np.sum(values * forward, axis=1)
        total += weight * values / (12.0 * h)
    return total


def frames(x: Array) -> tuple[Array, Array]:
    e = np.cross(x, [0.3, 0.5, 0.8])
    e /= np.linalg.norm(e, axis=1, keepdims=True)
    return e, np.cross(x, e)


@pytest.mark.parametrize("name", TILTED)
def test_divergence_is_that_of_differences(name: str) -> None:
    drift, x = TILTED[name], somewhere()
    differences = sum(along(drift.vector, x, e) for e in frames(x))
    smooth = np.ones(len(x), dtype=bool)
    if name in ("cap", "relu"):
        assert isinstance(drift, Ridges)
        smooth = np.min(np.abs(x @ drift.directions.T), axis=1) > 0.01
    assert np.count_nonzero(smooth) > 20
    apart = np.abs(drift.divergence(x) - differences)
    assert np.max(apart[smooth]) <= 1e-8 * max(1.0, drift.rate)


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_have_a_potential(name: str) -> None:
    drift, x = TILTED[name], somewhere()
    assert drift.is_gradient
    for e in frames(x):
        slope = along(drift.potential, x, e)
        assert np.max(np.abs(slope - np.sum(drift.vector(x) * e, axis=1))) <= 1e-8
    grid = manifold("sphere", 3).grid(4, 120)
    mean = float(np.dot(grid.weights, drift.potential(grid.points)))
    assert drift.mean_potential() == pytest.approx(mean, abs=2e-5)


@pytest.mark.parametrize("k", [1.0, 1e4, 1e6])
@pytest.mark.parametrize("d", [2, 3, 64])
def test_means_of_narrow_bumps(k: float, d: int) -> None:
    axis = (*[0.0] * (d - 1), 1.0)
    bump = BumpPotential(centres=(axis,), concentration=k).on(d)
    exact = float(np.exp(log_scaled_bessel(0.5 * d - 1.0, np.array([k])))[0])
    assert bump.mean_potential() == pytest.approx(exact, rel=1e-9)


def test_others_have_none() -> None:
    assert not any(TILTED[name].is_gradient for name in ("linear", "tanh", "gelu", "relu"))


@pytest.mark.parametrize("name", TILTED)
def test_bounds_hold(name: str) -> None:
    drift = TILTED[name]
    assert np.max(np.linalg.norm(drift.vector(somewhere(500)), axis=1)) <= drift.size * (1 + 1e-12)


@pytest.mark.parametrize("d", [2, 3, 5])
def test_on_latitudes_they_are_the_sphere_s(d: int) -> None:
    axis = (*[0.0] * (d - 1), 1.0)
    turn = np.diag([0.4] * (d - 1) + [-0.3])
    if d == 3:
        turn[0, 1], turn[1, 0] = -0.2, 0.2
    e = np.array(axis)
    drifts = (
        LinearDrift(turn), CapPotential(axis=axis, strength=2.0).on(d),
        HarmonicPotential(axis=axis, coefficients=(0.2, -0.4)).on(d),
        Perceptron(e[:, None], 2.0 * e[None], np.array([0.3]), "tanh"),
    )  # fmt: skip
    theta = np.linspace(0.0, math.pi, 31)[:, None]
    zonal = Composite((), "sa", d, "zonal", drifts=drifts)
    plain = Composite((), "sa", d, "any", drifts=drifts)
    x = zonal.manifold.embed(theta)
    mu, nu = Measure.equal(theta), Measure.equal(x)
    velocity, divergence = zonal.field(mu).velocity_and_divergence(theta)
    whole, bend = plain.field(nu).velocity_and_divergence(x)
    meridian = whole[:, 0] * np.cos(theta[:, 0]) - whole[:, -1] * np.sin(theta[:, 0])
    assert np.max(np.abs(velocity[:, 0] - meridian)) <= 1e-14
    assert np.max(np.abs(divergence - bend)) <= 1e-13


def test_energy_of_a_potential_alone() -> None:
    cap = CapPotential(axis=(0.0, 0.0, 1.0), strength=2.0).on(3)
    made = Composite((), "sa", 3, "sphere", drifts=(cap,))
    assert made.energy_kind == "gradient" and made.has_potential and made.convexity == "positive"
    x = somewhere()
    field = made.field(Measure.equal(x))
    assert field.energy() == pytest.approx(float(np.mean(np.maximum(x[:, 2], 0.0) ** 2)), rel=1e-13)
    # int t_+^2 dsigma = 1/6
    assert field.energy_excess() == pytest.approx(field.energy() - 1.0 / 6.0, abs=1e-5)


def test_bad_input_is_one_line() -> None:
    with pytest.raises(InputError, match=r"potential\.axis: expected 3 numbers, found 2"):
        CapPotential(axis=(0.0, 1.0)).on(3)
    with pytest.raises(InputError, match=r"potential\.axis: expected a direction, found zeros"):
        CapPotential(axis=(0.0, 0.0, 0.0)).on(3)
    with pytest.raises(InputError, match=r"potential\.field: expected 3 numbers, found 1"):
        LinearPotential(field=(1.0,)).on(3)
    with pytest.raises(InputError, match=r"potential\.field: expected numbers up to 1e\+06"):
        LinearPotential(field=(0.0, 0.0, 1e200)).on(3)
    assert CapPotential(axis=(1e-200, 0.0, 0.0)).on(3).size == pytest.approx(1.0)
    with pytest.raises(InputError, match="d: found"):
        CapPotential(axis=(1.0, 0.0, 0.0)).on("x")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="'rulu' found, one of relu, gelu, tanh expected"):
        Perceptron(B.T, B, None, "rulu")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="W: a matrix of shape"):
        Perceptron(B, B)
    with pytest.raises(InputError, match="b: shape"):
        Perceptron(B.T, B, np.ones(3))
    with pytest.raises(InputError, match=r"perceptron .*: a direction off the last axis found"):
        Composite((), "sa", 3, "zonal", drifts=(Perceptron(B.T, B),))
