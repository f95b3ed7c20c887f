"""What a terminal shows and a file does not: colour, and lines that fit its width; by rich.

A terminal that knows nothing of layouts (TERM=dumb), a pipe and a file get plain text; NO_COLOR
takes colour away, FORCE_COLOR has a pipe treated as a terminal. Rich is loaded when it is needed.
Knows no verb.
"""

from __future__ import annotations

import io
import os
import re
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TextIO

from meanfield.cli.layout import columns
from meanfield.surroundings import is_terminal

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from meanfield.studies.grid import Grid

__all__ = ["coloured", "grids", "laid_out", "marked", "pairs", "texts", "usage"]

_NAME, _HEAD, _KEY, _BAD, _ODD = "cyan", "bold", "cyan", "red", "yellow"
_ANSI = {_BAD: "31", _ODD: "33"}
_FILLED = 100  # letters of a line of help, as texts are filled where nobody looks
_LEAST = 24  # letters beside a name; for fewer a text stands below it


def laid_out(stream: TextIO | None) -> bool:
    """Whether what is written there is laid out for somebody who looks."""
    if os.environ.get("FORCE_COLOR"):
        return stream is not None and not stream.closed
    return os.environ.get("TERM") != "dumb" and is_terminal(stream)


def coloured(stream: TextIO | None) -> bool:
    """Whether it is in colour as well."""
    return laid_out(stream) and not os.environ.get("NO_COLOR")


def marked(text: str, stream: TextIO | None) -> str:
    """A complaint; the first word is in colour where there is some. Without rich: it may be what
    is missing.
    """
    found = re.match(r"(warning|error|broken invariant)(?=:)", text)
    if found is None or not coloured(stream):
        return text
    code = _ANSI[_ODD if found[1] == "warning" else _BAD]
    return f"\033[{code}m{found[1]}\033[0m{text[found.end() :]}"


def _rendered(parts: Sequence[RenderableType], stream: TextIO | None) -> str:
    from rich.console import Console
    from rich.text import Text

    console = Console(
        file=io.StringIO(),
        width=max(columns(), 20),
        force_terminal=True,
        color_system="standard" if coloured(stream) else None,
        highlight=False,
        emoji=False,
        markup=False,
        legacy_windows=False,
    )
    for part in parts:
        # Words that are longer than a line, such as paths, stay whole: they are copied.
        console.print(part, soft_wrap=isinstance(part, str | Text))
    made = console.file.getvalue() if isinstance(console.file, io.StringIO) else ""
    return "\n".join(line.rstrip() for line in made.splitlines())


def _filled(text: str, width: int, hanging: str = "") -> list[str]:
    return textwrap.wrap(
        text, max(width, 10), subsequent_indent=hanging,
        break_long_words=False, break_on_hyphens=False,
    ) or [""]  # fmt: skip


# ------------------------------------------------------------------ names and texts


def pairs(rows: Sequence[tuple[str, str]], stream: TextIO | None) -> str:
    """One name a line, its text beside it, as many lines as that takes."""
    width = max(len(name) for name, _ in rows) + 2
    narrow = columns() - width < _LEAST
    lines: list[Text] = []
    last = ""
    for name, text in rows:
        last = name or last
        lines += _pair(name, text, 2 if narrow else width, _tone(last, text), narrow)
    return _rendered(lines, stream)


def _pair(name: str, text: str, indent: int, tone: str, below: bool) -> Iterator[Text]:
    from rich.text import Text

    first, *others = _filled(text, columns() - indent)
    if below and name:
        yield Text(name, style=_NAME)
        yield Text(indent * " " + first, style=tone)
    else:
        yield Text.assemble((f"{name:<{indent}}", _NAME), (first, tone))
    for line in others:
        yield Text(indent * " " + line, style=tone)


def _tone(name: str, text: str) -> str:
    """The colour of a text: for what is wrong, and what should be known."""
    if text.startswith("REFUSED") or "(REFUSED" in text:
        return _BAD
    if name in ("failed", "stopped") and text.startswith(("broken", "failed")):
        return _BAD
    return _ODD if name in ("warning", "warnings") and text != "none" else ""


# ------------------------------------------------------------------ tables


def grids(parts: Sequence[Grid | str], stream: TextIO | None) -> str:
    """Tables and texts. A table that is too wide is turned: one line for each of its columns."""
    shown: list[RenderableType] = []
    for part in parts:
        if isinstance(part, str):
            shown += _filled(part, columns(), "  ")
        else:
            shown += _grid(part)
    return _rendered(shown, stream)


def _grid(grid: Grid) -> Iterator[RenderableType]:
    widths = [max(map(len, column)) for column in zip(grid.heads, *grid.rows, strict=True)]
    if sum(widths) + 2 * (len(widths) - 1) <= columns():
        last = len(widths) - 1
        left = [grid.open_end and k == last for k in range(len(widths))]
        yield _table(grid.heads, grid.rows, left, named=False)
        return
    names, width = max(map(len, grid.heads)), 2 + max(len(w) for row in grid.rows for w in row)
    many = max((columns() - names) // width, 1)
    for begin in range(0, len(grid.rows), many):
        some = grid.rows[begin : begin + many]
        turned = [(head, *(row[k] for row in some)) for k, head in enumerate(grid.heads)]
        if begin:
            yield ""
        yield _table(turned[0], turned[1:], [True, *[False] * len(some)], named=True)


def _table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[bool], named: bool
) -> RenderableType:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style=_HEAD)
    for k, head in enumerate(heads):
        justify = "left" if left[k] else "right"
        style = _NAME if named and k == 0 else ""
        table.add_column(head, justify=justify, style=style, no_wrap=True)  # type: ignore[arg-type]
    for row in rows:
        table.add_row(*row)
    return table


# ------------------------------------------------------------------ help


def texts(lines: Sequence[str], stream: TextIO | None) -> str:
    """Texts of ``meanfield help``, filled again where lines are shorter; what they explain is
    marked: lines at the margin, and names before a colon.
    """
    from rich.text import Text

    shown = []
    for line in _unfilled(lines):
        indent = line[: len(line) - len(line.lstrip())]
        hanging = f"{indent}    " if re.match(r" *[\w.]+: ", line) else indent
        for k, part in enumerate(_filled(line, min(columns(), _FILLED), hanging)):
            text = Text(part)
            if k == 0:
                text.highlight_regex(r"^[^\s(].*?(?=  |$)", _HEAD)
                text.highlight_regex(r"^ +[\w.]+(?=: )", _KEY)
                text.highlight_regex(r"(?<=^  for example ).*", _KEY)
            shown.append(text)
    return _rendered(shown, stream)


def _unfilled(lines: Sequence[str]) -> list[str]:
    """Lines of one paragraph as one: those to which the first word of the next did not fit."""
    found: list[str] = []
    last = ""
    for line in lines:
        indent = len(line) - len(line.lstrip())
        goes_on = (
            bool(found and line.strip() and last.strip())
            and indent > 0
            and indent == len(last) - len(last.lstrip())
            and len(last) + 1 + len(line.split()[0]) > _FILLED
        )
        if goes_on:
            found[-1] += " " + line.strip()
        else:
            found.append(line)
        last = line
    return found


def usage(text: str, stream: TextIO | None) -> str:
    """The help of a verb, as it is laid out: headings and options are marked."""
    from rich.text import Text

    shown = Text(text)
    shown.highlight_regex(r"(?m)^(?:[a-z][a-z ]*:)(?=$| )", _HEAD)
    shown.highlight_regex(r"(?m)^  +(?:--?[A-Za-z][\w-]*(?:, --[\w-]+)?)", _KEY)
    shown.highlight_regex(r"(?m)^    (?:[a-z][\w-]*)(?=  |$)", _KEY)
    return _rendered([shown], stream)
