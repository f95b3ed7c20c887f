"""Meshes and P1 functions of DOLFINx, in and out, on any number of ranks.

What comes in is gathered in its original order (that of the arrays or the file of which the mesh
was made), what goes out is distributed. Knows nothing of solvers and of runs.

Normalisation: densities are with respect to the uniform probability sigma (uniform = 1). DOLFINx
integrates over flat cells: ``assemble_scalar(form(rho * dx))`` is near the area of all cells, which
is less than that of the sphere. See ``density_to_dolfinx``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from meanfield.arguments import checked_arguments
from meanfield.checks import as_found
from meanfield.collective import Communicator, everywhere, on_root
from meanfield.dynamics.space import distributed, nodes_of, original_numbers
from meanfield.errors import InputError
from meanfield.geometry.manifolds import of_vectors
from meanfield.geometry.mesh import Mesh
from meanfield.geometry.sphere import Array
from meanfield.software import load_dolfinx

if TYPE_CHECKING:
    from dolfinx.fem import Function
    from dolfinx.mesh import Mesh as DolfinxMesh

__all__ = ["density_from_dolfinx", "function_on", "mesh_from_dolfinx"]

_UNIT = 1e-6  # by which vertices may be off the sphere

IntArray = NDArray[np.int64]


@checked_arguments
def mesh_from_dolfinx(domain: DolfinxMesh) -> Mesh:
    """The whole of a DOLFINx mesh, on every rank: the geometry of a case. Collective.

    Triangles with vertices on S^2 (the orientation is mended), or intervals on S^1, of degree 1.
    Vertices and cells are in the order in which the mesh was given to DOLFINx; of a refined mesh,
    which has no such order, by their global numbers.

    Args:
        domain: over any communicator.

    Returns:
        The mesh, whose ``points`` are (n, 3) or (n, 2) unit vectors.

    Raises:
        InputError: on every rank: another kind of cell, or vertices off the sphere.

    Example:
        >>> import meanfield as mf
        >>> domain = my_mesh()  # doctest: +SKIP
        >>> case = mf.Case(geometry=mf.mesh_from_dolfinx(domain), ...)  # doctest: +SKIP
    """
    return _gathered(domain)[0]


@checked_arguments
def density_from_dolfinx(function: Function) -> tuple[Mesh, Array]:
    """A P1 function of DOLFINx as geometry and initial density of a case. Collective.

    Args:
        function: Lagrange of degree 1, scalar and real, on a mesh as ``mesh_from_dolfinx`` takes;
            values >= 0 in any unit, as a law is normalised when it is used.

    Returns:
        The mesh, and a value for each of its vertices, (n,), on every rank.

    Raises:
        InputError: on every rank: another function, or another mesh.

    Example:
        >>> import meanfield as mf
        >>> mesh, rho = mf.density_from_dolfinx(u)  # doctest: +SKIP
        >>> case = mf.Case(geometry=mesh, initial=rho, ...)  # doctest: +SKIP
    """
    load_dolfinx()
    from dolfinx.fem import Function

    if not isinstance(function, Function):
        raise InputError(f"function: found {as_found(function)}, expected a dolfinx.fem.Function")
    space = function.function_space
    comm: Communicator = space.mesh.comm

    def check() -> None:
        element, dofmap = space.ufl_element(), space.dofmap
        first = element.degree == 1 and str(element.family_name).upper() in ("P", "LAGRANGE")
        if not (first and dofmap.bs == 1 and not element.discontinuous):
            raise InputError(f"function: found {element}, expected scalar P1, ('Lagrange', 1)")
        if np.iscomplexobj(function.x.array):
            raise InputError("function: found complex values, expected real ones")

    everywhere(comm, check)
    mesh, numbers = _gathered(space.mesh)
    local = np.full(len(numbers), np.nan)
    local[nodes_of(space.mesh).reshape(-1)] = function.x.array[space.dofmap.list.reshape(-1)]
    values = np.full(mesh.n_vertices, np.nan)
    for places, part in comm.allgather((numbers, local)):
        values[places] = part
    return mesh, values


def function_on(mesh: Mesh | None, values: Array | None, comm: Communicator) -> Function:
    """A P1 function on a mesh that rank 0 has, distributed over the ranks. Collective.

    Args:
        mesh: rank 0's.
        values: rank 0's, (n_vertices,).
        comm: over which it is distributed.
    """
    load_dolfinx()
    from dolfinx import fem

    on = comm.bcast(None if mesh is None else mesh.manifold, root=0)
    assert on is not None
    space = fem.functionspace(distributed(mesh, on, comm), ("Lagrange", 1))
    found = fem.Function(space, name="rho")
    whole = comm.bcast(values, root=0)
    assert whole is not None
    found.x.array[:] = whole[original_numbers(space)]
    return found


def _gathered(domain: DolfinxMesh) -> tuple[Mesh, IntArray]:
    """The mesh, and the number in it of each local point. Collective."""
    load_dolfinx()
    import dolfinx.mesh

    if not isinstance(domain, dolfinx.mesh.Mesh):
        raise InputError(f"domain: found {as_found(domain)}, expected a dolfinx.mesh.Mesh")
    comm: Communicator = domain.comm
    everywhere(comm, lambda: _check_cells(domain))
    orders = _orders(domain)
    owned = nodes_of(domain)[: _cells_here(domain)].astype(np.int64)
    parts = comm.gather((orders, owned, np.asarray(domain.geometry.x, np.float64)), root=0)

    def joined() -> tuple[Mesh, int, IntArray]:
        assert parts is not None
        known = [part[0] for part in parts]
        which = next(k for k in range(2) if k or _is_order([orders[k] for orders in known]))
        numbers = np.concatenate([orders[which][0] for orders in known])
        points, first = np.unique(numbers, return_index=True)
        x = np.concatenate([part[2] for part in parts])[first]
        cells = np.concatenate([part[0][which][0][part[1]] for part in parts])
        places = np.concatenate([orders[which][1] for orders in known])
        cells = np.searchsorted(points, cells[np.argsort(places, kind="stable")])
        return _turned(_on_sphere(x, cells.shape[1]), cells), which, points

    found = on_root(comm, joined)
    assert found is not None
    mesh, which, points = found
    return mesh, np.searchsorted(points, orders[which][0])


def _cells_here(domain: DolfinxMesh) -> int:
    return int(domain.topology.index_map(domain.topology.dim).size_local)


def _check_cells(domain: DolfinxMesh) -> None:
    kind, corners = domain.topology.cell_name(), nodes_of(domain).shape[1]
    if (kind, corners) not in (("triangle", 3), ("interval", 2)):
        raise InputError(
            f"domain: found cells '{kind}' with {corners} points, expected triangles with 3 on S^2 "
            "or intervals with 2 on S^1"
        )
    if domain.geometry.dim < corners:
        raise InputError(
            f"domain: found '{kind}' cells in dimension {domain.geometry.dim}, expected a mesh of "
            f"the sphere in dimension {corners}"
        )


def _orders(domain: DolfinxMesh) -> list[tuple[IntArray, IntArray]]:
    """Numbers of local points and of owned cells: in the input, and in the whole mesh."""
    geometry, topology, n = domain.geometry, domain.topology, _cells_here(domain)
    points = geometry.index_map()
    local = np.arange(points.size_local + points.num_ghosts, dtype=np.int32)
    start = topology.index_map(topology.dim).local_range[0]
    given = np.asarray(geometry.input_global_indices, np.int64)
    return [
        (given, np.asarray(topology.original_cell_index, np.int64)[:n]),
        (np.asarray(points.local_to_global(local), np.int64), start + np.arange(n)),
    ]


def _is_order(parts: list[tuple[IntArray, IntArray]]) -> bool:
    """Whether each cell has a number of its own; those of a refined mesh have not."""
    cells = np.concatenate([cells for _, cells in parts])
    return len(np.unique(cells)) == len(cells)


def _on_sphere(x: Array, d: int) -> Array:
    """Points (n, d) of (n, 3), as they are given.

    Raises:
        InputError: they are not on the sphere.
    """
    off = np.abs(np.linalg.norm(x, axis=1) - 1.0) + np.abs(x[:, d:]).sum(axis=1)
    worst = int(np.argmax(off))
    if not off[worst] <= _UNIT:
        raise InputError(
            f"domain: found a vertex at distance {np.linalg.norm(x[worst]):.6g} from the origin, "
            f"expected unit vectors of S^{d - 1}, to {_UNIT:g}"
        )
    return np.ascontiguousarray(x[:, :d])


def _turned(x: Array, cells: IntArray) -> Mesh:
    """The mesh, with its cells counterclockwise."""
    ends = x[cells]
    inside = np.linalg.det(ends) < 0.0
    cells = cells.copy()
    cells[inside] = cells[inside, ::-1]
    on = of_vectors(x.shape[1])
    return Mesh(geometry=on.name, d=on.d, points=x, cells=cells)
