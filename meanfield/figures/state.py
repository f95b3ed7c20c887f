"""Figure of a stationary state: its density on the sphere, or over the angle.

Knows nothing of how it was found.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from meanfield.figures import globe
from meanfield.figures.reading import is_finished, parameters_of
from meanfield.figures.style import (
    FAINT,
    INK,
    angle_axis,
    angle_label,
    angle_profile,
    drawing,
    footnote,
    headline,
    save,
)
from meanfield.geometry.manifolds import Latitudes, Manifold, of_vectors
from meanfield.geometry.sphere import Array
from meanfield.interaction.attention import attention_words
from meanfield.results.folder import RunFolder
from meanfield.scenes.views import vertex_weights

__all__ = ["has_state", "plot_state"]


def has_state(run: RunFolder) -> bool:
    """Whether there is a stationary state.

    Raises:
        InputError: there will be one, but it is not finished.
    """
    return is_finished(run, "stationary")


def plot_state(run: RunFolder) -> Path:
    """Draw ``figures/density.png``: the density, what it is stationary for, and its stability."""
    import meshio

    about = run.read_run()
    with open(run.path / "stationary.csv", encoding="utf-8", newline="") as file:
        numbers = next(csv.DictReader(file))
    data = meshio.read(run.path / "density.vtu")
    log_rho = data.point_data["log10_rho"] * math.log(10.0)
    triangles, d = data.get_cells_type("triangle"), int(numbers["d"])
    with drawing():
        if len(triangles):
            figure, rings = _draw_sphere(data.points, triangles.astype(np.int64), log_rho)
        else:
            on = Latitudes(d) if "theta" in data.point_data else of_vectors(d)
            points = on.from_space(data.points, data.point_data.__getitem__)
            figure, rings = _draw_profile(on, points, log_rho), ""
        headline(figure, str(about["title"]), parameters_of(run))
        footnote(figure, _words(about, numbers), rings)
        return save(figure, run.figure("density.png"))


def _words(about: Mapping[str, object], numbers: Mapping[str, str]) -> str:
    known = {"1": "stable", "0": "unstable"}
    stable = known.get(numbers["stable"], "stability unknown")
    # Folders of earlier versions tell the interaction in their table only.
    words = str(about["interaction"]) if "interaction" in about else attention_words(numbers)
    return (
        f"stationary state, {stable}: {words}, "
        f"kappa = {float(numbers['kappa']):g}, |m| = {float(numbers['c_1']):.6f}, "
        f"leading eigenvalue {float(numbers['leading']):.4g}"
    )


def _draw_profile(on: Manifold, points: Array, log_rho: Array) -> Figure:
    """Density against the angle, on a circle or from pole to pole.

    Args:
        on: the one-dimensional geometry.
        points: vertices in its coordinates, (n, gdim).
        log_rho: log density w.r.t. the uniform one, (n,).
    """
    figure = Figure(figsize=(5.4, 3.3), layout="constrained")
    ax = figure.subplots()
    angle, values = angle_profile(on, points, log_rho[None] / math.log(10.0))
    angle_axis(ax, "x", on)
    ax.set_xlabel(angle_label(on))
    ax.axhline(1.0, color=FAINT, linewidth=0.7, linestyle=":")
    low, high = max(float(values.min()), -6.0), float(values.max())
    pad = 0.06 * max(high - low, 1.0)
    ax.plot(angle, 10.0 ** np.maximum(values[0], low - 1.0), color=INK)
    ax.set_yscale("log")
    ax.set_ylim(10.0 ** (low - pad), 10.0 ** (high + pad))
    ax.set_ylabel("density relative to uniform")
    return figure


def _draw_sphere(points: Array, cells: NDArray[np.int64], log_rho: Array) -> tuple[Figure, str]:
    """Density on S^2 from two sides, (n, 3) points and (m, 3) cells; and what its rings are."""
    values = np.maximum(log_rho, -690.0)[None] / math.log(10.0)
    masses = vertex_weights(points, cells) * 10.0**values
    masses /= masses.sum(axis=1, keepdims=True)
    shown = globe.Densities.of(points, cells, values, masses)
    figure = globe.globes(5.0, 2.9)
    axes = figure.subplots(1, 2, squeeze=False)
    sides = ("front", "back"), (shown.front, -shown.front)
    with globe.painter(shown.norm) as by:
        for ax, side, view in zip(axes[0], *sides, strict=True):
            shown.draw(by, [ax], view)
            globe.label_view(ax, side, view)
    shown.colour_bar(figure, axes)
    return figure, "; ".join(filter(None, (*shown.notes(), globe.painter_note())))
