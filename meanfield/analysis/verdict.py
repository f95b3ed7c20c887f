"""Do clouds of particles have the low moments of a density? A test for any number of particles.

Particles of one cloud are *not* independent (sa, beta = 4, the standard density: the variance of
moments between clouds is 2 to 9 times that of independent samples at t = 2, 7 to 90 times at
t = 4), so the clouds are the units. And a cloud of n particles is no sample of the density: its
expected moments differ from the density's by a bias of order 1/n, which enough clouds always see
(circle, sa, beta = 4, t = 1.5, n = 250, 64 clouds: p < 0.05 in 100 of 100 tests). It is measured
and taken out by *parts* of the clouds: the same particles, where each has interacted with those of
its half only, or its quarter, or its eighth. Fluctuations are the same to first order and biases
are 2, 4 and 8 times as large, so that extrapolation to 1/n = 0 takes out the bias in 1/n, 1/n^2 and
1/n^3 and costs little precision (the antithetic coupling of multilevel Monte-Carlo methods).

Let z_r be the extrapolated deviations of cloud r (``extrapolated``). Assumed is only that the R
clouds are independent and that each z_r is as likely as -z_r if the density is right: true in
the limit of many particles, where fluctuations are Gaussian, whatever the correlations inside a
cloud. The statistic T = sum_l w_l |mean of z_r at degree l|^2, w_l = 1 / (l^2 s_l^2), s_l^2 =
mean square of all z_r at degree l, is compared with its values for all sign patterns
z_r -> +-z_r; w_l does not change under these, so the test is exact for any R. With fewer than
6 clouds no pattern could be significant; then the smallest p of Student's t tests of single
moments of degree 1 and 2, times their number (Bonferroni), which assumes Gaussian moments.

``initial`` makes the test much sharper. Most of z_r(t) is the initial fluctuation z_r(0) of
that cloud, carried along; with c_l fitted over all clouds, z_r(t) - c_l z_r(0) takes its place
(c_l does not change under flips either). Measured for the standard density, sa, beta = 4,
n = 4000, R = 8 against the density for beta = 4.4: the power at 5 % goes from 0.2 to 1.0 at
t = 1 and from 0.8 to 1.0 at t = 2. That sharp, the test also sees the error of the density's
mesh, for which there is ``allowance``.

The expansion in 1/n is one in the share q of the fluctuations that depends on the number of
particles (``Verdict.share``): the bias is q times what a cloud fluctuates by, the orders 1/n^2
and 1/n^3 are q^3 and q^5 times this. What extrapolation may have left is taken to be as much as its
last correction, as far as that is more than chance, and is allowed for. No verdict is given where
the order 1/n^3, 8 q^5 sqrt(R) in units of ``resolution``, is above 1.2: q = 0.56 for 8 clouds, 0.45
for 64. Up to there p is uniform if the density is right, or larger where something is allowed for:
sa, beta = 4, 256 particles, two laws each on the circle and the sphere, R = 8, 16, 64, t = 0.5 to
3, 25 to 100 tests of each kind: p < 0.05 in 0 to 10 %, and in 16 % where the bias is more than 5
times ``resolution``.

NumPy, SciPy; knows nothing of solvers, time and files.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import stats

from meanfield.analysis.wasserstein import checked_measure
from meanfield.checks import real_array
from meanfield.errors import InputError
from meanfield.geometry.manifolds import Latitudes, of_vectors
from meanfield.geometry.sphere import Array
from meanfield.interaction.measure import Measure

__all__ = [
    "DEGREE",
    "Verdict",
    "extrapolated",
    "low_moments",
    "moment_test",
    "two_sample_test",
]

DEGREE = 4  # harmonics up to here enter the verdict
_ENUMERATED = (
    12  # clouds up to which all sign patterns are tried (2^11); beyond, _DRAWN random ones
)
_DRAWN = 4999
_FEW = 6  # clouds below which no sign pattern can be surprising at 5 %: least p = 2^{1-R}
_MOST = 1.2  # bias of order 1/n^3, over what chance makes, beyond which p is withheld
_ROUND_OFF = 1e-11  # of moments, that is no difference
_CHANCE = 3.0  # squares of corrections up to this times their variance are taken for chance


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


def extrapolated(levels: Sequence[Array] | Array) -> Array:
    """The limit at 1/n = 0 of what n, n/2, n/4, ... particles have: Richardson's.

    Args:
        levels: arrays of one shape (..., or one array with the levels first), of whole clouds,
            halves, quarters, ...; where there is one level only, this one is returned.
    """
    x = 2.0 ** np.arange(len(levels))
    factors = [math.prod(b / (b - a) for b in x if b != a) for a in x]
    out: Array = sum(f * np.asarray(level) for f, level in zip(factors, levels, strict=True))
    return out


@dataclass(frozen=True)
class Verdict:
    """Whether clouds of particles and a density have the same low moments.

    "Size" of differences of moments a_k of degrees l_k is (sum_k w_l |a_k|^2)^{1/2}, with the
    weights of ``moment_test``.

    Attributes:
        p_value: small if they differ. Never below 2^{1-R} for R clouds with "signs"; nan: no
            verdict.
        method: "signs" (sign flips of whole clouds), "student" (fewer than 6 clouds), or "none":
            no verdict, since the expansion in 1/n cannot be trusted.
        replicas: number of clouds R.
        controlled: whether the clouds' own initial fluctuations were taken out.
        distance: size of the mean difference, beyond the allowance.
        resolution: what ``distance`` is by chance alone (root mean square over sign flips).
        bias: size of what finite n adds to the difference, which was taken out; nan if unknown.
        band: size of the last correction of this: what the bias is uncertain by; nan if unknown.
        share: part of the fluctuations that differs between clouds and their halves (root mean
            square): what the expansion in 1/n is in; nan if unknown.
        spread: by degree 1, 2, ...: root mean square fluctuation of a moment between clouds.
        moments: mean difference of each moment, clouds (n to infinity) minus density.
        degrees: of the moments.
    """

    p_value: float
    method: str
    replicas: int
    controlled: bool
    distance: float
    resolution: float
    bias: float
    band: float
    share: float
    spread: Array = field(repr=False)
    moments: Array = field(repr=False)
    degrees: Array = field(repr=False)

    def differs(self, level: float = 0.05) -> bool:
        """Whether the difference is significant at this level. Not without a verdict."""
        return self.p_value <= level


def two_sample_test(
    clouds: Sequence[Measure],
    density: Measure,
    initial: tuple[Sequence[Measure], Measure] | None = None,
    *,
    parts: Sequence[Sequence[Measure]] = (),
    degree: int = DEGREE,
    d: int | None = None,
    allowance: float = 0.0,
    rng: np.random.Generator | None = None,
) -> Verdict:
    """Test whether R clouds of particles have, on average, the moments of a density.

    Args:
        clouds: R >= 2 clouds at one time, in any of the coordinates of ``low_moments``.
        density: the density at that time; best as its own masses at the vertices of the mesh.
        initial: the same clouds and the density at t = 0, in the same order.
        parts: the same particles again, if each had interacted with those of its half only, of its
            quarter only, ...: R clouds each.
        degree: highest degree of the moments.
        d: dimension, for colatitudes.
        allowance, rng: see ``moment_test``.

    Raises:
        InputError: fewer than two clouds, or clouds that do not differ (the test needs replicas
            that are random).
    """
    if len(clouds) < 2:
        raise InputError(
            f"{len(clouds)} clouds found, at least 2 expected (6 for a test by sign flips)"
        )

    def of(some: Sequence[Measure], reference: Measure) -> Array:
        return np.array([low_moments(c, degree, d)[0] for c in some]) - moments(reference)

    def moments(measure: Measure) -> Array:
        return low_moments(measure, degree, d)[0]

    others = [("parts of clouds", level) for level in parts]
    if initial is not None:
        others.append(("initial clouds", initial[0]))
    for what, some in others:
        if len(some) != len(clouds):
            raise InputError(f"{len(some)} {what} found, {len(clouds)} expected")
    levels = np.array([of(level, density) for level in (clouds, *parts)])
    degrees = low_moments(density, degree, d)[1]
    return moment_test(
        levels, degrees, of(*initial) if initial else None, allowance=allowance, rng=rng
    )


def moment_test(
    levels: Array,
    degrees: Array,
    initial: Array | None = None,
    *,
    allowance: float | Array = 0.0,
    rng: np.random.Generator | None = None,
) -> Verdict:
    """Test whether the mean of deviations of R clouds vanishes as their particles get many.

    How, and what for, is said at the head of this file.

    Args:
        levels: (levels, R, k): moments minus those of the density, of the clouds, of their halves,
            quarters, ...
        degrees: (k,) of the moments, from 1 on.
        initial: (R, k) the same at t = 0, where parts make no difference.
        allowance: numerical error of each moment of the density: a number, or (k,). The p-value is
            then that for the moments nearest to the clouds' that differ from the density's by no
            more than this.
        rng: for random sign patterns, only used beyond 12 clouds.

    Raises:
        InputError: arrays of other shapes, or clouds that do not differ.
    """
    levels, degrees, allowed = _checked(levels, degrees, initial, allowance)
    limit = z = extrapolated(levels)
    last = limit - extrapolated(levels[:-1]) if len(levels) > 1 else None
    if initial is not None:
        z = z - _carried(z, initial, degrees)
    found = z.mean(axis=0)
    allowed += _ROUND_OFF * float(np.abs(levels).max())
    if last is not None:
        allowed += _left(last, degrees)
    z = z - np.clip(found, -allowed, allowed)
    spread = np.array([math.sqrt(float(np.mean(z[:, degrees == l] ** 2))) for l in
                       range(1, int(degrees.max()) + 1)])  # fmt: skip
    weights = 1.0 / (degrees * np.maximum(spread, 1e-15)[degrees - 1]) ** 2
    gram = (z * weights) @ z.T / len(z) ** 2
    signs = _sign_patterns(len(z), rng or np.random.default_rng(0))
    values = np.sum((signs @ gram) * signs, axis=1)
    distance, resolution = (math.sqrt(max(float(v), 0.0)) for v in (values[0], np.trace(gram)))

    def size(difference: Array) -> float:
        return math.sqrt(float(np.sum(weights * difference.mean(axis=0) ** 2)))

    bias = band = share = math.nan
    if last is not None:
        bias, band = size(levels[0] - limit), size(last)
        share = float(np.linalg.norm(levels[0] - levels[1]) / np.linalg.norm(levels[0]))
    p_value, method = _chance(values, z[:, degrees <= 2])
    if 8.0 * share**5 * math.sqrt(len(z)) > _MOST:
        p_value, method = math.nan, "none"
    return Verdict(
        p_value, method, len(z), initial is not None, distance, resolution, bias, band, share,
        spread, found, degrees,
    )  # fmt: skip


def _checked(
    levels: Array, degrees: Array, initial: Array | None, allowance: float | Array
) -> tuple[Array, Array, Array]:
    """Moments by level and cloud, the degree of each, and what is allowed for each."""
    z = real_array(levels, "levels", "numbers of shape (levels, clouds >= 2, moments)")
    l = np.asarray(degrees)
    if z.ndim != 3 or min(z.shape) < 1 or z.shape[1] < 2 or not np.all(np.isfinite(z)):
        raise InputError(
            f"levels: finite moments of shape (levels, clouds >= 2, moments) expected, "
            f"{z.shape} found"
        )
    if l.shape != z.shape[2:] or set(l.tolist()) != set(range(1, int(np.max(l, initial=1)) + 1)):
        raise InputError(
            f"degrees: {l} found, that of each of {z.shape[2]} moments expected, all from 1 on"
        )
    if initial is not None:
        start = real_array(initial, "initial", "numbers of shape (clouds, moments)")
        if start.shape != z.shape[1:] or not np.all(np.isfinite(start)):
            raise InputError(
                f"initial: finite moments of shape {z.shape[1:]} expected, {start.shape} found"
            )
    allowed = real_array(allowance, "allowance", "a number >= 0, or one for each moment")
    if allowed.shape not in ((), l.shape) or not np.all((allowed >= 0.0) & np.isfinite(allowed)):
        raise InputError(f"allowance: {allowed} found, a number >= 0 or one for each expected")
    if np.ptp(z[0], axis=0).max() <= 1e-12:
        raise InputError(
            "clouds that do not differ found, independent random replicas expected: draw the "
            "initial tokens at random, with another seed for each"
        )
    return z, l.astype(np.int64), allowed + np.zeros(l.shape)


def _left(last: Array, degrees: Array) -> Array:
    """What extrapolation may have left in each moment: its last correction (R, k) beyond chance.

    One number for each degree, so that it is the same for rotated states.
    """
    excess = last.mean(axis=0) ** 2 - _CHANCE * last.var(axis=0, ddof=1) / len(last)
    sums = [float(np.sum(excess[degrees == l])) for l in degrees]
    return np.sqrt(np.maximum(sums, 0.0))


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
