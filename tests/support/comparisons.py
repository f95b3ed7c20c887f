"""Small comparisons of tokens with a density, and what they leave."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cases
import numpy as np
from cases import plain

import meanfield as mf
from meanfield.geometry.sphere import Array
from meanfield.studies.compare import compare
from meanfield.studies.evaluate import Comparison
from meanfield.studies.settings import Clouds

NUMBERS, REPLICAS, TIMES = (50, 200), 6, (0.0, 0.25, 0.5)

compared = plain.but(geometry__level=3, time__end=0.5, time__outputs=[0.25], output__figures=False)
"""The density of a small comparison."""

CIRCLE: dict[str, object] = {**cases.CIRCLE, "geometry.vertices": 200}
ZONAL: dict[str, object] = {**cases.ZONAL, "geometry.vertices": 129}


def whole(folder: Path) -> Comparison:
    """A comparison with distances and figures."""
    return compare(
        compared(output__figures=True), Clouds(NUMBERS, REPLICAS), folder, progress=False
    )


def quick(case: mf.Case, folder: Path, **options: Any) -> Comparison:
    """A comparison of two times and 2 clouds of 20 particles, without distances."""
    clouds = {"numbers": (20,), "replicas": 2, "times": [0.25], "exponents": ()}
    names = (*clouds, "particle_case", "reference")
    clouds |= {name: options.pop(name) for name in names if name in options}
    clouds["case"] = clouds.pop("particle_case", None)
    return compare(case, Clouds(**clouds), folder, **{"progress": False, **options})


def task(folder: Path, kind: str, n: int, replica: int) -> dict[str, Array]:
    """What one cloud has left."""
    with np.load(folder / "tasks" / f"{kind}-n{n}-r{replica}.npz") as data:
        return dict(data)


def tasks(
    numbers: Sequence[int] = NUMBERS,
    replicas: int = REPLICAS,
    kinds: Sequence[str] = ("particles", "floor"),
) -> set[str]:
    """Files of the clouds of a comparison."""
    return {
        f"tasks/{kind}-n{n}-r{r}.npz" for kind in kinds for n in numbers for r in range(replicas)
    }
