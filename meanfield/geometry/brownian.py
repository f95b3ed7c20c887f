"""Brownian motion on S^{d-1} in steps of any size.

A step turns each point by a random angle theta in a uniform direction. The law of theta is chosen
by what the heat semigroup does to harmonics, E f(x_tau) = e^{-l(l+d-2) tau} f(x) for degree l:

* d = 2: theta is normal with variance 2 tau: exact.
* d >= 3: s = (1 - cos theta)/2 has the Beta law with the exact mean and variance, so that degrees
  1 and 2 decay exactly for any tau. Both limits are exact, too: Gamma((d-1)/2) of scale tau as
  tau -> 0 (the tangent plane) and Beta((d-1)/2, (d-1)/2) as tau -> infinity (the uniform law).
  Its third moment is exact to leading order, so that degrees l >= 3 are wrong by O(tau^4) a step:
  weak order 3. (The usual step along exp_x of a Gaussian tangent vector has weak order 1.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from meanfield.geometry.sphere import Array

__all__ = ["beta_parameters", "brownian_step", "brownian_steps", "common_step"]

_STILL = 1e-40  # time whose motion no double shows


def beta_parameters(tau: float, d: int) -> tuple[float, float]:
    """Parameters of the Beta law of s = (1 - cos theta)/2 after a time ``tau`` > 0 (kappa = 1).

    Its mean is that of degree 1, E cos theta = e^{-(d-1) tau}, its variance that of degree 2,
    E cos^2 theta = (1 + (d-1) e^{-2 d tau})/d.
    """
    k = d - 1
    mean = -0.5 * math.expm1(-k * tau)
    if d * tau < 0.1:  # the first two orders in tau cancel: the rest of the series
        variance = 0.0
        for j in range(14, 1, -1):
            weight = k * float(d) ** (j - 1) - float(k) ** j
            variance += weight * (-2.0 * tau) ** j / math.factorial(j)
    else:
        variance = (1.0 + k * math.exp(-2.0 * d * tau)) / d - math.exp(-2.0 * k * tau)
    variance *= 0.25
    size = mean * (1.0 - mean) / variance - 1.0
    return mean * size, (1.0 - mean) * size


def brownian_step(x: Array, tau: float, rng: np.random.Generator) -> Array:
    """Move unit vectors (n, d) by independent Brownian motions with generator Laplace-Beltrami.

    Args:
        x: (n, d) unit vectors.
        tau: kappa times the time, >= 0.
        rng: source of randomness; a given state of it gives the same result whatever the threads.

    Returns:
        (n, d) unit vectors.
    """
    return brownian_steps(x[None], [tau], [rng])[0]


def brownian_steps(
    x: Array, taus: Sequence[float], sources: Sequence[np.random.Generator]
) -> Array:
    """The same for R systems of n tokens, each with its own time and its own source.

    Args:
        x: (R, n, d) unit vectors.
        taus: R numbers, kappa times the time, >= 0.
        sources: R sources of randomness; what a system becomes hangs on its own alone.

    Returns:
        (R, n, d) unit vectors.
    """
    number, n, d = x.shape
    if n == 0 or not any(taus):
        return x.copy()
    turns, direction = np.zeros((number, n)), np.zeros(x.shape)
    laws: dict[float, tuple[float, float]] = {}
    taus = [tau if tau > _STILL else 0.0 for tau in taus]
    for k, (tau, rng) in enumerate(zip(taus, sources, strict=True)):
        if tau == 0.0:
            continue
        if d == 2:
            turns[k] = rng.normal(0.0, math.sqrt(2.0 * tau), n)
        else:
            if tau not in laws:
                laws[tau] = beta_parameters(tau, d)
            turns[k] = rng.beta(*laws[tau], n)
            direction[k] = rng.standard_normal((n, d))
    out = _turned(x.reshape(-1, d), turns.reshape(-1), direction.reshape(-1, d)).reshape(x.shape)
    still = np.array([tau == 0.0 for tau in taus])
    out[still] = x[still]
    return out


def _turned(x: Array, turn: Array, direction: Array) -> Array:
    """Unit vectors (m, d) turned by angles (d = 2) or by s (m,) towards directions (m, d)."""
    if x.shape[1] == 2:
        cosine, sine = np.cos(turn), np.sin(turn)
        direction = np.column_stack([-x[:, 1], x[:, 0]])
    else:
        cosine, sine = 1.0 - 2.0 * turn, 2.0 * np.sqrt(turn * (1.0 - turn))
        direction -= np.einsum("ij,ij->i", x, direction)[:, None] * x
        size = np.einsum("ij,ij->i", direction, direction)
        sine /= np.sqrt(np.where(size > 0.0, size, 1.0))  # none where nothing moves
    direction *= sine[:, None]
    direction += cosine[:, None] * x
    direction /= np.sqrt(np.einsum("ij,ij->i", direction, direction))[:, None]
    return direction


def common_step(x: Array, w: Array, backward: Array) -> Array:
    """Move all tokens of a system by one noise of the space, P_x w: a step of weak order 2.

    The flow of P_x e_k is a boost along e_k: with x = u/t, |u| = t, it turns (t, u_k) by hyperbolic
    functions and leaves the other coordinates alone, so that no length is lost. The flows for the
    coordinates of w follow each other in their order or against it, each with probability 1/2
    (Ninomiya and Victoir 2008), as they do not commute.

    Args:
        x: (R, n, d) unit vectors.
        w: (R, d) increments, normal of variance 2 kappa_0 dt.
        backward: (R,) whether against the order.

    Returns:
        (R, n, d) unit vectors.
    """
    order = np.where(backward[:, None], np.arange(x.shape[2])[::-1], np.arange(x.shape[2]))
    rows = np.arange(len(x))
    u, t = x.copy(), np.ones(x.shape[:2])
    for k in order.T:
        along, by = u[rows, :, k], w[rows, k][:, None]
        c, s = np.cosh(by), np.sinh(by)
        u[rows, :, k], t = c * along + s * t, c * t + s * along
    u /= np.sqrt(np.einsum("rij,rij->ri", u, u))[:, :, None]
    return u
