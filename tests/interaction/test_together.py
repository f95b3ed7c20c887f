"""Interactions side by side: sums of fields and energies, by transforms and over pairs."""

from __future__ import annotations

import math

import numpy as np
import pytest

from meanfield.errors import InputError
from meanfield.geometry.sphere import Array
from meanfield.interaction.attention import Attention
from meanfield.interaction.composite import Composite, HeadMatrices
from meanfield.interaction.contract import AnyInteraction
from meanfield.interaction.drifts import Drift, LinearDrift
from meanfield.interaction.drifts.potentials import BumpPotential, LinearPotential
from meanfield.interaction.interaction import Interaction
from meanfield.interaction.kernels import Log, Onsager, Power
from meanfield.interaction.measure import Measure
from meanfield.interaction.together import Together

GEOMETRIES = [("sphere", 3), ("circle", 2), ("zonal", 3), ("zonal", 5), ("any", 4)]


def places(geometry: str, d: int, count: int, seed: int = 0) -> Array:
    rng = np.random.default_rng(seed)
    if geometry == "zonal":
        return np.asarray(rng.uniform(0.1, math.pi - 0.1, size=(count, 1)))
    x = rng.normal(size=(count, d)) + 0.3
    return np.asarray(x / np.linalg.norm(x, axis=1, keepdims=True))


def masses(geometry: str, d: int, count: int = 40, seed: int = 3) -> Measure:
    m = np.random.default_rng(seed).uniform(size=count)
    return Measure(places(geometry, d, count, seed), m / m.sum())


def well(d: int, depth: float = 0.7) -> Drift:
    axis = (*(0.0 for _ in range(d - 1)), 1.0)
    return BumpPotential(centres=(axis,), strength=depth, concentration=2.0).on(d)


def external(geometry: str, d: int, *drifts: Drift) -> Composite:
    return Composite((), "sa", d, geometry, drifts=drifts)


@pytest.mark.parametrize(("geometry", "d"), GEOMETRIES)
def test_fields_add_up(geometry: str, d: int) -> None:
    """A kernel, a softmax head and a rotation: each row, by transforms and over pairs."""
    turn = np.zeros((d, d))
    if geometry != "zonal":
        turn[0, 1], turn[1, 0] = -1.0, 1.0
    head = HeadMatrices(3.0 * np.eye(d), np.eye(d))
    kernel = Interaction(Power(k=5, strength=2.0), d, geometry)
    heads = Composite((head,), "sa", d, geometry, drifts=(LinearDrift(turn), well(d)))
    both = Together((kernel, heads))
    mu, x = masses(geometry, d), places(geometry, d, 17)
    field = both.field(mu)
    ones, twos = kernel.direct().field(mu), heads.direct().field(mu)
    velocity, divergence = field.velocity_and_divergence(x)
    expected = [a + b for a, b in zip(
        ones.velocity_and_divergence(x), twos.velocity_and_divergence(x), strict=True
    )]  # fmt: skip
    assert velocity == pytest.approx(expected[0], abs=1e-9)
    assert divergence == pytest.approx(expected[1], abs=1e-8)
    assert field.velocity(x) == pytest.approx(velocity, abs=1e-12)
    at = both.locate(x)
    rows = field.along_edges(at)
    one, two = ones.along_edges(at), twos.along_edges(at)
    xi = one[0] + two[0]
    # Potentials are told up to a constant.
    assert np.ptp(rows[0] - xi) < 1e-9 and len(rows) == len(two)
    assert rows[1:] == pytest.approx(two[1:], abs=1e-9)
    assert both.has_gradient and both.energy_kind is None and math.isnan(field.energy())
    assert (both.harmonics is None) == (geometry == "any")


@pytest.mark.parametrize("value", [1, -1])
@pytest.mark.parametrize(("geometry", "d"), [("sphere", 3), ("circle", 2), ("zonal", 4)])
def test_a_head_beside_a_potential_is_the_same_either_way(
    geometry: str, d: int, value: int
) -> None:
    """usa with V = +I and -I: as a kernel beside a potential, and as a head with one."""
    attention, drift = Attention("usa", 3.0, d, geometry, value=value), well(d)
    both = Together((attention, external(geometry, d, drift)))
    head = HeadMatrices(3.0 * np.eye(d), value * np.eye(d))
    one = Composite((head,), "usa", d, geometry, drifts=(drift,))
    mu, x = masses(geometry, d), places(geometry, d, 9)
    a, b = both.field(mu), one.field(mu)
    assert a.velocity(x) == pytest.approx(b.velocity(x), rel=1e-9, abs=1e-9)
    scaled = a.velocity(x, scaled=True)
    assert scaled == pytest.approx(b.velocity(x, scaled=True), rel=1e-9, abs=1e-9)
    assert a.energy_excess() == pytest.approx(b.energy_excess(), rel=1e-9, abs=1e-12)
    assert a.ascent() == pytest.approx(b.ascent(), rel=1e-9, abs=1e-12)
    assert a.energy() == pytest.approx(b.energy(), rel=1e-9)
    assert a.energy(scaled=True) == pytest.approx(b.energy(scaled=True), rel=1e-9)
    assert both.scaled(1.0) == pytest.approx(one.scaled(1.0))
    density = a.dissipation_density(x)
    assert density == pytest.approx(b.dissipation_density(x), rel=1e-8, abs=1e-12)
    assert both.convexity == one.convexity == ("positive" if value > 0 else "negative")
    assert both.free_energy(2.0, 3.0, 0.5) == one.free_energy(2.0, 3.0, 0.5)
    assert 0.0 < a.energy_noise() < 1e-9
    if geometry != "zonal":
        n = len(mu.weights)
        equal = Measure.equal(places(geometry, d, n))
        assert both.pair_energy(equal, n) == pytest.approx(one.pair_energy(equal, n), rel=1e-9)


def test_energy_rises_by_what_is_told() -> None:
    """d ascent/dt along the flow is the integral of the dissipation density."""
    both = Together((
        Interaction(Power(k=2, strength=-1.5), 3, "sphere"),
        Composite((HeadMatrices(np.diag([2.0, 1.0, -1.0]), np.diag([2.0, 1.0, -1.0])),), "usa", 3,
                  "sphere", drifts=(well(3), LinearDrift(np.diag([1.0, 0.0, 0.5])))),
    ))  # fmt: skip
    mu, step = masses("sphere", 3), 1e-5
    field = both.field(mu)
    found = float(mu.weights @ field.dissipation_density(mu.points))
    v = field.velocity(mu.points)
    ends = []
    for sign in (-1.0, 1.0):
        x = np.asarray(mu.points) + sign * step * v
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        ends.append(both.field(Measure(x, mu.weights)).ascent())
    assert found > 0.05
    assert (ends[1] - ends[0]) / (2.0 * step) == pytest.approx(found, rel=1e-7)


def test_what_is_known() -> None:
    kernel = Interaction(Onsager(), 3, "sphere").on_mesh(642)
    rest = external("sphere", 3, LinearPotential(field=(0.0, 0.0, 1.0)).on(3))
    both = Together((kernel, rest))
    assert both.energy_kind == "gradient" and both.why_no_energy == ""
    assert both.has_potential and both.convexity == kernel.convexity
    assert both.harmonics is not None and kernel.harmonics is not None
    assert both.harmonics.degree == kernel.harmonics.degree
    assert np.array_equal(both.repels, kernel.repels)
    assert both.metric == pytest.approx(kernel.metric)
    assert not both.series_ends and both.truncation == kernel.truncation
    assert both.fastest_rate(9) == kernel.fastest_rate(9) + rest.fastest_rate(9)
    assert not both.is_external and rest.is_external
    assert both.degree(1e-6) == kernel.degree(1e-6) and both.sharpness == kernel.sharpness
    assert both.describe() == "onsager, s = 0.5; linear potential, 1 direction"
    assert both.on_mesh(162).harmonics.degree < both.harmonics.degree  # type: ignore[union-attr]
    assert both.with_dark(7.0).dark == 7.0 and both.direct().harmonics is None
    normalised = Together((Attention("sa", 3.0, 3, "sphere"), rest))
    assert normalised.energy_kind is None and "normalised" in normalised.why_no_energy
    turn = external("sphere", 3, LinearDrift(np.array([[0, -1, 0], [1, 0, 0], [0, 0, 0.0]])))
    assert Together((kernel, turn)).why_no_energy == "the drift is no gradient"
    repelling = Interaction(Power(k=1, strength=-1.0), 3, "sphere")
    assert Together((repelling, rest)).convexity == "negative"
    assert Together((repelling, Interaction(Power(k=2), 3, "sphere"))).convexity == "mixed"


def test_a_kernel_without_end_takes_all_to_direct_sums() -> None:
    """Tokens under a singular kernel and a head: no transforms for either, and no own terms."""
    both = Together((
        Interaction(Log(), 3, "sphere"),
        Composite((HeadMatrices(2.0 * np.eye(3), np.eye(3)),), "sa", 3, "sphere"),
    ))  # fmt: skip
    assert both.harmonics is None and both.leaves_out_self and not both.series_ends
    mu = masses("sphere", 3)
    x = np.asarray(mu.points)
    e = np.exp(2.0 * x @ x.T) * mu.weights
    pull = e @ x / e.sum(axis=1)[:, None]
    for i in range(len(x)):
        for j in range(len(x)):
            if i != j:
                pull[i] += 0.5 * mu.weights[j] * x[j] / (1.0 - x[i] @ x[j])
    pull -= np.sum(pull * x, axis=1, keepdims=True) * x
    assert both.field(mu).velocity(x) == pytest.approx(pull, rel=1e-9, abs=1e-10)


def test_bad_parts() -> None:
    kernel = Interaction(Power(k=1), 3, "sphere")
    for parts, said in (
        ((), "found none"),
        ((kernel, Interaction(Power(k=1), 3, "zonal")), r"parts\[1\]: one on 'zonal' \(d = 3\)"),
        ((kernel, Interaction(Power(k=1), 2, "circle")), r"'circle' \(d = 2\) found"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=said):
            Together(parts)
    with pytest.raises(InputError, match="parts"):
        Together((kernel, 5))  # type: ignore[arg-type]  # what is refused


def test_parts_may_be_sums() -> None:
    parts: list[AnyInteraction] = [
        Interaction(Power(k=k, strength=float(k)), 3, "sphere") for k in (1, 2, 3)
    ]
    nested = Together((Together((parts[0], parts[1])), parts[2]))
    flat = Together(tuple(parts))
    mu = masses("sphere", 3)
    assert nested.field(mu).velocity(mu.points) == pytest.approx(flat.field(mu).velocity(mu.points))
    assert nested.field(mu).energy() == pytest.approx(flat.field(mu).energy(), rel=1e-12)


def test_dissipation_of_large_velocities_is_a_double_as_long_as_it_can_be() -> None:
    """usa with |A| = 400: e^{800} is none, e^{400} is."""
    head = HeadMatrices(400.0 * np.eye(3), np.eye(3))
    one = Composite((head,), "usa", 3)
    both = Together((one, Composite((), "usa", 3, drifts=(LinearDrift(np.zeros((3, 3))),))))
    mu = Measure.equal(places("any", 3, 9))
    wanted = one.field(mu).dissipation_density(mu.points)
    assert np.all(np.isfinite(wanted)) and wanted.max() > 1e100
    found = both.field(mu).dissipation_density(mu.points)
    assert found == pytest.approx(wanted, rel=1e-9)
