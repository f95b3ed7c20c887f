"""Inverse temperatures by the number of tokens: beta = gamma log n, or n to a power.

A number that knows the law it is of. Which n that is, a case knows (``numbered``).
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol

from pydantic import PlainValidator, ValidationInfo, WrapValidator

from meanfield.checks import as_found
from meanfield.errors import InputError, suggest
from meanfield.options import Expected, Field, Pure, Unit, as_table, made_from, options

__all__ = ["BY_NUMBER", "ByNumber", "LogN", "PowerN", "beta_by_number", "refuse_unnumbered"]

_OF_SPHERE = "2/(d-1)"
_WORDS = (
    '{ type = "log_n", factor = 1.5 } (beta = factor log n) or { type = "power_n", factor = 1.0, '
    f'exponent = "{_OF_SPHERE}" }}'
)


class BetaLaw:
    """beta as a function of the number of tokens."""

    @abstractmethod
    def at(self, n: int, d: int) -> float:
        """beta of n tokens on S^{d-1}; inf: no double holds it."""


@options("model.beta", kw_only=True)
class LogN(BetaLaw):
    """beta = factor log n: of long contexts; for one layer there is a transition (2510.05554)."""

    factor: Pure = Field(ge=-1e3, le=1e3, examples=[1.5])
    """gamma."""
    type: Literal["log_n"] = "log_n"

    def at(self, n: int, d: int) -> float:
        return self.factor * math.log(n)


def _exponent(value: object) -> str | float:
    if value == _OF_SPHERE:
        return _OF_SPHERE
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= 10.0:
        raise ValueError("neither a number nor a text")
    return float(value)


if TYPE_CHECKING:
    _Exponent = str | float
else:
    _Exponent = Annotated[
        str | float,
        PlainValidator(_exponent, json_schema_input_type=float | Literal["2/(d-1)"]),
        Expected(f'a number from -10 to 10, or "{_OF_SPHERE}"'),
        Unit("1"),
    ]


@options("model.beta", kw_only=True)
class PowerN(BetaLaw):
    """beta = factor n^exponent: with 2/(d-1), a weight reaches about as far as the next token."""

    factor: Pure = Field(default=1.0, ge=-1e3, le=1e3)
    """Of the power."""
    exponent: _Exponent = Field(examples=[_OF_SPHERE])
    """A number, or "2/(d-1)" with the d of the geometry."""
    type: Literal["power_n"] = "power_n"

    def at(self, n: int, d: int) -> float:
        exponent = 2.0 / (d - 1.0) if isinstance(self.exponent, str) else self.exponent
        return self.factor * math.exp(min(exponent * math.log(n), 600.0))


BY_NUMBER: dict[str, type[LogN | PowerN]] = {"log_n": LogN, "power_n": PowerN}
"""The laws by their types."""


class ByNumber(float):
    """A number that a law gives for some n; nan where no n is known.

    Args:
        law: by which it was found.
        value: of it.

    Attributes:
        law: as given.
    """

    law: LogN | PowerN

    def __new__(cls, law: LogN | PowerN, value: float = math.nan) -> ByNumber:
        made = super().__new__(cls, value)
        made.law = law
        return made

    def __reduce__(self) -> tuple[type[ByNumber], tuple[LogN | PowerN, float]]:
        return ByNumber, (self.law, float(self))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, ByNumber) and math.isnan(self) and math.isnan(other):
            return self.law == other.law
        return float.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        same = self.__eq__(other)
        return same if same is NotImplemented else not same

    __hash__ = float.__hash__

    @property
    def known(self) -> bool:
        """Whether the number of tokens was."""
        return not math.isnan(self)

    def at(self, n: int, d: int) -> ByNumber:
        """The same law for n tokens on S^{d-1}."""
        return ByNumber(self.law, self.law.at(n, d))

    def written(self) -> dict[str, object]:
        """The law, as a table of a case file."""
        return as_table(self.law)


def _law_of(value: Mapping[str, object], where: str, info: ValidationInfo) -> LogN | PowerN:
    rest = {name: entry for name, entry in value.items() if name != "type"}
    kind = value.get("type")
    if not isinstance(kind, str) or kind not in BY_NUMBER:
        found = "no type" if "type" not in value else as_found(kind)
        raise InputError(
            f"{where}.type: found {found}, expected {_WORDS}{suggest(str(kind), list(BY_NUMBER))}"
        )
    return made_from(BY_NUMBER[kind], rest, info.context["base"] if info.context else ".", where)


def _beta(value: Any, read: Callable[[Any], object], info: ValidationInfo) -> object:
    if isinstance(value, Mapping) and {"type", "factor", "exponent"} & set(value):
        value = _law_of(value, str(info.field_name), info)
    if isinstance(value, LogN | PowerN):
        return ByNumber(value)
    if not isinstance(value, ByNumber):
        return read(value)
    if value.known:
        read(float(value))  # for its range
    return value


def beta_by_number(number: object) -> WrapValidator:
    """Mark of an option, the last in its Annotated: a number that may be one by the number of
    tokens.

    Args:
        number: type of the number otherwise, for the schema.
    """
    return WrapValidator(_beta, json_schema_input_type=number | LogN | PowerN)


class _HasBeta(Protocol):
    @property
    def beta(self) -> object: ...


def refuse_unnumbered(beta: object, heads: Sequence[_HasBeta]) -> None:
    """Refuse inverse temperatures whose number of tokens is not known.

    Raises:
        InputError: there is one: a model outside of a case.
    """
    for one in (beta, *(head.beta for head in heads)):
        if isinstance(one, ByNumber) and not one.known:
            raise InputError(
                f"beta: found '{one.law.type}' in a model alone, which does not know the number of "
                "tokens; expected one in a case of tokens, or a number"
            )
