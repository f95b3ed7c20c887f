"""A kind of attention: what heads of it are, whatever the measure."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

from meanfield.collective import Communicator
from meanfield.errors import InputError
from meanfield.geometry.sphere import Array
from meanfield.interaction.composite.axial import axial
from meanfield.interaction.composite.field import CompositeField
from meanfield.interaction.composite.matrices import HeadMatrices
from meanfield.interaction.composite.model import LARGEST_NORM, Heads
from meanfield.interaction.contract import EnergyKind
from meanfield.interaction.expansion import Convexity
from meanfield.interaction.measure import Measure

__all__ = ["Kind"]


class Kind(ABC):
    """A kind of attention; its options, if it has any, are its attributes.

    A new one is a file in ``kinds`` and a line there: its field, the degree of moments that this
    needs, and what is known of it. ``Composite`` does what is common to all: heads add up, drifts
    are added, points and measures are checked.

    Attributes:
        name: in a case.
        needs_beta: whether a head has an inverse temperature.
        largest: |A| that a case may have.
        normalised: whether sums are divided by what noise may hide: values at dark points come
            from direct sums, and all ranks ask together.
        series_ends, exact_sums, compiled_sums: see ``AnyInteraction``.
        beyond: degrees of moments that are needed beyond those of the series.
        excludes_self: whether tokens may leave their own terms out.
        pairwise: whether an energy is a sum over pairs.
    """

    name: ClassVar[str]
    needs_beta: ClassVar[bool] = True
    largest: ClassVar[float] = 2e3
    normalised: ClassVar[bool] = False
    series_ends: ClassVar[bool] = True
    exact_sums: ClassVar[bool] = True
    compiled_sums: ClassVar[bool] = True
    beyond: ClassVar[int] = 0
    excludes_self: ClassVar[bool] = False
    pairwise: ClassVar[bool] = True

    # ------------------------------------------------------------------ one head

    def refuse(self, head: HeadMatrices, name: str) -> None:
        """Refuse a head that this kind does not have.

        Raises:
            InputError: it is none, with its ``name``.
        """
        if head.size > LARGEST_NORM:
            raise InputError(
                f"{name}: |A| = {head.size:.6g} found, at most {LARGEST_NORM:g} expected"
            )

    def refuse_tilted(self, head: HeadMatrices, name: str) -> None:
        """Refuse a head under which the law would not stay axially symmetric (zonal geometry).

        Raises:
            InputError: it is one.
        """
        axial(head, name)

    @abstractmethod
    def degree(self, head: HeadMatrices, d: int, tolerance: float = 1e-15) -> int:
        """Degree of harmonics that carries a head to ``tolerance``."""

    def cut(self, model: Heads) -> float:
        """To which the series of heads are carried: to round-off, where they end soon."""
        return 1e-15

    @abstractmethod
    def is_gradient(self, head: HeadMatrices) -> bool:
        """Whether a head is a gradient, whatever the measure."""

    @abstractmethod
    def rate(self, head: HeadMatrices, d: int) -> float:
        """A bound, in its order, on rates at the uniform state."""

    def average(self, head: HeadMatrices, d: int) -> float:
        """Whether a head attracts on average (> 0): the mean of the diagonal of V A."""
        return float(np.trace(head.V @ head.A)) / d

    def pair_series(self, r: Array, degree: int, d: int) -> Array | None:
        """(n, degree + 1) lam_l(r) of the kernel w, w(r t) = sum_l lam_l dim(H_l) P_l(t).

        X of a head with V = c A^T is c grad link(int w(<A x, y>) dmu), the link a logarithm where
        sums are ``normalised``. None: it is made otherwise.

        Args:
            r: (n,) |A x| >= 0; what grows like e^r is given times e^{-r}, see ``energy_log``.
            degree: largest l.
            d: dimension.
        """
        return None

    # ------------------------------------------------------------------ a measure

    @abstractmethod
    def field(
        self, model: Heads, measure: Measure, moments: Array | None, t: float,
        comm: Communicator | None,
    ) -> CompositeField:  # fmt: skip
        """The field of known moments, as ``moments_of`` gives them; None: direct sums."""

    def weighs(self, head: HeadMatrices) -> bool:
        """Whether a head looks at a measure times a function of its own, and so at its moments."""
        return False

    def blocks(self, model: Heads) -> int:
        """How many moments of such measures, of the same degrees, a field takes."""
        return 0

    def further_moments(
        self, model: Heads, own: Array, measure: Measure, comm: Communicator | None
    ) -> Array:
        """They, one after the other; ``own`` are those of the measure itself. Collective."""
        return np.zeros(0)

    def weights(self, model: Heads, degree: int) -> Array:
        """(degree + 1,) what moments of each degree do to a field, as a bound."""
        return np.ones(degree + 1)

    def epsilon(self, model: Heads) -> float:
        """Accuracy of the transforms."""
        return max(1e-14, min(1e-12, 1e-4 * model.relative))

    # ------------------------------------------------------------------ all heads

    def factor_log(self, model: Heads) -> float:
        """log of the factor in *scaled* velocities."""
        return 0.0

    def energy_log(self, model: Heads) -> float:
        """log of the factor that scaled energies are without."""
        return 0.0

    def energy_kind(self, model: Heads) -> EnergyKind | None:
        """See ``AnyInteraction``; asked only where all drifts are gradients."""
        return None

    def why_no_energy(self, model: Heads) -> str:
        """In a few words, where there is none and all drifts are gradients."""
        return f"{self.name} attention has none"

    def unlike(self, model: Heads) -> str:
        """What keeps heads from V = c A with a symmetric A, in a few words; "" where nothing."""
        for k, head in enumerate(model.heads):
            if 0.0 < head.strength and not head.symmetric:
                return f"A of heads[{k}] is not symmetric"
            if 0.0 < head.strength and head.is_weak:
                return f"A of heads[{k}] is too small to tell it by"
            if head.gradient_factor is None:
                return f"V of heads[{k}] is no multiple of A"
        return ""

    def convexity(self, model: Heads) -> Convexity:
        """Signs of the energy, where there is one."""
        return "mixed"

    def dirac_energy(self, model: Heads) -> float:
        """Scaled E of all mass at one point, the largest there is; nan: not known."""
        return math.nan

    def energy_label(self, model: Heads) -> str:
        """How a scaled energy is written."""
        return "E"

    def sharpness(self, model: Heads) -> float:
        """1/width^2 of the smallest cluster: 1 + |A|."""
        return 1.0 + model.size

    def refuse_overflow(self, model: Heads, highest: float) -> None:
        """Refuse velocities that are no doubles.

        Raises:
            InputError: they are not.
        """
        size = self.factor_log(model)
        if size > highest:
            raise InputError(
                f"{self.name} with |A| = {size:g} found, |A| <= {highest:g} expected: velocities "
                "are of size e^|A|; take sa"
            )

    def describe(self) -> str:
        """A few words."""
        return self.name
