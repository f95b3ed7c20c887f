"""Are two clouds, or a cloud and a density, the same law? Energies of kernels, with p-values.

With a kernel k the squared distance of two measures is the energy of their difference,

    D^2 = int int k(x, y) (mu - nu)(dx) (mu - nu)(dy),

which is zero for equal laws only. Two kernels:

=========  =================================================================================
energy     k = -|x - y|, the chord: the energy distance (Szekely and Rizzo), no parameter
mmd        k = exp(-|x - y|^2 / (2 h^2)): maximum mean discrepancy (Gretton and others); h is
           the median chord of the points, unless given
=========  =================================================================================

The chord, not the angle: the kernel -angle is of odd degree, and would find no difference between
two laws that are symmetric about the centre. Against ``wasserstein``: no transport, no bounds of
it, but a test of two samples in any dimension with the time of a few matrix products.

The p-value is that of permutations: under the null all points are independent draws from one law,
so that labels may be exchanged. It is (1 + #{D_perm >= D}) / (1 + permutations), valid for any n.
Tokens that have interacted are not independent: at t > 0 their p-values tell of clouds, not of
laws, and ``verdict`` compares clouds as wholes. Points with unequal weights cannot be exchanged;
draw from a density first (``quadrature.sample_density``).

POT has no such test, SciPy's ``energy_distance`` is for the line (and equals it there); PyTorch
libraries (geomloss) have the statistics, no p-value. NumPy only; knows nothing of meshes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist

from meanfield.analysis.wasserstein import checked_measure
from meanfield.arguments import Count, checked_arguments
from meanfield.errors import InputError, suggest
from meanfield.geometry.sphere import Array
from meanfield.interaction.measure import Measure

__all__ = ["STATISTICS", "TwoSample", "kernel_distance", "two_sample"]

STATISTICS = ("energy", "mmd")

_BLOCK = 2_048  # rows of the kernel matrix at a time
_MOST = 50_000  # points of both clouds for p-values: some 10 minutes on two cores
_ONE_PLACE = 1e-7  # chord of points that are as good as one
_EQUAL = 1e-9  # relative difference of statistics that are equal
_MEDIAN = 1_000  # points that the median chord is of


@dataclass(frozen=True)
class TwoSample:
    """What a test of two clouds has found.

    Attributes:
        statistic: which of `STATISTICS`.
        distance: D >= 0.
        p_value: of equal laws, by permutations; at least 1 / (1 + permutations).
        permutations: how many.
        width: h of "mmd"; None for "energy".
    """

    statistic: str
    distance: float
    p_value: float
    permutations: int
    width: float | None = None


@checked_arguments
def kernel_distance(
    a: Measure, b: Measure, statistic: str = "energy", width: float | None = None
) -> float:
    """D between two weighted measures on S^{d-1}, d >= 2; time like (n + m)^2.

    Args:
        a: points (n, d), unit vectors, and weights with the sum one.
        b: likewise, (m, d).
        statistic: "energy" or "mmd".
        width: h of "mmd", > 0; by default the median chord.

    Raises:
        InputError: a measure that is none, different dimensions, an unknown statistic.

    Example:
        >>> a = mf.Measure.equal(np.eye(3))
        >>> mf.kernel_distance(a, a)
        0.0
    """
    x, w, width = _pooled(a, b, statistic, width)
    return float(np.sqrt(_energies(x, w[:, None], width)[0]))


@checked_arguments
def two_sample(
    a: Measure,
    b: Measure,
    statistic: str = "energy",
    *,
    permutations: int = 999,
    seed: Count = 0,
    width: float | None = None,
) -> TwoSample:
    """Test whether two clouds of independent points, equally weighted, are of one law.

    Args:
        a: points (n, d), unit vectors, d >= 2, with equal weights.
        b: likewise, (m, d).
        statistic: "energy" or "mmd".
        permutations: how many relabelled clouds D is compared with.
        seed: of these.
        width: h of "mmd", > 0; by default the median chord.

    Raises:
        InputError: measures that are none or not of equal weights, different dimensions, more than
            50 000 points, an unknown statistic.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> a, b = (mf.Measure.equal(mf.Uniform(3).sample(50, rng)) for _ in range(2))
        >>> bool(mf.two_sample(a, b, permutations=99).p_value > 0.01)
        True
    """
    if permutations < 1:
        raise InputError(f"permutations = {permutations} found, at least 1 expected")
    for name, measure in (("first", a), ("second", b)):
        weights = np.asarray(measure.weights)
        if weights.size and np.ptp(weights) > 1e-9 * weights.max():
            raise InputError(
                f"{name} measure: weights {weights.min():g} to {weights.max():g} found, equal ones "
                "expected (points that are draws): kernel_distance takes any weights, and "
                "sample_density draws from a density"
            )
    x, w, width = _pooled(a, b, statistic, width)
    if len(x) > _MOST:
        raise InputError(
            f"{len(x)} points found, at most {_MOST} of both clouds expected: compare subsamples"
        )
    rng = np.random.default_rng(seed)
    labels = np.stack([w, *(rng.permutation(w) for _ in range(permutations))], axis=1)
    found = _energies(x, labels, width)
    # Equal up to round-off is equal: small clouds have permutations that change nothing.
    as_far = np.count_nonzero(found[1:] >= found[0] - _EQUAL * np.max(found))
    return TwoSample(
        statistic=statistic,
        distance=float(np.sqrt(found[0])),
        p_value=(1 + int(as_far)) / (1 + permutations),
        permutations=permutations,
        width=width,
    )


def _pooled(
    a: Measure, b: Measure, statistic: str, width: float | None
) -> tuple[Array, Array, float | None]:
    """All points, their weights with the sign of the measure, and h (None: the energy kernel)."""
    if statistic not in STATISTICS:
        raise InputError(
            f"statistic '{statistic}' found, one of {', '.join(STATISTICS)} expected"
            f"{suggest(statistic, STATISTICS)}"
        )
    x, wa, _ = checked_measure(a, "first measure")
    y, wb, _ = checked_measure(b, "second measure")
    if x.shape[1] != y.shape[1] or x.shape[1] < 2:
        raise InputError(
            f"points in {x.shape[1]} and {y.shape[1]} coordinates found, unit vectors in the same "
            "R^d, d >= 2, expected"
        )
    points, weights = np.concatenate([x, y]), np.concatenate([wa, -wb])
    if statistic == "energy":
        if width is not None:
            raise InputError(f"width = {width} found, none expected: 'energy' has no parameter")
        return points, weights, None
    if width is None:
        some = points[:: max(1, len(points) // _MEDIAN)]
        width = float(np.median(_chords(some, some)[np.triu_indices(len(some), 1)]))
        width = width if width > _ONE_PLACE else 1.0  # most points are at one place
    elif not 0.0 < width < np.inf:
        raise InputError(f"width = {width} found, a number > 0 expected")
    return points, weights, width


def _chords(x: Array, y: Array) -> Array:
    """By differences: of products, points at one place would be 1e-8 apart."""
    return np.asarray(cdist(x, y))


def _energies(x: Array, w: Array, width: float | None) -> Array:
    """w^T k w for each column of w (n, columns), >= 0, without the whole matrix k."""
    total = np.zeros(w.shape[1])
    for first in range(0, len(x), _BLOCK):
        rows = slice(first, first + _BLOCK)
        k = _chords(x[rows], x)
        if width is None:
            np.negative(k, out=k)
        else:
            k *= k
            k *= -0.5 / width**2
            np.exp(k, out=k)
        total += np.einsum("ij,ij->j", w[rows], k @ w)
    return np.maximum(total, 0.0)
