"""Linear fluxes along edges for any diffusion: rates of the exchange between neighbours. Compiled.

With s = u_ij/kappa, u_ij = -u_ji the drop of the drift along the edge (``drops``; xi_j - xi_i
of a potential), and B(s) = s/(e^s - 1), an edge carries (per unit of c_ij)

    F_ij = g_ij kappa [ B(-s) rho_i - B(s) rho_j ],        g_ij = g_ji > 0.

g = 1 is the flux of Scharfetter and Gummel (EAFE; Schlichting and Seis 2020): exact for constant
fluxes in one dimension, upwind for kappa -> 0, of second order in s. *Any* positive symmetric g
keeps what matters: the rates B(+-s) g are >= 0 (an M-matrix), what leaves i arrives at j (zero
column sums), and, of a potential, the flux vanishes exactly where rho ~ e^{xi/kappa} and has the
sign of the drop of kappa log rho - xi. So g is free to be chosen for accuracy. Where log rho is
linear along the edge, changing by p from the upwind vertex to the downwind one, the true flux at
its middle is rho_up e^{p/2} kappa (s - p), s > 0, and divided by the one above this is

    g = sinhc(s/2) / sinhc((s - p)/2),        sinhc(x) = sinh(x)/x.

It tends to 1 for s -> 0 and to e^{p/2} for kappa -> 0: the limited edge density of
``dynamics.sweep``. p is the limited difference of ``dynamics.limiters``, as there, kept within
|p| <= s so that edges with more diffusion than drift are left alone. Where a density is much lower
upwind g has no bound, and the rate at which mass leaves there neither: explicit steps give it one.

Knows only arrays.
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np
from numpy.typing import NDArray

from meanfield.dynamics.drops import block_drops
from meanfield.dynamics.limiters import limit_at, steep
from meanfield.geometry.sphere import Array

__all__ = [
    "at_rest",
    "dissipation",
    "exchange_rates",
    "exchanged",
    "flow_up",
    "relax",
    "remainder",
]

_BLOCK = 512  # edges at a time: what the limiter reads and writes stays in the first-level cache
_SHARP = 1e8  # s from which on the limit of pure drift is right to round-off


@nb.njit(cache=True)
def bernoulli(s: float) -> float:
    """B(s) = s/(e^s - 1) for s >= 0, to round-off; B(-s) = B(s) + s without cancellation."""
    if s < 1e-4:
        return 1.0 - 0.5 * s + s * s / 12.0
    return s / math.expm1(s) if s < 700.0 else 0.0


@nb.njit(cache=True)
def _log_sinhc(x: float) -> float:
    """log(sinh(x)/x)."""
    x = abs(x)
    if x < 0.05:
        y = x * x
        return y * (1.0 / 6.0 - y * (1.0 / 180.0 - y / 2835.0))
    return x + math.log(-math.expm1(-2.0 * x) / (2.0 * x))


@nb.njit(inline="always")
def _limited(
    limiter: int, other: NDArray[np.int32], start: int, stop: int, own: NDArray[np.float32],
    back: NDArray[np.float32], drop: Array, log_rho: Array, slopes: Array, work: Array,
) -> None:  # fmt: skip
    """Limited differences of the edges of a block's slot, the last row of ``work`` (6, block).

    Edges alone, packed: a third of the slots is padding. No branch by which end is upwind, which
    cannot be predicted; unsigned, as a signed index may be negative.
    """
    forward, along, low, high, room, p = work[0], work[1], work[2], work[3], work[4], work[5]
    g0, g1, lows, highs, rooms = slopes[0], slopes[1], slopes[2], slopes[3], slopes[4]
    log_i, own0, own1 = log_rho[start:stop], g0[start:stop], g1[start:stop]
    t0, t1 = own[0, start:stop], own[1, start:stop]
    b0, b1 = back[0, start:stop], back[1, start:stop]
    c = np.uintp(0)
    for i in range(stop - start):
        if other[i] == start + i:
            continue
        j = np.uintp(other[i])
        ahead = steep(log_rho[j] - log_i[i])
        here = own0[i] * t0[i] + own1[i] * t1[i]
        there = g0[j] * b0[i] + g1[j] * b1[i]
        rises = drop[i] > 0.0
        forward[c] = ahead if rises else -ahead
        along[c] = here if rises else there
        up = np.uintp(start + i) if rises else j
        low[c], high[c], room[c] = lows[up], highs[up], rooms[up]
        c += np.uintp(1)
    limit_at(limiter, forward[:c], along[:c], low[:c], high[:c], room[:c], p[:c])


@nb.njit(inline="always")
def _share(difference: float, s: float) -> float:
    """Of an edge whose density changes by e^difference, and drift over diffusion is s."""
    p = max(-s, min(s, max(-160.0, min(160.0, difference))))
    if s == math.inf:
        return math.exp(0.5 * p)
    return math.exp(_log_sinhc(0.5 * s) - _log_sinhc(0.5 * (s - p)))


@nb.njit(cache=True)
def exchange_rates(
    neighbour: NDArray[np.int32], coefficient: Array, tangent: NDArray[np.float32],
    back: NDArray[np.float32], xi: Array, drops: Array, kappa: float, limited: bool, limiter: int,
    most: float, log_rho: Array, slopes: Array, arriving: Array, leaving: Array,
) -> None:  # fmt: skip
    """Rates of the exchange: dm_i/dt = sum_k arriving[k, i] rho_j - leaving[i] rho_i.

    Args:
        neighbour, coefficient, tangent: the ``Stars`` of the space.
        back: tangents of the same edges at their other ends.
        xi, drops: the drift (``drift.Drift``): a potential (n_local,), or drops (K, n_owned) where
            there are any.
        log_rho: (n_local,) logarithm of the density, ghosts included.
        kappa: diffusion, >= 0.
        limited: whether g is to be used; the next two, and the slopes, matter only then.
        limiter: address of the limiter (``dynamics.limiters``).
        most: that g may be; inf: anything.
        slopes: (5, n_local) gradients, low, high and room of log rho (``dynamics.slopes``), ghosts
            included.
        arriving: (K, n_owned) and leaving: (n_owned,), written; all >= 0.
    """
    width, n = neighbour.shape
    leaving[:] = 0.0
    work, drop_of = np.empty((6, _BLOCK)), np.empty(_BLOCK)
    difference = work[5]
    for start in range(0, n, _BLOCK):
        stop = min(n, start + _BLOCK)
        out = leaving[start:stop]
        for k in range(width):
            other, edge = neighbour[k, start:stop], coefficient[k, start:stop]
            into = arriving[k, start:stop]
            block_drops(xi, drops, k, other, start, stop, drop_of)
            if limited:
                _limited(
                    limiter, other, start, stop, tangent[k], back[k], drop_of, log_rho, slopes, work
                )
            c = np.uintp(0)
            for i in range(stop - start):
                if other[i] == start + i:
                    into[i] = 0.0
                    continue
                u = drop_of[i]
                drop = abs(u)
                down, up = drop, 0.0  # with and against the drift
                s = math.inf
                if kappa > 0.0 and drop < _SHARP * kappa:
                    s = drop / kappa
                    up = kappa * bernoulli(s)
                    down = up + drop
                factor = edge[i]
                if limited and drop > 0.0:
                    factor *= min(most, _share(difference[c], s))
                c += np.uintp(1)
                rises = u > 0.0
                out[i] += factor * (down if rises else up)
                into[i] = factor * (up if rises else down)


@nb.njit(cache=True)
def at_rest(neighbour: NDArray[np.int32], arriving: Array, leaving: Array, rho: Array) -> bool:
    """Whether nothing at all is exchanged at a density (n_local,), to the last bit.

    So it is in a constant potential: without diffusion at any density, with it at a constant one.
    """
    width, n = neighbour.shape
    for i in range(n):
        moved, arrives = 0.0, 0.0
        for k in range(width):
            moved += arriving[k, i] * (rho[neighbour[k, i]] - rho[i])
            arrives += arriving[k, i]  # in the order in which ``leaving`` was summed
        if moved != 0.0 or arrives != leaving[i]:
            return False
    return True


@nb.njit(cache=True)
def flow_up(
    order: NDArray[np.int64],
    neighbour: NDArray[np.int32],
    arriving: Array,
    leaving: Array,
    weights: Array,
    old: Array,
    dt: float,
    new: Array,
) -> None:
    """Solve one implicit step where mass only flows towards higher potential (kappa = 0).

    In the order of ascending potential the matrix is triangular: one sweep solves it, by sums,
    products and quotients of numbers >= 0 alone. All vertices must be on this rank.
    """
    for i in order:
        total = weights[i] * old[i]
        for k in range(neighbour.shape[0]):
            if arriving[k, i] > 0.0:
                total += dt * arriving[k, i] * new[neighbour[k, i]]
        new[i] = total / (weights[i] + dt * leaving[i])


@nb.njit(cache=True)
def relax(
    neighbour: NDArray[np.int32],
    arriving: Array,
    leaving: Array,
    weights: Array,
    old: Array,
    guess: Array,
    dt: float,
    new: Array,
) -> None:
    """One Jacobi sweep from a guess >= 0 (n_local,): ``new`` (n_owned,) >= 0, written."""
    width, n = neighbour.shape
    for i in range(n):
        total = 0.0
        for k in range(width):
            total += arriving[k, i] * guess[neighbour[k, i]]
        new[i] = (weights[i] * old[i] + dt * total) / (weights[i] + dt * leaving[i])


@nb.njit(cache=True)
def exchanged(
    neighbour: NDArray[np.int32], arriving: Array, leaving: Array, weights: Array, rho: Array,
    dt: float, keep: float, old: Array, new: Array,
) -> None:  # fmt: skip
    """An explicit stage: new = keep old + (1 - keep) (rho + dt (what arrives - what leaves)/w).

    >= 0 for dt <= w/leaving. ``rho``: (n_local,), ghosts included; ``new`` (n_owned,), written.
    """
    width, n = neighbour.shape
    for i in range(n):
        total = 0.0
        for k in range(width):
            total += arriving[k, i] * rho[neighbour[k, i]]
        step = dt / weights[i]
        euler = rho[i] * (1.0 - step * leaving[i]) + step * total
        new[i] = keep * old[i] + (1.0 - keep) * euler


@nb.njit(cache=True)
def remainder(
    neighbour: NDArray[np.int32],
    arriving: Array,
    leaving: Array,
    weights: Array,
    old: Array,
    new: Array,
    dt: float,
) -> tuple[float, float]:
    """1-norms of the residual of a step and of the terms that it is the difference of.

    ``new``: (n_local,), ghosts included.
    """
    width, n = neighbour.shape
    residual, size = 0.0, 0.0
    for i in range(n):
        total = 0.0
        for k in range(width):
            total += arriving[k, i] * new[neighbour[k, i]]
        out = (weights[i] + dt * leaving[i]) * new[i]
        residual += abs(weights[i] * old[i] + dt * total - out)
        size += out
    return residual, size


@nb.njit(cache=True)
def dissipation(
    neighbour: NDArray[np.int32],
    coefficient: Array,
    xi: Array,
    drops: Array,
    kappa: float,
    rho: Array,
    log_rho: Array,
) -> float:
    """int |X - kappa grad log rho|^2 dmu: this rank's part (owned vertices).

    The mean square velocity of the total flux, as the sum over edges of the flux (g = 1) times the
    drop of X - kappa grad log rho. The drift is that of ``exchange_rates``; fields (n_local,),
    ghosts included; kappa > 0.
    """
    width, n = neighbour.shape
    ready = drops.shape[0] > 0
    total = 0.0
    for k in range(width):
        for i in range(n):
            j = neighbour[k, i]
            u = drops[k, i] if ready else xi[j] - xi[i]
            drop = abs(u)
            up = kappa * bernoulli(drop / kappa)
            down = up + drop
            flux = down * rho[i] - up * rho[j] if u > 0.0 else up * rho[i] - down * rho[j]
            force = u - kappa * (log_rho[j] - log_rho[i])
            # Of one sign but for round-off; each edge is met from both its ends.
            total += 0.5 * coefficient[k, i] * abs(flux * force)
    return total
