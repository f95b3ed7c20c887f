"""Tokens without noise, many systems at once: Dormand and Prince's pair, by matrix products.

Each system has its own steps and its own acceptance; the ones that have ended leave the batch.
"""

from __future__ import annotations

import numpy as np

from meanfield.dynamics.ensembles.blocks import Batch, in_blocks
from meanfield.dynamics.ensembles.dormand import DENSE, ERROR, STAGES
from meanfield.dynamics.ensembles.outcome import IntArray, Outcome, Watch
from meanfield.dynamics.ensembles.record import Record
from meanfield.geometry.sphere import Array
from meanfield.interaction.batched import BatchedModel, MatrixField

__all__ = ["advance_matrices"]

_FIRST = 0.05  # longest first step
_TURN = 0.02  # distance that a token moves in the first one, at most
_MOST = 100_000  # steps, with those that were rejected
_SINGLE_FROM = 1e-6  # tolerance from which on single precision is enough
_SINGLE_SIZE = 32.0  # scores up to which it is


def advance_matrices(
    model: BatchedModel, tokens: Array, watch: Watch, tolerance: float = 1e-5
) -> Outcome:
    """Advance R systems without noise.

    Args:
        model: the attention, with heads or without.
        tokens: (R, n, d) unit vectors.
        watch: what is to be known.
        tolerance: of the largest error of a coordinate in a step.

    Returns:
        The outcome; what it holds of a system does not hang on the others.
    """
    field = MatrixField(model)
    if tolerance >= _SINGLE_FROM and field.size <= _SINGLE_SIZE:
        field = MatrixField(model, single=True)

    def part(block: slice) -> Outcome:
        return _Batch(field, tokens[block], watch, tolerance).run()

    return in_blocks(len(tokens), model.n, model.d, part)


class _Batch(Batch):
    """Systems that are advanced together."""

    own = ("_slope", "_h")

    def __init__(self, field: MatrixField, tokens: Array, watch: Watch, tolerance: float) -> None:
        number = len(tokens)
        self._field, self._times, self._tolerance = field, watch.times, tolerance
        self._record = Record(watch, number, field)
        self._rows: IntArray = np.arange(number)  # those that have not ended
        self._x = np.array(tokens, dtype=field.dtype)  # its own
        self._t, self._next = np.zeros(number), np.ones(number, dtype=np.int64)
        self._record.put(self._rows, np.zeros(number, dtype=np.int64), _unit(self._x))
        self._slope = field.velocity(self._x)
        self._record.calls += 1
        slope = self._slope.astype(np.float64)
        speed = np.sqrt(np.einsum("rij,rij->ri", slope, slope).max(axis=1, initial=0.0))
        self._h = np.minimum(_FIRST, _TURN / np.maximum(speed, 1e-300))
        self._tried = 0

    def _step(self) -> None:
        """Try one step of each system that is left."""
        rest = self._times[-1] - self._t
        last = self._h >= rest
        h = np.where(last, rest, self._h)
        wide = h.astype(self._x.dtype)[:, None, None]
        stages = [self._slope]
        for s, weights in enumerate(STAGES[1:], 1):
            end = self._x + wide * _sum(weights[:s], stages)
            at = _unit(end) if len(stages) == 6 else end
            stages.append(self._field.velocity(at))
        self._record.calls[self._rows] += 6
        error = np.abs(wide * _sum(ERROR, stages)).max(axis=(1, 2)).astype(np.float64)
        quotient = np.nan_to_num(error / self._tolerance, nan=np.inf, posinf=np.inf)
        taken = quotient <= 1.0
        with np.errstate(divide="ignore"):
            factor = np.clip(0.9 * quotient**-0.2, 0.3, 4.0)
        t = np.where(last, self._times[-1], self._t + h)
        self._write(taken, t, h, stages, end)
        self._x[taken], self._slope[taken] = at[taken], stages[-1][taken]
        self._t = np.where(taken, t, self._t)
        self._h = h * factor
        self._tried += 1
        self._leave(self._next >= len(self._times), 0)
        self._leave(~(self._t + self._h > self._t), 1)
        if self._tried >= _MOST:
            self._leave(np.ones(len(self._rows), dtype=bool), 2)

    def _write(self, taken: Array, t: Array, h: Array, stages: list[Array], end: Array) -> None:
        """Tokens at output times within the steps that are taken."""
        k = np.flatnonzero(taken & (self._times[self._next] <= t))
        if not len(k):
            return
        start, slope, wide = self._x[k], stages[0][k], h.astype(end.dtype)[k, None, None]
        whole = end[k] - start
        third = wide * slope - whole
        fourth = whole - wide * stages[-1][k] - third
        fifth = wide * _sum(DENSE, [stage[k] for stage in stages])
        here = np.arange(len(k))
        while len(here):
            at = k[here]
            place = self._next[at]
            part = ((self._times[place] - self._t[at]) / h[at]).astype(end.dtype)[:, None, None]
            inner = third[here] + part * (fourth[here] + (1 - part) * fifth[here])
            x = start[here] + part * (whole[here] + (1 - part) * inner)
            self._record.put(self._rows[at], place, _unit(x.astype(np.float64)))
            self._next[at] += 1
            more = self._next[at] < len(self._times)
            here = here[more & (self._times[np.minimum(place + 1, len(self._times) - 1)] <= t[at])]


def _sum(weights: Array, stages: list[Array]) -> Array:
    """sum_j w_j k_j, in the order of the stages."""
    out = stages[0] * stages[0].dtype.type(weights[0])
    for weight, stage in zip(weights[1:], stages[1:], strict=True):
        if weight != 0.0:
            out += stage * stage.dtype.type(weight)
    return out


def _unit(x: Array) -> Array:
    """Tokens (R, n, d) at their own lengths."""
    length = np.sqrt(np.einsum("rij,rij->ri", x, x))[:, :, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(x / length)
