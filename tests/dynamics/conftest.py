"""The builders as fixtures.

They are imported when first asked for: pytest reads this file before it configures anything, and
numba must not be loaded before the number of its threads is set (../conftest.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from meanfield.dynamics.eulerian import EulerianSolver
    from meanfield.dynamics.space import P1Space
    from meanfield.geometry.mesh import Mesh


@pytest.fixture(scope="session")
def make_mesh() -> Callable[..., Mesh]:
    from builders import mesh_of

    return mesh_of


@pytest.fixture(scope="session")
def make_space() -> Callable[..., P1Space]:
    from builders import space_of

    return space_of


@pytest.fixture(scope="session")
def make_solver() -> Callable[..., EulerianSolver]:
    from builders import solver_of

    return solver_of
