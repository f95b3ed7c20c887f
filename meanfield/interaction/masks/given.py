"""A mask that is given: the (n, n) factors of all weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from meanfield.arguments import checked_fields
from meanfield.checks import square_matrix
from meanfield.errors import InputError
from meanfield.geometry.sphere import Array
from meanfield.interaction.masks.base import Mask, Seen, Slices

__all__ = ["GivenMask"]


@checked_fields
@dataclass(frozen=True, eq=False)
class GivenMask(Mask):
    """Factors of a table.

    Attributes:
        matrix: (n, n) f_ij >= 0, by which token i sees token j; each row has one that is not 0.

    Raises:
        InputError: no such matrix.

    Example:
        >>> mf.GivenMask(np.tril(np.ones((3, 3)))).matrix.shape
        (3, 3)
    """

    matrix: Array

    def __post_init__(self) -> None:
        found = square_matrix(self.matrix, "mask")
        object.__setattr__(self, "matrix", found)
        if np.any(found < 0.0):
            i, j = np.argwhere(found < 0.0)[0]
            raise InputError(
                f"mask: {found[i, j]:g} found in row {i}, column {j}, factors >= 0 expected"
            )
        blind = np.flatnonzero(~np.any(found > 0.0, axis=1))
        if blind.size:
            raise InputError(
                f"mask: row {blind[0]} is zero: expected that each token sees one at least"
            )

    def refuse_number(self, n: int) -> None:
        if n != len(self.matrix):
            size = len(self.matrix)
            raise InputError(
                f"mask: a {size} x {size} matrix found for {n} tokens, {n} x {n} expected"
            )

    def seen(self, n: int) -> Seen:
        self.refuse_number(n)
        there = self.matrix > 0.0
        with np.errstate(divide="ignore"):
            return Seen(
                there.argmax(axis=1), n - there[:, ::-1].argmax(axis=1), 0.0, np.log(self.matrix)
            )

    def slices(self, number: int) -> Slices:
        if number != len(self.matrix):
            size = len(self.matrix)
            raise InputError(
                f"mask: a {size} x {size} matrix found for {number} slices, {number} x {number} "
                "expected"
            )
        return Slices(self.matrix, np.where(self.matrix > 0.0, 1.0, 0.0))

    def describe(self) -> str:
        return "mask of a matrix"
