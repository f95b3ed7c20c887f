"""Measure the tables of the documentation, and write their pages.

    scripts/env python scripts/validation/make.py                 # all tables (half an hour)
    scripts/env python scripts/validation/make.py kernels heads   # some
    scripts/env python scripts/validation/make.py kernels --rows onsager
    scripts/env python scripts/validation/make.py --quick         # rows of seconds, compared only
    scripts/env python scripts/validation/make.py --show          # pages from what was measured

Numbers are added to docs/validation/results.jsonl with date, machine, version and commit, and
docs/validation/tables/NAME.md is made of them. ``--quick`` writes nothing: it runs the rows that
take seconds and tells which of them differ from what is kept, by more than one in the last digit
that is shown; then it ends with 1.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

if __name__ == "__main__":  # a script's own folder holds names of other modules
    sys.path[0] = str(Path(__file__).parents[1])

from validation import records
from validation.table import Row, Table

NAMES = (
    "convergence",
    "rates",
    "invariants",
    "characteristics",
    "implicit",
    "gaussians",
    "tokens",
    "kernels",
    "heads",
    "time",
    "attention",
    "order",
    "normalisation",
    "pretrained",
    "diffusion",
    "stationary",
    "compare",
    "speed",
)  # fmt: skip


def table_of(name: str) -> Table:
    """The table of a module of this folder."""
    found = importlib.import_module(f"validation.{name}").table
    assert isinstance(found, Table) and found.name == name
    return found


def checked(table: Table, keys: Sequence[str] | None = None) -> list[str]:
    """Run the quick rows again; a line for each that differs from what is kept."""
    kept = records.read(records.RESULTS).get(table.name, {})
    wrong = []
    for row in table.rows.values():
        if not row.quick or (keys is not None and row.key not in keys):
            continue
        values, seconds = records.run(row)
        print(f"{table.name:16}{row.key:32}{seconds:7.1f} s  {row.text(values)}", flush=True)
        if row.key not in kept:
            wrong.append(f"{table.name}, {row.key}: not kept")
        elif not row.agree(values, kept[row.key].values):
            before = row.text(kept[row.key].values)
            wrong.append(f"{table.name}, {row.key}: found {row.text(values)}, kept {before}")
    return wrong


def measure(table: Table, keys: Sequence[str] | None) -> None:
    """Run rows, and keep what each gives at once: what is interrupted keeps those before."""
    for row in _chosen(table, keys):
        values, seconds = records.run(row)
        print(f"{table.name:16}{row.key:32}{seconds:7.1f} s  {row.text(values)}", flush=True)
        records.add(table, {row.key: (values, seconds)}, records.RESULTS)


def _chosen(table: Table, keys: Sequence[str] | None) -> list[Row]:
    if keys is None:
        return list(table.rows.values())
    unknown = sorted(set(keys) - set(table.rows))
    if unknown:
        raise SystemExit(f"rows of {table.name}: found {unknown}, expected of {list(table.rows)}")
    return [table.rows[key] for key in keys]


def show(table: Table) -> None:
    """Write the page of a table."""
    kept = records.read(records.RESULTS).get(table.name, {})
    if kept:
        records.PAGES.mkdir(parents=True, exist_ok=True)
        path = records.PAGES / f"{table.name}.md"
        path.write_text(records.page(table, kept), "utf-8")


def main() -> None:
    """Measure, compare or show."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--rows", nargs="+", metavar="ROW", help="of one table, some rows only")
    parser.add_argument("--quick", action="store_true", help="compare with what is kept")
    parser.add_argument("--show", action="store_true", help="write pages, measure nothing")
    given = parser.parse_args()
    for name in given.names:
        if name not in NAMES:
            parser.error(f"found table {name!r}, expected of {', '.join(NAMES)}")
    warnings.simplefilter("ignore")
    wrong = []
    for name in given.names or NAMES:
        table = table_of(name)
        if given.quick:
            wrong += checked(table, given.rows)
            continue
        if not given.show:
            measure(table, given.rows)
        show(table)
    print("\n".join(wrong), end="\n" * bool(wrong))
    if wrong:
        sys.exit(1)


if __name__ == "__main__":
    main()
