"""Heads with logistic weights on S^2 by spherical harmonics: s(<A x, y> + b), and log(1 + e^{..}).

The matrix between harmonics of ``sphere``, whose kernel at |A x| = r is s(r t + b): any zonal one
has the same blocks. Its coefficients are integrals over t, by Gauss's rule, as the kernel is
analytic in t and its series ends at the accuracy that is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from weakref import WeakKeyDictionary

import numpy as np

from meanfield.geometry.sphere import Array
from meanfield.interaction.composite.between import SphereForm
from meanfield.interaction.composite.logistic import logistic, logistic_degree, softplus
from meanfield.interaction.composite.matrices import HeadMatrices

__all__ = ["has_logistic_series", "logistic_heads"]

_LARGEST = 90  # degree up to which the matrix is made: 70 MB


def _series(
    function: Callable[[Array], Array], bias: float, size: float, r: Array, degree: int
) -> Array:
    """(n, degree + 1) of function(r t + bias) at |A x| = r (n,), none larger than ``size``."""
    t, weights = _rule(degree, logistic_degree(size, bias, 1e-16))
    return np.asarray(function(np.outer(r, t) + bias) @ weights)


@lru_cache(maxsize=16)
def _rule(degree: int, other: int) -> tuple[Array, Array]:
    """Nodes t (q,), and (q, degree + 1) weights of int f P_l dt/2 for f of the degree ``other``."""
    t, weights = np.polynomial.legendre.leggauss((degree + other) // 2 + 1)
    return t, 0.5 * weights[:, None] * np.polynomial.legendre.legvander(t, degree)


_KNOWN: WeakKeyDictionary[HeadMatrices, dict[tuple[float, int], tuple[SphereForm, SphereForm]]] = (
    WeakKeyDictionary()
)


def has_logistic_series(head: HeadMatrices, degree: int, lasting: bool = True) -> bool:
    """Whether its matrix is small enough and serves for more than a moment, or none is needed."""
    return head.frames.is_round or (lasting and degree <= _LARGEST)


def logistic_heads(head: HeadMatrices, bias: float, degree: int) -> tuple[SphereForm, SphereForm]:
    """The series of s and of its antiderivative; kept as long as the head is."""
    known = _KNOWN.setdefault(head, {})
    if (bias, degree) not in known:
        slope, value = (
            SphereForm(head, partial(_series, function, bias, head.size), degree)
            for function in (logistic, softplus)
        )
        known[bias, degree] = slope, value
    return known[bias, degree]
