"""Heads with any matrices and a linear drift on one geometry: what solvers may ask."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, Self

import numpy as np

from meanfield.arguments import checked_fields, refuse_other
from meanfield.collective import Communicator
from meanfield.errors import InputError, suggest
from meanfield.geometry.manifolds import Grid, Harmonics, Located, Manifold, manifold
from meanfield.geometry.sphere import Array
from meanfield.geometry.threads import refuse_fork
from meanfield.interaction.composite.bessel import exponential_series
from meanfield.interaction.composite.field import CompositeField
from meanfield.interaction.composite.latitudes import Axial, axial, axial_drift
from meanfield.interaction.composite.matrices import HeadMatrices, checked_matrix
from meanfield.interaction.composite.sphere import SphereHead, series_degree
from meanfield.interaction.contract import AnyInteraction, EnergyKind
from meanfield.interaction.expansion import Convexity, Truncation
from meanfield.interaction.measure import Measure, checked_on, is_known, moments_of

__all__ = ["Composite"]

_NOWHERE: Array = np.empty(0)
_BEYOND = 2  # degrees of moments beyond those of the series: products with two coordinates
_SINGLE = 1e-14  # accuracy of transforms that are divided by Z


@checked_fields
@dataclass(frozen=True, eq=False)
class Composite(AnyInteraction):
    """A sum of heads and of a linear drift, on one geometry.

    Attributes:
        heads: any number of them.
        model: "sa" (softmax: each head over its own Z) or "usa".
        d: dimension of the ambient space.
        geometry: "sphere", "circle", "zonal" (where matrices commute with the rotations about the
            axis) or "any".
        method: "harmonics", "direct" or "auto".
        accuracy: of the field, relative to Z itself, 1e-14 to 1e-4; None: 1e-7. Targets whose Z is
            too small for one way of summing go to the next: matrix, radial nodes, direct sums.
        drift: (d, d) M: P_x(M x) is added to X; None: no drift.
        dark: not used.

    Raises:
        InputError: matrices of another size, or that a zonal geometry does not have.
    """

    heads: tuple[HeadMatrices, ...]
    model: Literal["sa", "usa"]
    d: int
    geometry: str = "any"
    method: str = "auto"
    accuracy: float | None = None
    drift: Array | None = None
    dark: float = 1e3

    def __post_init__(self) -> None:
        if self.model not in ("sa", "usa"):
            hint = suggest(str(self.model), ("sa", "usa"))
            raise InputError(f"attention '{self.model}' found, 'sa' or 'usa' expected{hint}")
        if self.method not in ("auto", "harmonics", "direct"):
            hint = suggest(self.method, ("auto", "harmonics", "direct"))
            raise InputError(
                f"method '{self.method}' found, 'auto', 'harmonics' or 'direct' expected{hint}"
            )
        if self.accuracy is not None and not 1e-14 <= self.accuracy <= 1e-4:
            raise InputError(f"accuracy = {self.accuracy:g} found, 1e-14 to 1e-4 expected")
        object.__setattr__(self, "heads", tuple(self.heads))
        for k, head in enumerate(self.heads):
            if head.d != self.d:
                raise InputError(
                    f"heads[{k}]: {head.d} x {head.d} matrices found, {self.d} x {self.d} expected"
                )
        if self.drift is not None:
            drift = checked_matrix(self.drift, "drift")
            if len(drift) != self.d:
                raise InputError(
                    f"drift: a {len(drift)} x {len(drift)} matrix found, {self.d} x {self.d} "
                    "expected"
                )
            object.__setattr__(self, "drift", drift if np.any(drift) else None)
        if not self.manifold.has_harmonics and self.method == "harmonics":
            raise InputError("harmonics need a geometry: 'sphere', 'circle' or 'zonal'")
        if self.manifold.latitudes:
            _ = self.axial, self.axial_drift

    # ------------------------------------------------------------------ points and transforms

    @cached_property
    def manifold(self) -> Manifold:
        """The geometry of its points."""
        return manifold(self.geometry, self.d)

    @cached_property
    def axial(self) -> tuple[Axial, ...]:
        """The heads as they act on axially symmetric measures."""
        return tuple(axial(head, f"heads[{k}]") for k, head in enumerate(self.heads))

    @cached_property
    def axial_drift(self) -> tuple[float, float]:
        """The drift across and along the axis."""
        return (0.0, 0.0) if self.drift is None else axial_drift(self.drift)

    @cached_property
    def on_sphere(self) -> tuple[SphereHead, ...]:
        """The heads with their matrices between harmonics."""
        return tuple(SphereHead(head) for head in self.heads)

    @cached_property
    def relative(self) -> float:
        """Accuracy of the field relative to Z."""
        return 1e-7 if self.accuracy is None else self.accuracy

    @cached_property
    def epsilon(self) -> float:
        """Accuracy of the transforms."""
        return _SINGLE if self.model == "sa" else max(1e-14, min(1e-12, 1e-4 * self.relative))

    @cached_property
    def _degree(self) -> int:
        return max([1, *(series_degree(head.size, self.d) for head in self.heads)])

    @cached_property
    def truncation(self) -> Truncation | None:
        """What is kept of the series in transforms; None: they are not used."""
        if not self.manifold.has_harmonics or self.method == "direct":
            return None
        return Truncation(self._degree + _BEYOND, True, 0.0)

    @cached_property
    def harmonics(self) -> Harmonics | None:
        """The transforms in use; None for direct sums."""
        if self.truncation is None:
            return None
        return self.manifold.harmonics(self.truncation.degree, self.epsilon)

    @cached_property
    def grid(self) -> Grid:
        """Nodes on which products with a kernel are integrated to round-off."""
        assert self.truncation is not None
        degree = self.truncation.degree
        size = 2 * degree + 2 if self.manifold.closed else degree + 1
        return self.manifold.grid(degree, size)

    def locate(self, points: Array) -> Located:
        """Points made ready for the transforms in use, to be known as good: nothing is checked."""
        if self.harmonics is None:
            return Located(points, _NOWHERE)
        return self.harmonics.locate(points)

    def on_mesh(self, vertices: int, accuracy: float | None = None) -> Self:
        """The same, with another ``accuracy`` if one is given: the series ends by itself."""
        return self if accuracy is None else replace(self, accuracy=accuracy)

    def by(self, method: str) -> Self:
        """The same by "harmonics" or "direct" sums; "auto" leaves it as it is."""
        return self if method == "auto" else replace(self, method=method)

    def quiet(self, rtol: float) -> Self:
        """The same with the noise of a velocity, at any point, not far above ``rtol``."""
        if self.accuracy is not None or rtol >= self.relative:
            return self
        return replace(self, accuracy=max(rtol, 1e-13))

    def degree(self, tolerance: float, otherwise: int = 64) -> int:
        """Degree of harmonics that carries the kernels to ``tolerance``."""
        return max([1, *(series_degree(head.size, self.d, tolerance) for head in self.heads)])

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
        """The field that a measure exerts at time ``t``. Collective over ``comm``.

        Raises:
            InputError: on every rank; it is no measure on this geometry, see ``Measure``. Or this
                is a copy (fork) of a process that has computed.
        """
        refuse_fork()
        if not is_known(measure):
            refuse_other("t", t, float)
            refuse_other("comm", comm, Communicator | None)
            measure = checked_on(self.manifold, measure, comm=comm)
        moments = None
        if self.harmonics is not None:
            moments = moments_of(self.harmonics, measure, comm)
        return CompositeField(self, measure, moments, t, comm)

    def field_of_moments(
        self, moments: Array, measure: Measure, t: float, comm: Communicator | None
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

    @cached_property
    def size(self) -> float:
        """The largest |A|."""
        return max([head.size for head in self.heads], default=0.0)

    @cached_property
    def drift_is_gradient(self) -> bool:
        """Whether M is symmetric, or there is none: P_x(M x) = grad <x, M x>/2."""
        m = self.drift
        if m is None:
            return True
        return float(np.linalg.norm(m - m.T)) <= 1e-12 * float(np.linalg.norm(m))

    @property
    def has_potential(self) -> bool:
        """Whether X is a gradient: all V = c A^T, and M symmetric."""
        return self.drift_is_gradient and all(h.gradient_factor is not None for h in self.heads)

    @property
    def has_gradient(self) -> bool:
        """Whether X or a part of it is told as a potential."""
        some = any(head.gradient_factor is not None for head in self.heads)
        return some or self.drift_is_gradient

    @property
    def energy_kind(self) -> EnergyKind | None:
        """ "gradient": usa (or no head), all V = c A with A symmetric, M symmetric.

        "monotone": one such head of sa and no drift. None: there is no energy.
        """
        if not self.drift_is_gradient or not all(head.has_energy for head in self.heads):
            return None
        if self.model == "usa" or not self.heads:
            return "gradient"
        return "monotone" if len(self.heads) == 1 and self.drift is None else None

    @property
    def why_no_energy(self) -> str:
        """In a few words; "" where there is one."""
        if self.energy_kind is not None:
            return ""
        if not self.drift_is_gradient:
            return "the matrix of the drift is not symmetric"
        for k, head in enumerate(self.heads):
            if not head.symmetric:
                return f"A of heads[{k}] is not symmetric"
            if head.gradient_factor is None:
                return f"V of heads[{k}] is no multiple of A"
        return "softmax heads that are added, or a drift beside one, have none"

    @property
    def convexity(self) -> Convexity | None:
        """Signs of the energy that grows, as a quadratic form of measures; None: no energy."""
        if self.energy_kind is None:
            return None
        signs = set()
        for head in self.heads:
            low, high = head.eigenvalues[0], head.eigenvalues[-1]
            factor = head.gradient_factor or 0.0
            noise = 1e-13 * head.size
            if factor == 0.0 or head.size == 0.0:
                continue
            if low >= -noise:
                signs.add("positive" if factor > 0.0 else "negative")
            else:
                signs.add("mixed")
            del high
        if len(signs) <= 1:
            return signs.pop() if signs else "positive"  # type: ignore[return-value]
        return "mixed"

    def free_energy(self, energy: float, entropy: float, kappa: float) -> float:
        """F = kappa H - E."""
        return kappa * entropy - energy

    @property
    def factor_log(self) -> float:
        """log of the factor in *scaled* velocities: the largest |A| for usa."""
        return self.size if self.model == "usa" else 0.0

    @property
    def has_double_energy(self) -> bool:
        """Whether energies in their own unit are doubles; scaled ones always are."""
        return self.size <= 700.0

    def scaled(self, value: float) -> float:
        """A number in the unit of scaled energies, e^{|A|} of the largest A."""
        return value * math.exp(-self.size)

    @property
    def energy_label(self) -> str:
        """How a scaled energy is written."""
        return "E e^-|A|" if self.size else "E"

    @property
    def dirac_energy(self) -> float:
        """Scaled E of all mass at one point, the largest there is; nan: not known."""
        if self.energy_kind is None or len(self.heads) != 1 or self.drift is not None:
            return math.nan
        (head,) = self.heads
        assert head.gradient_factor is not None
        if head.gradient_factor < 0.0:
            return math.nan
        return 0.5 * head.gradient_factor * math.exp(float(head.eigenvalues[-1]) - self.size)

    @property
    def leaves_out_self(self) -> bool:
        """Whether sums over pairs leave a token's term with itself out: no."""
        return False

    def pair_energy(self, measure: Measure, n: int, t: float = 0.0) -> float:
        """Scaled E of n equal tokens over pairs of different ones: its mean is E of their law."""
        if n < 2:
            raise InputError(f"n = {n}: expected two tokens or more")
        field = self.field(measure, t)
        own, single = field.own_energy(), field.drift_energy()
        pairs = field.energy(scaled=True) - single
        return (pairs - own / n) / (1.0 - 1.0 / n) + single

    def fastest_rate(self, degree: int) -> float:
        """A bound, in its order, on rates at the uniform state: |V| of sa, |V| Z of usa, |M|."""
        total = 0.0 if self.drift is None else 2.0 * float(np.linalg.norm(self.drift, 2))
        for head in self.heads:
            z = 1.0
            if self.model == "usa":
                lam0 = exponential_series(np.array([head.size]), 0, self.d)[0, 0]
                z = lam0 * math.exp(min(head.size, 700.0))
            total += head.strength * z
        return total

    @property
    def sharpens(self) -> bool:
        """Whether clusters narrow without end: V A + M attracts on average."""
        total = 0.0 if self.drift is None else float(np.trace(self.drift))
        return total + sum(float(np.trace(h.V @ h.A)) for h in self.heads) >= 0.0

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
        if self.model == "usa" and self.size > highest:
            raise InputError(
                f"usa with |A| = {self.size:g} found, |A| <= {highest:g} expected: velocities are "
                "of size e^|A|; take sa"
            )

    def describe(self) -> str:
        """A few words."""
        words = []
        if self.heads:
            sizes = ", ".join(f"{head.size:.4g}" for head in self.heads[:4])
            more = ", ..." if len(self.heads) > 4 else ""
            count = "1 head" if len(self.heads) == 1 else f"{len(self.heads)} heads"
            words.append(f"{self.model}, {count}, |A| = {sizes}{more}")
        if self.drift is not None:
            words.append(f"drift, |M| = {np.linalg.norm(self.drift, 2):.4g}")
        return "; ".join(words) or "no interaction"

    @property
    def columns(self) -> Mapping[str, object]:
        """What names it in a table."""
        return {"model": self.model, "heads": len(self.heads), "norm": self.size}

    @property
    def parameters(self) -> Mapping[str, float]:
        """The numbers that a branch or a sweep may vary: none."""
        return {}
