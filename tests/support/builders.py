"""Meshes, spaces and solvers that many tests start from (one process each: MPI.COMM_SELF)."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

from meanfield.case import Eulerian
from meanfield.dynamics.eulerian import EulerianSolver
from meanfield.dynamics.space import P1Space
from meanfield.geometry.mesh import Mesh, circle, icosphere, unstructured_sphere, zonal_interval
from meanfield.interaction.attention import Attention


def mesh_of(kind: str, size: int, d: int = 3) -> Mesh:
    """A mesh by name: "sphere" (level), "unstructured", "circle", "zonal" (vertices)."""
    if kind == "sphere":
        return icosphere(size)
    if kind == "unstructured":
        return unstructured_sphere(size, 7)
    if kind == "circle":
        return circle(size)
    return zonal_interval(size, d)


@functools.lru_cache(maxsize=64)
def space_of(kind: str, size: int, d: int = 3) -> P1Space:
    """The space on ``mesh_of``, made once for all tests; skips where there is no DOLFINx."""
    pytest.importorskip("dolfinx", reason="no DOLFINx here: run the tests with scripts/env pytest")
    from mpi4py import MPI

    return P1Space(mesh_of(kind, size, d), MPI.COMM_SELF)


def solver_of(
    space: P1Space,
    model: str,
    beta: float,
    rho: Any,
    scheme: Eulerian | None = None,
    value: int = 1,
) -> EulerianSolver:
    """A solver; ``rho`` is an array at the vertices or a law."""
    attention = Attention(model, beta, space.d, space.geometry, value)  # type: ignore[arg-type]
    if not isinstance(rho, np.ndarray):
        rho = rho.density(space.manifold.embed(space.points[: space.n_owned]))
    return EulerianSolver(space, attention, rho, scheme)
