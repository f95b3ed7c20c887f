"""Where a function is above a level: its ends, and how often it is asked for them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from meanfield.geometry.panels import parts_above
from meanfield.geometry.sphere import Array


@pytest.mark.parametrize(
    ("level", "most"), [(-0.9, 8), (-0.3, 8), (0.2, 8), (0.77, 8), (0.99, 8), (0.5, 24), (0.0, 24)]
)
def test_ends_take_a_few_evaluations(level: float, most: int) -> None:
    """Of cos 2x on a turn: two parts, their four ends in closed form, together by Newton's steps.

    Roots are between samples or, of 0 and 1/2, on them: there a step may leave the bounds.
    """
    asked: list[Array] = []

    def at(x: Array) -> tuple[Array, Array]:
        asked.append(x)
        return np.cos(2.0 * x), -2.0 * np.sin(2.0 * x)

    line = np.linspace(0.0, 2.0 * math.pi, 241)
    parts = parts_above(line, np.cos(2.0 * line), level, at, closed=True)
    half = 0.5 * math.acos(level)
    expected = [[0.0, half], [math.pi - half, math.pi + half], [2.0 * math.pi - half, line[-1]]]
    assert parts.ends == pytest.approx(np.array(expected), abs=4e-15 / math.sin(2.0 * half))
    assert len(asked) <= most
