"""Dormand's and Prince's pair 5(4) with its dense output, on flat states, compiled.

Each sum adds one product at a time, in the order of the stages.
"""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
from numpy.typing import NDArray
from scipy.integrate import RK45

__all__ = ["DENSE", "ERROR", "STAGES", "dense_value", "error_of", "stage"]

Real = NDArray[np.floating[Any]]

STAGES = np.vstack([np.pad(RK45.A, ((0, 0), (0, 1))), RK45.B])
"""a_sq, the last row that of the step itself (SciPy's table)."""
ERROR = np.array(RK45.E)
"""Weights of the error of a step."""
DENSE = np.array(
    [
        -12715105075 / 11282082432,
        0.0,
        87487479700 / 32700410799,
        -10690763975 / 1880347072,
        701980252875 / 199316789632,
        -1453857185 / 822651844,
        69997945 / 29380423,
    ]
)
"""Weights of the stages in the quartic of ``dense_value`` (Hairer, Norsett and Wanner, II.6)."""


@nb.njit(fastmath={"contract"}, error_model="numpy", cache=True)
def stage(s: int, h: float, Y: Real, K: Real, Z: Real) -> None:
    """Z = Y + h sum_{q < s} a_sq K_q; Y, Z: (N,), K: (7, N)."""
    Z[:] = Y
    for q in range(s):
        a = Y.dtype.type(h * STAGES[s, q])
        if a != Y.dtype.type(0.0):
            for k in range(Y.size):
                Z[k] += a * K[q, k]


@nb.njit(fastmath={"contract"}, error_model="numpy", cache=True)
def error_of(h: float, K: Real, W: Real) -> float:
    """Largest error of a step over all entries, nan if one is none; W (N,) is scratch."""
    W[:] = W.dtype.type(0.0)
    for q in (0, 2, 3, 4, 5, 6):
        a = W.dtype.type(h * ERROR[q])
        for k in range(W.size):
            W[k] += a * K[q, k]
    largest, total = W.dtype.type(0.0), W.dtype.type(0.0)
    for k in range(W.size):
        v = abs(W[k])
        total += v
        largest = max(largest, v)
    return float(largest) if np.isfinite(total) else np.nan


@nb.njit(error_model="numpy", cache=True)
def dense_value(
    theta: float, h: float, y0: float, y1: float, f0: float, f1: float, c5: float
) -> float:
    """The value at the part ``theta`` of a step: from both ends and c5 = h sum_q d_q f_q."""
    rest = 1.0 - theta
    dy = y1 - y0
    bs = h * f0 - dy
    return y0 + theta * (dy + rest * (bs + theta * (dy - h * f1 - bs + rest * c5)))
