"""An interaction on one geometry: what solvers ask for a field, and may ask about it.

The one place where the interaction is evaluated, for densities, characteristics and particles
alike. Two ways lead to the same numbers: harmonic transforms, O(N + L^3), where they exist, and
direct sums, O(N^2), in any dimension.

A zonal interaction is a kernel W(<x, y>) with a link and a gain,

    xi = gain link(q),   q = (W * mu - lam_0 M)/unit,

with link(q) = q or log(1 + unit q/(lam_0 M))/unit, and X = grad xi. Solvers never see a kernel:
they ask for fields, rates, signs and lengths. Knows nothing of meshes and of how mass is moved.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from meanfield.arguments import checked_arguments, checked_fields
from meanfield.collective import Communicator
from meanfield.errors import InputError
from meanfield.geometry.manifolds import Grid
from meanfield.geometry.sphere import Array
from meanfield.interaction.contract import AnyInteraction, EnergyKind
from meanfield.interaction.expansion import Convexity
from meanfield.interaction.field import Field
from meanfield.interaction.gibbs import AnyGibbs, Exponent, Multipliers
from meanfield.interaction.kernels.exponential import Exponential
from meanfield.interaction.measure import Measure
from meanfield.interaction.outputs import zonal_outputs
from meanfield.interaction.zonal import Term, Zonal

__all__ = ["EnergyKind", "Interaction", "Term"]


@checked_fields
@dataclass(frozen=True)
class Interaction(Zonal, AnyInteraction, AnyGibbs):
    """A zonal interaction on one geometry: what solvers may ask; attributes of ``Zonal``."""

    @checked_arguments
    def on_mesh(self, vertices: int, accuracy: float | None = None) -> Interaction:
        """The same, its series cut at what a mesh of so many vertices resolves.

        See ``Manifold.resolved_degree``. With another ``accuracy`` of the transforms, if one is
        given.
        """
        kept, on = self.accuracy if accuracy is None else accuracy, self.manifold
        most = min(max(2, on.resolved_degree(vertices)), on.most_degree)
        return replace(self, most=most, accuracy=kept)

    def quiet(self, rtol: float) -> Interaction:
        """The same with the noise of a normalised velocity, at any point, not far above ``rtol``.

        At a single point that noise counts as an error of the step: with 1e-3 of the velocity
        (points with 1e-11 of the largest Z, beta = 25) steps were cut down to 1e-8, until an
        absolute tolerance hides it.
        """
        if self.link == "identity" or self.accuracy is not None:
            return self
        smallest = 3.0 * self.kernel.contrast(self.d) * rtol
        if smallest < 1e-14:
            return replace(self, accuracy=1e-14, dark=max(self.dark, 1.0 / rtol))
        return replace(self, accuracy=min(self.epsilon, smallest))

    def degree(self, tolerance: float, otherwise: int = 64) -> int:
        """Degree that carries W to ``tolerance`` of its maximum; where none does, ``otherwise``."""
        found = self.expansion.degree(tolerance)
        limit = otherwise if self.most is None else self.most
        if found is None:
            return limit
        return min(found, limit) if self.kernel.capped and self.most is not None else found

    def outputs(self, x: Array, weights: Array, t: float = 0.0, beside: bool = True) -> Array:
        return zonal_outputs(self, x, weights)

    @property
    def series_ends(self) -> bool:
        """Whether the series ends at round-off: else it is cut, and tokens are summed directly."""
        return self.expansion.degree(1e-15) is not None

    @property
    def exact_sums(self) -> bool:
        """Whether sums over pairs are to round-off: derivatives of W known, not by differences."""
        return self.kernel.near is not None

    @property
    def compiled_sums(self) -> bool:
        """Whether sums over pairs with all derivatives are compiled: faster than few transforms."""
        return self.kernel.compiled

    def multipliers(self, degree: int) -> Array:
        """(degree + 1,) what turns moments of degree l into those of q, scaled (0 at l = 0)."""
        return self.expansion.multipliers(degree)

    def last_share(self, power: Array) -> float:
        """Share of the last degrees in the potential of moments: see ``Expansion.last_share``."""
        return self.expansion.last_share(power)

    @cached_property
    def local_tail(self) -> float:
        """|gain lam_{L+1}| of repulsion that decreases for ever; see ``AnyInteraction``."""
        cut = self.truncation
        if cut is None or cut.exact or self.tail_closed or self.link != "identity":
            return 0.0
        if not self.expansion.decreasing(self.gain):
            return 0.0
        return abs(self.gain * float(self.multipliers(cut.degree + 1)[-1]))

    def with_closed_tail(self) -> Interaction:
        """With less of all coefficients: see ``AnyInteraction``."""
        return replace(self, tail_closed=True) if self.local_tail > 0.0 else self

    # ------------------------------------------------------------------ fields

    def field(self, measure: Measure, t: float = 0.0, comm: Communicator | None = None) -> Field:
        """The field that a measure exerts: see ``AnyInteraction.field``."""
        found = super().field(measure, t, comm)
        assert isinstance(found, Field)
        return found

    def field_of_moments(
        self, moments: Array | None, measure: Measure, t: float, comm: Communicator | None
    ) -> Field:
        """The field of known moments (a checkpoint, or an extrapolation in time)."""
        return Field(self, measure, moments, t, comm)

    # ------------------------------------------------------------------ what is known about it

    @property
    def has_potential(self) -> bool:
        """Whether X is a gradient."""
        return True

    @property
    def has_gradient(self) -> bool:
        """Whether X or a part of it is told as a potential."""
        return True

    @property
    def energy_kind(self) -> EnergyKind | None:
        """What has a sign: "gradient", F = kappa H - drive E falls; "monotone", for kappa = 0 only.

        None: nothing is known.
        """
        return "gradient" if self.link == "identity" else "monotone"

    @property
    def drive(self) -> float:
        """Sign and factor of E in F = kappa H - drive E (1; V = -I: -1)."""
        factor = self.term.energy_factor
        return self.term.gain / factor if factor != 0.0 else 0.0

    def free_energy(self, energy: float, entropy: float, kappa: float) -> float:
        """F = kappa H - drive E: never increases with the identity as link.

        Args:
            energy: E, E - E_uniform (then F is relative to the uniform state), or either scaled.
            entropy: H = int rho log rho dsigma.
            kappa: of the diffusion; scaled as the energy is (``scaled``).
        """
        return kappa * entropy - self.drive * energy

    @cached_property
    def convexity(self) -> Convexity:
        """Signs of the series of the energy that grows, gain/2 int q dmu.

        "positive": convex; explicit Euler steps raise it (proved). "negative": concave, steps with
        an implicit potential do. "mixed": the two parts take the potential of their own time.
        """
        return self.expansion.signs(self.term.gain)

    @property
    def sharpens(self) -> bool:
        """Whether clusters narrow without end on their own time scale: W convex in t on average.

        (By Rodrigues' formula lam_2 is a mean of W''.)
        """
        return self.term.gain * float(self.multipliers(2)[2]) >= 0.0

    def uniform_rates(self, degree: int) -> Array:
        """(degree + 1,) growth rates at the uniform state without diffusion, l(l+d-2) link' lam_l.

        With diffusion l(l+d-2) kappa is to be subtracted. inf where they are no doubles.
        """
        l = np.arange(degree + 1.0)
        rates = l * (l + self.d - 2) * self.term.gain * self.multipliers(degree)
        if self.link == "log":
            return rates / self.expansion.lam0
        scale = math.exp(self.factor_log) if self.factor_log < 700.0 else math.inf
        with np.errstate(invalid="ignore"):
            return np.where(rates == 0.0, 0.0, rates * scale)

    def fastest_rate(self, degree: int) -> float:
        """Fastest growth rate, up to a degree, of perturbations of the uniform state."""
        return float(np.max(np.abs(self.uniform_rates(degree))))

    @property
    def sharpness(self) -> float:
        """1/width^2 of the smallest cluster that it makes (1 + |beta| for attention)."""
        return self.expansion.sharpness

    @property
    def width(self) -> float:
        """Width (angle) of the smallest cluster that it makes."""
        return 1.0 / math.sqrt(self.sharpness)

    def scaled(self, value: float) -> float:
        """A number in the unit of scaled energies."""
        return value * math.exp(-self.kernel.log_scale)

    def energy_of(self, excess: float) -> float:
        """E - E_uniform of 1/2 int q dmu, scaled; inf where that is no double."""
        return self.unscaled(self.term.energy_factor * excess)

    @property
    def uniform_energy(self) -> float:
        """E of the uniform measure; inf where that is no double."""
        return self.unscaled(self.term.uniform_energy(self.expansion.lam0))

    def energy_of_uniform(self, grid: Grid) -> float:
        """E of the uniform measure: see ``AnyGibbs``."""
        return self.uniform_energy

    @property
    def energy_label(self) -> str:
        """How a scaled energy is written: "E e^-|beta|" for attention."""
        return self.term.energy_label

    @property
    def dirac_energy(self) -> float:
        """Scaled E of all mass at one point, the largest if W is largest at t = 1; inf possible."""
        one = float(self.kernel.w(np.ones(1), np.zeros(1), self.d)[0])
        if self.kernel.unit == 0.0:  # W - lam_0 over its unit is t
            return 0.5 * self.term.energy_factor + self.term.uniform_energy(self.expansion.lam0)
        excess = 0.5 * self.term.energy_factor * (one - self.expansion.lam0) / self.kernel.unit
        return excess + self.term.uniform_energy(self.expansion.lam0)

    @property
    def leaves_out_self(self) -> bool:
        """Whether W(1) is infinite: sums over pairs leave a token's term with itself out."""
        return not self.kernel.bounded(self.d)

    def refuse_overflow(self, highest: float = 600.0) -> None:
        """Refuse velocities (or, at ``highest``, potentials) that are no doubles.

        Raises:
            InputError: they are not.
        """
        self.term.refuse_overflow(highest)

    @property
    def columns(self) -> dict[str, object]:
        """What names it in a table: "model" and its numbers."""
        return self.term.columns

    @property
    def parameters(self) -> dict[str, float]:
        """The numbers that a branch or a sweep may vary."""
        return self.term.parameters

    def replaced(self, **changes: float) -> Interaction:
        """The same with other numbers.

        Raises:
            InputError: there is no such number, or it is out of its range.
        """
        return replace(self, term=self.term.replaced(changes))

    def varied(self, changes: Mapping[str, float]) -> Interaction:
        """The same with other numbers: see ``AnyGibbs``."""
        return self.replaced(**changes)

    # ------------------------------------------------------------------ parts of it, by sign

    @cached_property
    def repels(self) -> Array:
        """(n_coefficients,) what makes the energy concave; of a logarithm: all of it or none."""
        if self.link != "identity" and self.convexity != "negative":
            return np.zeros(self.multiplier.size, dtype=bool)
        return self.signs < 0

    @cached_property
    def signs(self) -> NDArray[np.int8]:
        """(n_coefficients,) 1: moments that attract, -1: that repel, 0: round-off of the others."""
        terms = self.term.gain * self.multiplier
        noise = 1e-14 * float(np.max(np.abs(terms), initial=0.0))
        return (terms > noise).astype(np.int8) - (terms < -noise)

    @cached_property
    def metric(self) -> Array:
        """(n_coefficients,) weights of squared moments in the norm of the energy, largest 1."""
        part = np.abs(self.multiplier)
        top = float(np.max(part, initial=0.0))
        return part / top if top > 0.0 else part

    def kernel_norm(self, moments: Array) -> float:
        """Norm of moments with the weights |lam_l|, l = 0 among them."""
        harmonics = self.harmonics
        assert harmonics is not None
        lam = np.abs(self.expansion.coefficients(harmonics.degree))[harmonics.degrees]
        return math.sqrt(float(np.dot(lam, moments**2)))

    # ------------------------------------------------------------------ stationary states

    def exponent(self, q: Array) -> tuple[Array, Array]:
        """xi of the scaled potential q, unscaled, and its derivative by q: for Gibbs densities.

        Args:
            q: (Z - lam_0)/unit, scaled, (n,); xi = 0 at q = 0.
        """
        gain = self.exponent_gain
        if self.is_linear:
            return gain * q, np.full_like(q, gain)
        unit, lam0 = self.kernel.unit, self.expansion.lam0
        ratio = unit * q / lam0
        # Z is a sum of positive terms, but summed from harmonics it is lost in the round-off of its
        # maximum where it is smaller than that; so is the density there, whatever is taken for it.
        lowest = 1e-15 * (1.0 + float(ratio.max())) - 1.0
        ratio = np.maximum(ratio, lowest)
        return gain / unit * np.log1p(ratio), gain / (lam0 * (1.0 + ratio))

    @property
    def exponent_gain(self) -> float:
        """d xi/d q of scaled q: gain e^{log_scale} (identity) or gain (log, times 1/Z)."""
        scaled = self.link == "identity"
        return self.term.gain * (math.exp(self.kernel.log_scale) if scaled else 1.0)

    def exponent_degree(self, kappa: float) -> int | None:
        """Degree beyond which harmonics change xi/kappa by less than round-off; None: none."""
        floor = self.expansion.lam0 if self.link == "log" else 1.0
        gain = abs(self.exponent_gain) / kappa
        return self.expansion.degree(1e-15 * min(1.0, floor / gain) if gain > 0.0 else 1e-15)

    def pull(self, grid: Grid, order: int = 0) -> Multipliers:
        """lam_l of each harmonic of a grid: see ``AnyGibbs``."""
        return Multipliers(self.multipliers(grid.degree)[grid.degrees[grid.degrees >= order]])

    def potential(self, on: str, measure: Measure, degree: int, points: Array) -> Array:
        """xi of a measure on a geometry: see ``AnyGibbs``."""
        return replace(self, geometry=on, most=degree).field(measure).potential(points)

    def direct_exponent(self, on: str, measure: Measure) -> Exponent:
        """xi at the measure's own points by direct sums: see ``AnyGibbs``."""
        field = replace(self, geometry=on).direct().field(measure)
        return Exponent(*field.exponent(measure.points), field.velocity(measure.points))

    def between_points(self, points: Array) -> Array:
        """W/unit between unit vectors (n, d), scaled, (n, n): where harmonics cancel (log link)."""
        t = points @ points.T
        return np.asarray(self.kernel.w(t, np.maximum(1.0 - t, 0.0), self.d)) / self.kernel.unit

    def between_latitudes(self, order: int, t: Array) -> Array | None:
        """W/unit between circles of latitude, on harmonics of an azimuthal order; None: unknown."""
        kernel = self.kernel
        if not isinstance(kernel, Exponential):
            return None
        return kernel.latitudes(self.d, order, t) / kernel.unit

    # ------------------------------------------------------------------ tokens

    def excluding_self(self) -> AnyInteraction:
        """With sums over all other tokens: see ``AnyInteraction.excluding_self``.

        Without a division by Z an own term moves nothing: the same. Softmax attention becomes a
        head, whose sums leave it out.

        Raises:
            InputError: another kernel with the log link.
        """
        if self.link == "identity":
            return self
        kernel = self.kernel
        if not isinstance(kernel, Exponential) or self.term is kernel:
            return super().excluding_self()
        from meanfield.interaction.composite import Composite, HeadMatrices

        one = np.eye(self.d)
        head = HeadMatrices(kernel.beta * one, self.gain * one)
        return Composite((head,), "sa", self.d, self.geometry, exclude_self=True)

    @checked_arguments
    def pair_energy(self, measure: Measure, n: float, t: float = 0.0) -> float:
        """Scaled E of n equal tokens over pairs of different ones: its mean is E of their law.

        A token's interaction with itself adds a bias of order 1/n, which is no disagreement.
        """
        if n < 2:
            raise InputError(f"n = {n}: expected two tokens or more")
        energy = self.field(measure, t).energy(scaled=True)
        alone = self.leaves_out_self and self.harmonics is None
        own = 0.0 if alone else self.dirac_energy
        return (energy - own / n) / (1.0 - 1.0 / n)
