"""Heads with any matrices and drifts on one geometry, as the code of fields sees them.

For this package only: everyone else asks a ``Composite``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Self

from meanfield.checks import as_found
from meanfield.errors import InputError, suggest
from meanfield.interaction.composite.axial import axial
from meanfield.interaction.composite.matrices import HeadMatrices
from meanfield.interaction.composite.series import BEYOND, HeadSeries, Precision, series_degree
from meanfield.interaction.composite.sums import Stack
from meanfield.interaction.composite.ways import series_on
from meanfield.interaction.contract import EnergyKind
from meanfield.interaction.drifts import Drift
from meanfield.interaction.expansion import Truncation
from meanfield.interaction.ongeometry import OnGeometry

__all__ = ["LARGEST_NORM", "Heads"]

LARGEST_NORM = 2e3
"""Of A."""

_SINGLE = 1e-14  # accuracy of transforms that are divided by Z


@dataclass(frozen=True, eq=False)
class Heads(OnGeometry):
    """A sum of heads and of drifts, on one geometry.

    Attributes:
        heads: any number of them.
        model: "sa" (softmax: each head over its own Z) or "usa".
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

    Raises:
        InputError: matrices of another size, or that a zonal geometry does not have.
    """

    heads: tuple[HeadMatrices, ...]
    model: Literal["sa", "usa"]
    d: int
    geometry: str = "any"
    method: str = "auto"
    accuracy: float | None = None
    drifts: tuple[Drift, ...] = ()
    dark: float = 1e3
    least: float = 0.0
    gradients: bool = True
    exclude_self: bool = False

    def __post_init__(self) -> None:
        if self.model not in ("sa", "usa"):
            hint = suggest(str(self.model), ("sa", "usa"))
            raise InputError(f"attention '{self.model}' found, 'sa' or 'usa' expected{hint}")
        self._refuse_ways()
        object.__setattr__(self, "heads", tuple(self.heads))
        for k, head in enumerate(self.heads):
            if not isinstance(head, HeadMatrices):
                raise InputError(
                    f"heads[{k}]: found {as_found(head)}, expected HeadMatrices(A, V), which "
                    "mf.Head(...).matrices(d, kind) gives"
                )
            if head.size > LARGEST_NORM:
                raise InputError(
                    f"heads[{k}]: |A| = {head.size:.6g} found, at most {LARGEST_NORM:g} expected"
                )
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
        if self.manifold.latitudes:
            for k, head in enumerate(self.heads):
                axial(head, f"heads[{k}]")
            for drift in self.drifts:
                drift.refuse_tilted()

    # ------------------------------------------------------------------ points and transforms

    @cached_property
    def series(self) -> tuple[HeadSeries, ...]:
        """The heads as transforms take them."""
        return tuple(series_on(self.manifold, head) for head in self.heads)

    @property
    def precision(self) -> Precision:
        """How exact sums by transforms have to be."""
        return Precision(self.epsilon, self.relative if self.normalised else None)

    @property
    def normalised(self) -> bool:
        """Whether each head is divided by its Z."""
        return self.model == "sa"

    @cached_property
    def relative(self) -> float:
        """Accuracy of the field relative to Z."""
        return 1e-7 if self.accuracy is None else self.accuracy

    @cached_property
    def epsilon(self) -> float:
        """Accuracy of the transforms."""
        return _SINGLE if self.normalised else max(1e-14, min(1e-12, 1e-4 * self.relative))

    @cached_property
    def _degree(self) -> int:
        return self.degree_of()

    def degree_of(self, tolerance: float = 1e-15) -> int:
        """Degree of harmonics that carries the kernels of all heads to ``tolerance``."""
        sizes = [head.size for head in self.heads]
        if self.least > 0.0:
            sizes.append(self.least)
        return max([1, *(series_degree(size, self.d, tolerance) for size in sizes)])

    @cached_property
    def truncation(self) -> Truncation | None:
        """What is kept of the series in transforms; None: they are not used."""
        if not self.manifold.has_harmonics or self.method == "direct" or self.exclude_self:
            return None
        return Truncation(self._degree + BEYOND, True, 0.0)

    @cached_property
    def with_transforms(self) -> Self:
        """The same by harmonics."""
        return self if self.truncation is not None else self.by("harmonics")

    @property
    def factor_log(self) -> float:
        """log of the factor in *scaled* velocities: the largest |A| for usa."""
        return 0.0 if self.normalised else self.size

    @property
    def has_double_energy(self) -> bool:
        """Whether energies in their own unit are doubles; scaled ones always are."""
        return self.size <= 700.0

    def scaled(self, value: float) -> float:
        """A number in the unit of scaled energies, e^{|A|} of the largest A."""
        return value * math.exp(-self.size)

    def describe(self) -> str:
        """A few words."""
        words = []
        if self.heads:
            sizes = ", ".join(f"{head.size:.4g}" for head in self.heads[:4])
            more = ", ..." if len(self.heads) > 4 else ""
            count = "1 head" if len(self.heads) == 1 else f"{len(self.heads)} heads"
            words.append(f"{self.model}, {count}, |A| = {sizes}{more}")
        words += [drift.describe() for drift in self.drifts]
        return "; ".join(words) or "no interaction"

    @cached_property
    def mean_potential(self) -> float:
        """Mean over the sphere of the potential of the drifts; only where all have one."""
        return sum(drift.mean_potential() for drift in self.drifts)

    def sharing(self, other: Heads, series: Mapping[HeadMatrices, HeadSeries]) -> Self:
        """Itself, with the transforms of another one, which are the same, and series of heads.

        For one of many times: what they have in common is made once.
        """
        known: dict[str, object] = {"manifold": other.manifold, "harmonics": other.harmonics}
        if self.truncation is not None:
            known["series"] = tuple(
                series[head] if head in series else series_on(self.manifold, head)
                for head in self.heads
            )
        self.__dict__.update(known)
        return self

    # ------------------------------------------------------------------ what matrices decide

    @cached_property
    def size(self) -> float:
        """The largest |A|, or ``least``."""
        return max([self.least, *(head.size for head in self.heads)])

    @cached_property
    def stack(self) -> Stack:
        """All heads, for sums over pairs of all of them at the same time."""
        return Stack.of(self.heads)

    @property
    def drift_is_gradient(self) -> bool:
        """Whether all drifts are gradients."""
        return all(drift.is_gradient for drift in self.drifts)

    @cached_property
    def acting(self) -> tuple[int, ...]:
        """The numbers of the heads that do anything: V is not 0."""
        return tuple(k for k, head in enumerate(self.heads) if head.strength > 0.0)

    @property
    def has_potential(self) -> bool:
        """Whether X is a gradient: all V = c A^T, and all drifts."""
        if not (self.gradients and self.drift_is_gradient):
            return False
        return all(head.gradient_factor is not None for head in self.heads)

    @property
    def has_gradient(self) -> bool:
        """Whether X or a part of it is told as a potential."""
        if not self.gradients:
            return False
        some = any(head.gradient_factor is not None for head in self.heads)
        some = some or any(drift.is_gradient for drift in self.drifts)
        return some or self.has_potential

    @property
    def energy_kind(self) -> EnergyKind | None:
        """ "gradient": usa (or no head), all V = c A with A symmetric, all drifts gradients.

        "monotone": one such head of sa and no drift. None: there is no energy.
        """
        if not self.drift_is_gradient or not all(head.has_energy for head in self.heads):
            return None
        if self.model == "usa" or not self.heads:
            return "gradient"
        return "monotone" if len(self.acting) <= 1 and not self.drifts else None

    @property
    def why_no_energy(self) -> str:
        """In a few words; "" where there is one."""
        if self.energy_kind is not None:
            return ""
        if not self.drift_is_gradient:
            return "the drift is no gradient"
        for k, head in enumerate(self.heads):
            if 0.0 < head.strength and not head.symmetric:
                return f"A of heads[{k}] is not symmetric"
            if 0.0 < head.strength and head.is_weak:
                return f"A of heads[{k}] is too small to tell it by"
            if head.gradient_factor is None:
                return f"V of heads[{k}] is no multiple of A"
        return "softmax heads that are added, or a drift beside one, have none"
