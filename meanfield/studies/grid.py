"""A table of columns for people: its words, and how a file or a pipe has them. Knows no screen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Grid", "plain_lines"]


@dataclass(frozen=True)
class Grid:
    """Rows of words below heads; all to the right, but the last column where ``open_end`` says so.

    Attributes:
        heads: a word for each column.
        rows: words for each column.
        widths: the least width of each column; none: 0.
        gaps: blanks before each column, the first one's too; none: 2, before the first 0.
        open_end: whether the last column is to the left, without an end.
    """

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    widths: tuple[int, ...] = ()
    gaps: tuple[int, ...] = ()
    open_end: bool = False

    def lines(self) -> list[str]:
        """One row a line, however long it gets."""
        table = (self.heads, *self.rows)
        least = self.widths or (0,) * len(self.heads)
        gaps = self.gaps or (0, *[2] * (len(self.heads) - 1))
        widths = [max(n, *(len(row[k]) for row in table)) for k, n in enumerate(least)]
        if self.open_end:
            widths[-1] = 0
        return [_line(row, widths, gaps) for row in table]


def plain_lines(parts: Sequence[Grid | str]) -> list[str]:
    """Tables and texts, as they are."""
    return [line for part in parts for line in (part.lines() if isinstance(part, Grid) else [part])]


def _line(row: Sequence[str], widths: Sequence[int], gaps: Sequence[int]) -> str:
    cells = zip(row, widths, gaps, strict=True)
    return "".join(gap * " " + f"{word:>{width}}" for word, width, gap in cells)
