"""Outputs of one head with their derivatives by direct sums over all pairs.

With e = m e^{<A x, y>} of the masses m at y: A(x) = V sum e y/Z (usa: without Z), and along the
sphere it moves by V (sum e y y^T/Z - sum e y sum e y^T/Z^2) A w with a tangent w. Sums of y - x
keep the digits of what is near.
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np

from meanfield.geometry.sphere import Array
from meanfield.interaction.anyfield import Output
from meanfield.interaction.direct import weigh
from meanfield.interaction.lanes import lane_max, lane_moments, lane_pull

__all__ = ["summed_output"]

_BLOCK = 1024  # sources at a time


def summed_output(
    matrices: tuple[Array, Array], x: Array, y: Array, m: Array, normalised: bool
) -> Output:
    """What a head gives unit vectors.

    Args:
        matrices: A and V, (d, d) each.
        x: (n, d) unit vectors; y: sources, (k, d); m: (k,) masses.
        normalised: whether it is divided by Z; else it may be no double.
    """
    a, v = matrices
    n, d = x.shape
    kept = np.flatnonzero(m)
    scale, z, pull, spread = np.zeros(n), np.zeros(n), np.zeros((n, d)), np.zeros((n, d, d))
    if kept.size:
        yt = np.ascontiguousarray(np.asarray(y, dtype=np.float64)[kept].T)
        masses = np.ascontiguousarray(np.asarray(m, dtype=np.float64)[kept])
        near = np.ascontiguousarray(x, dtype=np.float64)
        _output_sums(near, np.ascontiguousarray(near @ a.T), yt, masses, scale, z, pull, spread)
    if normalised:
        pull, spread = pull / z[:, None], spread / z[:, None, None]
        vector = x + pull
        bend = spread - np.einsum("ni,nj->nij", pull, pull)
    else:
        factor = np.exp(scale)
        z, pull, spread = factor * z, factor[:, None] * pull, factor[:, None, None] * spread
        vector = pull + z[:, None] * x
        across = np.einsum("ni,nj->nij", pull, x)
        whole = np.einsum("n,ni,nj->nij", z, x, x)
        bend = spread + across + across.transpose(0, 2, 1) + whole
    slope = v @ bend @ a
    slope -= np.einsum("nij,nj,nk->nik", slope, x, x)
    return Output(vector @ v.T, slope)


# The order of sums is that of ``lanes``: the same in each process.
@nb.njit(parallel=True, fastmath={"contract"}, cache=True)
def _output_sums(
    x: Array, w: Array, yt: Array, m: Array, scale: Array, z: Array, pull: Array, spread: Array
) -> None:
    n, d = x.shape
    size = m.size
    for i in nb.prange(n):
        t = np.empty(_BLOCK)
        e = np.empty(_BLOCK)
        f = np.empty(_BLOCK)
        shift = -np.inf
        for start in range(0, size, _BLOCK):
            stop = min(size, start + _BLOCK)
            count = stop - start
            t[:count] = 0.0
            for k in range(d):
                wk = w[i, k]
                row = yt[k, start:stop]
                for j in range(count):
                    t[j] += wk * row[j]
            top = lane_max(t, 1.0, count)
            if top > shift:  # a larger exponent than so far: rescale what has been summed
                factor = math.exp(shift - top)
                z[i] *= factor
                for k in range(d):
                    pull[i, k] *= factor
                    for l in range(d):
                        spread[i, k, l] *= factor
                shift = top
            weigh(m[start:stop], t, 1.0, shift, e)
            z[i] += lane_moments(e, t, count)[0]
            for k in range(d):
                row = yt[k, start:stop]
                pull[i, k] += lane_pull(e, row, x[i, k], count)
                for j in range(count):
                    f[j] = e[j] * (row[j] - x[i, k])
                for l in range(k + 1):
                    spread[i, k, l] += lane_pull(f, yt[l, start:stop], x[i, l], count)
        for k in range(d):
            for l in range(k):
                spread[i, l, k] = spread[i, k, l]
        scale[i] = shift
