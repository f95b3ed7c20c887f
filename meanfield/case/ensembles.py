"""Matrices with a name: random ones, which are the same wherever their seed is, and plus/minus I.

Knows dimensions and seeds; nothing of heads and of attention.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from meanfield.geometry.sphere import Array

__all__ = ["ENSEMBLES", "RANDOM", "draw"]

_Maker = Callable[[np.random.Generator, int], Array]


def _ginibre(rng: np.random.Generator, d: int) -> Array:
    return rng.standard_normal((d, d))


def _wigner(rng: np.random.Generator, d: int) -> Array:
    upper = np.triu(_ginibre(rng, d))
    return upper + np.triu(upper, 1).T


def _goe(rng: np.random.Generator, d: int) -> Array:
    g = _ginibre(rng, d)
    return (g + g.T) / np.sqrt(2.0)


def _psd(rng: np.random.Generator, d: int) -> Array:
    g = _ginibre(rng, d)
    return g.T @ g / d


def _rotation(rng: np.random.Generator, d: int) -> Array:
    q, r = np.linalg.qr(_ginibre(rng, d))
    # Where the diagonal of R is positive, Q is unique, and of Haar's law on O(d).
    q = q * np.where(np.diagonal(r) < 0.0, -1.0, 1.0)
    if np.linalg.det(q) < 0.0:
        q[:, 0] = -q[:, 0]
    return q


RANDOM: dict[str, _Maker] = {
    "ginibre": _ginibre,
    "wigner": _wigner,
    "goe": _goe,
    "psd": _psd,
    "rotation": _rotation,
}
"""Random matrices: real Ginibre (entries N(0, 1)), Wigner (symmetric, N(0, 1) on and above the
diagonal), the orthogonal ensemble (G + G^T)/sqrt 2, G^T G/d, rotations of Haar's law (det +1)."""

ENSEMBLES: dict[str, _Maker] = {
    "identity": lambda rng, d: np.eye(d),
    "minus identity": lambda rng, d: -np.eye(d),
    **RANDOM,
}
"""Each maker by its name: from a generator and d to a (d, d) matrix."""


def draw(name: str, d: int, seed: int = 0) -> Array:
    """The (d, d) matrix of an ensemble; the same seed gives the same one everywhere."""
    return ENSEMBLES[name](np.random.default_rng(seed), d)
