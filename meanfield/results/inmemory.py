"""The last state of a run that has no folder, as its field file would hold it.

In double precision, in three dimensions. Knows nothing of solvers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meanfield.geometry.mesh import IntArray, Mesh
from meanfield.geometry.sphere import Array
from meanfield.results.formats import LOG10_FLOOR, FieldSeries, TokenSeries
from meanfield.results.stored import checked_frame, chosen_pairs, inner_products, stored_vectors

__all__ = ["fields_in_memory", "tokens_in_memory"]

_NOWHERE = Path("a run without a folder")
_DOUBLE = np.dtype(np.float64)


@dataclass(frozen=True)
class _Fields(FieldSeries):
    """Attributes: ``values``: of all fields, by name."""

    values: Mapping[str, Array] = field(default_factory=dict)

    def _at(self, k: int) -> FieldSeries:
        return self

    def _read(self, name: str, k: int | None) -> Array:
        return self.values[name]


def fields_in_memory(t: float, values: Mapping[str, Array], mesh: Mesh) -> FieldSeries:
    """One step of fields.

    Args:
        t: its time.
        values: as for ``FieldFile.write``.
        mesh: where they are.
    """
    on = mesh.manifold
    given = {name: np.asarray(v, dtype=np.float64) for name, v in values.items()}
    if "log10_rho" in given:
        given["log10_rho"] = np.maximum(given["log10_rho"], LOG10_FLOOR)
    if "velocity" in given:
        v = given["velocity"]
        v = v[:, None] if v.ndim == 1 else v
        given["velocity"] = on.vectors_in_space(mesh.points, v)
    beside = on.beside_space(mesh.points)
    return _Fields(
        path=_NOWHERE,
        times=np.array([t]),
        names={name: 1 if v.ndim == 1 else v.shape[1] for name, v in given.items()},
        static=tuple(beside),
        geometry=mesh.geometry,
        d=mesh.d,
        points=on.in_space(mesh.points),
        cells=mesh.cells,
        moving="mass" in given,
        values={**given, **beside},
    )


@dataclass(frozen=True)
class _Tokens(TokenSeries):
    """Attributes: ``x``: (n, d); ``values``: of all data, by name."""

    x: Array = field(default_factory=lambda: np.zeros((0, 0)))
    values: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    def _points(self, k: int) -> Array:
        return _in_space(self.x, self.frame, self.times[0])

    def _read(self, name: str, k: int | None) -> NDArray[Any]:
        return self.values[name]

    def _inner_products(self, k: int) -> Array:
        return inner_products(self.x, self.values["mass"], chosen_pairs(self.n))


def _in_space(x: Array, frame: Array | None, t: float) -> Array:
    return stored_vectors("position", x, (len(x), x.shape[1]), frame, _DOUBLE, t)


def tokens_in_memory(
    t: float, x: Array, masses: Array, cluster: IntArray, velocity: Array, length: Array | None
) -> TokenSeries:
    """One step of tokens: see ``TokenFile.write``; ``masses``: (n,)."""
    n, d = x.shape
    frame = checked_frame(None, d)
    changing: dict[str, NDArray[Any]] = {
        "cluster": np.asarray(cluster, dtype=np.int64),
        "velocity": _in_space(velocity, frame, t),
    }
    if d > 3:
        changing["coordinates"] = np.asarray(x, dtype=np.float64)
    if length is not None:
        changing["length"] = np.asarray(length, dtype=np.float64)
    static = {"id": np.arange(n), "mass": np.asarray(masses, dtype=np.float64)}
    return _Tokens(
        path=_NOWHERE,
        times=np.array([t]),
        n=n,
        d=d,
        frame=frame,
        names=tuple(changing),
        static=tuple(static),
        x=x,
        values={**changing, **static},
    )
