"""Figure of the tokens of a run: on the sphere, on the circle, or by their inner products."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from numpy.typing import NDArray

from meanfield.errors import InputError
from meanfield.figures import globe
from meanfield.figures.marks import ring_note
from meanfield.figures.moments import steps_to_show
from meanfield.figures.reading import case_table, parameters_of, time_scale, title_of
from meanfield.figures.style import (
    CLUSTER_COLOURS,
    CLUSTER_MASS,
    FAINT,
    angle_axis,
    cluster_colours,
    drawing,
    footnote,
    headline,
    number,
    percent,
    save,
    shades,
)
from meanfield.geometry.manifolds import MANIFOLDS, manifold, of_vectors
from meanfield.geometry.sphere import Array
from meanfield.results.folder import RunFolder
from meanfield.results.formats import INNER_PRODUCT_EDGES, TokenSeries, read_tokens_file
from meanfield.scenes.views import gathered_tokens

__all__ = ["has_tokens", "plot_tokens"]

_TRAJECTORIES = 300  # lines on the circle: more are a grey area
_STEPS = 500  # of a line: one for each pixel
_POINTS = 50_000_000  # read for that: some ten seconds


def has_tokens(run: RunFolder) -> bool:
    """Whether there are tokens and a step; for d > 3, a pair of them."""
    if not run.particles_path.is_file():
        return False
    tokens = read_tokens_file(run.particles_path)
    return len(tokens.times) > 0 and (tokens.d <= 3 or tokens.n > 1)


def plot_tokens(run: RunFolder) -> Path:
    """Draw ``figures/particles.png``: where the tokens are.

    On the sphere: at up to four output times (those of :func:`plot_density`) in two opposite
    orthographic views. On the circle: angles against time. For d > 3: the distribution of inner
    products of pairs at four times.

    On sphere and circle the clusters of more than 5 % of the mass have a colour, which they keep as
    long as most of them stays together; other tokens are grey.

    Returns:
        The file made.

    Raises:
        InputError: if the folder has no particle file, no step, or a single token with d > 3.
    """
    tokens = read_tokens_file(run.particles_path)
    if not len(tokens.times):
        raise InputError(f"{tokens.path} has no steps: the run did not get to its first output")
    with drawing():
        if tokens.d == 2:
            figure = _draw_angles(tokens, run)
        else:
            steps = steps_to_show(run, tokens.times)
            if tokens.d == 3:
                figure = _draw_sphere_tokens(tokens, steps)
            else:
                figure = _draw_inner_products(tokens, steps, _on_whole_sphere(run, tokens.d))
        headline(figure, title_of(run), parameters_of(run))
        return save(figure, run.figure("particles.png"))


def _draw_sphere_tokens(tokens: TokenSeries, steps: Sequence[int]) -> Figure:
    """Rows: the two hemispheres; columns: times."""
    masses = tokens.read("mass")
    masses = masses / masses.sum()
    clouds = [tokens.points(k) for k in steps]
    colours = cluster_colours([tokens.read("cluster", k) for k in steps], masses)
    gathered = [gathered_tokens(points, masses) for points in clouds]
    front = globe.front_of(np.concatenate(clouds), np.tile(masses, len(steps))[None])
    figure = globe.globes(1.55 * len(steps) + 0.45, 3.6)
    axes = figure.subplots(2, len(steps), squeeze=False)
    with globe.painter() as by:
        for row, side, toward in zip(axes, ("front", "back"), (front, -front), strict=True):
            for ax, x, colour, centres in zip(row, clouds, colours, gathered, strict=True):
                globe.draw_tokens(by, ax, x, masses, colour, toward, centres)
            globe.label_view(row[0], side, toward)
    for ax, k in zip(axes[0], steps, strict=True):
        ax.set_title(f"$t = {number(float(tokens.times[k]))}$", pad=3)
    notes = globe.token_notes(tokens.n, colours)
    footnote(figure, *notes, ring_note(any(len(rings) for rings in gathered)), globe.painter_note())
    return figure


def _draw_angles(tokens: TokenSeries, run: RunFolder) -> Figure:
    """Angles on the circle against time, one line for each of up to 300 tokens."""
    masses = tokens.read("mass")
    masses = masses / masses.sum()
    most = min(_STEPS, max(_POINTS // tokens.n, 20))
    steps = np.unique(np.linspace(0, len(tokens.times) - 1, most).round().astype(np.int64))
    t = tokens.times[steps]
    points = tokens.points(0)
    # Evenly over the angles at the start, so that the lines show how the circle is deformed.
    order = np.argsort(np.arctan2(points[:, 1], points[:, 0]), kind="stable")
    shown = order[np.unique(np.linspace(0, tokens.n - 1, _TRAJECTORIES).round().astype(np.int64))]
    angles = np.empty((len(steps), len(shown)))
    for row, k in enumerate(steps):
        points = tokens.points(int(k))[shown]
        angles[row] = np.arctan2(points[:, 1], points[:, 0])
    (colours,) = cluster_colours([tokens.read("cluster", -1)], masses)

    figure = Figure(figsize=(5.4, 3.5), layout="constrained")
    ax = figure.subplots()
    alpha = min(max(6.0 / math.sqrt(len(shown)), 0.35), 1.0)
    rgba = [
        to_rgba("0.6" if c < 0 else CLUSTER_COLOURS[c], alpha) for c in map(int, colours[shown])
    ]
    if len(t) == 1:
        ax.scatter(np.full(len(shown), t[0]), angles[0], c=rgba, s=9.0, linewidths=0.0)
    else:
        # Each step the short way round; what leaves at pi comes in at -pi.
        paths = np.unwrap(angles, axis=0)
        for turn in range(-1 - int(paths.max() // np.pi), 2 - int(paths.min() // np.pi)):
            lines = [np.column_stack([t, path + 2.0 * np.pi * turn]) for path in paths.T]
            near = [i for i, line in enumerate(lines) if np.any(np.abs(line[:, 1]) <= np.pi)]
            ax.add_collection(
                LineCollection(
                    [lines[i] for i in near], colors=[rgba[i] for i in near], linewidths=0.8
                )
            )
        ax.set_xlim(t[0], t[-1])
        time_scale(ax, run, t)
    angle_axis(ax, "y", of_vectors(2))
    ax.set_ylabel("angle")
    ax.set_xlabel("time  $t$")
    _label_clusters(ax, tokens.points(-1), masses, colours)
    notes = [f"{len(shown)} of {tokens.n} tokens drawn" if len(shown) < tokens.n else ""]
    if np.any(colours >= 0):
        notes.append(
            f"colours and parts of the mass: clusters of more than {percent(CLUSTER_MASS)} at the "
            "end"
        )
    footnote(figure, *notes)
    return figure


def _label_clusters(ax: Axes, points: Array, masses: Array, colours: NDArray[np.int64]) -> None:
    """Write the masses of the coloured clusters right of where they end."""
    places: list[float] = []
    for colour in range(colours.max() + 1):
        inside = colours == colour
        mean = masses[inside] @ points[inside, :2]
        place = math.atan2(mean[1], mean[0])
        if all(abs(place - other) > 0.3 for other in places):
            places.append(place)
            ax.annotate(
                percent(float(masses[inside].sum())),
                (1.0, place),
                xycoords=("axes fraction", "data"),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                color=CLUSTER_COLOURS[colour],
            )


def _on_whole_sphere(run: RunFolder, d: int) -> bool:
    geometry = case_table(run).get("geometry")
    name = geometry.get("type") if isinstance(geometry, dict) else None
    return name not in MANIFOLDS or manifold(str(name), d).whole


def _draw_inner_products(tokens: TokenSeries, steps: Sequence[int], whole: bool) -> Figure:
    """Distribution of <x_i, x_j> at several times, logarithmic; of uniform tokens on a sphere."""
    if tokens.n == 1:
        raise InputError(f"{tokens.path} has a single token: no pairs to draw for d > 3")
    figure = Figure(figsize=(5.4, 3.3), layout="constrained")
    ax = figure.subplots()
    edges = INNER_PRODUCT_EDGES
    widths = np.diff(edges)
    tops = []
    for k, shade in zip(steps, shades(len(steps)), strict=True):
        density = tokens.inner_products(k) / widths
        tops.append(density)
        # Not filled and without a baseline, but with sides: a single bin must be seen, too.
        label = f"$t = {number(float(tokens.times[k]))}$"
        ax.stairs(density, edges, baseline=None, color=shade, linewidth=1.2, label=label)
    s = np.linspace(-1.0, 1.0, 401)[1:-1]
    log_uniform = 0.5 * (tokens.d - 3) * np.log1p(-(s**2)) - (
        0.5 * math.log(math.pi) + math.lgamma(0.5 * (tokens.d - 1)) - math.lgamma(0.5 * tokens.d)
    )
    if whole:
        ax.plot(s, np.exp(log_uniform), color=FAINT, linewidth=0.8, linestyle=":", label="uniform")
    values = np.concatenate(tops)
    ax.set_yscale("log")
    ax.set_ylim(0.5 * max(values[values > 0.0].min(), 1e-4), 2.0 * values.max())
    ax.set_xlim(-1.0, 1.02)
    ax.set_xlabel(rf"inner product $\langle x_i, x_j\rangle$  ($d = {tokens.d}$, $n = {tokens.n}$)")
    ax.set_ylabel("density of pairs")
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure
