"""The velocity of many small systems by batched matrix products: any heads, any mask.

What becomes of a system hangs on its own tokens alone: each product is one call of BLAS for one
system, of the same shape whatever stands beside it, and sums are along its own rows.
"""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np

from meanfield.geometry.sphere import Array
from meanfield.interaction.batched.model import BatchedHead, BatchedModel, scaled_mask

__all__ = ["MatrixField"]

_SAME = 1e-12  # relative difference of matrices that are meant to be equal


class MatrixField:
    """Velocities and energies of systems of tokens, for all of them at once.

    Args:
        model: the attention.
        single: whether velocities are in single precision.

    Attributes:
        n, d: number of tokens, dimension.
        dtype: of velocities.
    """

    def __init__(self, model: BatchedModel, single: bool = False) -> None:
        self.n, self.d = model.n, model.d
        self.dtype = np.dtype(np.float32 if single else np.float64)
        self._model = model
        self._heads = [
            (self._cast(head.A.T), self._cast(head.V.T)) for head in model.heads
        ]  # transposed, as tokens are rows
        self._mask = None if model.mask is None else self._cast(scaled_mask(model))
        seen = np.full(model.n, model.n)
        if model.mask is not None:  # as given: in single precision small factors are none
            seen = np.count_nonzero(model.mask, axis=1)
        self._seen = seen.astype(self.dtype)[:, None]

    def _cast(self, values: Array) -> Array:
        return np.ascontiguousarray(values, dtype=self.dtype)

    @cached_property
    def size(self) -> float:
        """Largest |score| of unit vectors."""
        if not self._model.heads:
            return abs(self._model.beta)
        return max(float(np.linalg.norm(head.A, 2)) for head in self._model.heads)

    @property
    def width(self) -> float:
        """Width (angle) of the smallest cluster that it makes."""
        return 1.0 / math.sqrt(1.0 + self.size)

    @property
    def has_energy(self) -> bool:
        """Whether the model has an energy."""
        return self._factors is not None

    # ------------------------------------------------------------------ velocities

    def velocity(self, x: Array) -> Array:
        """X at the tokens of R systems, (R, n, d) for (R, n, d) of ``dtype``."""
        across = x.swapaxes(1, 2)
        if not self._heads:
            scores = np.matmul(x, across)
            scores *= self.dtype.type(self._model.beta)
            total = self._pulled(scores, x)
            if self._model.value < 0:
                np.negative(total, out=total)
        else:
            total = np.zeros_like(x)
            for A, V in self._heads:
                total += np.matmul(self._pulled(np.matmul(np.matmul(x, A), across), x), V)
        total -= np.einsum("rij,rij->ri", x, total)[:, :, None] * x
        return total

    def _pulled(self, scores: Array, x: Array) -> Array:
        """Weighted means of the tokens, (R, n, d), by scores (R, n, n), which are overwritten."""
        with np.errstate(over="ignore", invalid="ignore"):  # a step is refused for it
            if self._model.normalised:
                if self._mask is not None:
                    np.copyto(scores, -np.inf, where=self._mask <= 0.0)
                scores -= scores.max(axis=2, keepdims=True)
            np.exp(scores, out=scores)
            if self._mask is not None:
                scores *= self._mask
            if self._model.normalised:
                return np.matmul(scores, x) / scores.sum(axis=2, keepdims=True)
            return np.matmul(scores, x) / self._seen

    # ------------------------------------------------------------------ energies

    @cached_property
    def _factors(self) -> list[float] | None:
        """c/2 of each head with V = c A, A symmetric; None: there is no energy."""
        heads = self._model.heads
        if self._mask is not None or (self._model.normalised and len(heads) > 1):
            return None
        found = [_factor(head) for head in heads]
        return None if None in found else [f for f in found if f is not None]

    def energy(self, x: Array) -> Array:
        """Scaled energy of R systems, (R,), with own terms; nan where the model has none.

        sum_h c_h/2 mean_ij e^{<A x_i, x_j>} e^{-|A|} of the largest |A|; in the short form c is
        1/beta, and |m|^2/2 at beta = 0.
        """
        if self._factors is None:
            return np.full(len(x), np.nan)
        across, total = x.swapaxes(1, 2), np.zeros(len(x))
        if not self._heads:
            beta = self._model.beta
            gram = np.matmul(x, across).astype(np.float64)
            if beta == 0.0:
                return np.asarray(0.5 * gram.mean(axis=(1, 2)))
            return np.asarray(0.5 / beta * np.exp(beta * gram - abs(beta)).mean(axis=(1, 2)))
        for (A, _), factor in zip(self._heads, self._factors, strict=True):
            scores = np.matmul(np.matmul(x, A), across).astype(np.float64)
            total += factor * np.exp(scores - self.size).mean(axis=(1, 2))
        return total


def _factor(head: BatchedHead) -> float | None:
    """c/2 if V = c A with A symmetric, or V = 0; else None."""
    size, strength = float(np.linalg.norm(head.A)), float(np.linalg.norm(head.V))
    if strength == 0.0:
        return 0.0
    if size == 0.0 or float(np.linalg.norm(head.A - head.A.T)) > _SAME * size:
        return None
    c = float(np.sum(head.V * head.A)) / size**2
    return 0.5 * c if float(np.linalg.norm(head.V - c * head.A)) <= _SAME * strength else None
