"""Kinds of attention: against sums as they stand, differences, and what must not change."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import special_ortho_group

from meanfield.case.heads import KINDS as IN_CASES
from meanfield.case.heads import without_beta
from meanfield.errors import InputError
from meanfield.geometry.mesh import delaunay_weights, icosphere
from meanfield.geometry.sphere import Array
from meanfield.interaction.composite import KINDS, Composite, HeadMatrices
from meanfield.interaction.composite.field import CompositeField
from meanfield.interaction.composite.kinds.sigmoid import Sigmoid
from meanfield.interaction.composite.kinds.sinkhorn import Sinkhorn
from meanfield.interaction.composite.logisticseries import has_logistic_series
from meanfield.interaction.drifts import LinearDrift
from meanfield.interaction.measure import Measure

RNG = np.random.default_rng(2)
A3 = RNG.normal(size=(3, 3))
V3 = RNG.normal(size=(3, 3))
S3 = np.array([[1.0, 0.3, 0.0], [0.3, 0.6, 0.2], [0.0, 0.2, 0.4]])


def directions(count: int, d: int, seed: int = 1) -> Array:
    x = np.random.default_rng(seed).normal(size=(count, d))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def measure(count: int, d: int, seed: int = 5) -> Measure:
    """Uneven masses, more of them on one side."""
    rng = np.random.default_rng(seed)
    x = directions(count, d, seed) + 0.3
    m = rng.uniform(size=count)
    return Measure(x / np.linalg.norm(x, axis=1, keepdims=True), m / m.sum())


def tangential(x: Array, v: Array) -> Array:
    return v - np.sum(x * v, axis=1, keepdims=True) * x


def divergence_of(velocity: Callable[[Array], Array], x: Array, h: float = 1e-3) -> Array:
    """By differences of fourth order along geodesics."""
    total, frame = np.zeros(len(x)), [x]
    for k in range(1, x.shape[1]):
        e = np.roll(x, k, axis=1)
        for _ in range(2):
            for known in frame:
                e = e - np.sum(e * known, axis=1, keepdims=True) * known
        e /= np.linalg.norm(e, axis=1, keepdims=True)
        frame.append(e)
        for step, weight in ((1, 8.0), (-1, -8.0), (2, -1.0), (-2, 1.0)):
            y = math.cos(step * h) * x + math.sin(step * h) * e
            forward = -math.sin(step * h) * x + math.cos(step * h) * e
            total += weight * np.sum(velocity(y) * forward, axis=1) / (12.0 * h)
    return total


def slope_along(field: CompositeField, x: Array, e: Array, h: float = 1e-3) -> Array:
    """Derivative of the potential that differences along edges are made of."""
    total = np.zeros(len(x))
    for step, weight in ((1, 8.0), (-1, -8.0), (2, -1.0), (-2, 1.0)):
        y = math.cos(step * h) * x + math.sin(step * h) * e
        (xi,) = field.along_edges(field.interaction.locate(y))
        total += weight * xi / (12.0 * h)
    return total


def dissipated(field: CompositeField) -> float:
    """d E/dt by moving the points of the measure along the flow, less int of its density."""
    made, (x, m, _), h = field.interaction, field.measure, 1e-4
    x = np.asarray(x)
    v = field.velocity(x)
    values = []
    for step in (1, -1):
        y = x + step * h * v
        moved = Measure(y / np.linalg.norm(y, axis=1, keepdims=True), m)
        values.append(made.field(moved).energy(scaled=True))
    rate = (values[0] - values[1]) / (2.0 * h)
    return rate - float(np.dot(m, field.dissipation_density(x)))


# ------------------------------------------------------------------ all kinds


def test_the_names_in_cases_are_those_that_there_are() -> None:
    assert set(IN_CASES) == set(KINDS)
    assert all(without_beta(name) != kind.needs_beta for name, kind in KINDS.items())


def test_an_unknown_kind_is_told_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r"'linaer' found, .* \(did you mean 'linear'\?\)"):
        Composite((HeadMatrices(A3, V3),), "linaer", 3)


SMOOTH = [name for name in KINDS if name not in ("sa", "usa")]


@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize(("geometry", "d"), [("sphere", 3), ("circle", 2), ("any", 4)])
def test_divergence_is_that_of_differences(name: str, geometry: str, d: int) -> None:
    rng = np.random.default_rng(3)
    heads = tuple(head_of(name, *rng.normal(size=(3, d, d))) for _ in range(2))
    made = Composite(heads, name, d, geometry, drifts=(LinearDrift(rng.normal(size=(d, d))),))
    field, x = made.field(measure(50, d)), directions(20, d)
    velocity, divergence = field.velocity_and_divergence(x)
    assert np.max(np.abs(velocity - field.velocity(x))) <= 1e-12
    assert np.max(np.abs(np.sum(velocity * x, axis=1))) <= 1e-12
    apart = np.abs(divergence - divergence_of(field.velocity, x))
    if name == "hardmax":  # of targets near a jump, or where A x is small, there are few
        apart = np.sort(apart)[:-4]
    assert np.max(apart) <= 2e-8 * max(1.0, float(np.abs(divergence).max()))


@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize(("geometry", "d"), [("sphere", 3), ("circle", 2)])
def test_gradient_heads_have_potentials(name: str, geometry: str, d: int) -> None:
    A, Q, K = np.random.default_rng(3).normal(size=(3, d, d))
    head = head_of(name, A + 2.0 * np.eye(d), Q, K)
    made = Composite((HeadMatrices(head.A, 0.7 * head.A.T, head.keys),), name, d, geometry)
    assert made.has_potential
    x, field = directions(20, d), made.field(measure(50, d))
    e = tangential(x, np.roll(x, 1, axis=1))
    e /= np.linalg.norm(e, axis=1, keepdims=True)
    velocity = np.sum(field.velocity(x) * e, axis=1)
    apart = np.max(np.abs(slope_along(field, x, e) - velocity))
    assert apart <= 2e-8 * max(1.0, float(np.abs(velocity).max()))


@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize(("geometry", "d"), [("sphere", 3), ("circle", 2), ("any", 5)])
def test_a_rotation_of_everything_rotates_the_field(name: str, geometry: str, d: int) -> None:
    rng = np.random.default_rng(8)
    turn = np.asarray(special_ortho_group.rvs(d, random_state=4))
    head = head_of(name, *rng.normal(size=(3, d, d)))
    keys = None if head.keys is None else turn @ head.keys @ turn.T
    turned = HeadMatrices(turn @ head.A @ turn.T, turn @ head.V @ turn.T, keys)
    mu, x = measure(40, d), directions(20, d)
    one = Composite((head,), name, d, geometry).field(mu).velocity(x)
    moved = Measure(mu.points @ turn.T, mu.weights)
    other = Composite((turned,), name, d, geometry).field(moved).velocity(x @ turn.T)
    assert np.max(np.abs(one @ turn.T - other)) <= 1e-9 * max(1.0, float(np.abs(one).max()))


@pytest.mark.parametrize("name", SMOOTH)
def test_heads_add_up_and_two_halves_are_one(name: str) -> None:
    A, Q, K = np.random.default_rng(3).normal(size=(3, 3, 3))
    head = head_of(name, A, Q, K)
    half = HeadMatrices(head.A, 0.5 * head.V, head.keys)
    mu, x = measure(40, 3), directions(20, 3)
    for geometry in ("sphere", "any"):
        whole = Composite((head,), name, 3, geometry).field(mu).velocity(x)
        parts = Composite((half, half), name, 3, geometry).field(mu).velocity(x)
        assert np.max(np.abs(whole - parts)) <= 1e-12 * max(1.0, float(np.abs(whole).max()))


@pytest.mark.parametrize("name", SMOOTH)
def test_the_uniform_state_is_at_rest_where_v_a_is_a_multiple_of_one(name: str) -> None:
    A = np.eye(3) if name in ("l2", "sinkhorn") else A3
    head = HeadMatrices(4.0 * A, 3.0 * np.linalg.inv(A), 4.0 * A.T @ A if name == "l2" else None)
    made = Composite((head,), name, 3, "sphere")
    x, w = directions(200, 3), np.full(200, 1.0 / 200)
    field = made.field(Measure(x, w, w))
    assert np.max(np.abs(field.velocity(x))) <= 1e-12


@pytest.mark.parametrize("name", SMOOTH)
def test_axially_symmetric_laws(name: str) -> None:
    """The zonal geometry is the sphere, for matrices that commute with its rotations."""
    c, s = math.cos(0.4), math.sin(0.4)
    turn = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
    A = turn @ np.diag([1.2, 1.2, -0.7])
    head = HeadMatrices(A, np.diag([0.8, 0.8, 0.5]), A.T @ A if name == "l2" else None)
    theta, m = np.array([0.4, 1.1, 2.5]), np.array([0.5, 0.3, 0.2])
    phi = (np.arange(96) + 0.5) * (2.0 * math.pi / 96)
    x = np.stack(
        [np.outer(np.sin(theta), np.cos(phi)), np.outer(np.sin(theta), np.sin(phi)),
         np.outer(np.cos(theta), np.ones(96))], axis=-1,
    ).reshape(-1, 3)  # fmt: skip
    spread = Measure(x, np.repeat(m / 96, 96))
    at = np.array([[0.3], [0.9], [1.7], [2.9]])
    here = np.hstack([np.sin(at), np.zeros((4, 1)), np.cos(at)])
    along = np.hstack([np.cos(at), np.zeros((4, 1)), -np.sin(at)])
    field = Composite((head,), name, 3, "sphere").field(spread)
    velocity, divergence = field.velocity_and_divergence(here)
    for method in ("harmonics",) if name == "hardmax" else ("harmonics", "direct"):
        zonal = Composite((head,), name, 3, "zonal", method).field(Measure(theta[:, None], m))
        v, bend = zonal.velocity_and_divergence(at)
        assert v[:, 0] == pytest.approx(np.sum(velocity * along, axis=1), abs=1e-7)
        assert bend == pytest.approx(divergence, abs=1e-7)


def head_of(name: str, A: Array, B: Array, V: Array) -> HeadMatrices:
    """Any head of a kind."""
    if name == "l2":
        return HeadMatrices(B.T @ A, V, B.T @ B)
    return HeadMatrices(A, V)


# ------------------------------------------------------------------ linear


@pytest.mark.parametrize(("geometry", "d"), [("sphere", 3), ("circle", 2), ("any", 6)])
def test_linear_attention_is_its_sum_over_pairs(geometry: str, d: int) -> None:
    A, V = np.random.default_rng(1).normal(size=(2, d, d))
    mu, x = measure(60, d), directions(10, d)
    y, m, _ = mu
    exact = tangential(x, (m * (x @ A.T @ y.T)) @ y @ V.T)
    for method in ("auto", "direct"):
        made = Composite((HeadMatrices(A, V),), "linear", d, geometry, method)
        assert made.field(mu).velocity(x) == pytest.approx(exact, abs=1e-13)


@pytest.mark.parametrize("A", [S3, S3 - 0.8 * np.eye(3), A3 - A3.T], ids=["psd", "mixed", "skew"])
def test_linear_attention_has_the_energy_that_its_flow_increases(A: Array) -> None:
    head = HeadMatrices(A, -0.6 * A.T)
    mu = measure(30, 3)
    y, m, _ = mu
    by = {
        method: Composite((head,), "linear", 3, "sphere", method) for method in ("auto", "direct")
    }
    values = [made.field(mu).energy() for made in by.values()]
    exact = -0.15 * float(m @ (y @ A @ y.T) ** 2 @ m)
    assert values == pytest.approx([exact, exact], rel=1e-12)
    for made in by.values():
        assert made.energy_kind == "gradient" and made.why_no_energy == ""
        assert abs(dissipated(made.field(mu))) <= 1e-8
    excess = by["auto"].field(mu).energy_excess()
    assert excess == pytest.approx(exact + 0.15 * float(np.sum(A * A)) / 9.0, rel=1e-12)


def test_linear_attention_without_energy_says_why() -> None:
    made = Composite((HeadMatrices(S3, A3),), "linear", 3)
    assert made.energy_kind is None and made.why_no_energy == "V of heads[0] is no multiple of A^T"
    made = Composite((HeadMatrices(A3, A3.T),), "linear", 3)
    assert made.has_potential and made.why_no_energy == "A of heads[0] is not symmetric"


# ------------------------------------------------------------------ hardmax


def test_tokens_follow_the_maximiser_and_the_mean_of_equals() -> None:
    x = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, -1.0]])
    m = np.array([0.5, 0.25, 0.25])
    made = Composite((HeadMatrices(np.eye(3), np.eye(3)),), "hardmax", 3)
    at = np.array([[0.6, 0.8, 0.0], [math.sqrt(0.5), math.sqrt(0.5), 0.0]])
    best = np.array([[0.0, 1.0, 0.0], [2.0 / 3.0, 1.0 / 3.0, 0.0]])
    assert made.field(Measure(x, m)).velocity(at) == pytest.approx(tangential(at, best), abs=1e-15)
    zonal = Composite((HeadMatrices(np.eye(3), np.eye(3)),), "hardmax", 3, "zonal", "direct")
    theta = np.array([[0.5], [2.0]])
    found = zonal.field(Measure(theta, np.array([0.3, 0.7]))).velocity(np.array([[0.8], [1.9]]))
    assert found[:, 0] == pytest.approx(np.sin([0.5 - 0.8, 2.0 - 1.9]), abs=1e-14)


def test_hardmax_is_the_limit_of_softmax() -> None:
    """For a density that is positive everywhere, the difference times beta is a constant."""
    y = np.random.default_rng(0).normal(size=(1, 3))
    grid = Composite((), "sa", 3, "sphere").manifold.grid(60, 61)
    rho = 1.0 + 0.5 * np.sum(grid.points * y / np.linalg.norm(y), axis=1)
    mu = Measure(grid.points, grid.weights * rho)
    x, turn = directions(50, 3), np.asarray(special_ortho_group.rvs(3, random_state=4))
    limit = Composite((HeadMatrices(turn, V3),), "hardmax", 3, "sphere").field(mu).velocity(x)
    assert limit == pytest.approx(tangential(x, x @ turn.T @ V3.T), abs=1e-14)
    apart = [
        beta * np.max(np.abs(
            Composite((HeadMatrices(beta * turn, V3),), "sa", 3, "sphere").field(mu).velocity(x)
            - limit
        ))
        for beta in (25.0, 50.0)
    ]  # fmt: skip
    assert apart[1] == pytest.approx(apart[0], rel=0.05)
    assert apart[0] > 0.1


def test_hardmax_rests_where_a_x_is_zero() -> None:
    made = Composite((HeadMatrices(np.diag([1.0, 1.0, 0.0]), V3),), "hardmax", 3, "sphere")
    velocity, divergence = made.field(measure(9, 3)).velocity_and_divergence(
        np.array([[0.0, 0.0, 1.0], [0.0, 0.6, 0.8]])
    )
    assert np.all(velocity[0] == 0.0) and divergence[0] == 0.0
    assert np.linalg.norm(velocity[1]) > 0.1


# ------------------------------------------------------------------ l2


def distances(head: HeadMatrices, Q: Array, K: Array, mu: Measure, x: Array) -> Array:
    y, m, _ = mu
    exponent = -0.5 * np.sum((x @ Q.T)[:, None] ** 2, axis=2) + x @ Q.T @ (y @ K.T).T
    exponent = exponent - 0.5 * np.sum((y @ K.T) ** 2, axis=1)
    e = m * np.exp(exponent - exponent.max(axis=1, keepdims=True))
    return tangential(x, e @ y @ head.V.T / e.sum(axis=1, keepdims=True))


@pytest.mark.parametrize(("geometry", "d"), [("sphere", 3), ("circle", 2), ("any", 5)])
def test_l2_attention_is_its_sum_over_pairs(geometry: str, d: int) -> None:
    Q, K, V = np.random.default_rng(1).normal(size=(3, d, d))
    Q, K = 2.0 * Q, 2.0 * K
    mu, x = measure(60, d), directions(30, d)
    head = HeadMatrices(K.T @ Q, V, K.T @ K)
    exact = distances(head, Q, K, mu, x)
    for method in ("auto", "direct"):
        made = Composite((head,), "l2", d, geometry, method, accuracy=1e-11)
        assert made.field(mu).velocity(x) == pytest.approx(exact, abs=2e-10)


def test_l2_attention_with_orthogonal_keys_is_softmax() -> None:
    turn = np.asarray(special_ortho_group.rvs(3, random_state=4))
    A = 4.0 * turn.T
    mu, x = measure(60, 3), directions(30, 3)
    l2 = Composite((HeadMatrices(A, 0.25 * A.T, 4.0 * turn.T @ turn),), "l2", 3, "sphere")
    sa = Composite((HeadMatrices(A, 0.25 * A.T),), "sa", 3, "sphere")
    assert l2.field(mu).velocity(x) == pytest.approx(sa.field(mu).velocity(x), abs=1e-15)
    one = HeadMatrices(4.0 * np.eye(3), np.eye(3), 4.0 * np.eye(3))
    assert Composite((one,), "l2", 3).energy_kind == "monotone"
    K = np.diag([1.0, 1.0, 2.0])
    odd = Composite((HeadMatrices(K, K, K @ K),), "l2", 3)
    assert odd.energy_kind is None and odd.why_no_energy == "|K y| of heads[0] is not a constant"


@pytest.mark.parametrize(("geometry", "d"), [("sphere", 3), ("circle", 2), ("zonal", 4)])
def test_moments_of_the_uniform_measure_are_exact_whatever_the_mesh(geometry: str, d: int) -> None:
    K = np.diag([1.0, 1.0, 1.0, 3.0][-d:])
    made = Composite((HeadMatrices(K @ K, np.eye(d), K @ K),), "l2", d, geometry)
    grid = made.manifold.grid(4, 400)
    fine = made.field(Measure(grid.points, grid.weights)).moments
    coarse = made.manifold.grid(4, 12)
    rough = made.field(Measure(coarse.points, coarse.weights, coarse.weights)).moments
    assert fine is not None and rough is not None
    assert np.max(np.abs(fine - rough)) <= 1e-12


# ------------------------------------------------------------------ sigmoid


@pytest.mark.parametrize("bias", [0.0, -3.0])
@pytest.mark.parametrize(("geometry", "d"), [("sphere", 3), ("circle", 2), ("any", 5)])
def test_sigmoid_attention_is_its_sum_over_pairs(geometry: str, d: int, bias: float) -> None:
    A, V = np.random.default_rng(1).normal(size=(2, d, d))
    mu, x = measure(1500, d), directions(30, d)
    y, m, _ = mu
    turn = 3.0 * np.asarray(special_ortho_group.rvs(d, random_state=4))
    turn[-1] *= -1.0
    for a in (A, turn):
        weight = m / (1.0 + np.exp(-(x @ a.T @ y.T) - bias))
        exact = tangential(x, weight @ y @ V.T)
        for method in ("auto", "direct"):
            made = Composite(
                (HeadMatrices(a, V),), Sigmoid(bias), d, geometry, method, accuracy=1e-13
            )
            field = made.field(mu)
            velocity, divergence = field.velocity_and_divergence(x)
            assert velocity == pytest.approx(exact, abs=2e-13)
            assert divergence == pytest.approx(divergence_of(field.velocity, x), abs=1e-7)


@pytest.mark.parametrize("A", [S3, 2.0 * np.eye(3), S3 - np.eye(3)], ids=["psd", "round", "mixed"])
def test_sigmoid_attention_has_the_energy_that_its_flow_increases(A: Array) -> None:
    head, mu = HeadMatrices(A, -0.6 * A), measure(30, 3)
    y, m, _ = mu
    exact = -0.3 * float(m @ np.log1p(np.exp(y @ A @ y.T - 1.0)) @ m)
    for method in ("auto", "direct"):
        made = Composite((head,), Sigmoid(-1.0), 3, "sphere", method, accuracy=1e-12)
        field = made.field(mu)
        assert made.energy_kind == "gradient"
        assert field.energy() == pytest.approx(exact, rel=1e-11)
        assert abs(dissipated(field)) <= 1e-8
    uniform = made.with_transforms.field(Measure(y, m, m)).energy()
    assert field.energy_excess() == pytest.approx(exact - uniform, abs=1e-11)


@pytest.mark.parametrize("bias", [0.0, -6.0])
@pytest.mark.parametrize("size", [0.5, 9.0, 12.0])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_sigmoid_attention_by_transforms_is_its_sum_over_pairs(
    rank: int, size: float, bias: float
) -> None:
    """To the default accuracy, of the flow and of the potential, where densities are narrow too."""
    rng = np.random.default_rng(rank)
    u, s, w = np.linalg.svd(rng.normal(size=(3, 3)))
    A = size * (u * np.where(np.arange(3) < rank, s / s[0], 0.0)) @ w
    mu, x = measure(400, 3), directions(40, 3)
    for head in (HeadMatrices(A, rng.normal(size=(3, 3))), HeadMatrices(A, 0.5 * A.T)):
        one = Composite((head,), Sigmoid(bias), 3, "sphere")
        assert one.harmonics is not None and has_logistic_series(head, one.harmonics.degree - 2)
        field, exact = one.field(mu), one.direct().field(mu)
        found, wanted = field.velocity_and_divergence(x), exact.velocity_and_divergence(x)
        for a, b in zip(found, wanted, strict=True):
            assert np.abs(a - b).max() <= 1e-9 * np.abs(b).max()
        if head.gradient_factor is not None:
            at = one.locate(x)
            edges = field.along_edges(at)[0] - exact.along_edges(at)[0]
            assert np.ptp(edges) <= 1e-9 * np.abs(exact.along_edges(at)[0]).max()


def test_sigmoid_attention_of_a_higher_degree_is_summed_over_a_grid() -> None:
    A = 20.0 * np.diag([1.0, 0.5, -0.2])
    head, mu, x = HeadMatrices(A, np.eye(3)), measure(60, 3), directions(10, 3)
    one = Composite((head,), "sigmoid", 3, "sphere")
    assert one.harmonics is not None and not has_logistic_series(head, one.harmonics.degree - 2)
    wanted = one.direct().field(mu).velocity(x)
    assert one.field(mu).velocity(x) == pytest.approx(wanted, abs=1e-8)


def test_a_small_sigmoid_is_half_of_the_mean() -> None:
    """s(t) = 1/2 + t/4 + ...: a term of the mean, and one of linear attention."""
    A, V = np.random.default_rng(1).normal(size=(2, 3, 3))
    mu, x, h = measure(60, 3), directions(30, 3), 1e-4
    mean = tangential(x, np.tile(0.5 * mu.weights @ mu.points @ V.T, (30, 1)))
    one = Composite((HeadMatrices(h * A, V),), "sigmoid", 3, "sphere").field(mu).velocity(x)
    linear = Composite((HeadMatrices(A, V),), "linear", 3, "sphere").field(mu).velocity(x)
    assert (one - mean) / h == pytest.approx(0.25 * linear, abs=1e-7)


# ------------------------------------------------------------------ sinkhorn


def scaled(A: Array, mu: Measure) -> tuple[Array, Array]:
    """log u and log v by plain iterations in turn, with sums as they stand."""
    y, m, _ = mu
    kernel = y @ A.T @ y.T
    u = v = np.zeros(len(y))
    for _ in range(20000):
        before = v
        u = -np.log(np.exp(kernel + v) @ m)
        v = -np.log(m @ np.exp(kernel + u[:, None]))
        if np.max(np.abs(v - before)) < 1e-14:
            break
    return u, v


@pytest.mark.parametrize(("geometry", "d"), [("sphere", 3), ("circle", 2), ("any", 5)])
@pytest.mark.parametrize("symmetric", [True, False])
def test_sinkhorn_attention_is_its_sum_over_pairs(geometry: str, d: int, symmetric: bool) -> None:
    A, V = np.random.default_rng(1).normal(size=(2, d, d))
    if symmetric:
        A = A + A.T
    mu, x = measure(60, d), directions(30, d)
    y, m, _ = mu
    _, v = scaled(A, mu)
    e = m * np.exp(x @ A.T @ y.T + v)
    exact = tangential(x, e @ y @ V.T / e.sum(axis=1, keepdims=True))
    for method in ("auto", "direct"):
        made = Composite(
            (HeadMatrices(A, V),), Sinkhorn(1e-12), d, geometry, method, accuracy=1e-12
        )
        assert made.field(mu).velocity(x) == pytest.approx(exact, abs=1e-10)


def test_sinkhorn_is_that_of_pot() -> None:
    ot = pytest.importorskip("ot")
    mu = measure(40, 3)
    y, m, _ = mu
    plan = ot.sinkhorn(m, m, -y @ (3.0 * S3) @ y.T, 1.0, stopThr=1e-14, numItermax=20000)
    exact = tangential(y, plan @ y / m[:, None])
    made = Composite((HeadMatrices(3.0 * S3, np.eye(3)),), Sinkhorn(1e-12), 3)
    assert made.field(mu).velocity(y) == pytest.approx(exact, abs=1e-10)


@pytest.mark.parametrize("A", [3.0 * S3, 4.0 * np.eye(3), S3 - np.eye(3)], ids=["psd", "I", "odd"])
def test_sinkhorn_attention_has_the_energy_that_its_flow_increases(A: Array) -> None:
    mu = measure(30, 3)
    m = mu.weights
    u, v = scaled(A, mu)
    for sign in (0.6, -0.6):
        exact = -0.5 * sign * float(m @ (u + v))
        for method in ("auto", "direct"):
            made = Composite(
                (HeadMatrices(A, sign * A),), Sinkhorn(1e-12), 3, "sphere", method, accuracy=1e-12
            )
            field = made.field(mu)
            assert made.energy_kind == "gradient"
            assert field.energy() == pytest.approx(exact, rel=1e-10, abs=1e-10)
            assert abs(dissipated(field)) <= 1e-7
    grid = made.manifold.grid(40, 41)
    u, v = scaled(A, Measure(grid.points, grid.weights))
    uniform = 0.3 * float(grid.weights @ (u + v))
    assert field.energy_excess() == pytest.approx(exact - uniform, abs=1e-8)


RATES = (0.21439525, 0.45615622, 0.50918561, 0.36716285, 0.19082609)


def test_growth_rates_of_sinkhorn_attention_at_the_uniform_state() -> None:
    """l(l + 1) a_l/(beta (1 + a_l)) for a perturbation eps Y_l: -div X = rate eps Y_l."""
    made = Composite(
        (HeadMatrices(4.0 * np.eye(3), np.eye(3)),), Sinkhorn(1e-13), 3, "sphere", accuracy=1e-12
    )
    grid = made.manifold.grid(30, 61)
    for l, rate in enumerate(RATES, start=1):
        y = np.polynomial.legendre.Legendre.basis(l)(grid.points[:, 2])
        grown = []
        for eps in (1e-5, -1e-5):
            mu = Measure(grid.points, grid.weights * (1.0 + eps * y), grid.weights)
            _, divergence = made.field(mu).velocity_and_divergence(grid.points)
            grown.append(-float(np.sum(grid.weights * divergence * y)))
        square = float(np.sum(grid.weights * y * y))
        assert (grown[0] - grown[1]) / (2e-5 * square) == pytest.approx(rate, abs=2e-8)


def test_kernels_of_sinkhorn_attention_are_doubly_stochastic() -> None:
    """What tokens send adds up, too: sum_i m_i X_i = 0 for V = I without projection."""
    A, mu = 2.0 * A3, measure(50, 3)
    y, m, _ = mu
    made = Composite((HeadMatrices(A, np.eye(3)),), Sinkhorn(1e-12), 3)
    field = made.field(mu)
    velocity = field.velocity(y)
    u, v = scaled(A, mu)
    plan = np.exp(y @ A.T @ y.T + u[:, None] + v)
    assert m @ plan == pytest.approx(np.ones(50), abs=1e-12)
    assert velocity == pytest.approx(tangential(y, plan @ (m[:, None] * y)), abs=1e-10)


# ------------------------------------------------------------------ where kinds meet other things


@pytest.mark.parametrize("kind", ["sa", "usa", "linear", "l2", "sigmoid", "sinkhorn"])
def test_what_tokens_dissipate_is_what_their_energy_gains(kind: str) -> None:
    head = HeadMatrices(2.0 * S3, S3, 2.0 * np.eye(3) if kind == "l2" else None)
    one = Composite((head,), kind, 3)
    x, m = directions(40, 3), np.full(40, 1.0 / 40)
    field = one.field(Measure(x, m))
    rate = float(m @ field.own_dissipation_density())
    v, h = field.own_velocity(), 1e-5
    ends = []
    for sign in (1.0, -1.0):
        y = x + sign * h * v
        ends.append(one.field(Measure(y / np.linalg.norm(y, axis=1, keepdims=True), m)).ascent())
    tolerance = 1e-4 if kind == "sinkhorn" else 1e-7  # its scalings are right to 1e-9
    assert (ends[0] - ends[1]) / (2.0 * h) == pytest.approx(rate, rel=tolerance)


def test_l2_of_long_keys_that_tokens_are_not_near() -> None:
    """The largest factor of the sphere may be e^1000 times that of all tokens."""
    K, Q = np.diag([100.0, 100.0, 50.0]), np.eye(3) / 50.0
    head = HeadMatrices(K.T @ Q, V3, K.T @ K)
    x = directions(30, 3) * np.array([1.0, 1.0, 0.05])
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    logs = -0.5 * np.sum((x[:, None] @ Q.T - x @ K.T) ** 2, axis=2)
    weights = np.exp(logs - logs.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    wanted = tangential(x, weights @ x @ V3.T)
    for geometry in ("any", "sphere"):
        found = Composite((head,), "l2", 3, geometry).field(Measure.equal(x)).velocity(x)
        assert np.abs(found - wanted).max() < 1e-9


def test_energy_of_round_sigmoid_heads_by_series_and_by_pairs() -> None:
    head = HeadMatrices(6.0 * np.eye(3), 2.0 * np.eye(3))
    series = Composite((head,), Sigmoid(bias=-1.0), 3, "sphere")
    pairs = Composite((head,), Sigmoid(bias=-1.0), 3)
    mu = measure(50, 3)
    assert series.field(mu).energy() == pytest.approx(pairs.field(mu).energy(), rel=1e-11)


def test_hardmax_of_a_density_takes_no_sums_over_tokens() -> None:
    one = Composite((HeadMatrices(A3, A3.T),), "hardmax", 3, "sphere", "direct")
    mu = measure(20, 3)
    with pytest.raises(InputError, match="'direct' found for a density under hardmax"):
        one.field(mu).along_edges(one.locate(np.asarray(mu.points)))


@pytest.mark.parametrize("kind", ["linear", "hardmax", "sigmoid", "sinkhorn"])
def test_kinds_without_sums_over_others(kind: str) -> None:
    head = HeadMatrices(S3, S3)
    with pytest.raises(InputError, match="exclude_self"):
        Composite((head,), kind, 3, exclude_self=True)
    with pytest.raises(InputError, match="no sums over other tokens"):
        Composite((head,), kind, 3).excluding_self()


@pytest.mark.parametrize("level", [2, 3])
def test_sinkhorn_of_any_matrix_settles_on_a_mesh(level: int) -> None:
    """Masses of a mesh and the exact uniform part of moments are no adjoint of each other."""
    turn = np.asarray(special_ortho_group.rvs(3, random_state=1))
    A = turn @ np.diag([3.0, 1.5, 0.5])
    mesh = icosphere(level)
    rho = np.exp(mesh.points @ np.array([1.0, 0.0, 0.1]))
    masses = delaunay_weights(mesh)[2]
    rule = masses / masses.sum()
    mu = Measure(mesh.points, rule * rho / float(rule @ rho), rule)
    one = Composite((HeadMatrices(A, V3),), Sinkhorn(), 3, "sphere")
    x = directions(20, 3)
    found = one.field(mu).velocity(x)
    pairs = Composite((HeadMatrices(A, V3),), Sinkhorn(), 3).field(Measure(mu.points, mu.weights))
    # The two differ by what the mesh's rule is wrong by.
    assert np.abs(found - pairs.velocity(x)).max() < 0.03 / 4 ** (level - 2)


@pytest.mark.parametrize("kind", ["sa", "usa", "sigmoid"])
def test_a_head_too_weak_for_an_energy_says_so(kind: str) -> None:
    one = Composite((HeadMatrices(1e-6 * S3, S3),), kind, 3)
    assert one.energy_kind is None and "too small to tell" in one.why_no_energy
