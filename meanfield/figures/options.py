"""What may be asked of pictures: which ones, of which times, how they look, and as what files.

Options are asked for once, around the drawing (:func:`asking`); a figure reads those that concern
it (:func:`asked`), and ``style`` those of looks and files. Knows no figure.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, cast

import matplotlib
from pydantic import BeforeValidator

from meanfield.errors import InputError, suggest
from meanfield.options import Expected, Numbers, Text, a_list, options

__all__ = [
    "Asking",
    "FileFormat",
    "PlotOptions",
    "Projection",
    "Style",
    "asked",
    "asking",
    "limits_of",
    "made",
]

Projection = Literal["globe", "mollweide", "equal-area", "flat"]
FileFormat = Literal["png", "pdf", "svg"]
Style = Literal["paper", "talk", "dark"]

# What a figure may have no use for; all have formats, a size and a style.
_OF_FIGURES = ("times", "projection", "cmap", "limits", "camera")
_NEAR = 0.7  # of names of colour maps: some are so short that all words are like them
_INCHES = (1.0, 60.0)  # of a side: below, no letter fits; above, no memory


@options("plot", kw_only=True)
class PlotOptions:
    """What is asked of pictures; what is left out is chosen by the figure.

    Example:
        >>> mf.PlotOptions(times=[0, 10], projection="mollweide", format=["pdf", "svg"]).times
        (0.0, 10.0)
    """

    times: Numbers | None = None
    """Times to be shown, of each the nearest output; None: where something happens."""
    what: Annotated[
        tuple[Text, ...], BeforeValidator(a_list), Expected('a list such as ["velocity"]')
    ] = ()
    """Names of figures, such as "log-density" or "velocity"; none: the usual ones."""
    projection: Projection | None = None
    """Of the sphere: "globe", two views; "equal-area" (Hammer's) and "mollweide", maps on which
    equal areas are equal; "flat", latitude over longitude."""
    cmap: Text | None = None
    """Name of a colour map of matplotlib, of densities."""
    limits: Numbers | None = None
    """Lowest and highest log10 of the density that colours and axes tell apart."""
    camera: Numbers | None = None
    """Vector of three numbers that points to the viewer: what a map has in its middle."""
    format: Annotated[
        tuple[FileFormat, ...], BeforeValidator(a_list), Expected('a list such as ["png"]')
    ] = ("png",)
    """Of the files: "png", "pdf", "svg"."""
    size: Numbers | None = None
    """Width and height of each picture in inches (of png: 150 pixels each)."""
    style: Style = "paper"
    """Of letters and lines: "paper"; "talk", larger and thicker; "dark", light on black."""
    output: Text | None = None
    """Folder of the files; None: ``figures`` in the folder of the run."""

    def __post_init__(self) -> None:
        if self.times is not None and not self.times:
            raise InputError("times: the list is empty, expected at least one time")
        if not self.format:
            raise InputError("format: the list is empty, expected png, pdf or svg")
        if self.cmap is not None and self.cmap not in matplotlib.colormaps:
            names = [name for name in matplotlib.colormaps if not name.endswith("_r")]
            raise InputError(
                f"cmap: expected a colour map of matplotlib such as 'magma', found '{self.cmap}'"
                + suggest(self.cmap, difflib.get_close_matches(self.cmap, names, 1, _NEAR))
            )
        if self.limits is not None and not (
            len(self.limits) == 2 and self.limits[0] < self.limits[1]
        ):
            raise InputError(
                f"limits: expected the lowest and the highest log10 of the density, found "
                f"{list(self.limits)}"
            )
        if self.camera is not None and not (
            len(self.camera) == 3 and math.hypot(*self.camera) > 0.0
        ):
            raise InputError(
                "camera: expected three numbers that point to the viewer, such as 1 0 0, found "
                f"{list(self.camera)}"
            )
        low, high = _INCHES
        if self.size is not None and not (
            len(self.size) == 2 and all(low <= side <= high for side in self.size)
        ):
            raise InputError(
                f"size: expected width and height in inches, {low:g} to {high:g} each, found "
                f"{list(self.size)}"
            )


@dataclass
class Asking:
    """What is asked of pictures, and what came of it.

    Attributes:
        wanted: what is asked.
        files: made so far.
        read: names of the options that figures have looked at.
    """

    wanted: PlotOptions
    files: list[Path] = field(default_factory=list)
    read: set[str] = field(default_factory=set)

    def unread(self) -> list[str]:
        """Options that were given, and that no figure had a use for."""
        given = (name for name in _OF_FIGURES if getattr(self.wanted, name) is not None)
        return [name for name in given if name not in self.read]


class _Noting:
    """The options, and a note of which were looked at."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    def __getattr__(self, name: str) -> object:
        self._asking.read.add(name)
        return getattr(self._asking.wanted, name)


_ASKED: ContextVar[Asking] = ContextVar("asked of pictures")


@contextmanager
def asking(wanted: PlotOptions) -> Iterator[Asking]:
    """Let figures that are drawn within know what is asked."""
    now = Asking(wanted)
    token = _ASKED.set(now)
    try:
        yield now
    finally:
        _ASKED.reset(token)


def asked() -> PlotOptions:
    """What is asked; nothing, where nobody asked."""
    now = _ASKED.get(None)
    return PlotOptions() if now is None else cast(PlotOptions, _Noting(now))


def limits_of(lowest: float, highest: float) -> tuple[float, float] | None:
    """The limits asked for, of densities whose log10 goes from ``lowest`` to ``highest``.

    Raises:
        InputError: there is nothing between them.
    """
    limits = asked().limits
    if limits is None:
        return None
    low, high = limits
    if high <= lowest or low >= highest:
        raise InputError(
            f"plot.limits: found {low:g} to {high:g}, between which there is nothing; expected "
            f"some of log10 of the density, {max(lowest, -300.0):.3g} to {highest:.3g}"
        )
    return low, high


def made(path: Path) -> None:
    """Tell that a file was made."""
    now = _ASKED.get(None)
    if now is not None:
        now.files.append(path)
