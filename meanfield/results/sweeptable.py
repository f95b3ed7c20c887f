"""What comes out of a sweep, and its two files: statistics over realisations at each point.

Owns names and layout of ``sweep.npz`` and ``sweep.csv``. Knows nothing of how they came about.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from meanfield.errors import InputError
from meanfield.geometry.sphere import Array
from meanfield.results.folder import RunFolder
from meanfield.whole import save_arrays, write_table

__all__ = ["Axis", "Statistics", "SweepTable", "has_sweep", "points_of"]

_ARRAYS, _TABLE = "sweep.npz", "sweep.csv"
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class Axis:
    """Keys of a case that change together.

    Attributes:
        keys: such as ("model.beta",); several: they are zipped.
        values: a tuple for each place on the axis, one value for each key.
    """

    keys: tuple[str, ...]
    values: tuple[tuple[object, ...], ...]

    @property
    def label(self) -> str:
        """Name of the axis: its keys without their sections."""
        return ", ".join(key.rpartition(".")[2] for key in self.keys)


def points_of(axes: Sequence[Axis]) -> list[dict[str, object]]:
    """Values by key at each point of the product of axes, the last one fastest."""
    out: list[dict[str, object]] = [{}]
    for axis in axes:
        out = [
            {**point, **dict(zip(axis.keys, values, strict=True))}
            for point in out
            for values in axis.values
        ]
    return out


@dataclass(frozen=True, eq=False)
class Statistics:
    """A number of each realisation, over those that were finished, at each point and time.

    Attributes:
        mean: (points, k).
        error: standard error of the mean, (points, k); nan for fewer than two realisations.
        quantiles: (points, 5, k), at ``QUANTILES``.
    """

    mean: Array
    error: Array
    quantiles: Array


@dataclass(frozen=True, eq=False)
class SweepTable:
    """A sweep. Points are those of the product of the axes, the last one fastest.

    Attributes:
        axes: what was varied; none: one point.
        times: (k,) output times.
        realisations: how many were asked for at each point.
        finished, failed: (points,) how many are done, and how many of these failed.
        columns: statistics by name, at ``times``: of tokens "inner_product" <x_1, x_2>, "close"
            (fraction of pairs with <x_i, x_j> >= 1 - delta), ...; of any run the columns of its
            series. nan: not known at that time.
        delta: what is close; probabilities below are of tokens.
        probability: P(<x_1, x_2> >= 1 - delta), (points, k); nan where there are no tokens.
        half: (points,) first time at which that probability is 1/2; nan: never.
        half_error: (points,) its standard error.
        about: what else is told of the sweep: "title", "model" in words, "theory", ...
    """

    axes: tuple[Axis, ...]
    times: Array
    realisations: int
    finished: NDArray[np.int64]
    failed: NDArray[np.int64]
    columns: Mapping[str, Statistics]
    delta: float
    probability: Array
    half: Array
    half_error: Array
    about: Mapping[str, object]

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of places on each axis."""
        return tuple(len(axis.values) for axis in self.axes)

    def points(self) -> list[dict[str, object]]:
        """The values of each point by key, in order."""
        return points_of(self.axes)

    def write(self, folder: RunFolder) -> None:
        """Write both files."""
        save_arrays(
            folder.file(_ARRAYS),
            axes=json.dumps([[axis.keys, axis.values] for axis in self.axes]),
            about=json.dumps(dict(self.about)),
            names=json.dumps(list(self.columns)),
            times=self.times,
            realisations=self.realisations,
            finished=self.finished,
            failed=self.failed,
            delta=self.delta,
            probability=self.probability,
            half=self.half,
            half_error=self.half_error,
            quantiles=np.array(QUANTILES),
            **{
                f"{kind}_{name}": getattr(column, kind)
                for name, column in self.columns.items()
                for kind in ("mean", "error", "quantiles")
            },
        )
        write_table(folder.file(_TABLE), *self._rows())

    def _rows(self) -> tuple[list[str], list[list[object]]]:
        """A row for each point: its values, counts, the time at P = 1/2, columns at the end."""
        keys = [key for axis in self.axes for key in axis.keys]
        ends = [f"{kind}{name}" for name in self.columns for kind in ("", "error_")]
        header = [*keys, "finished", "failed", "half_time", "half_time_error", *ends]
        rows = [
            [
                *point.values(),
                int(self.finished[i]),
                int(self.failed[i]),
                self.half[i],
                self.half_error[i],
                *(v for c in self.columns.values() for v in (c.mean[i, -1], c.error[i, -1])),
            ]
            for i, point in enumerate(self.points())
        ]
        return header, rows

    @classmethod
    def read(cls, path: Path) -> SweepTable:
        """Read it from the folder at ``path``.

        Raises:
            InputError: there is none.
        """
        if not (path / _ARRAYS).is_file():
            raise InputError(f"{path} has no {_ARRAYS}, expected the folder of a finished sweep")
        with np.load(path / _ARRAYS, allow_pickle=False) as data:
            columns = {
                name: Statistics(*(data[f"{k}_{name}"] for k in ("mean", "error", "quantiles")))
                for name in json.loads(str(data["names"]))
            }
            axes = tuple(
                Axis(tuple(keys), tuple(tuple(v) for v in values))
                for keys, values in json.loads(str(data["axes"]))
            )
            return cls(
                axes=axes,
                times=data["times"],
                realisations=int(data["realisations"]),
                finished=data["finished"],
                failed=data["failed"],
                columns=columns,
                delta=float(data["delta"]),
                probability=data["probability"],
                half=data["half"],
                half_error=data["half_error"],
                about=json.loads(str(data["about"])),
            )


def has_sweep(folder: RunFolder) -> bool:
    """Whether the table of a sweep is in a folder."""
    return (folder.path / _ARRAYS).is_file()
