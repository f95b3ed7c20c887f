"""The examples that are shipped, as texts and as scripts; where they and the cases are found."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from processes import ROOT

from meanfield.shipped import ORDER, Shipped, found, shipped_cases, shipped_examples

EXAMPLES = shipped_examples()
SIZE = 'small = os.environ.get("MEANFIELD_EXAMPLE") == "small"'


def names(shipped: list[Shipped]) -> list[str]:
    return [one.name for one in shipped]


def test_a_checkout_has_its_cases_and_examples_in_scripts() -> None:
    assert {one.path.parent for one in shipped_cases()} == {ROOT / "scripts" / "cases"}
    assert {one.path.parent for one in EXAMPLES} == {ROOT / "scripts" / "examples"}
    assert names(shipped_cases()) == sorted(p.stem for p in (ROOT / "scripts/cases").glob("*.toml"))
    assert all(one.title and "\n" not in one.title for one in [*shipped_cases(), *EXAMPLES])


def test_examples_are_in_the_order_of_their_themes() -> None:
    assert names(EXAMPLES) == list(ORDER), "each script has its name in ORDER of meanfield/shipped"


def test_a_case_comes_with_the_files_that_it_names() -> None:
    (case,) = (one for one in shipped_cases() if one.name == "stack")
    assert [path.name for path in case.files] == ["stack.toml", "stack.npz"]
    (other,) = (one for one in shipped_cases() if one.name == "clustering")
    assert [path.name for path in other.files] == ["clustering.toml"]


def test_a_name_stands_for_a_case_and_an_example() -> None:
    assert [one.kind for one in found("clustering")] == ["case", "script"]
    assert [one.kind for one in found("clustering.py")] == ["script"]
    assert [one.kind for one in found("clustering", shipped_cases())] == ["case"]


@pytest.mark.parametrize("example", EXAMPLES, ids=names(EXAMPLES))
def test_what_an_example_tells(example: Shipped) -> None:
    assert len(example.title) > 8
    assert example.paper, "its docstring has no paragraph 'Paper: ...'"
    assert example.minutes is not None, "no line 'Full: N cpu-minutes; small: M seconds.'"
    assert example.minutes <= 2.5
    assert example.seconds is not None and example.seconds <= 10.0


@pytest.mark.parametrize("example", EXAMPLES, ids=names(EXAMPLES))
def test_the_form_of_an_example(example: Shipped) -> None:
    text = example.path.read_text("utf-8")
    tree = ast.parse(text)
    assert SIZE in text, "the size is picked by this line"
    assert any(isinstance(node, ast.Assert) for node in tree.body), "no number is checked"
    assert "# %%" in text and "plt." in text
    assert "__main__" not in text and "argparse" not in text
    assert max(map(len, text.splitlines())) <= 100
    # What users can use: names of the package itself.
    imported = {
        node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)
    } | {a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names}
    assert "meanfield" in imported


@pytest.mark.parametrize("example", EXAMPLES, ids=names(EXAMPLES))
def test_a_figure_is_drawn_in_one_block(example: Shipped) -> None:
    """The gallery takes it after the block that begins it: what comes later is not in the page."""
    blocks = re.split(r"^# %%.*$", example.path.read_text("utf-8"), flags=re.M)
    axes: set[str] = set()  # of the blocks before
    for block in blocks:
        tree = ast.parse(block)
        loaded, stored = (
            {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, kind)}
            for kind in (ast.Load, ast.Store)
        )
        assert not (loaded - stored) & axes
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and "plt.subplots(" in ast.unparse(node.value):
                axes |= {n.id for n in ast.walk(node.targets[0]) if isinstance(n, ast.Name)}


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES, ids=names(EXAMPLES))
def test_an_example_finds_its_number(example: Shipped, tmp_path: Path) -> None:
    """At small size, in a process of its own, without a display; leaves nothing where it runs.

    .ci/run leaves this out (by its name): there the documentation runs the same scripts.
    """
    kept = {name: value for name, value in os.environ.items() if name != "DISPLAY"}
    paths = filter(None, (str(ROOT), kept.get("PYTHONPATH")))
    ended = subprocess.run(
        [sys.executable, "-W", "error::SyntaxWarning", str(example.path)],
        cwd=tmp_path,
        env={**kept, "MEANFIELD_EXAMPLE": "small", "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert ended.returncode == 0, f"{ended.stdout}\n{ended.stderr}"
    assert list(tmp_path.iterdir()) == []
