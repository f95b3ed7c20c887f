"""A layer of a transformer: its matrices, and what it does to vectors of R^d.

    post (BERT, ALBERT):  y = N_1(x + A(x)),     x <- N_2(y + F(y))
    pre (GPT-2):          y = x + A(N_1(x)),     x <- y + F(N_2(y))

A: heads of softmax attention, F: a perceptron, N: layer norms. (arXiv 1810.04805 BERT, 1909.11942
ALBERT; GPT-2: Radford et al. 2019)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy import special

from meanfield.geometry.sphere import Array
from meanfield.interaction.composite import HeadMatrices

__all__ = ["ACTS", "Affine", "Block", "FeedForward", "MultiHead", "Norm"]

_SCORES = 1 << 22  # of a head at a time


def _gelu(t: Array) -> Array:
    return np.asarray(t * special.ndtr(t))


def _gelu_tanh(t: Array) -> Array:
    inner = math.sqrt(2.0 / math.pi) * (t + 0.044715 * t * t * t)
    return np.asarray(0.5 * t * (1.0 + np.tanh(inner)))


ACTS: dict[str, Callable[[Array], Array]] = {
    "gelu": _gelu,
    "gelu_new": _gelu_tanh,
    "gelu_pytorch_tanh": _gelu_tanh,
    "gelu_fast": _gelu_tanh,
    "relu": lambda t: np.maximum(t, 0.0),
    "tanh": np.tanh,
}
"""By their names in a config.json."""


class Norm(NamedTuple):
    """A layer norm: gain (x - mean)/sqrt(variance + eps) + shift, gain and shift (d,)."""

    gain: Array
    shift: Array
    eps: float

    def __call__(self, x: Array) -> Array:
        """Of rows (n, d)."""
        apart = x - x.mean(axis=1, keepdims=True)
        variance = np.mean(apart * apart, axis=1, keepdims=True)
        return np.asarray(self.gain * (apart / np.sqrt(variance + self.eps)) + self.shift)


class Affine(NamedTuple):
    """x -> M x + c: matrix (m, d), shift (m,)."""

    matrix: Array
    shift: Array

    def __call__(self, x: Array) -> Array:
        """Of rows (n, d), (n, m)."""
        return np.asarray(x @ self.matrix.T + self.shift)

    def after(self, norm: Norm) -> Affine:
        """The one of unit vectors of mean 0 for this one of their norms (eps = 0).

        Of other vectors it does not see the mean either.
        """
        matrix = self.matrix * (norm.gain * math.sqrt(len(norm.gain)))
        matrix -= matrix.mean(axis=1, keepdims=True)
        return Affine(matrix, self.shift + self.matrix @ norm.shift)


@dataclass(frozen=True, eq=False)
class MultiHead:
    """Heads of softmax attention of one layer, with their shifts (biases).

    sum_h O_h sum_j m_j e^{<q_i, k_j>/sqrt(k)} v_j / Z_i + shift, of q = Q x, k = K x, v = V x, each
    with its shift.

    Attributes:
        query, key, value: of all heads one below the other, (h k, d).
        output: (d, h k).
        count: h, number of heads.
    """

    query: Affine
    key: Affine
    value: Affine
    output: Affine
    count: int

    @property
    def width(self) -> int:
        """k, rows of a head."""
        return len(self.query.matrix) // self.count

    def outputs(
        self, x: Array, y: Array, masses: Array | None = None, causal: bool = False
    ) -> Array:
        """What tokens y, (m, d), do to tokens x, (n, d): (n, d).

        Args:
            x, y: tokens of any length.
            masses: (m,) of y; None: equal ones.
            causal: token i of x sees tokens j <= i of y alone.
        """
        logs = None
        if masses is not None:
            y, logs = y[masses > 0.0], np.log(masses[masses > 0.0])
        k = self.width
        queries, keys, values = self.query(x) / math.sqrt(k), self.key(y), self.value(y)
        mixed = np.empty_like(queries)
        rows = max(1, _SCORES // max(1, len(y)))
        places = np.arange(len(y))
        if masses is not None and causal:
            places = np.flatnonzero(masses > 0.0)
        for start in range(0, len(x), rows):
            part = slice(start, min(len(x), start + rows))
            hidden = places > np.arange(part.start, part.stop)[:, None] if causal else None
            for head in range(self.count):
                at = slice(head * k, (head + 1) * k)
                scores = queries[part, at] @ keys[:, at].T
                mixed[part, at] = _weights(scores, logs, hidden) @ values[:, at]
        return self.output(mixed)

    def after(self, norm: Norm) -> MultiHead:
        """That of unit vectors x of mean 0, for this one of their norms."""
        query, key, value = (part.after(norm) for part in (self.query, self.key, self.value))
        return MultiHead(query, key, value, self.output, self.count)

    def head(self, number: int) -> HeadMatrices:
        """One head without its shifts, by A = K^T Q/sqrt(k) and V = O V, (d, d) of rank k."""
        k = self.width
        at = slice(number * k, (number + 1) * k)
        pull = self.key.matrix[at].T @ self.query.matrix[at] / math.sqrt(k)
        return HeadMatrices(pull, self.output.matrix[:, at] @ self.value.matrix[at])

    @cached_property
    def largest(self) -> float:
        """The largest |A| of the heads."""
        return max(self._size(number) for number in range(self.count)) / math.sqrt(self.width)

    def _size(self, number: int) -> float:
        at = slice(number * self.width, (number + 1) * self.width)
        # Of Q^T = U R and K^T = U' R' with orthonormal columns: |K^T Q| = |R R'^T|.
        queries = np.linalg.qr(self.query.matrix[at].T, mode="r")
        keys = np.linalg.qr(self.key.matrix[at].T, mode="r")
        return float(np.linalg.norm(queries @ keys.T, 2))


def _weights(scores: Array, logs: Array | None, hidden: Array | None) -> Array:
    """Softmax of each row: (n, m), a row that sees nobody is 0."""
    if logs is not None:
        scores = scores + logs
    if hidden is not None:
        scores = np.where(hidden, -np.inf, scores)
    top = scores.max(axis=1, keepdims=True, initial=-np.inf)
    weights = np.exp(scores - np.where(np.isfinite(top), top, 0.0))
    total = weights.sum(axis=1, keepdims=True)
    return np.asarray(weights / np.where(total > 0.0, total, 1.0))


class FeedForward(NamedTuple):
    """A perceptron x -> W sigma(B x + b) + c.

    Attributes:
        inner: B, (w, d), and b; outer: W, (d, w), and c.
        act: sigma, a name of ``ACTS``.
    """

    inner: Affine
    outer: Affine
    act: str

    def __call__(self, x: Array) -> Array:
        """Of rows (n, d)."""
        return self.outer(ACTS[self.act](self.inner(x)))

    def after(self, norm: Norm) -> FeedForward:
        """That of unit vectors x of mean 0, for this one of their norms."""
        return FeedForward(self.inner.after(norm), self.outer, self.act)


@dataclass(frozen=True, eq=False)
class Block:
    """A layer.

    Attributes:
        attention, perceptron: see there.
        first, second: layer norms of the attention and of the perceptron.
        entry: what the attention takes has been normalised by: ``first`` of a layer of kind "pre";
            of one of kind "post" the last norm before it.
        pre: norms come before attention and perceptron ("pre"), or after their residual ("post").
        causal: token i sees the tokens j <= i.
    """

    attention: MultiHead
    perceptron: FeedForward
    first: Norm
    second: Norm
    entry: Norm
    pre: bool
    causal: bool

    def __call__(self, x: Array) -> Array:
        """Tokens (n, d) after the layer."""
        if self.pre:
            within = self.first(x)
            y = x + self.attention.outputs(within, within, causal=self.causal)
            return np.asarray(y + self.perceptron(self.second(y)))
        y = self.first(x + self.attention.outputs(x, x, causal=self.causal))
        return self.second(y + self.perceptron(y))

    def on_sphere(self) -> tuple[MultiHead, FeedForward]:
        """Attention and perceptron of unit vectors of mean 0, the norms before them folded in."""
        between = self.second if self.pre else self.first
        return self.attention.after(self.entry), self.perceptron.after(between)
