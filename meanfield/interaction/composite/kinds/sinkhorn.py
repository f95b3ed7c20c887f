"""Sinkhorn attention: doubly stochastic weights, X = sum_h P_x V_h int k_h(x, y) y dmu(y).

    k(x, y) = e^{<A x, y>} u(x) v(y),  int k(x, y) dmu(y) = 1,  int k(x, y) dmu(x) = 1

mu-almost everywhere. With u(x) = 1/int e^{<A x, y>} v(y) dmu(y) at any x it is softmax attention to
v mu, so that derivatives are exact off the support as well. v is found at the points of the
measure (``scaling``), to ``tolerance``, always from v = 1: a field hangs on its measure, and on the
time, alone. To begin with the last v would save a quarter of the iterations.

A head with V = c A^T is the gradient of -c log u. Where A is symmetric, E = -(c/2) T(mu, mu)
increases at the rate int |X|^2 dmu: T is the entropic transport cost with the cost -<A x, y>, and
the regularisation 1; its first variation is 2 log u. Source: Sander, Ablin, Blondel, Peyre, arXiv
2110.11773.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar
from weakref import WeakKeyDictionary

import numpy as np

from meanfield.collective import Communicator
from meanfield.errors import InputError
from meanfield.geometry.manifolds import Located
from meanfield.geometry.sphere import Array
from meanfield.interaction.composite.field import CompositeField
from meanfield.interaction.composite.kinds.reweighted import Reweighted, ReweightedField
from meanfield.interaction.composite.kinds.softmax import ExponentialField
from meanfield.interaction.composite.matrices import HeadMatrices
from meanfield.interaction.composite.model import Heads
from meanfield.interaction.composite.scaling import fixed_point, log_integral
from meanfield.interaction.contract import EnergyKind
from meanfield.interaction.measure import Measure, moments_of

__all__ = ["Sinkhorn"]

_BOTH: WeakKeyDictionary[Heads, dict[int, Heads]] = WeakKeyDictionary()
_UNIFORM: WeakKeyDictionary[Heads, float] = WeakKeyDictionary()


class SinkhornField(ReweightedField):
    """Heads with doubly stochastic weights."""

    @cached_property
    def _at(self) -> Located:
        points = self.measure.points
        return points if isinstance(points, Located) else self.interaction.locate(points)

    @cached_property
    def _excess(self) -> float:
        """E up to what it is for a constant Z. Collective.

        With v of the mean 1, u = 1/Z is a multiple of v; E = -(c/2) int (log u + log v) dmu.
        """
        model, m, total = self.interaction, self.measure.weights, 0.0
        for k in model.acting:
            log_z = self.log_z(k, self._at)
            mean = self._over_ranks(float(np.dot(m, log_z)))
            factor = model.heads[k].gradient_factor or 0.0
            total += factor * (mean + 0.5 * log_integral(-log_z, m, self._comm))
        return total

    def _constants(self) -> float:
        """What E is for the constant Z that ``log_z`` is relative to."""
        heads = [self.interaction.heads[k] for k in self.interaction.acting]
        return sum(
            0.5 * (head.gradient_factor or 0.0) * self._log_of_uniform(head)
            for head in heads
            if head.rests
        )

    def heads_energy(self) -> float:
        """sum_h -(c_h/2) int (log u + log v) dmu. Collective."""
        return self._excess + self._constants()

    def heads_excess(self) -> float:
        """The same less that of the uniform measure. Collective."""
        model = self.interaction
        if all(model.heads[k].rests for k in model.acting):
            return self._excess
        if not model.manifold.has_harmonics:
            return math.nan
        return self.heads_energy() - self._of_uniform()

    def _of_uniform(self) -> float:
        model = self.interaction
        if model not in _UNIFORM:
            transforms = model.with_transforms
            assert transforms.harmonics is not None
            degree = transforms.harmonics.degree + 8
            grid = model.manifold.grid(degree, 2 * degree + 2)
            measure = Measure(transforms.locate(grid.points), grid.weights, grid.weights)
            field = transforms.field(measure)
            assert isinstance(field, SinkhornField)
            _UNIFORM[model] = field.heads_energy()
        return _UNIFORM[model]

    def energy_bound(self) -> float:
        heads = self.interaction.heads
        return self.mass * sum(2.0 * abs(h.gradient_factor or 0.0) * h.size for h in heads)


@dataclass(frozen=True)
class Sinkhorn(Reweighted):
    """Doubly stochastic weights.

    Attributes:
        tolerance: of the scalings, 1e-13 to 1e-3: norm in L^2(mu) of log int k dmu.
    """

    name: ClassVar[str] = "sinkhorn"
    largest: ClassVar[float] = 300.0
    pairwise: ClassVar[bool] = False
    tolerance: float = 1e-9

    def __post_init__(self) -> None:
        if not 1e-13 <= self.tolerance <= 1e-3:
            raise InputError(f"tolerance = {self.tolerance:g} found, 1e-13 to 1e-3 expected")

    def weighs(self, head: HeadMatrices) -> bool:
        return head.strength > 0.0

    def log_weights(
        self, model: Heads, k: int, measure: Measure, comm: Communicator | None
    ) -> Array:
        """log v, with the mean of v 1: 0 for the uniform measure, where that is at rest."""
        head = model.heads[k]
        m = measure.weights
        log_z = self._log_means(model, k, measure, comm)

        def averaged(f: Array) -> Array:
            return np.asarray(0.5 * (f - log_z(f, 0)))

        def in_turn(f: Array) -> Array:
            found = -log_z(-log_z(f, 0), 1)
            return np.asarray(found - log_integral(found, m, comm))  # a factor of v says nothing

        image = averaged if head.symmetric else in_turn
        found = fixed_point(image, np.zeros(m.shape), m, comm, self.tolerance)
        return np.asarray(found - log_integral(found, m, comm))

    def _both(self, model: Heads, k: int) -> Heads:
        """A and A^T of a head as softmax attention; kept, as series of them are dear."""
        known = _BOTH.setdefault(model, {})
        if k not in known:
            head = model.heads[k]
            heads = (HeadMatrices(head.A, head.A.T), HeadMatrices(head.A.T, head.A))
            accuracy = max(1e-13, min(model.relative, self.tolerance))
            known[k] = replace(
                model, heads=heads[:1] if head.symmetric else heads, model="sa", drifts=(),
                accuracy=accuracy, weighted=None,
            )  # fmt: skip
        return known[k]

    def _log_means(
        self, model: Heads, k: int, measure: Measure, comm: Communicator | None
    ) -> Callable[[Array, int], Array]:
        """(f, 0) -> log int e^{<A x, y> + f(y)} dmu(y) at the points; (f, 1): with A^T."""
        both = self._both(model, k)
        points, m, rule = measure
        at = points if isinstance(points, Located) else both.locate(points)

        def means(f: Array, number: int) -> Array:
            shift = log_integral(f, m, comm)
            changed = Measure(at, m * np.exp(np.minimum(f - shift, 600.0)), rule)
            moments = None
            if both.harmonics is not None:
                moments = moments_of(both.harmonics, changed, comm)
            field = ExponentialField(both, changed, moments, 0.0, comm)
            mass = math.log(field.mass) if both.heads[number].rests else 0.0
            return field.log_z(number, at) + (shift + mass)

        return means

    def field(
        self, model: Heads, measure: Measure, moments: Array | None, t: float,
        comm: Communicator | None,
    ) -> CompositeField:  # fmt: skip
        return SinkhornField(self, model, measure, moments, t, comm)

    def energy_log(self, model: Heads) -> float:
        return 0.0

    def energy_label(self, model: Heads) -> str:
        return "E"

    def energy_kind(self, model: Heads) -> EnergyKind | None:
        """ "gradient": all V = c A with A symmetric."""
        return "gradient" if all(head.has_energy for head in model.heads) else None

    def dirac_energy(self, model: Heads) -> float:
        if len(model.heads) != 1 or model.drifts:
            return math.nan
        (head,) = model.heads
        factor = head.gradient_factor or 0.0
        low, high = float(head.eigenvalues[0]), float(head.eigenvalues[-1])
        return 0.5 * factor * high if factor > 0.0 and -low <= high else math.nan
