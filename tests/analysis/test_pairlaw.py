"""The law of inner products: exact laws, moments, tokens against densities, samples."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy import integrate

from meanfield.analysis import pairlaw
from meanfield.analysis.pairlaw import PairLaw, TokenPairs, bin_edges, law_of_power
from meanfield.errors import InputError
from meanfield.geometry.polynomials import gegenbauer
from meanfield.geometry.sphere import Array, harmonic_dimension, uniform_points


def _uniform_shares(d: int, bins: int) -> Array:
    """Of t on S^{d-1}: int c (1 - t^2)^{(d-3)/2} dt, by the angle."""

    def mass(low: float, high: float) -> float:
        a, b = math.acos(high), math.acos(low)
        return float(integrate.quad(lambda s: math.sin(s) ** (d - 2), a, b, epsabs=1e-14)[0])

    edges = bin_edges(bins)
    found = np.array([mass(*ends) for ends in pairwise(edges)])
    return np.asarray(found / found.sum())


@pytest.mark.parametrize("d", [2, 3, 4, 9, 40])
def test_the_uniform_density_has_its_exact_law(d: int) -> None:
    for power in ([1.0], [1.0, 0.0, 0.0, 0.0]):
        law = law_of_power(np.array(power), d, 20)
        assert law.blur == 0.0
        np.testing.assert_allclose(law.shares, _uniform_shares(d, 20), rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize("d", [2, 3, 4, 9])
def test_each_degree_is_integrated_exactly(d: int) -> None:
    """Power of one degree, against Gauss quadrature of w P_l in each bin."""
    bins, edges = 7, bin_edges(7)
    c = math.exp(math.lgamma(0.5 * d) - math.lgamma(0.5 * (d - 1))) / math.sqrt(math.pi)
    nodes, weights = np.polynomial.legendre.leggauss(60)
    for degree in (1, 2, 5, 8):
        power = np.zeros(40)
        power[0], power[degree] = 1.0, 0.7
        angles = np.arccos(edges)
        expected = np.empty(bins)
        for k in range(bins):
            s = 0.5 * (angles[k] - angles[k + 1]) * nodes + 0.5 * (angles[k] + angles[k + 1])
            p = gegenbauer(np.cos(s), d, degree)[degree]
            f = c * np.sin(s) ** (d - 2) * (1.0 + 0.7 * p)
            expected[k] = 0.5 * (angles[k] - angles[k + 1]) * np.dot(weights, f)
        law = law_of_power(power, d, bins)
        assert law.blur == 0.0
        np.testing.assert_allclose(law.shares, expected, atol=1e-13)


def test_von_mises_fisher_has_its_law() -> None:
    """On S^2 of concentration k: int over mu x mu by the modified Bessel function I_0.

    E over y of the density at angle: f(t) = 1/2 int rho(x) rho(y) = (k/sinh k)^2 sinh(k s)/(k s)/2,
    s = |x + y| = sqrt(2 + 2t): x + y is what both are weighted by.
    """
    k, bins = 3.0, 16
    degrees = np.arange(60)
    # Moments of degree l: sqrt(2l+1) I_{l+1/2}(k)/I_{1/2}(k).
    from scipy.special import ive

    ratio = ive(degrees + 0.5, k) / ive(0.5, k)
    law = law_of_power((2 * degrees + 1) * ratio**2, 3, bins)
    edges = bin_edges(bins)

    def density(t: float) -> float:
        s = math.sqrt(2.0 + 2.0 * t)
        return 0.5 * (k / math.sinh(k)) ** 2 * math.sinh(k * s) / (k * s) if s > 0.0 else 0.0

    expected = [integrate.quad(density, a, b)[0] for a, b in pairwise(edges)]
    assert sum(expected) == pytest.approx(1.0, abs=1e-9)
    assert law.blur == 0.0
    np.testing.assert_allclose(law.shares, expected, atol=1e-9)


@pytest.mark.parametrize(("d", "degree"), [(2, 100), (3, 100), (3, 25), (8, 60), (40, 60)])
def test_a_dirac_has_all_its_pairs_at_one_and_no_bin_below_zero(d: int, degree: int) -> None:
    law = law_of_power(np.asarray(harmonic_dimension(degree, d)), d, 10)
    assert np.sum(law.shares) == pytest.approx(1.0, abs=1e-6)
    assert law.shares.min() > -2e-3
    assert 0.0 < law.blur
    if degree == 100:
        assert law.shares[-1] > 0.99 and law.blur < 0.1


def _pairs(x: Array, m: Array, bins: int) -> Array:
    """Pair by pair."""
    edges, shares = bin_edges(bins), np.zeros(bins)
    for i in range(len(x)):
        for j in range(len(x)):
            if i != j:
                k = np.searchsorted(edges, float(x[i] @ x[j]), side="right") - 1
                shares[min(max(k, 0), bins - 1)] += m[i] * m[j]
    return np.asarray(shares / shares.sum())


@pytest.mark.parametrize("d", [2, 3, 50])
def test_tokens_are_counted_pair_by_pair(d: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(d)
    x, m = uniform_points(23, d, rng), rng.random(23)
    x[4] = x[7]  # at one, or beyond it by round-off
    x[5] = -x[7]
    expected = _pairs(x, m / m.sum(), 12)
    for block in (1 << 21, 50):
        monkeypatch.setattr(pairlaw, "_BLOCK", block)
        law = TokenPairs(m, 12).law(x)
        np.testing.assert_allclose(law.shares, expected, atol=1e-14)
    assert law == PairLaw(law.shares, 0.0)


def test_a_sample_of_pairs_has_their_law(monkeypatch: pytest.MonkeyPatch) -> None:
    """Masses are those of the pairs, none is a token with itself, the seed tells which."""
    monkeypatch.setattr(pairlaw, "MOST_PAIRS", 40_000)
    rng = np.random.default_rng(0)
    x, m = uniform_points(400, 3, rng), rng.random(400)
    m[:3] = 0.0, 60.0, 60.0  # of 320
    counter = TokenPairs(m, 8, seed=1)
    assert counter.sampled and counter.number == 40_000
    shares = counter.law(x).shares
    expected = _pairs(x, m / m.sum(), 8)
    error = np.sqrt(expected * (1.0 - expected) / 40_000)
    assert np.all(np.abs(shares - expected) < 4.5 * error)
    np.testing.assert_array_equal(shares, TokenPairs(m, 8, seed=1).law(x).shares)
    assert np.any(shares != TokenPairs(m, 8, seed=2).law(x).shares)
    # Orthogonal tokens: a token with itself would be at 1.
    only = TokenPairs(np.ones(400), 3, seed=1).law(np.eye(400)).shares
    np.testing.assert_array_equal(only, [0.0, 1.0, 0.0])
    assert not TokenPairs(np.ones(280), 8).sampled


@pytest.mark.parametrize("weights", [[1.0], [0.0, 2.0, 0.0]])
def test_a_single_token_has_no_pairs(weights: list[float]) -> None:
    with pytest.raises(InputError, match=r"^pairs found for a single token, two or more expected"):
        TokenPairs(np.array(weights), 8)


def test_a_mass_other_than_one_has_no_law() -> None:
    with pytest.raises(InputError, match=r"^power of degree 0: 2 found, 1 expected"):
        law_of_power(np.array([2.0, 1.0]), 3, 4)
