"""L2 attention: weights e^{-beta |Q x - K y|^2/2}, each head over its own sum of them.

The factor e^{-beta |Q x|^2/2} cancels: it is softmax attention with A = beta K^T Q to the measure
e^{-beta |K y|^2/2} mu, whose largest factor is set to 1. Where |K y| is a constant, as for an
orthogonal K, it is "sa". Source: Kim, Papamakarios, Mnih, arXiv 2006.04710.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar
from weakref import WeakKeyDictionary

import numpy as np
from scipy.special import ive

from meanfield.collective import Alone, Communicator, max_over_ranks
from meanfield.errors import InputError
from meanfield.geometry.sphere import Array
from meanfield.interaction.composite.kinds.reweighted import Reweighted
from meanfield.interaction.composite.kinds.softmax import Softmax
from meanfield.interaction.composite.matrices import HeadMatrices
from meanfield.interaction.composite.model import Heads
from meanfield.interaction.contract import EnergyKind
from meanfield.interaction.drifts.base import commutes_with_axis, tilted
from meanfield.interaction.measure import Measure, plain

__all__ = ["L2"]

_FAR = 100.0  # -log g above which g of all tokens is scaled, as it says nothing
_SAME = 1e-14  # relative spread of |K y|^2 that is none

_UNIFORM: WeakKeyDictionary[HeadMatrices, dict[tuple[str, int], Array]] = WeakKeyDictionary()


def _keys(head: HeadMatrices) -> Array:
    """beta K^T K."""
    assert head.keys is not None
    return head.keys


def _log_factor(head: HeadMatrices, y: Array) -> Array:
    """-beta |K y|^2/2 at unit vectors, less the largest that there is."""
    keys = _keys(head)
    lowest = float(np.linalg.eigvalsh(keys)[0])
    return np.asarray(0.5 * (lowest - np.einsum("ni,ij,nj->n", y, keys, y)))


@dataclass(frozen=True)
class L2(Reweighted):
    """Weights by the distance of queries and keys."""

    name: ClassVar[str] = "l2"
    largest: ClassVar[float] = 700.0

    def refuse(self, head: HeadMatrices, name: str) -> None:
        super().refuse(head, name)
        if head.keys is None:
            raise InputError(
                f"{name}: HeadMatrices(A, V) found, l2 attention needs HeadMatrices(A, V, keys) "
                "with keys = beta K^T K"
            )
        if float(np.linalg.norm(head.keys - head.keys.T)) > 1e-12 * np.linalg.norm(head.keys):
            raise InputError(f"{name}: keys that are not symmetric found, beta K^T K expected")

    def refuse_tilted(self, head: HeadMatrices, name: str) -> None:
        super().refuse_tilted(head, name)
        if not commutes_with_axis(_keys(head)):
            raise tilted(name, "a K^T K that does not commute with the rotations")

    def weighs(self, head: HeadMatrices) -> bool:
        values = np.linalg.eigvalsh(_keys(head))
        return bool(np.ptp(values) > _SAME * max(1.0, float(np.abs(values).max())))

    def log_weights(
        self, model: Heads, k: int, measure: Measure, comm: Communicator | None
    ) -> Array:
        found = _log_factor(model.heads[k], model.manifold.embed(plain(measure.points)))
        if measure.quadrature is None:  # tokens, which may all be where it is nothing: a factor
            there = measure.weights > 0.0
            top = float(np.max(found, initial=-np.inf, where=there))
            (top,) = max_over_ranks(Alone() if comm is None else comm, top)
            if _FAR < -top < np.inf:
                found = found - top
        return found

    def uniform_moments(self, model: Heads, k: int) -> Array | None:
        """By a rule that integrates products of the harmonics and the factor."""
        head, harmonics = model.heads[k], model.harmonics
        assert harmonics is not None
        known, key = _UNIFORM.setdefault(head, {}), (model.geometry, harmonics.degree)
        if key not in known:
            half = 0.25 * float(np.ptp(np.linalg.eigvalsh(_keys(head))))
            order = np.arange(int(60 + 3.0 * half + 12.0 * math.sqrt(half)))
            further = 2 * int(np.flatnonzero(ive(order, half) > 1e-16)[-1]) + 2
            # Nodes of a rule for twice the degree that is asked for.
            size = harmonics.degree + further + 2
            grid = model.manifold.grid(harmonics.degree, 2 * size if model.d == 2 else size)
            known[key] = grid.analyse(np.exp(_log_factor(head, grid.unit_vectors)))
        return known[key]

    def energy_kind(self, model: Heads) -> EnergyKind | None:
        """That of softmax where no masses are changed."""
        if any(self.weighs(head) for head in model.heads):
            return None
        return Softmax().energy_kind(model)

    def why_no_energy(self, model: Heads) -> str:
        for k, head in enumerate(model.heads):
            if self.weighs(head):
                return f"|K y| of heads[{k}] is not a constant"
        return super().why_no_energy(model)
