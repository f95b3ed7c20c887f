"""Finds the stationary state to which a law leads: fixed-point iteration, then Newton's method.

The iteration of a = T(a) (``equation.MomentMap``) chooses the state, Newton's method takes it to
round-off, and both are repeated on finer grids until the state is resolved. Knows nothing of cases
and of branches of states.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy import linalg
from scipy.sparse.linalg import LinearOperator, gmres

from meanfield.errors import BrokenInvariantError, InputError, MeanfieldWarning
from meanfield.geometry.laws import Law
from meanfield.geometry.manifolds import Grid, MatrixGrid, manifold
from meanfield.geometry.sphere import Array
from meanfield.steady.equation import Equation, MomentMap, Point
from meanfield.steady.state import UNIFORM, StationaryState
from meanfield.steady.turned import axial_start, turned

__all__ = ["find_stationary", "newton"]

_KINKED = 1e-8
_LOST = 1e14  # of the largest Z to the smallest
_ROUGH, _EDGED_SIZE = (1e-5, 1e-6, 1e-7), 128
_ITERATIONS = {1: 20_000, 2: 4_000}  # by the dimension of the grid, which sets their cost


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
    turns = turns[lengths > UNIFORM] / np.maximum(lengths, UNIFORM)[lengths > UNIFORM, None]
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


def find_stationary(
    equation: Equation,
    start: Law | Array,
    geometry: str = "zonal",
    progress: Callable[[int, float], None] | None = None,
) -> StationaryState:
    """Find the stationary state to which a law leads.

    The law is iterated, a <- (1 - theta) a + theta T(a), theta = 1 until that overshoots. With the
    identity as link and attraction alone (usa, beta > 0, V = +I) each such step decreases the free
    energy (E is convex, so its linearisation bounds it from below). Once the iteration converges by
    itself to within 1e-6, Newton's method finishes it; so the state attracts the iteration, save
    that even (x -> -x) or uniform laws stay so, and that one left only very slowly (clusters far
    apart) counts as found: ask ``spectrum``. The equation may lead elsewhere in time.

    Args:
        equation: the equation.
        start: a law in dimension d, or moments (k,) against the grid's harmonics.
        geometry: "zonal" (about e_d), "circle" or "sphere".
        progress: called with the number of the iteration and its residual.

    Returns:
        The state, with residual at round-off level.

    Raises:
        InputError: the peak is too narrow for the largest grid, or zonal a tilted potential.
        BrokenInvariantError: no convergence.
    """
    degree, on = equation.first_degree, manifold(geometry, equation.d)
    size = 2 * degree + 32
    most = on.grid(degree, size).most_size
    moments, point = None, None
    fixed = newtons = 0
    while size <= most:
        moment_map = MomentMap(equation, on.grid(degree, size))
        if moments is None:
            moments = _without_noise(_start(start, moment_map.grid), moment_map)
        if moment_map.free and not np.any(moments[1:]):  # always a state, not to be left
            point = replace(moment_map.at(moments), log_rho=np.zeros(moment_map.grid.weights.size))
            return StationaryState.of(moment_map, point)
        free = _free(moments, moment_map)
        if (told := _about_its_axis(moment_map, moments, free, progress)) is not None:
            return told
        point, done = _iterate(moment_map, moments, free, progress)
        fixed, newtons = fixed + done[0], newtons + done[1]
        if not (moment_map.resolves(point) or _as_far_as_goes(moment_map, point)):
            moments, size = point.moments, 2 * size
        elif moment_map.cut_short(point.moments):
            degree *= 2
            longer = MomentMap(equation, on.grid(degree, size))
            moments = _without_noise(longer.grid.analyse(point.rho), longer)
            moments = np.where(np.all(free) | (longer.grid.degrees % 2 == 0), moments, 0.0)
            size = max(size, 2 * degree + 32)
        else:
            moment_map.warn_of_the_end(point.moments)
            return StationaryState.of(moment_map, point, (fixed, newtons))
    raise _not_resolved(equation, point, most)


def _not_resolved(equation: Equation, point: Point | None, most: int) -> InputError:
    """Why no grid resolves a state."""
    steep = np.ones(1) if point is None else np.abs(point.slope)
    if not equation.interaction.is_linear and float(steep.max()) > _LOST * float(steep.min()):
        return InputError(
            f"kappa = {equation.kappa:g} found: no nodes resolve the state, because Z spans more "
            "digits than doubles have, and is lost in round-off where it is small; expected a "
            "smaller beta or A"
        )
    return InputError(
        f"kappa = {equation.kappa:g} found: the state is narrower than {most} nodes "
        f"from pole to pole resolve; expected a larger kappa"
    )


def _about_its_axis(
    moment_map: MomentMap,
    moments: Array,
    free: Array,
    progress: Callable[[int, float], None] | None,
) -> StationaryState | None:
    """By its zonal form, the state whose edges nodes on a sphere do not keep to; None: no such.

    Where nodes know nothing of a rotation, the iteration drifts along it: it is left early.
    """
    if not moment_map.may_have_kinks:
        return None
    count, found = 0, axial_start(moment_map, moments, exact=True)
    if found is None:
        grid = moment_map.grid
        moment_map = MomentMap(
            moment_map.equation, grid.resized(grid.degree, max(grid.size, _EDGED_SIZE))
        )
        for rough in _ROUGH:
            point, done = _iterate(moment_map, moments, free, progress, rough)
            if not moment_map.has_kinks(point):
                return None
            moments, count = point.moments, count + done[0]
            found = axial_start(moment_map, moments, exact=False)
            if found is not None:
                break
        else:
            return _with_edges_unresolved(moment_map, point, count)
    zonal = find_stationary(moment_map.equation, found[0], progress=progress)
    iterations = (count + zonal.iterations[0], zonal.iterations[1])
    return turned(moment_map, zonal, found[1], iterations)


def _with_edges_unresolved(moment_map: MomentMap, point: Point, count: int) -> StationaryState:
    """The state of a point without an axis, as good as nodes are that do not keep to its edges."""
    no_axis = "no axis of symmetry"
    if not moment_map.equation.is_isotropic:
        no_axis = "is not symmetric about e_3 together with the model"
    warnings.warn(
        f"the state has edges and {no_axis}: its moments are known to "
        f"{moment_map.unresolved(point):.1e} only, and no eigenvalues are",
        MeanfieldWarning,
        stacklevel=4,
    )
    return StationaryState.of(moment_map, point, (count, 0))


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


def _free(moments: Array, moment_map: MomentMap) -> Array:
    """(k,) which moments may change: the odd ones of a law that is even stay zero, if U is even."""
    grid = moment_map.grid
    odd = grid.degrees % 2 == 1
    pushed = not moment_map.equation.is_even(grid.unit_vectors)
    return ~odd | bool(np.any(moments[odd]) or pushed)


def _as_far_as_goes(moment_map: MomentMap, point: Point) -> bool:
    """Whether this is the largest grid, good to 1e-8, and there is a potential, perhaps with kinks.

    Warns of that.
    """
    grid = moment_map.grid
    if moment_map.equation.external is None or 2 * grid.size <= grid.most_size:
        return False
    error = moment_map.unresolved(point)
    if error > _KINKED:
        return False
    warnings.warn(
        f"moments of the state are known to {error:.1e}: that is what the largest grid makes of a "
        "potential with kinks",
        MeanfieldWarning,
        stacklevel=3,
    )
    return True


def _iterate(
    moment_map: MomentMap,
    moments: Array,
    free: Array,
    progress: Callable[[int, float], None] | None,
    rough: float = 0.0,
) -> tuple[Point, tuple[int, int]]:
    """Damped fixed-point iteration, then Newton, on one grid; or until a residual that will do."""
    point = moment_map.at(moments)
    size = moment_map.residual(point)
    if size < max(moment_map.round_off(point), rough):
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
        if size < rough:
            return point, (count, 0)
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
