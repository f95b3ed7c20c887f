"""One explicit sweep over the edges: limited upwind fluxes of a P1 density. Compiled.

Every owned vertex *emits* mass along the edges on which the drop u_ij of the drift (``drops``) is
positive, then collects what its neighbours emitted: each flux is computed once, by its upwind
vertex, and enters both ends as the same floating-point number, so that mass is conserved to
round-off. Knows only arrays.

The density on an edge is rho_i e^{p/2}, positive whatever the limiter does: for any positive edge
density dE/dt has the right sign in continuous time. p is the limited difference of log rho along
the edge (``dynamics.limiters``), 0 for plain upwinding.

Positivity, of any drops whatever: what a vertex emits in a step of dt is at most what it holds,

    dt sum_j c_ij u_ij^+ e^{p_ij/2} <= w_i,

with the *limited* edge densities (its fluxes are scaled down together otherwise), so that each
Euler step, and so each convex combination of them, is >= 0. The bound of plain upwinding, without
e^{p/2}, is not enough.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numba as nb
import numpy as np
from numpy.typing import NDArray

from meanfield.dynamics.drops import block_drops
from meanfield.dynamics.limiters import limit_at
from meanfield.dynamics.slopes import block_rooms, block_slopes
from meanfield.geometry.sphere import Array

__all__ = ["at_most_threads", "collect", "emit", "emit_to_halo", "sweep_threads"]

_BLOCK = 512  # vertices at a time: all temporaries of a block stay in the first-level cache
_TINY = 1e-290
# What is left of a vertex that has given away all but this share is round-off. It is not kept: its
# logarithm could be anything and would decide on fluxes of neighbours that hold up to 1e8 times
# more, these likewise, and so round-off on vertices that matter (4e-6 was seen, now 2e-14).
_NOTHING = 1e-14
_LOG2E = 1.4426950408889634
_LN2 = 0.6931471805599453
_C2, _C3, _C4, _C5, _C6, _C7 = (1.0 / k for k in (2.0, 6.0, 24.0, 120.0, 720.0, 5040.0))
_THREADED_FROM = 20_000  # vertices; below, starting a second thread costs more than it brings


def sweep_threads(n: int, available: int) -> int:
    """Number of threads that sweeps over ``n`` vertices are worth."""
    return max(1, min(available, nb.config.NUMBA_NUM_THREADS)) if n >= _THREADED_FROM else 1


@contextmanager
def at_most_threads(number: int | None) -> Iterator[None]:
    """Compiled loops within take so many threads, or as many as they had; then what they had.

    None: as many as they had.
    """
    before = nb.get_num_threads()
    if number is None or number >= before:  # setting them takes longer than a short sweep
        yield
        return
    nb.set_num_threads(number)
    try:
        yield
    finally:
        nb.set_num_threads(before)


@nb.njit(inline="always")
def _look(
    neighbour: NDArray[np.int32], tangent: NDArray[np.float32], gram: Array, log_rho: Array,
    curvature: Array, next_curvature: Array, start: int, stop: int, differences: Array,
    slopes: tuple[Array, Array, Array, Array, Array],
) -> None:  # fmt: skip
    """Differences of log rho in a block and its gradient, low, high and room, which are 0 before.

    The curvature of this log rho is written for the next stage.
    """
    g0, g1, low, high, room = slopes
    bend = np.zeros(_BLOCK)
    block_slopes(
        neighbour, tangent, gram, log_rho, start, stop, differences, g0, g1, low, high, bend
    )
    if curvature.size > 0:
        least, most = np.empty(_BLOCK), np.empty(_BLOCK)
        block_rooms(neighbour, curvature, start, stop, least, most, room)
        for i in range(stop - start):
            next_curvature[start + i] = bend[i]


@nb.njit(inline="always")
def _limit(
    limiter: int, tangent: NDArray[np.float32], ahead: Array, start: int, stop: int,
    slopes: tuple[Array, Array, Array, Array, Array], along: Array, phi: Array,
) -> None:  # fmt: skip
    """phi = e^{p/2} of the edges of a block's slot, whose tangents are (2, n_owned)."""
    g0, g1, low, high, room = slopes
    m = stop - start
    t0, t1 = tangent[0, start:stop], tangent[1, start:stop]
    for i in range(m):
        along[i] = g0[i] * t0[i] + g1[i] * t1[i]
    limit_at(limiter, ahead[:m], along[:m], low[:m], high[:m], room[:m], phi[:m])
    _half_exponentials(phi, m)


@nb.njit(inline="always")
def _half_exponentials(phi: Array, m: int) -> None:
    """e^{phi/2} in place, to 1e-8 relative: it is an edge density, not a mass."""
    for i in range(m):
        half = max(-80.0, min(80.0, 0.5 * phi[i]))
        power = np.rint(half * _LOG2E)
        r = half - power * _LN2
        p = ((((((_C7 * r + _C6) * r + _C5) * r + _C4) * r + _C3) * r + _C2) * r + 1.0) * r
        bits = np.int64(np.int64(np.int64(power) + 1023) << 52)
        phi[i] = (p + 1.0) * bits.view(np.float64)


@nb.njit(inline="always")
def _rates(drop: Array, edge: Array, total: Array, counted: bool, m: int) -> None:
    """c_ij u_ij^+ in place of drops; added to ``total`` if they are counted."""
    if counted:
        for i in range(m):
            drop[i] = max(drop[i], 0.0) * edge[i]
            total[i] += drop[i]
    else:
        for i in range(m):
            drop[i] = max(drop[i], 0.0) * edge[i]


@nb.njit(inline="always")
def _hold(flux: Array, total: Array, held: float, dt: float, first: int, n: int, i: int) -> None:
    """Scale what vertex ``first`` (number ``i`` of its block) emits to what it holds."""
    if dt * total[i] > held:
        # Next to nothing stays where it is: its quotients would be subnormal.
        scale = held / (dt * total[i]) if held > _TINY else 0.0
        for slot in range(first, flux.size - 1, n):
            flux[slot] *= scale
        total[i] *= scale


# Many short loops over one block instead of one long loop: with few arrays in each, the compiler
# can prove that they do not overlap and vectorises them, gathers included.
@nb.njit(parallel=True, error_model="numpy", cache=True)
def emit(
    neighbour: NDArray[np.int32], coefficient: Array, tangent: NDArray[np.float32], gram: Array,
    weights: Array, rho: Array, log_rho: Array, xi: Array, drops: Array, dt: float, limited: bool,
    limiter: int, curvature: Array, next_curvature: Array, flux: Array, outflow: Array, rate: Array,
) -> None:  # fmt: skip
    """Fluxes out of every owned vertex.

    Args:
        neighbour, coefficient, tangent, gram: the ``Stars`` of the space.
        weights: (n_owned,) nodal weights.
        rho, log_rho: (n_local,) density and its logarithm; ghosts included.
        xi, drops: the drift (``drift.Drift``): a potential (n_local,), or drops (K, n_owned) where
            there are any.
        dt: step for which positivity is kept.
        limited: False for upwind.
        limiter: address of the limiter (``dynamics.limiters``).
        curvature: (n_local,) of log rho in the stage before (``dynamics.slopes``), of which its
            room is made: so this one pass does; or empty: no room.
        next_curvature: (n_owned,) of this log rho, written; or empty, too.
        flux: (K * n_owned + 1,) written slot by slot; the last entry stays 0.
        outflow: (n_owned,) total flux out of each vertex, written.
        rate: (n_owned,) outflow rate of plain upwinding, sum_j c_ij u_ij^+/w_i, written; or empty:
            it is not asked for.
    """
    width, n = neighbour.shape
    for block in nb.prange((n + _BLOCK - 1) // _BLOCK):
        start = block * _BLOCK
        stop = min(n, start + _BLOCK)
        m = stop - start
        room = np.zeros(_BLOCK)
        slopes = np.zeros(_BLOCK), np.zeros(_BLOCK), np.zeros(_BLOCK), np.zeros(_BLOCK), room
        total, speed = np.zeros(_BLOCK), np.zeros(_BLOCK)
        drop, phi, along = np.empty(_BLOCK), np.empty(_BLOCK), np.empty(_BLOCK)
        # Gathered once: the gradient needs them, and then each edge its own.
        differences = np.empty((width if limited else 0, _BLOCK))
        rho_i = rho[start:stop]
        if limited:
            _look(
                neighbour, tangent, gram, log_rho, curvature, next_curvature, start, stop,
                differences, slopes,
            )  # fmt: skip
        for k in range(width):
            other, edge = neighbour[k, start:stop], coefficient[k, start:stop]
            out = flux[k * n + start : k * n + stop]
            block_drops(xi, drops, k, other, start, stop, drop)
            _rates(drop, edge, speed, rate.size > 0, m)
            if limited:
                _limit(limiter, tangent[k], differences[k], start, stop, slopes, along, phi)
                for i in range(m):
                    drop[i] *= phi[i]
            for i in range(m):
                f = drop[i] * rho_i[i]
                total[i] += f
                out[i] = f
        for i in range(m):
            _hold(flux, total, weights[start + i] * rho_i[i], dt, start + i, n, i)
            outflow[start + i] = total[i]
        if rate.size > 0:
            rate[start:stop] = speed[:m] / weights[start:stop]


@nb.njit(cache=True)
def emit_to_halo(
    flux: Array, slots: NDArray[np.int32], vertices: NDArray[np.int32], inflow: Array
) -> None:
    """Add fluxes that leave this rank to ``inflow`` (n_local,) at their ghost vertices."""
    for k in range(slots.size):
        inflow[vertices[k]] += flux[slots[k]]


@nb.njit(parallel=True, error_model="numpy", cache=True)
def collect(
    reverse: NDArray[np.int32],
    weights: Array,
    rho: Array,
    flux: Array,
    outflow: Array,
    from_halo: Array,
    dt: float,
    keep: float,
    rho_old: Array,
    rho_new: Array,
) -> None:
    """rho_new = keep rho_old + (1 - keep) (rho + dt (inflow - outflow)/w), the owned part.

    ``from_halo``: (n_owned,) inflow from other ranks, or an empty array.
    """
    width, n = reverse.shape
    halo = from_halo.size > 0
    for block in nb.prange((n + _BLOCK - 1) // _BLOCK):
        start = block * _BLOCK
        stop = min(n, start + _BLOCK)
        m = stop - start
        change = np.zeros(_BLOCK)
        if halo:
            change[:m] = from_halo[start:stop]
        for k in range(width):
            slot = reverse[k, start:stop]
            for i in range(m):
                change[i] += flux[slot[i]]
        for i in range(m):
            v = start + i
            step = dt / weights[v]
            euler = rho[v] + step * (change[i] - outflow[v])
            if rho[v] - step * outflow[v] <= _NOTHING * rho[v]:
                euler = step * change[i]
            # Emitted at most what is held: below zero only by round-off of this line.
            rho_new[v] = keep * rho_old[v] + (1.0 - keep) * max(euler, 0.0)
