"""Heads of any kind of attention, with any matrices, and drifts: what solvers may ask."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np

from meanfield.arguments import checked_fields
from meanfield.checks import as_found
from meanfield.collective import Communicator
from meanfield.errors import InputError, suggest
from meanfield.geometry.sphere import Array
from meanfield.interaction.composite.field import CompositeField
from meanfield.interaction.composite.kind import Kind
from meanfield.interaction.composite.kinds import KINDS
from meanfield.interaction.composite.matrices import HeadMatrices
from meanfield.interaction.composite.model import Heads
from meanfield.interaction.composite.sums import summed_vectors
from meanfield.interaction.contract import AnyInteraction, EnergyKind
from meanfield.interaction.expansion import Convexity, Truncation
from meanfield.interaction.measure import Measure

__all__ = ["Composite"]


@checked_fields
@dataclass(frozen=True, eq=False)
class Composite(Heads):
    """A sum of heads and of drifts, on one geometry; attributes of ``Heads``.

    Example:
        >>> composite = mf.Model(attention='sa', heads=(mf.Head(beta=4.0),)).on(mf.Unmeshed(d=3))
        >>> type(composite).__name__, composite.describe()
        ('Composite', 'sa, 1 head, |A| = 4')
    """

    @cached_property
    def kind(self) -> Kind:
        """The kind of attention.

        Raises:
            InputError: there is none of this name.
        """
        if isinstance(self.model, Kind):
            return self.model
        if not isinstance(self.model, str) or self.model not in KINDS:
            *names, last = (f"'{name}'" for name in KINDS)
            what = f"'{self.model}'" if isinstance(self.model, str) else as_found(self.model)
            raise InputError(
                f"attention {what} found, {', '.join(names)} or {last} expected"
                f"{suggest(str(self.model), KINDS)}"
            )
        return KINDS[self.model]()

    def __post_init__(self) -> None:
        _ = self.kind
        super().__post_init__()

    def _refuse_head(self, head: HeadMatrices, name: str) -> None:
        self.kind.refuse(head, name)

    @property
    def _excludes(self) -> bool:
        return self.kind.excludes_self

    def _refuse_tilted(self, head: HeadMatrices, name: str) -> None:
        self.kind.refuse_tilted(head, name)

    # ------------------------------------------------------------------ points and transforms

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
        return max([1, *(self.kind.degree(head, self.d, tolerance) for head in self.at_most)])

    @cached_property
    def truncation(self) -> Truncation | None:
        """What is kept of the series in transforms; None: they are not used."""
        if not self.manifold.has_harmonics or self.method == "direct" or self.exclude_self:
            return None
        return Truncation(self.degree(self.kind.cut(self)) + self.kind.beyond, True, 0.0)

    @cached_property
    def epsilon(self) -> float:
        """Accuracy of the transforms."""
        return self.kind.epsilon(self)

    @property
    def normalised(self) -> bool:
        """Whether sums are divided by what noise may hide: Z of softmax."""
        return self.kind.normalised

    @property
    def series_ends(self) -> bool:
        """Whether the series ends at round-off, for any measure."""
        return self.kind.series_ends

    @property
    def exact_sums(self) -> bool:
        """Whether sums over pairs are to round-off."""
        return self.kind.exact_sums

    @property
    def compiled_sums(self) -> bool:
        """Whether sums over pairs with all derivatives are compiled."""
        return self.kind.compiled_sums

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
        return self.kind.field(self, measure, moments, t, comm)

    def outputs(self, x: Array, weights: Array, t: float = 0.0, beside: bool = True) -> Array:
        out = np.zeros(x.shape)
        if self.acting:
            if self.kind.name not in ("sa", "usa"):
                return super().outputs(x, weights, t, beside)
            unit = None if self.normalised else 0.0
            out += summed_vectors(self.stack, x, x, weights, unit)
        for drift in self.drifts if beside else ():
            out += drift.vector(x)
        return out

    @property
    def further(self) -> int:
        """How many numbers beside its moments fields by transforms take of a measure."""
        assert self.harmonics is not None
        return self.kind.blocks(self) * self.harmonics.degrees.size

    def further_moments(
        self, own: Array, measure: Measure, t: float, comm: Communicator | None
    ) -> Array:
        """(further,) of each head that has some: see ``AnyInteraction``. Collective."""
        return self.kind.further_moments(self, own, measure, comm)

    @cached_property
    def _weights(self) -> Array:
        """(n,) what each moment does to a field, for all that ``moments_of`` gives."""
        assert self.harmonics is not None
        own = self.kind.weights(self, self.harmonics.degree)[self.harmonics.degrees]
        return np.tile(own, 1 + self.kind.blocks(self))

    @cached_property
    def metric(self) -> Array:
        """(n,) weights of squared moments, largest 1."""
        part = self._weights.copy()
        part[0] = 0.0
        return part / max(float(part.max()), 1e-300)

    @cached_property
    def repels(self) -> Array:
        """(n,) none: no part of the potential is taken of the new density."""
        return np.zeros(self.metric.size, dtype=bool)

    def kernel_norm(self, moments: Array) -> float:
        """Norm of moments with the weights of their degrees, l = 0 among them."""
        return math.sqrt(float(np.dot(self._weights, moments**2)))

    # ------------------------------------------------------------------ what is known about it

    @property
    def is_external(self) -> bool:
        """Whether there are drifts alone."""
        return not self.acting

    @property
    def has_potential(self) -> bool:
        """Whether X is a gradient, told as one: all heads, and all drifts."""
        if not (self.gradients and self.drift_is_gradient):
            return False
        return all(self.kind.is_gradient(head) for head in self.heads)

    @property
    def has_gradient(self) -> bool:
        """Whether X or a part of it is told as a potential."""
        if not self.gradients:
            return False
        some = any(self.kind.is_gradient(head) for head in self.heads)
        some = some or any(drift.is_gradient for drift in self.drifts)
        return some or self.has_potential

    @property
    def energy_kind(self) -> EnergyKind | None:
        """As its kind has one, where all drifts are gradients."""
        if not self.drift_is_gradient:
            return None
        return self.kind.energy_kind(self) if self.heads else "gradient"

    @property
    def why_no_energy(self) -> str:
        """In a few words; "" where there is one."""
        if self.energy_kind is not None:
            return ""
        if not self.drift_is_gradient:
            return "the drift is no gradient"
        return self.kind.why_no_energy(self)

    @property
    def convexity(self) -> Convexity | None:
        """Signs of the energy that grows, as a functional of measures; None: no energy."""
        if self.energy_kind is None:
            return None
        return self.kind.convexity(self) if self.heads else "positive"

    def free_energy(self, energy: float, entropy: float, kappa: float) -> float:
        """F = kappa H - E."""
        return kappa * entropy - energy

    @property
    def factor_log(self) -> float:
        """log of the factor in *scaled* velocities."""
        return self.kind.factor_log(self)

    @property
    def energy_log(self) -> float:
        """log of the factor that scaled energies are without."""
        return self.kind.energy_log(self)

    @property
    def has_double_energy(self) -> bool:
        """Whether energies in their own unit are doubles; scaled ones always are."""
        return self.energy_log <= 700.0

    def scaled(self, value: float) -> float:
        """A number in the unit of scaled energies."""
        return value * math.exp(-self.energy_log)

    @property
    def energy_label(self) -> str:
        """How a scaled energy is written."""
        return self.kind.energy_label(self)

    @property
    def dirac_energy(self) -> float:
        """Scaled E of all mass at one point, the largest there is; nan: not known."""
        return math.nan if self.energy_kind is None else self.kind.dirac_energy(self)

    @property
    def leaves_out_self(self) -> bool:
        """Whether sums over pairs leave a token's term with itself out: if asked to."""
        return self.exclude_self

    @property
    def excludes_self(self) -> bool:
        """Whether what moves a token leaves its own term out."""
        return self.exclude_self

    def excluding_self(self) -> AnyInteraction:
        """The same with sums over all other tokens.

        Raises:
            InputError: a kind of attention that has none.
        """
        if self.acting and not self.kind.excludes_self:
            return super().excluding_self()
        return replace(self, exclude_self=True) if self.acting else self

    def pair_energy(self, measure: Measure, n: float, t: float = 0.0) -> float:
        """Scaled E of n equal tokens over pairs of different ones: its mean is E of their law.

        E itself where that is no sum over pairs.
        """
        if n < 2:
            raise InputError(f"n = {n}: expected two tokens or more")
        field = self.field(measure, t)
        if not self.kind.pairwise:
            return field.energy(scaled=True)
        own = 0.0 if self.exclude_self else field.own_energy()
        single = field.drift_energy()
        pairs = field.energy(scaled=True) - single
        return (pairs - own / n) / (1.0 - 1.0 / n) + single

    def fastest_rate(self, degree: int) -> float:
        """A bound, in its order, on rates at the uniform state: of heads and of drifts."""
        drifts = sum(drift.rate for drift in self.drifts)
        return drifts + sum(self.kind.rate(head, self.d) for head in self.heads)

    @property
    def sharpens(self) -> bool:
        """Whether clusters narrow without end: heads and drifts attract on average."""
        total = sum(drift.average for drift in self.drifts)
        return total + sum(self.kind.average(head, self.d) for head in self.heads) >= 0.0

    @property
    def sharpness(self) -> float:
        """1/width^2 of the smallest cluster that it makes."""
        return self.kind.sharpness(self)

    @property
    def width(self) -> float:
        """Width (angle) of the smallest cluster that it makes."""
        return 1.0 / math.sqrt(self.sharpness)

    def refuse_overflow(self, highest: float = 600.0) -> None:
        """Refuse velocities that are no doubles.

        Raises:
            InputError: they are not (usa with a large |A|).
        """
        self.kind.refuse_overflow(self, highest)

    def describe(self) -> str:
        """A few words."""
        words = []
        if self.heads:
            sizes = ", ".join(f"{head.size:.4g}" for head in self.heads[:4])
            more = ", ..." if len(self.heads) > 4 else ""
            count = "1 head" if len(self.heads) == 1 else f"{len(self.heads)} heads"
            words.append(f"{self.kind.describe()}, {count}, |A| = {sizes}{more}")
        words += [drift.describe() for drift in self.drifts]
        return "; ".join(words) or "no interaction"

    @property
    def columns(self) -> Mapping[str, object]:
        """What names it in a table."""
        return {"model": self.kind.name, "heads": len(self.heads), "norm": self.size}

    @property
    def parameters(self) -> Mapping[str, float]:
        """The numbers that a branch or a sweep may vary: none."""
        return {}
