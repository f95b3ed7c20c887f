"""Tables that verbs leave in a folder as CSV, as people read them.

Owns which there are and which of their columns matter most. Knows nothing of how they came about.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path

from meanfield.reports.page import Html, element, joined, numeral, plain_table
from meanfield.results.folder import RunFolder

__all__ = ["read_table", "tables"]

_ROWS, _MOST_ROWS = 16, 400
_COORDINATES = 4
_TABLES = (
    ("compare.csv", "Particles against the density",
     ("t", "n", "replicas", "w2", "w2_low", "w2_high", "floor_w2", "ratio_w2", "w1", "floor_w1",
      "ratio_w1", "z_energy", "z_mean", "z_second", "p_value")),
    ("rates.csv", "Exponents of n in the distance", ()),
    ("converge.csv", "Errors by resolution", ()),
    ("stationary.csv", "Stationary state", ()),
    ("eigenvalues.csv", "Eigenvalues at the stationary state", ()),
    ("events.csv", "Bifurcations and folds", ()),
    ("branch.csv", "Branch", ()),
    ("sweep.csv", "Sweep", ()),
    ("clusters.csv", "Clusters", ()),
)  # fmt: skip
"""File, what it is, and the columns shown first (none: all)."""
_CLUSTERS = "clusters.csv"
_LAST = "at the last time"


def tables(run: RunFolder) -> Html:
    """All tables that a folder has."""
    return joined(
        _shown(run.path / name, caption, columns)
        for name, caption, columns in _TABLES
        if (run.path / name).is_file()
    )


def read_table(path: Path) -> tuple[list[str], list[list[object]]]:
    """Names of the columns, and the rows, numbers as such; half a last row is left out."""
    with open(path, encoding="utf-8", errors="replace", newline="") as file:
        rows = list(csv.reader(file))
    head = rows[0] if rows else []
    return head, [[_cell(c) for c in row] for row in rows[1:] if len(row) == len(head)]


def _cell(text: str) -> object:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _shown(path: Path, caption: str, columns: Sequence[str]) -> Html:
    head, rows = read_table(path)
    if not rows:
        return Html()
    if len(rows) == 1 and len(head) > 6:  # one state with many numbers: below each other
        return plain_table(caption, list(zip(head, rows[0], strict=True)))
    if path.name == _CLUSTERS and "t" in head:
        head, rows = _with_centres(head, rows)
        k = head.index("t")
        last = _heaviest_first(head, [row for row in rows if row[k] == rows[-1][k]])
        short = last[:_ROWS]
        note = f"{_ROWS} of {numeral(len(last))}, the heaviest." if len(last) > _ROWS else ""
        more = Html()
        if len(last) < len(rows):
            more = _all("at all times", head, rows, path)
        elif len(short) < len(last):
            more = _all("all of it", head, last, path)
        return joined([plain_table(f"{caption} {_LAST}", short, head, note), more])
    first = [name for name in columns if name in head] or head
    places = [head.index(name) for name in first]
    short = [[row[k] for k in places] for row in rows[:_ROWS]]
    shown = plain_table(caption, short, first)
    if len(first) == len(head) and len(rows) <= _ROWS:
        return shown
    return joined([shown, _all("all of it", head, rows, path)])


def _heaviest_first(
    head: Sequence[str], rows: Sequence[Sequence[object]]
) -> list[Sequence[object]]:
    if len(rows) <= _ROWS or "mass" not in head:
        return list(rows)
    k = head.index("mass")
    masses = [value if isinstance(value := row[k], int | float) else 0.0 for row in rows]
    return [rows[i] for i in sorted(range(len(rows)), key=lambda i: -masses[i])]


def _with_centres(
    head: Sequence[str], rows: Sequence[Sequence[object]]
) -> tuple[list[str], list[list[object]]]:
    """Coordinates x1, x2, ... in one column, the first few of many."""
    places = [k for k, name in enumerate(head) if re.fullmatch(r"x\d+", name)]
    if not places:
        return list(head), [list(row) for row in rows]
    others = [k for k in range(len(head)) if k not in places]
    more = ", …" if len(places) > _COORDINATES else ""
    out: list[list[object]] = []
    for row in rows:
        told = ", ".join(numeral(row[k], 3) for k in places[:_COORDINATES])
        out.append([*(row[k] for k in others), f"({told}{more})"])
    return [*(head[k] for k in others), "centre"], out


def _all(what: str, head: Sequence[str], rows: Sequence[Sequence[object]], path: Path) -> Html:
    """A table that is opened on wish; its first rows, if there are very many."""
    note = ""
    if len(rows) > _MOST_ROWS:
        note = f"The first {_MOST_ROWS} of {len(rows):,} rows."
    title = f"{path.name}, {what}"
    inner = plain_table(title, rows[:_MOST_ROWS], head, note)
    return element("details", element("summary", f"{title} ({len(rows):,} rows)"), inner)
