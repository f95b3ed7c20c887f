"""A measure as what interacts: points with weights. Knows nothing of who gives it or takes it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from meanfield.checks import as_found, real_array, refuse_rows
from meanfield.collective import Alone, Communicator, everywhere, sum_over_ranks
from meanfield.errors import InputError
from meanfield.geometry.manifolds import Harmonics, Located, Manifold
from meanfield.geometry.sphere import Array

__all__ = ["Measure", "checked_on", "is_known", "moments_of", "plain"]

_MASS_ERROR = 1e-6  # how far from one the sum of the weights may be


class Measure(NamedTuple):
    """Point masses on a geometry; see ``equal`` for the usual ones.

    What takes one checks it: shapes, finite numbers, points on the sphere to 1e-6 (they are moved
    onto it), weights >= 0 whose sum is 1 to 1e-6. Points that are already located are known to be
    good, and not looked at again.

    Attributes:
        points: (n, gdim) coordinates: unit vectors, or colatitudes (n, 1) in the zonal geometry;
            or the same, already located.
        weights: (n,) masses m_j >= 0, sum 1 over all ranks.
        quadrature: (n,) weights of a rule at the same points that integrates harmonics exactly
            (the balanced nodal weights of a mesh), or None. With it, moments are those of the
            uniform measure plus those of ``weights - quadrature``, so that the uniform density
            exerts no force to round-off, whatever the accuracy of the transforms.

    Example:
        >>> x = mf.Uniform(3).sample(100, np.random.default_rng(0))
        >>> measure = mf.Measure.equal(x)
        >>> round(float(measure.weights.sum()), 12)
        1.0
    """

    points: Array | Located
    weights: Array
    quadrature: Array | None = None

    @classmethod
    def equal(cls, points: Array) -> Measure:
        """Equal masses 1/n at points (n, gdim), all of them on this rank.

        Raises:
            InputError: no array of points, or none in it.
        """
        x = real_array(points, "points", "(n, d) unit vectors")
        if x.ndim != 2 or not len(x):
            raise InputError(
                f"points: points of shape {x.shape} found, (n, d) expected, at least one"
            )
        return cls(x, np.full(len(x), 1.0 / len(x)))


def plain(points: Array | Located) -> Array:
    """The points themselves, located or not."""
    return points.points if isinstance(points, Located) else points


def moments_of(harmonics: Harmonics, measure: Measure, comm: Communicator | None) -> Array:
    """Moments of a measure over all ranks: exactly those of the uniform one, where it is that."""
    points, weights, quadrature = measure
    own = weights if quadrature is None else weights - quadrature
    moments = sum_over_ranks(comm, harmonics.moments(points, own))
    return moments if quadrature is None else moments + harmonics.uniform()


def is_known(measure: object) -> bool:
    """Whether nothing has to be looked at: points that are located, and a weight for each."""
    return (
        isinstance(measure, Measure)
        and isinstance(measure.points, Located)
        and np.shape(measure.weights) == measure.points.points.shape[:1]
    )


def checked_on(
    on: Manifold, measure: Measure, name: str = "measure", comm: Communicator | None = None
) -> Measure:
    """A measure that somebody has given, fit for compiled code. Collective.

    Args:
        on: the geometry of its points.
        measure: see ``Measure``.
        name: what to call it in messages.
        comm: ranks that have a part of it each; None: one process.

    Raises:
        InputError: on every rank; it is no measure on this geometry.
    """
    good = everywhere(comm or Alone(), lambda: _own_part(on, measure, name))
    count, total = sum_over_ranks(comm, np.array([float(len(good.weights)), good.weights.sum()]))
    if not count:
        raise InputError(f"{name}: no points found, at least one expected")
    if abs(total - 1.0) > _MASS_ERROR:
        raise InputError(
            f"{name}: weights with the sum {total:.9g} found, 1 expected (to {_MASS_ERROR:g}): "
            "divide them by their sum if it is meant, or take Measure.equal(points)"
        )
    return good


def _own_part(on: Manifold, measure: object, name: str) -> Measure:
    if not isinstance(measure, Measure):
        raise InputError(
            f"{name}: found {as_found(measure)}, expected Measure(points, weights) or "
            "Measure.equal(points)"
        )
    x = on.checked(plain(measure.points), name)
    weights = _one_each(measure.weights, len(x), f"{name}: weight")
    refuse_rows(weights < 0.0, weights, f"{name}: weight", ">= 0 expected")
    rule = measure.quadrature
    if rule is not None:
        rule = _one_each(rule, len(x), f"{name}: quadrature weight")
    return Measure(np.ascontiguousarray(x), weights, rule)


def _one_each(values: object, n: int, name: str) -> Array:
    found = real_array(values, name, f"one number for each of {n} points")
    if found.shape != (n,):
        raise InputError(f"{name}s of shape {found.shape} found, one for each of {n} points")
    refuse_rows(~np.isfinite(found), found, name, "finite numbers expected")
    return np.ascontiguousarray(found)
