"""The columns of the series: one, or one family, a file.

A new column is a file with ``COLUMNS`` and its name in ``_FILES``, whose order is that of a table.
"""

from __future__ import annotations

import re
import textwrap

from meanfield.analysis.columns import (
    clusters,
    dissipation,
    energy,
    entropy,
    extremes,
    gaussians,
    lengths,
    mass,
    moments,
    power,
    rank,
    step,
    tangents,
)
from meanfield.analysis.columns.base import Column, Family, refuse_bad, row_of
from meanfield.analysis.columns.gaussianview import GaussianView
from meanfield.analysis.columns.tokenview import TokenView
from meanfield.analysis.columns.view import CharacteristicView, DensityView, View
from meanfield.errors import InputError, suggest

__all__ = [
    "ADDED",
    "COLUMNS",
    "RETIRED",
    "CharacteristicView",
    "Column",
    "DensityView",
    "Family",
    "GaussianView",
    "TokenView",
    "View",
    "columns_of",
    "explained",
    "refuse_bad",
    "row_of",
]

_FILES = (
    *(step, mass, extremes, energy, entropy, dissipation, moments, rank, power, lengths),
    *(clusters, gaussians, tangents),
)

COLUMNS: tuple[Column | Family, ...] = tuple(column for file in _FILES for column in file.COLUMNS)
"""All columns there are."""

RETIRED = ("energy", "free_energy")
"""What earlier versions wrote where it has no meaning: a resumed series loses it there."""

ADDED = ("dissipation", "energy_residual", "rank", "effective_dimension", "largest_cluster")
"""What earlier versions did not write: the rows that they have written have nan there."""


def columns_of(view: View) -> tuple[Column, ...]:
    """The columns that a view has, in the order of a table."""
    return tuple(column for entry in COLUMNS for column in entry.of(view))


def explained(name: str) -> list[str]:
    """Lines on a column, or on all of them ("columns").

    Raises:
        InputError: there is none of this name.
    """
    found = [
        entry
        for entry in COLUMNS
        if name in ("columns", entry.name)
        or (isinstance(entry, Family) and re.fullmatch(rf"{entry.name}_\d+", name))
    ]
    if not found:
        names = [entry.name for entry in COLUMNS]
        raise InputError(f"'{name}' found, a column expected{suggest(name, names)}")
    lines: list[str] = []
    for entry in found:
        head = entry.name
        if isinstance(entry, Family):
            head = f"{entry.name}_{entry.first}, {entry.name}_{entry.first + 1}, ..."
        unit = "" if entry.unit == "1" else f"  ({entry.unit})"
        lines += [
            "",
            f"{head}{unit}",
            *textwrap.indent(textwrap.fill(entry.meaning, 98), "  ").split("\n"),
        ]
    return lines[1:]
