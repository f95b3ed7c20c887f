"""The view of narrow Gaussians: see ``view``."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np

from meanfield.analysis.columns.tokenview import TokenView
from meanfield.analysis.columns.view import Totals
from meanfield.dynamics.gaussians import GaussianSolver
from meanfield.geometry.mesh import IntArray

__all__ = ["GaussianView"]


class GaussianView(TokenView):
    """Of Gaussians: a density, whose moments are those of the points that they are summed at.

    Args:
        solver: with the state.
        labels: gives the group (n,) of each point.
    """

    def __init__(self, solver: GaussianSolver, labels: Callable[[], IntArray]) -> None:
        super().__init__(solver, labels)
        self.gaussians = solver
        falls = solver.interaction.energy_kind == "gradient"
        free = {"free energy"} if falls else set()
        self.offers = self.offers | {"gaussians", "entropy", "noise"} | free

    def _totals_of(self) -> Totals:
        return super()._totals_of()._replace(entropy=self.gaussians.entropy())

    @cached_property
    def variances(self) -> tuple[float, float]:
        """The smallest and the largest of all Gaussians that have mass."""
        found = self.gaussians.variances[self.gaussians.masses > 0.0]
        return float(np.min(found)), float(np.max(found))

    @cached_property
    def nonaffine(self) -> float:
        """The largest share of the field within one that has mass, which is not affine."""
        return float(np.max(self.gaussians.nonaffine()[self.gaussians.masses > 0.0]))
