"""Direct sums of a head over all pairs, any dimension: blocked and compiled, each target scaled.

The reference for the transforms, and the way out where they lose Z in their noise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numba as nb
import numpy as np
from numpy.typing import NDArray

from meanfield.geometry.manifolds import Manifold
from meanfield.geometry.sphere import Array, tangent_project
from meanfield.interaction.composite.axial import zonal_head_sums
from meanfield.interaction.composite.matrices import HeadMatrices
from meanfield.interaction.composite.parts import HeadParts
from meanfield.interaction.direct import weigh
from meanfield.interaction.lanes import lane_max, lane_moments, lane_pull

__all__ = [
    "Stack",
    "head_sums",
    "summed_exponentials",
    "summed_flow",
    "summed_vectors",
    "tangential_divergence",
]

_BLOCK = 1024  # sources at a time


def head_sums(
    head: HeadMatrices, x: Array, y: Array, m: Array, order: int, on: Manifold,
    own: NDArray[np.int64] | None = None,
) -> HeadParts:  # fmt: skip
    """Sums over the masses m at y, for each x: see ``HeadParts``.

    Args:
        head: the matrices.
        x: (n, d) unit vectors, zonal: (n, 1) colatitudes; y: sources, (k, d) or (k, 1).
        m: (k,) masses.
        order: 0: Z; 1: and the flow; 2: and what its divergence takes.
        on: the geometry of the points (not zonal with ``own``).
        own: (n,) the number of the source that a target is itself, left out of its sums.
    """
    kept = np.flatnonzero(m)
    itself = np.full(len(x), -1)
    if own is not None:
        place = np.full(len(m), -1)
        place[kept] = np.arange(kept.size)
        itself = place[own]
    y, m = np.asarray(y)[kept], np.ascontiguousarray(np.asarray(m)[kept])
    if on.latitudes:
        return zonal_head_sums(head, x[:, 0], y[:, 0], m, order, on.d)
    n, d = x.shape
    w = np.ascontiguousarray(x @ head.A.T)
    yt = np.ascontiguousarray(y.T, dtype=np.float64)
    scale, z, trace = np.zeros(n), np.zeros(n), np.zeros(n)
    mean, second = np.zeros((n, d)), np.zeros((n, d if order > 1 else 0))
    local = np.zeros(0)
    if order > 1:
        local = np.ascontiguousarray(np.einsum("ij,ij->i", y, y @ (head.A @ head.V).T))
    if m.size:
        _head_sums(w, yt, m, local, itself, order, scale, z, mean, second, trace)
    if order == 0:
        return HeadParts(scale, z, z, np.zeros(n))
    flow = mean @ head.V.T
    along = tangent_project(x, flow)
    if order == 1:
        return HeadParts(scale, z, z, np.zeros(n), along)
    bend = np.einsum("ij,ij->i", x @ head.V, second)
    divergence = tangential_divergence(x, flow, trace, bend)
    return HeadParts(scale, z, z, np.zeros(n), along, divergence, mean @ head.A)


class Stack(NamedTuple):
    """Many heads: A (h, d, d), V (h, d, d) and |A| (h,)."""

    A: Array
    V: Array
    size: Array

    @classmethod
    def of(cls, heads: Sequence[HeadMatrices]) -> Stack:
        """One head or more."""
        sizes = np.array([head.size for head in heads])
        return cls(np.stack([h.A for h in heads]), np.stack([h.V for h in heads]), sizes)


def summed_flow(stack: Stack, x: Array, y: Array, m: Array, unit: float | None) -> Array:
    """Flows of many heads, added: (n, d), as ``head_sums`` one by one, in one call.

    Args:
        stack: the heads.
        x: (n, d) unit vectors; y: sources, (k, d), not zonal.
        m: (k,) masses.
        unit: None: each flow over its Z; else all times e^{-unit}.
    """
    return tangent_project(x, summed_vectors(stack, x, y, m, unit))


def summed_vectors(stack: Stack, x: Array, y: Array, m: Array, unit: float | None) -> Array:
    """The same before it is projected; x and y may have any length."""
    log_factor = np.full(len(stack.A), 0.0 if unit is None else unit)
    return _summed(stack, x, y, m, np.ones(len(stack.A)), log_factor, unit is None, x.shape[1])


def summed_exponentials(stack: Stack, x: Array, y: Array, m: Array, factors: Array) -> Array:
    """sum_h f_h Z_h e^{-|A_h|} of many heads, (n,); arguments as for ``summed_flow``."""
    return _summed(stack, x, y, m, factors, stack.size, False, 0)[:, 0]


def _summed(
    stack: Stack, x: Array, y: Array, m: Array, factors: Array, log_factor: Array,
    normalised: bool, columns: int,
) -> Array:  # fmt: skip
    kept = np.flatnonzero(m)
    yt = np.ascontiguousarray(np.asarray(y, dtype=np.float64)[kept].T)
    masses = np.ascontiguousarray(np.asarray(m)[kept])
    out = np.zeros((len(x), max(columns, 1)))
    if masses.size:
        _all_heads(
            stack.A, stack.V, factors, log_factor, np.ascontiguousarray(x), yt, masses,
            normalised, columns > 0, out,
        )  # fmt: skip
    return out


def tangential_divergence(x: Array, vector: Array, trace: Array, bend: Array) -> Array:
    """div(P_x F) of F with the derivative G in R^d: tr G - x.G x - (d - 1) x.F.

    Args:
        x: (n, d) unit vectors.
        vector: (n, d) F.
        trace, bend: (n,) tr G and x.G x.
    """
    return trace - bend - (x.shape[1] - 1) * np.einsum("ij,ij->i", x, vector)


# The order of sums is that of ``lanes``: the same in each process.
@nb.njit(parallel=True, fastmath={"contract"}, cache=True)
def _head_sums(
    w: Array, yt: Array, m: Array, local: Array, itself: NDArray[np.int64], order: int,
    scale: Array, z: Array, mean: Array, second: Array, trace: Array,
) -> None:  # fmt: skip
    n, d = w.shape
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
                wk = w[i, k]
                row = yt[k, start:stop]
                for j in range(count):
                    t[j] += wk * row[j]
            skip = itself[i] - start
            if 0 <= skip < count:
                if count == 1:
                    continue
                t[skip] = t[0] if skip > 0 else t[1]
            top = lane_max(t, 1.0, count)
            if top > shift:  # a larger exponent than so far: rescale what has been summed
                factor = math.exp(shift - top)
                z[i] *= factor
                trace[i] *= factor
                for k in range(d):
                    mean[i, k] *= factor
                for k in range(second.shape[1]):
                    second[i, k] *= factor
                shift = top
            weigh(m[start:stop], t, 1.0, shift, e)
            if 0 <= skip < count:
                e[skip] = 0.0
            z[i] += lane_moments(e, t, count)[0]
            if order < 1:
                continue
            for k in range(d):
                mean[i, k] += lane_pull(e, yt[k, start:stop], 0.0, count)
            if order < 2:
                continue
            trace[i] += lane_pull(e, local[start:stop], 0.0, count)
            for j in range(count):
                e[j] *= t[j]
            for k in range(d):
                second[i, k] += lane_pull(e, yt[k, start:stop], 0.0, count)
        scale[i] = shift if shift > -np.inf else 0.0


@nb.njit(parallel=True, fastmath={"contract"}, cache=True)
def _all_heads(
    a: Array, v: Array, factors: Array, log_factor: Array, x: Array, yt: Array, m: Array,
    normalised: bool, flows: bool, out: Array,
) -> None:  # fmt: skip
    n, d = x.shape
    size = m.size
    for i in nb.prange(n):
        t = np.empty(_BLOCK)
        e = np.empty(_BLOCK)
        mean = np.empty(d)
        for h in range(a.shape[0]):
            z = 0.0
            mean[:] = 0.0
            shift = -np.inf
            for start in range(0, size, _BLOCK):
                stop = min(size, start + _BLOCK)
                count = stop - start
                t[:count] = 0.0
                for k in range(d):
                    wk = 0.0
                    for l in range(d):
                        wk += a[h, k, l] * x[i, l]
                    row = yt[k, start:stop]
                    for j in range(count):
                        t[j] += wk * row[j]
                top = lane_max(t, 1.0, count)
                if top > shift:
                    factor = math.exp(shift - top)
                    z *= factor
                    for k in range(d):
                        mean[k] *= factor
                    shift = top
                weigh(m[start:stop], t, 1.0, shift, e)
                z += lane_moments(e, t, count)[0]
                if flows:
                    for k in range(d):
                        mean[k] += lane_pull(e, yt[k, start:stop], 0.0, count)
            scale = factors[h] / z if normalised else factors[h] * math.exp(shift - log_factor[h])
            if not flows:
                out[i, 0] += scale * z
                continue
            for k in range(d):
                pull = 0.0
                for l in range(d):
                    pull += v[h, k, l] * mean[l]
                out[i, k] += scale * pull
