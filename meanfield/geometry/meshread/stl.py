"""ASCII STL in letters of any size, which no other reader takes."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from meanfield.geometry.meshread.raw import Raw, UnreadableError, joined

__all__ = ["extensions", "read"]

_CORNER = re.compile(r"\bvertex\s+(\S+)\s+(\S+)\s+(\S+)")


def extensions() -> list[str]:
    """The endings of names that it knows."""
    return [".stl"]


def read(path: Path) -> Raw:
    """Read a file.

    Raises:
        UnreadableError: if it is no such file, or not whole.
        OSError: if the file cannot be opened.
    """
    with path.open("rb") as file:
        if file.read(5).lower() != b"solid":
            raise UnreadableError("does not begin with 'solid'")
    text = path.read_text("utf-8", errors="replace").lower()
    corners, facets = _CORNER.findall(text), len(re.findall(r"\bendfacet\b", text))
    if not facets or len(corners) != 3 * facets or not re.search(r"\bendsolid\b", text):
        raise UnreadableError(f"has {len(corners)} vertices in {facets} facets, or no 'endsolid'")
    try:
        points = np.array(corners, dtype=np.float64)
    except ValueError as error:
        raise UnreadableError(f"has a vertex that is none ({error})") from None
    return joined(Raw(points, (("triangle", np.arange(len(points)).reshape(-1, 3)),)))
