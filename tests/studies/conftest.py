"""A comparison and a working folder that several files look at.

What loads numba is imported when first asked for (../conftest.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from meanfield.studies.evaluate import Comparison


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """One whole comparison, in this process, with figures; nobody changes it."""
    from comparisons import whole

    return whole(tmp_path_factory.mktemp("study") / "whole")


@pytest.fixture
def here(inside: Path) -> Path:
    """A working folder with the case small.toml in it."""
    from comparisons import compared

    compared.write(inside / "small.toml")
    return inside
