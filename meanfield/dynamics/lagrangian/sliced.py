"""Characteristics of a density by position: each of M slices is a copy of the mesh, which moves.

The points are M blocks of vertices, slice 0 first; each slice has the mass 1/M, and log rho is that
of its own density, of mass one. One process. Vertices are not joined to others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from meanfield.case.solvers import Lagrangian
from meanfield.collective import Communicator
from meanfield.dynamics.lagrangian.solver import LagrangianSolver
from meanfield.dynamics.lagrangian.start import Start, start_of
from meanfield.errors import InputError
from meanfield.geometry.mesh import Mesh
from meanfield.geometry.sphere import Array
from meanfield.interaction.contract import AnyInteraction

__all__ = ["SlicedSolver"]

Density = Callable[[Array], Array]


class SlicedSolver(LagrangianSolver):
    """Advance the densities of all slices along their characteristics.

    Args:
        interaction: of measures in as many blocks as there are slices.
        mesh: the initial mesh of each slice.
        densities: for each slice, its initial density as for ``LagrangianSolver``.
        options: tolerances.
        comm: one process.
        t: initial time.

    Attributes:
        slices: M.
        one: the initial mesh of a slice; ``reference`` is M copies of it.
        positions_of_slices: (M,) the middle s of each slice.
        mass: (n,) of all vertices, sum one; all others are those of ``LagrangianSolver``.

    Raises:
        InputError: as for ``LagrangianSolver``; several ranks.
    """

    keeps_history = False  # fields hang on the moments of every slice

    def __init__(
        self,
        interaction: AnyInteraction,
        mesh: Mesh,
        densities: Sequence[Density],
        *,
        options: Lagrangian | None = None,
        comm: Communicator | None = None,
        t: float = 0.0,
    ) -> None:
        if comm is not None and comm.size > 1:
            raise InputError(f"{comm.size} processes found, one expected for slices of positions")
        self.slices, self.one, self._densities = len(densities), mesh, tuple(densities)
        self.positions_of_slices = (np.arange(self.slices) + 0.5) / self.slices
        whole = _copies(mesh, self.slices)
        super().__init__(interaction, whole, densities[0], options=options, comm=comm, t=t)

    def _weigh(self, density: Density, start: Start | None) -> Array:
        degree, count = self.interaction.degree(1e-6), self.one.n_vertices
        first = start_of(self.one, self._densities[0], count, degree, self.comm)
        starts = [first, *(first.with_density(self.one, of) for of in self._densities[1:])]
        self.weights = np.tile(first.weights, self.slices) / self.slices
        self.mass = np.concatenate([start.mass for start in starts]) / self.slices
        self.balanced_degree, self.balance_error = first.balanced_degree, first.balance_error
        self.initial_mass_error = max((start.mass_error for start in starts), key=abs)
        return np.concatenate([start.rho for start in starts])

    def _merge(self) -> None:
        """Not at all: blocks stay as they are."""

    def of_slices(self, values: Array) -> Array:
        """Values at all vertices (n, ...) by slices, (M, n/M, ...)."""
        return values.reshape(self.slices, -1, *values.shape[1:])


def _copies(mesh: Mesh, number: int) -> Mesh:
    """A mesh as many times, with vertices of their own."""
    shift = mesh.n_vertices * np.arange(number)
    cells = (mesh.cells[None] + shift[:, None, None]).reshape(-1, mesh.cells.shape[1])
    return Mesh(mesh.geometry, mesh.d, np.tile(mesh.points, (number, 1)), cells)
