"""P1 densities as weighted points, and as laws to draw from.

A density given at the vertices of a mesh is read as on its flat cells: linear there, carried to the
sphere along rays from the centre (zonal: linear in theta), which is `TabulatedDensity` and
`TabulatedProfile`. Each cell is cut into pieces, each piece becomes one point with its mass, and
the distance between points and density is bounded by what it costs to gather every piece.

NumPy only; knows nothing of solvers and of how the density came about.
"""

from __future__ import annotations

import math

import numpy as np

from meanfield.errors import InputError
from meanfield.geometry.laws import TabulatedProfile, density_law
from meanfield.geometry.mesh import IntArray, Mesh
from meanfield.geometry.sphere import Array, geodesic_distance, log_area
from meanfield.interaction.measure import Measure

__all__ = ["density_measure", "sample_density", "spread_bound"]

_NODES = 4  # Gauss nodes per direction: exact to degree 6 on a piece, round-off for usual pieces
_MAX_CUTS = 64


def sample_density(mesh: Mesh, rho: Array, n: int, rng: np.random.Generator) -> Array:
    """Draw ``n`` independent points of a P1 density, (n, d) unit vectors (zonal: on S^{d-1}, too).

    Exact: a cell by its mass, then rejection inside the cell.
    """
    return density_law(mesh, rho).sample(n, rng)


def density_measure(
    mesh: Mesh, rho: Array, refine: int = 1, points: int | None = None
) -> tuple[Measure, float]:
    """A P1 density as weighted points, one for each piece of a cell.

    Args:
        mesh: any of the three geometries.
        rho: (n_vertices,) values >= 0 with respect to sigma.
        refine: cuts per edge of every cell: refine^2 pieces of a triangle, refine of an interval.
        points: cut cells with more mass into more pieces instead, so that there are roughly this
            many points of comparable mass (besides one for each cell that has less).

    Returns:
        The points (unit vectors, or colatitudes for zonal meshes: see `wasserstein`) with their
        masses, sum one, and a bound for the distance W_2 >= W_1 between them and the density. The
        bound is exact to O(h^2) relative for gathering pieces in their centres of mass; masses and
        bound are computed to round-off for cells small against the sphere.

    Raises:
        InputError: values that are no density, or cuts out of range.
    """
    if not 1 <= refine <= _MAX_CUTS:
        raise InputError(f"refine = {refine} found, 1 to {_MAX_CUTS} expected")
    law = density_law(mesh, rho)
    if isinstance(law, TabulatedProfile):
        corners, values = law.theta[:, None], law.values
        cells = np.stack([np.arange(len(corners) - 1), np.arange(1, len(corners))], axis=1)
    else:
        corners, values, cells = law.points, law.values, law.cells
    cuts = np.full(len(cells), refine)
    if points is not None:
        share = values[cells].mean(axis=1) * _sizes(corners, cells, law.d)
        wanted = points * share / share.sum()
        wanted = np.sqrt(wanted) if cells.shape[1] == 3 else wanted
        cuts = np.clip(np.ceil(wanted), 1, _MAX_CUTS).astype(np.int64)
    parts = [
        _gather(corners[cells[cuts == k]], values[cells[cuts == k]], int(k), law.d)
        for k in np.unique(cuts)
    ]
    x, mass, moment = (np.concatenate(column) for column in zip(*parts, strict=True))
    total = float(mass.sum())
    kept = mass > 0.0
    bound = math.sqrt(float(moment.sum()) / total)
    return Measure(x[kept], mass[kept] / total), bound


def spread_bound(mesh: Mesh, mass: Array) -> float:
    """Bound of W_2 >= W_1 between masses at vertices and a density that has them in their cells.

    These are the barycentric dual cells, of radius r: (sum m r^2 / sum m)^(1/2), however a mass is
    spread over its cell.

    Args:
        mesh: any of the three geometries, also one that has moved.
        mass: (n_vertices,) masses >= 0, of any sum.
    """
    ends = mesh.points[mesh.cells]  # (cells, corners, gdim)
    flat = ends.shape[2] == 1
    far = np.zeros(ends.shape[:2])
    for k in range(1, ends.shape[1]):
        other = np.roll(ends, k, axis=1)
        edge = np.abs(ends - other)[..., 0] if flat else geodesic_distance(ends, other)
        far = np.maximum(far, 0.5 * edge)
    if ends.shape[1] == 3:
        centre = ends.sum(axis=1, keepdims=True)  # of a torn cell perhaps 0
        centre /= np.maximum(np.linalg.norm(centre, axis=2, keepdims=True), 1e-300)
        far = np.maximum(far, geodesic_distance(ends, centre))
    radius = np.zeros(mesh.n_vertices)
    np.maximum.at(radius, mesh.cells, far)
    return math.sqrt(float(mass @ radius**2) / float(mass.sum()))


def _sizes(corners: Array, cells: IntArray, d: int) -> Array:
    """Area, length or zonal weight of each cell, up to a factor: enough to share out points."""
    v = corners[cells]
    if corners.shape[1] == 1:
        middle = v.mean(axis=1)[:, 0]
        return np.asarray(np.sin(middle) ** (d - 2) * (v[:, 1, 0] - v[:, 0, 0]))
    if cells.shape[1] == 2:
        return np.asarray(np.linalg.norm(v[:, 1] - v[:, 0], axis=1))
    return np.asarray(np.linalg.norm(np.cross(v[:, 1] - v[:, 0], v[:, 2] - v[:, 0]), axis=1))


def _pieces(k: int, corners: int) -> Array:
    """Barycentric coordinates (pieces, corners, corners) of the corners of k or k^2 pieces."""
    if corners == 2:
        s = np.arange(k + 1) / k
        ends = np.stack([1.0 - s, s], axis=1)
        return np.stack([ends[:-1], ends[1:]], axis=1)
    out = []
    for i in range(k):
        for j in range(k - i):
            a, b, c = (i, j), (i + 1, j), (i, j + 1)
            out.append((a, b, c))
            if i + j < k - 1:
                out.append((b, (i + 1, j + 1), c))
    grid = np.array(out, dtype=np.float64) / k
    return np.concatenate([1.0 - grid.sum(axis=2, keepdims=True), grid], axis=2)


def _rule(corners: int, count: int) -> tuple[Array, Array]:
    """Nodes in barycentric coordinates and weights of a Gauss rule; weights sum to 1 or 1/2."""
    node, weight = np.polynomial.legendre.leggauss(count)
    s, w = 0.5 * (node + 1.0), 0.5 * weight
    if corners == 2:
        return np.stack([1.0 - s, s], axis=1), w
    u, v = (grid.ravel() for grid in np.meshgrid(s, s, indexing="ij"))
    return np.stack([1.0 - u, u * (1.0 - v), u * v], axis=1), np.outer(w * s, w).ravel()


def _gather(cells: Array, values: Array, k: int, d: int) -> tuple[Array, Array, Array]:
    """One point for each piece of cells (c, corners, gdim) with vertex values (c, corners).

    Returns:
        Points (q, gdim), masses (q,) w.r.t. sigma, and bounds (q,) of the squared distance to the
        point, integrated over the piece.
    """
    corners = cells.shape[1]
    zonal = cells.shape[2] == 1
    bary, weight = _rule(corners, _NODES + d // 2 if zonal else _NODES)
    bary = bary @ _pieces(k, corners)  # (pieces, nodes, corners)
    y = np.einsum("pqi,cij->cpqj", bary, cells, optimize=True)
    rho = np.einsum("pqi,ci->cpq", bary, values, optimize=True)
    if zonal:
        # Probability of sigma: |S^{d-2}| / |S^{d-1}| sin^{d-2}(theta) dtheta.
        width = (cells[:, 1, 0] - cells[:, 0, 0]) / k
        scale = width * math.exp(log_area(d - 1) - log_area(d))
        jacobian = np.sin(y[..., 0]) ** (d - 2)
        lowest = np.ones(len(cells))
    else:
        # The flat cell seen from the centre: |det(vertices)| / |y|^d, in units of the sphere.
        volume = np.abs(np.linalg.det(cells))
        scale = volume / k ** (corners - 1) / math.exp(log_area(d))
        jacobian = np.linalg.norm(y, axis=-1) ** -d
        sides = cells[:, 1:] - cells[:, :1]
        lowest = volume / np.sqrt(np.linalg.det(sides @ np.swapaxes(sides, 1, 2)))
    m = rho * jacobian * weight * scale[:, None, None]
    mass = m.sum(axis=-1)
    centre = np.einsum("cpq,cpqj->cpj", m, y) / np.where(mass > 0.0, mass, 1.0)[..., None]
    centre[mass <= 0.0] = y.mean(axis=2)[mass <= 0.0]
    # Outside the ball of radius ``lowest`` the projection to the sphere stretches paths, and so
    # angles against flat distances, by at most 1 / lowest.
    moment = np.einsum("cpq,cpqj->cp", m, (y - centre[:, :, None]) ** 2) / lowest[:, None] ** 2
    x = centre.reshape(-1, cells.shape[2])
    if not zonal:
        x = x / np.linalg.norm(x, axis=1, keepdims=True)
    return x, mass.ravel(), moment.ravel()
