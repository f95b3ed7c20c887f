"""What a comparison of particles leaves in its folder, beside the files of any verb.

Owns names and layout of these files. Knows nothing of how they came about or what is made of them.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from meanfield.errors import InputError
from meanfield.geometry.manifolds import Manifold, of_vectors
from meanfield.geometry.mesh import Mesh
from meanfield.geometry.sphere import Array
from meanfield.interaction.measure import Measure
from meanfield.results.folder import RunFolder
from meanfield.whole import save_arrays, write_table

__all__ = [
    "Reference",
    "StoredCloud",
    "StoredDensity",
    "StoredSlices",
    "cloud_file",
    "comparison_record",
    "has_comparison",
    "read_arrays",
    "read_reference",
    "read_rows",
    "write_csv",
    "write_rows",
]

_DENSITIES, _TABLE = {False: "density.npz", True: "density-coarse.npz"}, "compare.csv"
_CLOUD = "reference.npz"


@dataclass(frozen=True)
class StoredSlices:
    """A density by position, at the times of a comparison: vertices that have moved.

    Attributes:
        x: (k, M, V, gdim) vertices of each of M slices.
        mass: (M, V) theirs, sum one.
    """

    x: Array
    mass: Array

    def masses(self, k: int) -> Measure:
        """All vertices at the k-th time."""
        return Measure(self.x[k].reshape(-1, self.x.shape[3]), self.mass.ravel())

    def draws(self, k: int, n: int, rng: np.random.Generator) -> Array:
        """Independent draws, each from the slice of its place among n, in this order: (n, d)."""
        number = len(self.mass)
        out = np.empty((n, self.x.shape[3]))
        slice_of = np.floor((np.arange(n) + 0.5) / n * number)
        for a, mass in enumerate(self.mass):
            mine = slice_of == a
            chosen = rng.choice(len(mass), size=int(mine.sum()), p=mass / mass.sum())
            out[mine] = self.x[k, a, chosen]
        return out


@dataclass(frozen=True)
class StoredDensity:
    """The density of a comparison at its times.

    Attributes:
        mesh: of the density.
        times: (k,).
        rho: with respect to the uniform measure, (k, vertices).
        energy: scaled, (k,); None: the model has no energy.
        weights: what rho is multiplied by for the solver's own masses, (vertices,).
        slices: of a density by position, whose rho is that of the whole, for pictures; else None.
    """

    mesh: Mesh
    times: Array
    rho: Array
    energy: Array | None
    weights: Array
    slices: StoredSlices | None = None

    @property
    def manifold(self) -> Manifold:
        """What it is on."""
        return self.mesh.manifold

    def masses(self, k: int) -> Measure:
        """The solver's own masses at the vertices."""
        if self.slices is not None:
            return self.slices.masses(k)
        return Measure(self.mesh.points, self.weights * self.rho[k])

    @staticmethod
    def is_in(folder: RunFolder, coarse: bool = False) -> bool:
        """Whether it has been written."""
        return (folder.path / _DENSITIES[coarse]).is_file()

    @classmethod
    def read(cls, path: Path, coarse: bool = False) -> StoredDensity:
        """Read it from the folder at ``path``; ``coarse``: the one that tells its error."""
        with np.load(path / _DENSITIES[coarse]) as data:
            mesh = Mesh(str(data["geometry"]), int(data["d"]), data["points"], data["cells"])
            energy = data["energy"] if "energy" in data else None
            moved = StoredSlices(data["x"], data["mass"]) if "x" in data else None
            return cls(mesh, data["times"], data["rho"], energy, data["weights"], moved)

    def write(self, folder: RunFolder, coarse: bool = False) -> None:
        """Write it into a folder."""
        save_arrays(
            folder.file(_DENSITIES[coarse]),
            geometry=self.mesh.geometry,
            d=self.mesh.d,
            times=self.times,
            rho=self.rho,
            **({} if self.energy is None else {"energy": self.energy}),
            weights=self.weights,
            **({} if self.slices is None else {"x": self.slices.x, "mass": self.slices.mass}),
            points=self.mesh.points,
            cells=self.mesh.cells,
        )


@dataclass(frozen=True)
class StoredCloud:
    """Many tokens, as near to the limit as can be had, that fewer are compared with.

    Attributes:
        times: (k,).
        x: (k, N, d) unit vectors.
        energy: scaled, over pairs of different tokens, (k,); None: the model has no energy.
    """

    times: Array
    x: Array
    energy: Array | None

    @property
    def manifold(self) -> Manifold:
        """The sphere that they are on."""
        return of_vectors(self.x.shape[2])

    def masses(self, k: int) -> Measure:
        """All of them."""
        return Measure.equal(self.x[k])

    @staticmethod
    def is_in(folder: RunFolder) -> bool:
        """Whether it has been written."""
        return (folder.path / _CLOUD).is_file()

    @classmethod
    def read(cls, path: Path) -> StoredCloud:
        """Read it from the folder at ``path``."""
        data = read_arrays(path / _CLOUD)
        return cls(data["times"], data["x"], data.get("energy"))

    def write(self, folder: RunFolder) -> None:
        """Write it into a folder."""
        energy = {} if self.energy is None else {"energy": self.energy}
        save_arrays(folder.file(_CLOUD), times=self.times, x=self.x, **energy)


Reference = StoredDensity | StoredCloud
"""What clouds are compared with."""


def read_reference(path: Path) -> Reference:
    """Read what the clouds of the folder at ``path`` are compared with."""
    return StoredCloud.read(path) if (path / _CLOUD).is_file() else StoredDensity.read(path)


def cloud_file(kind: str, n: int, replica: int) -> str:
    """Name of the file of a cloud: of "particles", or of the samples of the "floor"."""
    return f"tasks/{kind}-n{n}-r{replica}.npz"


def read_arrays(path: Path, without: Sequence[str] = ()) -> dict[str, Array]:
    """Arrays of a file, by name."""
    with np.load(path) as data:
        return {name: data[name] for name in data if name not in without}


def comparison_record(folder: RunFolder) -> dict[str, object]:
    """What run.json says.

    Raises:
        InputError: it is not that of a comparison.
    """
    about = folder.read_run()
    if about.get("kind") != "compare":
        raise InputError(f"{folder.path} holds a run, a comparison expected: give another folder")
    return about


def has_comparison(folder: RunFolder) -> bool:
    """Whether the folder is that of a comparison.

    Raises:
        InputError: it is, but the comparison is not finished.
    """
    if folder.kind != "compare":
        return False
    if not (folder.path / _TABLE).is_file():
        raise InputError(f"{folder.path} holds no finished comparison: go on with it (resume)")
    return True


def read_rows(folder: RunFolder) -> list[dict[str, float]]:
    """The table, a row for each time and number of particles."""
    with open(folder.path / _TABLE, encoding="utf-8", newline="") as file:
        return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]


def write_rows(folder: RunFolder, rows: Sequence[Mapping[str, float]]) -> None:
    """Write the table."""
    write_csv(folder, _TABLE, list(rows[0]), (row.values() for row in rows))


def write_csv(
    folder: RunFolder, name: str, header: Sequence[str], rows: Iterable[Iterable[float]]
) -> None:
    """Write a table of numbers, ten digits each."""
    write_table(folder.file(name), header, (map(float, row) for row in rows), digits=10)
