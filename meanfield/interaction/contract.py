"""What solvers may ask of an interaction and of its field, whatever they are made of.

An interaction turns a measure into a field; the solvers only differ in how they move mass along it.
None of them knows beta, kernels, matrices or heads. Interactions are ``Interaction``, of a zonal
kernel, ``composite.Composite``, of heads with any matrices and of drifts, ``composite.Moving``, of
those that depend on time, and sums of them, ``together.Together``.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, Self, cast

import numpy as np

from meanfield.arguments import refuse_other
from meanfield.collective import Communicator
from meanfield.errors import InputError
from meanfield.geometry.manifolds import Harmonics, Located, Manifold
from meanfield.geometry.sphere import Array
from meanfield.geometry.threads import refuse_fork
from meanfield.interaction.anyfield import AnyField, DarkPoints
from meanfield.interaction.expansion import Convexity, Truncation
from meanfield.interaction.measure import Measure, checked_on, is_known, moments_of

__all__ = ["AnyField", "AnyInteraction", "DarkPoints", "EnergyKind"]

EnergyKind = Literal["gradient", "monotone"]


class AnyInteraction(ABC):
    """Who pulls whom on one geometry.

    Attributes:
        d: dimension of the ambient space; tokens live on S^{d-1}.
        geometry: coordinates of the points: "sphere", "circle", "zonal" or "any".
        method: "harmonics", "direct" or "auto".
        accuracy: of the transforms; None: chosen.
        dark: 1/dark bounds the relative noise of sums that are divided by.
    """

    d: int
    geometry: str
    method: str
    accuracy: float | None
    dark: float

    # ---- points and transforms -------------------------------------------------------------------

    @property
    @abstractmethod
    def manifold(self) -> Manifold:
        """The geometry of its points."""

    @property
    @abstractmethod
    def harmonics(self) -> Harmonics | None:
        """The transforms in use; None for direct sums."""

    @property
    @abstractmethod
    def epsilon(self) -> float:
        """Accuracy of the transforms."""

    @property
    @abstractmethod
    def truncation(self) -> Truncation | None:
        """What is kept of the series in transforms; None: they are not used."""

    @abstractmethod
    def locate(self, points: Array) -> Located:
        """Points made ready for the transforms in use, to be known as good: nothing is checked."""

    @abstractmethod
    def on_mesh(self, vertices: int, accuracy: float | None = None) -> Self:
        """The same for a mesh of so many vertices."""

    @abstractmethod
    def by(self, method: str) -> Self:
        """The same by "harmonics" or "direct" sums; "auto" leaves it as it is."""

    def direct(self) -> Self:
        """The same by direct sums."""
        return self.by("direct")

    @abstractmethod
    def quiet(self, rtol: float) -> Self:
        """The same with the noise of a velocity, at any point, not far above ``rtol``."""

    def with_dark(self, dark: float) -> Self:
        """The same with another ``dark``."""
        return cast(Self, replace(cast(Any, self), dark=dark))  # a dataclass, as all are

    @abstractmethod
    def degree(self, tolerance: float, otherwise: int = 64) -> int:
        """Degree of harmonics that carries it to ``tolerance``; where none does, ``otherwise``."""

    @property
    @abstractmethod
    def series_ends(self) -> bool:
        """Whether the series ends at round-off: else it is cut, and tokens are summed directly."""

    @property
    @abstractmethod
    def exact_sums(self) -> bool:
        """Whether sums over pairs are to round-off."""

    @property
    @abstractmethod
    def compiled_sums(self) -> bool:
        """Whether sums over pairs with all derivatives are compiled: faster than few transforms."""

    @property
    def local_tail(self) -> float:
        """kappa_2 >= 0: what transforms leave out acts like kappa_2 rho^2/2 in the free energy.

        Of repulsion whose coefficients decrease in size for ever: beyond degree L they are near
        those of a local repulsion, all equal. 0: nothing is left out, or it is not like that.
        """
        return 0.0

    @property
    def open_tail(self) -> str:
        """Why ``local_tail`` leaves out a tail that is like that, in a few words; "" if none is."""
        return ""

    def with_closed_tail(self) -> Self:
        """The same for one who adds the diffusion kappa_2 rho^2/2 of ``local_tail``: less of it.

        Each coefficient that is kept gives away what that diffusion brings. The energy is that of
        this one, less kappa_2/2 int (rho^2 - 1) dsigma.
        """
        return self

    # ---- fields ----------------------------------------------------------------------------------

    def field(self, measure: Measure, t: float = 0.0, comm: Communicator | None = None) -> AnyField:
        """The field that a measure exerts at time ``t``.

        Collective over ``comm`` (an mpi4py communicator, or None in one process): each rank gives
        its own points, the result is the field of all.

        Raises:
            InputError: on every rank; it is no measure on this geometry, see ``Measure``. Or this
                is a copy (fork) of a process that has computed.
        """
        refuse_fork()
        if not is_known(measure):
            refuse_other("t", t, float)
            refuse_other("comm", comm, Communicator | None)
            measure = checked_on(self.manifold, measure, comm=comm)
        moments = None if self.harmonics is None else self.moments_of(measure, t, comm)
        return self.field_of_moments(moments, measure, t, comm)

    def moments_of(self, measure: Measure, t: float, comm: Communicator | None) -> Array:
        """All that its fields by transforms take of a measure at a time. Collective.

        Its moments, then the ``further_moments``.
        """
        assert self.harmonics is not None
        own = moments_of(self.harmonics, measure, comm)
        if not self.further:
            return own
        return np.concatenate([own, self.further_moments(own, measure, t, comm)])

    @property
    def further(self) -> int:
        """How many numbers beside its moments fields by transforms take of a measure."""
        return 0

    def further_moments(
        self, own: Array, measure: Measure, t: float, comm: Communicator | None
    ) -> Array:
        """(further,) such as moments of the measure times a function. Collective.

        Args:
            own: (n,) moments of the measure.
            measure, t, comm: as for ``field``.
        """
        return np.zeros(0)

    @abstractmethod
    def field_of_moments(
        self, moments: Array | None, measure: Measure, t: float, comm: Communicator | None
    ) -> AnyField:
        """The field of known moments (a checkpoint, an extrapolation); None: direct sums."""

    def outputs(self, x: Array, weights: Array, t: float = 0.0, beside: bool = True) -> Array:
        """What tokens of any length do to each other before it is projected, (n, d): A_i.

        P A_i is X at unit vectors. Direct sums.

        Args:
            x: (n, d) vectors.
            weights: (n,) masses.
            t: time.
            beside: whether drifts and perceptrons, at these vectors, are added.

        Raises:
            InputError: only sa and usa, in any form of them, have outputs.
        """
        raise InputError(f"outputs before their projection: none of {self.describe()}")

    @abstractmethod
    def kernel_norm(self, moments: Array) -> float:
        """Norm of moments, weighted by what each degree does to a field."""

    @property
    @abstractmethod
    def metric(self) -> Array:
        """Weights of squared ``moments_of`` in the norm of a fixed point, largest 1."""

    @property
    @abstractmethod
    def repels(self) -> Array:
        """Which of ``moments_of`` repel, at all times: their potential is that of the new density.

        Those in which the potential is linear, of negative sign, also where there is no energy
        (with one, they make it concave). Where it is not linear: if everything repels.
        """

    # ---- time ------------------------------------------------------------------------------------

    @property
    def moves(self) -> bool:
        """Whether it depends on time."""
        return False

    @property
    def piecewise(self) -> bool:
        """Whether nothing changes between its jumps."""
        return True

    def at(self, t: float) -> AnyInteraction:
        """The one at a time, which does not depend on time."""
        return self

    def next_jump(self, t: float) -> float:
        """The first time after ``t`` at which it jumps, or has a kink: steps end there."""
        return math.inf

    # ---- what is known about it ------------------------------------------------------------------

    @property
    def is_external(self) -> bool:
        """Whether X does not hang on the measure at all."""
        return False

    @property
    @abstractmethod
    def has_potential(self) -> bool:
        """Whether X is a gradient, whatever the measure."""

    @property
    @abstractmethod
    def has_gradient(self) -> bool:
        """Whether X or a part of it is told as a potential: see ``AnyField.along_edges``."""

    @property
    @abstractmethod
    def energy_kind(self) -> EnergyKind | None:
        """What has a sign: "gradient", F = kappa H - drive E falls; "monotone", for kappa = 0 only.

        None: there is no energy.
        """

    @property
    def why_no_energy(self) -> str:
        """In a few words; "" where there is one."""
        return "" if self.energy_kind is not None else "none is known that its flow increases"

    @property
    @abstractmethod
    def convexity(self) -> Convexity | None:
        """Signs of the series of the energy that grows, in time of those at all times.

        None: there is no energy, at no time.
        """

    @abstractmethod
    def free_energy(self, energy: float, entropy: float, kappa: float) -> float:
        """F = kappa H - drive E."""

    def ascending(self, energy: float) -> float:
        """An energy, scaled or not, with the sign and factor that it has in -F: its ``drive``."""
        return -self.free_energy(energy, 0.0, 0.0)

    @property
    @abstractmethod
    def has_double_energy(self) -> bool:
        """Whether energies in their own unit are doubles; scaled ones always are."""

    @abstractmethod
    def scaled(self, value: float) -> float:
        """A number in the unit of scaled energies."""

    @property
    @abstractmethod
    def energy_label(self) -> str:
        """How a scaled energy is written."""

    @property
    @abstractmethod
    def dirac_energy(self) -> float:
        """Scaled E of all mass at one point, the largest there is; inf or nan possible."""

    @property
    @abstractmethod
    def leaves_out_self(self) -> bool:
        """Whether sums over pairs leave a token's term with itself out."""

    @property
    def excludes_self(self) -> bool:
        """Whether what moves a token leaves its own term out: each point has to be one token."""
        return False

    @property
    def one_point_each(self) -> bool:
        """Whether each point has to be one token, equal ones too: own terms, or an order."""
        return self.excludes_self

    def refuse_number(self, n: int) -> None:
        """Refuse a number of tokens that it is not for.

        Raises:
            InputError: it is one (a mask of another size).
        """
        return  # any

    def excluding_self(self) -> AnyInteraction:
        """The same for tokens, with sums over all others, j != i: of Z, velocities and energies.

        An own term that moves no token (of a zonal kernel: W'(1) P_x x = 0) may stay in energies.

        Raises:
            InputError: not for this one.
        """
        raise InputError(f"no sums over other tokens alone for this interaction: {self.describe()}")

    @abstractmethod
    def pair_energy(self, measure: Measure, n: float, t: float = 0.0) -> float:
        """Scaled E of n equal tokens over pairs of different ones: its mean is E of their law.

        Of tokens with weights w, sum one, n is 1 / sum w^2.
        """

    @abstractmethod
    def fastest_rate(self, degree: int) -> float:
        """Fastest growth rate, up to a degree, of perturbations of the uniform state (a bound)."""

    @property
    @abstractmethod
    def sharpens(self) -> bool:
        """Whether clusters narrow without end on their own time scale."""

    @property
    @abstractmethod
    def sharpness(self) -> float:
        """1/width^2 of the smallest cluster that it makes."""

    @property
    @abstractmethod
    def width(self) -> float:
        """Width (angle) of the smallest cluster that it makes."""

    @property
    @abstractmethod
    def factor_log(self) -> float:
        """log of the factor in *scaled* velocities."""

    @abstractmethod
    def refuse_overflow(self, highest: float = 600.0) -> None:
        """Refuse velocities (or, at ``highest``, potentials) that are no doubles.

        Raises:
            InputError: they are not.
        """

    @abstractmethod
    def describe(self) -> str:
        """A few words."""

    @property
    @abstractmethod
    def columns(self) -> Mapping[str, object]:
        """What names it in a table: "model" and its numbers."""

    @property
    @abstractmethod
    def parameters(self) -> Mapping[str, float]:
        """The numbers that a branch or a sweep may vary."""
