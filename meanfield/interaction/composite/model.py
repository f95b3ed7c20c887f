"""Heads with any matrices and drifts on one geometry, as the code of fields sees them.

For this package only: everyone else asks a ``Composite``.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np

from meanfield.checks import as_found
from meanfield.errors import InputError
from meanfield.interaction.composite.matrices import HeadMatrices
from meanfield.interaction.composite.series import HeadSeries, Precision
from meanfield.interaction.composite.sums import Stack
from meanfield.interaction.composite.ways import series_on
from meanfield.interaction.contract import AnyInteraction
from meanfield.interaction.drifts import Drift
from meanfield.interaction.ongeometry import OnGeometry

__all__ = ["LARGEST_NORM", "Heads"]

LARGEST_NORM = 2e3
"""Of A."""


@dataclass(frozen=True, eq=False)
class Heads(OnGeometry, AnyInteraction):
    """A sum of heads and of drifts, on one geometry.

    Attributes:
        heads: any number of them.
        model: kind of attention, by its name or itself: "sa" (softmax: each head over its own Z),
            "usa", or another one of ``kinds.KINDS``.
        d: dimension of the ambient space.
        geometry: "sphere", "circle", "zonal" (where matrices commute with the rotations about the
            axis) or "any".
        method: "harmonics", "direct" or "auto".
        accuracy: 1e-14 to 1e-4; None: 1e-7. Of sa relative to Z itself: targets whose Z is too
            small for one way of summing go to the next, matrix, radial nodes, direct sums. Of usa
            relative to the largest Z of the largest A, which drowns what is smaller beside it.
        drifts: what is added to X whatever the measure.
        dark: not used.
        least: |A| that it counts with at least, in the degree of its harmonics and in the unit of
            what is scaled: of parameters that depend on time the largest, so that all times have
            the same transforms and units.
        gradients: whether along edges what is a gradient is told by its potential; else by its
            velocity.
        exclude_self: leave a token's own term out of what moves it and of energies: sums over pairs
            alone, of tokens in space.
        weighted: for each head, whether it has moments of its own, where its kind has such; None:
            as its matrices say. Of parameters that depend on time, so that it is so at all times.
        lasting: whether it is asked for many fields: what is dear to make is worth it.

    Raises:
        InputError: matrices of another size, or that a zonal geometry does not have.
    """

    heads: tuple[HeadMatrices, ...]
    model: object
    d: int
    geometry: str = "any"
    method: str = "auto"
    accuracy: float | None = None
    drifts: tuple[Drift, ...] = ()
    dark: float = 1e3
    least: float = 0.0
    gradients: bool = True
    exclude_self: bool = False
    weighted: tuple[bool, ...] | None = None
    lasting: bool = True

    def __post_init__(self) -> None:
        self._refuse_ways()
        object.__setattr__(self, "heads", tuple(self.heads))
        for k, head in enumerate(self.heads):
            if not isinstance(head, HeadMatrices):
                raise InputError(
                    f"heads[{k}]: found {as_found(head)}, expected HeadMatrices(A, V), which "
                    "mf.Head(...).matrices(d, kind) gives"
                )
            self._refuse_head(head, f"heads[{k}]")
            if head.d != self.d:
                raise InputError(
                    f"heads[{k}]: {head.d} x {head.d} matrices found, {self.d} x {self.d} expected"
                )
        object.__setattr__(self, "drifts", tuple(self.drifts))
        for k, drift in enumerate(self.drifts):
            if not isinstance(drift, Drift):
                raise InputError(
                    f"drifts[{k}]: found {as_found(drift)}, expected such as LinearDrift(M), "
                    "or what .on(d) of a section of a case gives"
                )
            if drift.d != self.d:
                raise InputError(
                    f"drifts[{k}]: one of dimension {drift.d} found, {self.d} expected"
                )
        if self.exclude_self and (self.manifold.latitudes or self.method == "harmonics"):
            found = "harmonics" if self.method == "harmonics" else "the zonal geometry"
            raise InputError(
                f"exclude_self: found with {found}, expected direct sums over tokens in space: no "
                "transform leaves the own term of each token out"
            )
        if self.exclude_self and self.acting and not self._excludes:
            raise InputError(
                "exclude_self: found with a kind of attention that has no sums over other tokens "
                "alone, 'sa' or 'usa' expected"
            )
        if self.manifold.latitudes:
            for k, head in enumerate(self.heads):
                self._refuse_tilted(head, f"heads[{k}]")
            for drift in self.drifts:
                drift.refuse_tilted()

    @abstractmethod
    def _refuse_head(self, head: HeadMatrices, name: str) -> None:
        """Refuse a head that the kind of attention does not have."""

    @property
    @abstractmethod
    def _excludes(self) -> bool:
        """Whether the kind of attention has sums over other tokens alone."""

    @abstractmethod
    def _refuse_tilted(self, head: HeadMatrices, name: str) -> None:
        """Refuse what a zonal geometry does not have."""

    # ------------------------------------------------------------------ what a kind decides

    @property
    @abstractmethod
    def normalised(self) -> bool:
        """Whether sums are divided by what noise may hide."""

    @property
    @abstractmethod
    def energy_log(self) -> float:
        """log of the factor that scaled energies are without."""

    # ------------------------------------------------------------------ points and transforms

    @cached_property
    def series(self) -> tuple[HeadSeries, ...]:
        """The heads as transforms take them, for the weights e^{<A x, y>}."""
        return tuple(series_on(self.manifold, head) for head in self.heads)

    @property
    def precision(self) -> Precision:
        """How exact sums by transforms have to be."""
        return Precision(self.epsilon, self.relative if self.normalised else None)

    @cached_property
    def relative(self) -> float:
        """Accuracy of the field relative to Z."""
        return 1e-7 if self.accuracy is None else self.accuracy

    @cached_property
    def with_transforms(self) -> Self:
        """The same by harmonics."""
        return self if self.truncation is not None else self.by("harmonics")

    def sharing(self, other: Heads, series: Mapping[HeadMatrices, HeadSeries]) -> Self:
        """Itself, with the transforms of another one, which are the same, and series of heads.

        For one of many times: what they have in common is made once.
        """
        names = ("manifold", "harmonics", "truncation")
        known: dict[str, object] = {name: getattr(other, name) for name in names}
        if other.truncation is not None:
            known["series"] = tuple(
                series[head] if head in series else series_on(other.manifold, head)
                for head in self.heads
            )
        self.__dict__.update(known)
        return self

    # ------------------------------------------------------------------ what matrices decide

    @cached_property
    def size(self) -> float:
        """The largest |A|, or ``least``."""
        return max([self.least, *(head.size for head in self.heads)])

    @property
    def at_most(self) -> tuple[HeadMatrices, ...]:
        """The heads and, of ``least``, one whose |A| this is."""
        one = np.eye(self.d)
        more = (HeadMatrices(self.least * one, one),) if self.least > 0.0 else ()
        return (*self.heads, *more)

    @cached_property
    def stack(self) -> Stack:
        """All heads, for sums over pairs of all of them at the same time."""
        return Stack.of(self.heads)

    @cached_property
    def mean_potential(self) -> float:
        """Mean over the sphere of the potential of the drifts; only where all have one."""
        return sum(drift.mean_potential() for drift in self.drifts)

    @property
    def drift_is_gradient(self) -> bool:
        """Whether all drifts are gradients."""
        return all(drift.is_gradient for drift in self.drifts)

    @cached_property
    def acting(self) -> tuple[int, ...]:
        """The numbers of the heads that do anything: V is not 0."""
        return tuple(k for k, head in enumerate(self.heads) if head.strength > 0.0)
