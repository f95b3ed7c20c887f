"""What a column of the series is, and which of them a view of a state has.

Knows views by what they offer only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from meanfield.analysis.columns.view import View
from meanfield.arguments import checked_fields
from meanfield.errors import BrokenInvariantError, InputError
from meanfield.geometry.sphere import Array

__all__ = ["Column", "Family", "refuse_bad", "row_of"]


@checked_fields
@dataclass(frozen=True)
class Column:
    """One number of a state.

    Attributes:
        name: in the header of the series.
        unit: "1", "time", "energy", "density" (with respect to the uniform probability, whose
            density is 1), or what an observer has it in.
        meaning: what it is, in a sentence or two.
        value: of a view, the same on every rank; called on every rank.
        needs: what a view must offer (``View.offers``) to have this column.
        may_be_infinite: whether a state may have an infinite value of it.
        may_be_missing: whether a state may have none, told as nan: what hangs on the row before
            has none in the first row.

    Example:
        >>> column = mf.Column('height', '1', 'Last of the mean.', lambda view: view.mean[-1])
        >>> column.name
        'height'
    """

    name: str
    unit: str
    meaning: str
    value: Callable[[View], float]
    needs: frozenset[str] = frozenset()
    may_be_infinite: bool = False
    may_be_missing: bool = False

    def __post_init__(self) -> None:
        _refuse_name(self.name)

    def of(self, view: View) -> tuple[Column, ...]:
        """This column, if the view has what it needs."""
        return (self,) if self.needs <= view.offers else ()


@checked_fields
@dataclass(frozen=True)
class Family:
    """Columns that are told apart by a number: ``name_first``, ...

    Attributes:
        name, unit, meaning, needs: as for ``Column``.
        values: of a view, (``count`` of it,).
        count: how many there are.
        first: number of the first.
    """

    name: str
    unit: str
    meaning: str
    values: Callable[[View], Array]
    count: Callable[[View], int]
    first: int = 1
    needs: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        _refuse_name(self.name)

    def of(self, view: View) -> tuple[Column, ...]:
        """One column for each number, if the view has what they need."""
        if not self.needs <= view.offers:
            return ()

        def column(k: int) -> Column:
            name = f"{self.name}_{k + self.first}"
            return Column(name, self.unit, self.meaning, lambda view: float(self.values(view)[k]))

        return tuple(column(k) for k in range(self.count(view)))


def _refuse_name(name: str) -> None:
    """Refuse what cannot stand in the header of a series."""
    if not name.isidentifier():
        raise InputError(f"a column '{name}' found, letters, digits and '_' expected")


def row_of(columns: Sequence[Column], view: View) -> dict[str, float]:
    """The values of columns by name. Collective, and the same on every rank.

    Raises:
        BrokenInvariantError: see ``refuse_bad``.
    """
    row = {column.name: float(column.value(view)) for column in columns}
    refuse_bad(row, columns, view.t)
    return row


def refuse_bad(row: Mapping[str, float], columns: Sequence[Column], t: float) -> None:
    """Refuse values that are no numbers or infinite where they may not be.

    Raises:
        BrokenInvariantError: there is one.
    """
    bad = [
        column.name
        for column in columns
        if (math.isnan(row[column.name]) and not column.may_be_missing)
        or (math.isinf(row[column.name]) and not column.may_be_infinite)
    ]
    if bad:
        raise BrokenInvariantError(f"{', '.join(sorted(bad))} not finite at t = {t:.6g}")
