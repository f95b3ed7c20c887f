"""Folders as runs leave them, with fields or tokens that are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import meanfield as mf
from meanfield.geometry.mesh import Mesh
from meanfield.geometry.sphere import Array, normalize, tangent_project, uniform_points
from meanfield.results.folder import RunFolder
from meanfield.results.formats import format_named

__all__ = ["TIMES", "Tokens", "density", "folder_of_fields", "folder_of_tokens"]

TIMES = (0.0, 0.5, 2.0)


class _Case:
    def to_toml(self) -> str:
        return 'title = "A known run"\n'


def _folder(path: Path) -> RunFolder:
    folder = RunFolder.create(path)
    folder.write_run({"meanfield": "0", "stop_reason": "end"})
    folder.write_case(_Case())
    return folder


def density(mesh: Mesh, t: float) -> dict[str, Array]:
    """A density that gathers at one place, zero at the first vertex, and a velocity."""
    if mesh.gdim == 1:
        rho = np.exp(3.0 * t * np.cos(mesh.points[:, 0]))
        velocity = -np.sin(mesh.points)
    else:
        to = np.array([0.48, 0.6, 0.64])[: mesh.gdim]
        rho = np.exp(3.0 * t * (mesh.points @ to))
        velocity = (1.0 + t) * tangent_project(mesh.points, np.broadcast_to(to, mesh.points.shape))
    rho[0] = 0.0
    with np.errstate(divide="ignore"):
        return {"rho": rho, "log10_rho": np.log10(rho), "velocity": velocity}


def folder_of_fields(
    path: Path, mesh: Mesh, format: str = "vtkhdf", names: tuple[str, ...] = (), moves: bool = False
) -> mf.RunFolder:
    """A run of a density; ``names``: of its fields, by default all; ``moves``: at each step."""
    folder = _folder(path)
    kinds = {name: 3 if name == "velocity" else 1 for name in names or density(mesh, 0.0)}
    if moves:
        kinds["mass"] = 1
    file = format_named(format).fields(
        folder.file(f"fields.{format}"), mesh, names=kinds, precision="float64",
        compression="gzip", moving=moves, resume_at=None,
    )  # fmt: skip
    for k, t in enumerate(TIMES):
        at = moved(mesh, k) if moves else mesh
        values = {**density(at, t), "mass": np.linspace(1.0, 2.0, at.n_vertices) / at.n_vertices}
        file.write(t, {name: values[name] for name in kinds}, at if moves else None)
    file.close()
    return folder


def moved(mesh: Mesh, k: int) -> Mesh:
    """The mesh of step k: each vertex goes on, and from the last one on there is a cell less."""
    x = mesh.points + 0.02 * k if mesh.gdim == 1 else normalize(mesh.points + 0.02 * k)
    cells = mesh.cells[:-1] if k > 1 else mesh.cells
    return Mesh(geometry=mesh.geometry, d=mesh.d, points=x, cells=cells)


class Tokens:
    """Tokens that gather; those with an even number are one cluster, by another label each time."""

    def __init__(self, n: int, d: int) -> None:
        self.n, self.d = n, d
        rng = np.random.default_rng(100 * d + n)
        self.start = uniform_points(n, d, rng)
        self.masses = rng.dirichlet(np.full(n, 50.0))

    def at(self, t: float) -> tuple[Array, NDArray[np.int64], Array]:
        """Points, labels, velocities."""
        axis = np.eye(self.d)[-1]
        x = normalize(self.start + t * axis)
        velocity = tangent_project(x, np.broadcast_to(axis, x.shape))
        return x, np.arange(self.n) % 2 + round(10 * t), velocity


def folder_of_tokens(path: Path, tokens: Tokens, format: str = "vtkhdf") -> mf.RunFolder:
    """A run of tokens."""
    folder = _folder(path)
    file = format_named(format).tokens(
        folder.file(f"particles.{format}"), tokens.d, tokens.n, masses=tokens.masses,
        precision="float64", compression="gzip", resume_at=None,
    )  # fmt: skip
    for t in TIMES:
        file.write(t, *tokens.at(t))
    file.close()
    return folder
