"""The verdict on clouds and a density: calibration under agreement, and power."""

from __future__ import annotations

import math

import numpy as np
import pytest
from parameters import slow_but
from scipy import special, stats

from meanfield.analysis.verdict import (
    DEGREE,
    extrapolated,
    low_moments,
    moment_test,
    two_sample_test,
)
from meanfield.analysis.wasserstein import colatitudes
from meanfield.errors import InputError
from meanfield.geometry.laws import Law, Mixture, VonMisesFisher, standard_density
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
    bad = [np.ones((8, 2)), np.ones((1, 1, 2)), np.ones((0, 8, 2)), np.full((1, 8, 2), np.nan)]
    for levels in bad:
        with pytest.raises(InputError, match="levels: finite moments of shape"):
            moment_test(levels, np.array([1, 1]))
    z = rng.normal(size=(1, 8, 2))
    for degrees in ([1], [0, 1], [1, 3], [[1, 1]]):
        with pytest.raises(InputError, match=r"degrees: .* found"):
            moment_test(z, np.array(degrees))
    for initial in (z[0, :1], z[0] * np.nan, z):
        with pytest.raises(InputError, match="initial: finite moments of shape"):
            moment_test(z, np.array([1, 1]), initial)
    for allowance in (math.nan, -1.0, np.ones(3), math.inf):
        with pytest.raises(InputError, match=r"allowance: .* found"):
            moment_test(z, np.array([1, 1]), allowance=allowance)
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


# ---------------------------------------------------------------------------------------------
# Finite clouds


def test_extrapolation_takes_out_an_order_for_each_level_and_keeps_fluctuations() -> None:
    n, fluctuation = 240.0, 0.37
    sizes = (n, n / 2, n / 4, n / 8)
    longer = np.array([fluctuation + 3.0 / m - 50.0 / m**2 + 300.0 / m**3 for m in sizes])
    assert extrapolated(longer) == pytest.approx(fluctuation, rel=1e-13)
    levels = np.array([fluctuation + 3.0 / m - 50.0 / m**2 for m in sizes[:3]])
    assert extrapolated(levels) == pytest.approx(fluctuation, rel=1e-14)
    assert extrapolated(levels[:2]) == pytest.approx(fluctuation + 100.0 / n**2, rel=1e-12)
    assert extrapolated(levels[:1]) == levels[0]


def on_circle(z: Array, beta: float, t: float, step: float, mass: Array | None = None) -> Array:
    """Clouds (R, n) of angles after sa, by Fourier series of the kernel, Runge-Kutta of order 4."""
    mass = np.full(z.shape[-1], 1.0 / z.shape[-1]) if mass is None else mass
    modes = np.arange(1, 20)
    a = special.ive(modes, beta) / special.ive(0, beta)

    def velocity(theta: Array) -> Array:
        total = np.ones_like(theta)
        slope = np.zeros_like(theta)
        turn, power = np.exp(1j * theta), np.ones_like(theta, dtype=complex)
        for l, factor in zip(modes, a, strict=True):
            power *= turn
            wave = power * (power @ mass)[..., None].conj()
            total += 2.0 * factor * wave.real
            slope -= 2.0 * factor * l * wave.imag
        return np.asarray(slope / (beta * total))

    for _ in range(round(t / step)):
        k1 = velocity(z)
        k2 = velocity(z + 0.5 * step * k1)
        k3 = velocity(z + 0.5 * step * k2)
        z = z + step / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + velocity(z + step * k3))
    return z


def circle_moments(theta: Array, mass: Array | None = None) -> Array:
    """Those of degrees 1 to 4, sqrt(2) times cosines and sines, (..., 8)."""
    mass = np.full(theta.shape[-1], 1.0 / theta.shape[-1]) if mass is None else mass
    waves = [np.exp(1j * l * theta) @ mass for l in range(1, 5)]
    return math.sqrt(2.0) * np.stack([f for w in waves for f in (w.real, w.imag)], axis=-1)


def circle_tests(seeds: int, n: int, clouds: int, t: float) -> tuple[list[float], list[float]]:
    """p-values with parts of clouds and without, of sa with beta = 4 from von Mises' law."""
    degrees, step = np.repeat(np.arange(1, 5), 2), 0.125
    grid = 2.0 * math.pi * np.arange(256) / 256
    mass = np.exp(np.cos(grid)) / (256 * special.iv(0, 1.0))
    density = circle_moments(on_circle(grid, 4.0, t, step, mass), mass)
    start = circle_moments(grid, mass)
    p: list[float] = []
    plain: list[float] = []
    for seed in range(seeds):
        rng = np.random.default_rng([17, seed])
        theta = rng.vonmises(0.0, 1.0, (clouds, n))
        levels = [
            circle_moments(
                on_circle(theta.reshape(clouds * parts, -1), 4.0, t, step).reshape(clouds, n)
            )
            for parts in (1, 2, 4, 8)
        ]
        initial = circle_moments(theta) - start
        for found, what in ((p, levels), (plain, levels[:1])):
            verdict = moment_test(np.array(what) - density, degrees, initial, rng=rng)
            found.append(verdict.p_value)
    return p, plain


@pytest.mark.parametrize("size", slow_but([0], [(104, 16, 1.0), (256, 64, 1.5), (256, 8, 3.0)]))
def test_verdict_is_calibrated_for_few_particles(size: tuple[int, int, float]) -> None:
    """The bias of finite clouds is taken out by parts of them: p is uniform.

    Without, hardly a test passes. The first row is a quick one of the same kind.
    """
    found, plain = circle_tests(100, *size)
    p = [value for value in found if not math.isnan(value)]  # late, few are withheld
    assert len(p) >= 90
    assert stats.kstest(p, "uniform").pvalue > 0.01
    assert np.mean(np.array(p) <= 0.05) <= 0.12
    assert np.mean(np.array(plain) <= 0.05) > 0.4


def test_without_an_expansion_there_is_no_verdict() -> None:
    """Late and for few particles, halves do something else than clouds: p is withheld."""
    p, _ = circle_tests(3, 24, 64, 4.0)
    assert np.all(np.isnan(p))
    rng = np.random.default_rng(18)
    noise = rng.normal(size=(3, 8, 2))
    verdict = moment_test(noise, np.array([1, 1]))
    assert verdict.method == "none" and not verdict.differs() and verdict.share > 0.56
    assert verdict.bias > 0.0 and verdict.band > 0.0
    known = moment_test(noise[:1] + 1e-3 * noise, np.array([1, 1]))
    assert known.method == "signs" and 0.0 < known.p_value <= 1.0 and known.share < 0.01


def test_bias_and_band_are_told() -> None:
    rng = np.random.default_rng(19)
    fluctuation = rng.normal(size=(64, 2)) / 5.0
    fluctuation -= fluctuation.mean(axis=0)
    levels = np.array([fluctuation + m * 0.05 + m**2 * 0.002 for m in (1, 2, 4)])
    verdict = moment_test(levels, np.array([1, 1]))
    scale = math.sqrt(2.0) / verdict.spread[0]  # of a difference that two moments have
    assert verdict.bias == pytest.approx(0.052 * scale, rel=1e-12)
    assert verdict.band == pytest.approx(0.004 * scale, rel=1e-12)
    assert verdict.p_value > 0.99 and moment_test(levels[:1], np.array([1, 1])).p_value < 0.05
    assert math.isnan(moment_test(levels[:1], np.array([1, 1])).bias)


def test_parts_of_clouds_as_measures() -> None:
    law, rng = VonMisesFisher((0.0, 0.6, 0.8), 2.0), np.random.default_rng(20)
    clouds = [cloud(law.sample(100, rng)) for _ in range(8)]
    same = two_sample_test(clouds, gauss(law), parts=[clouds, clouds])
    plain = two_sample_test(clouds, gauss(law))
    assert (same.share, same.bias) == pytest.approx((0.0, 0.0), abs=1e-13)
    assert same.p_value == plain.p_value and same.distance == pytest.approx(plain.distance)
    with pytest.raises(InputError, match="7 parts of clouds found, 8 expected"):
        two_sample_test(clouds, gauss(law), parts=[clouds[1:]])
