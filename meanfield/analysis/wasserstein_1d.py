"""Exact Wasserstein distances on the line and on the circle, where the order of points decides.

On the line the best coupling pairs equal quantiles. On the circle it pairs quantiles after one
shift of mass theta, and the cost is convex and piecewise linear in theta (Delon, Salomon,
Sobolevski, SIAM J. Appl. Math. 70 (2010) 2239), so the minimum is found to round-off, with a
certificate. POT's ``ot.wasserstein_circle`` is not used: measured on random weighted measures with
up to 8 points against the linear program (POT 0.9.7), it is off by 1e-8 to 1e-12 as a rule, and in
2 cases of 1000 by a factor of 5 to 10, above what any two measures can be apart.

NumPy only. Knows nothing of spheres, meshes or fields; weights are positive with sum one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from meanfield.geometry.mesh import IntArray
from meanfield.geometry.sphere import Array

__all__ = ["CircleCost", "Coupling", "circle_cost", "line_cost", "overlay"]

_MAX_STEPS = 400


class Coupling(NamedTuple):
    """Mass that goes from a source to a target: three arrays of one length."""

    source: IntArray
    target: IntArray
    mass: Array


class CircleCost(NamedTuple):
    """The cost W_p^p, a lower bound of it, and the coupling that costs this much."""

    cost: float
    lower: float
    coupling: Coupling


def overlay(a: Array, b: Array) -> Coupling:
    """Couple two rows of masses in the order given: equal cumulated mass goes together.

    Args:
        a: (n,) and
        b: (m,): masses >= 0 with the same sum up to round-off.

    Returns:
        At most n + m - 1 pieces of mass >= 0, with a and b as marginals up to round-off.
    """
    total = float(a.sum())
    ca, cb = np.minimum(np.cumsum(a), total), np.minimum(np.cumsum(b), total)
    ca[-1] = cb[-1] = total
    edges = np.union1d(ca, cb)
    mass = np.diff(edges, prepend=0.0)
    return Coupling(np.searchsorted(ca, edges), np.searchsorted(cb, edges), mass)


def line_cost(x: Array, a: Array, y: Array, b: Array, p: int) -> tuple[float, Coupling]:
    """W_p^p of sum a_i delta_{x_i} and sum b_j delta_{y_j} on the real line, and its coupling."""
    order_x, order_y = np.argsort(x, kind="stable"), np.argsort(y, kind="stable")
    pieces = overlay(a[order_x], b[order_y])
    source, target = order_x[pieces.source], order_y[pieces.target]
    cost = float(np.sum(pieces.mass * np.abs(x[source] - y[target]) ** p))
    return cost, Coupling(source, target, pieces.mass)


class _Circle:
    """Cost and slope as functions of the shift theta of mass; positions in turns, in [0, 1)."""

    def __init__(self, x: Array, a: Array, y: Array, b: Array, p: int) -> None:
        self.order_x, self.order_y = np.argsort(x, kind="stable"), np.argsort(y, kind="stable")
        self.x, self.a = x[self.order_x], a[self.order_x]
        self.y, self.b = y[self.order_y], b[self.order_y]
        self.p = p
        self.cdf_a, self.cdf_b = np.cumsum(self.a), np.cumsum(self.b)
        self.cdf_a[-1] = self.cdf_b[-1] = 1.0

    def shifted(self, theta: float) -> tuple[Array, Array, IntArray]:
        """Target atoms met by the mass from theta to theta + 1: positions, masses, indices.

        The atom that theta cuts in two comes first and, one turn further, last.
        """
        turns = np.floor(theta)
        part = theta - turns
        m = len(self.y)
        first = min(int(np.searchsorted(self.cdf_b, part, side="right")), m - 1)
        index = (first + np.arange(m + 1)) % m
        position = self.y[index] + turns
        position[m - first :] += 1.0
        mass = self.b[index]
        mass[0] = self.cdf_b[first] - part
        mass[-1] = max(part - (self.cdf_b[first - 1] if first else 0.0), 0.0)
        return position, mass, index

    def coupling(self, theta: float) -> tuple[float, Coupling]:
        position, mass, index = self.shifted(theta)
        pieces = overlay(self.a, mass)
        distance = np.abs(self.x[pieces.source] - position[pieces.target])
        cost = float(np.sum(pieces.mass * distance**self.p))
        source, target = self.order_x[pieces.source], self.order_y[index[pieces.target]]
        return cost, Coupling(source, target, pieces.mass)

    def slope(self, theta: float) -> float:
        """Right derivative of the cost: each target atom takes mass over from the one before."""
        position, mass, _ = self.shifted(theta)
        at = np.searchsorted(self.cdf_a, np.cumsum(mass)[:-1])
        x = self.x[np.minimum(at, len(self.x) - 1)]
        far, near = np.abs(x - position[1:]), np.abs(x - position[:-1])
        return float(np.sum(far**self.p - near**self.p))


def circle_cost(x: Array, a: Array, y: Array, b: Array, p: int) -> CircleCost:
    """W_p^p on the circle of circumference one, p >= 1, cost = (length of the shorter arc)^p.

    Args:
        x: (n,) positions in turns, any real number (taken modulo 1).
        a: (n,) masses > 0, sum one.
        y, b: likewise, (m,).
        p: exponent, >= 1.

    Returns:
        Cost, lower bound and coupling. The lower bound is where two tangents of the convex cost
        meet, and agrees with the cost to about 1e-14.
    """
    circle = _Circle(np.mod(x, 1.0), a, np.mod(y, 1.0), b, p)
    low, high = -1.0, 1.0
    while circle.slope(low) >= 0.0:
        low -= 1.0
    while circle.slope(high) < 0.0:
        high += 1.0
    value = {low: circle.coupling(low)[0], high: circle.coupling(high)[0]}
    slope = {low: circle.slope(low), high: circle.slope(high)}
    best = min(value, key=lambda theta: value[theta])
    bound = 0.0
    for step in range(_MAX_STEPS):
        # Where the tangents at both ends meet: the minimum, once no kink is left in between.
        meet = low + (value[high] - value[low] - slope[high] * (high - low)) / (
            slope[low] - slope[high]
        )
        meet = min(max(meet, low), high)
        bound = max(bound, value[low] + slope[low] * (meet - low))
        if value[best] - bound <= 1e-15 * value[best]:
            break
        theta = meet if step % 2 == 0 and low < meet < high else 0.5 * (low + high)
        if not low < theta < high:
            break
        value[theta], slope[theta] = circle.coupling(theta)[0], circle.slope(theta)
        if value[theta] < value[best]:
            best = theta
        if slope[theta] < 0.0:
            low = theta
        else:
            high = theta
    cost, coupling = circle.coupling(best)
    return CircleCost(cost, min(bound, cost), coupling)
