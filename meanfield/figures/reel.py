"""What is to be seen at a moment between two outputs of a run.

Owns interpolation in time. Knows nothing of how it is drawn.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meanfield.analysis.evaluate import log_density_at
from meanfield.errors import InputError
from meanfield.figures.slices import is_sliced
from meanfield.figures.style import cluster_colours
from meanfield.geometry.mesh import icosphere
from meanfield.geometry.sphere import Array, normalize
from meanfield.results.folder import RunFolder
from meanfield.results.formats import FieldSeries, TokenSeries, read_tokens_file
from meanfield.results.outputs import known_fields
from meanfield.scenes.views import (
    RING_RADIUS,
    colour_range,
    gathered,
    narrow,
    vertex_weights,
    view_direction,
)

__all__ = [
    "DensityReel",
    "Gathered",
    "TokenReel",
    "density_reel",
    "open_density",
    "open_tokens",
    "some",
    "token_reel",
]

_FLOOR = -6.0  # log10 of a density that is none, for interpolation in time
_MOST = 60  # outputs that decide on colours and viewpoint


def _between(times: Array, t: float) -> tuple[int, int, float]:
    """The outputs before and after a time, and how far it is from the first to the second."""
    k = int(np.clip(np.searchsorted(times, t, side="right") - 1, 0, max(len(times) - 2, 0)))
    later = min(k + 1, len(times) - 1)
    if later == k:
        return k, k, 0.0
    return k, later, float(np.clip((t - times[k]) / (times[later] - times[k]), 0.0, 1.0))


def some(count: int) -> list[int]:
    """Outputs, evenly from the first to the last, of which there may be very many."""
    return sorted(set(np.linspace(0, count - 1, min(count, _MOST)).round().astype(int).tolist()))


@dataclass(frozen=True)
class Gathered:
    """Places on S^2 that hold much mass, see ``views.gathered``.

    Attributes:
        centres: unit vectors, (c, 3).
        dots: log10 of the highest density there, (c,), of those too narrow for the mesh on which
            the density is shown; nan: of the others.
    """

    centres: Array
    dots: Array


@dataclass(frozen=True)
class DensityReel:
    """A density on one mesh at all times of a run.

    Attributes:
        fields: of the run.
        points: places, in the coordinates of the geometry, (n, gdim).
        cells: (m, 3) or (m, 2).
        read: log10 of the density at an output, (n,).
    """

    fields: FieldSeries
    points: Array
    cells: NDArray[np.int64]
    read: Callable[[int], Array]

    @property
    def times(self) -> Array:
        """Of the outputs, (k,)."""
        return self.fields.times

    def at(self, t: float) -> Array:
        """log10 of the density at a time, (n,), not below 1e-6 of the uniform one."""
        k, later, part = _between(self.times, t)
        if k == later or part == 0.0:
            return self.read(k)
        return np.asarray((1.0 - part) * self.read(k) + part * self.read(later))

    def gathered(self, t: float) -> Gathered:
        """What is ringed at a time, on S^2; of a mesh that moves by its own points and masses."""
        if not self.fields.moving:
            mass = self._weights * 10.0 ** self.at(t)
            centres = gathered(self.points, mass / mass.sum())
            return Gathered(centres, np.full(len(centres), math.nan))
        k, later, part = _between(self.times, t)
        points, mass, values = self._carried(k)
        if part > 0.0:
            # Vertices keep their numbers, and almost always their masses.
            ends = self._carried(later)
            points = normalize((1.0 - part) * points + part * ends[0])
            mass, values = (
                (1.0 - part) * a + part * b for a, b in ((mass, ends[1]), (values, ends[2]))
            )
        centres = gathered(points, mass)
        dots = np.full(len(centres), math.nan)
        for i in np.flatnonzero(narrow(points, mass, centres)):
            dots[i] = values[points @ centres[i] > math.cos(RING_RADIUS)].max()
        return Gathered(centres, dots)

    def seen(self) -> tuple[tuple[float, float], Array]:
        """On S^2: limits of log10 of the density for all times, and where most mass is seen from.

        Of a mesh that moves by its own points and masses: between those of the mesh on which the
        density is shown a cluster may hide. No value counts for more than that of all mass at one
        of n even vertices.
        """
        low, high, places, masses = math.inf, -math.inf, [], []
        top = math.log10(len(self.fields.points))
        for k in some(len(self.times)):
            if self.fields.moving:
                points, mass, values = self._carried(k)
                weights = vertex_weights(points, self.fields.at(k).cells)
                values = np.minimum(values, top)
            else:
                points, values, weights = self.points, self.read(k), self._weights
                mass = weights * 10.0**values
                mass = mass / mass.sum()
            limits = colour_range(values[None], weights, mass[None])
            low, high = min(low, limits[0]), max(high, limits[1])
            places.append(points)
            masses.append(mass)
        held = np.concatenate(masses) / len(masses)
        return (low, high), view_direction(np.concatenate(places), held[None])

    def extremes(self) -> tuple[float, float]:
        """The lowest and highest log10 of the density that are shown."""
        rows = [self.read(k) for k in some(len(self.times))]
        return min(float(row.min()) for row in rows), max(float(row.max()) for row in rows)

    @functools.cached_property
    def _weights(self) -> Array:
        return vertex_weights(self.points, self.cells)

    def _carried(self, k: int) -> tuple[Array, Array, Array]:
        """Where the vertices are at an output, their masses, and log10 of the density there."""
        there = self.fields.at(k)
        mass = there.read("mass", k)
        return there.points, mass / mass.sum(), np.maximum(there.log10_density(k), _FLOOR)


def open_density(run: RunFolder) -> DensityReel:
    """The density of a run.

    Raises:
        InputError: there is none, or not at two times, or one for each position.
    """
    fields = known_fields(run)
    _refuse_still(fields.times, run)
    return density_reel(fields)


def density_reel(fields: FieldSeries) -> DensityReel:
    """The density that these fields hold.

    Raises:
        InputError: there is none, or one for each position.
    """
    if fields.density_name is None:
        raise InputError(
            f"{fields.path} has no density, only {', '.join(fields.all_names)}: expected 'rho' or "
            "'log10_rho' in output.fields"
        )
    if is_sliced(fields):
        raise InputError(f"{fields.path}: found a density for each position, expected one density")

    if not fields.moving:
        mesh = fields.mesh

        @functools.lru_cache(maxsize=4)
        def fixed(k: int) -> Array:
            return np.maximum(fields.log10_density(k), _FLOOR)

        return DensityReel(fields, mesh.points, mesh.cells, fixed)
    # Even places, about as many as there are vertices: those gather where the density is.
    if fields.manifold.dimension == 1:
        points, cells = fields.manifold.evenly(720), fields.mesh.cells
    else:
        even = icosphere(5 if len(fields.points) < 20_000 else 6)
        points, cells = even.points, even.cells

    @functools.lru_cache(maxsize=4)
    def moving(k: int) -> Array:
        there = fields.at(k)
        log_rho = math.log(10.0) * there.log10_density(k)
        found = log_density_at(there.mesh, log_rho, there.read("mass", k), points)
        return np.maximum(found / math.log(10.0), _FLOOR)

    return DensityReel(fields, points, cells, moving)


@dataclass(frozen=True)
class TokenReel:
    """Tokens of a run at all times.

    Attributes:
        tokens: of the run.
        masses: (n,), sum 1.
        colours: numbers of the colours of all tokens at the outputs, (k, n) small integers.
    """

    tokens: TokenSeries
    masses: Array
    colours: NDArray[np.int64]

    @property
    def times(self) -> Array:
        """Of the outputs, (k,)."""
        return self.tokens.times

    def at(self, t: float) -> tuple[Array, NDArray[np.int64]]:
        """Places (n, 3) and colours (n,) at a time; of clusters, those of the output before."""
        k, later, part = _between(self.times, t)
        x = (1.0 - part) * self.tokens.points(k) + part * self.tokens.points(later)
        length = np.linalg.norm(x, axis=1, keepdims=True)
        return x / np.maximum(length, 1e-12), self.colours[k if part < 1.0 else later]

    def some_points(self) -> Array:
        """Places at some outputs, (k n, 3)."""
        return np.concatenate([self.tokens.points(k) for k in some(len(self.times))])


def open_tokens(run: RunFolder) -> TokenReel:
    """The tokens of a run.

    Raises:
        InputError: there are none, or not at two times, or they live in more than three dimensions.
    """
    tokens = read_tokens_file(run.particles_path)
    _refuse_still(tokens.times, run)
    return token_reel(tokens)


def token_reel(tokens: TokenSeries) -> TokenReel:
    """Tokens of this file.

    Raises:
        InputError: they live in more than three dimensions.
    """
    if tokens.d > 3:
        raise InputError(f"{tokens.path}: found tokens with d = {tokens.d}, expected d = 2 or 3")
    masses = tokens.read("mass")
    masses = masses / masses.sum()
    labels = [tokens.read("cluster", k) for k in range(len(tokens.times))]
    return TokenReel(tokens, masses, np.stack(cluster_colours(labels, masses)))


def _refuse_still(times: Array, run: RunFolder) -> None:
    if len(times) < 2:
        raise InputError(f"{run.path}: found {len(times)} output times, expected two or more")
