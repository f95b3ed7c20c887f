"""What is wrong with options, in one line: key, what was expected and found, the nearest name.

Of several faults the first is told: of the outer table before those inside it, and of each table
unknown keys, then missing ones, then values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from meanfield.checks import as_found, choice_in_words
from meanfield.errors import InputError, suggest
from meanfield.options.fields import (
    arguments_of,
    as_given,
    choices_of,
    expected,
    fields_of,
    label_of,
    names_of,
    tagged,
    written,
)

__all__ = ["refusal"]


@dataclass
class _Place:
    """Where an error is: its key path, the class that owns it, and the field if it is in one."""

    path: str
    owner: type
    section: str
    group: tuple[Any, ...] = ()
    name: str | None = None
    inside: int = 0

    @property
    def info(self) -> FieldInfo | None:
        return None if self.name is None else fields_of(self.owner).get(self.name)


def _place(kind: type, where: str, loc: Sequence[int | str]) -> _Place:
    here = _Place(where, kind, where)
    for depth, part in enumerate(loc):
        info = here.info
        inner = tagged(info.annotation) if info is not None else {}
        if info is None and isinstance(part, int):  # an argument by its place
            positional = [n for n, i in fields_of(here.owner).items() if not i.kw_only]
            part = positional[part] if part < len(positional) else f"argument {part + 1}"
        if info is not None and isinstance(part, int):
            here.path += f"[{part}]"
            here.inside += 1
        elif info is not None and part in inner:
            here = _Place(here.path, inner[str(part)], here.path, (*loc[: depth + 1],))
        elif info is not None and len(inner) == 1:
            here = _Place(here.path, next(iter(inner.values())), here.path, (*loc[:depth],))
            here.name, here.path = str(part), f"{here.path}.{part}"
        elif here.name is None:
            here.name = str(part)
            here.path = f"{here.path}.{part}" if here.path else str(part)
    return here


_UNKNOWN, _MISSING, _MORE = (
    "unexpected_keyword_argument",
    "missing",
    "unexpected_positional_argument",
)


def refusal(
    error: ValidationError, kind: type, where: str, in_file: bool
) -> tuple[InputError, BaseException | None]:
    """The first thing that is wrong, and what caused it, if that is of use.

    What a class raised that is no refusal of an input is raised as it is.
    """
    found = [(_place(kind, where, item["loc"]), item) for item in error.errors(include_url=False)]
    order = {_UNKNOWN: 0, _MORE: 0, _MISSING: 1}
    fields = list(fields_of(kind))

    def rank(entry: tuple[_Place, Any]) -> tuple[bool, int, int, int]:
        place, kind_of_fault = entry[0], order.get(entry[1]["type"], 2)
        first = place.group[0] if place.group else place.name
        at = fields.index(first) if first in fields else 0
        return bool(place.group), 0 if place.group else kind_of_fault, at, kind_of_fault

    found.sort(key=rank)
    place, item = found[0]
    cause = item.get("ctx", {}).get("error")
    if isinstance(cause, InputError):
        return InputError(_told(place, str(cause))), cause.__cause__
    if isinstance(cause, Exception) and place.name is None:
        raise cause
    if item["type"] == _UNKNOWN:
        alike = [p.name or "" for p, i in found if (p.group, i["type"]) == (place.group, _UNKNOWN)]
        return InputError(_unknown(place, alike, in_file)), None
    if item["type"] == _MORE:
        names = ", ".join(arguments_of(place.owner))
        return InputError(f"{place.owner.__name__}: too many arguments, expected {names}"), None
    if item["type"] == "multiple_argument_values":
        return InputError(f"{place.path}: found twice, by its place and by its name"), None
    return InputError(
        _missing(place) if item["type"] == _MISSING else _wrong(place, item, in_file)
    ), None


def _told(place: _Place, said: str) -> str:
    """The message of a check, with its key before it where that is not said."""
    path = place.path
    if not path or said.startswith((*(f"{path}{c}" for c in ":.[ "), f"unknown key {path}")):
        return said
    inner = tagged(place.info.annotation) if place.info is not None else {}
    if inner and said.startswith("unknown key "):  # of a table inside, which was read by itself
        return f"{path}: {said}"
    if place.name is None or inner:  # of a whole class: it begins with the name of a field
        return f"{path}.{said}"
    if said.startswith(tuple(f"{place.name}{c}" for c in ":.[")):
        return f"{place.section}.{said}" if place.section else said
    return f"{path}: {said}"


def _typed(kind: type) -> str:
    return f" of type '{label_of(kind)}'" if label_of(kind) else ""


def _unknown(place: _Place, names: list[str], in_file: bool) -> str:
    owner, section = place.owner, place.section
    valid = names_of(owner) if in_file else arguments_of(owner)
    table = f"[{section}]{_typed(owner)}" if section else owner.__name__
    if not valid:
        hint = getattr(owner, "hint", "")
        found = ", ".join(names) + (f": {hint}" if hint else "")
        kind = f"{section}: type '{label_of(owner)}'" if section else owner.__name__
        return f"{kind} takes no other keys, found {found}"
    reason = getattr(owner, "not_here", {}).get(place.name)
    if reason is not None:
        return f"{place.path}: {table} has none: {reason}"
    return (
        f"unknown key {place.path}{suggest(place.name or '', valid)}; {table} takes "
        + ", ".join(valid)
    )


def _missing(place: _Place) -> str:
    info = place.info
    example = info.examples[0] if info is not None and info.examples else None
    if isinstance(example, Mapping):
        lines = [f"[{place.path}]", *(f"{name} = {written(v)}" for name, v in example.items())]
        text = "\n  ".join(lines)
        return f"the section [{place.path}] is missing; add for example\n  {text}"
    section, _, name = place.path.rpartition(".")
    typed = _typed(place.owner)
    needs = f" ([{section}]{typed} needs it)" if typed and section else ""
    if example is None:
        return f"{place.path} is missing{needs}"
    return f"{place.path} is missing{needs}; add for example {name} = {written(example)}"


def _wrong(place: _Place, item: Any, in_file: bool) -> str:
    value, info, path = item["input"], place.info, place.path
    inner = tagged(info.annotation) if info is not None else {}
    if item["type"] == "union_tag_not_found" and isinstance(value, Mapping):
        names = ", ".join(inner)
        return (
            f'{path}.type is missing; add for example type = "{next(iter(inner))}" (one of {names})'
        )
    if item["type"] == "union_tag_invalid":
        given = value.get("type") if isinstance(value, Mapping) else value
        return _expected_choice(f"{path}.type", list(inner), given)
    is_list = info is not None and get_origin(info.annotation) is tuple and not place.inside
    if inner and not isinstance(value, Mapping) and not is_list:
        if "." in path:
            some = f" with a type (one of {', '.join(inner)})" if len(inner) > 1 else ""
            return f"{path}: expected a table{some}, found {as_found(value)}"
        if in_file:
            return f"{path}: expected a section [{path}], found {as_found(value)}"
        # The choice by itself is for case files.
        wanted = " or ".join(kind.__name__ for tag, kind in inner.items() if tag != "auto")
        return f"{path}: expected {wanted}, found {value!r}"
    if info is None:
        return f"{path or place.owner.__name__}: expected a table, found {as_found(value)}"
    words, choices = expected(info, place.inside), choices_of(info.annotation)
    if get_origin(info.annotation) is tuple and not place.inside:
        choices = []
    if choices and isinstance(value, str):
        return _expected_choice(path, choices, value)
    return f"{path}: expected {words}, found {as_given(value, words)}"


def _expected_choice(path: str, valid: list[str], value: object) -> str:
    found = f"'{value}'{suggest(value, valid)}" if isinstance(value, str) else as_found(value)
    return f"{path}: expected {choice_in_words(valid)}, found {found}"
