"""Values in time as they are given, before the dimension is known, and options that take them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from pydantic import WrapValidator

from meanfield.interaction.intime.base import InTime

__all__ = ["GivenInTime", "may_move", "number_may_move"]


class GivenInTime(ABC):
    """A number, vector or matrix in time, as an option keeps it."""

    @abstractmethod
    def extremes(self) -> tuple[float, ...]:
        """Between which numbers a number stays; () where that is not known, or of an array."""

    @abstractmethod
    def written(self) -> dict[str, object]:
        """As a table of a case file."""


def _let_through(value: Any, read: Callable[[Any], object]) -> object:
    """Values in time as they are."""
    return value if isinstance(value, GivenInTime | InTime) else read(value)


def _in_range(value: Any, read: Callable[[Any], object]) -> object:
    """Numbers in time as they are, if they stay in the range of the option."""
    if isinstance(value, GivenInTime):
        for number in value.extremes():
            read(number)
    return _let_through(value, read)


def may_move(of: object) -> WrapValidator:
    """Mark of a list, the last one in its Annotated: it also takes a value in time.

    Args:
        of: type of the constant, for the schema.
    """
    return WrapValidator(_let_through, json_schema_input_type=of | dict[str, object])


def number_may_move(of: object) -> WrapValidator:
    """The same of a number, which stays in its range at all times where that is known."""
    return WrapValidator(_in_range, json_schema_input_type=of | dict[str, object])
