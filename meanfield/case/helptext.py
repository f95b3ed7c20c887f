"""``meanfield help``: what is said of each key of a case file."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from meanfield.case.case import Case
from meanfield.case.intime import IN_TIME
from meanfield.case.matrices import Ensemble, InFile
from meanfield.case.reference import NESTED, SECTIONS, TOP
from meanfield.checks import choice_in_words
from meanfield.errors import InputError, suggest
from meanfield.options import Option, label_of, labels_of, options_of

__all__ = ["help_keys", "help_on"]


TABLES: dict[str, tuple[type, ...]] = {
    **SECTIONS, **NESTED, "in_time": IN_TIME, "ensemble": (Ensemble,), "file": (InFile,)
}  # fmt: skip
"""The classes of options by their sections; the last three stand in place of values."""
_IN_PLACE = {
    "in_time": "in place of a number, a vector or a matrix",
    "ensemble": "in place of a matrix",
    "file": "in place of a matrix or a list",
}


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
    every = _all_options()
    homes = {section for section in TABLES if key in (section, section.rpartition(".")[2])}
    found = [entry for entry in every if entry[2].key in {key, *homes}]
    found = [entry for entry in found if "." in entry[2].key or entry[2].key in TOP]
    named = [(section, kind) for section, kind in _sections() if section in homes]
    typed = [(section, kind) for section, kind in _sections() if _is_type(kind, section, key)]
    tables = [*named, *(one for one in typed if one not in named)]
    if "." not in key and (homes or not tables):
        ends = [entry for entry in every if entry[2].key.endswith(f".{key}")]
        found += [entry for entry in ends if entry not in found and entry[:2] not in tables]
    if not found and not tables:
        raise InputError(f"'{key}' found, a key of a case file expected{suggest(key, help_keys())}")
    lines = _on_options(found)
    return [*lines, *([""] if lines and tables else []), *_on_tables(tables)]


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
        if section in _IN_PLACE:
            inside = ", ".join(option.key.rpartition(".")[2] for option in options_of(kind))
            name = f"{_IN_PLACE[section]}: {{ {inside} }}"
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
    """Lines of a text; ``code`` of a docstring is shown without its quotes, as in templates."""
    return textwrap.wrap(
        text.replace("``", ""), 100, initial_indent=indent, subsequent_indent=indent,
        break_on_hyphens=False,
    )  # fmt: skip
