"""Interactions side by side as stationary states take them: exponents that are linear add up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from meanfield.checks import a_parameter
from meanfield.errors import InputError
from meanfield.geometry.manifolds import Grid
from meanfield.geometry.sphere import Array
from meanfield.interaction.composite.gibbs import GibbsHeads
from meanfield.interaction.contract import EnergyKind
from meanfield.interaction.gibbs import AnyGibbs, Pull
from meanfield.interaction.interaction import Interaction
from meanfield.interaction.measure import Measure

__all__ = ["GibbsSum"]


class _Sum(Pull):
    """Pulls with factors."""

    def __init__(self, parts: tuple[tuple[float, Pull], ...]) -> None:
        self._parts = parts
        self.sizes = np.sum([abs(factor) * pull.sizes for factor, pull in parts], axis=0)

    def __call__(self, moments: Array) -> Array:
        return np.asarray(sum(factor * pull(moments) for factor, pull in self._parts))


@dataclass(frozen=True, eq=False)
class GibbsSum(AnyGibbs):
    """A zonal kernel beside heads.

    Attributes:
        kernel: with the identity as link.
        heads: likewise.

    Raises:
        InputError: one of them has a logarithm.
    """

    kernel: Interaction
    heads: GibbsHeads

    def __post_init__(self) -> None:
        for part in (self.kernel, self.heads):
            if not part.is_linear:
                raise InputError(
                    f"{part.describe()}, which is divided by its Z, found beside others: such sums "
                    "have no energy, and stationary and branch need one"
                )

    @property
    def d(self) -> int:  # type: ignore[override]  # of its parts
        """Dimension of the ambient space."""
        return self.heads.d

    @property
    def _parts(self) -> tuple[AnyGibbs, AnyGibbs]:
        return self.kernel, self.heads

    @property
    def is_linear(self) -> bool:
        return True

    @property
    def is_isotropic(self) -> bool:
        return self.heads.is_isotropic

    @property
    def rests(self) -> bool:
        return self.heads.rests

    def pull(self, grid: Grid, order: int = 0) -> Pull:
        gains = (self.kernel.exponent_gain, self.heads.exponent_gain)
        pulls = (part.pull(grid, order) for part in self._parts)
        return _Sum(tuple(zip(gains, pulls, strict=True)))

    def marks(self, x: Array) -> list[Array]:
        return self.heads.marks(x)

    def refuse_tilted(self) -> None:
        self.heads.refuse_tilted()

    def exponent(self, q: Array) -> tuple[Array, Array]:
        return q, np.ones_like(q)

    def exponent_degree(self, kappa: float) -> int | None:
        own, others = (part.exponent_degree(kappa) for part in self._parts)
        return None if own is None or others is None else max(own, others)

    def last_share(self, power: Array) -> float:
        return self.kernel.last_share(power)

    def potential(self, on: str, measure: Measure, degree: int, points: Array) -> Array:
        kernel, heads = (part.potential(on, measure, degree, points) for part in self._parts)
        return kernel + heads

    @property
    def energy_kind(self) -> EnergyKind:
        return "gradient"

    def energy_of(self, excess: float) -> float:
        return excess

    def energy_of_uniform(self, grid: Grid) -> float:
        return sum(part.ascending(part.energy_of_uniform(grid)) for part in self._parts)

    def free_energy(self, energy: float, entropy: float, kappa: float) -> float:
        return kappa * entropy - energy

    def refuse_overflow(self, highest: float = 600.0) -> None:
        for part in self._parts:
            part.refuse_overflow(highest)

    def describe(self) -> str:
        return "; ".join(part.describe() for part in self._parts)

    @property
    def columns(self) -> Mapping[str, object]:
        """The names of both, and the numbers of each."""
        kernel, heads = self.kernel.columns, self.heads.columns
        return {**heads, **kernel, "model": f"{kernel['model']} + {heads['model']}"}

    @property
    def parameters(self) -> Mapping[str, float]:
        return {**self.kernel.parameters, **self.heads.parameters}

    def varied(self, changes: Mapping[str, float]) -> GibbsSum:
        """The same with other numbers.

        Raises:
            InputError: there is no such number, or it is out of its range.
        """
        kernel, heads = self.kernel, self.heads
        for name, value in changes.items():
            a_parameter(name, tuple(self.parameters))
            if name in heads.parameters:
                heads = heads.varied({name: value})
            else:
                kernel = kernel.varied({name: value})
        return GibbsSum(kernel, heads)
