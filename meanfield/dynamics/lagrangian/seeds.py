"""How well nodes carry the little by which a law is not uniform: instabilities grow out of it.

A rule laid at a late time integrates what is steep there, and misses a part of it: 1e-5, say. The
moments at the beginning are wrong by as much, of whatever law. For most laws that is nothing; for
one that is uniform but for 1e-10 it is what grows, and the instability is seen far too early.

Knows an interaction and a law's density; nothing of time and of how nodes were found.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import NamedTuple

import numpy as np

from meanfield.dynamics.lagrangian.start import NEARLY
from meanfield.geometry.rules import rule_on
from meanfield.geometry.sphere import Array
from meanfield.interaction.contract import AnyInteraction

__all__ = ["SEEN", "Seeds"]

SEEN = 1e-3  # error of moments over those of degree >= 1: instabilities are late or early by 1e-3/r
_FINER = 2  # times as many nodes as those of a run tell the moments of the law
_FINEST = 1e-14  # accuracy of transforms
_LEAST = _FINEST / SEEN  # of a law: errors as small as that of transforms are none


class _Law(NamedTuple):
    """Its moments, the size of those of degree >= 1, and whether that is small."""

    moments: Array
    size: float
    small: bool


class Seeds:
    """The moments of a law at the beginning, and what nodes make of them.

    Args:
        interaction: the model, as it is without a mesh; its moments tell the field.
        density: values (m,) >= 0 with respect to sigma at unit vectors (m, d).
        number: of the nodes of a run.
    """

    def __init__(
        self, interaction: AnyInteraction, density: Callable[[Array], Array], number: int
    ) -> None:
        self._density, self._number = density, number
        self._model = interaction.by("harmonics").on_mesh(number, _FINEST)

    @property
    def small(self) -> bool:
        """Whether the law is so near to the uniform one that this matters."""
        return self._law.small

    def missed(self, points: Array, mass: Array) -> float:
        """Error of the moments of masses (n,) at points (n, gdim), over the law's size."""
        law = self._law
        return self._model.kernel_norm(self._moments(points, mass) - law.moments) / law.size

    @cached_property
    def _law(self) -> _Law:
        on, norm = self._model.manifold, self._model.kernel_norm
        rule = rule_on(on, _FINER * self._number)
        mass = rule.weights * np.asarray(self._density(on.embed(rule.points)), dtype=np.float64)
        total = float(mass.sum())
        if not total > 0.0:  # a law between the nodes
            return _Law(mass, 1.0, False)
        moments = self._moments(rule.points, mass / total)
        harmonics = self._model.harmonics
        assert harmonics is not None
        size, whole = norm(moments - harmonics.uniform()), norm(moments)
        return _Law(moments, max(size, _LEAST * whole), size < NEARLY * whole)

    def _moments(self, points: Array, mass: Array) -> Array:
        harmonics = self._model.harmonics
        assert harmonics is not None
        return np.asarray(harmonics.moments(points, mass))
