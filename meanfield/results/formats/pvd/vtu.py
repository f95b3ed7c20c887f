"""One grid in one file of VTK's XML format (.vtu): written, and arrays of it read back.

Owns how arrays are encoded: as base64 in their elements, compressed by zlib in one block each, or
not. Layout: https://docs.vtk.org, "VTK XML Formats". Knows nothing of time.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from meanfield.whole import whole_file

__all__ = ["Grid", "read_arrays", "write_grid"]

_TYPES = {
    "float32": "Float32", "float64": "Float64", "int32": "Int32", "int64": "Int64",
    "uint8": "UInt8",
}  # fmt: skip
_DTYPES = {name: np.dtype(dtype).newbyteorder("<") for dtype, name in _TYPES.items()}
_CELL_TYPES = {1: 1, 2: 3, 3: 5}
"""VTK's number of cells with as many corners: vertex, line, triangle."""
_COMPRESSOR = "vtkZLibDataCompressor"


@dataclass(frozen=True)
class Grid:
    """What a file holds.

    Attributes:
        points: (n, 3).
        cells: numbers of points, (m, corners).
        data: of the points, by name, (n,) or (n, k).
        tables: of the file, by name, of any length.
    """

    points: NDArray[np.floating[Any]]
    cells: NDArray[np.int64]
    data: Mapping[str, NDArray[Any]]
    tables: Mapping[str, NDArray[Any]] = field(default_factory=dict)


def write_grid(path: Path, grid: Grid, compressed: bool = True) -> None:
    """Write one file, whole or not at all."""
    m, corners = grid.cells.shape
    root = ElementTree.Element(
        "VTKFile",
        {
            "type": "UnstructuredGrid", "version": "1.0", "byte_order": "LittleEndian",
            "header_type": "UInt64", **({"compressor": _COMPRESSOR} if compressed else {}),
        },
    )  # fmt: skip
    whole = ElementTree.SubElement(root, "UnstructuredGrid")
    tables = ElementTree.SubElement(whole, "FieldData")
    for name, values in grid.tables.items():
        _add(tables, name, values, compressed, NumberOfTuples=str(len(values)))
    sizes = {"NumberOfPoints": str(len(grid.points)), "NumberOfCells": str(m)}
    piece = ElementTree.SubElement(whole, "Piece", sizes)
    data = ElementTree.SubElement(piece, "PointData")
    for name, values in grid.data.items():
        _add(data, name, values, compressed)
    _add(ElementTree.SubElement(piece, "Points"), "Points", grid.points, compressed)
    cells = ElementTree.SubElement(piece, "Cells")
    _add(cells, "connectivity", grid.cells.ravel(), compressed)
    _add(cells, "offsets", corners * np.arange(1, m + 1, dtype=np.int64), compressed)
    _add(cells, "types", np.full(m, _CELL_TYPES[corners], dtype=np.uint8), compressed)
    with whole_file(path) as part:
        ElementTree.ElementTree(root).write(part, encoding="utf-8", xml_declaration=True)


def _add(
    to: ElementTree.Element, name: str, values: NDArray[Any], compressed: bool, **more: str
) -> None:
    attributes = {"type": _TYPES[values.dtype.name], "Name": name, **more, "format": "binary"}
    if values.ndim == 2:
        attributes["NumberOfComponents"] = str(values.shape[1])
    element = ElementTree.SubElement(to, "DataArray", attributes)
    raw = np.ascontiguousarray(values, _DTYPES[attributes["type"]]).tobytes()
    if not compressed:
        element.text = _base64(_header(len(raw)) + raw)
    elif raw:
        packed = zlib.compress(raw, 4)
        element.text = _base64(_header(1, len(raw), len(raw), len(packed))) + _base64(packed)
    else:
        element.text = _base64(_header(0, 0, 0))


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


def _header(*numbers: int) -> bytes:
    return np.asarray(numbers, dtype="<u8").tobytes()


_HEADER = len(_base64(_header(1, 0, 0, 0)))


def read_arrays(path: Path, *names: str) -> list[NDArray[Any]]:
    """Arrays of a file that ``write_grid`` has written, in the type in which they were given.

    "Points", "connectivity" or the name of data or of a table.

    Raises:
        KeyError, ValueError, OSError: there is none of this name; the file is damaged.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise ValueError(str(error)) from None
    compressed = root.get("compressor") is not None
    found = {element.get("Name"): element for element in root.iter("DataArray")}
    return [_array(found[name], compressed) for name in names]


def _array(element: ElementTree.Element, compressed: bool) -> NDArray[Any]:
    text, dtype = element.text or "", _DTYPES[element.attrib["type"]]
    if not compressed:
        raw = base64.b64decode(text)[8:]
    elif len(text) > _HEADER:
        try:
            raw = zlib.decompress(base64.b64decode(text[_HEADER:]))
        except zlib.error as error:
            raise ValueError(str(error)) from None
    else:
        raw = b""
    values: NDArray[Any] = np.frombuffer(raw, dtype=dtype).astype(dtype.newbyteorder("="))
    components = element.get("NumberOfComponents")
    return values if components is None else values.reshape(-1, int(components))
