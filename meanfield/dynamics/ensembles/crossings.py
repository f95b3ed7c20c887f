"""When pairs of tokens come close, or part: from the inner products at both ends of a step."""

from __future__ import annotations

import math
from typing import Any

import numba as nb
import numpy as np
from numpy.typing import NDArray

from meanfield.geometry.sphere import Array

__all__ = ["count_close", "count_crossings"]

Real = NDArray[np.floating[Any]]
_LEAST = 1e-12  # of 1 - <x, y> in a logarithm


@nb.njit(error_model="numpy", cache=True)
def count_close(G: Real, counts: Real, delta: float) -> float:
    """Number of pairs of different places with <x, y> >= 1 - delta, each as often as it counts."""
    found = 0.0
    for i in range(G.shape[0]):
        for k in range(i):
            if G[i, k] >= 1.0 - delta:
                found += counts[i] * counts[k]
    return found


@nb.njit(error_model="numpy", cache=True)
def count_crossings(
    P: Real, R: Real, counts: Real, delta: float, t: float, h: float, times: Array, first: int,
    net: Array,
) -> None:  # fmt: skip
    """Add to ``net`` (k,) at each output time how many pairs have become close before it.

    Log-linear in 1 - <x, y> over a step from P at t to R at t + h; ``first``: the first output time
    after t. Pairs that part count -1.
    """
    m = P.shape[0]
    least = P.dtype.type(1.0 - delta)
    changed = 0
    for i in range(m):
        for k in range(m):
            changed += (P[i, k] >= least) != (R[i, k] >= least)
    if changed == 0:
        return
    for i in range(m):
        for k in range(i):
            now, before = R[i, k] >= least, P[i, k] >= least
            if now != before:
                a = math.log(max(_LEAST, 1.0 - P[i, k]))
                b = math.log(max(_LEAST, 1.0 - R[i, k]))
                part = (math.log(delta) - a) / (b - a) if a != b else 1.0
                when = t + h * min(1.0, max(0.0, part))
                o = first
                while o < times.size and times[o] < when:
                    o += 1
                if o < times.size:
                    net[o] += (1.0 if now else -1.0) * counts[i] * counts[k]
