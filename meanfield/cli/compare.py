"""``meanfield compare``: a density with clouds of particles or with points, or two runs."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from meanfield.cli.parser import Verbs, add_no_progress, add_output, add_set, output_folder
from meanfield.cli.speech import announce, ranks, say, study_ended
from meanfield.cli.tables import picture_rows, table, tables
from meanfield.cli.words import case_words
from meanfield.errors import BrokenInvariantError, InputError

__all__ = ["add_to"]

T = TypeVar("T")

_DESCRIPTION = """\
With a case: run its density and clouds of particles from the same law, and compare them: the
Wasserstein distance of a cloud to the density, held against that of as many independent samples
of the density (the sampling floor), differences of E and of moments in units of their Monte-Carlo
error, and the p-value of a test that clouds have, on average and for n to infinity, the moments of
degree 1 to 4 of the density. No verdict is given where n is too small for the time. A density on
latitudes is one of axially symmetric laws: clouds are compared by their colatitudes, W_p of which
is that of the clouds averaged about the axis, in any d.

With a case of tokens (solver particles), in any d: clouds of n of them against a large one from the
same law (--reference N), to some of its tokens and with others of them, a block for each replica,
as the floors, for which N is at least 2 R n, or R n and the points of distances (4 n, 2 000 to
10 000); besides W_p the energy distance and MMD, and moments of degree 1 and 2 in d > 3. The
sampling error of the reference is allowed for (column allow, over what chance makes): for a verdict
N is at least n R, and of less than about 0.44 n R there is none. All clouds are independent draws
of the law in [initial]: the tokens of a file are not used, which is told.

With the folder of a density and a file of tokens (.npy, .npz, .csv, .txt, .vtp, .vtu), in either
order: W2 of these points to the density at --time, with the sampling floor of as many independent
draws, a test of the moments of degree 1 to 4, and a verdict. The floor and p are those of
independent points: tokens that have interacted are none, and may be told apart although they follow
the equation. No verdict is given where what the mesh is wrong by would hide differences.

With two run folders, at the output times that both have (--time: one of them): of two densities the
distances (L1 and W2) and the differences of E and of the mean; of tokens and a density, in either
order, the same as of a file of tokens, but at t > 0 they differ by W2 only, not by p; of two runs
of tokens W2 with that of all tokens, shuffled, as its floor, and tests by permutations."""

_EXAMPLES = """\
examples:
  meanfield compare clustering.toml --particles 250 1000 4000 --replicas 8 --times 1 2
  meanfield compare clustering.toml --particles 250 --times 0.5 1 --jobs 2 -o results/quick
  meanfield compare clustering.toml --particles 4000 --times 1 --no-distances \\
      --particles-set model.beta=4.4 -o results/power       is a wrong beta noticed?
  meanfield compare tokens.toml --particles 250 1000 --reference 16000 --times 1
  meanfield compare results/eulerian results/lagrangian     two runs of densities
  meanfield compare results/particles results/clustering    tokens and a density, at all times
  meanfield compare results/clustering mine.npy --time 2    a cloud of one's own

exit codes: 0 done (whatever the verdict), 2 this cannot be compared, 3 the density broke an
invariant, 4 the disk is full or the like, 130 interrupted, 128 + n ended by signal n"""


_KINDS = {
    "case": "a case",
    "file": "a run and a file of tokens",
    "densities": "two runs of densities",
    "runs": "two runs",
}
_CASE = ("case",)
_OF: dict[str, tuple[str, ...]] = {
    "time": ("file", "densities", "runs"),
    "weights": ("file",),
    "draws": ("file", "runs"),
    "no_distances": ("case", "densities"),
    **dict.fromkeys(
        ["particles", "reference", "replicas", "times", "p", "set", "particles_set", "jobs"], _CASE
    ),
    "resume": _CASE,
}
"""Of what each option is; those that are not here, of all."""
_NEAR = {"time": ("times",), "times": ("time",), "draws": ("replicas",), "replicas": ("draws",)}
_FLAG = {"no_distances": "--no-distances", "particles_set": "--particles-set"}


def add_to(verbs: Verbs) -> None:
    """Add the verb."""
    parser = verbs.add(
        "compare",
        _compare,
        help="do particles agree with the density? how far apart are two runs?",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
    )
    add = parser.add_argument
    add(
        "case",
        metavar="CASE",
        help="a TOML case file of a density or of tokens, or the folder of a run",
    )
    add("second", metavar="OTHER", nargs="?", help="the folder of a second run, or a file of "
        "tokens, to compare with the density of the run")  # fmt: skip
    add("--time", type=float, metavar="T", help="of runs: an output time (default: all that both "
        "have; against a file of tokens the last)")  # fmt: skip
    add("--weights", metavar="FILE", help="weights of the tokens of a file, one for each: .npy or "
        "text (default: those in the file, or equal ones)")  # fmt: skip
    add("--draws", type=int, metavar="K", help="independent draws that the floor of "
        "tokens is of (default 16)")  # fmt: skip
    add("--particles", type=int, nargs="+", metavar="N",
        help="numbers of particles (default 250 1000 4000)")  # fmt: skip
    add("--reference", type=int, metavar="N", help="of a case of tokens: number of those that "
        "stand for the limit (default: R n and the points of distances, or 2 R n)")  # fmt: skip
    add("--replicas", type=int, metavar="R", help="clouds for each number (default 8)")
    add("--times", type=float, nargs="+", metavar="T", help="when to compare (0 is added; default: "
        "five of the case's output times)")  # fmt: skip
    distances = parser.add_mutually_exclusive_group()
    distances.add_argument(
        "--p", type=int, nargs="+", choices=[1, 2], help="which W_p: 2 (the default), 1 or both"
    )
    distances.add_argument(
        "--no-distances",
        action="store_true",
        help="leave out W_p, which takes nearly all the time: energies, moments and p remain",
    )
    add_set(parser, ", such as model.beta=9")
    add("--particles-set", action="append", default=[], metavar="KEY=VALUE",
        help="change one value for the particles only (a test of power)")  # fmt: skip
    add_output(parser, "folder (default: results/<CASE>-compare)")
    add("-j", "--jobs", type=int, metavar="J", help="processes, one core each "
        "(default 1)")  # fmt: skip
    again = parser.add_mutually_exclusive_group()
    again.add_argument(
        "--overwrite", action="store_true", help="replace an earlier comparison in that folder"
    )
    again.add_argument(
        "--resume",
        action="store_true",
        help="go on with the comparison in that folder; more --particles, other --replicas are "
        "welcome, the rest must be as before",
    )
    add_no_progress(parser)


def _compare(args: argparse.Namespace) -> int:
    if args.second is None:
        _refuse_others(args, "case")
        return _clouds(args)
    if _is_file(args.case) and not _is_file(args.second):
        args.case, args.second = args.second, args.case
    if not Path(args.second).is_dir():
        _refuse_others(args, "file")
        return _points(args)
    _refuse_others(args, "densities" if _densities(args.case, args.second) else "runs")
    return _runs(args)


def _is_file(path: str) -> bool:
    from meanfield.case.tokensolvers import TOKEN_FILES

    return Path(path).suffix.lower() in TOKEN_FILES and not Path(path).is_dir()


def _densities(*paths: str) -> bool:
    from meanfield.results.folder import RunFolder

    return all(RunFolder(Path(path)).fields_path.is_file() for path in paths)


def _refuse_others(args: argparse.Namespace, kind: str) -> None:
    """Refuse options that mean nothing for what is compared, with what does.

    Raises:
        InputError: there is one.
    """
    for name, kinds in _OF.items():
        if getattr(args, name) not in (None, [], False) and kind not in kinds:
            near = next((_FLAG.get(to, f"--{to}") for to in _NEAR.get(name, ()) if kind in _OF[to]),
                        None)  # fmt: skip
            there = f", {near} expected" if near else ", where it means nothing: leave it out"
            flag = _FLAG.get(name, f"--{name}")
            raise InputError(f"{flag} found for {_KINDS[kind]}{there}; see `meanfield compare -h`")


def _or(given: T | None, default: T) -> T:
    return default if given is None else given


def _target(args: argparse.Namespace, name: str) -> Path | None:
    """The table that ``-o`` asks for, in its folder; None: it does not.

    Raises:
        InputError: it is there already, and may not be overwritten.
    """
    target = Path(args.output) / name if args.output else None
    if target is not None and target.exists() and not args.overwrite:
        raise InputError(f"{target} exists already: add --overwrite or choose another folder")
    return target


def _write(target: Path | None, write: Callable[[Path], None]) -> None:
    """Write the table, if it is asked for, and tell where it is."""
    if target is None:
        return
    from meanfield.results.folder import RunFolder

    with RunFolder.claimed(target.parent, "compare"):
        write(target)
    say(f"\ntable  {target}")


def _runs(args: argparse.Namespace) -> int:
    """Two run folders: tell how far apart they are."""
    for path in (args.case, args.second):
        if not Path(path).is_dir():
            raise InputError(
                f"{path}: no such folder; expected two run folders (or one case file, to compare "
                "its density with particles)"
            )
    target = _target(args, "differences.csv")

    from meanfield.studies.runpairs import compare_pair

    distances = not args.no_distances
    found = compare_pair(
        args.case, args.second, time=args.time, distances=distances, draws=_or(args.draws, 16)
    )
    say(f"meanfield: {args.case} against {args.second}")
    say(tables([found.grid(), *found.caution()], found.lines()))
    _write(target, found.write)
    return 0


def _points(args: argparse.Namespace) -> int:
    """The folder of a density and a file of tokens."""
    from meanfield.case.tokensolvers import TOKEN_FILES

    if _is_file(args.case):
        raise InputError(
            f"two files of tokens found, the run of a density expected beside one: `meanfield "
            f"distance {args.case} {args.second}` holds tokens against tokens"
        )
    if not _is_file(args.second):
        raise InputError(
            f"{args.second}: no such folder, and no file of tokens ({', '.join(TOKEN_FILES)}); "
            "expected one of both beside a run folder"
        )
    if not Path(args.case).is_dir():
        raise InputError(
            f"{args.case}: no such folder; expected that of a run beside a file of tokens"
        )
    target = _target(args, "points.csv")

    from meanfield.studies.points import compare_points, tokens_for, write_points

    x, weights = tokens_for(args.case, args.second, args.weights)
    found = compare_points(args.case, x, args.time, weights, draws=_or(args.draws, 16))
    say(f"meanfield: {found.density}\nmeanfield: {args.second}: {found.n:,} tokens")
    say(table(found.rows()))
    _write(target, lambda path: write_points(path, [found]))
    return 0


def _clouds(args: argparse.Namespace) -> int:
    """A case: tell how far clouds of particles are from its density."""
    from meanfield.case import Case, FixedMesh, Particles
    from meanfield.software import require_dolfinx

    if ranks() > 1:
        raise InputError(
            f"{ranks()} processes found, one expected: leave mpirun out, and say --jobs {ranks()}"
        )
    case = Case.from_toml(args.case, args.set)
    other = None
    if args.particles_set:
        # Whose number of tokens is asked for with --particles.
        number = ["solver.number=2"] if _sets_solver_type(args.particles_set) else []
        other = Case.from_toml(args.case, [*args.set, *number, *args.particles_set])
    if isinstance(case.solver, FixedMesh):
        require_dolfinx()
    folder = output_folder(args, "-compare")

    from meanfield.studies.compare import compare
    from meanfield.studies.report import parts, summary
    from meanfield.studies.settings import Clouds, as_begun, settle

    exponents = () if args.no_distances else args.p or (2,)
    numbers, replicas = _or(args.particles, [250, 1000, 4000]), _or(args.replicas, 8)
    clouds = Clouds(numbers, replicas, other, args.times, exponents, args.reference)
    clouds = as_begun(clouds, folder) if args.resume else clouds
    words, total = case_words(case), settle(case, clouds).reference
    if isinstance(case.solver, Particles):
        words = case_words(replace(case, solver=replace(case.solver, number=total, tokens="iid")))
    lines = [case.heading, f"{words}, against particles -> {folder}"]
    if other is not None:
        lines.append(f"particles with {', '.join(args.particles_set)}")
    try:
        found = compare(
            case,
            clouds,
            folder,
            jobs=_or(args.jobs, 1),
            overwrite=args.overwrite,
            resume=args.resume,
            progress=args.progress,
            announce=lambda: announce(*lines),
        )
    except (KeyboardInterrupt, BrokenInvariantError) as stop:
        return study_ended(stop)
    say(f"\n{tables(parts(found), summary(found))}\n")
    say(table([("table", str(folder / "compare.csv")), *picture_rows(folder)]))
    return 0


def _sets_solver_type(overrides: Sequence[str]) -> bool:
    from meanfield.case import parse_override

    return ("solver.type", "particles") in map(parse_override, overrides)
