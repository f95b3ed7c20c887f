"""Fluxes of nonlinear diffusion and a drift together, upwind on the total velocity. Compiled.

With p = kappa H'(rho) (``interaction.diffusion``) and the drop u_ij of the drift an edge carries
(per unit of c_ij; Bailo, Carrillo and Hu 2020)

    F_ij = g_ij v_ij^+ rho_i - g_ji v_ij^- rho_j,       v_ij = u_ij - (p_j - p_i) = -v_ji,
    g_ij = min((1 + rho_j/rho_i)/2, 2)                  of a known density; or 1.

g makes the density on the edge the mean of its ends, of second order, and never more than twice the
upwind one. An implicit step of dt from the density ``old`` asks for the zero of

    G_i = w_i (rho_i - old_i) + dt sum_j c_ij F_ij(rho),

whose derivative, with theta = g rho of the upwind end, is

    J_ii = w_i + dt sum_j c_ij [g_ij v_ij^+ + theta p'(rho_i)],
    J_ij = -dt c_ij [g_ji v_ij^- + theta p'(rho_j)] <= 0:

an M-matrix whose columns sum to w, as that of a linear step (``dynamics.linear``).

Knows only arrays.
"""

from __future__ import annotations

import numba as nb
import numpy as np
from numpy.typing import NDArray

from meanfield.geometry.sphere import Array

__all__ = ["diffusive_rates", "newton_rates", "porous_dissipation", "step_residual"]

_TINY = 1e-300


@nb.njit(inline="always")
def _velocity(xi: Array, drops: Array, k: int, i: int, j: int, pressure: Array) -> float:
    """v_ij, the negative of what the other end finds to the last bit."""
    u = drops[k, i] if drops.shape[0] > 0 else xi[j] - xi[i]
    return u - (pressure[j] - pressure[i])


@nb.njit(inline="always")
def _share(up: float, down: float, centred: bool) -> float:
    """g from the upwind end's known density to the downwind one's; 1 where nothing is."""
    if not centred:
        return 1.0
    return min(0.5 * (1.0 + (down + _TINY) / (up + _TINY)), 2.0)


@nb.njit(error_model="numpy", cache=True)
def step_residual(
    neighbour: NDArray[np.int32], coefficient: Array, weights: Array, xi: Array, drops: Array,
    old: Array, centred: bool, rho: Array, pressure: Array, dt: float, out: Array,
) -> float:  # fmt: skip
    """G of a density (``out`` (n_owned,), written), and its 1-norm.

    Args:
        neighbour, coefficient: of the ``Stars``.
        weights: (n_owned,) nodal weights.
        xi, drops: the drift (``drift.Drift``).
        old: (n_local,) density before the step, ghosts included: of g, too, if ``centred``.
        rho, pressure: (n_local,) density and p, ghosts included.
        dt: the step.
    """
    width, n = neighbour.shape
    norm = 0.0
    for i in range(n):
        total = 0.0
        for k in range(width):
            j = neighbour[k, i]
            if j == i:
                continue
            v = _velocity(xi, drops, k, i, j, pressure)
            if v > 0.0:
                total += coefficient[k, i] * (_share(old[i], old[j], centred) * v * rho[i])
            else:
                total += coefficient[k, i] * (_share(old[j], old[i], centred) * v * rho[j])
        g = weights[i] * (rho[i] - old[i]) + dt * total
        out[i] = g
        norm += abs(g)
    return norm


@nb.njit(error_model="numpy", cache=True)
def newton_rates(
    neighbour: NDArray[np.int32], coefficient: Array, xi: Array, drops: Array, old: Array,
    centred: bool, rho: Array, pressure: Array, stiffness: Array, arriving: Array, leaving: Array,
) -> float:  # fmt: skip
    """The derivative of G as rates of exchange (``dynamics.linear.Rates``).

    ``stiffness``: (n_local,) p'(rho); ``arriving`` (K, n_owned), ``leaving`` (n_owned,), written;
    the others as for ``step_residual``.

    Returns:
        Sum of leaving_i rho_i: what rounding of G grows with.
    """
    width, n = neighbour.shape
    size = 0.0
    for i in range(n):
        out = 0.0
        for k in range(width):
            j = neighbour[k, i]
            if j == i:
                arriving[k, i] = 0.0
                continue
            v = _velocity(xi, drops, k, i, j, pressure)
            if v > 0.0:
                edge = coefficient[k, i] * _share(old[i], old[j], centred)
                theta = rho[i]
                out += edge * (v + theta * stiffness[i])
                arriving[k, i] = edge * (theta * stiffness[j])
            else:
                edge = coefficient[k, i] * _share(old[j], old[i], centred)
                theta = rho[j]
                out += edge * (theta * stiffness[i])
                arriving[k, i] = edge * (theta * stiffness[j] - v)
        leaving[i] = out
        size += out * rho[i]
    return size


@nb.njit(error_model="numpy", cache=True)
def porous_dissipation(
    neighbour: NDArray[np.int32], coefficient: Array, xi: Array, drops: Array, rho: Array,
    pressure: Array,
) -> float:  # fmt: skip
    """int |X - grad p|^2 dmu: this rank's part (owned vertices); as ``step_residual``.

    Sum over edges of the flux times the drop. From where nothing is nothing flows: a state at rest
    has none, though beyond its support the drops do not vanish.
    """
    width, n = neighbour.shape
    total = 0.0
    for i in range(n):
        for k in range(width):
            j = neighbour[k, i]
            if j == i:
                continue
            v = _velocity(xi, drops, k, i, j, pressure)
            up, down = (i, j) if v > 0.0 else (j, i)
            g = _share(rho[up], rho[down], True)
            total += 0.5 * coefficient[k, i] * (g * rho[up] * v * v)  # met from both ends
    return total


@nb.njit(error_model="numpy", cache=True)
def diffusive_rates(
    neighbour: NDArray[np.int32], coefficient: Array, weights: Array, mobility: Array
) -> float:
    """Fastest rate of exchange by diffusion: largest sum_j c_ij max(D_i, D_j)/w_i on this rank.

    ``mobility``: (n_local,) D, ghosts included.
    """
    width, n = neighbour.shape
    fastest = 0.0
    for i in range(n):
        total = 0.0
        for k in range(width):
            j = neighbour[k, i]
            total += coefficient[k, i] * max(mobility[i], mobility[j])
        fastest = max(fastest, total / weights[i])
    return fastest
