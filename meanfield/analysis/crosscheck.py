"""Do particles agree with a density? Sampling floor, intervals, rates, and a verdict.

A cloud of n independent particles is as far from its law as the *sampling floor* says, so that a
measured distance is held against the floor, not against zero. Interacting particles fluctuate more:
what they have by chance at first is carried along and amplified, in the same proportion for every
n. The ratio to the floor is then a constant above 1 and the rate in n stays (measured for the
standard density, sa, beta = 4, n = 4000, 8 replicas, W_2: 1.12 +- 0.13 at t = 1, 1.55 +- 0.2 at
t = 2; Dobrushin's bound allows e^{Ct}). A ratio above 1 alone is no disagreement.

Whether they agree is not read off distances, which in the floor see almost nothing of a slightly
wrong law, but off low harmonic moments. Particles of one cloud are *not* independent (same setting:
the variance of moments between clouds is 2 to 9 times that of independent samples at t = 2, 7 to 90
times at t = 4), so the clouds are the units, see `two_sample_test`.

NumPy, SciPy; knows nothing of solvers, time and files.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from scipy import stats

from meanfield.analysis.wasserstein import checked_measure, colatitudes, wasserstein
from meanfield.errors import InputError
from meanfield.geometry.manifolds import Latitudes, of_vectors
from meanfield.geometry.sphere import Array
from meanfield.interaction.measure import Measure

__all__ = [
    "Difference",
    "Interval",
    "Verdict",
    "difference",
    "low_moments",
    "mean_with_interval",
    "rate_fit",
    "ratio_interval",
    "sampling_floor",
    "two_sample_test",
]

DEGREE = 4  # harmonics up to here enter the verdict
_ENUMERATED = (
    12  # clouds up to which all sign patterns are tried (2^11); beyond, _DRAWN random ones
)
_DRAWN = 4999
_FEW = 6  # clouds below which no sign pattern can be surprising at 5 %: least p = 2^{1-R}


class _Sampler(Protocol):
    def sample(self, n: int, rng: np.random.Generator) -> Array: ...


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval."""

    value: float
    low: float
    high: float
    level: float = 0.95

    def __contains__(self, number: float) -> bool:
        return self.low <= number <= self.high


def _sample(values: Sequence[float] | Array, name: str, least: int) -> Array:
    out = np.asarray(values, dtype=np.float64).ravel()
    if len(out) < least or not np.all(np.isfinite(out)):
        raise InputError(f"{name}: {out} found, at least {least} finite numbers expected")
    return out


def _quantile(level: float, freedom: float) -> float:
    if not 0.0 < level < 1.0:
        raise InputError(f"level = {level} found, a number between 0 and 1 expected, like 0.95")
    return float(stats.t.ppf(0.5 + 0.5 * level, freedom))


def mean_with_interval(values: Sequence[float] | Array, level: float = 0.95) -> Interval:
    """Mean of independent replicas with Student's t interval (R - 1 degrees of freedom)."""
    v = _sample(values, "values", 2)
    half = _quantile(level, len(v) - 1) * float(v.std(ddof=1)) / math.sqrt(len(v))
    return Interval(float(v.mean()), float(v.mean()) - half, float(v.mean()) + half, level)


def ratio_interval(
    a: Sequence[float] | Array, b: Sequence[float] | Array, level: float = 0.95
) -> Interval:
    """Ratio of the geometric means of two independent groups of positive numbers.

    Welch's t interval for the difference of the mean logarithms.
    """
    logs = []
    for values, name in ((a, "numerator"), (b, "denominator")):
        v = _sample(values, name, 2)
        if v.min() <= 0.0:
            raise InputError(f"{name}: {v.min():g} found, distances > 0 expected")
        logs.append(np.log(v))
    parts = [float(v.var(ddof=1)) / len(v) for v in logs]
    centre, total = float(logs[0].mean() - logs[1].mean()), sum(parts)
    half = 0.0
    if total > 0.0:
        freedom = total**2 / sum(q**2 / (len(v) - 1) for q, v in zip(parts, logs, strict=True))
        half = _quantile(level, freedom) * math.sqrt(total)
    return Interval(math.exp(centre), math.exp(centre - half), math.exp(centre + half), level)


def rate_fit(
    n: Sequence[int] | Array, values: Sequence[Sequence[float]] | Array, level: float = 0.95
) -> Interval:
    """Slope of log(values) against log(n), least squares, with Student's t interval.

    Args:
        n: numbers of particles, at least two different ones.
        values: for each n one distance, or the distances of all replicas.
        level: of the interval, which takes replicas as independent and of equal relative spread.
    """
    rows = [_sample(v if np.ndim(v) else [v], f"values at n = {k}", 1) for k, v in zip(
        n, values, strict=True
    )]  # fmt: skip
    y = np.concatenate(rows)
    if y.min() <= 0.0:
        raise InputError(f"values: {y.min():g} found, distances > 0 expected")
    x = np.log(np.repeat(np.asarray(n, dtype=np.float64), [len(v) for v in rows]))
    if len(np.unique(x)) < 2 or len(x) < 3:
        raise InputError(
            f"{len(x)} distances at {len(np.unique(x))} numbers of particles found, at least 3 at "
            "2 different ones expected"
        )
    fit = stats.linregress(x, np.log(y))
    half = _quantile(level, len(x) - 2) * float(fit.stderr)
    slope = float(fit.slope)
    return Interval(slope, slope - half, slope + half, level)


@dataclass(frozen=True)
class Difference:
    """Mean of replicas minus a reference, in units of its Monte-Carlo error, entry by entry."""

    value: Array
    standard_error: Array
    z: Array


def difference(values: Array, reference: Array | float) -> Difference:
    """Hold diagnostics of R replicas (R, ...) against those of the density (...).

    The standard error is that of the mean of the replicas, s / sqrt(R), whatever happens inside a
    replica; z follows Student's t with R - 1 degrees of freedom where particles have no bias.
    """
    v = np.asarray(values, dtype=np.float64)
    if v.ndim < 1 or len(v) < 2:
        raise InputError(f"values of shape {v.shape} found, (replicas >= 2, ...) expected")
    gap = v.mean(axis=0) - reference
    error = v.std(axis=0, ddof=1) / math.sqrt(len(v))
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(gap == 0.0, 0.0, gap / error)
    return Difference(np.asarray(gap), np.asarray(error), np.asarray(z))


def sampling_floor(
    law: _Sampler,
    reference: Measure,
    n: int,
    replicas: int,
    rng: np.random.Generator,
    p: int = 2,
    distance: Callable[[Measure, Measure], float] | None = None,
) -> Array:
    """Distances (replicas,) of n independent samples of a law to the same law as points.

    Args:
        law: what to draw from (`geometry.laws.density_law`).
        reference: the law as weighted points (`quadrature.density_measure`), the very measure that
            particles are compared with; if it has colatitudes, samples are compared by theirs.
        n: samples per replica.
        replicas: how many.
        rng: one stream for all replicas.
        p: exponent, if ``distance`` is not given.
        distance: the estimator, if it is not ``wasserstein(a, b, p).distance``.
    """
    measure = distance or (lambda a, b: wasserstein(a, b, p).distance)
    zonal = np.shape(reference.points)[-1] == 1
    out = np.empty(replicas)
    for r in range(replicas):
        sample = Measure.equal(law.sample(n, rng))
        out[r] = measure(colatitudes(sample) if zonal else sample, reference)
    return out


def low_moments(
    measure: Measure, degree: int = DEGREE, d: int | None = None
) -> tuple[Array, Array]:
    """Moments int Y_k dmu against real harmonics, orthonormal for sigma, of degree 1 to ``degree``.

    Args:
        measure: points (n, 2), (n, 3) or colatitudes (n, 1); weights.
        degree: highest degree.
        d: dimension of the ambient space, needed for colatitudes.

    Returns:
        The moments, and the degree of each.
    """
    x, w, _ = checked_measure(measure)
    if x.shape[1] > 3:
        raise InputError(
            f"points in R^{x.shape[1]} found, R^2, R^3 or colatitudes expected: compare "
            "colatitudes() of axially symmetric measures"
        )
    if x.shape[1] > 1:
        on = of_vectors(x.shape[1])
    elif d is None:
        raise InputError("colatitudes do not tell the dimension: pass d")
    else:
        on = Latitudes(d)
    harmonics = on.harmonics(degree)
    return harmonics.moments(x, w)[1:], harmonics.degrees[1:]


@dataclass(frozen=True)
class Verdict:
    """Whether clouds of particles and a density have the same low moments.

    Attributes:
        p_value: small if they differ. Never below 2^{1-R} for R clouds with "signs".
        method: "signs" (sign flips of whole clouds) or "student" (fewer than 6 clouds).
        replicas: number of clouds R.
        controlled: whether the clouds' own initial fluctuations were taken out.
        distance: root of T: the size of what was found, beyond the allowance.
        resolution: what ``distance`` is by chance alone (root mean square over sign flips).
        spread: by degree 1, 2, ...: root mean square fluctuation of a moment between clouds.
        moments: mean difference of each moment, clouds minus density.
        degrees: of the moments.
    """

    p_value: float
    method: str
    replicas: int
    controlled: bool
    distance: float
    resolution: float
    spread: Array = field(repr=False)
    moments: Array = field(repr=False)
    degrees: Array = field(repr=False)

    def differs(self, level: float = 0.05) -> bool:
        """Whether the difference is significant at this level."""
        return self.p_value <= level


def two_sample_test(
    clouds: Sequence[Measure],
    density: Measure,
    initial: tuple[Sequence[Measure], Measure] | None = None,
    degree: int = DEGREE,
    d: int | None = None,
    allowance: float = 0.0,
    rng: np.random.Generator | None = None,
) -> Verdict:
    """Test whether R clouds of particles have, on average, the moments of a density.

    For each cloud r let z_r be its harmonic moments of degree 1 to ``degree`` minus those of the
    density. Assumed is only that the R clouds are independent and that each z_r is as likely as
    -z_r if the density is right: true in the limit of many particles, where fluctuations are
    Gaussian, whatever the correlations inside a cloud. The statistic
    T = sum_l w_l |mean of z_r at degree l|^2, w_l = 1 / (l^2 s_l^2), s_l^2 = mean square of all
    z_r at degree l, is compared with its values for all sign patterns z_r -> +-z_r; w_l does not
    change under these, so the test is exact for any R. With fewer than 6 clouds no pattern could
    be significant; then the smallest p of Student's t tests of single moments of degree 1 and 2,
    times their number (Bonferroni), which assumes Gaussian moments.

    ``initial`` makes the test much sharper. Most of z_r(t) is the initial fluctuation z_r(0) of
    that cloud, carried along; with c_l fitted over all clouds, z_r(t) - c_l z_r(0) takes its place
    (c_l does not change under flips either). Measured for the standard density, sa, beta = 4,
    n = 4000, R = 8 against the density for beta = 4.4: the power at 5 % goes from 0.2 to 1.0 at
    t = 1 and from 0.8 to 1.0 at t = 2. That sharp, the test also sees what is not the model's
    fault: the O(1/n) bias of finite n where the flow is unstable, and the error of the density's
    mesh. For the latter there is ``allowance``: the p-value is then that for the moments nearest to
    the clouds' that differ from the density's by no more than this.

    Args:
        clouds: R >= 2 clouds at one time, in any of the coordinates of `low_moments`.
        density: the density at that time; best as its own masses at the vertices of the mesh.
        initial: the same clouds and the density at t = 0, in the same order.
        degree: highest degree of the moments.
        d: dimension, for colatitudes.
        allowance: numerical error of each moment of the density, like the largest difference of
            moments between two meshes.
        rng: for random sign patterns, only used beyond 12 clouds.

    Raises:
        InputError: fewer than two clouds, or clouds that do not differ (the test needs replicas
            that are random).
    """
    z, degrees = _deviations((clouds, density), initial, degree, d)
    found = z.mean(axis=0)
    z = z - np.clip(found, -allowance, allowance)
    spread = np.array([math.sqrt(float(np.mean(z[:, degrees == l] ** 2))) for l in
                       range(1, degree + 1)])  # fmt: skip
    weights = 1.0 / (degrees * np.maximum(spread, 1e-15)[degrees - 1]) ** 2
    gram = (z * weights) @ z.T / len(z) ** 2
    signs = _sign_patterns(len(z), rng or np.random.default_rng(0))
    values = np.sum((signs @ gram) * signs, axis=1)
    p_value, method = _chance(values, z[:, degrees <= 2])
    distance, resolution = (math.sqrt(max(float(v), 0.0)) for v in (values[0], np.trace(gram)))
    return Verdict(
        p_value, method, len(z), initial is not None, distance, resolution, spread, found, degrees
    )


_Snapshot = tuple[Sequence[Measure], Measure]


def _deviations(
    now: _Snapshot, initial: _Snapshot | None, degree: int, d: int | None
) -> tuple[Array, Array]:
    """Moments (R, k) of clouds minus those of a density, what was there at first taken out.

    And the degree of each moment.
    """

    def of(clouds: Sequence[Measure], density: Measure) -> tuple[Array, Array]:
        reference, degrees = low_moments(density, degree, d)
        return np.array([low_moments(c, degree, d)[0] for c in clouds]) - reference, degrees

    z, degrees = of(*now)
    if len(z) < 2:
        raise InputError(f"{len(z)} clouds found, at least 2 expected (6 for a test by sign flips)")
    if np.ptp(z, axis=0).max() <= 1e-12:
        raise InputError(
            "clouds that do not differ found, independent random replicas expected: draw the "
            "initial tokens at random, with another seed for each"
        )
    if initial is not None:
        if len(initial[0]) != len(z):
            raise InputError(f"{len(initial[0])} initial clouds found, {len(z)} expected")
        z = z - _carried(z, of(*initial)[0], degrees)
    return z, degrees


def _chance(values: Array, low: Array) -> tuple[float, str]:
    """The p-value and its method.

    Args:
        values: T of all sign patterns, the first one as it is.
        low: (R, k) moments of degrees 1 and 2, for few clouds.
    """
    if len(low) >= _FEW:
        # Ties belong to the tail; the margin is far above round-off and below any real gap.
        return float(np.mean(values >= values[0] * (1.0 - 1e-10))), "signs"
    t = stats.ttest_1samp(low, 0.0).pvalue
    return min(1.0, float(np.nanmin(t)) * low.shape[1]), "student"


def _carried(z: Array, z0: Array, degrees: Array) -> Array:
    """The part of z (R, k) that is proportional to z0, with one factor for each degree."""
    out = np.zeros_like(z)
    for l in np.unique(degrees):
        at = degrees == l
        square = float(np.sum(z0[:, at] ** 2))
        if square > 0.0:
            out[:, at] = float(np.sum(z[:, at] * z0[:, at])) / square * z0[:, at]
    return out


def _sign_patterns(count: int, rng: np.random.Generator) -> Array:
    """Rows of +-1 that begin with +1 (T is even), the first all +1; all of them, or many drawn."""
    if count <= _ENUMERATED:
        rest = np.array(list(itertools.product((1.0, -1.0), repeat=count - 1)))
    else:
        rest = rng.choice((1.0, -1.0), size=(_DRAWN + 1, count - 1))
        rest[0] = 1.0
    return np.concatenate([np.ones((len(rest), 1)), rest], axis=1)
