"""Rates of exchange between neighbours: what steps with linear diffusion are made of.

Owns the limited edge fluxes of a density in a drift, linear in the new density. Knows a space
and arrays; nothing of interactions and of time.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from meanfield.dynamics.density import log_of
from meanfield.dynamics.drift import Drift
from meanfield.dynamics.fluxes import exchange_rates, exchanged
from meanfield.dynamics.limiters import limiter
from meanfield.dynamics.linear import Rates
from meanfield.dynamics.slopes import star_rooms, star_slopes
from meanfield.dynamics.space import P1Space
from meanfield.geometry.sphere import Array

__all__ = ["Exchange"]


class Exchange:
    """Rates between neighbours on a space.

    Args:
        space: the finite-element space.
        weights: (n_owned,) nodal weights.
        scheme: name of the limiter.
        most: that the limited density of an edge may be, over the upwind one.
    """

    def __init__(self, space: P1Space, weights: Array, scheme: str, most: float = math.inf) -> None:
        self._space, self._weights, self._most = space, weights, most
        self._limiter = limiter(scheme)
        self._back = _back_tangents(space)

    def rates(self, drift: Drift, rho: Array, kappa: float) -> Rates:
        """Those of a drift with diffusion, limited by ``rho`` (n_owned,). Collective."""
        space, stars, n = self._space, self._space.stars, self._space.n_owned
        limited = self._limiter.active
        log_rho: Array = np.zeros(0)
        slopes: Array = np.zeros((5, 0))
        if limited:
            log_rho = log_of(space.with_ghosts(rho))
            slopes = self._slopes(log_rho)
        arriving, leaving = np.empty(stars.coefficient.shape), np.empty(n)
        exchange_rates(
            stars.neighbour, stars.coefficient, stars.tangent, self._back, drift.xi, drift.drops,
            kappa, limited, self._limiter.address, self._most, log_rho, slopes, arriving, leaving,
        )  # fmt: skip
        (fastest,) = space.max(float(np.max(leaving / self._weights, initial=0.0)))
        order = None
        if kappa == 0.0 and space.comm.size == 1 and drift.is_gradient:
            order = np.argsort(drift.xi, kind="stable")
        return Rates(arriving, leaving, order, fastest)

    def _slopes(self, log_rho: Array) -> Array:
        """What the limiter asks of the stars of all local vertices, (5, n_local). Collective."""
        space, stars = self._space, self._space.stars
        own = np.empty((5, space.n_owned))
        star_slopes(stars.neighbour, stars.tangent, stars.gram, log_rho, own)
        curvature, own[4] = own[4].copy(), 0.0
        if self._limiter.curved:
            star_rooms(stars.neighbour, space.with_ghosts(curvature), own[4])
        if space.n_local == space.n_owned and space.comm.size == 1:
            return own
        return np.stack([space.with_ghosts(row) for row in own])

    def step(self, rho: Array, rates: Rates, dt: float, keep: float, old: Array) -> Array:
        """An explicit stage at known rates, see ``stepping.Stage``. Collective."""
        new = np.empty_like(rho)
        exchanged(
            self._space.stars.neighbour, rates.arriving, rates.leaving, self._weights,
            self._space.with_ghosts(rho), dt, keep, old, new,
        )  # fmt: skip
        return new


def _back_tangents(space: P1Space) -> NDArray[np.float32]:
    """Tangents of all edges in the stars, seen from the neighbour: (K, 2, n_owned) float32."""
    neighbour = space.stars.neighbour
    back = np.zeros((neighbour.shape[0], 2, space.n_owned), dtype=np.float32)
    own = np.arange(space.n_owned)
    for k in range(neighbour.shape[0]):
        real = neighbour[k] != own
        there, here = space.points[neighbour[k, real]], space.points[own[real]]
        back[k][:, real] = space.manifold.tangents(there, here).T
    return back
