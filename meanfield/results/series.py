"""The series of a run: rows of numbers against time in a CSV file, whole row by whole row.

Owns the format. Knows nothing of what the columns mean, and of folders.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from meanfield.errors import InputError
from meanfield.geometry.sphere import Array
from meanfield.software import load_pandas
from meanfield.whole import naming, write_text

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = [
    "SAME",
    "Changed",
    "Series",
    "SeriesWriter",
    "check_columns",
    "read_series",
    "whole_rows",
]


class Series(dict[str, Array]):
    """Columns of numbers against time, (rows,) each, by their names: a dictionary.

    Example:
        >>> Series(t=np.array([0.0, 0.5]), energy=np.array([1.0, 1.2]))
        Series of 2 rows: t, energy
    """

    def to_pandas(self) -> DataFrame:
        """A table of pandas with the same columns, in their order; a row for each time.

        Raises:
            InputError: there is no pandas.
        """
        frame: DataFrame = load_pandas().DataFrame(dict(self))
        return frame

    def __repr__(self) -> str:
        rows = len(next(iter(self.values()), ()))
        return f"Series of {rows} rows: {', '.join(self)}"


@dataclass(frozen=True)
class Changed:
    """In which columns the series of an earlier version may differ from what is written now.

    Attributes:
        retired: it may have them, where they are written no longer.
        added: it may not have them yet.
    """

    retired: Collection[str] = ()
    added: Collection[str] = ()


SAME = Changed()
"""In none."""


@dataclass(frozen=True)
class _Lines:
    """What is in a file: a header and rows, each ended by a line break; and what is after them.

    A killed run may leave half a row, and a machine that lost its power a tail of NUL bytes.
    """

    header: str
    rows: list[str]
    rest: int  # bytes

    @classmethod
    def of(cls, path: Path) -> _Lines:
        data = path.read_bytes()
        whole = data[: data.rfind(b"\n", 0, data.find(b"\0") if b"\0" in data else len(data)) + 1]
        header, *rows = whole.decode("utf-8", errors="replace").split("\n")[:-1] or [""]
        return cls(header, rows, len(data) - len(whole))


def whole_rows(path: Path, until: float) -> int:
    """Number of rows up to a time, this included, before the first one that is damaged.

    Zero, if there is no series.
    """
    return len(_kept(_Lines.of(path), until)) if path.is_file() else 0


def _kept(lines: _Lines, until: float) -> list[str]:
    kept: list[str] = []
    for row in lines.rows:
        try:
            t, *_ = numbers = [float(value) for value in row.split(",")]
        except ValueError:
            break
        if len(numbers) != lines.header.count(",") + 1 or not t <= until:
            break
        kept.append(row)
    return kept


def _former(path: Path, header: str, columns: Sequence[str], changed: Changed) -> list[str]:
    """Columns of a file that are written no longer, all of them retired.

    Raises:
        InputError: the columns differ in anything else, but for those that were not written yet.
    """
    found = header.split(",")
    more, less = ([n for n in a if n not in b] for a, b in ((found, columns), (columns, found)))
    same = [n for n in found if n not in more] == [n for n in columns if n not in less]
    if same and set(more) <= set(changed.retired) and set(less) <= set(changed.added):
        return more
    differ = [f"also '{name}'" for name in more] + [f"no '{name}'" for name in less]
    raise InputError(
        f"{path} has other columns than this run writes ({', '.join(differ) or 'another order'}): "
        "resume with the observers and the version that it was begun with, or start again with "
        "--overwrite"
    )


def check_columns(path: Path, columns: Sequence[str], changed: Changed = SAME) -> None:
    """Refuse to go on with a series of other columns, before anything is written.

    Args:
        path: the file.
        columns: that are to be written.
        changed: in which columns the file may differ.

    Raises:
        InputError: names what differs.
    """
    if path.is_file():
        _former(path, _Lines.of(path).header or ",".join(columns), columns, changed)


class SeriesWriter:
    """Append rows of numbers to a CSV file, flushed row by row, exact to the last bit.

    Args:
        path: the file.
        columns: names; the first one is the time ``t``.
        resume_at: go on with an existing file: rows later than this time are cut off (a row at
            exactly this time stays, so do not write it again), and so is what is damaged. None:
            start a new file.
        changed: in which columns the file may differ: those that are retired are dropped from it,
            those that were added have nan in its rows.

    Attributes:
        rows: number of rows in the file.
        last: the last one of those that were there; None: there were none.
        cut: what was cut off, in words; "" for nothing.
        dropped: columns that were there and are retired.

    Raises:
        InputError: the file to go on with has other columns.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        columns: Iterable[str],
        resume_at: float | None = None,
        changed: Changed = SAME,
    ) -> None:
        self.path = Path(path)
        self.columns = tuple(columns)
        self.cut = ""
        self.dropped: tuple[str, ...] = ()
        if not self.columns or self.columns[0] != "t":
            raise ValueError(f"expected columns that start with 't', found {self.columns}")
        kept: list[str] = []
        if resume_at is not None and self.path.exists():
            lines = _Lines.of(self.path)
            kept = _kept(lines, resume_at)
            self.cut = _cut(len(lines.rows) - len(kept), lines.rest)
            if lines.header or lines.rows:
                self.dropped = tuple(_former(self.path, lines.header, self.columns, changed))
                kept = _as_columns(kept, lines.header, self.columns)
        self.rows = len(kept)
        self.last: dict[str, float] | None = None
        if kept:
            self.last = dict(zip(self.columns, map(float, kept[-1].split(",")), strict=True))
        write_text(self.path, "".join(f"{line}\n" for line in [",".join(self.columns), *kept]))
        self._file = open(self.path, "a", encoding="utf-8")

    def write(self, row: Mapping[str, float]) -> None:
        """Append one row.

        Raises:
            ValueError: a column is missing or unknown.
        """
        if set(row) != set(self.columns):
            missing = sorted(set(self.columns) - set(row))
            unknown = sorted(set(row) - set(self.columns))
            raise ValueError(f"a row of the series lacks {missing} and has unknown {unknown}")
        with naming(self.path):
            self._file.write(",".join(f"{row[name]:.17g}" for name in self.columns) + "\n")
            self._file.flush()
        self.rows += 1

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._file.close()

    def __enter__(self) -> SeriesWriter:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _as_columns(rows: list[str], header: str, columns: Sequence[str]) -> list[str]:
    """Rows of a header as rows of some columns; nan where it has none of the name."""
    found = header.split(",")
    if found == list(columns):
        return rows
    cells = [dict(zip(found, row.split(","), strict=True)) for row in rows]
    return [",".join(row.get(name, "nan") for name in columns) for row in cells]


def _cut(rows: int, rest: int) -> str:
    parts = [f"{rows} rows"] if rows else []
    return " and ".join([*parts, *([f"a damaged end of {rest} bytes"] if rest else [])])


def read_series(path: Path) -> dict[str, Array]:
    """Read a series: one array (rows,) for each column; half a last row is left out.

    Raises:
        InputError: it is damaged.
    """
    lines = _Lines.of(path)
    columns = lines.header.split(",")
    try:
        table = np.array([[float(v) for v in row.split(",")] for row in lines.rows])
        table = table.reshape(len(lines.rows), len(columns))
    except ValueError as error:
        raise InputError(f"{path} is damaged: {error}") from None
    return {name: np.ascontiguousarray(table[:, k]) for k, name in enumerate(columns)}
