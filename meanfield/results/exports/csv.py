"""Export to CSV: a row for each vertex or token at each time, numbers exactly (17 digits).

One file; of more than a million rows one a step.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from meanfield.results.exports.base import Data
from meanfield.whole import write_table

__all__ = ["EXPORT", "LARGEST"]

LARGEST = 1_000_000
"""Rows of one file."""


class _Csv:
    """See ``Exporter``."""

    def files(self, data: Data) -> tuple[str, ...]:
        if sum(len(data.points(k)) for k in data.steps) <= LARGEST:
            return (f"{data.stem}.csv",)
        return tuple(f"{data.stem}_{number:06d}.csv" for number in range(len(data.steps)))

    def write(self, data: Data, folder: Path) -> None:
        files = self.files(data)
        parts = [data.steps] if len(files) == 1 else [(k,) for k in data.steps]
        for name, steps in zip(files, parts, strict=True):
            write_table(folder / name, _header(data), _rows(data, steps))


def _header(data: Data) -> list[str]:
    names = ["t", "vertex" if data.stem == "fields" else "token", "x", "y", "z"]
    for name in data.names:
        values = data.values(name, data.steps[0])
        ends = [""] if values.ndim == 1 else [f"_{c}" for c in _axes(values.shape[1])]
        names += [f"{name}{end}" for end in ends]
    return names


def _axes(count: int) -> Iterable[object]:
    return "xyz" if count == 3 else range(1, count + 1)


def _rows(data: Data, steps: Iterable[int]) -> Iterator[list[object]]:
    for k in steps:
        points = data.points(k)
        columns: list[list[object]] = [
            [float(data.source.times[k])] * len(points),
            list(range(len(points))),
            *points.T.tolist(),
        ]
        for name in data.names:
            columns += np.atleast_2d(data.values(name, k).T).tolist()
        for row in zip(*columns, strict=True):
            yield list(row)


EXPORT = _Csv()
