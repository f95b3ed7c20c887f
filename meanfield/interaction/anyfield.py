"""What solvers may ask of a field, whatever interaction has made it: see ``contract``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from meanfield.collective import Communicator, joined, sum_over_ranks
from meanfield.errors import InputError
from meanfield.geometry.manifolds import Located
from meanfield.geometry.sphere import Array
from meanfield.interaction.measure import Measure, plain

__all__ = ["AnyField", "DarkPoints", "Output", "scaled_squares"]


class Output(NamedTuple):
    """What attention gives tokens at some unit vectors before it is projected.

    Attributes:
        vector: (n, d) A, with P A = X.
        slope: (n, d, d) its derivative along the sphere: A moves by ``slope`` w with a tangent w,
            and ``slope`` x = 0.
    """

    vector: Array
    slope: Array


@dataclass
class DarkPoints:
    """Counts this rank's points where Z was summed directly, in evaluations that are given it.

    Attributes:
        most: largest number of them in one evaluation.
        where: (n,) which they were, in any evaluation of the same number of points; None: none.
    """

    most: int = 0
    where: NDArray[np.bool_] | None = None

    def add(self, dark: NDArray[np.bool_]) -> None:
        """Take note of which points (n,) they are in an evaluation."""
        self.most = max(self.most, int(np.count_nonzero(dark)))
        if np.any(dark):
            before = self.where
            self.where = (
                dark.copy() if before is None or before.shape != dark.shape else (before | dark)
            )


def scaled_squares(velocity: Array, factor_log: float, unit: float) -> Array:
    """|X|^2 (n,) in the unit of scaled energies, from *scaled* velocities (n, k).

    Args:
        velocity: without the factor e^{factor_log}.
        unit: what 1 is as a scaled energy.
    """
    with np.errstate(over="ignore", divide="ignore"):  # the factor alone may be no double
        factor = np.exp(2.0 * factor_log + np.log(unit))
        return np.asarray(factor * np.sum(velocity * velocity, axis=1))


class AnyField(ABC):
    """What a measure does to a token at any point: made by ``AnyInteraction.field``.

    Points are arrays (n, gdim), on the geometry to 1e-6 (else ``InputError``), or what
    ``AnyInteraction.locate`` has made of points that are known to be good. ``seen`` counts the
    points whose values come from direct sums where transforms are in use. With ``scaled`` a factor
    that no double may hold is left out.

    Attributes:
        measure: whose field it is; t: the time.
        moments: of the measure, over all ranks, and what else ``AnyInteraction.moments_of`` gives;
            None for direct sums.
    """

    def __init__(
        self, measure: Measure, moments: Array | None, t: float, comm: Communicator | None
    ) -> None:
        self.measure, self.moments, self.t = measure, moments, t
        self._comm = comm

    @cached_property
    def mass(self) -> float:
        """Total mass over all ranks."""
        if self.moments is not None:
            return float(self.moments[0])
        local = np.array([float(np.sum(self.measure.weights))])
        return float(sum_over_ranks(self._comm, local)[0])

    @cached_property
    def _sources(self) -> tuple[Array, Array]:
        """All points and masses, on every rank: for direct sums."""
        x, m = plain(self.measure.points), self.measure.weights
        return joined(self._comm, x), joined(self._comm, m)

    def _sources_for(
        self, dark: NDArray[np.bool_], seen: DarkPoints | None
    ) -> tuple[Array, Array] | None:
        """All points and masses, if any of this rank's points are dark; counts them. Collective."""
        number = int(np.count_nonzero(dark))
        if seen is not None:
            seen.add(dark)
        if sum_over_ranks(self._comm, np.array([float(number)]))[0] == 0.0:
            return None
        sources = self._sources  # collective: every rank takes part
        return sources if number else None

    @abstractmethod
    def velocity(
        self, points: Array | Located, scaled: bool = False, seen: DarkPoints | None = None
    ) -> Array:
        """X(x), tangent vectors (n, gdim); zonal: d theta/dt, (n, 1)."""

    @abstractmethod
    def velocity_and_divergence(
        self, points: Array | Located, scaled: bool = False, seen: DarkPoints | None = None
    ) -> tuple[Array, Array]:
        """X (n, gdim) and its surface divergence (n,) from one evaluation."""

    def own_velocity(self, scaled: bool = False) -> Array:
        """X at the measure's own points, (n, gdim): of tokens, one at each.

        As ``velocity`` there, but for interactions that leave own terms out, see
        ``AnyInteraction.excludes_self``. Collective.
        """
        return self.velocity(self.measure.points, scaled)

    def output(self, points: Array | Located, seen: DarkPoints | None = None) -> Output:
        """A and its derivative at unit vectors, see ``Output``. Collective.

        Raises:
            InputError: only sa and usa have it, on the sphere and on the circle.
        """
        self._refuse_output("of this interaction")

    def _refuse_output(self, found: str) -> NoReturn:
        raise InputError(
            f"outputs before their projection {found} asked for, expected sa or usa, without "
            "drifts, on the sphere or the circle"
        )

    def divergence(self, points: Array | Located, scaled: bool = False) -> Array:
        """Surface divergence of X, (n,)."""
        return self.velocity_and_divergence(points, scaled)[1]

    @abstractmethod
    def along_edges(self, points: Located, seen: DarkPoints | None = None) -> Array:
        """What integrals of X along edges are made of, (c, n): values at the ends of the edges.

        The first row is a potential, if the interaction ``has_gradient``; then, unless that is all
        (``has_potential``), the components (gdim rows) of the rest of the velocity. Collective.
        """

    @abstractmethod
    def energy(self, scaled: bool = False) -> float:
        """Energy E, which increases for attention with V = +I; inf if too large.

        Only where there is one (``AnyInteraction.energy_kind``).
        """

    @abstractmethod
    def energy_excess(self) -> float:
        """Scaled E - E_uniform, without the cancellation of two large numbers."""

    @abstractmethod
    def ascent(self) -> float:
        """What the flow increases where it has an energy: scaled E - E_uniform, with its sign."""

    @abstractmethod
    def dissipation_density(self, points: Array | Located) -> Array:
        """What a token at each point adds to d ``ascent``/dt along the flow, (n,), scaled, >= 0.

        Its integral over the measure is the rate: |X|^2, or Z |X|^2 where X is divided by Z. Only
        where there is an energy. Collective.
        """

    def own_dissipation_density(self) -> Array:
        """``dissipation_density`` at the measure's own points, as ``own_velocity``. Collective."""
        return self.dissipation_density(self.measure.points)

    @abstractmethod
    def energy_noise(self, masses: float = 0.0) -> float:
        """What ``ascent`` may be wrong by without meaning anything.

        Args:
            masses: what the masses may be wrong by, in the 1-norm.
        """

    @abstractmethod
    def tail_share(self) -> float:
        """Share of the last degrees of a series that is cut in the potential; 0 where it ends."""
