"""What stationary states with noise ask of an interaction: an exponent that moments make.

With a potential xi and kappa > 0 a state is stationary exactly if mu ~ exp(xi/kappa) (Gibbs). Here
xi = link(q) of a q that is linear in mu: in orthonormal harmonics q = M a with a symmetric M, which
is diagonal for a zonal kernel (Funk-Hecke) and a matrix between harmonics for heads. Made of these
are ``Interaction``, of a zonal kernel, ``composite.gibbs.GibbsHeads``, and sums, ``GibbsSum``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from meanfield.geometry.manifolds import Grid
from meanfield.geometry.sphere import Array
from meanfield.interaction.contract import EnergyKind
from meanfield.interaction.measure import Measure

__all__ = ["AnyGibbs", "DensePull", "Exponent", "Multipliers", "Pull"]


class Pull(ABC):
    """M: what moments of mu do to q, on one grid.

    Attributes:
        sizes: (k,) no |lam| of an image of moments of that degree is larger, 0 at l = 0.
        level: M_00 for the logarithm as link; 0 where constants in xi do not matter.
    """

    sizes: Array
    level: float = 0.0

    @abstractmethod
    def __call__(self, moments: Array) -> Array:
        """M of moments (..., k)."""


class Multipliers(Pull):
    """Of a kernel of <x, y>: a number for each degree.

    Args:
        values: (k,) of each harmonic, 0 at l = 0.
    """

    def __init__(self, values: Array) -> None:
        self.values, self.sizes = values, np.abs(values)

    def __call__(self, moments: Array) -> Array:
        return np.asarray(self.values * moments)


class DensePull(Pull):
    """A symmetric matrix.

    Args:
        matrix: (k, k).
        sizes: (k,) see ``Pull``.
        level: likewise.
    """

    def __init__(self, matrix: Array, sizes: Array, level: float = 0.0) -> None:
        self.matrix, self.sizes, self.level = matrix, sizes, level

    def __call__(self, moments: Array) -> Array:
        return np.asarray(moments @ self.matrix)


class Exponent(NamedTuple):
    """xi at some points by direct sums, where harmonics lose it.

    Attributes:
        xi: (n,) up to a constant; slope: (n,) d xi/dq; velocity: (n, gdim) X = grad xi.
    """

    xi: Array
    slope: Array
    velocity: Array


class AnyGibbs(ABC):
    """An interaction without a geometry, as stationary states take it.

    Attributes:
        d: dimension of the ambient space.
    """

    d: int

    # ---- q and xi --------------------------------------------------------------------------------

    @property
    @abstractmethod
    def is_linear(self) -> bool:
        """Whether xi is linear in the measure; else it is a logarithm."""

    @property
    def is_isotropic(self) -> bool:
        """Whether it is the same in all directions: M is diagonal."""
        return True

    @property
    def rests(self) -> bool:
        """Whether the uniform measure exerts no velocity."""
        return True

    @abstractmethod
    def pull(self, grid: Grid, order: int = 0) -> Pull:
        """M between the harmonics of a grid; zonal: between those of an azimuthal order m.

        Raises:
            InputError: it does not have the symmetry of the grid.
        """

    def marks(self, x: Array) -> list[Array]:
        """Vectors (n, d) at unit vectors, of size 1: fields that its own rotations leave alone.

        A rotation that leaves all of them as they are leaves the interaction as it is.
        """
        return []

    def refuse_tilted(self) -> None:
        """Refuse what is not symmetric about the last axis.

        Raises:
            InputError: it is not.
        """
        if not self.is_isotropic:
            raise NotImplementedError

    @abstractmethod
    def exponent(self, q: Array) -> tuple[Array, Array]:
        """xi of q (n,), unscaled, and its derivative by q; xi = 0 at q = 0."""

    @abstractmethod
    def exponent_degree(self, kappa: float) -> int | None:
        """Degree beyond which harmonics change xi/kappa by less than round-off; None: none."""

    def last_share(self, power: Array) -> float:
        """Share of the last degrees of a series that does not end in q; 0 where it ends."""
        return 0.0

    @abstractmethod
    def potential(self, on: str, measure: Measure, degree: int, points: Array) -> Array:
        """xi of a measure on a geometry at any points, up to a constant, (n,)."""

    # ---- where the harmonics of Z cancel (log link) ----------------------------------------------

    def direct_exponent(self, on: str, measure: Measure) -> Exponent:
        """xi at the measure's own points by direct sums; only for a logarithm."""
        raise NotImplementedError

    def between_points(self, points: Array) -> Array:
        """The kernel of q between unit vectors, (n, n); only for a logarithm."""
        raise NotImplementedError

    def between_latitudes(self, order: int, t: Array) -> Array | None:
        """The same between circles of latitude, on harmonics of an order; None: unknown."""
        return None

    # ---- energies --------------------------------------------------------------------------------

    @property
    @abstractmethod
    def energy_kind(self) -> EnergyKind | None:
        """See ``AnyInteraction.energy_kind``."""

    @abstractmethod
    def energy_of(self, excess: float) -> float:
        """E - E_uniform of 1/2 int q dmu less that of the uniform measure; inf: no double."""

    @abstractmethod
    def energy_of_uniform(self, grid: Grid) -> float:
        """E of the uniform measure; inf: no double."""

    @abstractmethod
    def free_energy(self, energy: float, entropy: float, kappa: float) -> float:
        """F = kappa H - drive E."""

    def ascending(self, energy: float) -> float:
        """An energy with the sign and factor that it has in -F."""
        return -self.free_energy(energy, 0.0, 0.0)

    # ---- what is known about it ------------------------------------------------------------------

    @abstractmethod
    def refuse_overflow(self, highest: float = 600.0) -> None:
        """Refuse potentials that are no doubles.

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
        """The numbers that a branch may vary."""

    @abstractmethod
    def varied(self, changes: Mapping[str, float]) -> AnyGibbs:
        """The same with other numbers.

        Raises:
            InputError: there is no such number, or it is out of its range.
        """
