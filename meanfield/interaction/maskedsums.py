"""Sums over the tokens that each token sees: compiled, each row over its own range.

A row takes no notice of what it does not see: under a causal mask what comes out for a token does
not change with later ones, to the last bit.
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np
from numpy.typing import NDArray

from meanfield.geometry.sphere import Array
from meanfield.interaction.lanes import lane_max, lane_moments, lane_pull
from meanfield.interaction.masks import Seen

__all__ = ["masked_sums"]


def masked_sums(
    queries: Array, keys: Array, y: Array, m: Array, seen: Seen
) -> tuple[Array, Array, Array]:
    """Z_i = sum_j m_j f_ij e^{s_ij}, and sum_j m_j f_ij e^{s_ij} (y_j - y_i), s_ij = <q_i, k_j>.

    Args:
        queries, keys: (n, k).
        y: (n, d) tokens.
        m: (n,) masses.
        seen: the mask.

    Returns:
        log scales (n,), Z (n,) and the pull (n, d), these two times e^{-log scale}.
    """
    n, d = y.shape
    scale, z, pull = np.zeros(n), np.zeros(n), np.zeros((n, d))
    with np.errstate(divide="ignore"):
        log_m = np.log(m)
    _masked_sums(
        np.ascontiguousarray(queries), np.ascontiguousarray(keys.T), np.ascontiguousarray(y.T),
        log_m, seen.first, seen.stop, seen.slope, seen.log_factors, scale, z, pull,
    )  # fmt: skip
    return scale, z, pull


# The order of sums is that of ``lanes``: the same in each process.
@nb.njit(parallel=True, fastmath={"contract"}, cache=True)
def _masked_sums(
    q: Array, kt: Array, yt: Array, log_m: Array, first: NDArray[np.int64],
    stop: NDArray[np.int64], slope: float, log_factors: Array, scale: Array, z: Array, pull: Array,
) -> None:  # fmt: skip
    n = q.shape[0]
    for i in nb.prange(n):
        start = first[i]
        count = stop[i] - start
        t = np.empty(count)
        e = np.empty(count)
        for j in range(count):
            t[j] = log_m[start + j] - slope * abs(i - start - j)
        if log_factors.shape[0] > 0:
            for j in range(count):
                t[j] += log_factors[i, start + j]
        for k in range(q.shape[1]):
            qk = q[i, k]
            row = kt[k, start : start + count]
            for j in range(count):
                t[j] += qk * row[j]
        top = lane_max(t, 1.0, count)
        if top == -np.inf:  # what it sees has no mass
            continue
        for j in range(count):
            e[j] = math.exp(t[j] - top)
        scale[i] = top
        z[i] = lane_moments(e, t, count)[0]
        for k in range(yt.shape[0]):
            pull[i, k] = lane_pull(e, yt[k, start : start + count], yt[k, i], count)
