"""Are weighted points independent draws of a density? A chi-squared test of its low moments.

Of the harmonics Y_k of degree 1 to 4, orthonormal for sigma, a density has the moments m = E Y
and the covariance C = E (Y - m)(Y - m)^T. Independent draws with weights w_i, sum one, that do not
depend on where they are, have sum_i w_i Y(x_i) with mean m and covariance C sum w_i^2, so that

    T = (a - m)^T C^+ (a - m) / sum w_i^2,    a = sum_i w_i Y(x_i),

has the mean r = rank C exactly, and for many points the law chi^2_r. Its variance is known exactly,
too, from the fourth moments of the density (Mardia's kurtosis). Where it is that of chi^2_r to 5 %,
the p-value is that of the scaled chi^2 with this mean and variance; else the law of T is that of
999 seeded samples of the density, with the same weights, as long as there are up to 5 000 points.
C^+ is of the directions in which the density fluctuates by more than a thousandth of the largest
variance: of narrow clusters the others are functions of the few, with heavy tails.

Moments of a density on a mesh are wrong by what the mesh does to them. Two readings of it (its own
masses at the vertices, and what is linear between them) differ by about as much: T may then be
shifted by lambda = delta^T C^+ delta / sum w_i^2, and the p-value is that of the noncentral chi^2
(of samples that are shifted towards the points), which is valid for every shift of that size.

Unlike ``verdict``, which takes whole clouds as independent, this takes *points* as independent:
tokens that have interacted are not. NumPy, SciPy; knows nothing of solvers, time and files.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy import stats

from meanfield.analysis.verdict import DEGREE
from meanfield.geometry.manifolds import Manifold
from meanfield.geometry.sphere import Array
from meanfield.interaction.measure import Measure, plain

__all__ = ["MomentLaw", "SampleMoments"]

_RANK = 1e-3  # smallest eigenvalue of C that counts, over the largest: others have heavy tails
_NORMAL = 0.05  # difference of the variance of T from that of chi^2, relative, that is no matter
_SAMPLES, _MOST = 999, 5_000  # of the law of T elsewhere; points up to which it is sampled
_WIDE = 2.0  # variance of T, over that of chi^2, beyond which its law is not known without
_HIDDEN = 1.0  # shift, over what T is by chance, beyond which it would hide most differences


@dataclass(frozen=True)
class SampleMoments:
    """What the test has found.

    Attributes:
        p_value: small if the points are no draws of the density; also where the next two say
            that it cannot be relied on.
        statistic: T.
        freedom: r, which T is on average.
        few: whether the points are fewer than r (the effective number of those with weights), or
            the law of T is not known.
        hidden: whether what the mesh may be wrong by would hide most differences: shift > r.
        shift: lambda, by which it may be wrong.
        differences: (k,) a - m, of each moment.
        degrees: (k,) of the moments.
    """

    p_value: float
    statistic: float
    freedom: int
    few: bool
    hidden: bool
    shift: float
    differences: Array = field(repr=False)
    degrees: Array = field(repr=False)


@dataclass(frozen=True, eq=False)
class MomentLaw:
    """Moments of a density and what those of its draws fluctuate by.

    Attributes:
        on: the sphere, or its latitudes.
        mean: (k,) m.
        degrees: (k,) of the harmonics.
        whitening: (r, k): of its rows the draws have the unit covariance.
        functions: (q, r) whitening (Y - m) at the points that stand for the density.
        masses: (q,) of these.
        error: (k,) what m may be wrong by.
    """

    on: Manifold
    mean: Array
    degrees: Array
    whitening: Array
    functions: Array
    masses: Array
    error: Array

    @cached_property
    def kurtosis(self) -> float:
        """E |whitening (Y - m)|^4; r (r + 2) for a normal law."""
        return float(self.masses @ np.sum(self.functions**2, axis=1) ** 2)

    @classmethod
    def of(cls, density: Measure, on: Manifold, other: Measure | None = None) -> MomentLaw:
        """That of a density.

        Args:
            density: it as many weighted points, in the coordinates of ``on``.
            on: the sphere, or its latitudes.
            other: another reading of it, which tells what moments may be wrong by; None: nothing.
        """
        harmonics = on.harmonics(DEGREE)
        at, w = harmonics.locate(plain(density.points)), density.weights
        unit = np.eye(len(harmonics.degrees))[1:]
        y = np.stack([harmonics.values(row, at) for row in unit], axis=1)
        mean = w @ y
        y -= mean
        size, axes = np.linalg.eigh((y * w[:, None]).T @ y)
        kept = size > _RANK * max(float(size[-1]), 1e-300)
        whitening = (axes[:, kept] / np.sqrt(size[kept])).T
        error = np.zeros_like(mean)
        if other is not None:
            error = harmonics.moments(plain(other.points), other.weights)[1:] - mean
        return cls(on, mean, harmonics.degrees[1:], whitening, y @ whitening.T, w, error)

    def test(self, points: Array, weights: Array) -> SampleMoments:
        """Hold points against the density.

        Args:
            points: (n, gdim) in the coordinates of ``on``.
            weights: (n,) with the sum one.
        """
        moments = self.on.harmonics(DEGREE).moments(points, weights)[1:]
        found, r, second = moments - self.mean, len(self.whitening), float(np.sum(weights**2))
        z, e = (self.whitening @ part / math.sqrt(second) for part in (found, self.error))
        t, shift = float(z @ z), float(e @ e)
        variance = 2.0 * r + (self.kurtosis - r * (r + 2.0)) * float(np.sum(weights**4) / second**2)
        scale = variance / (2.0 * r)
        sampled = abs(scale - 1.0) > _NORMAL and len(weights) <= _MOST
        if sampled:
            p_value = self._sampled(z, math.sqrt(shift), weights)
        else:
            p_value = _tail(t / scale, r / scale, shift / scale)
        return SampleMoments(
            p_value=p_value,
            statistic=t,
            freedom=r,
            few=1.0 / second < r or (not sampled and scale > _WIDE),
            hidden=shift > _HIDDEN * r,
            shift=shift,
            differences=found,
            degrees=self.degrees,
        )

    def _sampled(self, z: Array, shift: float, weights: Array) -> float:
        """The p-value by samples of the density, moved by ``shift`` towards z."""
        rng, as_far, size = np.random.default_rng(0), 0, float(np.linalg.norm(z))
        push = shift * z / max(size, 1e-300)
        ends = np.cumsum(self.masses)
        unit = weights / math.sqrt(float(np.sum(weights**2)))
        for _ in range(_SAMPLES):
            chosen = np.searchsorted(ends, ends[-1] * rng.random(len(weights)), side="right")
            own = unit @ self.functions[np.minimum(chosen, len(ends) - 1)] + push
            as_far += float(own @ own) >= size**2
        return (1 + as_far) / (1 + _SAMPLES)


def _tail(t: float, freedom: float, shift: float) -> float:
    """P(T >= t) of a noncentral chi^2; of the central one where the shift is nothing."""
    if shift <= 1e-6:
        return float(stats.chi2.sf(t, freedom))
    found = float(stats.ncx2.sf(t, freedom, shift))
    if math.isfinite(found):
        return found
    # So far out that its series fails: normal, with the same mean and variance.
    return float(stats.norm.sf((t - freedom - shift) / math.sqrt(2.0 * (freedom + 2.0 * shift))))
