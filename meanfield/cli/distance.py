"""``meanfield distance``: how far apart two clouds of tokens, or densities, are."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from meanfield.cli.parser import Verbs
from meanfield.cli.speech import complain, say
from meanfield.cli.tables import table

if TYPE_CHECKING:
    from meanfield.studies.distance import Distance

__all__ = ["add_to"]

_LONG = 5.0  # seconds, for more than which what is expected is told

_DESCRIPTION = """\
How far apart are two measures: tokens of files (.npy, .npz, .csv, .txt, .vtp, .vtu), tokens or
densities of run folders. Tells

  W_p      the Wasserstein distance (geodesic cost, radians) with bounds of its true value; against
           a density on latitudes it is that of colatitudes: of axially symmetric laws, in any d
  energy   the energy distance, mmd the maximum mean discrepancy (Gaussian, median width), of the
           tokens or of draws of a density, up to 5000 of each, and their p-values by permutations:
           small if the laws differ. Tokens that have interacted are no independent draws: at
           t > 0 p tells of these clouds, not of their laws (`meanfield compare` does)

W_p of 10 000 against 10 000 points takes about 1 s in d = 3 and 4, 10 s in d > 4, of more in
proportion to their product; what takes more than 5 s is told on stderr. In d > 4 there are at most
20 000 points; of more than 100 000 in d = 3 and 4 W_p is the upper of two bounds ("bracket"), 25 s
for 1e6. On S^1 and for colatitudes there is no limit."""

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
    add("--time", type=float, metavar="T", help="output time of runs (default: the last of "
        "each); two files have none")  # fmt: skip
    add("--p", type=int, choices=[1, 2], default=2, help="which W_p (default 2)")
    add("--test", choices=["energy", "mmd", "none"], help="one of the two tests, or none (default: "
        "both)")  # fmt: skip
    add("--d", type=int, metavar="D", help="dimension of the space of the tokens, where neither "
        "side tells it (default 3)")  # fmt: skip
    add("--permutations", type=int, default=999, metavar="K", help="of the tests (default 999)")
    add("--seed", type=int, default=0, metavar="S", help="of draws and permutations (default 0)")


def _distance(args: argparse.Namespace) -> int:
    from meanfield.analysis.twosample import STATISTICS
    from meanfield.studies.distance import distance_between, expected_seconds
    from meanfield.studies.sides import read_sides

    tests = {None: STATISTICS, "none": ()}.get(args.test, (args.test,))
    one, two = read_sides(args.first, args.second, args.d, args.time)
    seconds = expected_seconds(one, two)
    if seconds > _LONG:
        n, m = (len(side.measure.weights) for side in (one, two))
        complain(f"W{args.p} of {n:,} and {m:,} points takes about {_duration(seconds)}")
    found = distance_between(
        one, two, p=args.p, tests=tests, permutations=args.permutations, seed=args.seed
    )
    say(f"meanfield: {found.first}\nmeanfield: {found.second}")
    say(table(_rows(found, bool(tests))))
    return 0


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90.0 else f"{seconds / 60.0:.0f} min"


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
