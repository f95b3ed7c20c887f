"""What a result says of itself: the case, where the energy went; as lines and as a table."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from html import escape
from pathlib import Path

from meanfield.case.titles import resolved_title
from meanfield.errors import InputError
from meanfield.results.folder import RunFolder
from meanfield.results.series import Series

__all__ = ["case_words", "energy_words", "html_table", "table_in"]

_MOST = 90  # letters of a section of the case
_SIZED = (str, list, tuple, dict)

Row = tuple[str, str]


def table_in(folder: Path) -> Mapping[str, object]:
    """The case in a folder as plain data, not validated; empty where it cannot be read."""
    try:
        return tomllib.loads(RunFolder(folder).case_path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def case_words(table: Mapping[str, object]) -> Iterator[Row]:
    """Title, geometry, model and solver of a case, by its table."""
    title = str(table.get("title", ""))
    with suppress(InputError):  # of a folder from before titles had keys
        title = resolved_title(title, table)
    yield "title", title
    for name in ("geometry", "model", "solver"):
        yield name, _in_words(table.get(name))


def energy_words(series: Series) -> Iterator[Row]:
    """The first and the last energy, scaled, where there is one."""
    energy = series.get("energy_scaled")
    if energy is not None and len(energy):
        yield "scaled energy", f"{energy[0]:.6g} at first, {energy[-1]:.6g} at last"


def html_table(rows: Sequence[Row]) -> str:
    """A table of two columns."""
    cells = (f"<tr><th>{escape(a)}</th><td>{escape(b)}</td></tr>" for a, b in rows)
    return f"<table>{''.join(cells)}</table>"


def _in_words(section: object) -> str:
    """The first entries of a section of a case, its type before them; not what is empty."""
    if not isinstance(section, Mapping):
        return ""
    parts = [str(section["type"])] if "type" in section else []
    for name, value in section.items():
        if name == "type" or value is False or (isinstance(value, _SIZED) and not value):
            continue
        if isinstance(value, Mapping):
            value = value.get("type", "...")
        text = f"{name} = {value:g}" if isinstance(value, float) else f"{name} = {value}"
        if len(", ".join([*parts, text])) > _MOST:
            parts.append("...")
            break
        parts.append(text)
    return ", ".join(parts)
