"""Reads a file by VTK in a process of its own, which a damaged file may end: run as a script.

``python vtkchild.py SUFFIX FILE`` writes arrays as .npz to the standard output, or a line that says
why not to the standard error. Imports nothing of the package, so that it starts quickly.
"""

from __future__ import annotations

import io
import os
import sys
from typing import Any

import numpy as np

__all__ = ["READERS"]

READERS = (".vtk", ".vtu", ".vtp", ".vts", ".pvtu", ".pvtp", ".obj", ".stl", ".ply")
"""Endings of the names of files that it reads."""


def _reader(suffix: str) -> Any:
    from vtkmodules import vtkIOGeometry, vtkIOLegacy, vtkIOPLY, vtkIOXML

    return {
        ".vtk": vtkIOLegacy.vtkGenericDataObjectReader,
        ".vtu": vtkIOXML.vtkXMLUnstructuredGridReader,
        ".vtp": vtkIOXML.vtkXMLPolyDataReader,
        ".vts": vtkIOXML.vtkXMLStructuredGridReader,
        ".pvtu": vtkIOXML.vtkXMLPUnstructuredGridReader,
        ".pvtp": vtkIOXML.vtkXMLPPolyDataReader,
        ".obj": vtkIOGeometry.vtkOBJReader,
        ".stl": vtkIOGeometry.vtkSTLReader,
        ".ply": vtkIOPLY.vtkPLYReader,
    }[suffix]()


def _main(suffix: str, path: str) -> None:
    out = os.dup(1)
    os.dup2(2, 1)  # whatever libraries print is no data
    from vtkmodules.vtkCommonCore import vtkOutputWindow, vtkStringOutputWindow

    window = vtkStringOutputWindow()
    vtkOutputWindow.SetInstance(window)
    reader = _reader(suffix)
    reader.SetFileName(path)
    for option, value in (
        ("ReadAllScalarsOn", ()),
        ("ReadAllVectorsOn", ()),
        ("ReadAllFieldsOn", ()),
        ("SetDuplicatePointsForFaceTexture", (False,)),
    ):
        if hasattr(reader, option):  # to read all that there is, and points once
            getattr(reader, option)(*value)
    reader.Update()
    said = window.GetOutput() or ""
    data = reader.GetOutputDataObject(0)
    # VTK gives what it could read of a damaged file, and tells of the rest.
    if "ERR" in said.upper() or reader.GetErrorCode() or data is None:
        sys.exit(said.strip() or "found no data")
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **_arrays(data))
    with os.fdopen(out, "wb") as file:
        file.write(buffer.getvalue())


def _arrays(data: Any) -> dict[str, Any]:
    """Points, cells and point data (``data:NAME``) of a data set of VTK."""
    from vtkmodules.util.numpy_support import vtk_to_numpy

    if data.IsA("vtkPolyData"):
        parts = [data.GetVerts(), data.GetLines(), data.GetStrips(), data.GetPolys()]
        numbers = [2, 4, 6, 7]
    else:
        if not data.IsA("vtkUnstructuredGrid"):
            from vtkmodules.vtkFiltersCore import vtkAppendFilter

            join = vtkAppendFilter()
            join.AddInputData(data)
            join.Update()
            data = join.GetOutput()
        parts, numbers = [data.GetCells()], [0]
    types, offsets, connectivity, begun = [], [np.zeros(1, dtype=np.int64)], [], 0
    for number, cells in zip(numbers, parts, strict=True):
        if not cells.GetNumberOfCells():
            continue
        connectivity.append(vtk_to_numpy(cells.GetConnectivityArray()).astype(np.int64))
        ends = vtk_to_numpy(cells.GetOffsetsArray()).astype(np.int64)
        offsets.append(ends[1:] + begun)
        begun += len(connectivity[-1])
        types.append(np.full(len(ends) - 1, number))
    kinds = np.concatenate(types).astype(np.int64) if types else np.zeros(0, dtype=np.int64)
    if numbers == [0]:
        kinds = np.array([data.GetCellType(k) for k in range(len(kinds))], dtype=np.int64)
    points = data.GetPoints()
    made = {
        "points": np.zeros((0, 3)) if points is None else vtk_to_numpy(points.GetData()),
        "types": kinds,
        "offsets": np.concatenate(offsets),
        "connectivity": np.concatenate(connectivity) if connectivity else np.zeros(0, np.int64),
    }
    values = data.GetPointData()
    for k in range(values.GetNumberOfArrays()):
        array = values.GetArray(k)
        if array is not None and array.GetName():
            made[f"data:{array.GetName()}"] = vtk_to_numpy(array)
    return made


if __name__ == "__main__":
    _main(*sys.argv[1:])
