"""Does a cloud of points agree with the density of a run? One cloud, at one time.

W_2 to the density, held against the *sampling floor*: W_2 of as many independent draws of it; and a
chi-squared test of moments of degree 1 to 4 against the sampling covariance of the density
(``analysis.samplemoments``). Clouds that are run from a case, with replicas, are compared by
``compare``, whose test does not take the points of a cloud as independent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from meanfield.analysis.crosscheck import Interval, mean_with_interval
from meanfield.analysis.samplemoments import SampleMoments
from meanfield.arguments import Count, checked_arguments
from meanfield.checks import real_array, refuse_rows
from meanfield.dynamics.tokenfiles import read_tokens
from meanfield.errors import InputError
from meanfield.geometry.points import unit_vectors
from meanfield.geometry.sphere import Array
from meanfield.results.comparison import Reference
from meanfield.results.folder import RunFolder
from meanfield.results.formats import read_fields
from meanfield.runs.result import Result
from meanfield.studies.densities import DensityAt, density_at
from meanfield.studies.frame import frame_of
from meanfield.studies.grid import Grid
from meanfield.studies.numbers import EXACT, MANY, checked_integer
from meanfield.studies.references import points_for
from meanfield.studies.transport import transport
from meanfield.whole import write_table

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = [
    "CAUTION",
    "LEVEL",
    "PointsComparison",
    "compare_points",
    "held_against",
    "points_grid",
    "tokens_for",
    "write_points",
]

LEVEL = 0.05
"""Largest p-value that tells a cloud from the density."""
CAUTION = (
    "p and floor are those of independent draws; tokens that have interacted are none, and may "
    "fluctuate more although they follow the equation: a small p alone is no verdict, which "
    "`meanfield compare CASE` gives, with replicas"
)
"""What should be known of tokens of a run."""

_BEYOND = 1e-4  # chance of a draw beyond what is too far, whatever the moments (Student's t)
_WORTH = 2.0  # least ratio for that
_EQUAL = 1e-6  # relative difference of weights that are the same


@dataclass(frozen=True)
class PointsComparison:
    """A cloud of points against a density at one time.

    Attributes:
        t: the time.
        n: number of points.
        effective: (sum w)^2 / sum w^2, the number of equal ones that fluctuate as much; n for equal
            weights.
        w2: Wasserstein distance of the points to the density, radians (an upper bound where a
            bound is all that is known: of more than 1e5 points).
        floor: mean of W_2 of n independent draws with the same weights, with its 95 % interval.
        floors: (draws,) these distances.
        ratio: w2 over the floor's mean: about 1 for independent draws of the density.
        quadrature: bound of what w2 and floor are both wrong by: points stand for the density.
        statistic: T of the moments of degree 1 to 4, ``freedom`` on average for independent draws.
        freedom: the degrees of freedom.
        shift: of T, by what the mesh may be wrong by; p allows for it.
        p_value: of the moments, for independent draws; nan: no verdict.
        energy: scaled E of the points (over pairs of different ones) minus that of the density; nan
            where there is none, and for colatitudes, which do not tell it.
        energy_spread: standard deviation of this over independent draws; nan for more than 20 000
            points.
        verdict: "agrees: ...", "differs: ..." or "no verdict: ...", with the reason.
        density: what the points were compared with, in words.
        label: how the scaled energy is written.
    """

    t: float
    n: int
    effective: float
    w2: float
    floor: Interval
    ratio: float
    quadrature: float
    statistic: float
    freedom: int
    shift: float
    p_value: float
    energy: float
    energy_spread: float
    verdict: str
    density: str
    label: str = field(default="E", repr=False)
    floors: Array = field(default_factory=lambda: np.zeros(0), repr=False)

    def __repr__(self) -> str:
        return f"PointsComparison(t = {self.t:g}, n = {self.n}, {self.verdict})"

    def rows(self) -> list[tuple[str, str]]:
        """Names and texts of a table for people."""
        weighted = f", effective {self.effective:.1f}" if self.effective < self.n - 0.05 else ""
        low, high = self.floor.low, self.floor.high
        found = [
            ("points", f"{self.n:,}{weighted}"),
            ("W2", f"{self.w2:.4g} rad"),
            ("floor", f"{self.floor.value:.4g}, {low:.4g} to {high:.4g} (95 % interval of the mean "
             f"of {len(self.floors)} draws)"),
            ("ratio", f"{self.ratio:.3g}"),
            ("moments", f"T = {self.statistic:.4g} of {self.freedom} degrees of freedom, the mesh "
             f"allows for {self.shift:.3g}, p = {_number(self.p_value)}"),
        ]  # fmt: skip
        if not math.isnan(self.energy):
            spread = math.isnan(self.energy_spread)
            by = "" if spread else f", by chance {self.energy_spread:.2g}"
            found.append((f"d{self.label}", f"{self.energy:.3g}{by}"))
        return [*found, ("verdict", self.verdict)]

    def row(self) -> dict[str, float]:
        """All numbers by name, as columns of a table; ``_low`` and ``_high`` are of the floor."""
        left_out = ("floor", "floors", "verdict", "density", "label")
        names = [part.name for part in fields(self) if part.name not in left_out]
        own = {name: float(getattr(self, name)) for name in names}
        floor = self.floor
        return own | {"floor": floor.value, "floor_low": floor.low, "floor_high": floor.high}

    def to_pandas(self) -> DataFrame:
        """A table of one row, with the verdict."""
        return frame_of([{**self.row(), "verdict": self.verdict}])


@checked_arguments
def compare_points(
    density: Result | str | Path,
    points: object,
    t: float | None = None,
    weights: object = None,
    *,
    draws: Count = 16,
    seed: Count = 0,
) -> PointsComparison:
    """Hold a cloud of points against the density of a run at one time.

    The floor and p are those of *independent* draws. Tokens that have interacted are not: they may
    fluctuate more (attention: the variance of moments is 2 to 9 times as large at t = 2) or less
    than draws, so that "differs" may be said of tokens that follow the equation. ``compare`` of
    the case, with replicas, does not assume it. The mesh's own error of the moments is allowed for
    as far as two readings of the density show it. Weights are taken as given numbers, such as
    masses: of weights that depend on where a point is p means nothing.

    Args:
        density: what ``run`` has returned, or the folder of a run: eulerian, implicit, or
            lagrangian, whose history tells the density at any time.
        points: (n, d) unit vectors; arrays, lists and tensors, also in single precision. Against a
            density on latitudes also colatitudes (n, 1) or (n,), and only these count.
        t: an output time; None: the last one.
        weights: (n,) >= 0, in any unit, 2 or more positive; None: equal ones.
        draws: of the floor, 2 or more.
        seed: of these.

    Raises:
        InputError: no density, no such time, no unit vectors, weights that do not fit.

    Example:
        >>> found = mf.compare("results/clustering", x, t=2.0)  # doctest: +SKIP
        >>> found.ratio, found.p_value, found.verdict  # doctest: +SKIP
    """
    draws = checked_integer("draws", draws, 2, 10_000, "the floor is a mean with an interval")
    held = density_at(density, t)
    x, whole = _checked_points(points, held)
    w = _checked_weights(weights, len(x))
    return held_against(held, x, w, draws=draws, seed=seed, whole=whole)


def held_against(
    held: DensityAt,
    x: Array,
    weights: Array | None,
    *,
    draws: int = 16,
    seed: int = 0,
    whole: bool = True,
    interacted: bool = False,
) -> PointsComparison:
    """The same of points (n, d) that are good, with weights of sum one (None: equal ones).

    Args:
        held: the density.
        x, weights: the points.
        draws, seed: of the floor.
        whole: whether the points are known, not their colatitudes alone.
        interacted: whether they are tokens that have: p alone does not tell that they differ.
    """
    w = np.full(len(x), 1.0 / len(x)) if weights is None else weights
    reference: Reference = held.stored
    few = len(x) <= EXACT or held.side.on.dimension == 1
    points = points_for(reference, 0, len(x)) if few else None
    found = transport(x, reference, 0, (2,), weights, points)
    rng = np.random.default_rng(seed)
    floors, energies = np.empty(draws), np.full(draws, np.nan)
    own = held.energy_of(x, w) if whole else math.nan
    for r in range(draws):
        y = held.side.draws(len(x), rng)
        floors[r] = transport(y, reference, 0, (2,), weights, points).upper[2]
        if len(x) <= MANY and not math.isnan(own):
            energies[r] = held.energy_of(y, w)
    test = held.moments.test(held.side.on.coordinates(x), w)
    distance, floor = found.upper[2], mean_with_interval(floors)
    ratio = distance / floor.value if floor.value > 0.0 else math.nan
    p_value = math.nan if _silence(test) else test.p_value
    # Masses that have moved stand for a density that is anywhere in their cells.
    sure = distance if held.side.moved is None else distance - 2.0 * found.error
    far = ratio > _WORTH and sure > _farthest(floors)
    return PointsComparison(
        t=held.t,
        n=len(x),
        effective=1.0 / float(np.sum(w**2)),
        w2=distance,
        floor=floor,
        ratio=ratio,
        quadrature=found.error,
        statistic=test.statistic,
        freedom=test.freedom,
        shift=test.shift,
        p_value=p_value,
        energy=own - held.energy,
        energy_spread=float(energies.std(ddof=1)),
        verdict=_verdict(test, len(x), ratio, far, interacted),
        density=held.side.words,
        label=held.label,
        floors=floors,
    )


def _silence(test: SampleMoments, n: int = 0) -> str:
    """Why p cannot be relied on; empty: it can."""
    if test.few:
        return "n too small for the moments of this density"
    if test.hidden and test.p_value > LEVEL:
        most = int(n * test.freedom / test.shift)
        return (
            f"what the mesh is wrong by (T up to {test.shift:.3g}, {test.freedom} by chance) would "
            f"hide most differences: a finer mesh expected, or up to {most} points"
        )
    return ""


def _farthest(floors: Array) -> float:
    """What W_2 of independent draws is beyond with a small chance only."""
    spread = float(floors.std(ddof=1)) * math.sqrt(1.0 + 1.0 / len(floors))
    return float(floors.mean()) + spread * float(stats.t.isf(_BEYOND, len(floors) - 1))


def _verdict(test: SampleMoments, n: int, ratio: float, far: bool, interacted: bool) -> str:
    times = f"W2 is {ratio:.3g} times the floor"
    if why := _silence(test, n):
        return f"differs: {times}" if far else f"no verdict: {why}"
    p = f"p = {_number(test.p_value)} for independent draws with its low moments"
    if test.shift >= 0.1 * test.freedom:
        p += f" (the mesh allows for {test.shift:.3g} of T)"
    if test.p_value <= LEVEL and not interacted:
        return f"differs: {p}, {times}"
    if far:
        although = "" if test.p_value <= LEVEL else "although "
        return f"differs: {times}, farther than all draws, {although}{p}"
    if test.p_value <= LEVEL:
        return (
            f"no verdict: {times}, and {p} only: tokens that interact fluctuate more; `meanfield "
            "compare CASE`, with replicas, gives one"
        )
    return f"agrees: {p}, {times}"


def _number(p: float) -> str:
    if math.isnan(p):
        return "none"
    return f"{p:.2g}" if p >= 1e-3 else "less than 0.001"


# ------------------------------------------------------------------ what is given


def _checked_points(points: object, held: DensityAt) -> tuple[Array, bool]:
    """Unit vectors (n, d) in double precision, and whether they were given; else colatitudes."""
    on, d = held.side.on, held.side.on.d
    whole = True
    if on.latitudes:
        expected = f"(n, {d}) unit vectors, or colatitudes (n, 1) or (n,)"
        x = real_array(points, "points", expected)
        if x.ndim not in (1, 2) or (x.ndim == 2 and x.shape[1] not in (1, d)):
            raise InputError(f"points: points of shape {x.shape} found, {expected} expected")
        whole = x.ndim == 2 and x.shape[1] == d
        if not whole:
            theta = on.checked(x.reshape(-1, 1), "points")[:, 0]
            points = np.zeros((len(theta), d))
            points[:, 0], points[:, -1] = np.sin(theta), np.cos(theta)
    found = unit_vectors(points, d, "points")
    if len(found) < 2:
        raise InputError(f"points: {len(found)} found, 2 or more expected")
    return np.ascontiguousarray(found), whole


def _checked_weights(weights: object, n: int) -> Array | None:
    """Weights with the sum one; None: equal ones."""
    if weights is None:
        return None
    expected = f"one number >= 0 for each of {n} points"
    w = real_array(weights, "weights", expected)
    w = w[:, 0] if w.shape == (n, 1) else w
    if w.shape != (n,):
        raise InputError(f"weights of shape {w.shape} found, {expected} expected")
    refuse_rows(~(np.isfinite(w) & (w >= 0.0)), w, "weights: weight", "finite, >= 0 expected")
    if not np.any(w > 0.0):
        raise InputError("weights that are all 0 found, a positive sum expected")
    if np.count_nonzero(w) < 2 or float(w.sum()) ** 2 <= (1.0 + 1e-9) * float(w @ w):
        raise InputError("weights of one point alone found, 2 or more that are positive expected")
    return None if np.ptp(w) <= _EQUAL * w.max() else np.asarray(w / w.sum())


def tokens_for(
    density: Result | str | Path, path: str | Path, weights: str | Path | None = None
) -> tuple[Array, Array | None]:
    """Points (n, d) of a file, to compare with the density of a run, and their weights.

    Args:
        density: the run, or its folder, which tells d.
        path: a file of tokens (``dynamics.tokenfiles``).
        weights: a file of one number for each: .npy, or text with a number a line; None: those in
            the file of tokens, or equal ones.

    Raises:
        InputError: what cannot be read.
    """
    table = read_tokens(path, _dimension(density))
    if weights is None:
        return table.x, table.weights
    try:
        if Path(weights).suffix.lower() == ".npy":
            return table.x, np.asarray(np.load(weights, allow_pickle=False))
        return table.x, np.loadtxt(weights, ndmin=1)
    except FileNotFoundError:
        raise InputError(f"{weights}: no such file, expected weights of the tokens") from None
    except (OSError, ValueError, EOFError) as error:
        said = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(f"{weights} cannot be read: {said}") from None


def _dimension(density: Result | str | Path) -> int:
    if isinstance(density, Result):
        if density.folder is None:
            return density.case.geometry.d
        density = density.folder
    folder = RunFolder.open(density)
    if not folder.fields_path.is_file():
        raise InputError(
            f"{density} has no density ({folder.fields_path.name}): the run of one expected beside "
            "a file of tokens (`meanfield distance` holds tokens against tokens)"
        )
    return read_fields(folder.fields_path).d


# ------------------------------------------------------------------ tables


def points_grid(rows: Sequence[PointsComparison], energy: str) -> Grid:
    """A table for people, a row for each time; ``energy``: how it is written."""
    cells = []
    for row in rows:
        p = "none" if math.isnan(row.p_value) else f"{row.p_value:.3g}"
        change = "-" if math.isnan(row.energy) else f"{row.energy:.3e}"
        numbers = (f"{row.w2:.4g}", f"{row.floor.value:.4g}", f"{row.ratio:.3g}", p, change)
        cells.append((f"{row.t:.5g}", f"{row.n}", *numbers, row.verdict.split(":")[0]))
    heads = ("t", "n", "W2", "floor", "ratio", "p", f"d{energy}", "verdict")
    widths, gaps = (8, 8, 9, 9, 6, 8, 13, 0), (0, 1, 1, 1, 1, 1, 1, 2)
    return Grid(heads, tuple(cells), widths, gaps, open_end=True)


def write_points(path: Path, rows: Sequence[PointsComparison]) -> None:
    """Write the table as csv, replacing the file."""
    write_table(path, list(rows[0].row()), (row.row().values() for row in rows))
