"""What direct sums and transforms give alike: sums of a kernel over a measure, at some points."""

from __future__ import annotations

from typing import NamedTuple

from meanfield.geometry.sphere import Array

__all__ = ["Parts"]


class Parts(NamedTuple):
    """Z = int W(<x, y>) dmu(y) and its derivatives at some points, all times e^{-log_scale}.

    Attributes:
        log_scale: (n,).
        z: (n,) the sum itself.
        q: (n,) (Z - lam_0 M)/unit, scaled by the kernel's own e^{-log_scale}, M the total mass.
        gradient: (n, gdim) of Z/unit, tangential (zonal: the derivative by theta, (n, 1)).
        laplacian: (n,) of Z/unit.
        dark: (n,) marks points whose values come from direct sums, where ``q`` is not set; or None.

    What was not asked for is None or empty.
    """

    log_scale: Array
    z: Array
    q: Array
    gradient: Array | None
    laplacian: Array | None
    dark: Array | None
