"""Export to a list of VTK's XML files, one a step: as the format "pvd" of runs, in doubles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meanfield.results.exports.base import Data
from meanfield.results.formats import TokenSeries
from meanfield.results.formats.pvd.collection import step_path, write_collection
from meanfield.results.formats.pvd.vtu import Grid, write_grid

__all__ = ["EXPORT"]


class _Pvd:
    """See ``Exporter``."""

    def files(self, data: Data) -> tuple[str, ...]:
        path = Path(f"{data.stem}.pvd")
        steps = (step_path(path, k).as_posix() for k in range(len(data.steps)))
        return (path.name, *steps)

    def write(self, data: Data, folder: Path) -> None:
        path = folder / f"{data.stem}.pvd"
        path.unlink(missing_ok=True)  # an earlier one would list files of this one
        for number, k in enumerate(data.steps):
            file = step_path(path, number)
            file.parent.mkdir(exist_ok=True)
            values = {name: _stored(data.values(name, k)) for name in data.names}
            tables = {"TimeValue": data.times[number : number + 1]}
            if isinstance(data.source, TokenSeries) and data.source.d > 3:
                tables["inner_products"] = data.source.inner_products(k)
            write_grid(file, Grid(data.points(k), data.cells(k), values, tables))
        write_collection(path, data.times, _about(data))
        last = len(data.steps)
        while (old := step_path(path, last)).exists():  # of an earlier one with more steps
            old.unlink()
            last += 1


def _stored(values: NDArray[Any]) -> NDArray[Any]:
    """As the format has it: whole numbers in 32 bits."""
    return values.astype(np.int32) if values.dtype.kind == "i" else values


def _about(data: Data) -> dict[str, object]:
    """What runs tell in such a file: ``read_fields`` and ``read_tokens_file`` read it back."""
    source = data.source
    about: dict[str, object] = {"d": source.d, "precision": "float64"}
    if isinstance(source, TokenSeries):
        frame = None if source.frame is None else source.frame.tolist()
        names = list(data.growing)
        return {**about, "content": "tokens", "n": source.n, "frame": frame, "names": names}
    return {
        **about,
        "content": "fields",
        "geometry": source.geometry,
        "moving": source.moving,
        "names": {name: source.names[name] for name in data.growing},
        "static": list(data.static),
    }


EXPORT = _Pvd()
