"""Every key of a case file: which there are, and what is said of each."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from meanfield.case.geometry import GEOMETRIES
from meanfield.case.model import Model
from meanfield.case.output import Output
from meanfield.case.solvers import Auto, Eulerian, Implicit, Lagrangian, Layers, Particles
from meanfield.case.time import Every, Geometric, Time
from meanfield.errors import InputError, suggest
from meanfield.geometry.laws import LAWS
from meanfield.interaction.kernels import KERNELS
from meanfield.options import Option, options_of

__all__ = ["SECTIONS", "check_top_level", "help_on", "is_key", "key_paths"]

TOP = ("title", "seed")
SECTIONS: dict[str, tuple[type, ...]] = {
    "geometry": GEOMETRIES,
    "model": (Model,),
    "initial": tuple(LAWS.values()),
    "solver": (Eulerian, Implicit, Lagrangian, Particles, Layers, Auto),
    "time": (Time,),
    "output": (Output,),
}
"""The classes of options of each section."""
_NESTED: dict[str, tuple[type, ...]] = {
    "model.interaction": tuple(KERNELS.values()),
    "time.outputs": (Every,),
    "time.outputs.geometric": (Geometric,),
}


def _typed(kind: type) -> bool:
    return isinstance(getattr(kind, "type", None), str)


def _names(kinds: tuple[type, ...]) -> set[str]:
    names = {option.key.rpartition(".")[2] for kind in kinds for option in options_of(kind)}
    return names | ({"type"} if any(map(_typed, kinds)) else set())


def check_top_level(raw: Mapping[str, Any]) -> None:
    """Refuse names that no case has at its top, with the section in which they stand."""
    valid = (*TOP, *SECTIONS)
    for name in raw:
        if name in valid:
            continue
        homes = [s for s, kinds in SECTIONS.items() if s != "initial" and name in _names(kinds)]
        if homes:
            where = " or ".join(f"[{section}]" for section in homes)
            raise InputError(f"'{name}' stands at the top of the file, expected it in {where}")
        raise InputError(
            f"unknown key or section '{name}'{suggest(name, valid)}; expected " + ", ".join(valid)
        )


def key_paths() -> list[str]:
    """All keys, but those inside of a law: its components are laws themselves."""
    paths = [*TOP, *SECTIONS]
    for section, kinds in (SECTIONS | _NESTED).items():
        if section != "initial":
            paths += [f"{section}.{name}" for name in sorted(_names(kinds))]
    return [*dict.fromkeys([*paths, "time.outputs.geometric"])]


def is_key(path: str) -> bool:
    """Whether a case may have such a key; below ``initial`` the law itself decides."""
    if path.startswith("initial.") or re.fullmatch(r"(time\.outputs|output\.fields)\.\d+", path):
        return True
    return (re.sub(r"\.\d+$", "", path) if path.startswith("model.interaction.") else path) in (
        key_paths()
    )


# ------------------------------------------------------------------ what is said of each


def _sections() -> Iterator[tuple[str, type]]:
    for section, kinds in (SECTIONS | _NESTED).items():
        for kind in kinds:
            yield section, kind


def _all_options() -> list[tuple[str, type, Option]]:
    return [
        (section, kind, option)
        for section, kind in _sections()
        for option in options_of(kind, section)
    ]


def help_on(key: str) -> list[str]:
    """Lines on a key (``solver.rtol``), a word (``rtol``), a section or a type (``lagrangian``).

    Raises:
        InputError: a case has none such.
    """
    exact = [entry for entry in _all_options() if entry[2].key == key]
    if exact:
        return _on_options(exact)
    tables = [
        (section, kind)
        for section, kind in _sections()
        if section == key or _is_type(kind, section, key)
    ]
    if tables:
        return _on_tables(tables)
    ends = [entry for entry in _all_options() if entry[2].key.endswith(f".{key}")]
    if ends and "." not in key:
        return _on_options(ends)
    valid = {option.key for _, _, option in _all_options()} | {
        section for section, _ in _sections()
    }
    valid |= {str(getattr(kind, "type", "")) for _, kind in _sections() if _typed(kind)}
    raise InputError(f"'{key}' found, a key of a case file expected{suggest(key, valid)}")


def _is_type(kind: type, section: str, key: str) -> bool:
    return _typed(kind) and key in (kind.type, f"{section}.{kind.type}")  # type: ignore[attr-defined]


def _about(kind: type) -> str:
    return (kind.__doc__ or "").strip().partition("\n")[0]


def _on_tables(tables: list[tuple[str, type]]) -> list[str]:
    lines: list[str] = []
    for section, kind in tables:
        head = f'[{section}] type = "{kind.type}"' if _typed(kind) else f"[{section}]"  # type: ignore[attr-defined]
        lines += ["", head, *_wrapped(_about(kind), "  ")]
        for option in options_of(kind, section):
            name = option.key.rpartition(".")[2]
            lines += [
                f"  {name}: {option.expected}{_default(option)}",
                *_wrapped(option.about, "      "),
            ]
    return lines[1:]


def _on_options(found: list[tuple[str, type, Option]]) -> list[str]:
    lines: list[str] = []
    said: dict[tuple[str, ...], list[str]] = {}
    for _, kind, option in found:
        text = (option.key, option.expected + _default(option), option.about, option.example)
        said.setdefault(text, []).append(str(getattr(kind, "type", "")) if _typed(kind) else "")
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


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, 100, initial_indent=indent, subsequent_indent=indent)
