"""Orders of convergence: of errors at several lengths of edges, against something finer.

Where that is a finite resolution h_0 of the same method, its own error is in all of them: they are
C (h^p - h_0^p) and not C h^p, so that plain ratios tell too high an order near h_0.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar

from meanfield.geometry.sphere import Array

__all__ = ["Order", "fitted_order", "orders_between"]

_RANGE = (0.05, 12.0)  # of orders that are looked for


class Order(NamedTuple):
    """error = factor (h^value - h_0^value); nan: not known."""

    value: float
    factor: float

    def error(self, edge: float) -> float:
        """factor h^value: of what has edges of this length, against the limit."""
        return float(self.factor * edge**self.value)


def orders_between(errors: Array, edges: Array) -> Array:
    """log(e_k/e_{k+1})/log(h_k/h_{k+1}) of neighbours, (n - 1,); nan where an error is not > 0.

    Args:
        errors: (n,).
        edges: (n,) > 0, all different.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.where(errors > 0.0, np.log(errors), np.nan)
        found = np.diff(logs) / np.diff(np.log(edges))
    return np.where(np.isfinite(found), found, np.nan)


def fitted_order(errors: Array, edges: Array, reference: float = 0.0) -> Order:
    """Order p and factor C of errors C (h^p - h_0^p), by least squares of their logarithms.

    Args:
        errors: (n,); those that are not > 0 are left out.
        edges: (n,) h, all above ``reference``.
        reference: h_0 of what they are against; 0: the limit.

    Returns:
        nan for fewer than two errors, or where no order from 0.05 to 12 fits best.
    """
    good = np.isfinite(errors) & (errors > 0.0)
    e, h = np.log(errors[good]), edges[good]
    if len(e) < 2:
        return Order(math.nan, math.nan)
    # In units of the longest edge, so that powers neither over- nor underflow.
    unit = float(h.max())

    def rest(p: float) -> Array:
        return np.asarray(e - np.log((h / unit) ** p - (reference / unit) ** p))

    best = minimize_scalar(lambda p: float(np.var(rest(p))), bounds=_RANGE, method="bounded",
        options={"xatol": 1e-10})  # fmt: skip
    p = float(best.x)
    if not _RANGE[0] + 1e-3 < p < _RANGE[1] - 1e-3:
        return Order(math.nan, math.nan)
    return Order(p, math.exp(float(np.mean(rest(p)))) / unit**p)
