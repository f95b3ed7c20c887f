"""Densities of a folder at a few times, on one mesh that is small enough for a page.

Owns the choice of times and of the mesh. Knows nothing of HTML.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from meanfield.analysis.evaluate import log_density_at
from meanfield.figures.reading import energy_at
from meanfield.figures.slices import is_sliced
from meanfield.figures.style import telling_steps
from meanfield.geometry.manifolds import Latitudes, Manifold, of_vectors
from meanfield.geometry.mesh import Mesh, icosphere
from meanfield.geometry.sphere import Array
from meanfield.reports.rings import Rings, rings_of
from meanfield.results.comparison import StoredDensity
from meanfield.results.folder import RunFolder
from meanfield.results.formats import FieldSeries
from meanfield.results.outputs import known_fields
from meanfield.scenes import views

__all__ = ["Frames", "frames_of"]

LEVEL = 5
_MOST = 10 * 4**LEVEL + 2  # vertices of a sphere
_LATITUDES, _ANGLES = 120, 720
_LOWEST = -300.0


@dataclass(frozen=True)
class Frames:
    """A density at a few times.

    Attributes:
        on: its geometry.
        points: vertices, (n, 3) unit vectors of a sphere; else (n, gdim) of the geometry.
        cells: (m, 3) or (m, 2).
        labels: of the times, k texts.
        values: log10 of it (uniform = 1), (k, n), at least -300.
        masses: at the vertices, (k, n), rows sum to one.
        notes: what the reader must know.
        rings: of a surface, round what is narrow, at each time.
        limits: of the colours of a surface.
        moving: whether the mesh was another one at each time.
    """

    on: Manifold
    points: Array
    cells: NDArray[np.int64]
    labels: tuple[str, ...]
    values: Array
    masses: Array
    notes: tuple[str, ...] = ()
    rings: tuple[Rings, ...] = ()
    limits: tuple[float, float] = (-2.0, 2.0)
    moving: bool = False

    @property
    def is_surface(self) -> bool:
        """Whether it is on a sphere in space, and not along an angle."""
        return self.on.dimension == 2


def frames_of(run: RunFolder, most: int) -> Frames | None:
    """The density of a run, a comparison or a stationary state at ``most`` times or fewer.

    None: the folder has none that can be shown (tokens, slices, no step).
    """
    if run.kind == "compare":
        return _of_comparison(run, most)
    if run.kind == "stationary":
        return _of_state(run.path / "density.vtu")
    if not run.fields_path.is_file():
        return None
    fields = known_fields(run)
    if fields.density_name is None or not len(fields.times) or is_sliced(fields):
        return None
    steps = telling_steps(fields.times, energy_at(run, fields.times), most)
    read = _moving if fields.moving else _fixed
    return read(fields, steps, _chosen(steps, len(fields.times)))


def _chosen(steps: list[int], number: int) -> tuple[str, ...]:
    if len(steps) == number:
        return ()
    return (f"{len(steps)} of {number} times, those at which most happens",)


def labels_of(times: Array) -> tuple[str, ...]:
    """Times as they are shown."""
    return tuple(f"t = {float(t):.4g}" for t in times)


def _log10(fields: FieldSeries, k: int) -> Array:
    return np.maximum(fields.log10_density(k), _LOWEST)


def _fixed(fields: FieldSeries, steps: list[int], notes: tuple[str, ...]) -> Frames:
    values = np.stack([_log10(fields, k) for k in steps])
    labels = labels_of(fields.times[steps])
    if fields.manifold.dimension == 2:
        return _on_sphere(fields.manifold, fields.points, fields.cells, labels, values, notes)
    mesh = fields.mesh
    return _along(mesh.manifold, mesh.points, mesh.cells, labels, values, notes)


def _on_sphere(
    on: Manifold,
    points: Array,
    cells: NDArray[np.int64],
    labels: tuple[str, ...],
    values: Array,
    notes: tuple[str, ...] = (),
) -> Frames:
    """A density at the vertices of a fixed mesh of the sphere, thinned if it is a fine one."""
    masses = views.vertex_weights(points, cells) * 10.0 ** np.clip(values, -300.0, 300.0)
    masses /= masses.sum(axis=1, keepdims=True)
    rings = tuple(rings_of(points, mass) for mass in masses)
    limits = views.colour_range(values, views.vertex_weights(points, cells), masses)
    if len(points) > _MOST:
        shown = icosphere(LEVEL)
        place = cKDTree(shown.points).query(points)[1]
        masses = np.stack([np.bincount(place, m, minlength=len(shown.points)) for m in masses])
        values = values[:, cKDTree(points).query(shown.points)[1]]
        notes = (*notes, _thinned(len(points)))
        points, cells = shown.points, shown.cells
    return Frames(on, points, cells, labels, values, masses, notes, rings, limits)


def _thinned(vertices: int) -> str:
    return (
        f"shown at {_MOST:,} vertices of {vertices:,}: what is narrower than a cell of these may "
        "be missed, and is ringed"
    )


def _along(
    on: Manifold,
    points: Array,
    cells: NDArray[np.int64],
    labels: tuple[str, ...],
    values: Array,
    notes: tuple[str, ...] = (),
) -> Frames:
    """A density along an angle."""
    masses = on.shares(points, cells)
    corners = np.bincount(cells.ravel(), np.repeat(masses, cells.shape[1]) / cells.shape[1])
    masses = corners * 10.0 ** np.clip(values, -300.0, 300.0)
    return Frames(on, points, cells, labels, values, masses / masses.sum(1, keepdims=True), notes)


def _moving(fields: FieldSeries, steps: list[int], notes: tuple[str, ...]) -> Frames:
    """A density on a mesh that moves, read on one that stays.

    Rings and limits are those of its own points and masses: what has collapsed is between places.
    """
    on = fields.manifold
    base = fields.mesh
    if on.dimension == 2 and base.n_vertices > _MOST:
        base, notes = icosphere(LEVEL), (*notes, _thinned(base.n_vertices))
    elif on.dimension == 1:
        base = _even(on)
    tree, rows, held = cKDTree(base.points), [], []
    rings, ranges = [], []
    for k in steps:
        there = fields.at(k)
        log10_rho, mass, mesh = _log10(there, k), there.read("mass", k), there.mesh
        found = log_density_at(mesh, math.log(10.0) * log10_rho, mass, base.points)
        row = found / math.log(10.0)
        place = tree.query(mesh.points)[1]
        if on.dimension == 1:  # a collapsed cluster is a line at one angle
            np.maximum.at(row, place, log10_rho)
        rows.append(np.maximum(row, _LOWEST))
        held.append(np.bincount(place, mass, minlength=base.n_vertices))
        if on.dimension == 2:
            share, areas = mass / mass.sum(), views.vertex_weights(mesh.points, mesh.cells)
            rings.append(rings_of(mesh.points, share))
            ranges.append(views.colour_range(log10_rho[None], areas, share[None]))
    masses, values = np.stack(held), np.stack(rows)
    masses /= masses.sum(axis=1, keepdims=True)
    notes = (*notes, "the mesh moves with the flow: read at places that stay")
    labels = labels_of(fields.times[steps])
    limits = _joint(ranges, values)
    rest = notes, tuple(rings), limits, True
    return Frames(on, base.points, base.cells, labels, values, masses, *rest)


def _joint(ranges: list[tuple[float, float]], values: Array) -> tuple[float, float]:
    """One range of colours for all times, which ends where nothing shown is above it."""
    low = min((low for low, _ in ranges), default=-2.0)
    high = min(max((high for _, high in ranges), default=2.0), math.ceil(2.0 * values.max()) / 2.0)
    return low, max(high, low + 0.5)


def _even(on: Manifold) -> Mesh:
    """Evenly spaced places round a circle or from pole to pole."""
    points = on.evenly(_ANGLES if on.closed else _LATITUDES)
    n = len(points)
    cells = np.column_stack([np.arange(n), np.arange(1, n + 1) % n])
    return Mesh(on.name, on.d, points, cells if on.closed else cells[:-1])


def _of_comparison(run: RunFolder, most: int) -> Frames | None:
    if not StoredDensity.is_in(run):
        return None
    stored = StoredDensity.read(run.path)
    if stored.slices is not None:
        return None
    steps = telling_steps(stored.times, stored.energy, most)
    values = np.log10(np.maximum(stored.rho[steps], 1e-300))
    mesh, labels = stored.mesh, labels_of(stored.times[steps])
    read = _on_sphere if mesh.manifold.dimension == 2 else _along
    notes = _chosen(steps, len(stored.times))
    return read(mesh.manifold, mesh.points, mesh.cells, labels, values, notes)


def _of_state(path: Path) -> Frames | None:
    if not path.is_file():
        return None
    import meshio

    data = meshio.read(path)
    values = np.maximum(data.point_data["log10_rho"], _LOWEST)[None]
    triangles, labels = data.get_cells_type("triangle"), ("stationary state",)
    if len(triangles):
        cells = triangles.astype(np.int64)
        return _on_sphere(of_vectors(3), data.points, cells, labels, values)
    cells = data.get_cells_type("line").astype(np.int64)
    on: Manifold = of_vectors(2)
    if "theta" in data.point_data:
        on = Latitudes(int(data.point_data["ambient_dimension"][0]))
    points = on.from_space(data.points, data.point_data.__getitem__)
    return _along(on, points, cells, labels, values)
