"""Staircase of an energy: where it stays for long in log t, between steps.

Clusters that are in balance for long merge one after the other at times that are orders of
magnitude apart, and between these the energy is as good as constant: arXiv 2312.10794, section 6,
2410.06833. NumPy only.
"""

from __future__ import annotations

import math
from collections import deque
from typing import NamedTuple

import numpy as np

from meanfield.arguments import checked_arguments
from meanfield.checks import real_array
from meanfield.errors import InputError
from meanfield.geometry.sphere import Array

__all__ = ["FLAT", "LEAST", "Plateau", "plateaus"]

FLAT = 0.01
"""Of the whole range of the energy: how much it may change on a plateau."""

LEAST = 3.0
"""Factor in time that a plateau lasts at least."""


class Plateau(NamedTuple):
    """A time in which an energy stays.

    Attributes:
        begin, end: times of the first and the last row of it.
        height: mean of the energy over log t.
    """

    begin: float
    end: float
    height: float


@checked_arguments
def plateaus(
    t: Array, energy: Array, flat: float = FLAT, least: float = LEAST
) -> tuple[Plateau, ...]:
    """The plateaus of an energy, by their times; between two of them is a step.

    A plateau is a longest time (in log t, rows with t > 0) in which the energy stays within
    ``flat`` of its whole range, and lasts by a factor ``least`` or more: first the longest of all,
    then the longest in what is left. Those next to each other whose heights differ by less than
    twice that are one. The first one may be but the beginning, where the time is short for any
    change.

    Args:
        t: (rows,) times, ascending.
        energy: (rows,) the energy; rows that are not finite are left out.
        flat: share of the range, in (0, 1).
        least: factor in time, > 1.

    Raises:
        InputError: arrays of other shapes, or numbers out of their ranges.
    """
    t = real_array(t, "t", "times (rows,)")
    energy = real_array(energy, "energy", "numbers (rows,)")
    if t.ndim != 1 or t.shape != energy.shape:
        raise InputError(
            f"t of shape {t.shape} and energy of shape {energy.shape} found, the same (rows,) "
            "expected"
        )
    if not 0.0 < flat < 1.0 or not least > 1.0:
        raise InputError(
            f"flat = {flat:g} and least = {least:g} found, 0 < flat < 1 and least > 1 expected"
        )
    good = (t > 0.0) & np.isfinite(energy) & np.isfinite(t)
    log_t, values = np.log(t[good]), energy[good]
    if len(values) < 2:
        return ()
    # Round-off of the energy is no structure.
    round_off = 64.0 * np.finfo(np.float64).eps * float(np.max(np.abs(values)))
    band = max(flat * float(np.ptp(values)), round_off)
    found = sorted(_longest(log_t, values, band, math.log(least), 0, len(values)))
    joined: list[tuple[int, int]] = []
    for first, last in found:
        if joined:
            before = joined[-1]
            gap = _height(log_t, values, first, last) - _height(log_t, values, *before)
            if abs(gap) <= 2.0 * band:
                joined[-1] = (before[0], last)
                continue
        joined.append((first, last))
    times = t[good]
    return tuple(
        Plateau(float(times[i]), float(times[j]), _height(log_t, values, i, j)) for i, j in joined
    )


def _longest(
    log_t: Array, values: Array, band: float, least: float, start: int, stop: int
) -> list[tuple[int, int]]:
    """First and last rows of the plateaus in a part of the rows."""
    found: list[tuple[int, int]] = []
    parts = [(start, stop)]
    while parts:
        low, high = parts.pop()
        first, last = _window(log_t, values, band, low, high)
        if last <= first or log_t[last] - log_t[first] < least:
            continue
        found.append((first, last))
        parts += [(low, first), (last + 1, high)]
    return found


def _window(log_t: Array, values: Array, band: float, low: int, high: int) -> tuple[int, int]:
    """The longest run of rows in [low, high) whose values are within a band: first and last."""
    top: deque[int] = deque()  # rows of falling values: the first is the largest
    bottom: deque[int] = deque()
    best, longest, first = (low, low), 0.0, low
    for row in range(low, high):
        while top and values[top[-1]] <= values[row]:
            top.pop()
        while bottom and values[bottom[-1]] >= values[row]:
            bottom.pop()
        top.append(row)
        bottom.append(row)
        while values[top[0]] - values[bottom[0]] > band:
            first += 1
            for ends in (top, bottom):
                if ends[0] < first:
                    ends.popleft()
        if log_t[row] - log_t[first] > longest:
            best, longest = (first, row), log_t[row] - log_t[first]
    return best


def _height(log_t: Array, values: Array, first: int, last: int) -> float:
    x, y = log_t[first : last + 1], values[first : last + 1]
    return float(np.trapezoid(y, x) / (x[-1] - x[0]))
