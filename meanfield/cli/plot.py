"""``meanfield plot``: draw the pictures of a run, the usual ones again or others."""

from __future__ import annotations

import argparse

from meanfield.cli.parser import Parser, Verbs
from meanfield.cli.speech import say
from meanfield.errors import InputError

__all__ = ["add_to"]

_DESCRIPTION = """\
Draw the pictures of a run from its folder (needs no DOLFINx): the usual ones, or those that --what
names. Times are chosen where something happens: first and last, right before and after the last
merges of clusters, and between them where the energy has moved most."""

_EXAMPLES = """\
figures of a run: series globes log-density density velocity clusters energy power pairs spacetime
tokens slices centres; of a comparison: distances rates side-by-side; of a stationary state: state;
of branches: branch; of a convergence study: convergence; of a sweep: sweep-map sweep-plane
sweep-curves sweep-bands sweep-slopes

examples:
  meanfield plot results/clustering
  meanfield plot results/clustering --what log-density velocity --times 2 9 13
  meanfield plot results/clustering --projection mollweide --camera 0 0 1 --limits -3 3
  meanfield plot results/circle --what spacetime --format pdf svg --style talk -o slides"""


def add_to(verbs: Verbs) -> None:
    """Add the verb."""
    parser = verbs.add(
        "plot",
        _plot,
        help="draw the pictures of a run",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
    )
    parser.add_argument("folder", metavar="DIR", help="the folder of a run")
    _add_options(parser)


def _add_options(parser: Parser) -> None:
    add = parser.add_argument
    add("--times", nargs="+", type=float, metavar="T", help="times to be shown: the outputs "
        "nearest to them")  # fmt: skip
    add("--what", nargs="+", metavar="NAME", help="which figures (below)")
    add("--projection", metavar="NAME", help="of the sphere: globe, equal-area (Hammer's map), "
        "mollweide or flat")  # fmt: skip
    add("--cmap", metavar="NAME", help="a colour map of matplotlib, such as cividis")
    add("--limits", nargs=2, type=float, metavar=("LO", "HI"), help="range of log10 of the "
        "density")  # fmt: skip
    add("--camera", nargs=3, type=float, metavar=("X", "Y", "Z"), help="towards the viewer: what "
        "is in the middle")  # fmt: skip
    add("--format", nargs="+", metavar="NAME", help="png (default), pdf, svg, or several")
    add("--size", nargs=2, type=float, metavar=("W", "H"), help="inches; of png 150 pixels each")
    add("--style", metavar="NAME", help="paper (default), talk (larger letters) or dark")
    add("-o", "--output", metavar="DIR", help="folder of the pictures (default: DIR/figures)")


_NAMES = ("times", "what", "projection", "cmap", "limits", "camera", "format", "size", "style",
          "output")  # fmt: skip


def _plot(args: argparse.Namespace) -> int:
    from meanfield.figures import PlotOptions, make_figures
    from meanfield.options import made_from
    from meanfield.results.folder import RunFolder
    from meanfield.results.sweeptable import has_sweep

    given = {name: getattr(args, name) for name in _NAMES}
    wanted = made_from(PlotOptions, {n: value for n, value in given.items() if value is not None})
    folder = RunFolder.open(args.folder)
    if folder.kind == "sweep" and not has_sweep(folder):
        raise InputError(
            f"{folder.path}: found a sweep that is not finished, expected a finished one: go on "
            "with it by meanfield sweep ... --resume"
        )
    if folder.read_run().get("kind") == "compare":
        from meanfield.studies.report import draw

        made = draw(folder.path, wanted)
    else:
        made = make_figures(folder.path, wanted)
    for path in made:
        say(str(path))
    return 0
