"""W = t^k; Maier and Saupe's W = t^2 is the case k = 2 (nematics, Z. Naturforsch. 14a, 1959)."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from meanfield.geometry.sphere import Array
from meanfield.interaction.kernels.base import Kernel
from meanfield.options import Counted, Field, options

__all__ = ["MaierSaupe", "Power"]


def _power(k: int, t: Array) -> Array:
    return np.ones_like(t) if k == 0 else t**k


def _coefficients(k: int, degree: int, d: int) -> Array:
    """By Rodrigues' formula: 0 unless k - l is even and >= 0."""
    lam = np.zeros(degree + 1)
    g = math.lgamma
    for l in range(k % 2, min(k, degree) + 1, 2):
        j, h = (k - l) // 2, 0.5 * d + l
        log = g(0.5 * d) - l * math.log(2.0) - g(h) + g(k + 1.0) - g(k - l + 1.0)
        lam[l] = math.exp(log + g(j + 0.5) + g(h) - g(0.5) - g(j + h))
    return lam


@options("model.interaction", kw_only=True)
class Power(Kernel):
    """W = t^k; k = 1: the Kuramoto (d = 2) and the linear, conformal flow.

    Example:
        >>> mf.Power(k=2).describe()
        'power, k = 2'
    """

    k: Counted = Field(ge=1, le=64, examples=[2])
    """Exponent."""
    type: Literal["power"] = "power"

    @property
    def parameters(self) -> dict[str, float]:
        return {"strength": self.strength}  # k is a whole number: no branch can vary it

    def describe(self) -> str:
        return super().describe().replace(self.type, f"{self.type}, k = {self.k}", 1)

    def degree(self, tolerance: float, d: int) -> int:
        return self.k

    def lam(self, degree: int, d: int) -> Array:
        return _coefficients(self.k, degree, d)

    def w(self, t: Array, u: Array, d: int) -> Array:
        return _power(self.k, t)

    def dw(self, t: Array, u: Array, d: int) -> Array:
        return self.k * _power(self.k - 1, t)

    def ddw(self, t: Array, u: Array, d: int) -> Array:
        return self.k * (self.k - 1) * _power(max(self.k - 2, 0), t)


@options("model.interaction", kw_only=True)
class MaierSaupe(Kernel):
    """W = t^2.

    Example:
        >>> mf.MaierSaupe().describe()
        'maier-saupe'
    """

    type: Literal["maier-saupe"] = "maier-saupe"

    def degree(self, tolerance: float, d: int) -> int:
        return 2

    def lam(self, degree: int, d: int) -> Array:
        return _coefficients(2, degree, d)

    def w(self, t: Array, u: Array, d: int) -> Array:
        return t * t

    def dw(self, t: Array, u: Array, d: int) -> Array:
        return 2.0 * t

    def ddw(self, t: Array, u: Array, d: int) -> Array:
        return np.full_like(t, 2.0)
