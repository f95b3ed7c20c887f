"""``meanfield paraview``: a script by which ParaView opens a run."""

from __future__ import annotations

import argparse

from meanfield.cli.parser import Verbs
from meanfield.cli.speech import say

__all__ = ["add_to"]

_DESCRIPTION = """\
Write a Python script by which ParaView (5.12 or later) opens a run as one would want it: colours of
log10 rho with the same limits at all times, a circle as a tube at the height of the density, tokens
as spheres in the colours of their clusters, arrows of the velocity (hidden), the time, the camera
before the mass. The script finds the data by a path that begins at itself: keep them together."""

_EXAMPLES = """\
examples:
  meanfield paraview results/clustering           results/clustering/open_in_paraview.py
  meanfield paraview results/clustering --tokens results/particles -o both.py
  pvbatch results/clustering/open_in_paraview.py --screenshot picture.png --time 4

in ParaView: File > Load State..."""


def add_to(verbs: Verbs) -> None:
    """Add the verb."""
    parser = verbs.add(
        "paraview",
        _paraview,
        help="write a script by which ParaView opens a run",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
    )
    add = parser.add_argument
    add("folder", metavar="DIR", help="the folder of a run")
    add(
        "-o",
        "--output",
        metavar="FILE.py",
        help="the file to make (default: open_in_paraview.py in DIR; of a run that goes on: "
        "elsewhere)",
    )
    add("--tokens", metavar="DIR2", help="a run of tokens, to be shown with the density of DIR")
    add("--overwrite", action="store_true", help="replace FILE.py if it is there")


def _paraview(args: argparse.Namespace) -> int:
    from meanfield.paraview import write_state

    made = write_state(args.folder, args.output, tokens=args.tokens, overwrite=args.overwrite)
    say(str(made))
    return 0
