"""The causal mask: token i sees the tokens j <= i (decoders; arXiv 2411.04990)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from meanfield.interaction.masks.base import Mask, Seen, Slices

__all__ = ["Causal"]


@dataclass(frozen=True)
class Causal(Mask):
    """j <= i.

    Example:
        >>> model = mf.Model(attention='sa', beta=4.0, mask={'type': 'causal'})  # in a case
        >>> model.describe()
        'sa, beta = 4, V = +I, causal'
        >>> mf.Causal().describe()
        'causal'
    """

    def seen(self, n: int) -> Seen:
        order = np.arange(n)
        return Seen.within(np.zeros(n, dtype=np.int64), order + 1)

    def slices(self, number: int) -> Slices:
        factors = np.tri(number) - 0.5 * np.eye(number)
        return Slices(factors, factors)

    def describe(self) -> str:
        return "causal"
