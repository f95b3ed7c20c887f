"""The figures that a test draws, to be looked at.

What draws them is imported when first asked for: pytest reads this file before it configures
anything, and numba must not be loaded before the number of its threads is set (../conftest.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Collects the figures at the moment they are saved."""
    from meanfield.figures import (
        centres,
        density,
        distances,
        pairs,
        series,
        side_by_side,
        style,
        sweepbands,
        sweepmap,
        sweepplane,
        sweepslopes,
        tokens,
    )

    collected: list[Figure] = []

    def collect(figure: Figure, path: Path) -> Path:
        collected.append(figure)
        return style.save(figure, path)

    sweeps = (sweepbands, sweepmap, sweepplane, sweepslopes)
    for module in (centres, density, distances, pairs, series, side_by_side, tokens, *sweeps):
        monkeypatch.setattr(module, "save", collect)
    return collected


@pytest.fixture
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Views of the sphere are drawn by matplotlib, as where no OpenGL renders."""
    from meanfield.figures import globe

    monkeypatch.setattr(globe, "why_not", lambda: "OpenGL renders nothing off-screen (test)")
