"""Films of runs: frames between the stored outputs, written as MP4 or GIF.

``options`` is what can be asked for, ``plate`` a frame and what moves in it, ``spheres`` and
``curves`` the two kinds of films, ``writing`` the files, ``film`` all of it. What is at a moment
between two outputs is in ``figures.reel``.
"""

from __future__ import annotations

from meanfield.films.film import film
from meanfield.films.options import Film

__all__ = ["Film", "film"]
