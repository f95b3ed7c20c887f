"""What all interactions have of the geometry that they are on: points, transforms, ways of summing.

For this package only: everyone else asks an ``AnyInteraction``.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Any, Self, cast

import numpy as np

from meanfield.arguments import checked_arguments
from meanfield.errors import InputError, suggest
from meanfield.geometry.manifolds import Harmonics, Located, Manifold, manifold
from meanfield.geometry.sphere import Array
from meanfield.interaction.expansion import Truncation

__all__ = ["OnGeometry"]

_NOWHERE: Array = np.empty(0)  # the coordinates of no transform
_METHODS = ("auto", "harmonics", "direct")


class OnGeometry:
    """An interaction on one geometry, as the code of fields sees it; a base of frozen dataclasses.

    Attributes:
        d: dimension of the ambient space; tokens live on S^{d-1}.
        geometry: coordinates of the points: "sphere" (d = 3), "circle" (d = 2), "zonal" (any d) or
            "any" (unit vectors in any d: direct sums only).
        method: "harmonics", "direct" or "auto".
        accuracy: of the transforms, 1e-14 to 1e-4; None: chosen.
    """

    d: int
    geometry: str
    method: str
    accuracy: float | None

    def _refuse_ways(self) -> None:
        """Refuse an accuracy or a method that there is not.

        Raises:
            InputError: it is none, or harmonics are asked for where there are none.
        """
        if self.accuracy is not None and not 1e-14 <= self.accuracy <= 1e-4:
            raise InputError(f"accuracy = {self.accuracy:g} found, 1e-14 to 1e-4 expected")
        if self.method not in _METHODS:
            hint = suggest(self.method, _METHODS)
            raise InputError(
                f"method '{self.method}' found, 'auto', 'harmonics' or 'direct' expected{hint}"
            )
        if not self.manifold.has_harmonics and self.method == "harmonics":
            raise InputError("harmonics need a geometry: 'sphere', 'circle' or 'zonal'")

    @cached_property
    def manifold(self) -> Manifold:
        """The geometry of its points."""
        return manifold(self.geometry, self.d)

    @property
    def epsilon(self) -> float:
        """Accuracy of the transforms relative to max Z."""
        raise NotImplementedError

    @property
    def truncation(self) -> Truncation | None:
        """What is kept of the series in transforms; None: they are not used."""
        raise NotImplementedError

    @cached_property
    def harmonics(self) -> Harmonics | None:
        """The transforms in use; None for direct sums."""
        if self.truncation is None:
            return None
        return self.manifold.harmonics(self.truncation.degree, self.epsilon)

    def locate(self, points: Array) -> Located:
        """Points made ready for the transforms in use, to be known as good: nothing is checked.

        For solvers, which look at the same points many times; others give arrays.
        """
        if self.harmonics is None:
            return Located(points, _NOWHERE)
        return self.harmonics.locate(points)

    @checked_arguments
    def by(self, method: str) -> Self:
        """The same by "harmonics" or "direct" sums; "auto" leaves it as it is."""
        return self if method == "auto" else cast(Self, replace(cast(Any, self), method=method))
