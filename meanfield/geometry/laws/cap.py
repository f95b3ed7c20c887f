"""The uniform law on a spherical cap, in any dimension: closed density, exact sampler."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import numpy as np
from scipy.special import betainc, betaincinv

from meanfield.arguments import Count, checked_arguments
from meanfield.errors import InputError
from meanfield.geometry.laws.base import (
    Axis,
    Scalar,
    along_axis,
    as_points,
    direction,
    in_numbers,
    off_axis,
    real,
)
from meanfield.geometry.sphere import Array, geodesic_distance
from meanfield.options import Field, Unit, field, options

__all__ = ["Cap"]


@options("")
class Cap:
    """The uniform law on a spherical cap, the points within ``angle`` of the centre.

    Raises:
        InputError: if the centre has no direction, or the angle is out of range or so small that
            the mass of the cap under sigma underflows.

    >>> mf.Cap((0, 0, 1), 0.5).density([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]).round(3)
    array([16.338,  0.   ])
    """

    centre: Axis = Field(examples=["e_d"])
    """Direction of the centre, d numbers of any length but zero."""
    angle: Annotated[Scalar, Unit("rad")] = Field(examples=[0.5])
    """Geodesic radius in radians, in (0, pi]."""
    type: Literal["cap"] = field(default="cap", kw_only=True, repr=False)
    _centre: Array = field(init=False, repr=False, compare=False)
    _mass: float = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        given, centre = direction(self.centre, "centre")
        angle = real(self.angle, "angle", "an angle in (0, pi], in radians")
        if not 0.0 < angle <= math.pi:
            raise InputError(f"angle: found {angle:g}, expected an angle in (0, pi], in radians")
        half = 0.5 * float(betainc(0.5 * (len(centre) - 1), 0.5, math.sin(angle) ** 2))
        mass = half if angle <= 0.5 * math.pi else 1.0 - half
        if mass < 1e-300:
            raise InputError(
                f"angle: found {angle:g}, for which the mass of the cap of S^{len(centre) - 1} "
                "underflows; expected a larger angle"
            )
        object.__setattr__(self, "centre", given)
        object.__setattr__(self, "angle", angle)
        object.__setattr__(self, "_centre", centre)
        object.__setattr__(self, "_mass", mass)

    @property
    def d(self) -> int:
        """Dimension of the surrounding space."""
        return len(self._centre)

    def density(self, x: Array) -> Array:
        """1 / sigma(cap) inside, 0 outside, (n,)."""
        inside = geodesic_distance(as_points(x, self.d), self._centre) <= self.angle
        return np.where(inside, 1.0 / self._mass, 0.0)

    def log_density(self, x: Array) -> Array:
        """-log sigma(cap) inside, -inf outside, (n,)."""
        inside = geodesic_distance(as_points(x, self.d), self._centre) <= self.angle
        return np.where(inside, -math.log(self._mass), -math.inf)

    @checked_arguments
    def sample(self, n: Count, rng: np.random.Generator) -> Array:
        """Exact draws: the angle from the centre by inverting the incomplete beta function."""
        a = 0.5 * (self.d - 1)
        below = self._mass * rng.random(n)
        # The smaller of the masses on either side, so that both ends keep their digits.
        near = below <= 0.5
        tail = 2.0 * np.where(near, below, 1.0 - below)
        sine2 = betaincinv(a, 0.5, tail)
        cosine2 = betaincinv(0.5, a, 1.0 - tail)
        theta = np.arctan2(np.sqrt(sine2), np.sqrt(cosine2))
        theta = np.where(near, theta, math.pi - theta)
        return along_axis(2.0 * np.sin(0.5 * np.minimum(theta, self.angle)) ** 2, self._centre, rng)

    @checked_arguments
    def is_zonal(self, tol: float = 1e-12) -> bool:
        """Whether the centre lies on the last axis, or the cap is the whole sphere."""
        return self.angle == math.pi or off_axis(self._centre) <= tol

    def describe(self) -> str:
        """One line."""
        return (
            f"uniform on the cap of S^{self.d - 1} within {self.angle:g} rad of "
            f"{in_numbers(self._centre)}"
        )
