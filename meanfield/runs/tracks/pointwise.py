"""Characteristics whose density is written at the vertices of a mesh that stays."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from meanfield.case import Case
from meanfield.collective import joined, on_root, own_share
from meanfield.dynamics.lagrangian import LagrangianSolver
from meanfield.errors import InputError
from meanfield.geometry.mesh import Mesh, delaunay_weights
from meanfield.geometry.sphere import Array
from meanfield.runs.tracks.base import Track
from meanfield.runs.tracks.density import LOG_MOST, LagrangianTrack

__all__ = ["PointwiseTrack"]

_MISSED = 0.05  # of the mass, that the mesh misses or has too much, from which it is told


class PointwiseTrack(LagrangianTrack):
    """The density that the history of a run tells at the vertices of the case's mesh.

    Fields are those of a mesh that stays: masses, which the points carry, are not among them.

    Raises:
        InputError: the history does not tell it. On every rank.
    """

    moving = False
    _may_be_unknown = "rho", "log10_rho"
    _unknown_from: float | None = None
    _written_on = "fixed mesh"

    def __init__(self, case: Case, solver: LagrangianSolver, mesh: Mesh | None) -> None:
        if solver.density_until == -math.inf:
            raise InputError(
                f'output.mesh: found "fixed" with {solver.interaction.describe()}, whose field at '
                'any point is not told by the moments of one measure: expected "moving"'
            )
        placed = on_root(solver.comm, lambda: None if mesh is None else _weighted(mesh))
        assert placed is not None
        self._points, self._weights = placed
        super().__init__(case, solver, mesh)

    @property
    def _names(self) -> tuple[str, ...]:
        return self.case.output.fields

    def note(self) -> None:
        Track.note(self)
        self._note_share()

    def _gathered(self) -> Callable[[], tuple[Mapping[str, Array], Mesh | None]]:
        solver, points = self.solver, self._points
        log_rho = np.full(len(points), np.nan)
        if solver.t <= solver.density_until:
            log_rho = solver.log_density_at(points)
            self._note_mass(log_rho)
        if self._unknown_from is None and np.any(np.isnan(log_rho)):
            self._unknown_from = solver.t
        velocity: Array | None = None
        if "velocity" in self._names:
            own = points[own_share(solver.comm, len(points))]
            velocity = joined(solver.comm, solver.field().velocity(own))

        def fields() -> tuple[Mapping[str, Array], Mesh | None]:
            rho = np.exp(np.minimum(log_rho, LOG_MOST[self.case.output.precision]))
            values = {"rho": rho, "log10_rho": log_rho / math.log(10.0)}
            return values | ({} if velocity is None else {"velocity": velocity}), None

        return fields

    def _note_mass(self, log_rho: Array) -> None:
        """Note when the mesh first misses mass of this density."""
        if self._folded_from is None:
            rho = np.exp(np.minimum(log_rho, LOG_MOST["float64"]))
            implied = float(np.dot(self._weights, rho))
            if abs(implied - 1.0) > _MISSED:
                self._folded_from = self.solver.t, implied

    def outcome(self) -> tuple[dict[str, object], list[str]]:
        record, notes = super().outcome()
        if self._unknown_from is not None:
            record["rho_unknown_from"] = self._unknown_from
            notes.append(
                f"from t = {self._unknown_from:.4g} on, the density on the fixed mesh is not known "
                "everywhere (nan): points between those that are followed have ways along "
                'which the history does not tell it (output.mesh = "moving")'
            )
        return record, notes

    def remember(self, before: Mapping[str, object]) -> None:
        super().remember(before)
        if "rho_unknown_from" in before:
            self._unknown_from = self._earlier("rho_unknown_from")


def _weighted(mesh: Mesh) -> tuple[Array, Array]:
    """The vertices of a mesh, and the shares of the uniform probability that they stand for."""
    weights = delaunay_weights(mesh)[2]
    return mesh.points, weights / weights.sum()
