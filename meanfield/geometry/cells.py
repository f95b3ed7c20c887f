"""Cells of a geometry with Gauss nodes in each, and how well a function is integrated on them.

A cell is a box of coordinates in which the geometry is smooth; it is split in equal parts, and the
Legendre coefficients of what is integrated tell which cells have to be. A geometry of its own is a
class of ``Cells``.

Knows nothing of what is integrated.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.polynomial.legendre import leggauss, legvander

from meanfield.geometry.manifolds import Manifold
from meanfield.geometry.sphere import Array

__all__ = ["Cells", "Faces", "Panels", "cells_of"]


@dataclass(frozen=True)
class Cells(ABC):
    """The cells of a geometry; ``boxes`` are rows (n, k) of a meaning of their own.

    Attributes:
        order: Gauss nodes along each coordinate of a cell.
    """

    order: int

    dimension: ClassVar[int]
    """Coordinates of a cell."""

    @property
    def per_cell(self) -> int:
        """Nodes of a cell."""
        return int(self.order**self.dimension)

    @abstractmethod
    def covering(self, across: int) -> Array:
        """Boxes (n, k) of the whole geometry, ``across`` along each side of it."""

    @abstractmethod
    def split(self, boxes: Array) -> Array:
        """The 2^dimension parts of each box."""

    @abstractmethod
    def nodes(self, boxes: Array) -> tuple[Array, Array]:
        """Points (n, per_cell, gdim) and weights (n, per_cell) for the uniform probability."""

    def errors(self, integrands: Array) -> Array:
        """Error (n,) of each cell's integral, the largest of several functions: an estimate.

        Legendre coefficients t of the two highest orders against those of the lower half, l: what
        is left is about t, times t/l as far as they decrease.

        Args:
            integrands: (n, per_cell, functions), a density per unit of ``nodes``' coordinates, of
                the size of the integral.
        """
        p = self.order
        x, w = leggauss(p)
        analysis = (legvander(x, p - 1) * w[:, None] * (np.arange(p) + 0.5)).T
        found = integrands.reshape(len(integrands), *([p] * self.dimension), -1)
        for axis in range(1, self.dimension + 1):
            found = np.moveaxis(np.tensordot(found, analysis, axes=([axis], [1])), -1, axis)
        sizes = np.abs(found).reshape(integrands.shape)
        highest = np.max(np.indices([p] * self.dimension), axis=0).ravel()
        low = sizes[:, highest < p // 2].max(axis=1)
        tail = sizes[:, highest >= p - 2].max(axis=1)
        ratio = np.minimum(1.0, tail / np.maximum(low, 1e-300))
        return np.asarray((tail * ratio).max(axis=1))

    @property
    def reference_weights(self) -> Array:
        """(per_cell,) weights of the nodes in coordinates, sum one."""
        weights = leggauss(self.order)[1] / 2.0
        found = np.ones(1)
        for _ in range(self.dimension):
            found = np.outer(found, weights).ravel()
        return found


_NORMALS = np.array(
    [
        [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        [[0, 1, 0], [-1, 0, 0], [0, 0, 1]],
        [[-1, 0, 0], [0, -1, 0], [0, 0, 1]],
        [[0, -1, 0], [1, 0, 0], [0, 0, 1]],
        [[0, 0, 1], [0, 1, 0], [-1, 0, 0]],
        [[0, 0, -1], [0, 1, 0], [1, 0, 0]],
    ],
    dtype=np.float64,
)  # of the faces of a cube: its normal and two sides


@dataclass(frozen=True)
class Faces(Cells):
    """S^2 as a cube: boxes (face, a, b, h), equiangular coordinates a and b in [-pi/4, pi/4].

    The direction of (a, b) is that of n + tan(a) e_1 + tan(b) e_2 (Ronchi, Iacono and Paolucci
    1996).
    """

    dimension: ClassVar[int] = 2

    def covering(self, across: int) -> Array:
        """Boxes (6 across^2, 4)."""
        side = 0.5 * math.pi / across
        start = -0.25 * math.pi + side * np.arange(across)
        face, a, b = (part.ravel() for part in np.meshgrid(np.arange(6), start, start))
        return np.stack([face, a, b, np.full(face.size, side)], axis=1)

    def split(self, boxes: Array) -> Array:
        """Boxes (4 n, 4)."""
        face, a, b, side = boxes.T
        half = 0.5 * side
        parts = [
            np.stack([face, a + i * half, b + j * half, half], axis=1)
            for i in (0, 1)
            for j in (0, 1)
        ]
        return np.stack(parts, axis=1).reshape(-1, 4)

    def nodes(self, boxes: Array) -> tuple[Array, Array]:
        """Points (n, per_cell, 3) and weights (n, per_cell)."""
        x, w = leggauss(self.order)
        place = 0.5 * (x + 1.0)
        side = boxes[:, 3, None]
        one = np.tan(boxes[:, 1, None] + side * place)[:, :, None]
        two = np.tan(boxes[:, 2, None] + side * place)[:, None, :]
        square = 1.0 + one**2 + two**2
        area = (1.0 + one**2) * (1.0 + two**2) / square**1.5
        weights = area * np.outer(w, w) * (0.25 * side**2 / (4.0 * math.pi))[:, :, None]
        frame = _NORMALS[boxes[:, 0].astype(np.int64)][:, :, None, None, :]
        points = frame[:, 0] + one[..., None] * frame[:, 1] + two[..., None] * frame[:, 2]
        points /= np.sqrt(square)[..., None]
        n = len(boxes)
        return points.reshape(n, self.per_cell, 3), weights.reshape(n, self.per_cell)


@dataclass(frozen=True)
class Panels(Cells):
    """A curve in its angle: boxes (start, length).

    Attributes:
        on: S^1, or zonal geometry in any dimension, in the angle from the axis.
    """

    on: Manifold

    dimension: ClassVar[int] = 1

    def covering(self, across: int) -> Array:
        """Boxes (2 across, 2)."""
        span = 2.0 * math.pi if self.on.closed else math.pi
        count = 2 * across
        return np.stack([span / count * np.arange(count), np.full(count, span / count)], axis=1)

    def split(self, boxes: Array) -> Array:
        """Boxes (2 n, 2)."""
        start, half = boxes[:, 0], 0.5 * boxes[:, 1]
        parts = [np.stack([start + k * half, half], axis=1) for k in (0, 1)]
        return np.stack(parts, axis=1).reshape(-1, 2)

    def nodes(self, boxes: Array) -> tuple[Array, Array]:
        """Points (n, order, gdim) and weights (n, order)."""
        x, w = leggauss(self.order)
        angle = boxes[:, :1] + boxes[:, 1:] * (0.5 * (x + 1.0))
        flat = angle.reshape(-1, 1)
        points = np.column_stack([np.cos(flat), np.sin(flat)]) if self.on.closed else flat
        density = self.on.uniform_per_radian(points).reshape(angle.shape)
        return points.reshape(*angle.shape, -1), density * (0.5 * boxes[:, 1:] * w)


def cells_of(manifold: Manifold) -> Cells:
    """The cells of a geometry."""
    return Faces(6) if manifold.dimension == 2 else Panels(8, manifold)
