"""pairs.csv: how inner products of pairs are distributed, through time.

A series like series.csv: a row a time, with the shares of all pairs in bins of equal width.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from meanfield.errors import InputError
from meanfield.geometry.sphere import Array
from meanfield.results.series import SeriesWriter, read_series

__all__ = ["PAIRS_FILE", "PairTable", "PairWriter"]

PAIRS_FILE = "pairs.csv"


class PairWriter:
    """Writes the file row by row.

    Args:
        path: of the file.
        bins: how many there are.
        resume_at: as for ``SeriesWriter``.
    """

    def __init__(self, path: Path, bins: int, resume_at: float | None = None) -> None:
        self._names = [f"share_{k}" for k in range(1, bins + 1)]
        self._series = SeriesWriter(path, ["t", "blur", *self._names], resume_at)
        last = self._series.last
        self._until = -np.inf if last is None else last["t"]

    def write(self, t: float, shares: Array, blur: float) -> None:
        """Add a row, unless there is one at this time or a later one."""
        if t > self._until:
            row = dict(zip(self._names, map(float, shares), strict=True))
            self._series.write({"t": t, "blur": blur, **row})
            self._until = t

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._series.close()


@dataclass(frozen=True, eq=False)
class PairTable:
    """What is in the file.

    Attributes:
        t: (rows,) times.
        blur: (rows,) angle by which a density was smoothed first; 0: tokens, or not at all.
        shares: (rows, bins) shares of all pairs.
        edges: (bins + 1,) of the bins, from -1 to 1.
    """

    t: Array
    blur: Array
    shares: Array
    edges: Array

    @classmethod
    def read(cls, path: Path) -> PairTable:
        """Read the file.

        Raises:
            InputError: there is none, or it is damaged.
        """
        if not path.is_file():
            raise InputError(f"there is no file {path}: expected a run with output.pairs > 0")
        series = read_series(path)
        names = [name for name in series if name.startswith("share_")]
        if not {"t", "blur"} <= series.keys() or not names:
            raise InputError(
                f"{path} has the columns {', '.join(series)}, expected shares of pairs"
            )
        shares = np.stack([series[name] for name in names], axis=1)
        return cls(series["t"], series["blur"], shares, np.linspace(-1.0, 1.0, len(names) + 1))
