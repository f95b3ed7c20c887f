"""The potential whose differences along edges have a given divergence, by PETSc, on any ranks.

Knows stars, not what the potential is for.
"""

from __future__ import annotations

import numpy as np

from meanfield.dynamics.edgematrix import EdgeMatrix
from meanfield.dynamics.space import P1Space
from meanfield.errors import BrokenInvariantError
from meanfield.geometry.sphere import Array

__all__ = ["EdgeLaplacian"]

_LEVEL = 1e-12  # of the right side: what may be left of it, if round-off is less
_TRIES = 3  # each corrects what the one before has left
_ROUND_OFF = 64 * np.finfo(float).eps


class EdgeLaplacian(EdgeMatrix):
    """sum_j c_ij (p_i - p_j) on the stars of a space. All methods are collective.

    The matrix is made, and factored, for the first right side, and kept for all others.

    Args:
        space: gives stars and ranks.
    """

    def __init__(self, space: P1Space) -> None:
        super().__init__(space)
        self._leaving: Array = np.sum(space.stars.coefficient, axis=0)
        self._filled = False

    def potential(self, right: Array) -> Array:
        """p (n_owned,) with sum_j c_ij (p_i - p_j) = right_i, to round-off, up to a constant.

        It hangs on the right side alone, to the last bit, not on those that came before.

        Args:
            right: (n_owned,), sum zero over all ranks.

        Raises:
            BrokenInvariantError: no solver gets there. On every rank.
        """
        stars, space = self.space.stars, self.space
        self._make()
        (size,) = space.max(float(np.max(np.abs(right), initial=0.0)))
        for name in self._preferred():
            solver = self._solver(name)
            if solver is None:
                continue
            solver.setOperators(self._matrix)
            solver.setTolerances(rtol=0.1 * _LEVEL)
            p, left = np.zeros_like(right), right
            for _ in range(_TRIES):
                self._b.array[:], self._x.array[:] = left, 0.0
                solver.solve(self._b, self._x)
                p = p + self._x.array
                around = space.with_ghosts(p)[stars.neighbour]
                left = right - np.sum(stars.coefficient * (p - around), axis=0)
                wrong, terms = space.max(
                    float(np.max(np.abs(left), initial=0.0)),
                    float(np.max(self._leaving * np.abs(p), initial=0.0)),
                )
                good = wrong <= max(_LEVEL * size, _ROUND_OFF * terms)
                if wrong <= _ROUND_OFF * terms or (good and name == "lu"):
                    break
            if good:
                return p
        raise BrokenInvariantError("the potential that levels the uniform state was not solved for")

    def _make(self) -> None:
        """With one diagonal entry, the largest, taken twice the matrix is regular.

        And as all columns of the others sum to zero, p is 0 there.
        """
        if self._filled:
            return
        diagonal, largest = self._leaving.copy(), float(np.max(self._leaving, initial=0.0))
        if int(np.argmax(self.space.comm.allgather(largest))) == self.space.comm.rank:
            diagonal[np.argmax(self._leaving)] *= 2.0
        self._fill(diagonal, -self.space.stars.coefficient)
        self._filled = True
