"""A batch of sequences: tokens see those of their own sequence alone."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meanfield.arguments import checked_fields
from meanfield.errors import InputError
from meanfield.interaction.masks.base import Mask, Seen

__all__ = ["RandomSequences", "Sequences"]


class _Blocks(Mask):
    """Sequences, one after the other."""

    causal: bool

    @abstractmethod
    def lengths_of(self, n: int) -> NDArray[np.int64]:
        """Numbers of tokens of the sequences, with the sum n."""

    def seen(self, n: int) -> Seen:
        lengths = self.lengths_of(n)
        stop = np.repeat(np.cumsum(lengths), lengths)
        first = stop - np.repeat(lengths, lengths)
        return Seen.within(first, np.arange(n) + 1 if self.causal else stop)


@checked_fields
@dataclass(frozen=True)
class Sequences(_Blocks):
    """Sequences of given lengths.

    Attributes:
        lengths: number of tokens of each; one number: of all.
        causal: of a sequence, only j <= i.

    Raises:
        InputError: a length below 1, or none.

    Example:
        >>> mf.Sequences((3, 4)).lengths
        (3, 4)
    """

    lengths: tuple[int, ...] | int
    causal: bool = False

    def __post_init__(self) -> None:
        all_of = (self.lengths,) if isinstance(self.lengths, int) else self.lengths
        if not all_of or min(all_of) < 1:
            found = "none" if not all_of else str(min(all_of))
            raise InputError(f"lengths: {found} found, whole numbers >= 1 expected")

    def refuse_number(self, n: int) -> None:
        if isinstance(self.lengths, int):
            if n % self.lengths:
                raise InputError(
                    f"mask: sequences of {self.lengths} tokens found for {n} tokens, a multiple "
                    "of that expected"
                )
        elif n != sum(self.lengths):
            raise InputError(
                f"mask: {len(self.lengths)} sequences of {sum(self.lengths)} tokens in all found "
                f"for {n} tokens"
            )

    def lengths_of(self, n: int) -> NDArray[np.int64]:
        self.refuse_number(n)
        if isinstance(self.lengths, int):
            return np.full(n // self.lengths, self.lengths)
        return np.array(self.lengths, dtype=np.int64)

    def describe(self) -> str:
        of = self.lengths
        many = f"of {of}" if isinstance(of, int) else f"of {min(of)} to {max(of)}"
        return f"{'causal ' if self.causal else ''}sequences {many} tokens"


@checked_fields
@dataclass(frozen=True)
class RandomSequences(_Blocks):
    """Sequences of random lengths, uniform on low, ..., high; the last one takes what is left.

    Attributes:
        low, high: 1 <= low <= high.
        seed: of the lengths, >= 0; those of more tokens begin with those of fewer.
        causal: of a sequence, only j <= i.

    Raises:
        InputError: numbers out of their range.

    Example:
        >>> mf.RandomSequences(5, 10, seed=1).low
        5
    """

    low: int
    high: int
    seed: int = 0
    causal: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.low <= self.high:
            raise InputError(
                f"lengths: {self.low} to {self.high} found, whole numbers 1 <= low <= high expected"
            )
        if self.seed < 0:
            raise InputError(f"seed = {self.seed} found, a whole number >= 0 expected")

    def lengths_of(self, n: int) -> NDArray[np.int64]:
        drawn = np.random.default_rng(self.seed)
        most = n // self.low + 1
        ends = np.cumsum(drawn.integers(self.low, self.high, size=most, endpoint=True))
        ends = np.append(ends[ends < n], n)
        return np.diff(ends, prepend=0)

    def describe(self) -> str:
        kind = "causal " if self.causal else ""
        return f"{kind}sequences of {self.low} to {self.high} tokens"
