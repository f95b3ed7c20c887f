"""``meanfield sweep``: ensembles at the points of a product of ranges."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meanfield.cli.parser import Verbs, add_no_progress, add_output, add_set, output_folder
from meanfield.cli.speech import EXIT_BROKEN, announce, ended, ranks, say, study_ended
from meanfield.cli.tables import Row, picture_rows, size, table, tables
from meanfield.errors import InputError

if TYPE_CHECKING:
    from meanfield.studies.sweep.plan import Plan, SweepOptions

__all__ = ["add_to"]

_DESCRIPTION = """\
Run a case at each point of a product of ranges, with several seeds each: an ensemble, or a map of
parameters. Tokens that the kernel of ensembles can do are done by it, many thousand realisations a
second; any other case is run as by `meanfield run`, in a folder of its own below DIR/points.
Realisation k is the run with the seed of the case + k: the same random numbers at all points.

A range is A:B:N (N values from A to B), log:A:B:N (by a constant factor) or a list V,V,V of values
as after --set. --zip goes along with the --vary before it; all combinations of --vary are run."""

_EXAMPLES = """\
examples:
  meanfield sweep tokens.toml --vary model.beta=.1:9:90 --seeds 1024
  meanfield sweep tokens.toml --vary geometry.d=2,8,32 --zip solver.number=16,32,64 --dry-run
  meanfield sweep clustering.toml --vary model.beta=log:1:100:5 --vary model.kappa=0,.01 -j 4
  meanfield sweep tokens.toml --vary model.beta=.1:9:90 --seeds 4096 --resume     more seeds
  mpiexec -n 5 python -m mpi4py.futures -m meanfield sweep clustering.toml \\
      --vary model.beta=1:9:33              on many machines: one process hands out the work
  meanfield plot results/tokens-sweep                                draw the pictures again

exit codes: 0 done (failed realisations are told in a warning), 2 this cannot be run, 3 all
realisations have failed, 4 the disk is full or the like, 130 interrupted, 128 + n ended by signal
n; what is finished is kept, and --resume does what is missing"""


class _Range(argparse.Action):
    """``--vary`` and ``--zip`` in one list, since their order matters."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        before = getattr(namespace, self.dest) or []
        setattr(namespace, self.dest, [*before, (option_string == "--zip", str(values))])


def add_to(verbs: Verbs) -> None:
    """Add the verb."""
    parser = verbs.add(
        "sweep",
        _sweep,
        help="ensembles and maps of parameters",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
    )
    add = parser.add_argument
    add("case", metavar="CASE", help="a TOML case file")
    add("--vary", action=_Range, dest="ranges", metavar="KEY=RANGE", help="what is varied (can be "
        "repeated: all combinations)")  # fmt: skip
    add("--zip", action=_Range, dest="ranges", metavar="KEY=RANGE", help="what changes along with "
        "the --vary before it, of the same length")  # fmt: skip
    add("--seeds", type=int, default=1, metavar="N", help="realisations at each point (default 1)")
    add_set(parser, ", such as model.beta=9")
    add_output(parser, "folder (default: results/<CASE>-sweep)")
    add("-j", "--jobs", type=int, default=1, metavar="J", help="processes for runs, one core each "
        "(default 1; the kernel takes threads)")  # fmt: skip
    add("--kernel", choices=["auto", "always", "never"], default="auto", help="whether tokens go "
        "to the kernel of ensembles: where it can (auto), or all, or none")  # fmt: skip
    add("--keep", choices=["pairs", "states"], default="pairs", help="what is kept of each "
        "realisation: its numbers against time (pairs), or its tokens, too")  # fmt: skip
    add("--delta", type=float, default=1e-3, metavar="X", help="tokens are close from <x_i, x_j> "
        ">= 1 - X on (default 1e-3)")  # fmt: skip
    add("--block", type=int, default=256, metavar="N", help="realisations of the kernel in one "
        "file (default 256)")  # fmt: skip
    again = parser.add_mutually_exclusive_group()
    again.add_argument(
        "--overwrite", action="store_true", help="replace an earlier sweep in that folder"
    )
    again.add_argument(
        "--resume",
        action="store_true",
        help="do what is missing of the sweep in that folder; more --seeds are welcome, the rest "
        "must be as before",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="check all points and show what would be done"
    )
    add_no_progress(parser)


def _sweep(args: argparse.Namespace) -> int:
    from meanfield.software import mpi_pool
    from meanfield.studies.sweep.axes import as_vary, parse_axes
    from meanfield.studies.sweep.plan import SweepOptions, make_plan

    options = SweepOptions(
        jobs=args.jobs,
        kernel=args.kernel,
        keep=args.keep,
        delta=args.delta,
        block=args.block,
        changes=args.set,
        progress=args.progress,
        announce=lambda: announce(f"{args.case}, {args.seeds} realisations a point -> {folder}"),
    )
    vary = as_vary(parse_axes(args.ranges or []))
    folder = output_folder(args, "-sweep")
    if args.dry_run:
        _tell(make_plan(args.case, vary, args.seeds, options), folder, args.resume)
        return 0
    if ranks() == 1:
        return _run(args, vary, folder, options, None)
    with mpi_pool() as pool:
        return _run(args, vary, folder, options, pool)


def _run(
    args: argparse.Namespace,
    vary: dict[str | tuple[str, ...], Sequence[object]],
    folder: Path,
    options: SweepOptions,
    pool: Any,
) -> int:
    from meanfield.studies.sweep.report import parts, summary
    from meanfield.studies.sweep.sweep import sweep

    try:
        found = sweep(
            args.case,
            vary,
            folder,
            seeds=args.seeds,
            executor=pool,
            overwrite=args.overwrite,
            resume=args.resume,
            options=options,
        )
    except KeyboardInterrupt as stop:
        return study_ended(stop)
    say(f"\n{tables(parts(found.table), summary(found.table))}\n")
    say(table([("table", str(folder / "sweep.csv")), *picture_rows(folder)]))
    if found.table.failed.sum() == found.table.finished.sum():
        return ended(EXIT_BROKEN, f"all realisations have failed: {found.failures[0].reason}")
    return 0


def _tell(plan: Plan, folder: Path, resume: bool) -> None:
    """What would be done, of a plan that has been checked."""
    from meanfield.results.folder import RunFolder
    from meanfield.studies.sweep.report import estimate, plan_words

    state = "new"
    try:
        RunFolder.check(folder, overwrite=True)
        if not RunFolder.is_empty(folder):
            state = "gone on with" if resume else "holds an earlier run: --resume or --overwrite"
    except InputError as error:
        state = f"REFUSED: {error}"
    told = estimate(plan, folder if resume else None)
    rows: list[Row] = [
        ("case", plan.title),
        ("folder", f"{folder} ({state})"),
        ("sweep", plan_words(plan)),
        *((axis.label, _values(axis.values)) for axis in plan.axes),
        ("kernel", f"{told.kernel_points:,} points, {told.blocks:,} blocks"),
        ("runs", f"{told.runs:,}"),
        *(("", f"{count:,} points: {why}") for why, count in told.reasons.items()),
        ("time", told.time_words),
        ("disk", f"{size(told.disk)} (blocks; runs have their own files)"),
    ]
    say(table(rows))
    say("\nnothing was run or written (--dry-run)")


def _values(values: Sequence[tuple[object, ...]]) -> str:
    words = [" ".join(map(str, row)) for row in values]
    shown = words if len(words) <= 8 else [*words[:4], "...", *words[-2:]]
    return f"{', '.join(shown)} ({len(words)})"
