"""Attention as the kernels of ensembles take it: numbers and matrices, no classes of kernels.

The velocity of token i among n of equal mass, with the scores s_ij = beta <x_i, x_j>, or those of a
head, s_ij = <A x_i, x_j>:

    sa    X_i = P_{x_i} ( sum_j f_ij e^{s_ij} V x_j / sum_j f_ij e^{s_ij} )
    usa   X_i = P_{x_i} ( sum_j f_ij e^{s_ij} V x_j / c_i )

f is the mask (one without), c_i the number of tokens that token i sees.
"""

from __future__ import annotations

from dataclasses import dataclass

from meanfield.geometry.sphere import Array

__all__ = ["BatchedHead", "BatchedModel"]


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
