"""Diffusion of a density, linear or not: what F gains by it is kappa int H(rho) dsigma.

The flux is -kappa rho grad H'(rho), with

    H(rho) = (rho^m - rho)/(m (m - 1)),     H = rho log rho for m = 1;     H'' = rho^{m-2}

So d_t rho = ... + (kappa/m) Laplace rho^m: the porous-medium equation for m > 1, whose supports
spread at finite speed, and fast diffusion for m < 1. By this normalisation the uniform state,
rho = 1, has the same rates for every m: l(l + d - 2) kappa.

Beside it there may be a local repulsion, ``local`` times rho^2/2, whose flux is
-local rho grad rho: what the tail of a singular kernel acts like. Both together make one velocity;
H is that of kappa.

Knows numbers and arrays only. Solvers ask for what it says of a density, never for m.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from meanfield.arguments import checked_fields
from meanfield.errors import InputError
from meanfield.geometry.sphere import Array

__all__ = ["Diffusion"]

_NEAR_ONE = 1.1  # exponent up to which H' is told as (rho^{m-1} - 1)/(m - 1), which has a limit
_STEEPEST = 1e-14  # density below which H'' of 1 < m < 2 rises no more
_LOG_TINY = math.log(1e-300)
_NEXT_TO_NOTHING, _SPREAD = 1e-16, 1e-2
_DIGITS = 100.0  # decimal digits of the largest H'' of m <= 1


@checked_fields
@dataclass(frozen=True)
class Diffusion:
    """kappa int H(rho) dsigma in the free energy, and local/2 int (rho^2 - 1) dsigma.

    Attributes:
        kappa: diffusion, >= 0.
        exponent: m > 0; 1 is linear diffusion.
        local: kappa_2 >= 0 of a local repulsion.

    Raises:
        InputError: numbers out of their range.
    """

    kappa: float = 0.0
    exponent: float = 1.0
    local: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.kappa < math.inf:
            raise InputError(f"kappa = {self.kappa:g} found, a finite number >= 0 expected")
        if not 0.0 < self.exponent < math.inf:
            raise InputError(f"exponent = {self.exponent:g} found, a finite number > 0 expected")
        if not 0.0 <= self.local < math.inf:
            raise InputError(f"local = {self.local:g} found, a finite number >= 0 expected")

    # ---- time: see ``dynamics.movingdiffusion``

    @property
    def lowest(self) -> float:
        """Of kappa over all times."""
        return self.kappa

    @property
    def largest(self) -> float:
        """Of kappa over all times."""
        return self.kappa

    @property
    def moves(self) -> bool:
        """Whether it depends on time."""
        return False

    @property
    def piecewise(self) -> bool:
        """Whether nothing changes between its jumps."""
        return True

    def at(self, t: float) -> Diffusion:
        """The one at a time."""
        return self

    def with_local(self, local: float) -> Diffusion:
        """The same with so much more of a local repulsion."""
        return replace(self, local=self.local + local)

    def mean(self, begin: float, end: float) -> float:
        """Of kappa between two times."""
        return self.kappa

    def next_jump(self, t: float) -> float:
        """The first time after ``t`` at which it jumps: none."""
        return math.inf

    # ---- what it does to a density

    @property
    def acts(self) -> bool:
        """Whether there is any."""
        return self.kappa > 0.0 or self.local > 0.0

    @property
    def is_linear(self) -> bool:
        """Whether its flux is kappa grad rho, or there is none."""
        return self._has_logarithm and self.local == 0.0

    @property
    def has_fronts(self) -> bool:
        """Whether a support spreads at finite speed: the flux vanishes with the density."""
        return self.acts and self._lowest > 1.0

    @property
    def _has_logarithm(self) -> bool:
        """Whether H is rho log rho, as it is where there is none."""
        return self.exponent == 1.0 or self.kappa == 0.0

    @property
    def _lowest(self) -> float:
        """The exponent of what counts most where there is little."""
        if self.local == 0.0:
            return self.exponent
        return min(self.exponent, 2.0) if self.kappa > 0.0 else 2.0

    @property
    def smallest(self) -> float:
        """Density below which it is not told from this: 0, if H' is finite there."""
        m = self._lowest
        return 0.0 if m > 1.0 else 10.0 ** (-_DIGITS / (2.0 - m))

    @property
    def keeps(self) -> float:
        """Share of a density that one Newton step leaves at least: 0, if H'' is finite at 0."""
        return 0.0 if self._lowest >= 2.0 else 0.05

    def begun(self, rho: Array) -> Array:
        """Where Newton's method begins its search for the density that follows on this one.

        Fast diffusion fills empty places in any time. There the search begins above what it will
        find, which it gets down to by way of ``keeps``: from below it would multiply a density by
        (2 - m)/(1 - m) a step.
        """
        return rho if self._lowest > 1.0 else np.where(rho < _NEXT_TO_NOTHING, _SPREAD, rho)

    def entropy(self, rho: Array) -> Array:
        """H(rho) of densities >= 0."""
        return rho * self.specific_entropy(rho)

    def specific_entropy(self, rho: Array) -> Array:
        """H(rho)/rho, an entropy for each mass; log rho for m = 1. 0 where nothing is."""
        log_rho = np.log(np.where(rho > 0.0, rho, 1.0))
        if self._has_logarithm:
            return log_rho
        a = self.exponent - 1.0
        return np.expm1(a * np.maximum(log_rho, _LOG_TINY)) / (a * self.exponent)

    def pressure(self, rho: Array) -> Array:
        """kappa H'(rho) + local rho, up to a constant, of densities >= 0."""
        if self.local == 0.0:
            return self.kappa * self._slope(rho)
        if self.kappa == 0.0:
            return self.local * rho
        return self.kappa * self._slope(rho) + self.local * rho

    def stiffness(self, rho: Array) -> Array:
        """kappa H''(rho) + local, finite, of densities >= 0."""
        if self.kappa == 0.0:
            return np.full_like(rho, self.local)
        m = self.exponent
        if m == 2.0:
            return np.full_like(rho, self.kappa + self.local)
        floor = self.smallest if m <= 1.0 else (_STEEPEST if m < 2.0 else 0.0)
        return self.kappa * np.maximum(rho, floor) ** (m - 2.0) + self.local

    def mobility(self, rho: Array) -> Array:
        """rho times ``stiffness``: the coefficient in a flux -mobility grad rho."""
        found = self.local * rho
        if self.kappa > 0.0:
            found += self.kappa * np.maximum(rho, self.smallest) ** (self.exponent - 1.0)
        return found

    def _slope(self, rho: Array) -> Array:
        """H'(rho), up to a constant."""
        a = self.exponent - 1.0
        if a == 0.0:
            return np.log(np.maximum(rho, self.smallest))
        if self.exponent > _NEAR_ONE:
            return rho**a / a
        with np.errstate(divide="ignore"):
            return np.expm1(a * np.log(np.maximum(rho, self.smallest))) / a
