"""Energies of kernels against known numbers, and p-values against what they promise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import energy_distance, kstest

from meanfield.analysis import twosample
from meanfield.analysis.twosample import kernel_distance, two_sample
from meanfield.errors import InputError
from meanfield.geometry.laws import VonMisesFisher
from meanfield.geometry.sphere import normalize, random_rotation, uniform_points
from meanfield.interaction.measure import Measure

cloud = Measure.equal


@pytest.mark.parametrize("angle", [1e-3, 0.7, math.pi])
def test_two_diracs(angle: float) -> None:
    """D^2 = 2 |x - y|, and 2 - 2 exp(-|x - y|^2 / 2 h^2)."""
    x, y = np.eye(4)[:1], math.cos(angle) * np.eye(4)[:1] + math.sin(angle) * np.eye(4)[1:2]
    chord = 2.0 * math.sin(angle / 2.0)
    assert kernel_distance(cloud(x), cloud(y)) ** 2 == pytest.approx(2.0 * chord, rel=1e-6)
    found = kernel_distance(cloud(x), cloud(y), "mmd", 0.5) ** 2
    assert found == pytest.approx(2.0 - 2.0 * math.exp(-(chord**2) / 0.5), rel=1e-6)
    assert kernel_distance(cloud(x), cloud(x)) == 0.0


def test_on_a_short_arc_it_is_the_distance_of_the_line() -> None:
    """SciPy's is sqrt(2) int (F - G)^2 ^ {1/2}, its square 2 E|X-Y| - E|X-X'| - E|Y-Y'|."""
    rng = np.random.default_rng(1)
    u, v = 1e-3 * rng.standard_normal(60), 1e-3 * (rng.standard_normal(50) + 0.5)
    weights = rng.dirichlet(np.ones(50))
    a = cloud(np.stack([np.cos(u), np.sin(u)], axis=1))
    b = Measure(np.stack([np.cos(v), np.sin(v)], axis=1), weights)
    known = energy_distance(u, v, v_weights=weights)
    assert kernel_distance(a, b) == pytest.approx(known, rel=1e-5)


@pytest.mark.parametrize("statistic", ["energy", "mmd"])
def test_blocks_and_rotations_change_nothing(
    statistic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(2)
    a = cloud(uniform_points(70, 3, rng))
    b = Measure(uniform_points(90, 3, rng), rng.dirichlet(np.ones(90)))
    known = kernel_distance(a, b, statistic)
    assert kernel_distance(b, a, statistic) == pytest.approx(known, rel=1e-12)
    turn = random_rotation(3, rng)
    turned = [Measure(m.points @ turn.T, m.weights) for m in (a, b)]
    assert kernel_distance(*turned, statistic) == pytest.approx(known, rel=1e-9)
    monkeypatch.setattr(twosample, "_BLOCK", 33)
    assert kernel_distance(a, b, statistic) == pytest.approx(known, rel=1e-12)


@pytest.mark.parametrize("statistic", ["energy", "mmd"])
@pytest.mark.parametrize("d", [2, 3, 16])
def test_p_values_are_uniform_for_one_law_and_small_for_two(statistic: str, d: int) -> None:
    rng = np.random.default_rng(3)
    same = [
        two_sample(
            cloud(uniform_points(30, d, rng)),
            cloud(uniform_points(40, d, rng)),
            statistic,
            permutations=199,
            seed=k,
        ).p_value
        for k in range(120)
    ]
    assert kstest(same, "uniform").pvalue > 0.01
    other = normalize(uniform_points(300, d, rng) + 0.8 * np.eye(d)[0])
    found = two_sample(cloud(uniform_points(300, d, rng)), cloud(other), statistic)
    assert found.p_value == 1e-3 and found.permutations == 999
    assert (found.width is None) == (statistic == "energy")


@pytest.mark.parametrize("statistic", ["energy", "mmd"])
def test_laws_that_are_symmetric_about_the_centre_are_told_apart(statistic: str) -> None:
    """The kernel of angles could not: all its parts are of odd degree."""
    rng = np.random.default_rng(4)
    x = VonMisesFisher((0, 0, 1), 5.0).sample(400, rng)
    both = np.concatenate([x, -x])
    uniform = uniform_points(400, 3, rng)
    uniform = np.concatenate([uniform, -uniform])
    assert two_sample(cloud(both), cloud(uniform), statistic).p_value == 1e-3


def test_the_same_seed_gives_the_same_p_value() -> None:
    rng = np.random.default_rng(5)
    a, b = cloud(uniform_points(50, 3, rng)), cloud(uniform_points(50, 3, rng))
    one, two, other = (two_sample(a, b, seed=seed) for seed in (7, 7, 8))
    assert one == two and one.distance == other.distance
    assert two_sample(a, a).p_value == 1.0  # nothing is nearer than the same points


def test_what_is_refused() -> None:
    rng = np.random.default_rng(6)
    a = cloud(uniform_points(5, 3, rng))
    uneven = Measure(a.points, np.array([0.6, 0.1, 0.1, 0.1, 0.1]))
    for call, message in (
        (lambda: two_sample(a, uneven), "second measure: weights 0.1 to 0.6 found, equal ones"),
        (lambda: two_sample(a, a, "enrgy"), "did you mean 'energy'"),
        (lambda: two_sample(a, cloud(np.eye(4))), "3 and 4 coordinates found"),
        (lambda: two_sample(a, a, permutations=0), "permutations = 0 found, at least 1"),
        (lambda: two_sample(a, a, width=1.0), "'energy' has no parameter"),
        (lambda: two_sample(a, a, "mmd", width=0.0), "width = 0.0 found, a number > 0"),
    ):
        with pytest.raises(InputError, match=message):
            call()


@pytest.mark.parametrize("statistic", ["energy", "mmd"])
def test_clouds_at_one_place_are_equal(statistic: str) -> None:
    x = np.array([[0.36, 0.48, 0.8]])
    for n in (1, 5, 50):
        cloud = Measure.equal(np.repeat(x, n, axis=0))
        found = two_sample(cloud, cloud, statistic)
        assert found.distance == 0.0 and found.p_value == 1.0
    rng = np.random.default_rng(2)
    near = x + 1e-9 * rng.standard_normal((40, 3))
    near[20:] += 3e-9
    near /= np.linalg.norm(near, axis=1, keepdims=True)
    if statistic == "energy":  # what has gathered can still be told apart
        parts = (Measure.equal(near[:20]), Measure.equal(near[20:]))
        assert two_sample(*parts, statistic).p_value < 0.02
