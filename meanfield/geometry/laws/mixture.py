"""Mixtures of laws by weight, and the standard density used throughout the verification.

Knows the closed forms that the standard density is made of, and of other laws only the protocol.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from scipy.special import logsumexp

from meanfield.arguments import Count, checked_arguments, refuse_other
from meanfield.errors import InputError
from meanfield.geometry.laws.base import (
    Law,
    Vector,
    as_points,
    refuse_ordered,
    unchecked,
    vector,
    zonal_by_sampling,
)
from meanfield.geometry.laws.closed import Uniform, VonMisesFisher
from meanfield.geometry.sphere import Array
from meanfield.options import Expected, Field, FromElsewhere, field, options

__all__ = ["Mixture", "standard_density"]

_EXAMPLE = [
    {"weight": 0.5, "type": "uniform"},
    {"weight": 0.5, "type": "von-mises-fisher", "mean": "e_d", "concentration": 4.0},
]


@options("")
class Mixture:
    """A mixture of laws on the same sphere.

    Raises:
        InputError: if dimensions differ, lengths differ, a law is one by position, or the weights
            cannot be used.

    Example:
        >>> law = mf.Mixture((mf.VonMisesFisher((0, 0, 1), 4.0), mf.Uniform(3)), (0.5, 0.5))
        >>> law.density([[0.0, 0.0, 1.0]]).round(3)
        array([4.501])
    """

    components: Annotated[
        Sequence[Law],
        unchecked(list[dict[str, object]]),
        Expected("a list of tables, each of a law with its weight"),
    ] = Field(examples=[_EXAMPLE])
    """The laws, at least one."""
    weights: Annotated[Vector, unchecked(object), FromElsewhere("the components")] = Field()
    """One number >= 0 each, not all zero; relative, they are divided by their sum."""
    type: Literal["mixture"] = field(default="mixture", kw_only=True, repr=False)
    _weights: Array = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        refuse_other("components", self.components, Sequence[Law])
        components = tuple(self.components)
        if not components:
            raise InputError("components: found none, expected at least one law")
        for i, law in enumerate(components):
            refuse_ordered(law, f"components[{i}]")
            if law.d != components[0].d:
                raise InputError(
                    f"components[{i}]: found a law in dimension {law.d}, expected "
                    f"{components[0].d} like the first component"
                )
        given = vector(self.weights, "weights", len(components))
        for i, weight in enumerate(given):
            if weight < 0.0:
                raise InputError(f"weights[{i}]: found {weight:g}, expected a number >= 0")
        total = math.fsum(given)
        if not 0.0 < total < math.inf:
            raise InputError(f"weights: found the sum {total:g}, expected a positive finite sum")
        object.__setattr__(self, "components", components)
        object.__setattr__(self, "weights", given)
        object.__setattr__(self, "_weights", np.array(given) / total)

    @property
    def d(self) -> int:
        """Dimension of the surrounding space."""
        return self.components[0].d

    def density(self, x: Array) -> Array:
        """Weighted sum of the densities, (n,)."""
        x = as_points(x, self.d)
        total = np.zeros(len(x))
        for weight, law in zip(self._weights, self.components, strict=True):
            total += weight * law.density(x)
        return total

    def log_density(self, x: Array) -> Array:
        """Logarithm of the weighted sum, from the components' logarithms, (n,)."""
        x = as_points(x, self.d)
        terms = np.array([law.log_density(x) for law in self.components])
        weights = np.broadcast_to(self._weights[:, None], terms.shape)
        with np.errstate(divide="ignore"):
            return np.asarray(logsumexp(terms, axis=0, b=weights), dtype=np.float64)

    @checked_arguments
    def sample(self, n: Count, rng: np.random.Generator) -> Array:
        """Draw a component for each point, then the point."""
        label = rng.choice(len(self.components), size=n, p=self._weights)
        x = np.empty((n, self.d))
        for i, law in enumerate(self.components):
            mine = label == i
            x[mine] = law.sample(int(mine.sum()), rng)
        return x

    @checked_arguments
    def is_zonal(self, tol: float = 1e-12) -> bool:
        """Whether every component that counts is, or else their sum is, tried at points."""
        counted = [law for law, w in zip(self.components, self._weights, strict=True) if w > 0.0]
        return all(law.is_zonal(tol) for law in counted) or zonal_by_sampling(self, tol)

    def describe(self) -> str:
        """One line."""
        parts = zip(self._weights, self.components, strict=True)
        return "mixture: " + "; ".join(f"{w:.4g} of {law.describe()}" for w, law in parts)


def standard_density() -> Mixture:
    """The smooth law on S^2 used for verification: three von Mises-Fisher laws and a background.

    Reference values for its evolution are known to 9 digits (sa, beta = 4: at T = 1 the energy is
    0.0250797550271 e^4).

    Example:
        >>> law = mf.standard_density()
        >>> law.d, len(law.components)
        (3, 4)
    """
    return Mixture(
        components=(
            VonMisesFisher((0.0, 0.0, 1.0), 4.0),
            VonMisesFisher((1.0, 0.3, -0.2), 6.0),
            VonMisesFisher((-1.0, 1.0, -0.5), 5.0),
            Uniform(3),
        ),
        weights=(0.25, 0.35, 0.2, 0.2),
    )
