"""Small cases that tests start from, and how they are run and looked at.

A test says what is its own: ``small(model__beta=5.0)`` is the small case with another beta. What
is imported here loads numba, so conftests import it when first asked for (../conftest.py).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w

import meanfield as mf
from meanfield.case import apply_overrides
from meanfield.geometry.sphere import Array

__all__ = [
    "CIRCLE",
    "FILES",
    "GEOMETRIES",
    "LONG",
    "ZONAL",
    "Recipe",
    "about",
    "all_numbers",
    "at_step",
    "contents",
    "few_tokens",
    "files",
    "original",
    "plain",
    "run",
    "same_series",
    "small",
    "small_tokens",
]

Changes = Mapping[str, object] | None


class Recipe:
    """The table of a case; called, it makes the case, with some keys changed.

    Changes are key paths to values, and keywords with ``__`` for the point: ``time__end=2.0``.
    Another type of geometry, law or solver takes the place of the old one with all its keys.
    """

    def __init__(self, table: Mapping[str, object]) -> None:
        self._table = table

    def __call__(self, changes: Changes = None, base: Path | str = ".", **more: object) -> mf.Case:
        """The case; paths in it begin at ``base``."""
        return mf.Case.from_dict(self.table(changes, **more), base)

    def table(self, changes: Changes = None, **more: object) -> dict[str, Any]:
        """The case as a dictionary."""
        paths = {key.replace("__", "."): value for key, value in more.items()}
        made = apply_overrides(self._table, {**(changes or {}), **paths})
        if "solver" not in self._table and made["solver"] == {"type": mf.Eulerian.type}:
            del made["solver"]  # nobody has asked for it
        return made

    def but(self, changes: Changes = None, **more: object) -> Recipe:
        """A recipe that starts from this one."""
        return Recipe(self.table(changes, **more))

    def without(self, name: str) -> Recipe:
        """A recipe that lacks a key or a section at the top."""
        return Recipe({key: value for key, value in self._table.items() if key != name})

    def text(self, changes: Changes = None, **more: object) -> str:
        """The case as TOML, with no more in it than somebody has said."""
        return tomli_w.dumps(self.table(changes, **more))

    def write(self, path: Path, changes: Changes = None, **more: object) -> Path:
        """Write the case as a file."""
        path.write_text(self.text(changes, **more), "utf-8")
        return path


plain = Recipe(
    {
        "title": "Small",
        "geometry": {"type": "sphere", "level": 2},
        "model": {"attention": "sa", "beta": 4.0},
        "initial": {"type": "standard"},
        "time": {"end": 1.0},
    }
)
"""No more than a case must have: everything else has its default."""

small = plain.but(
    geometry__level=3,
    solver__cfl=0.2,
    time__outputs=[0.3, 0.45],
    time__series_every=4,
    output__figures=False,
)
"""A density; its run takes a moment."""

small_tokens = plain.but(
    {"title": "Tokens", "geometry.type": "unmeshed", "geometry.d": 3},
    solver={"type": "particles", "number": 100},
)
"""Tokens on S^2."""

few_tokens = small_tokens.but(
    {"title": "A few tokens", "seed": 3, "solver.number": 50},
    time={"end": 2.0, "outputs": {"every": 0.5}, "series_every": 2},
    output={"figures": False, "precision": "float64"},
)
"""Tokens that can be held against sums over all pairs; their run takes a moment."""

CIRCLE: dict[str, object] = {
    "geometry.type": "circle",
    "geometry.vertices": 64,
    "initial.type": "fourier",
    "initial.cos": [0.1, 0.0, 0.2],
}
ZONAL: dict[str, object] = {
    "geometry.type": "zonal",
    "geometry.d": 5,
    "geometry.vertices": 65,
    "initial.type": "gegenbauer",
    "initial.coefficients": [0.3, 0.25],
}

GEOMETRIES: dict[str, dict[str, object]] = {
    "sphere": {},
    "circle": {**CIRCLE, "initial.sin": [0.05]},
    "zonal": ZONAL,
}
"""Changes that bring a density to each geometry."""

LONG = ("--set", "time.end=1e6", "--set", "solver.cfl=0.01", "--set", "time.outputs.every=20")
"""What makes a run of a density long enough to be interrupted: a thousand short steps and more."""

PREVIOUS = "checkpoint.previous.npz"
FILES = {
    "case.toml", "run.json", "series.csv", "fields.vtkhdf", "run.log", "checkpoint.npz", PREVIOUS,
    "clusters.csv",
}  # fmt: skip
"""What the run of a density leaves, but for pictures."""


# ------------------------------------------------------------------ running


def run(case: mf.Case, folder: Path | None = None, **options: Any) -> mf.Result:
    """Run a case in silence."""
    return mf.run(case, folder, **{"progress": False, **options})


def at_step(number: int, action: Callable[[Any], None]) -> mf.Watch:
    """An observer that acts after one step."""

    def observer(solver: Any) -> None:
        if solver.step == number:
            action(solver)

    return mf.Watch(observer, mf.EverySteps(1))


# ------------------------------------------------------------------ what is left


def about(folder: Path) -> dict[str, Any]:
    """The record of a run."""
    data = json.loads((folder / "run.json").read_text("utf-8"))
    assert isinstance(data, dict)
    return data


def files(folder: Path) -> set[str]:
    """Names of all files of a folder and of those in it."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def contents(folder: Path) -> dict[str, bytes]:
    """All files of a folder, by their names."""
    return {name: (folder / name).read_bytes() for name in files(folder)}


def original(result: mf.Result, owned: Array) -> Array:
    """Values at the vertices in the order of the mesh."""
    values = result.solver.space.gather(owned)
    assert values is not None
    return values


def all_numbers(series: Mapping[str, Array]) -> None:
    """All of a series is finite, but for what hangs on the row before in the first one."""
    for name, column in series.items():
        assert np.all(np.isfinite(column[1:] if name == "energy_residual" else column)), name


def same_series(one: Mapping[str, Array], two: Mapping[str, Array], tolerance: float) -> None:
    """The columns of two series agree."""
    assert list(one) == list(two)
    for name in one:
        np.testing.assert_allclose(
            one[name], two[name], rtol=tolerance, atol=tolerance, err_msg=name
        )
