"""Meshes, spaces and solvers that many tests start from (one process each: MPI.COMM_SELF)."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

from meanfield.case import Eulerian
from meanfield.dynamics.eulerian import EulerianSolver
from meanfield.dynamics.space import P1Space
from meanfield.geometry.laws import Cap, VonMisesFisher
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


MESHES = [("sphere", 3, 3), ("unstructured", 400, 3), ("circle", 120, 2), ("zonal", 60, 8)]
"""Small meshes of every kind, for ``space_of``."""


def mesh_name(which: tuple[str, int, int]) -> str:
    return f"{which[0]}{which[1]}-{which[2]}"


meshes = pytest.mark.parametrize("which", MESHES, ids=mesh_name)

ROUGH = ("lognormal", "holes", "hot", "two", "cap", "peak")


def rough(name: str, space: Any) -> np.ndarray:
    """Densities by the names in ``ROUGH``, which no scheme likes."""
    rng = np.random.default_rng(3)
    n = space.n_owned
    x = space.manifold.embed(space.points[:n])
    axis = np.zeros(space.d)
    axis[-1] = 1.0
    if name == "lognormal":
        return np.exp(3.0 * rng.standard_normal(n))
    if name == "holes":
        return np.where(rng.random(n) < 0.5, 0.0, rng.random(n))
    if name == "hot":  # one vertex holds everything
        return np.eye(n)[n // 3]
    if name == "two":  # two vertices, one radian apart
        there = np.argmin(np.abs(np.arccos(np.clip(x @ x[n // 3], -1.0, 1.0)) - 1.0))
        return np.eye(n)[n // 3] + np.eye(n)[there]
    if name == "cap":
        return Cap(tuple(axis), 0.7).density(x)
    assert name == "peak"
    return VonMisesFisher(tuple(axis), 50.0).density(x)


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
