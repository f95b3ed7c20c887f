"""``meanfield help``: what is said of each key of a case file."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from meanfield.case.case import Case
from meanfield.case.intime import IN_TIME
from meanfield.case.reference import NESTED, SECTIONS, TOP
from meanfield.checks import choice_in_words
from meanfield.errors import InputError, suggest
from meanfield.options import Option, label_of, labels_of, options_of

__all__ = ["help_keys", "help_on"]


TABLES: dict[str, tuple[type, ...]] = {**SECTIONS, **NESTED, "in_time": IN_TIME}
"""The classes of options by their sections; those of values in time stand in many."""


def _sections() -> Iterator[tuple[str, type]]:
    for section, kinds in TABLES.items():
        for kind in kinds:
            yield section, kind


def _all_options() -> list[tuple[str, type, Option]]:
    found: list[tuple[str, type, Option]] = []
    found += [("", Case, option) for option in options_of(Case, "")]
    for section, kinds in TABLES.items():
        for kind in kinds:
            found += [(section, kind, option) for option in options_of(kind, section)]
        types = [label for kind in kinds for label in labels_of(kind)]
        if types:
            about = f"Which kind of [{section}]; each has its own keys: `meanfield help {section}`."
            words = choice_in_words(types)
            first = '"eulerian"' if section == "solver" else None
            option = Option(f"{section}.type", "", words, first, f'"{types[0]}"', about)
            found.append((section, Case, option))
    return found


def help_on(key: str) -> list[str]:
    """Lines on a key (``solver.rtol``), a word (``rtol``), a section or a type (``lagrangian``).

    Raises:
        InputError: a case has none such.
    """
    found = [entry for entry in _all_options() if entry[2].key == key]
    lines = _on_options(found) if "." in key or key in TOP else []
    tables = [(section, kind) for section, kind in _sections() if section == key]
    if tables:
        return [*lines, *([""] if lines else []), *_on_tables(tables)]
    if lines:
        return lines
    tables = [(section, kind) for section, kind in _sections() if _is_type(kind, section, key)]
    if tables:
        return _on_tables(tables)
    ends = [entry for entry in _all_options() if entry[2].key.endswith(f".{key}")]
    if ends and "." not in key:
        return _on_options(ends)
    raise InputError(f"'{key}' found, a key of a case file expected{suggest(key, help_keys())}")


def help_keys() -> set[str]:
    """All that ``help_on`` knows."""
    valid = {option.key for _, _, option in _all_options()}
    valid |= {section for section, _ in _sections()}
    valid |= {label for _, kind in _sections() for label in labels_of(kind)}
    return valid | {word.rpartition(".")[2] for word in valid}


def _is_type(kind: type, section: str, key: str) -> bool:
    return key.removeprefix(f"{section}.") in labels_of(kind)


def _about(kind: type) -> str:
    return (kind.__doc__ or "").strip().partition("\n")[0]


def _on_tables(tables: list[tuple[str, type]]) -> list[str]:
    lines: list[str] = []
    for section, kind in tables:
        types = " or ".join(f'"{label}"' for label in labels_of(kind))
        name = f"[[{section}]]" if section == "model.heads" else f"[{section}]"
        if kind in IN_TIME:
            inside = ", ".join(option.key.rpartition(".")[2] for option in options_of(kind))
            name = f"in place of a number, a vector or a matrix: {{ {inside} }}"
        head = f"{name} type = {types}" if types else name
        lines += ["", head, *_wrapped(_about(kind), "  ")]
        for option in options_of(kind, section):
            name = option.key.rpartition(".")[2]
            lines += [
                f"  {name}: {option.expected}{_default(option)}{_unit(option)}",
                *_wrapped(option.about, "      "),
            ]
    return lines[1:]


def _on_options(found: list[tuple[str, type, Option]]) -> list[str]:
    lines: list[str] = []
    said: dict[tuple[str, ...], list[str]] = {}
    for _, kind, option in found:
        text = (
            option.key,
            option.expected + _default(option) + _unit(option),
            option.about,
            option.example,
        )
        said.setdefault(text, []).append(label_of(kind))
    for (key, expected, about, example), kinds in said.items():
        of = f"  ({', '.join(kinds)})" if all(kinds) else ""
        lines += ["", f"{key}{of}", *_wrapped(expected, "  "), *_wrapped(about, "  ")]
        if example:
            lines.append(f"  for example {key.rpartition('.')[2]} = {example}")
    return lines[1:]


def _default(option: Option) -> str:
    if option.default is None:
        return "; must be given"
    return f"; default {option.default}" if option.default else "; may be left out"


def _unit(option: Option) -> str:
    return f"; unit {option.unit}" if option.unit else ""


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, 100, initial_indent=indent, subsequent_indent=indent)
