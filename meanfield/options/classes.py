"""Classes of options, made of tables and turned into tables, and what is said of each option."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeVar, cast, dataclass_transform

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass
from pydantic.fields import FieldInfo

from meanfield.checks import as_found
from meanfield.errors import InputError
from meanfield.options.faults import refusal
from meanfield.options.fields import (
    as_given,
    expected,
    fields_of,
    in_words,
    label_of,
    names_of,
    section_of,
    unit_of,
    written,
)
from meanfield.options.texts import text_of, told_in_schemas

__all__ = ["Option", "as_table", "checked", "chosen", "made_from", "options", "options_of"]

Made = TypeVar("Made")


_CONFIG = ConfigDict(
    extra="forbid",
    arbitrary_types_allowed=True,
    allow_inf_nan=False,
)


@dataclass_transform(frozen_default=True, field_specifiers=(Field, field))
def options(
    section: str, *, kw_only: bool = False, eq: bool = True
) -> Callable[[type[Made]], type[Made]]:
    """Make a class of frozen, checked options; what is wrong is an ``InputError`` of one line.

    Args:
        section: key path of the class in a case file, which messages start with.
        kw_only, eq: as of ``dataclass``.
    """

    def decorate(cls: type[Made]) -> type[Made]:
        told_in_schemas(cls)  # before pydantic looks at it
        made: Any = checked_dataclass(frozen=True, kw_only=kw_only, eq=eq, config=_CONFIG)(cls)
        made.option_section = section
        checked = made.__init__

        def explained(self: Any, *args: Any, **kwargs: Any) -> None:
            if args and kw_only:  # some versions of pydantic would take them
                raise InputError(
                    f"{made.__name__}: found {as_found(args[0])} without a name, expected "
                    + ", ".join(f"{name}=..." for name in names_of(made))
                )
            try:
                checked(self, *args, **kwargs)
            except ValidationError as error:
                refused, cause = refusal(error, made, section, in_file=False)
                raise refused from cause

        made.__init__ = explained
        return cast(type[Made], made)

    return decorate


def made_from(
    kind: type[Made],
    table: Mapping[str, object],
    base: str | os.PathLike[str] = ".",
    where: str | None = None,
) -> Made:
    """Options from the table of a case file.

    Args:
        kind: a class made by ``options``.
        table: names and values.
        base: folder from which relative paths start.
        where: key path of the table, for messages; None: of its class.

    Raises:
        InputError: an unknown or missing key, or a value of the wrong type or range.
    """
    try:
        return cast(
            Made, _adapter(cast(Any, kind)).validate_python(dict(table), context={"base": base})
        )
    except ValidationError as error:
        place = section_of(kind) if where is None else where
        refused, cause = refusal(error, kind, place, in_file=True)
        raise refused from cause


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def checked(key: str, kind: object, value: object) -> object:
    """A single value of a type such as those of fields; ``key`` begins the message.

    Raises:
        InputError: it is not of that type, or out of its range.
    """
    try:
        return _adapter(kind).validate_python(value)
    except ValidationError as error:
        item = error.errors(include_url=False)[0]
        places = [f"[{part}]" for part in item["loc"] if isinstance(part, int)]
        words = in_words(kind, [], len(places))
        found = as_given(item["input"], words)
        raise InputError(f"{key}{''.join(places)}: expected {words}, found {found}") from None


def chosen(kind: type[Made], given: Made | None) -> Made:
    """The options given to a solver, or the defaults.

    Raises:
        InputError: options of another solver, or none.
    """
    if given is None:
        return kind()
    if not isinstance(given, kind):
        raise InputError(f"options: expected {kind.__name__}(...), found {given!r}")
    return given


def as_table(owner: object) -> dict[str, object]:
    """Options as a table of a case file: lists, texts and numbers; what is None is left out."""
    table: dict[str, object] = {}
    if label_of(owner):
        table["type"] = label_of(owner)
    for name in names_of(type(owner)):
        value = getattr(owner, name)
        if isinstance(value, tuple):
            value = list(value)
        elif isinstance(value, os.PathLike):
            value = os.fspath(value)
        if value is not None:
            table[name] = value
    return table


@dataclass(frozen=True)
class Option:
    """One key of a case file, in words.

    Attributes:
        key: its path, such as ``solver.rtol``.
        kind: ``type`` of the table that takes it, or "".
        expected: type and range.
        default: as it is written, or None where it must be given; "" where it may be left out and
            then has no value.
        example: of a value, or "".
        about: what it means.
        unit: of its numbers: "1", "rad", "time", ...; "" for words, booleans and tables.
    """

    key: str
    kind: str
    expected: str
    default: str | None
    example: str
    about: str
    unit: str = ""


def options_of(kind: type, where: str | None = None) -> list[Option]:
    """All options of a class, in order."""
    place = section_of(kind) if where is None else where
    known = fields_of(kind)
    return [
        Option(
            f"{place}.{name}" if place else name,
            label_of(kind),
            expected(info),
            None if info.is_required() else _default(info),
            written(info.examples[0]) if info.examples else "",
            _about(kind, name),
            unit_of(info),
        )
        for name, info in ((name, known[name]) for name in names_of(kind) if name in known)
    ]


def _about(kind: type, name: str) -> str:
    """The text below a field, also of one that a class inherits."""
    return " ".join(text_of(kind, name).split())


def _default(info: FieldInfo) -> str:
    value = info.get_default(call_default_factory=True)
    if dataclasses.is_dataclass(value):
        table = getattr(value, "table", None)
        return written(table()) if callable(table) else ""
    return "" if value is None else written(value)
