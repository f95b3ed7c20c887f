"""One layer of attention on equiangular tokens, in closed form (arXiv 2510.05554).

Layers are N(alpha x + gamma A(x)); A is softmax attention with Q = K = V = I. For many tokens with
beta = gamma log n there is a transition at gamma (1 - rho) = 1: below, a token sees all others
alike and all outputs are one (cosine 1); above, it sees itself alone and nothing changes (cosine
rho). At gamma (1 - rho) = 1 exactly its own weight is 1/2.
"""

from __future__ import annotations

import numpy as np

from meanfield.arguments import checked_arguments
from meanfield.errors import InputError
from meanfield.geometry.sphere import Array

__all__ = ["layer_cosine", "transition_cosine"]


@checked_arguments
def layer_cosine(
    cosine: float | Array,
    inverse_temperature: float | Array,
    n: int,
    residual: float = 0.0,
    step: float = 1.0,
) -> Array:
    """Cosine of equiangular tokens after one layer N(alpha x + gamma A(x)) of softmax attention.

    Args:
        cosine: of the tokens, -1/(n - 1) <= rho <= 1; of any shape.
        inverse_temperature: of any shape.
        n: number of tokens, >= 2.
        residual: alpha.
        step: gamma, of the layer.

    Returns:
        The cosine; of both shapes. nan: outputs are zero.

    Raises:
        InputError: no such tokens.
    """
    if n < 2:
        raise InputError(f"n: found {n}, expected 2 or more tokens")
    rho = np.asarray(cosine, dtype=np.float64)
    least = -1.0 / (n - 1.0)
    if not np.all((rho >= least * (1.0 + 1e-12)) & (rho <= 1.0)):
        raise InputError(f"cosine: found one outside of {least:.6g} to 1, expected those of tokens")
    # Weights relative to that of the others: e^{beta (1 - rho)} of itself, n - 1 ones.
    lead = np.asarray(inverse_temperature, dtype=np.float64) * (1.0 - rho)
    with np.errstate(over="ignore", invalid="ignore"):  # of the branch that is not taken
        other = 1.0 / (np.exp(lead) + (n - 1.0))
        own = -np.expm1(-lead) / (1.0 + (n - 1.0) * np.exp(-lead))  # its weight without ``other``
    own = np.where(lead >= 0.0, own, np.expm1(np.minimum(lead, 0.0)) * other)
    # An output is p x_i + q S with S the sum of all tokens.
    p, q = residual + step * own, step * other
    sum_one = 1.0 + (n - 1.0) * rho  # <x_i, S>, and |S|^2 / n
    common = 2.0 * p * q * sum_one + q * q * (n * sum_one)
    size = p * p + common  # of an output; round-off where its terms cancel
    terms = p * p + np.abs(2.0 * p * q * sum_one) + q * q * np.abs(n * sum_one)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = (p * p * rho + common) / size
    return np.where(size > 1e-14 * terms, found, np.nan)


@checked_arguments
def transition_cosine(cosine: float | Array, factor: float | Array) -> Array:
    """Its limit for many tokens, beta = gamma log n, alpha = 0: 1 below gamma (1 - rho) = 1, rho
    above.

    Args:
        cosine: 0 < rho < 1; of any shape.
        factor: gamma; of any shape.

    Returns:
        The cosine; 4 rho/(1 + 3 rho) where gamma (1 - rho) = 1.
    """
    rho, gamma = np.broadcast_arrays(
        np.asarray(cosine, dtype=np.float64), np.asarray(factor, dtype=np.float64)
    )
    reach = gamma * (1.0 - rho)
    # p = q n = 1/2: |y|^2 = (1 + 3 rho)/4, <y_i, y_j> = rho.
    at = 4.0 * rho / (1.0 + 3.0 * rho)
    return np.asarray(np.where(reach < 1.0, 1.0, np.where(reach > 1.0, rho, at)))
