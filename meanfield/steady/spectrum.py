"""Stability of stationary states: leading eigenvalues of the linearised equation.

At a stationary state, H'(mu) = Phi = xi/kappa but for a constant, the linearisation is, with h =
w f, w^2 = 1/H''(mu) = mu^{2-m} (linear diffusion, m = 1: w = sqrt(mu), mu ~ exp(Phi)),

    f -> -G (f - S f/kappa),      G f = -kappa w^{-1} div( mu grad( w^{-1} f ) ),
    S f = w xi'[w f].

G is symmetric and >= 0 with the kernel w; S has the rank of the interaction, and is
symmetric where xi is linear in mu (usa, kernels; then all eigenvalues are real: I - S/kappa is the
Hessian of the free energy over kappa). Both are represented in harmonics that are orthonormal for
sigma, which makes a well-conditioned Galerkin matrix however many decades mu spans. At the uniform
state it is diagonal, with the growth rates l(l+d-2)[lam_l - kappa] (attention, usa: lam_l/beta).
Where a density has edges (m > 1) functions are w times polynomials on its support: see ``edged``.

Knows nothing of how a state was found.
"""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import linalg
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigs

from meanfield.errors import BrokenInvariantError, MeanfieldWarning
from meanfield.geometry.manifolds import CircleGrid, SphereGrid, ZonalGrid
from meanfield.geometry.polynomials import zonal_functions
from meanfield.geometry.sphere import Array
from meanfield.interaction.measure import Measure
from meanfield.steady.edged import basis_between_edges, components, fine_between_edges
from meanfield.steady.equation import Equation, MomentMap, Point
from meanfield.steady.modes import NEUTRAL, Mode, Spectrum
from meanfield.steady.resolution import needed_degree
from meanfield.steady.state import StationaryState
from meanfield.steady.turned import TurnedState

__all__ = ["NEUTRAL", "Mode", "Spectrum", "arnoldi_spectrum", "spectrum", "zonal_spectrum"]

_MOST = 500  # degrees of sqrt(mu): beyond, dense matrices take minutes; rotations tell the error
_MOST_SPHERE = 256
_DARK = 1e-7  # of the largest Z: below, the log link takes W itself instead of its harmonics
_DARK_SPHERE = 1e-12


def spectrum(state: StationaryState, count: int = 6) -> Spectrum:
    """Leading eigenvalues at a state.

    Axially symmetric states on S^{d-1}, d >= 3: perturbations by their azimuthal order about the
    axis, see ``zonal_spectrum`` (d = 2: 0 and 1, which is all), dense. Circle: all perturbations,
    dense. Other states on the sphere, or where not all directions are the same: all, by Arnoldi
    iteration; unknown where such a density has edges.

    Args:
        state: the state.
        count: eigenvalues of each mode.

    Raises:
        BrokenInvariantError: the Arnoldi iteration did not converge.
    """
    if isinstance(state, TurnedState):
        state = state.zonal
    grid = state.grid
    if isinstance(grid, CircleGrid):
        return Spectrum((_circle_mode(state, grid, count),))
    turns = state.is_axially_symmetric and state.equation.is_isotropic  # to e_d
    if isinstance(grid, SphereGrid) and not turns:
        return arnoldi_spectrum(state, count)
    zonal = ZonalGrid(grid.degree, grid.size, grid.d)
    moment_map = MomentMap(state.equation, zonal)
    return zonal_spectrum(moment_map, moment_map.at(state.zonal_moments()), count)


def zonal_spectrum(moment_map: MomentMap, point: Point, count: int = 6) -> Spectrum:
    """Leading eigenvalues at a zonal state, given as a point on a zonal grid.

    Azimuthal orders 0, 1, 2 and on, until the leading eigenvalue is negative and falls with the
    order (a belt around the axis breaks up at an order that its width sets). At the uniform state
    0, 1 and 2.
    """
    grid = moment_map.grid
    assert isinstance(grid, ZonalGrid)
    d = grid.d
    edged, at, degree = point.parts is not None, *_fine(moment_map, point)
    fine = at.grid
    assert isinstance(fine, ZonalGrid)
    t = fine.cosines
    at, dphi, dark = _light_up(moment_map.equation, fine, at)
    tied = not moment_map.equation.is_isotropic  # to its axis
    modes: list[Mode] = []
    for order in range(2 if d == 2 else max(grid.degree, 2) + 1):
        if order > 2:
            before, last = (float(mode.eigenvalues[0].real) for mode in modes[-2:])
            # At the uniform state all orders have the same eigenvalues.
            uniform = not (modes[1].rotations.size or tied)
            if uniform or last < min(0.0, before):
                break
        kept = np.arange(order, grid.degree + 1)
        y, dy = zonal_functions(d, order, max(grid.degree, order) if edged else degree, t)
        if edged:
            f, stiffness = basis_between_edges(at, order, d, degree)
        else:
            f, stiffness = y, _stiffness(at, dphi, y, dy, order * (order + d - 3))
        turn = np.sqrt(at.weight) * dphi if order == 1 and not tied else None
        kernel = moment_map.equation.interaction.between_latitudes(order, t) if dark else None
        modes.append(
            _dense_mode(
                moment_map, at, f, stiffness, y[: kept.size], kept, count, order,
                None if turn is None else turn[None], kernel,
            )
        )  # fmt: skip
    return Spectrum(tuple(modes))


def _stiffness(at: Point, dphi: Array, f: Array, df: Array, around: float = 0.0) -> Array:
    """G/kappa in functions f of which df are the derivatives: int mu grad(f/w) . grad(f/w) dsigma.

    ``around``: what they have of the Laplacian about the axis, over sin^2.
    """
    m = at.law.m
    ratio = at.grid.weights * np.exp((m - 1.0) * at.log_rho)
    lean = (1.0 - 0.5 * m) * np.exp((1.0 - m) * at.log_rho) * dphi
    part = df - f * lean
    found = (part * ratio) @ part.T
    if around > 0.0:
        assert isinstance(at.grid, ZonalGrid)
        t = at.grid.cosines
        found += around * (f * (ratio / ((1.0 - t) * (1.0 + t)))) @ f.T
    return np.asarray(found)


def _fine(moment_map: MomentMap, point: Point) -> tuple[Point, int]:
    """The point on a grid for products of w with harmonics; the degree of the Galerkin basis."""
    if point.parts is not None:
        return fine_between_edges(moment_map, point)
    grid = moment_map.grid
    degree = max(grid.degree, 8) + needed_degree(moment_map, point, _MOST, 1e-13)
    size = max(grid.size, 2 * degree + 32)
    fine = grid.resized(grid.degree, size)
    assert isinstance(fine, ZonalGrid | CircleGrid)
    return MomentMap(moment_map.equation, fine).at(point.moments), degree


def _circle_mode(state: StationaryState, grid: CircleGrid, count: int) -> Mode:
    moment_map = MomentMap(state.equation, grid)
    at, degree = _fine(moment_map, moment_map.at(state.moments))
    fine = at.grid
    assert isinstance(fine, CircleGrid)
    at, dphi, dark = _light_up(state.equation, fine, at)
    y = fine.functions[0]
    if at.parts is not None:
        f, stiffness = basis_between_edges(at, -1, 2, degree)
    else:
        basis = fine.resized(degree, fine.size)
        assert isinstance(basis, CircleGrid)
        f, df = basis.functions
        stiffness = _stiffness(at, dphi, f, df)
    still = state.is_uniform or not len(moment_map.free_turns)
    turn = None if still else (np.sqrt(at.weight) * dphi)[None]
    kernel = None
    if dark:
        kernel = state.equation.interaction.between_points(fine.points)
    return _dense_mode(moment_map, at, f, stiffness, y, grid.degrees, count, -1, turn, kernel)


def _light_up(
    equation: Equation, grid: ZonalGrid | CircleGrid, at: Point
) -> tuple[Point, Array, bool]:
    """Phi' along the grid; log link: without loss of digits where Z is far below its maximum.

    The moments of a state do not depend on such dark places, where there is no mass. Its stability
    does: mass that strays there must come back at the right rate, and X is like grad Z/Z.

    Returns:
        The point with log_rho and slope put right, dPhi (n,), and whether that was necessary.
    """
    moment_map = MomentMap(equation, grid)
    dphi = moment_map.gradient(at)[0]
    if equation.interaction.is_linear or at.parts is not None:
        return at, dphi, False
    steep = np.abs(at.slope)  # like 1/Z
    if steep.max() < steep.min() / _DARK:
        return at, dphi, False
    found = equation.interaction.direct_exponent(
        grid.manifold.name, Measure(grid.points, grid.weights * at.rho)
    )
    xi, slope, velocity = (values / equation.kappa for values in found)
    xi = xi + moment_map.lift(grid)
    light = int(np.argmax(at.log_rho))
    log_rho = at.law.log_density(float(at.log_rho[light]), xi[light] - xi)
    if isinstance(grid, CircleGrid):
        x = grid.points
        dphi = x[:, 0] * velocity[:, 1] - x[:, 1] * velocity[:, 0]
    else:
        dphi = velocity[:, 0]
    dphi = dphi + moment_map.slant(grid)[0]
    return replace(at, log_rho=log_rho, slope=slope), np.asarray(dphi), True


def _dense_mode(
    moment_map: MomentMap,
    at: Point,
    f: Array,
    stiffness: Array,
    y: Array,
    kept: NDArray[np.int64],
    count: int,
    order: int,
    turns: Array | None,
    pairs: Array | None = None,
) -> Mode:
    """Eigenvalues of -G(I - S/kappa) in the basis f (k, n), G/kappa = ``stiffness``.

    ``y``: the harmonics that the kernel sees, ``kept`` their degrees. ``pairs``: the kernel between
    the nodes (n, n), to be used instead of its harmonics.
    """
    equation = moment_map.equation
    # Linear: S/kappa = C P C^T gain, log link: with gain/Z in one factor; Phi' = slope is both.
    pull, weights = equation.interaction.pull(moment_map.grid, max(order, 0)), at.grid.weights
    root = np.sqrt(at.weight) * weights
    right = (y * root) @ f.T
    left = right if _symmetric(moment_map) else (f * (root * at.slope)) @ y.T
    g = equation.kappa * stiffness
    if pairs is not None:
        pull = (f * (root * at.slope)) @ pairs @ (f * root).T
        values, vectors = linalg.eig(-g @ (np.eye(len(f)) - pull))
    elif _symmetric(moment_map):
        hessian = np.eye(len(f)) - at.slope[0] * pull(right.T) @ right
        values, vectors = _symmetric_eigen(g, hessian)
    else:
        values, vectors = linalg.eig(-g @ (np.eye(len(f)) - pull(left) @ right))
    vectors = vectors / np.linalg.norm(vectors, axis=0)
    chosen = np.ones(values.size, dtype=bool)
    if order <= 0:  # modes that are not orthogonal to the left eigenvectors of mass, w on each part
        masses = np.linalg.norm((components(at) * root) @ f.T @ vectors, axis=0)
        chosen[np.argsort(-masses)[: len(components(at))]] = False
    rotations: Array = np.zeros(0)
    if turns is not None:
        turned = turns * weights @ f.T
        lengths = np.linalg.norm(turned, axis=1)
        if lengths.min() > 1e-6:
            overlap = np.abs((turned / lengths[:, None]) @ vectors).sum(axis=0) * chosen
            index = int(np.argmax(overlap))
            chosen[index] = False
            rotations = np.abs(values[[index]])
    values, vectors = values[chosen], vectors[:, chosen]
    best = np.argsort(-values.real, kind="stable")[:count]
    vector = vectors[:, best[0]]
    vector = np.real(vector * np.conj(vector[int(np.argmax(np.abs(vector)))]))
    return Mode(
        order,
        values[best].astype(np.complex128),
        rotations,
        np.asarray(vector / np.linalg.norm(vector)),
    )


def _symmetric(moment_map: MomentMap) -> bool:
    return moment_map.equation.interaction.is_linear


def _symmetric_eigen(g: Array, hessian: Array) -> tuple[Array, Array]:
    """Eigenvalues of -G B for symmetric G >= 0 and B: those of -R B R, R = sqrt(G); real."""
    squares, q = linalg.eigh(g)
    root = np.sqrt(np.maximum(squares, 0.0))
    values, y = linalg.eigh(-(root[:, None] * (q.T @ hessian @ q) * root))
    vectors = q @ (root[:, None] * y)  # G B R y = R (R B R) y
    flat = np.linalg.norm(vectors, axis=0) < 1e-9
    vectors[:, flat] = (q @ y)[:, flat]  # the kernel of G
    return values, vectors


class _Matrixless:
    """The linearisation at any state on S^2, as an action on coefficients of f.

    Attributes:
        size: number of coefficients.
        turned: (rotations, size) orthonormal, the f that only rotate the state.
        lost: whether Z is lost in round-off where there is no mass.
    """

    def __init__(self, state: StationaryState) -> None:
        grid = state.grid
        assert isinstance(grid, SphereGrid)
        needed = needed_degree(MomentMap(state.equation, grid), state.point, _MOST_SPHERE, 1e-8)
        degree = max(grid.degree // 2, 8) + needed
        self.kappa = state.equation.kappa
        self.basis = basis = SphereGrid(degree, max(grid.size, 2 * degree + 16))
        self.low = basis.resized(grid.degree, basis.size)
        moment_map = MomentMap(state.equation, self.low)
        self.pulled = moment_map.pulled
        at = moment_map.at(state.moments)
        self.root, self.slope, m = np.sqrt(at.weight), at.slope, at.law.m
        dphi = moment_map.gradient(at)
        self.ratio = np.exp((m - 1.0) * at.log_rho)
        inside = np.isfinite(at.log_rho)
        log_rho = np.where(inside, at.log_rho, 0.0)
        self.lean = (1.0 - 0.5 * m) * np.exp((1.0 - m) * log_rho) * dphi * inside
        self.mass = basis.analyse(self.root)
        self.mass /= np.linalg.norm(self.mass)
        self.size = self.mass.size
        self.turned = np.zeros((0, self.size))
        if not state.is_uniform and len(moment_map.free_turns):
            every = np.array([
                basis.analyse(row * self.root) for row in self.low.generators(dphi)
            ])  # fmt: skip
            _, sizes, axes = np.linalg.svd(moment_map.free_turns @ every, full_matrices=False)
            self.turned = axes[sizes > 1e-6 * np.linalg.norm(every, 2)]
        self.lost = not _symmetric(moment_map) and bool(
            at.slope.max() > at.slope.min() / _DARK_SPHERE
        )

    def _g(self, f: Array) -> Array:
        basis = self.basis
        flux = self.ratio * (basis.gradient(f) - basis.synthesise(f) * self.lean)
        inner = np.sum(flux * self.lean, axis=0)
        return self.kappa * (basis.analyse_gradient(flux) - basis.analyse(inner))

    def __call__(self, f: Array) -> Array:
        f, basis = np.ravel(f), self.basis
        moments = self.low.analyse(self.root * basis.synthesise(f))
        pull = self.low.synthesise(self.pulled(moments))
        pulled = basis.analyse(self.root * self.slope * pull)
        # Mass is a left eigenvector: its eigenvalue 0 is moved out of sight.
        return -self._g(f - pulled) - 1e3 * self.kappa * self.mass * (self.mass @ f)


def arnoldi_spectrum(state: StationaryState, count: int = 6) -> Spectrum:
    """Leading eigenvalues at any state on S^2: Arnoldi iteration, matrix-free.

    For the log link where Z falls below 1e-12 of its maximum, eigenvalues are less certain than
    they look: the drift is lost in round-off where there is no mass, see ``_light_up``. It warns of
    that. Unknown where a density has edges, to which the nodes do not keep.

    Raises:
        BrokenInvariantError: no convergence.
    """
    if MomentMap(state.equation, state.grid).has_kinks(state.point):
        return Spectrum.unknown()
    action = _Matrixless(state)
    if action.lost:
        warnings.warn(
            "the partition function is lost in round-off where there is no mass: eigenvalues next "
            "to 0 may be artefacts",
            MeanfieldWarning,
            stacklevel=2,
        )
    n, turned = action.size, action.turned
    wanted = count + len(turned)
    operator = LinearOperator((n, n), matvec=action, dtype=np.float64)
    try:
        values, vectors = eigs(
            operator, k=wanted, which="LR", ncv=min(n - 1, max(4 * wanted, 80)),
            maxiter=400, tol=1e-9, v0=np.random.default_rng(0).normal(size=n),
        )  # fmt: skip
    except ArpackNoConvergence as error:
        raise BrokenInvariantError(
            f"the eigenvalues of the linearisation did not converge ({error})"
        ) from None
    # Rotations lie in the span of the generators; some may be below what was asked for.
    overlap = np.linalg.norm(turned @ vectors, axis=0) / np.linalg.norm(vectors, axis=0)
    spun = np.flatnonzero(overlap > 0.9)
    chosen = np.ones(values.size, dtype=bool)
    chosen[spun] = False
    rest = values[chosen]
    best = np.argsort(-rest.real, kind="stable")[:count]
    vector = np.real(vectors[:, chosen][:, best[0]])
    mode = Mode(
        -1, rest[best].astype(np.complex128), np.abs(values[spun]),
        np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-300)),
    )  # fmt: skip
    return Spectrum((mode,))
