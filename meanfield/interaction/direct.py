"""Direct sums over all pairs: the reference for any dimension, and the way out where harmonics end.

Blocked and compiled: no N x N array is ever made. Each target point carries its own log-scale (the
largest exponent it meets), as in a softmax, so that nothing over- or underflows for any beta.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numba as nb
import numpy as np

from meanfield.geometry.bessel import log_scaled_bessel
from meanfield.geometry.sphere import Array
from meanfield.interaction.lanes import lane_max, lane_moments, lane_pull

__all__ = ["PairSums", "circle_means", "pair_sums", "weigh", "zonal_pair_sums"]

_ZONAL_PAIRS = 1 << 20  # pairs of colatitudes at a time
_NEGLIGIBLE = 50.0  # log of what the largest term of a sum is, over a term that is left out
_BLOCK = 1024  # sources at a time: the temporary rows stay in the first-level cache

# exp(x), x <= 0, written out so that the compiler vectorises the loop it stands in: a call into
# libm would not be. 2^k e^r with |r| <= log(2)/2, polynomial of degree 11, error about 1 ulp.
_LOG2E = 1.4426950408889634
_LN2_HI = 6.93145751953125e-1
_LN2_LO = 1.42860682030941723212e-6
_ROUND = 6755399441055744.0  # 1.5 * 2^52: adding it rounds to an integer
_C = tuple(1.0 / math.factorial(k) for k in range(13))


@nb.njit(fastmath={"contract"}, cache=True)
def _exp(x: float) -> float:
    x = max(x, -708.0)
    shifted = x * _LOG2E + _ROUND
    k = shifted - _ROUND
    r = (x - k * _LN2_HI) - k * _LN2_LO
    p = _C[12]
    p = p * r + _C[11]
    p = p * r + _C[10]
    p = p * r + _C[9]
    p = p * r + _C[8]
    p = p * r + _C[7]
    p = p * r + _C[6]
    p = p * r + _C[5]
    p = p * r + _C[4]
    p = p * r + _C[3]
    p = p * r + _C[2]
    p = p * r + 1.0
    p = p * r + 1.0
    bits = np.int64((np.int64(k) + 1023) << 52)
    return p * np.int64(bits).view(np.float64)


class PairSums(NamedTuple):
    """Sums over the sources y_j of a measure, for each target x_i, with t = <x_i, y_j>.

    All scaled by e^{-log_scale_i}: ``z`` = sum m e^{beta t}, ``zy`` = sum m e^{beta t} y (n, d),
    ``zt`` = sum m t e^{beta t}, ``ztt`` = sum m t^2 e^{beta t}, and ``pull`` = sum m e^{beta t}
    (y - x) (n, d). ``pull`` has the tangential part of ``zy``, and a token itself adds nothing to
    it: so the pull of far clusters, e^{-2 beta} of a token's own term, keeps all its digits.
    """

    log_scale: Array
    z: Array
    zy: Array
    zt: Array
    ztt: Array
    pull: Array


# A loop that stands alone is vectorised better than one in the midst of others.
@nb.njit(fastmath={"contract"}, cache=True)
def weigh(m: Array, t: Array, beta: float, shift: float, e: Array) -> None:
    """e_j = m_j exp(beta t_j - shift)."""
    for j in range(m.size):
        e[j] = m[j] * _exp(beta * t[j] - shift)


# No "reassoc": sums in the order that ``lanes`` writes are the same in each process.
@nb.njit(parallel=True, fastmath={"contract"}, cache=True)
def _pair_sums(
    x: Array, yt: Array, m: Array, beta: float, scale: Array, z: Array, pull: Array, zt: Array,
    ztt: Array,
) -> None:  # fmt: skip
    n, d = x.shape
    size = m.size
    for i in nb.prange(n):
        t = np.empty(_BLOCK)
        e = np.empty(_BLOCK)
        shift = -np.inf
        for start in range(0, size, _BLOCK):
            stop = min(size, start + _BLOCK)
            count = stop - start
            t[:count] = 0.0
            for k in range(d):
                xk = x[i, k]
                row = yt[k, start:stop]
                for j in range(count):
                    t[j] += xk * row[j]
            top = lane_max(t, beta, count)
            if top > shift:  # a larger exponent than so far: rescale what has been summed
                factor = math.exp(shift - top)
                z[i] *= factor
                zt[i] *= factor
                ztt[i] *= factor
                for k in range(d):
                    pull[i, k] *= factor
                shift = top
            weigh(m[start:stop], t, beta, shift, e)
            s0, s1, s2 = lane_moments(e, t, count)
            z[i] += s0
            zt[i] += s1
            ztt[i] += s2
            for k in range(d):
                pull[i, k] += lane_pull(e, yt[k, start:stop], x[i, k], count)
        scale[i] = shift


def pair_sums(targets: Array, sources: Array, weights: Array, beta: float) -> PairSums:
    """Sum e^{beta <x, y>} and its first moments over all sources, for every target.

    Args:
        targets: (n, d) unit vectors x.
        sources: (m, d) unit vectors y; m >= 1.
        weights: (m,) masses, any sign; those that are zero are left out.
        beta: inverse temperature.

    Returns:
        The sums, each target with its own log-scale.
    """
    kept = np.flatnonzero(weights)
    x = np.ascontiguousarray(targets, dtype=np.float64)
    yt = np.ascontiguousarray(np.asarray(sources, dtype=np.float64)[kept].T)
    n, d = x.shape
    scale, z, zt, ztt = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n)
    pull = np.zeros((n, d))
    if kept.size:
        masses = np.asarray(weights, dtype=np.float64)[kept]
        _pair_sums(x, yt, masses, float(beta), scale, z, pull, zt, ztt)
    return PairSums(scale, z, pull + z[:, None] * x, zt, ztt, pull)


def zonal_pair_sums(
    targets: Array, sources: Array, weights: Array, beta: float, d: int
) -> PairSums:
    """``pair_sums`` for axially symmetric measures: masses spread over circles of latitude.

    With t = a + b c, a = cos theta cos theta', b = sin theta sin theta' and c the cosine of the
    difference in longitude, the means of e^{xc}, c e^{xc} and c^2 e^{xc} over the circle are Bessel
    functions of order d/2 - 3/2 and up (x = beta b).

    Args:
        targets: (n,) colatitudes theta.
        sources: (m,) colatitudes theta'.
        weights: (m,) masses; those that are zero are left out.
        beta: inverse temperature.
        d: dimension of the ambient space.

    Returns:
        The sums; ``zy`` and ``pull`` are (n, 1), both the mean of e^{beta t} dt/dtheta: the
        derivative of Z with respect to theta, over beta.
    """
    kept = np.flatnonzero(weights)
    y, m = np.asarray(sources, dtype=np.float64)[kept], np.asarray(weights)[kept]
    theta = np.asarray(targets, dtype=np.float64)
    n = theta.size
    out = PairSums(*(np.zeros(shape) for shape in (n, n, (n, 1), n, n, (n, 1))))
    if not kept.size:
        return out
    log_m, sign = np.log(np.abs(m)), np.sign(m)
    rows = max(1, _ZONAL_PAIRS // kept.size)
    for start in range(0, n, rows):
        at = slice(start, min(n, start + rows))
        cx, sx = np.cos(theta[at]), np.sin(theta[at])
        size = abs(beta) * sx[:, None] * np.sin(y)
        exponent = beta * cx[:, None] * np.cos(y) + size + log_m
        # Bessel functions cost most: they are for the pairs that matter. The mean over the circle
        # is at most 1, and known of the pair with the largest exponent.
        top = exponent.argmax(axis=1)
        here = np.arange(top.size)
        shift = exponent[here, top]
        least = shift + log_scaled_bessel(0.5 * (d - 3), size[here, top]) - _NEGLIGIBLE
        i, j = np.nonzero(exponent >= least[:, None])
        e = np.exp(exponent[i, j] - shift[i]) * sign[j]
        cy, sy = np.cos(y)[j], np.sin(y)[j]
        a, b = cx[i] * cy, sx[i] * sy
        h0, h1, h2 = circle_means(beta * b, d)

        slope = cx[i] * sy * h1 - sx[i] * cy * h0
        second = a * a * h0 + 2.0 * a * b * h1 + b * b * h2
        terms = (h0, a * h0 + b * h1, second, slope)
        z, zt, ztt, zy = (
            np.abs(m[top]) * np.bincount(i, weights=e * f, minlength=top.size) for f in terms
        )
        out.log_scale[at] = shift - log_m[top]
        out.z[at], out.zt[at], out.ztt[at] = z, zt, ztt
        out.zy[at, 0] = out.pull[at, 0] = zy
    return out


def circle_means(x: Array, d: int) -> tuple[Array, Array, Array]:
    """Means of c^k e^{xc - |x|}, k = 0, 1, 2, over S^{d-2}, c a coordinate.

    h_nu(x) = Gamma(nu + 1) (2/x)^nu I_nu(x) with nu = (d - 3)/2 is the mean of e^{xc};
    h' = x h_{nu+1}/(2 nu + 2), and h'' = h - (2 nu + 1) h'/x.
    """
    nu, size = 0.5 * (d - 3), np.abs(x)
    h0, next_h = (np.exp(log_scaled_bessel(order, size)) for order in (nu, nu + 1.0))
    if d == 2:  # two points, c = +-1
        h1 = 0.5 * (1.0 - np.exp(-2.0 * size))
        return h0, np.sign(x) * h1, h0
    h1 = size * next_h / (2.0 * nu + 2.0)
    h2 = h0 - (2.0 * nu + 1.0) * next_h / (2.0 * nu + 2.0)
    return h0, np.sign(x) * h1, h2
