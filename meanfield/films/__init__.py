"""Films of runs: frames between the stored outputs, written as MP4 or GIF.

``options`` is what can be asked for, ``reel`` what is at a moment, ``plate`` a frame and what moves
in it, ``spheres`` and ``curves`` the two kinds of films, ``writing`` the files, ``film`` all of it.
"""

from __future__ import annotations

from meanfield.films.film import film
from meanfield.films.options import Film

__all__ = ["Film", "film"]
