"""W = |x - y|^{-s} = (2 - 2t)^{-s/2}: Riesz energies (Saff and Kuijlaars 1997)."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from meanfield.errors import InputError
from meanfield.geometry.sphere import Array
from meanfield.interaction.kernels.base import Kernel
from meanfield.options import Field, Pure, options

__all__ = ["Riesz"]


@options("model.interaction", kw_only=True)
class Riesz(Kernel):
    """W = |x - y|^{-s}; d = 3, s = 1: Coulomb, repulsive with a negative strength.

    Example:
        >>> mf.Riesz(s=0.5, strength=-1.0).describe()
        'riesz, s = 0.5, strength = -1'
    """

    s: Pure = Field(gt=0.0, le=1000.0, examples=[0.5])
    """Exponent, below d - 1, where energies are finite."""
    type: Literal["riesz"] = "riesz"

    smooth = False

    @property
    def near(self) -> float:  # type: ignore[override]  # here it depends on s
        """W' is like |x - y|^{-s - 2}."""
        return self.s + 2.0

    def lam(self, degree: int, d: int) -> Array:
        a, half, g = 0.5 * self.s, 0.5 * (d - 1), math.lgamma
        if a >= half:
            raise InputError(
                f"model.interaction.s: expected a number below d - 1 = {d - 1}, where the energy "
                f"of a density is finite, found {self.s:g}"
            )
        first = g(d - 1.0) + g(half - a) - g(half) - g(d - 1.0 - a) - 2.0 * a * math.log(2.0)
        l = np.arange(float(degree))
        ratios = (a + l) / (d - 1.0 - a + l)
        return math.exp(first) * np.cumprod(np.concatenate([[1.0], ratios]))

    def w(self, t: Array, u: Array, d: int) -> Array:
        return self._inverse(u, 0.5 * self.s)

    def dw(self, t: Array, u: Array, d: int) -> Array:
        return self.s * self._inverse(u, 0.5 * self.s + 1.0)

    def ddw(self, t: Array, u: Array, d: int) -> Array:
        return self.s * (self.s + 2.0) * self._inverse(u, 0.5 * self.s + 2.0)

    @staticmethod
    def _inverse(u: Array, power: float) -> Array:
        with np.errstate(divide="ignore"):
            return np.asarray((2.0 * u) ** -power)
