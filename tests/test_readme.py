"""The README is short, says each thing once, and names what there is; tests/docs/ runs it."""

from __future__ import annotations

import itertools
import tomllib

import pytest
from blocks import blocks
from processes import ROOT

README = (ROOT / "README.md").read_text("utf-8")
SAME = 60
"""So many letters in a row that stand in two lines are no chance."""


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md", "CONTRIBUTING.md"])
def test_nothing_is_said_twice(name: str) -> None:
    """As after a merge that kept both versions of a line."""
    seen: dict[str, int] = {}
    twice = []
    for number, line in enumerate((ROOT / name).read_text("utf-8").splitlines(), 1):
        pieces = {line[k : k + SAME] for k in range(len(line) - SAME + 1)}
        twice += [(seen[piece], number, piece) for piece in pieces if piece in seen][:1]
        seen.update(dict.fromkeys(pieces, number))
    assert twice == []


def test_titles_stand_after_an_empty_line() -> None:
    lines = README.splitlines()
    inside = False  # a block of code, where # begins a comment
    for before, line in itertools.pairwise(lines):
        inside ^= before.startswith("```")
        assert inside or not line.startswith("#") or not before, line


def test_each_extra_and_each_way_to_look_is_told() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    install = README.partition("\n## Install\n")[2].partition("\n## ")[0]
    for extra in project["optional-dependencies"]:
        assert f"`{extra}`" in install, extra
    for name in (
        "mf.film",
        ".view(",
        "--print-completion",
        "scripts/env --kernel",
        "meanfield doctor",
    ):
        assert name in README, name


def test_it_is_a_first_screen() -> None:
    assert len(README.splitlines()) < 150
    shell, python = blocks("README.md")
    commands = [line for line in shell.code.splitlines() if line.strip()]
    assert shell.kind == "sh" and len(commands) == 2
    assert all(line.startswith("scripts/env ") for line in commands)
    lines = [line for line in python.code.splitlines() if line.strip()]
    assert python.kind == "python" and 8 <= len(lines) <= 14
    assert "docs/notebooks/first.ipynb" in README
