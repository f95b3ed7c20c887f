"""Heads with any matrices: against sums over all pairs, exact fields, and what must not change."""

from __future__ import annotations

import gc
import math
import weakref

import numpy as np
import pytest
from scipy.stats import special_ortho_group

import meanfield as mf
from meanfield.errors import InputError
from meanfield.geometry.sphere import Array
from meanfield.interaction.attention import Attention
from meanfield.interaction.composite import Composite, HeadMatrices
from meanfield.interaction.composite.sums import (
    Stack,
    head_sums,
    summed_exponentials,
    summed_flow,
)
from meanfield.interaction.contract import DarkPoints
from meanfield.interaction.drifts import LinearDrift
from meanfield.interaction.measure import Measure

GENERAL = [[0.9, -0.4, 0.2], [0.5, 0.7, -0.3], [0.0, 0.4, 0.8]]


def directions(count: int, d: int, seed: int = 0) -> Array:
    x = np.random.default_rng(seed).normal(size=(count, d))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def matrix(sizes: list[float], seed: int) -> Array:
    """With these singular values, in random frames."""
    d = len(sizes)
    left, right = (special_ortho_group.rvs(d, random_state=seed + k) for k in (0, 1000))
    return np.asarray(left @ np.diag(sizes) @ right)


def measure(count: int, d: int, seed: int = 5) -> Measure:
    """Uneven masses, more of them on one side."""
    rng = np.random.default_rng(seed)
    x = directions(count, d, seed) + 0.3
    m = rng.uniform(size=count)
    return Measure(x / np.linalg.norm(x, axis=1, keepdims=True), m / m.sum())


def summed(
    heads: tuple[HeadMatrices, ...], model: str, x: Array, mu: Measure, drift: Array | None = None
) -> tuple[Array, Array]:
    """X and div X by sums over all pairs, as they stand."""
    y, m, _ = mu
    d = x.shape[1]
    velocity, divergence = np.zeros_like(x), np.zeros(len(x))
    for head in heads:
        exponent = x @ head.A.T @ y.T
        shift = exponent.max(axis=1) if model == "sa" else np.zeros(len(x))
        e = np.exp(exponent - shift[:, None]) * m
        z, n = e.sum(axis=1), e @ y
        second = np.einsum("ij,jk,jl->ikl", e, y, y)
        gradient = head.V @ second @ head.A
        flow = n @ head.V.T
        bend = np.trace(gradient, axis1=1, axis2=2) - np.einsum("ia,iab,ib->i", x, gradient, x)
        bend -= (d - 1) * np.sum(x * flow, axis=1)
        flow = flow - np.sum(x * flow, axis=1, keepdims=True) * x
        if model == "sa":
            flow /= z[:, None]
            bend = bend / z - np.sum(flow * (n @ head.A), axis=1) / z
        velocity += flow
        divergence += bend
    if drift is not None:
        image = x @ drift.T
        inner = np.sum(x * image, axis=1)
        velocity += image - inner[:, None] * x
        divergence += np.trace(drift) - d * inner
    return velocity, divergence


SETS = [
    [9.0, 7.0, 4.5], [9.0, 5.0, 0.5], [9.0, 5.0, 0.0], [9.0, 0.0, 0.0], [0.0, 0.0, 0.0],
    [9.0, 9.0, 9.0], [30.0, 20.0, 3.0], [50.0, 40.0, 25.0], [50.0, 0.0, 0.0], [100.0, 99.0, 98.0],
    [1.0, 0.5, 0.2],
]  # fmt: skip


@pytest.mark.parametrize("sizes", SETS, ids=str)
@pytest.mark.parametrize("model", ["sa", "usa"])
def test_transforms_on_the_sphere_are_sums_over_pairs(sizes: list[float], model: str) -> None:
    heads = tuple(
        HeadMatrices(matrix(sizes, 3 + k), matrix([1.0, 0.7, -0.4], 7 + k)) for k in (0, 1)
    )
    drift = np.array(GENERAL)
    mu, x = measure(400, 3), directions(60, 3, 1)
    exact, bend = summed(heads, model, x, mu, drift)
    made = Composite(heads, model, 3, "sphere", accuracy=1e-11, drifts=(LinearDrift(drift),))
    assert made.harmonics is not None
    field = made.field(mu)
    velocity, divergence = field.velocity_and_divergence(x)
    size, large = (max(1.0, float(np.abs(v).max())) for v in (exact, bend))
    assert np.max(np.abs(velocity - exact)) <= 1e-10 * size
    assert np.max(np.abs(field.velocity(x) - exact)) <= 1e-10 * size
    assert np.max(np.abs(divergence - bend)) <= 1e-10 * large


@pytest.mark.parametrize("sizes", [[50.0, 5.0, 0.0], [200.0, 160.0, 100.0]], ids=str)
def test_by_default_the_field_is_right_to_1e_7_of_z(sizes: list[float]) -> None:
    heads = (HeadMatrices(matrix(sizes, 3), np.eye(3)),)
    mu, x = measure(400, 3), directions(200, 3, 1)
    exact, _ = summed(heads, "sa", x, mu)
    velocity = Composite(heads, "sa", 3, "sphere").field(mu).velocity(x)
    assert np.max(np.abs(velocity - exact)) <= 1e-7


@pytest.mark.parametrize(
    "sizes", [[9.0, 4.0], [9.0, 0.0], [0.0, 0.0], [50.0, 3.0], [200.0, 90.0]], ids=str
)
@pytest.mark.parametrize("model", ["sa", "usa"])
def test_series_on_the_circle_are_sums_over_pairs(sizes: list[float], model: str) -> None:
    heads = tuple(HeadMatrices(matrix(sizes, 3 + k), matrix([1.0, -0.4], 7 + k)) for k in (0, 1))
    mu, x = measure(300, 2), directions(60, 2, 1)
    exact, bend = summed(heads, model, x, mu)
    size, large = float(np.abs(exact).max()), max(1.0, float(np.abs(bend).max()))
    velocity, divergence = (
        Composite(heads, model, 2, "circle", accuracy=1e-12).field(mu).velocity_and_divergence(x)
    )
    assert np.max(np.abs(velocity - exact)) <= 1e-12 * size
    assert np.max(np.abs(divergence - bend)) <= 1e-12 * large


@pytest.mark.parametrize("d", [2, 5])
@pytest.mark.parametrize("model", ["sa", "usa"])
def test_compiled_sums_in_any_dimension(d: int, model: str) -> None:
    sizes = [9.0, 4.0, 2.0, 1.0, 0.0][:d]
    heads = (HeadMatrices(matrix(sizes, 3), matrix(sizes[::-1], 5)),)
    mu, x = measure(3000, d), directions(30, d, 1)
    exact, bend = summed(heads, model, x, mu)
    velocity, divergence = Composite(heads, model, d).field(mu).velocity_and_divergence(x)
    assert np.max(np.abs(velocity - exact)) <= 1e-13 * np.abs(exact).max()
    assert np.max(np.abs(divergence - bend)) <= 1e-13 * np.abs(bend).max()


# ------------------------------------------------------------------ axially symmetric


def about_axis(d: int, across: float, along: float, angle: float = 0.0) -> Array:
    out = np.diag([across] * (d - 1) + [along])
    if d == 3:
        c, s = math.cos(angle), math.sin(angle)
        out[:2, :2] = across * np.array([[c, -s], [s, c]])
    return out


@pytest.mark.parametrize("d", [2, 3, 4, 8, 64])
@pytest.mark.parametrize("model", ["sa", "usa"])
def test_zonal_series_are_sums_and_the_sphere_s(d: int, model: str) -> None:
    heads = (
        HeadMatrices(about_axis(d, 7.0, -4.0, 0.4), about_axis(d, 0.8, 1.3, 0.5)),
        HeadMatrices(about_axis(d, -2.0, 1.0, 0.1), about_axis(d, 0.8, -1.3, 0.3)),
    )
    drift = about_axis(d, 0.5, -0.2, 0.7)
    rng = np.random.default_rng(4)
    theta, m = np.arccos(rng.uniform(-1.0, 1.0, 100)), rng.uniform(size=100)
    mu = Measure(theta[:, None], m / m.sum())
    at = np.concatenate([[0.0, math.pi, 1e-9], rng.uniform(0.0, math.pi, 20)])[:, None]
    made = Composite(heads, model, d, "zonal", drifts=(LinearDrift(drift),))  # type: ignore[arg-type]
    velocity, divergence = made.field(mu).velocity_and_divergence(at)
    direct, bend = made.direct().field(mu).velocity_and_divergence(at)
    size, large = np.abs(direct).max(), np.abs(bend).max()
    assert np.max(np.abs(velocity - direct)) <= 1e-12 * size
    assert np.max(np.abs(divergence - bend)) <= 1e-12 * large
    assert np.all(np.abs(velocity[:2]) <= 1e-14 * size)  # the poles rest
    if d > 3:
        return
    # The same masses all round, on the whole sphere.
    turns = np.linspace(0.0, 2.0 * math.pi, 64 if d == 3 else 2, endpoint=False)
    s, c = np.sin(theta), np.cos(theta)
    sides = [np.outer(s, np.cos(turns))] + ([np.outer(s, np.sin(turns))] if d == 3 else [])
    spread = np.stack([*sides, np.outer(c, np.ones_like(turns))], axis=-1).reshape(-1, d)
    x = np.zeros((len(at), d))
    x[:, 0], x[:, -1] = np.sin(at[:, 0]), np.cos(at[:, 0])
    masses = np.repeat(mu.weights / len(turns), len(turns))
    whole, whole_bend = summed(heads, model, x, Measure(spread, masses), drift)
    along = whole[:, 0] * np.cos(at[:, 0]) - whole[:, -1] * np.sin(at[:, 0])
    assert np.max(np.abs(along - direct[:, 0])) <= 1e-12 * size
    assert np.max(np.abs(whole_bend - bend)) <= 1e-12 * large


def test_zonal_refuses_what_does_not_stay_symmetric() -> None:
    tilted = HeadMatrices(np.array(GENERAL), np.eye(3))
    with pytest.raises(InputError, match=r"heads\[0\]\.A: .* rotations about the last axis"):
        Composite((tilted,), "sa", 3, "zonal")
    with pytest.raises(InputError, match=r"drift: a matrix .* about the last axis expected"):
        Composite((), "sa", 4, "zonal", drifts=(LinearDrift(np.diag([1.0, 2.0, 3.0, 4.0])),))


# ------------------------------------------------------------------ what must be so


def test_multiples_of_the_identity_are_the_model_of_one_beta() -> None:
    mu, x = measure(300, 3), directions(40, 3, 1)
    for model in ("sa", "usa"):
        one = Attention(model, 4.0, 3, "sphere").field(mu)
        head = HeadMatrices(4.0 * np.eye(3), np.eye(3))
        same = Composite((head,), model, 3, "sphere").field(mu)
        size = np.abs(one.velocity(x)).max()
        assert np.max(np.abs(one.velocity(x) - same.velocity(x))) <= 1e-11 * size
        assert np.max(np.abs(one.divergence(x) - same.divergence(x))) <= 1e-10 * size
        assert same.energy() == pytest.approx(one.energy(), rel=1e-12)
        assert same.energy_excess() == pytest.approx(one.energy_excess(), rel=1e-11)


@pytest.mark.parametrize("model", ["sa", "usa"])
def test_heads_add_up(model: str) -> None:
    rng = np.random.default_rng(3)
    mu, x = measure(300, 3), directions(40, 3, 1)
    heads = tuple(
        HeadMatrices(2.0 * rng.normal(size=(3, 3)), rng.normal(size=(3, 3))) for _ in range(3)
    )

    def velocity(*of: HeadMatrices) -> Array:
        return Composite(of, model, 3, "sphere").field(mu).velocity(x)  # type: ignore[arg-type]

    size = np.abs(velocity(*heads)).max()
    halves = [HeadMatrices(heads[0].A, 0.5 * heads[0].V)] * 2
    assert np.max(np.abs(velocity(*halves) - velocity(heads[0]))) <= 1e-14 * size
    assert np.max(np.abs(velocity(*heads) - velocity(*heads[::-1]))) <= 1e-14 * size
    apart = sum(velocity(head) for head in heads)
    assert np.max(np.abs(velocity(*heads) - apart)) <= 1e-12 * size


@pytest.mark.parametrize("d", [2, 3, 5])
def test_many_heads_in_one_call_are_the_sum_of_each(d: int) -> None:
    rng = np.random.default_rng(d)
    x, y = (rng.normal(size=(n, d)) for n in (30, 2100))
    x, y = (a / np.linalg.norm(a, axis=1, keepdims=True) for a in (x, y))
    m = rng.random(2100) * (rng.random(2100) > 0.1) / 2100
    matrices = rng.normal(size=(5, 2, d, d))
    matrices[0] *= 90.0
    heads = [HeadMatrices(a, v) for a, v in matrices]
    on = Composite((), "sa", d).manifold
    parts = [head_sums(head, x, y, m, 1, on) for head in heads]
    stack, unit = Stack.of(heads), max(head.size for head in heads)
    for given, scale in (
        (None, [1.0 / p.z for p in parts]),
        (unit, [np.exp(p.log_scale - unit) for p in parts]),
    ):
        expected = sum(p.flow * s[:, None] for p, s in zip(parts, scale, strict=True))  # type: ignore[operator]
        found = summed_flow(stack, x, y, m, given)
        assert np.abs(found - expected).max() <= 1e-13 * np.abs(expected).max()
    factors = rng.normal(size=5)
    exponentials = sum(
        f * p.z * np.exp(p.log_scale - h.size)
        for f, p, h in zip(factors, parts, heads, strict=True)
    )
    found = summed_exponentials(stack, x, y, m, factors)
    assert np.abs(found - exponentials).max() <= 1e-13 * np.abs(exponentials).max()
    nothing = summed_flow(stack, x, y, np.zeros(2100), unit)
    assert not np.any(nothing)


@pytest.mark.parametrize("model", ["sa", "usa"])
def test_rotated_together_all_is_rotated(model: str) -> None:
    mu, x = measure(300, 3), directions(40, 3, 1)
    r = special_ortho_group.rvs(3, random_state=1)
    head = HeadMatrices(matrix([9.0, 5.0, 0.5], 3), np.array(GENERAL))
    turned = HeadMatrices(r @ head.A @ r.T, r @ head.V @ r.T)
    before = Composite((head,), model, 3, "sphere", accuracy=1e-11).field(mu)
    moved = Measure(np.asarray(mu.points) @ r.T, mu.weights)
    after = Composite((turned,), model, 3, "sphere", accuracy=1e-11).field(moved)
    size = np.abs(before.velocity(x)).max()
    assert np.max(np.abs(after.velocity(x @ r.T) - before.velocity(x) @ r.T)) <= 1e-11 * size


def uniform(made: Composite, count: int = 500) -> Measure:
    """The uniform measure, as densities on a mesh are."""
    x = made.manifold.coordinates(directions(count, made.d, 8))
    w = np.full(count, 1.0 / count)
    return Measure(made.locate(x), w, w)


@pytest.mark.parametrize("d", [2, 3])
def test_uniform_measure_exerts_its_exact_field(d: int) -> None:
    a = np.array([[6.0, -2.0, 1.0], [3.0, 1.0, -4.0], [0.5, 2.0, 2.0]])[:d, :d]
    v = np.array(GENERAL)[:d, :d]
    made = Composite((HeadMatrices(a, v),), "sa", d, "circle" if d == 2 else "sphere")
    x = directions(50, d, 2)
    w = x @ a.T
    r = np.linalg.norm(w, axis=1)
    if d == 3:
        factor = (1.0 / np.tanh(r) - 1.0 / r) / r
    else:
        from scipy.special import ive

        factor = ive(1, r) / (r * ive(0, r))
    exact = (factor[:, None] * w) @ v.T
    exact -= np.sum(exact * x, axis=1, keepdims=True) * x
    found = made.field(uniform(made)).velocity(x)
    assert np.max(np.abs(found - exact)) <= 1e-12


@pytest.mark.parametrize("model", ["sa", "usa"])
@pytest.mark.parametrize("geometry", ["sphere", "circle", "zonal"])
def test_uniform_measure_is_exactly_at_rest_where_va_is_a_multiple_of_i(
    model: str, geometry: str
) -> None:
    d = 2 if geometry == "circle" else 3
    a = matrix([9.0, 4.5, 1.5][-d:], 3)
    if geometry == "zonal":
        a = about_axis(3, 9.0, -2.0, 0.4)
    made = Composite((HeadMatrices(a, 3.0 * np.linalg.inv(a)),), model, d, geometry)  # type: ignore[arg-type]
    assert made.heads[0].rests
    x = made.manifold.coordinates(directions(50, d, 2))
    mu = uniform(made)
    assert np.all(made.field(mu).velocity(x) == 0.0)
    assert np.max(np.abs(made.field(mu).along_edges(made.locate(x)))) <= 1e-15


# ------------------------------------------------------------------ growth at the uniform state


def growth(made: Composite, number: int) -> tuple[float, float]:
    """What -div X, linearised about the uniform measure, makes of a harmonic: its own, its twin's.

    ``number`` of a cosine; the twin is the sine of the same degree and order.
    """
    from meanfield.geometry.manifolds.algebra import places

    harmonics = made.harmonics
    assert harmonics is not None
    moments = harmonics.uniform()
    size = 1e-4
    degree = harmonics.degree
    grid = made.manifold.grid(degree, 2 * degree + 2)
    nobody = Measure(made.locate(np.zeros((0, made.manifold.gdim))), np.zeros(0))
    at = made.locate(grid.points)
    rates = []
    for sign in (1.0, -1.0):
        moved = moments.copy()
        moved[number] = sign * size
        field = made.field_of_moments(moved, nobody, 0.0, None)
        velocity, divergence = field.velocity_and_divergence(at)
        rho, slope = grid.synthesise(moved), harmonics.gradient(moved, at)
        rates.append(-(rho * divergence + np.sum(velocity * slope, axis=1)))
    change = grid.analyse((rates[0] - rates[1]) / (2.0 * size))
    if made.d == 2:
        return float(change[number]), float(change[number + 1])
    l, m, sine = places(harmonics.degree)
    twin = np.flatnonzero((l == l[number]) & (m == m[number]) & sine)
    return float(change[number]), float(change[twin[0]]) if twin.size else 0.0


def cosine(made: Composite, l: int, m: int) -> int:
    """The number of a cosine harmonic."""
    if made.d == 2:
        return 2 * l - 1
    from meanfield.geometry.manifolds.algebra import places

    assert made.harmonics is not None
    degree, order, sine = places(made.harmonics.degree)
    return int(np.flatnonzero((degree == l) & (order == m) & ~sine)[0])


def turned_by(angle: float, d: int) -> Array:
    c, s = math.cos(angle), math.sin(angle)
    out = np.eye(d)
    out[:2, :2] = [[c, -s], [s, c]]
    return out


def test_rotated_keys_make_waves() -> None:
    """A = beta R, V = R^T: growth r_l cos(m al), frequency r_l sin(m al)."""
    r = turned_by(0.7, 3)
    made = Composite((HeadMatrices(4.0 * r, r.T),), "sa", 3, "sphere", accuracy=1e-11)
    known = {
        (1, 1): (0.28707248, 0.24179782),
        (2, 1): (0.50135020, 0.42228144),
        (3, 2): (0.10423678, 0.60435273),
    }
    for (l, m), (rate, frequency) in known.items():
        own, twin = growth(made, cosine(made, l, m))
        assert own == pytest.approx(rate, abs=1e-7)
        assert abs(twin) == pytest.approx(frequency, abs=1e-7)
    flat = turned_by(0.7, 2)
    circle = Composite((HeadMatrices(4.0 * flat, flat.T),), "sa", 2, "circle")
    for l, (rate, frequency) in {
        1: (0.1651146306, 0.1390741348),
        3: (-0.3354141038, 0.5735066458),
    }.items():
        own, twin = growth(circle, cosine(circle, l, l))
        assert own == pytest.approx(rate, abs=1e-7)
        assert abs(twin) == pytest.approx(frequency, abs=1e-7)


def test_rotated_values_and_rotated_keys_on_the_circle() -> None:
    r = turned_by(0.7, 2)
    values = Composite((HeadMatrices(4.0 * np.eye(2), r),), "sa", 2, "circle")
    own, twin = growth(values, cosine(values, 1, 1))
    assert (own, abs(twin)) == pytest.approx((0.1651146306, 0.5810654516), abs=1e-7)
    keys = Composite((HeadMatrices(4.0 * r, np.eye(2)),), "sa", 2, "circle")
    own, twin = growth(keys, cosine(keys, 2, 2))
    assert (own, abs(twin)) == pytest.approx((0.1865119680, 0.7037320202), abs=1e-7)


def test_two_heads_of_two_temperatures() -> None:
    half = 0.5 * np.eye(3)
    heads = (HeadMatrices(4.0 * np.eye(3), half), HeadMatrices(9.0 * np.eye(3), half))
    made = Composite(heads, "sa", 3, "sphere", accuracy=1e-11)
    alone = [Attention("sa", beta, 3).uniform_rates(3) for beta in (4.0, 9.0)]
    for l, rate in ((1, 0.2864335), (2, 0.5623155), (3, 0.6385995)):
        assert rate == pytest.approx(0.5 * (alone[0][l] + alone[1][l]), abs=1e-6)
        assert growth(made, cosine(made, l, 0))[0] == pytest.approx(rate, abs=1e-6)


# ------------------------------------------------------------------ energies


def symmetric(seed: int, definite: bool) -> Array:
    g = np.random.default_rng(seed).normal(size=(3, 3))
    return g @ g.T if definite else g + g.T


def test_where_there_is_an_energy() -> None:
    d = symmetric(1, True)
    head, other = HeadMatrices(4.0 * d, d), HeadMatrices(2.0 * d, -d)
    assert Composite((head, other), "usa", 3).energy_kind == "gradient"
    assert Composite((head,), "sa", 3).energy_kind == "monotone"
    two = Composite((head, other), "sa", 3)
    assert two.energy_kind is None and math.isnan(two.field(measure(20, 3)).energy())
    assert "softmax heads" in two.why_no_energy
    lopsided = HeadMatrices(np.array(GENERAL), np.array(GENERAL))
    assert Composite((lopsided,), "usa", 3).energy_kind is None
    assert "not symmetric" in Composite((lopsided,), "usa", 3).why_no_energy
    assert Composite((HeadMatrices(d, np.eye(3)),), "usa", 3).energy_kind is None
    assert Composite((), "sa", 3, drifts=(LinearDrift(np.array(GENERAL)),)).energy_kind is None
    assert Composite((), "sa", 3, drifts=(LinearDrift(d),)).energy_kind == "gradient"
    assert Composite((head,), "sa", 3, drifts=(LinearDrift(d),)).energy_kind is None
    assert Composite((head,), "usa", 3).convexity == "positive"
    assert Composite((head, other), "usa", 3).convexity == "mixed"
    mixed = HeadMatrices(np.diag([1.0, 0.4, -0.7]), np.diag([1.0, 0.4, -0.7]))
    assert Composite((mixed,), "usa", 3).convexity == "mixed"


def test_any_gradient_head_has_a_potential() -> None:
    """V = c A^T, A not symmetric: X = grad xi, but no energy."""
    head = HeadMatrices(np.array(GENERAL), 0.3 * np.array(GENERAL).T)
    assert head.gradient_factor == pytest.approx(0.3)
    for model in ("sa", "usa"):
        made = Composite((head,), model, 3, "sphere", accuracy=1e-11)
        assert made.has_potential and made.energy_kind is None
        field, x = made.field(measure(200, 3)), directions(30, 3, 1)
        e = np.cross(x, [0.2, 0.5, -0.4])
        e /= np.linalg.norm(e, axis=1, keepdims=True)
        h = 1e-3
        slope = np.zeros(len(x))
        for step, weight in ((1, 8.0), (-1, -8.0), (2, -1.0), (-2, 1.0)):
            y = math.cos(step * h) * x + math.sin(step * h) * e
            slope += weight * field.along_edges(made.locate(y))[0] / (12.0 * h)
        assert np.max(np.abs(slope - np.sum(field.velocity(x) * e, axis=1))) <= 1e-9


@pytest.mark.parametrize("beta", [25.0, 60.0])
def test_potential_is_one_function_also_where_z_is_summed_directly(beta: float) -> None:
    """V A = c I and V = c' A^T: told relative to the uniform measure, wherever Z comes from."""
    turn = special_ortho_group.rvs(3, random_state=1)
    made = Composite((HeadMatrices(beta * turn, turn.T),), "sa", 3, "sphere")
    y = directions(300, 3, 1)
    y[:, 2] = np.abs(y[:, 2])  # half of the sphere is dark
    seen, x = DarkPoints(), directions(200, 3, 2)
    mu = Measure.equal(y)
    told = made.field(mu).along_edges(made.locate(x), seen)[0]
    assert 0 < seen.most < len(x)
    with np.errstate(over="ignore"):
        exponent = x @ made.heads[0].A.T @ y.T - beta
    exact = (np.log(np.mean(np.exp(exponent), axis=1)) + beta) / beta
    apart = told - exact
    assert np.max(np.abs(apart - apart.mean())) <= 1e-8
    direct = made.direct()
    again = direct.field(mu).along_edges(direct.locate(x))[0]
    assert np.max(np.abs(again - told)) <= 1e-8


def rate_of_energy(made: Composite, x: Array, m: Array, h: float = 1e-4) -> float:
    """dE/dt of masses that follow X, by differences along geodesics of fourth order."""
    v = made.field(Measure(x, m)).velocity(x)
    speed = np.linalg.norm(v, axis=1, keepdims=True)
    e = np.divide(v, speed, out=np.zeros_like(v), where=speed > 0.0)
    total = 0.0
    for step, weight in ((1, 8.0), (-1, -8.0), (2, -1.0), (-2, 1.0)):
        y = np.cos(step * h * speed) * x + np.sin(step * h * speed) * e
        total += weight * made.field(Measure(y, m)).energy() / (12.0 * h)
    return total


def test_energy_grows_by_the_squared_velocity() -> None:
    mixed = np.diag([1.0, 0.4, -0.7])
    x, (_, m, _) = directions(6, 3, 3), measure(6, 3)
    one = Composite((HeadMatrices(1.5 * mixed, mixed),), "sa", 3)
    z = np.exp(1.5 * x @ mixed @ x.T) @ m
    v = one.field(Measure(x, m)).velocity(x)
    exact = float(np.sum(m * z * np.sum(v * v, axis=1)))
    assert rate_of_energy(one, x, m) == pytest.approx(exact, rel=1e-8)
    heads = tuple(HeadMatrices(1.5 * symmetric(k, False), symmetric(k, False)) for k in range(3))
    several = Composite(heads, "usa", 3, drifts=(LinearDrift(mixed),))
    v = several.field(Measure(x, m)).velocity(x)
    exact = float(np.sum(m * np.sum(v * v, axis=1)))
    assert rate_of_energy(several, x, m, 1e-4 / float(np.abs(v).max())) == pytest.approx(
        exact, rel=1e-6
    )


def test_unnormalised_symmetric_heads_raise_the_energy_from_200_states() -> None:
    rng = np.random.default_rng(0)
    for seed in range(200):
        heads = []
        for k in range(3):
            d = symmetric(3 * seed + k, False)
            heads.append(HeadMatrices(rng.uniform(0.5, 2.0) * d, d))
        x = directions(5, 3, seed)
        m = rng.uniform(size=5)
        made = Composite(tuple(heads), "usa", 3)
        field = made.field(Measure(x, m / m.sum()))
        v = field.velocity(x, scaled=True)
        h = 1e-6 / max(float(np.abs(v).max()), 1e-300)
        y = x + h * v
        after = made.field(Measure(y / np.linalg.norm(y, axis=1, keepdims=True), m / m.sum()))
        assert after.energy(scaled=True) >= field.energy(scaled=True) * (1.0 - 1e-14)


def test_two_softmax_heads_may_lower_what_would_be_their_energy() -> None:
    """fields.md 3: d log E/dt = -51.84449, with positive definite matrices."""
    betas = (5.8062, 5.4056)
    matrices = (
        np.array([[5.5096, -1.1158], [-1.1158, 1.6186]]),
        np.array([[1.8411, 3.5083], [3.5083, 6.7864]]),
    )
    angles = np.array([-0.58606, -1.12564, -0.8866])
    x, m = (
        np.stack([np.cos(angles), np.sin(angles)], axis=1),
        np.array([0.134448, 0.449666, 0.415886]),
    )
    heads = tuple(HeadMatrices(b * d, d) for b, d in zip(betas, matrices, strict=True))
    made = Composite(heads, "sa", 2)
    assert made.energy_kind is None
    v = made.field(Measure(x, m)).velocity(x)
    log_e = []
    for step in (1e-7, -1e-7):
        y = x + step * v
        y /= np.linalg.norm(y, axis=1, keepdims=True)
        total = 0.0
        for b, d in zip(betas, matrices, strict=True):
            total += float(m @ np.exp(b * y @ d @ y.T - 30.0) @ m) / (2.0 * b)
        log_e.append(math.log(total))
    assert (log_e[0] - log_e[1]) / 2e-7 == pytest.approx(-51.84449, abs=2e-3)


@pytest.mark.parametrize("geometry", ["sphere", "circle", "zonal"])
@pytest.mark.parametrize("size", [4.0, 120.0])
def test_energies_by_moments_are_those_of_sums(geometry: str, size: float) -> None:
    d = 2 if geometry == "circle" else 3
    diagonal = np.diag([1.0, 1.0, -0.6] if d == 3 else [1.0, -0.6])
    if geometry == "sphere" and size < 10.0:
        diagonal = np.diag([1.0, 0.3, -0.6])
    made = Composite((HeadMatrices(size * diagonal, diagonal),), "sa", d, geometry)
    mu = measure(200, d)
    if geometry == "zonal":
        theta = np.arccos(np.asarray(mu.points)[:, 2])[:, None]
        mu = Measure(theta, mu.weights)
    sums = made.direct().field(mu)
    field = made.field(mu)
    top = abs(sums.energy(scaled=True)) + 1e-300
    assert abs(field.energy(scaled=True) - sums.energy(scaled=True)) <= 1e-11 * top
    assert abs(field.energy_excess() - sums.energy_excess()) <= 1e-11 * top


# ------------------------------------------------------------------ what is refused


def test_bad_input_is_one_line() -> None:
    head = HeadMatrices(np.eye(3), np.eye(3))
    with pytest.raises(InputError, match=r"heads\[1\]: 2 x 2 matrices found, 3 x 3 expected"):
        Composite((head, HeadMatrices(np.eye(2), np.eye(2))), "sa", 3)
    with pytest.raises(InputError, match="A: an array of shape"):
        HeadMatrices(np.ones((2, 3)), np.eye(3))
    with pytest.raises(InputError, match="V: entries that are not finite"):
        HeadMatrices(np.eye(3), np.full((3, 3), np.nan))
    with pytest.raises(InputError, match=r"drifts\[0\]: one of dimension 2 found, 3 expected"):
        Composite((head,), "sa", 3, drifts=(LinearDrift(np.eye(2)),))
    with pytest.raises(InputError, match=r"usa with \|A\| = 700 found"):
        Composite((HeadMatrices(700.0 * np.eye(3), np.eye(3)),), "usa", 3).refuse_overflow()
    with pytest.raises(InputError, match=r"heads\[0\]: found Head.*, expected HeadMatrices"):
        Composite((mf.Head(beta=1.0),), "sa", 3)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"drifts\[0\]: found .* expected such as LinearDrift"):
        Composite((), "sa", 3, drifts=(mf.Drift(matrix=np.eye(3)),))  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"heads\[0\]: \|A\| = 3000 found, at most 2000"):
        Composite((HeadMatrices(3000.0 * np.eye(3), np.eye(3)),), "sa", 3)
    with pytest.raises(InputError, match=r"'sah' found, 'sa', 'usa', .* \(did you mean 'sa'\?\)"):
        Composite((head,), "sah", 3)  # type: ignore[arg-type]


# ------------------------------------------------------------------ at the ends of what there is


@pytest.mark.parametrize("geometry", ["sphere", "circle", "zonal"])
def test_nothing_is_asked_and_nothing_is_there(geometry: str) -> None:
    """No targets, also of heads without a matrix; and no terms at all."""
    d = 2 if geometry == "circle" else 3
    a = np.diag([120.0, 120.0, 1.0][-d:]) if geometry != "sphere" else np.diag([100.0, 50.0, 1.0])
    mu = measure(50, d)
    if geometry == "zonal":
        mu = Measure(np.arccos(np.asarray(mu.points)[:, 2])[:, None], mu.weights)
    for heads in ((HeadMatrices(a, np.eye(d)),), ()):
        made = Composite(heads, "sa", d, geometry)
        field, nowhere = made.field(mu), np.zeros((0, made.manifold.gdim))
        assert field.velocity_and_divergence(nowhere)[1].shape == (0,)
        assert field.along_edges(made.locate(nowhere)).shape[1] == 0
    empty = Composite((), "sa", d, geometry)
    assert np.all(empty.field(mu).along_edges(empty.locate(np.asarray(mu.points))) == 0.0)


@pytest.mark.parametrize("model", ["sa", "usa"])
@pytest.mark.parametrize("size", [0.0, 1e-200, 1e-12, 1e-6, 1e-3])
def test_weak_heads_are_told_to_all_digits(model: str, size: float) -> None:
    """A = 0 tends to X = P_x V m; told by its velocity where c Z would be round-off."""
    v = np.diag([2.0, 1.0, -0.5])
    head = HeadMatrices(size * v, v)
    made = Composite((head,), model, 3, "sphere")  # type: ignore[arg-type]
    mu, x = measure(200, 3), directions(40, 3, 1)
    field = made.field(mu)
    exact, _ = summed((head,), model, x, mu)
    assert np.max(np.abs(field.velocity(x) - exact)) <= 1e-12
    rows = field.along_edges(made.locate(x))
    if size < 1e-4:
        assert not made.has_potential and made.energy_kind is None
        assert np.max(np.abs(rows.T - exact)) <= 1e-12
        assert "too small" in made.why_no_energy
        return
    assert made.has_potential
    y = x + 1e-4 * exact
    y /= np.linalg.norm(y, axis=1, keepdims=True)
    rise = field.along_edges(made.locate(y))[0] - rows[0]
    assert rise == pytest.approx(1e-4 * np.sum(exact**2, axis=1), abs=2e-8)


def test_heads_that_do_nothing_take_no_energy_away() -> None:
    d = symmetric(1, True)
    idle = HeadMatrices(np.array(GENERAL), np.zeros((3, 3)))
    assert Composite((HeadMatrices(4.0 * d, d), idle), "sa", 3).energy_kind == "monotone"


def test_models_that_are_gone_leave_nothing() -> None:
    d = symmetric(1, True)
    made = Composite((HeadMatrices(d, d),), "sa", 3, "sphere")
    assert math.isfinite(made.field(measure(50, 3)).energy())
    gone = weakref.ref(made)
    del made
    gc.collect()
    assert gone() is None


def test_scaled_velocities_are_doubles_beside_a_drift() -> None:
    head = HeadMatrices(800.0 * np.eye(3), np.eye(3))
    made = Composite((head,), "usa", 3, drifts=(LinearDrift(np.array(GENERAL)),))
    velocity = made.field(measure(50, 3)).velocity(directions(5, 3, 1), scaled=True)
    assert np.all(np.isfinite(velocity))
