"""What limiters ask of log rho on the star of a vertex: gradient, range, curvature, room. Compiled.

With D_k the differences of log rho to the K neighbours (``steep``; 0 in padding slots), at a vertex

    gradient    least squares of the D_k, in the tangent plane,
    low, high   min(0, min_k D_k), max(0, max_k D_k): log rho on the star, from the vertex on,
    curvature   s = (1/K) sum_k D_k, a mean second difference where stars are nearly symmetric,
    room        what an edge may have beyond a value that makes no new maximum (``limiters.room``),
                of the s on the whole star: where they are of one sign and of one size.

Both users of limiters have them from here: the explicit sweep block by block (``dynamics.sweep``),
the implicit fluxes for all vertices at once (``star_slopes``, ``star_rooms``). Knows only arrays.
"""

from __future__ import annotations

import numba as nb
import numpy as np
from numpy.typing import NDArray

from meanfield.dynamics.limiters import room, steep
from meanfield.geometry.sphere import Array

__all__ = ["block_rooms", "block_slopes", "star_rooms", "star_slopes"]

_BLOCK = 512  # vertices at a time, as in ``dynamics.sweep``


@nb.njit(inline="always")
def block_slopes(
    neighbour: NDArray[np.int32], tangent: NDArray[np.float32], gram: Array, log_rho: Array,
    start: int, stop: int, differences: Array, g0: Array, g1: Array, low: Array, high: Array,
    curvature: Array,
) -> None:  # fmt: skip
    """Differences of log rho on the edges of a block of vertices, (K, m), and what is made of them.

    The last five, of m values or more, are 0 when this begins.
    """
    width = neighbour.shape[0]
    log_i, m = log_rho[start:stop], stop - start
    for k in range(width):
        other = neighbour[k, start:stop]
        t0, t1 = tangent[k, 0, start:stop], tangent[k, 1, start:stop]
        ahead = differences[k]
        for i in range(m):
            ahead[i] = steep(log_rho[np.uintp(other[i])] - log_i[i])
        for i in range(m):
            g0[i] += t0[i] * ahead[i]
            g1[i] += t1[i] * ahead[i]
        for i in range(m):
            low[i] = min(low[i], ahead[i])
            high[i] = max(high[i], ahead[i])
            curvature[i] += ahead[i]
    a, b, c = gram[0, start:stop], gram[1, start:stop], gram[2, start:stop]
    for i in range(m):
        h0 = a[i] * g0[i] + b[i] * g1[i]
        g1[i] = b[i] * g0[i] + c[i] * g1[i]
        g0[i] = h0
        curvature[i] /= width


@nb.njit(inline="always")
def block_rooms(
    neighbour: NDArray[np.int32], curvature: Array, start: int, stop: int, least: Array,
    most: Array, out: Array,
) -> None:  # fmt: skip
    """Rooms of a block of vertices, from curvatures (n_local,). ``least``, ``most``: work space."""
    own, m = curvature[start:stop], stop - start
    for i in range(m):
        least[i] = own[i]
        most[i] = own[i]
    for k in range(neighbour.shape[0]):
        other = neighbour[k, start:stop]
        for i in range(m):
            s = curvature[np.uintp(other[i])]
            least[i] = min(least[i], s)
            most[i] = max(most[i], s)
    for i in range(m):
        out[i] = room(least[i], most[i])


@nb.njit(cache=True)
def star_slopes(
    neighbour: NDArray[np.int32], tangent: NDArray[np.float32], gram: Array, log_rho: Array,
    out: Array,
) -> None:  # fmt: skip
    """Gradient (two components), low, high and curvature at the owned vertices.

    ``log_rho``: (n_local,), ghosts included; ``out``: (5, n_owned), written.
    """
    width, n = neighbour.shape
    out[:] = 0.0
    differences = np.empty((width, _BLOCK))
    for start in range(0, n, _BLOCK):
        stop = min(n, start + _BLOCK)
        block_slopes(
            neighbour, tangent, gram, log_rho, start, stop, differences, out[0, start:stop],
            out[1, start:stop], out[2, start:stop], out[3, start:stop], out[4, start:stop],
        )  # fmt: skip


@nb.njit(cache=True)
def star_rooms(neighbour: NDArray[np.int32], curvature: Array, out: Array) -> None:
    """Rooms (n_owned,), written, from curvatures (n_local,), which must be another array."""
    n = neighbour.shape[1]
    least, most = np.empty(_BLOCK), np.empty(_BLOCK)
    for start in range(0, n, _BLOCK):
        stop = min(n, start + _BLOCK)
        block_rooms(neighbour, curvature, start, stop, least, most, out[start:stop])
