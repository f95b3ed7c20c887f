"""What the figures of a sweep share: which axis is one of numbers, which points are shown, words.

Knows nothing of what is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meanfield.figures.reading import title_of
from meanfield.figures.style import number
from meanfield.geometry.sphere import Array
from meanfield.interaction.attention import PARAMETER_NAMES
from meanfield.results.folder import RunFolder
from meanfield.results.sweeptable import Axis, SweepTable

__all__ = [
    "MOST",
    "Cut",
    "column_label",
    "counts",
    "cuts",
    "even",
    "long_axis",
    "parameter_label",
    "point_label",
    "positions",
    "sweep_title",
    "told_numbers",
]

MOST = 6
"""Panels, or curves, of one figure."""

_NAMES = {
    "kappa": (r"noise $\kappa$", r"\kappa"),
    "d": ("dimension $d$", "d"),
    "number": ("number of tokens $n$", "n"),
    "factor": (r"factor $\gamma$", r"\gamma"),
    "cosine": (r"cosine $\rho$ at the start", r"\rho"),
    **PARAMETER_NAMES,
}
_COLUMNS = {
    "inner_product": r"$\langle x_1, x_2\rangle$",
    "mean_inner_product": r"mean $\langle x_i, x_j\rangle$",
    "close": "part of pairs close",
    "mean_norm": "order $|m|$",
    "energy_scaled": r"energy $E\,e^{-|\beta|}$",
    "energy": "energy $E$",
    "free_energy": "free energy $F$",
    "largest": "part in largest cluster",
}


@dataclass(frozen=True, eq=False)
class Cut:
    """Points along one axis, the others held.

    Attributes:
        label: the values that are held; "" where there are no others.
        x: values along the axis, ascending, (m,).
        points: their points in the table, (m,).
    """

    label: str
    x: Array
    points: NDArray[np.int64]


def positions(axis: Axis) -> Array | None:
    """Numbers along an axis, those of its first key that has different ones; None: words."""
    for column in zip(*axis.values, strict=True):
        if all(isinstance(v, int | float) and not isinstance(v, bool) for v in column):
            x = np.array(column, dtype=np.float64)
            if np.all(np.isfinite(x)) and len(set(x)) == len(x):
                return x
    return None


def long_axis(table: SweepTable, least: int) -> int | None:
    """The axis with most places that are numbers, of those with ``least`` or more; None: none."""
    lengths = [
        len(axis.values) if positions(axis) is not None else 0 for axis in table.axes
    ]  # fmt: skip
    longest = max(lengths, default=0)
    return lengths.index(longest) if longest >= least else None


def even(count: int, most: int = MOST) -> list[int]:
    """At most ``most`` places of ``count``, evenly, with the first and the last."""
    if count <= most:
        return list(range(count))
    return [round(float(place)) for place in np.linspace(0, count - 1, most)]


def cuts(table: SweepTable, along: int) -> list[Cut]:
    """Cuts along an axis, for at most six of the places of the others."""
    x = positions(table.axes[along])
    assert x is not None
    order = np.argsort(x)
    grid = np.moveaxis(np.arange(len(table.finished)).reshape(table.shape), along, -1)
    rows = grid.reshape(-1, grid.shape[-1])[:, order]
    values = table.points()
    held = [key for k, axis in enumerate(table.axes) if k != along for key in axis.keys]
    return [
        Cut(point_label({key: values[rows[r, 0]][key] for key in held}), x[order], rows[r])
        for r in even(len(rows))
    ]


# -- words ----------------------------------------------------------------------------------------


def parameter_label(axis: Axis) -> str:
    """What the numbers along an axis are called."""
    numbers = (k for k, c in enumerate(zip(*axis.values, strict=True)) if _are_numbers(c))
    names = [key.rpartition(".")[2] for key in axis.keys]
    first = names.pop(next(numbers, 0))
    label = _NAMES[first][0] if first in _NAMES else first
    return f"{label}, with {', '.join(names)}" if names else label


def _are_numbers(column: Sequence[object]) -> bool:
    return positions(Axis(("",), tuple((v,) for v in column))) is not None


def point_label(values: dict[str, object]) -> str:
    """The values of a point, such as ``beta = 4, d = 8``."""
    return ", ".join(_told(key, value) for key, value in values.items())


def _told(key: str, value: object) -> str:
    name = key.rpartition(".")[2]
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    if plain and name in _NAMES:
        return f"${_NAMES[name][1]} = {number(float(str(value)))}$"
    if isinstance(value, Mapping):  # such as a matrix of an ensemble
        text = ", ".join(
            f"{entry:g}" if isinstance(entry, float) else str(entry) for entry in value.values()
        )
    else:
        text = f"{value:g}" if isinstance(value, float) else str(value)
    return f"{name} = {text}".replace("$", r"\$")


def column_label(name: str) -> str:
    """What a column is called beside an axis."""
    return _COLUMNS.get(name, name.replace("_", " "))


def counts(table: SweepTable) -> str:
    """How many realisations there are at each point, and how many have failed."""
    most, least = int(table.finished.max()), int(table.finished.min())
    word = f"{most}" if most == least else f"{least} to {most}"
    failed = int(table.failed.sum())
    plural = "" if word == "1" else "s"
    lost = f" ({failed} of all failed)" if failed else ""
    return f"{word} realisation{plural} a point{lost}"


def sweep_title(run: RunFolder, table: SweepTable) -> str:
    """The title of the sweep, else that of its case, or ""."""
    return str(table.about.get("title") or title_of(run))


def told_numbers(table: SweepTable, name: str) -> Array:
    """Numbers of each point that ``about`` has under a name, (points,); nan: none."""
    told = table.about.get(name)
    values = list(_numbers(told)) if isinstance(told, list) else []
    return np.array(values if len(values) == len(table.finished) else [math.nan] * len(table.half))


def _numbers(values: list[object]) -> Iterator[float]:
    for value in values:
        yield float(value) if isinstance(value, int | float) else math.nan
