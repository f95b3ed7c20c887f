"""W = e^{-theta^2/(2 width^2)} of the geodesic distance theta: swarming on the sphere."""

from __future__ import annotations

from typing import Literal

import numpy as np

from meanfield.geometry.sphere import Array
from meanfield.interaction.funkhecke import angles_of, project
from meanfield.interaction.kernels.base import Kernel
from meanfield.options import Angle, Field, options

__all__ = ["Gaussian"]


@options("model.interaction", kw_only=True)
class Gaussian(Kernel):
    """W = e^{-theta^2/(2 width^2)}, theta the angle between x and y.

    At theta = pi its slope does not vanish (e^{-pi^2/(2 width^2)}): a kink at the antipode, which
    for a width up to 0.35 or so is below round-off.

    Example:
        >>> mf.Gaussian(width=0.35).describe()
        'gaussian, width = 0.35'
    """

    width: Angle = Field(ge=0.005, le=10.0, examples=[0.5])
    """Standard deviation, an angle."""
    type: Literal["gaussian"] = "gaussian"

    far = 1.0

    def lam(self, degree: int, d: int) -> Array:
        return project(lambda t, u: self.w(t, u, d), degree, d)

    def w(self, t: Array, u: Array, d: int) -> Array:
        return np.asarray(np.exp(-0.5 * (angles_of(u) / self.width) ** 2))

    def dw(self, t: Array, u: Array, d: int) -> Array:
        return self.w(t, u, d) * _slow(u) / self.width**2

    def ddw(self, t: Array, u: Array, d: int) -> Array:
        # W' = W g/w^2, g = theta/sin theta; d theta/dt = -1/sin theta, dg/dt = (g t - 1)/sin^2.
        g, square = _slow(u), u * (2.0 - u)
        small = square < 1e-4
        safe = np.where(small, 1.0, square)
        bend = np.where(small, 1.0 / 3.0 + 4.0 * u / 15.0, (1.0 - g * t) / safe)
        bend = np.where(small & (t < 0.0), np.inf, bend)
        return self.w(t, u, d) * (g * g / self.width**2 - bend) / self.width**2


def _slow(u: Array) -> Array:
    """theta/sin theta: 1 at 0, inf at pi."""
    sine = np.sqrt(u * (2.0 - u))
    with np.errstate(divide="ignore"):
        return np.where(u < 1e-14, 1.0, angles_of(u) / np.where(u < 1e-14, 1.0, sine))
