"""Doubly stochastic kernels: the scalings u, v with int e^{<A x, y>} u(x) v(y) dmu(y) = 1 for mu-
almost every x, and int e^{<A x, y>} u(x) v(y) dmu(x) = 1 for every such y.

Sinkhorn's iterations in the domain of logarithms, mixed by Anderson's method: for a symmetric A,
where u = v, log v <- (log v - log Z)/2; else log u <- -log Z, log v <- -log Z' in turn. Both
contract, and where they end does not hang on where they begin. Source: Sander, Ablin, Blondel,
Peyre, arXiv 2110.11773; Knight, Ruiz, Ucar, SIAM J. Matrix Anal. Appl. 35 (2014).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np

from meanfield.collective import Alone, Communicator, max_over_ranks, sum_over_ranks
from meanfield.errors import BrokenInvariantError
from meanfield.geometry.sphere import Array

__all__ = ["fixed_point", "log_integral"]

_DEPTH = 6
_MOST = 500  # iterations
_LATE = 60  # of them, after which round-off of the transforms is taken for the end of it
_ENOUGH = 100.0  # times the tolerance, then


def log_integral(values: Array, masses: Array, comm: Communicator | None) -> float:
    """log int e^f dmu of the values f at this rank's points. Collective."""
    top = float(np.max(values, initial=-np.inf, where=masses > 0.0))
    (top,) = max_over_ranks(Alone() if comm is None else comm, top)
    local = np.array([float(np.dot(masses, np.exp(np.minimum(values - top, 0.0))))])
    return top + math.log(float(sum_over_ranks(comm, local)[0]))


def fixed_point(
    image: Callable[[Array], Array], start: Array, masses: Array, comm: Communicator | None,
    tolerance: float,
) -> Array:  # fmt: skip
    """f = F(f) for functions at this rank's points, in the norm of L^2(mu). Collective.

    Args:
        image: F; collective.
        start: (n,) where to begin.
        masses: (n,) of the points.
        comm: ranks that have a part of the points each.
        tolerance: norm of F(f) - f.

    Raises:
        BrokenInvariantError: it was not found.
    """

    def inner(left: list[Array], right: Array) -> Array:
        local = np.array([float(np.dot(masses * a, right)) for a in left])
        return sum_over_ranks(comm, local)

    f, best = start, math.inf
    residuals: list[Array] = []
    values: list[Array] = []
    for number in range(_MOST):
        value = image(f)
        residual = value - f
        size = math.sqrt(float(inner([residual], residual)[0]))
        if size <= tolerance or (number >= _LATE and size <= _ENOUGH * tolerance):
            return value
        if size > 2.0 * best:  # mixing has led astray: begin again from here
            residuals, values = [], []
        best = min(best, size)
        residuals, values = [*residuals, residual][-_DEPTH:], [*values, value][-_DEPTH:]
        f = value
        if len(values) > 1:
            steps = [b - a for a, b in itertools.pairwise(residuals)]
            moves = [b - a for a, b in itertools.pairwise(values)]
            matrix = np.stack([inner(steps, step) for step in steps])
            gamma = np.linalg.lstsq(matrix, inner(steps, residual), rcond=1e-12)[0]
            f = value - sum(g * move for g, move in zip(gamma, moves, strict=True))
    raise BrokenInvariantError(
        f"scalings of a doubly stochastic kernel to {best:.1e} after {_MOST} iterations found, "
        f"{tolerance:.1e} expected: take a larger tolerance"
    )
