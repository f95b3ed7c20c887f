"""What a sweep says: what it is going to do, what it may take, and its table for people."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from meanfield.case import Case
from meanfield.errors import BrokenInvariantError, InputError
from meanfield.results.sweeptable import SweepTable
from meanfield.studies.grid import Grid, plain_lines
from meanfield.studies.sweep.blocks import kept_count
from meanfield.studies.sweep.kernel import KernelTask, seconds_each
from meanfield.studies.sweep.plan import Plan
from meanfield.studies.sweep.runs import begun_seconds

__all__ = ["Estimate", "estimate", "parts", "plan_words", "summary"]

_MOST_ROWS = 60
_KERNEL_COLUMNS = 7  # that the kernel tells, float32
_WIDTH = 18


def plan_words(plan: Plan) -> str:
    """What is done, in a line."""
    shape = " x ".join(str(len(axis.values)) for axis in plan.axes)
    points = f"{len(plan.points):,} points" + (f" ({shape})" if len(plan.axes) > 1 else "")
    return f"{points}, {plan.seeds:,} realisations each"


@dataclass(frozen=True)
class Estimate:
    """What a sweep would take.

    Attributes:
        kernel_points: points that go to the kernel.
        blocks, runs: of them, and of the others, what is not finished.
        reasons: why points do not go to the kernel, and how many.
        seconds: of the kernel, with the threads of this process.
        run_seconds: of all runs, in so many processes; nan: not known.
        disk: bytes of blocks.
    """

    kernel_points: int
    blocks: int
    runs: int
    reasons: Mapping[str, int]
    seconds: float
    run_seconds: float
    disk: float

    @property
    def time_words(self) -> str:
        """The time, as far as it is known."""
        words = [f"kernel: about {self.seconds:.2g} s"] if self.blocks else []
        if self.runs:
            about = f"about {self.run_seconds:.2g} s, by their first steps"
            words.append(f"runs: {'not known' if math.isnan(self.run_seconds) else about}")
        return ", ".join(words) or "nothing is left to do"


def estimate(plan: Plan, folder: Path | None = None) -> Estimate:
    """Time a few realisations of the kernel and the first steps of a few runs. Writes nothing.

    Args:
        plan: of the sweep.
        folder: what is finished in it is left out; None: nothing is.
    """
    pieces = plan.pieces(Path(".") if folder is None else folder.resolve())
    left = [p for p in pieces if folder is None or kept_count(folder / p.name) < p.count]
    tasks = [p.task for p in left if isinstance(p.task, KernelTask)]
    runs = [p.task.case for p in left if not isinstance(p.task, KernelTask)]
    by_kernel = sum(task.count for task in tasks)
    at_kernel = sum(point.model is not None for point in plan.points)
    columns = _KERNEL_COLUMNS * 4 * at_kernel + 20 * 8 * (len(plan.points) - at_kernel)
    return Estimate(
        at_kernel,
        len(tasks),
        len(runs),
        Counter(point.why for point in plan.points if point.model is None),
        seconds_each(tasks) * by_kernel,
        _run_seconds(runs, plan.options.jobs),
        columns * plan.seeds * len(plan.times),
    )


def _run_seconds(runs: Sequence[Case], jobs: int) -> float:
    """Of all runs, so many at a time; the first, one in the middle and the last are begun."""
    if not runs:
        return 0.0
    chosen = sorted({0, len(runs) // 2, len(runs) - 1})
    try:
        each = sum(begun_seconds(runs[k]) for k in chosen) / len(chosen)
    except (InputError, BrokenInvariantError):  # it fails, as the run of it will
        return math.nan
    return each * math.ceil(len(runs) / jobs)


def summary(table: SweepTable) -> list[str]:
    """Lines for a file or a pipe: the parts."""
    return plain_lines(parts(table))


def parts(table: SweepTable) -> list[Grid | str]:
    """A table for people and its texts: points, what is done and failed, P, its time at 1/2.

    Where there are no tokens: order and energy at the end.
    """
    keys = [key for axis in table.axes for key in axis.keys]
    labels = [key.rpartition(".")[2][:_WIDTH] for key in keys]
    pairs = not all(math.isnan(p) for p in table.probability[:, -1])
    names = ["P(end)", "t(P=1/2)", "error"] if pairs else []
    others = [n for n in ("mean_norm", "energy_scaled", "clusters") if n in table.columns]
    shown = others[: 1 if pairs else 3]
    rows = [[*labels, "done", "failed", *names, *shown]]
    for i, point in enumerate(table.points()):
        numbers = [table.probability[i, -1], table.half[i], table.half_error[i]] if pairs else []
        numbers += [table.columns[name].mean[i, -1] for name in shown]
        rows.append(
            [
                *(_word(point[key]) for key in keys),
                str(table.finished[i]),
                str(table.failed[i]),
                *("-" if math.isnan(v) else f"{v:.5g}" for v in numbers),
            ]
        )
    if len(rows) - 1 > _MOST_ROWS:
        left = len(rows) - 1 - _MOST_ROWS
        rows = rows[: _MOST_ROWS + 1]
    else:
        left = 0
    found: list[Grid | str] = [Grid(tuple(rows[0]), tuple(map(tuple, rows[1:])))]
    if left:
        found.append(f"... and {left:,} more points in sweep.csv")
    if pairs:
        found.append(f"P: that <x_1, x_2> >= 1 - {table.delta:g}; means of the rest, at the end")
    return found


def _word(value: object) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"
