"""Tokens whose inner products are all the same: a simplex, turned at random."""

from __future__ import annotations

import math

import numpy as np
from scipy.linalg import helmert

from meanfield.errors import InputError
from meanfield.geometry.sphere import Array, normalize

__all__ = ["equiangular_tokens"]


def equiangular_tokens(n: int, d: int, cosine: float, rng: np.random.Generator) -> Array:
    """n unit vectors with <x_i, x_j> = cosine for all i != j, turned by a Haar rotation.

    They have the law of sqrt(rho) z_0 + sqrt(1 - rho) z_i with orthonormal z (arXiv 2510.05554),
    but need one dimension less, and cosines may be negative.

    Args:
        n: number of tokens, >= 1.
        d: dimension, >= n; n - 1 is enough for the cosine -1/(n - 1), a regular simplex.
        cosine: -1/(n - 1) <= cosine < 1.
        rng: of the rotation.

    Returns:
        (n, d).

    Raises:
        InputError: there are none such.
    """
    total = 1.0 + (n - 1.0) * cosine  # |sum of all|^2 / n
    flat = abs(total) <= 1e-12
    if not (cosine < 1.0 and (total > 0.0 or flat)):
        raise InputError(f"cosine {cosine:g} found, -1/(n - 1) to 1 expected for n = {n}")
    if d < (n - 1 if flat else n):
        raise InputError(f"d = {d} found, at least {n - 1 if flat else n} expected for n = {n}")
    if flat and n > 1:
        x = helmert(n).T * math.sqrt(1.0 - cosine)  # rows e_i - 1/n, in a basis of their span
    else:
        # a e_i + b (1, ..., 1): a^2 = 1 - rho from differences, (a + n b)^2 = total from the sum.
        a = math.sqrt(1.0 - cosine)
        x = a * np.eye(n) + (math.sqrt(total) - a) / n
    frame, r = np.linalg.qr(rng.standard_normal((d, x.shape[1])))
    frame *= np.where(np.diag(r) < 0.0, -1.0, 1.0)  # Haar: r with a positive diagonal
    return normalize(x @ frame.T)
