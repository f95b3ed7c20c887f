"""What a geometry knows: its coordinates, its place in space, its cells, its measure.

A point has ``gdim`` coordinates; ``embed`` gives its unit vector in R^d, ``in_space`` where it is
drawn, ``lift`` the unit vector that a solver moves. Knows nothing of what interacts, and of meshes
only arrays: ``points`` (n, gdim) and ``cells`` (m, corners).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from meanfield.errors import InputError
from meanfield.geometry.brownian import brownian_step
from meanfield.geometry.manifolds.transforms import Basis, Harmonics
from meanfield.geometry.points import unit_vectors
from meanfield.geometry.sphere import Array, log_area, tangent_project

__all__ = [
    "Grid",
    "IntArray",
    "Manifold",
    "MatrixGrid",
    "bincounted",
    "interval_edges",
]

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Manifold(ABC):
    """S^{d-1} in one kind of coordinates.

    Attributes:
        d: dimension of the space around the sphere.

    Raises:
        InputError: a dimension that it does not have.
    """

    d: int

    name: ClassVar[str]
    """As in ``Mesh.geometry``."""
    dimension: ClassVar[int]
    """Of what is meshed: 2 (triangles) or 1 (intervals); 0: nothing is."""
    only_d: ClassVar[int | None] = None
    """The one dimension that there is; None: any from 2 on."""
    latitudes: ClassVar[bool] = False
    """Whether a point stands for a whole circle of latitude."""
    closed: ClassVar[bool] = False
    """Whether angles go round (one-dimensional manifolds)."""
    has_harmonics: ClassVar[bool] = True
    whole: ClassVar[bool] = True
    """Whether it is the whole sphere, or what stands for it."""
    few: ClassVar[int] = 0
    """Points for which direct sums are faster than transforms (measured), and without noise."""
    most_degree: ClassVar[int] = 0
    """Largest degree of a series that is cut: more would cost more than it brings."""

    def __post_init__(self) -> None:
        if self.d < 2 or (self.only_d is not None and self.d != self.only_d):
            expected = "d >= 2" if self.only_d is None else f"d = {self.only_d}"
            raise InputError(f"geometry '{self.name}' has {expected}, found d = {self.d}")

    @property
    def symbol(self) -> str:
        """Of the set of its points."""
        return f"S^{self.d - 1}"

    def describe(self) -> str:
        """A few words."""
        return self.name if self.only_d is not None else f"{self.name}, d = {self.d}"

    @property
    def moments(self) -> int:
        """Number of components of a mean, see ``moments_of``."""
        return self.d

    # ---- coordinates -----------------------------------------------------------------------------

    @property
    def gdim(self) -> int:
        """Number of coordinates of a point."""
        return self.d

    @property
    def corners(self) -> int:
        """Number of vertices of a cell."""
        return self.dimension + 1

    def embed(self, points: Array) -> Array:
        """Unit vectors (n, d)."""
        return points

    def coordinates(self, x: Array) -> Array:
        """Points (n, gdim) of unit vectors (n, d)."""
        return x

    def moments_of(self, points: Array) -> Array:
        """What means and second moments are taken of, (n, k): the coordinates of unit vectors."""
        return points

    def normalised(self, points: Array) -> Array:
        """Points moved onto the sphere, which round-off may have left."""
        return points / np.linalg.norm(points, axis=1, keepdims=True)

    def checked(self, points: object, name: str = "points") -> Array:
        """Points (n, gdim) that others give, moved onto the sphere; ``name`` is for messages.

        Raises:
            InputError: another shape, no finite numbers, or points farther than 1e-6 from it.
        """
        return unit_vectors(points, self.d, name)

    @abstractmethod
    def in_space(self, points: Array) -> Array:
        """Where points are drawn, (n, 3)."""

    @abstractmethod
    def from_space(self, x: Array, beside: Callable[[str], Array]) -> Array:
        """Points of ``in_space``; ``beside`` reads what is stored by ``beside_space``."""

    def beside_space(self, points: Array) -> Mapping[str, Array]:
        """Coordinates that are stored beside the place, by name."""
        return {}

    def vectors_in_space(self, points: Array, vectors: Array) -> Array:
        """Tangent vectors (n, 3), from their components."""
        return vectors

    def angles(self, points: Array) -> Array:
        """(n,) the angle along a one-dimensional manifold."""
        raise NotImplementedError(f"the {self.name} has no angle")

    def uniform_per_radian(self, points: Array) -> Array:
        """(n,) density of the uniform probability with respect to the angle."""
        raise NotImplementedError(f"the {self.name} has no angle")

    def evenly(self, cells: int) -> Array:
        """Points evenly along a one-dimensional manifold, with that many steps of pi each."""
        raise NotImplementedError(f"the {self.name} has no angle")

    @property
    def span(self) -> tuple[float, float]:
        """Least and largest angle."""
        return (-math.pi, math.pi) if self.closed else (0.0, math.pi)

    def mean_edge(self, vertices: int) -> float:
        """Mean length of the edges of a mesh of so many vertices, roughly."""
        if self.dimension == 2:
            return math.sqrt(4.0 * math.pi / vertices)
        low, high = self.span
        return (high - low) / vertices

    # ---- what moves --------------------------------------------------------------------------

    def lift(self, points: Array) -> Array:
        """(n, k) unit vectors that a solver may move."""
        return points

    def settle(self, x: Array) -> Array:
        """Points of lifted vectors."""
        return x

    def lifted_velocity(self, x: Array, velocity: Array) -> Array:
        """Velocity of lifted vectors, from its components in the coordinates of the points."""
        return velocity

    def settled_velocity(self, points: Array, velocity: Array) -> Array:
        """The inverse: components of a lifted velocity at points."""
        return velocity

    def onto(self, x: Array) -> Array:
        """Unit vectors (n, d), such as those of a law, moved to where tokens may be."""
        return x

    def tangential(self, x: Array, vectors: Array) -> Array:
        """The parts of vectors (n, d) at unit vectors that a velocity may have."""
        return tangent_project(x, vectors)

    def components(self, points: Array, vectors: Array) -> Array:
        """Velocities (n, gdim) at points from vectors (n, d) at ``embed``, whose rest is normal."""
        return self.tangential(points, vectors)

    def retracted(self, y: Array) -> Array | None:
        """Rows (n, d) scaled to unit length; None if one is zero or not finite."""
        length = np.sqrt(np.einsum("ij,ij->i", y, y))
        if not np.all(np.isfinite(length)) or np.min(length, initial=1.0) == 0.0:
            return None
        return y / length[:, None]

    def brownian(self, x: Array, tau: float, rng: np.random.Generator) -> Array:
        """Unit vectors (n, d) after Brownian motions for a time tau, see ``brownian_step``."""
        return brownian_step(x, tau, rng)

    def tangents(self, x: Array, y: Array) -> Array:
        """Initial directions times geodesic lengths of edges from x to y, in frames at x: (n, 2).

        The second component is 0 in one dimension.
        """
        chord = np.linalg.norm(y - x, axis=1)
        angle = 2.0 * np.arcsin(np.minimum(0.5 * chord, 1.0))
        v = y - np.sum(x * y, axis=1, keepdims=True) * x
        v *= (angle / np.linalg.norm(v, axis=1))[:, None]
        return self._in_frame(x, v)

    def _in_frame(self, x: Array, v: Array) -> Array:
        """Components (n, 2) of tangent vectors in an orthonormal frame at x."""
        raise NotImplementedError

    # ---- measure and cells -------------------------------------------------------------------

    @property
    def log_factor(self) -> float:
        """log of the area of the sphere over ``total``."""
        return 0.0

    @property
    def total(self) -> float:
        """Area of S^2, length of S^1, int_0^pi sin^{d-2} of the latitudes."""
        return math.exp(log_area(self.d) - self.log_factor)

    @abstractmethod
    def edge_weights(self, points: Array, cells: IntArray) -> tuple[IntArray, Array, Array]:
        """Edges (E, 2), their weights and dual-cell masses, see ``mesh.delaunay_weights``."""

    @abstractmethod
    def shares(self, points: Array, cells: IntArray) -> Array:
        """Parts of the uniform probability that the cells have, (m,)."""

    # ---- transforms --------------------------------------------------------------------------

    @abstractmethod
    def harmonics(self, degree: int, epsilon: float = 1e-13) -> Harmonics:
        """Transforms at any points.

        Raises:
            InputError: there are none, or too many functions to be counted by a double.
        """

    @abstractmethod
    def grid(self, degree: int, size: int) -> Grid:
        """A quadrature grid with its transforms."""

    def resolved_degree(self, vertices: int) -> int:
        """Degree that a mesh of so many vertices resolves."""
        return int(0.6 * math.sqrt(vertices)) if self.dimension == 2 else int(0.3 * vertices)

    def smooth_degree(self, vertices: int) -> int:
        """Degree up to which nodal weights can be balanced by a correction of size h^2."""
        return int(0.15 * math.sqrt(vertices)) if self.dimension == 2 else int(0.05 * vertices)


@dataclass(frozen=True)
class Grid(Basis):
    """Nodes and weights of its own, so that products of harmonics are integrated to round-off.

    Attributes:
        size: resolution: nodes of theta (zonal, sphere) or of the circle.
    """

    size: int

    most_size: ClassVar[int]
    """Largest size that is tried."""

    @property
    @abstractmethod
    def manifold(self) -> Manifold:
        """What ``points`` are coordinates on."""

    @property
    @abstractmethod
    def weights(self) -> Array:
        """(n,) quadrature weights for sigma, sum 1."""

    @property
    @abstractmethod
    def points(self) -> Array:
        """(n, gdim) nodes: colatitudes (zonal) or unit vectors."""

    @abstractmethod
    def analyse(self, values: Array) -> Array:
        """int Y_k f dsigma from the values (n,) of f, (n_coefficients,)."""

    @abstractmethod
    def synthesise(self, coefficients: Array) -> Array:
        """sum_k c_k Y_k at the nodes, (n,)."""

    @abstractmethod
    def gradient(self, coefficients: Array) -> Array:
        """Components (k, n) of the surface gradient in an orthonormal frame at the nodes."""

    @abstractmethod
    def in_frame(self, vectors: Array) -> Array:
        """Components (k, n) of vectors (n, d) at ``unit_vectors`` in the frame of ``gradient``."""

    @abstractmethod
    def analyse_gradient(self, vectors: Array) -> Array:
        """int <grad Y_k, v> dsigma from components (k, n): the adjoint of ``gradient``."""

    @abstractmethod
    def generators(self, gradient: Array) -> Array:
        """Derivatives of a function with this gradient under the rotations, (rotations, n)."""

    @property
    def unit_vectors(self) -> Array:
        """(n, d) the nodes as unit vectors; zonal: one of each circle of latitude."""
        return self.manifold.embed(self.points)

    @abstractmethod
    def resized(self, degree: int, size: int) -> Grid:
        """The same geometry with another degree and size."""


@dataclass(frozen=True)
class MatrixGrid(Grid):
    """A grid whose harmonics are held as a matrix."""

    span: ClassVar[float] = 0.0
    """Where functions are of one angle in [0, span]: its end; 0: they are not."""
    closed: ClassVar[bool] = False
    """Whether that is a whole turn; else functions are even about both ends."""

    def at_angles(self, angles: Array, lengths: Array) -> MatrixGrid:
        """The same functions at nodes of one's own choice, for functions that have kinks.

        Args:
            angles: (n,) in [0, span].
            lengths: (n,) weights of a quadrature over the angle.
        """
        raise NotImplementedError(f"{type(self).__name__} has no angle")

    @property
    @abstractmethod
    def functions(self) -> tuple[Array, Array]:
        """Harmonics and their derivatives along the only direction, each (coefficients, n)."""

    def gram(self, values: Array) -> Array:
        """int Y_j f Y_k dsigma from the values (n,) of f, (coefficients, coefficients)."""
        f = self.functions[0]
        return np.asarray((f * (self.weights * values)) @ f.T)

    def analyse(self, values: Array) -> Array:
        return np.asarray(self.functions[0] @ (self.weights * values))

    def synthesise(self, coefficients: Array) -> Array:
        return np.asarray(coefficients @ self.functions[0])

    def gradient(self, coefficients: Array) -> Array:
        return np.asarray(coefficients @ self.functions[1])[None]

    def analyse_gradient(self, vectors: Array) -> Array:
        return np.asarray(self.functions[1] @ (self.weights * vectors[0]))


def bincounted(index: IntArray, values: Array, n: int) -> Array:
    """Sum ``values`` at equal ``index`` into an array of length ``n``."""
    return np.bincount(index.ravel(), values.ravel(), n).astype(np.float64)


def interval_edges(cells: IntArray) -> tuple[IntArray, IntArray]:
    """Edges (E, 2) of intervals, lower vertex first, in lexicographic order; and that order."""
    pairs = np.sort(cells, axis=1)
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    return pairs[order], order
