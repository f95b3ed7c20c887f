"""Bounded confidence: agents attract each other within an angle (Hegselmann and Krause 2002)."""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy import special

from meanfield.geometry.sphere import Array
from meanfield.interaction.funkhecke import project
from meanfield.interaction.kernels.base import Kernel
from meanfield.options import Field, Pure, options

__all__ = ["BoundedConfidence"]


@options("model.interaction", kw_only=True)
class BoundedConfidence(Kernel):
    """W = width log(1 + e^{(t - c)/width}): (t - c)_+, smoothed; W' = 1/(1 + e^{(c - t)/width}).

    Example:
        >>> mf.BoundedConfidence(c=0.7, width=0.05).describe()
        'bounded-confidence, c = 0.7, width = 0.05'
    """

    c: Pure = Field(ge=-1.0, le=1.0, examples=[0.7])
    """Cosine of the angle of confidence."""
    width: Pure = Field(default=0.05, ge=0.002, le=1.0)
    """Of the smooth edge, in t."""
    type: Literal["bounded-confidence"] = "bounded-confidence"

    def _edges(self) -> tuple[float, ...]:
        marks = (self.c + k * self.width for k in (-8.0, -2.0, 0.0, 2.0, 8.0))
        return tuple(mark for mark in marks if -1.0 < mark < 1.0)

    def lam(self, degree: int, d: int) -> Array:
        return project(lambda t, u: self.w(t, u, d), degree, d, self._edges(), levels=24)

    def w(self, t: Array, u: Array, d: int) -> Array:
        return self.width * np.logaddexp(0.0, (t - self.c) / self.width)

    def dw(self, t: Array, u: Array, d: int) -> Array:
        return np.asarray(special.expit((t - self.c) / self.width))

    def ddw(self, t: Array, u: Array, d: int) -> Array:
        within = self.dw(t, u, d)
        return within * (1.0 - within) / self.width
