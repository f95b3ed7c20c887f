"""Points that others give: checked once where they come in, so that compiled code sees good ones.

NumPy only. Knows nothing of meshes, laws and measures.
"""

from __future__ import annotations

import math

import numpy as np

from meanfield.checks import real_array, refuse_rows
from meanfield.errors import InputError
from meanfield.geometry.sphere import Array

__all__ = ["ON_SPHERE", "unit_vectors", "zonal_angles"]

ON_SPHERE = 1e-6
"""Points this far off the sphere are moved onto it; farther ones are a mistake."""

_DIVIDE = "divide points by their length if it is meant"
_ROUND_OFF = 4.5e-16
_GONE_WRONG = "finite numbers expected: what they come from has gone wrong"


def unit_vectors(x: object, d: int, name: str = "points", remedy: str = _DIVIDE) -> Array:
    """Unit vectors (n, d), scaled to length one to round-off.

    Args:
        x: what was given: lengths are one to 1e-6; no rows are allowed.
        d: dimension of the surrounding space.
        name: what to call it in messages.
        remedy: what to do about other lengths.

    Raises:
        InputError: another shape, no real numbers, or a row of another length: the worst is named.
    """
    x = _columns(x, d, name, f"(n, {d}) unit vectors")
    with np.errstate(over="ignore"):  # an infinite length is refused below
        length = np.sqrt(np.sum(x * x, axis=1))
    off = np.abs(length - 1.0)
    far = off > ON_SPHERE
    if np.any(far):
        worst = int(off.argmax())
        raise InputError(
            f"{name}: point {worst} has length {length[worst]:.9g}, 1 expected (to {ON_SPHERE:g}; "
            f"{int(np.count_nonzero(far))} such points, this is the farthest, counted from 0): "
            f"{remedy}"
        )
    # Rows that round-off has left of length one stay as they are: the same points, the same field.
    return np.asarray(x / np.where(off > _ROUND_OFF, length, 1.0)[:, None])


def zonal_angles(theta: object, name: str = "points") -> Array:
    """Colatitudes (n, 1) in [0, pi], to 1e-6; no rows are allowed.

    Raises:
        InputError: another shape, no real numbers, or angles out of the range.
    """
    theta = _columns(theta, 1, name, "(n, 1) angles theta")
    if len(theta) and not (theta.min() > -ON_SPHERE and theta.max() < math.pi + ON_SPHERE):
        raise InputError(
            f"{name}: colatitudes {theta.min():.9g} to {theta.max():.9g} found, 0 to pi expected"
        )
    return np.clip(theta, 0.0, math.pi)


def _columns(x: object, width: int, name: str, expected: str) -> Array:
    found = real_array(x, name, expected)
    if found.ndim != 2 or found.shape[1] != width:
        raise InputError(f"{name}: points of shape {found.shape} found, {expected} expected")
    refuse_rows(~np.isfinite(found).all(axis=1), found, f"{name}: point", _GONE_WRONG)
    return found
