"""An explicit stage of a density on a space: the compiled sweep, its work space and its memory.

The room of limiters is made of the curvatures of log rho on the star of a vertex, which are known
only when all differences are: those of the stage before are taken, so that one pass over the edges
does. So they belong to the state of a run. Knows a space and drifts; nothing of fields and of time.
"""

from __future__ import annotations

import numpy as np

from meanfield.dynamics.density import log_of
from meanfield.dynamics.drift import Drift
from meanfield.dynamics.limiters import limiter
from meanfield.dynamics.slopes import star_slopes
from meanfield.dynamics.space import P1Space
from meanfield.dynamics.sweep import collect, emit, emit_to_halo
from meanfield.geometry.sphere import Array

__all__ = ["EdgeSweep"]


class EdgeSweep:
    """Euler steps along the edges of a space.

    Args:
        space: the finite-element space.
        weights: (n_owned,) nodal weights.
        scheme: name of the limiter.

    Attributes:
        rate: largest outflow rate of plain upwinding in the last stage of which it was asked, on
            this rank.
        curvature: (n_owned,) that of log rho in the last stage; None before the first one, and
            always with a limiter that does not ask for it. May be set, on all ranks.
    """

    def __init__(self, space: P1Space, weights: Array, scheme: str) -> None:
        self._space, self._weights, self._limiter = space, weights, limiter(scheme)
        n, width = space.n_owned, space.stars.neighbour.shape[0]
        self._flux = np.zeros(width * n + 1)
        self._outflow, self._outrate = np.zeros(n), np.zeros(n)
        self.rate = 0.0
        self.curvature: Array | None = None

    def euler(
        self, rho: Array, drift: Drift, dt: float, keep: float, old: Array, asked: bool
    ) -> Array:
        """keep old + (1 - keep) (rho after an Euler step of ``dt``), (n_owned,). Collective.

        ``asked``: whether its ``rate`` is to be known.
        """
        self._emit(rho, drift, dt, asked)
        stars, space = self._space.stars, self._space
        from_halo: Array = np.empty(0)
        if space.comm.size > 1:
            inflow = np.zeros(space.n_local)
            emit_to_halo(self._flux, stars.halo_slot, stars.halo_vertex, inflow)
            from_halo = space.add_from_ghosts(inflow)
        new = np.empty_like(rho)
        collect(
            stars.reverse, self._weights, rho, self._flux, self._outflow, from_halo, dt, keep, old,
            new,
        )  # fmt: skip
        return new

    def _emit(self, rho: Array, drift: Drift, dt: float, asked: bool) -> None:
        stars, space, limited = self._space.stars, self._space, self._limiter.active
        local = space.with_ghosts(rho)
        log_rho = log_of(local) if limited else local
        before = after = np.empty(0)
        curved = limited and self._limiter.curved
        if curved:
            before = space.with_ghosts(self._before(log_rho))
            after = np.empty(space.n_owned)
        emit(
            stars.neighbour, stars.coefficient, stars.tangent, stars.gram, self._weights, local,
            log_rho, drift.xi, drift.drops, dt, limited, self._limiter.address, before, after,
            self._flux, self._outflow, self._outrate if asked else self._outrate[:0],
        )  # fmt: skip
        if curved:
            self.curvature = after
        if asked:
            self.rate = float(np.max(self._outrate, initial=0.0))

    def _before(self, log_rho: Array) -> Array:
        """Curvatures of the stage before; of this log rho (n_local,) if there is none."""
        if self.curvature is not None:
            return self.curvature
        stars, own = self._space.stars, np.empty((5, self._space.n_owned))
        star_slopes(stars.neighbour, stars.tangent, stars.gram, log_rho, own)
        return own[4]
