"""Direct sums of any kernel over all pairs: blocked, exact also for kernels that are singular.

Everything goes by u = 1 - <x, y> = |x - y|^2/2, which keeps its digits for neighbours. At u = 0
there is no force; where W(1) is infinite such a pair (a point with itself) adds nothing to W.

The force alone, which tokens need at every stage, comes from a table: W' without its powers of
|x - y| and |x + y| is smooth, and a spline of it in t is exact to 1e-13 of its largest value.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from functools import lru_cache
from typing import NamedTuple, Protocol

import numba as nb
import numpy as np
from scipy.interpolate import CubicSpline

from meanfield.geometry.manifolds import Manifold
from meanfield.geometry.sphere import Array
from meanfield.interaction.lanes import lane_pull
from meanfield.interaction.parts import Parts

__all__ = ["PairKernel", "kernel_sums"]

_PAIRS = 1 << 18  # at a time
_MANY = 1 << 12  # pairs from which the table is worth making
_BLOCK = 1024  # sources at a time in compiled sums
_TABLE = 1e-13  # accuracy of the table, relative to its largest value
_CELLS = 1 << 16  # at most
_RING_LEVELS = 30


class PairKernel(Hashable, Protocol):
    """What sums over pairs ask of a kernel: see ``kernels.base.Kernel``."""

    @property
    def near(self) -> float | None:
        """Largest power of 1/|x - y| in W'."""

    @property
    def far(self) -> float | None:
        """The same of 1/|x + y|."""

    @property
    def unit(self) -> float:
        """What potentials are divided by."""

    def w(self, t: Array, u: Array, d: int) -> Array:
        """W."""

    def dw(self, t: Array, u: Array, d: int) -> Array:
        """W'/unit."""

    def ddw(self, t: Array, u: Array, d: int) -> Array:
        """W''/unit."""


def kernel_sums(
    kernel: PairKernel, x: Array, y: Array, m: Array, on: Manifold, base: float, order: int,
    value: bool,
) -> Parts:  # fmt: skip
    """Sums over the masses m at y, for each x.

    Args:
        kernel: W.
        x: (n, d) unit vectors, zonal: (n, 1) colatitudes; y: sources, (k, d) or (k, 1).
        m: (k,) masses.
        on: the geometry of the points.
        base: lam_0 M, what q is counted from.
        order: 0: W; 1: and its gradient; 2: and its Laplacian.
        value: whether W itself is wanted.

    Returns:
        The sums, with log_scale 0.
    """
    kept = np.flatnonzero(m)
    y, m, n, d = np.asarray(y)[kept], np.asarray(m)[kept], len(x), on.d
    if on.latitudes:
        z, gradient, laplacian = _ring_sums(kernel, x[:, 0], y[:, 0], m, d, order, value)
    elif order == 1 and not value and n * len(m) >= _MANY and _table_of(kernel, d) is not None:
        z, gradient, laplacian = np.zeros(n), _table_pull(kernel, x, y, m, d), None
    else:
        z, gradient, laplacian = _blocked_sums(kernel, x, y, m, d, order, value)
    if gradient is not None:
        gradient = on.tangential(x, gradient)
    q = (z - base) / kernel.unit if kernel.unit != 0.0 else z - base
    return Parts(np.zeros(n), z, q, gradient, laplacian, np.ones(n, dtype=bool))


def _at(kernel: PairKernel, u: Array, d: int, order: int, value: bool) -> tuple[Array, ...]:
    """W, W' and (1 - t^2) W'' - (d - 1) t W' at pairs; 0 where they are infinite (u = 0)."""
    t = 1.0 - u
    with np.errstate(all="ignore"):
        found = [kernel.w(t, u, d) if value else np.zeros(())]
        if order >= 1:
            found.append(kernel.dw(t, u, d))
        if order >= 2:
            square = u * (2.0 - u)
            bend = np.where(square > 0.0, square * kernel.ddw(t, u, d), 0.0)
            found.append(bend - (d - 1) * t * found[1])
    return tuple(np.where(np.isfinite(values), values, 0.0) for values in found)


def _blocked_sums(
    kernel: PairKernel, x: Array, y: Array, m: Array, d: int, order: int, value: bool
) -> tuple[Array, Array | None, Array | None]:
    n = len(x)
    z, pull, laplacian = np.zeros(n), np.zeros((n, d)), np.zeros(n)
    rows = max(1, _PAIRS // max(len(m), 1))
    for start in range(0, n, rows):
        at = slice(start, min(n, start + rows))
        here = x[at]
        u = np.zeros((len(here), len(m)))
        for k in range(d):
            u += (y[:, k] - here[:, k, None]) ** 2
        u *= 0.5
        found = _at(kernel, u, d, order, value)
        if value:
            z[at] = found[0] @ m
        if order >= 1:
            weight = found[1] * m
            for k in range(d):
                pull[at, k] = np.sum(weight * (y[:, k] - here[:, k, None]), axis=1)
        if order >= 2:
            laplacian[at] = found[2] @ m
    return z, pull if order >= 1 else None, laplacian if order >= 2 else None


def _ring_sums(
    kernel: PairKernel, x: Array, y: Array, m: Array, d: int, order: int, value: bool
) -> tuple[Array, Array | None, Array | None]:
    """For masses spread over circles of latitude: means over the difference phi in longitude."""
    phi, w = _longitudes(d)
    half = np.sin(0.5 * phi) ** 2
    n = len(x)
    z, slope, laplacian = np.zeros(n), np.zeros((n, 1)), np.zeros(n)
    for i in range(n):
        apart = 2.0 * np.sin(0.5 * (x[i] - y)) ** 2
        product = 2.0 * math.sin(x[i]) * np.sin(y)
        u = apart[:, None] + product[:, None] * half
        found = _at(kernel, u, d, order, value)
        if value:
            z[i] = m @ (found[0] @ w)
        if order >= 1:
            # dt/dtheta = sin(theta' - theta) - 2 cos(theta) sin(theta') sin^2(phi/2)
            turn = np.sin(y - x[i])[:, None] - 2.0 * math.cos(x[i]) * np.sin(y)[:, None] * half
            slope[i, 0] = m @ ((found[1] * turn) @ w)
        if order >= 2:
            laplacian[i] = m @ (found[2] @ w)
    return z, slope if order >= 1 else None, laplacian if order >= 2 else None


@lru_cache(maxsize=16)
def _longitudes(d: int) -> tuple[Array, Array]:
    """Nodes and weights (sum 1) for the angle between two points of S^{d-2}, graded towards 0."""
    if d == 2:
        return np.array([0.0, math.pi]), np.array([0.5, 0.5])
    edges = math.pi * np.concatenate([[0.0], 0.5 ** np.arange(_RING_LEVELS, -1, -1.0)])
    edges = np.unique(np.concatenate([edges, np.linspace(0.0, math.pi, 17)]))
    nodes, weights = np.polynomial.legendre.leggauss(16)
    size = 0.5 * np.diff(edges)
    phi = (0.5 * (edges[1:] + edges[:-1])[:, None] + size[:, None] * nodes).ravel()
    w = (size[:, None] * weights).ravel() * np.sin(phi) ** (d - 3)
    return phi, w / w.sum()


# ------------------------------------------------------------------ the force alone, from a table


class _Table(NamedTuple):
    """Cubic polynomials of W' |x - y|^near |x + y|^far in t, on equal cells of [-1, 1]."""

    coefficients: Array
    near: float
    far: float


@lru_cache(maxsize=16)
def _table_of(kernel: PairKernel, d: int) -> _Table | None:
    near, far = kernel.near, kernel.far
    if near is None or far is None:
        return None

    def regular(u: Array) -> Array:
        # Next to ends where it would be 0 times infinity.
        inside = np.clip(u, 1e-14 if near else 0.0, 2.0 - 1e-14 if far else 2.0)
        with np.errstate(all="ignore"):
            slope = kernel.dw(1.0 - inside, inside, d)
        power = (2.0 * inside) ** (0.5 * near) * (2.0 * (2.0 - inside)) ** (0.5 * far)
        return np.asarray(slope * power)

    cells = 256
    while cells <= _CELLS:
        u = np.linspace(0.0, 2.0, cells + 1)
        spline = CubicSpline(u, regular(u))
        between = 0.5 * (u[1:] + u[:-1])
        exact = regular(between)
        error = float(np.max(np.abs(spline(between) - exact)))
        if error <= _TABLE * float(np.max(np.abs(exact))):
            return _Table(np.ascontiguousarray(spline.c.T), near, far)
        cells *= 2
    return None


def _table_pull(kernel: PairKernel, x: Array, y: Array, m: Array, d: int) -> Array:
    table = _table_of(kernel, d)
    assert table is not None
    out = np.zeros((len(x), d))
    _pull(
        np.ascontiguousarray(x, dtype=np.float64),
        np.ascontiguousarray(np.asarray(y, dtype=np.float64).T),
        np.ascontiguousarray(m, dtype=np.float64),
        table.coefficients, table.near, table.far, out,
    )  # fmt: skip
    return out


@nb.njit(parallel=True, fastmath={"contract"}, cache=True)
def _pull(x: Array, yt: Array, m: Array, c: Array, near: float, far: float, out: Array) -> None:
    n, d = x.shape
    cells = c.shape[0]
    scale = 0.5 * cells
    width = 2.0 / cells
    for i in nb.prange(n):
        u = np.empty(_BLOCK)
        for start in range(0, m.size, _BLOCK):
            stop = min(m.size, start + _BLOCK)
            count = stop - start
            u[:count] = 0.0
            for k in range(d):
                xk = x[i, k]
                row = yt[k, start:stop]
                for j in range(count):
                    u[j] += 0.5 * (row[j] - xk) * (row[j] - xk)
            for j in range(count):
                v = min(u[j], 2.0)
                cell = min(int(v * scale), cells - 1)
                r = v - cell * width
                g = ((c[cell, 0] * r + c[cell, 1]) * r + c[cell, 2]) * r + c[cell, 3]
                if near == 2.0:
                    g /= 2.0 * v
                elif near == 1.0:
                    g /= math.sqrt(2.0 * v)
                elif near != 0.0:
                    g *= (2.0 * v) ** (-0.5 * near)
                if far != 0.0:
                    g *= (2.0 * (2.0 - v)) ** (-0.5 * far)
                u[j] = m[start + j] * g if 0.0 < v and (v < 2.0 or far == 0.0) else 0.0
            for k in range(d):
                out[i, k] += lane_pull(u, yt[k, start:stop], x[i, k], count)
