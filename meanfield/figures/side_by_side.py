"""Figure of a comparison: density and particles at the same times, side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from meanfield.dynamics.clusters import cluster_labels
from meanfield.figures import globe
from meanfield.figures.marks import ring_note
from meanfield.figures.moments import nearest_steps
from meanfield.figures.options import asked
from meanfield.figures.reading import parameters_of, title_of
from meanfield.figures.style import (
    CLUSTER_COLOURS,
    INK,
    angle_axis,
    angle_label,
    angle_profile,
    cluster_colours,
    drawing,
    footnote,
    headline,
    number,
    plain_decades,
    points,
    save,
    telling_steps,
)
from meanfield.geometry.mesh import Mesh
from meanfield.geometry.sphere import Array
from meanfield.results.comparison import (
    StoredDensity,
    cloud_file,
    has_comparison,
    read_arrays,
    read_rows,
)
from meanfield.results.folder import RunFolder
from meanfield.scenes.views import gathered_tokens, vertex_weights

__all__ = ["draw_side_by_side", "has_sides", "plot_side_by_side"]

_BINS = 60  # of a histogram of angles
_CLUSTER_ANGLE = 0.1  # for the colours, as the default of ``case.Particles``


def has_sides(run: RunFolder) -> bool:
    """Whether there is a comparison with a density.

    Raises:
        InputError: there is one that is not finished.
    """
    return has_comparison(run) and StoredDensity.is_in(run)


def plot_side_by_side(run: RunFolder) -> Path:
    """Draw ``figures/side-by-side.png``: the first cloud of the largest number of particles."""
    density = StoredDensity.read(run.path)
    most = max(int(row["n"]) for row in read_rows(run))
    tokens = read_arrays(run.path / cloud_file("particles", most, 0))["x"]
    on_sphere = density.mesh.manifold.dimension == 2
    return draw_side_by_side(
        run.figure("side-by-side.png"),
        density.mesh,
        [float(t) for t in density.times],
        density.rho,
        tokens,
        clusters=[cluster_labels(x, _CLUSTER_ANGLE) for x in tokens] if on_sphere else None,
        title=title_of(run),
        parameters=parameters_of(run),
    )


def draw_side_by_side(
    path: str | Path,
    mesh: Mesh,
    times: Sequence[float],
    densities: Sequence[Array] | Array,
    clouds: Sequence[Array] | Array,
    *,
    clusters: Sequence[NDArray[np.int64]] | None = None,
    title: str = "",
    parameters: str = "",
) -> Path:
    """Draw a density and particles at the same times in the same view.

    On the sphere: the density above the particles, seen from where most of both is; the other side
    below if more than a tenth of the mass is there at the last time. Circle and zonal: the density
    as a curve over a histogram of the particles.

    Args:
        path: the file to make.
        mesh: of the density.
        times: of the columns; of more than five, five are shown.
        densities: at each time (vertices,), with respect to the uniform measure.
        clouds: at each time (n, d) unit vectors of equal mass.
        clusters: at each time (n,) integers, for colours (sphere only).
        title, parameters: above the figure.

    Returns:
        ``path``.

    Raises:
        ValueError: if there are not as many densities and clouds as times.
    """
    if not len(times) or not len(times) == len(densities) == len(clouds):
        raise ValueError(
            f"{len(times)} times, {len(densities)} densities and {len(clouds)} clouds: expected "
            "equal numbers, at least one"
        )
    wanted, at = asked().times, np.asarray(times, dtype=np.float64)
    even = np.arange(len(times), dtype=np.float64)
    shown = telling_steps(at, even, 5) if wanted is None else nearest_steps(at, wanted)
    moments = [float(times[k]) for k in shown]
    rho = np.stack([np.asarray(densities[k], dtype=np.float64) for k in shown])
    tokens = [np.asarray(clouds[k], dtype=np.float64) for k in shown]
    with drawing():
        if mesh.manifold.dimension == 2:
            labels = None if clusters is None else [np.asarray(clusters[k]) for k in shown]
            figure = _globes_side_by_side(mesh, moments, rho, tokens, labels)
        else:
            figure = _profiles_side_by_side(mesh, moments, rho, tokens)
        headline(figure, title, parameters)
        return save(figure, Path(path))


def _globes_side_by_side(
    mesh: Mesh,
    times: list[float],
    rho: Array,
    tokens: list[Array],
    labels: list[NDArray[np.int64]] | None,
) -> Figure:
    values = np.log10(np.maximum(rho, 1e-300))
    masses = vertex_weights(mesh.points, mesh.cells) * rho
    masses /= masses.sum(axis=1, keepdims=True)
    equal = [np.full(len(x), 1.0 / len(x)) for x in tokens]
    if labels is None:
        # All in one colour, the first.
        colours: list[NDArray[np.int64]] = [np.zeros(len(x), dtype=np.int64) for x in tokens]
    else:
        colours = cluster_colours(labels, equal[0])
    shown = globe.Densities.of(mesh.points, mesh.cells, values, masses)
    behind = float(masses[-1][mesh.points @ shown.front < 0.0].sum())
    sides = [shown.front, -shown.front] if behind > 0.1 else [shown.front]
    figure = globe.globes(1.55 * len(times) + 1.25, 3.05 * len(sides) + 0.55)
    axes = figure.subplots(2 * len(sides), len(times), squeeze=False)
    gathered = [gathered_tokens(x, mass) for x, mass in zip(tokens, equal, strict=True)]
    clouds = list(zip(tokens, equal, colours, gathered, strict=True))
    with globe.painter(shown.norm) as by:
        for toward, upper, lower in zip(sides, axes[::2], axes[1::2], strict=True):
            shown.draw(by, upper, toward)
            for ax, (x, mass, colour, centres) in zip(lower, clouds, strict=True):
                globe.draw_tokens(by, ax, x, mass, colour, toward, centres)
            globe.label_view(upper[0], "density", toward)
            globe.label_row(lower[0], f"{len(tokens[0])} particles,\nsame view")
    for ax, t in zip(axes[0], times, strict=True):
        ax.set_title(f"$t = {number(t)}$", pad=3)
    told = globe.token_notes(len(tokens[0]), () if labels is None else colours)
    notes = (
        *told,
        ring_note(any(shown.gathered) or any(len(rings) for rings in gathered)),
        shown.notes()[1],
        globe.painter_note(),
    )
    footnote(figure, *notes)
    shown.colour_bar(figure, axes)
    return figure


def _profiles_side_by_side(
    mesh: Mesh, times: list[float], rho: Array, tokens: list[Array]
) -> Figure:
    """Mass per radian: the density as a curve, the particles as bars."""
    on = mesh.manifold
    angles = [on.angles(on.coordinates(x)) for x in tokens]
    angle, curves = angle_profile(on, mesh.points, rho * on.uniform_per_radian(mesh.points))
    low = on.span[0]
    edges = np.linspace(low, math.pi, _BINS + 1)
    figure = Figure(figsize=(1.75 * len(times) + 1.9, 2.5), layout="constrained")
    axes = figure.subplots(1, len(times), sharey=True, squeeze=False)[0]
    least, most = math.inf, float(curves.max())
    for ax, t, curve, x in zip(axes, times, curves, angles, strict=True):
        bars = np.histogram(x, edges)[0] / (len(x) * np.diff(edges))
        least = min(least, 1.0 / (len(x) * (edges[1] - edges[0])))
        most = max(most, float(bars.max()))
        ax.stairs(bars, edges, fill=True, color=CLUSTER_COLOURS[5], alpha=0.6, linewidth=0.0)
        ax.plot(angle, curve, color=INK, linewidth=1.1)
        angle_axis(ax, "x", on)
        ax.set_title(f"$t = {number(t)}$")
    axes[0].set_yscale("log")
    # Half a particle in a bin: below, bars have nothing to say.
    axes[0].set_ylim(0.5 * least, 1.5 * most)
    plain_decades(axes[0])
    axes[0].set_ylabel("mass per radian")
    figure.supxlabel(angle_label(on), fontsize=points(8.5))
    handles = [
        Line2D([], [], color=INK, linewidth=1.1, label="density"),
        Line2D(
            [], [], color=CLUSTER_COLOURS[5], alpha=0.6, linewidth=5.0,
            label=f"{len(tokens[0])} particles",
        ),
    ]  # fmt: skip
    # Beside the panels: above is the title, which takes all of the width where they are few.
    figure.legend(handles=handles, loc="outside right center")
    return figure
