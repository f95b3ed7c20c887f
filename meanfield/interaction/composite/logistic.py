"""Sums of s(<A x, y> + b) over a measure, s the logistic function: compiled, any dimension."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numba as nb
import numpy as np
from scipy.special import roots_jacobi

from meanfield.geometry.manifolds import Manifold
from meanfield.geometry.sphere import Array, tangent_project
from meanfield.interaction.composite.axial import Means, Taken, assembled, axial
from meanfield.interaction.composite.matrices import HeadMatrices
from meanfield.interaction.composite.sums import tangential_divergence
from meanfield.interaction.direct import weigh
from meanfield.interaction.lanes import lane_pull

__all__ = ["LogisticSums", "logistic", "logistic_degree", "logistic_sums", "softplus"]

_BLOCK = 1024  # sources at a time
_PAIRS = 1 << 19  # of colatitudes and longitudes at a time


def logistic(t: Array) -> Array:
    """1/(1 + e^{-t})."""
    e = np.exp(-np.abs(t))
    return np.where(t >= 0.0, 1.0, e) / (1.0 + e)


def softplus(t: Array) -> Array:
    """log(1 + e^t), an antiderivative of it."""
    return np.maximum(t, 0.0) + np.log1p(np.exp(-np.abs(t)))


def logistic_degree(size: float, bias: float, tolerance: float) -> int:
    """Degree of s(r t + b), |r| <= ``size``: by its poles r t + b = +-i pi (Bernstein)."""
    pole = complex(-bias, math.pi) / max(size, 1e-3)
    root = (pole * pole - 1.0) ** 0.5
    rho = max(abs(pole + root), abs(pole - root))
    return 2 + math.ceil(math.log(4.0 / tolerance) / math.log(rho))


class LogisticSums(NamedTuple):
    """Sums at some targets.

    Attributes:
        z: (n,) of log(1 + e^{<A x, y> + b}); None where it was not asked for.
        flow: (n, k) P_x V int s y dmu; divergence: (n,) of it, None below order 2.
    """

    z: Array | None
    flow: Array | None
    divergence: Array | None


def logistic_sums(
    head: HeadMatrices, bias: float, x: Array, y: Array, m: Array, order: int, on: Manifold
) -> LogisticSums:
    """Sums over the masses m at y, of any sign, for each x.

    Args:
        head: the matrices.
        bias: b.
        x: (n, d) unit vectors, zonal: (n, 1) colatitudes; y: sources, (k, d) or (k, 1).
        m: (k,) masses.
        order: 0: z alone; 1: the flow; 2: and its divergence.
        on: the geometry of the points.
    """
    kept = np.flatnonzero(m)
    y, m = np.asarray(y)[kept], np.ascontiguousarray(np.asarray(m)[kept])
    if on.latitudes:
        return _on_latitudes(head, bias, x[:, 0], y[:, 0], m, order)
    n, d = x.shape
    w = np.ascontiguousarray(x @ head.A.T)
    yt = np.ascontiguousarray(y.T, dtype=np.float64)
    z, trace = np.zeros(n), np.zeros(n)
    mean, second = np.zeros((n, d)), np.zeros((n, d if order > 1 else 0))
    local = np.zeros(0)
    if order > 1:
        local = np.ascontiguousarray(np.einsum("ij,ij->i", y, y @ (head.A @ head.V).T))
    _logistic_sums(w, yt, m, local, float(bias), order, z, mean, second, trace)
    if order == 0:
        return LogisticSums(z, None, None)
    flow = mean @ head.V.T
    along = tangent_project(x, flow)
    if order == 1:
        return LogisticSums(None, along, None)
    bend = np.einsum("ij,ij->i", x @ head.V, second)
    return LogisticSums(None, along, tangential_divergence(x, flow, trace, bend))


# The order of sums is that of ``lanes``: the same in each process.
@nb.njit(parallel=True, fastmath={"contract"}, cache=True)
def _logistic_sums(
    w: Array, yt: Array, m: Array, local: Array, bias: float, order: int, z: Array, mean: Array,
    second: Array, trace: Array,
) -> None:  # fmt: skip
    n, d = w.shape
    size = m.size
    ones = np.ones(_BLOCK)
    for i in nb.prange(n):
        t = np.empty(_BLOCK)
        q = np.empty(_BLOCK)
        e = np.empty(_BLOCK)
        for start in range(0, size, _BLOCK):
            stop = min(size, start + _BLOCK)
            count = stop - start
            t[:count] = bias
            for k in range(d):
                wk = w[i, k]
                row = yt[k, start:stop]
                for j in range(count):
                    t[j] += wk * row[j]
            for j in range(count):
                e[j] = -abs(t[j])
            weigh(ones[:count], e, 1.0, 0.0, q)
            if order == 0:
                for j in range(count):
                    e[j] = max(t[j], 0.0) + math.log1p(q[j])
                z[i] += lane_pull(e, m[start:stop], 0.0, count)
                continue
            for j in range(count):
                e[j] = m[start + j] * (1.0 if t[j] >= 0.0 else q[j]) / (1.0 + q[j])
            for k in range(d):
                mean[i, k] += lane_pull(e, yt[k, start:stop], 0.0, count)
            if order < 2:
                continue
            for j in range(count):
                e[j] = m[start + j] * q[j] / ((1.0 + q[j]) * (1.0 + q[j]))
            trace[i] += lane_pull(e, local[start:stop], 0.0, count)
            for j in range(count):
                e[j] *= t[j] - bias
            for k in range(d):
                second[i, k] += lane_pull(e, yt[k, start:stop], 0.0, count)


@lru_cache(maxsize=16)
def _longitudes(count: int, d: int) -> tuple[Array, Array]:
    """Cosines and weights (sum 1) for the angle between two points of S^{d-2}."""
    if d == 2:
        return np.array([1.0, -1.0]), np.array([0.5, 0.5])
    cosines, weights = roots_jacobi(count, 0.5 * d - 2.0, 0.5 * d - 2.0)
    return cosines, weights / weights.sum()


def _on_latitudes(
    head: HeadMatrices, bias: float, theta: Array, y: Array, m: Array, order: int
) -> LogisticSums:
    """Masses that are spread over circles of latitude."""
    numbers, d, n = axial(head, "head"), head.d, theta.size
    count = 4 + logistic_degree(head.size, bias, 1e-15) // 2
    cosines, weights = _longitudes(min(count, 2000), d)
    found = np.zeros((5, n))
    sines, poles = np.sin(y), np.cos(y)
    rows = max(1, _PAIRS // max(y.size * cosines.size, 1))
    for start in range(0, n, rows) if m.size else ():
        at = slice(start, min(n, start + rows))
        x, z = numbers.a * np.sin(theta[at]), numbers.c * np.cos(theta[at])
        across = (x[:, None] * sines)[..., None] * cosines
        t = across + (z[:, None] * poles + bias)[..., None]
        if order == 0:
            found[0, at] = (softplus(t) @ weights) @ m
            continue
        s = logistic(t)
        found[1, at] = (s @ (weights * cosines)) @ (m * sines)
        found[2, at] = (s @ weights) @ (m * poles)
        if order > 1:
            slope = s * (1.0 - s)
            whole = slope @ weights
            found[0, at] = whole @ m
            found[3, at] = (slope @ (weights * cosines)) @ (m * sines * poles)
            found[4, at] = whole @ (m * poles**2)
    if order == 0:
        return LogisticSums(found[0], None, None)
    means = Means(*found) if order > 1 else Means(*found[:3])
    left = Taken(found[0], found[1], found[2], np.zeros(n))
    parts = assembled(numbers, theta, d, np.zeros(n), means, left, 0.0)
    return LogisticSums(None, parts.flow, parts.divergence)
