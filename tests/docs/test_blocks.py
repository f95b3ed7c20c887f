"""All code blocks of README.md and of the pages run."""

from __future__ import annotations

from pathlib import Path

import pytest
from blocks import PAGES, Block, PageError, blocks
from pagerun import Page
from processes import needs_dolfinx

QUICK = frozenset(
    {
        "README.md",
        *(f"docs/guide/{name}.md" for name in ("python", "diffusion", "pretrained")),
        "docs/howto/observer.md",
    }
)
"""Pages whose blocks take some seconds at most; the others are run by the slow tests."""


def _as_parameters() -> list[object]:
    return [
        pytest.param(page, marks=() if page in QUICK else pytest.mark.slow)
        for page in PAGES
        if blocks(page)
    ]


@needs_dolfinx
@pytest.mark.parametrize("page", _as_parameters())
def test_blocks_run(page: str, tmp_path: Path) -> None:
    Page(page, tmp_path).run(blocks(page))


def test_quick_pages_have_blocks() -> None:
    assert [page for page in QUICK if not blocks(page)] == []


WRONG = [
    ("echo a\ntrue && ls none |\n  cat\n", "sh", 4, "cannot access 'none'"),
    ("x=1\nfor k in 1 2; do\n  test $k = 1\ndone\n", "sh", 4, "test $k = 1"),
    ("pip install x\n", "sh", 2, "not run in a test"),
    ("scripts/env --kernel\n", "sh", 2, "sets up an environment"),
    ("x = 1\n\ny = x + z\n", "python", 4, "NameError"),
    ("import meanfield as mf\nmf.Sphere(-1)\n", "python", 3, "InputError"),
    ("[model]\nbetta = 2\n", "toml", 2, "betta"),
]


def test_a_substitution_gives_no_folder() -> None:
    added = Block("a.md", 2, "sh", "run a.toml\n", changes=(("a.toml", "a.toml -o b"),))
    with pytest.raises(PageError, match="the block itself has to have -o"):
        added.changed()
    kept = Block("a.md", 2, "sh", "run a.toml -o b\n", changes=(("-o b", "--set c=1 -o b"),))
    assert kept.changed() == "run a.toml --set c=1 -o b\n"


@pytest.mark.parametrize(("code", "language", "line", "said"), WRONG)
def test_what_fails_is_told_with_its_place(
    code: str, language: str, line: int, said: str, tmp_path: Path
) -> None:
    page = Page("a.md", tmp_path)
    with pytest.raises(PageError, match=rf"^a\.md:{line}: ") as caught:
        page.run([Block("a.md", 2, language, code)])
    assert said in str(caught.value)


def test_blocks_share_a_folder_and_names(tmp_path: Path) -> None:
    page = Page("a.md", tmp_path)
    page.run(
        [
            Block("a.md", 2, "python", "x = 2\nopen('x.txt', 'w').write('4')\n", then=("x == 2",)),
            Block(
                "a.md", 9, "sh", "scripts/env test $(cat x.txt) = 4\nscripts/env pytest -m slow\n"
            ),
            Block(
                "a.md", 12, "sh", "echo 'y = 5' > y.py; exit 2\n", exit=2, then=("test -s y.py",)
            ),
            Block("a.md", 15, "python", "import y\nx += y.y\n", then=("x == 7",)),
            Block("a.md", 20, "python", "import meanfield as mf\nmf.Sphere(-1)\n", exit=2),
            Block("a.md", 25, "toml", "[model]\nbeta = 3.0\n", file="part.toml"),
            Block("a.md", 30, "sh", "cmp part.toml <(printf '[model]\\nbeta = 3.0\\n')\n"),
            Block("a.md", 35, "toml", "[[rule]]\nkeys = []\n", file=".taplo.toml"),
            Block("a.md", 40, "sh", "docker run x\n", not_run="Docker"),
        ]
    )
    assert page.left_out == ["scripts/env pytest -m slow"]
