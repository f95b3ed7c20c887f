"""The entry point: the list of verbs, and what becomes of what they raise."""

from __future__ import annotations

import argparse
import atexit
import gc
import os
import re
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from meanfield.cli import (
    branch,
    case,
    compare,
    converge,
    distance,
    doctor,
    examples,
    export,
    film,
    help,
    info,
    mesh,
    paraview,
    plot,
    report,
    run,
    schema,
    stationary,
    sweep,
    warm_up,
)
from meanfield.cli.layout import Layout
from meanfield.cli.parser import Parser, Verbs
from meanfield.cli.speech import (
    EXIT_INPUT,
    EXIT_SYSTEM,
    code_of,
    complain,
    ended,
    rank,
    ranks,
    say,
    system_words,
    warnings_in_one_line,
)
from meanfield.cli.streams import lasting_streams
from meanfield.cli.tables import table
from meanfield.errors import InputError
from meanfield.signals import ending
from meanfield.surroundings import hidden, unreadable_threads
from meanfield.trust import running_code

__all__ = ["main", "make_parser"]

_VERBS = (
    run,
    info,
    plot,
    paraview,
    report,
    film,
    export,
    sweep,
    compare,
    converge,
    distance,
    stationary,
    branch,
    mesh,
    warm_up,
    doctor,
    help,
    case,
    schema,
    examples,
)
"""The verbs, in the order of the help. A new one: its file, and its name here."""

_DESCRIPTION = """\
Solve the mean-field equation of self-attention on spheres with finite elements.

A run is described by a case file (TOML) and leaves a folder: numbers against time
(series.csv), the density for ParaView (fields.vtkhdf), pictures (figures/), and where
it all came from (case.toml, run.json, run.log)."""

_EXAMPLES = """\
examples:
  meanfield run scripts/cases/clustering.toml        run a case; results in results/clustering
  meanfield run clustering.toml --set model.beta=9   the same with another beta
  meanfield run clustering.toml --dry-run            show what would be run, write nothing
  meanfield info results/clustering                  what came out, and what it took
  meanfield plot results/clustering                  draw the pictures again
  meanfield film results/clustering                  the density as it moves, an MP4
  meanfield report results/clustering                all of it as one HTML file
  meanfield paraview results/clustering              a script by which ParaView opens it
  meanfield export results/clustering --to npz       its arrays for other programs
  meanfield sweep tokens.toml --vary model.beta=.1:9:90 --seeds 1024
                                                     an ensemble at each of 90 betas
  meanfield converge clustering.toml --levels 3 4 5 6
                                                     errors and orders
  meanfield stationary hysteresis.toml               the stationary state, and is it stable?
  meanfield branch hysteresis.toml --parameter kappa --from 1 --to 1.8
                                                     a bifurcation diagram
  meanfield mesh inspect sphere.msh                  is this mesh good enough?
  meanfield help solver.rtol                         what a key of a case file means
  meanfield case --template sphere                   a case file to begin with
  meanfield doctor                                   what is installed, and works here
  mpirun -n 4 meanfield run clustering.toml          on four processes

`meanfield VERB --help` explains one verb."""


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from meanfield.software import dolfinx_version, package_version

        rows = [
            ("meanfield", package_version("meanfield") or "not installed"),
            ("dolfinx", dolfinx_version() or "not found"),
            ("python", sys.version.split()[0]),
        ]
        say(table(rows))
        parser.exit(0)


class _Completion(argparse.Action):
    """Prints what a shell needs to complete verbs and options; shtab writes it."""

    def __call__(
        self, parser: argparse.ArgumentParser, _: object, shell: object, *__: object
    ) -> None:
        try:
            import shtab
        except ImportError:
            from meanfield.software import not_installed

            raise not_installed("--print-completion: shtab", "shtab") from None
        assert isinstance(parser, Parser)
        parser.mark_files(shtab.FILE)
        say(shtab.complete(parser, shell=str(shell)).rstrip())
        parser.exit(0)


def make_parser() -> Parser:
    """The parser of the whole command line, with all verbs."""
    parser = Parser(
        prog="meanfield",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=Layout,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--version",
        action=_Version,
        nargs=0,
        help="show the versions of meanfield, DOLFINx, Python",
    )
    parser.add_argument(
        "--print-completion",
        action=_Completion,
        choices=("bash", "zsh", "tcsh"),
        help="print what this shell needs to complete verbs and options: eval it, or keep it where "
        "the shell looks for completions",
    )
    verbs = Verbs(parser, "verbs", "VERB")
    for verb in _VERBS:
        verb.add_to(verbs)
    return parser


@contextmanager
def _readable_threads() -> Iterator[None]:
    """Without numbers of threads that are none: some libraries fail at them, others complain."""
    bad = []
    for name in unreadable_threads():
        value = os.environ[name]
        if re.fullmatch(r"[\s\d,]*", value) is None or value.strip() == "0":
            complain(f"warning: {name} = {value} is no number of threads, and left out")
            bad.append(name)
    with hidden(*bad):
        yield


def _why_no_code(args: argparse.Namespace) -> str | None:
    """Why a verb does not run the code that a case names; None: it does."""
    if getattr(args, "dry_run", False):
        return "which --dry-run does not run"
    if getattr(args, "trust", False):
        return None
    return "which a case is allowed to run by --trust only: look into it before"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: the words after ``meanfield``; by default those of this process.

    Returns:
        the exit code: 0, 2 (input), 3 (broken invariant), 4 (the system) or 128 + n (signal n).
    """
    if argv is None:
        _collect_seldom()
    words = sys.argv[1:] if argv is None else list(argv)
    with lasting_streams() as lost, ending(), warnings_in_one_line():
        try:
            with _readable_threads():
                code = _act(words)
            error = lost()
            if code == 0 and error is not None:
                return ended(EXIT_SYSTEM, f"error: standard output: {system_words(error)}")
            return code
        except InputError as error:
            return ended(EXIT_INPUT, f"error: {error}")
        except KeyboardInterrupt as stop:
            return ended(code_of(stop), "interrupted")
        except OSError as error:
            return ended(EXIT_SYSTEM, f"error: {system_words(error)}")
        except SystemExit as stop:  # argparse ends --help and --version in this way
            return stop.code if isinstance(stop.code, int) else EXIT_INPUT
        except Exception as error:
            if ranks() == 1:
                raise
            complain("".join(traceback.format_exception(error)).rstrip())  # of the program itself
            return 1


def _collect_seldom() -> None:
    """Look seldom for cycles of unused objects, and not at the end of the process.

    The libraries make 300 000 objects that stay. To go through them again and again while they are
    loaded, and once more before the memory is given back, takes 0.4 s.
    """
    gc.set_threshold(50_000, 20, 100)
    atexit.register(gc.freeze)


def _act(words: Sequence[str]) -> int:
    parser = make_parser()
    if not words:
        parser.print_help()
        return EXIT_INPUT
    args = parser.parse_args(words)
    if not args.every_rank and rank() != 0:
        return 0  # started on several processes by habit: one of them is enough
    with running_code(_why_no_code(args)):
        return int(args.act(args))
