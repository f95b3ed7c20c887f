"""Code blocks of the pages, and what the comments before them tell a test to do.

A page is README.md or a file of docs/. Its fences in ``sh`` (or ``bash``), ``python`` and ``toml``
are run by ``pagerun.Page`` in their order. Directives are HTML comments right before a fence::

    <!-- test: OLD => NEW -->          a literal substitution in the block; may be repeated
    <!-- test: first: COMMAND -->      a shell command that is run before it
    <!-- test: then: EXPRESSION -->    after a python block an expression that must be true,
                                       after a sh block a command that must succeed
    <!-- test: file: NAME -->          the block is written as a file, and not run; ``toml`` with
                                       [geometry] or [model] is read as a case, too
    <!-- test: exit 2 -->              the exit code that is expected (python: an InputError)
    <!-- test: not run: REASON -->     not run, its syntax is checked only; REASON names one of
                                       ``REASONS``

One that would be dropped, as nothing runs after which it could be asked, is a ``PageError``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

from markdown_it import MarkdownIt
from markdown_it.token import Token
from processes import ROOT

__all__ = ["MADE", "PAGES", "REASONS", "RUN", "Block", "PageError", "blocks", "fences", "tokens"]

MADE = ("docs/_build/", "docs/gallery/", "docs/reference/generated/")
"""What the documentation's build writes; none of it is kept."""

PAGES = tuple(
    sorted(
        name
        for path in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md"))
        if not (name := str(path.relative_to(ROOT))).startswith(MADE)
    )
)
"""README.md and the pages, as paths from the root."""

RUN = {"sh": "sh", "bash": "sh", "shell": "sh", "python": "python", "py": "python", "toml": "toml"}
"""Languages of blocks that are run, or read."""

REASONS = (
    "Docker", "conda", "pixi", "Slurm", "ParaView", "Windows", "download", "installs", "editor",
    "hour", "minutes", "Jupyter", "torch", "window", "the tests", "the documentation", "of a model",
    "takes away",
)  # fmt: skip
"""What a test cannot have, or what would run itself in it: one of these words is in each reason."""

_CODE = ("{code-block}", "{code}", "{sourcecode}")
_LEAVES = (
    "{toctree}", "{math}", "{include}", "{literalinclude}", "{figure}", "{image}", "{eval-rst}",
    "{raw}", "{parsed-literal}", "{list-table}", "{csv-table}", "{contents}",
)  # fmt: skip


class PageError(AssertionError):
    """Something in a page is wrong: where, and what."""

    def __init__(self, page: str, line: int, what: str) -> None:
        super().__init__(f"{page}:{line}: {what}")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Attributes:
        page, line: where its first line of code stands (line from 1).
        language: the word after the fence, of ``{code-block}`` its argument.
        code: as it stands in the page, without the indentation of a list.
        changes: literal substitutions (old, new) that a test makes.
        first, then: commands before it, and what must hold after it.
        file: the name under which it is written, "" if it is run.
        exit: the exit code that is expected.
        not_run: why it is not run; "": it is.
    """

    page: str
    line: int
    language: str
    code: str
    changes: tuple[tuple[str, str], ...] = ()
    first: tuple[str, ...] = ()
    then: tuple[str, ...] = ()
    file: str = ""
    exit: int = 0
    not_run: str = ""

    @property
    def kind(self) -> str:
        """How it is run: "sh", "python", "toml", or "" (not at all)."""
        return RUN.get(self.language, "")

    def changed(self) -> str:
        """The code that is run. A substitution without a place, or with an -o: a PageError."""
        code = self.code
        for old, new in self.changes:
            if old not in code:
                raise PageError(self.page, self.line, f"nothing to substitute: {old!r}")
            if "-o" in new.split() and "-o" not in old.split():
                # Without it the block may write twice in one folder, which a reader is refused.
                raise PageError(self.page, self.line, f"the block itself has to have -o: {new!r}")
            code = code.replace(old, new)
        return code

    def directed(self, text: str) -> Block:
        """The block with one more directive, the text after ``test:``."""
        word, _, rest = (part.strip() for part in text.partition(":"))
        match word:
            case "first" if rest:
                return replace(self, first=(*self.first, rest))
            case "then" if rest:
                return replace(self, then=(*self.then, rest))
            case "file" if rest and not self.file:
                return replace(self, file=rest)
            case "not run" if rest and not self.not_run:
                return replace(self, not_run=rest)
        if code := re.fullmatch(r"exit (\d+)", text):
            return replace(self, exit=int(code[1]))
        old, arrow, new = text.partition("=>")
        if arrow and old.strip():
            return replace(self, changes=(*self.changes, (old.strip(), new.strip())))
        raise PageError(self.page, self.line, f"no directive: {text!r}")

    def checked(self) -> Block:
        """Itself, if each of its directives has a use; else a PageError."""
        written = self.file and self.kind != "toml"
        idle = {
            "then": self.then and (self.file or self.not_run or self.kind in ("toml", "")),
            "exit": self.exit and (written or self.not_run or not self.kind),
            "first": self.first and (self.not_run or not self.kind),
            "not run": self.not_run and (written or not self.kind),
        }
        for word, dropped in idle.items():
            if dropped:
                what = "that is only written or read" if not self.not_run else "that is not run"
                raise PageError(self.page, self.line, f"{word!r} has no use with a block {what}")
        return self


@cache
def tokens(page: str) -> tuple[Token, ...]:
    """A page as markdown-it reads it."""
    return tuple(MarkdownIt("commonmark").parse((ROOT / page).read_text("utf-8")))


def _directives(token: Token) -> list[str]:
    return re.findall(r"<!--\s*test:(.*?)-->", token.content, re.S)


def fences(page: str) -> Iterator[Block]:
    """All blocks of a page that show something, in their order, also inside of containers."""
    return _within(page, tokens(page), 0)


def _within(page: str, found: tuple[Token, ...], offset: int) -> Iterator[Block]:
    waiting: list[str] = []
    for token in found:
        line = offset + (token.map[0] if token.map else 0) + 1
        if token.type == "html_block":
            waiting += [text.strip() for text in _directives(token)]
            continue
        if token.type != "fence":
            if waiting:
                raise PageError(page, line, f"a directive without a block: {waiting}")
            continue
        word, _, argument = token.info.strip().partition(" ")
        if word in _CODE:
            word = argument.strip()
        elif word.startswith("{"):
            if waiting:
                raise PageError(page, line, f"a directive before {word}: {waiting}")
            if word not in _LEAVES:
                inner = MarkdownIt("commonmark").parse(token.content)
                yield from _within(page, tuple(inner), line)
            continue
        block = Block(page, line + 1, word, token.content)
        for text in waiting:
            block = block.directed(text)
        waiting = []
        yield block.checked()
    if waiting:
        raise PageError(page, offset, f"a directive without a block: {waiting}")


def blocks(page: str) -> list[Block]:
    """Those that a test runs or reads, or is told not to."""
    return [block for block in fences(page) if block.kind or block.file]
