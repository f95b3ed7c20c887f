"""What is wrong with options, in one line: key, what was expected and found, the nearest name.

Of several faults the first is told: unknown keys, then missing ones, then values.
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
    as_given,
    choices_of,
    expected,
    fields_of,
    names_of,
    tagged,
    written,
)

__all__ = ["explain"]


@dataclass
class _Place:
    """Where an error is: its key path, the class that owns it, and the field if it is in one."""

    path: str
    owner: type
    group: tuple[Any, ...] = ()
    name: str | None = None
    inside: int = 0

    @property
    def info(self) -> FieldInfo | None:
        return None if self.name is None else fields_of(self.owner).get(self.name)


def _place(kind: type, where: str, loc: Sequence[int | str]) -> _Place:
    here = _Place(where, kind)
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
            here = _Place(here.path, inner[str(part)], (*loc[: depth + 1],))
        elif info is not None and len(inner) == 1:
            here = _Place(here.path, next(iter(inner.values())), (*loc[:depth],))
            here.name, here.path = str(part), f"{here.path}.{part}"
        elif here.name is None:
            here.name = str(part)
            here.path = f"{here.path}.{part}" if here.path else str(part)
    return here


_UNKNOWN, _MISSING = "unexpected_keyword_argument", "missing"


def explain(error: ValidationError, kind: type, where: str, in_file: bool) -> str:
    """The first thing that is wrong: unknown keys, then missing ones, then values."""
    found = [(_place(kind, where, item["loc"]), item) for item in error.errors(include_url=False)]
    order = {_UNKNOWN: 0, "unexpected_positional_argument": 0, _MISSING: 1}
    fields = list(fields_of(kind))

    def rank(entry: tuple[_Place, Any]) -> tuple[bool, int, int]:
        group = entry[0].group
        at = fields.index(group[0]) if group and group[0] in fields else 0
        return bool(group), at, order.get(entry[1]["type"], 2)

    found.sort(key=rank)
    place, item = found[0]
    alike = [p.name or "" for p, i in found if (p.group, i["type"]) == (place.group, item["type"])]
    if item["type"] == _UNKNOWN:
        return _unknown(place, alike)
    if item["type"] == _MISSING:
        return _missing(place)
    return _wrong(place, item, in_file)


def _typed(kind: type) -> str:
    label = getattr(kind, "type", None)
    return f" of type '{label}'" if isinstance(label, str) else ""


def _unknown(place: _Place, names: list[str]) -> str:
    section, _, name = place.path.rpartition(".")
    valid = names_of(place.owner)
    if not valid:
        return (
            f"{section}: type '{getattr(place.owner, 'type', '')}' takes no other keys, found "
            + (", ".join(names))
        )
    table = f"[{section}]{_typed(place.owner)}" if section else place.owner.__name__
    return f"unknown key {place.path}{suggest(name, valid)}; {table} takes " + ", ".join(valid)


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
    cause = item.get("ctx", {}).get("error")
    if isinstance(cause, InputError):
        said = str(cause)
        if not path or said.startswith(path):
            return said
        section = path.rpartition(".")[0]
        if place.name is None or inner:  # of a whole class: it begins with the name of a field
            return f"{path}.{said}"
        if said.startswith(place.name):
            return f"{section}.{said}" if section else said
        return f"{path}: {said}"
    if item["type"] == "union_tag_not_found" and isinstance(value, Mapping):
        names = ", ".join(inner)
        return (
            f'{path}.type is missing; add for example type = "{next(iter(inner))}" (one of {names})'
        )
    if item["type"] == "union_tag_invalid":
        return _expected_choice(f"{path}.type", list(inner), item["ctx"]["tag"])
    if inner and not isinstance(value, Mapping):
        if "." in path:
            some = f" with a type (one of {', '.join(inner)})" if len(inner) > 1 else ""
            return f"{path}: expected a table{some}, found {as_found(value)}"
        if in_file:
            return f"{path}: expected a section [{path}], found {as_found(value)}"
        wanted = " or ".join(kind.__name__ for kind in inner.values())
        return f"{path}: expected {wanted}, found {value!r}"
    if info is None:
        return f"{path}: {item['msg']}" if path else str(item["msg"])
    words, choices = expected(info, place.inside), choices_of(info.annotation)
    if get_origin(info.annotation) is tuple and not place.inside:
        choices = []
    if choices and isinstance(value, str):
        return _expected_choice(path, choices, value)
    return f"{path}: expected {words}, found {as_given(value, words)}"


def _expected_choice(path: str, valid: list[str], value: object) -> str:
    found = f"'{value}'{suggest(str(value), valid)}"
    return f"{path}: expected {choice_in_words(valid)}, found {found}"
