"""W = -(1 - t^2)^s; s = 1/2: excluded volume of rods (Onsager, Ann. N.Y. Acad. Sci. 51, 1949)."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from meanfield.geometry.sphere import Array
from meanfield.interaction.kernels.base import Kernel
from meanfield.options import Field, Pure, options

__all__ = ["Onsager"]


@options("model.interaction", kw_only=True)
class Onsager(Kernel):
    """W = -(1 - t^2)^s = -sin^{2s} of the angle.

    Example:
        >>> mf.Onsager().describe()
        'onsager, s = 0.5'
    """

    s: Pure = Field(default=0.5, gt=0.0, le=1.0)
    """Exponent."""
    type: Literal["onsager"] = "onsager"

    smooth = False

    @property
    def near(self) -> float:  # type: ignore[override]  # here it depends on s
        """W' is like |x - y|^{2s - 2}."""
        return 2.0 - 2.0 * self.s

    @property
    def far(self) -> float:  # type: ignore[override]
        """Even: as ``near``."""
        return 2.0 - 2.0 * self.s

    def degree(self, tolerance: float, d: int) -> int | None:
        return 2 if self.s == 1.0 else None

    def lam(self, degree: int, d: int) -> Array:
        lam, s, g = np.zeros(degree + 1), self.s, math.lgamma
        half = 0.5 * (d - 1)
        lam[0] = -math.exp(g(0.5 * d) + g(half + s) - g(half) - g(0.5 * d + s))
        for l in range(0, degree - 1, 2):
            lam[l + 2] = lam[l] * (l + 1) * (l - 2.0 * s) / ((l + d - 1) * (l + d + 2.0 * s))
        return lam

    def w(self, t: Array, u: Array, d: int) -> Array:
        return -((u * (2.0 - u)) ** self.s)

    def dw(self, t: Array, u: Array, d: int) -> Array:
        return 2.0 * self.s * t * _inverse(u * (2.0 - u), 1.0 - self.s)

    def ddw(self, t: Array, u: Array, d: int) -> Array:
        s, square = self.s, u * (2.0 - u)
        first = 2.0 * s * _inverse(square, 1.0 - s)
        return first + 4.0 * s * (1.0 - s) * t * t * _inverse(square, 2.0 - s)


def _inverse(x: Any, power: float) -> Array:
    """x^-power; inf at 0, without a warning."""
    with np.errstate(divide="ignore"):
        return np.asarray(x**-power)
