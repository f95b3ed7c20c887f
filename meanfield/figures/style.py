"""What all figures share: letters, colours, scales of time, how files are written.

Knows nothing of what is drawn. No pyplot and no display: matplotlib's Agg draws what has pixels,
its writers of PDF and SVG the rest.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import matplotlib
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter
from numpy.typing import NDArray
from PIL import Image

from meanfield.figures.layout import laid_out
from meanfield.figures.mathwords import folded, number
from meanfield.figures.options import Style, asked, made
from meanfield.geometry.manifolds import Manifold
from meanfield.geometry.sphere import Array
from meanfield.scenes.views import CLUSTER_COLOURS
from meanfield.whole import whole_file

__all__ = [
    "CLUSTER_COLOURS",
    "CLUSTER_MASS",
    "FAINT",
    "INK",
    "angle_axis",
    "angle_label",
    "angle_profile",
    "cluster_colours",
    "density_colours",
    "drawing",
    "footnote",
    "headline",
    "is_geometric",
    "logarithmic_time",
    "number",
    "percent",
    "plain_decades",
    "points",
    "save",
    "shades",
    "telling_steps",
]

_MOST_DECADES = 14  # that an axis of time names one by one
_TITLE, _SMALL = 9.5, 7.5  # points
_DPI = 150  # eight shaded discs stay below 300 kB
_FINE = 300  # of the images inside PDF and SVG
_STYLE: dict[str, object] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib: the same letters everywhere
    "font.size": 8.0,
    "mathtext.fontset": "dejavusans",
    "text.usetex": False,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8.5,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.formatter.useoffset": False,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "figure.facecolor": "white",
    "savefig.facecolor": "auto",
    "savefig.dpi": _FINE,
    "axes.prop_cycle": cycler(color=["#1f3b73", "0.45"]),
    # Letters stay letters: they can be searched, and set anew in a drawing program.
    "svg.fonttype": "none",
    "svg.hashsalt": "meanfield",  # the same file for the same picture
    "pdf.fonttype": 42,
}
_LARGER = 1.3  # letters and lines of a talk
_DARK: dict[str, object] = {
    "axes.prop_cycle": cycler(color=["#9ec5ff", "0.65"]),
    **dict.fromkeys(("figure.facecolor", "axes.facecolor"), "#101014"),
    **dict.fromkeys(
        ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), "0.92"
    ),
}
INK = "C0"
"""Colour of curves: the first of the style."""
FAINT = "C1"
"""Colour of what is said in passing, and of lines to compare with: the second of the style."""

CLUSTER_MASS = 0.05
"""The smallest part of the mass of a cluster that has a colour of its own."""


@contextmanager
def drawing() -> Iterator[None]:
    """Figures made within look the same whatever a matplotlibrc, a style or a notebook has set."""
    # Who shows figures, and how, is none of their looks.
    shown = ("backend", "interactive", "toolbar", "webagg.", "tk.", "macosx.", "date.epoch")
    defaults = matplotlib.rcParamsDefault
    plain = {name: defaults[name] for name in defaults if not name.startswith(shown)}
    with matplotlib.rc_context({**plain, **_STYLE, **_of(asked().style)}):
        yield


def _of(style: Style) -> dict[str, object]:
    if style == "dark":
        return _DARK
    if style == "talk":
        sizes = (key for key in _STYLE if key.endswith(("size", "width")))
        return {key: _LARGER * cast(float, _STYLE[key]) for key in sizes}
    return {}


def points(size: float) -> float:
    """A size of letters in points, in the style that is asked for."""
    return size * (_LARGER if asked().style == "talk" else 1.0)


def shades(count: int) -> Array:
    """Colours for as many curves in an order, readable on the background, (count, 4).

    From dark to light; in the dark style from light to lighter.
    """
    ends = (0.35, 1.0) if asked().style == "dark" else (0.0, 0.82)
    return np.asarray(matplotlib.colormaps["viridis"](np.linspace(*ends, count)))


def density_colours(*, lowest: bool = True) -> Colormap:
    """Colours of densities: those asked for, or magma, as scenes and films have it.

    ``lowest``: below their range is grey, which tells what is nearly empty.
    """
    # 128 steps look as smooth as 256 and take less space.
    chosen = matplotlib.colormaps[asked().cmap or "magma"].resampled(128)
    empty = "0.3" if asked().style == "dark" else "0.82"
    return chosen.with_extremes(under=empty) if lowest else chosen


def cluster_colours(
    labels: Sequence[NDArray[np.int64]], masses: Array, least: float = CLUSTER_MASS
) -> list[NDArray[np.int64]]:
    """Choose the colours of clusters at several times so that a cluster keeps its colour.

    Only clusters of more than ``least`` of the mass have one. Those of the last time take the
    colours in the order of their masses. Going back in time, a cluster takes the colour of the one
    into which most of it goes; of several that merge, the largest does and the others take
    further colours.

    Args:
        labels: cluster of each token at each time, (n,) integers, in any numbering.
        masses: (n,), sum 1.

    Returns:
        For each time (n,): number of the colour, -1 for grey.
    """
    result: list[NDArray[np.int64]] = []
    later: NDArray[np.int64] | None = None
    for label in reversed(labels):
        names, member = np.unique(label, return_inverse=True)
        member = member.reshape(-1)
        mass = np.bincount(member, masses)
        colour_of = np.full(len(names), -1)
        free = list(range(len(CLUSTER_COLOURS)))
        if later is not None:  # colours that the next time has are for those that go there
            free.sort(key=lambda colour: bool(np.any(later == colour)))
        for c in np.argsort(-mass, kind="stable"):
            if mass[c] <= least or not free:
                break
            chosen = free[0]
            if later is not None:
                inside = (member == c) & (later >= 0)
                if np.any(inside):
                    most = int(np.argmax(np.bincount(later[inside], masses[inside])))
                    chosen = most if most in free else free[0]
            free.remove(chosen)
            colour_of[c] = chosen
        later = colour_of[member]
        result.append(later)
    return result[::-1]


def percent(part: float) -> str:
    """A part as text: 5 %, with the thin space that keeps it together."""
    return f"{100.0 * part:.0f}\N{THIN SPACE}%"


def headline(figure: Figure, title: str, parameters: str = "") -> None:
    """Put a title above a figure, and below it a smaller line; what is empty is left out.

    Args:
        figure: not drawn yet.
        title: of the run.
        parameters: in effect, in words: see ``reading.parameters_of``.
    """
    width = _width(figure)
    # Some 14 letters to the inch, and of the smaller ones 17.
    heads = folded(title, max(int(14 * width), 20))
    lines = folded(parameters, max(int(17 * width), 24))
    if not lines:
        if heads:
            figure.suptitle("\n".join(heads), fontsize=points(_TITLE))
        return
    # Letters of two sizes are no title that a layout knows: an empty one keeps the room for them.
    count = len(heads) + math.ceil(len(lines) * _SMALL / _TITLE)
    room = figure.suptitle("\n".join([" "] * count), fontsize=points(_TITLE))
    figure.add_artist(_Within(room, "\n".join(heads), True, fontsize=points(_TITLE)))
    figure.add_artist(_Within(room, "\n".join(lines), False, fontsize=points(_SMALL), color=FAINT))


class _Within(Text):
    """Letters at the top or at the foot of an empty title, wherever the layout puts that."""

    def __init__(self, room: Text, text: str, top: bool, **style: object) -> None:
        super().__init__(0.5, 1.0, text, ha="center", va="top" if top else "bottom", **style)
        self._room, self._top = room, top
        self.set_in_layout(False)

    def draw(self, renderer: RendererBase) -> None:
        """Draw it where there is room now."""
        assert self.figure is not None
        box = self._room.get_window_extent(renderer)
        place = 0.5 * (box.x0 + box.x1), box.y1 if self._top else box.y0
        self.set_position(self.figure.transSubfigure.inverted().transform(place))
        super().draw(renderer)


def footnote(figure: Figure, *parts: str) -> None:
    """Write what the reader must know below a figure; empty parts are left out."""
    text = "; ".join(filter(None, parts))
    if text:
        lines = textwrap.fill(text, int(16.5 * _width(figure)))
        figure.supxlabel(lines, fontsize=points(7.0), color=FAINT)


def _width(figure: Figure) -> float:
    """Width that the file will have, in inches of letters of the usual size."""
    size = asked().size
    return (figure.get_figwidth() if size is None else size[0]) / points(1.0)


def save(figure: Figure, path: Path) -> Path:
    """Write a figure in the formats that are asked for, making the folder where needed.

    Args:
        figure: drawn within :func:`drawing`.
        path: of the file; its ending gives way to that of each format.

    Returns:
        The first file made.
    """
    wanted = asked()
    path.parent.mkdir(parents=True, exist_ok=True)
    if wanted.size is not None:
        figure.set_size_inches(*wanted.size)
    figure.set_dpi(_DPI)
    files = [path.with_suffix(f".{name}") for name in wanted.format]
    for file in files:
        with whole_file(file) as part, laid_out(figure):
            if file.suffix == ".png":
                _write_pixels(figure, part)
            else:
                undated = {"Date": None} if file.suffix == ".svg" else {"CreationDate": None}
                figure.savefig(part, format=file.suffix[1:], metadata=undated)
        made(file)
    return files[0]


def _write_pixels(figure: Figure, part: Path) -> None:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    # Without the alpha channel, which is the same everywhere but costs a tenth of the size.
    image = Image.fromarray(np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[:, :, :3]))
    image.save(part, "PNG", dpi=(_DPI, _DPI))


# -- times ----------------------------------------------------------------------------------------


def telling_steps(times: Array, energy: Array | None, count: int = 4) -> list[int]:
    """First and last step and those between where the energy is nearest to equal parts of its way.

    Without an energy, or when it does not change, equal parts of the time are taken.
    """
    last = len(times) - 1
    if last < count:
        return list(range(last + 1))
    way = energy
    if way is None or abs(way[-1] - way[0]) <= 1e-9 * np.abs(way).max():
        way = times
    way = (way - way[0]) / (way[-1] - way[0])
    chosen = [0]
    for part in range(1, count - 1):
        # Leave enough steps for the parts to come, so that all are different.
        candidates = np.arange(chosen[-1] + 1, last - (count - 2 - part))
        chosen.append(int(candidates[np.argmin(np.abs(way[candidates] - part / (count - 1)))]))
    return [*chosen, last]


def is_geometric(times: Sequence[float] | Array, least: float = 20.0) -> bool:
    """Whether what is above 0 grows by the same factor each, and by ``least`` or more in all."""
    positive = np.asarray([t for t in times if t > 0.0])
    if len(positive) < 4 or positive[-1] < least * positive[0]:
        return False
    factors = positive[1:] / positive[:-1]
    return bool(np.all(np.abs(factors / factors[0] - 1.0) < 0.02))


def logarithmic_time(ax: Axes, first: float, last: float) -> None:
    """Make a time axis logarithmic from ``first`` on, and linear from 0 to there."""
    ax.set_xscale("symlog", linthresh=first, linscale=0.35)
    low, high = math.floor(math.log10(first)), min(math.ceil(math.log10(last)), 308)
    stride = 1 + (high - low) // _MOST_DECADES
    decades = range(low, high + 1, stride)
    steps = (1.0,) if last / first > 300.0 else (1.0, 2.0, 5.0)
    ticks = [m * 10.0**k for k in decades for m in steps if first <= m * 10.0**k <= last]
    fine = [m * 10.0**k for k in decades for m in range(2, 10) if first < m * 10.0**k < last]
    if stride > 1:
        fine = []
    ax.xaxis.set_major_locator(FixedLocator([0.0, *ticks]))
    ax.xaxis.set_minor_locator(FixedLocator(fine))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda t, _: f"${number(t)}$"))
    ax.xaxis.set_minor_formatter(NullFormatter())


def plain_decades(ax: Axes) -> None:
    """Label a logarithmic axis with plain numbers, also where it has less than a decade."""
    low, high = ax.get_ylim()
    subs: tuple[float, ...] = (1.0, 2.0, 3.0, 5.0, 7.0)
    if high > 6.0 * low:
        subs = (1.0, 2.0, 5.0) if high < 100.0 * low else (1.0,)
    ax.yaxis.set_major_locator(LogLocator(subs=subs))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())


# -- angles ---------------------------------------------------------------------------------------


def angle_profile(on: Manifold, points: Array, values: Array) -> tuple[Array, Array]:
    """Sort the values on a circle or a zonal interval by angle, from border to border.

    Args:
        on: the one-dimensional geometry.
        points: vertices in its coordinates, (n, gdim).
        values: (k, n).

    Returns:
        Angles, and values at them. The circle is closed: its outer vertices once more, beyond the
        border at pi.
    """
    angle = on.angles(points)
    order = np.argsort(angle)
    angle, values = angle[order], values[:, order]
    if on.closed:
        angle = np.concatenate([angle[-1:] - 2 * np.pi, angle, angle[:1] + 2 * np.pi])
        values = np.concatenate([values[:, -1:], values, values[:, :1]], axis=1)
    return angle, values


def angle_label(on: Manifold) -> str:
    """What the angle along a one-dimensional geometry is called."""
    if on.latitudes:
        return rf"angle $\theta$ to the axis of symmetry  ($d = {on.d}$)"
    return "angle"


def angle_axis(ax: Axes, which: str, on: Manifold) -> None:
    """Let the axis "x" or "y" go round the circle from -pi or from pole to pole."""
    if on.closed:
        ticks, letters = (-1.0, -0.5, 0.0, 0.5, 1.0), ("−π", "−π/2", "0", "π/2", "π")
    else:
        ticks, letters = (0.0, 0.25, 0.5, 0.75, 1.0), ("0", "π/4", "π/2", "3π/4", "π")
    places = [np.pi * tick for tick in ticks]
    if which == "x":
        ax.set_xticks(places, letters)
        ax.set_xlim(places[0], places[-1])
    else:
        ax.set_yticks(places, letters)
        ax.set_ylim(places[0], places[-1])
