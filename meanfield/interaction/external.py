"""A potential that hangs on nothing but the place, beside an interaction: for stationary states."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from meanfield.checks import a_parameter
from meanfield.errors import InputError
from meanfield.geometry.sphere import Array
from meanfield.interaction.drifts import Drift, Potential

__all__ = ["External"]

_SAME = 1e-12


@dataclass(frozen=True, eq=False)
class External:
    """-U, the sum of what drifts are gradients of and of a potential, in one dimension.

    Attributes:
        d: dimension.
        drifts: gradients all.
        potential: whose numbers may be varied; None: there is none.

    Raises:
        InputError: a drift that is no gradient, or one of another dimension.
    """

    d: int
    drifts: tuple[Drift, ...] = ()
    potential: Potential | None = None

    def __post_init__(self) -> None:
        for k, drift in enumerate(self.drifts):
            if not drift.is_gradient:
                raise InputError(
                    f"drifts[{k}]: {drift.describe()} found, a gradient expected: the stationary "
                    "states of others carry a flux"
                )
            if drift.d != self.d:
                raise InputError(
                    f"drifts[{k}]: one of dimension {drift.d} found, {self.d} expected"
                )

    @cached_property
    def _all(self) -> tuple[Drift, ...]:
        if self.potential is None:
            return self.drifts
        return (*self.drifts, self.potential.on(self.d))

    def value(self, x: Array) -> Array:
        """-U at unit vectors (n, d), (n,)."""
        return np.asarray(sum((drift.potential(x) for drift in self._all), np.zeros(len(x))))

    def vector(self, x: Array) -> Array:
        """A vector (n, d) whose tangential part is -grad U."""
        return np.asarray(sum((drift.vector(x) for drift in self._all), np.zeros(x.shape)))

    @cached_property
    def mean(self) -> float:
        """Mean of -U over the sphere."""
        return sum(drift.mean_potential() for drift in self._all)

    @property
    def size(self) -> float:
        """A bound on |grad U|."""
        return sum(drift.size for drift in self._all)

    def is_even(self, x: Array) -> bool:
        """Whether U(-x) = U(x), as is seen at unit vectors (n, d)."""
        there = self.value(x)
        wrong = np.abs(there - self.value(-x))
        return float(np.max(wrong)) <= _SAME * (float(np.max(np.abs(there))) + self.size)

    def refuse_tilted(self) -> None:
        """Refuse what is not symmetric about the last axis.

        Raises:
            InputError: it is not.
        """
        for drift in self._all:
            drift.refuse_tilted()

    @property
    def parameters(self) -> dict[str, float]:
        """The numbers of the potential, as "potential.NAME"."""
        found = {} if self.potential is None else self.potential.parameters
        return {f"potential.{name}": value for name, value in found.items()}

    def replaced(self, changes: Mapping[str, float]) -> External:
        """The same with other numbers of the potential.

        Raises:
            InputError: it has no such number, or the value is out of its range.
        """
        for name in changes:
            a_parameter(name, tuple(self.parameters))
        assert self.potential is not None
        own = {name.removeprefix("potential."): value for name, value in changes.items()}
        return replace(self, potential=self.potential.replaced(own))

    def describe(self) -> str:
        """A few words."""
        return "; ".join(drift.describe() for drift in self._all)
