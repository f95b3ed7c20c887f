"""Two finished runs held against each other at the output times that they share.

Two densities: ``rundiff``. Tokens and a density, in either order: the tokens against the density,
as any cloud of points (``points``). Two runs of tokens: W_2 of the clouds, held against that of as
many tokens of both, shuffled (the floor of two clouds from one law), and the tests by energies of
kernels. Reads run folders, never a live run.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from meanfield.analysis.crosscheck import mean_with_interval
from meanfield.arguments import Count, checked_arguments
from meanfield.errors import InputError
from meanfield.interaction.measure import Measure
from meanfield.results.folder import RunFolder
from meanfield.results.formats import read_fields, read_tokens_file
from meanfield.runs.result import Result
from meanfield.studies.densities import density_at
from meanfield.studies.distance import distance_between
from meanfield.studies.frame import frame_of
from meanfield.studies.grid import Grid
from meanfield.studies.numbers import checked_integer
from meanfield.studies.points import CAUTION, PointsComparison, held_against, points_grid
from meanfield.studies.rundiff import RunDifference, compare_runs, difference_grid
from meanfield.studies.sides import Side, common_steps, has_tokens, read_side
from meanfield.whole import write_table

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["RunsComparison", "TokensDifference", "compare_pair"]

_PERMUTATIONS = 199  # of the tests of two clouds, at each time
_SAME = 1e-9  # relative difference of times that are the same


@dataclass(frozen=True)
class TokensDifference:
    """Two clouds of tokens at one time.

    Attributes:
        t: the time.
        n, m: numbers of tokens.
        w2: Wasserstein distance of the clouds, radians.
        floor: mean of that of two clouds of n and m of all tokens, shuffled: what two clouds from
            one law are apart; nan: tokens of unequal masses.
        ratio: w2 over the floor.
        energy_distance, mmd: of the clouds; nan: tokens of unequal masses.
        p_value, p_mmd: of these, by permutations, for independent tokens.
        energy: (E_2 - E_1), scaled, from the series; nan where a model has no energy.
    """

    t: float
    n: int
    m: int
    w2: float
    floor: float
    ratio: float
    energy_distance: float
    p_value: float
    mmd: float
    p_mmd: float
    energy: float


@dataclass(frozen=True)
class RunsComparison:
    """Two runs at the output times that both have.

    Attributes:
        kind: "densities", "tokens and density" or "tokens".
        first, second: folders of the runs.
        rows: ``RunDifference``, ``PointsComparison`` or ``TokensDifference``, one for each time.
        label: how the scaled energy is written.
    """

    kind: str
    first: Path
    second: Path
    rows: tuple[RunDifference, ...] | tuple[PointsComparison, ...] | tuple[TokensDifference, ...]
    label: str = "E"

    def __repr__(self) -> str:
        return "\n".join([f"{self.kind}: {self.first} against {self.second}", *self.lines()])

    def grid(self) -> Grid:
        """A table for people."""
        densities = [row for row in self.rows if isinstance(row, RunDifference)]
        if densities:
            return difference_grid(densities, self.label)
        points = [row for row in self.rows if isinstance(row, PointsComparison)]
        if points:
            return points_grid(points, self.label)
        return _tokens_grid([r for r in self.rows if isinstance(r, TokensDifference)], self.label)

    def caution(self) -> list[str]:
        """What should be known beside it."""
        return [CAUTION] if any(isinstance(row, PointsComparison) for row in self.rows) else []

    def lines(self) -> list[str]:
        """Lines of a table for people."""
        return [*self.grid().lines(), *self.caution()]

    def table(self) -> list[dict[str, float]]:
        """All numbers by name, a dictionary for each time."""
        return [row.row() if isinstance(row, PointsComparison) else asdict(row)
                for row in self.rows]  # fmt: skip

    def to_pandas(self) -> DataFrame:
        """The table with a row for each time."""
        return frame_of(self.table())

    def write(self, path: Path) -> None:
        """Write the table as csv, replacing the file."""
        rows = self.table()
        write_table(path, list(rows[0]), (row.values() for row in rows))


@checked_arguments
def compare_pair(
    first: Result | str | Path,
    second: Result | str | Path,
    *,
    time: float | None = None,
    distances: bool = True,
    draws: Count = 16,
    seed: Count = 0,
) -> RunsComparison:
    """Compare two runs at the output times that both have.

    Args:
        first, second: folders of runs on the same sphere, of densities or of tokens, or what
            ``run`` has returned for them.
        time: one of these times; None: all of them.
        distances: of two densities: whether to compute W_2.
        draws: of the floor at each time, 2 or more.
        seed: of these.

    Raises:
        InputError: no such runs, other geometries, or no time in common.
    """
    draws = checked_integer("draws", draws, 2, 10_000, "the floor is a mean with an interval")
    folders = [_folder_of(one, name) for one, name in ((first, "first"), (second, "second"))]
    dense = [folder.fields_path.is_file() for folder in folders]
    for folder, is_dense in zip(folders, dense, strict=True):
        if not is_dense and not has_tokens(folder):
            raise InputError(
                f"{folder.path} has neither a density ({folder.fields_path.name}) nor tokens "
                f"({folder.particles_path.name}): the folder of a run expected"
            )
    paths = folders[0].path, folders[1].path
    label = str(folders[dense.index(True) if any(dense) else 0].read_energy()["label"])
    if all(dense):
        found = compare_runs(*paths, distances, time)
        return RunsComparison("densities", *paths, tuple(found), label)
    times = _times(folders, time)
    if any(dense):
        density, tokens = folders if dense[0] else folders[::-1]
        rows = tuple(_against(density, tokens, t, draws, seed) for t in times)
        return RunsComparison("tokens and density", *paths, rows, label)
    clouds = tuple(_apart(folders, t, draws, seed) for t in times)
    return RunsComparison("tokens", *paths, clouds, label)


def _folder_of(run: Result | str | Path, name: str) -> RunFolder:
    if not isinstance(run, Result):
        return RunFolder.open(run)
    if run.folder is None:
        raise InputError(
            f"{name}: found a run without a folder, expected one with a folder, which has the "
            "output times (compare(density, points, t) takes points)"
        )
    return RunFolder.open(run.folder)


def _times(folders: Sequence[RunFolder], time: float | None) -> list[float]:
    """Output times that both runs have; their dimensions are the same."""
    series = [
        read_fields(folder.fields_path)
        if folder.fields_path.is_file()
        else read_tokens_file(folder.particles_path)
        for folder in folders
    ]
    one, two = series
    if one.d != two.d:
        raise InputError(
            f"{folders[1].path} is in d = {two.d}, {folders[0].path} in d = {one.d}: the same "
            "sphere expected"
        )
    steps = common_steps((folders[0].path, folders[1].path), (one.times, two.times), time)
    return [float(one.times[i]) for i, _ in steps]


def _against(
    density: RunFolder, tokens: RunFolder, t: float, draws: int, seed: int
) -> PointsComparison:
    """Tokens of a run against the density of another."""
    held = density_at(density.path, t)
    side = read_side(tokens.path, held.side.on.d, t)
    x, w = np.ascontiguousarray(side.measure.points), side.measure.weights
    masses = None if side.equal else w
    return held_against(held, x, masses, draws=draws, seed=seed, interacted=t > 0.0)


def _apart(folders: Sequence[RunFolder], t: float, draws: int, seed: int) -> TokensDifference:
    """Two clouds of tokens."""
    d = read_tokens_file(folders[0].particles_path).d
    one, two = (read_side(folder.path, d, t) for folder in folders)
    found = distance_between(one, two, permutations=_PERMUTATIONS, seed=seed)
    w2, tests = found.transport.distance, {test.statistic: test for test in found.tests}
    floor = _shuffled(one, two, draws, seed) if tests else math.nan
    energy, mmd = tests.get("energy"), tests.get("mmd")
    ends = [_energy(folder, t) for folder in folders]
    return TokensDifference(
        t=t,
        n=len(one.measure.weights),
        m=len(two.measure.weights),
        w2=w2,
        floor=floor,
        ratio=w2 / floor if floor > 0.0 else math.nan,
        energy_distance=energy.distance if energy else math.nan,
        p_value=energy.p_value if energy else math.nan,
        mmd=mmd.distance if mmd else math.nan,
        p_mmd=mmd.p_value if mmd else math.nan,
        energy=ends[1] - ends[0],
    )


def _shuffled(one: Side, two: Side, draws: int, seed: int) -> float:
    """Mean W_2 of two clouds of all tokens, dealt out anew."""
    x, n = np.concatenate([side.measure.points for side in (one, two)]), len(one.measure.weights)
    rng = np.random.default_rng(seed)

    def dealt() -> float:
        order = rng.permutation(len(x))
        parts = (Measure.equal(x[rows]) for rows in (order[:n], order[n:]))
        sides = [Side(part, one.on, 0.0, "", tokens=True) for part in parts]
        return distance_between(*sides, tests=()).transport.distance

    return mean_with_interval([dealt() for _ in range(draws)]).value


def _energy(folder: RunFolder, t: float) -> float:
    series = folder.read_series()
    if "energy_scaled" not in series:
        return math.nan
    k = np.flatnonzero(np.abs(series["t"] - t) <= _SAME * max(1.0, abs(t)))
    return float(series["energy_scaled"][k[0]]) if k.size else math.nan


def _tokens_grid(rows: Sequence[TokensDifference], energy: str) -> Grid:
    def shown(value: float, form: str) -> str:
        return "-" if math.isnan(value) else format(value, form)

    cells = []
    for r in rows:
        transport = (f"{r.w2:.4g}", shown(r.floor, ".4g"), shown(r.ratio, ".3g"))
        tests = (shown(v, ".3g") for v in (r.energy_distance, r.p_value, r.mmd, r.p_mmd))
        change = shown(r.energy, ".3e")
        cells.append((f"{r.t:.5g}", f"{r.n}", f"{r.m}", *transport, *tests, change))
    heads = ("t", "n", "m", "W2", "floor", "ratio", "energy", "p", "mmd", "p", f"d{energy}")
    widths = (8, 8, 8, 9, 9, 6, 9, 7, 9, 7, 13)
    return Grid(heads, tuple(cells), widths, (0, *[1] * 10))
