"""The view of tokens: see ``view``."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np

from meanfield.analysis.clustertable import CLUSTER_MASS
from meanfield.analysis.columns.view import Totals, View, energies_of, power_of, totals_of
from meanfield.dynamics.tokensolver import TokenSolver
from meanfield.geometry.manifolds import of_vectors
from meanfield.geometry.mesh import IntArray
from meanfield.geometry.sphere import Array

__all__ = ["TokenView"]

_MOMENTS = 8  # directions of second moments and of the mean that a table of tokens has at most


class TokenView(View):
    """Of tokens.

    Args:
        solver: with the state.
        labels: gives the group (n,) of each token (``dynamics.clusters``).
    """

    def __init__(self, solver: TokenSolver, labels: Callable[[], IntArray]) -> None:
        self.solver: TokenSolver = solver
        self._labels = labels
        self._on = of_vectors(solver.d)
        harmonics = {"harmonics"} if self._on.has_harmonics else set()
        tangents = set() if solver.tangents is None else {"tangents"}
        energies = energies_of(solver) if solver.has_energy else set()
        if not solver.follows_field:
            energies -= {"dissipation", "balance"}
        lengths = set() if solver.lengths is None else {"lengths"}
        rescaled = {"rescaled"} if solver.rescales else set()
        told = harmonics | tangents | energies | lengths | rescaled
        self.offers = frozenset({"groups", "spectrum"} | told)
        self.directions = min(solver.d, _MOMENTS)

    def _totals_of(self) -> Totals:
        x = self.solver.x
        return totals_of(x, self.solver.weights, np.zeros(len(x)))

    @cached_property
    def spectrum(self) -> Array:
        """Of fewer tokens than dimensions by their Gram matrix: (min(n, d),)."""
        if len(self.solver.x) >= self.solver.d:
            return np.asarray(np.linalg.eigvalsh(self._totals.second))
        x = self.solver.x * np.sqrt(self.solver.weights)[:, None]
        return np.asarray(np.linalg.eigvalsh(x @ x.T))

    @cached_property
    def second(self) -> Array:
        """As for every view."""
        found = self.spectrum[-self.directions :]
        return np.concatenate([np.zeros(self.directions - len(found)), found])

    @property
    def growth(self) -> float:
        """log of the norm of d x(t)/d x(0), on the directions that are carried along."""
        assert self.solver.tangents is not None
        return self.solver.tangents.growth

    def power_to(self, degree: int) -> Array:
        return power_of(self.solver, self._on.harmonics(degree, 1e-11))

    @property
    def extremes(self) -> tuple[float, float]:
        """Tokens have no density."""
        raise NotImplementedError

    @property
    def masses(self) -> Array:
        """(n,) masses of the tokens."""
        return self.solver.weights

    @cached_property
    def lengths(self) -> Array:
        """(n,) lengths of the tokens, where they have some."""
        found = self.solver.lengths
        assert found is not None
        return found

    @cached_property
    def rescaled(self) -> Array:
        """(n, d) tokens whose growth is undone, where it is known."""
        found = self.solver.rescaled()
        assert found is not None
        return found

    @cached_property
    def _masses(self) -> Array:
        return np.bincount(self._labels(), weights=self.solver.weights)

    @property
    def clusters(self) -> int:
        """Number of groups that hold at least 1 % of the mass."""
        return int(np.count_nonzero(self._masses >= CLUSTER_MASS))

    @property
    def largest_cluster(self) -> float:
        """Mass of the largest group."""
        return float(self._masses.max())
