"""Outputs of a kernel e^{beta <x, y>} with their derivatives by transforms.

N = int y e^{beta <x, y>} dmu = grad q + Z_t x with Z_t = int <x, y> e^{beta <x, y>} dmu. Both are
series in the moments of mu: by Funk-Hecke, t P_l being a sum of two P, Z_t has the coefficients

    (l lam_{l-1} + (l + d - 2) lam_{l+1})/(2 l + d - 2),   lam_1 for l = 0.

Along the sphere N moves by (hess q + Z_t) w + x <grad Z_t - grad q, w> with a tangent w.
"""

from __future__ import annotations

import numpy as np

from meanfield.geometry.manifolds import Harmonics, Located
from meanfield.geometry.sphere import Array
from meanfield.interaction.anyfield import Output
from meanfield.interaction.zonal import Zonal

__all__ = ["expanded_pull", "radial_coefficients"]


def radial_coefficients(model: Zonal, degree: int) -> Array:
    """(degree + 1,) lam_l of t e^{beta t}, scaled as those of e^{beta t}."""
    lam, d = model.expansion.coefficients(degree + 1), model.d
    l = np.arange(1.0, degree + 1)
    out = np.empty(degree + 1)
    out[0] = lam[1]
    out[1:] = (l * lam[:-2] + (l + d - 2) * lam[2:]) / (2.0 * l + d - 2)
    return out


def expanded_pull(
    model: Zonal, harmonics: Harmonics, moments: Array, at: Located, gradient: Array
) -> Output:
    """N and its derivative, scaled, from the moments of mu and grad q at some points (n, d)."""
    x = at.points
    coefficients = moments * radial_coefficients(model, harmonics.degree)[harmonics.degrees]
    radial = harmonics.values(coefficients, at)
    slope = harmonics.hessian(moments * model.multiplier, at)
    slope += radial[:, None, None] * (np.eye(model.d) - np.einsum("ni,nj->nij", x, x))
    up = harmonics.gradient(coefficients, at) - gradient
    slope += np.einsum("ni,nj->nij", x, up)
    return Output(gradient + radial[:, None] * x, slope)
