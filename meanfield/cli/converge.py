"""``meanfield converge``: a case at rising resolution, its errors and orders."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING

from meanfield.cli.parser import Verbs, add_no_progress, add_output, add_set, output_folder
from meanfield.cli.speech import announce, ranks, say, study_ended
from meanfield.cli.tables import picture_rows, table, tables
from meanfield.cli.words import case_words
from meanfield.errors import BrokenInvariantError, InputError
from meanfield.studies.grid import Grid, plain_lines

if TYPE_CHECKING:
    from meanfield.results.convergence import ConvergenceTable
    from meanfield.studies.converge import ConvergencePlan

__all__ = ["add_to"]

_DESCRIPTION = """\
Run a density at rising resolution and tell its errors at the end: of the mean, of the scaled energy
and of the density (L1), with the order from each resolution to the next. They are differences to
the finest, or to characteristics (kappa = 0). The fitted order allows for the error of the finest,
which plain ratios next to it do not; with it comes an estimate of that error. Steps of the implicit
solver go with the edges, from those of the case at its own resolution."""

_EXAMPLES = """\
examples:
  meanfield converge clustering.toml --levels 3 4 5 6 --set time.end=4
  meanfield converge clustering.toml --levels 3 4 5 --against characteristics --set time.end=2
  meanfield converge circle.toml --vertices 100 200 400 800
  meanfield converge clustering.toml --levels 3 4 5 6 7 --resume      one level more

Errors at all output times: converge.csv; each run has its folder in DIR/runs.

exit codes: 0 done, 2 this cannot be run, 3 a run broke an invariant, 4 the disk is full or the
like, 130 interrupted, 128 + n ended by signal n; what is finished is kept, and --resume does what
is missing"""


def add_to(verbs: Verbs) -> None:
    """Add the verb."""
    parser = verbs.add(
        "converge",
        _converge,
        help="errors and orders at rising resolution",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
    )
    add = parser.add_argument
    add("case", metavar="CASE", help="a TOML case file of a density")
    sizes = parser.add_mutually_exclusive_group(required=True)
    sizes.add_argument("--levels", type=int, nargs="+", metavar="L", help="of a sphere, rising")
    sizes.add_argument("--vertices", type=int, nargs="+", metavar="N", help="of a circle or of "
        "latitudes, rising")  # fmt: skip
    add("--against", default="finest", choices=["finest", "characteristics"], help="what errors "
        "are differences to: the finest of these runs (the default), or characteristics at that "
        "resolution (kappa = 0)")  # fmt: skip
    add_set(parser, ", such as time.end=4")
    add_output(parser, "folder (default: results/<CASE>-converge)")
    again = parser.add_mutually_exclusive_group()
    again.add_argument(
        "--overwrite", action="store_true", help="replace an earlier study in that folder"
    )
    again.add_argument(
        "--resume",
        action="store_true",
        help="keep the runs in that folder that have ended, go on with one that was interrupted; "
        "other --levels are welcome, the rest must be as before",
    )
    parser.add_argument("--dry-run", action="store_true", help="check and show what would be run")
    add_no_progress(parser)


def _converge(args: argparse.Namespace) -> int:
    from meanfield.case import Case, FixedMesh
    from meanfield.software import require_dolfinx
    from meanfield.studies.converge import converge, convergence_plan

    if ranks() > 1:
        raise InputError(f"{ranks()} processes found, one expected: leave mpirun out")
    case = Case.from_toml(args.case, args.set)
    key, resolutions = ("level", args.levels) if args.levels else ("vertices", args.vertices)
    if case.geometry.resolution not in ("", key):
        option = "--levels" if key == "vertices" else "--vertices"
        raise InputError(
            f"--{'levels' if key == 'level' else key}: found for geometry.type = "
            f"'{case.geometry.type}', expected {option}"
        )
    folder = output_folder(args, "-converge")
    plan = convergence_plan(case, resolutions, args.against)
    if args.dry_run:
        _tell(plan, folder)
        return 0
    if any(isinstance(one.solver, FixedMesh) for one in plan.cases.values()):
        require_dolfinx()
    lines = [plan.title, f"{case_words(case)}, {key} {_listed(plan)} -> {folder}"]
    try:
        found = converge(
            case,
            folder,
            resolutions,
            against=args.against,
            overwrite=args.overwrite,
            resume=args.resume,
            progress=args.progress,
            announce=lambda: announce(*lines),
        )
    except (KeyboardInterrupt, BrokenInvariantError) as stop:
        return study_ended(stop)
    parts = _parts(found.table)
    say(f"\n{tables(parts, plain_lines(parts))}\n")
    say(table([("table", str(folder / "converge.csv")), *picture_rows(folder)]))
    return 0


def _listed(plan: ConvergencePlan) -> str:
    return f"{' '.join(map(str, plan.errors.values()))} against {plan.words}"


def _tell(plan: ConvergencePlan, folder: Path) -> None:
    rows = [("case", plan.title), ("folder", str(folder)), (plan.key, _listed(plan))]
    for name, case in plan.cases.items():
        rows.append((name.rpartition("/")[2], case_words(case)))
    say(table(rows))
    say("\nnothing was run or written (--dry-run)")


_HEADS = {"mean": "d mean", "energy": "d E (scaled)", "l1": "L1"}


def _parts(found: ConvergenceTable) -> list[Grid | str]:
    """For people: errors and orders at the last time."""
    shown = [n for n in found.errors if any(v > 0.0 for v in found.errors[n][:, -1])]
    by_level = found.key != "vertices"
    sizes = ["vertices"] if by_level else []
    heads = [found.key, *sizes, "edge", *(w for n in shown for w in (_HEADS[n], "order"))]
    rows = []
    for i, resolution in enumerate(found.resolutions):
        sizes = [f"{found.vertices[i]:,}"] if by_level else []
        row = [str(resolution), *sizes, f"{found.edges[i]:.3g}"]
        for name in shown:
            order = found.orders(name)[i - 1] if i else math.nan
            row += [_number(found.errors[name][i, -1], ".3e"), _number(float(order), ".2f")]
        rows.append(tuple(row))
    fits = {name: found.fitted(name) for name in shown}
    last = [w for n in shown for w in ("", _number(fits[n].value, ".2f"))]
    rows.append(("fitted", *[""] * (len(heads) - 1 - len(last)), *last))
    parts: list[Grid | str] = [f"at t = {found.times[-1]:g}, against {found.against}:", ""]
    parts.append(Grid(tuple(heads), tuple(rows)))
    if found.reference_edge > 0.0:
        own = {n: fits[n].error(found.reference_edge) for n in shown}
        told = f"error of {found.against} itself, by the fit"
    else:
        own = dict(found.reference_error)
        told = "characteristics differ from those at half their resolution by"
    words = ", ".join(f"{_HEADS[n]} {v:.1e}" for n, v in own.items() if math.isfinite(v))
    return [*parts, "", f"{told}: {words}"] if words else parts


def _number(value: float, form: str) -> str:
    return format(value, form) if math.isfinite(value) else "-"
