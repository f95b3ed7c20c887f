"""Inner products of pairs through time, of whatever is run: pairs.csv."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from meanfield.analysis.pairlaw import PairLaw
from meanfield.results.pairtable import PairWriter

__all__ = ["PairRecord", "degree_for"]

_FINE = 4  # degrees for each bin: those next to the poles are as narrow as 2/sqrt(bins)
_MOST_DEGREE = 256


def degree_for(bins: int, dimension: int, vertices: float = math.inf) -> int:
    """Degree up to which the power of a density is asked for.

    Args:
        bins: of the histogram.
        dimension: of the mesh.
        vertices: of a mesh that stays, which carries no more functions than these; inf: of points
            that hold the mass, whatever is between them.
    """
    carried = 0.5 * vertices if dimension == 1 else math.sqrt(vertices) - 1.0
    return max(8, int(min(_FINE * bins, _MOST_DEGREE, carried)))


class PairRecord:
    """Takes the law at each row of the series, and writes it on rank 0.

    Args:
        bins: of the histogram.
        law: of the current state; collective.
    """

    def __init__(self, bins: int, law: Callable[[], PairLaw]) -> None:
        self._bins, self._law = bins, law
        self._writer: PairWriter | None = None

    def open(self, path: Path, resume_at: float | None) -> None:
        """Open the file. Rank 0 only."""
        self._writer = PairWriter(path, self._bins, resume_at)

    def note(self, t: float) -> None:
        """Add the row of the current state. Collective."""
        found = self._law()
        if self._writer is not None:
            self._writer.write(t, found.shares, found.blur)

    def close(self) -> None:
        """Close the file."""
        if self._writer is not None:
            self._writer.close()
