"""Finite groups of rotations and reflections of R^3: those of the solids, and dihedral ones.

Each as matrices, turned so that an axis of high order is e_3. NumPy only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np

from meanfield.geometry.sphere import Array

__all__ = ["GROUPS", "dihedral", "invariants", "main_axis"]

_SAME = 1e-9
_MOST = 1000  # elements: generators that make more make no finite group


def _turn(axis: Sequence[float], angle: float) -> Array:
    """Rotation about an axis."""
    x, y, z = np.asarray(axis, dtype=np.float64) / math.hypot(*axis)
    k = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.eye(3) + math.sin(angle) * k + (1.0 - math.cos(angle)) * (k @ k)


def _generated(*generators: Array) -> Array:
    """(g, 3, 3) all products of some matrices."""
    found, fresh = [np.eye(3)], [np.eye(3)]
    while fresh:
        products = [g @ h for g in generators for h in fresh]
        fresh = []
        for product in products:
            if all(np.abs(product - g).max() > _SAME for g in found):
                found.append(product)
                fresh.append(product)
        assert len(found) <= _MOST
    group = np.array(found)
    group.setflags(write=False)
    return group


_MIRROR_X, _MIRROR_Z = np.diag([-1.0, 1.0, 1.0]), np.diag([1.0, 1.0, -1.0])
_SWAP = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
_CYCLE = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


@lru_cache
def _tetrahedral() -> Array:
    return _generated(_SWAP, _CYCLE, np.diag([-1.0, -1.0, 1.0]))


@lru_cache
def _octahedral() -> Array:
    return _generated(_SWAP, _CYCLE, _MIRROR_X)


@lru_cache
def _icosahedral() -> Array:
    half = 0.5 * math.atan(2.0)  # from the vertex e_3 to the middle of an edge
    edge = (math.sin(half), 0.0, math.cos(half))
    return _generated(_turn((0.0, 0.0, 1.0), 0.4 * math.pi), _turn(edge, math.pi), -np.eye(3))


@lru_cache
def dihedral(k: int) -> Array:
    """D_kh: turns by 2 pi/k about e_3, mirrors through the axis (one holds e_1) and across it."""
    mirror_y = np.diag([1.0, -1.0, 1.0])
    return _generated(_turn((0.0, 0.0, 1.0), 2.0 * math.pi / k), mirror_y, _MIRROR_Z)


GROUPS: dict[str, Callable[[], Array]] = {
    "tetrahedral": _tetrahedral,
    "octahedral": _octahedral,
    "icosahedral": _icosahedral,
}
"""Full groups of the solids (T_d, O_h, I_h) by name: (g, 3, 3), g = 24, 48, 120."""


def invariants(group: Array, degree: int) -> Array:
    """Number of independent harmonics of degree 0..``degree`` that a group leaves alone.

    The mean of the character sin((2l + 1) a/2)/sin(a/2) of a turn by a; with (-1)^l for -1 times a
    turn.

    Args:
        group: (g, 3, 3).

    Returns:
        (degree + 1,) integers.
    """
    sign = np.sign(np.linalg.det(group))
    cosine = np.clip(0.5 * (sign * np.trace(group, axis1=1, axis2=2) - 1.0), -1.0, 1.0)
    angle = np.arccos(cosine)
    l = np.arange(degree + 1)[:, None]
    # 1 + 2 sum_m cos(m a): no division by sin(a/2).
    character = 1.0 + 2.0 * np.cumsum(np.cos(l * angle) * (l > 0), axis=0)
    character = character * np.where(sign < 0.0, (-1.0) ** l, 1.0)
    return np.rint(character.mean(axis=1)).astype(np.int64)


def main_axis(group: Array) -> tuple[Array, int]:
    """The elements that map e_3 to +-e_3, (s, 3, 3), and the order of the turns about it."""
    kept = group[np.abs(np.abs(group[:, 2, 2]) - 1.0) < _SAME]
    turns = (kept[:, 2, 2] > 0.0) & (np.linalg.det(kept) > 0.0)
    return kept, int(np.count_nonzero(turns))
