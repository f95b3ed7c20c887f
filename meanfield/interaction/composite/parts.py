"""What a head does at some points: sums over a measure, however they are made."""

from __future__ import annotations

from typing import NamedTuple

from meanfield.geometry.sphere import Array

__all__ = ["HeadParts"]


class HeadParts(NamedTuple):
    """Z = int e^{<A x, y>} dmu(y) of a head and what goes with it, all times e^{-log_scale}.

    Attributes:
        log_scale: (n,).
        z: (n,) Z.
        excess: (n,) Z less that of the uniform measure of the same mass, where the head is at rest
            under it (else Z).
        noise: (n,) what Z may be wrong by; 0 for sums over pairs.
        flow: (n, k) P_x V int e^{<A x, y>} y dmu, exactly 0 for the uniform measure where the head
            is at rest under that (zonal: along the meridian, (n, 1)).
        divergence: (n,) of the flow.
        slope: (n, k) A^T int e^{<A x, y>} y dmu, whose tangential part is grad Z (zonal: (n, 1)).

    What was not asked for is None: ``flow`` comes with order 1, the last two with order 2.
    """

    log_scale: Array
    z: Array
    excess: Array
    noise: Array
    flow: Array | None = None
    divergence: Array | None = None
    slope: Array | None = None

    def replaced(self, where: Array, better: HeadParts) -> HeadParts:
        """The same arrays, with values that are better at some targets put in their place."""
        for old, new in zip(self, better, strict=True):
            if old is not None and new is not None:
                old[where] = new
        return self
