"""Types of single options, as they stand in annotations: what is taken, and turned into what."""

from __future__ import annotations

import numbers
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

from pydantic import BeforeValidator, ValidationInfo
from pydantic_core import PydanticOmit

from meanfield.errors import InputError

if TYPE_CHECKING:
    from pydantic import GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema

__all__ = [
    "OF_KEY",
    "Angle",
    "Counted",
    "Duration",
    "Entries",
    "Expected",
    "Flag",
    "FromElsewhere",
    "InputFile",
    "Number",
    "Numbers",
    "Pure",
    "Rate",
    "Text",
    "Unit",
    "Whole",
    "a_list",
    "absolute",
]


@dataclass(frozen=True)
class Expected:
    """Mark of a field in Annotated: what a message says is expected, where no type tells."""

    words: str


@dataclass(frozen=True)
class Unit:
    """Mark of a field in Annotated: the unit of its numbers.

    Attributes:
        name: "1" for pure numbers, "rad", "time" (in which V = I moves with speed 1), "1/time",
            "density" (relative to the uniform probability), "s", "minutes", ...
    """

    name: str


@dataclass(frozen=True)
class FromElsewhere:
    """Mark of an argument that a table does not give, but something else that is read."""

    source: str

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        raise PydanticOmit


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, numbers.Real | int):
        raise ValueError("no number")
    # pydantic turns an int into a float; until then, a message shows it as it was written.
    return cast(float, value) if isinstance(value, int) else float(value)


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise ValueError("no whole number")
    return int(value)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("neither true nor false")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("no text")
    return value


def _file(value: object, info: ValidationInfo) -> Path:
    if not isinstance(value, str | os.PathLike):
        raise ValueError("no path")
    return absolute(value, info)


def absolute(value: str | os.PathLike[str], info: ValidationInfo) -> Path:
    """An absolute path; what a case file names is found from the folder of the file."""
    base = Path(info.context["base"]) if info.context else Path()
    if "\0" in os.fspath(value):
        raise ValueError("no path")
    try:
        path = (base / Path(value).expanduser()).absolute()
        path.is_file()
    except (OSError, RuntimeError) as error:  # a name that is too long, a user that is unknown
        raise InputError(f"cannot look up '{value}': {error}") from error
    return path


def a_list(value: object) -> tuple[object, ...]:
    """Any list, tuple or array as a tuple, for a ``BeforeValidator``; texts and tables are none."""
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise ValueError("no list")
    try:
        return tuple(value)
    except TypeError:  # an array of no dimension
        raise ValueError("no list") from None


Number = Annotated[float, BeforeValidator(_number)]
"""A finite real number; whole ones and NumPy's are taken, true and false are not."""
Whole = Annotated[int, BeforeValidator(_whole)]
"""A whole number, NumPy's too."""
Flag = Annotated[bool, BeforeValidator(_flag)]
Text = Annotated[str, BeforeValidator(_text)]
InputFile = Annotated[Path, BeforeValidator(_file, json_schema_input_type=str)]
"""A file to read, kept as an absolute path; that there is one is checked by who declares it."""
Numbers = Annotated[
    tuple[Number, ...], BeforeValidator(a_list, json_schema_input_type=Sequence[float])
]
"""A list of numbers, kept as a tuple."""

# What most numbers are: the type of an option says its unit, too.
Pure = Annotated[Number, Unit("1")]
Counted = Annotated[Whole, Unit("1")]
Entries = Annotated[Numbers, Unit("1")]
Angle = Annotated[Number, Unit("rad")]
Duration = Annotated[Number, Unit("time")]
Rate = Annotated[Number, Unit("1/time")]
OF_KEY = Unit("that of the key")
"""Of what stands inside of a table that stands for a number, a vector or a matrix."""
