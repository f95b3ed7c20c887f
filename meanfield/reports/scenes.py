"""Densities and tokens in space, as ``page.js`` draws them: a slider of time, a button to play.

Owns the data of a scene and the element around it. Knows nothing of files.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from meanfield.figures.reading import energy_at
from meanfield.figures.style import CLUSTER_COLOURS, cluster_colours, telling_steps
from meanfield.geometry.sphere import Array
from meanfield.reports.densities import Frames, frames_of, labels_of
from meanfield.reports.facts import is_of_gaussians
from meanfield.reports.page import Html, Page, element, encoded, joined
from meanfield.reports.rings import NO_RINGS, Rings, front, rings_at
from meanfield.results.folder import RunFolder
from meanfield.results.formats import TokenSeries, read_tokens_file
from meanfield.scenes import views

__all__ = ["scenes"]

_TOKENS = 5_000
_AZIMUTHS = 60
_LATITUDES = 240
_STEEP = 0.87  # the most of the third coordinate of where the camera is


def scenes(page: Page, run: RunFolder, most: int) -> Html:
    """The scenes of a folder, with ``most`` times each or fewer; nothing, if it has none."""
    made = []
    density = frames_of(run, most)
    if density is not None:
        data = _surface(density) if density.is_surface else _angular(density)
        made.append(_shown(page, data, "Density", density.labels, density.notes))
    if run.particles_path.is_file():
        tokens = read_tokens_file(run.particles_path)
        if len(tokens.times):
            steps = telling_steps(tokens.times, energy_at(run, tokens.times), most)
            data, notes = _cloud(tokens, steps)
            title = "Tokens"
            if is_of_gaussians(run):
                title = "Gaussians"
                notes = ["the points by which they are summed", *notes]
            made.append(_shown(page, data, title, labels_of(tokens.times[steps]), notes))
    return joined(made)


def _shown(
    page: Page,
    data: dict[str, object],
    title: str,
    labels: Sequence[str],
    notes: Sequence[str],
) -> Html:
    """The element of a scene, which the page then draws."""
    name = page.name("scene")
    page.add_scene({**data, "id": name, "labels": list(labels)})
    last = len(labels) - 1
    slider = element(
        "input", type="range", id=f"{name}-time", min=0, max=last, step=1, value=last,
        aria_label=f"{title}: time", aria_valuetext=labels[-1], disabled=last == 0,
    )  # fmt: skip
    button = element("button", "Play", type="button", id=f"{name}-play", disabled=last == 0)
    output = element("output", labels[-1], id=f"{name}-shown", for_=f"{name}-time")
    about = f"{title} in space, {labels[0]} to {labels[-1]}: turned by dragging, "
    text = [
        "Drag to turn, scroll or pinch to zoom.",
        *(["The colours are the same at all times."] if title == "Density" else []),
        *(f"{note[0].upper()}{note[1:]}." for note in notes),
    ]
    return joined(
        [
            element("h3", f"{title} in space"),
            element("div", id=name, class_="scene", role="img",
                    aria_label=f"{about}its time chosen by the slider below"),
            element("div", button, slider, output, class_="controls"),
            element("p", " ".join(text), class_="note"),
        ]
    )  # fmt: skip


def _eye(toward: Array, distance: float) -> dict[str, float]:
    """Where the camera is, for a view from ``toward`` that is not along the axis that points up."""
    if abs(toward[2]) > _STEEP:
        flat = toward[:2] if np.linalg.norm(toward[:2]) > 1e-3 else np.array([0.9, -0.4])
        flat = math.sqrt(1.0 - _STEEP**2) * flat / np.linalg.norm(flat)
        toward = np.array([*flat, math.copysign(_STEEP, toward[2])])
    toward = distance * toward / np.linalg.norm(toward)
    return {axis: float(value) for axis, value in zip("xyz", toward, strict=True)}


def _surface(frames: Frames) -> dict[str, object]:
    a, b = frames.points[frames.cells[:, 0]], frames.points[frames.cells[:, 1]]
    eye = front(frames.points, frames.masses, frames.rings[-1])
    dots = [rings.centres[rings.narrow & frames.moving] for rings in frames.rings]
    return {
        **_coloured(frames.values, frames.limits),
        **_ringed(frames.rings),
        "kind": "surface",
        "points": encoded(frames.points, "f4"),
        "cells": encoded(frames.cells, "i4"),
        "dots": [encoded(centres, "f4") for centres in dots],
        "lift": float(((a - b) ** 2).sum(axis=1).max()) / 8.0,  # of the sphere above its cells
        "eye": _eye(eye, 1.45),
    }


def _ringed(rings: Sequence[Rings]) -> dict[str, object]:
    """Rings at all times, with the mass inside of each."""
    return {
        "rings": [encoded(one.centres, "f4") for one in rings],
        "ringed": [encoded(one.masses, "f4") for one in rings],
    }


def _angular(frames: Frames) -> dict[str, object]:
    """A density along an angle: a curve above the circle, or a surface of revolution."""
    angle = frames.on.angles(frames.points)
    order = np.argsort(angle)
    low = max(math.floor(2.0 * float(frames.values.min())) / 2.0, -2.0)
    high = min(math.ceil(2.0 * float(frames.values.max())) / 2.0, 12.0)
    limits = (low, max(high, low + 0.5))
    if not frames.on.closed:
        order = order[_some(len(order), _LATITUDES)]
        return _revolved(angle[order], frames.values[:, order], limits)
    order = np.append(order, order[0])
    return {
        **_coloured(frames.values[:, order], limits),
        "kind": "curve",
        "points": encoded(np.column_stack([np.cos(angle[order]), np.sin(angle[order])]), "f4"),
        "eye": {"x": 0.9, "y": -1.25, "z": 0.75},
    }


def _revolved(theta: Array, values: Array, limits: tuple[float, float]) -> dict[str, object]:
    """A surface of revolution about the axis of symmetry, which points up."""
    n, phi = len(theta), np.linspace(0.0, 2.0 * np.pi, _AZIMUTHS, endpoint=False)
    sine = np.sin(theta)[:, None]
    points = np.stack(
        [sine * np.cos(phi), sine * np.sin(phi), np.broadcast_to(np.cos(theta)[:, None], sine.shape)
         * np.ones_like(phi)], axis=2,
    ).reshape(-1, 3)  # fmt: skip
    here = _AZIMUTHS * np.arange(n - 1)[:, None] + np.arange(_AZIMUTHS)
    beside = _AZIMUTHS * np.arange(n - 1)[:, None] + (np.arange(_AZIMUTHS) + 1) % _AZIMUTHS
    corners = [here, here + _AZIMUTHS, beside, beside, here + _AZIMUTHS, beside + _AZIMUTHS]
    cells = np.stack(corners, axis=2).reshape(-1, 3)
    return {
        **_coloured(values, limits),
        "kind": "surface",
        "points": encoded(points, "f4"),
        "cells": encoded(cells, "i4"),
        "pick": encoded(np.repeat(np.arange(n), _AZIMUTHS), "i4"),
        **_ringed([NO_RINGS] * len(values)),
        "lift": (2.0 * math.pi / _AZIMUTHS) ** 2 / 8.0,
        "eye": {"x": 1.1, "y": -0.6, "z": 0.8},
    }


def _coloured(values: Array, limits: tuple[float, float]) -> dict[str, object]:
    """Values at all times, those below the colours cut; limits and ticks of the colours."""
    cut = np.maximum(values, limits[0])
    ticks = MaxNLocator(6, steps=[1, 2, 5, 10]).tick_values(*limits)
    inside = [round(float(v), 6) for v in ticks if limits[0] - 1e-9 <= v <= limits[1] + 1e-9]
    return {
        "frames": [encoded(row, "f4") for row in cut],
        "limits": list(limits),
        "ticks": inside,
    }


def _some(n: int, most: int) -> NDArray[np.int64]:
    """At most so many of n places, evenly."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(np.int64))


def _cloud(tokens: TokenSeries, steps: Sequence[int]) -> tuple[dict[str, object], list[str]]:
    masses = tokens.read("mass")
    masses = masses / masses.sum()
    colours = cluster_colours([tokens.read("cluster", k) for k in steps], masses)
    shown = _some(tokens.n, _TOKENS)
    clouds = [tokens.points(k) for k in steps]
    notes = ["clusters of more than 5 % of the mass have a colour"]
    if len(shown) < tokens.n:
        notes.append(f"{len(shown):,} of {tokens.n:,} points")
    if tokens.d > 3:
        notes.append(f"three coordinates of {tokens.d}, in which unit vectors are inside the ball")
        rings = [NO_RINGS] * len(clouds)
    else:
        centres = (views.gathered_tokens(points, masses) for points in clouds)
        rings = [rings_at(c, x, masses) for c, x in zip(centres, clouds, strict=True)]
    eye = {"x": 0.3, "y": -0.4, "z": 1.6}
    if tokens.d == 3:
        eye = _eye(front(clouds[-1], masses[None], rings[-1]), 1.45)
    return {
        "kind": "tokens",
        "size": 2.5 if len(shown) > 500 else 5,
        "palette": list(CLUSTER_COLOURS),
        "frames": [encoded(points[shown], "f4") for points in clouds],
        "colours": [encoded(colour[shown], "i1") for colour in colours],
        **_ringed(rings),
        "lift": 0.0,
        "eye": eye,
    }, notes
