"""What a restart of characteristics needs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypedDict, cast

import numpy as np
from numpy.typing import NDArray

from meanfield.dynamics.lagrangian.decided import Decided
from meanfield.dynamics.lagrangian.start import Estimate, Kind, Origin
from meanfield.dynamics.solver import State
from meanfield.geometry.sphere import Array

__all__ = ["LagrangianState", "flat"]


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
        start, chart_time, chart_end: see ``Origin``; "": an earlier version did not write it, nor
            what follows.
        weights, balanced_degree, balance_error: see ``Start``.
        tolerance, by_moments, accuracy: see ``Decided``; a tolerance of nan is None.
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
    start: str = field(kw_only=True, default="")
    chart_time: float = field(kw_only=True, default=0.0)
    chart_end: float = field(kw_only=True, default=math.nan)
    weights: Array = field(kw_only=True, default_factory=lambda: np.zeros(0))
    balanced_degree: int = field(kw_only=True, default=0)
    balance_error: float = field(kw_only=True, default=math.nan)
    tolerance: float = field(kw_only=True, default=math.nan)
    by_moments: bool = field(kw_only=True, default=False)
    accuracy: float = field(kw_only=True, default=math.nan)

    @property
    def decided(self) -> Decided | None:
        """What the beginning of the run has decided; None: not known."""
        if not self.start:
            return None
        tolerance = None if math.isnan(self.tolerance) else self.tolerance
        return Decided(tolerance, self.by_moments, self.accuracy)

    def origin(self, error: Callable[[], Estimate] | None) -> Origin:
        """Where its points come from, with what estimates errors."""
        return Origin(cast(Kind, self.start), self.chart_time, self.chart_end, error)


class _Flat(TypedDict):
    start: str
    chart_time: float
    chart_end: float
    tolerance: float
    by_moments: bool
    accuracy: float


def flat(made: Decided, origin: Origin) -> _Flat:
    """Both as parts of a state."""
    return {
        "start": origin.kind,
        "chart_time": origin.time,
        "chart_end": origin.end,
        "tolerance": math.nan if made.tolerance is None else made.tolerance,
        "by_moments": made.by_moments,
        "accuracy": made.accuracy,
    }
