"""Kernels of every kind, which the tests of sums, of solvers and of states at rest try."""

from __future__ import annotations

import math

import numpy as np

from meanfield.geometry.sphere import Array
from meanfield.interaction.kernels import (
    BoundedConfidence,
    Exponential,
    FunctionKernel,
    Gaussian,
    Kernel,
    Log,
    MaierSaupe,
    Onsager,
    Power,
    Riesz,
    Series,
)


def waves(t: Array) -> Array:
    """A smooth W from Python."""
    return np.sin(3.0 * t) + 0.5 * t**4


def hat(angle: Array) -> Array:
    """A kink in the angle."""
    return np.maximum(1.0 - angle, 0.0)


SMOOTH: dict[str, Kernel] = {
    "exponential": Exponential(beta=4.0, strength=0.5),
    "repulsive": Exponential(beta=-3.0, strength=-1.0),
    "power-3": Power(k=3),
    "power-8": Power(k=8, strength=-2.0),
    "maier-saupe": MaierSaupe(),
    "gaussian": Gaussian(width=0.3),
    "bounded-confidence": BoundedConfidence(c=0.2, width=0.15),
    "series": Series(coefficients=(0.3, 0.2, -0.1, 0.05)),
    "legendre": Series(legendre=(1.0, 0.4, 0.0, 0.2)),
    "function": FunctionKernel(function=waves),
    "linear-log": Series(legendre=(1.2, 1.0), link="log"),
    "gaussian-log": Gaussian(width=1.0, strength=0.3, link="log"),
    "exponential-log": Exponential(beta=3.0, strength=1.0 / 3.0, link="log"),
}
ROUGH: dict[str, Kernel] = {
    "onsager": Onsager(),
    "onsager-.8": Onsager(s=0.8),
    "log": Log(strength=-1.0),
    "riesz": Riesz(s=0.5),
    "gaussian-kink": Gaussian(width=1.0),
    "hat": FunctionKernel(function=hat, argument="angle", breaks=(math.cos(1.0),)),
}
EVERY = SMOOTH | ROUGH

ONE_OF_EACH: dict[str, Kernel] = {
    "exponential": Exponential(beta=2.0),
    "power": SMOOTH["power-3"],
    "maier-saupe": SMOOTH["maier-saupe"],
    "onsager": ROUGH["onsager"],
    "log": ROUGH["log"],  # attractive, it is ill-posed without noise
    "riesz": Riesz(s=0.5, strength=-1.0),
    "series": Series(coefficients=(0.0, 0.3, 0.2, -0.1)),
    "gaussian": Gaussian(width=0.4),
    "bounded-confidence": SMOOTH["bounded-confidence"],
    "function": SMOOTH["function"],
}
"""One of each type, by its name, with which a density moves."""
