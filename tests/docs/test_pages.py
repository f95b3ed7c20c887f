"""Beside blocks that run, pages have nothing that looks like a command and is not tested."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from blocks import PAGES, REASONS, RUN, PageError, blocks, fences, tokens
from markdown_it import MarkdownIt
from markdown_it.token import Token
from processes import ROOT

import meanfield as mf
from meanfield import cli

SHOWN = {"text", "console", "json", "none", "csv", "yaml", "ini", "bibtex", "xml", "make", "vega"}
"""Languages of blocks that are only shown."""
LIKE_CODE = re.compile(
    r"^\s*(?:\$ |>>> |scripts/env |meanfield [a-z]|import |from \w+ import )", re.M
)

OWN = """\
<!-- test: 5 => 1 -->
<!-- test: first: touch a -->
```sh
sleep 5
```

* in a list

  <!-- test: not run: Docker is not there -->
  ```bash
  docker run x
  ```

````{tab-set}
```{code-block} python
x = 1
```
````
"""


def test_how_a_page_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blocks.tokens", lambda _: tuple(MarkdownIt("commonmark").parse(OWN)))
    first, second, third = blocks("page")
    assert (first.line, first.kind, first.code) == (4, "sh", "sleep 5\n")
    assert first.changed() == "sleep 1\n" and first.first == ("touch a",)
    assert (second.line, second.language, second.kind) == (11, "bash", "sh")
    assert second.not_run == "Docker is not there" and second.code == "docker run x\n"
    assert (third.line, third.kind, third.code) == (16, "python", "x = 1\n")
    with pytest.raises(PageError, match="page:4: nothing to substitute: '7'"):
        first.directed("7 => 8").changed()
    with pytest.raises(PageError, match="no directive: 'not run:'"):
        first.directed("not run:")
    for text in (
        "<!-- test: 5 => 1 -->\nwords\n",
        "<!-- test: 5 => 1 -->\n",
        "<!-- test: a => b -->\n\n# T\n",
    ):
        monkeypatch.setattr("blocks.tokens", lambda _, t=text: tuple(MarkdownIt().parse(t)))
        with pytest.raises(PageError, match="a directive without a block"):
            blocks("page")


@pytest.mark.parametrize(
    ("directives", "fence"),
    [
        (("file: a.py", "then: x == 1"), "python"),
        (("file: a.py", "exit 2"), "python"),
        (("file: a.sh", "then: test -f b"), "sh"),
        (("file: a.sh", "exit 3"), "sh"),
        (("file: a.txt", "exit 3"), "text"),
        (("then: True",), "toml"),
        (("not run: Docker is not there", "exit 1"), "sh"),
        (("file: a.sh", "not run: Docker is not there"), "sh"),
    ],
)
def test_directives_that_would_be_dropped_are_refused(
    directives: tuple[str, ...], fence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "".join(f"<!-- test: {one} -->\n" for one in directives) + f"```{fence}\nx = 1\n```\n"
    monkeypatch.setattr("blocks.tokens", lambda _: tuple(MarkdownIt("commonmark").parse(text)))
    with pytest.raises(PageError, match="has no use with a block"):
        list(fences("page"))


@pytest.mark.parametrize("page", PAGES)
def test_directives_have_their_use(page: str) -> None:
    for block in blocks(page):
        block.changed()
        where = f"{block.page}:{block.line}"
        if block.not_run:
            assert any(word in block.not_run for word in REASONS), (where, block.not_run, REASONS)
    told = sum(
        len(b.changes) + len(b.first) + len(b.then) + bool(b.file) + bool(b.exit) + bool(b.not_run)
        for b in fences(page)
    )
    assert (ROOT / page).read_text("utf-8").count("<!-- test:") == told, "one is not found"


def test_most_blocks_are_run() -> None:
    found = [block for page in PAGES for block in blocks(page)]
    left = [block for block in found if block.not_run]
    assert len(found) >= 15
    assert len(left) <= len(found) / 4, [(b.page, b.line, b.not_run) for b in left]


@pytest.mark.parametrize("page", PAGES)
def test_no_command_is_outside_of_such_blocks(page: str) -> None:
    for token in tokens(page):
        line = token.map[0] + 1 if token.map else 0
        assert token.type != "code_block", f"{page}:{line}: an indented block: make it a fence"
    for block in fences(page):
        where = f"{block.page}:{block.line}"
        if block.language in RUN:
            continue
        assert block.language in SHOWN | {""}, f"{where}: in which language is {block.language}?"
        found = LIKE_CODE.search(block.code)
        assert found is None or block.file, (
            f"{where}: {found[0]!r} stands in a block that is not run"
        )


def _inline(found: tuple[Token, ...]) -> Iterator[str]:
    for token in found:
        if token.type == "code_inline":
            yield token.content
        yield from _inline(tuple(token.children or ()))


COMMANDS = [
    (page, text.removeprefix("scripts/env "))
    for page in PAGES
    for text in dict.fromkeys(_inline(tokens(page)))
    if re.match(r"(?:scripts/env )?meanfield ", text)
]


def test_commands_within_a_line_are_understood(capsys: pytest.CaptureFixture[str]) -> None:
    """Verbs and options of `meanfield ...` in texts and tables are those that there are."""
    assert len(COMMANDS) > 30
    helps: dict[str, str] = {}

    def told(*words: str) -> str:
        assert cli.main([*words, "--help"]) == 0
        return capsys.readouterr().out

    def listed(text: str) -> list[str]:
        names = re.search(r"^(?:verbs|tasks|kinds):\n(.*?)\n(?:\n|\Z)", text, re.M | re.S)
        return re.findall(r"^    (\w[\w-]*)", names[1], re.M) if names else []

    every = told()
    verbs = listed(every)
    wrong = []
    for page, command in COMMANDS:
        verb, *rest = command.split()[1:]
        if verb.startswith("-"):
            verb, rest, helps[""] = "", [verb, *rest], every
        elif verb.isupper():
            continue
        elif verb in verbs and verb not in helps:
            text = told(verb)
            helps[verb] = text + "".join(told(verb, kind) for kind in listed(text))
        known = re.findall(r"(?<![\w-])--?[a-z][\w-]*", helps.get(verb, ""))
        options = [w.partition("=")[0] for w in rest if re.match(r"--?[a-z]", w)]
        if verb not in helps or not {*options} <= {*known}:
            wrong.append((page, command))
    assert wrong == []


def test_names_of_the_package_within_a_line_are_there() -> None:
    wrong = []
    for page in PAGES:
        for text in _inline(tokens(page)):
            for name in re.findall(r"(?<![\w.])mf\.([A-Za-z_]\w*)", text):
                if name not in mf.__all__:
                    wrong.append((page, text))
    assert wrong == []
