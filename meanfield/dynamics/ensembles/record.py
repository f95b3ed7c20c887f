"""What is written down of systems whose tokens are known: the columns of an ``Outcome``."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from meanfield.dynamics.clusters import cluster_labels
from meanfield.dynamics.ensembles.outcome import IntArray, Outcome, Watch
from meanfield.geometry.sphere import Array
from meanfield.interaction.batched import MatrixField

__all__ = ["Record", "joined"]

COLUMNS = ("inner_product", "mean_inner_product", "close", "mean_norm")
SNAPSHOTS = ("energy_scaled", "clusters", "largest")


class Record:
    """The outcome of R systems, filled in as they reach output times; until then nan or -1.

    Attributes:
        calls, failed: (R,) as in ``Outcome``.
    """

    def __init__(self, watch: Watch, number: int, field: MatrixField) -> None:
        self._watch, self._field = watch, field
        k, s = len(watch.times), len(watch.snapshots)
        self._columns = {name: np.full((number, k), np.nan) for name in COLUMNS}
        self._snapshots = {name: np.full((number, s), np.nan) for name in SNAPSHOTS}
        self._histogram = np.full((number, s, max(0, len(watch.bins) - 1)), -1, dtype=np.int64)
        shape = (number, s, field.n, field.d)
        self._states = np.full(shape, np.nan) if watch.states else None
        self._snapshot_at = np.full(k, -1)
        self._snapshot_at[watch.snapshots] = np.arange(s)
        self.calls: IntArray = np.zeros(number, dtype=np.int64)
        self.failed: IntArray = np.zeros(number, dtype=np.int64)

    def put(self, rows: IntArray, places: IntArray, x: Array) -> None:
        """Tokens x (m, n, d), unit vectors, of systems ``rows`` at the output times ``places``."""
        n = self._field.n
        pairs = n * (n - 1) if n > 1 else np.nan
        gram = np.matmul(x, x.swapaxes(1, 2))
        total = np.linalg.norm(x.sum(axis=1), axis=1)
        near = np.count_nonzero(gram >= 1.0 - self._watch.delta, axis=(1, 2))
        own = np.count_nonzero(
            np.diagonal(gram, axis1=1, axis2=2) >= 1.0 - self._watch.delta, axis=1
        )
        columns = self._columns
        if n > 1:
            columns["inner_product"][rows, places] = np.minimum(gram[:, 0, 1], 1.0)
        columns["mean_inner_product"][rows, places] = (total**2 - n) / pairs
        columns["close"][rows, places] = (near - own) / pairs
        columns["mean_norm"][rows, places] = total / n
        at = self._snapshot_at[places]
        for k in np.flatnonzero(at >= 0):
            self._snapshot(int(rows[k]), int(at[k]), x[k], gram[k])

    def _snapshot(self, row: int, place: int, x: Array, gram: Array) -> None:
        """What is counted of one system, of tokens (n, d) with inner products (n, n)."""
        labels = cluster_labels(x, self._watch.cluster_angle)
        found = {
            "energy_scaled": float(self._field.energy(x[None].astype(self._field.dtype))[0]),
            "clusters": float(labels.max() + 1),
            "largest": float(np.mean(labels == 0)),
        }
        for name, value in found.items():
            self._snapshots[name][row, place] = value
        if self._histogram.shape[2]:
            products = np.clip(gram[np.triu_indices(len(x), 1)], -1.0, 1.0)
            self._histogram[row, place] = np.histogram(products, self._watch.bins)[0]
        if self._states is not None:
            self._states[row, place] = x

    def outcome(self) -> Outcome:
        """What is known now."""
        snapshots = dict(self._snapshots)
        if not self._field.has_energy:
            del snapshots["energy_scaled"]
        return Outcome(
            self._columns, snapshots, self._histogram, self._states, self.calls, self.failed
        )


def joined(parts: list[Outcome]) -> Outcome:
    """The outcome of all systems from those of some of them, in order."""

    def rows(values: list[NDArray[np.generic]]) -> Array:
        return np.concatenate(values)

    first = parts[0]
    return Outcome(
        columns={name: rows([p.columns[name] for p in parts]) for name in first.columns},
        snapshots={name: rows([p.snapshots[name] for p in parts]) for name in first.snapshots},
        histogram=rows([p.histogram for p in parts]),
        states=None
        if first.states is None
        else rows([p.states for p in parts if p.states is not None]),
        calls=rows([p.calls for p in parts]),
        failed=rows([p.failed for p in parts]),
    )
