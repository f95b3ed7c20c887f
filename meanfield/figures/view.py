"""A run as a scene to turn and zoom: in a notebook, or in a window with a slider over the outputs.

Owns what is on the stage at an output, and by what it is shown. Knows neither run folders nor live
runs: it takes what was read.
"""

from __future__ import annotations

import html
import math
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Literal

import numpy as np

from meanfield.errors import InputError, suggest
from meanfield.figures.mathwords import number
from meanfield.figures.reel import density_reel, token_reel
from meanfield.geometry.mesh import icosphere
from meanfield.geometry.sphere import Array, normalize
from meanfield.results.formats import FieldSeries, TokenSeries
from meanfield.results.outputs import step_at
from meanfield.scenes import Look, Stage
from meanfield.scenes.views import view_direction
from meanfield.software import load_pyvista

__all__ = ["BACKENDS", "view"]

BACKENDS = ("html", "trame", "server", "client", "static")
"""How a notebook shows a scene, see ``pyvista.set_jupyter_backend``."""

_SIZE = (700, 600)
_LEVEL = 5  # of the sphere that shows a law about an axis
_DECADES = 3.0  # below the peak of a curve that has colours


def view(
    outputs: FieldSeries | TokenSeries,
    t: float | None = None,
    look: Look | None = None,
    backend: str = "",
) -> object:
    """Show a scene: in a notebook its widget, elsewhere a window until it is closed.

    Args:
        outputs: densities or tokens (d = 2, 3). A law about an axis, in any d, is shown on S^2 by
            its value at each colatitude; one on the circle as a tube as high as log10 rho.
        t: the output that is shown first; None: the last.
        look: colours, limits, camera, size, style; None: limits and camera that serve all outputs.
        backend: in a notebook; "html": the browser alone draws it, also when the notebook is read
            later (one output); "trame", "server", "client": by this process, with a slider over
            the outputs; "static": an image. Empty: what PyVista was told, "html" where it was told
            nothing.

    Returns:
        What a notebook shows; None: a window was shown.

    Raises:
        InputError: nothing is rendered here, there is neither notebook nor screen, or no such
            output.
    """
    step = step_at(outputs.times, t)
    if backend and backend not in BACKENDS:
        near = suggest(backend, BACKENDS)
        raise InputError(f"backend: found '{backend}', expected one of {', '.join(BACKENDS)}{near}")
    notebook = _in_notebook()
    if not notebook and not _has_screen():
        raise InputError(
            "view: found neither a notebook nor a screen (DISPLAY), expected one of them: plot(), "
            "mf.film and mf.report make files"
        )
    chosen = look or Look(size=_SIZE)
    stage, put = _filled(outputs, chosen, "notebook" if notebook else "screen")
    put(step)
    plotter = stage.plotter
    if not notebook:
        _slider(stage, outputs.times, step, put)
        plotter.show()
        return None
    told = backend or _told()
    if told not in ("html", "static"):
        _slider(stage, outputs.times, step, put)
    try:
        if told == "html":
            with _without_the_net(), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # newer PyVistas have a second name for it
                text = plotter.export_html(None).getvalue()
            coloured = isinstance(outputs, FieldSeries)
            return _Page(text, stage.look, float(outputs.times[step]), coloured)
        return plotter.show(jupyter_backend=told, return_viewer=True)
    except ImportError as error:
        raise InputError(
            f"backend '{told}': {error}; expected pip install \"pyvista[jupyter]\" ipykernel, or "
            "backend = 'static'"
        ) from None


class _Page:
    """A page within a notebook, which is kept with it and needs no kernel."""

    def __init__(self, text: str, look: Look, t: float, coloured: bool) -> None:
        self._text, self._look, self._t, self._coloured = text, look, t, coloured

    def __repr__(self) -> str:
        return f"a scene at t = {self._t:.6g}"

    def _repr_html_(self) -> str:
        width, height = self._look.size
        return (
            f"<div>t = {self._t:.6g}{self._scale() if self._coloured else ''}</div>"
            f'<iframe srcdoc="{html.escape(self._text)}" width="{width}" height="{height}" '
            'style="border: 0; max-width: 100%" title="a scene to turn and zoom"></iframe>'
        )

    def _scale(self) -> str:
        """The colours, which the page itself does not tell."""
        import matplotlib

        colours = matplotlib.colormaps[self._look.cmap](np.linspace(0.0, 1.0, 9))
        stops = ", ".join(matplotlib.colors.to_hex(colour) for colour in colours)
        low, high = self._look.limits or (0.0, 0.0)
        return (
            f"; log<sub>10</sub> density relative to uniform: {low:g} "
            f'<span style="display: inline-block; width: 9em; height: 0.8em; background: '
            f'linear-gradient(to right, {stops})"></span> {high:g}; grey: less'
        )


def _filled(
    outputs: FieldSeries | TokenSeries, look: Look, seen: Literal["notebook", "screen"]
) -> tuple[Stage, Callable[[int], None]]:
    """A stage, looked at from where most is seen, and what puts an output on it."""
    place: Callable[[Stage, int], None]
    if isinstance(outputs, TokenSeries):
        toward, place = _tokens(outputs)
    elif outputs.manifold.dimension == 2:
        look, toward, place = _sphere(outputs, look)
    else:
        look, toward, place = _curve(outputs, look)
    stage = Stage(look, seen)
    if look.camera is not None:
        toward = normalize(np.array(look.camera))

    def put(k: int) -> None:
        place(stage, k)
        words = number(float(outputs.times[k]))
        stage.plotter.add_text(
            f"$t = {words}$" if seen == "screen" else f"t = {float(outputs.times[k]):.4g}",
            name="time", position="upper_left", font_size=10, color=look.ink,
        )  # fmt: skip

    stage.aim(toward)
    return stage, put


def _sphere(fields: FieldSeries, look: Look) -> tuple[Look, Array, Callable[[Stage, int], None]]:
    reel = density_reel(fields)
    limits, toward = reel.seen()
    look = replace(look, limits=look.limits or limits)

    def place(stage: Stage, k: int) -> None:
        stage.density(reel.points, reel.cells, reel.read(k))
        found = reel.gathered(float(reel.times[k]))
        stage.rings(found.centres)
        stage.dots(found.centres, found.dots)
        stage.graticule()

    return look, toward, place


def _curve(fields: FieldSeries, look: Look) -> tuple[Look, Array, Callable[[Stage, int], None]]:
    """A tube over the circle; a law about an axis on a sphere."""
    reel, on = density_reel(fields), fields.manifold
    if look.limits is None:
        values = np.stack([reel.read(k) for k in range(len(reel.times))])
        high = math.ceil(2.0 * float(values.max())) / 2.0
        low = max(math.floor(2.0 * float(values.min())) / 2.0, high - 2.0 * _DECADES)
        look = replace(look, limits=(min(low, high - 0.5), high))
    if on.closed:
        points = reel.points

        def tube(stage: Stage, k: int) -> None:
            stage.curve(points, reel.read(k))

        return look, normalize(np.array([0.4, -1.0, 0.7])), tube
    ball, angles = icosphere(_LEVEL), on.angles(reel.points)
    order = np.argsort(angles)
    there = np.arccos(np.clip(ball.points[:, 2], -1.0, 1.0))

    def turned(stage: Stage, k: int) -> None:
        stage.density(ball.points, ball.cells, np.interp(there, angles[order], reel.read(k)[order]))
        stage.graticule()

    return look, normalize(np.array([1.0, -1.0, 0.7])), turned


def _tokens(tokens: TokenSeries) -> tuple[Array, Callable[[Stage, int], None]]:
    reel = token_reel(tokens)
    if tokens.d == 2:
        toward = np.array([0.0, 0.0, 1.0])
    else:
        places = reel.some_points()
        masses = np.tile(reel.masses, len(places) // len(reel.masses))
        toward = view_direction(places, (masses / masses.sum())[None])

    def place(stage: Stage, k: int) -> None:
        if tokens.d == 2:
            stage.circle()
        stage.tokens(tokens.points(k), reel.colours[k])
        if tokens.d == 3:
            stage.graticule()

    return toward, place


def _slider(stage: Stage, times: Array, step: int, put: Callable[[int], None]) -> None:
    """A slider over the outputs, by their numbers: their times may be spread over decades."""
    if len(times) < 2:
        return
    shown = step

    def moved(value: float) -> None:
        nonlocal shown
        k = min(max(round(value), 0), len(times) - 1)
        if k != shown:
            shown = k
            put(k)
            stage.plotter.render()

    stage.plotter.add_slider_widget(
        moved, (0, len(times) - 1), value=step, title="output", fmt="%.0f",
        pointa=(0.25, 0.08), pointb=(0.75, 0.08), color=stage.look.ink, interaction_event="always",
    )  # fmt: skip


@contextmanager
def _without_the_net() -> Iterator[None]:
    """Without a part of trame that fetches a program from a server as soon as it is there."""
    name = "trame.widgets.vtklocal"
    known = sys.modules.get(name)
    sys.modules[name] = None  # type: ignore[assignment]  # by which Python refuses to import it
    try:
        yield
    finally:
        del sys.modules[name]
        if known is not None:
            sys.modules[name] = known


def _in_notebook() -> bool:
    """Whether a kernel of Jupyter runs this."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return shell is not None and "IPKernelApp" in getattr(shell, "config", {})


def _has_screen() -> bool:
    other = not sys.platform.startswith("linux")
    return other or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _told() -> str:
    """What PyVista was told to show scenes with; "html" where it has its default."""
    pyvista = load_pyvista()
    set_to = str(pyvista.global_theme.jupyter_backend)
    default = str(pyvista.themes.Theme().jupyter_backend)
    return "html" if set_to == default else set_to
