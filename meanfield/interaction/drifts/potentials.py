"""External potentials U(x), X += -grad U: named ones, each a sum of functions of one direction.

A new one is a class with its numbers here and a line in ``POTENTIALS``; in a case file it is
[model.potential] with its ``type``. Numbers that are marked by ``may_move`` may be values in time:
then the potential is made anew for each time, with the numbers of that time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import BeforeValidator

from meanfield.arguments import checked_arguments
from meanfield.errors import InputError
from meanfield.geometry.polynomials import gegenbauer
from meanfield.geometry.sphere import Array
from meanfield.interaction.drifts.base import Drift
from meanfield.interaction.drifts.perceptron import Activation, Ridges
from meanfield.interaction.intime.given import GivenInTime, may_move, number_may_move
from meanfield.options import Expected, Field, Number, Numbers, a_list, as_table, options

__all__ = [
    "POTENTIALS",
    "BumpPotential",
    "CapPotential",
    "HarmonicPotential",
    "LinearPotential",
    "Potential",
]

_LARGEST = 1e6  # of a number: as of the strength of a kernel

_Vector = Annotated[Numbers, Expected("a list of d numbers such as [0.0, 0.0, 1.0]")]
if TYPE_CHECKING:
    Direction = tuple[float, ...]
    Directions = tuple[Direction, ...]
    Coefficients = tuple[float, ...]
    Strength = float
    Concentration = float
else:
    Direction = Annotated[_Vector, may_move(Sequence[float])]
    Directions = Annotated[
        tuple[_Vector, ...],
        BeforeValidator(a_list, json_schema_input_type=list[list[float]]),
        Expected("a list of directions such as [[0.0, 0.0, 1.0]]"),
        may_move(Sequence[Sequence[float]]),
    ]
    Coefficients = Annotated[Numbers, may_move(Sequence[float])]
    _Strength = Annotated[Number, Field(ge=-_LARGEST, le=_LARGEST)]
    Strength = Annotated[_Strength, number_may_move(_Strength)]
    _Concentration = Annotated[Number, Field(gt=0.0, le=_LARGEST)]
    Concentration = Annotated[_Concentration, number_may_move(_Concentration)]


def _vector(numbers: tuple[float, ...], d: int, key: str) -> Array:
    found = np.array(numbers, dtype=np.float64)
    if found.shape != (d,):
        raise InputError(f"model.potential.{key}: expected {d} numbers, found {found.size}")
    return _bounded(found, key)


def _bounded(found: Array, key: str) -> Array:
    if np.max(np.abs(found), initial=0.0) > _LARGEST:
        raise InputError(
            f"model.potential.{key}: expected numbers up to {_LARGEST:g}, found larger ones"
        )
    return found


def _unit(direction: tuple[float, ...], d: int, key: str) -> Array:
    found = _vector(direction, d, key)
    largest = float(np.max(np.abs(found)))
    if largest == 0.0:
        raise InputError(f"model.potential.{key}: expected a direction, found zeros")
    found = found / largest
    return found / float(np.linalg.norm(found))


@options("model.potential", kw_only=True)
class Potential(ABC):
    """A potential U on the sphere: -grad U is added to X."""

    type: str

    @abstractmethod
    def on(self, d: int) -> Drift:
        """As a drift in dimension d.

        Raises:
            InputError: directions of another dimension.
        """

    def table(self) -> dict[str, object]:
        """As the table [model.potential] of a case file."""
        table = as_table(self)
        return {k: v.written() if isinstance(v, GivenInTime) else v for k, v in table.items()}


@options("model.potential", kw_only=True)
class LinearPotential(Potential):
    """U = -<h, x>: a field h, such as a magnetic one."""

    field: Direction = Field(examples=[[0.0, 0.0, 1.0]])
    """h, d numbers."""
    type: Literal["linear"] = "linear"

    @checked_arguments
    def on(self, d: int) -> Drift:
        h = _vector(self.field, d, "field")
        one = Activation(np.ones_like, np.zeros_like, np.array)
        return Ridges(h[None], h[:, None], np.zeros(1), one, "linear potential")


@options("model.potential", kw_only=True)
class CapPotential(Potential):
    """U = -(strength/2) (<axis, x>)_+^2: attraction to a direction from its own half only."""

    axis: Direction = Field(examples=[[0.0, 0.0, 1.0]])
    """A direction, d numbers of any length."""
    strength: Strength = 1.0
    """Negative: it repels."""
    type: Literal["cap"] = "cap"

    @checked_arguments
    def on(self, d: int) -> Drift:
        a = _unit(self.axis, d, "axis")
        positive = Activation(
            lambda t: np.maximum(t, 0.0),
            lambda t: np.where(t > 0.0, 1.0, 0.0),
            lambda t: 0.5 * np.maximum(t, 0.0) ** 2,
        )
        outputs = self.strength * a[:, None]
        return Ridges(a[None], outputs, np.zeros(1), positive, "cap potential")


@options("model.potential", kw_only=True)
class BumpPotential(Potential):
    """U = -strength sum_k e^{concentration (<c_k, x> - 1)}: wells at centres."""

    centres: Directions = Field(examples=[[[0.0, 0.0, 1.0]]])
    """Directions, each d numbers of any length."""
    strength: Strength = 1.0
    """Depth of a well; negative: a hill."""
    concentration: Concentration = 10.0
    """Its inverse width squared."""
    type: Literal["bumps"] = "bumps"

    @checked_arguments
    def on(self, d: int) -> Drift:
        k = float(self.concentration)
        centres = np.array([_unit(c, d, "centres") for c in self.centres]).reshape(-1, d)
        bump = Activation(
            lambda t: k * np.exp(k * (t - 1.0)),
            lambda t: k * k * np.exp(k * (t - 1.0)),
            lambda t: np.exp(k * (t - 1.0)),
        )
        outputs = self.strength * centres.T
        return Ridges(centres, outputs, np.zeros(len(centres)), bump, "bumps")


@options("model.potential", kw_only=True)
class HarmonicPotential(Potential):
    """U = -sum_l c_l P_l(<axis, x>), P_l(1) = 1 (d = 2: cos(l theta))."""

    axis: Direction = Field(examples=[[0.0, 0.0, 1.0]])
    """A direction, d numbers of any length."""
    coefficients: Coefficients = Field(examples=[[0.0, 1.0]])
    """c_1, c_2, ...: where a harmonic is large, mass gathers if its coefficient is positive."""
    type: Literal["harmonic"] = "harmonic"

    @checked_arguments
    def on(self, d: int) -> Drift:
        a = _unit(self.axis, d, "axis")
        if not 1 <= len(self.coefficients) <= 200:
            raise InputError(
                "model.potential.coefficients: expected 1 to 200 numbers, found "
                f"{len(self.coefficients)}"
            )
        c = np.concatenate([[0.0], _bounded(np.array(self.coefficients), "coefficients")])
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


POTENTIALS: dict[str, type[Potential]] = {
    str(potential.type): potential
    for potential in (LinearPotential, CapPotential, BumpPotential, HarmonicPotential)
}
"""Each potential by its ``type`` in [model.potential]."""
