"""Interactions that have most of what they are from another one behind them.

For this package only: everyone else asks an ``AnyInteraction``.
"""

from __future__ import annotations

from abc import abstractmethod

from meanfield.collective import Communicator
from meanfield.geometry.manifolds import Harmonics, Located, Manifold
from meanfield.geometry.sphere import Array
from meanfield.interaction.contract import AnyInteraction
from meanfield.interaction.expansion import Truncation
from meanfield.interaction.measure import Measure

__all__ = ["Behind"]


class Behind(AnyInteraction):
    """What is asked of the one behind: points, transforms, units, sizes."""

    @property
    @abstractmethod
    def behind(self) -> AnyInteraction:
        """The other one."""

    # ---- points and transforms -------------------------------------------------------------------

    @property
    def manifold(self) -> Manifold:
        return self.behind.manifold

    @property
    def harmonics(self) -> Harmonics | None:
        return self.behind.harmonics

    @property
    def epsilon(self) -> float:
        return self.behind.epsilon

    @property
    def truncation(self) -> Truncation | None:
        return self.behind.truncation

    def locate(self, points: Array) -> Located:
        return self.behind.locate(points)

    def degree(self, tolerance: float, otherwise: int = 64) -> int:
        return self.behind.degree(tolerance, otherwise)

    @property
    def series_ends(self) -> bool:
        return self.behind.series_ends

    @property
    def exact_sums(self) -> bool:
        return self.behind.exact_sums

    @property
    def compiled_sums(self) -> bool:
        return self.behind.compiled_sums

    @property
    def further(self) -> int:
        return self.behind.further

    def further_moments(
        self, own: Array, measure: Measure, t: float, comm: Communicator | None
    ) -> Array:
        return self.behind.further_moments(own, measure, t, comm)

    def kernel_norm(self, moments: Array) -> float:
        return self.behind.kernel_norm(moments)

    @property
    def metric(self) -> Array:
        return self.behind.metric

    @property
    def repels(self) -> Array:
        return self.behind.repels

    # ---- units and sizes -------------------------------------------------------------------------

    def free_energy(self, energy: float, entropy: float, kappa: float) -> float:
        return self.behind.free_energy(energy, entropy, kappa)

    @property
    def has_double_energy(self) -> bool:
        return self.behind.has_double_energy

    def scaled(self, value: float) -> float:
        return self.behind.scaled(value)

    @property
    def energy_label(self) -> str:
        return self.behind.energy_label

    @property
    def leaves_out_self(self) -> bool:
        return self.behind.leaves_out_self

    @property
    def excludes_self(self) -> bool:
        return self.behind.excludes_self

    @property
    def one_point_each(self) -> bool:
        return self.behind.one_point_each

    def refuse_number(self, n: int) -> None:
        self.behind.refuse_number(n)

    @property
    def sharpness(self) -> float:
        return self.behind.sharpness

    @property
    def width(self) -> float:
        return self.behind.width

    @property
    def factor_log(self) -> float:
        return self.behind.factor_log

    def refuse_overflow(self, highest: float = 600.0) -> None:
        self.behind.refuse_overflow(highest)
