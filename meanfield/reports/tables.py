"""Tables that verbs leave in a folder as CSV, as people read them.

Owns which there are and which of their columns matter most. Knows nothing of how they came about.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from meanfield.reports.page import Html, element, joined, plain_table
from meanfield.results.folder import RunFolder

__all__ = ["read_table", "tables"]

_ROWS = 60
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
        k = head.index("t")
        last = [row for row in rows if row[k] == rows[-1][k]]
        more = _all("at all times", head, rows, path) if len(last) < len(rows) else Html()
        return joined([plain_table(f"{caption} {_LAST}", last, head), more])
    first = [name for name in columns if name in head]
    if not first or len(first) == len(head):
        return _cut(caption, head, rows, path)
    places = [head.index(name) for name in first]
    short = [[row[k] for k in places] for row in rows]
    more = _all("all columns", head, rows, path)
    return joined([_cut(caption, first, short, path), more])


def _cut(caption: str, head: Sequence[str], rows: Sequence[Sequence[object]], path: Path) -> Html:
    note = ""
    if len(rows) > _ROWS:
        note = f"The first {_ROWS} of {len(rows):,} rows; all are in {path.name}."
    return plain_table(caption, rows[:_ROWS], head, note)


def _all(what: str, head: Sequence[str], rows: Sequence[Sequence[object]], path: Path) -> Html:
    """A table that is opened on wish."""
    inner = _cut(f"{path.name}, {what}", head, rows, path)
    return element("details", element("summary", f"{path.name}, {what}"), inner)
