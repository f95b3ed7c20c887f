"""Stationary states of the mean-field equation with noise, found without time stepping.

With a potential, X = grad xi, and kappa > 0 a state is stationary exactly if its flux vanishes:
mu ~ exp(xi/kappa), that is for attention

    usa:  mu ~ exp(value Z/(beta kappa)),        sa:  mu ~ Z^{value/(beta kappa)},

and mu ~ exp(value <x, m>/kappa) for both at beta = 0. xi has finitely many moments of mu in it (the
interaction's harmonics, to round-off; a series that does not end is taken until its last quarter
says nothing), so that these moments are the unknowns: a = T(a), where T takes moments to the
density that they exert and back to its moments. A fixed-point iteration from a law chooses the
state, Newton's method takes it to round-off.

Owns this equation and its solution on one geometry. Stability is ``linearised``, branches of states
are ``continuation``. Knows nothing of cases, files, meshes and time steppers.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy import linalg
from scipy.sparse.linalg import LinearOperator, gmres

from meanfield.checks import a_parameter
from meanfield.errors import BrokenInvariantError, InputError, MeanfieldWarning
from meanfield.geometry.laws import Law
from meanfield.geometry.manifolds import Grid, MatrixGrid, manifold
from meanfield.geometry.polynomials import zonal_functions
from meanfield.geometry.sphere import Array, harmonic_dimension
from meanfield.interaction.interaction import Interaction
from meanfield.interaction.measure import Measure
from meanfield.interaction.zonal import Term

__all__ = [
    "LAST_SHARE",
    "MOST_DEGREE",
    "Equation",
    "MomentMap",
    "Point",
    "StationaryState",
    "find_stationary",
    "newton",
    "resolved",
    "warn_of_the_end",
    "with_parameter",
]

_UNIFORM = 1e-7
_ITERATIONS = {1: 20_000, 2: 4_000}  # by the dimension of the grid, which sets their cost
_LOG_MAX = 690.0
_FIRST_DEGREE = 32  # of a series that does not end
LAST_SHARE = 1e-13
"""Share of the last quarter of the degrees, see ``MomentMap.last_share``, that is none."""
MOST_DEGREE = 512
"""Largest degree tried for it."""


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

    @property
    def point(self) -> Point:
        """The state with its derivatives."""
        return MomentMap(self.equation, self.grid).at(self.moments)

    @property
    def is_uniform(self) -> bool:
        """Whether this is the uniform state: all moments below 1e-7."""
        scale = 1.0 / np.sqrt(harmonic_dimension(self.grid.degree, self.grid.d))[self.grid.degrees]
        return float(np.max(np.abs(self.moments * scale)[1:])) < _UNIFORM

    @cached_property
    def mean(self) -> Array:
        """int x dmu, (d,); zonal: along the axis e_d."""
        mass = self.grid.weights * np.exp(self.log_rho)
        along = mass @ self.grid.manifold.moments_of(self.grid.points)
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
        if self.mean_norm > _UNIFORM:
            return self.mean / self.mean_norm
        x, mass = self.grid.points, self.grid.weights * np.exp(self.log_rho)
        values, vectors = np.linalg.eigh((x * mass[:, None]).T @ x)
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
        mass = self.grid.weights * np.exp(self.log_rho)
        return float(mass @ ((d * t * t - 1.0) / (d - 1.0)))

    @cached_property
    def _excess(self) -> float:
        """1/2 int q dmu, scaled."""
        p = self.equation.interaction.multipliers(self.grid.degree)[self.grid.degrees]
        return 0.5 * float(np.sum(p * self.moments**2))

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
    def free_energy(self) -> float:
        """F = kappa H - E + E_uniform (V = -I: + E - E_uniform), 0 if uniform.

        Decreases along the flow with the identity as link (usa, kernels). For the log link with
        noise no such functional is known; the number then says nothing.
        """
        drive = self.equation.interaction.drive
        return self.equation.kappa * self.entropy - drive * self.energy_excess

    @cached_property
    def is_axially_symmetric(self) -> bool:
        """Whether the density is symmetric about ``axis`` (circle: even about it)."""
        if self.grid.manifold.latitudes or self.is_uniform:
            return True
        p = self.equation.interaction.multipliers(self.grid.degree)[self.grid.degrees]
        gradient = self.grid.gradient(p * self.moments)
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
        return np.asarray(f @ (self.grid.weights * np.exp(self.log_rho)))

    def density(self, points: Array) -> Array:
        """Density w.r.t. sigma at any points in the coordinates of the geometry, (n,)."""
        equation, grid = self.equation, self.grid
        mass = grid.weights * np.exp(self.log_rho)
        model = replace(equation.on(grid.manifold.name), most=grid.degree)
        field = model.field(Measure(grid.points, mass, grid.weights))
        # The constant is that of the grid: log_rho = Phi - log_norm.
        phi, _ = equation.exponent(self.point.q)
        log_norm = float(np.max(phi)) - float(self.log_rho[int(np.argmax(phi))])
        return np.exp(field.potential(points) / equation.kappa - log_norm)


def newton(
    moment_map: MomentMap, start: Array, free: Array | None = None, steps: int = 30
) -> tuple[Point, int]:
    """Solve a = T(a) by Newton's method from moments nearby.

    Where the state can be rotated, the derivative I - DT has the rotations r of the state in its
    kernel (phase invariance). I - DT + sum r r^T is regular and gives the step that does not rotate
    to first order: the phase stays that of the start. The matrix is dense where the grid has few
    harmonics (zonal, circle), else the step is solved by GMRES with the exact action of DT, which
    is compact, so that a few dozen iterations do.

    Args:
        moment_map: T.
        start: moments (k,).
        free: (k,) which moments may change (the others must be zero by symmetry).
        steps: at most so many.

    Returns:
        The point and the number of steps; the caller judges the residual.
    """
    grid = moment_map.grid
    unknown = grid.degrees > 0 if free is None else free & (grid.degrees > 0)
    point = moment_map.at(start)
    size = moment_map.residual(point)
    for step in range(steps):
        if size < 2e-16:
            return point, step
        change = np.zeros_like(start)
        change[unknown] = _newton_step(moment_map, point, unknown)
        damping = 1.0
        trial = moment_map.at(point.moments + change)
        trial_size = moment_map.residual(trial)
        goal = moment_map.round_off(point)
        while trial_size > size and damping > 1e-2 and size > goal:
            damping *= 0.5
            trial = moment_map.at(point.moments + damping * change)
            trial_size = moment_map.residual(trial)
        if size < goal and trial_size >= 0.5 * size:  # round-off: it gets no better
            return (trial, step + 1) if trial_size < size else (point, step)
        point, size = trial, trial_size
    return point, steps


def _newton_step(moment_map: MomentMap, point: Point, unknown: Array) -> Array:
    defect = (point.image - point.moments)[unknown]
    turns = moment_map.rotations(point)[:, unknown]
    lengths = np.linalg.norm(turns, axis=1)
    turns = turns[lengths > _UNIFORM] / np.maximum(lengths, _UNIFORM)[lengths > _UNIFORM, None]
    n = defect.size
    if isinstance(moment_map.grid, MatrixGrid):
        matrix = np.eye(n) - moment_map.jacobian(point)[np.ix_(unknown, unknown)]
        return np.asarray(linalg.lstsq(matrix + turns.T @ turns, defect, cond=1e-14)[0])

    def action(h: Array) -> Array:
        full = np.zeros(unknown.size)
        full[unknown] = h
        return h - moment_map.derivative(point, full)[unknown] + turns.T @ (turns @ h)

    step, _ = gmres(
        LinearOperator((n, n), matvec=action, dtype=np.float64),
        defect, rtol=1e-6, atol=0.0, restart=60, maxiter=5,
    )  # fmt: skip
    return np.asarray(step)


def resolved(moment_map: MomentMap, point: Point) -> bool:
    """Whether a grid of twice the size gives the same T(a), to ten times the round-off.

    At most to 1e-10. Each moment counts by its part in the kernel: those of the largest degrees
    hardly matter, and have lost digits in the recurrence of their polynomials.
    """
    grid = moment_map.grid
    finer = MomentMap(moment_map.equation, grid.resized(grid.degree, 2 * grid.size))
    error = (finer.at(point.moments).image - point.image) * moment_map.scale
    part = np.abs(moment_map.multiplier) / moment_map.scale**2
    error *= part / part.max()
    return float(np.abs(error).max()) <= min(10.0 * moment_map.round_off(point), 1e-10)


def find_stationary(
    equation: Equation,
    start: Law | Array,
    geometry: str = "zonal",
    progress: Callable[[int, float], None] | None = None,
) -> StationaryState:
    """Find the stationary state to which a law leads.

    The law is iterated, a <- (1 - theta) a + theta T(a), with theta = 1 until that overshoots (for
    repulsion). With the identity as link and attraction alone (usa, beta > 0, V = +I) each such
    step decreases the free energy (E is convex, so its linearisation bounds it from below). Once
    the iteration converges by itself to within 1e-6, Newton's method finishes it; so the state is
    one that attracts the iteration, save that a law which is even (x -> -x) or uniform stays so,
    and that a state which is left only very slowly (several clusters far apart) counts as found:
    ask ``linearised.spectrum``. It need not be the state to which the time-dependent equation leads
    from the same law.

    Args:
        equation: the equation.
        start: a law in dimension d, or moments (k,) against the grid's harmonics.
        geometry: "zonal" (about e_d), "circle" or "sphere".
        progress: called with the number of the iteration and its residual.

    Returns:
        The state, with residual at round-off level.

    Raises:
        InputError: the peak is too narrow for the largest grid.
        BrokenInvariantError: no convergence.
    """
    degree = equation.first_degree
    size = 2 * degree + 32
    moments: Array | None = None
    counts = [0, 0]
    on = manifold(geometry, equation.d)
    most = on.grid(degree, size).most_size
    while size <= most:
        grid = on.grid(degree, size)
        moment_map = MomentMap(equation, grid)
        if moments is None:
            moments = _start(start, grid)
            moments = _without_noise(moments, moment_map)
        if not np.any(moments[1:]):  # always a state, not to be left by round-off
            return StationaryState(
                equation, grid, moments, np.zeros(grid.weights.size),
                moment_map.residual(moment_map.at(moments)), (0, 0),
            )  # fmt: skip
        free = np.ones(moments.size, dtype=bool)
        odd = grid.degrees % 2 == 1
        if np.all(moments[odd] == 0.0):
            free = ~odd
        moments = np.where(free, moments, 0.0)
        point, done = _iterate(moment_map, moments, free, progress)
        counts[0] += done[0]
        counts[1] += done[1]
        fine = resolved(moment_map, point)
        if fine and moment_map.last_share(point.moments) > LAST_SHARE and degree < MOST_DEGREE:
            degree *= 2
            larger = grid.resized(degree, size)
            size = max(size, 2 * degree + 32)
            moments = _without_noise(larger.analyse(point.rho), MomentMap(equation, larger))
            if not np.any(free[odd]):
                moments = np.where(larger.degrees % 2 == 1, 0.0, moments)
            continue
        if fine:
            warn_of_the_end(moment_map, point.moments)
            return StationaryState(
                equation, grid, point.moments, point.log_rho, moment_map.residual(point),
                (counts[0], counts[1]),
            )  # fmt: skip
        moments, size = point.moments, 2 * size
    raise InputError(
        f"kappa = {equation.kappa:g} found: the state is narrower than {most} nodes "
        f"from pole to pole resolve; expected a larger kappa"
    )


def warn_of_the_end(moment_map: MomentMap, moments: Array) -> None:
    """Warn where a series that does not end still matters at the largest degree tried."""
    share = moment_map.last_share(moments)
    if share > LAST_SHARE:
        warnings.warn(
            f"the series of the interaction ({moment_map.equation.interaction.describe()}) is cut "
            f"at degree {moment_map.grid.degree}: its last quarter carries {share:.1e} of the "
            "potential of the state",
            MeanfieldWarning,
            stacklevel=3,
        )


def _without_noise(moments: Array, moment_map: MomentMap) -> Array:
    """Moments that are zero stay so: uniform and even laws.

    A polynomial of degree l has lost some l^2 eps next to the poles, where its slope is l^2.
    """
    noise = 1e-13 * (1.0 + moment_map.grid.degrees) ** 2
    return np.where(np.abs(moments * moment_map.scale) < noise, 0.0, moments)


def _start(start: Law | Array, grid: Grid) -> Array:
    if isinstance(start, np.ndarray):
        if start.size == grid.degrees.size:
            return start.copy()
        if not isinstance(grid, MatrixGrid):
            raise InputError(f"{start.size} moments found, {grid.degrees.size} expected")
        padded = np.zeros(grid.degrees.size)  # ordered by degree: those left out are small
        padded[: start.size] = start[: padded.size]
        return padded
    fine = grid.resized(grid.degree, 2 * grid.size)
    moments = fine.analyse(start.density(fine.unit_vectors))
    return np.asarray(moments / moments[0])


def _iterate(
    moment_map: MomentMap,
    moments: Array,
    free: Array,
    progress: Callable[[int, float], None] | None,
) -> tuple[Point, tuple[int, int]]:
    """Damped fixed-point iteration, then Newton, on one grid."""
    point = moment_map.at(moments)
    size = moment_map.residual(point)
    if size < moment_map.round_off(point):
        return point, (0, 0)
    theta, near = 1.0, 1e-6
    newton_steps = falling = 0
    limit = _ITERATIONS[moment_map.grid.manifold.dimension]
    for count in range(1, limit + 1):
        defect = np.where(free, point.image - point.moments, 0.0)
        following = moment_map.at(point.moments + theta * defect)
        new_defect = np.where(free, following.image - following.moments, 0.0)
        new_size = moment_map.residual(following)
        if float(new_defect @ defect) < 0.0:  # over the goal
            theta = max(0.5 * theta, 1e-6)
        else:
            theta = min(1.2 * theta, 1.0)
        ratio = new_size / size if size > 0.0 else 0.0
        falling = falling + 1 if ratio < 1.0 else 0
        point, size = following, new_size
        if progress is not None:
            progress(count, size)
        # The distance to the limit of a geometric sequence; only trust it when it is one.
        distance = size / max(1.0 - ratio, 1e-6)
        solvable = falling >= 5 and (distance < near or count == limit)
        if solvable or size < moment_map.round_off(point):
            solved, steps = newton(moment_map, point.moments, free)
            newton_steps += steps
            moved = float(np.max(np.abs((solved.moments - point.moments) * moment_map.scale)))
            enough = moment_map.round_off(solved)
            if moment_map.residual(solved) < enough and moved < 20.0 * distance + 1e-9:
                return solved, (count, newton_steps)
            near *= 0.1
    raise BrokenInvariantError(
        f"the stationary state was not found in {limit} iterations (residual {size:.1e}, "
        f"kappa = {moment_map.equation.kappa:g}): kappa may be next to a critical value; start "
        "from another law"
    )


def with_parameter(equation: Equation, parameter: str, value: float) -> Equation:
    """The equation with another kappa, or another number of the interaction.

    Raises:
        InputError: there is no such parameter, or the value is out of its range.
    """
    if parameter == "kappa":
        return replace(equation, kappa=value)
    a_parameter(parameter, tuple(equation.parameters))
    return replace(equation, term=equation.term.replaced({parameter: value}))
