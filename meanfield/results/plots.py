"""Figures of a run, drawn from its folder: energy and order against time, what is where.

Owns what a figure of a run shows and how it looks. Reads the files of a run folder, never a live
run, and needs neither a display nor OpenGL. Figures of comparisons are in
``plots_compare`` and can be had from here, too.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize, to_rgba
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from meanfield.analysis.evaluate import log_density_at
from meanfield.errors import InputError
from meanfield.geometry.manifolds import of_vectors
from meanfield.geometry.sphere import Array
from meanfield.results import globe
from meanfield.results.figures import (
    CLUSTER_COLOURS,
    CLUSTER_MASS,
    FAINT,
    INK,
    STYLE,
    angle_axis,
    angle_label,
    angle_profile,
    cluster_colours,
    footnote,
    headline,
    is_geometric,
    logarithmic_time,
    number,
    percent,
    save,
    shades,
    telling_steps,
)
from meanfield.results.folder import RunFolder
from meanfield.results.formats import (
    INNER_PRODUCT_EDGES,
    FieldSeries,
    TokenSeries,
    read_fields,
    read_tokens_file,
)
from meanfield.results.plots_compare import (
    plot_distance_against_n,
    plot_distance_against_t,
    plot_side_by_side,
)

__all__ = [
    "make_figures",
    "plot_density",
    "plot_distance_against_n",
    "plot_distance_against_t",
    "plot_series",
    "plot_side_by_side",
    "plot_tokens",
]

_TRAJECTORIES = 300  # lines on the circle: more are a grey area
_STEPS = 500  # of a line: one for each pixel
_POINTS = 50_000_000  # read for that: some ten seconds


def make_figures(folder: RunFolder | str | Path) -> list[Path]:
    """Draw every figure that the files of a run folder allow.

    Returns:
        The files made: ``energy.png`` where there is a series, ``density.png`` where there are
        fields with a density and at least one step, ``particles.png`` where there are tokens.
    """
    run = _opened(folder)
    made = []
    if run.series_path.is_file() and len(run.read_series()["t"]):
        made.append(plot_series(run))
    if run.fields_path.is_file():
        fields = read_fields(run.fields_path)
        if len(fields.times) and {"rho", "log10_rho"} & set(fields.names):
            made.append(plot_density(run))
    if run.particles_path.is_file():
        tokens = read_tokens_file(run.particles_path)
        if len(tokens.times) and (tokens.d <= 3 or tokens.n > 1):
            made.append(plot_tokens(run))
    return made


# -- energy and order -----------------------------------------------------------------------------


def plot_series(folder: RunFolder | str | Path) -> Path:
    """Draw ``figures/energy.png``: energy, length of the mean, number of clusters against time.

    The energy of attention is E e^{-|beta|} with E = (1/2 beta) iint e^{beta <x,y>} dmu dmu, which
    *increases* along the flow for V = +I, that of kernels E = 1/2 iint W dmu dmu; a dotted line
    marks its value for all mass at one point where the curve comes within a factor of two.

    Returns:
        The file made.

    Raises:
        InputError: if the folder has no series or the series no rows.
    """
    run = _opened(folder)
    series = run.read_series()
    t = series["t"]
    if not len(t):
        raise InputError(f"{run.series_path} has no rows: the run did not get to its first output")
    case = _case(run)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5.4, 4.8), layout="constrained")
        axes = figure.subplots(3, 1, sharex=True, height_ratios=(1.25, 1.25, 0.8))
        marker = "o" if len(t) == 1 else None
        energy, order, clusters = axes

        energy.plot(t, series["energy_scaled"], color=INK, marker=marker)
        told = run.read_energy()
        scaled, top = "|beta|" in str(told.get("label")), told.get("dirac")
        energy.set_ylabel(r"energy  $E\,e^{-|\beta|}$" if scaled else "energy  $E$")
        if isinstance(top, float) and top > 0.0:
            if np.nanmax(series["energy_scaled"], initial=0.0) > 0.5 * top:
                energy.axhline(top, color=FAINT, linewidth=0.8, linestyle=":")
                energy.annotate(
                    "all mass at one point",
                    (0.0, top),
                    xycoords=("axes fraction", "data"),
                    xytext=(3, -3),
                    textcoords="offset points",
                    va="top",
                    color=FAINT,
                    fontsize=7,
                )
        order.plot(t, series["mean_norm"], color=INK, marker=marker)
        order.set_ylabel(r"order  $|m|=|\int x\,\mathrm{d}\mu|$")
        order.set_ylim(-0.03, 1.03)

        count = series["clusters"]
        clusters.step(t, count, where="post", color=INK, marker=marker)
        clusters.set_ylabel("clusters")
        clusters.set_ylim(-0.3, float(np.nanmax(count, initial=1.0)) + 0.6)
        clusters.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        clusters.set_xlabel("time  $t$")
        clusters.margins(x=0.015)
        _time_scale(clusters, case, t)
        figure.align_ylabels(axes)
        headline(figure, str(case.get("title", "")))
        return save(figure, run.figure("energy.png"))


# -- density --------------------------------------------------------------------------------------


def plot_density(folder: RunFolder | str | Path) -> Path:
    """Draw ``figures/density.png``: the density (uniform = 1) at up to four output times.

    Shown are the first and the last time and the two between them at which the energy is nearest
    to one and two thirds of its way. On the sphere: log10 of the density in two opposite
    orthographic views, chosen to show the mass; circle: against the angle; zonal:
    against theta.

    Returns:
        The file made.

    Raises:
        InputError: if the folder has no fields, no step, or neither ``rho`` nor ``log10_rho``.
    """
    run = _opened(folder)
    fields = read_fields(run.fields_path)
    if not len(fields.times):
        raise InputError(f"{fields.path} has no steps: the run did not get to its first output")
    name = next((n for n in ("log10_rho", "rho") if n in fields.names), None)
    if name is None:
        raise InputError(
            f"{fields.path} has no density, only {', '.join(fields.all_names)}: expected 'rho' or "
            "'log10_rho' in output.fields"
        )
    steps = telling_steps(fields.times, _energy_at(run, fields.times))
    times = [float(fields.times[k]) for k in steps]
    with matplotlib.rc_context(STYLE):
        if fields.manifold.dimension == 2:
            figure = _draw_sphere(fields, *_at_rest(fields, name, steps), times)
        else:
            figure = _draw_profile(fields, name, steps)
        headline(figure, str(_case(run).get("title", "")))
        return save(figure, run.figure("density.png"))


def _log10(fields: FieldSeries, name: str, k: int) -> Array:
    values = fields.read(name, k)
    return np.log10(np.maximum(values, 1e-300)) if name == "rho" else values


def _at_rest(fields: FieldSeries, name: str, steps: Sequence[int]) -> tuple[Array, Array]:
    """log10 of the density at the vertices of the first step, and the masses there, (k, n) each.

    Of a mesh that moves: the P1 density where it is then, and the masses where the nearest of
    these vertices is.
    """
    weights = globe.vertex_weights(fields.points, fields.cells)
    if not fields.moving:
        values = np.stack([_log10(fields, name, k) for k in steps])
        masses = weights * 10.0 ** np.clip(values, -300.0, 300.0)
    else:
        tree, rows, held = cKDTree(fields.points), [], []
        for k in steps:
            there = fields.at(k)
            log_rho = math.log(10.0) * _log10(there, name, k)
            mass = there.read("mass", k)
            found = log_density_at(there.mesh, log_rho, mass, fields.points)
            rows.append(found / math.log(10.0))
            place = tree.query(there.points)[1]
            held.append(np.bincount(place, mass, minlength=len(fields.points)))
        values, masses = np.stack(rows), np.stack(held)
    return values, masses / masses.sum(axis=1, keepdims=True)


def _draw_sphere(
    fields: FieldSeries, values: Array, masses: Array, times: Sequence[float]
) -> Figure:
    """Rows: the two hemispheres; columns: times. ``values`` (k, n) is log10 of the density."""
    weights = globe.vertex_weights(fields.points, fields.cells)
    front = globe.view_direction(fields.points, masses)
    low, high = globe.colour_range(values, weights, masses)
    norm = Normalize(low, high)
    gathered = [globe.gathered(fields.points, mass) for mass in masses]
    figure = _globes(len(times))
    axes = figure.subplots(2, len(times), squeeze=False)
    for row, (side, toward) in enumerate((("front", front), ("back", -front))):
        frame = globe.frame_towards(toward)
        # Voids are cut before they are interpolated: between 1 and 1e-300 all of an edge is void.
        images = globe.hemisphere_images(fields.points, np.maximum(values, low - 0.5), frame)
        for column, image in enumerate(images):
            globe.draw_density(axes[row, column], image, norm, frame, gathered[column])
        globe.label_view(axes[row, 0], side, toward)
    for ax, t in zip(axes[0], times, strict=True):
        ax.set_title(f"$t = {number(t)}$", pad=3)
    if any(len(centres) for centres in gathered):
        footnote(figure, globe.RING_NOTE)
    globe.colour_bar(figure, axes, norm, values)
    return figure


def _globes(columns: int, bar: bool = True) -> Figure:
    """A figure for two rows of views, with room for a colour bar."""
    tight = ConstrainedLayoutEngine(compress=True, w_pad=0.03, h_pad=0.03, wspace=0.02, hspace=0.02)
    return Figure(figsize=(1.55 * columns + (1.25 if bar else 0.45), 3.6), layout=tight)


def _draw_profile(fields: FieldSeries, name: str, steps: Sequence[int]) -> Figure:
    """Density against the angle on the circle or theta, logarithmic."""
    figure = Figure(figsize=(5.4, 3.3), layout="constrained")
    ax = figure.subplots()
    angle_axis(ax, "x", fields.manifold)
    ax.set_xlabel(angle_label(fields.manifold))
    ax.axhline(1.0, color=FAINT, linewidth=0.7, linestyle=":")
    lowest, high = math.inf, -math.inf
    for k, shade in zip(steps, shades(len(steps)), strict=True):
        there = fields.at(k)
        points, row = there.mesh.points, _log10(there, name, k)
        if fields.moving:
            points, row = _fine_profile(there, row, there.read("mass", k))
        row = np.clip(row, -30.0, 30.0)  # a collapsed cluster is beyond all scales
        angle, values = angle_profile(fields.manifold, points, row[None])
        t = float(fields.times[k])
        ax.plot(angle, 10.0 ** values[0], color=shade, label=f"$t = {number(t)}$")
        lowest, high = min(lowest, float(row.min())), max(high, float(row.max()))
    ax.set_yscale("log")
    # Voids fall below any bound: two decades under the uniform density tell enough.
    low, high = max(lowest, -2.0), min(high, 12.0)
    pad = 0.04 * max(high - low, 1.0)
    ax.set_ylim(10.0 ** (low - pad), 10.0 ** (high + pad))
    ax.set_ylabel("density relative to uniform")
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def _fine_profile(fields: FieldSeries, log10_rho: Array, mass: Array) -> tuple[Array, Array]:
    """A density on a mesh that has moved, at its vertices and evenly between them.

    Vertices gather where the density is; between clusters there may be none.
    """
    even = fields.manifold.evenly(720)
    mesh = fields.mesh
    nodes, inverse = np.unique(np.concatenate([mesh.points, even]), axis=0, return_inverse=True)
    values = log_density_at(mesh, math.log(10.0) * log10_rho, mass, nodes) / math.log(10.0)
    # A collapsed cluster is a line at one angle, whatever the cells beside it hold.
    np.maximum.at(values, inverse.reshape(-1)[: mesh.n_vertices], log10_rho)
    return nodes, values


# -- tokens ---------------------------------------------------------------------------------------


def plot_tokens(folder: RunFolder | str | Path) -> Path:
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
    run = _opened(folder)
    tokens = read_tokens_file(run.particles_path)
    if not len(tokens.times):
        raise InputError(f"{tokens.path} has no steps: the run did not get to its first output")
    case = _case(run)
    with matplotlib.rc_context(STYLE):
        if tokens.d == 2:
            figure = _draw_angles(tokens, case)
        else:
            steps = telling_steps(tokens.times, _energy_at(run, tokens.times))
            if tokens.d == 3:
                figure = _draw_sphere_tokens(tokens, steps)
            else:
                figure = _draw_inner_products(tokens, steps)
        headline(figure, str(case.get("title", "")))
        return save(figure, run.figure("particles.png"))


def _draw_sphere_tokens(tokens: TokenSeries, steps: Sequence[int]) -> Figure:
    """Rows: the two hemispheres; columns: times."""
    masses = tokens.read("mass")
    masses = masses / masses.sum()
    clouds = [tokens.points(k) for k in steps]
    colours = cluster_colours([tokens.read("cluster", k) for k in steps], masses)
    gathered = [globe.gathered_tokens(points, masses) for points in clouds]
    front = globe.view_direction(np.concatenate(clouds), np.tile(masses, len(steps))[None])
    figure = _globes(len(steps), bar=False)
    axes = figure.subplots(2, len(steps), squeeze=False)
    for row, (side, toward) in enumerate((("front", front), ("back", -front))):
        frame = globe.frame_towards(toward)
        for ax, x, colour, centres in zip(axes[row], clouds, colours, gathered, strict=True):
            globe.draw_tokens(ax, x, masses, colour, frame, centres)
        globe.label_view(axes[row, 0], side, toward)
    for ax, k in zip(axes[0], steps, strict=True):
        ax.set_title(f"$t = {number(float(tokens.times[k]))}$", pad=3)
    notes = [globe.tokens_note(tokens.n)]
    if any(np.any(colour >= 0) for colour in colours):
        notes.append(f"colours: clusters of more than {percent(CLUSTER_MASS)} of the mass")
    if any(len(centres) for centres in gathered):
        notes.append(globe.RING_NOTE)
    footnote(figure, *notes)
    return figure


def _draw_angles(tokens: TokenSeries, case: dict[str, Any]) -> Figure:
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
        _time_scale(ax, case, t)
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


def _draw_inner_products(tokens: TokenSeries, steps: Sequence[int]) -> Figure:
    """Distribution of <x_i, x_j> at several times, logarithmic, and that of uniform tokens."""
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
    ax.plot(s, np.exp(log_uniform), color=FAINT, linewidth=0.8, linestyle=":", label="uniform")
    values = np.concatenate(tops)
    ax.set_yscale("log")
    ax.set_ylim(0.5 * max(values[values > 0.0].min(), 1e-4), 2.0 * values.max())
    ax.set_xlim(-1.0, 1.02)
    ax.set_xlabel(rf"inner product $\langle x_i, x_j\rangle$  ($d = {tokens.d}$, $n = {tokens.n}$)")
    ax.set_ylabel("density of pairs")
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


# -- common ---------------------------------------------------------------------------------------


def _opened(folder: RunFolder | str | Path) -> RunFolder:
    return folder if isinstance(folder, RunFolder) else RunFolder.open(folder)


def _case(run: RunFolder) -> dict[str, Any]:
    """The case as plain data, not validated: only titles, guide lines and scales hang on it."""
    try:
        return tomllib.loads(run.case_path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError):
        return {}


def _energy_at(run: RunFolder, times: Array) -> Array | None:
    """Energy (scaled) at the given times, from the series; None without one."""
    if not run.series_path.is_file():
        return None
    series = run.read_series()
    if not len(series["t"]) or not np.all(np.isfinite(series["energy_scaled"])):
        return None
    return np.interp(times, series["t"], series["energy_scaled"])


def _time_scale(ax: Axes, case: dict[str, Any], t: Array) -> None:
    """Make the time axis logarithmic if the outputs of the case are."""
    outputs = case.get("time", {}).get("outputs")
    first = None
    if isinstance(outputs, dict) and isinstance(outputs.get("geometric"), dict):
        first = outputs["geometric"].get("first")
    elif isinstance(outputs, list) and is_geometric(outputs):
        first = min(time for time in outputs if time > 0.0)
    if isinstance(first, int | float) and 0.0 < 10.0 * first < t[-1]:
        logarithmic_time(ax, float(first), float(t[-1]))
