"""The columns of the series: one, or one family, a file.

A new column is a file with ``COLUMNS`` and its name in ``_FILES``, whose order is that of a table.
"""

from __future__ import annotations

from meanfield.analysis.columns import (
    clusters,
    energy,
    entropy,
    extremes,
    mass,
    moments,
    power,
    step,
)
from meanfield.analysis.columns.base import Column, Family, row_of
from meanfield.analysis.columns.view import CharacteristicView, DensityView, TokenView, View

__all__ = [
    "COLUMNS",
    "CharacteristicView",
    "Column",
    "DensityView",
    "Family",
    "TokenView",
    "View",
    "columns_of",
    "row_of",
]

_FILES = (step, mass, extremes, energy, entropy, moments, power, clusters)

COLUMNS: tuple[Column | Family, ...] = tuple(column for file in _FILES for column in file.COLUMNS)
"""All columns there are."""


def columns_of(view: View) -> tuple[Column, ...]:
    """The columns that a view has, in the order of a table."""
    return tuple(column for entry in COLUMNS for column in entry.of(view))
