"""``meanfield report``: what is in folders as one HTML file that works offline."""

from __future__ import annotations

import argparse

from meanfield.cli.parser import Verbs
from meanfield.cli.speech import say
from meanfield.cli.tables import size

__all__ = ["add_to"]

_EXAMPLES = """\
examples:
  meanfield report results/clustering
  meanfield report results/clustering results/particles -o both.html"""


def add_to(verbs: Verbs) -> None:
    """Add the verb."""
    parser = verbs.add(
        "report",
        _report,
        help="write what is in folders as one HTML file",
        description="Write one HTML file that needs no network: case, versions, invariants,\n"
        "curves, tables, pictures, and the density and the tokens in space with a\n"
        "slider of time. Several folders are also told side by side. Of a run that\n"
        "was killed: what there is; of one that goes on, too, with -o. Needs no DOLFINx.",
        epilog=_EXAMPLES,
    )
    add = parser.add_argument
    add("folders", metavar="DIR", nargs="+", help="the folder of a run, or of another verb")
    add("-o", "--output", metavar="FILE.html", help="default: report.html in the first folder")
    add("--title", metavar="TEXT", help="of the page; default: that of the case")
    add("--frames", type=int, default=30, metavar="N", help="the most times of a scene, "
        "those at which most happens (default 30)")  # fmt: skip
    add("--no-scene", action="store_true", help="nothing in space: a smaller file")
    add("--overwrite", action="store_true", help="replace a report that is there")


def _report(args: argparse.Namespace) -> int:
    from meanfield.reports.report import report

    path = report(
        args.folders,
        args.output,
        title=args.title,
        scene=not args.no_scene,
        frames=args.frames,
        overwrite=args.overwrite,
    )
    say(f"{path}  {size(path.stat().st_size)}")
    return 0
