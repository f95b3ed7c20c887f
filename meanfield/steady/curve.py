"""Solutions of the stationary equation along one parameter: the curve that a branch is part of.

A curve is the set of solutions (c, p) of c = T(c; p), c_l = int P_l dmu the moments and p the
parameter, among states that share a symmetry (``symmetry``). Owns its tangent, the correction of a
step to it, its grid, and what a solution has in a table. The length of a step is measured in the
kernel's norm of c and in the parameter over the width of its interval. Which way is taken along it
is the matter of ``branch``.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, optimize

from meanfield.errors import BrokenInvariantError, InputError
from meanfield.geometry.sphere import Array
from meanfield.steady.equation import Equation, MomentMap, Point, with_parameter
from meanfield.steady.newton import newton
from meanfield.steady.spectrum import Spectrum
from meanfield.steady.state import StationaryState
from meanfield.steady.symmetry import AXIAL, NONE, Symmetry

__all__ = ["Curve", "UnresolvedEdgesError"]

_EVEN = 1e-9
"""Size of odd moments below which a state is even."""


class UnresolvedEdgesError(BrokenInvariantError):
    """A density has edges that the nodes of its symmetry do not keep to."""


class Curve:
    """Solutions x = (c_1, ..., c_n, p) on one grid, which is refined when the peak narrows.

    Attributes:
        equation: the other parameters.
        parameter: the name of p.
        symmetry: of the states; c are the averages of the harmonics that have it, over the root of
            their number on the whole sphere (axial: c_l = int P_l dmu).
        interval: its ends, as it is followed.
        low, high, width: of it; backwards: whether it is followed from high to low.
        degree: the largest of them.
        metric: (n + 1,) weights of the squares in a length.
        even: whether odd moments are left out, and stay zero.
        at_limit: whether the last point tried was out of the parameter's range.
    """

    def __init__(
        self,
        equation: Equation,
        parameter: str,
        interval: tuple[float, float],
        symmetry: Symmetry = AXIAL,
    ) -> None:
        self.equation, self.symmetry = equation, symmetry
        self.parameter, self.interval = parameter, interval
        self.low, self.high = sorted(interval)
        self.width = self.high - self.low
        self.backwards = interval[0] > interval[1]
        self.at_limit = self.even = False
        self._ends = [with_parameter(equation, parameter, value) for value in interval]
        least = 1 if symmetry.has_mean else symmetry.degree
        degree = max(least, *(end.first_degree for end in self._ends))
        self._set_grid(degree, 2 * degree + 32)

    def again(self) -> Curve:
        """The same curve, on the grid to begin with."""
        return Curve(self.equation, self.parameter, self.interval, self.symmetry)

    def _set_grid(self, degree: int, size: int) -> None:
        self.degree = degree
        self.grid = self.symmetry.grid(degree, size, self.equation.d)
        longest = max(self._ends, key=lambda end: end.degree or 0)
        last = MomentMap(longest, self.grid)
        self.scale = last.scale
        part = last.pull.sizes[1:] / self.scale[1:] ** 2
        self.metric = np.concatenate([part / max(part.max(), 1e-300), [1.0 / self.width**2]])

    def regrid(self, degree: int, size: int) -> None:
        """Take another grid; points are to be ``padded`` then."""
        self._set_grid(degree, size)

    @property
    def size(self) -> int:
        """Number n of unknown moments."""
        return int(self.grid.degrees.size) - 1

    def map(self, p: float) -> MomentMap:
        """T at a value of the parameter."""
        return MomentMap(with_parameter(self.equation, self.parameter, p), self.grid)

    def moments(self, x: Array) -> Array:
        """Orthonormal moments of x, (n + 1,)."""
        return np.concatenate([[1.0], x[:-1]]) / self.scale

    def unknowns(self, moments: Array, p: float) -> Array:
        """x of orthonormal moments, of another degree perhaps."""
        c = np.zeros(self.size)
        n = min(moments.size - 1, self.size)
        c[:n] = moments[1 : n + 1] * self.scale[1 : n + 1]
        return np.concatenate([c, [p]])

    def uniform(self, p: float) -> Array:
        """x of the uniform state."""
        return np.concatenate([np.zeros(self.size), [p]])

    def point(self, x: Array) -> Point:
        """What the moments of x exert."""
        return self.map(x[-1]).at(self.moments(x))

    def defect(self, x: Array) -> Array:
        """c - T(c; p)."""
        found = x[:-1] - (self.point(x).image * self.scale)[1:]
        return np.where(self._odd, 0.0, found) if self.even else np.asarray(found)

    @property
    def _odd(self) -> NDArray[np.bool_]:
        """(n,) which moments change their sign with x -> -x."""
        return np.asarray(self.grid.degrees[1:] % 2 == 1)

    def jacobian(self, x: Array) -> Array:
        """(n, n + 1): derivatives of the defect by c and by p."""
        moment_map = self.map(x[-1])
        by_c = moment_map.jacobian(moment_map.at(self.moments(x)))[1:, 1:]
        by_c = by_c * self.scale[1:, None] / self.scale[None, 1:]
        if self.even:
            by_c[self._odd] = 0.0
        by_c = np.eye(self.size) - by_c
        # Central differences: 1e-9 is enough for the direction, and Newton needs no more.
        h = 1e-5 * max(abs(x[-1]), 1e-2 * self.width)
        found: list[tuple[float, Array]] = []
        for sign in (1.0, -1.0, 0.0):
            if len(found) == 2:
                break
            try:
                found.append((sign * h, self.defect(np.concatenate([x[:-1], [x[-1] + sign * h]]))))
            except InputError:  # out of the range of the parameter: one-sided
                continue
        (a, one), (b, two) = found
        return np.column_stack([by_c, (one - two) / (a - b)])

    def length(self, x: Array) -> float:
        """Length of a step."""
        return math.sqrt(float(np.sum(self.metric * x * x)))

    def tangent(self, x: Array, along: Array) -> Array:
        """Unit tangent at a solution, in the direction of ``along``."""
        matrix = self.bordered(x, along)
        right = np.zeros(self.size + 1)
        right[-1] = 1.0
        t = linalg.solve(matrix, right)
        return np.asarray(t / self.length(t))

    def bordered(self, x: Array, along: Array) -> Array:
        """(n + 1, n + 1): the Jacobian, and the row of arclength along a direction."""
        return np.vstack([self.jacobian(x), self.metric * along])

    def crossing(self, x: Array, along: Array) -> float:
        """What changes its sign where another curve crosses this one, and not at folds.

        The determinant of derivatives by unknowns and by arclength along the tangent.
        """
        matrix = self.bordered(x, along)
        matrix[:, -1] *= self.width
        sign, size = np.linalg.slogdet(matrix)
        return float(sign * np.exp(np.clip(size, -600.0, 600.0)))

    def correct(self, x: Array, tangent: Array, step: float) -> tuple[Array, int] | None:
        """The solution at arclength ``step`` from x along the tangent; None: no convergence."""
        y = x + step * tangent
        for count in range(1, 13):
            if self.parameter == "kappa" and y[-1] <= 0.0:
                return None
            along = float(np.sum(self.metric * tangent * (y - x))) - step
            try:
                right = -np.concatenate([self.defect(y), [along]])
                change = linalg.solve(self.bordered(y, tangent), right)
            except linalg.LinAlgError:
                return None
            except InputError:  # a parameter out of its range
                self.at_limit = True
                return None
            y = y + change
            size = self.length(change)
            if not math.isfinite(size) or size > 10.0 * max(step, 1e-3):
                return None
            if size < 1e-12:
                return y, count
        return (y, 12) if size < 1e-10 else None

    def outside(self, x: Array) -> bool:
        """Whether the parameter has left its interval, by more than round-off."""
        slack = 1e-12 * self.width
        return bool(x[-1] < self.low - slack or x[-1] > self.high + slack)

    def _sizes(self, x: Array) -> Array:
        return np.abs(x[:-1]) * np.sqrt(self.metric[:-1])

    def amplitude(self, x: Array) -> float:
        """Size of the largest moment in the kernel's norm."""
        return float(np.max(self._sizes(x)))

    def dominant(self, x: Array) -> int:
        """Index of that moment."""
        return int(np.argmax(self._sizes(x)))

    def crosses_even(self, x: Array, y: Array) -> bool:
        """Whether the branch meets states that are even, mu(-x) = mu(x), between two points."""
        if self.even or not self.equation.is_even(self.grid.unit_vectors):
            return False
        odd = np.flatnonzero(self._odd)
        sizes = self._sizes(x)[odd]
        index = int(odd[np.argmax(sizes)])
        return bool(sizes.max() > _EVEN and x[index] * y[index] <= 0.0)

    def even_meeting(self, y: Array) -> Array:
        """Where a branch next to y meets the even states: there odd changes are singular."""
        start = self.moments(y)
        kept = np.concatenate([[True], ~self._odd])
        start[~kept] = 0.0
        found: list[Point] = []

        def slope(p: float) -> float:
            moment_map = self.map(p)
            found.append(newton(moment_map, start, kept)[0])
            by_odd = moment_map.jacobian(found[-1])[1:, 1:][np.ix_(self._odd, self._odd)]
            values = 1.0 - linalg.eigvals(by_odd)
            return float(values[int(np.argmin(np.abs(values)))].real)

        p = optimize.newton(slope, y[-1], tol=1e-14 * self.width, x1=y[-1] + 1e-3 * self.width)
        slope(p)
        return self.unknowns(found[-1].moments, p)

    def meeting(self, x: Array, y: Array) -> Array:
        """Where the branch through x and y meets the uniform state: its derivative is singular.

        At the uniform state the derivative of the defect is diagonal, and that of the branch's
        largest moment vanishes.
        """
        index = self.dominant(x)

        def slope(p: float) -> float:
            return float(self.jacobian(self.uniform(p))[index, index])

        p = optimize.newton(slope, y[-1], tol=1e-14 * self.width, x1=y[-1] + 1e-3 * self.width)
        return self.uniform(p)

    def padded(self, x: Array) -> Array:
        """x with zeros for the moments of degrees that have been added since."""
        return np.concatenate([x[:-1], np.zeros(self.size + 1 - x.size), x[-1:]])

    def edges(self, x: Array) -> str:
        """Words where a density has edges that the nodes of the symmetry do not keep to, or ""."""
        try:
            moment_map = self.map(x[-1])
        except InputError:  # out of the range of the parameter
            return ""
        if not moment_map.has_kinks(moment_map.at(self.moments(x))):
            return ""
        return (
            f"{self.parameter} = {x[-1]:.6g}: the density has edges from here on, which are "
            f"resolved in axial symmetry or in none, not in {self.symmetry.name}"
        )

    def refine(self, x: Array) -> bool:
        """Double the grid, or the degree, if it does not resolve x; whether it was changed.

        After it, points are to be ``padded``.

        Raises:
            UnresolvedEdgesError: the density has edges, to which its nodes do not keep.
            BrokenInvariantError: a peak is too narrow.
        """
        moment_map = self.map(x[-1])
        moments = self.moments(x)
        if moment_map.resolves(moment_map.at(moments)):
            if not moment_map.cut_short(moments):
                moment_map.warn_of_the_end(moments)
                return False
            self._set_grid(2 * self.degree, max(self.grid.size, 4 * self.degree + 32))
            return True
        if why := self.edges(x):
            raise UnresolvedEdgesError(why)
        if 2 * self.grid.size > self.grid.most_size:
            raise BrokenInvariantError(
                f"{self.parameter} = {x[-1]:g}: a peak is too narrow for {self.grid.size} nodes; "
                "choose a smaller interval"
            )
        self.grid = self.symmetry.grid(self.degree, 2 * self.grid.size, self.equation.d)
        return True

    def spectrum(self, x: Array) -> Spectrum:
        """Leading eigenvalues at a solution."""
        return self.symmetry.spectrum(self.map(x[-1]), self.point(x), 3)

    def own_leading(self, x: Array) -> float:
        """The leading eigenvalue of perturbations that share the symmetry (where it is told)."""
        own, modes = self.symmetry.own_order, self.spectrum(x).modes
        return Spectrum(tuple(m for m in modes if own is None or m.order == own)).leading

    def state(self, x: Array) -> StationaryState:
        """The state that a solution is."""
        return StationaryState.of(self.map(x[-1]), self.point(x))

    def _mean(self, x: Array, state: StationaryState) -> float:
        """c_1: along the axis; without one |m|."""
        if self.symmetry is NONE:
            return state.mean_norm
        return float(x[0]) if self.symmetry.has_mean else 0.0

    def _order(self, x: Array, state: StationaryState) -> float:
        """The average of the symmetry's own harmonic, of those of its degree the first."""
        place = np.flatnonzero(self.grid.degrees == self.symmetry.degree)
        if self.symmetry is NONE:
            return state.c2
        return float(x[place[0] - 1]) if place.size else state.c2

    def row(self, x: Array) -> Array:
        """What a table says of a solution, in the order of ``diagram.COLUMNS``."""
        state, spectrum = self.state(x), self.spectrum(x)
        return np.array(
            [
                x[-1],
                self._mean(x, state),
                self._order(x, state),
                state.energy,
                state.entropy,
                state.free_energy_excess,
                spectrum.leading,
                spectrum.leading_mode.order,
            ]
        )
