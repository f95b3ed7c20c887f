"""Sampling floor, intervals, rates and the verdict: calibration under agreement, and power."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from parameters import slow_but
from scipy import stats

from meanfield.analysis.crosscheck import (
    DEGREE,
    difference,
    low_moments,
    mean_with_interval,
    rate_fit,
    ratio_interval,
    sampling_floor,
    two_sample_test,
)
from meanfield.analysis.quadrature import density_measure
from meanfield.analysis.wasserstein import Effort, colatitudes, wasserstein
from meanfield.errors import InputError
from meanfield.geometry.laws import Law, Mixture, Uniform, VonMisesFisher, standard_density
from meanfield.geometry.laws.tabulated import density_law
from meanfield.geometry.mesh import circle, icosphere, zonal_interval
from meanfield.geometry.sphere import Array, normalize, uniform_points
from meanfield.interaction.attention import Attention
from meanfield.interaction.measure import Measure

cloud = Measure.equal


def gauss(law: Law, rows: int = 48) -> Measure:
    """A smooth law on S^2 as points of a product Gauss rule: moments to round-off."""
    z, w = np.polynomial.legendre.leggauss(rows)
    phi = math.pi * np.arange(2 * rows) / rows
    t, f = (g.ravel() for g in np.meshgrid(z, phi, indexing="ij"))
    s = np.sqrt(1.0 - t * t)
    x = np.stack([s * np.cos(f), s * np.sin(f), t], axis=1)
    mass = np.repeat(w / (4 * rows), 2 * rows) * law.density(x)
    assert mass.sum() == pytest.approx(1.0, abs=1e-9)
    return Measure(x, mass)


# ---------------------------------------------------------------------------------------------
# Intervals and rates


def coverage(interval: Callable[[], bool], runs: int = 1000) -> float:
    return sum(interval() for _ in range(runs)) / runs


def test_mean_interval_covers_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    for level in (0.8, 0.95):
        hit = coverage(lambda level=level: 2.0 in mean_with_interval(rng.normal(2, 3, 5), level))
        assert abs(hit - level) < 4.0 * math.sqrt(level * (1 - level) / 1000)
    known = mean_with_interval([1.0, 2.0, 3.0])
    assert known.value == 2.0
    assert known.high - 2.0 == pytest.approx(4.302652729911275 / math.sqrt(3.0))


def test_ratio_interval_covers_as_often_as_it_says() -> None:
    rng = np.random.default_rng(2)

    def one() -> bool:
        a, b = 3.0 * rng.lognormal(0, 0.1, 8), 2.0 * rng.lognormal(0, 0.3, 5)
        return 1.5 in ratio_interval(a, b)

    assert abs(coverage(one) - 0.95) < 0.03
    same = ratio_interval([2.0, 2.0], [1.0, 1.0])
    assert (same.value, same.low, same.high) == (2.0, 2.0, 2.0)


def test_rate_fit_finds_powers() -> None:
    n = [100, 1000, 10000]
    exact = rate_fit(n, [3.0 * k**-0.5 for k in n])
    assert exact.value == pytest.approx(-0.5) and exact.high - exact.low < 1e-6
    rng = np.random.default_rng(3)

    def one() -> bool:
        return -0.4 in rate_fit(n, [k**-0.4 * rng.lognormal(0, 0.1, 6) for k in n])

    assert abs(coverage(one, 500) - 0.95) < 0.04


def test_differences_come_in_units_of_their_error() -> None:
    values = np.array([[1.0, 5.0], [2.0, 5.0], [3.0, 5.0]])
    found = difference(values, np.array([1.0, 5.0]))
    np.testing.assert_allclose(found.value, [1.0, 0.0])
    np.testing.assert_allclose(found.standard_error, [1.0 / math.sqrt(3.0), 0.0])
    np.testing.assert_allclose(found.z, [math.sqrt(3.0), 0.0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mean_with_interval([1.0]), "at least 2 finite"),
        (lambda: mean_with_interval([1.0, math.nan]), "finite"),
        (lambda: mean_with_interval([1.0, 2.0], 95), "level = 95 found"),
        (lambda: ratio_interval([1.0, 0.0], [1.0, 2.0]), "numerator: 0 found"),
        (lambda: rate_fit([10, 10], [1.0, 2.0]), "1 numbers of particles"),
        (lambda: difference(np.ones((1, 2)), 0.0), "replicas >= 2"),
    ],
)
def test_numbers_that_tell_nothing(call: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()


# ---------------------------------------------------------------------------------------------
# Sampling floor


def test_floor_falls_like_the_root_on_the_circle() -> None:
    """W_1 between n samples and their law on S^1 falls like n^{-1/2}."""
    mesh = circle(400)
    rho = np.exp(1.5 * mesh.points[:, 0])
    law, (reference, bound) = density_law(mesh, rho), density_measure(mesh, rho, 4)
    rng = np.random.default_rng(4)
    n = [100, 400, 1600, 6400]
    floors = [sampling_floor(law, reference, k, 24, rng, p=1) for k in n]
    assert bound < 0.1 * floors[-1].mean()
    slope = rate_fit(n, floors)
    assert -0.5 in slope and slope.high - slope.low < 0.1


def test_floor_of_colatitudes() -> None:
    mesh = zonal_interval(200, 4)
    rho = np.exp(mesh.embedded()[:, -1])
    law, (reference, _) = density_law(mesh, rho), density_measure(mesh, rho, 4)
    n = [100, 1600]
    floors = [sampling_floor(law, reference, k, 24, np.random.default_rng(5), p=1) for k in n]
    assert abs(rate_fit(n, floors).value + 0.5) < 0.08


@pytest.mark.slow
def test_floor_falls_like_ajtai_komlos_tusnady_on_the_sphere() -> None:
    """W_2 on S^2 falls like (log n / n)^{1/2}: a slope a little above -1/2, and the constant.

    For the uniform law E W_2^2 = (area / 4 pi) log n / n to first order, area 4 pi (Ambrosio,
    Stra, Trevisan 2019; on a closed surface): increments of n W_2^2 over log n tend to 1.
    """
    mesh = icosphere(5)
    reference, _ = density_measure(mesh, np.ones(mesh.n_vertices))
    n = [64, 256, 1024]
    rng = np.random.default_rng(6)
    floors = [sampling_floor(Uniform(3), reference, k, 10, rng) for k in n]
    slope = rate_fit(n, floors)
    expected = 0.5 * math.log(math.log(1024) / math.log(64)) / math.log(16) - 0.5
    assert abs(slope.value - expected) < 0.08
    squares = [k * np.mean(f**2) for k, f in zip(n, floors, strict=True)]
    growth = (squares[-1] - squares[0]) / math.log(16.0)
    assert 0.6 < growth < 1.4


def test_floor_takes_any_estimator() -> None:
    law = VonMisesFisher((0, 0, 1), 2.0)
    reference = cloud(law.sample(200, np.random.default_rng(7)))
    sliced = sampling_floor(
        law,
        reference,
        50,
        3,
        np.random.default_rng(8),
        distance=lambda a, b: (
            wasserstein(a, b, 2, "sliced", effort=Effort(projections=10)).distance
        ),
    )
    assert sliced.shape == (3,) and sliced.min() > 0.0
    with_first = sampling_floor(law, reference, 50, 3, np.random.default_rng(8), p=1)
    again = sampling_floor(law, reference, 50, 3, np.random.default_rng(8), p=1)
    np.testing.assert_array_equal(with_first, again)


# ---------------------------------------------------------------------------------------------
# Moments and verdict


def test_low_moments_are_orthonormal() -> None:
    rng = np.random.default_rng(9)
    for d, count in ((3, (DEGREE + 1) ** 2 - 1), (2, 2 * DEGREE)):
        values, degrees = low_moments(cloud(uniform_points(20_000, d, rng)))
        assert values.shape == degrees.shape == (count,)
        assert float(np.mean(values**2)) * 20_000 == pytest.approx(1.0, abs=0.9)
    theta = colatitudes(cloud(uniform_points(20_000, 6, rng)))
    values, degrees = low_moments(theta, d=6)
    assert list(degrees) == [1, 2, 3, 4] and np.abs(values).max() < 4.0 / math.sqrt(20_000)
    with pytest.raises(InputError, match="pass d"):
        low_moments(theta)
    with pytest.raises(InputError, match=r"points in R\^6 found"):
        low_moments(cloud(uniform_points(10, 6, rng)))


def lumpy(law: Law, n: int, rng: np.random.Generator) -> Measure:
    """n particles at n/5 places: the right law on average, far from independent."""
    return cloud(np.repeat(law.sample(n // 5, rng), 5, axis=0))


@pytest.mark.parametrize("d", slow_but([0], [2, 3]))
def test_verdict_is_calibrated_whatever_happens_inside_a_cloud(d: int) -> None:
    """200 repetitions under agreement, with five times the variance of independent particles."""
    axis = (0.6, 0.8) if d == 2 else (0.0, 0.6, 0.8)
    law = VonMisesFisher(axis, 2.0)
    if d == 3:
        density = gauss(law)
    else:
        x = np.exp(2j * math.pi * np.arange(64) / 64)
        points = np.stack([x.real, x.imag], axis=1)
        density = Measure(points, law.density(points) / 64)
    rng = np.random.default_rng(10)
    p = []
    for _ in range(200):
        verdict = two_sample_test([lumpy(law, 200, rng) for _ in range(8)], density)
        assert verdict.method == "signs" and 0.2 < verdict.distance / verdict.resolution < 4.0
        p.append(verdict.p_value - rng.random() / 128)  # one of 128 values: spread over the gap
    assert stats.kstest(p, "uniform").pvalue > 1e-3
    assert 0.01 <= np.mean(np.array(p) <= 0.05) <= 0.1


@pytest.mark.slow
def test_verdict_is_calibrated_with_initial_clouds_and_many_of_them() -> None:
    """Particles carried along a map; more clouds than sign patterns are listed for."""
    law = VonMisesFisher((0.0, 0.6, 0.8), 2.0)
    start = gauss(law)
    strain = np.diag([0.3, 0.0, -0.2])

    def carried(m: Measure) -> Measure:
        return Measure(normalize(m.points + m.points @ strain), m.weights)

    rng = np.random.default_rng(11)
    p = []
    for _ in range(200):
        clouds = [lumpy(law, 200, rng) for _ in range(14)]
        verdict = two_sample_test(
            [carried(c) for c in clouds], carried(start), (clouds, start), rng=rng
        )
        assert verdict.controlled
        p.append(verdict.p_value)
    assert stats.kstest(p, "uniform").pvalue > 1e-3


def test_verdict_of_few_clouds_errs_on_the_safe_side() -> None:
    law, rng = VonMisesFisher((0.0, 0.6, 0.8), 2.0), np.random.default_rng(12)
    density = gauss(law)
    verdicts = [two_sample_test([lumpy(law, 400, rng) for _ in range(4)], density)
                for _ in range(200)]  # fmt: skip
    assert {v.method for v in verdicts} == {"student"}
    assert np.mean([v.differs() for v in verdicts]) <= 0.05 + 3.0 * math.sqrt(0.05 * 0.95 / 200)


def three_lobes(kappa: float) -> Mixture:
    """Three von Mises-Fisher lobes of concentration kappa."""
    axes = ((0.0, 0.0, 1.0), (1.0, 0.3, -0.2), (-1.0, 1.0, -0.5))
    return Mixture(tuple(VonMisesFisher(a, kappa) for a in axes), (0.4, 0.35, 0.25))


def test_verdict_tells_lobes_of_concentration_4_from_4_4() -> None:
    """n = 4000, 8 clouds, second moments a few per cent apart: power above 0.9."""
    density, law = gauss(three_lobes(4.4)), three_lobes(4.0)
    right = gauss(law)
    second = [low_moments(m, 2)[0][low_moments(m, 2)[1] == 2] for m in (density, right)]
    gap = np.linalg.norm(second[0] - second[1]) / np.linalg.norm(second[1])
    assert 0.02 < gap < 0.1
    rng = np.random.default_rng(13)
    found, agreed = [], []
    for _ in range(20):
        clouds = [cloud(law.sample(4000, rng)) for _ in range(8)]
        found.append(two_sample_test(clouds, density).differs(0.05))
        agreed.append(two_sample_test(clouds, right).differs(0.05))
    assert np.mean(found) > 0.9
    assert np.mean(agreed) <= 0.25


def test_allowance_forgives_no_more_than_it_says() -> None:
    law, density = three_lobes(4.0), gauss(three_lobes(4.4))
    rng = np.random.default_rng(14)
    clouds = [cloud(law.sample(4000, rng)) for _ in range(8)]
    sharp = two_sample_test(clouds, density)
    gap = float(np.abs(low_moments(density)[0] - low_moments(gauss(law))[0]).max())
    assert sharp.differs() and np.abs(sharp.moments).max() == pytest.approx(gap, abs=0.02)
    assert not two_sample_test(clouds, density, allowance=1.5 * gap).differs()
    assert two_sample_test(clouds, density, allowance=0.1 * gap).differs()


def test_verdicts_that_cannot_be() -> None:
    rng = np.random.default_rng(15)
    clouds = [cloud(uniform_points(20, 3, rng)) for _ in range(3)]
    with pytest.raises(InputError, match="1 clouds found, at least 2"):
        two_sample_test(clouds[:1], clouds[0])
    with pytest.raises(InputError, match="clouds that do not differ"):
        two_sample_test([clouds[0]] * 8, clouds[1])
    with pytest.raises(InputError, match="2 initial clouds found, 3 expected"):
        two_sample_test(clouds, clouds[0], (clouds[:2], clouds[0]))


def flow(measure: Measure, beta: float, t: float, steps: int) -> Measure:
    """Self-attention (sa) by the classical Runge-Kutta scheme."""
    attention = Attention("sa", beta, 3, "sphere", accuracy=1e-9)
    w, h = measure.weights, t / steps

    def velocity(x: Array) -> Array:
        return attention.field(Measure(x, w)).velocity(x)

    x = np.asarray(measure.points)
    for _ in range(steps):
        k1 = velocity(x)
        k2 = velocity(normalize(x + 0.5 * h * k1))
        k3 = velocity(normalize(x + 0.5 * h * k2))
        k4 = velocity(normalize(x + h * k3))
        x = normalize(x + h / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4))
    return Measure(x, w)


def test_a_density_with_a_wrong_beta_is_told_apart() -> None:
    """sa, beta = 4, t = 1, n = 4000, 8 clouds: beta = 4.4 is refused, 4.0 is not.

    The density runs on weighted characteristics, which are exact to 1e-8 here. At t = 1 nothing
    but the particles' initial fluctuations hides the difference: without them it is plain.
    """
    law = standard_density()
    start = gauss(law, 32)
    right, wrong = (flow(start, beta, 1.0, 10) for beta in (4.0, 4.4))
    clouds = [cloud(law.sample(4000, np.random.default_rng([16, r]))) for r in range(8)]
    later = [flow(c, 4.0, 1.0, 10) for c in clouds]
    assert two_sample_test(later, wrong, (clouds, start)).p_value == 2.0**-7
    assert two_sample_test(later, wrong, (clouds, start), allowance=2e-3).differs()
    verdict = two_sample_test(later, right, (clouds, start))
    assert not verdict.differs()
    assert np.abs(verdict.moments).max() < 0.03
    plain = two_sample_test(later, right)
    assert plain.spread[0] > 5.0 * verdict.spread[0]  # what the control takes out
