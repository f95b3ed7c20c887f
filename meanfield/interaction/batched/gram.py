"""Velocity of inner products: G' = M + M^T - (m_i + m_k) G_ik, M = A G, m its diagonal.

For d >= n: the cost does not depend on d. ``weigh`` makes A up to a factor for each row.
"""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
from numpy.typing import NDArray

from meanfield.interaction.batched.exponential import weigh

__all__ = ["gram_velocity"]

Real = NDArray[np.floating[Any]]


@nb.njit(fastmath={"contract"}, error_model="numpy", cache=True)
def gram_velocity(
    law: Real, seen: Real, share: Real, counts: Real, G: Real, D: Real, E: Real, M: Real, row: Real
) -> None:  # fmt: skip
    """Write D = G', (m, m) each; E, M and row (m,) are scratch."""
    m = G.shape[0]
    weigh(law, seen, share, counts, G, E, row)
    for i in range(m):
        c = row[i]
        M[i, :] = law.dtype.type(0.0)
        whole = m - m % 8
        for j in range(0, whole, 8):
            a0, a1, a2, a3 = c * E[j, i], c * E[j + 1, i], c * E[j + 2, i], c * E[j + 3, i]
            a4, a5, a6, a7 = c * E[j + 4, i], c * E[j + 5, i], c * E[j + 6, i], c * E[j + 7, i]
            for k in range(m):  # one product is added at a time: the order of the sum is told
                s = M[i, k]
                s += a0 * G[j, k]
                s += a1 * G[j + 1, k]
                s += a2 * G[j + 2, k]
                s += a3 * G[j + 3, k]
                s += a4 * G[j + 4, k]
                s += a5 * G[j + 5, k]
                s += a6 * G[j + 6, k]
                s += a7 * G[j + 7, k]
                M[i, k] = s
        for j in range(whole, m):
            a0 = c * E[j, i]
            for k in range(m):
                M[i, k] += a0 * G[j, k]
    for i in range(m):
        for k in range(i):
            v = M[i, k] + M[k, i] - (M[i, i] + M[k, k]) * G[i, k]
            D[i, k] = v
            D[k, i] = v
        D[i, i] = law.dtype.type(0.0)  # where G_ii = 1
