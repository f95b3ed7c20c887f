"""One output of a run as PyVista has it: a mesh with point data, or points.

Names of the data are those of the field files; places and vectors are in three dimensions, as
ParaView shows them. PyVista is loaded when it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from meanfield.results.formats import LOG10_FLOOR, TokenSeries
from meanfield.results.outputs import OutputFields, step_at
from meanfield.software import load_pyvista

if TYPE_CHECKING:
    from pyvista import PolyData

__all__ = ["density_grid", "token_grid"]


def density_grid(fields: OutputFields, t: float | None = None) -> PolyData:
    """Triangles or lines with ``rho``, ``log10_rho``, ``mass`` and whatever else was written.

    Args:
        fields: of the run.
        t: an output time; None: the last. It is field data, "TimeValue".

    Raises:
        InputError: pyvista is not installed, or no such output.
    """
    pyvista = load_pyvista()
    k = fields.step(t)
    there = fields.series.at(k)
    if there.cells.shape[1] == 3:
        grid = pyvista.PolyData.from_regular_faces(there.points, there.cells)
    else:
        lines = np.insert(there.cells, 0, there.cells.shape[1], axis=1)
        grid = pyvista.PolyData(there.points, lines=lines.ravel())
    for name in fields.names:
        grid.point_data[name] = there.read(name, k)
    if fields.has_density:
        grid.point_data["rho"] = fields.density(t)
        if "log10_rho" not in fields.names:
            log10_rho = fields.log_density(t) / np.log(10.0)
            grid.point_data["log10_rho"] = np.maximum(log10_rho, LOG10_FLOOR)
        grid.point_data["mass"] = fields.masses(t)
    grid.field_data["TimeValue"] = [fields.times[k]]
    return grid


def token_grid(tokens: TokenSeries, t: float | None = None) -> PolyData:
    """Points with ``id``, ``mass``, ``cluster``, ``velocity``, and ``length`` where there is one.

    Of tokens with d > 3 the projections that the particle file has.

    Args:
        tokens: of the run.
        t: an output time; None: the last. It is field data, "TimeValue".

    Raises:
        InputError: pyvista is not installed, or no such output.
    """
    pyvista = load_pyvista()
    k = step_at(tokens.times, t)
    grid = pyvista.PolyData(tokens.points(k))
    for name in (*tokens.names, *tokens.static):
        grid.point_data[name] = tokens.read(name, k)
    grid.field_data["TimeValue"] = [tokens.times[k]]
    return grid
