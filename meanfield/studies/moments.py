"""What of a measure enters the verdict of a comparison: moments, which are linear in it."""

from __future__ import annotations

import math

import numpy as np

from meanfield.analysis.verdict import low_moments
from meanfield.geometry.manifolds import Manifold
from meanfield.geometry.sphere import Array
from meanfield.interaction.measure import Measure

__all__ = ["linear_moments"]


_MOST = 64  # dimension up to which all second moments are taken; beyond, d of them


def linear_moments(measure: Measure, on: Manifold) -> dict[str, Array]:
    """Integrals over a measure, by name.

    Returns:
        "low": (k,) the harmonic moments of ``low_moments``; where there are no harmonics (d > 3)
        those of degree 1 and, up to d = 64, degree 2, by coordinates. "degree": (k,) of these.
        "mean": (m,) int x dmu, and "second": (m (m+1)/2,) the upper triangle of int x x^T dmu, of
        the coordinates that the manifold has moments of; the diagonal alone for d > 64.
    """
    y, w = on.moments_of(np.asarray(measure.points)), measure.weights
    mean = w @ y
    if y.shape[1] > _MOST:
        second = w @ y**2
        return {"low": math.sqrt(on.d) * mean, "degree": np.ones(on.d), "mean": mean,
                "second": second}  # fmt: skip
    full = (y * w[:, None]).T @ y
    rows, columns = np.triu_indices(y.shape[1])
    second = full[rows, columns]
    if on.has_harmonics:
        low, degree = low_moments(measure, d=on.d)
    else:
        # With the squares of orthonormal harmonics, by |x x^T - I / d|^2: d of them on the diagonal
        # stand for d - 1.
        size = np.where(rows == columns, math.sqrt(0.5), 1.0) * math.sqrt(on.d * (on.d + 2.0))
        low = np.concatenate([math.sqrt(on.d) * mean, size * (second - (rows == columns) / on.d)])
        degree = np.concatenate([np.ones(on.d), np.full(len(rows), 2.0)])
    return {"low": low, "degree": degree, "mean": mean, "second": second}
