"""What of a measure enters the verdict of a comparison: moments, which are linear in it."""

from __future__ import annotations

import numpy as np

from meanfield.analysis.verdict import low_moments
from meanfield.geometry.manifolds import Manifold
from meanfield.geometry.sphere import Array
from meanfield.interaction.measure import Measure

__all__ = ["linear_moments"]


def linear_moments(measure: Measure, on: Manifold) -> dict[str, Array]:
    """Integrals over a measure, by name.

    Returns:
        "low": (k,) the harmonic moments of ``low_moments``. "degree": (k,) of these. "mean": (m,)
        int x dmu, and "second": (m (m+1)/2,) the upper triangle of int x x^T dmu, of the
        coordinates that the manifold has moments of.
    """
    low, degree = low_moments(measure, d=on.d)
    y, w = on.moments_of(np.asarray(measure.points)), measure.weights
    second = ((y * w[:, None]).T @ y)[np.triu_indices(y.shape[1])]
    return {"low": low, "degree": degree, "mean": w @ y, "second": second}
