"""Tables of the documentation: made of what is kept, and what is kept can be measured again."""

from __future__ import annotations

import importlib
import json
import math
import re
import subprocess
import sys
from datetime import date
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

make: ModuleType = importlib.import_module("validation.make")
records: ModuleType = importlib.import_module("validation.records")
table_module: ModuleType = importlib.import_module("validation.table")
sys.path.remove(str(ROOT / "scripts"))

KEPT = records.read(records.RESULTS)
# A few rows of seconds; `make.py --quick` runs more of them.
AGAIN = {
    "convergence": ("conformal_circle",),
    "rates": ("circle_sa",),
    "invariants": ("explicit_rough",),
    "characteristics": ("on_the_circle", "peak"),
    "implicit": ("profile_circle",),
    "gaussians": ("at_rest",),
    "tokens": ("two_diracs",),
    "kernels": ("maier_saupe", "normalised"),
    "heads": ("waves", "opposite_pair", "conformal", "linear_characteristics"),
    "time": ("tokens", "characteristics", "beta_in_time"),
    "attention": ("linear", "sinkhorn"),
    "order": ("masks",),
    "normalisation": ("schemes", "one_layer"),
    "pretrained": ("hidden_states",),
    "diffusion": ("stationary", "eigenvalues"),
    "stationary": ("profile_sa", "profile_usa", "profile_circle", "magnet"),
    "compare": ("distance",),
}
LONG = frozenset({"attention", "compare", "heads", "normalisation", "pretrained", "stationary"})
"""Those that took more than five seconds when they were measured: with the slow tests."""


@pytest.mark.parametrize(
    "name", [pytest.param(x, marks=pytest.mark.slow) if x in LONG else x for x in AGAIN]
)
def test_rows_are_measured_again(name: str) -> None:
    """To one in the last digit that the page shows; what is round-off, to its size."""
    table = make.table_of(name)
    for key in AGAIN[name]:
        row = table.rows[key]
        values, _ = records.run(row)
        kept = KEPT[name][key].values
        assert row.quick and row.agree(values, kept), f"{key}: {row.text(values)}, {row.text(kept)}"


@pytest.mark.parametrize("name", make.NAMES)
def test_pages_are_made_of_what_is_kept(name: str) -> None:
    table = make.table_of(name)
    page = (records.PAGES / f"{name}.md").read_text("utf-8")
    assert page == records.page(table, KEPT[name])
    assert set(KEPT[name]) == set(table.rows), "what is measured, and what is kept"
    assert f"make.py {name}" in page and re.search(r"Measured \d{4}-\d\d-\d\d", page)


@pytest.mark.parametrize("name", make.NAMES)
def test_numbers_agree_with_their_references(name: str) -> None:
    """Each number, to what its row allows: a digit that is shown, or what it says."""
    table = make.table_of(name)
    for key, measured in KEPT[name].items():
        far = table.rows[key].far(measured.values)
        assert not far, f"{key}, numbers {far}: {measured.values}, {table.rows[key].known}"


def test_each_number_is_held_against_its_own() -> None:
    """A small number beside a large one, and one that the row allows more."""
    table = table_module.Table("any")

    @table.row("", "{:.0f}, {:.4f}", known=(1000.0, 0.001))
    def plain() -> tuple[float, ...]:
        return 1000.0, 0.0012

    @table.row("", "{:.0f}, {:.4f}", known=(1000.0, 0.001), within=(0.1, 0.1))
    def stated() -> tuple[float, ...]:
        return 1000.2, 0.05

    assert table.rows["plain"].far(plain()) == [1] and not table.rows["plain"].far((1000.0, 0.001))
    assert table.rows["stated"].far(stated()) == [0]


def test_a_time_that_did_not_come_is_never() -> None:
    table = table_module.Table("any")

    @table.row("", "{:.3g}; {:.0f}")
    def row() -> tuple[float, ...]:
        return math.nan, 3.0

    one = table.rows["row"]
    assert one.text(row()) == "never; 3"
    assert one.agree(row(), row()) and not one.agree((1.0, 3.0), row())


@pytest.mark.parametrize("room", ["meanfield", "scripts/validation", "scripts/cases"])
def test_a_line_tells_that_what_measures_was_changed(
    room: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files that are in no commit count, wherever a number hangs on them."""
    git = ["git", "-c", "user.name=a", "-c", "user.email=a", "-C", str(tmp_path)]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "first"], check=True)
    monkeypatch.setattr(records, "ROOT", tmp_path)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "page.md").write_text("words", "utf-8")
    assert records.about()["changed"] is False and len(str(records.about()["commit"])) == 10
    (tmp_path / room).mkdir(parents=True)
    (tmp_path / room / "new.py").write_text("number = 1", "utf-8")
    assert records.about()["changed"] is True


def test_every_page_has_its_table_and_every_line_its_date_and_machine() -> None:
    assert {path.stem for path in records.PAGES.glob("*.md")} == set(make.NAMES)
    files = {path.stem for path in (ROOT / "scripts" / "validation").glob("*.py")}
    assert files - set(make.NAMES) == {"__init__", "make", "records", "solving", "table"}
    for text in records.RESULTS.read_text("utf-8").splitlines():
        line = json.loads(text)
        assert date.fromisoformat(line["date"]).year >= 2026
        assert re.search(r", \d+ cores?$", line["machine"])
        assert line["version"] and line["commit"] and line["seconds"] >= 0.0 and line["rows"]


def test_pages_include_the_tables() -> None:
    docs = ROOT / "docs"
    included = {
        (path.parent / found).resolve()
        for path in [docs / "validation.md", *docs.glob("guide/*.md")]
        for found in re.findall(r"\{include\} (\S+)", path.read_text("utf-8"))
    }
    assert {records.PAGES / f"{name}.md" for name in make.NAMES} <= included


@pytest.mark.parametrize(
    ("value", "spec", "digit"),
    [(0.125, ".3f", 1e-3), (2.5e-7, ".1e", 1e-8), (1234.0, ".3g", 10.0), (12.0, ".0f", 1.0)],
)
def test_last_digits(value: float, spec: str, digit: float) -> None:
    assert table_module.last_digit(value, spec) == pytest.approx(digit)


def test_what_differs_in_a_digit_that_is_shown_does_not_agree() -> None:
    table = table_module.Table("any")

    @table.row("", "{:.3f}, {:.1e}")
    def row() -> tuple[float, ...]:
        return 0.125, 2.5e-7

    one = table.rows["row"]
    assert one.text(row()) == "0.125, 2.5e-7"
    assert one.agree(row(), (0.1259, 2.59e-7)) and not one.agree(row(), (0.128, 2.5e-7))
    assert not one.agree(row(), (0.125,))
