"""``meanfield film``: a film of a run."""

from __future__ import annotations

import argparse

from meanfield.cli.parser import Verbs
from meanfield.cli.speech import say

__all__ = ["add_to"]

_DESCRIPTION = """\
Film a run from its folder (needs no DOLFINx): a density on the sphere from both sides, tokens in
the colours of their clusters, or tokens over a density (--tokens); a density on the circle or from
pole to pole as a curve. The colours mean the same at all times, the time is written above, and the
energy runs along below.

Frames are spread evenly over the stored outputs, as many between any two of them: outputs that are
geometric in time make a film in log t. Between outputs the log density is interpolated linearly,
and so are the places of tokens; more outputs (time.outputs) show more of the motion.

Films need imageio-ffmpeg (pip install imageio imageio-ffmpeg), those of spheres OpenGL, too
(libegl1)."""

_EXAMPLES = """\
examples:
  meanfield film results/clustering                      figures/film.mp4 in that folder
  meanfield film results/clustering -o clustering.gif --size 640x360 --frames 120
  meanfield film results/clustering --tokens results/particles --turntable 20 -o both.mp4
  meanfield film results/circle --no-energy --limits -1 3 -o circle.mp4

exit codes: 0 done, 2 this cannot be filmed, 4 the system refused"""


def add_to(verbs: Verbs) -> None:
    """Add the verb."""
    parser = verbs.add(
        "film", _film, help="a film of a run", description=_DESCRIPTION, epilog=_EXAMPLES
    )
    add = parser.add_argument
    add("folder", metavar="DIR", help="the folder of a run")
    add("-o", "--output", metavar="FILE", help="the file to make, .mp4 or .gif (default: "
        "figures/film.mp4 in DIR)")  # fmt: skip
    add("--tokens", metavar="DIR2", help="show the tokens of this run over the density")
    add("--frames", type=int, default=240, metavar="N", help="how many (default 240)")
    add("--fps", type=float, default=25.0, metavar="F", help="frames a second (default 25)")
    add("--size", type=_size, metavar="WxH", help="of a frame in pixels, even numbers (default "
        "1280x720, of a GIF 800x450)")  # fmt: skip
    add("--limits", type=float, nargs=2, metavar=("LOW", "HIGH"), help="of the colours: log10 of "
        "the density relative to uniform (default: those that serve all times)")  # fmt: skip
    add("--cmap", default="magma", metavar="NAME", help="colour map of matplotlib (default magma)")
    add("--camera", type=float, nargs=3, metavar=("X", "Y", "Z"), help="the vector towards the "
        "viewer of the front (default: where most mass is seen)")  # fmt: skip
    add("--views", type=int, choices=[1, 2], default=2, help="spheres: both sides (default), or "
        "the front alone")  # fmt: skip
    add("--turntable", type=float, nargs="?", const=20.0, default=0.0, metavar="DEG", help="go "
        "round the third axis by so many degrees a second (without a number: 20)")  # fmt: skip
    add("--style", choices=["light", "dark"], default="light", help="background (default light)")
    add("--no-energy", action="store_true", help="without the energy below")
    add("--overwrite", action="store_true", help="replace a file of this name")


def _size(text: str) -> tuple[int, int]:
    width, x, height = text.lower().partition("x")
    if not (x and width.isascii() and width.isdigit() and height.isascii() and height.isdigit()):
        raise argparse.ArgumentTypeError(f"found '{text}', expected WxH, such as 1280x720")
    return int(width), int(height)


def _film(args: argparse.Namespace) -> int:
    from meanfield.films import Film, film
    from meanfield.scenes import Look

    look = Look(
        cmap=args.cmap,
        limits=args.limits and tuple(args.limits),
        camera=args.camera and tuple(args.camera),
        style=args.style,
    )
    options = Film(
        frames=args.frames,
        fps=args.fps,
        size=args.size,
        look=look,
        views=args.views,
        turntable=args.turntable,
        energy=not args.no_energy,
    )
    made = film(args.folder, args.output, options, tokens=args.tokens, overwrite=args.overwrite)
    say(f"film      {made}")
    return 0
