"""The points of a sweep, each a case, and the pieces of work that they make.

Owns what is checked before anything is written, and which point goes where.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from meanfield.arguments import checked_fields
from meanfield.case import Case, GivenCase, Particles, Tokens, apply_overrides, read_table
from meanfield.case.titles import resolved_title, values_in_words
from meanfield.case.words import parameters_in_words
from meanfield.checks import as_found, shortened
from meanfield.errors import InputError, MeanfieldWarning, suggest
from meanfield.interaction.batched.model import BatchedModel
from meanfield.results.formats import format_named
from meanfield.results.sweeptable import Axis, points_of
from meanfield.studies.sweep.axes import Vary, axes_of
from meanfield.studies.sweep.blocks import block_file
from meanfield.studies.sweep.kernel import KernelTask, suited
from meanfield.studies.sweep.runs import RunTask, run_folder_name

__all__ = ["Piece", "Plan", "Point", "SweepOptions", "make_plan"]

_KERNEL = ("auto", "always", "never")
_KEEP = ("pairs", "states")
_MOST_POINTS, _MOST_SEEDS = 1_000_000, 10_000_000


@checked_fields
@dataclass(frozen=True)
class SweepOptions:
    """How a sweep is done.

    Attributes:
        jobs: processes for runs, one core each; the kernel of ensembles takes threads.
        kernel: "auto": cases of tokens that the kernel of ensembles can do go to it, others to
            ``run``; "always": what it cannot do is refused; "never": all go to ``run``.
        keep: "pairs": of each realisation the numbers against time, <x_1, x_2> among them;
            "states": the tokens at up to 16 output times, too (a run has them in its folder).
        delta: tokens are close from <x_i, x_j> >= 1 - delta on, 1e-6 <= delta < 1.
        block: realisations of the kernel in one file.
        changes: of the case, "model.beta=9" and the like, as for ``Case.from_toml``.
        progress: a bar; None: on a terminal.
        announce: called when nothing can be refused any more.

    Example:
        >>> mf.SweepOptions(jobs=2).kernel
        'auto'
    """

    jobs: int = 1
    kernel: Literal["auto", "always", "never"] = "auto"
    keep: Literal["pairs", "states"] = "pairs"
    delta: float = 1e-3
    block: int = 256
    changes: Sequence[str] | Mapping[str, object] = ()
    progress: bool | None = None
    announce: Callable[[], None] | None = None

    def __post_init__(self) -> None:
        for name, value, valid in (("kernel", self.kernel, _KERNEL), ("keep", self.keep, _KEEP)):
            if value not in valid:
                hint = suggest(str(value), valid)
                raise InputError(f"{name}: found '{value}', expected {', '.join(valid)}{hint}")
        if not 1e-6 <= self.delta < 1.0:
            raise InputError(f"delta: found {self.delta:g}, expected 1e-6 <= delta < 1")
        for name, count, most in (("jobs", self.jobs, 10_000), ("block", self.block, 1_000_000)):
            if not 1 <= count <= most:
                raise InputError(f"{name}: found {count}, expected 1 to {most}")


@dataclass(frozen=True, eq=False)
class Point:
    """One place in the product of the axes.

    Attributes:
        index: its number.
        values: by key.
        case: of it, with the first seed.
        model: as the kernel takes it; None: ``run`` does it.
        why: the kernel does not.
    """

    index: int
    values: Mapping[str, object]
    case: Case
    model: BatchedModel | None
    why: str

    @property
    def words(self) -> str:
        """Which one it is."""
        return point_words(self.values)


def point_words(values: Mapping[str, object]) -> str:
    """Which point it is, in words."""
    return ", ".join(f"{k} = {shortened(str(v))}" for k, v in values.items()) or "the case"


@dataclass(frozen=True)
class Piece:
    """Some realisations at a point, whose file is ``name``."""

    point: int
    count: int
    name: str
    task: KernelTask | RunTask


@dataclass(frozen=True, eq=False)
class Plan:
    """What is to be done.

    Attributes:
        base: table of the case before anything is varied.
        axes: what is varied.
        points: all of them, in the order of ``SweepTable``.
        times: output times, the same at all points.
        seeds: realisations at each point.
        options: how.
    """

    base: Mapping[str, object]
    axes: tuple[Axis, ...]
    points: tuple[Point, ...]
    times: tuple[float, ...]
    seeds: int
    options: SweepOptions

    @property
    def title(self) -> str:
        """That of the case, with all values of what is varied where it names it."""
        changed = {
            key: values_in_words([row[k] for row in axis.values])
            for axis in self.axes
            for k, key in enumerate(axis.keys)
        }
        case = self.points[0].case
        return resolved_title(case.title, case.to_dict(), changed)

    def parameters(self) -> str:
        """What is in effect at all points, in words."""
        told = [parameters_in_words(p.case, p.case.model.describe()) for p in self.points]
        common = set.intersection(*(set(words.split(", ")) for words in told))
        return ", ".join(word for word in told[0].split(", ") if word in common)

    def pieces(self, folder: Path) -> list[Piece]:
        """All work, that of the kernel first: points with the same tokens after each other."""
        return [*self._kernel_pieces(), *self._runs(folder)]

    def block_files(self) -> list[list[str]]:
        """Names of the files of all blocks, at each point by their seeds."""
        starts = range(0, self.seeds, self.options.block)
        return [
            [
                block_file(point.index, first)
                for first in (range(self.seeds) if point.model is None else starts)
            ]
            for point in self.points
        ]

    def _kernel_pieces(self) -> Iterator[Piece]:
        block, o = self.options.block, self.options
        for first in range(0, self.seeds, block):
            count = min(block, self.seeds - first)
            for point in sorted(self.points, key=_tokens_of):
                if point.model is not None:
                    task = KernelTask(
                        point.case,
                        point.model,
                        point.case.seed + first,
                        count,
                        o.delta,
                        o.keep == "states",
                    )
                    yield Piece(point.index, count, block_file(point.index, first), task)

    def _runs(self, folder: Path) -> Iterator[Piece]:
        for point in self.points:
            if point.model is None:
                for k in range(self.seeds):
                    name = run_folder_name(point.index, k)
                    case = replace(point.case, seed=point.case.seed + k)
                    task = RunTask(case, str(folder / name), self.options.delta)
                    yield Piece(point.index, 1, block_file(point.index, k), task)


def _tokens_of(point: Point) -> tuple[int, int]:
    """Points with the same number of tokens in the same dimension are done after each other."""
    model = point.model
    return (0, 0) if model is None else (model.d, model.n)


def make_plan(case: GivenCase, vary: Vary, seeds: int, options: SweepOptions) -> Plan:
    """Make and check the cases of all points.

    Raises:
        InputError: names the point whose case is none, or cannot be done.
    """
    base, folder = _table(case, options.changes)
    axes = axes_of(vary)
    number = 1
    for axis in axes:
        number *= len(axis.values)
    if number > _MOST_POINTS:
        raise InputError(f"found {number:,} points, expected at most {_MOST_POINTS:,}")
    if not 1 <= seeds <= _MOST_SEEDS:
        raise InputError(f"seeds: found {seeds}, expected 1 to {_MOST_SEEDS:,}")
    points: list[Point] = []
    for index, values in enumerate(points_of(axes)):
        point = _point(index, values, base, folder, options)
        if points and point.case.output_times() != points[0].case.output_times():
            raise InputError(
                f"{point.words}: found other output times than at {points[0].words}, expected the "
                "same at all points of a sweep"
            )
        points.append(point)
    if seeds > 1 and all(not _is_random(point.case) for point in points):
        text = f"{seeds} seeds found, but nothing in the case is random: all realisations are equal"
        warnings.warn(text, MeanfieldWarning, stacklevel=3)
    return Plan(base, axes, tuple(points), points[0].case.output_times(), seeds, options)


def _is_random(case: Case) -> bool:
    """Whether anything hangs on its seed: where tokens start, or their noise."""
    solver = case.solver
    if not isinstance(solver, Tokens):
        return False
    noisy = isinstance(solver, Particles) and solver.common_noise > 0.0
    return solver.tokens in ("iid", "equiangular") or case.model.diffuses or noisy


def _table(
    given: GivenCase, changes: Sequence[str] | Mapping[str, object]
) -> tuple[dict[str, object], Path]:
    """The table of a case, before it is checked, and where files that it names are found from."""
    if isinstance(given, Case):
        return apply_overrides(given.to_dict(), changes), Path(".")
    if isinstance(given, Mapping):
        return apply_overrides(given, changes), Path(".")
    if isinstance(given, str) or hasattr(given, "__fspath__"):
        path = Path(given)
        return read_table(path, changes), path.parent
    raise InputError(f"case: found {as_found(given)}, expected a Case or the path of a case file")


def _point(
    index: int,
    values: Mapping[str, object],
    base: Mapping[str, object],
    folder: Path,
    options: SweepOptions,
) -> Point:
    try:
        table = apply_overrides(base, values)
    except InputError as error:
        raise InputError(str(error).replace("--set", "vary", 1)) from None
    try:
        case = Case.from_dict(table, folder)
        model, why = (None, "kernel = never") if options.kernel == "never" else suited(case)
    except InputError as error:
        raise InputError(f"at {point_words(values)}: {error}" if values else str(error)) from None
    if model is None:
        format_named(case.output.format)  # of its run: may want a library that is missing
    if options.kernel == "always" and model is None:
        raise InputError(f"at {point_words(values)}: not for the kernel of ensembles: {why}")
    return Point(index, values, case, model, why)
