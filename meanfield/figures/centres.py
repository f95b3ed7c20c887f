"""Figure of causal tokens on the circle: at which of them the others gather."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from meanfield.analysis.centres import renyi_centres
from meanfield.case import Case
from meanfield.case.centres import centre_distance
from meanfield.errors import InputError
from meanfield.figures.reading import parameters_of, time_scale, title_of
from meanfield.figures.style import angle_axis, drawing, footnote, headline, number, save
from meanfield.geometry.manifolds import of_vectors
from meanfield.geometry.sphere import Array
from meanfield.results.folder import RunFolder
from meanfield.results.formats import TokenSeries, read_tokens_file

__all__ = ["has_centres", "plot_centres"]

_MOST = 2000  # tokens drawn
_STEPS = 500
_Colour = str | tuple[float, float, float, float]
_CENTRE: _Colour = "#D55E00"
_OTHER: _Colour = (0.35, 0.35, 0.35, 0.3)


def has_centres(run: RunFolder) -> bool:
    """Whether there are tokens on the circle at two times, moved by causal attention."""
    if not run.particles_path.is_file() or _distance(run) is None:
        return False
    tokens = read_tokens_file(run.particles_path)
    return tokens.d == 2 and len(tokens.times) > 1


def _distance(run: RunFolder) -> float | None:
    """From how far on tokens do not see each other."""
    try:
        distance = centre_distance(Case.from_toml(run.case_path, recorded=True))
    except InputError:  # of another version, or a file of it has gone
        return None
    return distance if distance is not None and distance < math.pi else None


def plot_centres(run: RunFolder) -> Path:
    """Draw ``figures/centres.png``: angles of causal tokens against time, Renyi centres in colour.

    A token is one if it is farther than 4 beta^{-1/2} from all centres before it.

    Returns:
        The file made.
    """
    tokens, distance = read_tokens_file(run.particles_path), _distance(run)
    assert distance is not None
    start = tokens.points(0)[:, :2]
    start /= np.linalg.norm(start, axis=1, keepdims=True)
    centres = renyi_centres(start, distance)
    others = np.setdiff1d(np.arange(min(tokens.n, _MOST)), centres)
    with drawing():
        figure = Figure(figsize=(5.4, 3.5), layout="constrained")
        ax = figure.subplots()
        steps = np.linspace(0, len(tokens.times) - 1, min(_STEPS, len(tokens.times)))
        steps = np.unique(np.round(steps).astype(np.int64))
        t = tokens.times[steps]
        paths = _angles(tokens, steps)
        _lines(ax, t, paths[:, others], _OTHER, 0.6)
        _lines(ax, t, paths[:, centres], _CENTRE, 1.6)
        ax.scatter(
            np.full(len(centres), t[0]), paths[0, centres], s=22.0, color=_CENTRE, clip_on=False,
            zorder=5.0,
        )  # fmt: skip
        ax.set_xlim(t[0], t[-1])
        time_scale(ax, run, t)
        angle_axis(ax, "y", of_vectors(2))
        ax.set_xlabel("time  $t$")
        ax.set_ylabel("angle")
        told = f"coloured: {len(centres)} Renyi centres of {tokens.n} tokens"
        few = f"the first {_MOST} are drawn" if tokens.n > _MOST else ""
        footnote(figure, f"{told}, farther than {number(distance)} from those before them", few)
        headline(figure, title_of(run), parameters_of(run))
        return save(figure, run.figure("centres.png"))


def _angles(tokens: TokenSeries, steps: Array) -> Array:
    """(k, n), in (-pi, pi] at the start and without jumps from there on."""
    rows = []
    for k in steps:
        points = tokens.points(int(k))
        rows.append(np.arctan2(points[:, 1], points[:, 0]))
    return np.unwrap(np.array(rows), axis=0)


def _lines(ax: Axes, t: Array, paths: Array, colour: _Colour, width: float) -> None:
    """What leaves the axis at pi comes in at -pi."""
    if not paths.size:
        return
    for turn in range(-1 - int(paths.max() // np.pi), 2 - int(paths.min() // np.pi)):
        lines = [np.column_stack([t, path + 2.0 * np.pi * turn]) for path in paths.T]
        near = [line for line in lines if np.any(np.abs(line[:, 1]) <= np.pi)]
        ax.add_collection(LineCollection(near, colors=colour, linewidths=width))
