"""W_p of a cloud to what it is compared with, also of more points than an exact distance takes.

Of up to ``EXACT`` particles all are measured, to 1e-6 or 5e-5. On surfaces more of them are
*bracketed* by a coupling of blocks (``analysis.coupling``), which is of use as long as W_p is well
above the size of a block; else ``EXACT`` of the particles are measured against as many points, and
the floor likewise, so that their ratio is one of equals. These are spread over the whole of a
cloud, which may be one in an order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from meanfield.analysis.wasserstein import Effort, wasserstein
from meanfield.geometry.sphere import Array
from meanfield.interaction.measure import Measure
from meanfield.results.comparison import Reference
from meanfield.studies.numbers import EXACT, MANY
from meanfield.studies.references import points_for

__all__ = ["Transport", "transport"]

_PROBE = 5_000  # particles that tell how far they are, roughly
_WIDE = 0.2  # radians, beyond which bounds by blocks are within 2 % of W_p on S^2
_FINE, _COARSE = Effort(), Effort(rtol=1e-4)  # up to MANY, and beyond: W_p is known to 5e-5 then


@dataclass(frozen=True)
class Transport:
    """Distances of a cloud.

    Attributes:
        upper: of each p: the distance, or its upper bound.
        lower: of each p: the lower bound.
        points: what stood for the reference.
        error: bound of W_2 between these and the reference; nan: unknown.
        measured: number of particles that were measured.
    """

    upper: dict[int, float]
    lower: dict[int, float]
    points: Measure
    error: float
    measured: int


def transport(
    x: Array,
    reference: Reference,
    k: int,
    exponents: Sequence[int],
    weights: Array | None = None,
    points: tuple[Measure, float] | None = None,
) -> Transport:
    """W_p of particles to the reference at its k-th time.

    Args:
        x: (n, d) particles, in any order.
        reference: what they are compared with.
        k: number of the time.
        exponents: p of W_p, 1 or 2.
        weights: (n,) their masses, sum one; None: equal ones. More than ``EXACT`` particles of
            unequal masses are always bracketed on surfaces.
        points: what stands for the reference, and its error, if it is known for so many particles
            (``points_for``); for many clouds of one number.
    """
    on, n, method = reference.manifold, len(x), "auto"
    y = on.coordinates(x)
    if n > EXACT and on.dimension != 1 and weights is not None:
        method = "bracket"
    elif n > EXACT and on.dimension != 1:
        few = Measure.equal(_spread(y, _PROBE))
        near, _ = points_for(reference, k, _PROBE)
        if wasserstein(few, near, min(exponents), effort=_COARSE).distance > _WIDE:
            method = "bracket"
        else:
            y = _spread(y, EXACT)
    stand, error = points or points_for(reference, k, len(y))
    effort = _COARSE if len(y) > MANY else _FINE
    y = np.ascontiguousarray(y)
    sample = Measure.equal(y) if weights is None else Measure(y, weights)
    found = {p: wasserstein(sample, stand, p, method, effort=effort) for p in exponents}
    return Transport(
        {p: one.upper for p, one in found.items()},
        {p: one.lower for p, one in found.items()},
        stand,
        error,
        len(y),
    )


def _spread(x: Array, count: int) -> Array:
    """So many of the rows of x, at equal distances."""
    return x[np.arange(count) * len(x) // count]
