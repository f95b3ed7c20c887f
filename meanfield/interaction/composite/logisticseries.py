"""Heads with logistic weights on S^2 by spherical harmonics: s(<A x, y> + b), and log(1 + e^{..}).

The matrix between harmonics of ``sphere``, whose kernel at |A x| = r is s(r t + b): any zonal one
has the same blocks. Its coefficients are integrals over t, by Gauss's rule, as the kernel is
analytic in t and its series ends at the accuracy that is asked for.
"""

from __future__ import annotations

from functools import lru_cache
from weakref import WeakKeyDictionary

import numpy as np

from meanfield.geometry.sphere import Array
from meanfield.interaction.composite.logistic import logistic, logistic_degree, softplus
from meanfield.interaction.composite.matrices import HeadMatrices
from meanfield.interaction.composite.sphere import SphereHead

__all__ = ["LogisticHead", "has_logistic_series", "logistic_heads"]

_LARGEST = 90  # degree up to which the matrix is made: 70 MB


class LogisticHead(SphereHead):
    """A head with the kernel s, or its antiderivative.

    Args:
        head: the matrices.
        bias: b.
        degree: of the series.
        slope: s; else log(1 + e^t).
    """

    def __init__(self, head: HeadMatrices, bias: float, degree: int, slope: bool) -> None:
        self.head, self.degree = head, degree
        self._bias, self._function = bias, logistic if slope else softplus

    def radial_series(self, r: Array) -> Array:
        """(n, degree + 1) of the kernel at |A x| = r, (n,)."""
        t, weights = _rule(self.degree, logistic_degree(self.head.size, self._bias, 1e-16))
        return np.asarray(self._function(np.outer(r, t) + self._bias) @ weights)


@lru_cache(maxsize=16)
def _rule(degree: int, other: int) -> tuple[Array, Array]:
    """Nodes t (q,), and (q, degree + 1) weights of int f P_l dt/2 for f of the degree ``other``."""
    t, weights = np.polynomial.legendre.leggauss((degree + other) // 2 + 1)
    return t, 0.5 * weights[:, None] * np.polynomial.legendre.legvander(t, degree)


_KNOWN: WeakKeyDictionary[
    HeadMatrices, dict[tuple[float, int], tuple[LogisticHead, LogisticHead]]
] = WeakKeyDictionary()


def has_logistic_series(head: HeadMatrices, degree: int, lasting: bool = True) -> bool:
    """Whether its matrix is small enough and serves for more than a moment, or none is needed."""
    return head.frames.is_round or (lasting and degree <= _LARGEST)


def logistic_heads(
    head: HeadMatrices, bias: float, degree: int
) -> tuple[LogisticHead, LogisticHead]:
    """The series of s and of its antiderivative; kept as long as the head is."""
    known = _KNOWN.setdefault(head, {})
    if (bias, degree) not in known:
        slope, value = (LogisticHead(head, bias, degree, slope) for slope in (True, False))
        known[bias, degree] = slope, value
    return known[bias, degree]
