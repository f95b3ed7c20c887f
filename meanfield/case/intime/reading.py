"""Where a number, a vector or a matrix may stand: options that also take a value in time.

They become arrays, or arrays in time, when the dimension is known.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import PlainValidator, ValidationInfo, WrapValidator

from meanfield.case.bynumber import ByNumber
from meanfield.case.intime.base import InCase
from meanfield.case.intime.entries import Form, refuse_no_entry
from meanfield.case.intime.functions import MadeInPython, TimeFunction
from meanfield.case.intime.tables import RandomPath, TimeTable, Wave
from meanfield.case.matrices import MATRIX_WORDS, Ensemble, InFile, Matrix, MatrixLike, as_matrix
from meanfield.case.matrices import resolved as constant
from meanfield.errors import InputError, suggest
from meanfield.geometry.sphere import Array
from meanfield.interaction.intime import (
    Combined,
    EndlessPath,
    InTime,
    TableInTime,
    WaveInTime,
    largest_of,
)
from meanfield.interaction.intime.given import GivenInTime
from meanfield.options import Expected, Number, made_from
from meanfield.options.fields import names_of

__all__ = [
    "IN_TIME",
    "MatrixInTime",
    "NumberInTime",
    "combined",
    "in_time",
    "is_in_time",
    "moves",
    "moving_in",
    "number_in_time",
    "resolved",
    "vanishes",
    "vector_in_time",
    "written",
]

IN_TIME: tuple[type[InCase], ...] = (TimeTable, Wave, RandomPath, TimeFunction)
"""What a case file may give."""

_KEPT = 1000  # numbers of a table from Python up to which a case writes them out
_WORDS = (
    "a value in time, such as { times = [0.0, 1.0], values = [...] }, { mean = ..., amplitude = "
    "..., period = 2.0 }, { mean = ..., variance = 2.0 } or { path = ..., largest = 9.0 }"
)


def _kind_of(table: Mapping[str, object]) -> type[InCase] | None:
    """The kind that most of the keys are of."""
    if {"file", "ensemble"} & set(table):
        return None
    kinds: tuple[type[InCase], ...] = (*IN_TIME, MadeInPython)
    found = [sum(name in names_of(kind) and name != "seed" for name in table) for kind in kinds]
    return kinds[int(np.argmax(found))] if any(found) else None


def is_in_time(value: object) -> bool:
    """Whether a user means a value in time, right or wrong."""
    if isinstance(value, Mapping):
        return _kind_of(value) is not None
    return isinstance(value, InCase | InTime)


def in_time(
    value: object, info: ValidationInfo, rank: int | None = None, where: str | None = None
) -> InCase | None:
    """A value in time as a user may give it; None: it is none.

    Args:
        value: a table, or what was made in Python.
        info: of pydantic.
        rank: number of indices of each value; None: any.
        where: name of its key, for messages; None: of the field that is checked.

    Raises:
        InputError: it is one, but a wrong one.
    """
    where = where or str(info.field_name)
    made: InCase
    if isinstance(value, InCase):
        made = value
    elif isinstance(value, InTime):
        made = _from_python(value)
    elif isinstance(value, Mapping) and (kind := _kind_of(value)) is not None:
        for place, entry in _entries(value):
            refuse_no_entry(f"{where}.{place}", entry, rank)
        made = made_from(kind, value, info.context["base"] if info.context else Path(), where)
    elif callable(value) and not isinstance(value, Matrix):
        raise InputError(
            f"{where}: found a function, expected FunctionInTime(function, shape, largest): how "
            "large its values may be has to be known"
        )
    else:
        return None
    try:
        made.check_rank(rank)
    except InputError as error:
        joint = ": " if str(error).startswith("expected") else "."
        raise InputError(f"{where}{joint}{error}") from None
    return made


def _entries(table: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """What stands for a value in a table, with its place."""
    yield from ((name, table[name]) for name in ("mean", "amplitude") if name in table)
    values = table.get("values")
    if isinstance(values, list | tuple):
        yield from ((f"values[{k}]", value) for k, value in enumerate(values))


def _from_python(made: InTime) -> InCase:
    """What was made in Python as a case file would say it, where it can."""
    if isinstance(made, TableInTime) and made.values.size <= _KEPT:
        table = {"times": made.times, "values": made.values, "interpolate": made.interpolate}
        return made_from(TimeTable, table)
    if isinstance(made, WaveInTime):
        ends = {"mean": _entry(made.mean), "amplitude": _entry(made.amplitude)}
        return made_from(Wave, {**ends, "period": made.period, "phase": made.phase})
    if isinstance(made, EndlessPath):
        names = ("variance", "rate", "seed", "step", "symmetric")
        table = {name: getattr(made, name) for name in names}
        return made_from(RandomPath, {"mean": _entry(made.mean), **table})
    return MadeInPython.of(made)


def _entry(value: Array) -> object:
    return value if value.ndim else float(value)


def _number(value: Any, read: Callable[[Any], object], info: ValidationInfo) -> object:
    found = in_time(value, info, 0)
    if found is None:
        if isinstance(value, Mapping):
            names = {name for kind in IN_TIME for name in names_of(kind)}
            near = suggest(next(iter(value), ""), sorted(names))
            raise InputError(f"expected a number or {_WORDS}, found a table{near}")
        return read(value)
    for number in found.extremes():
        read(number)
    return found


def number_in_time(constant: object) -> WrapValidator:
    """Mark of an option, the last in its Annotated: it is a number, also one in time.

    Args:
        constant: type of the number, for the schema.
    """
    taken = constant | TimeTable | Wave | RandomPath | TimeFunction
    return WrapValidator(_number, json_schema_input_type=taken)


def _vector(value: Any, read: Callable[[Any], object], info: ValidationInfo) -> object:
    found = in_time(value, info, 1)
    return read(value) if found is None else found


def vector_in_time(constant: object) -> WrapValidator:
    """Mark of an option, the last in its Annotated: a list of numbers, also in time.

    Args:
        constant: type of the list, for the schema.
    """
    taken = constant | TimeTable | Wave | RandomPath | TimeFunction
    return WrapValidator(_vector, json_schema_input_type=taken)


def _matrix(value: object, info: ValidationInfo) -> Matrix | InCase:
    return in_time(value, info, 2) or as_matrix(value, info)


if TYPE_CHECKING:
    Said = InTime | GivenInTime | Mapping[str, object]
    NumberInTime = float | Said
    MatrixInTime = MatrixLike | Said
    """What a user may give."""
else:
    NumberInTime = Annotated[Number, number_in_time(float)]
    MatrixInTime = Annotated[
        Matrix | InCase,
        PlainValidator(
            _matrix,
            json_schema_input_type=list[list[float]]
            | str
            | Ensemble
            | InFile
            | TimeTable
            | Wave
            | RandomPath
            | TimeFunction,
        ),
        Expected(MATRIX_WORDS),
    ]


# ------------------------------------------------------------------ numbers


def moves(value: object) -> bool:
    """Whether an option is in time."""
    return isinstance(value, GivenInTime)


def vanishes(number: object) -> bool:
    """Whether a number is 0, at all times where it is in time."""
    if isinstance(number, GivenInTime):
        extremes = number.extremes()
        return bool(extremes) and not any(extremes)
    return number == 0.0


def moving_in(owner: object) -> dict[str, InCase]:
    """Those of the options of a class that are in time, by their names; of None: none."""
    if owner is None:
        return {}
    found = ((name, getattr(owner, name)) for name in names_of(type(owner)))
    return {name: value for name, value in found if isinstance(value, InCase)}


def written(table: Mapping[str, object]) -> dict[str, object]:
    """A table of options as in a case file, with its matrices and what is in time or by n."""
    return {
        name: value.written() if isinstance(value, Matrix | GivenInTime | ByNumber) else value
        for name, value in table.items()
    }


def resolved(key: str, value: object, form: Form) -> InTime | Array:
    """An option as an array, or an array in time.

    Args:
        key: path of its key, which messages begin with.
        value: a number, numbers, a ``Matrix``, or an ``InCase``.
        form: what it must be.

    Raises:
        InputError: it has another form.
    """
    if isinstance(value, InCase):
        return value.on(key, form)
    if isinstance(value, Matrix):
        return constant(key, value, form.d, form.rows)
    return form.checked(key, np.asarray(value, dtype=np.float64))


def combined(
    factors: Sequence[InTime | Array],
    product: Callable[..., Array],
    shape: tuple[int, ...],
    scale: float = 1.0,
) -> InTime | Array:
    """A product of numbers and matrices: in time where one of them is.

    Args:
        factors: what it is made of.
        product: makes it of their values.
        shape: of it.
        scale: |product| is at most this times the product of all |factors|.
    """
    if not any(isinstance(factor, InTime) for factor in factors):
        return product(*factors)
    largest = scale * math.prod(largest_of(factor) for factor in factors)
    return Combined(tuple(factors), product, shape, min(largest, 1e300))
