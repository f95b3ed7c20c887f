"""Interactions without energy, such as pulls that are not mutual: j pulls i, and i need not pull j.

What interactions of an order (``masked``, ``sliced``) and their fields have in common.
"""

from __future__ import annotations

import math
from typing import NoReturn

from meanfield.errors import InputError
from meanfield.geometry.manifolds import Located
from meanfield.geometry.sphere import Array
from meanfield.interaction.behind import Behind
from meanfield.interaction.contract import AnyField, DarkPoints, EnergyKind
from meanfield.interaction.expansion import Convexity
from meanfield.interaction.measure import Measure

__all__ = ["OneSided", "OneSidedField", "WithoutEnergy"]


class OneSidedField(AnyField):
    """A field without energy, at the points of its own measure."""

    def _refuse(self, found: str) -> NoReturn:
        raise InputError(
            f"{found}, but an order has no energy and no potential: expected velocities at the "
            "points of the measure"
        )

    def along_edges(self, points: Located, seen: DarkPoints | None = None) -> Array:
        self._refuse("a mesh that stays found")

    def dissipation_density(self, points: Array | Located) -> Array:
        self._refuse("the rate of an energy asked for")

    def energy(self, scaled: bool = False) -> float:
        return math.nan

    def energy_excess(self) -> float:
        return math.nan

    def ascent(self) -> float:
        return math.nan

    def energy_noise(self, masses: float = 0.0) -> float:
        return 0.0

    def tail_share(self) -> float:
        return 0.0


class WithoutEnergy(Behind):
    """No potential and no energy; all else is asked of the one behind."""

    @property
    def has_potential(self) -> bool:
        return False

    @property
    def has_gradient(self) -> bool:
        return False

    @property
    def energy_kind(self) -> EnergyKind | None:
        return None

    @property
    def convexity(self) -> Convexity | None:
        return None

    @property
    def dirac_energy(self) -> float:
        return math.nan

    def pair_energy(self, measure: Measure, n: float, t: float = 0.0) -> float:
        raise InputError(f"no energy for this model: {self.why_no_energy}")


class OneSided(WithoutEnergy):
    """Pulls of an order, within one that has none and is behind."""

    @property
    def d(self) -> int:  # type: ignore[override]  # of the one behind, as all of these
        """Dimension."""
        return self.behind.d

    @property
    def geometry(self) -> str:  # type: ignore[override]
        """Coordinates of the points."""
        return self.behind.geometry

    @property
    def method(self) -> str:  # type: ignore[override]
        """How fields are summed."""
        return self.behind.method

    @property
    def accuracy(self) -> float | None:  # type: ignore[override]
        """Of the transforms."""
        return self.behind.accuracy

    @property
    def dark(self) -> float:  # type: ignore[override]
        """That of the one behind."""
        return self.behind.dark

    @property
    def why_no_energy(self) -> str:
        return "tokens see different ones of the others, so that pulls are not mutual"

    @property
    def is_external(self) -> bool:
        return self.behind.is_external

    def fastest_rate(self, degree: int) -> float:
        return self.behind.fastest_rate(degree)

    @property
    def sharpens(self) -> bool:
        return self.behind.sharpens
