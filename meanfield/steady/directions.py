"""In which directions states with a finite symmetry leave the uniform one.

At a critical value the harmonics of one degree l lose their stability together: n of them have the
symmetry. To second order in the amplitude s of s v, v a unit vector of R^n,

    s (p - p_c) v_i ~ s^2 C_ijk v_j v_k,        C_ijk = int Y_i Y_j Y_k dsigma,

whatever the interaction is (only its factor is that of the interaction), so that branches leave
along the eigenvectors of C with eigenvalues other than 0: one line for n = 1, at most 2^n - 1. Both
ways along a line are different states, and the line is the tangent of one smooth branch, if the
derivative across it is regular. Where C vanishes (odd degrees), only n = 1 tells the direction.

Among these lines are those of states with a larger symmetry: axial ones are left out. In the plane
of P_l and cos(k phi) of a prism over a k-gon, even k and l = k, the other lines are, for k = 4,
those of the octahedral states; for k = 6 there are new ones, for k = 8 there are none.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from meanfield.geometry.manifolds import MatrixGrid
from meanfield.geometry.polynomials import gauss_gegenbauer, gegenbauer
from meanfield.geometry.sphere import Array

__all__ = ["directions"]

_MOST, _STARTS, _STEPS, _SEED = 4, 300, 40, 5
_SAME = 1e-7
_POWERS = (3, 4, 5, 6)
_FLAT = 1e-6  # of a third moment that vanishes, against that of the modulus


def directions(grid: MatrixGrid, places: NDArray[np.int64]) -> list[Array]:
    """Directions of branches at the uniform state along harmonics of one degree.

    Args:
        grid: of the functions that have the symmetry.
        places: (n,) of the harmonics among them.

    Returns:
        Unit vectors (n,) of R^n, of different states up to rotations; axial ones are left out, and
        both ways along a line are there if they differ. None for n > 4.
    """
    f = grid.functions[0][places]
    cubic = np.einsum("n,in,jn,kn->ijk", grid.weights, f, f, f)
    size = float(np.max(grid.weights @ np.abs(f.T) ** 3))
    flat = float(np.abs(cubic).max()) < _FLAT * size
    if len(places) == 1:
        lines = [np.ones(1)]
    elif flat or len(places) > _MOST:
        return []
    else:
        lines = _eigenvectors(cubic, _FLAT * size)
    degree = int(grid.degrees[places[0]])
    told = _axial(degree, grid.d)
    found: list[Array] = []
    for line in lines:
        for v in (line, -line):
            moments = _moments(v @ f, grid.weights)
            if all(np.abs(moments - other).max() > _SAME * moments[1] for other in told):
                told.append(moments)
                found.append(v)
    return found


def _moments(values: Array, weights: Array) -> Array:
    """Means of powers of a function: the same for those that are rotated to each other."""
    return np.array([float(weights @ values**power) for power in _POWERS])


def _axial(degree: int, d: int) -> list[Array]:
    """Those of both signs of the axial harmonic."""
    if d == 2:  # a polygon has no axis
        return []
    t, weights = gauss_gegenbauer(d, 4 * degree + 8)
    p = gegenbauer(t, d, degree)[degree]
    p = p / np.sqrt(float(weights @ p**2))
    return [_moments(sign * p, weights) for sign in (1.0, -1.0)]


def _eigenvectors(cubic: Array, least: float) -> list[Array]:
    """Unit vectors v with C(v, v, .) = mu v, |mu| > least, one of v and -v; by Newton's method."""
    n = len(cubic)
    found: list[Array] = []
    for start in np.random.default_rng(_SEED).standard_normal((_STARTS, n)):
        v = start / np.linalg.norm(start)
        mu = float(np.einsum("ijk,i,j,k", cubic, v, v, v))
        for _ in range(_STEPS):
            pull = np.einsum("ijk,j,k->i", cubic, v, v)
            defect = np.concatenate([pull - mu * v, [0.5 * (v @ v - 1.0)]])
            matrix = np.zeros((n + 1, n + 1))
            matrix[:n, :n] = 2.0 * np.einsum("ijk,k->ij", cubic, v) - mu * np.eye(n)
            matrix[:n, n], matrix[n, :n] = -v, v
            if abs(np.linalg.det(matrix)) < 1e-12:
                break
            change = np.linalg.solve(matrix, -defect)
            v, mu = v + change[:n], mu + float(change[n])
            if float(np.abs(change).max()) < 1e-14:
                break
        if not np.all(np.isfinite(v)) or abs(float(v @ v) - 1.0) > 1e-12 or abs(mu) <= least:
            continue
        if float(np.abs(np.einsum("ijk,j,k->i", cubic, v, v) - mu * v).max()) > 1e-12:
            continue
        v = v * np.sign(v[int(np.argmax(np.abs(v)))])
        if all(abs(float(v @ other)) < 1.0 - _SAME for other in found):
            found.append(v)
    return sorted(found, key=lambda v: tuple(np.round(-v, 6)))
