"""Pair statistics: the law of the inner product t = <x, y> of two independent points of mu.

Of tokens it is counted, over pairs of different ones. Of a density it follows from its power
spectrum: with p_l the sum of its squared moments of degree l (orthonormal harmonics), the addition
theorem gives E P_l(t) = p_l/dim_l, P_l the Gegenbauer polynomials with P_l(1) = 1, and so the
density of t

    f(t) = w(t) sum_l p_l P_l(t),      w(t) = c (1 - t^2)^{(d-3)/2},  int w dt = 1.

Over bins it is integrated exactly: for l >= 1

    int_a^b w P_l dt = -c/(d - 1) [ (1 - t^2)^{(d-1)/2} P_{l-1}(t; d + 2) ]_a^b.

(Histograms of inner products through depth: arXiv 2312.10794, Fig. 1.)
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc

from meanfield.arguments import checked_arguments
from meanfield.checks import real_array
from meanfield.dynamics.noise import step_generator
from meanfield.dynamics.tokens import checked_weights
from meanfield.errors import InputError
from meanfield.geometry.polynomials import gegenbauer
from meanfield.geometry.sphere import Array

__all__ = ["MOST_PAIRS", "PairLaw", "TokenPairs", "bin_edges", "law_of_power"]

MOST_PAIRS = 2_000_000
"""Pairs of tokens that are counted at a time; of more a sample of so many."""

_END = 1e-3  # of a power, below which what is left out of a series shows in no bin
_CANCELLED = 1e8  # largest power whose sum keeps its digits
_BLOCK = 1 << 21  # numbers at a time
_START, _STREAM = 2**64 - 1, 3  # the random numbers of no step


class PairLaw(NamedTuple):
    """Shares of all pairs, by inner product.

    Attributes:
        shares: (bins,) of equal width from -1 to 1; sum 1.
        blur: angle, root mean square, by which a density has been smoothed first; 0: not at all.
    """

    shares: Array
    blur: float = 0.0


def bin_edges(bins: int) -> Array:
    """(bins + 1,) from -1 to 1."""
    return np.linspace(-1.0, 1.0, bins + 1)


def _refuse_bins(bins: int) -> None:
    if bins < 1:
        raise InputError(f"bins = {bins} found, 1 or more expected")


class TokenPairs:
    """Counts pairs of different tokens, each with the product of its masses.

    Args:
        weights: (n,) masses.
        bins: how many.
        seed: of the sample, where there are more than ``MOST_PAIRS`` pairs: pairs drawn by their
            masses, the same at all times.

    Attributes:
        number: of pairs.
        sampled: whether they are a sample.

    Raises:
        InputError: no two tokens with mass, masses that are none, or no bins.
    """

    @checked_arguments
    def __init__(self, weights: Array, bins: int, seed: int = 0) -> None:
        _refuse_bins(bins)
        weights = real_array(weights, "weights", "masses (n,)")
        n = len(weights) if weights.ndim == 1 else 1
        self._weights, self._bins = checked_weights(weights, n), bins
        others = 1.0 - self._weights
        if not np.any(self._weights * others > 0.0):
            raise InputError("pairs found for a single token, two or more expected")
        self.sampled = n * (n - 1) // 2 > MOST_PAIRS
        self.number = MOST_PAIRS if self.sampled else n * (n - 1) // 2
        self._pairs: NDArray[np.int64] | None = None
        if self.sampled:
            rng = step_generator(seed, _START, _STREAM)
            self._pairs = _drawn(self._weights, rng)

    def law(self, x: Array) -> PairLaw:
        """Of tokens (n, d), unit vectors."""
        counts = self._all(x) if self._pairs is None else self._sample(x, self._pairs)
        return PairLaw(counts / np.sum(counts))

    def _all(self, x: Array) -> Array:
        counts, m = np.zeros(self._bins), self._weights
        n = len(x)
        rows = max(1, _BLOCK // n)
        for start in range(0, n - 1, rows):
            stop = min(start + rows, n)
            t = x[start:stop] @ x[start:].T
            later = np.arange(start, n)[None, :] > np.arange(start, stop)[:, None]
            products = m[start:stop, None] * m[None, start:]
            counts += self._counted(t[later], products[later])
        return counts

    def _sample(self, x: Array, pairs: NDArray[np.int64]) -> Array:
        counts = np.zeros(self._bins)
        many = max(1, _BLOCK // x.shape[1])
        for start in range(0, pairs.shape[1], many):
            i, j = pairs[:, start : start + many]
            t = np.einsum("pk,pk->p", x[i], x[j])
            counts += self._counted(t, np.ones(len(t)))
        return counts

    def _counted(self, t: Array, weights: Array) -> Array:
        places = np.floor((t + 1.0) * (0.5 * self._bins)).astype(np.int64)
        places = np.clip(places, 0, self._bins - 1)  # round-off of equal tokens
        return np.bincount(places, weights=weights, minlength=self._bins)


def _drawn(m: Array, rng: np.random.Generator) -> NDArray[np.int64]:
    """(2, pairs) of different tokens: each pair by the product of its masses."""
    ends = np.cumsum(m)
    by_first = np.cumsum(m * (1.0 - m))
    most = len(m) - 1
    first = np.searchsorted(by_first, by_first[-1] * rng.random(MOST_PAIRS), side="right")
    first = np.minimum(first, most)
    # The others, as if the first were cut out of the line of all masses.
    u = rng.random(MOST_PAIRS) * (ends[-1] - m[first])
    u += np.where(u >= ends[first] - m[first], m[first], 0.0)
    second = np.minimum(np.searchsorted(ends, u, side="right"), most)
    beside = np.where(first > 0, first - 1, first + 1)  # of round-off alone
    return np.stack([first, np.where(second == first, beside, second)])


@checked_arguments
def law_of_power(power: Array, d: int, bins: int) -> PairLaw:
    """Of a density on S^{d-1}, from its power spectrum.

    Where the spectrum does not end by itself, it is that of the density smoothed by the heat kernel
    for a time tau, p_l e^{-l(l + d - 2) tau}, just long enough that what is left out shows in no
    bin: none of them is then below 0 by more than about 1e-3.

    Args:
        power: (L + 1,) sums of squared moments of each degree; of degree 0: 1.
        d: dimension of the ambient space.
        bins: how many.

    Raises:
        InputError: what is none.
    """
    _refuse_bins(bins)
    power = real_array(power, "power", "numbers (degrees,)")
    if power.ndim != 1 or not len(power) or not np.all(power >= 0.0) or d < 2:
        raise InputError(
            f"power of shape {power.shape} and d = {d} found, squared moments (degrees,) >= 0 and "
            "d >= 2 expected"
        )
    if abs(power[0] - 1.0) > 1e-6:
        raise InputError(f"power of degree 0: {power[0]:g} found, 1 expected, that of mass 1")
    degrees = np.arange(len(power))
    rates = degrees * (degrees + d - 2.0)
    with np.errstate(divide="ignore"):
        logs = np.log(power)
    tau = 0.0
    if len(power) > 1:
        end = max(1, 3 * len(power) // 4)
        tau = max(0.0, float(np.max(logs[end:]) - math.log(_END)) / rates[-1])
        tau = max(tau, float(np.max((logs[1:] - math.log(_CANCELLED)) / rates[1:])))
    damped = np.exp(logs - tau * rates)
    return PairLaw(damped @ _integrals(d, bins, len(power) - 1), math.sqrt(2.0 * (d - 1) * tau))


@lru_cache(maxsize=8)
def _integrals(d: int, bins: int, degree: int) -> Array:
    """int w P_l over each bin, (degree + 1, bins)."""
    t = bin_edges(bins)
    half = 0.5 * (d - 1)
    found = np.empty((degree + 1, bins))
    found[0] = np.diff(betainc(half, half, 0.5 * (1.0 + t)))
    if degree > 0:
        log_c = math.lgamma(0.5 * d) - math.lgamma(half) - 0.5 * math.log(math.pi)
        edge = ((1.0 - t) * (1.0 + t)) ** half * gegenbauer(t, d + 2, degree - 1)
        found[1:] = -math.exp(log_c) / (d - 1) * np.diff(edge, axis=1)
    return found
