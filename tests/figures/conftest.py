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
    import sys

    import meanfield.figures  # noqa: F401  (all of them are loaded with it)
    from meanfield.figures import style

    collected: list[Figure] = []
    save = style.save

    def collect(figure: Figure, path: Path) -> Path:
        collected.append(figure)
        return save(figure, path)

    for name, module in list(sys.modules.items()):
        if name.startswith("meanfield.figures.") and getattr(module, "save", None) is style.save:
            if module is not style:
                monkeypatch.setattr(module, "save", collect)
    return collected


@pytest.fixture
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Views of the sphere are drawn by matplotlib, as where no OpenGL renders."""
    from meanfield.figures import globe

    monkeypatch.setattr(globe, "why_not", lambda: "OpenGL renders nothing off-screen (test)")
