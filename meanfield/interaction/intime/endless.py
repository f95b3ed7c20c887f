"""Random paths that go on as long as somebody asks: the same ones, wherever they are stopped."""

from __future__ import annotations

import math

import numpy as np

from meanfield.arguments import checked_arguments
from meanfield.errors import InputError
from meanfield.geometry.sphere import Array
from meanfield.interaction.intime.base import InTime, digest, finite, largest_norm
from meanfield.interaction.intime.table import TableInTime, ornstein_uhlenbeck

__all__ = ["EndlessPath"]

_FIRST = 16.0  # correlation times that are drawn when one after 0 is asked for
_NODES = 32  # of the broken line in a correlation time
_COUNTED = 1e15  # nodes that doubles can tell from each other
_QUICK, _MOST = 10**7, 10**8  # numbers that are drawn at once without need, and at most
_TAIL = 6.0  # deviations: a value beyond is met once in 1e7 correlation times


class EndlessPath(InTime):
    """An Ornstein-Uhlenbeck path without an end: see ``ornstein_uhlenbeck``.

    It is drawn as far as it is asked for, and later parts do not change those before. A bound holds
    for all times: the mean, the size of the random part and six deviations; the rare values
    beyond are scaled back to it. Steps of solvers end where it is drawn: it has kinks there.

    Args:
        mean: a number or an array.
        rate: of the decay of correlations, > 0.
        variance: of each entry, >= 0.
        seed: >= 0; equal seeds give equal paths.
        step: between the times at which it is drawn; None: 1/32 of 1/rate, so that the variance
            between two of them falls short of that of the law by 0.8 % at most.
        symmetric: a matrix whose entries on and above the diagonal are drawn, and mirrored.

    Raises:
        InputError: numbers out of their ranges, or a ``mean`` that is not symmetric.

    Example:
        >>> mf.EndlessPath(np.eye(3), rate=1.0, variance=2.0, seed=1).at(0.0).shape
        (3, 3)
    """

    @checked_arguments
    def __init__(
        self,
        mean: Array,
        rate: float,
        variance: float,
        seed: int = 0,
        step: float | None = None,
        symmetric: bool = False,
    ) -> None:
        self.mean = finite(mean, "mean")
        self.shape = self.mean.shape
        if not 0.0 < rate < math.inf:
            raise InputError(f"rate: found {rate:g}, expected a finite number > 0")
        self.rate, self.variance, self.seed, self.symmetric = rate, variance, seed, symmetric
        self.step = 1.0 / (_NODES * rate) if step is None else step
        self._table = self._drawn(0.0)
        self.largest = largest_norm(self.mean[None]) + math.sqrt(variance) * self._spread()
        self._table = self._bounded(self._table)

    def _spread(self) -> float:
        """A bound on the random part, in units of the deviation of an entry."""
        typical = sum(math.sqrt(n) for n in self.shape)  # of the norm of a matrix, a vector
        return typical + _TAIL * (math.sqrt(2.0) if self.symmetric else 1.0)

    def _drawn(self, until: float) -> TableInTime:
        return ornstein_uhlenbeck(
            self.mean, self.rate, self.variance, self.seed, until, self.step, self.symmetric
        )

    def _bounded(self, table: TableInTime) -> TableInTime:
        if table.largest <= self.largest:
            return table
        sizes = np.array([largest_norm(value[None]) for value in table.values])
        factors = np.minimum(1.0, self.largest / np.maximum(sizes, 1e-300))
        shape = (-1, *(1 for _ in self.shape))
        return TableInTime(table.times, table.values * factors.reshape(shape), "linear")

    def at(self, t: float) -> Array:
        if t > self._table.times[-1]:
            self._table = self._bounded(self._drawn(self._ahead(t)))
        return self._table.at(t)

    def _ahead(self, t: float) -> float:
        """Until when to draw, for ``t`` and some time after, as far as it fits."""
        each = max(self.mean.size, 1)
        few, most = (self.step * max(0, n // each - 2) for n in (_QUICK, _MOST))
        return max(t, min(most, max(2.0 * t, min(_FIRST / self.rate, few))))

    def instants(self) -> Array:
        return np.arange(_FIRST) / self.rate

    def next_jump(self, t: float) -> float:
        """The next node: a step of high order that has a kink inside is made short many times."""
        if not t / self.step < _COUNTED:
            return math.inf
        k = math.floor(t / self.step)
        while self.step * k <= t:
            k += 1
        return max(self.step * k, 0.0)

    def fingerprint(self) -> str:
        numbers = np.array([self.rate, self.variance, self.step, float(self.symmetric)])
        return digest("path", self.mean, numbers, str(self.seed))
