"""External potentials U(x), X += -grad U: named ones, each a sum of functions of one direction.

A new one is a class with its numbers here and a line in ``POTENTIALS``; in a case file it is
[model.potential] with its ``type``. Those of functions and files are in ``given``, charges in
``charge``.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy import special

from meanfield.arguments import checked_arguments
from meanfield.errors import InputError
from meanfield.geometry.polynomials import gegenbauer
from meanfield.geometry.sphere import Array
from meanfield.interaction.drifts.base import Drift
from meanfield.interaction.drifts.charge import ChargePotential
from meanfield.interaction.drifts.given import FunctionPotential, MeshPotential
from meanfield.interaction.drifts.perceptron import ACTIVATIONS, Activation, Ridges
from meanfield.interaction.drifts.potential import (
    Coefficients,
    Concentration,
    Direction,
    Directions,
    Potential,
    Strength,
    bounded,
    of_one_time,
    unit,
    vector,
)
from meanfield.options import Field, options

__all__ = [
    "POTENTIALS",
    "BumpPotential",
    "CapPotential",
    "ChargePotential",
    "HarmonicPotential",
    "LinearPotential",
    "UnitsPotential",
]


@options("model.potential", kw_only=True)
class LinearPotential(Potential):
    """U = -strength <h, x>: a field h, such as a magnetic one.

    Example:
        >>> mf.LinearPotential(field=[0.0, 0.0, 0.1]).strength
        1.0
    """

    field: Direction = Field(examples=[[0.0, 0.0, 1.0]])
    """h, d numbers."""
    type: Literal["linear"] = "linear"

    @checked_arguments
    def on(self, d: int) -> Drift:
        of_one_time(self)
        h = self.strength * vector(self.field, d, "field")
        one = Activation(np.ones_like, np.zeros_like, np.array)
        return Ridges(h[None], h[:, None], np.zeros(1), one, "linear potential")


@options("model.potential", kw_only=True)
class CapPotential(Potential):
    """U = -(strength/2) (<axis, x>)_+^2: attraction to a direction from its own half only.

    Example:
        >>> mf.Model(potential=mf.CapPotential(axis=[0.0, 0.0, 1.0])).potential.strength
        1.0
    """

    axis: Direction = Field(examples=[[0.0, 0.0, 1.0]])
    """A direction, d numbers of any length."""
    type: Literal["cap"] = "cap"

    @checked_arguments
    def on(self, d: int) -> Drift:
        of_one_time(self)
        a = unit(self.axis, d, "axis")
        outputs = self.strength * a[:, None]
        return Ridges(a[None], outputs, np.zeros(1), ACTIVATIONS["relu"], "cap potential")


@options("model.potential", kw_only=True)
class BumpPotential(Potential):
    """U = -strength sum_k e^{concentration (<c_k, x> - 1)}: wells at centres.

    Example:
        >>> mf.Model(potential=mf.BumpPotential(centres=[[0.0, 0.0, 1.0]])).describe()
        'potential'
    """

    centres: Directions = Field(examples=[[[0.0, 0.0, 1.0]]])
    """Directions, each d numbers of any length."""
    strength: Strength = 1.0
    """Depth of a well; negative: a hill."""
    concentration: Concentration = 10.0
    """Its inverse width squared."""
    type: Literal["bumps"] = "bumps"

    @checked_arguments
    def on(self, d: int) -> Drift:
        of_one_time(self)
        k = float(self.concentration)
        centres = np.array([unit(c, d, "centres") for c in self.centres]).reshape(-1, d)
        bump = Activation(
            lambda t: k * np.exp(k * (t - 1.0)),
            lambda t: k * k * np.exp(k * (t - 1.0)),
            lambda t: np.exp(k * (t - 1.0)),
        )
        outputs = self.strength * centres.T
        return Ridges(centres, outputs, np.zeros(len(centres)), bump, "bumps")


@options("model.potential", kw_only=True)
class HarmonicPotential(Potential):
    """U = -strength sum_l c_l P_l(<axis, x>), P_l(1) = 1 (d = 2: cos(l theta)).

    Example:
        >>> mf.HarmonicPotential(axis=[0.0, 0.0, 1.0], coefficients=[0.0, 1.0]).strength
        1.0
    """

    axis: Direction = Field(examples=[[0.0, 0.0, 1.0]])
    """A direction, d numbers of any length."""
    coefficients: Coefficients = Field(examples=[[0.0, 1.0]])
    """c_1, c_2, ...: where a harmonic is large, mass gathers if its coefficient is positive."""
    type: Literal["harmonic"] = "harmonic"

    @checked_arguments
    def on(self, d: int) -> Drift:
        of_one_time(self)
        a = unit(self.axis, d, "axis")
        if not 1 <= len(self.coefficients) <= 200:
            raise InputError(
                "model.potential.coefficients: expected 1 to 200 numbers, found "
                f"{len(self.coefficients)}"
            )
        c = bounded(np.array(self.coefficients), "coefficients")
        c = np.concatenate([[0.0], self.strength * c])
        function = Activation(
            lambda t: _series(c, t, d, 1), lambda t: _series(c, t, d, 2),
            lambda t: _series(c, t, d, 0),
        )  # fmt: skip
        return Ridges(a[None], a[:, None], np.zeros(1), function, "harmonic potential")


def _series(c: Array, t: Array, d: int, order: int) -> Array:
    """A derivative: P_l' = l(l + d - 2)/(d - 1) times P_{l-1} in dimension d + 2."""
    l, dimension = np.arange(float(c.size)), d
    for _ in range(order):
        c = (c * l * (l + dimension - 2) / (dimension - 1))[1:]
        l, dimension = l[:-1], dimension + 2
    if not c.size:
        return np.zeros_like(t)
    return np.asarray(c @ gegenbauer(np.ravel(t), dimension, c.size - 1)).reshape(np.shape(t))


def _softplus_bend(t: Array) -> Array:
    s = special.expit(t)
    return np.asarray(s * (1.0 - s))


UNITS: dict[str, Activation] = {
    "squared-relu": Activation(
        lambda t: 2.0 * np.maximum(t, 0.0),
        lambda t: np.where(t > 0.0, 2.0, 0.0),
        lambda t: np.maximum(t, 0.0) ** 2,
    ),
    "square": Activation(lambda t: 2.0 * t, lambda t: np.full_like(t, 2.0), np.square),
    "softplus": Activation(special.expit, _softplus_bend, lambda t: np.logaddexp(0.0, t)),
}
"""phi by its name: ``Activation`` of phi', phi'' and phi."""


@options("model.potential", kw_only=True)
class UnitsPotential(Potential):
    """U = -(strength/2) sum_j omega_j phi(<a_j, x> + c_j): the energy of a layer of units.

    Example:
        >>> mf.UnitsPotential(directions=[[0.0, 0.0, 1.0]], weights=[1.0]).function
        'squared-relu'
    """

    directions: Directions = Field(examples=[[[0.0, 0.0, 1.0]]])
    """a_j, each d numbers, of any length."""
    weights: Coefficients = Field(examples=[[2.0]])
    """omega_j, one for each direction."""
    shifts: Coefficients | None = Field(default=None, examples=[[0.5]])
    """c_j; left out: zeros."""
    function: Literal["squared-relu", "square", "softplus"] = "squared-relu"
    """phi: t_+^2, t^2 or log(1 + e^t)."""
    type: Literal["units"] = "units"

    @checked_arguments
    def on(self, d: int) -> Drift:
        of_one_time(self)
        a = np.array([vector(row, d, "directions") for row in self.directions]).reshape(-1, d)
        shifts = (0.0,) * len(a) if self.shifts is None else self.shifts
        for key, numbers in (("weights", self.weights), ("shifts", shifts)):
            if len(numbers) != len(a):
                raise InputError(
                    f"model.potential.{key}: expected {len(a)} numbers, one for each direction, "
                    f"found {len(numbers)}"
                )
            bounded(np.array(numbers), key)
        outputs = 0.5 * self.strength * np.array(self.weights) * a.T
        name = f"potential of units ({self.function})"
        return Ridges(a, outputs, np.array(shifts), UNITS[self.function], name)


POTENTIALS: dict[str, type[Potential]] = {
    str(potential.type): potential
    for potential in (
        LinearPotential, CapPotential, BumpPotential, HarmonicPotential, UnitsPotential,
        ChargePotential, FunctionPotential, MeshPotential,
    )
}  # fmt: skip
"""Each potential by its ``type`` in [model.potential]."""
