"""Initial laws: mass one, values against closed forms, and draws against densities.

Draws are held against the distribution of projections that quadrature of the density gives, by
Kolmogorov-Smirnov with fixed seeds: the true law must reach p > 1e-3 (``ACCEPT``), a slightly
wrong one must fall below p < 1e-6 (``REJECT``), so that a passing test means something.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.special import eval_gegenbauer, hyp2f1, iv, lpmv
from scipy.stats import beta as beta_law
from scipy.stats import binomtest, kstest

from meanfield.errors import InputError, MeanfieldWarning
from meanfield.geometry.laws import (
    AngularGaussian,
    Cap,
    Fourier,
    FunctionDensity,
    Gegenbauer,
    Harmonic,
    Law,
    Mixture,
    PoissonKernel,
    TabulatedDensity,
    TabulatedProfile,
    Uniform,
    VonMisesFisher,
    standard_density,
)
from meanfield.geometry.mesh import circle, icosphere, zonal_interval
from meanfield.geometry.sphere import Array, log_area, normalize, random_rotation, uniform_points

ACCEPT, REJECT = 1e-3, 1e-6


def axis(d: int) -> Array:
    """The last coordinate axis."""
    return np.eye(d)[-1]


def frame(pole: Array) -> Array:
    """An orthogonal matrix whose last column is the unit vector ``pole``."""
    d = len(pole)
    q, _ = np.linalg.qr(np.column_stack([pole, np.eye(d)]))
    q = np.roll(q[:, :d], -1, axis=1)
    q[:, -1] = pole
    return q


def rings(law: Law, pole: Array, theta: Array, around: int) -> Array:
    """Mean of the density over the ring at each angle from the pole (d > 3: at one point)."""
    d = law.d
    if d == 2:
        ring = np.array([[1.0], [-1.0]])
    elif d == 3:
        phi = 2.0 * np.pi * (np.arange(around) + 0.5) / around
        ring = np.column_stack([np.cos(phi), np.sin(phi)])
    else:
        ring = np.eye(d - 1)[:1]
    local = np.empty((len(theta), len(ring), d))
    local[:, :, :-1] = np.sin(theta)[:, None, None] * ring
    local[:, :, -1] = np.cos(theta)[:, None]
    x = normalize(local.reshape(-1, d) @ frame(pole).T)
    return law.density(x).reshape(len(theta), -1).mean(axis=1)


def weight(d: int, theta: Array) -> Array:
    """Density of the angle from a pole under sigma."""
    return math.exp(log_area(d - 1) - log_area(d)) * np.sin(theta) ** (d - 2)


def integral(
    law: Law,
    f: Callable[[Array], Array] = np.ones_like,
    pole: Array | None = None,
    around: int = 128,
) -> float:
    """Integral of f(<x, pole>) against the law: 64 Gauss-Legendre panels times a uniform ring."""
    pole = axis(law.d) if pole is None else pole
    nodes, w = np.polynomial.legendre.leggauss(8)
    theta = np.pi / 64 * (np.arange(64)[:, None] + 0.5 * (nodes + 1.0)).ravel()
    w = np.tile(w, 64) * np.pi / 128
    return float(w @ (rings(law, pole, theta, around) * weight(law.d, theta) * f(np.cos(theta))))


def projection_p(law: Law, x: Array, pole: Array) -> float:
    """KS p-value of the angles from the pole against their law by the midpoint rule (1600)."""
    edges = np.linspace(0.0, np.pi, 1601)
    middle = 0.5 * (edges[1:] + edges[:-1])
    cdf = np.append(0.0, np.cumsum(rings(law, pole, middle, 64) * weight(law.d, middle)))
    cdf *= np.pi / 1600
    assert abs(cdf[-1] - 1.0) < 2e-3
    angle = 2.0 * np.arctan2(np.linalg.norm(x - pole, axis=1), np.linalg.norm(x + pole, axis=1))
    return float(kstest(angle, lambda a: np.interp(a, edges, cdf / cdf[-1])).pvalue)


def uniform_p(y: Array) -> float:
    """P-value of the first coordinate of unit vectors, if uniform (KS; d = 1: signs)."""
    d = y.shape[1]
    if d == 1:
        return float(binomtest(int((y[:, 0] > 0).sum()), len(y)).pvalue)
    return float(kstest(np.sign(y[:, 0]) * y[:, 0] ** 2, _signed(d)).pvalue)


def _signed(d: int) -> Callable[[Array], Array]:
    law = beta_law(0.5, 0.5 * (d - 1))
    return lambda s: 0.5 * (1.0 + np.sign(s) * law.cdf(np.abs(s)))


def smooth(x: Array) -> Array:
    """A positive function without symmetry, not normalised."""
    return np.exp(x[:, 0] + 0.5 * x[:, -1] ** 2) + 0.3 * x[:, -1]


def tabulated(level: int) -> TabulatedDensity:
    mesh = icosphere(level)
    return TabulatedDensity(mesh.points, mesh.cells, smooth(mesh.points))


def tabulated_circle(n: int) -> TabulatedDensity:
    mesh = circle(n)
    return TabulatedDensity(mesh.points, mesh.cells, smooth(mesh.points))


def profile(d: int, n: int = 60) -> TabulatedProfile:
    theta = zonal_interval(n, d).points[:, 0]
    return TabulatedProfile(d, theta, 0.2 + (1.0 + np.cos(theta)) ** 2)


STRAIN = np.array([[2.0, 0.5, 0.0], [0.5, 1.0, -0.3], [0.0, -0.3, 0.6]])

# Laws on the circle and the sphere: any projection can be tried.
LOW: dict[str, Callable[[], Law]] = {
    "uniform-2": lambda: Uniform(2),
    "uniform-3": lambda: Uniform(3),
    "vmf-2": lambda: VonMisesFisher((1.0, 2.0), 3.0),
    "vmf-3": lambda: VonMisesFisher((1.0, -2.0, 0.5), 7.0),
    "poisson-2": lambda: PoissonKernel((0.5, -0.2)),
    "poisson-3": lambda: PoissonKernel((0.1, 0.5, -0.3)),
    "gaussian-2": lambda: AngularGaussian(STRAIN[:2, :2]),
    "gaussian-3": lambda: AngularGaussian(STRAIN),
    "cap-2": lambda: Cap((1.0, 1.0), 2.0),
    "cap-3": lambda: Cap((1.0, 1.0, 3.0), 1.2),
    "fourier": lambda: Fourier((0.3, -0.2), (0.1, 0.0, 0.4)),
    "gegenbauer-2": lambda: Gegenbauer(2, (0.1, 0.0, 0.6), (1.0, 3.0)),
    "gegenbauer-3": lambda: Gegenbauer(3, (0.3, 0.25), (1.0, 1.0, 0.0)),
    "harmonic": lambda: Harmonic(((2, 1, 0.4), (3, -2, 0.5), (1, 0, -0.1))),
    "standard": standard_density,
    "mixture-2": lambda: Mixture((VonMisesFisher((1.0, 0.0), 9.0), Uniform(2)), (1.0, 3.0)),
    "tabulated-2": lambda: tabulated_circle(23),
    "tabulated-3": lambda: tabulated(1),
    "profile-2": lambda: profile(2),
    "profile-3": lambda: profile(3),
    "function-2": lambda: FunctionDensity(smooth, 2),
    "function-3": lambda: FunctionDensity(smooth, 3),
    "function-zonal-2": lambda: FunctionDensity(lambda x: 1.0 + x[:, -1] ** 3, 2, zonal=True),
    "function-zonal-3": lambda: FunctionDensity(lambda x: 1.0 + x[:, -1] ** 3, 3, zonal=True),
}

# Axially symmetric laws in higher dimensions, with their axis.
HIGH: dict[str, Callable[[int], Law]] = {
    "uniform": Uniform,
    "vmf": lambda d: VonMisesFisher(axis(d), 2.0 * math.sqrt(d)),
    "poisson": lambda d: PoissonKernel(0.1 * axis(d)),
    "gaussian": lambda d: AngularGaussian(np.diag(np.append(np.ones(d - 1), 3.0))),
    "cap": lambda d: Cap(axis(d), 7.0 * math.pi / 16.0),  # an edge of the rules above
    "gegenbauer": lambda d: Gegenbauer(d, (0.3, 0.25, 0.1)),
    "profile": profile,
    "function": lambda d: FunctionDensity(lambda x: np.exp(2.0 * x[:, -1]), d, zonal=True),
    "mixture": lambda d: Mixture((Uniform(d), VonMisesFisher(-axis(d), 9.0)), (0.4, 0.6)),
}

KINKS = {"cap": 6e-3, "tabulated": 1e-5, "profile": 1e-4}
"""How far quadrature that does not know the edges of a law may be from one."""


@pytest.mark.parametrize("name", LOW)
def test_mass_one_on_circle_and_sphere(name: str) -> None:
    tolerance = KINKS.get(name.split("-")[0], 1e-11)
    assert integral(LOW[name]()) == pytest.approx(1.0, abs=tolerance)


@pytest.mark.parametrize("d", [2, 3, 8, 64])
@pytest.mark.parametrize("name", HIGH)
def test_mass_one_in_any_dimension(name: str, d: int) -> None:
    tolerance = 1e-4 if name == "profile" else 1e-11
    assert integral(HIGH[name](d)) == pytest.approx(1.0, abs=tolerance)


@pytest.mark.parametrize("name", LOW)
def test_draws_follow_the_density(name: str) -> None:
    law = LOW[name]()
    x = law.sample(20_000, np.random.default_rng(11))
    assert x.shape == (20_000, law.d)
    assert np.abs(np.linalg.norm(x, axis=1) - 1.0).max() < 1e-14
    poles = [axis(law.d), np.eye(law.d)[0], normalize(np.arange(1.0, law.d + 1)[None, :])[0]]
    assert min(projection_p(law, x, pole) for pole in poles) > ACCEPT


@pytest.mark.parametrize("d", [8, 64])
@pytest.mark.parametrize("name", HIGH)
def test_draws_follow_the_density_in_high_dimension(name: str, d: int) -> None:
    law = HIGH[name](d)
    x = law.sample(20_000, np.random.default_rng(5))
    assert np.abs(np.linalg.norm(x, axis=1) - 1.0).max() < 1e-14
    assert projection_p(law, x, axis(d)) > ACCEPT
    assert uniform_p(normalize(x[:, :-1])) > ACCEPT  # the direction around the axis


WRONG = {
    "vmf-2": VonMisesFisher((1.0, 2.0), 3.6),
    "vmf-3": VonMisesFisher((1.0, -2.0, 0.5), 8.0),
    "poisson-3": PoissonKernel((0.1, 0.5, -0.2)),
    "gaussian-3": AngularGaussian(STRAIN + np.diag([0.5, 0.0, 0.0])),
    "cap-3": Cap((1.0, 1.0, 3.0), 1.3),
    "fourier": Fourier((0.3, -0.2), (0.0, 0.0, 0.4)),
    "gegenbauer-3": Gegenbauer(3, (0.3, 0.6), (1.0, 1.0, 0.0)),
    "harmonic": Harmonic(((2, 1, 0.4), (3, -2, 0.5), (1, 0, -0.2))),
    "tabulated-3": TabulatedDensity(
        icosphere(1).points, icosphere(1).cells, smooth(icosphere(1).points) + 0.4
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_slightly_wrong_law_is_told_apart(name: str) -> None:
    x = LOW[name]().sample(20_000, np.random.default_rng(11))
    d = x.shape[1]
    poles = [*np.eye(d), normalize(np.arange(1.0, d + 1)[None, :])[0]]
    assert min(projection_p(WRONG[name], x, pole) for pole in poles) < REJECT


def test_angular_gaussian_in_high_dimension_by_whitening() -> None:
    d, rng = 8, np.random.default_rng(3)
    rotation = random_rotation(d, rng)
    s = rotation @ np.diag(np.linspace(0.3, 4.0, d)) @ rotation.T
    x = AngularGaussian(s).sample(20_000, rng)
    q = random_rotation(d, rng)
    assert uniform_p(normalize(np.linalg.solve(np.linalg.cholesky(s), x.T).T) @ q) > ACCEPT
    wrong = np.linalg.cholesky(rotation @ np.diag(np.linspace(0.3, 6.0, d)) @ rotation.T)
    assert uniform_p(normalize(np.linalg.solve(wrong, x.T).T) @ rotation) < REJECT


def test_angular_gaussian_is_uniform_in_the_linear_field() -> None:
    # Two ways to the density of (A y / |A y|), y uniform: the formula and the change of variable.
    rng = np.random.default_rng(4)
    a = rng.standard_normal((3, 3))
    y = uniform_points(100, 3, rng)
    stretched = y @ a.T
    length = np.linalg.norm(stretched, axis=1)
    # The Jacobian of y -> A y / |A y| on the sphere S^{d-1} is |det A| / |A y|^d.
    expected = length**3 / abs(np.linalg.det(a))
    found = AngularGaussian(a @ a.T).density(stretched / length[:, None])
    assert found == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("law", [*LOW.values(), lambda: HIGH["vmf"](8)])
def test_draws_repeat_with_the_seed(law: Callable[[], Law]) -> None:
    one = law().sample(50, np.random.default_rng(1))
    assert np.array_equal(one, law().sample(50, np.random.default_rng(1)))
    assert not np.array_equal(one, law().sample(50, np.random.default_rng(2)))
    assert law().sample(0, np.random.default_rng(1)).shape == (0, law().d)


@pytest.mark.parametrize("name", LOW)
def test_log_density_is_the_logarithm(name: str) -> None:
    law = LOW[name]()
    x = uniform_points(300, law.d, np.random.default_rng(8))
    with np.errstate(divide="ignore"):
        assert law.log_density(x) == pytest.approx(np.log(law.density(x)), abs=1e-12)
    assert law.describe()


# --- von Mises-Fisher ---------------------------------------------------------------------------


def gap_law(k: float, d: int) -> tuple[Array, Array]:
    """sqrt(1 - <x, mean>) and its distribution, from the angular weight (1 - t^2)^{(d-3)/2}."""
    u = np.linspace(0.0, min(math.sqrt(2.0), math.sqrt((d + 40.0 + 8 * math.sqrt(d)) / k)), 4001)
    middle = 0.5 * (u[1:] + u[:-1])
    log_w = (d - 2) * np.log(middle) + 0.5 * (d - 3) * np.log(2.0 - middle**2) - k * middle**2
    cdf = np.append(0.0, np.cumsum(np.exp(log_w - log_w.max())))
    return u, cdf / cdf[-1]


@pytest.mark.parametrize("d", [2, 3, 8, 64])
@pytest.mark.parametrize("k", [0.5, 1e4, 1e5, 1e9])
def test_von_mises_fisher_draws_at_any_concentration(k: float, d: int) -> None:
    mean = np.arange(1.0, d + 1) / np.linalg.norm(np.arange(1.0, d + 1))
    x = VonMisesFisher(mean, k).sample(20_000, np.random.default_rng(17))
    root = np.linalg.norm(x - mean, axis=1) / math.sqrt(2.0)
    u, cdf = gap_law(k, d)
    assert kstest(root, lambda r: np.interp(r, u, cdf)).pvalue > ACCEPT
    around = (x - mean) @ frame(mean)[:, :-1]
    assert uniform_p(normalize(around)) > ACCEPT
    if k > 1.0:
        u, cdf = gap_law(1.1 * k, d)
        assert kstest(root, lambda r: np.interp(r, u, cdf)).pvalue < REJECT


@pytest.mark.parametrize("d", [2, 3, 8, 64])
@pytest.mark.parametrize("k", [1e-6, 1.0, 1e4, 1e5, 1e8])
def test_von_mises_fisher_has_mass_one_at_any_concentration(k: float, d: int) -> None:
    # In the variable theta, over the few widths 1/sqrt(k) where the mass is.
    nodes, w = np.polynomial.legendre.leggauss(16)
    end = min(math.pi, (math.sqrt(d) + 9.0) / math.sqrt(k))
    theta = end / 64 * (np.arange(64)[:, None] + 0.5 * (nodes + 1.0)).ravel()
    law = VonMisesFisher(axis(d), k)
    x = np.zeros((len(theta), d))
    x[:, 0], x[:, -1] = np.sin(theta), np.cos(theta)
    mass = np.tile(w, 64) * end / 128 @ (law.density(x) * weight(d, theta))
    assert mass == pytest.approx(1.0, abs=1e-11)


def test_von_mises_fisher_is_scaled_against_overflow() -> None:
    for d in (2, 3, 8, 64, 500):
        for k in (1e-12, 1e-3, 1.0, 1e3, 1e6, 1e12, 1e15):
            law = VonMisesFisher(axis(d), k)
            peak, antipode = law.log_density(np.array([axis(d), -axis(d)]))
            assert math.isfinite(peak)
            assert peak - antipode == pytest.approx(2.0 * k, rel=1e-12)
    law = VonMisesFisher((0.0, 0.0, 1.0), 1e5)
    assert law.log_density(axis(3)[None, :])[0] == pytest.approx(math.log(2e5), rel=1e-14)


@pytest.mark.parametrize("d", [2, 3, 4, 8, 64])
def test_von_mises_fisher_mean_length(d: int) -> None:
    k = 6.0
    expected = iv(d / 2, k) / iv(d / 2 - 1, k)
    assert integral(VonMisesFisher(axis(d), k), lambda t: t) == pytest.approx(expected, rel=1e-11)


def test_von_mises_fisher_limits() -> None:
    x = uniform_points(20, 5, np.random.default_rng(0))
    assert np.array_equal(VonMisesFisher(axis(5), 0.0).density(x), np.ones(20))
    assert np.array_equal(PoissonKernel(np.zeros(5)).density(x), np.ones(20))
    for size in (1e-300, 1e300):  # any length but zero
        scaled = VonMisesFisher(size * axis(5), 2.0)
        assert np.array_equal(scaled.density(x), VonMisesFisher(axis(5), 2.0).density(x))
    # Across the switch from Bessel function to power series the law is continuous in k.
    peak = [float(VonMisesFisher(axis(300), k).log_density(axis(300)[None])[0]) for k in (1, 2, 4)]
    assert peak == pytest.approx([1 - 1 / 600, 2 - 4 / 600, 4 - 16 / 600], abs=1e-4)
    with pytest.raises(InputError, match=r"concentration: found -2, .*change the sign of the mean"):
        VonMisesFisher((1.0, 0.0), -2.0)
    with pytest.raises(InputError, match=r"mean: .*expected a vector that has a direction"):
        VonMisesFisher((0.0, 0.0), 1.0)
    with pytest.raises(InputError, match="concentration: found nan"):
        VonMisesFisher((0.0, 1.0), math.nan)


def test_points_of_another_dimension_are_refused() -> None:
    with pytest.raises(InputError, match=r"shape \(4, 2\) found, \(n, 3\)"):
        VonMisesFisher((0.0, 0.0, 1.0), 1.0).density(np.zeros((4, 2)))


def test_standard_density_of_the_verification() -> None:
    x = uniform_points(50, 3, np.random.default_rng(2))
    parts = [(0.25, (0, 0, 1), 4), (0.35, (1, 0.3, -0.2), 6), (0.2, (-1, 1, -0.5), 5)]
    expected = np.full(50, 0.2 / (4 * np.pi))
    for a, mean, k in parts:
        mu = np.array(mean) / np.linalg.norm(mean)
        expected += a * k * np.exp(k * x @ mu) / (4 * np.pi * np.sinh(k))
    assert standard_density().density(x) == pytest.approx(4 * np.pi * expected, rel=1e-13)


# --- Poisson kernel, cap ------------------------------------------------------------------------


def test_poisson_kernel_moments() -> None:
    # verification.md 3
    assert integral(PoissonKernel((0.0, 0.0, 0.2)), lambda t: t) == pytest.approx(
        0.2645209773, abs=5e-11
    )
    for r, m in ((0.5957927802, 0.7347273790), (0.9189282834, 0.9809039599)):
        law = PoissonKernel((0.0, 0.0, r))
        assert integral(law, lambda t: t) == pytest.approx(m, abs=2e-10)
    for d in (2, 3, 8, 64):
        for r in (0.1, 0.6):
            m = 2 * (d - 1) / d * r * hyp2f1(1, 1 - d / 2, 1 + d / 2, r * r)
            law = PoissonKernel(r * axis(d))
            assert integral(law, lambda t: t) == pytest.approx(m, rel=1e-10)


def test_poisson_kernel_draws_have_its_mean() -> None:
    x = PoissonKernel((0.0, 0.2, 0.0)).sample(200_000, np.random.default_rng(6))
    # The standard error of a coordinate is at most 1 / sqrt(n) = 0.0022.
    assert x.mean(axis=0) == pytest.approx([0.0, 0.2645209773, 0.0], abs=0.006)
    near = PoissonKernel((0.0, 0.0, 1.0 - 1e-9))
    r = near.w[2]
    peak = 2.0 * math.log((1.0 + r) / (1.0 - r))
    assert near.log_density(axis(3)[None, :])[0] == pytest.approx(peak, rel=1e-15)
    y = near.sample(1000, np.random.default_rng(6))
    assert np.abs(np.linalg.norm(y, axis=1) - 1.0).max() < 1e-14
    assert np.median(y[:, 2]) > 1.0 - 1e-15
    assert np.all(np.isfinite(near.log_density(y)))
    with pytest.raises(InputError, match=r"w: found a vector of length 1.2, expected length < 1"):
        PoissonKernel((1.2, 0.0))


@pytest.mark.parametrize("d", [2, 3, 8, 64])
@pytest.mark.parametrize("angle", [0.3, 1.4, 2.0, math.pi])
def test_cap_density_is_one_over_its_mass(d: int, angle: float) -> None:
    nodes, w = np.polynomial.legendre.leggauss(200)
    theta = 0.5 * angle * (nodes + 1.0)
    mass = float(0.5 * angle * w @ weight(d, theta))
    law = Cap(axis(d), angle)
    assert law.density(axis(d)[None, :])[0] * mass == pytest.approx(1.0, rel=1e-12)
    x = law.sample(3000, np.random.default_rng(1))
    assert np.all(x[:, -1] >= math.cos(angle) - 1e-15)
    if angle < math.pi:
        assert law.density(-axis(d)[None, :])[0] == 0.0
        assert law.log_density(-axis(d)[None, :])[0] == -math.inf
        assert x[:, -1].min() < math.cos(angle) + 0.02  # the rim is reached


def test_cap_limits() -> None:
    for angle in (0.0, -1.0, 4.0, math.inf):
        with pytest.raises(InputError, match=r"angle: found .*expected an angle in \(0, pi\]"):
            Cap((0.0, 1.0), angle)
    with pytest.raises(InputError, match="underflows"):
        Cap(axis(64), 1e-6)


def test_mixture_weights() -> None:
    parts = (VonMisesFisher((0.0, 1.0), 50.0), VonMisesFisher((1.0, 0.0), 50.0))
    x = Mixture(parts, (2.0, 6.0)).sample(40_000, np.random.default_rng(0))
    assert np.mean(x[:, 1] > x[:, 0]) == pytest.approx(0.25, abs=0.01)
    sharp = Mixture((VonMisesFisher((0.0, 1.0), 1e6), Cap((1.0, 0.0), 0.5)), (0.0, 1.0))
    assert sharp.log_density(np.array([[0.0, -1.0]]))[0] == -math.inf
    with pytest.raises(InputError, match="weights: found 1 numbers, expected 2"):
        Mixture(parts, (1.0,))
    with pytest.raises(InputError, match=r"weights\[1\]: found -1"):
        Mixture(parts, (2.0, -1.0))
    with pytest.raises(InputError, match="weights: found the sum 0"):
        Mixture(parts, (0.0, 0.0))
    with pytest.raises(InputError, match=r"components\[1\]: found a law in dimension 3"):
        Mixture((Uniform(2), Uniform(3)), (1.0, 1.0))
    with pytest.raises(InputError, match="components: found none"):
        Mixture((), ())


# --- modes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("d", [3, 4, 8, 64])
def test_gegenbauer_modes_against_scipy(d: int) -> None:
    x = uniform_points(40, d, np.random.default_rng(0))
    for degree in (1, 2, 5, 12):
        a = np.zeros(degree)
        a[-1] = 0.7
        c = eval_gegenbauer(degree, d / 2 - 1, x[:, -1]) / eval_gegenbauer(degree, d / 2 - 1, 1.0)
        assert Gegenbauer(d, a).density(x) == pytest.approx(1 + 0.7 * c, abs=1e-12)


def test_gegenbauer_coefficients_of_the_verification() -> None:
    law = Gegenbauer(3, (0.3, 0.25))  # verification.md 7: c_l = a_l / (2 l + 1)
    assert integral(law, lambda t: t) == pytest.approx(0.1, abs=1e-13)
    assert integral(law, lambda t: 1.5 * t**2 - 0.5) == pytest.approx(0.05, abs=1e-13)
    tilted = Gegenbauer(3, (0.3, 0.25), (1.0, 2.0, 2.0))
    assert integral(tilted, lambda t: t, np.array([1, 2, 2]) / 3) == pytest.approx(0.1, abs=1e-13)


def test_angles_on_the_circle() -> None:
    x = uniform_points(40, 2, np.random.default_rng(0))
    phi = np.arctan2(x[:, 1], x[:, 0])
    theta = np.arccos(x[:, 1])
    law = Gegenbauer(2, (0.1, 0.3, 0.2))
    expected = 1 + 0.1 * np.cos(theta) + 0.3 * np.cos(2 * theta) + 0.2 * np.cos(3 * theta)
    assert law.density(x) == pytest.approx(expected, abs=1e-14)
    same = Fourier(cos=(0.0, -0.3), sin=(0.1, 0.0, -0.2))
    assert same.density(x) == pytest.approx(expected, abs=1e-14)
    about_e1 = Gegenbauer(2, (0.1, 0.3, 0.2), (1.0, 0.0)).density(x)
    assert about_e1 == pytest.approx(Fourier((0.1, 0.3, 0.2)).density(x), abs=1e-14)
    assert Fourier((0.5,), (0.2,)).density(x) == pytest.approx(
        1 + 0.5 * np.cos(phi) + 0.2 * np.sin(phi), abs=1e-14
    )


def test_harmonics_are_the_usual_ones_divided_by_their_maximum() -> None:
    x = uniform_points(200, 3, np.random.default_rng(0))
    x1, x2, x3 = x.T
    for (degree, m), y in {
        (1, 0): x3,
        (1, 1): x1,
        (1, -1): x2,
        (2, 0): 1.5 * x3**2 - 0.5,
        (2, 1): 2 * x1 * x3,
        (2, -2): 2 * x1 * x2,
        (2, 2): x1**2 - x2**2,
    }.items():
        assert Harmonic(((degree, m, 0.5),)).density(x) == pytest.approx(1 + 0.5 * y, abs=1e-12)
    grid = np.cos(np.linspace(0, np.pi, 200_001))
    for degree, m in ((7, 3), (12, 12), (20, 5), (40, 31)):
        p = (-1) ** m * lpmv(m, degree, x3) / np.abs(lpmv(m, degree, grid)).max()
        phi = np.arctan2(x2, x1)
        cosine, sine = Harmonic(((degree, m, 1.0),)), Harmonic(((degree, -m, 1.0),))
        assert cosine.density(x) == pytest.approx(1 + p * np.cos(m * phi), abs=1e-7)
        assert sine.density(x) == pytest.approx(1 + p * np.sin(m * phi), abs=1e-7)


def test_modes_that_make_the_density_negative_are_refused() -> None:
    Gegenbauer(3, (1.0,))
    Fourier((1.0,))
    Harmonic(((3, 2, -1.0),))
    Harmonic(((1, 0, 0.7), (1, 1, 0.7)))  # more than 1 in sum, but the maxima are apart: 0.99
    with pytest.raises(InputError, match=r"coefficients: the density falls to -0\.01 at the angle"):
        Gegenbauer(3, (1.01,))
    with pytest.raises(InputError, match=r"cos: the density falls to -0.5 at phi = 3.14"):
        Fourier((1.5,))
    with pytest.raises(InputError, match=r"sin: the density falls to -0.0001"):
        Fourier(sin=(0.0,) * 30 + (1.0001,))
    with pytest.raises(InputError, match=r"modes: the density falls to -0.01116 at colatitude 2.3"):
        Harmonic(((1, 0, 0.715), (1, 1, 0.715)))
    with pytest.raises(InputError, match=r"modes\[0\]\.m: found 3, .*between -2 and 2"):
        Harmonic(((2, 3, 0.1),))
    with pytest.raises(InputError, match=r"modes\[0\]\.l: found 0, expected an integer >= 1"):
        Harmonic(((0, 0, 0.1),))


# --- symmetry about the last axis ---------------------------------------------------------------

ZONAL: list[Law] = [
    Uniform(5),
    VonMisesFisher((0.0, 0.0, -2.0), 3.0),
    VonMisesFisher((1.0, 0.0), 0.0),
    PoissonKernel((0.0, 0.0, 0.0, 0.4)),
    AngularGaussian(np.diag([2.0, 2.0, 1.0])),
    AngularGaussian(np.diag([2.0, 1.0])),
    Cap((0.0, 0.0, -1.0), 0.3),
    Cap((1.0, 0.0, 0.0), math.pi),
    Gegenbauer(9, (0.1, 0.2)),
    Gegenbauer(3, (0.1, 0.2), (0.0, 0.0, -1.0)),
    Gegenbauer(2, (0.0, 0.4), (1.0, 0.0)),
    Fourier((0.0, 0.3), (0.2, 0.0, 0.1)),
    Harmonic(((1, 0, 0.2), (4, 0, -0.3))),
    Mixture((Uniform(3), VonMisesFisher((0.0, 0.0, 1.0), 1e4)), (1.0, 1.0)),
    Mixture((VonMisesFisher((1.0, 1.0), 40.0), VonMisesFisher((-1.0, 1.0), 40.0)), (1.0, 1.0)),
    Mixture((Harmonic(((2, 1, 0.3),)), Harmonic(((2, 1, -0.3),))), (1.0, 1.0)),
    profile(8),
    FunctionDensity(lambda x: 1.0 + x[:, 0] ** 2, 2),
]

NOT_ZONAL: list[Law] = [
    VonMisesFisher((0.0, 0.1, 1.0), 3.0),
    VonMisesFisher((1e-9, 1.0), 3.0),
    PoissonKernel((0.1, 0.0, 0.0, 0.4)),
    AngularGaussian(np.diag([2.0, 2.1, 1.0])),
    AngularGaussian(np.diag([1e-12, 2e-12, 1.0])),
    AngularGaussian(((2.0, 0.1), (0.1, 1.0))),
    Cap((0.0, 1.0, -1.0), 0.3),
    Gegenbauer(9, (0.1, 0.2), np.ones(9)),
    Gegenbauer(2, (0.1, 0.4), (1.0, 0.0)),
    Fourier((0.1,)),
    Fourier((), (0.0, 0.1)),
    Harmonic(((2, 1, 1e-6),)),
    standard_density(),
    Mixture(tuple(VonMisesFisher(v, 1e4) for v in np.eye(3)[:2]), (1.0, 1.0)),
    tabulated(1),
    FunctionDensity(smooth, 3),
]


@pytest.mark.parametrize("law", ZONAL, ids=lambda law: law.describe()[:40])
def test_zonal(law: Law) -> None:
    assert law.is_zonal()
    x = uniform_points(100, law.d, np.random.default_rng(0))
    y = x.copy()
    y[:, 0] = -y[:, 0]
    assert law.density(y) == pytest.approx(law.density(x), rel=1e-9, abs=1e-300)


@pytest.mark.parametrize("law", NOT_ZONAL, ids=lambda law: law.describe()[:40])
def test_not_zonal(law: Law) -> None:
    assert not law.is_zonal()


def test_zonal_tolerance() -> None:
    assert VonMisesFisher((1e-9, 1.0), 3.0).is_zonal(tol=1e-8)
    assert Harmonic(((2, 1, 1e-6),)).is_zonal(tol=1e-5)


# --- values on a mesh ---------------------------------------------------------------------------


def test_tabulated_density_converges_to_its_function() -> None:
    exact = FunctionDensity(smooth, 3)
    x = uniform_points(4000, 3, np.random.default_rng(0))
    errors = [np.abs(tabulated(k).density(x) - exact.density(x)).max() for k in (2, 3, 4)]
    assert errors[0] / errors[1] > 3.5 and errors[1] / errors[2] > 3.5
    assert errors[2] < 4e-3
    exact_circle = FunctionDensity(smooth, 2)
    y = uniform_points(4000, 2, np.random.default_rng(0))
    rounds = [tabulated_circle(n).density(y) - exact_circle.density(y) for n in (50, 100)]
    assert 3.5 < np.abs(rounds[0]).max() / np.abs(rounds[1]).max() < 4.5


def test_tabulated_density_at_its_vertices_and_orientations() -> None:
    mesh = icosphere(2)
    law = tabulated(2)
    ratio = law.density(mesh.points) / smooth(mesh.points)
    assert ratio == pytest.approx(np.full(len(ratio), ratio[0]), rel=1e-12)
    # Turned cells, another radius, an unused vertex at the centre and another unit: the same law.
    cells = mesh.cells.copy() + 1
    cells[::2] = cells[::2, ::-1]
    points = np.vstack([np.zeros(3), 6371.0 * mesh.points])
    other = TabulatedDensity(points, cells, np.append(9.0, 1e-8 * smooth(mesh.points)))
    x = uniform_points(500, 3, np.random.default_rng(0))
    assert other.density(x) == pytest.approx(law.density(x), rel=1e-11)


def test_points_are_found_in_long_thin_cells() -> None:
    # Two poles and six points of the equator: the nearest vertex is often not one of the cell's.
    phi = np.linspace(0.0, 2 * np.pi, 7)[:-1]
    thin = np.column_stack([np.cos(phi), np.sin(phi), 0 * phi])
    lens = np.vstack([thin, [[0, 0, 1.0], [0, 0, -1.0]]])
    around = np.column_stack([np.arange(6), np.roll(np.arange(6), -1)])
    cells = np.vstack([np.column_stack([around, np.full(6, pole)]) for pole in (6, 7)])
    law = TabulatedDensity(lens, cells, np.array([1.0] * 6 + [3.0, 1.0]))
    x = uniform_points(2000, 3, np.random.default_rng(0))
    rho = law.density(x)
    south = law.density(-axis(3)[None, :])[0]
    assert np.all(np.abs(rho[x[:, 2] < 0] - south) < 1e-12)
    assert np.all(rho[x[:, 2] > 0] >= south - 1e-12)
    assert law.density(axis(3)[None, :])[0] == pytest.approx(3 * south, rel=1e-12)


def test_tabulated_density_refusals() -> None:
    mesh = icosphere(1)
    values = smooth(mesh.points)

    def refuse(match: str, points: Array, cells: Array, v: Array) -> None:
        with pytest.raises(InputError, match=match):
            TabulatedDensity(points, cells, v)

    bad = values.copy()
    bad[3] = -0.5
    refuse(r"values: found -0.5 at vertex 3 \(1 like it\), expected .* >= 0", *_arrays(mesh), bad)
    bad[3] = np.nan
    refuse("values: found nan at vertex 3", *_arrays(mesh), bad)
    refuse("values: found the integral 0, expected a positive mass", *_arrays(mesh), 0 * values)
    refuse("values: found shape", *_arrays(mesh), values[1:])
    refuse("cells that cover 0.98", mesh.points, mesh.cells[1:], values)
    refuse("cells: found vertices 0 to 41, expected 0 to 40", mesh.points[:-1], mesh.cells, bad[1:])
    points = mesh.points.copy()
    points[5] *= 1.1
    refuse("points: found vertex 5 at distance 1.1", points, mesh.cells, values)
    cells = mesh.cells.copy()
    cells[7, 1] = cells[7, 0]
    refuse("cells: cell 7 has no area", mesh.points, cells, values)
    with pytest.raises(InputError, match="theta: found angles from 0 to 3, expected 0 to pi"):
        TabulatedProfile(3, np.linspace(0, 3, 5), np.ones(5))
    with pytest.raises(InputError, match=r"theta: expected .* rising"):
        TabulatedProfile(3, np.array([0, 2, 1, math.pi]), np.ones(4))


def _arrays(mesh: object) -> tuple[Array, Array]:
    return mesh.points, mesh.cells  # type: ignore[attr-defined]


# --- a user's function --------------------------------------------------------------------------


@pytest.mark.parametrize("d", [2, 3])
def test_function_density_is_normalised(d: int) -> None:
    exact = VonMisesFisher(np.arange(1.0, d + 1), 8.0)
    found = FunctionDensity(lambda x: 123.0 * exact.density(x), d)
    x = uniform_points(100, d, np.random.default_rng(0))
    assert found.density(x) == pytest.approx(exact.density(x), rel=1e-11)
    assert found.log_density(x) == pytest.approx(exact.log_density(x), abs=1e-11)


@pytest.mark.parametrize("d", [2, 3, 8, 64])
def test_zonal_function_density_is_normalised(d: int) -> None:
    exact = VonMisesFisher(axis(d), 30.0)
    found = FunctionDensity(lambda x: np.exp(30.0 * x[:, -1] - 20.0), d, zonal=True)
    x = exact.sample(100, np.random.default_rng(0))
    assert found.density(x) == pytest.approx(exact.density(x), rel=1e-10)


def test_function_density_refusals() -> None:
    def refuse(match: str, f: Callable[[Array], Array], d: int = 3, **options: object) -> None:
        with pytest.raises(InputError, match=match):
            FunctionDensity(f, d, **options)  # type: ignore[arg-type]

    refuse(r"found the value -.*expected a density, >= 0", lambda x: x[:, 0])
    refuse(r"found the value nan", lambda x: np.full(len(x), np.nan))
    refuse("found the integral 0", lambda x: np.zeros(len(x)))
    refuse(r"found a result of shape \(\) for", lambda x: np.float64(1.0))
    refuse("raised ZeroDivisionError", lambda x: x[:, 0] / (1 // 0))
    refuse("bound: found 0.5, expected at least", lambda x: 1 + x[:, 0], bound=0.5)
    refuse("zonal: found", lambda x: 1 + x[:, 0], zonal=True)
    refuse("expected d = 2 or 3, or a function declared zonal", lambda x: 1 + x[:, 0], d=4)
    with pytest.warns(MeanfieldWarning, match="integral of the density function is known to"):
        step = FunctionDensity(lambda x: 1.0 * (x[:, 0] > 0.3), 3)
    assert step.density(np.eye(3)[:1])[0] == pytest.approx(2 / 0.7, rel=1e-2)
    peaked = FunctionDensity(lambda x: np.exp(2e4 * (x[:, 0] - 1)), 3)
    with pytest.raises(InputError, match="rejection keeps one draw in"):
        peaked.sample(10, np.random.default_rng(0))


def test_function_bound_is_used_and_watched() -> None:
    law = FunctionDensity(smooth, 3, bound=30.0)
    x = law.sample(20_000, np.random.default_rng(2))
    assert projection_p(law, x, np.eye(3)[0]) > ACCEPT
    # A spike between the nodes of the quadrature is met in sampling, and said.
    pole = normalize(np.array([[0.3, 0.5, 0.7]]))[0]
    hidden = FunctionDensity(lambda x: 1.0 + 50.0 * (x @ pole > 1 - 1e-6), 3)
    with pytest.raises(InputError, match=r"bound: the density is 51 at .*give a larger bound"):
        hidden.sample(20_000_000, np.random.default_rng(0))
