"""W = e^{beta t}: the kernel of attention, and the von Mises-Fisher kernel.

Everything is scaled by e^{-|beta|}, the largest value of the kernel, so that any beta from -2000 to
2000 (and beyond) is representable.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Annotated, Literal

import numpy as np

from meanfield.errors import InputError
from meanfield.geometry.bessel import log_scaled_bessel
from meanfield.geometry.manifolds import Manifold
from meanfield.geometry.sphere import Array, dimension_ratio
from meanfield.interaction.kernels.base import Kernel
from meanfield.interaction.parts import Parts
from meanfield.options import Expected, Field, Pure, options

__all__ = ["BETA_MAX", "Exponential", "latitude_kernel"]

BETA_MAX = 1.0e4
"""Largest |beta| taken: beyond it a cluster is narrower than any mesh used here."""


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


@lru_cache(maxsize=256)
def _log_lam0(beta: float, d: int) -> float:
    """log(lam_0 e^{-b}), lam_0 = Gamma(d/2) (2/b)^{d/2-1} I_{d/2-1}(b) = 0F1(; d/2; b^2/4)."""
    return float(log_scaled_bessel(0.5 * d - 1.0, abs(beta)))


@options("model.interaction", kw_only=True)
class Exponential(Kernel):
    """W = e^{beta t}, lam_l = Gamma(d/2) (2/beta)^{d/2-1} I_{l+d/2-1}(beta), scaled by e^{-|beta|}.

    Its unit is beta: (W - lam_0)/beta tends to t as beta -> 0.

    Example:
        >>> mf.Exponential(beta=4.0).describe()
        'exponential, beta = 4'
    """

    beta: Annotated[Pure, Expected(f"a finite number with |beta| <= {BETA_MAX:g}")] = Field(
        ge=-BETA_MAX, le=BETA_MAX, examples=[4.0]
    )
    """Inverse temperature."""
    type: Literal["exponential"] = "exponential"

    compiled = True
    capped = False

    @property
    def log_scale(self) -> float:
        return abs(self.beta)

    @property
    def unit(self) -> float:
        return float(self.beta)

    def lam(self, degree: int, d: int) -> Array:
        lam = np.zeros(degree + 1)
        lam[0] = math.exp(_log_lam0(self.beta, d)) if self.beta != 0.0 else 1.0
        if self.beta != 0.0:
            sign = math.copysign(1.0, self.beta)
            lam[1:] = lam[0] * np.cumprod(sign * _bessel_ratios(self.beta, d, degree))
        return lam

    def multipliers(self, degree: int, d: int) -> Array:
        coefficients = np.zeros(degree + 1)
        if self.beta == 0.0:
            if degree >= 1:
                coefficients[1] = 1.0 / d
            return coefficients
        factors = math.copysign(1.0, self.beta) * _bessel_ratios(self.beta, d, degree)
        factors[:1] /= self.beta  # ratio_1/beta stays finite however small beta is
        coefficients[1:] = math.exp(_log_lam0(self.beta, d)) * np.cumprod(factors)
        return coefficients

    def degree(self, tolerance: float, d: int) -> int:
        """Smallest L >= 1 beyond which sum_l dim(H_l) |lam_l| (1 + l) <= tolerance (scaled).

        The factor 1 + l makes it hold for the gradient too. About sqrt(2 beta log(1/tolerance)).
        """
        if self.beta == 0.0:
            return 1
        b = abs(self.beta)
        guess = 16
        while True:
            l = np.arange(1.0, guess + 1)
            ratios = _bessel_ratios(b, d, guess) * dimension_ratio(l, d)
            terms = np.exp(_log_lam0(b, d) + np.cumsum(np.log(ratios))) * (1.0 + l)
            if terms[-1] < 1e-3 * tolerance and ratios[-1] < 0.7:
                tails = np.cumsum(terms[::-1])[::-1]  # tails[k]: all degrees above k
                below = np.flatnonzero(tails <= tolerance)
                return max(1, int(below[0]))
            guess *= 2

    def w(self, t: Array, u: Array, d: int) -> Array:
        return np.asarray(np.exp(self.beta * t - abs(self.beta)))

    def dw(self, t: Array, u: Array, d: int) -> Array:
        return self.w(t, u, d)

    def ddw(self, t: Array, u: Array, d: int) -> Array:
        return self.beta * self.w(t, u, d)

    def positive(self, d: int) -> bool:
        return True

    def contrast(self, d: int) -> float:
        return math.exp(-2.0 * abs(self.beta))

    def hollow(self, d: int) -> bool:
        return self.beta < 0.0

    def sharpness(self, d: int) -> float:
        return 1.0 + abs(self.beta)

    @property
    def energy_label(self) -> str:
        return "E e^-|beta|"

    def refuse_overflow(self, highest: float = 600.0) -> None:
        if self.link == "identity" and abs(self.beta) > highest:
            raise InputError(
                f"beta = {self.beta:g} found with the identity as link, |beta| <= {highest:g} "
                'expected: velocities are of size e^|beta|; take link = "log"'
            )

    def sums(
        self, x: Array, y: Array, m: Array, on: Manifold, base: float, order: int, value: bool
    ) -> Parts:
        """Direct sums with a log-scale for each point, as in a softmax: see ``direct``."""
        from meanfield.interaction.direct import (  # compiled: where needed
            pair_sums,
            zonal_pair_sums,
        )

        if on.latitudes:
            s = zonal_pair_sums(x[:, 0], y[:, 0], m, self.beta, on.d)
        else:
            s = pair_sums(x, y, m, self.beta)
        if self.beta == 0.0:
            q = s.zt
        else:
            q = (s.z * np.exp(s.log_scale - abs(self.beta)) - base) / self.beta
        gradient = laplacian = None
        if order >= 1:
            gradient = on.tangential(x, s.pull)
        if order >= 2:
            laplacian = self.beta * (s.z - s.ztt) - (on.d - 1) * s.zt
        return Parts(s.log_scale, s.z, q, gradient, laplacian, np.ones(s.z.size, dtype=bool))

    def latitudes(self, d: int, order: int, t: Array) -> Array:
        """W between circles of latitude (cosines t), on harmonics of an azimuthal order, (n, n).

        Funk-Hecke on the S^{d-2} of longitudes: e^{beta c c'} lam_order(beta s s') there, all
        positive (up to a common sign) and so exact where harmonics of S^{d-1} cancel.
        """
        return latitude_kernel(self.beta, self.beta, d, order, t)


def latitude_kernel(across: float, along: float, d: int, order: int, t: Array) -> Array:
    """e^{a s s' cos + c t t'} between circles of latitude, see ``Exponential.latitudes``, (n, n).

    Args:
        across, along: a and c; everything times e^{-max(|a|, |c|)}.
        d: dimension.
        order: azimuthal order.
        t: (n,) cosines of the colatitudes.
    """
    s = np.sqrt((1.0 - t) * (1.0 + t))
    size = abs(across) * np.outer(s, s)
    half = 0.5 * (d - 1)
    nu = half + order
    ratio = math.lgamma(half) - math.lgamma(nu)
    with np.errstate(divide="ignore"):
        power = order * np.log(0.5 * size) if order else 0.0
    scaled = np.exp(ratio + power + log_scaled_bessel(nu - 1.0, size))
    sign = -1.0 if across < 0.0 and order % 2 else 1.0
    top = max(abs(across), abs(along))
    return np.asarray(sign * scaled * np.exp(along * np.outer(t, t) - top + size))
