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

import numpy as np

from meanfield.geometry.sphere import Array

__all__ = ["beta_parameters", "brownian_step"]


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
    n, d = x.shape
    if tau == 0.0 or n == 0:
        return x.copy()
    if d == 2:
        theta = rng.normal(0.0, math.sqrt(2.0 * tau), n)
        cosine, sine = np.cos(theta), np.sin(theta)
        direction = np.column_stack([-x[:, 1], x[:, 0]])
    else:
        s = rng.beta(*beta_parameters(tau, d), n)
        cosine, sine = 1.0 - 2.0 * s, 2.0 * np.sqrt(s * (1.0 - s))
        direction = rng.standard_normal((n, d))
        direction -= np.einsum("ij,ij->i", x, direction)[:, None] * x
        sine /= np.sqrt(np.einsum("ij,ij->i", direction, direction))
    direction *= sine[:, None]
    direction += cosine[:, None] * x
    direction /= np.sqrt(np.einsum("ij,ij->i", direction, direction))[:, None]
    return direction
