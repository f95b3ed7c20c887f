"""``meanfield stationary``: find a stationary state with noise, and whether it is stable."""

from __future__ import annotations

import argparse

from meanfield.cli.parser import Verbs, add_no_progress, add_output, add_set, output_folder
from meanfield.cli.speech import EXIT_BROKEN, announce, ended, say
from meanfield.cli.tables import picture_rows, table
from meanfield.cli.words import problem_words
from meanfield.errors import BrokenInvariantError

__all__ = ["add_to"]

_DESCRIPTION = """\
Find the stationary density mu ~ exp(xi/kappa) to which the initial law of a case leads, without
time stepping, to round-off, and the leading eigenvalues of the equation linearised at it. Uses
[geometry], [model] with kappa > 0 and an energy, and [initial] of the case. No DOLFINx needed."""

_EXAMPLES = """\
examples:
  meanfield stationary hysteresis.toml
  meanfield stationary hysteresis.toml --set model.kappa=1.7 -o results/above
  meanfield stationary clustering.toml --set model.kappa=0.1
  meanfield run hysteresis.toml --set initial.type=file --set initial.array=rho \\
      --set initial.path=results/above/density.vtu      start a run from the state

exit codes: 0 done (whatever the verdict), 2 the case cannot be used, 3 no state was found,
4 the disk is full or the like, 130 interrupted, 128 + n ended by signal n"""


def add_to(verbs: Verbs) -> None:
    """Add the verb."""
    parser = verbs.add(
        "stationary",
        _stationary,
        help="find a stationary state with noise, and whether it is stable",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
    )
    parser.add_argument("case", metavar="CASE", help="a TOML case file")
    add_set(parser)
    add_output(parser, "folder (default: results/<CASE>-stationary)")
    parser.add_argument(
        "--overwrite", action="store_true", help="replace what an earlier one left in that folder"
    )
    add_no_progress(parser)


def _stationary(args: argparse.Namespace) -> int:
    from meanfield.steady.problem import Problem
    from meanfield.steady.verbs import stationary

    problem = Problem.from_toml(args.case, args.set)
    folder = output_folder(args, "-stationary")
    words = f"{problem_words(problem, problem.equation().kappa)} -> {folder}"
    try:
        found = stationary(
            problem,
            folder,
            overwrite=args.overwrite,
            progress=args.progress,
            announce=lambda: announce(problem.title, words),
        )
    except BrokenInvariantError as error:
        return ended(EXIT_BROKEN, f"not found: {error}")
    files = [("table", folder / "stationary.csv"), ("density", folder / "density.vtu")]
    rows = [*found.rows(), *((name, str(path)) for name, path in files), *picture_rows(folder)]
    say(f"\n{table(rows)}")
    return 0
