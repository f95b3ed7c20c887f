"""Attention as the kernels of ensembles take it: numbers and matrices, no classes of kernels.

The velocity of token i among n of equal mass, with the scores s_ij = beta <x_i, x_j>, or those of a
head, s_ij = <A x_i, x_j>:

    sa    X_i = P_{x_i} ( sum_j f_ij e^{s_ij} V x_j / sum_j f_ij e^{s_ij} )
    usa   X_i = P_{x_i} ( sum_j f_ij e^{s_ij} V x_j / c_i )

f is the mask (one without), c_i the number of tokens that token i sees.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from meanfield.errors import InputError
from meanfield.geometry.sphere import Array

__all__ = ["MOST_BETA", "BatchedHead", "BatchedModel", "scaled_mask"]

MOST_BETA = 300.0
"""|beta| up to which weights of all tokens are numbers with a common scale."""


@dataclass(frozen=True, eq=False)
class BatchedHead:
    """One head with any matrices.

    Attributes:
        A: (d, d), scores are <A x_i, x_j>: beta K^T Q.
        V: (d, d).
    """

    A: Array
    V: Array


@dataclass(frozen=True, eq=False)
class BatchedModel:
    """Attention of n tokens on S^{d-1}, of equal mass.

    Attributes:
        n, d: number of tokens, dimension.
        normalised: sa (True) or usa.
        beta: inverse temperature, where there are no heads.
        value: V = value I, 1 or -1, where there are no heads.
        heads: with any matrices; they add up. Empty: beta and value tell all.
        mask: (n, n) factors f_ij >= 0, token i sees j; None: all are one. Each token sees one.
    """

    n: int
    d: int
    normalised: bool
    beta: float = 0.0
    value: int = 1
    heads: tuple[BatchedHead, ...] = ()
    mask: Array | None = None

    def __post_init__(self) -> None:
        if self.n < 1 or self.d < 2:
            raise InputError(f"n = {self.n}, d = {self.d} found, n >= 1 and d >= 2 expected")
        if not abs(self.beta) <= MOST_BETA:
            raise InputError(f"beta = {self.beta:g} found, |beta| <= {MOST_BETA:g} expected")
        if self.value not in (1, -1):
            raise InputError(f"value = {self.value:g} found, 1 or -1 expected")
        for k, head in enumerate(self.heads):
            for name in ("A", "V"):
                found = np.asarray(getattr(head, name))
                if found.shape != (self.d, self.d) or not np.all(np.isfinite(found)):
                    raise InputError(
                        f"heads[{k}].{name}: an array of shape {found.shape} found, finite numbers "
                        f"({self.d}, {self.d}) expected"
                    )
        if self.mask is not None:
            mask = np.asarray(self.mask)
            if mask.shape != (self.n, self.n) or not (
                np.all(np.isfinite(mask)) and np.all(mask >= 0.0) and np.all(mask.any(axis=1))
            ):
                raise InputError(
                    f"mask: an array of shape {mask.shape} found, ({self.n}, {self.n}) finite "
                    "factors >= 0 expected, one above 0 in each row"
                )


def scaled_mask(model: BatchedModel) -> Array:
    """The mask of a model that has one; for sa each row over its largest factor."""
    mask = np.asarray(model.mask, dtype=np.float64)
    return mask / mask.max(axis=1, keepdims=True) if model.normalised else mask
