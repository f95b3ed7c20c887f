"""Closed forms against independent quadrature, direct sums and the tables they must reproduce."""

from __future__ import annotations

import math

import numpy as np
import pytest
import reference
from numpy.typing import NDArray
from scipy import integrate, special

from meanfield.analysis import exact
from meanfield.errors import InputError
from meanfield.geometry.laws import PoissonKernel
from meanfield.geometry.sphere import random_rotation, tangent_project, uniform_points

Array = NDArray[np.float64]


# ------------------------------------------------------------------ independent machinery


def _zonal_rule(d: int, n: int = 300) -> tuple[Array, Array]:
    """Nodes t = cos theta and weights of sigma on S^{d-1}, exact for polynomials."""
    if d == 2:
        nodes, weights = special.roots_chebyt(n)
    elif d == 3:
        nodes, weights = special.roots_legendre(n)
    else:
        nodes, weights = special.roots_gegenbauer(n, 0.5 * d - 1.0)
    return nodes, weights / weights.sum()


def _zonal_polynomial(degree: int, t: Array, d: int) -> Array:
    """The polynomial of degree l on S^{d-1} with value one at t = 1, by scipy."""
    if d == 2:
        return special.eval_chebyt(degree, t)
    a = 0.5 * d - 1.0
    return special.eval_gegenbauer(degree, a, t) / special.eval_gegenbauer(degree, a, 1.0)


def _zonal_kernel(t: Array, beta: float, d: int) -> Array:
    """e^{beta <x, y>} averaged over the rotations about the axis, at all pairs of nodes."""
    s = np.sqrt(1.0 - t * t)
    across = 0.25 * (beta * np.outer(s, s)) ** 2
    average = special.hyp0f1(0.5 * (d - 1), across) if d > 2 else np.cosh(beta * np.outer(s, s))
    return np.exp(beta * np.outer(t, t)) * average


def _tokens_rate(x: Array, m: Array, model: str, beta: float) -> Array:
    """The token dynamics by direct sums, GLPR (2.3) and (3.8)."""
    w = np.exp(beta * x @ x.T) * m
    if model == "sa":
        w /= w.sum(axis=1, keepdims=True)
    return tangent_project(x, w @ x)


def _tokens(x: Array, m: Array, model: str, beta: float, t: float) -> Array:
    """Token positions at time t."""
    solution = integrate.solve_ivp(
        lambda _, y: _tokens_rate(y.reshape(x.shape), m, model, beta).ravel(),
        (0.0, t), x.ravel(), "DOP853", rtol=1e-11, atol=1e-13,
    )  # fmt: skip
    end: Array = solution.y[:, -1].reshape(x.shape)
    return end


# ------------------------------------------------------------------ kernel and growth rates


@pytest.mark.parametrize("d", [2, 3, 5, 64])
@pytest.mark.parametrize("beta", [-9.0, 1e-6, 0.3, 4.0, 49.0, 51.0, 300.0])
def test_kernel_coefficients_are_projections(d: int, beta: float) -> None:
    t, w = _zonal_rule(d)
    for degree in (0, 1, 2, 7):
        quadrature = w @ (np.exp(beta * t - abs(beta)) * _zonal_polynomial(degree, t, d))
        found = exact.kernel_coefficient(beta, d, degree)
        assert found == pytest.approx(quadrature, rel=1e-11, abs=1e-13)


@pytest.mark.parametrize("order", [0.0, 0.5, 1.0, 3.5, 31.0])
@pytest.mark.parametrize("x", [1e-3, 0.7, 5.0, 90.0, 900.0])
def test_bessel_ratio_against_scipy(order: float, x: float) -> None:
    for shift in (0, 1, 2, 6):
        below, above = special.ive(order, x), special.ive(order + shift, x)
        assert exact.bessel_ratio(order, shift, x) == pytest.approx(above / below, rel=1e-11)


def test_bessel_ratio_where_bessel_functions_underflow() -> None:
    # I_{nu+1}/I_nu -> x/(2 (nu + 1)) for large order; ive(400, 1) is 0 in double precision.
    assert special.ive(400.0, 1.0) == 0.0
    assert exact.bessel_ratio(400.0, 1, 1.0) == pytest.approx(1.0 / 802.0, rel=1e-5)


def test_growth_rates_of_the_tables() -> None:
    sa = reference.growth_rates("sa", 4.0, 3, 5)
    usa = reference.growth_rates("usa", 4.0, 3, 5)
    np.testing.assert_allclose(
        sa[1:], [0.375336, 0.655495, 0.613276, 0.396261, 0.195808], atol=5e-7
    )
    np.testing.assert_allclose(usa[1:], [2.56072, 4.47210, 4.18406, 2.70348, 1.33590], atol=5e-6)
    circle = reference.growth_rates("sa", 5.0, 2, 5)
    np.testing.assert_allclose(
        circle[1:], [0.178677, 0.514117, 0.682678, 0.600089, 0.396106], atol=5e-7
    )
    assert sa[0] == usa[0] == circle[0] == 0.0


@pytest.mark.parametrize("model", ["sa", "usa"])
@pytest.mark.parametrize("d", [2, 3, 8])
@pytest.mark.parametrize("beta", [-4.0, 0.0, 4.0])
def test_growth_rate_is_the_derivative_of_the_flow(model: str, d: int, beta: float) -> None:
    # d c_l/dt = int <grad P_l, X> rho dsigma at rho = 1 + eps P_l, by quadrature of the kernel.
    t, w = _zonal_rule(d, 80)
    eps = 1e-5
    kernel = _zonal_kernel(t, beta, d) if beta else np.outer(t, t)
    for degree in (1, 2, 3):
        p = _zonal_polynomial(degree, t, d)
        slope = _slope(degree, t, d)  # dP_l/dt
        # grad Z along theta, dZ/dt at the nodes, from the expansion of Z in the same polynomials.
        z = kernel @ (w * (1.0 + eps * p))
        coefficients = [
            (w @ (z * q)) / (w @ (q * q)) for q in (_zonal_polynomial(l, t, d) for l in range(30))
        ]
        dz = sum(c * _slope(l, t, d) for l, c in enumerate(coefficients))
        xi_slope = dz / beta if beta else dz
        if model == "sa" and beta:
            xi_slope = xi_slope / z
        rate = w @ ((1.0 - t * t) * slope * xi_slope * (1.0 + eps * p))
        amplitude = eps * (w @ (p * p))
        expected = exact.growth_rate(model, beta, d, degree)
        assert rate / amplitude == pytest.approx(expected, rel=1e-4, abs=1e-7)


def _slope(degree: int, t: Array, d: int) -> Array:
    """P_l'(t) = l (l + d - 2)/(d - 1) times the polynomial of degree l - 1 in dimension d + 2."""
    if degree == 0:
        return np.zeros_like(t)
    return degree * (degree + d - 2) / (d - 1) * _zonal_polynomial(degree - 1, t, d + 2)


def test_growth_rates_take_noise_and_the_sign_of_v() -> None:
    for beta in (0.0, 4.0):
        plain = exact.growth_rate("sa", beta, 3, 2)
        assert exact.growth_rate("sa", beta, 3, 2, kappa=0.1) == pytest.approx(plain - 0.6)
        assert exact.growth_rate("sa", beta, 3, 2, value=-1) == -plain


def test_large_beta_limit_of_the_fastest_mode() -> None:
    # sa: the fastest degree is about sqrt(2 beta), its rate tends to 2/e.
    beta = 900.0
    rates = reference.growth_rates("sa", beta, 3, 120)
    assert np.argmax(rates) == pytest.approx(math.sqrt(2.0 * beta), rel=0.05)
    assert rates.max() == pytest.approx(2.0 / math.e, rel=0.02)
    assert exact.growth_rate("usa", 900.0, 3, 3) == math.inf


def test_critical_noise() -> None:
    assert exact.critical_noise("usa", 4.0, 3) == pytest.approx(
        reference.FIRST_ORDER_USA.kappa_c, abs=5e-7
    )
    for model in ("sa", "usa"):
        for d, beta in ((2, 5.0), (3, 4.0), (8, 1.0), (3, 0.0)):
            kappa = exact.critical_noise(model, beta, d)
            assert abs(max(reference.growth_rates(model, beta, d, 8, kappa))) < 1e-12
            assert max(reference.growth_rates(model, beta, d, 8, 0.99 * kappa)) > 0.0
    assert exact.critical_noise("sa", 0.0, 5) == pytest.approx(0.2)
    with pytest.raises(InputError, match="beta >= 0"):
        exact.critical_noise("sa", -1.0, 3)


def test_first_order_threshold() -> None:
    assert exact.first_order_threshold(3) == pytest.approx(1.81615453, abs=5e-9)
    for d in (2, 8, 40):
        b = exact.first_order_threshold(d)
        assert special.ive(0.5 * d + 1, b) / special.ive(0.5 * d, b) == pytest.approx(1.0 / d)


def test_energy_bounds_are_the_energies_of_uniform_and_dirac() -> None:
    for d in (2, 3, 8):
        t, w = _zonal_rule(d, 80)
        low, high = exact.energy_bounds(4.0, d)
        assert low == pytest.approx(w @ _zonal_kernel(t, 4.0, d) @ w / 8.0, rel=1e-12)
        assert high == pytest.approx(math.exp(4.0) / 8.0)
        scaled = exact.energy_bounds(4.0, d, scaled=True)
        assert scaled == pytest.approx((low * math.exp(-4.0), 0.125))
    with pytest.raises(InputError, match="beta > 0"):
        exact.energy_bounds(0.0, 3)


# ------------------------------------------------------------------ Poisson kernel


@pytest.mark.parametrize("d", [2, 3, 4, 8])
@pytest.mark.parametrize("r", [0.0, 1e-6, 0.2, 0.6, 0.9])
def test_mean_of_the_poisson_kernel(d: int, r: float) -> None:
    t, w = _zonal_rule(d)
    axis = np.zeros(d)
    axis[-1] = r
    x = np.zeros((t.size, d))
    x[:, 0], x[:, -1] = np.sqrt(1.0 - t * t), t
    rho = PoissonKernel(tuple(axis)).density(x)
    assert w @ rho == pytest.approx(1.0, rel=1e-10)
    assert exact.poisson_mean_length(r, d) == pytest.approx(w @ (t * rho), rel=1e-10, abs=1e-14)


def test_mean_of_the_poisson_kernel_in_closed_form() -> None:
    r = np.array([0.1, 0.5, 0.9, 0.999, 1.0 - 1e-9])
    np.testing.assert_allclose(exact.poisson_mean_length(r, 2), r, rtol=1e-14)
    log = np.log((1.0 + r) / (1.0 - r))
    closed = (1.0 + r * r) / (2.0 * r) - (1.0 - r * r) ** 2 / (4.0 * r * r) * log
    np.testing.assert_allclose(exact.poisson_mean_length(r, 3), closed, rtol=1e-11)


def test_radius_of_the_poisson_kernel() -> None:
    for point in reference.POISSON_SPHERE:
        r = exact.poisson_radius(point.t, 0.2, 3)
        assert r == pytest.approx(point.r, abs=1e-10)
        assert exact.poisson_mean_length(r, 3) == pytest.approx(point.m, abs=1e-10)
    t = np.array([[0.0, 3.0], [1.0, 30.0]])
    circle = (1.0 + (0.3**-2 - 1.0) * np.exp(-t)) ** -0.5
    np.testing.assert_allclose(exact.poisson_radius(t, 0.3, 2), circle, rtol=1e-12)
    back = exact.poisson_radius(2.0, float(exact.poisson_radius(2.0, 0.2, 8)), 8, value=-1)
    assert back == pytest.approx(0.2, rel=1e-11)


def test_the_flow_carries_the_poisson_kernel() -> None:
    # d/dt int f dmu = int <grad f, m> dmu for X = P_x m: for f = <x, e>^2 by quadrature.
    d, r, h = 5, 0.4, 1e-4
    t, w = _zonal_rule(d)

    def second_moment(radius: float) -> float:
        rho = ((1.0 - radius**2) / (1.0 - 2.0 * radius * t + radius**2)) ** (d - 1)
        return float(w @ (t * t * rho))

    ahead, behind = (second_moment(float(exact.poisson_radius(h, r, d, value=v))) for v in (1, -1))
    rho = ((1.0 - r**2) / (1.0 - 2.0 * r * t + r**2)) ** (d - 1)
    flux = float(exact.poisson_mean_length(r, d)) * (w @ (2.0 * t * (1.0 - t * t) * rho))
    assert (ahead - behind) / (2.0 * h) == pytest.approx(flux, rel=1e-7)


# ------------------------------------------------------------------ linear field


def test_angular_gaussian_is_the_image_of_uniform() -> None:
    # The flow of P_x(A x) is x -> e^{tA} x/|e^{tA} x|; second moments of image and density agree.
    a = np.array([[0.3, -0.8, 0.1], [0.6, 0.2, 0.0], [0.0, 0.4, -0.5]])
    z, w = np.polynomial.legendre.leggauss(80)
    phi = 2.0 * np.pi * np.arange(160) / 160
    s = np.sqrt(1.0 - z * z)
    x = np.stack(
        [np.outer(s, np.cos(phi)), np.outer(s, np.sin(phi)), np.outer(z, np.ones(160))], axis=-1
    ).reshape(-1, 3)
    weights = np.repeat(w / 2.0, 160) / 160
    solution = integrate.solve_ivp(
        lambda _, y: (y.reshape(3, 3) @ a.T).ravel(), (0.0, 0.7), np.eye(3).ravel(),
        rtol=1e-11, atol=1e-12,
    )  # fmt: skip
    image = x @ solution.y[:, -1].reshape(3, 3)  # rows: e^{tA} e_k
    image /= np.linalg.norm(image, axis=1, keepdims=True)
    covariance = exact.angular_gaussian_covariance(0.7, a)
    quadratic = np.sum(x * np.linalg.solve(covariance, x.T).T, axis=1)
    rho = np.linalg.det(covariance) ** -0.5 * quadratic**-1.5
    assert weights @ rho == pytest.approx(1.0, rel=1e-9)
    np.testing.assert_allclose(
        (weights * rho) @ (x[:, :, None] * x[:, None, :]).reshape(-1, 9),
        weights @ (image[:, :, None] * image[:, None, :]).reshape(-1, 9),
        atol=1e-9,
    )


# ------------------------------------------------------------------ Diracs


@pytest.mark.parametrize("model", ["sa", "usa"])
@pytest.mark.parametrize("mass", [0.5, 0.2])
def test_two_diracs_against_two_tokens(model: str, mass: float) -> None:
    beta, angle = 2.0, 1.7
    x = np.array([[0.0, 0.0, 1.0], [math.sin(angle), 0.0, math.cos(angle)]])
    x = x @ random_rotation(3, np.random.default_rng(1))
    m = np.array([mass, 1.0 - mass])
    for t in (0.3, 1.1):
        y = _tokens(x, m, model, beta, t)
        found = exact.two_dirac_angle(t, angle, model, beta, mass)
        assert found == pytest.approx(math.acos(y[0] @ y[1]), abs=1e-8)
    v = _tokens_rate(x, m, model, beta)
    assert exact.two_dirac_rate(model, x[0] @ x[1], beta, mass) == pytest.approx(
        v[0] @ x[1] + x[0] @ v[1], rel=1e-12
    )


def test_two_dirac_times_of_the_table() -> None:
    assert exact.two_dirac_time(2.0, 0.05, "usa", 1.0) == pytest.approx(2.25647157, abs=5e-9)
    assert exact.two_dirac_time(2.0, 0.05, "sa", 1.0) == pytest.approx(5.13270974, abs=5e-9)
    for model in ("sa", "usa"):
        time = exact.two_dirac_time(3.0, 0.01, model, 6.0, 0.3)
        # The angle falls at rate 1 and more after a wait of up to e^6: digits of t are angles.
        assert exact.two_dirac_angle(time, 3.0, model, 6.0, 0.3) == pytest.approx(0.01, rel=1e-7)
        resting = exact.two_dirac_angle([0.0, 9.0], math.pi, model, 6.0)
        assert np.all(resting == math.pi)
    with pytest.raises(InputError, match="0 < end < start < pi"):
        exact.two_dirac_time(1.0, 2.0, "sa", 1.0)


@pytest.mark.parametrize("model", ["sa", "usa"])
@pytest.mark.parametrize("n", [2, 4])
def test_equiangular_tokens_against_direct_sums(model: str, n: int) -> None:
    beta = 1.5
    rotation = random_rotation(n, np.random.default_rng(2))  # orthonormal rows: gamma = 0
    y = _tokens(rotation, np.full(n, 1.0 / n), model, beta, 0.8)
    products = (y @ y.T)[~np.eye(n, dtype=bool)]
    found = exact.equiangular_solution([0.0, 0.8], 0.0, model, beta, n)
    assert found[0] == 0.0
    np.testing.assert_allclose(products, found[1], atol=1e-9)


def test_two_equal_diracs_are_two_equiangular_tokens() -> None:
    gamma = np.linspace(-0.99, 0.99, 9)
    for model in ("sa", "usa"):
        np.testing.assert_allclose(
            exact.two_dirac_rate(model, gamma, 3.0),
            exact.equiangular_rate(model, gamma, 3.0, 2),
            rtol=1e-13,
        )


def test_narrow_cluster_variance() -> None:
    # Gauss-Hermite tokens on the circle carry a Gaussian exactly while they are narrow.
    beta, variance = 400.0, 5e-4
    nodes, weights = np.polynomial.hermite_e.hermegauss(31)
    weights = weights / weights.sum()
    angles = math.sqrt(variance) * nodes
    x = np.column_stack([np.cos(angles), np.sin(angles)])
    y = _tokens(x, weights, "sa", beta, 1.2)
    found = float(weights @ np.arctan2(y[:, 1], y[:, 0]) ** 2)
    exactly = exact.narrow_cluster_variance(1.2, variance, beta)
    assert found == pytest.approx(exactly, rel=5e-3)
    t = np.array([0.0, 0.5, 3.0])
    c = exact.narrow_cluster_variance(t, 0.3, 7.0)
    np.testing.assert_allclose(np.log(c / 0.3) + 7.0 * (c - 0.3), -2.0 * t, atol=1e-12)
    with pytest.raises(InputError, match="no narrow cluster"):
        exact.narrow_cluster_variance(0.0, 1.0, 700.0)


@pytest.mark.parametrize("model", ["sa", "usa"])
@pytest.mark.parametrize("m", [2, 3, 5])
def test_ring_rates_are_eigenvalues_of_the_jacobian(model: str, m: int) -> None:
    beta, h = 3.0, 1e-5
    angles = 2.0 * np.pi * np.arange(m) / m

    def rate(phi: Array) -> Array:
        x = np.column_stack([np.cos(phi), np.sin(phi)])
        v = _tokens_rate(x, np.full(m, 1.0 / m), model, beta)
        return np.asarray(x[:, 0] * v[:, 1] - x[:, 1] * v[:, 0])

    columns = [(rate(angles + h * e) - rate(angles - h * e)) / (2.0 * h) for e in np.eye(m)]
    eigenvalues = np.sort(np.linalg.eigvals(np.array(columns).T).real)
    np.testing.assert_allclose(
        eigenvalues, np.sort(exact.ring_rates(model, beta, m)), rtol=1e-7, atol=1e-8
    )


def test_ring_rates_of_two() -> None:
    for beta in (0.5, 4.0):
        assert exact.ring_rates("usa", beta, 2)[1] == pytest.approx(math.exp(-beta))
        assert exact.ring_rates("sa", beta, 2)[1] == pytest.approx(2 / (1 + math.exp(2 * beta)))
    assert exact.ring_rates("sa", 800.0, 2)[1] == 0.0  # 1e-695: no overflow on the way


# ------------------------------------------------------------------ noise


def test_mean_with_noise_at_beta_zero() -> None:
    for d, kappa in ((2, 0.3), (3, 0.1), (3, 0.33), (8, 0.05)):
        m = exact.noisy_linear_mean(kappa, d)
        t, w = _zonal_rule(d)
        density = np.exp(m * (t - 1.0) / kappa)
        assert 0.0 < m < 1.0
        assert (w @ (t * density)) / (w @ density) == pytest.approx(m, abs=1e-12)
    assert exact.noisy_linear_mean(0.5, 2) == 0.0


@pytest.mark.parametrize("profile", reference.STATIONARY_PROFILES, ids=lambda p: f"{p.model}-{p.d}")
def test_stationary_profiles_of_the_table(profile: reference.StationaryProfile) -> None:
    # The fixed point mu ~ exp(Z/(beta kappa)) (usa), Z^{1/(beta kappa)} (sa), iterated to rest.
    d, beta, kappa = profile.d, profile.beta, profile.kappa
    t, w = _zonal_rule(d, 120)
    kernel = _zonal_kernel(t, beta, d)
    mu = w * np.exp(3.0 * t)
    mu /= mu.sum()
    for _ in range(4000):
        z = kernel @ mu
        log_rho = (z if profile.model == "usa" else np.log(z)) / (beta * kappa)
        new = w * np.exp(log_rho - log_rho.max())
        new /= new.sum()
        settled = np.max(np.abs(new - mu)) < 1e-15
        mu = new
        if settled:
            break
    moments = [mu @ _zonal_polynomial(l, t, d) for l in (1, 2)]
    np.testing.assert_allclose(moments, profile.moments, atol=2e-10)
    assert mu @ kernel @ mu / (2.0 * beta) == pytest.approx(profile.energy, abs=1e-8)


# ------------------------------------------------------------------ refusals


def test_refusals_name_the_value() -> None:
    with pytest.raises(InputError, match="did you mean 'usa'"):
        exact.growth_rate("uusa", 1.0, 3, 1)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="d = 1 found"):
        exact.poisson_mean_length(0.3, 1)
    with pytest.raises(InputError, match="r0 = 1 found"):
        exact.poisson_radius(1.0, 1.0, 3)
    with pytest.raises(InputError, match="times >= 0"):
        exact.poisson_radius(-1.0, 0.2, 3)
    with pytest.raises(InputError, match="value = 2"):
        exact.growth_rate("sa", 1.0, 3, 1, value=2)
    with pytest.raises(InputError, match="mass = 1 found"):
        exact.two_dirac_rate("sa", 0.0, 1.0, mass=1.0)
    with pytest.raises(InputError, match="at least 2"):
        exact.equiangular_rate("sa", 0.0, 1.0, 1)


def test_token_rate_of_this_file_is_tangent() -> None:
    x = uniform_points(6, 4, np.random.default_rng(0))
    v = _tokens_rate(x, np.full(6, 1.0 / 6.0), "sa", 2.0)
    assert np.max(np.abs(np.sum(x * v, axis=1))) < 1e-15
