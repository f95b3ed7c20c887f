"""Changes of a case before anything in it is checked: ``--set model.beta=9`` and the like."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

from meanfield.case.heads import without_beta
from meanfield.case.model import ALONE, SHORT_FORM
from meanfield.case.reference import SECTIONS, is_key, key_paths
from meanfield.case.solvers import Eulerian
from meanfield.checks import as_found, shortened
from meanfield.errors import InputError, suggest
from meanfield.options import label_of

__all__ = ["apply_overrides", "parse_override", "parsed_toml"]

_BY_TYPE = ("model.normalisation", "model.mask")
"""Tables that a text may stand for, their type."""

_DEEPEST = 30  # tables and lists within each other; a case has some five


def parsed_toml(text: str) -> dict[str, object]:
    """Tables of a TOML text.

    Raises:
        ValueError: it is none, or nothing that a case could have; says why in one line.
    """
    try:
        table = tomllib.loads(text)
        if _depth(table) > _DEEPEST:
            raise RecursionError
        return table
    except RecursionError:
        raise ValueError("lists or tables are nested too deeply") from None
    except ValueError as error:
        if "int_max_str_digits" in str(error):
            raise ValueError("a number has thousands of digits") from None
        raise


def _depth(value: Any) -> int:
    """How many tables and lists are within each other."""
    depth, inside = 0, [value]
    while inside := [v for v in inside if isinstance(v, dict | list)]:
        depth += 1
        inside = [w for v in inside for w in (v.values() if isinstance(v, dict) else v)]
    return depth


def parse_override(text: str) -> tuple[str, object]:
    """Split "a.b=value": the value is read as TOML, and a bare word is taken as a text.

    Raises:
        InputError: no "=", an empty path, or a quoted/bracketed value that is not valid TOML.
    """
    key, equals, value = text.partition("=")
    key, value = re.sub(r"\[(\d+)\]", r".\1", key.strip()), value.strip()
    if not equals or not key or not all(key.split(".")):
        raise InputError(f"--set {shortened(text)}: expected KEY=VALUE such as model.beta=9")
    try:
        read = parsed_toml(f"value = {value}")
    except ValueError as error:
        if re.fullmatch(r"[+-]?(\d+\.|\.\d+)([eE][+-]?\d+)?", value):
            return key, float(value)  # .5 and 5. are numbers to everyone but TOML
        if not value or value[0] in "\"'[{":
            hint = "nothing" if not value else str(error)
            raise InputError(
                f"--set {shortened(text)}: the value is not valid TOML: {hint}"
            ) from None
        return key, value
    # A line break could smuggle in a second key: such a text is then just a text.
    return key, read["value"] if len(read) == 1 else value


def apply_overrides(
    raw: Mapping[str, object], overrides: Iterable[str] | Mapping[str, object]
) -> dict[str, object]:
    """Give a copy of the nested dictionary ``raw`` with some values set.

    Args:
        raw: a case as read from TOML.
        overrides: "a.b=value" lines, or a mapping from key paths to values. A number in a path is
            a place in a list (``initial.components.0.weight``, or ``components[0].weight``).
            Another ``geometry.type``, ``initial.type`` or ``solver.type`` empties the section
            first: its keys belong to the old type; a text that stands for its type (model.mask,
            model.normalisation) becomes a table where a key in it is set.
            ``model.interaction.type`` takes the place of attention, beta, value, heads, drifts;
            ``model.attention`` that of an interaction.

    Raises:
        InputError: a path that no case has, with the nearest one that exists.
    """
    result: dict[str, object] = _copy(raw)
    pairs = list(
        overrides.items()
        if isinstance(overrides, Mapping)
        else (parse_override(text) for text in overrides)
    )
    # A solver by its name alone is one with the default options; the first one where none is named.
    named = [value for path, value in pairs if path == "solver" and isinstance(value, str)]
    solver = named[-1] if named else result.get("solver", {})
    if isinstance(solver, str):
        result["solver"] = {"type": solver}
    elif isinstance(solver, dict):
        result["solver"] = {"type": Eulerian.type, **solver}
    pairs = [(path, value) for path, value in pairs if path != "solver" or value not in named]
    for path, value in pairs:
        _check_path(path)
        section, _, name = path.partition(".")
        table = result.get(section)
        if name == "type" and isinstance(table, dict) and table.get("type") != value:
            result[section] = {}
        if section == "model" and isinstance(table, dict):
            _change_model(table, name, value)
    for path, value in pairs:
        _assign(result, path, value)
    return result


def _change_model(table: dict[str, object], name: str, value: object) -> None:
    """Another kind of interaction takes the place of the one that is there, with its numbers."""
    inner = table.get("interaction")
    if name == "interaction.type" or (name == "interaction" and isinstance(value, Mapping)):
        for key in (*SHORT_FORM, "heads", *ALONE):
            table.pop(key, None)
        if name != "interaction" and isinstance(inner, dict) and inner.get("type") != value:
            table["interaction"] = {}
    elif name == "attention":
        table.pop("interaction", None)
        if isinstance(value, str) and without_beta(value):
            table.pop("beta", None)
    elif name in ("potential.type", "strength.type", "mask.type", "normalisation.type"):
        part = name.partition(".")[0]
        old = table.get(part)
        if isinstance(old, dict) and old.get("type") != value:
            table[part] = {}
    elif name == "heads":  # all of them at once
        for key in ("beta", "value", "interaction"):
            table.pop(key, None)


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _copy(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_copy(item) for item in value]
    return value


def _check_path(path: str) -> None:
    """Refuse a key path that no case has."""
    if is_key(path):
        return
    section, _, name = path.partition(".")
    for kind in SECTIONS.get(section, ()):
        reason = getattr(kind, "not_here", {}).get(name)
        if reason is not None:
            table = f"[{section}] of type '{label_of(kind)}'"
            raise InputError(f"--set {path}: {table} has none: {reason}")
    # The last word alone is often right (beta -> model.beta); else the nearest path.
    last, valid = path.rpartition(".")[2], key_paths()
    homes = [name for name in valid if name.rpartition(".")[2] == last and "." in name]
    hint = f" (did you mean '{homes[0]}'?)" if homes else suggest(path, valid)
    raise InputError(f"--set {path}: a case has no such key{hint}")


def _assign(table: dict[str, object], path: str, value: object) -> None:
    names = path.split(".")
    here: Any = table
    for depth, name in enumerate(names):
        last = depth == len(names) - 1
        so_far = ".".join(names[: depth + 1])
        if isinstance(here, list):
            if not name.isdigit() or int(name) >= len(here):
                raise InputError(
                    f"--set {path}: expected a place from 0 to {len(here) - 1} in the list "
                    f"{'.'.join(names[:depth])}, found '{name}'"
                )
            if last:
                here[int(name)] = value
            else:
                here = here[int(name)]
            continue
        if so_far in ("time.outputs.every", "time.outputs.geometric"):
            # The schedules exclude each other: naming one replaces the other.
            other = "geometric" if name == "every" else "every"
            here.pop(other, None)
        if last:
            here[name] = value
            continue
        inner = here.get(name)
        if so_far == "time.outputs" and not isinstance(inner, dict) and not names[-1].isdigit():
            inner = None
        if inner is None:
            inner = here[name] = {}
        if so_far in _BY_TYPE and isinstance(inner, str):
            inner = here[name] = {"type": inner}
        if not isinstance(inner, dict | list):
            raise InputError(f"--set {path}: {so_far} is {as_found(inner)}, not a table")
        here = inner
