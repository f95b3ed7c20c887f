"""Files of gmsh in the dialects that meshio does not know: parametric nodes, partitions, 4.0.

ASCII of versions 2, 4.0 and 4.1, binary of 2 and 4.1, with the values at nodes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from meanfield.geometry.meshread.raw import IntArray, Raw, UnreadableError
from meanfield.geometry.sphere import Array

__all__ = ["extensions", "read"]

_KINDS = {
    15: ("vertex", 1), 1: ("line", 2), 2: ("triangle", 3), 3: ("quad", 4), 4: ("tetra", 4),
    5: ("hexahedron", 8), 6: ("wedge", 6), 7: ("pyramid", 5), 8: ("line3", 3),
    9: ("triangle6", 6), 10: ("quad9", 9), 11: ("tetra10", 10), 16: ("quad8", 8),
}  # fmt: skip
"""Name and number of nodes by gmsh's number of a kind of elements."""

_LARGEST = 2**40
"""Numbers of things above this are no numbers of things."""


class _Tokens:
    """What a section holds, number by number; of binary files all, of others as text."""

    def __init__(self, data: bytes, binary: bool, order: str) -> None:
        self._binary, self._order, self._at = binary, order, 0
        self._data: list[bytes] | bytes = data if binary else data.split()

    def take(self, dtype: str, count: int) -> NDArray[np.generic]:
        """The next ``count`` numbers, of type i4, i8 or f8."""
        if not 0 <= count < _LARGEST:
            raise ValueError(f"{count} numbers")
        size = int(dtype[1]) if self._binary else 1
        some = self._data[self._at : self._at + count * size]
        if len(some) < count * size:
            raise ValueError("a section ends too early")
        self._at += count * size
        if isinstance(some, bytes):
            return np.frombuffer(some, dtype=self._order + dtype)
        return np.array(some, dtype="S").astype(dtype) if some else np.zeros(0, dtype)

    def whole(self, count: int, dtype: str = "i4") -> list[int]:
        """The next integers."""
        return [int(x) for x in self.take(dtype, count)]

    def one(self, dtype: str = "i4") -> int:
        """The next integer."""
        return self.whole(1, dtype)[0]


def extensions() -> list[str]:
    """The endings of names that it knows."""
    return [".msh"]


def read(path: Path) -> Raw:
    """Read a file.

    Raises:
        UnreadableError: says what it is not.
        OSError: if the file cannot be opened.
    """
    data = path.read_bytes()
    head = re.match(rb"\s*\$MeshFormat\s+(\d+(?:\.\d+)?)\s+([01])\s+(\d+)[ \t]*\r?\n", data)
    if head is None:
        raise UnreadableError("does not begin with '$MeshFormat'")
    version, binary = head[1].decode(), head[2] == b"1"
    order = ">" if data[head.end() : head.end() + 4] == b"\0\0\0\1" else "<"
    if version not in ("2", "2.0", "2.1", "2.2", "4", "4.0", "4.1") or (
        binary and version in ("4", "4.0")
    ):
        raise UnreadableError(f"is of version {version}{', binary' if binary else ''}")

    def section(name: str) -> Iterator[bytes]:
        mark = rb"\$%s[ \t]*\r?\n(.*?)\$End%s" % (name.encode(), name.encode())
        return (found[1] for found in re.finditer(mark, data, re.DOTALL))

    found = next((("Nodes", s) for s in section("Nodes")), None) or next(
        (("ParametricNodes", s) for s in section("ParametricNodes")), None
    )
    elements = next(section("Elements"), None)
    if found is None or elements is None:
        raise UnreadableError("has no whole sections '$Nodes' and '$Elements'")
    try:
        if version.startswith("2"):
            number, points = _nodes_2(found[1], binary, order, found[0] != "Nodes")
            cells = _elements_2(elements, binary, order)
        else:
            number, points = _nodes_4(_Tokens(found[1], binary, order), version == "4.1")
            cells = _elements_4(_Tokens(elements, binary, order), version == "4.1")
        return _numbered(number, points, cells, _values(section("NodeData"), binary, order))
    except (ValueError, IndexError, OverflowError, MemoryError) as error:
        raise UnreadableError(f"is damaged ({error})") from None


def _numbered(
    number: IntArray,
    points: Array,
    cells: dict[str, list[IntArray]],
    values: dict[str, tuple[IntArray, Array]],
) -> Raw:
    """Count nodes from 0, as they come: gmsh numbers them as it likes."""
    order = np.argsort(number, kind="stable")
    ranked = number[order]

    def rows(names: IntArray) -> IntArray:
        at = np.searchsorted(ranked, names)
        if np.any(at >= len(ranked)) or np.any(ranked[at] != names):
            raise ValueError("elements have nodes that are not there")
        return order[at]

    data = {}
    for name, (where, what) in values.items():
        if len(where):
            data[name] = np.full((len(number), what.shape[1]), np.nan)
            data[name][rows(where)] = what
            if what.shape[1] == 1:
                data[name] = data[name][:, 0]
    blocks = tuple((kind, rows(np.concatenate(parts))) for kind, parts in cells.items())
    return Raw(points, blocks, data)


def _kind(number: int) -> tuple[str, int]:
    if number not in _KINDS:
        raise ValueError(f"elements of type {number}")
    return _KINDS[number]


def _nodes_2(data: bytes, binary: bool, order: str, parametric: bool) -> tuple[IntArray, Array]:
    """Numbers (n,) and places (n, 3); a parametric node ends in what it lies on, and where."""
    first, _, rest = data.lstrip().partition(b"\n")
    n = int(first)
    number, points = np.empty(min(n, len(data)), dtype=np.int64), np.empty((min(n, len(data)), 3))
    if not binary:
        rows = [line.split() for line in rest.splitlines() if line.strip()]
        if len(rows) != n:
            raise ValueError(f"{len(rows)} nodes instead of {n}")
        number[:] = [int(row[0]) for row in rows]
        points[:] = [[float(x) for x in row[1:4]] for row in rows]
        return number, points
    tokens = _Tokens(rest, binary, order)
    for k in range(n):
        number[k], points[k] = tokens.one(), tokens.take("f8", 3)
        if parametric:
            tokens.take("f8", max(0, min(tokens.whole(2)[0], 2)))
    return number, points


def _elements_2(data: bytes, binary: bool, order: str) -> dict[str, list[IntArray]]:
    first, _, rest = data.lstrip().partition(b"\n")
    count, cells = int(first), dict[str, list[IntArray]]()
    if not binary:
        by_kind: dict[str, list[list[int]]] = {}
        rows = [line.split() for line in rest.splitlines() if line.strip()]
        if len(rows) != count:
            raise ValueError(f"{len(rows)} elements instead of {count}")
        for row in rows:
            kind, corners = _kind(int(row[1]))
            nodes = [int(x) for x in row[3 + int(row[2]) :]]
            if len(nodes) != corners:
                raise ValueError(f"a {kind} with {len(nodes)} nodes")
            by_kind.setdefault(kind, []).append(nodes)
        return {kind: [np.array(rows)] for kind, rows in by_kind.items()}
    tokens = _Tokens(rest, binary, order)
    while count > 0:
        number, many, tags = tokens.whole(3)
        kind, corners = _kind(number)
        table = tokens.take("i4", many * (1 + tags + corners)).reshape(many, -1)
        cells.setdefault(kind, []).append(table[:, 1 + tags :].astype(np.int64))
        count -= max(many, 1)
    return cells


def _nodes_4(tokens: _Tokens, newer: bool) -> tuple[IntArray, Array]:
    """Of 4.1 a block has all numbers first, of 4.0 each node its own."""
    numbers, places = [np.zeros(0, dtype=np.int64)], [np.zeros((0, 3))]
    for _ in range(tokens.whole(4 if newer else 2, "i8")[0]):
        one, two, parametric = tokens.whole(3)
        on, count = one if newer else two, tokens.one("i8")
        columns = 3 + (max(0, min(on, 3)) if parametric else 0)
        if newer:
            numbers.append(tokens.take("i8", count).astype(np.int64))
            table = tokens.take("f8", count * columns).astype(np.float64)
            table = table.reshape(count, columns)
        else:
            table = tokens.take("f8", count * (1 + columns)).astype(np.float64)
            table = table.reshape(count, 1 + columns)
            numbers.append(table[:, 0].astype(np.int64))
            table = table[:, 1:]
        places.append(table[:, :3])
    return np.concatenate(numbers), np.concatenate(places)


def _elements_4(tokens: _Tokens, newer: bool) -> dict[str, list[IntArray]]:
    cells: dict[str, list[IntArray]] = {}
    for _ in range(tokens.whole(4 if newer else 2, "i8")[0]):
        kind, corners = _kind(tokens.whole(3)[2])
        count = tokens.one("i8")
        table = tokens.take("i8", count * (1 + corners)).astype(np.int64)
        cells.setdefault(kind, []).append(table.reshape(count, 1 + corners)[:, 1:])
    return cells


def _values(
    sections: Iterator[bytes], binary: bool, order: str
) -> dict[str, tuple[IntArray, Array]]:
    """Values at nodes by name: numbers of the nodes, and rows of values for them."""
    found: dict[str, tuple[IntArray, Array]] = {}
    for data in sections:
        lines = data.lstrip().split(b"\n")
        tags: list[list[bytes]] = []
        for _ in range(3):  # texts, real numbers, integers: each with how many there are
            many = int(lines[0])
            tags.append(lines[1 : 1 + many])
            lines = lines[1 + many :]
        (name,), width, many = tags[0][:1], int(tags[2][1]), int(tags[2][2])
        rest = b"\n".join(lines)
        if binary:
            row = np.dtype([("node", order + "i4"), ("value", order + "f8", (width,))])
            table = np.frombuffer(rest[: many * row.itemsize], dtype=row, count=many)
            where, what = table["node"].astype(np.int64), table["value"].astype(np.float64)
        else:
            text = _Tokens(rest, False, order).take("f8", many * (1 + width)).astype(np.float64)
            where = text.reshape(many, -1)[:, 0].astype(np.int64)
            what = text.reshape(many, -1)[:, 1:]
        found[name.decode(errors="replace").strip().strip('"')] = where, what.reshape(many, width)
    return found
