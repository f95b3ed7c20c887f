"""E = sum_h c_h/2 iint e^{<A_h x, y>} dmu dmu of heads with V = c A, A symmetric.

All of it times e^{-|A|} of the largest A. For A = beta D, V = D this is (3.5) with <x, D y>, and
it increases along the flow whatever the signs.
"""

from __future__ import annotations

import math
from weakref import WeakKeyDictionary

import numpy as np

from meanfield.geometry.sphere import Array
from meanfield.interaction.composite.model import Heads
from meanfield.interaction.composite.series import largest_sums
from meanfield.interaction.composite.sums import head_sums, summed_exponentials
from meanfield.interaction.measure import Measure, plain

__all__ = [
    "energy_bound",
    "energy_of_pairs",
    "energy_of_uniform",
    "excess_of_heads",
    "own_energy",
]


def _factors(model: Heads) -> Array:
    """(heads,) c/2 e^{|A| - largest |A|}."""
    return np.array(
        [
            0.5 * (head.gradient_factor or 0.0) * math.exp(head.size - model.size)
            for head in model.heads
        ]
    )


def _pairs(model: Heads, left: Array, right: Array) -> float:
    """sum_h c_h/2 iint e^{<A_h x, y>} of two measures by their moments."""
    assert model.harmonics is not None
    of, total = model.harmonics.degree, 0.0
    for series, factor in zip(model.series, _factors(model), strict=True):
        if factor != 0.0:
            total += factor * series.sums(left, of, model.precision).pairs(right)
    return total


def excess_of_heads(model: Heads, moments: Array | None) -> float:
    """E less that of the uniform measure of the same mass, without cancellation."""
    assert moments is not None
    apart, twice = moments.copy(), moments.copy()
    apart[0], twice[0] = 0.0, 2.0 * twice[0]
    # <a, K a> - <u, K u> = <a - u, K (a + u)>, u the uniform part of a.
    return _pairs(model, twice, apart)


_UNIFORM: WeakKeyDictionary[Heads, float] = WeakKeyDictionary()


def energy_of_uniform(model: Heads) -> float:
    """E of the uniform measure of mass one; kept as long as the model is."""
    if model not in _UNIFORM:
        assert model.harmonics is not None
        uniform = model.harmonics.uniform()
        _UNIFORM[model] = _pairs(model, uniform, uniform)
    return _UNIFORM[model]


def energy_of_pairs(model: Heads, measure: Measure, sources: tuple[Array, Array]) -> float:
    """This rank's part of E by sums over all pairs.

    Args:
        model: the heads.
        measure: this rank's points.
        sources: points and masses of all ranks.
    """
    x, total = plain(measure.points), 0.0
    if len(model.heads) > 1 and not (model.manifold.latitudes or model.exclude_self):
        z = summed_exponentials(model.stack, x, *sources, _factors(model))
        return float(np.dot(measure.weights, z))
    for head, factor in zip(model.heads, _factors(model), strict=True):
        if factor == 0.0:
            continue
        own = np.arange(len(x)) if model.exclude_self else None
        parts = head_sums(head, x, *sources, 0, model.manifold, own)
        z = np.exp(parts.log_scale - head.size) * parts.z
        total += float(factor) * float(np.dot(measure.weights, z))
    return total


def own_energy(model: Heads, measure: Measure) -> float:
    """Mean over tokens of the energy of one with itself."""
    x, total = plain(measure.points), 0.0
    for head, factor in zip(model.heads, _factors(model), strict=True):
        exponent = np.einsum("ij,ij->i", x, x @ head.A.T) - head.size
        total += float(factor) * float(np.dot(measure.weights, np.exp(exponent)))
    return total


def energy_bound(model: Heads, moments: Array | None, mass: float) -> float:
    """A bound on the potential whose mean over the measure is E.

    Args:
        model: the heads.
        moments: of the measure, or None.
        mass: of it.
    """
    bounds = mass * np.ones(len(model.heads))
    if moments is not None and model.harmonics is not None and model.heads:
        sizes = np.array([head.size for head in model.heads])
        bounds = largest_sums(sizes, model.harmonics.power(moments), model.d)
    return 2.0 * float(np.sum(np.abs(_factors(model)) * bounds))
