"""The view of a density by position: columns of the whole, which is the mean of its slices."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

from meanfield.analysis.columns.view import CharacteristicView
from meanfield.analysis.peaks import moved_clusters
from meanfield.dynamics.lagrangian import SlicedSolver

__all__ = ["SlicedView"]


class SlicedView(CharacteristicView):
    """Integrals over all slices; extremes are those of any slice, entropy the mean of theirs."""

    solver: SlicedSolver

    @cached_property
    def implied_mass(self) -> float:
        """Mean over the slices of what the density of each implies: see the other view."""
        return super().implied_mass / self.solver.slices

    @cached_property
    def clusters(self) -> int:
        """Number of peaks of the slice that has most."""
        solver = self.solver
        near, by = self.near, solver.of_slices
        each = zip(by(solver.moved_mesh().points), by(self._log_rho), by(solver.mass), strict=True)
        return max(
            moved_clusters(replace(solver.one, points=x), log_rho, m * solver.slices, near)
            for x, log_rho, m in each
        )
