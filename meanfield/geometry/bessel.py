"""The one Bessel function of the package: e^{x t} averaged over a sphere, in logarithms.

NumPy and SciPy only.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.polynomial import Polynomial
from numpy.typing import ArrayLike
from scipy import special

from meanfield.geometry.sphere import Array

__all__ = ["log_scaled_bessel"]

_LARGE_ORDER = 40.0  # from here on the uniform expansion is exact to round-off
_TERMS = 9  # of it
_FAR = 1e8  # argument from which on SciPy's function has no digits, and one term is enough


def log_scaled_bessel(nu: float, x: ArrayLike) -> Array:
    """log( Gamma(nu + 1) (2/x)^nu I_nu(x) e^{-x} ) = log( 0F1(; nu + 1; x^2/4) e^{-x} ).

    The mean of e^{x t}, t one coordinate, over S^{d-1} with d = 2 nu + 2, times e^{-x}: lam_0 of
    the exponential kernel, and the partition function of the von Mises-Fisher law.

    Args:
        nu: order, >= -1/2 (d >= 1), to 1e6 and beyond.
        x: arguments >= 0, any shape, to 1e15.

    Returns:
        The logarithm, of the shape of ``x``; its error is some units in the last place of it, or
        1e-15 where it is small.
    """
    values = np.asarray(x, dtype=np.float64)
    if nu in _QUICK:
        return _QUICK[nu](values)
    if nu >= _LARGE_ORDER:
        return _large_order(nu, values)
    out = np.empty_like(values)
    near, far = values <= max(1.0, 0.5 * nu), values > max(_FAR, 100.0 * nu * nu)
    z = values[near]
    out[near] = np.log(special.hyp0f1(nu + 1.0, 0.25 * z * z)) - z
    between = ~(near | far)
    z, factor = values[between], math.lgamma(nu + 1.0) + nu * math.log(2.0)
    out[between] = factor + np.log(special.ive(nu, z)) - (nu * np.log(z) if nu else 0.0)
    if np.any(far):
        z = values[far]
        size = factor - nu * np.log(z) - 0.5 * np.log(2.0 * math.pi * z)
        out[far] = size + np.log1p(-(4.0 * nu * nu - 1.0) / (8.0 * z))
    return out


def _ratio(above: Array, below: Array) -> Array:
    """log(above/below), 0 where both are 0."""
    quotient = np.divide(above, below, out=np.ones_like(below), where=below > 0.0)
    return np.asarray(np.log(quotient))


# Orders of the lowest dimensions, ten to fifty times as fast: they are evaluated for each pair of
# points of a zonal geometry.
_QUICK: dict[float, Callable[[Array], Array]] = {
    -0.5: lambda x: np.log1p(np.exp(-2.0 * x)) - math.log(2.0),
    0.0: lambda x: np.log(special.i0e(x)),
    0.5: lambda x: _ratio(-np.expm1(-2.0 * x), 2.0 * x),
    1.0: lambda x: _ratio(2.0 * special.i1e(x), x),
}


def _large_order(nu: float, x: Array) -> Array:
    """Debye's expansion, uniform in x/nu (Abramowitz and Stegun, 9.7.7), with Stirling's in it.

    The large terms of both cancel on paper, so that none is left to cancel in doubles.
    """
    z = x / nu
    root = np.hypot(1.0, z)
    # root - 1 and log(2/(1 + root)) lose their digits for small z otherwise.
    rise = z * z / (1.0 + root)
    leading = nu * (rise - np.log1p(0.5 * rise)) - x
    t = 1.0 / root
    series = np.ones_like(z)
    for k, u in enumerate(_debye(), start=1):
        series = series + u(t) / nu**k
    inverse = 1.0 / (nu * nu)
    stirling = (1.0 / 12.0 - inverse * (1.0 / 360.0 - inverse * (1.0 / 1260.0))) / nu
    return np.asarray(leading - 0.5 * np.log(root) + stirling + np.log(series))


@cache
def _debye() -> tuple[Polynomial, ...]:
    """u_1, u_2, ...: u_{k+1} = t^2 (1 - t^2) u_k'/2 + int_0^t (1 - 5 s^2) u_k(s) ds/8."""
    u, found = Polynomial([1.0]), []
    for _ in range(_TERMS):
        u = (
            Polynomial([0.0, 0.0, 0.5, 0.0, -0.5]) * u.deriv()
            + (Polynomial([0.125, 0.0, -0.625]) * u).integ()
        )
        found.append(u)
    return tuple(found)
