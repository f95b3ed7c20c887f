"""Heads and drifts whose parameters depend on time, each on its own.

For this package only: everyone else asks a ``Moving``.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

import numpy as np

from meanfield.arguments import checked_arguments
from meanfield.checks import as_found, square_matrix
from meanfield.errors import InputError
from meanfield.geometry.sphere import Array
from meanfield.interaction.composite.matrices import HeadMatrices
from meanfield.interaction.drifts import Drift
from meanfield.interaction.intime import InTime, asked, at_time, largest_of

__all__ = ["Last", "MovingDrift", "MovingHead"]

_KEPT = 4  # values of which what was made is kept: the stages of a step

T = TypeVar("T")


class Last(Generic[T]):
    """What was made of the last few values."""

    def __init__(self) -> None:
        self._made: dict[Hashable, T] = {}

    def of(self, key: Hashable, make: Callable[[], T]) -> T:
        """What belongs to a key, made where it is not known."""
        found = self._made.pop(key, None)
        if found is None:
            found = make()
        self._made[key] = found  # the newest comes last
        if len(self._made) > _KEPT:
            del self._made[next(iter(self._made))]
        return found


class MovingHead:
    """A head whose matrices depend on time: see ``HeadMatrices``.

    Args:
        A: (d, d), beta K^T Q, in time or a matrix.
        V: (d, d), likewise.
        keys: beta K^T K, (d, d), likewise, for the kinds of attention that need it; else None.

    Attributes:
        d: dimension; largest: a bound on |A| over all times; strongest: one on |V|.

    Raises:
        InputError: no square matrices of one size.

    Example:
        >>> mf.MovingHead(mf.WaveInTime(np.eye(3), np.eye(3), 2.0), np.eye(3)).V.shape
        (3, 3)
    """

    @checked_arguments
    def __init__(
        self, A: InTime | Array, V: InTime | Array, keys: InTime | Array | None = None
    ) -> None:
        self.A, self.V = _matrix(A, "A"), _matrix(V, "V")
        self.keys = None if keys is None else _matrix(keys, "keys")
        for name, matrix in (("V", self.V), ("keys", self.keys)):
            if matrix is not None and self.A.shape != matrix.shape:
                raise InputError(
                    f"{name}: a matrix of shape {matrix.shape} found, that of A expected: "
                    f"{self.A.shape}"
                )
        self.d = self.A.shape[0]
        self.largest, self.strongest = largest_of(self.A), largest_of(self.V)
        self._last: Last[HeadMatrices] = Last()

    @property
    def parts(self) -> tuple[InTime | Array, ...]:
        """A and V, and the keys if there are some."""
        return (self.A, self.V) if self.keys is None else (self.A, self.V, self.keys)

    def at(self, t: float) -> HeadMatrices:
        """The matrices at a time; the same object for the same ones, if it was asked lately."""
        found = [np.asarray(at_time(part, t)) for part in self.parts]
        return self._last.of(tuple(m.tobytes() for m in found), lambda: HeadMatrices(*found))


class MovingDrift:
    """A drift with parameters that depend on time.

    Args:
        parts: its parameters, in time or not.
        made: the drift of their values at some time; always of one dimension.

    Attributes:
        d: dimension.

    Example:
        >>> wave = mf.WaveInTime(np.zeros((3, 3)), np.eye(3), 2.0)
        >>> part = mf.MovingDrift((wave,), mf.LinearDrift)
    """

    @checked_arguments
    def __init__(self, parts: tuple[InTime | Array, ...], made: Callable[..., Drift]) -> None:
        self.parts, self._make = parts, made
        self._last: Last[Drift] = Last()
        first = self.at(0.0)
        if not isinstance(first, Drift):
            raise InputError(f"made: found {as_found(first)} at t = 0, expected a drift")
        self.d = first.d

    def at(self, t: float) -> Drift:
        """The drift at a time; the same object for the same one, if it was asked lately."""
        values = tuple(np.asarray(at_time(part, t)) for part in self.parts)
        key = tuple((value.shape, value.tobytes()) for value in values)
        return self._last.of(key, lambda: asked("made", t, self._make, *values))


def _matrix(value: object, name: str) -> InTime | Array:
    if not isinstance(value, InTime):
        return square_matrix(value, name)
    if len(value.shape) != 2 or value.shape[0] != value.shape[1] or not value.shape[0]:
        raise InputError(f"{name}: values of shape {value.shape} found, (d, d) expected")
    return value
