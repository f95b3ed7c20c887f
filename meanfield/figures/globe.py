"""The sphere S^2 in panels of a figure: views of densities and of tokens, from one side or two.

Rendered (``scenes``) where OpenGL is, drawn by matplotlib elsewhere (``byhand``): same colours,
same sides, same rings. Knows no files.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Circle
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from meanfield.figures.byhand import ByHand, visible
from meanfield.figures.marks import Gathered, Mark, draw_marks, gathered, grey_note, ring_note
from meanfield.figures.options import asked, limits_of
from meanfield.figures.style import CLUSTER_MASS, density_colours, percent
from meanfield.figures.style import points as letters
from meanfield.geometry.sphere import Array, normalize
from meanfield.scenes.look import Look
from meanfield.scenes.opengl import why_not
from meanfield.scenes.stage import MARGIN, TOKENS_SHOWN, Stage
from meanfield.scenes.views import (
    RING_RADIUS,
    colour_range,
    frame_towards,
    ring,
    vertex_weights,
    view_direction,
)

__all__ = [
    "Densities",
    "Painter",
    "draw_tokens",
    "finish_disc",
    "front_of",
    "globes",
    "label_row",
    "label_view",
    "painter",
    "painter_note",
    "token_notes",
]

_PIXELS = 460  # of a rendered view: about two for one of its panel
_OVAL = (1.15, 1.15)  # half axes of what per cents may cover of a view
_ROOM = (0.5, 0.22)  # of one, in radii


class Painter(Protocol):
    """Draws views of the sphere into axes."""

    def densities(
        self,
        axes: Sequence[Axes],
        surface: tuple[Array, NDArray[np.int64]],
        values: Array,
        toward: Array,
    ) -> None:
        """Draw densities, each in one of the axes, from one side.

        Args:
            axes: k of them.
            surface: vertices (n, 3) and triangles (m, 3).
            values: log10 of the densities, (k, n).
            toward: unit vector towards the viewer.
        """

    def tokens(
        self,
        ax: Axes,
        points: Array,
        colours: NDArray[np.int64],
        toward: Array,
        rings: tuple[Array, NDArray[np.int64]],
    ) -> None:
        """Draw tokens from one side.

        Args:
            ax: where.
            points: (n, 3) unit vectors, of which 20 000 are drawn.
            colours: for each, (n,): which of ``CLUSTER_COLOURS``, -1: grey.
            toward: unit vector towards the viewer.
            rings: centres (c, 3), and the colour of what is inside each, (c,), -1: none.
        """


class _Rendered:
    """Draws by scenes: one of densities, one of tokens, each made when it is needed."""

    def __init__(self, norm: Normalize | None, stack: ExitStack) -> None:
        limits = None if norm is None else (float(norm.vmin), float(norm.vmax))
        style: Literal["light", "dark"] = "dark" if asked().style == "dark" else "light"
        cmap = asked().cmap or "magma"
        self._look = Look(cmap=cmap, limits=limits, size=(_PIXELS, _PIXELS), style=style)
        self._stack = stack
        self._stages: dict[str, Stage] = {}

    def _stage(self, what: str) -> Stage:
        if what not in self._stages:
            self._stages[what] = self._stack.enter_context(Stage(self._look))
        return self._stages[what]

    def densities(
        self,
        axes: Sequence[Axes],
        surface: tuple[Array, NDArray[np.int64]],
        values: Array,
        toward: Array,
    ) -> None:
        stage = self._stage("densities")
        for ax, row in zip(axes, values, strict=True):
            stage.density(*surface, row)
            stage.graticule()
            _show(ax, stage.image(toward))

    def tokens(
        self,
        ax: Axes,
        points: Array,
        colours: NDArray[np.int64],
        toward: Array,
        rings: tuple[Array, NDArray[np.int64]],
    ) -> None:
        stage = self._stage("tokens")
        stage.tokens(points, colours)
        stage.graticule()
        stage.rings(*rings)
        _show(ax, stage.image(toward))


def _show(ax: Axes, image: NDArray[np.uint8]) -> None:
    ax.imshow(image, extent=(-MARGIN, MARGIN, -MARGIN, MARGIN), interpolation="antialiased")


@contextmanager
def painter(norm: Normalize | None = None) -> Iterator[Painter]:
    """What draws views here: scenes where OpenGL renders, else matplotlib.

    Args:
        norm: range of the colours of densities; None: there are only tokens.
    """
    if why_not():
        yield ByHand(norm, density_colours())
        return
    with ExitStack() as stack:
        yield _Rendered(norm, stack)


def front_of(points: Array, masses: Array) -> Array:
    """Towards the viewer of the front side: as asked for, else where the mass is seen best.

    ``points`` and ``masses`` are those of ``views.view_direction``.
    """
    camera = asked().camera
    return view_direction(points, masses) if camera is None else normalize(np.asarray(camera))


def painter_note() -> str:
    """What the reader of views must know of how they were drawn; empty if nothing."""
    reason = why_not()
    return f"drawn flat: {reason.split(' (')[0]}" if reason else ""


def globes(width: float, height: float) -> Figure:
    """A figure for rows of views, close to each other."""
    tight = ConstrainedLayoutEngine(compress=True, w_pad=0.03, h_pad=0.03)
    return Figure(figsize=(width, height), layout=tight)


@dataclass(frozen=True)
class Densities:
    """Densities on one mesh, each in a panel: with the same colours, and seen from the same side.

    Attributes:
        points: vertices, (n, 3).
        cells: triangles, (m, 3).
        values: log10 of each density, (k, n).
        front: unit vector towards the viewer of the front side.
        norm: range of the colours.
        gathered: what is ringed of each density.
    """

    points: Array
    cells: NDArray[np.int64]
    values: Array
    front: Array
    norm: Normalize
    gathered: list[list[Gathered]]

    @classmethod
    def of(
        cls,
        points: Array,
        cells: NDArray[np.int64],
        values: Array,
        masses: Array,
        held: Sequence[tuple[Array, Array]] | None = None,
    ) -> Densities:
        """Choose viewpoint, colours and rings.

        Args:
            points, cells, values: see the class.
            masses: at the vertices, (k, n), rows sum to 1.
            held: for each density places (m, 3) and the masses there (m,), sum 1, that are ringed;
                None: those of the vertices.
        """
        given = limits_of(float(values.min()), float(values.max()))
        limits = given or colour_range(values, vertex_weights(points, cells), masses)
        norm = Normalize(*limits)
        found = []
        for k, row in enumerate(values):
            where, mass = (points, masses[k]) if held is None else held[k]
            # A dot of 5 % of the mass is beyond the colours, whatever the vertices near it hold.
            shades = np.asarray(norm(row)) if held is None else np.ones(len(where))
            found.append(gathered(where, mass, shades))
        return cls(points, cells, values, front_of(points, masses), norm, found)

    def draw(self, by: Painter, axes: Sequence[Axes] | NDArray[Any], toward: Array) -> None:
        """Draw the view from one side, each density in one of the axes."""
        # Voids are cut before they are interpolated: between 1 and 1e-300 all of an edge is void.
        values = np.maximum(self.values, self.norm.vmin - 0.5)
        by.densities(list(axes), (self.points, self.cells), values, toward)
        frame, colours = frame_towards(toward), density_colours()
        for ax, found in zip(axes, self.gathered, strict=True):
            marks = [_mark(one, frame) for one in found]
            draw_marks(ax, marks, colours, _OVAL, (_ROOM[0] * letters(1.0), _ROOM[1] * letters(1)))
            finish_disc(ax)

    def notes(self) -> tuple[str, str]:
        """What the reader must know of rings, and of grey; empty if nothing."""
        grey = grey_note(float(self.values.min()), float(self.norm.vmin))
        return ring_note(any(self.gathered)), grey

    def colour_bar(self, figure: Figure, axes: NDArray[Any]) -> None:
        """Put the scale of the densities beside their panels."""
        extend = ("min" if self.values.min() < self.norm.vmin else "") + (
            "max" if self.values.max() > self.norm.vmax else ""
        )
        bar = figure.colorbar(
            ScalarMappable(self.norm, density_colours()),
            ax=axes,
            extend={"": "neither", "min": "min", "max": "max", "minmax": "both"}[extend],
            shrink=0.82,
            aspect=24,
            pad=0.015,
        )
        bar.set_label(r"$\log_{10}$ density relative to uniform")
        bar.outline.set_linewidth(0.5)
        bar.locator = MaxNLocator(6, steps=[1, 2, 5, 10])
        bar.update_ticks()


def _mark(one: Gathered, frame: Array) -> Mark:
    """Where marks are seen in an orthographic view."""
    x, y, toward = (float(c) for c in frame @ one.centre)
    return Mark(one, visible(frame @ ring(one.centre)).T, (x, y) if toward > 0.0 else None)


def draw_tokens(
    by: Painter,
    ax: Axes,
    points: Array,
    masses: Array,
    colours: NDArray[np.int64],
    toward: Array,
    centres: Array,
) -> None:
    """Draw one view of tokens, with rings around what is gathered.

    Args:
        by: see :func:`painter`.
        ax: where.
        points: (n, 3) unit vectors.
        masses: (n,), sum 1.
        colours: for each, (n,): which of ``CLUSTER_COLOURS``, -1: grey.
        toward: unit vector towards the viewer.
        centres: of the rings, (c, 3), see ``views.gathered_tokens``.
    """
    # What is gathered in less than a pixel shows its colour by that of the ring's inside.
    filled: NDArray[np.int64] = np.full(len(centres), -1)
    for k, centre in enumerate(centres):
        inside = (points @ centre > math.cos(RING_RADIUS)) & (colours >= 0)
        if np.any(inside):
            filled[k] = np.argmax(np.bincount(colours[inside], masses[inside]))
    by.tokens(ax, points, colours, toward, (centres, filled))
    finish_disc(ax)


def finish_disc(ax: Axes) -> None:
    """Draw the rim of a view, and leave no axes."""
    ax.add_patch(Circle((0.0, 0.0), 1.0, fill=False, edgecolor="0.35", linewidth=0.6, zorder=4))
    ax.set_xlim(-MARGIN, MARGIN)
    ax.set_ylim(-MARGIN, MARGIN)
    ax.set_aspect("equal")
    ax.set_axis_off()


def label_view(ax: Axes, side: str, toward: Array) -> None:
    """Write left of a row of views what it shows and where it is seen from."""
    where = ", ".join(f"{c:.2f}".replace("-", "\N{MINUS SIGN}") for c in toward + 0.0)
    label_row(ax, f"{side}, seen from\n({where})")


def label_row(ax: Axes, text: str) -> None:
    """Write upwards left of a row of views."""
    ax.text(
        -1.1, 0.0, text, rotation=90, ha="right", va="center", multialignment="center",
        fontsize=letters(7.5),
    )  # fmt: skip


def token_notes(n: int, colours: Sequence[NDArray[np.int64]]) -> tuple[str, str]:
    """What the reader of panels of ``n`` tokens in these colours must know; empty if nothing."""
    coloured = any(np.any(colour >= 0) for colour in colours)
    return (
        f"{TOKENS_SHOWN} of {n} tokens drawn" if n > TOKENS_SHOWN else "",
        f"colours: clusters of more than {percent(CLUSTER_MASS)} of the mass" if coloured else "",
    )
