"""Folders of runs that several tests report on.

What loads numba is imported when first asked for (../conftest.py).
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

NASTY = "Three <script>alert(1)</script> bumps & more"


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A density on the sphere, tokens, densities on the circle (moving) and by latitude."""
    from cases import CIRCLE, ZONAL, few_tokens, run, small

    place = tmp_path_factory.mktemp("reports")
    moving = {"solver": {"type": "lagrangian"}, "time.outputs": [0.5]}
    run(small(title=NASTY, output__figures=True), place / "sphere")
    run(few_tokens(), place / "tokens")
    run(small({**CIRCLE, **moving}), place / "circle")
    run(small({**ZONAL, "geometry.vertices": 65}), place / "zonal")
    return place


@pytest.fixture
def runs(made: Path, tmp_path: Path) -> Path:
    """A copy of them, to write in."""
    return Path(shutil.copytree(made, tmp_path / "runs"))
