"""What comes out of a study of convergence, and its file: errors at each resolution and time.

Owns names and layout of ``converge.csv``. Knows nothing of how they came about.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from meanfield.analysis.orders import Order, fitted_order, orders_between
from meanfield.errors import InputError
from meanfield.geometry.sphere import Array
from meanfield.results.folder import RunFolder
from meanfield.whole import write_table

__all__ = ["QUANTITIES", "ConvergenceTable", "has_convergence"]

TABLE = "converge.csv"
QUANTITIES = ("mean", "energy", "l1")
_ABOUT = "convergence"


@dataclass(frozen=True, eq=False)
class ConvergenceTable:
    """Errors of runs of a case at rising resolution.

    Attributes:
        key: what tells the resolution: "level", "vertices".
        against: what the reference is, in words.
        resolutions: (n,) of the runs, rising, without the reference.
        vertices: (n,) numbers of vertices.
        edges: (n,) lengths of edges, in radians.
        times: (k,) output times.
        errors: (n, k) by name: "mean", the length of the difference of int x dmu; "energy", that of
            scaled energies; "l1", int |rho - rho_ref| dsigma at the vertices. nan: not known.
        reference_edge: of the reference, if it is a run of the same method; 0: it is far better.
        reference_error: what is known of its error at the last time, by name.
    """

    key: str
    against: str
    resolutions: NDArray[np.int64]
    vertices: NDArray[np.int64]
    edges: Array
    times: Array
    errors: Mapping[str, Array]
    reference_edge: float
    reference_error: Mapping[str, float]

    def orders(self, name: str, k: int = -1) -> Array:
        """Orders from each resolution to the next at the k-th time, (n - 1,)."""
        return orders_between(self.errors[name][:, k], self.edges)

    def fitted(self, name: str, k: int = -1) -> Order:
        """The order that fits all of them at the k-th time."""
        return fitted_order(self.errors[name][:, k], self.edges, self.reference_edge)

    def write(self, folder: RunFolder) -> None:
        """Write the table, and what else is told into run.json."""
        header = ["resolution", "vertices", "edge", "t"]
        header += [f"{name}_error" for name in QUANTITIES]
        header += [f"{name}_order" for name in QUANTITIES]
        write_table(folder.file(TABLE), header, self._rows())
        fits = {name: self.fitted(name) for name in QUANTITIES}
        about = {
            "key": self.key,
            "against": self.against,
            "reference_edge": self.reference_edge,
            "reference_error": dict(self.reference_error),
            "t": float(self.times[-1]),
            "order": {name: fit.value for name, fit in fits.items()},
            "factor": {name: fit.factor for name, fit in fits.items()},
        }
        folder.write_run({**folder.read_run(), _ABOUT: about})

    def _rows(self) -> list[list[object]]:
        """A row for each time and resolution; orders are those from the coarser one before."""
        rows: list[list[object]] = []
        for k, t in enumerate(self.times):
            orders = {name: [np.nan, *self.orders(name, k)] for name in QUANTITIES}
            for i, resolution in enumerate(self.resolutions):
                row: list[object] = [int(resolution), int(self.vertices[i])]
                row += [float(self.edges[i]), float(t)]
                row += [float(self.errors[name][i, k]) for name in QUANTITIES]
                rows.append(row + [float(orders[name][i]) for name in QUANTITIES])
        return rows

    @classmethod
    def read(cls, path: Path) -> ConvergenceTable:
        """Read it from the folder at ``path``.

        Raises:
            InputError: there is none.
        """
        about = RunFolder.open(path).read_run().get(_ABOUT)
        if not (path / TABLE).is_file() or not isinstance(about, dict):
            raise InputError(f"{path} has no {TABLE}, expected the folder of a finished converge")
        found = np.atleast_1d(np.genfromtxt(path / TABLE, delimiter=",", names=True))
        resolutions, first = np.unique(found["resolution"].astype(np.int64), return_index=True)
        shape = (-1, len(resolutions))
        return cls(
            key=str(about["key"]),
            against=str(about["against"]),
            resolutions=resolutions,
            vertices=found["vertices"][first].astype(np.int64),
            edges=found["edge"][first],
            times=found["t"].reshape(shape)[:, 0],
            errors={name: found[f"{name}_error"].reshape(shape).T for name in QUANTITIES},
            reference_edge=float(about["reference_edge"]),
            reference_error={n: float(v) for n, v in dict(about["reference_error"]).items()},
        )


def has_convergence(folder: RunFolder) -> bool:
    """Whether the table of a study of convergence is in a folder."""
    return (folder.path / TABLE).is_file()
