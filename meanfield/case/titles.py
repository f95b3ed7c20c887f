"""Titles that name parameters: ``{model.beta}`` stands for the value that the case has.

Owns what may stand between braces and how values are written there. Works on plain tables, so
that what only reads the case file of a folder can do it, too.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from string import Formatter

from meanfield.case.reference import is_key, key_paths
from meanfield.checks import as_found
from meanfield.errors import InputError, suggest

__all__ = ["MAX_TITLE", "escaped", "literally", "resolved_title", "values_in_words"]

MAX_TITLE = 1000  # letters: they are drawn above each picture

_LITERAL = "a brace that is meant is written twice: {{ or }}"


def resolved_title(
    template: str,
    table: Mapping[str, object],
    changed: Mapping[str, str] | None = None,
    unused: Sequence[str] = (),
) -> str:
    """The title with values in the place of its keys.

    Args:
        template: text with keys in braces, each with a format if that is wanted:
            ``{model.beta}``, ``{model.beta:.2f}``; numbers have ``:g`` without one.
        table: of the case, as ``Case.to_dict`` gives it.
        changed: words for keys that have several values, as in a sweep.
        unused: sections that play no part: of what is not in them, the default is told.

    Raises:
        InputError: no key of the case, a format that does not suit, braces without a partner.
    """
    if "{" not in template and "}" not in template:
        return template
    told = "".join(
        literal + ("" if key is None else _told(key, spec, table, changed or {}, unused))
        for literal, key, spec in _fields(template)
    )
    if len(told) > MAX_TITLE:
        raise InputError(f"expected at most {MAX_TITLE} letters, found {len(told)}")
    return told


def _fields(template: str) -> Iterator[tuple[str, str | None, str]]:
    """Text, the key after it (None: none) and its format."""
    try:
        parts = list(Formatter().parse(template))
    except ValueError:
        raise InputError(f"found a brace without a partner; {_LITERAL}") from None
    for literal, key, spec, conversion in parts:
        if key is not None and (conversion or "{" in (spec or "")):
            raise InputError(
                f"found {{{key}}} with more than a format such as :g after its key; {_LITERAL}"
            )
        yield literal, key, spec or ""


def _told(
    key: str,
    spec: str,
    table: Mapping[str, object],
    changed: Mapping[str, str],
    unused: Sequence[str],
) -> str:
    if key in changed:
        return changed[key]
    keys = dict(_flat(table))
    if key == "title" or (key not in keys and not is_key(key)):
        near = suggest(key, {*keys, *key_paths()} - {"title"})
        raise InputError(
            f"found {{{key}}}, expected a key of a case such as {{model.kappa}}{near}; {_LITERAL}"
        )
    if key not in keys:  # it has no value, such as beta where attention has none
        return "default" if key.split(".")[0] in unused else "none"
    value = keys[key]
    if not spec:
        return " ".join(_words(value).split())
    try:
        told = format(value, spec)
    except (ValueError, TypeError, OverflowError):
        raise InputError(
            f"found {{{key}:{spec}}}, whose format does not suit {as_found(value)}; {_LITERAL}"
        ) from None
    if len(told) > MAX_TITLE:
        raise InputError(f"expected at most {MAX_TITLE} letters, found {len(told)}")
    return " ".join(told.split())


def _flat(table: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Key paths and values, those of tables and of tables in lists, too."""
    for name, value in table.items():
        yield f"{prefix}{name}", value
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif isinstance(value, list) and any(isinstance(one, Mapping) for one in value):
            yield from _flat({str(k): one for k, one in enumerate(value)}, f"{prefix}{name}.")


def _words(value: object) -> str:
    """A value in a few letters."""
    match value:
        case bool():
            return str(value).lower()
        case int():
            return str(value)
        case float():
            return f"{value:g}"
        case str():
            return os.path.basename(value) if os.path.isabs(value) else value
        case Mapping():
            kind = value.get("type")
            return kind if isinstance(kind, str) else "a table"
        case list() | tuple():
            if len(value) <= 4 and not any(isinstance(v, Mapping | list | tuple) for v in value):
                return ", ".join(map(_words, value))
            return f"{len(value)} values"
    return str(value)


def values_in_words(values: Sequence[object]) -> str:
    """Words for the values that a key takes in turn: up to four, the ends of more numbers."""
    distinct = list(dict.fromkeys(map(_words, values)))
    if len(distinct) <= 4:
        return ", ".join(distinct)
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    if len(numbers) == len(values):
        return f"{_words(min(numbers))} to {_words(max(numbers))}"
    return f"{len(distinct)} values"


def escaped(template: str, table: Mapping[str, object]) -> object:
    """A title that was written before keys could be in it: its braces stay what they are.

    Known by what stands in them: something that is no key of any section.
    """
    try:
        fields = [key for _, key, _ in _fields(template) if key is not None]
    except InputError:
        fields = [""]
    if all(("." in key and key.split(".")[0] in table) or key == "seed" for key in fields):
        return template
    return literally(template)


def literally(text: object) -> object:
    """A title that shows a text as it is; what is no text stays."""
    return text.replace("{", "{{").replace("}", "}}") if isinstance(text, str) else text
