"""``meanfield branch``: follow stationary states in a parameter, for a bifurcation diagram."""

from __future__ import annotations

import argparse

from meanfield.cli.parser import Verbs, add_no_progress, add_output, add_set, output_folder
from meanfield.cli.speech import EXIT_BROKEN, announce, code_of, ended, say
from meanfield.cli.tables import picture_rows, table
from meanfield.cli.words import problem_words
from meanfield.errors import BrokenInvariantError

__all__ = ["add_to"]

_DESCRIPTION = """\
Follow the stationary states of a case through an interval of kappa, of a number of its interaction
(beta; strength, s, ... of a kernel; heads[0].beta, or heads.beta where all are the same), of its
potential (potential.strength, ...) or of its diffusion (diffusion.exponent), around folds, by
pseudo-arclength continuation in axial symmetry, any d: order parameter, energies and stability at
each point; critical value, folds and equal free energy are located to round-off. A branch starts at
the state to which the initial law leads at --from; if that is uniform, where the uniform state
changes its stability (beside a potential, or under matrices, there is but the first, and that of
the even states where it meets them). With --symmetry, states of a solid, a prism (on the sphere) or
a polygon (on the circle), from where the uniform state loses its stability to them; none, on the
circle, for matrices without an axis. With --secondary also the branches of the same symmetry that
leave these. Needs no DOLFINx."""

_EXAMPLES = """\
examples:
  meanfield branch hysteresis.toml --parameter kappa --from 1 --to 1.8
  meanfield branch hysteresis.toml --parameter beta --from 2 --to 5 --set model.kappa=1.4
  meanfield branch zonal8.toml --parameter kappa --from 0.02 --to 0.12 -o results/d8
  meanfield branch hysteresis.toml --parameter kappa --from 0.4 --to 0.3 --symmetry tetrahedral
  meanfield branch heads.toml --parameter kappa --from 0.1 --to 0.6
  meanfield branch magnet.toml --parameter potential.strength --from 1 --to -1
  meanfield branch porous_medium.toml --parameter diffusion.exponent --from 2 --to 0.5

exit codes: 0 done, 2 this cannot be followed, 3 a state was not found (the points so far are
kept), 4 the disk is full or the like, 130 interrupted, 128 + n ended by signal n (likewise)"""


def add_to(verbs: Verbs) -> None:
    """Add the verb."""
    parser = verbs.add(
        "branch",
        _branch,
        help="follow stationary states in kappa, beta, ...: a bifurcation diagram",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
    )
    add = parser.add_argument
    add("case", metavar="CASE", help="a TOML case file")
    add("--parameter", required=True, metavar="NAME",
        help="what is varied: kappa, or a number of the interaction such as beta or "
             "heads[0].beta, or of the potential, potential.strength, or "
             "diffusion.exponent")  # fmt: skip
    add("--from", dest="start", type=float, required=True, metavar="A",
        help="start of the interval")  # fmt: skip
    add("--to", dest="end", type=float, required=True, metavar="B", help="end of the interval")
    add("--symmetry", default="axial", metavar="NAME",
        help="of the states: axial (the default); on the sphere tetrahedral, octahedral, "
        "icosahedral, dihedral:K (K >= 3); on the circle polygon:K, none")  # fmt: skip
    add("--secondary", action="store_true",
        help="follow the branches that leave these with the same symmetry, too")  # fmt: skip
    add_set(parser)
    add_output(parser, "folder (default: results/<CASE>-branch)")
    add("--overwrite", action="store_true",
        help="replace what an earlier one left in that folder")  # fmt: skip
    add_no_progress(parser)


def _branch(args: argparse.Namespace) -> int:
    from meanfield.steady.problem import Problem
    from meanfield.steady.verbs import branch

    problem = Problem.from_toml(args.case, args.set).with_symmetry(args.symmetry)
    problem = problem.with_secondary() if args.secondary else problem
    folder = output_folder(args, "-branch")
    written = folder / "branch.csv"
    shown = problem.over(args.parameter, args.start, args.end)
    words = problem_words(problem, 0.0 if args.parameter == "kappa" else problem.model.kappa)
    interval = f"{args.parameter} from {args.start:g} to {args.end:g}"
    try:
        found = branch(
            problem,
            args.parameter,
            args.start,
            args.end,
            folder,
            overwrite=args.overwrite,
            progress=args.progress,
            announce=lambda: announce(shown.title, f"{words}, {interval} -> {folder}"),
        )
    except KeyboardInterrupt as stop:
        return ended(code_of(stop), f"interrupted: the points so far are in {written}")
    except BrokenInvariantError as error:
        return ended(EXIT_BROKEN, f"not finished: {error}; the points so far are in {written}")
    say(f"\n{table([*found.rows(), ('table', str(written)), *picture_rows(folder)])}")
    return 0
