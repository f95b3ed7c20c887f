"""Heads with any matrices, and drifts: what solvers may ask."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np

from meanfield.arguments import checked_fields
from meanfield.collective import Communicator
from meanfield.errors import InputError
from meanfield.geometry.sphere import Array
from meanfield.interaction.composite.bessel import exponential_series
from meanfield.interaction.composite.field import CompositeField
from meanfield.interaction.composite.model import Heads
from meanfield.interaction.contract import AnyInteraction
from meanfield.interaction.expansion import Convexity
from meanfield.interaction.measure import Measure

__all__ = ["Composite"]


@checked_fields
@dataclass(frozen=True, eq=False)
class Composite(Heads, AnyInteraction):
    """A sum of heads and of drifts, on one geometry; attributes of ``Heads``."""

    def on_mesh(self, vertices: int, accuracy: float | None = None) -> Self:
        """The same, with another ``accuracy`` if one is given: the series ends by itself.

        Raises:
            InputError: a density has no tokens whose own terms could be left out.
        """
        if self.exclude_self:
            raise InputError(
                "exclude_self: found for a density, expected tokens: at a point of a density there "
                "is no mass of its own that could be left out"
            )
        return self if accuracy is None else replace(self, accuracy=accuracy)

    def quiet(self, rtol: float) -> Self:
        """The same with the noise of a velocity, at any point, not far above ``rtol``."""
        if self.accuracy is not None or rtol >= self.relative:
            return self
        return replace(self, accuracy=max(rtol, 1e-13))

    def degree(self, tolerance: float, otherwise: int = 64) -> int:
        """Degree of harmonics that carries the kernels to ``tolerance``."""
        return self.degree_of(tolerance)

    @property
    def series_ends(self) -> bool:
        """Whether the series ends at round-off: it does."""
        return True

    @property
    def exact_sums(self) -> bool:
        """Whether sums over pairs are to round-off: they are."""
        return True

    @property
    def compiled_sums(self) -> bool:
        """Whether sums over pairs with all derivatives are compiled: they are."""
        return True

    # ------------------------------------------------------------------ fields

    def field(
        self, measure: Measure, t: float = 0.0, comm: Communicator | None = None
    ) -> CompositeField:
        """The field that a measure exerts: see ``AnyInteraction.field``."""
        found = super().field(measure, t, comm)
        assert isinstance(found, CompositeField)
        return found

    def field_of_moments(
        self, moments: Array | None, measure: Measure, t: float, comm: Communicator | None
    ) -> CompositeField:
        """The field of known moments (a checkpoint, or an extrapolation in time)."""
        return CompositeField(self, measure, moments, t, comm)

    @cached_property
    def largest_series(self) -> Array:
        """(L + 1,): lam_l(s) e^{-s} of the largest |A| = s: bounds those of all targets."""
        assert self.harmonics is not None
        size = np.array([self.size])
        return exponential_series(size, self.harmonics.degree, self.d)[0]

    @cached_property
    def metric(self) -> Array:
        """(n_coefficients,) weights of squared moments, largest 1."""
        assert self.harmonics is not None
        part = self.largest_series[self.harmonics.degrees].copy()
        part[0] = 0.0
        return part / max(float(part.max()), 1e-300)

    @cached_property
    def repels(self) -> Array:
        """(n_coefficients,) none: no part of the potential is taken of the new density."""
        return np.zeros(self.metric.size, dtype=bool)

    def kernel_norm(self, moments: Array) -> float:
        """Norm of moments with the weights lam_l, l = 0 among them."""
        assert self.harmonics is not None
        lam = self.largest_series[self.harmonics.degrees]
        return math.sqrt(float(np.dot(lam, moments**2)))

    # ------------------------------------------------------------------ what is known about it

    @property
    def is_external(self) -> bool:
        """Whether there are drifts alone."""
        return not self.acting

    @property
    def convexity(self) -> Convexity | None:
        """Signs of the energy that grows, as a quadratic form of measures; None: no energy."""
        if self.energy_kind is None:
            return None
        signs = set()
        for head in self.heads:
            low = head.eigenvalues[0]
            factor = head.gradient_factor or 0.0
            noise = 1e-13 * head.size
            if factor == 0.0 or head.size == 0.0:
                continue
            if low >= -noise:
                signs.add("positive" if factor > 0.0 else "negative")
            else:
                signs.add("mixed")
        if len(signs) <= 1:
            return signs.pop() if signs else "positive"  # type: ignore[return-value]
        return "mixed"

    def free_energy(self, energy: float, entropy: float, kappa: float) -> float:
        """F = kappa H - E."""
        return kappa * entropy - energy

    @property
    def energy_label(self) -> str:
        """How a scaled energy is written."""
        return "E e^-|A|" if self.size else "E"

    @property
    def dirac_energy(self) -> float:
        """Scaled E of all mass at one point, the largest there is; nan: not known."""
        if self.energy_kind is None or len(self.heads) != 1 or self.drifts:
            return math.nan
        (head,) = self.heads
        assert head.gradient_factor is not None
        low, high = float(head.eigenvalues[0]), float(head.eigenvalues[-1])
        if head.gradient_factor < 0.0 or -low > high:  # no point, or not one alone, has the most
            return math.nan
        return 0.5 * head.gradient_factor * math.exp(high - self.size)

    @property
    def leaves_out_self(self) -> bool:
        """Whether sums over pairs leave a token's term with itself out: if asked to."""
        return self.exclude_self

    @property
    def excludes_self(self) -> bool:
        """Whether what moves a token leaves its own term out."""
        return self.exclude_self

    def excluding_self(self) -> AnyInteraction:
        """The same with sums over all other tokens."""
        return replace(self, exclude_self=True) if self.acting else self

    def pair_energy(self, measure: Measure, n: int, t: float = 0.0) -> float:
        """Scaled E of n equal tokens over pairs of different ones: its mean is E of their law."""
        if n < 2:
            raise InputError(f"n = {n}: expected two tokens or more")
        field = self.field(measure, t)
        own = 0.0 if self.exclude_self else field.own_energy()
        single = field.drift_energy()
        pairs = field.energy(scaled=True) - single
        return (pairs - own / n) / (1.0 - 1.0 / n) + single

    def fastest_rate(self, degree: int) -> float:
        """A bound, in its order, on rates at the uniform state: |V| of sa, |V| Z of usa; drifts."""
        total = sum(drift.rate for drift in self.drifts)
        for head in self.heads:
            z = 1.0
            if not self.normalised:
                lam0 = exponential_series(np.array([head.size]), 0, self.d)[0, 0]
                z = lam0 * math.exp(min(head.size, 700.0))
            total += head.strength * z
        return total

    @property
    def sharpens(self) -> bool:
        """Whether clusters narrow without end: V A and the drifts attract on average."""
        total = sum(drift.average for drift in self.drifts)
        return total + sum(float(np.trace(h.V @ h.A)) / self.d for h in self.heads) >= 0.0

    @property
    def sharpness(self) -> float:
        """1/width^2 of the smallest cluster that it makes: 1 + |A|."""
        return 1.0 + self.size

    @property
    def width(self) -> float:
        """Width (angle) of the smallest cluster that it makes."""
        return 1.0 / math.sqrt(self.sharpness)

    def refuse_overflow(self, highest: float = 600.0) -> None:
        """Refuse velocities that are no doubles.

        Raises:
            InputError: usa with |A| above ``highest``.
        """
        if not self.normalised and self.size > highest:
            raise InputError(
                f"usa with |A| = {self.size:g} found, |A| <= {highest:g} expected: velocities are "
                "of size e^|A|; take sa"
            )

    @property
    def columns(self) -> Mapping[str, object]:
        """What names it in a table."""
        return {"model": self.model, "heads": len(self.heads), "norm": self.size}

    @property
    def parameters(self) -> Mapping[str, float]:
        """The numbers that a branch or a sweep may vary: none."""
        return {}
