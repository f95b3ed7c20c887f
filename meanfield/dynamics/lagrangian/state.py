"""What a restart of characteristics needs."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from meanfield.dynamics.solver import State
from meanfield.geometry.sphere import Array

__all__ = ["LagrangianState"]


@dataclass(frozen=True, eq=False)
class LagrangianState(State):
    """All that a restart needs, in the order of the vertices (rank 0 holds it).

    Attributes:
        reference: (n, gdim) where the vertices started; cells: (m, k) their triangulation.
        x: (n, k) unit vectors (zonal: (sin theta, cos theta)).
        log_rho: (n,) log of the density with respect to sigma; mass: (n,).
        group: (n,) vertices with the same number are one point for good.
        longest, previous, rejected: what the step control remembers.
        merge_error: estimate made so far, see ``LagrangianSolver``.
        past: (k, 1 + 2 c) moments at all steps, see ``History.rows``.
        mass_error: mass of the initial density at the nodes, minus one; nan: not known.
    """

    reference: Array
    cells: NDArray[np.int64]
    x: Array
    log_rho: Array
    mass: Array
    group: NDArray[np.int64]
    longest: float
    previous: float
    rejected: int
    merge_error: float
    past: Array = field(kw_only=True, default_factory=lambda: np.zeros((0, 1)))
    mass_error: float = field(kw_only=True, default=math.nan)
