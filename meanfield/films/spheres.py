"""Frames of what is on spheres: one view or two, rendered by scenes, and the scale of colours."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import matplotlib
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from numpy.typing import NDArray

from meanfield.figures.reel import DensityReel, TokenReel
from meanfield.films.options import Film
from meanfield.films.plate import Clock, EnergyStrip, Plate, headed
from meanfield.geometry.sphere import Array
from meanfield.results.folder import RunFolder
from meanfield.scenes import Look, Stage
from meanfield.scenes.views import (
    RING_MASS,
    RING_RADIUS,
    view_direction,
)

__all__ = ["sphere_frames"]

_OVER_DENSITY = 5  # the colour of tokens over a density: light blue is in no map of densities
_TOP, _BOTTOM, _BAR = 0.09, 0.035, 0.13  # bands of a frame, in parts of it


@dataclass(frozen=True)
class _Places:
    """Where spheres are in a frame: sides in pixels, and corners (row, column)."""

    side: int
    corners: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, size: tuple[int, int], views: int, strip: bool, bar: bool) -> _Places:
        width, height = size
        below = EnergyStrip.HEIGHT if strip else _BOTTOM
        room = (1.0 - _BAR if bar else 1.0) * width
        side = int(min(height * (1.0 - _TOP - below), room / views)) // 2 * 2
        row = round(height * _TOP + 0.5 * (height * (1.0 - _TOP - below) - side))
        gap = (room - views * side) / (views + 1)
        return cls(side, tuple((row, round(gap + k * (side + gap))) for k in range(views)))


def sphere_frames(
    run: RunFolder,
    density: DensityReel | None,
    tokens: TokenReel | None,
    film: Film,
    times: Array,
    size: tuple[int, int],
) -> Iterator[NDArray[np.uint8]]:
    """Frames (h, w, 3) at these times, of a density, of tokens, or of tokens over a density."""
    if density is None and tokens is not None and tokens.tokens.d == 2:
        film = replace(film, views=1)  # the other side is the same
    strip = film.energy and EnergyStrip.is_for(run, times)
    places = _Places.of(size, film.views, strip, density is not None)
    look = replace(film.look, size=(places.side, places.side))
    front, notes, extremes = np.array([0.0, 0.0, 1.0]), [], (0.0, 0.0)
    if density is not None:
        limits, front = density.seen()
        look = replace(look, limits=look.limits or limits)
        notes.append(
            f"rings: more than {100 * RING_MASS:.0f} % of the mass within {RING_RADIUS} rad"
        )
        extremes = density.extremes()
        assert look.limits is not None
        if extremes[0] < look.limits[0]:
            notes.append(f"grey: density below $10^{{{look.limits[0]:g}}}$")
        notes.append(_between_note("log density", len(density.times), len(times)))
    elif tokens is not None and tokens.tokens.d == 3:
        places_of = tokens.some_points()
        masses = np.tile(tokens.masses, len(places_of) // len(tokens.masses))
        front = view_direction(places_of, (masses / masses.sum())[None])
    if tokens is not None and density is not None:
        notes.append(f"dots: {tokens.tokens.n} tokens")
    if tokens is not None:
        notes.append(_between_note("places of tokens", len(tokens.times), len(times)))
    if look.camera is not None:
        front = np.array(look.camera) / np.linalg.norm(look.camera)
    plate = Plate(size, look)
    headed(plate, run, "; ".join(filter(None, notes)))
    clock = Clock(plate, times)
    energy = EnergyStrip(plate, run, times) if strip else None
    if density is not None:
        _colour_bar(plate, look, strip, extremes)
    with Stage(look) as stage:
        for k, t in enumerate(times):
            _set(stage, density, tokens, float(t))
            clock.set(float(t))
            if energy is not None:
                energy.set(float(t))
            sides = _sides(front, film, k / film.fps)
            yield plate.frame(
                (row, column, stage.image(toward))
                for (row, column), toward in zip(places.corners, sides, strict=True)
            )


def _between_note(what: str, outputs: int, frames: int) -> str:
    return f"{what} linear in time between {outputs} outputs" if outputs < frames else ""


def _set(stage: Stage, density: DensityReel | None, tokens: TokenReel | None, t: float) -> None:
    """Put on the stage what is there at a time."""
    if density is not None:
        stage.density(density.points, density.cells, density.at(t))
        found = density.gathered(t)
        stage.rings(found.centres)
        stage.dots(found.centres, found.dots)
    if tokens is not None:
        points, colours = tokens.at(t)
        if tokens.tokens.d == 2:
            stage.circle()
        stage.tokens(points, colours if density is None else np.full(len(points), _OVER_DENSITY))
    if density is not None or (tokens is not None and tokens.tokens.d == 3):
        stage.graticule()


def _sides(front: Array, film: Film, seconds: float) -> list[Array]:
    """Where each view is seen from, the camera having gone round for so many seconds."""
    angle = math.radians(film.turntable * seconds)
    c, s = math.cos(angle), math.sin(angle)
    toward = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]]) @ front
    return [toward, -toward][: film.views]


def _colour_bar(plate: Plate, look: Look, strip: bool, extremes: tuple[float, float]) -> None:
    assert look.limits is not None
    below = EnergyStrip.HEIGHT if strip else _BOTTOM
    height = 1.0 - _TOP - below
    ax = plate.axes(1.0 - _BAR + 0.02, below + 0.12 * height, 0.016, 0.76 * height)
    low, high = look.limits
    ends = ("min" if extremes[0] < low else "") + ("max" if extremes[1] > high else "")
    colours = matplotlib.colormaps[look.cmap].with_extremes(under=look.empty)
    bar = plate.figure.colorbar(
        ScalarMappable(Normalize(low, high), colours), cax=ax,
        extend={"": "neither", "minmax": "both"}.get(ends, ends),
    )  # fmt: skip
    bar.set_label(r"$\log_{10}$ density / uniform", color=look.ink)
    bar.outline.set_edgecolor(look.ink)
    bar.outline.set_linewidth(0.5)
    bar.locator = matplotlib.ticker.MaxNLocator(6, steps=[1, 2, 5, 10])
    bar.update_ticks()
