"""An interaction whose strength hangs on the order there is: X = nu(|m|) X_0, m = int y dmu.

X_0 is that of any other interaction: nu multiplies all of it, and nothing that stands beside it
(``Together``): drifts and potentials of a case do. Where its potential is linear in x (W = t), X is
the gradient flow of E = (2/|m|^2) int_0^|m| nu(r) r dr E_0 = Phi(|m|), and beside a potential U
F = kappa H - Phi + int U falls; else E_0 itself increases, alone and without diffusion.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np

from meanfield.arguments import checked_fields
from meanfield.collective import Communicator, sum_over_ranks
from meanfield.geometry.manifolds import Located
from meanfield.geometry.sphere import Array
from meanfield.interaction.behind import Behind
from meanfield.interaction.contract import AnyField, AnyInteraction, DarkPoints, EnergyKind
from meanfield.interaction.expansion import Convexity
from meanfield.interaction.interaction import Interaction
from meanfield.interaction.measure import Measure, plain
from meanfield.interaction.strength import Strength

__all__ = ["Strong"]


class StrongField(AnyField):
    """The field of another interaction, times nu."""

    def __init__(
        self, model: Strong, base: AnyField, measure: Measure, t: float, comm: Communicator | None
    ) -> None:
        super().__init__(measure, base.moments, t, comm)
        self.interaction, self._base = model, base

    @cached_property
    def order(self) -> float:
        """|m|. Collective for direct sums."""
        model = self.interaction
        if self.moments is not None:
            harmonics = model.harmonics
            assert harmonics is not None
            first = self.moments[: harmonics.degrees.size][harmonics.degrees == 1]
            return math.sqrt(float(np.sum(first**2)) / model.d)
        points = model.manifold.moments_of(plain(self.measure.points))
        mean = sum_over_ranks(self._comm, self.measure.weights @ points)
        return float(np.linalg.norm(mean))

    @cached_property
    def factor(self) -> float:
        """nu(|m|). Collective for direct sums."""
        return self.interaction.strength.at(self.order)

    def velocity(
        self, points: Array | Located, scaled: bool = False, seen: DarkPoints | None = None
    ) -> Array:
        return self.factor * self._base.velocity(points, scaled, seen)

    def own_velocity(self, scaled: bool = False) -> Array:
        return self.factor * self._base.own_velocity(scaled)

    def velocity_and_divergence(
        self, points: Array | Located, scaled: bool = False, seen: DarkPoints | None = None
    ) -> tuple[Array, Array]:
        velocity, divergence = self._base.velocity_and_divergence(points, scaled, seen)
        return self.factor * velocity, self.factor * divergence

    def along_edges(self, points: Located, seen: DarkPoints | None = None) -> Array:
        return self.factor * self._base.along_edges(points, seen)

    @cached_property
    def _gain(self) -> float:
        """What E_0 is multiplied by."""
        model = self.interaction
        return model.strength.mean(self.order) if model.is_linear else 1.0

    def energy(self, scaled: bool = False) -> float:
        base = self._base.energy(scaled)
        if self._gain == 1.0 or not math.isfinite(base):
            return base
        return self._gain * base

    def energy_excess(self) -> float:
        return self._gain * self._base.energy_excess()

    def ascent(self) -> float:
        return self._gain * self._base.ascent()

    @property
    def _rate(self) -> float:
        return self.factor**2 if self.interaction.is_linear else self.factor

    def dissipation_density(self, points: Array | Located) -> Array:
        return self._rate * self._base.dissipation_density(points)

    def own_dissipation_density(self) -> Array:
        return self._rate * self._base.own_dissipation_density()

    def energy_noise(self, masses: float = 0.0) -> float:
        return max(1.0, self.interaction.strength.largest) * self._base.energy_noise(masses)

    def tail_share(self) -> float:
        return self._base.tail_share()


@checked_fields
@dataclass(frozen=True, eq=False)
class Strong(Behind):
    """Another interaction, times nu(|m|).

    Attributes:
        base: the other one.
        strength: nu, >= 0.

    Example:
        >>> base = mf.Attention('usa', beta=1.0, d=3)
        >>> mf.Strong(base, mf.PowerStrength(exponent=1.0)).d
        3
    """

    base: AnyInteraction
    strength: Strength

    @property
    def behind(self) -> AnyInteraction:
        """The other one."""
        return self.base

    def _with(self, base: AnyInteraction) -> Self:
        return self if base is self.base else replace(self, base=base)

    @cached_property
    def is_linear(self) -> bool:
        """Whether the potential is linear in x, so that E is a function of |m| alone."""
        zonal = isinstance(self.base, Interaction) and self.base.energy_kind == "gradient"
        return zonal and self.base.degree(1e-15) == 1

    @property
    def open_tail(self) -> str:
        known = self.base.open_tail
        return known or ("it is times a strength" if self.base.local_tail > 0.0 else "")

    # ---- time ------------------------------------------------------------------------------------

    @property
    def moves(self) -> bool:
        return self.base.moves

    @property
    def piecewise(self) -> bool:
        return self.base.piecewise

    def at(self, t: float) -> AnyInteraction:
        return self._with(self.base.at(t))

    def next_jump(self, t: float) -> float:
        return self.base.next_jump(t)

    # ---- points and transforms -------------------------------------------------------------------

    @property
    def d(self) -> int:  # type: ignore[override]
        """Dimension."""
        return self.base.d

    @property
    def geometry(self) -> str:  # type: ignore[override]
        """Coordinates of the points."""
        return self.base.geometry

    @property
    def method(self) -> str:  # type: ignore[override]
        """How fields are summed."""
        return self.base.method

    @property
    def accuracy(self) -> float | None:  # type: ignore[override]
        """Of the transforms."""
        return self.base.accuracy

    @property
    def dark(self) -> float:  # type: ignore[override]
        """That of the other one."""
        return self.base.dark

    def with_dark(self, dark: float) -> Self:
        return self._with(self.base.with_dark(dark))

    def on_mesh(self, vertices: int, accuracy: float | None = None) -> Self:
        return self._with(self.base.on_mesh(vertices, accuracy))

    def by(self, method: str) -> Self:
        return self._with(self.base.by(method))

    def quiet(self, rtol: float) -> Self:
        return self._with(self.base.quiet(rtol))

    # ---- fields ----------------------------------------------------------------------------------

    def field_of_moments(
        self, moments: Array | None, measure: Measure, t: float, comm: Communicator | None
    ) -> StrongField:
        base = self.base.field_of_moments(moments, measure, t, comm)
        return StrongField(self, base, measure, t, comm)

    # ---- what is known about it ------------------------------------------------------------------

    @property
    def has_potential(self) -> bool:
        return self.base.has_potential

    @property
    def has_gradient(self) -> bool:
        return self.base.has_gradient

    @property
    def energy_kind(self) -> EnergyKind | None:
        """ "gradient" where the potential is linear in x; else "monotone", E_0, if there is one."""
        if self.base.energy_kind is None:
            return None
        return "gradient" if self.is_linear else "monotone"

    @property
    def why_no_energy(self) -> str:
        return self.base.why_no_energy

    @property
    def convexity(self) -> Convexity | None:
        """That of E_0, where E is a convex function of it or E_0 itself."""
        base = self.base.convexity
        return base if base is None or not self.is_linear or self.strength.convex else "mixed"

    @property
    def repels(self) -> Array:
        """Those of the other one; none where the potential is not linear and some attract."""
        if self.energy_kind == "gradient" or self.convexity == "negative":
            return self.base.repels
        return np.zeros(self.base.metric.size, dtype=bool)

    @property
    def dirac_energy(self) -> float:
        gain = self.strength.mean(1.0) if self.is_linear else 1.0
        return gain * self.base.dirac_energy

    def excluding_self(self) -> AnyInteraction:
        return self._with(self.base.excluding_self())

    def pair_energy(self, measure: Measure, n: float, t: float = 0.0) -> float:
        """That of the other one, without nu; where E is no sum over pairs, E itself."""
        if self.is_linear:
            return self.field(measure, t).energy(scaled=True)
        return self.base.pair_energy(measure, n, t)

    def fastest_rate(self, degree: int) -> float:
        return self.strength.largest * self.base.fastest_rate(degree)

    @property
    def sharpens(self) -> bool:
        return self.base.sharpens

    def describe(self) -> str:
        return f"{self.base.describe()}; {self.strength.describe()}"

    @property
    def columns(self) -> Mapping[str, object]:
        return {**self.base.columns, "strength": self.strength.type}

    @property
    def parameters(self) -> Mapping[str, float]:
        return {}
