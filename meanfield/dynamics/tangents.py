"""Tangents: how tokens nearby would have moved, d x(t)/d x(0) on some directions.

A step of a solver is a smooth map of all tokens. Its derivative along a direction w is the
difference of two twins of that very step, from N(x + h w) and N(x - h w), over 2 h: the same size
of the step, the same stages, the same path of a common noise. So this is the derivative of what is
computed, of order 2 in h (relative error some 1e-11 a step by direct sums; by transforms their
noise over h, some 1e-8), whatever the model is made of: nothing is asked of an interaction but its
field. Each direction costs two more steps.

All directions together are scaled to order one after every step, and the logarithm of the factor is
kept: growth and decay by any number of orders of magnitude. (Of the largest growth nothing is lost
when directions become parallel, so that none is made orthogonal again.)

Knows points, steps as maps, and nothing of interactions or files.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from meanfield.dynamics.noise import TANGENTS, start_generator
from meanfield.dynamics.rungekutta import largest_row
from meanfield.errors import BrokenInvariantError, InputError
from meanfield.geometry.manifolds import Manifold
from meanfield.geometry.sphere import Array

__all__ = ["Tangents"]

_SHIFT = 1e-5  # of the token that a twin moves farthest, over the width of the interaction


class Tangents:
    """Some directions, orthonormal in the tangent space of all tokens at the start, and what
    becomes of them.

    Args:
        x: (n, d) tokens.
        most: how many directions, >= 1. If that is the dimension of the tangent space, n (d - 1) on
            a sphere, or more: all of them, and what is told of them is exact.
        on: where the tokens are.
        seed: of the random directions, where they are fewer, 0 <= seed < 2^64.
        width: of what the field varies over (angle); twins are 1e-5 of it apart.

    Attributes:
        exact: whether they are all that there are.

    Raises:
        InputError: none asked for, or tokens that cannot move.
    """

    def __init__(
        self, x: Array, most: int, on: Manifold, seed: int = 0, width: float = 1.0
    ) -> None:
        if most < 1:
            raise InputError(f"tangents = {most} found, at least 1 expected")
        self._on, self._shift = on, _SHIFT * min(1.0, width)
        count = _dimension(x, on)
        if count == 0:
            raise InputError("tangents found for tokens that cannot move, expected none")
        self.exact = most >= count
        self._vectors = _all(x, on) if self.exact else _some(x, most, on, seed)
        self._log = 0.0

    @property
    def vectors(self) -> Array:
        """(k, n, d) the directions now, divided by e^{``scale``}."""
        return self._vectors

    @property
    def scale(self) -> float:
        """log of the factor that they are divided by."""
        return self._log

    @property
    def growth(self) -> float:
        """log of the largest growth of any combination of the directions: of the spectral norm.

        -inf where nothing is left of them.
        """
        flat = self._vectors.reshape(len(self._vectors), -1)
        norm = float(np.linalg.norm(flat, 2))
        return self._log + math.log(norm) if norm > 0.0 else -math.inf

    def follow(self, before: Array, after: Array, step: Callable[[Array], Array]) -> None:
        """Take the directions along a step.

        Args:
            before, after: (n, d) tokens.
            step: where the same step leads from other tokens (n, d).

        Raises:
            BrokenInvariantError: twins that led nowhere.
        """
        moved = np.zeros_like(self._vectors)
        for k, vector in enumerate(self._vectors):
            size = largest_row(vector)
            if size == 0.0:
                continue
            h = self._shift / size
            one, other = (self._on.retracted(before + s * vector) for s in (h, -h))
            assert one is not None and other is not None  # 1e-5 away from unit vectors
            ends = _seen_from(after, step(one)) - _seen_from(after, step(other))
            moved[k] = self._on.tangential(after, ends / (2.0 * h))
        largest = float(np.max(np.abs(moved), initial=0.0))
        if not math.isfinite(largest):
            raise BrokenInvariantError("the derivative of a step is not finite")
        if largest > 0.0:
            moved /= largest
            self._log += math.log(largest)
        self._vectors = moved

    def restore(self, vectors: Array, scale: float) -> None:
        """Go on from ``vectors`` and ``scale``.

        Raises:
            InputError: other ones than these.
        """
        if vectors.shape != self._vectors.shape:
            raise InputError(
                f"a state with tangents of shape {vectors.shape} found, {self._vectors.shape} "
                "expected"
            )
        self._vectors, self._log = vectors.copy(), float(scale)


def _seen_from(x: Array, y: Array) -> Array:
    """Unit vectors y (n, d) as points of the planes that touch at x: what N undoes."""
    return np.asarray(y / np.einsum("ij,ij->i", x, y)[:, None])


def _frame(x: Array, on: Manifold) -> Array:
    """An orthonormal frame (m, d) of the directions in which one token (d,) can move."""
    d = len(x)
    projection = on.tangential(np.broadcast_to(x, (d, d)), np.eye(d))
    values, vectors = np.linalg.eigh(0.5 * (projection + projection.T))
    return np.asarray(vectors.T[values > 0.5])


def _dimension(x: Array, on: Manifold) -> int:
    """Of the tangent space of all tokens, which may move alike."""
    return len(x) * len(_frame(x[0], on))


def _all(x: Array, on: Manifold) -> Array:
    n, d = x.shape
    frames = [_frame(token, on) for token in x]
    vectors = np.zeros((sum(map(len, frames)), n, d))
    row = 0
    for i, frame in enumerate(frames):
        vectors[row : row + len(frame), i] = frame
        row += len(frame)
    return vectors


def _some(x: Array, number: int, on: Manifold, seed: int) -> Array:
    """Uniform among all orthonormal ones."""
    n, d = x.shape
    drawn = start_generator(seed, TANGENTS).standard_normal((number, n, d))
    flat = np.stack([on.tangential(x, one).ravel() for one in drawn])
    return np.ascontiguousarray(np.linalg.qr(flat.T)[0].T).reshape(number, n, d)
