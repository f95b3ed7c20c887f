"""The potential of a point charge, U = log or a power of the distance to a point.

A P1 density knows U at its vertices only, and at a charge there is none. What is exact there: the
mean of U over the vertex's own cell, so that integrals of U are those of the point charge; a charge
spread evenly over the cell has that value at its centre, and in d = 3, with the logarithm, the same
U outside (Gauss). States at rest are exact without: nothing is left where the charge is, and what
is nowhere has no drop to feel, as long as U there is above that of the edge of the hole.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from meanfield.arguments import checked_arguments
from meanfield.geometry.sphere import Array
from meanfield.interaction.drifts.base import Drift
from meanfield.interaction.drifts.perceptron import Activation, Ridges
from meanfield.interaction.drifts.potential import Direction, Potential, of_one_time, unit
from meanfield.options import Angle, Field, Pure, options

__all__ = ["ChargePotential"]


@options("model.potential", kw_only=True)
class ChargePotential(Potential):
    """U = -strength log |x - at|, or strength |x - at|^{-exponent}: a charge of the kind of tokens.

    Within ``core`` of it U goes on straight in <at, x>, without a kink: in d = 3 with the logarithm
    that of a charge spread evenly over this cap. Where the charge is at a vertex, half the distance
    to the next ones makes U there its mean over the vertex's own cell.

    Example:
        >>> mf.ChargePotential(at=[0.0, 0.0, 1.0], strength=0.25).strength
        0.25
    """

    at: Direction = Field(examples=[[0.0, 0.0, 1.0]])
    """Where, d numbers of any length."""
    exponent: Pure = Field(default=0.0, ge=0.0, le=20.0)
    """0: the logarithm; else that of 1/distance, as of the kernel "riesz"."""
    core: Angle = Field(default=1e-2, ge=1e-4, le=1.0)
    """Angle (radians) within which U has no singularity."""
    type: Literal["charge"] = "charge"

    @checked_arguments
    def on(self, d: int) -> Drift:
        of_one_time(self)
        a = unit(self.at, d, "at")[None]
        inner = 2.0 * math.sin(0.5 * self.core) ** 2
        function = _force(self.exponent, inner)
        return _Charge(a, self.strength * a.T, np.zeros(1), function, "charge", inner)


@dataclass(frozen=True, eq=False)
class _Charge(Ridges):
    """A charge; ``inner``: of 1 - <at, x>, below which U is straight."""

    inner: float = 0.0

    def _extreme(self, function: Callable[[Array], Array]) -> Array:
        """It is steepest, and most bent, at the rim of the core."""
        rim = function(np.array([[1.0 - self.inner * (1.0 + 1e-9)]]))
        return np.maximum(super()._extreme(function), np.abs(rim[0]))

    @property
    def rate(self) -> float:
        """Of the tangential velocity, along meridians and across them, at the rim of the core."""
        t = np.array([1.0 - self.inner * (1.0 + 1e-9)])
        bent = np.abs(self.function.slope(t)) * (1.0 - t * t) + np.abs(self.function.value(t))
        return float(np.linalg.norm(self.outputs) * bent[0])


def _force(s: float, inner: float) -> Activation:
    """d f/d u, u = 1 - t, of f = -log sqrt(2u) (s = 0) or (2u)^{-s/2}; constant below ``inner``."""
    half = 0.5 * s
    first, bend = (1.0, 2.0) if s == 0.0 else (s, s * (s + 2.0))

    def value(t: Array) -> Array:
        return np.asarray(-first * (2.0 * np.maximum(1.0 - t, inner)) ** (-half - 1.0))

    def slope(t: Array) -> Array:
        u = 1.0 - t
        bent = bend * (2.0 * np.maximum(u, inner)) ** (-half - 2.0)
        return np.where(u >= inner, -bent, 0.0)

    def integral(t: Array) -> Array:
        u = np.maximum(1.0 - t, inner)
        far = -0.5 * np.log(2.0 * u) if s == 0.0 else (2.0 * u) ** -half
        return np.asarray(-far - value(t) * (1.0 - t - u))

    return Activation(value, slope, integral)
