"""New vertices where neighbours drift apart, with the whole history of the flow.

Owns which edges are too long, the moments of all stages of all steps, and the way of new vertices
through the fields of these. Knows nothing of how masses and points become those of a solver.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from meanfield.case.solvers import Lagrangian
from meanfield.dynamics.lagrangian.paths import located, rates_in
from meanfield.dynamics.rungekutta import Pair, try_step
from meanfield.geometry.mesh import IntArray, Mesh, mesh_edges
from meanfield.geometry.sphere import Array
from meanfield.interaction.contract import AnyInteraction, DarkPoints
from meanfield.interaction.measure import Measure

__all__ = ["PASSES", "REFINE_EVERY", "Refinement"]

REFINE_EVERY = 2
"""Steps between searches for edges that have become long."""
PASSES = 6
"""Halvings of one edge at such a time."""


class Refinement:
    """Which edges to halve, and where new vertices have got to.

    Args:
        options: where new vertices are inserted.
        pair: the method that steps are taken with.
        mesh: the initial mesh.

    Attributes:
        longest_edge: of the initial mesh, an angle.
        active: whether vertices may be inserted; until: when, and why, no more could be.
        error: largest change of the interaction's moments by inserting vertices so far.
    """

    def __init__(self, options: Lagrangian, pair: Pair, mesh: Mesh) -> None:
        self._options, self._pair, self._stages = options, pair, pair.b.size + 1
        edges = mesh_edges(mesh)
        self.longest_edge = float(np.max(_lengths(mesh.manifold.lift(mesh.points), edges)))
        self.active = options.refine
        self.until: tuple[float, str] | None = None
        self.error = 0.0
        self._history: list[Array] = []

    # ------------------------------------------------------------------ the history

    def remember(self, t: float, dt: float, moments: Sequence[Array | None]) -> None:
        """Keep the moments of the stages of a step from ``t``."""
        if not self.active:
            return
        known = [one for one in moments if one is not None]
        if len(known) != self._stages:
            self.too_few(t)
        else:
            self._history.append(np.concatenate([[t, dt], *known]))

    def stop(self, t: float, why: str) -> None:
        """Insert no more."""
        self.active, self._history = False, []
        self.until = (t, why)

    def too_few(self, t: float) -> None:
        """Insert no more: without moments there is nothing to follow."""
        self.stop(t, "so few points are left that they are summed directly")

    def history(self) -> Array:
        """(k, 2 + stages * coefficients) as in ``LagrangianState``."""
        return np.array(self._history) if self._history else np.zeros((0, 2))

    def restore(
        self, t: float, history: Array, until: tuple[float, str], model: AnyInteraction
    ) -> None:
        """Go on from a checkpoint; its ``until`` has the time nan where vertices may come."""
        self.until, self.active = None, self._options.refine
        self._history = []
        if not math.isnan(until[0]):
            # Its history is gone: what is inserted now would not have followed the flow.
            self.until, self.active = until, False
        steps = len(history)
        if history.shape[1] <= 2 or not steps:
            return
        self._history = list(history)
        if model.harmonics is None:
            return
        moments = model.earlier_moments(history[:, 2:].reshape(steps, self._stages, -1))
        if moments is None:
            self.stop(t, "the moments in its checkpoint are of another interaction")
        else:
            self._history = list(np.column_stack([history[:, :2], moments.reshape(steps, -1)]))

    # ------------------------------------------------------------------ new vertices

    def long_edges(self, mesh: Mesh, x: Array, mass: Array, t: float) -> IntArray | None:
        """Edges that have become long and carry mass; None: nothing is to be inserted.

        Args:
            mesh: the reference mesh.
            x: (n, k) where its vertices are now; mass: (n,) theirs.
            t: the time.
        """
        options = self._options
        edges = mesh_edges(mesh)
        carried = mass[edges].sum(axis=1)
        too_long = _lengths(x, edges) > options.refine_longest * self.longest_edge
        long = too_long & (carried > options.refine_mass)
        count = int(np.count_nonzero(long))
        if not self.active or count == 0:
            return None
        if mesh.n_vertices + count > options.refine_vertices:
            self.stop(t, f"{options.refine_vertices} vertices are the most allowed")
            return None
        return edges[long]

    def followed(self, x: Array, model: AnyInteraction) -> tuple[Array, Array] | None:
        """Where points that started at ``x`` are now, and how their log rho has changed.

        None where the moments that are kept do not tell the field: at dark points. ``model``
        should not count noise as such: steps are known, so that noise decides on none of them.
        """
        nobody = Measure(located(model, x[:0]), np.zeros(0))
        change: Array = np.zeros(len(x))
        dark = DarkPoints()
        for row in self._history:
            moments = iter(row[2:].reshape(self._stages, -1))
            t, dt = float(row[0]), float(row[1])
            last = math.nextafter(model.next_jump(t), -math.inf)  # the step has seen none later

            def rates(
                y: Array, t: float, moments: Iterator[Array] = moments, last: float = last
            ) -> Array:
                field = model.field_of_moments(next(moments), nobody, min(t, last), None)
                with np.errstate(all="ignore"):  # dark points
                    return rates_in(field, model.manifold, y, located(model, y), dark)

            trial = try_step(self._pair, rates, x, rates(x, t), t, dt, t + dt)
            if trial.x is None or dark.most:
                return None
            x, change = trial.x, change + trial.carried[:, 0]
        return x, change


def _lengths(x: Array, edges: IntArray) -> Array:
    """Angles between the ends of edges."""
    chord = np.linalg.norm(x[edges[:, 0]] - x[edges[:, 1]], axis=1)
    return 2.0 * np.arcsin(np.minimum(0.5 * chord, 1.0))
