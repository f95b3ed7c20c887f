"""The series of a kernel on S^{d-1}: where it ends, what is left out, and the signs of its terms.

Knows a kernel and a dimension; nothing of measures.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal, NamedTuple

import numpy as np

from meanfield.errors import InputError
from meanfield.geometry.sphere import Array, harmonic_dimension
from meanfield.interaction.kernels.base import Kernel

__all__ = ["Convexity", "Expansion", "Truncation", "expansion_of"]

Convexity = Literal["positive", "negative", "mixed"]

_LONGEST = 512  # degrees looked at for the end of a series that is not known in closed form
_NOTHING = 1e-13  # potential over the largest coefficient, below which its shares say nothing
_ROUND_OFF = 1e-14  # of the largest term: signs below say nothing


class Truncation(NamedTuple):
    """What is kept of a series.

    Attributes:
        degree: largest degree L.
        exact: whether the rest is below the tolerance asked for.
        tail: sqrt(sum_{l > L} dim(H_l) lam_l^2): a bound on the error of a potential over the
            L^2(sigma) norm of the density (0 if exact).
    """

    degree: int
    exact: bool
    tail: float


@dataclass(frozen=True)
class Expansion:
    """A kernel's Funk-Hecke coefficients on S^{d-1}, all scaled by e^{-log_scale}.

    Raises:
        InputError: d < 2.
    """

    kernel: Kernel
    d: int

    def __post_init__(self) -> None:
        if self.d < 2:
            raise InputError(f"d = {self.d} found, a dimension of at least 2 expected")

    @cached_property
    def lam0(self) -> float:
        """lam_0: the scaled W * sigma."""
        return float(self.kernel.lam(0, self.d)[0])

    def coefficients(self, degree: int) -> Array:
        """lam_l for l = 0..degree."""
        return self.kernel.lam(degree, self.d)

    def multipliers(self, degree: int) -> Array:
        """lam_l/unit for l >= 1 and 0 for l = 0: of the potential q = (Z - lam_0 M)/unit."""
        return self.kernel.multipliers(degree, self.d)

    @cached_property
    def _long(self) -> tuple[Array, Array]:
        """lam_l and dim(H_l) as far as one looks (and as dimensions are doubles)."""
        with np.errstate(over="ignore"):
            dimension = harmonic_dimension(_LONGEST, self.d)
        most = int(np.count_nonzero(dimension < 1e150)) - 1
        return self.coefficients(most), dimension[: most + 1]

    def degree(self, tolerance: float) -> int | None:
        """Smallest L >= 1 with sum_{l > L} dim(H_l) |lam_l| (1 + l) <= tolerance; None: none.

        The factor 1 + l makes it hold for the gradient too.
        """
        known = self.kernel.degree(tolerance, self.d)
        if known is not None:
            return max(1, known)
        if not self.kernel.smooth:
            return None
        lam, dimension = self._long
        terms = dimension * np.abs(lam) * (1.0 + np.arange(lam.size))
        tails = np.concatenate([np.cumsum(terms[::-1])[::-1][1:], [0.0]])
        if np.any(terms[-8:] > 1e-3 * tolerance):
            return None  # not seen to end
        return max(1, int(np.flatnonzero(tails <= tolerance)[0]))

    def tail(self, degree: int) -> float:
        """sqrt(sum_{l > degree} dim(H_l) lam_l^2), the rest by its decay."""
        lam, dimension = self._long
        terms = dimension * lam**2
        rest = float(np.sum(terms[degree + 1 :]))
        # Beyond what was looked at: like l^-p, p from the last octave.
        far = float(np.sum(terms[len(terms) // 2 :]))
        near = float(np.sum(terms[len(terms) // 4 : len(terms) // 2]))
        if 0.0 < far < near:
            rest += far * far / (near - far)
        elif far >= near > 0.0:
            return math.inf
        return math.sqrt(rest)

    def decreasing(self, gain: float) -> bool:
        """Whether gain lam_l < 0 for all l >= 1, ever smaller in size, as far as one looks."""
        terms = gain * self._long[0][1:]
        return bool(np.all(terms < 0.0) and np.all(np.diff(terms) > 0.0))

    def truncation(self, tolerance: float, most: int | None) -> Truncation | None:
        """What to keep, at most to degree ``most``; None: without a limit there is no end."""
        wanted = self.degree(tolerance)
        if wanted is not None and (most is None or wanted <= most or not self.kernel.capped):
            return Truncation(wanted, True, 0.0)
        if most is None:
            return None
        return Truncation(most, False, self.tail(most))

    def last_share(self, power: Array) -> float:
        """Share of the last quarter of the degrees in a potential.

        sum |lam_l| sqrt(dim H_l) |a_l| over those over that over all l >= 1; 0 for next to nothing.

        Args:
            power: (L + 1,) squared norms of the moments of each degree.
        """
        degree = power.size - 1
        lam = np.abs(self.multipliers(degree))
        size = lam * np.sqrt(harmonic_dimension(degree, self.d) * power)
        total = float(np.sum(size))
        if total <= _NOTHING * float(np.max(lam, initial=0.0)):
            return 0.0
        return float(np.sum(size[math.ceil(0.75 * size.size) :])) / total

    def signs(self, gain: float) -> Convexity:
        """Signs of gain lam_l/unit, l >= 1, those that count."""
        degree = self.degree(1e-12)
        terms = gain * self.multipliers(degree if degree is not None else 128)
        noise = _ROUND_OFF * float(np.max(np.abs(terms), initial=0.0))
        if np.all(terms >= -noise):
            return "positive"
        return "negative" if np.all(terms <= noise) else "mixed"

    @cached_property
    def sharpness(self) -> float:
        """1/width^2 of the smallest cluster that the kernel makes."""
        known = self.kernel.sharpness(self.d)
        if known is not None:
            return known
        lam, dimension = (values[1:65] for values in self._long)
        l = np.arange(1.0, lam.size + 1)
        power = dimension * lam**2
        total = float(np.sum(power))
        if total == 0.0:
            return 1.0
        return 1.0 + float(np.sum(power * l * (l + self.d - 2))) / (total * (self.d - 1))


@lru_cache(maxsize=256)
def expansion_of(kernel: Kernel, d: int) -> Expansion:
    """The expansion, kept: its coefficients may have taken an integral each."""
    return Expansion(kernel, d)
