"""The stationary mean-field equation with noise, its unknowns and its solutions, on one geometry.

With a potential, X = grad xi, and kappa > 0 a state is stationary exactly if its flux vanishes:
mu ~ exp(xi/kappa), that is for attention

    usa:  mu ~ exp(value Z/(beta kappa)),        sa:  mu ~ Z^{value/(beta kappa)},

and mu ~ exp(value <x, m>/kappa) for both at beta = 0. xi has finitely many moments of mu in it (the
interaction's harmonics, to round-off; a series that does not end is taken until its last quarter
says nothing), so that these moments are the unknowns: a = T(a), where T takes moments to the
density that they exert and back to its moments.

Owns the equation, T and what is read off a state. How a state is found is ``newton``, its stability
``spectrum``. Knows nothing of cases, files, meshes and time steppers.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from meanfield.checks import a_parameter
from meanfield.errors import InputError, MeanfieldWarning
from meanfield.geometry.manifolds import Grid, MatrixGrid
from meanfield.geometry.polynomials import zonal_functions
from meanfield.geometry.sphere import Array, harmonic_dimension
from meanfield.interaction.interaction import Interaction
from meanfield.interaction.measure import Measure
from meanfield.interaction.zonal import Term

__all__ = ["UNIFORM", "Equation", "MomentMap", "Point", "StationaryState", "with_parameter"]

UNIFORM = 1e-7
"""Moments below which a state is uniform."""
_LOG_MAX = 690.0
_FIRST_DEGREE, _MOST_DEGREE = 32, 512  # of a series that does not end
_LAST_SHARE = 1e-13  # of its last quarter, see ``MomentMap.last_share``, that is none


@dataclass(frozen=True)
class Equation:
    """d_t mu + div(X[mu] mu) = kappa Laplace(mu) on S^{d-1}.

    Attributes:
        term: who pulls whom: a ``SelfAttention`` or a ``Kernel``.
        kappa: diffusion, positive.
        d: dimension of R^d.

    Raises:
        InputError: a parameter out of its range.
    """

    term: Term
    kappa: float
    d: int

    def __post_init__(self) -> None:
        if not (math.isfinite(self.kappa) and self.kappa > 0.0):
            raise InputError(
                f"kappa = {self.kappa:g} found, kappa > 0 expected: without noise the stationary "
                "states are sums of Diracs, not densities"
            )
        self.interaction.refuse_overflow(_LOG_MAX)

    @cached_property
    def interaction(self) -> Interaction:
        """The interaction, without a geometry."""
        return Interaction(self.term, self.d, accuracy=1e-14)

    def on(self, geometry: str) -> Interaction:
        """The interaction as a field on a geometry."""
        return replace(self.interaction, geometry=geometry)

    @cached_property
    def degree(self) -> int | None:
        """Degree beyond which harmonics change the exponent by less than round-off; None: none."""
        return self.interaction.exponent_degree(self.kappa)

    @property
    def first_degree(self) -> int:
        """Degree to begin with: that one or, where the series does not end, one to be doubled."""
        return _FIRST_DEGREE if self.degree is None else self.degree

    def exponent(self, q: Array) -> tuple[Array, Array]:
        """Phi = xi/kappa, the log density up to a constant, and its derivative by q.

        Args:
            q: (n,) scaled potential of the moments, see ``Interaction.exponent``. Phi(0) = 0.
        """
        xi, slope = self.interaction.exponent(q)
        return xi / self.kappa, slope / self.kappa

    @property
    def parameters(self) -> dict[str, float]:
        """What may be varied, with its value: kappa, and what the interaction has."""
        return {"kappa": self.kappa, **self.interaction.parameters}


def with_parameter(equation: Equation, parameter: str, value: float) -> Equation:
    """The equation with another kappa, or another number of the interaction.

    Raises:
        InputError: there is no such parameter, or the value is out of its range.
    """
    if parameter == "kappa":
        return replace(equation, kappa=value)
    a_parameter(parameter, tuple(equation.parameters))
    return replace(equation, term=equation.term.replaced({parameter: value}))


@dataclass(frozen=True)
class Point:
    """Moments and what they exert at the nodes of a grid.

    Attributes:
        moments: (k,) orthonormal moments a, a_0 = 1.
        q: (n,) scaled potential (Z - lam_0)/unit.
        log_rho: (n,) log of the density w.r.t. sigma that the moments exert, normalised.
        slope: (n,) d Phi/d q.
        image: (k,) moments T(a) of that density.
    """

    moments: Array
    q: Array
    log_rho: Array
    slope: Array
    image: Array

    @property
    def rho(self) -> Array:
        """(n,) density w.r.t. sigma."""
        return np.exp(self.log_rho)


class MomentMap:
    """T: moments -> density they exert -> its moments, and its derivatives, on one grid.

    ``scale`` (k,) turns orthonormal moments into averages c_l = int P_l dmu in [-1, 1] (zonal), in
    which residuals are measured.
    """

    def __init__(self, equation: Equation, grid: Grid) -> None:
        self.equation = equation
        self.grid = grid
        self.multiplier = equation.interaction.multipliers(grid.degree)[grid.degrees]
        self.scale = 1.0 / np.sqrt(harmonic_dimension(grid.degree, grid.d))[grid.degrees]

    def at(self, moments: Array) -> Point:
        """Evaluate T at some moments."""
        q = self.grid.synthesise(self.multiplier * moments)
        phi, slope = self.equation.exponent(q)
        top = float(phi.max())
        log_norm = top + math.log(float(self.grid.weights @ np.exp(phi - top)))
        log_rho = phi - log_norm
        return Point(moments, q, log_rho, slope, self.grid.analyse(np.exp(log_rho)))

    def last_share(self, moments: Array) -> float:
        """Share of the last quarter of the degrees in the potential; 0 where the series ends."""
        if self.equation.degree is not None:
            return 0.0
        power = np.bincount(self.grid.degrees, weights=moments**2)
        return self.equation.interaction.last_share(power)

    def cut_short(self, moments: Array) -> bool:
        """Whether more degrees of a series that does not end would matter, and may be tried."""
        return self.grid.degree < _MOST_DEGREE and self.last_share(moments) > _LAST_SHARE

    def warn_of_the_end(self, moments: Array) -> None:
        """Warn where a series that does not end still matters at the largest degree tried."""
        share = self.last_share(moments)
        if share > _LAST_SHARE:
            warnings.warn(
                f"the series of the interaction ({self.equation.interaction.describe()}) is cut "
                f"at degree {self.grid.degree}: its last quarter carries {share:.1e} of the "
                "potential of the state",
                MeanfieldWarning,
                stacklevel=3,
            )

    def resolves(self, point: Point) -> bool:
        """Whether a grid of twice the size gives the same T(a), to ten times the round-off.

        At most to 1e-10. Each moment counts by its part in the kernel: those of the largest degrees
        hardly matter, and have lost digits in the recurrence of their polynomials.
        """
        finer = MomentMap(self.equation, self.grid.resized(self.grid.degree, 2 * self.grid.size))
        error = (finer.at(point.moments).image - point.image) * self.scale
        part = np.abs(self.multiplier) / self.scale**2
        error *= part / part.max()
        return float(np.abs(error).max()) <= min(10.0 * self.round_off(point), 1e-10)

    def residual(self, point: Point) -> float:
        """max_l |c_l - T(c)_l|."""
        return float(np.max(np.abs((point.moments - point.image) * self.scale)))

    def round_off(self, point: Point) -> float:
        """Size of residuals that round-off makes: 1e-14 and more where the exponent is large.

        The exponent, of size |Phi|, is known to |Phi| eps (sa: times the loss of digits of Z).
        """
        span = float(np.ptp(point.log_rho[point.log_rho > point.log_rho.max() - 40.0]))
        steep = float(np.max(point.rho * np.abs(point.slope)) / np.max(point.rho))
        return 1e-14 + 1e-15 * (span + steep * float(np.abs(point.q).max()))

    def derivative(self, point: Point, change: Array) -> Array:
        """DT(a) h for moments h with h_0 = 0: int Y_k rho (Phi' dq - its mean)."""
        dphi = point.slope * self.grid.synthesise(self.multiplier * change)
        rho = point.rho
        dphi = dphi - float(self.grid.weights @ (rho * dphi))
        return self.grid.analyse(rho * dphi)

    def jacobian(self, point: Point) -> Array:
        """DT(a) as a matrix (k, k), for grids that hold their harmonics as a matrix."""
        assert isinstance(self.grid, MatrixGrid)
        steep = point.rho * point.slope
        covariance = self.grid.gram(steep) - np.outer(point.image, self.grid.analyse(steep))
        return np.asarray(covariance * self.multiplier)

    def rotations(self, point: Point) -> Array:
        """Derivatives of the moments T(a) under the rotations of the sphere, (rotations, k)."""
        gradient = self.grid.gradient(self.multiplier * point.moments)
        turned = self.grid.generators(gradient) * (point.rho * point.slope)
        return np.array([self.grid.analyse(row) for row in turned]).reshape(
            len(turned), point.moments.size
        )


@dataclass(frozen=True)
class StationaryState:
    """A stationary state on one geometry.

    Attributes:
        equation: what it is a state of.
        grid: nodes that resolve it to round-off.
        moments: (k,) its moments against the grid's orthonormal harmonics.
        log_rho: (n,) log density w.r.t. sigma at the nodes.
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
            moment_map.equation, moment_map.grid, point.moments, point.log_rho,
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
        """Whether this is the uniform state: all moments below 1e-7."""
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
        """Unit vector of the mean, or of the largest second moment if the mean vanishes, (d,)."""
        if self.grid.manifold.latitudes:
            return np.eye(self.grid.d)[-1]
        if self.mean_norm > UNIFORM:
            return self.mean / self.mean_norm
        x = self.grid.points
        values, vectors = np.linalg.eigh((x * self._mass[:, None]).T @ x)
        odd = int(np.argmax(np.abs(values - np.median(values))))
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
        """1/2 int q dmu, scaled."""
        return 0.5 * float(np.sum(self._map.multiplier * self.moments**2))

    @property
    def energy_excess(self) -> float:
        """E - E_uniform (attention: E increases along the flow for V = +I)."""
        return self.equation.interaction.energy_of(self._excess)

    @property
    def energy(self) -> float:
        """E: (1/2 beta) iint e^{beta <x, y>} dmu dmu (attention), 1/2 iint W dmu dmu (kernels)."""
        return self.energy_excess + self.equation.interaction.uniform_energy

    @property
    def entropy(self) -> float:
        """H = int rho log rho dsigma, 0 for the uniform state."""
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
        return equation.interaction.free_energy(self.energy_excess, self.entropy, equation.kappa)

    @cached_property
    def is_axially_symmetric(self) -> bool:
        """Whether the density is symmetric about ``axis`` (circle: even about it)."""
        if self.grid.manifold.latitudes or self.is_uniform:
            return True
        gradient = self.grid.gradient(self._map.multiplier * self.moments)
        if self.grid.manifold.dimension == 2:
            turned = self.axis @ self.grid.generators(gradient)
            size = float(np.abs(gradient).max())
            return float(np.abs(turned).max()) < 1e-6 * size
        phi = math.atan2(self.axis[1], self.axis[0])
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
        equation, grid = self.equation, self.grid
        model = replace(equation.on(grid.manifold.name), most=grid.degree)
        field = model.field(Measure(grid.points, self._mass, grid.weights))
        # The constant is that of the grid: log_rho = Phi - log_norm.
        phi, _ = equation.exponent(self.point.q)
        log_norm = float(np.max(phi)) - float(self.log_rho[int(np.argmax(phi))])
        return np.exp(field.potential(points) / equation.kappa - log_norm)
