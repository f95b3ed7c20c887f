"""Wasserstein distances between measures on the sphere, with the geodesic distance as cost.

W_p(mu, nu)^p = min over couplings of the mean of angle(x, y)^p, p = 1 or 2, in radians. Five ways:

=========  =====================  =========================================================
method     points                 what it is
=========  =====================  =========================================================
exact      any d                  linear program over all pairs (``ot.emd2``); needs 5 n m doubles
columns    any d                  the same number to ``rtol``, by levels and column generation
                                  (``coupling.levels``); memory like n + m, fast up to d = 4
circle     d = 2                  exact, O(N log N)
meridian   colatitudes (n, 1)     exact, O(N log N): axially symmetric measures in any d
bracket    any d                  two bounds by a coupling of blocks; for 1e6 points, d <= 4
=========  =====================  =========================================================

All give a lower and an upper bound of the true distance. Round-off of potentials of order one
limits W_2 to about 1e-6 where mass sits in clusters far apart; the bounds say so.

There is no entropic (Sinkhorn) method: its gap to the distance is what its smoothing is, and
column generation ends with a certified value. There is no sliced one: it is another distance (5 to
18 % off for laws on S^2), and at 1e4 points it took more time than the certified one. Cheaper than
both are tests by energies of kernels (``twosample``), which are no transport distances.

For axially symmetric measures W_p on S^{d-1} is W_p of their colatitudes on [0, pi]: the colatitude
never changes by more than the point moves (>=), and moving along meridians, which keeps the
uniform longitude, costs no more than the change of colatitude (<=). For a cloud of particles the
distance of colatitudes is that of the cloud averaged about the axis.

NumPy, SciPy, Numba and POT; knows nothing of meshes, time and files.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix
from scipy.spatial import cKDTree

from meanfield.analysis.coupling.costs import cost_matrix, pair_costs
from meanfield.analysis.coupling.levels import bracket, solve_columns
from meanfield.analysis.coupling.program import Certified, solve_dense
from meanfield.analysis.coupling.representatives import representatives
from meanfield.analysis.wasserstein_1d import circle_cost, line_cost
from meanfield.arguments import Count, checked_arguments
from meanfield.checks import real_array
from meanfield.errors import InputError, suggest
from meanfield.geometry.manifolds import Latitudes, Manifold, of_vectors
from meanfield.geometry.mesh import IntArray
from meanfield.geometry.sphere import Array, colatitude
from meanfield.interaction.measure import Measure, checked_on, plain

__all__ = [
    "METHODS",
    "Effort",
    "WassersteinResult",
    "checked_measure",
    "colatitudes",
    "memory_needed",
    "quantise",
    "wasserstein",
]

METHODS = ("auto", "exact", "columns", "circle", "meridian", "bracket")

_ANY = 3  # angles from e_d are the same in any dimension
_SMALL = 4_000_000  # pairs; beyond, column generation is faster than the dense program
_LARGE = 25_000_000_000  # pairs; beyond, the last linear program takes many minutes


@dataclass(frozen=True)
class Effort:
    """What a distance may cost, and how well it is to be known.

    Attributes:
        memory_limit: bytes that "exact" may use at its peak.
        max_iterations: pivots of each linear program.
        rtol: "columns" ends when the lower bound of W_p^p is this close, relatively.
        blocks: of each measure, that "bracket" couples, rounded down to a power of two.
    """

    memory_limit: float = 4e9
    max_iterations: int = 100_000_000
    rtol: float = 1e-6
    blocks: int = 16_384


_USUAL = Effort()


@dataclass(frozen=True)
class WassersteinResult:
    """A distance and what is known about it.

    Attributes:
        distance: in radians.
        p: 1 or 2.
        method: which of `METHODS` gave it.
        lower, upper: bounds of the true distance between the two weighted point sets, up to
            round-off. ``distance`` is the upper one: what the plan costs.
        plan: (n, m) sparse coupling between the points as given, if asked for.
    """

    distance: float
    p: int
    method: str
    lower: float
    upper: float
    plan: coo_matrix | None = None

    def interval(self, *displacements: float) -> tuple[float, float]:
        """Bounds when the measures meant are at most ``displacements`` from the ones compared.

        By the triangle inequality: pass the bounds of `quadrature.density_measure` and `quantise`.
        """
        return max(0.0, self.lower - sum(displacements)), self.upper + sum(displacements)


def colatitudes(measure: Measure) -> Measure:
    """Angles from e_d, (n, 1), of the points of a measure on S^{d-1}, with the same weights.

    Raises:
        InputError: it is no measure.
    """
    on = _geometry(measure, "measure")
    good = checked_on(on, measure)
    x = plain(good.points)
    return Measure(x if on.latitudes else colatitude(x)[:, None], good.weights)


def memory_needed(n: int, m: int) -> float:
    """Bytes that "exact" takes at its peak (measured): the costs, four such arrays inside POT."""
    return 5.1 * 8.0 * n * m


def _geometry(measure: Measure, name: str) -> Manifold:
    """What the points of a measure are on, by the number of their coordinates."""
    shape: tuple[int, ...] = (0, 2)  # of what is no measure at all, which is told elsewhere
    if isinstance(measure, Measure):
        shape = real_array(plain(measure.points), name, "points (n, d)").shape
    if len(shape) != 2 or not shape[1]:
        raise InputError(f"{name}: points of shape {shape} found, (n, d) expected")
    return Latitudes(_ANY) if shape[1] == 1 else of_vectors(shape[1])


def checked_measure(measure: Measure, name: str = "measure") -> tuple[Array, Array, IntArray]:
    """Clean a measure: finite, on the sphere, of mass one.

    Args:
        measure: (n, d) vectors of length one to 1e-6, or (n, 1) colatitudes; (n,) weights >= 0
            with the sum one to 1e-6.
        name: what to call it in messages.

    Returns:
        Unit vectors (or angles), weights > 0 with the sum one to the last bit, and which rows of
        the input these are: points without mass (below 1e-16) are dropped.

    Raises:
        InputError: anything else.
    """
    good = checked_on(_geometry(measure, name), measure, name)
    x, w = plain(good.points), good.weights
    kept = np.flatnonzero(w > 0.0)  # first, so that nothing depends on points without mass
    w = _in_units(w[kept])
    kept, w = kept[w > 0.0], w[w > 0.0]  # less than 2^-54 is none either
    return np.ascontiguousarray(x[kept]), w, kept


def _in_units(w: Array) -> Array:
    """Weights as whole multiples of 2^-53 with the sum one, each changed by less than that.

    All their sums are exact then, in any order: POT, which wants two equal sums, gets them, and
    cumulated masses of two measures meet where they should.
    """
    scaled = np.ldexp(w / w.sum(), 53)
    units = np.floor(scaled)
    missing = 2**53 - int(units.sum())
    some = min(max(missing, 0), len(w))
    units[np.argsort(units - scaled, kind="stable")[:some]] += 1.0
    units[units.argmax()] += missing - some
    return np.ldexp(units, -53)


@checked_arguments
def wasserstein(
    a: Measure,
    b: Measure,
    p: int = 2,
    method: str = "auto",
    *,
    plan: bool = False,
    effort: Effort = _USUAL,
) -> WassersteinResult:
    """Distance between two measures on S^{d-1}.

    Args:
        a: points (n, d), unit vectors, or (n, 1) colatitudes of an axially symmetric measure;
            weights with the sum one.
        b, p: likewise, in the same coordinates; 1 or 2.
        method: see the table of the module; "auto" takes "meridian" for colatitudes, "circle" for
            d = 2, "exact" for up to 4e6 pairs, "columns" up to 2.5e10, "bracket" beyond.
        plan, effort: whether to return the coupling; limits of memory and time, and accuracy.

    Raises:
        InputError: a measure that is none (see `checked_measure`), different dimensions, a method
            that does not fit, or a memory need above the limit (found before anything is made).
        RuntimeError: if POT fails or warns.

    >>> round(mf.wasserstein(*(mf.Measure.equal(e) for e in np.eye(3)[:2, None])).distance, 6)
    1.570796
    """
    _check(p, method)
    x, wa, rows = checked_measure(a, "first measure")
    y, wb, columns = checked_measure(b, "second measure")
    if x.shape[1] != y.shape[1]:
        raise InputError(
            f"points in {x.shape[1]} and {y.shape[1]} coordinates found, the same expected; "
            "colatitudes() makes (n, 1) angles of unit vectors"
        )
    method = _fitting_method(method, x.shape[1], len(x) * len(y))
    if method == "meridian":
        cost, coupling = line_cost(x[:, 0], wa, y[:, 0], wb, p)
        found = Certified(cost, cost, coupling)
    elif method == "circle":
        found = _circle(x, wa, y, wb, p)
    elif method == "exact":
        found = _dense(x, wa, y, wb, p, effort)
    elif method == "bracket":
        if effort.blocks < 1:
            raise InputError(f"blocks = {effort.blocks} found, at least 1 expected")
        found = bracket(x, wa, y, wb, p, effort.max_iterations, effort.blocks)
    else:
        found = solve_columns(x, wa, y, wb, p, effort.max_iterations, effort.rtol)
    cost, lower = max(float(found.cost), 0.0), max(float(found.lower), 0.0)
    source, target, mass = found.coupling
    shape = (len(a.weights), len(b.weights))
    return WassersteinResult(
        distance=cost ** (1.0 / p),
        p=p,
        method=method,
        lower=min(lower, cost) ** (1.0 / p),
        upper=cost ** (1.0 / p),
        plan=coo_matrix((mass, (rows[source], columns[target])), shape=shape) if plan else None,
    )


def _check(p: int, method: str) -> None:
    if p not in (1, 2):
        raise InputError(f"p = {p} found, 1 or 2 expected")
    if method == "sliced":
        raise InputError(
            "method 'sliced' is gone: 'bracket' takes less time and gives bounds of the true "
            "distance, 'columns' the distance itself"
        )
    if method not in METHODS:
        raise InputError(
            f"method '{method}' found, one of {', '.join(METHODS)} expected"
            f"{suggest(method, METHODS)}"
        )


def _fitting_method(method: str, d: int, pairs: int) -> str:
    if method == "auto":
        if d <= 2:
            return "meridian" if d == 1 else "circle"
        if pairs <= _SMALL:
            return "exact"
        return "columns" if pairs <= _LARGE else "bracket"
    if not {"meridian": d == 1, "circle": d == 2}.get(method, d >= 2):
        found = "colatitudes" if d == 1 else f"points in R^{d}"
        wanted = {"meridian": "colatitudes (n, 1)", "circle": "points in R^2"}.get(
            method, "unit vectors"
        )
        raise InputError(f"method '{method}' needs {wanted}, {found} found: 'auto' chooses")
    return method


def _dense(x: Array, a: Array, y: Array, b: Array, p: int, effort: Effort) -> Certified:
    need, limit = memory_needed(len(x), len(y)), effort.memory_limit
    if need > limit:
        raise InputError(
            f"method 'exact' for {len(x)} against {len(y)} points needs {need / 1e9:.1f} GB, the "
            f"limit is {limit / 1e9:.1f}: use 'columns' (the same number, memory like n + m), "
            "'bracket' (two bounds), fewer points (quantise, or a subsample), or raise memory_limit"
        )
    return solve_dense(a, b, cost_matrix(x, y, p), effort.max_iterations)


def _circle(x: Array, a: Array, y: Array, b: Array, p: int) -> Certified:
    """On the circle of points (n, 2), in radians."""
    turns = [np.arctan2(v[:, 1], v[:, 0]) / (2.0 * math.pi) for v in (x, y)]
    found = circle_cost(turns[0], a, turns[1], b, p)
    scale = (2.0 * math.pi) ** p
    return Certified(scale * found.cost, scale * found.lower, found.coupling)


@checked_arguments
def quantise(measure: Measure, size: int, p: int = 2, seed: Count = 0) -> tuple[Measure, float]:
    """Gather a measure on S^{d-1}, d >= 2, in at most ``size`` points.

    Points are chosen by mass, everything goes to the nearest one, and each of these is moved to the
    mean direction of what it got.

    Args:
        measure: points (n, d), weights.
        size: number of points, >= 1.
        p: of the bound; a bound for p = 2 is one for p = 1, too.
        seed: of the choice.

    Returns:
        The smaller measure, and the cost of this move: a bound for W_p between the two.
    """
    x, w, _ = checked_measure(measure)
    if x.shape[1] == 1:
        raise InputError("colatitudes need no quantising: 'meridian' takes millions of them")
    if size < 1:
        raise InputError(f"size = {size} found, at least 1 expected")
    centres, group, mass = representatives(x, w, size, seed)
    mean = np.stack([np.bincount(group, w * column) for column in x.T], axis=1)
    length = np.linalg.norm(mean, axis=1, keepdims=True)
    # A group all around the sphere has no mean direction: it keeps its centre.
    centres = np.where(length > 1e-3 * mass[:, None], mean / np.maximum(length, 1e-300), centres)
    group = cKDTree(centres).query(x)[1].astype(np.int64)
    cost = float(np.sum(w * pair_costs(x, np.arange(len(x)), centres, group, p)))
    weights = np.bincount(group, w, len(centres))
    kept = weights > 0.0
    return Measure(centres[kept], weights[kept]), cost ** (1.0 / p)
