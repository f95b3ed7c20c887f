"""W by its series: Funk-Hecke coefficients, or those of Legendre (Gegenbauer) polynomials."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np

from meanfield.errors import InputError
from meanfield.geometry.polynomials import gegenbauer
from meanfield.geometry.sphere import Array, harmonic_dimension
from meanfield.interaction.kernels.base import Kernel
from meanfield.options import Entries, Expected, Field, options

__all__ = ["Series"]

_KEYS = ("coefficients", "legendre")
Coefficients = Annotated[Entries, Expected("a list of numbers such as [0.0, 1.0]")]


@options("model.interaction", kw_only=True)
class Series(Kernel):
    """W = sum_l lam_l dim(H_l) P_l(t) = sum_l b_l P_l(t), P_l(1) = 1 (d = 2: P_l = cos(l theta)).

    One of the two lists is given; they differ by the dimension of the space of harmonics,
    b_l = lam_l dim(H_l).

    Example:
        >>> mf.Series(legendre=(0.0, 1.0, 1.5)).describe()
        'series, degrees up to 2'
    """

    coefficients: Coefficients | None = Field(default=None, examples=[[0.0, 0.5, 0.75]])
    """lam_0, lam_1, ...: the potential of Y_l is lam_l Y_l, its growth rate at the uniform state
    l(l + d - 2)(strength lam_l - kappa)."""
    legendre: Coefficients | None = Field(default=None, examples=[[0.0, 1.0, 1.5]])
    """b_0, b_1, ...; d = 2: of cos(l theta) (Kuramoto and Daido)."""
    type: Literal["series"] = "series"

    def __post_init__(self) -> None:
        given = [key for key in _KEYS if getattr(self, key) is not None]
        if len(given) != 1:
            found = "both" if given else "none of them"
            raise InputError(
                "coefficients: expected either coefficients (by Funk-Hecke) or "
                f"legendre (of sum b_l P_l), found {found}"
            )
        count = len(getattr(self, given[0]))
        if not 2 <= count <= 1001:
            raise InputError(f"{given[0]}: expected 2 to 1001 numbers, found {count}")

    def describe(self) -> str:
        values = self.coefficients or self.legendre or ()
        return f"{super().describe()}, degrees up to {len(values) - 1}"

    def degree(self, tolerance: float, d: int) -> int:
        return len(self.coefficients or self.legendre or ()) - 1

    def lam(self, degree: int, d: int) -> Array:
        lam = np.array(self.coefficients or self.legendre)
        if self.coefficients is None:
            lam = lam / harmonic_dimension(len(lam) - 1, d)
        lam = lam[: degree + 1]
        return np.concatenate([lam, np.zeros(degree + 1 - len(lam))])

    def w(self, t: Array, u: Array, d: int) -> Array:
        return self._sum(t, d, 0)

    def dw(self, t: Array, u: Array, d: int) -> Array:
        return self._sum(t, d, 1)

    def ddw(self, t: Array, u: Array, d: int) -> Array:
        return self._sum(t, d, 2)

    def _sum(self, t: Array, d: int, order: int) -> Array:
        """A derivative: P_l' = l(l + d - 2)/(d - 1) times P_{l-1} in dimension d + 2."""
        degree = self.degree(0.0, d)
        b = self.lam(degree, d) * harmonic_dimension(degree, d)
        l, dimension = np.arange(degree + 1.0), d
        for _ in range(order):
            b = (b * l * (l + dimension - 2) / (dimension - 1))[1:]
            l, dimension = l[:-1], dimension + 2
        if not b.size:
            return np.zeros_like(t)
        flat = np.ravel(t)
        return np.asarray(b @ gegenbauer(flat, dimension, b.size - 1)).reshape(np.shape(t))
