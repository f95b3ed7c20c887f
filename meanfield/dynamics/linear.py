"""The linear system of an implicit step on the edges of a P1 space, by PETSc, on any ranks.

    (W + dt A) rho = W rho_old,        (A rho)_i = leaving_i rho_i - sum_k arriving_ki rho_k

The matrix is a nonsingular M-matrix whose columns sum to w: 1^T A = 0. Hence, for every dt,

* rho >= 0, and its mass is that of rho_old: 1^T (W + dt A) = w^T;
* the inverse of (W + dt A) W^{-1} is >= 0 with columns that sum to one, so that an error of the
  solution is at most the residual r, both in the 1-norm of masses: ||W e||_1 <= ||r||_1.

What the solver leaves undone is put right without spoiling more than that. Negative values are
set to 0 (the solution is >= 0: no component gets worse); then one Jacobi sweep, sums of numbers
>= 0, which does not increase the error in the norm ||(W + dt D) e||_1, D = diag(leaving), whose
columns the off-diagonal part sums up to at most; then a division by the mass, which the residual
has changed by |sum_i r_i| <= ||r||_1. So rho >= 0 and its mass is exact to round-off whatever the
tolerance of the solver, and the distance from the exact solution is bounded by the residual, which
is measured after all this.

A density at which no flux at all is left, to the last bit, is the solution: the uniform one in its
own potential stays what it is, where round-off of a solve would grow like any perturbation.

The structure is made once; each step refreshes values. Which solver, by measurement (S^2, two
cores): without diffusion, in a potential and on one rank, one sweep in its order is an exact solve
(a drift that is no gradient may lead round in circles: there is no such order);
BiCGStab with incomplete LU for short steps (dt times the fastest rate below some hundreds); for all
longer ones the multifrontal LU of MUMPS, on any number of ranks, without pivoting, which an
M-matrix does not need: 20, 95, 500 ms at levels 5, 6, 7 for any dt and kappa, of which algebraic
multigrid needs 25 to 140, 100 to 600, 460 to 3000 (hypre, 6 to 57 iterations) or 10 to 80, 35 to
770, 200 to 3900 (PETSc's own where there is no hypre, 2 to 83 iterations). Multigrid is for meshes
whose factors would not fit and for a PETSc without MUMPS.

Knows stars and rates, not what they stand for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from meanfield.dynamics.edgematrix import EdgeMatrix
from meanfield.dynamics.fluxes import at_rest, flow_up, relax, remainder
from meanfield.dynamics.space import P1Space
from meanfield.errors import BrokenInvariantError
from meanfield.geometry.sphere import Array

__all__ = ["Correction", "EdgeSystem", "Rates", "Solution"]

_SHORT = 300.0  # dt times the fastest rate up to which incomplete LU is tried
_TRIES = 3  # of a Krylov solver, each to a smaller tolerance
_CORRECTION = 1e-6  # of the right side: what Newton's method may find left of it
_ROUND_OFF = 64 * np.finfo(float).eps


@dataclass(frozen=True, eq=False)
class Rates:
    """Rates of exchange along edges.

    Attributes:
        arriving: (K, n_owned) from each neighbour; leaving: (n_owned,) to all of them.
        order: owned vertices such that all rates lead from earlier to later ones; None if there is
            no such order (mass may go round), or not on one rank.
        fastest: largest leaving_i/w_i over all ranks.
    """

    arriving: Array
    leaving: Array
    order: NDArray[np.int64] | None
    fastest: float


@dataclass(frozen=True, eq=False)
class Solution:
    """Solution of a step.

    Attributes:
        rho: (n_owned,) >= 0, with the mass of the old density to round-off.
        residual: ||r||_1 in masses, over all ranks: bounds the distance from the exact solution.
        iterations: of the Krylov solver; 0 for direct solves.
        method: "sweep", "ilu", "lu" or "amg"; "none" where nothing moves.
    """

    rho: Array
    residual: float
    iterations: int
    method: str


class Correction(NamedTuple):
    """What a step of Newton's method adds (n_owned,), and the Krylov iterations that it took."""

    delta: Array
    iterations: int


class EdgeSystem(EdgeMatrix):
    """Solve implicit steps on the stars of a space. All methods are collective.

    Args:
        space: gives stars and ranks.
        weights: (n_owned,) nodal weights w.
        tolerance: of the residual, in the 1-norm relative to the mass.
        method: "auto", or one of "ilu", "lu", "amg" to insist on one.
    """

    def __init__(
        self, space: P1Space, weights: Array, tolerance: float = 1e-12, method: str = "auto"
    ) -> None:
        super().__init__(space, tolerance)
        self.weights, self.method = weights, method
        self._short = _SHORT

    def solve(self, rates: Rates, old: Array, dt: float) -> Solution:
        """One implicit step of ``dt`` from ``old`` (n_owned,).

        Raises:
            BrokenInvariantError: no solver reaches the tolerance. On every rank.
        """
        if self._at_rest(rates, old):
            return Solution(old.copy(), 0.0, 0, "none")
        if rates.order is not None and self.method == "auto":
            rho = np.zeros_like(old)
            stars = self.space.stars
            flow_up(
                rates.order, stars.neighbour, rates.arriving, rates.leaving, self.weights, old, dt,
                rho,
            )  # fmt: skip
            return self._with_mass_of(old, rho, rates, dt, 0, "sweep")
        self._refresh(rates, dt)
        best = None
        for name in self._candidates(rates, dt):
            solution = self._attempt(name, rates, old, dt)
            if solution is None:
                continue
            if solution[1]:
                return solution[0]
            best = solution[0]
        residual = "nothing finite" if best is None else f"a residual of {best.residual:.1e}"
        raise BrokenInvariantError(
            f"the linear solver left {residual}, {self.tolerance:.1e} expected, for a step of "
            f"{dt:.3g}"
        )

    def _at_rest(self, rates: Rates, old: Array) -> bool:
        """Whether a density is the solution itself, to the last bit. Collective."""
        local = self.space.with_ghosts(old)
        still = at_rest(self.space.stars.neighbour, rates.arriving, rates.leaving, local)
        return self.space.max(float(not still)) == (0.0,)

    def correct(self, rates: Rates, right: Array, dt: float) -> Correction | None:
        """delta (n_owned,) with (W + dt A) delta = right, of any signs; None: no solver gets there.

        For the corrections of Newton's method. Nothing is put right: sum w delta is sum right only
        as far as the residual tells, 1e-6 of the right side or round-off.
        """
        self._refresh(rates, dt)
        space, stars = self.space, self.space.stars
        for name in self._candidates(rates, dt):
            solver = self._solver(name)
            if solver is None:
                continue
            solver.setOperators(self._matrix)
            solver.setTolerances(rtol=0.1 * _CORRECTION)
            self._b.array[:], self._x.array[:] = right / self.weights, 0.0
            try:
                solver.solve(self._b, self._x)
                delta = self._x.array.copy()
            except self._petsc.Error:
                delta = np.full_like(right, np.nan)
            terms = (self.weights + dt * rates.leaving) * delta
            left = right - terms
            left += dt * np.sum(rates.arriving * space.with_ghosts(delta)[stars.neighbour], axis=0)
            wrong, wanted, size = space.sum(*(float(np.abs(a).sum()) for a in (left, right, terms)))
            if wrong <= max(_CORRECTION * wanted, _ROUND_OFF * size):  # false for NaN, too
                return Correction(delta, 0 if name == "lu" else solver.getIterationNumber())
            # It may never work again, and may have left its vectors locked: make them anew.
            self._solvers.pop(name).destroy()
            self._x, self._b = self._matrix.createVecs()
            if name == "ilu":
                self._short = min(self._short, 0.5 * dt * rates.fastest)
        return None

    def _candidates(self, rates: Rates, dt: float) -> list[str]:
        if self.method != "auto":
            return [self.method]
        names = self._preferred()
        # In one dimension factors are as cheap as the matrix; messages of iterations are not.
        line = self.space.comm.size > 1 and self.space.manifold.dimension == 1
        return ["ilu", *names] if dt * rates.fastest <= self._short and not line else names

    def _attempt(
        self, name: str, rates: Rates, old: Array, dt: float
    ) -> tuple[Solution, bool] | None:
        """A solution and whether it is good enough; None if the solver fails altogether."""
        solver = self._solver(name)
        if solver is None:
            return None
        self._b.array[:] = old
        self._x.array[:] = old
        solver.setOperators(self._matrix)
        best: tuple[Solution, bool] | None = None
        iterations, tolerance = 0, 0.1 * self.tolerance
        for _ in range(_TRIES):
            solver.setTolerances(rtol=tolerance)
            try:
                solver.solve(self._b, self._x)
            except self._petsc.Error:
                break
            iterations += solver.getIterationNumber()
            found = self._x.array.copy()
            (bad,) = self.space.sum(float(np.count_nonzero(~np.isfinite(found))))
            if bad:
                break
            guess = self.space.with_ghosts(np.maximum(found, 0.0))
            rho = np.empty_like(old)
            relax(
                self.space.stars.neighbour, rates.arriving, rates.leaving, self.weights, old, guess,
                dt, rho,
            )  # fmt: skip
            solution = self._with_mass_of(old, rho, rates, dt, iterations, name)
            (size,) = self.space.sum(self._size)
            wanted = max(self.tolerance, _ROUND_OFF * size)
            best = solution, solution.residual <= wanted
            if best[1] or name == "lu" or solver.getConvergedReason() <= 0:
                break
            # The solver measures densities where we measure masses: go on from here, to a
            # tolerance that is smaller by what it has left of ours.
            tolerance *= 0.1 * wanted / solution.residual
        if name == "ilu" and best is not None and not best[1]:
            self._short = min(self._short, 0.5 * dt * rates.fastest)
        return best

    def _with_mass_of(
        self, old: Array, rho: Array, rates: Rates, dt: float, iterations: int, name: str
    ) -> Solution:
        w = self.weights
        had, has = self.space.sum(float(np.dot(w, old)), float(np.dot(w, rho)))
        rho *= had / has
        residual, self._size = remainder(
            self.space.stars.neighbour, rates.arriving, rates.leaving, w, old,
            self.space.with_ghosts(rho), dt,
        )  # fmt: skip
        (total,) = self.space.sum(residual)
        return Solution(rho, total, iterations if name != "lu" else 0, name)

    def _refresh(self, rates: Rates, dt: float) -> None:
        """Rows divided by w, so that also vertices of tiny weight (poles) are solved for."""
        scaled = dt / self.weights
        self._fill(1.0 + scaled * rates.leaving, -(scaled * rates.arriving))
