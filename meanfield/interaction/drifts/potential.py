"""What all external potentials are: options with a ``type``, which make a drift in a dimension.

Numbers that are marked by ``may_move`` may be values in time: then the potential is made anew for
each time, with the numbers of that time.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import BeforeValidator

from meanfield.errors import InputError
from meanfield.geometry.sphere import Array
from meanfield.interaction.drifts.base import Drift
from meanfield.interaction.intime import InTime
from meanfield.interaction.intime.given import GivenInTime, may_move, number_may_move
from meanfield.options import (
    Entries,
    Expected,
    Field,
    Pure,
    Rate,
    Unit,
    Varied,
    a_list,
    as_table,
    options,
)

__all__ = [
    "Coefficients",
    "Concentration",
    "Direction",
    "Directions",
    "Potential",
    "Strength",
    "bounded",
    "of_one_time",
    "unit",
    "vector",
]

LARGEST = 1e6  # of a number: as of the strength of a kernel

_Vector = Annotated[Entries, Expected("a list of d numbers such as [0.0, 0.0, 1.0]")]
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
        Unit("1"),
        may_move(Sequence[Sequence[float]]),
    ]
    Coefficients = Annotated[Entries, may_move(Sequence[float])]
    _Strength = Annotated[Rate, Field(ge=-LARGEST, le=LARGEST)]
    Strength = Annotated[_Strength, number_may_move(_Strength)]
    _Concentration = Annotated[Pure, Field(gt=0.0, le=LARGEST)]
    Concentration = Annotated[_Concentration, number_may_move(_Concentration)]


def vector(numbers: tuple[float, ...], d: int, key: str) -> Array:
    """d numbers, as an array.

    Raises:
        InputError: another number of them, or larger ones than 1e6.
    """
    found = np.array(numbers, dtype=np.float64)
    if found.shape != (d,):
        raise InputError(f"model.potential.{key}: expected {d} numbers, found {found.size}")
    return bounded(found, key)


def bounded(found: Array, key: str) -> Array:
    """The same numbers.

    Raises:
        InputError: larger ones than 1e6.
    """
    if np.max(np.abs(found), initial=0.0) > LARGEST:
        raise InputError(
            f"model.potential.{key}: expected numbers up to {LARGEST:g}, found larger ones"
        )
    return found


def unit(direction: tuple[float, ...], d: int, key: str) -> Array:
    """A direction scaled to length one.

    Raises:
        InputError: another number of components, or zeros.
    """
    found = vector(direction, d, key)
    largest = float(np.max(np.abs(found)))
    if largest == 0.0:
        raise InputError(f"model.potential.{key}: expected a direction, found zeros")
    found = found / largest
    return found / float(np.linalg.norm(found))


@options("model.potential", kw_only=True)
class Potential(Varied, ABC):
    """A potential U on the sphere: -grad U is added to X."""

    type: str
    strength: Strength = 1.0
    """Factor of U; negative: it repels."""

    @abstractmethod
    def on(self, d: int) -> Drift:
        """As a drift in dimension d.

        Raises:
            InputError: directions of another dimension, or a value in time.
        """

    def table(self) -> dict[str, object]:
        """As the table [model.potential] of a case file."""
        table = as_table(self)
        return {k: v.written() if isinstance(v, GivenInTime) else v for k, v in table.items()}


def of_one_time(potential: Potential) -> None:
    """Refuse a potential with values in time, which is of no use before their time is known.

    Raises:
        InputError: it has some.
    """
    for part in dataclasses.fields(potential):
        if isinstance(getattr(potential, part.name), InTime | GivenInTime):
            raise InputError(
                f"model.potential.{part.name}: found a value in time, expected that of one time "
                "(a Model takes it as it is)"
            )
