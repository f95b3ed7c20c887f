"""W = -1/2 log(2 - 2t) = -log |x - y|: the logarithmic gas (Saff and Kuijlaars 1997)."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from scipy import special

from meanfield.geometry.sphere import Array
from meanfield.interaction.kernels.base import Kernel
from meanfield.options import options

__all__ = ["Log"]


@options("model.interaction", kw_only=True)
class Log(Kernel):
    """W = -log |x - y|; repulsive, the usual gas, with a negative strength.

    Example:
        >>> mf.Log(strength=-1.0).describe()
        'log, strength = -1'
    """

    type: Literal["log"] = "log"

    near = 2.0
    smooth = False

    def lam(self, degree: int, d: int) -> Array:
        lam, half = np.zeros(degree + 1), 0.5 * (d - 1)
        digamma = float(special.digamma(half) - special.digamma(d - 1.0))
        lam[0] = -0.5 * (math.log(4.0) + digamma)
        l = np.arange(1.0, degree)
        if degree:
            lam[1:] = 0.5 / (d - 1) * np.cumprod(np.concatenate([[1.0], l / (d - 1 + l)]))
        return lam

    def w(self, t: Array, u: Array, d: int) -> Array:
        with np.errstate(divide="ignore"):
            return np.asarray(-0.5 * np.log(2.0 * u))

    def dw(self, t: Array, u: Array, d: int) -> Array:
        with np.errstate(divide="ignore"):
            return np.asarray(0.5 / u)

    def ddw(self, t: Array, u: Array, d: int) -> Array:
        with np.errstate(divide="ignore"):
            return np.asarray(0.5 / (u * u))
