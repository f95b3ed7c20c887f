"""Export to XDMF: an XML list of the steps, with the arrays in an HDF5 file beside it.

Each step names its mesh itself (one that stays is stored once), which all readers understand:
ParaView's, meshio's, VTK's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from meanfield.results.exports.base import Data
from meanfield.software import load_h5py
from meanfield.whole import whole_file

__all__ = ["EXPORT"]

_TOPOLOGY = {1: "Polyvertex", 2: "Polyline", 3: "Triangle"}
_KINDS = {1: "Scalar", 3: "Vector"}


class _Xdmf:
    """See ``Exporter``."""

    def files(self, data: Data) -> tuple[str, ...]:
        load_h5py()  # what is missing is told before anything is written
        return (f"{data.stem}.xdmf", f"{data.stem}.h5")

    def write(self, data: Data, folder: Path) -> None:
        import h5py

        described, arrays = (folder / name for name in self.files(data))
        described.unlink(missing_ok=True)  # an earlier one would name arrays that are gone
        root = ElementTree.Element("Xdmf", {"Version": "3.0"})
        domain = ElementTree.SubElement(root, "Domain")
        series = ElementTree.SubElement(
            domain, "Grid",
            {"Name": data.stem, "GridType": "Collection", "CollectionType": "Temporal"},
        )  # fmt: skip
        with whole_file(arrays) as part:
            # Not until it has its name: HDF5 may write at the end.
            with h5py.File(part, "w", locking=False) as file:
                store = _Store(file, arrays.name)
                for k, t in zip(data.steps, data.times, strict=True):
                    _add_step(series, data, k, float(t), store)
        ElementTree.indent(root)
        with whole_file(described) as part:
            ElementTree.ElementTree(root).write(part, encoding="utf-8", xml_declaration=True)


class _Store:
    """Arrays in the HDF5 file, each stored once."""

    def __init__(self, file: Any, name: str) -> None:
        self._file, self._name = file, name

    def item(self, to: ElementTree.Element, name: str, values: NDArray[Any]) -> None:
        """Name an array in an element, and store it unless it is there."""
        if name not in self._file:
            self._file.create_dataset(name, data=values, compression="gzip", shuffle=True)
        ElementTree.SubElement(
            to, "DataItem",
            {
                "NumberType": "Int" if values.dtype.kind == "i" else "Float",
                "Precision": str(values.dtype.itemsize),
                "Dimensions": " ".join(map(str, values.shape)),
                "Format": "HDF",
            },
        ).text = f"{self._name}:/{name}"  # fmt: skip


def _add_step(series: ElementTree.Element, data: Data, k: int, t: float, store: _Store) -> None:
    """Add the grid of one time."""
    grid = ElementTree.SubElement(series, "Grid", {"Name": data.stem, "GridType": "Uniform"})
    ElementTree.SubElement(grid, "Time", {"Value": repr(t)})
    place = f"step_{k:06d}/" if data.moving else ""
    cells, points = data.cells(k), data.points(k)
    m, corners = cells.shape
    about = {"TopologyType": _TOPOLOGY[corners], "NumberOfElements": str(m)}
    if corners < 3:
        about["NodesPerElement"] = str(corners)
    store.item(ElementTree.SubElement(grid, "Topology", about), f"{place}cells", cells)
    geometry = ElementTree.SubElement(grid, "Geometry", {"GeometryType": "XYZ"})
    store.item(geometry, f"{place}points", points)
    for name in data.names:
        values = data.values(name, k)
        components = 1 if values.ndim == 1 else values.shape[1]
        kind = {"AttributeType": _KINDS.get(components, "Matrix"), "Center": "Node"}
        attribute = ElementTree.SubElement(grid, "Attribute", {"Name": name, **kind})
        where = name if name in data.static else f"step_{k:06d}/{name}"
        store.item(attribute, where, np.ascontiguousarray(values))


EXPORT = _Xdmf()
