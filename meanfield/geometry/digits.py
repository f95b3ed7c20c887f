"""How precisely numbers are given: the unit of the last digit that a file has of each.

Programs write coordinates with six digits, or in single precision. Knows nothing of meshes.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from meanfield.geometry.sphere import Array

__all__ = ["last_digits"]

_FEWEST, _MOST, _SINGLE = 5, 9, 6
"""Digits: fewer may be whole numbers and the like; with more nothing is lost that matters."""


def last_digits(x: Array) -> tuple[Array, int] | None:
    """The unit of the last digit of each number, and how many digits the largest one has.

    Numbers are taken as rounded to so many significant digits, as by ``%g``, or to so many
    decimals, as by ``%f``, whichever is coarser; then, where they are numbers of single precision,
    to that one.

    Args:
        x: finite numbers of any shape.

    Returns:
        Units of the same shape, and the number of digits; None where numbers have more than nine
        digits and are no numbers of single precision, or where they have fewer than five.
    """
    size = np.abs(x)
    largest = float(size.max(initial=0.0))
    if not 1e-30 < largest < 1e30:
        return None
    highest = np.floor(np.log10(largest) + 1e-12)
    single = bool(np.all(x.astype(np.float32) == x))
    # Half a unit of the precision, and what scaling to and fro costs.
    slack = size * (2.0**-24 if single else 4.0 * np.finfo(np.float64).eps)
    top = np.floor(np.log10(np.where(size > 0.0, size, 1.0)) + 1e-12)
    counts = np.arange(1, 1 + (_SINGLE if single else _MOST))
    found = [
        *_coarsest(x, slack, (np.where(size > 0.0, 10.0 ** (top + 1 - k), 0.0) for k in counts)),
        *_coarsest(x, slack, (np.full(x.shape, 10.0 ** (highest + 1 - k)) for k in counts)),
    ]
    if not found and single:
        found = [np.spacing(np.maximum(size, 1e-30).astype(np.float32)).astype(np.float64)]
    if not found:
        return None
    unit = np.max(found, axis=0)
    digits = int(highest + 1 - np.round(np.log10(unit.max())))
    return (unit, digits) if digits >= _FEWEST else None


def _coarsest(x: Array, slack: Array, units: Iterable[Array]) -> list[Array]:
    """The first of the units of which all numbers are multiples, if any."""
    for unit in units:
        one = np.where(unit > 0.0, unit, 1.0)
        if np.all(np.abs(np.round(x / one) * one - x) <= slack + 1e-15 * one):
            return [unit]
    return []
