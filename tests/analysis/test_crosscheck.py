"""Sampling floor, intervals, rates and the verdict: calibration under agreement, and power."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from meanfield.analysis.crosscheck import (
    difference,
    mean_with_interval,
    rate_fit,
    ratio_interval,
    sampling_floor,
)
from meanfield.analysis.quadrature import density_measure
from meanfield.analysis.wasserstein import Effort, wasserstein
from meanfield.errors import InputError
from meanfield.geometry.laws import Uniform, VonMisesFisher
from meanfield.geometry.laws.tabulated import density_law
from meanfield.geometry.mesh import circle, icosphere, zonal_interval
from meanfield.interaction.measure import Measure

cloud = Measure.equal


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
    rough = sampling_floor(
        law,
        reference,
        50,
        3,
        np.random.default_rng(8),
        distance=lambda a, b: wasserstein(a, b, 2, "bracket", effort=Effort(blocks=10)).distance,
    )
    exact = sampling_floor(law, reference, 50, 3, np.random.default_rng(8), p=2)
    assert rough.shape == (3,) and np.all(rough > exact) and np.all(rough < 3.0 * exact)
    with_first = sampling_floor(law, reference, 50, 3, np.random.default_rng(8), p=1)
    again = sampling_floor(law, reference, 50, 3, np.random.default_rng(8), p=1)
    np.testing.assert_array_equal(with_first, again)
