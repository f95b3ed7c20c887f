"""Rows of numbers and words as a table of pandas, which is loaded when it is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from meanfield.software import load_pandas

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["frame_of"]


def frame_of(rows: Iterable[Mapping[str, object]]) -> DataFrame:
    """A table with the names of the rows as columns.

    Raises:
        InputError: pandas is not installed.
    """
    frame: DataFrame = load_pandas().DataFrame(list(rows))
    return frame
