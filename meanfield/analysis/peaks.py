"""How many clusters there are: peaks of a density that stand out, also where the mesh has moved.

NumPy, SciPy and Numba; knows meshes, and nothing of solvers and files.
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from meanfield.analysis.evaluate import log_bounds
from meanfield.geometry.mesh import IntArray, Mesh, mesh_edges
from meanfield.geometry.sphere import Array
from meanfield.geometry.unionfind import root_of

__all__ = ["PROMINENCE", "PeakCounter", "moved_basins", "moved_clusters"]

PROMINENCE = math.log(2.0)
"""How far a peak of log rho must stand out to be a cluster."""

_BEGUN = 100.0  # length of an edge that is about to collapse, over that of one that has


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
        uses = np.bincount(mesh.cells.ravel(), minlength=mesh.n_vertices)
        room = np.concatenate([[0], np.cumsum(uses * (mesh.cells.shape[1] - 1))])
        found = np.empty(room[-1], dtype=np.int32)
        self._start = np.zeros(mesh.n_vertices + 1, dtype=np.int64)
        _gather_neighbours(mesh.cells, room, found, self._start)
        self._neighbour = found[: self._start[-1]].copy()

    def count(self, rho: Array) -> int:
        """Number of clusters of a density (n,) at the vertices, in the order of the mesh."""
        log_rho = np.log(np.maximum(rho, 1e-300))
        order = np.argsort(-log_rho, kind="stable").astype(np.int32)
        return int(_count_peaks(self._start, self._neighbour, log_rho, order, PROMINENCE))

    def largest(self, rho: Array, mass: Array) -> float:
        """Mass of the heaviest cluster; 0: there is none.

        That of its basin: the vertices from which the way up, along the steepest edges, leads to
        its peak, or to one that does not stand out on the way to it.

        Args:
            rho, mass: (n,) density and masses at the vertices, in the order of the mesh.
        """
        basin = self.basins(rho)
        inside = basin >= 0
        if not np.any(inside):
            return 0.0
        return float(np.bincount(basin[inside], weights=mass[inside]).max())

    def basins(self, rho: Array) -> IntArray:
        """The peak (a vertex) of the cluster that each vertex belongs to, (n,); -1: of none.

        As ``largest`` says; there are as many peaks as ``count`` says, and each is in its own
        basin.
        """
        if self.count(rho) == 0:
            return np.full(len(rho), -1, dtype=np.int64)
        log_rho = np.log(np.maximum(rho, 1e-300))
        order = np.argsort(-log_rho, kind="stable").astype(np.int32)
        found: IntArray = _basins(self._start, self._neighbour, log_rho, order, PROMINENCE)
        return found


@nb.njit(cache=True)
def _gather_neighbours(cells: IntArray, room: IntArray, found: IntArray, start: IntArray) -> None:
    """Neighbours of each vertex, rising, in found[start[v] : start[v + 1]].

    ``room``: (n + 1,) where the neighbours of each would begin if none were in two of its cells.
    """
    n, corners = start.size - 1, cells.shape[1]
    end = room[:n].copy()
    for cell in range(cells.shape[0]):
        for a in range(corners):
            v = cells[cell, a]
            for b in range(corners):
                if b != a:  # sorted in, the longer ones one place up
                    u, k = cells[cell, b], end[v]
                    while k > room[v] and found[k - 1] > u:
                        found[k] = found[k - 1]
                        k -= 1
                    found[k] = u
                    end[v] += 1
    last = 0
    for v in range(n):
        start[v] = last
        for k in range(room[v], end[v]):
            u = found[k]
            if k == room[v] or u != found[last - 1]:
                found[last] = u
                last += 1
    start[n] = last


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
            root = root_of(parent, u)
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


@nb.njit(cache=True)
def _basins(start: Array, neighbour: Array, height: Array, order: Array, least: float) -> IntArray:
    """The peak (a vertex) of the cluster that each vertex belongs to. See ``_count_peaks``.

    A hill that ends without having stood out joins the basin across the saddle; none of its own
    peaks has stood out, either.
    """
    n = height.size
    parent = np.full(n, -1, dtype=np.int32)  # of hills
    joined = np.arange(n)  # of basins
    basin = np.full(n, -1, dtype=np.int64)
    for v in order:
        own, top = -1, -1  # the hill below which it is, and its highest neighbour there
        highest = -1
        for k in range(start[v], start[v + 1]):
            u = neighbour[k]
            if parent[u] < 0:
                continue
            if highest < 0 or height[u] > height[highest]:
                highest = u
            root = root_of(parent, u)
            if own < 0:
                own, top = root, u
            elif root == own:
                top = u if height[u] > height[top] else top
            else:
                low, high, from_, to = own, root, top, u
                if height[own] >= height[root]:
                    low, high, from_, to = root, own, u, top
                if not (height[low] > 0.0 and height[low] - height[v] >= least):
                    joined[root_of(joined, basin[from_])] = root_of(joined, basin[to])
                parent[low] = high
                own, top = high, to
        parent[v] = v if own < 0 else own
        basin[v] = v if highest < 0 else basin[highest]
    for v in range(n):
        basin[v] = root_of(joined, basin[v])
    return basin


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
    basin = moved_basins(mesh, log_rho, mass, near)
    return len(np.unique(basin[basin >= 0]))


def moved_basins(mesh: Mesh, log_rho: Array, mass: Array, near: float) -> IntArray:
    """The peak (a vertex) of the cluster that each vertex belongs to, (n,); -1: of none.

    Of a density on a mesh that has moved; clusters and arguments as for ``moved_clusters``. A
    vertex belongs to the cluster that the way up leads to, along the edges with the highest
    saddles, and of equal ones along the steepest.
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
    order = np.lexsort((-np.max(height[ends], axis=1), -saddle))
    members = np.bincount(group)
    collapsed = (members > 1) & (np.bincount(group, weights=mass) >= 0.01)
    solid = np.where(members > 1, np.where(collapsed, 1, -1), 0)
    basin = _join_peaks(ends[order], saddle[order], height, solid, PROMINENCE)
    # The highest vertex of a group stands for it, of equal ones the first.
    by_height = np.lexsort((np.arange(n), -log_rho))
    groups, first = np.unique(group[by_height], return_index=True)
    peak = np.empty(len(height), dtype=np.int64)
    peak[groups] = by_height[first]
    return np.asarray(np.where(basin >= 0, peak[basin], -1)[group])


@nb.njit(cache=True)
def _join_peaks(
    ends: IntArray, saddle: Array, height: Array, solid: IntArray, least: float
) -> IntArray:
    """Join hills over falling saddles; where two meet, the lower one ends.

    ``solid``: 1: a peak whatever the saddle, -1: none, 0: by its prominence. Gives the peak whose
    basin each belongs to; -1: that of the highest hill, which is no peak itself.
    """
    parent = np.arange(height.size)  # of hills
    joined = np.arange(height.size)  # of basins
    bottom = np.inf
    for k in range(ends.shape[0]):
        a, b = root_of(parent, ends[k, 0]), root_of(parent, ends[k, 1])
        if a == b:
            continue
        # The root of a hill is its peak; what is no peak by its mass never is one.
        if (solid[a] < 0) != (solid[b] < 0):
            a_is_low = solid[a] < 0
        else:
            a_is_low = height[a] < height[b]
        low, high, across = (a, b, ends[k, 1]) if a_is_low else (b, a, ends[k, 0])
        prominent = height[low] > 0.0 and height[low] - saddle[k] >= least
        if not (solid[low] > 0 or (solid[low] == 0 and prominent)):
            # What the low hill holds of other peaks stays theirs.
            joined[low] = root_of(joined, across)
        parent[low] = high
        bottom = saddle[k]
    root = root_of(parent, 0)
    alone = not (solid[root] > 0 or (height[root] > 0.0 and height[root] - bottom >= least))
    basin = np.empty(height.size, dtype=np.int64)
    for v in range(height.size):
        basin[v] = root_of(joined, v)
        if alone and basin[v] == root:
            basin[v] = -1
    return basin
