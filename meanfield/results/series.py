"""The series of a run: rows of numbers against time in a CSV file, whole row by whole row.

Owns the format. Knows nothing of what the columns mean, and of folders.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from meanfield.errors import InputError
from meanfield.geometry.sphere import Array
from meanfield.whole import write_text

__all__ = ["SeriesWriter", "check_columns", "read_series"]


def _complete_lines(path: Path) -> list[str]:
    """Lines of a text file that end in a line break: a killed run may leave half a row."""
    return [line[:-1] for line in path.read_text("utf-8").splitlines(True) if line.endswith("\n")]


def _refuse_header(path: Path, header: str, columns: Sequence[str]) -> None:
    found = header.split(",")
    if found == list(columns):
        return
    more, less = ([n for n in a if n not in b] for a, b in ((found, columns), (columns, found)))
    differ = [f"also '{name}'" for name in more] + [f"no '{name}'" for name in less]
    raise InputError(
        f"{path} has other columns than this run writes ({', '.join(differ) or 'another order'}): "
        "resume with the observers and the version that it was begun with, or start again with "
        "--overwrite"
    )


def check_columns(path: Path, columns: Sequence[str]) -> None:
    """Refuse to go on with a series of other columns, before anything is written.

    Raises:
        InputError: names what differs.
    """
    if path.is_file():
        header, *_ = _complete_lines(path) or [",".join(columns)]
        _refuse_header(path, header, columns)


class SeriesWriter:
    """Append rows of numbers to a CSV file, flushed row by row, exact to the last bit.

    Args:
        path: the file.
        columns: names; the first one is the time ``t``.
        resume_at: go on with an existing file: rows later than this time are cut off (a row at
            exactly this time stays, so do not write it again). None: start a new file.

    Raises:
        InputError: the file to go on with has other columns.
    """

    def __init__(
        self, path: str | os.PathLike[str], columns: Iterable[str], resume_at: float | None = None
    ) -> None:
        self.path = Path(path)
        self.columns = tuple(columns)
        if not self.columns or self.columns[0] != "t":
            raise ValueError(f"expected columns that start with 't', found {self.columns}")
        kept: list[str] = []
        if resume_at is not None and self.path.exists():
            header, *rows = _complete_lines(self.path) or [""]
            _refuse_header(self.path, header, self.columns)
            kept = [row for row in rows if float(row.split(",", 1)[0]) <= resume_at]
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
        self._file.write(",".join(f"{row[name]:.17g}" for name in self.columns) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._file.close()

    def __enter__(self) -> SeriesWriter:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def read_series(path: Path) -> dict[str, Array]:
    """Read a series: one array (rows,) for each column; half a last row is left out.

    Raises:
        InputError: it is damaged.
    """
    header, *rows = _complete_lines(path) or [""]
    columns = header.split(",")
    try:
        table = np.array([[float(v) for v in row.split(",")] for row in rows])
        table = table.reshape(len(rows), len(columns))
    except ValueError as error:
        raise InputError(f"{path} is damaged: {error}") from None
    return {name: np.ascontiguousarray(table[:, k]) for k, name in enumerate(columns)}
