"""The density that an exponent Phi makes: rho = G(Phi - c), c from the mass, for any diffusion.

With H'' = rho^{m-2} (``interaction.diffusion``) a state is stationary if H'(rho) = Phi - c on its
support and Phi <= c elsewhere. Told from the largest density, e^u, and from what Phi is below its
maximum there,

    rho^{m-1} = e^{(m-1) u} - (m-1) (max Phi - Phi)        m = 1: log rho = u - (max Phi - Phi)

which has m = 1 as its limit, and no cancellation where m < 1 and the peak is high. Below m = 1 it
is positive everywhere; above, it is 0 where the right-hand side is not positive, and has kinks at
the edges. On functions of one angle nodes are then laid between the edges (``geometry.panels``);
else the kinks remain (1e-6).

Owns G, c and these nodes. Knows nothing of interactions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy import optimize

from meanfield.errors import BrokenInvariantError
from meanfield.geometry.manifolds import MatrixGrid
from meanfield.geometry.panels import Parts, parts_above, quadrature
from meanfield.geometry.sphere import Array

__all__ = ["Law", "Line", "Supported"]

_NEAR_ONE = 0.1
_SMOOTH = 0.5  # of the largest rho^{m-1}: a smallest one above it makes no kink that is near
_ROUND_OFF = 4e-16
_STALLED = 1e-8  # steps that shrink no more below it are round-off
_NEAR_EDGE = 1e-4
_SAMPLES = 4  # for each node

Height = Callable[[MatrixGrid], tuple[Array, Array]]
"""Phi and its derivative by the angle at the nodes of a grid."""


class Line:
    """Equally spaced angles over the functions of one angle that a grid holds.

    Attributes:
        angles: (n,) both ends among them.
        samples: those functions there.
    """

    def __init__(self, grid: MatrixGrid) -> None:
        n = _SAMPLES * grid.size
        self.angles = np.linspace(0.0, grid.span, n + 1)
        h = np.full(n + 1, grid.span / n)
        h[[0, -1]] *= 0.5
        self.samples = grid.at_angles(self.angles, h)


@dataclass(frozen=True)
class Supported:
    """A density on its support.

    Attributes:
        parts: where it is positive.
        grid: nodes there.
        log_rho: (n,) log density at them.
    """

    parts: Parts
    grid: MatrixGrid
    log_rho: Array


@dataclass(frozen=True)
class Law:
    """What turns Phi into rho.

    Attributes:
        m: exponent of the diffusion, > 0.
    """

    m: float

    @property
    def power(self) -> float:
        """Of the distance to an edge: what d rho/d Phi is like there."""
        return 1.0 / (self.m - 1.0) - 1.0

    @property
    def has_edges(self) -> bool:
        """Whether densities vanish beyond edges."""
        return self.m > 1.0

    def log_density(self, u: float, gap: Array) -> Array:
        """log rho, -inf outside the support.

        Args:
            u: log of the largest density.
            gap: max Phi - Phi, (n,).
        """
        a = self.m - 1.0
        if a == 0.0:
            return u - gap
        with np.errstate(divide="ignore"):
            if abs(a) < _NEAR_ONE:
                return np.log1p(np.maximum(math.expm1(a * u) - a * gap, -1.0)) / a
            return np.log(np.maximum(math.exp(a * u) - a * gap, 0.0)) / a

    def weight(self, log_rho: Array) -> Array:
        """d rho/d Phi, c held: 1/H'' = rho^{2-m} on the support."""
        inside = np.isfinite(log_rho)
        return np.where(inside, np.exp((2.0 - self.m) * np.where(inside, log_rho, 0.0)), 0.0)

    def normalised(self, phi: Array, weights: Array) -> Array:
        """log rho at nodes with weights, of mass 1."""
        top = int(np.argmax(phi))
        gap = phi[top] - phi
        if self.m == 1.0:
            return -gap - math.log(float(weights @ np.exp(-gap)))
        u = self._height(gap, weights, -math.log(float(weights[top])))
        log_rho = self.log_density(u, gap)
        return log_rho - math.log(float(weights @ np.exp(log_rho)))

    def _height(self, gap: Array, weights: Array, most: float) -> float:
        """u, at most ``most``, from the mass. It lies between those of the smallest c and of 0."""
        a, span = self.m - 1.0, float(gap.max())
        if 1.0 + a * span > 0.0:
            most = min(most, math.log1p(a * span) / a)

        def log_mass(u: float) -> float:
            mass = float(weights @ np.exp(self.log_density(u, gap)))
            return math.log(mass) if mass > 0.0 else -1e3

        if most <= 0.0 or log_mass(0.0) >= 0.0:
            return 0.0
        if log_mass(most) <= 0.0:
            return most
        return float(optimize.brentq(log_mass, 0.0, most, xtol=1e-15, rtol=1e-15))

    # ------------------------------------------------------------------ between edges

    def supported(self, line: Line, height: Height, size: int) -> Supported | None:
        """Nodes between the edges, and log rho there; None: no edge is near, none are needed.

        Args:
            line: where Phi is sampled.
            height: Phi.
            size: number of nodes for the whole line.
        """
        phi = height(line.samples)[0]
        top, a = float(phi.max()), self.m - 1.0
        u = self._height(top - phi, line.samples.weights, math.inf)
        largest = math.exp(a * u)
        if largest - a * float(np.max(top - phi)) > _SMOOTH * largest:
            return None

        def at(x: Array) -> tuple[Array, Array]:
            return height(line.samples.at_angles(x, x))

        def laid(u: float) -> Supported:
            level = top - math.exp(a * u) / a
            parts = parts_above(line.angles, phi, level, at, line.samples.closed)
            nodes = quadrature(parts, self.power, float(size))
            grid = line.samples.at_angles(nodes.x, nodes.lengths)
            log_rho = self.log_density(u, top - height(grid)[0])
            near = np.abs(nodes.from_edge) < _NEAR_EDGE
            if self.m > 2.0 and np.any(near):  # where Phi - c would have lost its digits
                rise = _rise(nodes.x[near], nodes.from_edge[near], lambda x: at(x)[1])
                log_rho[near] = np.log(a * np.maximum(rise, 1e-300)) / a
            return Supported(parts, grid, log_rho)

        best, error, last = None, 0.0, math.inf
        for _ in range(30):
            found = laid(u)
            mass = float(found.grid.weights @ np.exp(found.log_rho))
            steep = float(found.grid.weights @ self.weight(found.log_rho)) * math.exp(a * u)
            step = -math.log(mass) * mass / steep
            if best is None or abs(step) < last:
                best, error = found, math.log(mass)
            elif last < _STALLED:  # lost in round-off, as Phi is: the residual tells what is left
                break
            if abs(step) <= _ROUND_OFF * (4.0 + abs(u)):
                break
            u, last = u + step, abs(step)
        else:
            raise BrokenInvariantError(
                f"exponent = {self.m:g}: no edges were found between which the density has mass 1: "
                f"the last step was {step:.1e}"
            )
        return replace(best, log_rho=best.log_rho - error)


def _rise(x: Array, from_edge: Array, slope: Callable[[Array], Array]) -> Array:
    """What a function has risen by at x, near an edge, from its derivative."""
    middle = x - 0.5 * from_edge
    off = 0.5 * from_edge / math.sqrt(3.0)
    return np.asarray(0.5 * from_edge * (slope(middle - off) + slope(middle + off)))
