"""Where two curves of stationary states cross: the derivative along one is singular.

The crossing on a curve is found by a change of sign; solutions next to it are known to the root of
round-off only. It is settled by a system that is regular there (Poenisch; Govaerts, Numerical
methods for bifurcations of dynamical equilibria, 2000): with the defect F of n equations in n + 1
unknowns x, F(x) + u f = 0 and g(x) = 0, where [F' f; P^T 0] [V; g^T] = [0; I] and P has two columns
that are near the kernel of F', f is near that of its transpose. F' has that kernel where g = 0.
"""

from __future__ import annotations

import numpy as np
from scipy import linalg

from meanfield.errors import InputError
from meanfield.geometry.sphere import Array
from meanfield.steady.curve import Curve

__all__ = ["other_direction", "settled_crossing"]

_SIMPLE = 1e-2  # a singular value is that of one crossing if the next is so much larger
_STEP, _STEPS = 1e-4, 8
_MOVED, _ENOUGH = 1e-2, 1e-9  # lengths: of all steps and of the last


def _units(curve: Curve) -> Array:
    """(n + 1,) of the unknowns."""
    return np.concatenate([np.ones(curve.size), [curve.width]])


def settled_crossing(curve: Curve, x: Array) -> Array:
    """The crossing near a solution, to round-off; the solution itself if there is none so near."""
    units, n, start = _units(curve), curve.size, x
    left, _, right = np.linalg.svd(curve.jacobian(x) * units)
    f, p = left[:, -1], right[-2:]

    def bordered(at: Array) -> Array:
        matrix = np.zeros((n + 2, n + 2))
        matrix[:n, :-1], matrix[:n, -1], matrix[n:, :-1] = curve.jacobian(at) * units, f, p
        return matrix

    u = 0.0
    try:
        for _ in range(_STEPS):
            matrix = bordered(x)
            kernel = linalg.solve(matrix, np.eye(n + 2)[:, n:])
            adjoint = linalg.solve(matrix.T, np.eye(n + 2)[:, -1])[:n]
            g = kernel[-1].copy()
            for k, along in enumerate(kernel[:-1].T):
                ahead, behind = (
                    curve.jacobian(x + sign * _STEP * units * along) for sign in (1.0, -1.0)
                )
                matrix[n + k, :-1] = -adjoint @ ((ahead - behind) * units) / (2.0 * _STEP)
                matrix[n + k, -1] = 0.0
            change = linalg.solve(matrix, -np.concatenate([curve.defect(x) + u * f, g]))
            x, u = x + units * change[:-1], u + float(change[-1])
            if curve.length(units * change[:-1]) < _ENOUGH:
                return x if curve.length(x - start) < _MOVED else start
    except (linalg.LinAlgError, InputError):
        pass
    return start


def other_direction(curve: Curve, x: Array, tangent: Array) -> Array | None:
    """Unit direction at a crossing of the curve that crosses; None: not one alone does.

    The derivative has the tangents of both in its kernel; the direction is that part of it that is
    orthogonal to this one's.
    """
    units = _units(curve)
    _, sizes, rows = np.linalg.svd(curve.bordered(x, tangent) * units)
    if sizes[-1] > _SIMPLE * sizes[-2]:
        return None
    other = rows[-1] * units
    other = other - float(np.sum(curve.metric * other * tangent)) * tangent
    return np.asarray(other / curve.length(other))
