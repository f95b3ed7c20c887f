"""What fields say that the energy changes by along the flow, against what it changes by."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from meanfield.geometry.sphere import Array
from meanfield.interaction.attention import Attention
from meanfield.interaction.composite import Composite, HeadMatrices
from meanfield.interaction.contract import AnyInteraction
from meanfield.interaction.drifts import POTENTIALS, LinearDrift
from meanfield.interaction.interaction import Interaction
from meanfield.interaction.kernels import Gaussian, Kernel, Log, MaierSaupe, Power
from meanfield.interaction.measure import Measure

STEP = 1e-4


def some(d: int, n: int = 40) -> Measure:
    rng = np.random.default_rng(d)
    x = rng.normal(size=(n, d)) + 0.4 * np.eye(d)[0]
    m = rng.uniform(0.5, 1.5, n)
    return Measure(x / np.linalg.norm(x, axis=1, keepdims=True), m / m.sum())


def moved(points: Array, velocity: Array, s: float) -> Array:
    """Along geodesics; zonal: colatitudes."""
    if points.shape[1] == 1:
        return points + s * velocity
    speed = np.linalg.norm(velocity, axis=1, keepdims=True)
    along = velocity / np.where(speed > 0.0, speed, 1.0)
    return np.asarray(points * np.cos(s * speed) + along * np.sin(s * speed))


def check(interaction: AnyInteraction, mu: Measure, tolerance: float = 1e-6) -> float:
    """The integral of the density is the rate of ``ascent``; returns it."""
    field = interaction.field(mu)
    density = field.dissipation_density(mu.points)
    assert density.shape == mu.weights.shape and np.all(density >= 0.0)
    rate, velocity = float(mu.weights @ density), field.velocity(mu.points)

    def ascent(s: float) -> float:
        there = Measure(moved(np.asarray(mu.points), velocity, s), mu.weights)
        return interaction.field(there).ascent()

    step = STEP / max(1.0, float(np.abs(velocity).max()))
    near = (ascent(step) - ascent(-step)) / (2.0 * step)
    far = (ascent(2.0 * step) - ascent(-2.0 * step)) / (4.0 * step)
    found = (4.0 * near - far) / 3.0
    assert found == pytest.approx(rate, rel=tolerance)
    return rate


def symmetric(d: int, seed: int) -> Array:
    a = np.random.default_rng(seed).normal(size=(d, d))
    return np.asarray(a + a.T)


@pytest.mark.parametrize("value", [1, -1])
@pytest.mark.parametrize("beta", [0.0, 4.0, -3.0])
@pytest.mark.parametrize("kind", ["sa", "usa"])
def test_attention(kind: str, beta: float, value: int) -> None:
    for d, geometry, method in (
        (3, "sphere", "harmonics"), (3, "sphere", "direct"), (2, "circle", "harmonics"),
        (7, "any", "direct"),
    ):  # fmt: skip
        model = Attention(kind, beta, d, geometry, value, method)
        assert check(model, some(d)) > 0.0


@pytest.mark.parametrize("kind", ["sa", "usa"])
def test_zonal_densities(kind: str) -> None:
    theta = np.linspace(0.1, 3.0, 30)[:, None]
    mu = Measure(theta, np.full(30, 1.0 / 30.0))
    for method in ("harmonics", "direct"):
        assert check(Attention(kind, 3.0, 5, "zonal", method=method), mu) > 0.0


def test_other_kernels_in_both_links() -> None:
    for link in ("identity", "log"):
        kernels: list[Kernel] = [Gaussian(width=0.7, link=link)]
        if link == "identity":
            kernels += [Power(k=3), MaierSaupe(strength=-2.0), Log(strength=0.5)]
        for kernel in kernels:
            assert check(Interaction(kernel, 3, "sphere"), some(3)) > 0.0


HEADS: dict[str, Callable[[int], Composite]] = {
    "one softmax head": lambda d: Composite((HeadMatrices(symmetric(d, 1), 0.7 * symmetric(d, 1)),),
                                            "sa", d),
    "one that repels": lambda d: Composite((HeadMatrices(symmetric(d, 1), -symmetric(d, 1)),),
                                           "sa", d),
    "heads that are summed": lambda d: Composite(
        tuple(HeadMatrices(symmetric(d, k), (-1) ** k * 0.5 * symmetric(d, k)) for k in range(3)),
        "usa", d, drifts=(LinearDrift(symmetric(d, 9)),)),
    "a head and a potential": lambda d: Composite(
        (HeadMatrices(symmetric(d, 1), symmetric(d, 1)),), "usa", d,
        drifts=(POTENTIALS["cap"](axis=np.eye(d)[0].tolist(), strength=3.0).on(d),)),
    "a drift": lambda d: Composite((), "sa", d, drifts=(LinearDrift(symmetric(d, 9)),)),
}  # fmt: skip


@pytest.mark.parametrize("d", [2, 3, 5])
@pytest.mark.parametrize("name", HEADS)
def test_heads(name: str, d: int) -> None:
    from dataclasses import replace

    model = HEADS[name](d)
    assert check(model, some(d)) > 0.0
    if d <= 3:
        on = replace(model, geometry={2: "circle", 3: "sphere"}[d])
        assert check(replace(on, method="harmonics"), some(d)) > 0.0


def test_numbers_that_no_double_holds_are_left_scaled() -> None:
    mu = some(3)
    for beta in (1500.0, -1500.0):
        field = Attention("sa", beta, 3).field(mu)
        assert not field.interaction.has_double_energy
        assert np.all(np.isfinite(field.dissipation_density(mu.points)))
    steep = Composite((HeadMatrices(1500.0 * np.eye(3), np.eye(3)),), "sa", 3).field(mu)
    plain = Attention("sa", 1500.0, 3).field(mu)
    found, known = (f.dissipation_density(mu.points) for f in (steep, plain))
    np.testing.assert_allclose(found, known, rtol=1e-6, atol=1e-30)
    # The same field, whose energy is in the same unit.
    soft = Composite((HeadMatrices(4.0 * np.eye(3), np.eye(3)),), "usa", 3).field(mu)
    same = Attention("usa", 4.0, 3).field(mu)
    found, known = (f.dissipation_density(mu.points) for f in (soft, same))
    np.testing.assert_allclose(found, known, rtol=1e-9)
    assert math.isfinite(float(found.sum()))


def test_heads_that_do_nothing_dissipate_nothing() -> None:
    """Also where the first one is such a head."""
    d = np.diag([1.0, 0.4, -0.7])
    idle, acting = HeadMatrices(2.0 * np.eye(3), np.zeros((3, 3))), HeadMatrices(1.5 * d, d)
    for geometry in ("any", "sphere"):
        mu = some(3)
        both = check(Composite((idle, acting), "sa", 3, geometry), mu)
        alone = check(Composite((acting,), "sa", 3, geometry), mu)
        # In the unit of scaled energies, that of the largest A.
        assert both == pytest.approx(alone * math.exp(1.5 - 2.0), rel=1e-9)
