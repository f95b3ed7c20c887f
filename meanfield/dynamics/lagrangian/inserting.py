"""What a solver of characteristics tells of the vertices that it inserts."""

from __future__ import annotations

from meanfield.dynamics.lagrangian.refinement import Refinement
from meanfield.geometry.mesh import Mesh

__all__ = ["Inserting"]


class Inserting:
    """Of a solver with a time, a reference mesh and a ``Refinement``."""

    t: float
    reference: Mesh
    _first_count: int
    _refinement: Refinement

    @property
    def n(self) -> int:
        """Number of vertices."""
        return self.reference.n_vertices

    @property
    def inserted(self) -> int:
        """Number of vertices inserted so far."""
        return self.n - self._first_count

    @property
    def longest_edge(self) -> float:
        """Of the initial mesh, an angle."""
        return self._refinement.longest_edge

    @property
    def refines(self) -> bool:
        """Whether vertices may still be inserted."""
        return self._refinement.active

    @property
    def refined_until(self) -> tuple[float, str] | None:
        """When, and why, no more vertices could be inserted."""
        return self._refinement.until

    def stop_inserting(self, why: str) -> None:
        """Insert no more vertices from now on."""
        self._refinement.stop(self.t, why)

    @property
    def insert_error(self) -> float:
        """Largest change of the interaction's moments by inserting vertices so far."""
        return self._refinement.error
