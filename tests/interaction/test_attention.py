"""Transforms against direct sums, and the field code against formulas it does not use."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import special

from meanfield.case import Model
from meanfield.errors import InputError
from meanfield.geometry.manifolds import Latitudes, manifold
from meanfield.geometry.sphere import harmonic_dimension, random_rotation, uniform_points
from meanfield.interaction.attention import Attention, SelfAttention, attention_energy
from meanfield.interaction.contract import DarkPoints
from meanfield.interaction.direct import pair_sums
from meanfield.interaction.expansion import Expansion
from meanfield.interaction.kernels import Exponential
from meanfield.interaction.measure import Measure

BETAS = [-9.0, 0.0, 1.0, 9.0, 81.0, 300.0]


def _points(geometry: str, n: int, rng: np.random.Generator, d: int = 3) -> np.ndarray:
    """Random points with both poles (and a duplicate) among them."""
    if geometry == "zonal":
        theta = np.arccos(rng.uniform(-1.0, 1.0, n))
        theta[:3] = [0.0, np.pi, 0.0]
        return theta[:, None]
    d = 3 if geometry == "sphere" else 2
    x = uniform_points(n, d, rng)
    x[0], x[1], x[2] = np.eye(d)[-1], -np.eye(d)[-1], np.eye(d)[-1]
    return x


# ------------------------------------------------------------------ kernel


@pytest.mark.parametrize("d", [2, 3, 5, 64])
@pytest.mark.parametrize("beta", [1e-9, 0.3, 4.0, 30.0, 300.0])
def test_coefficients_are_projections_of_the_kernel(d: int, beta: float) -> None:
    # lam_l = int e^{beta t} P_l(t) dsigma by Gauss quadrature in t with weight (1-t^2)^{(d-3)/2}.
    if d == 2:
        nodes, weights = special.roots_chebyt(400)
    elif d == 3:
        nodes, weights = np.polynomial.legendre.leggauss(200)
    else:
        nodes, weights = special.roots_gegenbauer(400, 0.5 * d - 1.0)
    weights = weights / weights.sum()
    lam = Expansion(Exponential(beta=beta), d).coefficients(12)
    for degree in (0, 1, 2, 7, 12):
        if d == 2:
            p = special.eval_chebyt(degree, nodes)
        else:
            p = special.eval_gegenbauer(degree, 0.5 * d - 1.0, nodes)
            p = p / special.eval_gegenbauer(degree, 0.5 * d - 1.0, 1.0)
        exact = np.sum(weights * np.exp(beta * (nodes - 1.0)) * p)
        assert lam[degree] == pytest.approx(exact, rel=1e-10, abs=1e-14)


def test_coefficients_in_three_dimensions_are_spherical_bessel_functions() -> None:
    for beta in (0.5, 4.0, 40.0):
        l = np.arange(20)
        exact = special.spherical_in(l, beta) * np.exp(-beta)
        np.testing.assert_allclose(
            Expansion(Exponential(beta=beta), 3).coefficients(19), exact, rtol=1e-12
        )


@pytest.mark.parametrize("beta", [-1000.0, -9.0, 9.0, 1000.0])
@pytest.mark.parametrize("d", [2, 3, 16, 128, 256])
def test_series_sums_to_the_kernel_without_overflow(d: int, beta: float) -> None:
    kernel = Expansion(Exponential(beta=beta), d)
    degree = kernel.degree(1e-13)
    terms = kernel.coefficients(degree) * harmonic_dimension(degree, d)
    sign = np.sign(beta)
    at_top = np.sum(terms * sign ** np.arange(degree + 1))  # at t = sign(beta) the kernel is 1
    assert at_top == pytest.approx(1.0, abs=1e-11)


def test_truncation_degree_is_enough_and_not_much_more() -> None:
    kernel = Expansion(Exponential(beta=9.0), 3)
    degree = kernel.degree(1e-12)
    t = np.linspace(-1.0, 1.0, 2001)

    def error(top: int) -> float:
        series = special.eval_legendre(np.arange(top + 1)[:, None], t[None, :])
        coefficients = kernel.coefficients(top) * (2 * np.arange(top + 1) + 1)
        return float(np.max(np.abs(coefficients @ series - np.exp(9.0 * (t - 1.0)))))

    assert error(degree) < 2e-12
    assert error(degree - 3) > 1e-12
    assert Expansion(Exponential(beta=0.0), 3).degree(1e-12) == 1


def test_beta_zero_is_the_limit_of_small_beta() -> None:
    for d in (2, 3, 8):
        limit = Expansion(Exponential(beta=0.0), d).multipliers(4)
        for beta in (1e-9, -1e-9, 1e-200):
            near = Expansion(Exponential(beta=beta), d).multipliers(4)
            np.testing.assert_allclose(near, limit, atol=2e-9)


@pytest.mark.parametrize("beta", [float("nan"), float("inf"), 2e4])
def test_kernel_refuses_unusable_beta(beta: float) -> None:
    with pytest.raises(InputError, match="finite number"):
        Expansion(Exponential(beta=beta), 3)


# ------------------------------------------------------------------ transforms


@pytest.mark.parametrize(
    ("geometry", "d"), [("sphere", 3), ("circle", 2), ("zonal", 2), ("zonal", 3), ("zonal", 64)]
)
def test_harmonics_are_orthonormal(geometry: str, d: int) -> None:
    degree = 6
    h = manifold(geometry, d).harmonics(degree)
    if geometry == "sphere":
        t, wt = special.roots_legendre(10)
        phi = 2 * np.pi * np.arange(20) / 20
        st = np.sqrt(1 - t**2)
        x = np.stack(
            [np.outer(st, np.cos(phi)), np.outer(st, np.sin(phi)), np.outer(t, np.ones(20))], -1
        ).reshape(-1, 3)
        w = np.repeat(wt / 2, 20) / 20
    elif geometry == "circle":
        phi = 2 * np.pi * np.arange(20) / 20
        x, w = np.column_stack([np.cos(phi), np.sin(phi)]), np.full(20, 0.05)
    else:
        t, w = special.roots_chebyt(10) if d == 2 else special.roots_gegenbauer(10, d / 2 - 1)
        x, w = np.arccos(t)[:, None], w / w.sum()
    gram = []
    active = [k for k in range(h.degrees.size) if not _empty(h, k)]
    for k in active:
        unit = np.zeros(h.degrees.size)
        unit[k] = 1.0
        gram.append(h.moments(x, w * h.values(unit, x))[active])
    np.testing.assert_allclose(np.array(gram), np.eye(len(active)), atol=1e-10)


def _empty(h: object, k: int) -> bool:
    scale = getattr(h, "_scale", None)
    return scale is not None and scale[k] == 0.0


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("geometry", ["sphere", "circle"])
@pytest.mark.parametrize("model", ["sa", "usa"])
def test_harmonics_agree_with_direct_sums(geometry: str, beta: float, model: str) -> None:
    rng = np.random.default_rng(7)
    d = 3 if geometry == "sphere" else 2
    x, y = _points(geometry, 300, rng), _points(geometry, 400, rng)
    m = rng.random(400)
    measure = Measure(y, m / m.sum())
    fields = [
        Attention(model, beta, d, geometry, method=method, accuracy=1e-14).field(measure)
        for method in ("harmonics", "direct")
    ]
    a, b = fields
    assert a.energy(scaled=True) == pytest.approx(b.energy(scaled=True), rel=1e-11)
    z = [np.exp(f.log_partition(x) - abs(beta)) for f in fields]
    assert np.max(np.abs(z[0] - z[1])) < 1e-11 * np.max(z[1])
    for values in zip(
        (a.potential(x, True), a.velocity(x, True), a.divergence(x, True)),
        (b.potential(x, True), b.velocity(x, True), b.divergence(x, True)),
        strict=True,
    ):
        scale = np.max(np.abs(values[1]))
        # sa divides by Z, which at beta = 300 varies over decades between the sources
        loss = 1.0 if model == "usa" else max(1.0, float(np.max(z[1]) / np.min(z[1])))
        assert np.max(np.abs(values[0] - values[1])) < 1e-11 * scale * loss


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("model", ["sa", "usa"])
def test_zonal_agrees_with_direct_sums_over_circles(d: int, beta: float, model: str) -> None:
    rng = np.random.default_rng(3)
    theta = _points("zonal", 40, rng)
    m = rng.random(40)
    m /= m.sum()
    turns = 2 if d == 2 else 256  # points on each circle of latitude: exact for the degrees in play
    if d == 2:
        y = np.concatenate([Latitudes(2).embed(theta), Latitudes(2).embed(-theta)])
        weights = np.concatenate([m, m]) / 2
    else:
        phi = 2 * np.pi * np.arange(turns) / turns
        y = np.stack(
            [
                np.outer(np.sin(theta[:, 0]), np.cos(phi)),
                np.outer(np.sin(theta[:, 0]), np.sin(phi)),
                np.outer(np.cos(theta[:, 0]), np.ones(turns)),
            ],
            axis=-1,
        ).reshape(-1, 3)
        weights = np.repeat(m, turns) / turns
    zonal = Attention(model, beta, d, "zonal", accuracy=1e-14).field(Measure(theta, m))
    full = Attention(model, beta, d, "any").field(Measure(y, weights))
    at = np.linspace(0.0, np.pi, 33)[:, None]
    x = Latitudes(d).embed(at)
    tangent = np.zeros_like(x)
    tangent[:, 0], tangent[:, -1] = np.cos(at[:, 0]), -np.sin(at[:, 0])
    z = np.exp(full.log_partition(x) - abs(beta))
    loss = 1.0 if model == "usa" else float(np.max(z) / np.min(z))
    assert zonal.energy(True) == pytest.approx(full.energy(True), rel=1e-11)
    vz, vf = zonal.velocity(at, True)[:, 0], np.sum(full.velocity(x, True) * tangent, axis=1)
    assert np.max(np.abs(vz - vf)) < 1e-11 * max(np.max(np.abs(vf)), 1e-30) * loss
    dz, df = zonal.divergence(at, True), full.divergence(x, True)
    assert np.max(np.abs(dz - df)) < 1e-11 * np.max(np.abs(df)) * loss


@pytest.mark.parametrize("beta", [*BETAS, 1000.0])
@pytest.mark.parametrize("d", [2, 3, 4, 8, 64])
@pytest.mark.parametrize("model", ["sa", "usa"])
def test_zonal_harmonics_agree_with_zonal_direct_sums(d: int, beta: float, model: str) -> None:
    rng = np.random.default_rng(d)
    theta, m = _points("zonal", 50, rng), rng.dirichlet(np.ones(50))
    a, b = (
        Attention(model, beta, d, "zonal", method=method, accuracy=1e-14).field(Measure(theta, m))
        for method in ("harmonics", "direct")
    )
    at = np.linspace(0.0, np.pi, 41)[:, None]
    z = np.exp(b.log_partition(at) - abs(beta))
    loss = 1.0 if model == "usa" else float(np.max(z) / np.min(z))
    assert a.energy(True) == pytest.approx(b.energy(True), rel=2e-11)
    pairs = zip(
        (a.potential(at, True), a.velocity(at, True), a.divergence(at, True)),
        (b.potential(at, True), b.velocity(at, True), b.divergence(at, True)),
        strict=True,
    )
    for one, two in pairs:
        assert np.max(np.abs(one - two)) < 2e-11 * max(np.max(np.abs(two)), 1e-30) * loss


def test_dark_zonal_points_see_the_far_cluster() -> None:
    theta = np.array([[0.02], [0.05]])
    field = Attention("sa", 60.0, 8, "zonal").field(Measure(theta, np.array([0.5, 0.5])))
    at = np.linspace(0.0, np.pi, 30)[:, None]
    seen = DarkPoints()
    v = field.velocity(at, seen=seen)[:, 0]
    assert seen.most > 15
    exact = Attention("sa", 60.0, 8, "zonal", method="direct").field(
        Measure(theta, np.array([0.5, 0.5]))
    )
    np.testing.assert_allclose(v, exact.velocity(at)[:, 0], atol=1e-3)
    # far from it all that is left is the direction to the cluster, of length sin(theta) or so
    np.testing.assert_allclose(v[5:-1], -np.sin(at[5:-1, 0]), atol=0.05)


# ------------------------------------------------------------------ fields against plain formulas


def _plain(model: str, beta: float, x: np.ndarray, y: np.ndarray, m: np.ndarray, value: int):
    """The definition, (2.3) and (3.8), typed once more with N x N arrays."""
    k = np.exp(beta * (x @ y.T)) * m
    if model == "sa":
        k = k / k.sum(axis=1, keepdims=True)
    v = value * (k @ y)
    return v - np.sum(v * x, axis=1, keepdims=True) * x


@pytest.mark.parametrize("d", [2, 3, 8, 128])
@pytest.mark.parametrize("model", ["sa", "usa"])
@pytest.mark.parametrize("value", [1, -1])
def test_velocity_is_the_definition(d: int, model: str, value: int) -> None:
    rng = np.random.default_rng(d)
    x, y, m = uniform_points(50, d, rng), uniform_points(60, d, rng), rng.dirichlet(np.ones(60))
    for beta in (-3.0, 0.0, 1e-7, 5.0):
        field = Attention(model, beta, d, value=value).field(Measure(y, m))
        expected = _plain(model, beta, x, y, m, value)
        np.testing.assert_allclose(field.velocity(x), expected, atol=1e-12 * np.exp(abs(beta)))


@pytest.mark.parametrize("geometry", ["sphere", "circle", "zonal"])
@pytest.mark.parametrize("model", ["sa", "usa"])
def test_velocity_is_the_gradient_of_the_potential(geometry: str, model: str) -> None:
    rng = np.random.default_rng(11)
    d = {"sphere": 3, "circle": 2, "zonal": 5}[geometry]
    y, m = _points(geometry, 80, rng), rng.dirichlet(np.ones(80))
    field = Attention(model, 6.0, d, geometry, value=-1).field(Measure(y, m))
    x = _points(geometry, 20, rng)[4:]
    h = 1e-5
    if geometry == "zonal":
        numeric = (field.potential(x + h) - field.potential(x - h))[:, None] / (2 * h)
        np.testing.assert_allclose(field.velocity(x), numeric, rtol=1e-6, atol=1e-6)
        return
    t = rng.standard_normal(x.shape)
    t -= np.sum(t * x, axis=1, keepdims=True) * x
    plus, minus = (
        (x + s * h * t) / np.linalg.norm(x + s * h * t, axis=1)[:, None] for s in (1, -1)
    )
    numeric = (field.potential(plus) - field.potential(minus)) / (2 * h)
    np.testing.assert_allclose(np.sum(field.velocity(x) * t, axis=1), numeric, rtol=1e-5, atol=1e-6)


def test_divergence_integrates_to_zero_and_matches_energy_growth() -> None:
    # dE/dt = int |X|^2 dmu (usa), int Z |X|^2 dmu (sa): moving points a little must show it.
    rng = np.random.default_rng(5)
    y, m = uniform_points(100, 3, rng), rng.dirichlet(np.ones(100))
    for model in ("sa", "usa"):
        att = Attention(model, 4.0, 3, "sphere")
        field = att.field(Measure(y, m))
        v = field.velocity(y)
        z = np.exp(field.log_partition(y)) if model == "sa" else 1.0
        rate = np.sum(m * z * np.sum(v**2, axis=1))
        h = 1e-5
        ends = []
        for s in (1, -1):
            moved = y + s * h * v
            moved /= np.linalg.norm(moved, axis=1)[:, None]
            ends.append(att.field(Measure(moved, m)).energy())
        assert (ends[0] - ends[1]) / (2 * h) == pytest.approx(rate, rel=1e-6)


def test_uniform_quadrature_exerts_no_force() -> None:
    rng = np.random.default_rng(2)
    x = uniform_points(500, 3, rng)
    w = np.full(500, 1 / 500)
    field = Attention("sa", 9.0, 3, "sphere", accuracy=1e-6).field(Measure(x, w, w))
    assert np.max(np.abs(field.velocity(x))) < 1e-15
    assert field.energy_excess() == 0.0


@pytest.mark.parametrize("model", ["sa", "usa"])
def test_rotation_equivariance(model: str) -> None:
    rng = np.random.default_rng(8)
    x, m = uniform_points(200, 3, rng), rng.dirichlet(np.ones(200))
    r = random_rotation(3, rng)
    att = Attention(model, 5.0, 3, "sphere")
    v = att.field(Measure(x, m)).velocity(x)
    turned = att.field(Measure(x @ r.T, m)).velocity(x @ r.T)
    np.testing.assert_allclose(turned, v @ r.T, atol=1e-7 * np.max(np.abs(v)))


@pytest.mark.parametrize("beta", [40.0, 300.0, 1000.0])
def test_dark_points_see_the_far_cluster_exactly(beta: float) -> None:
    # One narrow cluster: at its antipode Z is e^{-2 beta} of the maximum, far below round-off.
    rng = np.random.default_rng(1)
    y = np.array([0.0, 0.0, 1.0]) + 0.05 * rng.standard_normal((50, 3))
    y /= np.linalg.norm(y, axis=1)[:, None]
    measure = Measure(y, np.full(50, 0.02))
    x = np.concatenate([uniform_points(100, 3, rng), [[0.0, 0.0, -1.0]], y[:5]])
    field = Attention("sa", beta, 3, "sphere").field(measure)
    exact = Attention("sa", beta, 3).field(measure)
    seen = DarkPoints()
    v = field.velocity(x, seen=seen)
    assert 50 < seen.most < 106
    assert np.max(np.abs(v - exact.velocity(x))) < 1e-3
    np.testing.assert_allclose(field.potential(x), exact.potential(x), atol=2e-3 / beta)
    assert np.max(np.linalg.norm(v, axis=1)) <= 1.0 + 1e-3  # |X| <= 1 for sa


def test_large_beta_is_scaled() -> None:
    rng = np.random.default_rng(0)
    x, m = uniform_points(30, 3, rng), np.full(30, 1 / 30)
    usa = Attention("usa", 1000.0, 3).field(Measure(x, m))
    assert np.isfinite(usa.velocity(x, scaled=True)).all()
    assert np.isinf(usa.energy())
    assert 0.0 < usa.energy(scaled=True) < 1.0 / 2000.0
    with pytest.raises(InputError, match="scaled=True"):
        usa.velocity(x)


def test_bounds_on_the_energy() -> None:
    for beta in (0.5, 4.0, 30.0):
        dirac = Attention("sa", beta, 3, "sphere").field(
            Measure(np.array([[0.6, 0.0, 0.8]]), np.ones(1))
        )
        assert dirac.energy(scaled=True) == pytest.approx(1 / (2 * beta), rel=1e-7)


def test_pair_sums_have_a_scale_of_their_own() -> None:
    x = np.array([[0.0, 1.0], [0.0, -1.0]])
    sums = pair_sums(x, x[:1], np.array([2.0]), 500.0)
    np.testing.assert_allclose(sums.log_scale, [500.0, -500.0])
    np.testing.assert_allclose(sums.z, [2.0, 2.0])
    np.testing.assert_allclose(sums.zy, [[0.0, 2.0], [0.0, 2.0]])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(model="softmax", beta=1.0, d=3), "'sa' or 'usa' expected"),
        (dict(model="sa", beta=1.0, d=1), "at least 2"),
        (dict(model="sa", beta=1.0, d=3, geometry="circle"), "'circle'"),
        (dict(model="sa", beta=1.0, d=3, geometry="spher"), "'sphere'"),
        (dict(model="sa", beta=1.0, d=3, value=2), "V = I"),
        (dict(model="sa", beta=1.0, d=3, accuracy=1e-20), "accuracy"),
        (dict(model="sa", beta=1.0, d=8, method="harmonics"), "geometry"),
    ],
)
def test_attention_refuses(arguments: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Attention(**arguments)


def test_an_unknown_attention_is_never_taken_for_another() -> None:
    told = r"attention 'ausa' found, 'sa' or 'usa' expected \(did you mean 'usa'\?\)"
    for made in (
        lambda: Attention("ausa", 4.0, 3),  # type: ignore[arg-type]
        lambda: SelfAttention("ausa", 4.0),  # type: ignore[arg-type]
        lambda: replace(SelfAttention("sa", 4.0), model="ausa"),  # type: ignore[arg-type]
        lambda: attention_energy({"attention": "ausa", "beta": 4.0}),
    ):
        with pytest.raises(InputError, match=told):
            made()
    with pytest.raises(InputError, match="'ausa'"):
        Model(attention="ausa", beta=4.0)  # type: ignore[arg-type]
    one, two = (attention_energy({"attention": model, "beta": 4.0}) for model in ("sa", "usa"))
    assert one == two == {"label": "E e^-|beta|", "dirac": 0.125}
    assert attention_energy({"beta": 4.0}) == attention_energy({}) == {"label": "E", "dirac": None}
