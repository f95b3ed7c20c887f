"""Which points the vertices of characteristics are at, and what has collapsed into one.

Owns what is carried along: positions, masses, log rho. Each rank has a block of the points. Knows
nothing of meshes, and of fields only velocities.
"""

from __future__ import annotations

import numpy as np

from meanfield.collective import Communicator, joined, own_share
from meanfield.dynamics.clusters import IntArray, collapsed_groups, numbered_groups
from meanfield.geometry.sphere import Array

__all__ = ["Points"]


class Points:
    """One point of each group of vertices, in the order of their first ones.

    All arguments are those of all vertices, the same on every rank.

    Args:
        comm: ranks that share the points.
        mass: (n,).
        x: (n, k) unit vectors.
        log_rho: (n,).
        group: (n,) vertices with the same number are one point for good.

    Attributes:
        count: number of points; group: (n,) the one that each vertex is at.
        x: (m, k) this rank's points; masses: (m,) theirs.
    """

    def __init__(
        self, comm: Communicator, mass: Array, x: Array, log_rho: Array, group: IntArray
    ) -> None:
        self._comm, self._mass = comm, mass
        self.group, first = numbered_groups(group)
        self.count = first.size
        own = own_share(comm, self.count)
        self.x: Array = np.ascontiguousarray(x[first][own])
        self.masses: Array = np.bincount(self.group, weights=mass)[own]
        self._log_rho = log_rho  # at the vertices, when they got this group
        self._log_change: Array = np.zeros(len(self.x))  # since then, at this rank's points

    def move(self, x: Array, change: Array) -> None:
        """Take over new positions of this rank's points, and the change of their log rho."""
        self.x, self._log_change = x, self._log_change + change

    def at_vertices(self, own: Array) -> Array:
        """Values at all vertices, from those at this rank's points. Collective."""
        return joined(self._comm, own)[self.group]

    def positions(self) -> Array:
        """(n, k) unit vectors of all vertices. Collective."""
        return self.at_vertices(self.x)

    def log_density(self) -> Array:
        """(n,) log rho at all vertices. Collective."""
        return self._log_rho + self.at_vertices(self._log_change)

    def merged(self, v: Array, radius: float) -> tuple[Points, float] | None:
        """Points of what has collapsed, and the sum of masses times squared distances moved.

        Collective; the same on every rank. None: nothing has.

        Args:
            v: (m, k) velocities of this rank's points.
            radius: largest distance from their mean at which points become one.
        """
        x, masses = joined(self._comm, self.x), joined(self._comm, self.masses)
        found = collapsed_groups(x, masses, joined(self._comm, v), radius)
        if found is None:
            return None
        group, centre = found
        moved = float(np.dot(masses, np.sum((x - centre) ** 2, axis=1)))
        at, group = centre[self.group], group[self.group]
        return Points(self._comm, self._mass, at, self.log_density(), group), moved
