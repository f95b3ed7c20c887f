"""A zonal interaction on one geometry, as the code of fields sees it: kernel, link, transforms.

    xi = gain link(q),   q = (W * mu - lam_0 M)/unit

with link(q) = q or log(1 + unit q/(lam_0 M))/unit, and X = grad xi. For this package only: everyone
else asks an ``Interaction``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

import numpy as np

from meanfield.errors import InputError
from meanfield.geometry.sphere import Array, harmonic_dimension
from meanfield.interaction.expansion import Expansion, Truncation, expansion_of
from meanfield.interaction.kernels.base import Kernel, Link
from meanfield.interaction.ongeometry import OnGeometry

__all__ = ["Term", "Zonal"]


@runtime_checkable
class Term(Protocol):
    """Who pulls whom: a ``Kernel`` or a ``SelfAttention``."""

    @property
    def kernel(self) -> Kernel:
        """W."""

    @property
    def link(self) -> Link:
        """What is done with W * mu."""

    @property
    def gain(self) -> float:
        """xi over the link of q."""

    @property
    def energy_factor(self) -> float:
        """E - E_uniform over 1/2 int q dmu."""

    def uniform_energy(self, lam0: float) -> float:
        """E of the uniform measure, scaled."""

    @property
    def energy_label(self) -> str:
        """How a scaled energy is written."""

    def describe(self) -> str:
        """A few words."""

    @property
    def columns(self) -> dict[str, object]:
        """What names it in a table."""

    @property
    def parameters(self) -> dict[str, float]:
        """The numbers that a branch or a sweep may vary."""

    def replaced(self, changes: Mapping[str, float]) -> Term:
        """The same with other numbers."""

    def refuse_overflow(self, highest: float = 600.0) -> None:
        """Refuse velocities that are no doubles."""


@dataclass(frozen=True)
class Zonal(OnGeometry):
    """A zonal interaction on one geometry.

    Attributes:
        term: the kernel with its link.
        d: dimension of the ambient space; tokens live on S^{d-1}.
        geometry: coordinates of the points: "sphere" (d = 3), "circle" (d = 2), "zonal" (any d) or
            "any" (unit vectors in any d: direct sums only).
        method: "harmonics", "direct" or "auto" (harmonics wherever they exist, and the series
            ends or is cut at ``most``).
        accuracy: accuracy of the transforms relative to max Z, 1e-14 to 1e-4. None chooses it: the
            log link divides by Z, which can be e^{-2|beta|} of its maximum (exponential kernel), so
            that the accuracy is 1e-5 e^{-2|beta|}, at most 1e-11 (where Z is small at the mass
            itself, beta < 0, 1e-11 e^{-2|beta|}) and at least 1e-14: a looser one would show in the
            agreement between different numbers of ranks. Where Z falls below ``dark`` times its
            noise, it is summed directly ("dark" points, counted by ``field.DarkPoints``).
        dark: see there; 1/dark bounds the relative noise of Z that is put up with.
        most: largest degree of the harmonics, for series that do not end before; None: no limit.
        tail_closed: whether all lam_l, 1 <= l <= L, are taken less lam_{L+1}, as somebody else adds
            the local repulsion that the series tends to (``AnyInteraction.with_closed_tail``).
        carried: degree of the harmonics, if they are used; None: what the series asks for.

    Raises:
        InputError: a parameter out of its range, harmonics asked for where there are none, or a
            logarithm of what is not positive.
    """

    term: Term
    d: int
    geometry: str = "any"
    method: str = "auto"
    accuracy: float | None = None
    dark: float = 1e3
    most: int | None = None
    tail_closed: bool = False
    carried: int | None = None

    def __post_init__(self) -> None:
        _ = self.expansion.lam0
        self._refuse_ways()
        if self.link == "log" and not self.kernel.positive(self.d):
            raise InputError(
                f'model.interaction.link: found "log", but {self.kernel.type} is not positive '
                'everywhere: expected "identity"'
            )

    @cached_property
    def kernel(self) -> Kernel:
        """W; for the code of fields."""
        return self.term.kernel

    @cached_property
    def link(self) -> Link:
        """What is done with W * mu; for the code of fields."""
        return self.term.link

    @cached_property
    def expansion(self) -> Expansion:
        """The series of W; for the code of fields."""
        return expansion_of(self.kernel, self.d)

    @property
    def factor_log(self) -> float:
        """log of the factor in *scaled* velocities: that of the kernel, 0 for the log link."""
        return self.kernel.log_scale if self.link == "identity" else 0.0

    @cached_property
    def multiplier(self) -> Array:
        """lam_l/unit of each harmonic, scaled, 0 at l = 0: moments to moments of q."""
        assert self.harmonics is not None
        return self._kept[self.harmonics.degrees]

    @cached_property
    def _kept(self) -> Array:
        """(L + 1,) lam_l/unit of the transforms, scaled, 0 at l = 0; less lam_{L+1} or not."""
        assert self.harmonics is not None
        degree = self.harmonics.degree
        kept = self.expansion.multipliers(degree + 1)
        next_one = kept[-1] if self.tail_closed else 0.0
        kept = kept[:-1].copy()
        kept[1:] -= next_one
        return kept

    @cached_property
    def largest_values(self) -> Array:
        """(L + 1,): the most that moments of one degree and of norm one add to Z, scaled."""
        harmonics = self.harmonics
        assert harmonics is not None
        size = np.bincount(harmonics.degrees).astype(np.float64)
        return np.abs(self.expansion.coefficients(harmonics.degree)) * np.sqrt(size)

    @cached_property
    def root_dimensions(self) -> Array:
        """(L + 1,): the largest value of a sum of harmonics of one degree with norm one."""
        assert self.harmonics is not None
        with np.errstate(over="ignore"):
            return np.sqrt(harmonic_dimension(self.harmonics.degree, self.d))

    @cached_property
    def potential_sizes(self) -> Array:
        """(L + 1,): the most that moments of one degree and of norm one add to q (l = 0: 0)."""
        assert self.harmonics is not None
        return np.abs(self._kept) * self.root_dimensions

    # ------------------------------------------------------------------ the transforms

    @cached_property
    def epsilon(self) -> float:
        """Accuracy of the transforms relative to max Z."""
        if self.accuracy is not None:
            return self.accuracy
        decay = self.kernel.contrast(self.d) if self.link == "log" else 1.0
        # Where Z is small at the mass itself its noise is felt there.
        loosest = 1e-11 * decay if self.kernel.hollow(self.d) else 1e-11
        return max(1e-14, min(loosest, 1e-5 * decay))

    @cached_property
    def truncation(self) -> Truncation | None:
        """What is kept of the series in transforms; None: they are not used."""
        if not self.manifold.has_harmonics or self.method == "direct":
            return None
        found = self.expansion.truncation(self.epsilon, self.most)
        if found is None and self.method == "harmonics":
            found = self.expansion.truncation(self.epsilon, 128)
        if found is None or self.carried is None:
            return found
        if found.degree <= self.carried:
            return Truncation(self.carried, found.exact, found.tail)
        return Truncation(self.carried, False, self.expansion.tail(self.carried))

    # ------------------------------------------------------------------ what fields ask

    @property
    def gain(self) -> float:
        """xi over link(q)."""
        return self.term.gain

    @property
    def is_linear(self) -> bool:
        """Whether xi is linear in the measure."""
        return self.link == "identity" or self.kernel.unit == 0.0

    def unscaled(self, value: float) -> float:
        """A scaled energy in its own unit; inf where that is no double."""
        scale = self.kernel.log_scale
        return value * math.exp(scale) if self.has_double_energy else math.copysign(math.inf, value)

    @property
    def has_double_energy(self) -> bool:
        """Whether energies in their own unit are doubles; scaled ones always are."""
        return self.kernel.log_scale <= 700.0

    def describe(self) -> str:
        """A few words."""
        return self.term.describe()
