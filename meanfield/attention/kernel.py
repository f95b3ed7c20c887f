"""The attention kernel e^{beta <x, y>} on S^{d-1}: Funk-Hecke coefficients and truncation degree.

Everything is scaled by e^{-|beta|}, the largest value of the kernel, so that any beta from -1000 to
1000 (and beyond) is representable. Knows nothing of measures, points or meshes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import special

from meanfield.errors import InputError
from meanfield.geometry.sphere import Array

__all__ = ["BETA_MAX", "Kernel", "harmonic_dimension"]

BETA_MAX = 1.0e4
"""Largest |beta| taken: beyond it a cluster is narrower than any mesh used here."""


def _dimension_ratio(degrees: Array, d: int) -> Array:
    """dim H_l / dim H_{l-1} for l >= 1 (H_l: the harmonics of degree l on S^{d-1})."""
    lower = np.maximum(2.0 * degrees + d - 4.0, 1.0)  # l = 1, d = 2 is overwritten below
    ratio = (2.0 * degrees + d - 2.0) * (degrees + d - 3.0) / (lower * degrees)
    return np.where(degrees == 1.0, float(d), ratio)


def harmonic_dimension(degree: int, d: int) -> Array:
    """Dimensions of the spaces of harmonics of degree 0..``degree`` on S^{d-1}, as floats."""
    return np.concatenate([[1.0], np.cumprod(_dimension_ratio(np.arange(1.0, degree + 1), d))])


def _bessel_ratios(beta: float, d: int, degree: int) -> Array:
    """Ratios lam_l/lam_{l-1} = I_{l+d/2-1}(b)/I_{l+d/2-2}(b), l = 1..degree, b = |beta| > 0.

    Downward (Miller) recurrence 1/r_l = 2(l + d/2 - 1)/b + r_{l+1}: stable, and never under- or
    overflows, which the Bessel functions themselves do for large l or d.
    """
    b = abs(beta)
    start = degree + 40 + int(2.0 * math.sqrt(b))
    ratios = np.empty(start + 2)
    nu = start + 1 + 0.5 * d - 1.0
    ratios[start + 1] = b / (nu + math.hypot(nu, b))  # leading behaviour for large order
    for k in range(start, 0, -1):
        ratios[k] = 1.0 / (2.0 * (k + 0.5 * d - 1.0) / b + ratios[k + 1])
    return ratios[1 : degree + 1]


def _log_lam0(beta: float, d: int) -> float:
    """log(lam_0 e^{-b}), lam_0 = Gamma(d/2) (2/b)^{d/2-1} I_{d/2-1}(b) = 0F1(; d/2; b^2/4)."""
    b = abs(beta)
    if b <= max(20.0, 0.5 * d):
        return math.log(float(special.hyp0f1(0.5 * d, 0.25 * b * b))) - b
    nu = 0.5 * d - 1.0
    return math.lgamma(0.5 * d) + nu * math.log(2.0 / b) + math.log(float(special.ive(nu, b)))


@dataclass(frozen=True)
class Kernel:
    """The scaled kernel e^{beta t - |beta|}, t = <x, y>, on S^{d-1}.

    Its expansion is sum_l lam_l dim(H_l) P_l(t) with P_l(1) = 1 (Funk-Hecke), where

        lam_l(beta) = Gamma(d/2) (2/beta)^{d/2-1} I_{l+d/2-1}(beta).

    beta = 0 is the linear limit: the *potential* (kernel - lam_0)/beta tends to t, so that
    ``potential_coefficients`` is 1/d at l = 1 and zero elsewhere.

    Raises:
        InputError: beta not finite or beyond ``BETA_MAX``, or d < 2.
    """

    beta: float
    d: int

    def __post_init__(self) -> None:
        if not math.isfinite(self.beta) or abs(self.beta) > BETA_MAX:
            raise InputError(
                f"beta = {self.beta:g} found, a finite number with |beta| <= {BETA_MAX:g} expected"
            )
        if self.d < 2:
            raise InputError(f"d = {self.d} found, a dimension of at least 2 expected")

    @property
    def log_scale(self) -> float:
        """log of the factor taken out: the kernel is e^{log_scale} times the scaled one."""
        return abs(self.beta)

    @cached_property
    def lam0(self) -> float:
        """lam_0 e^{-|beta|}: the scaled partition function of the uniform measure."""
        return math.exp(_log_lam0(self.beta, self.d)) if self.beta != 0.0 else 1.0

    def coefficients(self, degree: int) -> Array:
        """lam_l e^{-|beta|} for l = 0..degree; for beta < 0 the odd ones are negative."""
        lam = np.zeros(degree + 1)
        lam[0] = self.lam0
        if self.beta != 0.0:
            sign = math.copysign(1.0, self.beta)
            lam[1:] = lam[0] * np.cumprod(sign * _bessel_ratios(self.beta, self.d, degree))
        return lam

    def potential_coefficients(self, degree: int) -> Array:
        """lam_l e^{-|beta|}/beta for l >= 1 and 0 for l = 0: the kernel of q = (Z - lam_0)/beta.

        Finite at beta = 0, where it is that of <x, y>: 1/d at l = 1.
        """
        if self.beta == 0.0:
            coefficients = np.zeros(degree + 1)
            if degree >= 1:
                coefficients[1] = 1.0 / self.d
            return coefficients
        coefficients = np.zeros(degree + 1)
        factors = math.copysign(1.0, self.beta) * _bessel_ratios(self.beta, self.d, degree)
        factors[:1] /= self.beta  # ratio_1/beta stays finite however small beta is
        coefficients[1:] = self.lam0 * np.cumprod(factors)
        return coefficients

    def degree(self, tolerance: float) -> int:
        """Smallest L >= 1 beyond which sum_l dim(H_l) |lam_l| (1 + l) <= tolerance (scaled).

        The factor 1 + l makes it hold for the gradient too. About sqrt(2 beta log(1/tolerance)).
        """
        if self.beta == 0.0:
            return 1
        b = abs(self.beta)
        guess = 16
        while True:
            l = np.arange(1.0, guess + 1)
            ratios = _bessel_ratios(b, self.d, guess) * _dimension_ratio(l, self.d)
            terms = np.exp(_log_lam0(b, self.d) + np.cumsum(np.log(ratios))) * (1.0 + l)
            if terms[-1] < 1e-3 * tolerance and ratios[-1] < 0.7:
                tails = np.cumsum(terms[::-1])[::-1]  # tails[k]: all degrees above k
                below = np.flatnonzero(tails <= tolerance)
                return max(1, int(below[0]))
            guess *= 2
