"""What moves mass along the edges of a space: drops made of the field's rows.

Owns how the rows of ``AnyField.along_edges`` become drops, and the one potential that makes the
field of the uniform measure exact: a constant, or a row beside the others where the interaction
changes all the time. Knows a space and fields; not how mass is moved.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from meanfield.dynamics.drops import edge_drops, edge_factors
from meanfield.dynamics.laplacian import EdgeLaplacian
from meanfield.dynamics.space import P1Space
from meanfield.geometry.sphere import Array
from meanfield.interaction.contract import AnyInteraction

__all__ = ["Drift", "EdgeDrift"]

_ROUND_OFF = 4 * np.finfo(float).eps  # of what edges sum up to


class Drift(NamedTuple):
    """A drift along all edges: a potential, or else the drops u_ij themselves.

    Attributes:
        xi: (n_local,) the potential whose differences are the drops; empty: they are no
            differences, or of other things as well.
        drops: (K, n_owned) slot by slot, see ``Stars``; none, (0, n_owned): ``xi`` says it all.
    """

    xi: Array
    drops: Array

    @property
    def is_gradient(self) -> bool:
        """Whether mass can go round nowhere: all drops are differences."""
        return self.xi.size > 0

    def less(self, pressure: Array, neighbour: NDArray[np.int32]) -> Drift:
        """The same with the drops of a potential (n_local,) taken away.

        Args:
            pressure: the potential.
            neighbour: (K, n_owned) of the ``Stars``.
        """
        if self.is_gradient:
            return Drift(self.xi - pressure, self.drops)
        n = neighbour.shape[1]
        return Drift(self.xi, self.drops - (pressure[neighbour] - pressure[:n]))


class EdgeDrift:
    """Makes drifts along edges of rows of ``AnyField.along_edges``; linear in them.

    Where the rows are no potential alone, the trapezoidal rule leaves an imprint of the mesh on the
    uniform state, of relative size h^2, though X may be a mere rotation. It is taken away: with the
    field X of the uniform measure, its drops u and the divergence delta_i = sum_j c_ij u_ij that
    the edges give it, the potential p of

        sum_j c_ij (p_i - p_j) = w_i div X - delta_i

    is added with a minus sign to every drift, from then on the edges find w_i div X. This *level*
    is made once for each interaction; where that changes all the time it is one for each time, the
    last row of what drifts are made of, so that it is extrapolated as the others are.

    Args:
        space: the finite-element space.
        interaction: whose fields they are.

    Attributes:
        changes: whether the level changes all the time: the last row is that of the time.
    """

    def __init__(self, space: P1Space, interaction: AnyInteraction) -> None:
        self._space = space
        self._alone = interaction.has_potential
        self._rows = int(interaction.has_gradient)
        self._level: Array = np.empty(0)
        self._laplacian: EdgeLaplacian | None = None
        self.changes = not (self._alone or interaction.piecewise)
        if not self._alone:
            self._points = np.ascontiguousarray(space.points.T)
            self._factor = edge_factors(space.stars.neighbour, space.points)

    def of(self, rows: Array) -> Drift:
        """The drift of rows (c, n_local), the level of their time below them if it ``changes``."""
        n = self._space.n_owned
        if self._alone:
            return Drift(rows[0], np.empty((0, n)))
        level = rows[-1] if self.changes else self._level
        last = len(rows) - self.changes
        return Drift(np.empty(0), self._drops(rows[:last], level))

    def _drops(self, rows: Array, level: Array) -> Array:
        """(K, n_owned) of the rows of a field, and of a level; empty: without one."""
        stars, xi = self._space.stars, level
        if self._rows:
            xi = rows[0] + level if level.size else np.ascontiguousarray(rows[0])
        velocity = np.ascontiguousarray(rows[self._rows :])
        drops = np.empty(stars.neighbour.shape)
        edge_drops(stars.neighbour, self._factor, self._points, xi, velocity, drops)
        return drops

    def apart(self, rows: Array, other: Array, rho: Array) -> tuple[float, float]:
        """How far apart two drifts are, and the size of the first. Collective.

        Potentials: the largest difference, and the range. Rows of different kinds only compare by
        the drops, which move the mass: root mean squares over the mass (velocities). These take
        no notice of jumps at a few vertices of little mass, whose sums go from transforms, of a
        uniform part that is exact, to direct sums, of the mesh's, and back.

        Args:
            rows, other: (c, n_local).
            rho: (n_owned,) density.
        """
        space, n = self._space, self._space.n_owned
        if self._alone:
            xi = rows[0, :n]
            top, bottom, wrong = space.max(
                float(np.max(xi)), float(-np.min(xi)), float(np.max(np.abs(xi - other[0, :n])))
            )
            return wrong, top + bottom
        u = self.of(rows).drops
        change = self.of(other).drops - u
        (largest,) = space.max(float(np.max(np.abs(u), initial=0.0)))
        unit = largest if largest > 0.0 else 1.0  # squares of what usa makes are no doubles
        c = 0.5 * space.stars.coefficient  # each edge is met from both its ends
        wrong, size = space.sum(
            float(np.sum(c * (change / unit) ** 2, axis=0) @ rho),
            float(np.sum(c * (u / unit) ** 2, axis=0) @ rho),
        )
        return unit * math.sqrt(wrong), unit * math.sqrt(size)

    def settle(self, rows: Array, weights: Array, divergence: Array) -> None:
        """Make the drift of the uniform measure exact, from now on. Collective.

        The arguments and errors are those of ``level``.
        """
        self._level = self.level(rows, weights, divergence)
        self._laplacian = None  # it was needed once

    def level(self, rows: Array, weights: Array, divergence: Array) -> Array:
        """The potential (n_local,) that makes the drift of the uniform measure exact. Collective.

        It hangs on nothing but the arguments. 0 where they are exact to round-off.

        Args:
            rows: (c, n_local) of its field.
            weights, divergence: (n_owned,) nodal weights, and div X of its field.

        Raises:
            BrokenInvariantError: the linear system was not solved. On every rank.
        """
        space = self._space
        wanted, edges = weights * divergence, self._drops(rows, np.empty(0))
        edges *= space.stars.coefficient
        missing = wanted - np.sum(edges, axis=0)
        (total,) = space.sum(float(np.sum(missing)))  # 0 but for what the weights leave
        missing -= weights * total
        largest, terms = space.max(
            float(np.max(np.abs(missing), initial=0.0)),
            float(np.max(np.sum(np.abs(edges), axis=0) + np.abs(wanted), initial=0.0)),
        )
        if largest <= _ROUND_OFF * terms:
            return np.zeros(space.n_local)
        if self._laplacian is None:
            self._laplacian = EdgeLaplacian(space)
        p = self._laplacian.potential(missing)
        return np.array(space.with_ghosts(-p))
