"""What moves mass along the edges of a space: drops made of the field's rows.

Owns how the rows of ``AnyField.along_edges`` become drops, and the one constant potential that
makes the field of the uniform measure exact. Knows a space and fields; not how mass is moved.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from meanfield.dynamics.drops import edge_drops, edge_factors
from meanfield.dynamics.linear import EdgeSystem
from meanfield.dynamics.space import P1Space
from meanfield.geometry.sphere import Array
from meanfield.interaction.contract import AnyInteraction

__all__ = ["Drift", "EdgeDrift"]


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


class EdgeDrift:
    """Makes drifts along edges of rows of ``AnyField.along_edges``; linear in them.

    Where the rows are no potential alone, the trapezoidal rule leaves an imprint of the mesh on the
    uniform state, of relative size h^2, though X may be a mere rotation. It is taken away, once for
    each interaction (and left where that changes all the time): with the field X of the uniform
    measure, its drops u and the divergence delta_i = sum_j c_ij u_ij that the edges give it, the
    potential p of

        sum_j c_ij (p_i - p_j) = w_i div X - delta_i

    is added with a minus sign to every drift, from then on the edges find w_i div X.

    Args:
        space: the finite-element space.
        interaction: whose fields they are.
    """

    def __init__(self, space: P1Space, interaction: AnyInteraction) -> None:
        self._space = space
        self._alone = interaction.has_potential
        self._rows = int(interaction.has_gradient)
        self._level: Array = np.empty(0)
        if not self._alone:
            self._points = np.ascontiguousarray(space.points.T)
            self._factor = edge_factors(space.stars.neighbour, space.points)

    def of(self, rows: Array) -> Drift:
        """The drift of rows (c, n_local)."""
        n = self._space.n_owned
        if self._alone:
            return Drift(rows[0], np.empty((0, n)))
        xi: Array = self._level
        if self._rows:
            xi = rows[0] + xi if xi.size else np.ascontiguousarray(rows[0])
        velocity = np.ascontiguousarray(rows[self._rows :])
        drops = np.empty((self._space.stars.neighbour.shape[0], n))
        edge_drops(self._space.stars.neighbour, self._factor, self._points, xi, velocity, drops)
        return Drift(np.empty(0), drops)

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
        """Make the drift of the uniform measure exact. Collective.

        Args:
            rows: (c, n_local) of its field.
            weights, divergence: (n_owned,) nodal weights, and div X of its field.

        Raises:
            BrokenInvariantError: the linear system was not solved. On every rank.
        """
        space = self._space
        missing = weights * divergence
        missing -= np.sum(space.stars.coefficient * self.of(rows).drops, axis=0)
        (total,) = space.sum(float(np.sum(missing)))  # 0 but for what the weights leave
        missing -= weights * total
        (largest,) = space.max(float(np.max(np.abs(missing), initial=0.0)))
        if largest > 0.0:
            p = EdgeSystem(space, weights).potential(missing)
            self._level = -space.with_ghosts(p)
