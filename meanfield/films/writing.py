"""Frames into a file, by ffmpeg. Knows nothing of what is in them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from meanfield.errors import InputError
from meanfield.software import not_installed
from meanfield.whole import whole_file

__all__ = ["ENDINGS", "FilmFile", "ending_of", "film_file"]

# For each ending what ffmpeg is told. A GIF has 256 colours: each frame has its own.
ENDINGS = {
    ".mp4": ("libx264", "yuv420p", ["-crf", "18", "-preset", "veryfast", "-f", "mp4"]),
    ".gif": (
        "gif",
        "pal8",
        [
            "-filter_complex",
            "[0:v]split[a][b];[a]palettegen=stats_mode=single[p];[b][p]paletteuse=new=1:dither=none",
            "-f",
            "gif",
        ],
    ),
}


class FilmFile:
    """A film that is being written, see :func:`film_file`."""

    def __init__(self, ffmpeg: ModuleType, part: Path, size: tuple[int, int], fps: float) -> None:
        codec, pixels, told = ENDINGS[part.with_suffix("").suffix]
        if codec == "gif":
            told = [*told, "-r", f"{fps:g}"]
        # Begins with the first frame: of none ffmpeg makes a file that is refused with a warning.
        self._frames = ffmpeg.write_frames(
            str(part), size, fps=fps, codec=codec, pix_fmt_out=pixels, output_params=told,
            macro_block_size=2, ffmpeg_log_level="error",
        )  # fmt: skip
        self._begun = False

    def write(self, frame: NDArray[np.uint8]) -> None:
        """Append a frame, (h, w, 3)."""
        if not self._begun:
            self._begun = True
            self._frames.send(None)
        self._frames.send(np.ascontiguousarray(frame))

    def close(self) -> None:
        """Let ffmpeg come to its end."""
        self._frames.close()


def ending_of(path: Path) -> str:
    """The ending of a name, which says what kind of file it is.

    Raises:
        InputError: it says none.
    """
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise InputError(f"{path}: found the ending '{path.suffix}', expected .mp4 or .gif")
    return ending


@contextmanager
def film_file(path: Path, size: tuple[int, int], fps: float) -> Iterator[FilmFile]:
    """Open a film for writing; whole or absent.

    Args:
        path: the file, .mp4 or .gif.
        size: of its frames.
        fps: frames a second.

    Raises:
        InputError: there is no ffmpeg, or it fails.
    """
    ending_of(path)
    try:
        import imageio_ffmpeg

        imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError):
        needed = ("imageio", "imageio-ffmpeg")
        raise not_installed("imageio-ffmpeg, which films need,", *needed) from None
    with whole_file(path) as part:
        made = FilmFile(imageio_ffmpeg, part, size, fps)
        try:
            yield made
        except OSError as error:
            raise InputError(f"{path}: ffmpeg failed: {error}") from error
        finally:
            made.close()
