"""A local window: token i sees the tokens with |i - j| <= k."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from meanfield.arguments import checked_fields
from meanfield.errors import InputError
from meanfield.interaction.masks.base import Mask, Seen

__all__ = ["Window"]


@checked_fields
@dataclass(frozen=True)
class Window(Mask):
    """|i - j| <= width.

    Attributes:
        width: k >= 0; 0: each token sees itself alone.
        causal: of these, only j <= i.

    Raises:
        InputError: a negative width.

    Example:
        >>> mf.Window(8, causal=True).describe()
        'causal window of 8'
    """

    width: int
    causal: bool = False

    def __post_init__(self) -> None:
        if self.width < 0:
            raise InputError(f"width = {self.width} found, a whole number >= 0 expected")

    def seen(self, n: int) -> Seen:
        order, width = np.arange(n), min(self.width, n)
        ahead = 0 if self.causal else width
        return Seen.within(np.maximum(order - width, 0), np.minimum(order + ahead + 1, n))

    def describe(self) -> str:
        return f"{'causal ' if self.causal else ''}window of {self.width}"
