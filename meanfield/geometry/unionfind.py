"""Groups that become one: a forest in an array, each tree with the number of its root. Compiled.

A root is its own parent. Paths are halved on the way up, so that trees stay flat.
"""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
from numpy.typing import NDArray

__all__ = ["join", "root_of"]

Forest = NDArray[np.signedinteger[Any]]


@nb.njit(cache=True)
def root_of(parent: Forest, i: int) -> int:
    """The root of ``i``."""
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@nb.njit(cache=True)
def join(parent: Forest, i: int, j: int) -> None:
    """Make one group of those of ``i`` and ``j``; its root is the lower of theirs."""
    i, j = root_of(parent, i), root_of(parent, j)
    if i < j:
        parent[j] = i
    else:
        parent[i] = j
