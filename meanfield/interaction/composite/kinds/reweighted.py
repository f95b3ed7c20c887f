"""Softmax attention to a measure whose masses have been multiplied by something: what kinds of it
have in common.

    X = sum_h P_x V_h N_h/Z_h,  Z_h = int e^{<A_h x, y>} g_h(y) dmu(y),  N_h likewise

Each head whose g_h is no constant has moments of its own, of g_h mu, that follow those of mu: one
more adjoint transform. They are all that a field takes of its measure. A head in time has them
always, so that there are as many at all times.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from meanfield.collective import Communicator, joined
from meanfield.geometry.sphere import Array
from meanfield.interaction.composite.field import CompositeField
from meanfield.interaction.composite.kinds.softmax import Exponential, ExponentialField, Softmax
from meanfield.interaction.composite.matrices import HeadMatrices
from meanfield.interaction.composite.model import Heads
from meanfield.interaction.contract import DarkPoints
from meanfield.interaction.measure import Measure, moments_of, plain

__all__ = ["Reweighted", "ReweightedField"]


class ReweightedField(ExponentialField):
    """Heads that look at g mu."""

    same_sources: ClassVar[bool] = False

    def __init__(
        self, kind: Reweighted, model: Heads, measure: Measure, moments: Array | None, t: float,
        comm: Communicator | None,
    ) -> None:  # fmt: skip
        super().__init__(model, measure, moments, t, comm)
        self.kind = kind
        self._known: dict[int, tuple[Array, Array]] = {}

    @cached_property
    def _moments_by_head(self) -> Sequence[Array]:
        model = self.interaction
        assert self.moments is not None and model.harmonics is not None
        own, *others = np.split(self.moments, self.kind.blocks(model) + 1)
        further = iter(others)
        return [next(further) if there else own for there in self.kind.with_own(model)]

    def _sources_of(self, k: int) -> tuple[Array, Array]:
        if not self.kind.weighs(self.interaction.heads[k]):
            return self._sources
        if k not in self._known:
            factor = np.exp(self.kind.log_weights(self.interaction, k, self.measure, self._comm))
            x = joined(self._comm, plain(self.measure.points))
            self._known[k] = x, joined(self._comm, self.measure.weights * factor)
        return self._known[k]

    def _dark_sources(
        self, k: int, dark: NDArray[np.bool_], seen: DarkPoints | None
    ) -> tuple[Array, Array] | None:
        number = int(np.count_nonzero(dark))
        if seen is not None:
            seen.add(dark)
        if self._over_ranks(float(number)) == 0.0:
            return None
        sources = self._sources_of(k)  # collective: every rank takes part
        return sources if number else None


class Reweighted(Exponential):
    """Softmax attention to g mu."""

    normalised: ClassVar[bool] = True
    excludes_self: ClassVar[bool] = False

    @abstractmethod
    def weighs(self, head: HeadMatrices) -> bool:
        """Whether g of a head is no constant."""

    def with_own(self, model: Heads) -> tuple[bool, ...]:
        """Which heads have moments of their own."""
        if model.weighted is not None:
            return model.weighted
        return tuple(self.weighs(head) for head in model.heads)

    @abstractmethod
    def log_weights(
        self, model: Heads, k: int, measure: Measure, comm: Communicator | None
    ) -> Array:
        """log g of a head at this rank's points, (n,). Collective."""

    def uniform_moments(self, model: Heads, k: int) -> Array | None:
        """Moments of g sigma, where g is known whatever the measure; None: g = 1 under it."""
        return None

    def pair_series(self, r: Array, degree: int, d: int) -> Array | None:
        """None: g hangs on the measure, or on x."""
        return None

    def epsilon(self, model: Heads) -> float:
        return Softmax().epsilon(model)

    def rate(self, head: HeadMatrices, d: int) -> float:
        return head.strength

    def blocks(self, model: Heads) -> int:
        return sum(self.with_own(model))

    def further_moments(
        self, model: Heads, own: Array, measure: Measure, comm: Communicator | None
    ) -> Array:
        found = []
        harmonics = model.harmonics
        assert harmonics is not None
        for k, there in enumerate(self.with_own(model)):
            if not there:
                continue
            if not self.weighs(model.heads[k]):  # at this time
                found.append(own)
                continue
            factor = np.exp(self.log_weights(model, k, measure, comm))
            points, weights, rule = measure
            uniform = self.uniform_moments(model, k)
            if rule is None or uniform is None:
                found.append(moments_of(harmonics, Measure(points, weights * factor, rule), comm))
                continue
            apart = moments_of(harmonics, Measure(points, (weights - rule) * factor), comm)
            found.append(apart + uniform)
        return np.concatenate(found) if found else np.zeros(0)

    def field(
        self, model: Heads, measure: Measure, moments: Array | None, t: float,
        comm: Communicator | None,
    ) -> CompositeField:  # fmt: skip
        return ReweightedField(self, model, measure, moments, t, comm)
