"""Frames of a density on a circle or from pole to pole: a curve over the angle."""

from __future__ import annotations

from collections.abc import Iterator

import matplotlib
import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from numpy.typing import NDArray

from meanfield.figures.reel import DensityReel, some
from meanfield.figures.style import angle_axis, angle_label, angle_profile
from meanfield.films.options import Film
from meanfield.films.plate import Clock, EnergyStrip, Plate, headed
from meanfield.geometry.sphere import Array
from meanfield.results.folder import RunFolder

__all__ = ["curve_frames"]

_LOWEST, _HIGHEST = -2.0, 12.0  # log10 of the densities that are told apart


def curve_frames(
    run: RunFolder, density: DensityReel, film: Film, times: Array, size: tuple[int, int]
) -> Iterator[NDArray[np.uint8]]:
    """Frames (h, w, 3) at these times; the limits are those of the vertical axis."""
    strip = film.energy and EnergyStrip.is_for(run, times)
    look = film.look
    rows = np.stack([density.read(k) for k in some(len(density.times))])
    low, high = look.limits or (max(float(rows.min()), _LOWEST), min(float(rows.max()), _HIGHEST))
    pad = 0.04 * max(high - low, 0.5)
    plate = Plate(size, look)
    between = len(density.times) < len(times)
    note = f"log density linear in time between {len(density.times)} outputs" if between else ""
    headed(plate, run, note)
    clock = Clock(plate, times)
    bottom = (EnergyStrip.HEIGHT if strip else 0.02) + 0.14
    ax = plate.axes(0.085, bottom, 0.89, 0.91 - bottom)
    on = density.fields.manifold
    angle_axis(ax, "x", on)
    ax.set_xlabel(angle_label(on))
    ax.set_ylabel("density / uniform")
    ax.set_yscale("log")
    ax.set_ylim(10.0 ** (low - pad), 10.0 ** (high + pad))
    ax.axhline(1.0, color=look.ink, linewidth=0.7, linestyle=":", alpha=0.6)
    colours = matplotlib.colormaps[look.cmap]
    curve = LineCollection(
        [], cmap=colours, norm=Normalize(low, high), linewidths=2.4, capstyle="round"
    )
    ax.add_collection(curve, autolim=False)
    plate.move(curve)
    energy = EnergyStrip(plate, run, times) if strip else None
    for t in times:
        angle, values = angle_profile(on, density.points, density.at(float(t))[None])
        line = np.column_stack([angle, 10.0 ** np.clip(values[0], -30.0, 30.0)])
        curve.set_segments(list(np.stack([line[:-1], line[1:]], axis=1)))
        curve.set_array(0.5 * (values[0, 1:] + values[0, :-1]))
        clock.set(float(t))
        if energy is not None:
            energy.set(float(t))
        yield plate.frame()
