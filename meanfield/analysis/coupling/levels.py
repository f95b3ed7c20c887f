"""Optimal couplings of many points without the matrix of all costs: levels and column generation.

The points of each measure in kd order are gathered in N = 1024, 4096, 16 384, ... boxes. The
coarsest problem is solved densely. The dual potentials of each level, transformed, are those to
begin the next one with, where the linear program is solved on few arcs: for each block the
``_ARCS`` smallest reduced costs of both sides (``search``) and the coupling lifted from the level
before, without which there may be none at all. On the last level, of the points themselves, the
potentials u, v are then tested on *all* pairs (c_ij >= u_i + v_j, by a search of what fails), and
the pairs that fail join the arcs.

The dual value of potentials that the search has made feasible is a lower bound for the cost,
whatever the arcs were: the result carries its own proof. Memory grows like n + m. Time grows
almost so for d <= 4, but for the last linear program (like n^2 with a small constant, worse for
unequal weights); beyond, a search is over all n m pairs, a nanosecond or two each.

``bracket`` stops at blocks: the lifted coupling of the points is the upper bound, and one search
over all points gives the lower one, some ten times the variance of a block below.

NumPy, SciPy, Numba and POT; knows nothing of meshes and of where the points come from.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix

from meanfield.analysis.coupling.costs import cost_matrix, pair_costs
from meanfield.analysis.coupling.lift import blocks, lifted
from meanfield.analysis.coupling.program import Certified, Optimum, solve_dense, solve_pot
from meanfield.analysis.coupling.search import Points, smallest
from meanfield.analysis.wasserstein_1d import Coupling
from meanfield.geometry.mesh import IntArray
from meanfield.geometry.sphere import Array

__all__ = ["bracket", "solve_columns"]

_ARCS = 8  # that each point gets at first: with fewer, linear programs are harder and more
_MORE = 4  # that each point gets at most in a later round
_COARSE = 1024  # blocks of each measure on the first level
_FACTOR = 4  # between levels
_MAX_ROUNDS = 40
_ROUND_OFF = 1e-10  # potentials are of order one: a gap below this that stays will not close


@dataclass
class _Pair:
    """Two measures on a level, the potentials known of them, and a coupling."""

    x: Points
    a: Array
    y: Points
    b: Array
    u: Array
    v: Array
    plan: Coupling

    def costs(self, coupling: Coupling, p: int) -> Array:
        return pair_costs(self.x.points, coupling.source, self.y.points, coupling.target, p)

    def cost(self, p: int) -> float:
        return float(self.plan.mass @ self.costs(self.plan, p))

    def improve(self, arcs: IntArray, p: int, max_iterations: int) -> None:
        """Solve the linear program on arcs i m + j."""
        m = len(self.b)
        i, j = arcs // m, arcs % m
        # Costs less the potentials known so far have the same optimal couplings: the solver then
        # starts near the end (ten times faster), and with small numbers.
        reduced = pair_costs(self.x.points, i, self.y.points, j, p) - self.u[i] - self.v[j]
        program = coo_matrix((reduced, (i, j)), shape=(len(self.a), m))
        found = solve_pot(self.a, self.b, program, max_iterations)
        self.u, self.v, self.plan = self.u + found.u, self.v + found.v, found.coupling


def _sizes(n: int, last: int) -> list[int]:
    """Numbers of blocks, the coarsest level first: powers of two, but for the points themselves."""
    sizes = [n if last >= n else _power(last)]
    while sizes[-1] > 1.5 * _COARSE:
        sizes.append(max(_power(_COARSE), _power(sizes[-1] // _FACTOR)))
    return sizes[::-1]


def _power(n: int) -> int:
    """The largest power of two up to n."""
    return 1 << (n.bit_length() - 1)


def _coarsest(x: Points, a: Array, y: Points, b: Array, p: int, max_iterations: int) -> Optimum:
    return solve_pot(a, b, cost_matrix(x.points, y.points, p), max_iterations)


def _finer(
    coarse: _Pair, x: Points, a: Array, y: Points, b: Array, p: int
) -> tuple[_Pair, IntArray]:
    """The next level with first potentials and the lifted coupling, and the arcs to begin with."""
    m = len(b)
    v = smallest(y, coarse.x, coarse.u, p, 1)[0][:, 0]
    by_row, columns = smallest(x, y, v, p, _ARCS)
    u = by_row[:, 0].copy()
    by_column, rows = smallest(y, x, u, p, _ARCS)
    v = by_column[:, 0].copy()
    plan = lifted(coarse.plan, a, b)
    arcs = np.concatenate(
        [
            (np.arange(len(a))[:, None] * m + columns).ravel(),
            (rows * m + np.arange(m)[:, None]).ravel(),
            plan.source * m + plan.target,
        ]
    )
    return _Pair(x, a, y, b, u, v, plan), np.unique(arcs)


def _descend(
    x: Points, a: Array, y: Points, b: Array, p: int, max_iterations: int, last: int
) -> tuple[_Pair, IntArray | None]:
    """All levels down to the one of ``last`` blocks; this one is not solved yet.

    Unless it is the first as well: then there are no arcs, and the coupling is optimal.
    """
    sizes = [_sizes(len(a), last), _sizes(len(b), last)]
    depth = max(map(len, sizes))
    sizes = [[size[0]] * (depth - len(size)) + size for size in sizes]
    pair, arcs = None, None
    for n, m in zip(*sizes, strict=True):
        (xc, ac), (yc, bc) = blocks(x.points, a, n), blocks(y.points, b, m)
        some = (
            x if xc is x.points else Points(xc),
            ac,
            y if yc is y.points else Points(yc),
            bc,
        )
        if pair is None:
            found = _coarsest(*some, p, max_iterations)
            pair = _Pair(*some, found.u, found.v, found.coupling)
            continue
        if arcs is not None:
            pair.improve(arcs, p, max_iterations)
        pair, arcs = _finer(pair, *some, p)
    assert pair is not None
    return pair, arcs


def solve_columns(
    x: Array, a: Array, y: Array, b: Array, p: int, max_iterations: int, rtol: float
) -> Certified:
    """Optimal coupling for the cost angle^p by levels and column generation.

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
    if max(len(x), len(y)) <= 1.5 * _COARSE:
        return solve_dense(a, b, cost_matrix(x, y, p), max_iterations)
    (px, order_x), (py, order_y) = Points.in_order(x), Points.in_order(y)
    last = max(len(x), len(y))
    pair, arcs = _descend(px, a[order_x], py, b[order_y], p, max_iterations, last)
    assert arcs is not None
    best = Certified(math.inf, 0.0, pair.plan)
    for _ in range(_MAX_ROUNDS):
        pair.improve(arcs, p, max_iterations)
        lower, failed = _tested(pair, p)
        cost, before = pair.cost(p), best
        if cost < best.cost:
            best = Certified(cost, best.lower, pair.plan)
        best = best._replace(lower=max(lower, best.lower))
        gap = best.cost - best.lower
        if gap <= rtol * best.cost:
            break
        if gap < _ROUND_OFF and gap > 0.9 * (before.cost - before.lower):
            break
        more = np.union1d(arcs, failed)
        if len(more) == len(arcs):
            break
        arcs = more
    return _as_given(best, order_x, order_y)


def _tested(pair: _Pair, p: int) -> tuple[float, IntArray]:
    """A lower bound of the cost, and arcs i m + j where the potentials are not feasible."""
    m = len(pair.b)
    by_row, columns = smallest(pair.x, pair.y, pair.v, p, _MORE, pair.u)
    by_column, rows = smallest(pair.y, pair.x, pair.u, p, _MORE, pair.v)
    # Where nothing is below the potential, this is feasible as it is.
    lower = max(
        float(pair.a @ np.minimum(by_row[:, 0], pair.u) + pair.b @ pair.v),
        float(pair.a @ pair.u + pair.b @ np.minimum(by_column[:, 0], pair.v)),
    )
    row, k = np.nonzero(columns >= 0)
    column, l = np.nonzero(rows >= 0)
    return lower, np.concatenate([row * m + columns[row, k], rows[column, l] * m + column])


def _as_given(found: Certified, order_x: IntArray, order_y: IntArray) -> Certified:
    """With the numbering of the points as given, and a lower bound that is none above the cost."""
    plan = found.coupling
    coupling = Coupling(order_x[plan.source], order_y[plan.target], plan.mass)
    return Certified(found.cost, min(found.lower, found.cost), coupling)


def bracket(
    x: Array, a: Array, y: Array, b: Array, p: int, max_iterations: int, count: int
) -> Certified:
    """A coupling and a lower bound by ``count`` blocks of each measure; see ``solve_columns``.

    The number is rounded down to a power of two.

    Time grows like n + m and memory likewise (d <= 4). On S^2 the bounds of W_2^2 are 5 to 20 /
    count rad^2 apart (measured), whatever W_2 is: they are of use for W_2^2 far above that.
    """
    if len(x) < len(y):  # potentials are those of the smaller measure, which has the tree
        found = bracket(y, b, x, a, p, max_iterations, count)
        source, target, mass = found.coupling
        return found._replace(coupling=Coupling(target, source, mass))
    (px, order_x), (py, order_y) = Points.in_order(x), Points.in_order(y)
    a, b = a[order_x], b[order_y]
    pair, arcs = _descend(px, a, py, b, p, max_iterations, count)
    if arcs is not None:
        pair.improve(arcs, p, max_iterations)
    v = pair.v if pair.y is py else smallest(py, pair.x, pair.u, p, 1)[0][:, 0]
    u = smallest(px, py, v, p, 1)[0][:, 0]
    plan = pair.plan if pair.x is px and pair.y is py else lifted(pair.plan, a, b)
    cost = float(plan.mass @ pair_costs(px.points, plan.source, py.points, plan.target, p))
    return _as_given(Certified(cost, float(a @ u + b @ v), plan), order_x, order_y)
