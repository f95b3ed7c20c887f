"""Clusters as a table: where each is, what it holds and how wide it is.

Of tokens by their groups, of densities by the basins of their peaks. NumPy; knows meshes, and
nothing of solvers and files.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from meanfield.analysis.peaks import PROMINENCE, PeakCounter, moved_basins
from meanfield.arguments import checked_arguments
from meanfield.checks import real_array
from meanfield.errors import InputError
from meanfield.geometry.mesh import IntArray, Mesh, delaunay_weights
from meanfield.geometry.points import unit_vectors
from meanfield.geometry.sphere import Array
from meanfield.software import load_pandas

if TYPE_CHECKING:
    import pandas

__all__ = [
    "CLUSTER_MASS",
    "ClusterTable",
    "clusters_of_density",
    "clusters_of_moved_density",
    "clusters_of_tokens",
]

CLUSTER_MASS = 0.01
"""Tokens that are a cluster hold this share of the mass at least."""

_ROUND_OFF = 1e-12  # of a sum of masses
_NOWHERE = 1e-9  # length of a mean from which on it has a direction
_ROWS = 5  # clusters that are told in words
_COORDINATES = 4  # of a centre, likewise


def _nothing() -> IntArray:
    return np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, eq=False, repr=False)
class ClusterTable:
    """The clusters at one time, the heaviest first; of equal ones that of the lowest number.

    As many as the column ``clusters`` of the series counts. Masses of tokens in small groups, and
    of a density without a peak that stands out, are in none of them.

    Attributes:
        t: time.
        centre: (c, d) unit vectors: the direction of the mean of each. Where the mean has none, as
            of points all round a circle, the first token of the group, or the peak.
        mass: (c,) shares of all mass. Of a density that of the basin of its peak: the vertices from
            which the way up, along the steepest edges, leads to it.
        spread: (c,) root of the mean squared angle to the centre, in radians; of a ring, to it.
        ring: (c,) radius in radians of a cluster that is a ring about its centre; 0: it is none.
            Rings are peaks of zonal densities away from the poles: the centre is the nearer pole,
            the radius the mean angle from there. (A peak is at a pole if the density there is more
            than half of it.)
        number: (c,) of each cluster: 1, 2, ... by mass; in ``clusters.csv`` a cluster keeps it
            from time to time.
        member: (n,) row in this table of each token or vertex, -1: in none; (0,) where the table
            was read from a file.

    Example:
        >>> case = mf.Case(
        ...     geometry=mf.Unmeshed(d=3),
        ...     model=mf.Model(attention="sa", beta=1.0),
        ...     initial=mf.VonMisesFisher(mean=[0.0, 0.0, 1.0], concentration=1e12),
        ...     solver=mf.Particles(number=8),
        ...     time=mf.Time(end=0.1),
        ... )
        >>> mf.run(case, progress=False).clusters().mass
        array([1.])
    """

    t: float
    centre: Array
    mass: Array
    spread: Array
    ring: Array
    number: IntArray
    member: IntArray = field(default_factory=_nothing, repr=False)

    def __len__(self) -> int:
        return len(self.mass)

    def __repr__(self) -> str:
        count = len(self)
        lines = [f"{count} cluster{'s' * (count != 1)} at t = {self.t:.6g}"]
        for row in range(min(count, _ROWS)):
            ring = f", a ring of radius {self.ring[row]:.3g}" * bool(self.ring[row])
            lines.append(
                f"  {self.number[row]}: mass {self.mass[row]:.4g}, spread {self.spread[row]:.3g}, "
                f"at {_place(self.centre[row])}{ring}"
            )
        if count > _ROWS:
            lines.append(f"  and {count - _ROWS} more")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """The table that a notebook shows, with all its rows."""
        columns = self.columns()
        head = "".join(f"<th>{name}</th>" for name in columns)
        rows = (
            "".join(f"<td>{value:.6g}</td>" for value in row)
            for row in zip(*columns.values(), strict=True)
        )
        body = "".join(f"<tr>{row}</tr>" for row in rows)
        return f"<table><tr>{head}</tr>{body}</table>"

    @staticmethod
    def names(d: int) -> tuple[str, ...]:
        """Names of the columns, as in ``clusters.csv``."""
        return ("t", "cluster", "mass", "spread", "ring", *(f"x{k}" for k in range(1, d + 1)))

    def columns(self) -> dict[str, NDArray[np.generic]]:
        """The table by the names of its columns, (c,) each."""
        given = (
            np.full(len(self), self.t), self.number, self.mass, self.spread, self.ring,
            *self.centre.T,
        )  # fmt: skip
        return dict(zip(self.names(self.centre.shape[1]), given, strict=True))

    def to_pandas(self) -> pandas.DataFrame:
        """The table as a ``pandas.DataFrame``, a row a cluster.

        Raises:
            InputError: pandas is not installed.
        """
        frame: pandas.DataFrame = load_pandas().DataFrame(self.columns())
        return frame


@checked_arguments
def clusters_of_tokens(x: Array, masses: Array, labels: IntArray, t: float = 0.0) -> ClusterTable:
    """The groups of tokens that hold 1 % of the mass or more.

    Args:
        x: (n, d) tokens, unit vectors to 1e-6.
        masses: (n,), each >= 0, their sum above 0.
        labels: (n,) number of the group of each (``cluster_labels``), 0 or more.
        t: time.

    Raises:
        InputError: what are no tokens, or another number of masses or labels.
    """
    x = real_array(x, "tokens", "(n, d) unit vectors")
    x = unit_vectors(x, x.shape[1] if x.ndim == 2 else 2, "tokens")
    masses, labels = _values(masses, "masses", len(x)), _values(labels, "labels", len(x))
    if not np.all((labels >= 0) & (labels == np.round(labels))):
        raise InputError("labels: expected whole numbers, 0 or more")
    share = _shares(masses)
    _, first, name = np.unique(labels, return_index=True, return_inverse=True)
    name = name.reshape(-1)
    kept = np.bincount(name, weights=share) >= CLUSTER_MASS
    group = np.where(kept, np.cumsum(kept) - 1, -1)
    return _table(x, share, group[name], x[first[kept]], t)


@checked_arguments
def clusters_of_density(
    mesh: Mesh,
    rho: Array,
    t: float = 0.0,
    counter: PeakCounter | None = None,
    weights: Array | None = None,
) -> ClusterTable:
    """The clusters of a density on a mesh that stays (``PeakCounter``).

    Args:
        mesh: where it is.
        rho: (n,) at the vertices.
        t: time.
        counter: of this mesh, if there is one; it takes longer to make than to use.
        weights: (n,) of its vertices (``delaunay_weights``), likewise.

    Raises:
        InputError: another number of values, negative ones or no numbers.
    """
    rho = _values(rho, "rho", mesh.n_vertices)
    if not np.all(np.isfinite(rho) & (rho >= 0.0)):
        raise InputError("rho: expected finite numbers, 0 or more")
    given = delaunay_weights(mesh)[2] if weights is None else weights
    share = _shares(_values(given, "weights", mesh.n_vertices) * rho)
    basin = (PeakCounter(mesh) if counter is None else counter).basins(rho)
    with np.errstate(divide="ignore"):
        return _of_basins(mesh, np.log(rho), share, basin, t)


@checked_arguments
def clusters_of_moved_density(
    mesh: Mesh, log_rho: Array, mass: Array, near: float, t: float = 0.0
) -> ClusterTable:
    """The clusters of a density on a mesh that has moved with it (``moved_clusters``).

    Args:
        mesh: where it is now.
        log_rho: (n,) at the vertices.
        mass: (n,) that they carry.
        near: an edge (chord) up to this length has collapsed.
        t: time.

    Raises:
        InputError: another number of values, or masses that are none.
    """
    log_rho = _values(log_rho, "log_rho", mesh.n_vertices)
    share = _shares(_values(mass, "mass", mesh.n_vertices))
    return _of_basins(mesh, log_rho, share, moved_basins(mesh, log_rho, share, near), t)


def _place(x: Array) -> str:
    """The first coordinates of a point, in words."""
    words = [f"{value:.3f}" for value in x[:_COORDINATES]]
    return f"({', '.join([*words, '...'] if len(x) > _COORDINATES else words)})"


def _values(given: object, name: str, n: int) -> Array:
    """Numbers (n,) as doubles."""
    values = real_array(given, name, f"({n},) numbers")
    if values.shape != (n,):
        raise InputError(f"{name} of shape {values.shape} found, ({n},) expected")
    return values.astype(np.float64)


def _shares(masses: Array) -> Array:
    """Of all mass, (n,); those of a run are, and stay as they are to the last bit."""
    total = float(np.sum(masses))
    if not (np.all(masses >= 0.0) and 0.0 < total < math.inf):
        raise InputError("masses: expected numbers of 0 or more, with a finite sum above 0")
    return masses if abs(total - 1.0) < _ROUND_OFF else masses / total


def _of_basins(mesh: Mesh, log_rho: Array, share: Array, basin: IntArray, t: float) -> ClusterTable:
    """The table of peaks (vertices, -1: none) of which each vertex is in the basin."""
    peaks, inverse = np.unique(basin, return_inverse=True)
    group = inverse.reshape(-1) - int(peaks[0] < 0)
    peaks = peaks[peaks >= 0]
    x = mesh.manifold.embed(mesh.points)
    if not mesh.manifold.latitudes:
        return _table(x, share, group, x[peaks], t)
    return _table_of_rings(mesh, log_rho, share, (group, peaks), t)


def _table(x: Array, share: Array, group: IntArray, instead: Array, t: float) -> ClusterTable:
    """The table of groups 0, 1, ..., c - 1 (-1: none) of points.

    ``instead``: (c, d) centres, where the mean of a group has no direction.
    """
    count, inside = len(instead), group >= 0
    x, share_in, group_in = x[inside], share[inside], group[inside]
    mass = np.bincount(group_in, weights=share_in, minlength=count)
    sums = [np.bincount(group_in, weights=share_in * column, minlength=count) for column in x.T]
    mean = np.stack(sums, axis=1)
    length = np.linalg.norm(mean, axis=1)
    directed = length > _NOWHERE * mass
    centre = np.where(directed[:, None], mean / np.where(directed, length, 1.0)[:, None], instead)
    chord = np.linalg.norm(x - centre[group_in], axis=1)
    angle = 2.0 * np.arcsin(np.minimum(0.5 * chord, 1.0))
    return _sorted(t, centre, mass, _spread(angle, share_in, group_in, mass), group)


def _table_of_rings(
    mesh: Mesh, log_rho: Array, share: Array, basins: tuple[IntArray, IntArray], t: float
) -> ClusterTable:
    """The same of a zonal density: its peaks are at the poles, or rings."""
    group, peaks = basins
    theta, inside = mesh.manifold.angles(mesh.points), group >= 0
    share_in, group_in = share[inside], group[inside]
    mass = np.bincount(group_in, weights=share_in, minlength=len(peaks))
    weight = np.where(mass > 0.0, mass, 1.0)
    mean = np.bincount(group_in, weights=share_in * theta[inside], minlength=len(peaks)) / weight
    south = theta[peaks] > 0.5 * math.pi
    pole = np.where(south, np.argmax(theta), np.argmin(theta))
    filled = (group[pole] == np.arange(len(peaks))) & (log_rho[pole] > log_rho[peaks] - PROMINENCE)
    # The pole that is nearer to the ring itself.
    south = np.where(filled, south, mean > 0.5 * math.pi)
    at = np.where(filled, np.where(south, math.pi, 0.0), mean)
    centre = np.zeros((len(peaks), mesh.d))
    centre[:, -1] = np.where(south, -1.0, 1.0)
    spread = _spread(np.abs(theta[inside] - at[group_in]), share_in, group_in, mass)
    ring = np.where(filled, 0.0, np.where(south, math.pi - at, at))
    return _sorted(t, centre, mass, spread, group, ring)


def _spread(angle: Array, share: Array, group: IntArray, mass: Array) -> Array:
    """Root of the mean square of angles in each group, (c,)."""
    square = np.bincount(group, weights=share * angle**2, minlength=len(mass))
    return np.asarray(np.sqrt(square / np.where(mass > 0.0, mass, 1.0)))


def _sorted(
    t: float, centre: Array, mass: Array, spread: Array, group: IntArray, ring: Array | None = None
) -> ClusterTable:
    """The table, the heaviest cluster first."""
    order = np.argsort(-mass, kind="stable")
    row = np.empty(len(mass) + 1, dtype=np.int64)
    row[order], row[-1] = np.arange(len(mass)), -1
    ring = np.zeros(len(mass)) if ring is None else ring[order]
    numbers = np.arange(1, len(mass) + 1)
    return ClusterTable(
        float(t), centre[order], mass[order], spread[order], ring, numbers, row[group]
    )
