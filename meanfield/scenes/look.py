"""How scenes look: what may be asked of them, and what of it is refused."""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass
from typing import Literal

from meanfield.arguments import checked_fields
from meanfield.errors import InputError, suggest

__all__ = ["Look"]

_STYLES = ("light", "dark")


def _finite(values: tuple[object, ...], count: int) -> bool:
    return len(values) == count and all(
        isinstance(value, numbers.Real) and math.isfinite(value) for value in values
    )


@checked_fields
@dataclass(frozen=True)
class Look:
    """How scenes look.

    Attributes:
        cmap: name of a colour map of matplotlib.
        limits: of the colours, in log10 of the density relative to uniform; None: those of what is
            shown first.
        camera: vector towards the viewer, of any length but 0; None: chosen by who makes images.
        size: width and height of an image, in pixels.
        style: "light" or "dark": the background, and the lines on it.

    Example:
        >>> mf.Look(cmap="viridis", limits=(-2.0, 2.0), style="dark").background
        '#202028'
    """

    cmap: str = "magma"
    limits: tuple[float, float] | None = None
    camera: tuple[float, float, float] | None = None
    size: tuple[int, int] = (600, 600)
    style: Literal["light", "dark"] = "light"

    def __post_init__(self) -> None:
        import matplotlib

        if self.cmap not in matplotlib.colormaps:
            near = suggest(self.cmap, matplotlib.colormaps)
            raise InputError(f"cmap: found '{self.cmap}', expected a name of matplotlib's{near}")
        if self.limits is not None and not (
            _finite(self.limits, 2) and self.limits[0] < self.limits[1]
        ):
            raise InputError(
                f"limits: found {self.limits}, expected two finite numbers, the smaller one first"
            )
        if self.camera is not None and not (_finite(self.camera, 3) and any(self.camera)):
            raise InputError(
                f"camera: found {self.camera}, expected three finite numbers that are not all 0"
            )
        if not (_finite(self.size, 2) and all(16 <= n <= 8192 and n == int(n) for n in self.size)):
            raise InputError(
                f"size: found {self.size}, expected two whole numbers of pixels from 16 to 8192"
            )
        if self.style not in _STYLES:
            raise InputError(
                f"style: found '{self.style}', expected 'light' or 'dark'"
                + suggest(self.style, _STYLES)
            )

    @property
    def ink(self) -> str:
        """The colour of text and lines on the background."""
        return "#222222" if self.style == "light" else "#e8e8e8"

    @property
    def background(self) -> str:
        """The colour behind the scene."""
        return "white" if self.style == "light" else "#202028"

    @property
    def empty(self) -> str:
        """The colour of what is below the limits of the colours."""
        return "#d1d1d1" if self.style == "light" else "#4d4d4d"
