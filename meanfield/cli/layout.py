"""How the help of a verb is laid out: to the width of the terminal, with commands that stay whole.

Texts are written by hand in lines of 100. Paragraphs are filled again. Indented lines are items: a
command, or a word, and after two blanks what is said of it. They stay as they are where all of
their block fits; else what is said of a command stands below it, and long commands go on after a
backslash, so that they can be copied.
"""

from __future__ import annotations

import argparse
import re
import shutil
import textwrap
from collections.abc import Iterator

__all__ = ["Layout", "columns"]

_NARROW = 14  # first column of what is said of words, of a command it is beyond
_WORDS = re.compile(r"(?:[^\s'\"]|'[^']*'|\"[^\"]*\")+")


def columns() -> int:
    """So many letters go into a line of the terminal."""
    return shutil.get_terminal_size().columns


class Layout(argparse.HelpFormatter):
    """Fills descriptions and epilogs."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        blocks = re.split(r"\n\s*\n", text.strip("\n"))
        return "\n\n".join("\n".join(_block(block, width)) for block in blocks)


def _block(block: str, width: int) -> Iterator[str]:
    """A paragraph, or items, with or without a line of their own above."""
    lines = block.splitlines()
    first = next((k for k, line in enumerate(lines) if line.startswith(" ")), len(lines))
    last = next((k for k in range(first, len(lines)) if lines[k][:1] != " "), len(lines))
    if lines[:first]:
        yield from _wrap(" ".join(lines[:first]), width)
    if all(len(line) <= width for line in lines[first:last]):
        yield from lines[first:last]
    else:
        for item in _items(lines[first:last]):
            yield from _item(*item, width)
    if lines[last:]:
        yield from _block("\n".join(lines[last:]), width)


def _items(lines: list[str]) -> Iterator[tuple[str, str, int]]:
    """Each with its command or word, what is said of it, and in which column."""
    text = re.sub(r" *\\\n +", " ", "\n".join(lines))
    text = re.sub(r"\n {3,}(?=\S)", "   ", text)  # goes on with the item above
    for line in text.splitlines():
        head, gap, rest = re.fullmatch(r"  (\S.*?)(?:(\s{2,})(\S.*))?", line).groups("")  # type: ignore[union-attr]
        yield head, re.sub(r"\s+", " ", rest), 2 + len(head) + len(gap)


def _item(head: str, rest: str, column: int, width: int) -> Iterator[str]:
    if rest and column <= _NARROW:
        yield from _wrap(rest, width, f"  {head}".ljust(column), column * " ")
        return
    line = " "
    for piece in _pieces(head, width):
        if len(line) + 1 + len(piece) > width - 2 and line.strip():
            yield f"{line} \\"
            line = 5 * " "
        line = f"{line} {piece}"
    yield line
    yield from _wrap(rest, width, "      # ", "      # ")


def _pieces(command: str, width: int) -> list[str]:
    """What stays in one line of a command: an option with its values, where they go into one."""
    pieces: list[list[str]] = []
    for word in _WORDS.findall(command):
        if pieces and pieces[-1][0].startswith("-") and not word.startswith("--"):
            pieces[-1].append(word)
        else:
            pieces.append([word])
    short = [len(" ".join(piece)) <= width - 8 for piece in pieces]
    return [
        text
        for piece, fits in zip(pieces, short, strict=True)
        for text in ([" ".join(piece)] if fits else piece)
    ]


def _wrap(text: str, width: int, first: str = "", others: str = "") -> list[str]:
    return textwrap.wrap(
        text, width, initial_indent=first, subsequent_indent=others,
        break_on_hyphens=False, break_long_words=False,
    )  # fmt: skip
