"""What was measured: JSON lines in docs/validation/results.jsonl, and the pages made of them.

A line has the name of a table, date, machine, version, commit, seconds, and the numbers of one row
or more. ``make.py`` writes one for each row, as it comes. Of each row the last line counts, so that
a row can be measured again without the others. What is no number (nan) is written as null.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from origin import origin

import meanfield

from .table import Row, Table

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "docs" / "validation" / "results.jsonl"
PAGES = ROOT / "docs" / "validation" / "tables"
MEASURE = ("meanfield", "scripts/validation", "scripts/studies", "scripts/cases")
COMMAND = "scripts/env python scripts/validation/make.py"


@dataclass(frozen=True)
class Measured:
    """The last measurement of a row.

    Attributes:
        values: its numbers.
        seconds: that it took.
        date: when, as year-month-day.
        machine: processor and cores.
        version: of meanfield, with its commit.
    """

    values: tuple[float, ...]
    seconds: float
    date: str
    machine: str
    version: str


def about() -> dict[str, object]:
    """Date, machine, version and commit; whether what measures is otherwise than in the commit."""
    found = origin(ROOT, "--untracked-files=all", "--", *MEASURE)
    return {"version": meanfield.__version__, **found}


def run(row: Row) -> tuple[tuple[float, ...], float]:
    """Numbers of a row, and the seconds that it took."""
    begun = time.perf_counter()
    values = tuple(float(value) for value in row.run())
    return values, time.perf_counter() - begun


def add(table: Table, found: dict[str, tuple[Sequence[float], float]], path: Path) -> None:
    """Write a line."""
    line: dict[str, object] = {"table": table.name, **about()}
    line["seconds"] = round(sum(seconds for _, seconds in found.values()), 2)
    line["rows"] = {
        key: {
            "values": [v if math.isfinite(v) else None for v in values],
            "seconds": round(seconds, 2),
        }
        for key, (values, seconds) in found.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def read(path: Path) -> dict[str, dict[str, Measured]]:
    """By the name of the table and the key of the row: what was measured last."""
    found: dict[str, dict[str, Measured]] = {}
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    for line in map(json.loads, filter(None, lines)):
        version = f"{line['version']} (commit {line['commit']}{' and changes' * line['changed']})"
        for key, row in line["rows"].items():
            values = tuple(math.nan if v is None else float(v) for v in row["values"])
            found.setdefault(line["table"], {})[key] = Measured(
                values, float(row["seconds"]), line["date"], line["machine"], version
            )
    return found


def page(table: Table, found: dict[str, Measured]) -> str:
    """A table in Markdown, with date, machine and command below."""
    rows = [row for key, row in table.rows.items() if key in found]
    lines = ["| " + " | ".join(table.heads) + " |", "|---|---|---|"]
    for row in rows:
        lines.append(f"| {row.what} | {row.text(found[row.key].values)} | {row.reference()} |")
    used = [found[row.key] for row in rows]
    seconds = sum(one.seconds for one in used)
    about_it = [
        "Measured " + " and ".join(sorted({one.date for one in used})),
        "meanfield " + ", ".join(dict.fromkeys(one.version for one in used)),
        "; ".join(dict.fromkeys(one.machine for one in used)),
        f"{seconds:.0f} s in all" if seconds >= 1.0 else "less than a second",
    ]
    lines += ["", f"*{'; '.join(about_it)}: `{COMMAND} {table.name}`.*", ""]
    return "\n".join(lines)
