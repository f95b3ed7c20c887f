"""``meanfield plot``: draw the pictures of a run again."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from meanfield.cli.parser import Verbs
from meanfield.cli.speech import say

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

    folder = RunFolder.open(args.folder)
    draw: Callable[[Path], list[Path]]
    if folder.read_run().get("kind") == "compare":
        from meanfield.studies.report import draw
    else:
        from meanfield.figures import make_figures as draw
    for path in draw(folder.path):
        say(str(path))
    return 0
