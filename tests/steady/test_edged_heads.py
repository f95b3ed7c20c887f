"""Heads and potentials beside nonlinear diffusion: against sums over pairs, on every geometry."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import ive

from meanfield.geometry.laws import VonMisesFisher
from meanfield.interaction.composite import KINDS, HeadMatrices
from meanfield.interaction.composite.gibbs import GibbsHeads
from meanfield.steady.equation import Equation
from meanfield.steady.newton import find_stationary
from meanfield.steady.state import StationaryState

Array = NDArray[np.float64]
Head = tuple[tuple[float, ...], float]
"""A diagonal A, and c of V = c A."""


def heads(kind: str, *pairs: Head) -> GibbsHeads:
    """Heads A with V = c A."""
    made = tuple(HeadMatrices(np.diag(a), c * np.diag(a)) for a, c in pairs)
    return GibbsHeads(made, KINDS[kind](), len(pairs[0][0]))


def along(d: int) -> VonMisesFisher:
    return VonMisesFisher(tuple(np.eye(d)[-1]), 3.0)


def smooth_nodes(ends: list[float], n: int = 60) -> tuple[Array, Array]:
    """Nodes and weights in an angle, as for functions of roots of the distance to all ends."""
    v, w = np.polynomial.legendre.leggauss(n)
    v, w = 0.5 * (1.0 + v), 0.5 * w
    parts = [(a + (b - a) * v * v * (3.0 - 2.0 * v), (b - a) * 6.0 * v * (1.0 - v) * w)
             for a, b in pairwise(ends)]  # fmt: skip
    x, lengths = (np.concatenate(column) for column in zip(*parts, strict=True))
    return x, lengths


def rule(state: StationaryState) -> tuple[Array, Array, Callable[[Array], Array]]:
    """Angles with weights of the uniform measure, split at edges, and the kernel of a diagonal A.

    Zonal: e^{<A x, y>} averaged over a turn about e_3.
    """
    parts = state.point.parts
    edges = [] if parts is None else [float(x) for x in parts.ends.ravel()]
    if state.grid.d == 2:
        ends = {0.5 * math.pi, 1.5 * math.pi, *(x % (2.0 * math.pi) for x in edges)}
        theta, w = smooth_nodes([0.0, *sorted(ends), 2.0 * math.pi])
        x = np.stack([np.cos(theta), np.sin(theta)], axis=1)
        return theta, w / (2.0 * math.pi), lambda a: np.asarray(np.exp(x @ np.diag(a) @ x.T))
    theta, w = smooth_nodes(sorted({0.0, math.pi, *edges}))
    s, t = np.sin(theta), np.cos(theta)

    def turned(a: Array) -> Array:
        across = a[0] * np.outer(s, s)
        return np.asarray(ive(0, across) * np.exp(np.abs(across) + a[2] * np.outer(t, t)))

    return theta, 0.5 * w * s, turned


ROUND: Head = ((1.0, 1.0, 1.0), 0.5)
TWO: tuple[Head, ...] = (((0.6, 0.6, 1.4), 1.0), ((0.5, 0.5, -1.0), 0.5))
FLAT: tuple[Head, ...] = (((0.6, 1.4), 1.0), ((0.5, -1.0), 0.5))
BESIDE: list[tuple[str, tuple[Head, ...], float, float]] = [
    *(("usa", pairs, m, kappa) for pairs in (TWO, FLAT)
      for m, kappa in ((2.0, 0.2), (3.0, 0.2), (0.5, 0.3))),
    ("usa", (ROUND, TWO[0]), 2.0, 0.2),
    ("sa", (((1.0, 1.0, 2.0), 0.5),), 2.0, 0.1),
    ("sa", (((1.0, 2.0), 0.5),), 3.0, 0.1),
    ("sa", (((1.0, 1.0, 6.0), -0.2),), 2.0, 0.1),
    ("sa", (((1.0, 4.0), -0.3),), 2.0, 0.1),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "pairs", "m", "kappa"), BESIDE)
def test_states_by_sums_over_pairs(
    kind: str, pairs: tuple[Head, ...], m: float, kappa: float
) -> None:
    """kappa H'(rho) = xi - c on the support and xi < c beyond; energies, of the uniform one too."""
    d = len(pairs[0][0])
    geometry = "circle" if d == 2 else "zonal"
    state = find_stationary(Equation(heads(kind, *pairs), kappa, d, m=m), along(d), geometry)
    assert state.residual < 1e-13 and not state.is_uniform
    assert (state.point.parts is not None) == (m > 1.0)
    theta, w, kernel = rule(state)
    x = np.stack([np.cos(theta), np.sin(theta)], axis=1) if d == 2 else theta[:, None]
    rho = state.density(x)
    masses, z = w * rho, [kernel(np.array(a)) for a, _ in pairs]
    assert masses.sum() == pytest.approx(1.0, abs=1e-10)
    factors = [c for _, c in pairs]

    def energy(mu: Array) -> float:
        return sum(0.5 * c * float(mu @ one @ mu) for c, one in zip(factors, z, strict=True))

    assert state.energy == pytest.approx(energy(masses), rel=1e-9)
    assert state.energy_excess == pytest.approx(energy(masses) - energy(w), rel=1e-8)
    entropy = float(w @ (rho**m - rho)) / (m * (m - 1.0))
    assert state.entropy == pytest.approx(entropy, rel=1e-8)
    if kind == "sa":
        xi = factors[0] * np.log(z[0] @ masses)
        assert math.isnan(state.free_energy_excess)
    else:
        xi = np.sum([c * (one @ masses) for c, one in zip(factors, z, strict=True)], axis=0)
        free = kappa * entropy - energy(masses) + energy(w)
        assert state.free_energy_excess == pytest.approx(free, rel=1e-8)
    inside = rho > 0.0
    level = xi[inside] - kappa * rho[inside] ** (m - 1.0) / (m - 1.0)
    assert np.ptp(level) < 1e-8 * np.ptp(xi)
    assert np.all(xi[~inside] < level.mean() + 1e-8 * np.ptp(xi))
    assert inside.all() == (m < 1.0)
