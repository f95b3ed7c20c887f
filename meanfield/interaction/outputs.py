"""Outputs of attention before they are projected, for tokens of any length: sums over pairs.

sa: A_i = V sum_j m_j e^{beta <x_i, x_j>} x_j / Z_i;  usa: without Z_i
"""

from __future__ import annotations

import numpy as np

from meanfield.errors import InputError
from meanfield.geometry.sphere import Array
from meanfield.interaction.direct import pair_sums
from meanfield.interaction.kernels.exponential import Exponential
from meanfield.interaction.zonal import Zonal

__all__ = ["zonal_outputs"]


def zonal_outputs(model: Zonal, x: Array, weights: Array) -> Array:
    """Of a kernel e^{beta <x, y>} with either link, (n, d).

    Raises:
        InputError: another kernel.
    """
    kernel = model.kernel
    if not isinstance(kernel, Exponential):
        raise InputError(
            f"outputs before their projection: none of {model.describe()}, expected sa or usa"
        )
    sums = pair_sums(x, x, weights, kernel.beta)
    if model.link == "log":
        return np.asarray(model.gain * sums.zy / sums.z[:, None])
    return np.asarray(model.gain * np.exp(sums.log_scale)[:, None] * sums.zy)
