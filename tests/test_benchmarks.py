"""The history of benchmarks: lines are made, and the page is that of the lines."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[1]
Call = Callable[..., None]
_FOLDER = _ROOT / "scripts" / "benchmarks"


@pytest.fixture
def history(monkeypatch: pytest.MonkeyPatch) -> Call:
    """The script, as a function of its words."""
    monkeypatch.syspath_prepend(str(_FOLDER))
    spec = importlib.util.spec_from_file_location("benchmark_history", _FOLDER / "history.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)

    def call(*words: str) -> None:
        monkeypatch.setattr(sys, "argv", ["history.py", *words])
        module.main()

    return call


def test_an_item_gets_a_line_with_its_machine_and_its_ratio(history: Call, tmp_path: Path) -> None:
    file = tmp_path / "history.jsonl"
    words = ("--small", "--repeat", "2", "--file", str(file))
    history(*words, "--items", "field", "ensemble")
    history(*words, "--items", "field")
    lines = [json.loads(text) for text in file.read_text("utf-8").splitlines()]
    assert [line["item"] for line in lines] == ["field", "ensemble", "field"]
    for line in lines:
        assert line["seconds"] > 0.0 and line["ratio"] > 0.0
        assert {"date", "commit", "machine", "python", "numpy", "changed"} <= line.keys()
    history("--show", "--file", str(file))
    page = file.with_suffix(".md").read_text("utf-8")
    last = lines[-1]
    assert f"| field | {last['ratio']:.4g} ({last['seconds']:.3g} s) |" in page
    assert file.with_suffix(".png").stat().st_size > 5000


@pytest.mark.slow
def test_every_item_can_be_timed(history: Call, tmp_path: Path) -> None:
    file = tmp_path / "history.jsonl"
    history("--small", "--repeat", "1", "--file", str(file))
    lines = [json.loads(text) for text in file.read_text("utf-8").splitlines()]
    assert len(lines) == 12 and "gigabytes" in lines[-1]


def test_the_page_in_the_documentation_is_that_of_its_lines(history: Call, tmp_path: Path) -> None:
    docs = _ROOT / "docs"
    copy = tmp_path / "benchmarks.jsonl"
    copy.write_bytes((docs / "benchmarks.jsonl").read_bytes())
    history("--show", "--file", str(copy))
    assert copy.with_suffix(".md").read_text("utf-8") == (docs / "benchmarks.md").read_text("utf-8")
