"""Realisations by their own adaptive steps, one for each task of a parallel loop, compiled.

The state is the matrix of inner products (``gram``) or the tokens, (d, m). No fact of a model is
known here: ``law``, ``seen`` and ``share`` are handed on. A step whose error is no number is
refused like one that is too large. A realisation ends early once all its tokens are one cluster.
"""

from __future__ import annotations

import math
from typing import Any

import numba as nb
import numpy as np
from numpy.typing import NDArray

from meanfield.dynamics.ensembles.crossings import count_close, count_crossings
from meanfield.dynamics.ensembles.dormand import error_of, stage
from meanfield.dynamics.ensembles.merging import has_merged, merged
from meanfield.dynamics.ensembles.observed import (
    columns_at,
    dense_state,
    features,
    moved,
    snapshot,
)
from meanfield.geometry.sphere import Array
from meanfield.interaction.batched import coordinate_velocity, gram_velocity, inner_products

__all__ = ["advance"]

Real = NDArray[np.floating[Any]]
IntArray = NDArray[np.int64]

_RUNNING, _DONE, _MERGES = -2, 0, -1
_TOO_SMALL, _TOO_MANY = 1, 2  # of FAILURES
_LEAST = 1e-12  # step, over the end or 1
# Places in ``clock``: what a realisation keeps from one number of places to the next.
_T, _H, _OUT, _SHOT, _CALLS, _STEPS = 0, 1, 2, 3, 4, 5
# Places in ``setting``.
_TOLERANCE, _DELTA, _NEAR, _TAIL, _ALL, _JOINS, _MOST = 0, 1, 2, 3, 4, 5, 6


@nb.njit(error_model="numpy", cache=True)
def _velocity(
    gram: bool, law: Real, seen: Real, share: Real, counts: Real, Y: Real, D: Real, E: Real,
    M: Real, row: Real,
) -> None:  # fmt: skip
    if gram:
        gram_velocity(law, seen, share, counts, Y, D, E, M, row)
    else:
        coordinate_velocity(law, seen, share, counts, Y, D, E, M, row)


@nb.njit(error_model="numpy", cache=True)
def _settle(gram: bool, Z: Real) -> None:
    """Tokens of length one."""
    if gram:
        for i in range(Z.shape[0]):
            Z[i, i] = Z.dtype.type(1.0)
        return
    for k in range(Z.shape[1]):
        square = 0.0
        for i in range(Z.shape[0]):
            square += Z[i, k] * Z[i, k]
        factor = Z.dtype.type(1.0 / math.sqrt(square))
        for i in range(Z.shape[0]):
            Z[i, k] *= factor


@nb.njit(error_model="numpy", cache=True)
def _try_step(
    gram: bool, law: Real, seen: Real, share: Real, counts: Real, Y: Real, Z: Real, K: Real,
    E: Real, M: Real, row: Real, h: float,
) -> float:  # fmt: skip
    """Take a step from Y to Z; the error. M holds the inner products of Z where Z are tokens."""
    stages = K.reshape((7, Y.size))
    for s in range(1, 7):
        stage(s, h, Y.reshape(-1), stages, Z.reshape(-1))
        if s == 6:
            _settle(gram, Z)
        _velocity(gram, law, seen, share, counts, Z, K[s], E, M, row)
    return error_of(h, stages, np.empty_like(Y).reshape(-1))


@nb.njit(error_model="numpy", cache=True)
def _tell(
    gram: bool, law: Array, setting: Array, counts: Real, group: IntArray, Y: Real, Z: Real,
    K: Real, h: float, t_new: float, clock: Array, times: Array, shots: IntArray, edges: Array,
    F: Array, out: Array, told: Array, bins: IntArray, states: Array,
) -> None:  # fmt: skip
    """Write all that is asked for within a step."""
    t, o, s = clock[_T], int(clock[_OUT]), int(clock[_SHOT])
    if o < times.size and times[o] <= t_new:
        a, b = group[0], group[1]
        features(gram, a, b, counts, Y, Z, K, h, F)
        while o < times.size and times[o] <= t_new:
            theta = (times[o] - t) / h
            columns_at(gram, a == b, group.size, theta, h, F, out[o])
            if s < shots.size and shots[s] == o:
                U = np.empty(Y.shape)
                dense_state(theta, h, Y, Z, K, U)
                snapshot(
                    gram, U, group, law, setting[_NEAR], edges, told[s], bins[s], states[s]
                )  # fmt: skip
                s += 1
            o += 1
    clock[_OUT], clock[_SHOT] = o, s


@nb.njit(error_model="numpy", cache=True)
def _tell_rest(
    gram: bool, law: Array, setting: Array, counts: Real, group: IntArray, Y: Real, P: Real,
    clock: Array, times: Array, shots: IntArray, edges: Array, out: Array, told: Array,
    bins: IntArray, states: Array,
) -> None:  # fmt: skip
    """Write what is asked for after all tokens have become one cluster."""
    t, s, n = clock[_T], int(clock[_SHOT]), group.size
    apart, total = 1.0 - float(P[group[0], group[1]]), 0.0
    for i in range(P.shape[0]):
        for k in range(P.shape[0]):
            total += (1.0 - float(P[i, k])) * counts[i] * counts[k] if i != k else 0.0
    for o in range(int(clock[_OUT]), times.size):
        decay = math.exp(-setting[_TAIL] * (times[o] - t))
        out[o, 0] = 1.0 - apart * decay
        out[o, 1] = 1.0 - total * decay / (n * (n - 1.0))
        out[o, 3] = math.sqrt(1.0 - total * decay / (n * n))
        if s < shots.size and shots[s] == o:
            U = np.empty(Y.shape)
            moved(gram, decay, Y, counts, U)
            snapshot(gram, U, group, law, setting[_NEAR], edges, told[s], bins[s], states[s])
            s += 1
    clock[_OUT], clock[_SHOT] = times.size, s


@nb.njit(error_model="numpy", cache=True)
def _integrate(
    gram: bool, law: Array, seen: Real, share: Real, setting: Array, counts: Real, group: IntArray,
    Y: Real, P: Real, before: Real, clock: Array, times: Array, shots: IntArray, edges: Array,
    out: Array, told: Array, bins: IntArray, states: Array,
) -> int:  # fmt: skip
    """Steps until the end, a failure, or until places are to become one.

    Y and P are the last state and its products, ``before`` those of one step before.
    """
    m, end = P.shape[0], times[-1]
    mine = law.astype(Y.dtype)
    Z, K = np.empty_like(Y), np.empty((7, *Y.shape), Y.dtype)
    E, M, row = np.empty_like(P), np.empty_like(P), np.empty(m, Y.dtype)
    F = np.empty((3, 1 if gram else Y.shape[0], 5))
    _velocity(gram, mine, seen, share, counts, Y, K[0], E, M, row)
    clock[_CALLS] += 1
    if clock[_H] == 0.0:
        clock[_H] = 0.05 / max(1.0, float(np.max(np.abs(K[0]))))
    while clock[_T] < end:
        if np.min(P) > 1.0 - setting[_ALL] and setting[_TAIL] > 0.0:
            _tell_rest(
                gram, law, setting, counts, group, Y, P, clock, times, shots, edges, out, told,
                bins, states,
            )  # fmt: skip
            return _DONE
        if setting[_JOINS] > 0.0 and has_merged(P, before):
            return _MERGES
        t, last = clock[_T], clock[_H] >= end - clock[_T]
        h = end - t if last else clock[_H]
        error = _try_step(gram, mine, seen, share, counts, Y, Z, K, E, M, row, h)
        clock[_CALLS] += 6
        clock[_STEPS] += 1
        q = error / setting[_TOLERANCE]
        if not q <= 1.0:
            clock[_H] = h * (max(0.2, 0.9 * q**-0.2) if np.isfinite(q) else 0.2)
            if clock[_H] < _LEAST * max(1.0, end):
                return _TOO_SMALL
        else:
            t_new = end if last else t + h
            R = Z if gram else M
            first = int(clock[_OUT])
            count_crossings(P, R, counts, setting[_DELTA], t, h, times, first, out[:, 2])
            _tell(
                gram, law, setting, counts, group, Y, Z, K, h, t_new, clock, times, shots, edges,
                F, out, told, bins, states,
            )  # fmt: skip
            before[:] = P
            Y[:], P[:], K[0] = Z, R, K[6]
            clock[_T] = t_new
            clock[_H] = h * min(4.0, max(0.3, 0.9 * max(q, 1e-6) ** -0.2))
        if clock[_STEPS] >= setting[_MOST]:
            return _TOO_MANY if clock[_T] < end else _DONE
    return _DONE


@nb.njit(error_model="numpy", cache=True)
def _one(
    gram: bool, law: Array, seen: Real, share: Real, setting: Array, start: Real, times: Array,
    shots: IntArray, edges: Array, out: Array, told: Array, bins: IntArray, states: Array,
    clock: Array,
) -> int:  # fmt: skip
    """One realisation; what has become of it."""
    n = start.shape[1]
    Y, P = start.copy(), np.empty((n, n), start.dtype)
    counts, group = np.ones(n, start.dtype), np.arange(n)
    before = np.full_like(P, 2.0)
    out[:, 2] = 0.0
    status = _RUNNING
    while status < 0:
        if status == _MERGES:
            Y, counts = merged(gram, Y, P, before, counts, group)
            P = np.empty((counts.size, counts.size), start.dtype)
        before = np.full_like(P, 2.0)  # nothing is known to have come nearer
        if gram:
            P[:] = Y
        else:
            inner_products(Y, P)
        if status == _RUNNING:
            out[0, 2] = count_close(P, counts, setting[_DELTA])
        status = _integrate(
            gram, law, seen, share, setting, counts, group, Y, P, before, clock, times, shots,
            edges, out, told, bins, states,
        )  # fmt: skip
    total = 0.0
    for o in range(times.size):
        total += out[o, 2]
        out[o, 2] = total / (0.5 * n * (n - 1.0)) if o < clock[_OUT] else np.nan
    return status


@nb.njit(parallel=True, error_model="numpy", cache=True)
def advance(
    gram: bool, law: Array, seen: Real, share: Real, setting: Array, starts: Real, times: Array,
    shots: IntArray, edges: Array, out: Array, told: Array, bins: IntArray, states: Array,
    calls: IntArray, failed: IntArray,
) -> None:  # fmt: skip
    """Advance all realisations and write what comes out, a row for each of them.

    Args:
        gram: whether starts are inner products (R, n, n), else tokens (R, d, n).
        law, seen, share: of ``Numbers``.
        setting: tolerance, delta, cosine of the cluster angle, rate of decay of a single cluster
            (0: unknown), 1 - <x, y> below which it is one, whether tokens merge, most steps.
        times, shots, edges: of ``Watch``.
        out: (R, k, 4); told: (R, s, 3); bins: (R, s, b); states: (R, s, n, .) or no entries;
            calls, failed: (R,). out and told are nan, bins 0 or -1, where nothing is known.
    """
    for r in nb.prange(starts.shape[0]):
        clock = np.zeros(6)
        failed[r] = _one(
            gram, law, seen, share, setting, starts[r], times, shots, edges, out[r], told[r],
            bins[r], states[r], clock,
        )  # fmt: skip
        calls[r] = int(clock[_CALLS])
        for s in range(int(clock[_SHOT]), shots.size):
            bins[r, s, :] = -1
