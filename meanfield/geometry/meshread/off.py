"""OFF files with whatever programs add to them: comments, colours, normals, counts beside the name.

Of a line that begins with a point or a face the rest (colours) is left alone.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from meanfield.geometry.meshread.raw import Raw, UnreadableError

__all__ = ["extensions", "read"]

_HEADER = re.compile(r"(ST)?C?N?OFF\b")


def extensions() -> list[str]:
    """The endings of names that it knows."""
    return [".off"]


def read(path: Path) -> Raw:
    """Read a file.

    Raises:
        UnreadableError: says in which row it is no OFF file.
        OSError: if the file cannot be opened.
    """
    text = path.read_text("utf-8", errors="replace").lstrip("\ufeff")
    rows = [row for line in text.splitlines() if (row := line.split("#", 1)[0].split())]
    header = _HEADER.match(rows[0][0]) if rows else None
    if header is None:
        raise UnreadableError("does not begin with 'OFF'")
    rows[0] = rows[0][1:]
    if rows[0][:1] == ["BINARY"]:
        raise UnreadableError("is a binary OFF file")
    if not rows[0]:
        rows = rows[1:]
    try:
        n, m = int(rows[0][0]), int(rows[0][1])
    except (IndexError, ValueError):
        raise UnreadableError("does not tell the numbers of vertices and faces") from None
    if n < 0 or m < 0 or len(rows) < 1 + n + m:
        raise UnreadableError(
            f"tells {n} vertices and {m} faces, but has {len(rows) - 1} lines of them"
        )
    try:
        points = np.array([[float(x) for x in row[:3]] for row in rows[1 : 1 + n]])
        faces = [[int(x) for x in row] for row in map(_corners, rows[1 + n : 1 + n + m])]
    except ValueError as error:
        raise UnreadableError(f"has a line that is no vertex or face ({error})") from None
    by_size: dict[int, list[list[int]]] = {}
    for face in faces:
        by_size.setdefault(len(face), []).append(face)
    cells = tuple((_kind(size), np.array(some)) for size, some in by_size.items())
    return Raw(points.reshape(n, 3), cells)


def _corners(row: list[str]) -> list[str]:
    count = int(row[0])
    if not 0 < count < len(row):
        raise ValueError(" ".join(row[:4]))
    return row[1 : 1 + count]


def _kind(size: int) -> str:
    return {1: "vertex", 2: "line", 3: "triangle", 4: "quad"}.get(size, "polygon")
