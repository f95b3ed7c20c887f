"""What a mask is: which tokens a token sees, and the factors of their weights."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from meanfield.errors import InputError
from meanfield.geometry.sphere import Array

__all__ = ["Mask", "Seen", "Slices"]

_LEAST = 1e-300


class Seen(NamedTuple):
    """A mask for n tokens as compiled sums take it: f_ij = F_ij e^{-slope |i - j|} in a range.

    Attributes:
        first, stop: (n,) token i sees tokens first_i <= j < stop_i, or some of these.
        slope: >= 0.
        log_factors: (n, n) log F_ij, -inf where a token is not seen; (0, 0): F = 1.
    """

    first: NDArray[np.int64]
    stop: NDArray[np.int64]
    slope: float
    log_factors: Array

    @classmethod
    def within(cls, first: NDArray[np.int64], stop: NDArray[np.int64], slope: float = 0.0) -> Seen:
        """All tokens in a range."""
        return cls(first, stop, slope, np.zeros((0, 0)))


class Slices(NamedTuple):
    """A mask for positions s in (0, 1] in M slices of the same length.

    Attributes:
        factors: (M, M) by which slice a sees slice b: f(s_a, s) averaged over the positions s of
            slice b, s_a the middle of slice a. So a causal mask sees half of its own slice.
        seen: (M, M) part of slice b that slice a sees.
    """

    factors: Array
    seen: Array


class Mask(ABC):
    """Which tokens each of n tokens sees, in their order."""

    @abstractmethod
    def seen(self, n: int) -> Seen:
        """As compiled sums take it: no (n, n) array where none is needed."""

    def refuse_number(self, n: int) -> None:
        """Refuse a number of tokens that it is not for.

        Raises:
            InputError: it is one.
        """
        return  # any

    def slices(self, number: int) -> Slices:
        """The same for a density by position s in (0, 1], the limit of labels i/n, in slices.

        Raises:
            InputError: it has no such limit, or is of another number.
        """
        raise InputError(
            f"mask: {self.describe()} found for a density by position, where a number of tokens is "
            "no length; expected causal, alibi or a matrix of slices"
        )

    @abstractmethod
    def describe(self) -> str:
        """A few words."""

    def factors(self, n: int) -> Array:
        """(n, n) factors f_ij >= 0 of the weight by which token i sees token j."""
        self.refuse_number(n)
        first, stop, slope, log_factors = self.seen(n)
        i, j = np.arange(n)[:, None], np.arange(n)[None, :]
        # Who is seen stays so, however small the factor: usa divides by their number.
        near = np.maximum(np.exp(-slope * np.abs(i - j)), _LEAST)
        found = np.where((j >= first[:, None]) & (j < stop[:, None]), near, 0.0)
        return found * np.exp(log_factors) if log_factors.size else found
