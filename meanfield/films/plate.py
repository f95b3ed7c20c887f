"""A frame of a film: what stands still is drawn once, and what moves over it each time.

Knows nothing of what is shown.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from numpy.typing import NDArray

from meanfield.figures.mathwords import folded, in_mathtext
from meanfield.figures.reading import energy_at, parameters_of, time_scale, title_of
from meanfield.figures.series import label_energy
from meanfield.geometry.sphere import Array
from meanfield.results.folder import RunFolder
from meanfield.scenes.look import Look

__all__ = ["Clock", "EnergyStrip", "Plate", "headed"]

_INCHES = 4.5  # the height of any frame: letters grow with it
_ACCENT = "#D55E00"


class Plate:
    """A figure of so many pixels.

    Args:
        size: width and height in pixels.
        look: whose background and ink it has.
    """

    def __init__(self, size: tuple[int, int], look: Look) -> None:
        self.size, self.look = size, look
        dpi = size[1] / _INCHES
        # A thousandth of a pixel more: sizes are cut down to whole ones.
        inches = [(n + 1e-3) / dpi for n in size]
        self.figure = Figure(figsize=(inches[0], inches[1]), dpi=dpi, facecolor=look.background)
        self._canvas = FigureCanvasAgg(self.figure)
        self._moving: list[Artist] = []
        self._still: object = None

    def axes(self, left: float, bottom: float, width: float, height: float) -> Axes:
        """Axes at a place given in parts of the frame, in the ink of the look."""
        ax = self.figure.add_axes((left, bottom, width, height))
        ax.set_facecolor("none")
        ax.tick_params(colors=self.look.ink, which="both")
        for part in (*ax.spines.values(),):
            part.set_color(self.look.ink)
        for label in (ax.xaxis.label, ax.yaxis.label):
            label.set_color(self.look.ink)
        return ax

    def text(self, x: float, y: float, words: str, size: float = 8.5, ha: str = "left") -> Text:
        """Write at a place given in parts of the frame."""
        return self.figure.text(x, y, words, fontsize=size, ha=ha, va="center", color=self.look.ink)

    def move(self, artist: Artist) -> None:
        """Draw this one anew in each frame."""
        artist.set_animated(True)
        self._moving.append(artist)

    def frame(
        self, pictures: Iterable[tuple[int, int, NDArray[np.uint8]]] = ()
    ) -> NDArray[np.uint8]:
        """The frame as it is now, (h, w, 3).

        Args:
            pictures: row and column of the upper left corner, and pixels (a, b, 3).
        """
        canvas = self._canvas
        if self._still is None:
            canvas.draw()
            self._still = canvas.copy_from_bbox(self.figure.bbox)
        canvas.restore_region(self._still)
        for artist in self._moving:
            artist.draw(canvas.get_renderer())
        pixels = np.array(canvas.buffer_rgba())[:, :, :3]
        for row, column, picture in pictures:
            pixels[row : row + len(picture), column : column + picture.shape[1]] = picture
        return np.ascontiguousarray(pixels)


class Clock:
    """The time stamp, with as many digits at all times."""

    def __init__(self, plate: Plate, times: Array) -> None:
        step = float(np.min(np.diff(times)))
        self._digits = int(np.clip(math.ceil(-math.log10(step)), 1, 6)) if step > 0.0 else 2
        self._text = plate.text(0.985, 0.955, "", 10.5, "right")
        plate.move(self._text)

    def set(self, t: float) -> None:
        """Show this time."""
        self._text.set_text(f"$t = {t:.{self._digits}f}$")


class EnergyStrip:
    """The energy against time along the lower rim, and where in it the film is.

    Args:
        plate: the frame.
        run: whose energy.
        times: of the frames.
    """

    HEIGHT = 0.24

    def __init__(self, plate: Plate, run: RunFolder, times: Array) -> None:
        series = run.read_series()
        inside = (series["t"] >= times[0]) & (series["t"] <= times[-1])
        t = series["t"][inside]
        energy = energy_at(run, t)
        assert energy is not None
        self._t, self._energy = t, energy
        ax = plate.axes(0.085, 0.105, 0.89, self.HEIGHT - 0.13)
        ax.plot(t, energy, color=plate.look.ink, linewidth=1.0, alpha=0.45)
        ax.set_xlim(t[0], t[-1])
        time_scale(ax, run, t)
        ax.set_xlabel("time  $t$", labelpad=1)
        label_energy(ax, run, energy)
        ax.yaxis.labelpad = 3
        ax.locator_params(axis="y", nbins=3)
        (self._past,) = ax.plot([], [], color=_ACCENT, linewidth=1.6)
        (self._now,) = ax.plot([], [], "o", color=_ACCENT, markersize=4.5, clip_on=False)
        plate.move(self._past)
        plate.move(self._now)

    @staticmethod
    def is_for(run: RunFolder, times: Array) -> bool:
        """Whether there is an energy over these times."""
        return energy_at(run, times) is not None and len(run.read_series()["t"]) > 1

    def set(self, t: float) -> None:
        """The film is at this time."""
        here = float(np.interp(t, self._t, self._energy))
        before = self._t < t
        self._past.set_data(np.append(self._t[before], t), np.append(self._energy[before], here))
        self._now.set_data([t], [here])


def headed(plate: Plate, run: RunFolder, note: str) -> None:
    """Write title and parameters of the run above, and a note below."""
    title, parameters = title_of(run), parameters_of(run)
    if not parameters:
        plate.text(0.015, 0.955, in_mathtext(title), 9.5)
    else:
        plate.text(0.015, 0.968, in_mathtext(title), 9.5)
        width = int(62 * plate.size[0] / plate.size[1])  # letters of this size beside the time
        line = (folded(parameters, width) or [""])[0]
        plate.text(0.015, 0.926, line, 6.5).set_alpha(0.75)
    plate.text(0.985, 0.02, note, 6.0, "right").set_alpha(0.7)
