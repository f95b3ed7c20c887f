"""A density by position in slices: its field file has a copy of the mesh for each of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from meanfield.analysis.columns import View
from meanfield.analysis.columns.sliced import SlicedView
from meanfield.dynamics.lagrangian import SlicedSolver
from meanfield.geometry.mesh import Mesh
from meanfield.geometry.sphere import Array
from meanfield.runs.tracks.density import LagrangianTrack

__all__ = ["SlicedTrack"]


class SlicedTrack(LagrangianTrack):
    """Densities of slices on meshes that move with them.

    The file has the field ``position``, s of the slice that a vertex belongs to; ``rho`` is the
    density of that slice, ``mass`` its part of all.
    """

    solver: SlicedSolver

    def view(self) -> View:
        return SlicedView(self.solver)

    def implied_mass(self) -> float:
        return SlicedView(self.solver).implied_mass

    @property
    def _written_mesh(self) -> Mesh:
        return self.solver.reference

    @property
    def _names(self) -> tuple[str, ...]:
        return (*super()._names, "position")

    def _gathered(self) -> Callable[[], tuple[Mapping[str, Array], Mesh | None]]:
        gathered, solver = super()._gathered(), self.solver
        position = np.repeat(solver.positions_of_slices, solver.one.n_vertices)

        def fields() -> tuple[Mapping[str, Array], Mesh | None]:
            values, mesh = gathered()
            return {**values, "position": position}, mesh

        return fields

    def about(self) -> dict[str, object]:
        return {**super().about(), "slices": self.solver.slices}
