"""ALiBi: weights times e^{-(lambda/n)|i - j|}, of j <= i where it is causal (arXiv 2605.09213)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from meanfield.arguments import checked_fields
from meanfield.errors import InputError
from meanfield.interaction.masks.base import Mask, Seen, Slices

__all__ = ["Alibi"]


@checked_fields
@dataclass(frozen=True)
class Alibi(Mask):
    """Weights that decay with the distance in the order of the tokens.

    Attributes:
        slope: lambda >= 0, over the whole length of the sequence; 0: no decay.
        causal: j <= i alone.

    Raises:
        InputError: a slope that is negative or no number.

    Example:
        >>> mf.Alibi(0.5).causal
        True
    """

    slope: float
    causal: bool = True

    def __post_init__(self) -> None:
        if not 0.0 <= self.slope < math.inf:
            raise InputError(f"slope = {self.slope:g} found, a finite number >= 0 expected")

    def seen(self, n: int) -> Seen:
        order = np.arange(n)
        stop = order + 1 if self.causal else np.full(n, n)
        return Seen.within(np.zeros(n, dtype=np.int64), stop, self.slope / n)

    def slices(self, number: int) -> Slices:
        apart = np.abs(np.subtract.outer(np.arange(number), np.arange(number)))
        step = self.slope / number  # of a slice
        factors = np.exp(-step * np.maximum(apart - 0.5, 0.0)) * _mean(step)
        seen = np.ones((number, number))
        np.fill_diagonal(factors, _mean(0.5 * step))  # e^{-lambda u} over half of the slice
        if self.causal:
            seen = np.tri(number) - 0.5 * np.eye(number)
            factors = factors * seen
        return Slices(factors, seen)

    def describe(self) -> str:
        return f"{'causal ' if self.causal else ''}ALiBi, slope {self.slope:g}"


def _mean(x: float) -> float:
    """Mean of e^{-u} over 0 <= u <= x."""
    return 1.0 if x == 0.0 else -math.expm1(-x) / x
