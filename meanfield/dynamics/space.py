"""The P1 finite-element space on a meshed sphere, circle or zonal interval, by DOLFINx.

Owns the distribution of a NumPy ``Mesh`` over ranks, the reduction of the stiffness to edge
coefficients and nodal weights (the Voronoi cells that belong to these coefficients), halo exchange,
and the way back to the original vertex order. Knows nothing of attention, of laws or of time.

Normalisation: nodal weights sum to one (the uniform probability sigma), and so edge coefficients
are those of sigma: c_ij = -int grad phi_i . grad phi_j dsigma >= 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from meanfield.collective import Communicator, max_over_ranks
from meanfield.dynamics.slots import largest_valence, pair_slots, take_rows
from meanfield.dynamics.stiffness import assemble_stiffness
from meanfield.errors import InputError
from meanfield.geometry.manifolds import Manifold, manifold
from meanfield.geometry.manifolds.zonal import half_masses
from meanfield.geometry.mesh import Mesh
from meanfield.geometry.sphere import Array
from meanfield.software import load_dolfinx, load_mpi

if TYPE_CHECKING:
    from dolfinx.fem import FunctionSpace
    from dolfinx.mesh import Mesh as DolfinxMesh

__all__ = ["P1Space", "Stars", "distributed", "nodes_of", "original_numbers"]

IndexArray = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Stars:
    """Vertex neighbourhoods of the owned vertices, padded to one valence K: arrays (K, n_owned).

    Laid out slot by slot, so that loops over vertices run over contiguous memory and vectorise.
    A padding slot points at the vertex itself, with coefficient 0.

    Attributes:
        neighbour: local index of the neighbour in each slot.
        coefficient: c_ij of the edge.
        tangent: (K, 2, n_owned) float32 components of the edge's initial direction times its
            geodesic length, in an orthonormal frame of the tangent plane at the vertex (second
            component 0 in one dimension). Used by the limiter only: single precision is enough.
        gram: (3, n_owned) entries 00, 01, 11 of the inverse of sum_k t_k t_k^T.
        reverse: flat slot of the same edge seen from its other end; the number of slots (a slot
            that always holds 0) where that end lives on another rank, and for padding.
        halo_slot: flat slots whose neighbour lives on another rank.
        halo_vertex: local indices (>= n_owned) of those neighbours.
    """

    neighbour: IndexArray
    coefficient: Array
    tangent: NDArray[np.float32]
    gram: Array
    reverse: IndexArray
    halo_slot: IndexArray
    halo_vertex: IndexArray


class P1Space:
    """P1 elements on a ``Mesh``, distributed over the ranks of a communicator.

    Local vertices are numbered owned first, then ghosts (neighbours of owned ones).

    Args:
        mesh: the mesh; only rank 0's is used and kept, others may give None.
        comm: a communicator of mpi4py; None means the world.

    Raises:
        InputError: no usable DOLFINx, or a mesh with a negative edge coefficient (not Delaunay).
            Raised on every rank.
    """

    def __init__(self, mesh: Mesh | None, comm: Communicator | None = None) -> None:
        load_dolfinx()
        from dolfinx import fem, la

        self.comm: Communicator = load_mpi().COMM_WORLD if comm is None else comm
        header: tuple[str, int, int] | None = None
        if self.comm.rank == 0:
            assert mesh is not None
            header = (mesh.geometry, mesh.d, mesh.points.shape[0])
        shared = self.comm.bcast(header, root=0)
        assert shared is not None
        self.geometry: str
        self.d: int
        self.mesh: Mesh | None = mesh if self.comm.rank == 0 else None
        self.n_global: int
        self.geometry, self.d, self.n_global = shared
        self.manifold = manifold(self.geometry, self.d)
        domain = distributed(mesh, self.manifold, self.comm)
        functions = fem.functionspace(domain, ("Lagrange", 1))

        stiffness = assemble_stiffness(functions, self.d if self.manifold.latitudes else None)
        columns = stiffness.index_map(1)
        self._scalar = la.vector(columns)
        self.n_owned: int = columns.size_local
        self.n_local: int = columns.size_local + columns.num_ghosts

        gdim = domain.geometry.dim
        del domain
        x = functions.tabulate_dof_coordinates()[: self.n_owned, :gdim]
        x = self.manifold.normalised(x)
        local = np.empty((self.n_local, gdim))
        for k in range(gdim):
            local[:, k] = self.with_ghosts(x[:, k])
        self.points: Array = local
        self.original: NDArray[np.int64] = original_numbers(functions)[: self.n_owned]

        neighbour, coefficient = self._slots(stiffness)
        del stiffness
        if self.manifold.latitudes:
            masses = _half_interval_masses(functions, self.d)[: self.n_owned]
        else:
            masses = self._voronoi(neighbour, coefficient)
        del functions  # with the mesh of DOLFINx, which nobody needs any more
        (measure,) = self.sum(float(np.sum(masses)))
        self.weights: Array = masses / measure
        # Flat cells are inscribed: their total falls short of the sphere's. A stiffness scales
        # like length^(dimension - 2), so that in two dimensions nothing is to be mended.
        dimension, exact = self.manifold.dimension, self.manifold.total
        stretch = (exact / measure) ** (1.0 / dimension)
        coefficient *= stretch ** (dimension - 2) / exact
        self.stars = self._stars(neighbour, coefficient)

    # ------------------------------------------------------------------ parallel services

    def with_ghosts(self, owned: Array, out: Array | None = None) -> Array:
        """Values at all local vertices (n_local,) from those at the owned ones. Collective."""
        if self.n_local == self.n_owned and self.comm.size == 1:
            if out is None:
                return owned
            out[:] = owned
            return out
        self._scalar.array[: self.n_owned] = owned
        self._scalar.scatter_forward()
        if out is None:
            return self._scalar.array.copy()
        out[:] = self._scalar.array
        return out

    def add_from_ghosts(self, local: Array) -> Array:
        """Add ghost contributions to their owners: (n_local,) -> (n_owned,). Collective."""
        from dolfinx import la

        self._scalar.array[:] = local
        self._scalar.scatter_reverse(la.InsertMode.add)
        return self._scalar.array[: self.n_owned].copy()

    def sum(self, *values: float) -> tuple[float, ...]:
        """Sums over all ranks, bitwise the same on each. Collective."""
        if self.comm.size == 1:
            return values
        gathered = self.comm.allgather(values)
        return tuple(math.fsum(column) for column in zip(*gathered, strict=True))

    def max(self, *values: float) -> tuple[float, ...]:
        """Maxima over all ranks (NaN if any is). Collective."""
        return max_over_ranks(self.comm, *values)

    def gather(self, owned: Array) -> Array | None:
        """Values in the original vertex order on rank 0, None elsewhere. Collective.

        ``owned``: (n_owned,) or (n_owned, k).
        """
        parts = self.comm.gather((self.original, np.asarray(owned)), root=0)
        if parts is None:
            return None
        out = np.empty((self.n_global, *parts[0][1].shape[1:]))
        for numbers, values in parts:
            out[numbers] = values
        return out

    def scatter(self, original: Array | None) -> Array:
        """Inverse of ``gather``: owned values from an array that rank 0 holds. Collective."""
        values = self.comm.bcast(original, root=0)
        assert values is not None
        return np.ascontiguousarray(values[self.original], dtype=np.float64)

    # ------------------------------------------------------------------ set-up

    def _slots(self, stiffness: Any) -> tuple[IndexArray, Array]:
        """Neighbour and coefficient -K_ij of each edge at the owned vertices, (K, n_owned)."""
        n = self.n_owned
        ends, columns = np.asarray(stiffness.indptr, dtype=np.int64), stiffness.indices
        (width,) = self.max(float(largest_valence(ends, columns, n)))
        neighbour = np.empty((int(width), n), dtype=np.int32)
        coefficient = np.empty((int(width), n))
        take_rows(ends, columns, stiffness.data, neighbour, coefficient)
        largest, smallest = self.max(
            float(np.max(coefficient, initial=0.0)), float(-np.min(coefficient, initial=0.0))
        )
        if smallest > 1e-9 * largest:
            raise InputError(
                f"an edge coefficient of {-smallest:.3g} found, none below 0 expected: the mesh is "
                "not Delaunay (`meanfield mesh convert` rebuilds its connectivity)"
            )
        return neighbour, np.maximum(coefficient, 0.0, out=coefficient)

    def _voronoi(self, neighbour: IndexArray, coefficient: Array) -> Array:
        """Measure of the Voronoi cell of each owned vertex.

        The perpendicular bisector of an edge has the length c_ij |x_i - x_j| inside the cell.
        """
        total, own = np.zeros(self.n_owned), self.points[: self.n_owned]
        for k in range(len(neighbour)):
            away = self.points[neighbour[k]] - own
            total += coefficient[k] * np.einsum("ij,ij->i", away, away)
        return total / (2.0 * self.manifold.dimension)

    def _stars(self, neighbour: IndexArray, coefficient: Array) -> Stars:
        size, n = neighbour.shape
        own = np.arange(n)
        tangent, square = np.zeros((size, 2, n), dtype=np.float32), np.zeros((3, n))
        for k in range(size):
            edge = np.flatnonzero(neighbour[k] != own)
            t = self.manifold.tangents(self.points[edge], self.points[neighbour[k, edge]]).T
            tangent[k][:, edge] = t
            for row, (i, j) in enumerate(((0, 0), (0, 1), (1, 1))):
                square[row, edge] += t[i] * t[j]
        reverse = np.empty((size, n), dtype=np.int32)
        pair_slots(neighbour, reverse)
        outside = np.flatnonzero(neighbour >= n)
        # By vertex, and its slots in their order.
        halo: IndexArray = outside[np.argsort(outside % n, kind="stable")].astype(np.int32)
        return Stars(
            neighbour,
            coefficient,
            tangent,
            _inverse_gram(*square),
            reverse,
            halo,
            neighbour.ravel()[halo],
        )


def _inverse_gram(a: Array, b: Array, c: Array) -> Array:
    """Entries 00, 01, 11 of (sum_k t_k t_k^T)^{-1} at each vertex; in 1-D only 00."""
    determinant = a * c - b * b
    plane = determinant > 1e-12 * (a + c) ** 2
    safe = np.where(plane, determinant, 1.0)
    first = np.where(plane, c / safe, np.where(a > 0.0, 1.0 / np.where(a > 0.0, a, 1.0), 0.0))
    return np.stack([first, np.where(plane, -b / safe, 0.0), np.where(plane, a / safe, 0.0)])


def distributed(mesh: Mesh | None, on: Manifold, comm: Communicator) -> DolfinxMesh:
    """A mesh of rank 0 as one of DOLFINx, over the ranks. Collective."""
    import basix.ufl
    from dolfinx.mesh import GhostMode, create_cell_partitioner, create_mesh

    cell, gdim, k = "triangle" if on.dimension == 2 else "interval", on.gdim, on.corners
    element = basix.ufl.element("Lagrange", cell, 1, shape=(gdim,))
    try:  # 0.11 wants the largest number of cells at a facet, 0.9 does not know it
        partitioner = create_cell_partitioner(GhostMode.none, 2)
    except TypeError:
        partitioner = create_cell_partitioner(GhostMode.none)
    if mesh is not None and comm.rank == 0:
        cells = np.ascontiguousarray(mesh.cells, dtype=np.int64)
        x = np.ascontiguousarray(mesh.points, dtype=np.float64)
    else:
        cells, x = np.zeros((0, k), dtype=np.int64), np.zeros((0, gdim))
    return create_mesh(comm, cells=cells, x=x, e=element, partitioner=partitioner)


def _half_interval_masses(functions: Any, d: int) -> Array:
    """int sin^{d-2} over the two half intervals at each vertex, complete at the owned ones."""
    from dolfinx import la

    vector = la.vector(functions.dofmap.index_map)
    dofs = functions.dofmap.list
    ends = functions.tabulate_dof_coordinates()[:, 0][dofs]
    order = np.argsort(ends, axis=1)
    ends, dofs = np.take_along_axis(ends, order, 1), np.take_along_axis(dofs, order, 1)
    vector.array[:] = 0.0
    np.add.at(vector.array, dofs, half_masses(ends[:, 0], ends[:, 1], d))
    vector.scatter_reverse(la.InsertMode.add)
    return vector.array


def original_numbers(functions: FunctionSpace) -> NDArray[np.int64]:
    """Number in the input mesh of each local dof."""
    geometry, nodes = functions.mesh.geometry, nodes_of(functions.mesh)
    dofs = functions.dofmap.list
    numbers = np.full(functions.dofmap.index_map.size_local + functions.dofmap.index_map.num_ghosts,
                      -1, dtype=np.int64)  # fmt: skip
    numbers[dofs.reshape(-1)] = geometry.input_global_indices[nodes.reshape(-1)]
    return numbers


def nodes_of(domain: DolfinxMesh) -> NDArray[np.int32]:
    """Numbers of the points of each local cell, (cells, corners)."""
    geometry = domain.geometry
    found = geometry.dofmaps[0] if hasattr(geometry, "dofmaps") else geometry.dofmap
    return np.asarray(found)
