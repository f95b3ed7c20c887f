"""``meanfield plot``: draw the pictures of a run again."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from meanfield.cli.parser import Verbs
from meanfield.cli.speech import say
from meanfield.errors import InputError

__all__ = ["add_to"]


def add_to(verbs: Verbs) -> None:
    """Add the verb."""
    parser = verbs.add(
        "plot",
        _plot,
        help="draw the pictures of a run again",
        description="Draw the pictures of a run again from its folder (needs no DOLFINx)",
        epilog="example:\n  meanfield plot results/clustering",
    )
    parser.add_argument("folder", metavar="DIR", help="the folder of a run")


def _plot(args: argparse.Namespace) -> int:
    from meanfield.results.folder import RunFolder
    from meanfield.results.sweeptable import has_sweep

    folder = RunFolder.open(args.folder)
    if folder.kind == "sweep" and not has_sweep(folder):
        raise InputError(
            f"{folder.path}: found a sweep that is not finished, expected a finished one: go on "
            "with it by meanfield sweep ... --resume"
        )
    draw: Callable[[Path], list[Path]]
    if folder.read_run().get("kind") == "compare":
        from meanfield.studies.report import draw
    else:
        from meanfield.figures import make_figures as draw
    for path in draw(folder.path):
        say(str(path))
    return 0
