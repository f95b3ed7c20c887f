"""Which columns of a table are the coordinates of tokens, and which one their weights: by name.

Knows names and lines of text; nothing of files and of what the numbers mean.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from meanfield.errors import InputError

__all__ = ["Columns", "Layout", "columns_of", "layout_of", "weight_column"]

_STEMS = (
    "points", "point", "position", "positions", "pos", "coordinates", "coordinate", "coords",
    "coord", "tokens", "token", "x", "",
)  # fmt: skip
"""What may stand before the number or letter of a coordinate, the likeliest first."""
_LETTERS = "xyzw"
_NUMBERED = re.compile(r"([a-z]*)[\s:_.\-\[(]*(\d+)[\])]?")
_LETTERED = re.compile(r"(?:([a-z]+)[\s:_.\-\[(]+)?([xyzw])[\])]?")
_WEIGHTS = ("mass", "masses", "weight", "weights", "w")
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+(e[+-]?\d+)?", re.IGNORECASE)


@dataclass(frozen=True)
class Columns:
    """Columns of a table.

    Attributes:
        coordinates: their places, in the order of the coordinates.
        weights: place of the weights; None: there are none.
        taken: both in words.
    """

    coordinates: tuple[int, ...]
    weights: int | None
    taken: str


class Layout(NamedTuple):
    """How the lines of a table are read: from which one on, apart by what, which columns.

    ``delimiter`` None: blanks.
    """

    first: int
    delimiter: str | None
    columns: Columns


def columns_of(names: Sequence[str], d: int) -> Columns:
    """Find d coordinates (for d = 2 also three, as of a plane in space) by their names.

    Raises:
        InputError: there are none, another number of them, or two of a name.
    """
    families = _families([name.strip().lower() for name in names], d)
    fitting = [f for f in families if len(f) == d or (d, len(f)) == (2, 3)]
    if not fitting:
        some = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
        many = f", {len(families[0])} coordinates" if families else ""
        raise InputError(
            f"the columns {some} found{many}, d = {d} coordinates expected by name: "
            f"{'x, y, z' if d == 3 else 'x, y' if d == 2 else f'x1 to x{d}'}, or Points:0 to "
            f"Points:{d - 1}"
        )
    places = fitting[0]
    weights = weight_column(names, places)
    taken = "columns " + ", ".join(names[i] for i in places)
    return Columns(places, weights, taken + _and_weights(names, weights))


def weight_column(names: Sequence[str], but: Sequence[int] = ()) -> int | None:
    """Place of the weights among names, ``but`` some; None: there are none.

    Raises:
        InputError: there are two.
    """
    found = [i for i, n in enumerate(names) if n.strip().lower() in _WEIGHTS and i not in but]
    if len(found) > 1:
        raise InputError(
            f"{' and '.join(names[i] for i in found)} found, one of them expected: the weights"
        )
    return found[0] if found else None


def _and_weights(names: Sequence[str], place: int | None) -> str:
    return "" if place is None else f"; weights {names[place]}"


def _families(names: Sequence[str], d: int) -> list[tuple[int, ...]]:
    """Places of what may be coordinates together, numbered from 0 or 1 without a gap."""
    found: dict[tuple[str, bool], dict[int, int]] = {}
    for place, name in enumerate(names):
        if numbered := _NUMBERED.fullmatch(name):
            stem, number, letters = numbered[1], int(numbered[2]), False
        elif lettered := _LETTERED.fullmatch(name):
            stem, number, letters = lettered[1] or "", _LETTERS.index(lettered[2]), True
            if number >= max(d, 3):
                continue
        else:
            continue
        family = found.setdefault((stem, letters), {})
        if number in family:
            raise InputError(f"two columns '{name}' found, one of each name expected")
        family[number] = place
    families = []
    for stem in _STEMS:
        for letters in (True, False):
            family = found.get((stem, letters), {})
            numbers = sorted(family)
            if numbers and numbers in (
                list(range(len(numbers))),
                list(range(1, len(numbers) + 1)),
            ):
                families.append(tuple(family[k] for k in numbers))
    return families


# ------------------------------------------------------------------ lines


def layout_of(lines: Sequence[str], d: int) -> Layout:
    """How a table is to be read.

    A first line that is no row of numbers is a header; so is the row of whole numbers 0, 1, ...
    that pandas writes for columns without names, and a comment (#) that names coordinates.

    Raises:
        InputError: a header that names no coordinates, or what may be one as well as a token.
    """
    filled = [i for i, line in enumerate(lines) if line.strip()]
    rows = [i for i in filled if not lines[i].lstrip().startswith("#")]
    if not rows:
        raise InputError("no rows found, one for each token expected")
    delimiter = next((mark for mark in "\t;," if mark in lines[rows[0]]), None)
    cells = _cells(lines[rows[0]], delimiter)
    if _is_header(cells, [lines[i] for i in rows[1:3]], delimiter):
        columns = columns_of(cells, d)
        first = rows[0] + 1
        cells = _cells(lines[rows[1]], delimiter) if len(rows) > 1 else []
    else:
        first = rows[0]
        comments = [lines[i].lstrip()[1:] for i in filled if i < first]
        columns = _from_comment(comments, delimiter, len(cells), d)
    if delimiter != "," and any(_DECIMAL_COMMA.fullmatch(cell) for cell in cells):
        raise InputError(f"numbers such as {cells[0]} found, decimal points expected")
    return Layout(first, delimiter, columns)


def _cells(line: str, delimiter: str | None) -> list[str]:
    if delimiter is None:
        return [cell.strip("\"'") for cell in line.split()]
    (cells,) = csv.reader([line], delimiter=delimiter, skipinitialspace=True)
    return [cell.strip().strip("\"'") for cell in cells]


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _is_header(cells: Sequence[str], after: Sequence[str], delimiter: str | None) -> bool:
    if not all(_is_number(cell) or _DECIMAL_COMMA.fullmatch(cell) for cell in cells):
        return True
    if list(cells) != [str(k) for k in range(len(cells))]:
        return False
    whole = [all(cell.lstrip("+-").isdigit() for cell in _cells(row, delimiter)) for row in after]
    if len(cells) == 2 and whole and all(whole):  # (0, 1) is a unit vector, too
        raise InputError(
            "a first row 0, 1 found, which may be a header or a token: expected a header x, y, or "
            "numbers with a decimal point"
        )
    return True


def _from_comment(comments: Sequence[str], delimiter: str | None, width: int, d: int) -> Columns:
    """By the last comment that has a name for each column; else the columns as they come."""
    for comment in reversed(comments):
        names = _cells(comment, delimiter)
        if len(names) == width and not all(_is_number(name) for name in names):
            try:
                return columns_of(names, d)
            except InputError:
                continue  # a comment like any other
    if width != d and (d, width) != (2, 3):
        raise InputError(
            f"{width} columns without a header found, {d} expected, or a header that names them, "
            "such as x1, ..."
        )
    return Columns(tuple(range(width)), None, f"columns 1 to {width}")
