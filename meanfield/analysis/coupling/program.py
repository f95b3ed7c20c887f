"""The linear program of optimal transport, solved by POT's network simplex.

NumPy, SciPy and POT; knows nothing of points and of costs on spheres.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
import ot
from scipy.sparse import coo_matrix

from meanfield.analysis.wasserstein_1d import Coupling
from meanfield.geometry.sphere import Array

__all__ = ["Certified", "Optimum", "solve_dense", "solve_pot"]


class Certified(NamedTuple):
    """Cost of a coupling, a lower bound for the cost of every coupling, and the coupling."""

    cost: float
    lower: float
    coupling: Coupling


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


def solve_dense(a: Array, b: Array, costs: Array, max_iterations: int) -> Certified:
    """The optimal coupling for a matrix of all costs (n, m), with its certificate."""
    cost, u, v, coupling = solve_pot(a, b, costs, max_iterations)
    # Potentials that round-off (or a bug) has made infeasible are lowered until they are not.
    slack = min(float((row - v).min()) - value for row, value in zip(costs, u, strict=True))
    return Certified(cost, float(a @ u + b @ v) + min(slack, 0.0), coupling)
