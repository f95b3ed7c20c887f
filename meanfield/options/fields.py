"""What the fields of a class of options say: names, ranges, words."""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin

from annotated_types import Ge, Gt, Le
from pydantic.fields import FieldInfo

from meanfield.checks import a_list_of, as_found, choice_in_words, number_in_words, whole_in_words
from meanfield.options.values import Expected, FromElsewhere, Unit

__all__ = [
    "arguments_of",
    "as_given",
    "choices_of",
    "expected",
    "fields_of",
    "in_words",
    "label_of",
    "labels_of",
    "names_of",
    "section_of",
    "tagged",
    "unit_of",
    "written",
]


def section_of(kind: type) -> str:
    return str(getattr(kind, "option_section", ""))


def label_of(options: object) -> str:
    """``type`` of a table of options, or the usual one of a class; "" where there is but one."""
    label = getattr(options, "type", None)
    return label if isinstance(label, str) else ""


def labels_of(kind: type) -> tuple[str, ...]:
    """Each ``type`` that a table of a class may have, the usual one first."""
    if not label_of(kind):
        return ()
    declared = fields_of(kind).get("type")
    return get_args(declared.annotation) if declared else (label_of(kind),)


def fields_of(kind: type) -> dict[str, FieldInfo]:
    return cast(dict[str, FieldInfo], kind.__pydantic_fields__)  # type: ignore[attr-defined]


def arguments_of(kind: type) -> list[str]:
    """Arguments of a class but ``type``, also of one that was made by ``dataclass`` from ours."""
    return [f.name for f in dataclasses.fields(kind) if f.init and f.name != "type"]


def names_of(kind: type) -> list[str]:
    """Keys of its table: its arguments, but none that comes from elsewhere."""
    known = fields_of(kind)
    marks = {name: known[name].metadata if name in known else [] for name in arguments_of(kind)}
    return [
        name
        for name, found in marks.items()
        if not any(isinstance(mark, FromElsewhere) for mark in found)
    ]


def tagged(annotation: object) -> dict[str, type]:
    """The classes of options in a type, each by its ``type`` (or its name, where it has none)."""
    if isinstance(annotation, type):
        if not hasattr(annotation, "option_section"):
            return {}
        return dict.fromkeys(labels_of(annotation) or [annotation.__name__], annotation)
    found: dict[str, type] = {}
    for part in get_args(annotation):
        found |= tagged(part)
    return found


def written(value: object) -> str:
    """A value as in a case file."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{name} = {written(v)}" for name, v in value.items()) + " }"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(written(v) for v in value) + "]"
    return str(value)


def expected(info: FieldInfo, inside: int = 0) -> str:
    return in_words(info.annotation, list(info.metadata), inside)


def unit_of(info: FieldInfo) -> str:
    """The unit of the numbers of a field; "": it has none, as words and booleans."""
    found = [*info.metadata, *_marks(info.annotation)]
    return next((mark.name for mark in found if isinstance(mark, Unit)), "")


def _marks(annotation: object) -> list[object]:
    """The marks in a type, those on the outside first; not in classes of options."""
    if isinstance(annotation, FieldInfo):
        return list(annotation.metadata)
    inside = [mark for part in get_args(annotation) for mark in _marks(part)]
    if get_origin(annotation) is Annotated:
        return [*annotation.__metadata__[::-1], *inside]  # type: ignore[attr-defined]
    return inside


def in_words(annotation: object, metadata: Sequence[object], inside: int = 0) -> str:
    """What a type expects; ``inside`` so many lists: of one of their entries."""
    flat = [
        m for mark in metadata for m in (mark.metadata if isinstance(mark, FieldInfo) else [mark])
    ]
    for mark in flat:
        if isinstance(mark, Expected) and not inside:
            return mark.words
    origin = get_origin(annotation)
    if origin is Annotated:
        base, *more = get_args(annotation)
        return in_words(base, [*flat, *more], inside)
    if origin in (Union, types.UnionType):
        parts = [part for part in get_args(annotation) if part is not type(None)]
        return " or ".join(dict.fromkeys(in_words(part, flat, inside) for part in parts))
    if origin is Literal:
        return choice_in_words([str(word) for word in get_args(annotation)])
    if origin is tuple:
        of_one = in_words(get_args(annotation)[0], [], max(inside - 1, 0))
        return of_one if inside else a_list_of(of_one)
    if annotation is bool:
        return "true or false"
    if annotation is str:
        return "a text in quotes"
    if annotation is Path:
        return "the name of a file"
    low: Any = next((mark.ge for mark in flat if isinstance(mark, Ge)), -math.inf)
    high: Any = next((mark.le for mark in flat if isinstance(mark, Le)), math.inf)
    above: Any = next((mark.gt for mark in flat if isinstance(mark, Gt)), None)
    if annotation is int:
        return whole_in_words(low, high)
    if annotation is float:
        return number_in_words(low, high, above)
    return "a table" if tagged(annotation) else "another value"


def choices_of(annotation: object) -> list[str]:
    """The words of a Literal, also of one that may be left out or is in a list."""
    if get_origin(annotation) is Literal:
        return [str(word) for word in get_args(annotation)]
    return [word for part in get_args(annotation) for word in choices_of(part)]


def as_given(value: object, expected: str) -> str:
    if isinstance(value, float) and not math.isfinite(value) and "number" in expected:
        return f"{value} (it must be finite)"
    if (
        isinstance(value, str)
        and expected == "true or false"
        and value.lower() in {"true", "false"}
    ):
        return f"{as_found(value)} (TOML writes true and false in lower case, without quotes)"
    return as_found(value)
