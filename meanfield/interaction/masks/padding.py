"""Padding: the tokens beyond a number are seen by none; they see the others (encoders)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from meanfield.arguments import checked_fields
from meanfield.errors import InputError
from meanfield.interaction.masks.base import Mask, Seen

__all__ = ["Padding"]


@checked_fields
@dataclass(frozen=True)
class Padding(Mask):
    """j < length.

    Attributes:
        length: number >= 1 of tokens that are seen, the first ones.

    Raises:
        InputError: no token is seen.

    Example:
        >>> mf.Padding(10).length
        10
    """

    length: int

    def __post_init__(self) -> None:
        if self.length < 1:
            raise InputError(f"length = {self.length} found, a whole number >= 1 expected")

    def refuse_number(self, n: int) -> None:
        if n < self.length:
            raise InputError(f"mask: {self.length} tokens that are seen found among {n}")

    def seen(self, n: int) -> Seen:
        self.refuse_number(n)
        return Seen.within(np.zeros(n, dtype=np.int64), np.full(n, self.length))

    def describe(self) -> str:
        return f"padding after {self.length} tokens"
