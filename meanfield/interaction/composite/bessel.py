"""lam_l(r) e^{-r}, the series of e^{r t} on S^{d-1}, for many r at once. Compiled."""

from __future__ import annotations

import math

import numba as nb
import numpy as np

from meanfield.geometry.bessel import log_scaled_bessel
from meanfield.geometry.sphere import Array

__all__ = ["exponential_series", "uniform_slope"]


def exponential_series(r: Array, degree: int, d: int) -> Array:
    """(n, degree + 1): lam_l(r) e^{-r}, with e^{r t} = sum_l lam_l dim(H_l) P_l(t).

    By Miller's ratios, each to round-off; nothing over- or underflows.

    Args:
        r: (n,), >= 0.
        degree: largest l.
        d: dimension of the ambient space.
    """
    r = np.ascontiguousarray(r, dtype=np.float64)
    out = np.empty((r.size, degree + 1))
    out[:, 0] = np.exp(log_scaled_bessel(0.5 * d - 1.0, r))
    _fill_ratios(r, d, out)
    np.cumprod(out, axis=1, out=out)
    return out


def uniform_slope(r: Array, d: int) -> Array:
    """(n,): lam_1(r) e^{-r}/r: int e^{<w, y>} y dsigma = w times it, |w| = r, times e^r."""
    return exponential_series(r, 0, d)[:, 0] / (d + r * _first_ratio(r, d))


def _first_ratio(r: Array, d: int) -> Array:
    """lam_2/lam_1."""
    ratios = np.empty((r.size, 3))
    _fill_ratios(np.ascontiguousarray(r, dtype=np.float64), d, ratios)
    return ratios[:, 2]


@nb.njit(cache=True)
def _fill_ratios(r: Array, d: int, out: Array) -> None:
    """lam_l/lam_{l-1} in column l >= 1."""
    degree = out.shape[1] - 1
    for i in range(r.size):
        x = r[i]
        start = degree + 40 + int(2.0 * math.sqrt(x + 1.0))
        order = start + 0.5 * d
        ratio = x / (order + math.hypot(order, x))
        for l in range(start, 0, -1):
            ratio = x / (2.0 * l + d - 2.0 + x * ratio)
            if l <= degree:
                out[i, l] = ratio
