"""The stiffness matrix of P1 elements on triangles and weighted intervals, assembled by DOLFINx.

The element matrix is written out and compiled by Numba, as every inner loop of this package is,
where a UFL form would be turned into C and need a C compiler on the machine (0.7 s for each form
when first used). The tests hold it against the UFL form. DOLFINx does the rest: sparsity, rows
that ranks share, ghosts.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numba
import numpy as np

if TYPE_CHECKING:
    from dolfinx.fem import FunctionSpace
    from dolfinx.la import MatrixCSR

__all__ = ["assemble_stiffness"]


def assemble_stiffness(functions: FunctionSpace, zonal_d: int | None = None) -> MatrixCSR:
    """Matrix of int grad u . grad v on triangles or intervals, with complete owned rows.

    Args:
        functions: P1 space on flat triangles in R^3 or intervals in R^1 or R^2.
        zonal_d: with the weight sin^{d-2} at the middle of each interval of [0, pi]. Together with
            the masses of the half intervals it is a finite-volume form of P1 that is right at the
            poles (``geometry.mesh.delaunay_weights``).

    Returns:
        A ``dolfinx.la.MatrixCSR``. Collective.
    """
    from dolfinx import fem, la

    domain = functions.mesh
    name = "triangle" if domain.topology.dim == 2 else "interval"
    power = fem.Constant(domain, np.float64(0 if zonal_d is None else zonal_d - 2))
    cells = np.arange(domain.topology.index_map(domain.topology.dim).size_local, dtype=np.int32)
    kernel = _compiled(name)
    space = functions._cpp_object

    def form(default_id: int, entity_maps: Any) -> Any:
        integral = (default_id, kernel.address, cells, np.zeros(0, dtype=np.int8))
        return fem.Form(
            fem.form_cpp_class(np.float64)(
                [space, space],
                {fem.IntegralType.cell: [integral]},
                [],
                [power._cpp_object],
                False,
                entity_maps,
                domain._cpp_object,
            )
        )

    try:  # from 0.10 on integrals are numbered from 0, and maps of entities come in a list
        matrix = fem.assemble_matrix(form(0, []))
    except TypeError:
        matrix = fem.assemble_matrix(form(-1, {}))
    assert isinstance(matrix, la.MatrixCSR)
    matrix.scatter_reverse()
    return matrix


@functools.cache
def _compiled(name: str) -> Any:
    """The kernel as the C function that a DOLFINx form calls for each cell.

    DOLFINx hands over: the element matrix (to be added to), coefficients, constants, coordinates of
    the vertices (three each), numbers and permutations of facets, and from 0.10 on data of a user.
    That last one is left out here: in C, a caller may pass more than a function takes.
    """
    double, whole, byte = (numba.types.CPointer(getattr(numba.types, kind))
                           for kind in ("float64", "int32", "uint8"))  # fmt: skip
    signature = numba.types.void(double, double, double, double, whole, byte)
    kernels: dict[str, Callable[..., None]] = {"triangle": _triangle, "interval": _interval}
    return numba.cfunc(signature, cache=True)(kernels[name])


def _triangle(out, coefficients, constants, coordinates, facet, turn):  # type: ignore[no-untyped-def]
    a = numba.carray(out, (3, 3))
    x = numba.carray(coordinates, (3, 3))
    # The gradient of a basis function is normal to the edge opposite to its vertex, and as long as
    # that edge over twice the area.
    edges = np.empty((3, 3))
    for i in range(3):
        for k in range(3):
            edges[i, k] = x[(i + 2) % 3, k] - x[(i + 1) % 3, k]
    u, v = edges[0], edges[1]
    n0 = u[1] * v[2] - u[2] * v[1]
    n1 = u[2] * v[0] - u[0] * v[2]
    n2 = u[0] * v[1] - u[1] * v[0]
    scale = 0.5 / math.sqrt(n0 * n0 + n1 * n1 + n2 * n2)
    for i in range(3):
        for j in range(3):
            product = 0.0
            for k in range(3):
                product += edges[i, k] * edges[j, k]
            a[i, j] += scale * product


def _interval(out, coefficients, constants, coordinates, facet, turn):  # type: ignore[no-untyped-def]
    a = numba.carray(out, (2, 2))
    x = numba.carray(coordinates, (2, 3))
    power = numba.carray(constants, (1,))[0]
    squared = 0.0
    for k in range(3):
        squared += (x[1, k] - x[0, k]) ** 2
    value = 1.0 / math.sqrt(squared)
    if power > 0.0:
        value *= math.sin(0.5 * (x[0, 0] + x[1, 0])) ** power
    a[0, 0] += value
    a[1, 1] += value
    a[0, 1] -= value
    a[1, 0] -= value
