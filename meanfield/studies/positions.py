"""A density by position, as a comparison keeps it: its vertices, and the whole on a fixed mesh."""

from __future__ import annotations

import numpy as np

from meanfield.analysis.evaluate import log_density_at
from meanfield.dynamics.lagrangian import SlicedSolver
from meanfield.geometry.mesh import Mesh
from meanfield.geometry.sphere import Array
from meanfield.results.comparison import StoredSlices

__all__ = ["KeptSlices"]

_LOG_MOST = 690.0  # log of the largest density that is told


class KeptSlices:
    """Vertices of all slices, state by state."""

    def __init__(self) -> None:
        self._x: list[Array] = []
        self._mass: Array | None = None

    def keep(self, solver: SlicedSolver, mesh: Mesh) -> Array:
        """Keep a state; gives the density (n,) of the whole at the vertices of a mesh."""
        by = solver.of_slices
        x, log_rho, mass = by(solver.positions()), by(solver.log_density()), by(solver.mass)
        self._x.append(x.copy())
        self._mass = mass.copy()
        whole = np.zeros(mesh.n_vertices)
        for own, values, m in zip(x, log_rho, mass, strict=True):
            moved = Mesh(mesh.geometry, mesh.d, own, mesh.cells)
            found = log_density_at(moved, values, m * solver.slices, mesh.points)
            whole += np.exp(np.minimum(found, _LOG_MOST)) / solver.slices
        return whole

    def stored(self, count: int) -> StoredSlices | None:
        """The first so many states; None: none was kept."""
        if self._mass is None:
            return None
        return StoredSlices(np.array(self._x[:count]), self._mass)
