"""Diffusion whose kappa depends on time: at each time a ``Diffusion``.

Knows values in time and numbers; nothing of densities and of steps.
"""

from __future__ import annotations

import math
from functools import cached_property

from meanfield.arguments import checked_arguments
from meanfield.checks import as_found
from meanfield.errors import InputError
from meanfield.geometry.sphere import Array
from meanfield.interaction.diffusion import Diffusion
from meanfield.interaction.intime import EndlessPath, InTime, TableInTime, WaveInTime

__all__ = ["AnyDiffusion", "MovingDiffusion", "diffusion_of"]

_MOST = 1e300  # in place of infinity
_KNOWN = 1e-2  # relative: what the coarser rule for the mean of kappa may be off by


class MovingDiffusion:
    """kappa(t) int H(rho) dsigma in the free energy: see ``Diffusion``.

    Args:
        kappa: a number in time, >= 0 at all times.
        exponent: m > 0, which stays; 1 is linear diffusion.
        local: kappa_2 of a local repulsion, which stays.

    Raises:
        InputError: numbers out of their range; of a function only when it is asked.
    """

    @checked_arguments
    def __init__(self, kappa: InTime, exponent: float = 1.0, local: float = 0.0) -> None:
        if kappa.shape != ():
            raise InputError(f"kappa: values of shape {kappa.shape} found, numbers expected")
        self._kappa, self.exponent, self.local = kappa, float(exponent), float(local)
        self._last = Diffusion(0.0, self.exponent, self.local)
        lowest = _lowest(kappa)
        if lowest < 0.0:
            raise InputError(f"kappa: values down to {lowest:.6g} found, numbers >= 0 expected")
        self.lowest = lowest
        """A bound on kappa from below."""
        self.at(0.0)

    @property
    def largest(self) -> float:
        """A bound on kappa over all times."""
        return self._kappa.largest

    @cached_property
    def widest(self) -> Diffusion:
        """As it is where kappa is largest."""
        return Diffusion(min(self.largest, _MOST), self.exponent, self.local)

    @property
    def acts(self) -> bool:
        """Whether there is any at some time."""
        return self.widest.acts

    def with_local(self, local: float) -> MovingDiffusion:
        """The same with so much more of a local repulsion."""
        return MovingDiffusion(self._kappa, self.exponent, self.local + local)

    @property
    def moves(self) -> bool:
        """Whether it depends on time."""
        return True

    @property
    def piecewise(self) -> bool:
        """Whether kappa is constant between its jumps."""
        return self._kappa.piecewise

    @property
    def is_linear(self) -> bool:
        """Whether its flux is kappa grad rho at all times."""
        return self.widest.is_linear

    @property
    def has_fronts(self) -> bool:
        """Whether a support spreads at finite speed, at all times."""
        return self.widest.has_fronts

    def specific_entropy(self, rho: Array) -> Array:
        """H(rho)/rho: see ``Diffusion``. The same at all times, also where kappa is 0."""
        return self.widest.specific_entropy(rho)

    def at(self, t: float) -> Diffusion:
        """The one at a time; the same object as long as kappa stays.

        Raises:
            InputError: a function whose value is below 0.
        """
        kappa = float(self._kappa.at(t))
        if kappa != self._last.kappa:
            if not 0.0 <= kappa < math.inf:
                raise InputError(f"kappa: {kappa:.6g} found at t = {t:g}, a number >= 0 expected")
            self._last = Diffusion(kappa, self.exponent, self.local)
        return self._last

    def mean(self, begin: float, end: float) -> float:
        """Of kappa between two times, by Simpson's rule; exact where it stays."""
        first, middle, last = (self.at(t).kappa for t in (begin, 0.5 * (begin + end), end))
        return middle if first == middle == last else (first + 4.0 * middle + last) / 6.0

    def longest(self, begin: float, end: float, most: float, small: float) -> float:
        """A step from ``begin``, at most to ``end``, in which kappa is known and not too large.

        Args:
            begin, end: of the longest step.
            most: of the integral of kappa over it, by the largest value that is met.
            small: such integrals need not be known.
        """
        dt = end - begin
        while True:
            quarters = [self.at(begin + k * (end - begin) / 4.0).kappa for k in range(4)]
            top = max(*quarters, self.at(end).kappa) * dt
            middle = 0.5 * (begin + end)
            fine = 0.5 * (self.mean(begin, middle) + self.mean(middle, end))
            wrong = abs(self.mean(begin, end) - fine)
            if top <= small or (top <= most and wrong <= _KNOWN * fine):
                return dt
            dt *= 0.5
            end = begin + dt

    def next_jump(self, t: float) -> float:
        """The first time after ``t`` at which kappa jumps, or has a kink."""
        return self._kappa.next_jump(t)


AnyDiffusion = Diffusion | MovingDiffusion
"""What solvers take: they ask the one ``at`` a time."""


def diffusion_of(given: AnyDiffusion | InTime | float, exponent: float = 1.0) -> AnyDiffusion:
    """As given; a number, or a number in time, is the kappa of one with this exponent.

    Raises:
        InputError: a number out of its range.
    """
    if isinstance(given, Diffusion | MovingDiffusion):
        return given
    if isinstance(given, InTime):
        return MovingDiffusion(given, exponent)
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise InputError(f"kappa: found {as_found(given)}, expected a number, also one in time")
    return Diffusion(float(given), exponent)


def _lowest(kappa: InTime) -> float:
    """The lowest of its values, where that is known beforehand; else 0."""
    if isinstance(kappa, TableInTime):
        return float(kappa.values.min())
    if isinstance(kappa, WaveInTime):
        return float(kappa.mean - abs(kappa.amplitude))
    if isinstance(kappa, EndlessPath):
        return float(kappa.mean + abs(kappa.mean) - kappa.largest)
    return 0.0
