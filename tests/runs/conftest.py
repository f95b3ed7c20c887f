"""Runs and working folders that several files look at.

What loads numba is imported when first asked for (../conftest.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from finished import Finished


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A run with everything on, which nobody changes."""
    from finished import Finished

    return Finished(tmp_path_factory.mktemp("runs") / "not" / "there yet")


@pytest.fixture
def few(inside: Path) -> Path:
    """A working folder with a case of a few tokens in it, few.toml."""
    from cases import few_tokens

    few_tokens.write(inside / "few.toml")
    return inside
