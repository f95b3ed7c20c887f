"""Drops along edges: integrals of a drift X from a vertex to its neighbour. Compiled.

    u_ij = int_{geodesic i -> j} X . t ds,      u_ji = -u_ij to the last bit

Fluxes ask for nothing else: whatever the u_ij are, mass is conserved, and positivity and M-matrices
are kept. Of a gradient u_ij = xi_j - xi_i, exactly. Of anything else the trapezoidal rule of the
values at the two ends, wrong by O(h^3) and exact for rotations: along the great circle between unit
vectors x_i and x_j, an angle theta apart,

    u_ij = theta/(2 sin theta) (X_i . x_j - X_j . x_i),

and along a meridian (zonal) u_ij = (theta_j - theta_i)/2 (X_i + X_j). The first factors, of the
mesh alone, are computed once (``edge_factors``). Better rules bring nothing: of a linear field, at
642 to 40 962 vertices, the exact integrals leave 0.9 of the error of a density (measured).

Knows only arrays.
"""

from __future__ import annotations

import numba as nb
import numpy as np
from numpy.typing import NDArray

from meanfield.geometry.sphere import Array

__all__ = ["block_drops", "edge_drops", "edge_factors"]

_BLOCK = 512  # vertices at a time, as in ``dynamics.sweep``


def edge_factors(neighbour: NDArray[np.int32], points: Array) -> Array:
    """What the trapezoidal rule has of the mesh alone, (K, n_owned).

    Args:
        neighbour: (K, n_owned) of the ``Stars``.
        points: (n_local, gdim) unit vectors (gdim 2, 3) or colatitudes (gdim 1).
    """
    n = neighbour.shape[1]
    out = np.empty(neighbour.shape)
    for k, other in enumerate(neighbour):
        x, y = points[:n], points[other]
        if points.shape[1] == 1:
            out[k] = 0.5 * (y[:, 0] - x[:, 0])
            continue
        cosine = np.sum(x * y, axis=1)
        if points.shape[1] == 2:
            sine = np.abs(x[:, 0] * y[:, 1] - x[:, 1] * y[:, 0])
        else:
            sine = np.linalg.norm(np.cross(x, y), axis=1)
        apart = other != np.arange(n)
        out[k] = 0.0
        np.divide(0.5 * np.arctan2(sine, cosine), sine, out=out[k], where=apart & (sine > 0.0))
    return out


@nb.njit(inline="always")
def block_drops(
    xi: Array, drops: Array, k: int, other: NDArray[np.int32], start: int, stop: int, out: Array
) -> None:
    """Drops along slot ``k`` of a block of vertices: of ``xi``, or those that are ready."""
    m = stop - start
    if drops.shape[0] > 0:
        ready = drops[k, start:stop]
        for i in range(m):
            out[i] = ready[i]
    else:
        xi_i = xi[start:stop]
        for i in range(m):
            out[i] = xi[np.uintp(other[i])] - xi_i[i]


@nb.njit(parallel=True, error_model="numpy", cache=True)
def edge_drops(
    neighbour: NDArray[np.int32], factor: Array, points: Array, xi: Array, velocity: Array,
    drops: Array,
) -> None:  # fmt: skip
    """Drops along all slots, of a potential and a velocity together.

    Args:
        neighbour: (K, n_owned) of the ``Stars``.
        factor: (K, n_owned) ``edge_factors``.
        points: (gdim, n_local) coordinates of the vertices, ghosts included.
        xi: (n_local,) potential, or empty.
        velocity: (gdim, n_local) tangent vectors, or none (0, n_local).
        drops: (K, n_owned), written.
    """
    width, n = neighbour.shape
    gdim = velocity.shape[0]
    for block in nb.prange((n + _BLOCK - 1) // _BLOCK):
        start = block * _BLOCK
        stop = min(n, start + _BLOCK)
        m = stop - start
        for k in range(width):
            other, scale = neighbour[k, start:stop], factor[k, start:stop]
            out = drops[k, start:stop]
            out[:] = 0.0
            if gdim == 1:
                v = velocity[0]
                v_i = v[start:stop]
                for i in range(m):
                    out[i] = v_i[i] + v[other[i]]
            for c in range(gdim if gdim > 1 else 0):
                v, x = velocity[c], points[c]
                v_i, x_i = v[start:stop], x[start:stop]
                # Each component is the negative of what the other end finds, and so is the sum.
                for i in range(m):
                    j = other[i]
                    out[i] += v_i[i] * x[j] - v[j] * x_i[i]
            for i in range(m):
                out[i] *= scale[i]
            if xi.size > 0:
                xi_i = xi[start:stop]
                for i in range(m):
                    out[i] += xi[other[i]] - xi_i[i]
