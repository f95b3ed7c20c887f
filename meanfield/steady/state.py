"""A stationary state on one geometry, and what is read off it.

Knows nothing of how it was found, nor of its stability.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from meanfield.geometry.manifolds import Grid
from meanfield.geometry.polynomials import zonal_functions
from meanfield.geometry.sphere import Array
from meanfield.interaction.measure import Measure
from meanfield.steady.equation import Equation, MomentMap, Point

__all__ = ["UNIFORM", "StationaryState"]

UNIFORM = 1e-7
"""Moments below which a state is uniform."""


@dataclass(frozen=True)
class StationaryState:
    """A stationary state on one geometry.

    Attributes:
        equation: what it is a state of.
        grid: nodes that resolve it to round-off.
        moments: (k,) its moments against the grid's orthonormal harmonics.
        log_rho: (n,) log density w.r.t. sigma at the nodes; -inf where there is none.
        residual: max_l |c_l - T(c)_l|, c_l = int P_l dmu or its like (harmonics scaled to 1).
        iterations: fixed-point steps and Newton steps taken.
    """

    equation: Equation
    grid: Grid
    moments: Array
    log_rho: Array
    residual: float
    iterations: tuple[int, int]

    @classmethod
    def of(
        cls, moment_map: MomentMap, point: Point, iterations: tuple[int, int] = (0, 0)
    ) -> StationaryState:
        """The state of a solution."""
        return cls(
            moment_map.equation, point.grid, point.moments, point.log_rho,
            moment_map.residual(point), iterations,
        )  # fmt: skip

    @cached_property
    def _map(self) -> MomentMap:
        return MomentMap(self.equation, self.grid)

    @cached_property
    def _mass(self) -> Array:
        """(n,) masses at the nodes."""
        return self.grid.weights * np.exp(self.log_rho)

    @property
    def point(self) -> Point:
        """The state with its derivatives."""
        return self._map.at(self.moments)

    @property
    def is_uniform(self) -> bool:
        """Whether this is the uniform state, if it is one: all moments are below 1e-7."""
        if not self.equation.is_free:
            return False
        return float(np.max(np.abs(self.moments * self._map.scale)[1:])) < UNIFORM

    @cached_property
    def mean(self) -> Array:
        """int x dmu, (d,); zonal: along the axis e_d."""
        along = self._mass @ self.grid.manifold.moments_of(self.grid.points)
        return np.concatenate([np.zeros(self.grid.d - len(along)), along])

    @property
    def mean_norm(self) -> float:
        """|m| = c_1, the order parameter."""
        return float(np.linalg.norm(self.mean))

    @cached_property
    def axis(self) -> Array:
        """Unit vector of the mean or, if that vanishes, of a second moment, (d,).

        That which is farthest from the others; of two (d = 2) the larger.
        """
        if self.grid.manifold.latitudes:
            return np.eye(self.grid.d)[-1]
        if self.mean_norm > UNIFORM:
            return self.mean / self.mean_norm
        x = self.grid.points
        values, vectors = np.linalg.eigh((x * self._mass[:, None]).T @ x)
        # Of two the larger: both are equally far from their median.
        odd = -1 if self.grid.d == 2 else int(np.argmax(np.abs(values - np.median(values))))
        return np.asarray(vectors[:, odd])

    @property
    def _heights(self) -> Array:
        """<x, axis> at the nodes."""
        x = self.grid.manifold.moments_of(self.grid.points)
        return np.asarray(x @ self.axis[-x.shape[1] :])

    @property
    def c2(self) -> float:
        """int P_2(<x, axis>) dmu, P_2 = (d t^2 - 1)/(d - 1)."""
        t, d = self._heights, self.grid.d
        return float(self._mass @ ((d * t * t - 1.0) / (d - 1.0)))

    @cached_property
    def _excess(self) -> float:
        """1/2 int q dmu less that of the uniform measure, scaled."""
        whole = float(np.dot(self._map.pulled(self.moments), self.moments))
        return 0.5 * (whole - self._map.pull.level)

    @property
    def has_energy(self) -> bool:
        """Whether there is an E: not beside a potential where X is divided by Z."""
        equation = self.equation
        return equation.external is None or equation.interaction.energy_kind == "gradient"

    @property
    def energy_excess(self) -> float:
        """E - E_uniform (attention: E increases along the flow for V = +I).

        With a potential E is what increases: that of the interaction with its sign, - int U dmu.
        """
        model, external = self.equation.interaction, self.equation.external
        if not self.has_energy:
            return math.nan
        found = model.energy_of(self._excess)
        if external is None:
            return found
        return model.ascending(found) + self._external_energy - external.mean

    @property
    def _external_energy(self) -> float:
        """- int U dmu."""
        return float(self._mass @ self._map.lift(self.grid)) * self.equation.kappa

    @property
    def energy(self) -> float:
        """E: (1/2 beta) iint e^{beta <x, y>} dmu dmu (attention), 1/2 iint W dmu dmu (kernels)."""
        model, external = self.equation.interaction, self.equation.external
        uniform = model.energy_of_uniform(self.grid)
        if external is None:
            return self.energy_excess + uniform
        return self.energy_excess + model.ascending(uniform) + external.mean

    @property
    def entropy(self) -> float:
        """int H(rho) dsigma, rho log rho for linear diffusion; 0 for the uniform state."""
        if self.equation.m != 1.0:
            return float(self.grid.weights @ self.equation.diffusion.entropy(np.exp(self.log_rho)))
        return float(self.grid.weights @ (np.exp(self.log_rho) * self.log_rho))

    @property
    def free_energy_excess(self) -> float:
        """F - F_uniform, F = kappa H - E (V = -I: + E): 0 if uniform, falls along the flow.

        With the identity as link (usa, kernels); nan for others (sa), for which no functional that
        falls is known with noise.
        """
        equation = self.equation
        if equation.interaction.energy_kind != "gradient":
            return math.nan
        if equation.external is not None:
            return equation.kappa * self.entropy - self.energy_excess
        return equation.interaction.free_energy(self.energy_excess, self.entropy, equation.kappa)

    @cached_property
    def is_axially_symmetric(self) -> bool:
        """Whether the density is symmetric about ``axis`` (circle: even about it)."""
        if self.grid.manifold.latitudes or self.is_uniform:
            return True
        gradient = self._map.gradient(self.point)
        if self.grid.manifold.dimension == 2:
            turned = self.axis @ self.grid.generators(gradient)
            size = float(np.abs(gradient).max())
            return float(np.abs(turned).max()) < 1e-6 * size
        phi = math.atan2(self.axis[1], self.axis[0])
        if (external := self.equation.external) is not None:
            x = self.grid.points
            mirrored = 2.0 * np.outer(x @ self.axis, self.axis) - x
            wrong = np.abs(external.value(mirrored) - external.value(x))
            if float(wrong.max()) > 1e-6 * external.size:
                return False
        k = np.arange(1, self.grid.degree + 1)
        sines = self.moments[2::2] * np.cos(k * phi) - self.moments[1::2] * np.sin(k * phi)
        return float(np.abs(sines).max()) < 1e-6

    def zonal_moments(self) -> Array:
        """Orthonormal moments of the state about its axis, as those of a zonal grid, (L + 1,)."""
        if self.grid.manifold.latitudes:
            return self.moments
        f, _ = zonal_functions(self.grid.d, 0, self.grid.degree, self._heights)
        return np.asarray(f @ self._mass)

    def density(self, points: Array) -> Array:
        """Density w.r.t. sigma at any points in the coordinates of the geometry, (n,)."""
        equation, grid, on = self.equation, self.grid, self.grid.manifold
        point = self.point
        rule = None if point.parts else grid.weights  # between edges it is none of the sphere
        measure = Measure(grid.points, self._mass, rule)
        # The constant is that of the node where there is most.
        top = int(np.argmax(self.log_rho))
        x = np.concatenate([grid.points[top : top + 1], on.checked(points)])
        xi = equation.interaction.potential(on.name, measure, grid.degree, x)
        if equation.external is not None:
            xi = xi + equation.external.value(on.embed(x))
        below = (xi[0] - xi[1:]) / equation.kappa
        return np.exp(point.law.log_density(float(self.log_rho[top]), below))
