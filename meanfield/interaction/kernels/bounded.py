"""Bounded confidence: agents attract each other within an angle (Hegselmann and Krause 2002)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from meanfield.geometry.sphere import Array
from meanfield.interaction.funkhecke import project
from meanfield.interaction.kernels.base import Kernel

__all__ = ["BoundedConfidence"]


@dataclass(frozen=True, kw_only=True)
class BoundedConfidence(Kernel):
    """W = width log(1 + e^{(t - c)/width}): (t - c)_+, smoothed; W' = 1/(1 + e^{(c - t)/width}).

    Attributes:
        c: cosine of the angle of confidence, between -1 and 1.
        width: of the smooth edge, in t; 0.002 to 1.
    """

    c: float
    width: float = 0.05

    name = "bounded-confidence"

    def check(self) -> None:
        self._number("c", -1.0, 1.0)
        self._number("width", 0.002, 1.0)

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
