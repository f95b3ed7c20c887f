"""Numbers that describe a state: mass, energy, entropy, moments, power spectrum, clusters.

The mean, the second moments, the power and the energy are invariant under rotations or turn with
the state. Knows solvers by their state only; nothing of files.
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from meanfield.analysis.evaluate import log_bounds
from meanfield.collective import sum_over_ranks
from meanfield.dynamics.density import DensitySolver
from meanfield.dynamics.lagrangian import LagrangianSolver
from meanfield.dynamics.layers import LayerSolver
from meanfield.dynamics.particles import ParticleSolver
from meanfield.geometry.manifolds import Located, of_vectors
from meanfield.geometry.mesh import IntArray, Mesh, mesh_edges
from meanfield.geometry.sphere import Array

__all__ = [
    "POWER_DEGREE",
    "PeakCounter",
    "characteristic_diagnostics",
    "density_diagnostics",
    "diagnostic_names",
    "moved_clusters",
    "token_diagnostic_names",
    "token_diagnostics",
]

POWER_DEGREE = 8
PROMINENCE = math.log(2.0)
_BEGUN = 100.0  # length of an edge that is about to collapse, over that of one that has
_COLLAPSED = 1e-3  # length of an edge that has collapsed, over the longest of the initial mesh


def diagnostic_names(moments: int, noisy: bool = False) -> tuple[str, ...]:
    """Names of the diagnostics of a density, in the order in which a table shows them.

    ``moments``: number of coordinates of its mean.
    """
    return (
        "mass",
        "rho_min",
        "rho_max",
        "energy",
        "energy_scaled",
        "entropy",
        *(("free_energy",) if noisy else ()),
        *(f"mean_{k + 1}" for k in range(moments)),
        "mean_norm",
        *(f"m2_{k + 1}" for k in range(moments)),
        *(f"power_{degree}" for degree in range(POWER_DEGREE + 1)),
        "clusters",
    )


def density_diagnostics(solver: DensitySolver, counter: PeakCounter | None) -> dict[str, float]:
    """Diagnostics of a solver's density, the same on every rank (clusters: rank 0). Collective.

    * ``mass``: sum of masses, 1. ``rho_min``, ``rho_max``: with respect to sigma (uniform = 1).
    * ``energy``: E (attention: arXiv 2312.10794, (3.5), which increases for V = +I; kernels:
      1/2 iint W dmu dmu); ``energy_scaled``: E e^{-|beta|} for the exponential kernel, else E.
    * ``entropy``: int rho log rho dsigma >= 0, zero for the uniform density.
    * ``free_energy``, with diffusion only: F = kappa H - E (V = -I: + E), which never increases
      with the identity as link (usa, kernels). (No such functional is known for sa with noise.)
    * ``mean_1``..: int x dmu; ``mean_norm``: its length, the order parameter. ``m2_1``..:
      eigenvalues of int x x^T dmu, ascending. Zonal: int x_d dmu and int x_d^2 dmu alone.
    * ``power_l``: sum over the harmonics of degree l, orthonormal in L^2(sigma), of the squared
      moments of mu: power_0 = 1, and each at most dim H_l.
    * ``clusters``: see ``PeakCounter``; nan without a counter.
    """
    space, rho, w = solver.space, solver.rho, solver.weights
    n = space.n_owned
    x, m = space.manifold.moments_of(space.points[:n]), w * rho
    log_rho = np.log(np.where(rho > 0.0, rho, 1.0))
    local = np.concatenate([[m.sum(), np.dot(m, log_rho)], m @ x, ((x * m[:, None]).T @ x).ravel()])
    totals = sum_over_ranks(space.comm, local)
    top, bottom = space.max(float(np.max(rho, initial=0.0)), float(-np.min(rho, initial=np.inf)))
    k = x.shape[1]
    mean, second = totals[2 : 2 + k], totals[2 + k :].reshape(k, k)
    field = solver.field()
    everything = space.gather(rho)
    clusters = math.nan
    if everything is not None and counter is not None:
        clusters = float(counter.count(everything))
    free_energy = solver.kappa * totals[1] - solver.interaction.drive * field.energy()
    values = [
        totals[0],
        -bottom,
        top,
        field.energy(),
        field.energy(scaled=True),
        totals[1],
        *((free_energy,) if solver.kappa > 0.0 else ()),
        *mean,
        float(np.linalg.norm(mean)),
        *np.linalg.eigvalsh(second),
        *_power(solver),
        clusters,
    ]
    names = diagnostic_names(k, solver.kappa > 0.0)
    return {name: float(value) for name, value in zip(names, values, strict=True)}


def characteristic_diagnostics(solver: LagrangianSolver) -> dict[str, float]:
    """The numbers of ``density_diagnostics`` for characteristics, the same on every rank.

    Collective. Integrals over mu are sums over the vertices with their masses; ``rho_min`` and
    ``rho_max`` are those of the vertices, inf beyond 1e308. ``clusters``: ``moved_clusters``. Also
    ``points``: number of different points.
    """
    log_rho, m, field = solver.log_density(), solver.mass, solver.field()
    x = solver.positions()[:, -solver.manifold.moments :]
    held = m > 0.0
    second = (x * m[:, None]).T @ x
    mean = m @ x
    with np.errstate(over="ignore"):
        extremes = np.exp([log_rho.min(), log_rho.max()])
    values = [
        float(m.sum()),
        *extremes,
        field.energy(),
        field.energy(scaled=True),
        float(np.dot(m[held], log_rho[held])),
        *mean,
        float(np.linalg.norm(mean)),
        *np.linalg.eigvalsh(second),
        *_power_of(solver),
        float(moved_clusters(solver.moved_mesh(), log_rho, m, _COLLAPSED * solver.longest_edge)),
    ]
    names = diagnostic_names(x.shape[1])
    row = {name: float(value) for name, value in zip(names, values, strict=True)}
    return row | {"points": float(solver.points)}


def _power_of(solver: LagrangianSolver) -> Array:
    harmonics = solver.manifold.harmonics(POWER_DEGREE, 1e-12)
    points, weights, _ = solver.measure()
    at = points.points if isinstance(points, Located) else points
    comm = solver.comm if solver.comm.size > 1 else None
    return harmonics.power(sum_over_ranks(comm, harmonics.moments(at, weights)))


def _power(solver: DensitySolver) -> Array:
    space, field = solver.space, solver.field()
    harmonics = solver.interaction.harmonics
    moments = field.moments
    assert harmonics is not None and moments is not None
    if harmonics.degree < POWER_DEGREE:
        harmonics = space.manifold.harmonics(POWER_DEGREE, harmonics.epsilon)
        _, weights, quadrature = solver.measure()
        assert quadrature is not None
        x = space.points[: space.n_owned]
        moments = sum_over_ranks(space.comm, harmonics.moments(x, weights - quadrature))
        moments = moments + harmonics.uniform()
    return harmonics.power(moments)[: POWER_DEGREE + 1]


_MOMENTS = 8  # directions of second moments and of the mean that a table of tokens has at most


def token_diagnostic_names(d: int) -> tuple[str, ...]:
    """Names of the diagnostics of tokens in dimension d."""
    moments = min(d, _MOMENTS)
    power = range(POWER_DEGREE + 1) if d <= 3 else ()
    return (
        "mass",
        "energy",
        "energy_scaled",
        *(f"mean_{k + 1}" for k in range(moments)),
        "mean_norm",
        *(f"m2_{k + 1}" for k in range(moments)),
        *(f"power_{degree}" for degree in power),
        "clusters",
        "largest_cluster",
    )


def token_diagnostics(solver: ParticleSolver | LayerSolver, labels: IntArray) -> dict[str, float]:
    """Diagnostics of tokens; the same as ``density_diagnostics`` where they make sense.

    ``mean_k``: the first 8 coordinates of the mean at most; ``m2_k``: the 8 largest second moments
    at most, ascending. ``clusters``: number of groups in ``labels`` (``dynamics.clusters``) that
    hold at least 1 % of the mass, ``largest_cluster``: mass of the largest group.
    """
    x, m, d = solver.x, solver.weights, solver.d
    field = solver.field()
    moments = min(d, _MOMENTS)
    mean = m @ x
    masses = np.bincount(labels, weights=m)
    power: list[float] = []
    on = of_vectors(d)
    if on.has_harmonics:
        harmonics = on.harmonics(POWER_DEGREE, 1e-11)
        points, weights, _ = solver.measure()
        power = list(harmonics.power(harmonics.moments(points, weights)))
    values = [
        float(m.sum()),
        field.energy(),
        field.energy(scaled=True),
        *mean[:moments],
        float(np.linalg.norm(mean)),
        *np.linalg.eigvalsh((x * m[:, None]).T @ x)[-moments:],
        *power,
        float(np.count_nonzero(masses >= 0.01)),
        float(masses.max()),
    ]
    names = token_diagnostic_names(d)
    return {name: float(value) for name, value in zip(names, values, strict=True)}


class PeakCounter:
    """Count the clusters of a density: its peaks that stand out.

    A cluster is a local maximum of rho on the mesh that is higher than the uniform density, 1, and
    at least twice as high as the highest saddle on the way to a higher maximum (topological
    persistence of log rho of at least log 2; the highest peak is compared with the minimum). The
    uniform state has none.

    Args:
        mesh: the whole mesh.
    """

    def __init__(self, mesh: Mesh) -> None:
        edges = mesh_edges(mesh)
        n = mesh.points.shape[0]
        ends = np.concatenate([edges[:, 0], edges[:, 1]])
        order = np.argsort(ends, kind="stable")
        self._neighbour = np.concatenate([edges[:, 1], edges[:, 0]])[order].astype(np.int32)
        counts = np.bincount(ends, minlength=n)
        self._start = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

    def count(self, rho: Array) -> int:
        """Number of clusters of a density (n,) at the vertices, in the order of the mesh."""
        log_rho = np.log(np.maximum(rho, 1e-300))
        order = np.argsort(-log_rho, kind="stable").astype(np.int32)
        return int(_count_peaks(self._start, self._neighbour, log_rho, order, PROMINENCE))


@nb.njit(cache=True)
def _count_peaks(start: Array, neighbour: Array, height: Array, order: Array, least: float) -> int:
    """Sweep down from the top; where two hills meet, the lower one ends. ``height``: log rho."""
    parent = np.full(height.size, -1, dtype=np.int32)  # union-find; a hill's root is its peak
    peaks = 0
    for v in order:
        own = -1
        for k in range(start[v], start[v + 1]):
            u = neighbour[k]
            if parent[u] < 0:
                continue
            root = u
            while parent[root] != root:
                parent[root] = parent[parent[root]]
                root = parent[root]
            if own < 0:
                own = root
            elif root != own:
                low, high = (own, root) if height[own] < height[root] else (root, own)
                if height[low] > 0.0 and height[low] - height[v] >= least:
                    peaks += 1
                parent[low] = high
                own = high
        parent[v] = v if own < 0 else own
    top, bottom = height[order[0]], height[order[-1]]
    if top > 0.0 and top - bottom >= least:
        peaks += 1
    return peaks


def moved_clusters(mesh: Mesh, log_rho: Array, mass: Array, near: float) -> int:
    """Number of clusters (``PeakCounter``) of a density on a mesh that has moved.

    Vertices joined by edges that are becoming short are one peak, whatever their densities, once
    one of these edges is short: the parts of a cluster that collapse at slightly different times
    are no clusters. Such a collapsed
    peak is a cluster if it holds 1 % of the mass. (Its prominence says nothing: the cells that are
    torn apart between two clusters become needles, of next to no mass but a high density.) The
    saddle on an edge is the lower of its ends, and at most what its cells can hold
    (``analysis.evaluate``).

    Args:
        mesh: where it is now.
        log_rho, mass: (n,) at the vertices.
        near: an edge (chord) up to this length is short, one up to 100 times that becomes so.
    """
    n, edges = mesh.n_vertices, mesh_edges(mesh)
    x = mesh.manifold.lift(mesh.points)
    length = np.linalg.norm(x[edges[:, 0]] - x[edges[:, 1]], axis=1)
    close = edges[length <= _BEGUN * near]
    graph = coo_matrix((np.ones(len(close)), (close[:, 0], close[:, 1])), shape=(n, n))
    part = connected_components(graph, directed=False)[1]
    collapsing = np.zeros(n, dtype=bool)
    collapsing[part[edges[length <= near, 0]]] = True
    group = np.unique(np.where(collapsing[part], part, n + np.arange(n)), return_inverse=True)[1]
    group = group.reshape(-1)
    height = np.full(int(group.max()) + 1, -np.inf)
    np.maximum.at(height, group, log_rho)
    cells = mesh.cells
    corners = cells.shape[1]
    sides = [(0, 1), (1, 2), (2, 0)] if corners == 3 else [(0, 1)]
    ends = group[np.concatenate([cells[:, list(side)] for side in sides])]
    bound = np.tile(log_bounds(mesh, mass), len(sides))
    saddle = np.minimum(np.min(height[ends], axis=1), bound)
    apart = ends[:, 0] != ends[:, 1]
    ends, saddle = ends[apart], saddle[apart]
    order = np.argsort(-saddle, kind="stable")
    members = np.bincount(group)
    collapsed = (members > 1) & (np.bincount(group, weights=mass) >= 0.01)
    solid = np.where(members > 1, np.where(collapsed, 1, -1), 0)
    return int(_join_peaks(ends[order], saddle[order], height, solid, PROMINENCE))


@nb.njit(cache=True)
def _join_peaks(ends: IntArray, saddle: Array, height: Array, solid: IntArray, least: float) -> int:
    """Join hills over falling saddles; where two meet, the lower one ends.

    ``solid``: 1: a peak whatever the saddle, -1: none, 0: by its prominence.
    """
    parent = np.arange(height.size)
    peaks, bottom = 0, np.inf
    for k in range(ends.shape[0]):
        a, b = ends[k, 0], ends[k, 1]
        while parent[a] != a:
            parent[a] = parent[parent[a]]
            a = parent[a]
        while parent[b] != b:
            parent[b] = parent[parent[b]]
            b = parent[b]
        if a == b:
            continue
        # The root of a hill is its peak; what is no peak by its mass never is one.
        if (solid[a] < 0) != (solid[b] < 0):
            low, high = (a, b) if solid[a] < 0 else (b, a)
        else:
            low, high = (a, b) if height[a] < height[b] else (b, a)
        prominent = height[low] > 0.0 and height[low] - saddle[k] >= least
        if solid[low] > 0 or (solid[low] == 0 and prominent):
            peaks += 1
        parent[low] = high
        bottom = saddle[k]
    root = 0
    while parent[root] != root:
        root = parent[root]
    if solid[root] > 0 or (height[root] > 0.0 and height[root] - bottom >= least):
        peaks += 1
    return peaks
