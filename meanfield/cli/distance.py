"""``meanfield distance``: how far apart two clouds of tokens, or densities, are."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from meanfield.cli.parser import Verbs
from meanfield.cli.speech import say
from meanfield.cli.tables import table

if TYPE_CHECKING:
    from meanfield.studies.distance import Distance

__all__ = ["add_to"]

_DESCRIPTION = """\
How far apart are two measures: tokens of files (.npy, .npz, .csv, .txt, .vtp, .vtu), tokens or
densities of run folders. Tells

  W_p      the Wasserstein distance (geodesic cost, radians) with bounds of its true value; against
           a density on latitudes it is that of colatitudes: of axially symmetric laws, in any d
  energy   the energy distance, mmd the maximum mean discrepancy (Gaussian, median width), of the
           tokens or of draws of a density, up to 5000 of each, and their p-values by permutations:
           small if the laws differ. Tokens that have interacted are no independent draws: at
           t > 0 p tells of these clouds, not of their laws (`meanfield compare` does)"""

_EXAMPLES = """\
examples:
  meanfield distance first.npy second.npy                two files of tokens
  meanfield distance results/particles results/clustering --time 2
                                                         tokens against the density, at t = 2
  meanfield distance a.csv b.csv --d 2 --p 1 --test energy

exit codes: 0 done (whatever the distance), 2 these cannot be compared, 4 the system refused"""


def add_to(verbs: Verbs) -> None:
    """Add the verb."""
    parser = verbs.add(
        "distance",
        _distance,
        help="how far apart are two clouds of tokens, or densities?",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
    )
    add = parser.add_argument
    add("first", metavar="A", help="a file of tokens, or the folder of a run")
    add("second", metavar="B", help="likewise")
    add("--time", type=float, metavar="T", help="output time of runs (default: the last of each)")
    add("--p", type=int, choices=[1, 2], default=2, help="which W_p (default 2)")
    add("--test", choices=["energy", "mmd", "none"], help="one of the two tests, or none (default: "
        "both)")  # fmt: skip
    add("--d", type=int, metavar="D", help="dimension of the space of the tokens, where neither "
        "side tells it (default 3)")  # fmt: skip
    add("--permutations", type=int, default=999, metavar="K", help="of the tests (default 999)")
    add("--seed", type=int, default=0, metavar="S", help="of draws and permutations (default 0)")


def _distance(args: argparse.Namespace) -> int:
    from meanfield.analysis.twosample import STATISTICS
    from meanfield.studies.distance import distance

    tests = {None: STATISTICS, "none": ()}.get(args.test, (args.test,))
    found = distance(
        args.first, args.second, time=args.time, p=args.p, tests=tests, d=args.d,
        permutations=args.permutations, seed=args.seed,
    )  # fmt: skip
    say(f"meanfield: {found.first}\nmeanfield: {found.second}")
    say(table(_rows(found, bool(tests))))
    return 0


def _rows(found: Distance, asked: bool) -> list[tuple[str, str]]:
    told = found.transport
    of = ", of colatitudes" if found.latitudes else ""
    rows = [
        (
            f"W{told.p}",
            f"{told.distance:.6g}, between {found.low:.6g} and {found.high:.6g} rad "
            f"({told.method}{of})",
        )
    ]
    for test in found.tests:
        width = "" if test.width is None else f", width {test.width:.4g}"
        rows.append(
            (
                test.statistic,
                f"{test.distance:.6g}, p = {test.p_value:.4g} ({found.points[0]:,} against "
                f"{found.points[1]:,} points, {test.permutations} permutations{width})",
            )
        )
    if asked and not found.tests:
        rows.append(("tests", "none: tokens of unequal masses are no draws"))
    return rows
