"""On several ranks: a user's distributed mesh in, a run on it, its density out; see test_dolfinx.

    python dolfinx_program.py FOLDER

The mesh is that of ``mesh.npz``, of which each rank gives DOLFINx a share of the points and cells.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import meanfield as mf
from meanfield.software import load_dolfinx, load_mpi


def main(folder: Path) -> None:
    load_dolfinx()
    import basix.ufl
    import ufl
    from dolfinx import fem
    from dolfinx.mesh import create_mesh

    comm = load_mpi().COMM_WORLD
    with np.load(folder / "mesh.npz") as given:
        points, cells, rho = given["points"], given["cells"], given["rho"]
    part = [np.array_split(array, comm.size)[comm.rank] for array in (points, cells)]
    corners = cells.shape[1]
    name = "triangle" if corners == 3 else "interval"
    element = basix.ufl.element("Lagrange", name, 1, shape=(corners,))
    domain = create_mesh(comm, cells=part[1], x=part[0], e=element)
    space = fem.functionspace(domain, ("Lagrange", 1))
    function = fem.Function(space)
    function.interpolate(lambda x: np.exp(x[corners - 1]))

    mesh, values = mf.density_from_dolfinx(function)
    case = mf.Case(
        geometry=mf.mesh_from_dolfinx(domain),
        model=mf.Model(attention="sa", beta=1.0),
        initial=rho,
        time=mf.Time(end=0.2),
        output=mf.Output(figures=False, precision="float64"),
    )
    result = mf.run(case, folder / f"out-{comm.size}", progress=False)
    written = folder / f"out-{comm.size}"
    out = mf.density_to_dolfinx(result)
    first = mf.density_to_dolfinx(written, 0.0)
    integral = comm.allreduce(fem.assemble_scalar(fem.form(out * ufl.dx)))
    mesh_out, values_out = mf.density_from_dolfinx(out)
    _, values_first = mf.density_from_dolfinx(first)
    if comm.rank == 0:
        np.savez(
            folder / f"found-{comm.size}.npz",
            points=mesh.points,
            cells=mesh.cells,
            values=values,
            points_out=mesh_out.points,
            cells_out=mesh_out.cells,
            rho=values_out,
            first=values_first,
            integral=integral,
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
