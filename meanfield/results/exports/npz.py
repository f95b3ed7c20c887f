"""Export to NumPy's .npz: arrays by name, with a README that says what they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meanfield.results.exports.base import Data, described
from meanfield.whole import save_arrays

__all__ = ["EXPORT"]


class _Npz:
    """See ``Exporter``."""

    def files(self, data: Data) -> tuple[str, ...]:
        return (f"{data.stem}.npz",)

    def write(self, data: Data, folder: Path) -> None:
        arrays: dict[str, NDArray[Any]] = {"times": data.times}
        told = {"times": "of the steps"}
        places = {"points": data.points, "cells": data.cells}
        words = {"points": "places in three dimensions", "cells": "numbers of the points of each"}
        for name, read in places.items():
            if not data.moving:
                arrays[name], told[name] = read(0), f"{words[name]}, at all times"
            elif name == "points" or data.stem == "fields":  # tokens are no cells
                _add(arrays, told, name, [read(k) for k in data.steps], words[name])
        for name in data.static:
            arrays[name], told[name] = data.values(name, 0), f"{described(name)}, at all times"
        for name in data.growing:
            each = [data.values(name, k) for k in data.steps]
            _add(arrays, told, name, each, described(name))
        head = f"{data.title}: {data.stem} of meanfield at {len(data.steps)} times"
        lines = [f"{name} {arrays[name].shape}: {text}" for name, text in told.items()]
        arrays["README"] = np.array("\n".join([head, *lines]))
        save_arrays(folder / self.files(data)[0], **arrays)


def _add(
    arrays: dict[str, NDArray[Any]],
    told: dict[str, str],
    name: str,
    each: list[NDArray[Any]],
    text: str,
) -> None:
    """Add an array with the steps along its first axis; where they differ in size, one a step."""
    if len({values.shape for values in each}) == 1:
        arrays[name], told[name] = np.stack(each), f"{text}, step by step along the first axis"
        return
    arrays |= {f"{name}_{number:06d}": values for number, values in enumerate(each)}
    told[f"{name}_000000"] = f"{text}, of the first step; {name}_000001 and so on of the others"


EXPORT = _Npz()
