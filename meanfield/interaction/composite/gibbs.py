"""Heads with an energy as stationary states take them: a matrix between harmonics.

    xi = c log Z (one sa head) or sum_h c_h Z_h,  Z_h = int w(<A_h x, y>) dmu,  V_h = c_h A_h^T

with w = exp, t^2/2 (linear) or log(1 + e^{t + b}) (sigmoid). T_kk' = int Y_k(x) lam_l'(|A x|)
Y_k'(A x/|A x|) dsigma(x) (Funk-Hecke at each x) is symmetric where there is an energy. On S^2 it is
applied in the frames of A, as fields are; else it is a matrix.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

import numpy as np

from meanfield.checks import a_parameter
from meanfield.errors import InputError
from meanfield.geometry.manifolds import CircleGrid, Grid, SphereGrid, ZonalGrid, manifold
from meanfield.geometry.sphere import Array
from meanfield.interaction.composite.axial import axial
from meanfield.interaction.composite.between import (
    SphereForm,
    on_circle,
    on_latitudes,
    signed_across,
)
from meanfield.interaction.composite.interaction import Composite
from meanfield.interaction.composite.kind import Kind
from meanfield.interaction.composite.matrices import HeadMatrices
from meanfield.interaction.composite.sums import head_sums
from meanfield.interaction.contract import EnergyKind
from meanfield.interaction.gibbs import AnyGibbs, DensePull, Exponent, Multipliers, Pull
from meanfield.interaction.kernels.exponential import latitude_kernel
from meanfield.interaction.measure import Measure, plain

__all__ = ["GibbsHeads"]

_SAME = 1e-12
_LARGEST = 70  # degree up to which matrices on S^2 are made


@dataclass(frozen=True, eq=False)
class GibbsHeads(AnyGibbs):
    """Heads of one kind of attention that have an energy, without a geometry.

    Attributes:
        heads: any number of them, for softmax one.
        kind: of attention.
        d: dimension of the ambient space.
        numbers: what may be varied: by its name the numbers of the heads whose A it scales, and
            its value.

    Raises:
        InputError: there is no energy, or it hangs on more of a measure than its moments.
    """

    heads: tuple[HeadMatrices, ...]
    kind: Kind
    d: int
    numbers: Mapping[str, tuple[tuple[int, ...], float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        model = self.model
        if model.energy_kind is None:
            raise InputError(
                f"{self.kind.name} attention without an energy found ({model.why_no_energy}), "
                "stationary and branch need one: `meanfield run` with time.stationary ends at rest"
            )
        if self.kind.pair_series(np.zeros(1), 0, self.d) is None:
            raise InputError(
                f"{self.kind.name} attention found, whose potential is no function of something "
                "linear in the measure; stationary and branch need that: `meanfield run` with "
                "time.stationary ends at its states"
            )

    # ------------------------------------------------------------------ the heads

    @cached_property
    def model(self) -> Composite:
        """The same for solvers, in any geometry."""
        return Composite(self.heads, self.kind, self.d)

    @cached_property
    def _acting(self) -> tuple[HeadMatrices, ...]:
        return tuple(self.heads[k] for k in self.model.acting)

    @cached_property
    def _log_unit(self) -> float:
        """log of the factor that q is without."""
        return self.kind.energy_log(self.model)

    def _log_of(self, r: Array | float) -> Array | float:
        """log of what ``Kind.pair_series`` at r is without."""
        return r if self._log_unit else 0.0 * r

    def _factor(self, head: HeadMatrices) -> float:
        """What Z of a head, times e^{-|A|} of its own where it grows like that, adds to q."""
        if not self.is_linear:
            return 1.0
        assert head.gradient_factor is not None
        return head.gradient_factor * math.exp(float(self._log_of(head.size)) - self._log_unit)

    def series(self, head: HeadMatrices, r: Array, degree: int) -> Array:
        """(n, degree + 1) lam_l(r), times e^{-|A|} of the head where it grows like that."""
        series = self.kind.pair_series(r, degree, self.d)
        assert series is not None
        return series * np.exp(self._log_of(r) - self._log_of(head.size))[:, None]

    def _largest(self, head: HeadMatrices, degree: int) -> Array:
        """(degree + 1,) lam_l(|A|)."""
        return np.asarray(self.series(head, np.array([head.size]), degree)[0])

    @cached_property
    def _base(self) -> float:
        """What Z is without in q (log link), times e^{-|A|}: that of a round A of this size."""
        return float(self._largest(self._acting[0], 0)[0])

    # ------------------------------------------------------------------ q and xi

    @property
    def is_linear(self) -> bool:
        return not (self.kind.normalised and self._acting)

    @cached_property
    def _multiples(self) -> tuple[float, ...] | None:
        """a of each A = a I; None: another one is there."""
        found = []
        for head in self._acting:
            a = float(np.trace(head.A)) / self.d
            if float(np.linalg.norm(head.A - a * np.eye(self.d))) > _SAME * head.size:
                return None
            found.append(a)
        return tuple(found)

    @property
    def is_isotropic(self) -> bool:
        return self._multiples is not None

    @property
    def rests(self) -> bool:
        return all(head.rests for head in self._acting)

    def marks(self, x: Array) -> list[Array]:
        return [x @ (head.A / head.size).T for head in self._acting]

    def refuse_tilted(self) -> None:
        for k in self.model.acting:
            axial(self.heads[k], f"model.heads[{k}]")

    @property
    def exponent_gain(self) -> float:
        """d xi/dq (linear), or c."""
        if self.is_linear:
            return math.exp(self._log_unit)
        factor = self._acting[0].gradient_factor
        assert factor is not None
        return factor

    def exponent(self, q: Array) -> tuple[Array, Array]:
        gain = self.exponent_gain
        if self.is_linear:
            return gain * q, np.full_like(q, gain)
        ratio = q / self._base
        # As for a zonal kernel: Z is lost in the round-off of its maximum where it is smaller.
        lowest = 1e-15 * (1.0 + float(ratio.max())) - 1.0
        ratio = np.maximum(ratio, lowest)
        return gain * np.log1p(ratio), gain / (self._base * (1.0 + ratio))

    def exponent_degree(self, kappa: float) -> int:
        gain = abs(self.exponent_gain) / kappa
        floor = 1.0
        if self.is_linear:
            gain *= max([abs(self._factor(head)) for head in self._acting], default=0.0)
        else:
            floor = self._base
        tolerance = 1e-15 * min(1.0, floor / gain) if gain > 0.0 else 1e-15
        return max([2, *(self.kind.degree(head, self.d, tolerance) for head in self._acting)])

    def potential(self, on: str, measure: Measure, degree: int, points: Array) -> Array:
        model = replace(self.model, geometry=on, accuracy=1e-14)
        found = model.field(measure)
        located = model.locate(model.manifold.checked(points))
        return np.asarray(found.along_edges(located)[0])

    # ------------------------------------------------------------------ M

    @cached_property
    def _pulls(self) -> dict[tuple[type[Grid], int, int], Pull]:
        return {}

    def pull(self, grid: Grid, order: int = 0) -> Pull:
        key = (type(grid), grid.degree, order)
        if key not in self._pulls or self.is_isotropic:
            self._pulls[key] = self._pull(grid, order)
        return self._pulls[key]

    def _pull(self, grid: Grid, order: int) -> Pull:
        degrees = grid.degrees[grid.degrees >= order]
        by_degree = np.zeros(grid.degree + 1)
        for head in self._acting:
            by_degree += abs(self._factor(head)) * self._largest(head, grid.degree)
        by_degree[0] = 0.0
        if self._multiples is not None:
            values = np.zeros(grid.degree + 1)
            for a, head in zip(self._multiples, self._acting, strict=True):
                signs = np.sign(a) ** np.arange(grid.degree + 1)
                values += self._factor(head) * signs * self._largest(head, grid.degree)
            values[0] = 0.0
            return Multipliers(values[degrees])
        if isinstance(grid, SphereGrid):
            return self._on_sphere(grid.degree, by_degree[degrees])
        if not isinstance(grid, ZonalGrid | CircleGrid):
            raise InputError(
                "symmetry: found heads that are not the same in all directions, which break it; "
                "expected axial"
            )
        matrix = np.zeros((degrees.size, degrees.size))
        for head in self._acting:
            series = partial(self.series, head)
            if isinstance(grid, ZonalGrid):
                found = on_latitudes(head, series, grid.degree, order)
            else:
                found = on_circle(head, series, grid.degree)
            matrix += 0.5 * self._factor(head) * (found + found.T)
        level = 0.0
        if order == 0:
            level = 0.0 if self.is_linear else float(matrix[0, 0]) - self._base
            matrix[0, 0] = level
            if self.rests:
                matrix[0, 1:] = matrix[1:, 0] = 0.0
        return DensePull(matrix, by_degree[degrees], level)

    def _on_sphere(self, degree: int, sizes: Array) -> Pull:
        for head in self._acting:
            if not head.frames.is_round and degree > _LARGEST:
                raise InputError(
                    f"heads with |A| = {head.size:.4g} found, which have harmonics up to degree "
                    f"{degree} on the sphere: at most {_LARGEST} expected; take a smaller |A| or, "
                    "about an axis, the zonal geometry"
                )
        forms = [
            (self._factor(head), SphereForm(head, partial(self.series, head), degree))
            for head in self._acting
        ]
        return _SpherePull(forms, None if self.is_linear else self._base, self.rests, sizes)

    # ------------------------------------------------------------------ where Z is dark

    def direct_exponent(self, on: str, measure: Measure) -> Exponent:
        (head,), geometry = self._acting, manifold(on, self.d)
        x = plain(measure.points)
        z = head_sums(head, x, x, measure.weights, 0, geometry)
        log_z = z.log_scale - head.size + np.log(z.z)
        velocity = replace(self.model, geometry=on, method="direct").field(measure).velocity(x)
        gain = self.exponent_gain
        return Exponent(gain * log_z, gain * np.exp(np.minimum(-log_z, 650.0)), velocity)

    def between_points(self, points: Array) -> Array:
        (head,) = self._acting
        return np.asarray(np.exp(points @ head.A @ points.T - head.size))

    def between_latitudes(self, order: int, t: Array) -> Array | None:
        (head,) = self._acting
        return latitude_kernel(signed_across(head), axial(head, "model.heads").c, self.d, order, t)

    # ------------------------------------------------------------------ energies

    @property
    def energy_kind(self) -> EnergyKind | None:
        return self.model.energy_kind

    def _unscaled(self, value: float) -> float:
        if self._log_unit > 700.0:
            return math.copysign(math.inf, value)
        return value * math.exp(self._log_unit) * (1.0 if self.is_linear else self.exponent_gain)

    def energy_of(self, excess: float) -> float:
        return self._unscaled(excess)

    def energy_of_uniform(self, grid: Grid) -> float:
        """E of the uniform measure: 1/2 sum of c lam_0(|A x|), its mean over x."""
        nodes = grid.resized(1, max(grid.size, 64))  # all: those of a state may keep to its edges
        x, total = nodes.unit_vectors, 0.0
        for head in self._acting:
            r = np.linalg.norm(x @ head.A.T, axis=1)
            values = self.series(head, r, 0)[:, 0]
            total += 0.5 * self._factor(head) * float(nodes.weights @ values)
        return self._unscaled(total)

    def free_energy(self, energy: float, entropy: float, kappa: float) -> float:
        return kappa * entropy - energy

    # ------------------------------------------------------------------ what is known about it

    def refuse_overflow(self, highest: float = 600.0) -> None:
        self.model.refuse_overflow(highest)

    def describe(self) -> str:
        return self.model.describe()

    @property
    def columns(self) -> Mapping[str, object]:
        numbers = {name: value for name, (_, value) in self.numbers.items()}
        return {**self.model.columns, **numbers}

    @property
    def parameters(self) -> Mapping[str, float]:
        return {name: value for name, (_, value) in self.numbers.items()}

    def varied(self, changes: Mapping[str, float]) -> GibbsHeads:
        """The same with other numbers: inverse temperatures, of which A is a multiple.

        Raises:
            InputError: there is no such number, or its A is out of range.
        """
        heads, numbers = list(self.heads), dict(self.numbers)
        for name, value in changes.items():
            a_parameter(name, tuple(numbers))
            for k in numbers[name][0]:
                head, before = heads[k], numbers[name][1]
                heads[k] = HeadMatrices(head.A * (value / before), head.V, head.keys)
            changed = set(numbers[name][0])
            for other, (which, _) in self.numbers.items():
                if changed.issuperset(which):
                    numbers[other] = (which, value)
                elif changed.intersection(which):
                    del numbers[other]  # no longer that of all
        return GibbsHeads(tuple(heads), self.kind, self.d, numbers)


class _SpherePull(Pull):
    """M on S^2, applied in the frames of each A.

    Args:
        forms: the heads with their factors.
        base: what Z is without in q; None: it is linear.
        rests: whether the uniform measure exerts no velocity.
        sizes: see ``Pull``.
    """

    def __init__(
        self, forms: list[tuple[float, SphereForm]], base: float | None, rests: bool, sizes: Array
    ) -> None:
        self.sizes, self._rests, self._forms = sizes, rests, forms
        one = np.zeros(sizes.size)
        one[0] = 1.0
        whole = float(self._applied(one)[0])
        self.level = 0.0 if base is None else whole - base
        self._left_out = whole - self.level

    def _applied(self, moments: Array) -> Array:
        out = np.zeros(moments.size)
        for factor, form in self._forms:
            out += factor * form.applied(moments, form.degree)
        return out

    def __call__(self, moments: Array) -> Array:
        if not self._rests:
            out = self._applied(moments)
            out[0] -= self._left_out * moments[0]
            return out
        apart = moments.copy()
        apart[0] = 0.0
        out = self._applied(apart)
        out[0] = self.level * moments[0]
        return out
