"""Exact optimal couplings of many points without the matrix of all costs: column generation.

The linear program is solved on few arcs; its dual potentials u, v are then tested on *all* pairs
(c_ij >= u_i + v_j, compiled, nothing stored), and the pairs that fail join the arcs. The dual value
of the corrected potentials is a lower bound for the cost whatever the arcs were, so that the result
carries its own proof. Arcs to begin with come from the same problem for a few thousand
representatives. Time grows like n m with a small constant (a nanosecond or two a pair and pass),
memory like n + m.

Also owns the geodesic costs, blocked and compiled. NumPy, SciPy, Numba and POT; knows nothing of
meshes and of where the points come from.
"""

from __future__ import annotations

import math
import warnings
from typing import NamedTuple

import numba as nb
import numpy as np
import ot
from scipy.sparse import coo_matrix
from scipy.spatial import cKDTree

from meanfield.analysis.wasserstein_1d import Coupling, overlay
from meanfield.geometry.mesh import IntArray
from meanfield.geometry.sphere import Array

__all__ = [
    "Certified",
    "Optimum",
    "cost_matrix",
    "pair_costs",
    "representatives",
    "solve_columns",
    "solve_pot",
]

_PER_POINT = 10  # arcs that each point gets at first, and at most in each later round
_COARSE = 2000  # representatives of each measure: their problem takes about half a second
_MAX_ROUNDS = 40
_ROUND_OFF = 1e-10  # potentials are of order one: a gap below this that stays will not close


class Certified(NamedTuple):
    """Cost of a coupling, a lower bound for the cost of every coupling, and the coupling."""

    cost: float
    lower: float
    coupling: Coupling


@nb.njit(cache=True)
def _angle(x: Array, i: int, y: Array, j: int, dot: float) -> float:
    """Angle between unit vectors x_i and y_j with product ``dot``, exact to round-off."""
    if abs(dot) < 0.9:
        return math.acos(dot)
    square = 0.0
    sign = 1.0 if dot > 0.0 else -1.0
    for k in range(x.shape[1]):
        square += (x[i, k] - sign * y[j, k]) ** 2
    near = 2.0 * math.asin(min(1.0, 0.5 * math.sqrt(square)))
    return near if dot > 0.0 else math.pi - near


@nb.njit(fastmath={"contract"}, cache=True)
def _dot(x: Array, i: int, y: Array, j: int) -> float:
    s = 0.0
    for k in range(x.shape[1]):
        s += x[i, k] * y[j, k]
    return s


@nb.njit(cache=True)
def _cost_matrix(x: Array, y: Array, p: int, out: Array) -> None:
    for i in range(x.shape[0]):
        for j in range(y.shape[0]):
            angle = _angle(x, i, y, j, _dot(x, i, y, j))
            out[i, j] = angle * angle if p == 2 else angle


@nb.njit(cache=True)
def _pair_costs(x: Array, i: IntArray, y: Array, j: IntArray, p: int, out: Array) -> None:
    for k in range(i.size):
        angle = _angle(x, i[k], y, j[k], _dot(x, i[k], y, j[k]))
        out[k] = angle * angle if p == 2 else angle


@nb.njit(cache=True)
def _smallest(x: Array, y: Array, v: Array, p: int, value: Array, index: IntArray) -> None:
    """For each x_i the smallest c(x_i, y_j) - v_j, rising, as many as ``value`` has columns."""
    count = value.shape[1]
    for i in range(x.shape[0]):
        limit = np.inf
        for j in range(y.shape[0]):
            dot = _dot(x, i, y, j)
            # The chord is shorter than the arc: most pairs are out without an angle.
            chord = 2.0 - 2.0 * dot
            low = (chord if p == 2 else math.sqrt(max(chord, 0.0))) - v[j]
            if low - 1e-15 < limit:
                angle = _angle(x, i, y, j, dot)
                c = (angle * angle if p == 2 else angle) - v[j]
                if c < limit:
                    k = count - 1
                    while k > 0 and value[i, k - 1] > c:
                        value[i, k] = value[i, k - 1]
                        index[i, k] = index[i, k - 1]
                        k -= 1
                    value[i, k] = c
                    index[i, k] = j
                    limit = value[i, count - 1]


def cost_matrix(x: Array, y: Array, p: int) -> Array:
    """Angles to the power p (1 or 2) between rows of x (n, d) and y (m, d), (n, m)."""
    out = np.empty((len(x), len(y)))
    _cost_matrix(x, y, p, out)
    return out


def pair_costs(x: Array, i: IntArray, y: Array, j: IntArray, p: int) -> Array:
    """Angles to the power p (1 or 2) between x_{i_k} and y_{j_k}, (len(i),)."""
    out = np.empty(len(i))
    _pair_costs(x, i.astype(np.int64), y, j.astype(np.int64), p, out)
    return out


def _transform(x: Array, y: Array, v: Array, p: int, count: int) -> tuple[Array, IntArray]:
    count = min(count, len(y))
    value = np.full((len(x), count), np.inf)
    index = np.zeros((len(x), count), dtype=np.int64)
    _smallest(x, y, np.ascontiguousarray(v), p, value, index)
    return value, index


class Optimum(NamedTuple):
    """What POT found: the cost, the potentials of both measures, the coupling."""

    cost: float
    u: Array
    v: Array
    coupling: Coupling


def solve_pot(a: Array, b: Array, cost: Array | coo_matrix, max_iterations: int) -> Optimum:
    """``ot.emd2`` with its warnings raised.

    Args:
        a, b: masses > 0 with the same sum.
        cost: (n, m) array, or a sparse matrix of the arcs to use; changed by at most an ulp.
        max_iterations: pivots of the network simplex.

    Raises:
        RuntimeError: if POT stops without an optimal coupling.
    """
    entries = cost.data if isinstance(cost, coo_matrix) else cost
    # POT's tolerances suppose costs of order one; in place, since a copy may be gigabytes.
    scale = float(np.abs(entries).max()) or 1.0
    entries /= scale
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            value, log = ot.emd2(
                a, b, cost, numItermax=max_iterations, log=True, return_matrix=True
            )
        except Warning as warning:
            raise RuntimeError(
                f"POT found no optimal coupling of {len(a)} and {len(b)} points: {warning} "
                f"Raise max_iterations (now {max_iterations}), or compare fewer points (quantise)."
            ) from warning
        finally:
            entries *= scale
    plan = log["G"]
    if isinstance(cost, coo_matrix):
        plan = plan.tocoo()
        coupling = Coupling(plan.row.astype(np.int64), plan.col.astype(np.int64), plan.data)
    else:
        source, target = np.nonzero(plan)
        coupling = Coupling(source, target, plan[source, target])
    return Optimum(scale * float(value), scale * log["u"], scale * log["v"], coupling)


def representatives(x: Array, a: Array, size: int, seed: int = 0) -> tuple[Array, IntArray, Array]:
    """Choose ``size`` of the points by mass; every point goes to the nearest one chosen.

    Returns:
        The points chosen that got mass, the group (n,) of each point, and the mass of each group.
    """
    if len(x) <= size:
        return x, np.arange(len(x)), a
    chosen = np.random.default_rng(seed).choice(len(x), size, replace=False, p=a / a.sum())
    centres = x[chosen]
    group = cKDTree(centres).query(x)[1].astype(np.int64)
    used, group = np.unique(group, return_inverse=True)  # of equal points one gets everything
    return centres[used], group.astype(np.int64), np.bincount(group, a).astype(np.float64)


def _lift(coarse: Coupling, a: Array, group_a: IntArray, b: Array, group_b: IntArray) -> Coupling:
    """A coupling of all points that follows a coupling of their groups."""
    keep = coarse.mass > 0.0
    i, j, mass = coarse.source[keep], coarse.target[keep], coarse.mass[keep]
    sides = []
    for group, weights, key in ((group_a, a, (j, i)), (group_b, b, (i, j))):
        order, entries = np.argsort(group, kind="stable"), np.lexsort(key)
        pieces = overlay(weights[order], mass[entries])
        entry = entries[pieces.target]
        by_entry = np.argsort(entry, kind="stable")
        sides.append((order[pieces.source][by_entry], pieces.mass[by_entry]))
    (source, mass_a), (target, mass_b) = sides
    pieces = overlay(mass_a, mass_b)
    return Coupling(source[pieces.source], target[pieces.target], pieces.mass)


def _first_arcs(
    x: Array, a: Array, y: Array, b: Array, p: int, max_iterations: int
) -> tuple[IntArray, Array, Array, Coupling]:
    """Arcs i m + j to begin with, potentials u, v, and a coupling, from a few representatives."""
    n, m = len(x), len(y)
    xc, group_a, ac = representatives(x, a, _COARSE)
    yc, group_b, bc = representatives(y, b, _COARSE)
    coarse = solve_pot(ac, bc, cost_matrix(xc, yc, p), max_iterations)
    lifted = _lift(coarse.coupling, a, group_a, b, group_b)
    v = _transform(y, xc, coarse.u, p, 1)[0][:, 0]
    by_row, columns = _transform(x, y, v, p, _PER_POINT)
    u = by_row[:, 0]
    rows = _transform(y, x, u, p, _PER_POINT)[1]
    arcs = np.unique(
        np.concatenate(
            [
                (np.arange(n)[:, None] * m + columns).ravel(),
                (rows * m + np.arange(m)[:, None]).ravel(),
                lifted.source * m + lifted.target,  # without it there may be no coupling at all
            ]
        )
    )
    return arcs, u, v, lifted


def solve_columns(
    x: Array, a: Array, y: Array, b: Array, p: int, max_iterations: int, rtol: float
) -> Certified:
    """Optimal coupling for the cost angle^p by column generation.

    Args:
        x: (n, d) unit vectors.
        a: (n,) masses > 0, with the same sum as b.
        y, b: likewise, (m, d) and (m,).
        p: 1 or 2.
        max_iterations: pivots of each linear program.
        rtol: ends when the lower bound is this close to the cost, relatively; potentials carry
            round-off, so that 1e-9 is about the best.

    Raises:
        RuntimeError: if POT does not solve one of the linear programs.
    """
    n, m = len(x), len(y)
    arcs, u, v, lifted = _first_arcs(x, a, y, b, p, max_iterations)
    best = Certified(math.inf, 0.0, lifted)
    for _ in range(_MAX_ROUNDS):
        i, j = arcs // m, arcs % m
        # Costs less the potentials known so far have the same optimal couplings: the solver then
        # starts near the end (ten times faster in the last rounds), and with small numbers.
        costs = pair_costs(x, i, y, j, p) - u[i] - v[j]
        found = solve_pot(a, b, coo_matrix((costs, (i, j)), shape=(n, m)), max_iterations)
        plan = found.coupling
        cost = float(plan.mass @ pair_costs(x, plan.source, y, plan.target, p))
        u, v = u + found.u, v + found.v
        by_row, columns = _transform(x, y, v, p, _PER_POINT)
        by_column, rows = _transform(y, x, u, p, _PER_POINT)
        lower = max(float(a @ by_row[:, 0] + b @ v), float(a @ u + b @ by_column[:, 0]))
        last = best
        if cost < best.cost:
            best = Certified(cost, best.lower, plan)
        best = best._replace(lower=max(lower, best.lower))
        gap = best.cost - best.lower
        if gap <= rtol * best.cost:
            break
        if gap < _ROUND_OFF and gap > 0.9 * (last.cost - last.lower):
            break
        row, k = np.nonzero(by_row < u[:, None])
        column, l = np.nonzero(by_column < v[:, None])
        more = np.union1d(
            arcs, np.concatenate([row * m + columns[row, k], rows[column, l] * m + column])
        )
        if len(more) == len(arcs):
            break
        arcs = more
    return best._replace(lower=min(best.lower, best.cost))
