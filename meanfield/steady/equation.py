"""The stationary mean-field equation with noise, its unknowns and its solutions, on one geometry.

With a potential, X = grad xi, and kappa > 0 a state is stationary exactly if its flux vanishes:
mu ~ exp(xi/kappa), that is for attention

    usa:  mu ~ exp(value Z/(beta kappa)),        sa:  mu ~ Z^{value/(beta kappa)},

and mu ~ exp(value <x, m>/kappa) for both at beta = 0. xi has finitely many moments of mu in it (the
interaction's harmonics, to round-off; a series that does not end is taken until its last quarter
says nothing), so that these moments are the unknowns: a = T(a), where T takes moments to the
density that they exert and back to its moments.

A potential U beside it stands in the exponent, (xi - U)/kappa; there is no uniform state then, nor
is there one for matrices under which the uniform measure is not at rest. Nonlinear diffusion, an
exponent m, makes another density of it, G(xi/kappa - c): see ``density``.

Owns the equation and T. What a state is tells ``state``, how it is found ``newton``, its stability
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
from meanfield.geometry.panels import Parts
from meanfield.geometry.sphere import Array, harmonic_dimension
from meanfield.interaction.diffusion import Diffusion
from meanfield.interaction.external import External
from meanfield.interaction.gibbs import AnyGibbs
from meanfield.interaction.interaction import Interaction
from meanfield.interaction.zonal import Term
from meanfield.steady.density import Law, Line

__all__ = ["EXPONENT", "Equation", "MomentMap", "Point", "with_parameter"]

EXPONENT = "diffusion.exponent"
"""The name of m as a parameter."""
_LOG_MAX = 690.0
_FIRST_DEGREE, _MOST_DEGREE = 32, 512  # of a series that does not end
_STILL = 1e-9  # of the gradient of U: what a rotation changes it by, that leaves it as it is
_LAST_SHARE = 1e-13  # of its last quarter, see ``MomentMap.last_share``, that is none


@dataclass(frozen=True)
class Equation:
    """d_t mu + div(X[mu] mu) = kappa Laplace(mu) on S^{d-1}.

    Attributes:
        term: who pulls whom: a ``SelfAttention``, a ``Kernel``, or what is ``AnyGibbs``.
        kappa: diffusion, positive.
        d: dimension of R^d.
        external: -U, added to xi; None: there is none.
        m: exponent of the diffusion, (kappa/m) Laplace(mu^m); 1: it is linear.

    Raises:
        InputError: a parameter out of its range.
    """

    term: Term | AnyGibbs
    kappa: float
    d: int
    external: External | None = None
    m: float = 1.0

    def __post_init__(self) -> None:
        Diffusion(1.0, self.m)  # refuses what is none
        if not (math.isfinite(self.kappa) and self.kappa > 0.0):
            raise InputError(
                f"kappa = {self.kappa:g} found, kappa > 0 expected: without noise the stationary "
                "states are sums of Diracs, not densities"
            )
        self.interaction.refuse_overflow(_LOG_MAX)

    @cached_property
    def interaction(self) -> AnyGibbs:
        """The interaction, without a geometry."""
        if isinstance(self.term, AnyGibbs):
            return self.term
        return Interaction(self.term, self.d, accuracy=1e-14)

    @property
    def is_free(self) -> bool:
        """Whether the uniform state is one: no potential, and it is at rest."""
        return self.external is None and self.interaction.rests

    @property
    def is_isotropic(self) -> bool:
        """Whether all directions are the same."""
        return self.external is None and self.interaction.is_isotropic

    def is_even(self, x: Array) -> bool:
        """Whether x -> -x changes nothing (of all interactions), as is seen at unit vectors."""
        return self.external is None or self.external.is_even(x)

    def refuse_tilted(self) -> None:
        """Refuse what is not symmetric about the last axis.

        Raises:
            InputError: it is not.
        """
        self.interaction.refuse_tilted()
        if self.external is not None:
            self.external.refuse_tilted()

    @property
    def diffusion(self) -> Diffusion:
        """What F gains by it: kappa int H(rho) dsigma."""
        return Diffusion(self.kappa, self.m)

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
            q: (n,) scaled potential of the moments, see ``AnyGibbs.exponent``. Phi(0) = 0.
        """
        xi, slope = self.interaction.exponent(q)
        return xi / self.kappa, slope / self.kappa

    @property
    def parameters(self) -> dict[str, float]:
        """What may be varied: kappa, what interaction and potential have, and the exponent."""
        more = {} if self.external is None else self.external.parameters
        return {"kappa": self.kappa, **self.interaction.parameters, **more, EXPONENT: self.m}


def with_parameter(equation: Equation, parameter: str, value: float) -> Equation:
    """The equation with another kappa or exponent, or number of interaction or potential.

    Raises:
        InputError: there is no such parameter, or the value is out of its range.
    """
    if parameter == "kappa":
        return replace(equation, kappa=value)
    if parameter == EXPONENT:
        return replace(equation, m=value)
    a_parameter(parameter, tuple(equation.parameters))
    if equation.external is not None and parameter in equation.external.parameters:
        return replace(equation, external=equation.external.replaced({parameter: value}))
    term, change = equation.term, {parameter: value}
    varied = term.varied(change) if isinstance(term, AnyGibbs) else term.replaced(change)
    return replace(equation, term=varied)


@dataclass(frozen=True)
class Point:
    """Moments and what they exert at the nodes of a grid.

    Attributes:
        moments: (k,) orthonormal moments a, a_0 = 1.
        q: (n,) scaled potential, (Z - lam_0)/unit or its like.
        log_rho: (n,) log of the density w.r.t. sigma that the moments exert, normalised; -inf where
            there is none.
        slope: (n,) d Phi/d q.
        image: (k,) moments T(a) of that density.
        grid: the grid: that of the map or, for a density with edges, one with nodes between them.
        law: what made the density of Phi.
        parts: its support, where the grid has nodes between edges.
    """

    moments: Array
    q: Array
    log_rho: Array
    slope: Array
    image: Array
    grid: Grid
    law: Law
    parts: Parts | None = None

    @property
    def rho(self) -> Array:
        """(n,) density w.r.t. sigma."""
        return np.exp(self.log_rho)

    @property
    def weight(self) -> Array:
        """(n,) d rho/d Phi, the constant of the norm held: rho itself for linear diffusion."""
        return self.law.weight(self.log_rho)


class MomentMap:
    """T: moments -> density they exert -> its moments, and its derivatives, on one grid.

    ``scale`` (k,) turns orthonormal moments into averages c_l = int P_l dmu in [-1, 1] (zonal), in
    which residuals are measured.
    """

    def __init__(self, equation: Equation, grid: Grid) -> None:
        if grid.manifold.latitudes:
            equation.refuse_tilted()
        self.equation = equation
        self.grid = grid
        self.pull = equation.interaction.pull(grid)
        self.scale = 1.0 / np.sqrt(harmonic_dimension(grid.degree, grid.d))[grid.degrees]

    @property
    def free(self) -> bool:
        """Whether the uniform state is one."""
        return self.equation.is_free

    def lift(self, grid: Grid) -> Array:
        """(n,) -U/kappa at the nodes of a grid."""
        if grid is self.grid:
            return self._lift
        return self._lift_at(grid)

    @cached_property
    def _lift(self) -> Array:
        return self._lift_at(self.grid)

    def _lift_at(self, grid: Grid) -> Array:
        external = self.equation.external
        if external is None:
            return np.zeros(grid.weights.size)
        return external.value(grid.unit_vectors) / self.equation.kappa

    def slant(self, grid: Grid) -> Array:
        """(k, n) its gradient."""
        x = grid.unit_vectors
        external = self.equation.external
        vector = np.zeros(x.shape) if external is None else external.vector(x)
        return grid.in_frame(vector) / self.equation.kappa

    @cached_property
    def _line(self) -> Line | None:
        """Where edges are looked for; None: there are none, or not on a line."""
        grid = self.grid
        edged = self.law.has_edges and isinstance(grid, MatrixGrid) and grid.span > 0.0
        return Line(grid) if edged and isinstance(grid, MatrixGrid) else None

    @cached_property
    def law(self) -> Law:
        """What makes a density of Phi."""
        return Law(self.equation.m)

    @cached_property
    def free_turns(self) -> Array:
        """(r, rotations) orthonormal: rotations that leave U and the interaction as they are."""
        slant = self.slant(self.grid)
        none = self.grid.generators(slant)
        if self.equation.is_isotropic or not len(none):
            return np.eye(len(none))
        marks = self.equation.interaction.marks(self.grid.unit_vectors)
        marks = [self.grid.in_frame(mark) for mark in marks]
        if self.equation.external is not None:
            marks.append(slant / max(float(np.max(np.abs(slant))), 1e-300))
        turned = np.concatenate([self.grid.generators(mark) for mark in marks], axis=1)
        weights = np.tile(np.sqrt(self.grid.weights), len(marks))
        axes, sizes, _ = np.linalg.svd(turned * weights, full_matrices=False)
        return np.asarray(axes.T[sizes <= _STILL])

    def pulled(self, moments: Array) -> Array:
        """Moments (..., k) of q, of moments of mu: what the kernel, which is symmetric, does."""
        return self.pull(moments)

    def gradient(self, point: Point) -> Array:
        """(k, n) of the exponent."""
        pull = point.grid.gradient(self.pulled(point.moments))
        return np.asarray(point.slope * pull + self.slant(point.grid))

    def at(self, moments: Array) -> Point:
        """Evaluate T at some moments."""
        pulled, grid, law = self.pulled(moments), self.grid, self.law
        if self._line is not None:
            found = law.supported(self._line, lambda nodes: self._height(pulled, nodes), grid.size)
            if found is not None:
                q, _, slope = self._exerted(pulled, found.grid)
                image = found.grid.analyse(np.exp(found.log_rho))
                return Point(
                    moments, q, found.log_rho, slope, image, found.grid, law, found.parts
                )  # fmt: skip
        q, phi, slope = self._exerted(pulled, grid)
        log_rho = law.normalised(phi, grid.weights)
        return Point(moments, q, log_rho, slope, grid.analyse(np.exp(log_rho)), grid, law)

    def _exerted(self, pulled: Array, grid: Grid) -> tuple[Array, Array, Array]:
        """q, Phi and d Phi/d q at the nodes of a grid."""
        q = grid.synthesise(pulled)
        phi, slope = self.equation.exponent(q)
        return q, phi + self.lift(grid), slope

    def _height(self, pulled: Array, grid: MatrixGrid) -> tuple[Array, Array]:
        """Phi and its derivative by the angle at the nodes of a grid."""
        _, phi, slope = self._exerted(pulled, grid)
        return phi, slope * grid.gradient(pulled)[0] + self.slant(grid)[0]

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

    @property
    def may_have_kinks(self) -> bool:
        """Whether densities have edges that nodes do not keep to, where they have any."""
        return self.law.has_edges and self._line is None

    def has_kinks(self, point: Point) -> bool:
        """Whether the density has edges that the nodes do not keep to."""
        return self.may_have_kinks and not np.all(np.isfinite(point.log_rho))

    def resolves(self, point: Point) -> bool:
        """Whether a grid of twice the size gives the same T(a), to ten times the round-off.

        At most to 1e-10. Each moment counts by its part in the kernel: those of the largest degrees
        hardly matter, and have lost digits in the recurrence of their polynomials.
        """
        return self.unresolved(point) <= min(10.0 * self.round_off(point), 1e-10)

    def unresolved(self, point: Point) -> float:
        """What T(a) is wrong by, against a grid of twice the size; see ``resolves``."""
        finer = MomentMap(self.equation, self.grid.resized(self.grid.degree, 2 * self.grid.size))
        error = (finer.at(point.moments).image - point.image) * self.scale
        part = self.pull.sizes / self.scale**2
        error *= part / max(part.max(), 1e-300)
        return float(np.abs(error).max())

    def residual(self, point: Point) -> float:
        """max_l |c_l - T(c)_l|."""
        return float(np.max(np.abs((point.moments - point.image) * self.scale)))

    def round_off(self, point: Point) -> float:
        """Size of residuals that round-off makes: 1e-14 and more where the exponent is large.

        The exponent, of size |Phi|, is known to |Phi| eps (sa: times the loss of digits of Z).
        """
        span = float(np.ptp(point.log_rho[point.log_rho > point.log_rho.max() - 40.0]))
        steep = float(np.max(point.weight * np.abs(point.slope)) / np.max(point.weight))
        return 1e-14 + 1e-15 * (span + steep * float(np.abs(point.q).max()))

    def derivative(self, point: Point, change: Array) -> Array:
        """DT(a) h for moments h with h_0 = 0: int Y_k w (Phi' dq - its mean), w the weight."""
        dphi = point.slope * point.grid.synthesise(self.pulled(change))
        weight = point.weight
        mean = float(point.grid.weights @ (weight * dphi)) / float(point.grid.weights @ weight)
        return point.grid.analyse(weight * (dphi - mean))

    def jacobian(self, point: Point) -> Array:
        """DT(a) as a matrix (k, k), for grids that hold their harmonics as a matrix."""
        assert isinstance(point.grid, MatrixGrid)
        steep = point.weight * point.slope
        mean = point.grid.analyse(point.weight) / float(point.grid.weights @ point.weight)
        return self.pulled(point.grid.gram(steep) - np.outer(mean, point.grid.analyse(steep)))

    def rotations(self, point: Point) -> Array:
        """Derivatives of the moments T(a) under the rotations that U allows, (r, k)."""
        gradient = point.grid.gradient(self.pulled(point.moments))
        turned = self.free_turns @ point.grid.generators(gradient) * (point.weight * point.slope)
        return np.array([point.grid.analyse(row) for row in turned]).reshape(
            len(turned), point.moments.size
        )
