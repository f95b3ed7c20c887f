"""A head of attention as two matrices, and what they alone decide."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from meanfield.checks import square_matrix
from meanfield.errors import InputError
from meanfield.geometry.sphere import Array

__all__ = ["Frames", "HeadMatrices"]

_SAME = 1e-12  # relative difference of matrices that are meant to be equal
_WEAK = 1e-4  # |A| below which a head is told by its velocity


@dataclass(frozen=True, eq=False)
class Frames:
    """A = U diag(s) W^T with rotations U, W: the kernel is e^{sum_k s_k x'_k y'_k}.

    Attributes:
        out: U, (d, d): y' = U^T y.
        into: W, (d, d): x' = W^T x.
        sizes: (d,) s; the last one may be negative.
    """

    out: Array
    into: Array
    sizes: Array

    @property
    def is_round(self) -> bool:
        """Whether all |s| are equal: A is a multiple of an orthogonal matrix."""
        sizes = np.abs(self.sizes)
        return bool(np.ptp(sizes) <= 1e-15 * sizes.max(initial=0.0))


@dataclass(frozen=True, eq=False)
class HeadMatrices:
    """One head: tokens y pull x by e^{<A x, y>} V y.

    Attributes:
        A: (d, d), beta K^T Q.
        V: (d, d).
        keys: (d, d), beta K^T K, for the kinds of attention that need it; else None.

    Raises:
        InputError: no square matrices of one size with finite entries.

    Example:
        >>> mf.HeadMatrices(4.0 * np.eye(3), np.eye(3)).A.shape
        (3, 3)
    """

    A: Array
    V: Array
    keys: Array | None = None

    def __post_init__(self) -> None:
        for name in ("A", "V") if self.keys is None else ("A", "V", "keys"):
            matrix = square_matrix(getattr(self, name), name)
            object.__setattr__(self, name, matrix)
            if self.A.shape != matrix.shape:
                raise InputError(
                    f"{name}: a matrix of shape {matrix.shape} found, that of A expected: "
                    f"{self.A.shape}"
                )

    @property
    def d(self) -> int:
        """Dimension."""
        return len(self.A)

    @cached_property
    def size(self) -> float:
        """|A|, the largest singular value: exponents are at most this."""
        return float(np.linalg.svd(self.A, compute_uv=False)[0])

    @cached_property
    def strength(self) -> float:
        """|V|, the largest singular value: velocities of sa are at most this."""
        return float(np.linalg.svd(self.V, compute_uv=False)[0])

    @property
    def is_weak(self) -> bool:
        """Whether A is so small that e^{<A x, y>} hardly tells it from 0."""
        return self.size < _WEAK

    @cached_property
    def gradient_factor(self) -> float | None:
        """c, if V = c A^T: then V N = c grad Z, whatever the measure; else None.

        None, too, where A is so small that c Z would be all round-off.
        """
        if self.strength == 0.0:
            return 0.0
        if self.is_weak:
            return None
        a = self.A / self.size
        c = float(np.sum(self.V * a.T)) / float(np.sum(a * a)) / self.size
        same = float(np.linalg.norm(self.V - c * self.A.T)) <= _SAME * float(np.linalg.norm(self.V))
        return c if same else None

    @cached_property
    def symmetric(self) -> bool:
        """Whether A = A^T."""
        return float(np.linalg.norm(self.A - self.A.T)) <= _SAME * float(np.linalg.norm(self.A))

    @cached_property
    def skew(self) -> bool:
        """Whether A = -A^T."""
        return float(np.linalg.norm(self.A + self.A.T)) <= _SAME * float(np.linalg.norm(self.A))

    @cached_property
    def has_energy(self) -> bool:
        """Whether V = c A with A symmetric, or V = 0."""
        return self.strength == 0.0 or (self.symmetric and self.gradient_factor is not None)

    @cached_property
    def eigenvalues(self) -> Array:
        """(d,) of the symmetric part of A, ascending."""
        return np.linalg.eigvalsh(0.5 * (self.A + self.A.T))

    @cached_property
    def rests(self) -> bool:
        """Whether the uniform measure is at rest under it: V A = c I, as X = P V A x g(|A x|)."""
        product = self.V @ self.A
        apart = product - np.trace(product) / self.d * np.eye(self.d)
        return float(np.linalg.norm(apart)) <= _SAME * max(self.strength * self.size, 1e-300)

    @cached_property
    def frames(self) -> Frames:
        """The singular value decomposition with rotations, and as few of them as there need be."""
        a, d = self.A, self.d
        size = float(np.linalg.norm(a)) / np.sqrt(d)
        if float(np.linalg.norm(a.T @ a - size**2 * np.eye(d))) <= 1e-14 * max(size**2, 1e-300):
            out, sizes, into = a / max(size, 1e-300), np.full(d, size), np.eye(d)
            if size == 0.0:
                out = np.eye(d)
        else:
            out, sizes, rows = np.linalg.svd(a)
            into = rows.T
        out, into, sizes = out.copy(), into.copy(), sizes.copy()
        for frame in (out, into):
            if np.linalg.det(frame) < 0.0:
                frame[:, -1] *= -1.0
                sizes[-1] *= -1.0
        return Frames(out, into, sizes)
