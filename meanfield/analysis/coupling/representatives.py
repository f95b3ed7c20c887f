"""Fewer points for many: some are chosen by mass, and everything goes to the nearest one."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from meanfield.geometry.mesh import IntArray
from meanfield.geometry.sphere import Array

__all__ = ["representatives"]


def representatives(x: Array, a: Array, size: int, seed: int = 0) -> tuple[Array, IntArray, Array]:
    """Choose ``size`` of the points by mass; every point goes to the nearest one chosen.

    Returns:
        The points chosen that got mass, the group (n,) of each point, and the mass of each group.
    """
    if len(x) <= size:
        return x, np.arange(len(x)), a
    chosen = np.random.default_rng(seed).choice(len(x), size, replace=False, p=a / a.sum())
    centres = x[chosen]
    group = cKDTree(centres).query(x)[1].astype(np.int64)
    used, group = np.unique(group, return_inverse=True)  # of equal points one gets everything
    return centres[used], group.astype(np.int64), np.bincount(group, a).astype(np.float64)
