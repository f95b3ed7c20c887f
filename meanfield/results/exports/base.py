"""What is exported: the fields or the tokens of a run at some of its times, in one form for all.

Knows files of fields and of tokens; nothing of what they are exported to.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from meanfield.geometry.sphere import Array
from meanfield.results.formats import LOG10_FLOOR, FieldSeries, TokenSeries

__all__ = ["Data", "Exporter", "described"]

_WORDS = {
    "rho": "density relative to the uniform probability (uniform = 1)",
    "log10_rho": f"log10 of rho, {LOG10_FLOOR:g} where it is zero",
    "velocity": "dx/dt in three dimensions, radii per unit of time",
    "mass": "mass of the vertex or token, in all 1",
    "cluster": "number of the cluster, another numbering at each time",
    "id": "number of the token",
    "theta": "colatitude, radians",
    "length": "length of the token under a scheme of normalisation",
    "coordinates": "all coordinates of the token on the unit sphere",
}


@dataclass(frozen=True)
class Data:
    """Fields or tokens of a run.

    Attributes:
        source: the file.
        steps: numbers of the chosen steps in it, increasing.
        names: of the chosen fields.
        title: of the run.
    """

    source: FieldSeries | TokenSeries
    steps: tuple[int, ...]
    names: tuple[str, ...]
    title: str

    @property
    def stem(self) -> str:
        """What files are called: "fields" or "particles"."""
        return "particles" if isinstance(self.source, TokenSeries) else "fields"

    @property
    def times(self) -> Array:
        """Of the steps, (k,)."""
        return self.source.times[list(self.steps)]

    @property
    def moving(self) -> bool:
        """Whether points are elsewhere at each step."""
        return isinstance(self.source, TokenSeries) or self.source.moving

    @property
    def static(self) -> tuple[str, ...]:
        """Names of those that are the same at all times."""
        return tuple(name for name in self.names if name in self.source.static)

    @property
    def growing(self) -> tuple[str, ...]:
        """Names of those that are not."""
        return tuple(name for name in self.names if name in self.source.names)

    def points(self, k: int) -> Array:
        """Points at a step of the source, (n, 3): as ParaView shows them."""
        if isinstance(self.source, TokenSeries):
            return self.source.points(k)
        return self.source.at(k).points

    def cells(self, k: int) -> NDArray[np.int64]:
        """Numbers of points of each cell at a step, (m, 3), (m, 2), or (n, 1) for tokens."""
        if isinstance(self.source, TokenSeries):
            return np.arange(self.source.n, dtype=np.int64)[:, None]
        return np.asarray(self.source.at(k).cells, dtype=np.int64)

    def values(self, name: str, k: int) -> NDArray[Any]:
        """A field at a step, (n,) or (n, c): doubles, or whole numbers."""
        return self.source.read(name, k)


def described(name: str) -> str:
    """What a field is, with its unit."""
    return _WORDS.get(name, "as in the file of the run")


class Exporter(Protocol):
    """A form of export: a module of this room with its ``EXPORT``."""

    def files(self, data: Data) -> tuple[str, ...]:
        """Names of the files that it makes, relative to the folder: the first one is opened."""

    def write(self, data: Data, folder: Path) -> None:
        """Make these files, each whole or not at all; those that are there are replaced."""
