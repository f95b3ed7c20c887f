"""What can be asked of a film."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from meanfield.arguments import checked_fields
from meanfield.errors import InputError
from meanfield.scenes.look import Look

__all__ = ["Film"]


@checked_fields
@dataclass(frozen=True)
class Film:
    """How a film is made.

    Attributes:
        frames: how many, from the first to the last output; between two outputs the log density is
            interpolated linearly, and so are the places of tokens.
        fps: frames a second.
        size: width and height of a frame in pixels, even numbers; None:
            1280 x 720, a GIF 800 x 450.
        look: colours, limits of log10 of the density (None: those that serve all times), camera
            and style; its own size is not used.
        views: spheres beside each other: 2 show both sides, 1 what faces the camera.
        turntable: degrees a second by which the camera goes round the third axis.
        energy: whether the energy runs along below.

    Example:
        >>> film = mf.Film(frames=100, fps=20.0, look=mf.Look(cmap="viridis"))
        >>> mf.film("results/clustering", "clusters.mp4", film)  # doctest: +SKIP
    """

    frames: int = 240
    fps: float = 25.0
    size: tuple[int, int] | None = None
    look: Look = field(default_factory=Look)
    views: int = 2
    turntable: float = 0.0
    energy: bool = True

    def __post_init__(self) -> None:
        if not 2 <= self.frames <= 100_000:
            raise InputError(f"frames: found {self.frames}, expected 2 to 100000")
        if not 1.0 <= self.fps <= 240.0:
            raise InputError(f"fps: found {self.fps:g}, expected 1 to 240 frames a second")
        if self.views not in (1, 2):
            raise InputError(f"views: found {self.views}, expected 1 or 2")
        if not math.isfinite(self.turntable):
            raise InputError(f"turntable: found {self.turntable:g}, expected degrees a second")
        if self.size is not None and any(n % 2 or not 160 <= n <= 8192 for n in self.size):
            raise InputError(
                f"size: found {self.size}, expected even numbers of pixels from 160 to 8192"
            )
