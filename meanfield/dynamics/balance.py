"""Nodal weights that integrate harmonics exactly, so that the uniform state is an equilibrium.

Areas of dual cells integrate harmonics to O(h^2) only: the mesh would imprint itself on the uniform
density, and the imprint grows like the instability does. Knows transforms, not fields or time.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
from scipy.sparse.linalg import LinearOperator, cg

from meanfield.errors import MeanfieldWarning
from meanfield.geometry.manifolds import Manifold
from meanfield.geometry.sphere import Array

__all__ = ["balance_weights"]

Sum = Callable[[Array], Array]


def balance_weights(
    on: Manifold,
    points: Array,
    weights: Array,
    n_global: int,
    needed: int,
    total: Sum,
    full: bool = False,
) -> tuple[Array, int, float]:
    """Correct positive nodal weights so that they integrate harmonics exactly up to some degree.

    The smallest relative change that does it: w (1 + Y^T a) with Y W Y^T a = target - Y w, solved
    by conjugate gradients (the matrix is near the identity for weights that are already good) and
    repeated until round-off.

    The degree is what the kernel needs, at most 0.15 sqrt(N) on S^2 (0.05 N on S^1 and zonal): a
    smooth correction of size h^2. Balancing all that a mesh of N points can carry, 0.6 sqrt(N),
    changes single weights by 5 % at any resolution, of which the edge coefficients know nothing:
    the density then converges at order 1.3 instead of 2 (measured for W = t). The uniform
    state asks for no more, see ``Measure.quadrature``.

    Args:
        on: which harmonics.
        points: (n, gdim) owned points of this rank; weights: (n,), sum one over all ranks.
        n_global: number of points over all ranks.
        needed: degree that carries the interaction. A mesh that can not resolve it is a
            warning.
        total: sums an array over all ranks.
        full: balance all degrees that the mesh resolves, for characteristics, which use no edge
            coefficients.

    Returns:
        The weights, the degree reached, and the largest remaining error of an integral.
    """
    resolved = on.resolved_degree(n_global)
    if needed > resolved:
        warnings.warn(
            f"a mesh of {n_global} vertices resolves harmonics up to degree {resolved}, the "
            f"interaction has degrees up to {needed}: take a finer mesh",
            MeanfieldWarning,
            stacklevel=2,
        )
    smooth = on.smooth_degree(n_global)
    degree = max(2, resolved) if full else min(max(1, needed), max(2, smooth))
    while True:
        balanced = _balanced(on, points, weights, degree, total)
        if balanced is not None or degree <= 1:
            break
        degree = int(0.8 * degree)
    w, error = balanced if balanced is not None else (weights, np.inf)
    if error > 1e-12:
        warnings.warn(
            f"the nodal weights integrate harmonics up to degree {degree} to {error:.1e} only: the "
            "mesh is very irregular",
            MeanfieldWarning,
            stacklevel=2,
        )
    return w, degree, error


def _balanced(
    on: Manifold, points: Array, weights: Array, degree: int, total: Sum
) -> tuple[Array, float] | None:
    harmonics = on.harmonics(degree, 1e-14)
    at = harmonics.locate(points)
    target = harmonics.uniform()
    w = weights.copy()
    history: list[float] = []
    best, lowest = w, np.inf
    for _ in range(8):
        residual = target - total(harmonics.moments(at, w))
        error = float(np.max(np.abs(residual)))
        if error < lowest:
            best, lowest = w, error
        if history and error > 0.3 * history[-1]:
            break  # round-off reached (or no progress)
        history.append(error)
        w_fixed = w

        def gram(a: Array, w_fixed: Array = w_fixed) -> Array:
            return total(harmonics.moments(at, w_fixed * harmonics.values(a.ravel(), at)))

        size = residual.size
        operator = LinearOperator((size, size), matvec=gram, dtype=np.float64)
        a, info = cg(operator, residual, rtol=1e-6, atol=0.0, maxiter=200)
        if info != 0:
            return None
        w = w * (1.0 + harmonics.values(a, at))
        if total(np.array([float(np.count_nonzero(w <= 0.0))]))[0] > 0.0:
            return None
    return (best, lowest) if lowest < 1e-10 else None
