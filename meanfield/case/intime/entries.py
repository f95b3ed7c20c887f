"""Single values of what is in time: numbers, vectors and matrices, also those of files."""

from __future__ import annotations

import math
import numbers
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeGuard

import numpy as np
from pydantic import ValidationInfo

from meanfield.case.matrices import (
    MAX_ENTRY,
    Ensemble,
    InFile,
    Matrix,
    Rows,
    as_matrix,
    fitting,
    is_named,
    resolved,
)
from meanfield.checks import as_found
from meanfield.errors import InputError
from meanfield.geometry.sphere import Array
from meanfield.options import as_table

__all__ = [
    "RANKS",
    "Entry",
    "Form",
    "Stack",
    "entry_in_words",
    "numbers_of",
    "rank_of",
    "read_entry",
    "read_stack",
    "refuse_no_entry",
    "written_entry",
]

RANKS = ("a number", "a list of numbers", "a matrix")
"""In words, by the number of indices."""

Entry = float | tuple[float, ...] | Matrix
"""A number, a vector or a matrix; ``InFile`` may be any of them."""
Stack = tuple[Entry, ...] | InFile
"""Several of one kind."""


@dataclass(frozen=True)
class Form:
    """What values must be when the dimension is known.

    Attributes:
        rank: number of indices: 0 a number, 1 a vector, 2 a matrix; None: any.
        d: columns of a matrix; rows: of a matrix, or numbers of a vector; None: any number.
    """

    rank: int | None = None
    d: int = 0
    rows: int | None = None

    def checked(self, place: str, found: Array) -> Array:
        """An array that is of this form.

        Raises:
            InputError: it is not; begins with its place.
        """
        if self.rank == 2:
            return fitting(place, found, self.d, self.rows)
        if self.rank is not None and found.ndim != self.rank:
            raise InputError(f"{place}: expected {RANKS[self.rank]}, found {as_found(found)}")
        if self.rank == 1 and self.rows is not None and len(found) != self.rows:
            raise InputError(f"{place}: expected {self.rows} numbers, found {len(found)}")
        if not np.all(np.isfinite(found)):
            wrong = found[~np.isfinite(found)][0]
            raise InputError(f"{place}: expected finite numbers, found {wrong}")
        return found


# ------------------------------------------------------------------ reading


def read_entry(value: object, info: ValidationInfo, place: str = "") -> Entry:
    """A number, a vector or a matrix as a user may give it.

    Args:
        value: what is given.
        info: of pydantic.
        place: of the value, for messages; "": the field that is checked.

    Raises:
        InputError: it is none.
    """
    place = place or str(info.field_name)
    if isinstance(value, Matrix):
        return value
    if _is_number(value):
        return _finite(place, value)
    if _is_flat(value):
        assert isinstance(value, Iterable)
        return tuple(_finite(f"{place}[{j}]", number) for j, number in enumerate(value))
    try:
        return as_matrix(value, info, place)
    except InputError as error:
        said = str(error)
        raise InputError(said if said.startswith(place) else f"{place}: {said}") from None


def refuse_no_entry(place: str, value: object, rank: int | None) -> None:
    """Refuse what may not be an entry of any rank, in the words of the one that is expected.

    Args:
        place: of the value.
        value: as a user gives it.
        rank: number of indices; None or 2: ``read_entry`` has the words.

    Raises:
        InputError: neither numbers nor where they are.
    """
    if rank is None or rank > 1:
        return
    if isinstance(value, str | bytes | os.PathLike):
        fits = not isinstance(value, bytes) and is_named(os.fspath(value))
    else:
        fits = _is_number(value) or isinstance(value, Matrix | Mapping | Iterable)
    if not fits:
        raise InputError(f"{place}: expected {RANKS[rank]}, found {as_found(value)}")


def _is_flat(value: object) -> bool:
    """Whether it is a list of no lists."""
    if isinstance(value, np.ndarray):
        return value.ndim == 1
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str | bytes)
        and not any(isinstance(v, Sequence | np.ndarray) for v in value)
    )


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _finite(place: str, value: object) -> float:
    if not _is_number(value):
        raise InputError(f"{place}: expected a number, found {as_found(value)}")
    try:
        number = float(value)
    except OverflowError:  # a whole number of hundreds of digits
        number = math.inf
    if not math.isfinite(number):
        raise InputError(f"{place}: expected a finite number, found {as_found(value)}")
    return number


def read_stack(value: object, info: ValidationInfo) -> Stack:
    """A list of entries, or a file with an array of them.

    Raises:
        InputError: it is none.
    """
    if isinstance(value, InFile):
        return value
    place = str(info.field_name)
    named = isinstance(value, str | os.PathLike) and is_named(os.fspath(value))
    if named or isinstance(value, Mapping):
        found = as_matrix(value, info, place)
        if isinstance(found, InFile):
            return found
    elif isinstance(value, Iterable) and not isinstance(value, str | bytes):
        entries = [] if isinstance(value, np.ndarray) and not value.ndim else list(value)
        if entries:
            return tuple(read_entry(v, info, f"{place}[{k}]") for k, v in enumerate(entries))
        raise InputError(f"{place}: expected a list of one value or more, found none")
    raise InputError(f"{place}: expected a list, or a file with an array, found {as_found(value)}")


# ------------------------------------------------------------------ what they are


def rank_of(entry: Entry) -> int | None:
    """Number of indices; None: only the file knows."""
    if isinstance(entry, InFile):
        return None
    return 2 if isinstance(entry, Matrix) else np.ndim(entry)


def entry_in_words(entry: Entry) -> str:
    """What a message calls it."""
    if isinstance(entry, float):
        return f"the number {entry:g}"
    if isinstance(entry, Ensemble):
        return f'the ensemble "{entry.ensemble}"'
    if isinstance(entry, InFile):
        return f"the file {entry.file.name}"
    return "a list of rows" if isinstance(entry, Rows) else "a list of numbers"


def numbers_of(place: str, entry: Entry | Array, form: Form) -> Array:
    """The numbers of an entry, of a form.

    Raises:
        InputError: it has another one, or numbers that are too large.
    """
    if isinstance(entry, Matrix):
        if form.rank == 2:
            return resolved(place, entry, form.d, form.rows)
        if isinstance(entry, Ensemble):
            raise InputError(f"{place}: expected numbers, found {entry_in_words(entry)}")
        found = form.checked(place, entry.numbers(form.d))
    else:
        found = form.checked(place, np.asarray(entry, dtype=np.float64))
    if np.max(np.abs(found), initial=0.0) > MAX_ENTRY:
        raise InputError(
            f"{place}: expected numbers up to {MAX_ENTRY:g}, found {np.max(np.abs(found)):g}"
        )
    return found


def written_entry(entry: Entry, in_list: bool = False) -> object:
    """As in a case file; a file in a list has a table, in which its digest finds it."""
    if isinstance(entry, InFile) and in_list:
        return as_table(entry)
    if isinstance(entry, Matrix):
        return entry.written()
    return list(entry) if isinstance(entry, tuple) else entry
