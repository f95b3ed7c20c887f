"""Weights e^{beta (<x_i, x_j> - 1)} of few tokens, compiled, and what of a model the kernels take.

In the precision of the state: float32 is to 2e-7, float64 to round-off.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numba as nb
import numpy as np
from numba.extending import overload
from numpy.typing import NDArray

from meanfield.geometry.sphere import Array
from meanfield.interaction.batched.model import BatchedModel, scaled_mask

__all__ = ["Numbers", "numbers_of", "scaled_energy", "weigh"]

Real = NDArray[np.floating[Any]]

_FINE = 40.0  # |beta| from which on round-off of float32 in an inner product counts
_STIFF = 3.0  # beta from which on a collapsed cluster of usa is far faster than all else
_ONE = 1e-5  # 1 - <x, y> below which all tokens are one cluster

# 2^f on [-1/2, 1/2]: log(2)^k/k!.
_P = tuple(math.log(2.0) ** k / math.factorial(k) for k in range(14))
_S = tuple(np.float32(p) for p in _P)
_HALF, _LOW, _HIGH = np.float32(0.5), np.float32(-126.0), np.float32(126.0)


class Numbers(NamedTuple):
    """A model as compiled code takes it; nobody else reads ``law``.

    Attributes:
        law: beta, value, e^beta or 1, whether weights are normalised (1 or 0).
        seen: (n, n) transposed factors of the mask; (0, 0): none.
        share: (n,) what the unnormalised weights of each token are divided by.
        tail: 1 - <x, y> of a single cluster decays like e^{-tail t}; 0: not known.
        one: 1 - <x, y> below which that holds.
        merges: whether tokens at one place are worth becoming one.
        fine: whether float32 is not enough; it repels, so that the mean is small, too.
    """

    law: Array
    seen: Array
    share: Array
    tail: float
    one: float
    merges: bool
    fine: bool

    @property
    def has_energy(self) -> bool:
        """Whether the model has an energy."""
        return self.seen.size == 0


def numbers_of(model: BatchedModel) -> Numbers:
    """The numbers of a model without heads."""
    n, plain = model.n, model.mask is None
    size = 1.0 if model.normalised else math.exp(model.beta)
    seen, share = np.zeros((0, 0)), np.full(n, float(n))
    if model.mask is not None:
        seen = np.ascontiguousarray(scaled_mask(model).T)
        share = np.count_nonzero(model.mask, axis=1).astype(float)
    collapses = plain and model.value > 0
    return Numbers(
        np.array([model.beta, float(model.value), size, float(model.normalised)]),
        seen,
        share,
        2.0 * size if collapses else 0.0,
        min(_ONE, 1e-3 / max(1.0, abs(model.beta))),
        collapses and not model.normalised and model.beta > _STIFF,
        abs(model.beta) > _FINE or model.beta * model.value < 0.0,
    )


def _power(t: Real) -> Real:
    """2^t for -126 <= t <= 126, a scalar of either precision."""
    raise NotImplementedError


@overload(_power, inline="never", jit_options={"fastmath": {"contract"}})
def _power_of(t: Any) -> Any:
    if t == nb.float32:

        def single(t: Any) -> Any:
            t = t if t > _LOW else _LOW
            t = t if t < _HIGH else _HIGH
            k = np.floor(t + _HALF)
            f = t - k
            p = _S[6]
            p = p * f + _S[5]
            p = p * f + _S[4]
            p = p * f + _S[3]
            p = p * f + _S[2]
            p = p * f + _S[1]
            p = p * f + _S[0]
            return p * np.int32((np.int32(k) + np.int32(127)) << np.int32(23)).view(np.float32)

        return single

    def double(t: Any) -> Any:
        t = t if t > -1000.0 else -1000.0
        t = t if t < 1000.0 else 1000.0
        k = np.floor(t + 0.5)
        f = t - k
        p = _P[13]
        p = p * f + _P[12]
        p = p * f + _P[11]
        p = p * f + _P[10]
        p = p * f + _P[9]
        p = p * f + _P[8]
        p = p * f + _P[7]
        p = p * f + _P[6]
        p = p * f + _P[5]
        p = p * f + _P[4]
        p = p * f + _P[3]
        p = p * f + _P[2]
        p = p * f + _P[1]
        p = p * f + _P[0]
        return p * np.int64((np.int64(k) + 1023) << 52).view(np.float64)

    return double


@nb.njit(fastmath={"contract"}, error_model="numpy", cache=True)
def weigh(
    law: Real, seen: Real, share: Real, counts: Real, G: Real, E: Real, row: Real
) -> None:  # fmt: skip
    """E_ji = c_j f_ij e^{beta (G_ij - 1)}, and ``row``: the factor of each token's sum over j.

    Args:
        law, seen, share: of ``Numbers``, in the precision of the state.
        counts: (m,) tokens at each place.
        G: (m, m) inner products; E: (m, m), row: (m,) are written.
    """
    m = G.shape[0]
    one = law.dtype.type(1.0)
    b = law[0] * law.dtype.type(1.4426950408889634)
    row[:] = law.dtype.type(0.0)
    for j in range(m):
        c = counts[j]
        for i in range(m):
            E[j, i] = c * _power(b * (G[j, i] - one))
        if seen.size > 0:
            for i in range(m):
                E[j, i] *= seen[j, i]
        for i in range(m):
            row[i] += E[j, i]
    if law[3] > law.dtype.type(0.5):
        for i in range(m):
            row[i] = law[1] / row[i]
    else:
        for i in range(m):
            row[i] = law[1] * law[2] / share[i]


@nb.njit(cache=True)
def scaled_energy(law: Array, G: Array) -> float:
    """(1/2 beta) mean_ij e^{beta <x_i, x_j> - |beta|}; beta = 0: |m|^2/2. G: (n, n)."""
    n = G.shape[0]
    beta, total = law[0], 0.0
    for i in range(n):
        for j in range(n):
            total += G[i, j] if beta == 0.0 else math.exp(beta * G[i, j] - abs(beta))
    return total / (2.0 * n * n * (1.0 if beta == 0.0 else beta))
