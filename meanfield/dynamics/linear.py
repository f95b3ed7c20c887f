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
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from meanfield.dynamics.fluxes import flow_up, relax, remainder
from meanfield.dynamics.space import P1Space
from meanfield.errors import BrokenInvariantError
from meanfield.geometry.sphere import Array

__all__ = ["Correction", "EdgeSystem", "Rates", "Solution"]

_SHORT = 300.0  # dt times the fastest rate up to which incomplete LU is tried
_SHORT_ITERATIONS = 60
_TRIES = 3  # of a Krylov solver, each to a smaller tolerance
_FACTORED_UP_TO = 600_000  # vertices; LU at level 8 needs 4 GB
_CORRECTION = 1e-6  # of the right side: what Newton's method may find left of it
_LEVEL = 1e-12  # of the right side: what may be left of it, if round-off is less
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
        method: "sweep", "ilu", "lu" or "amg".
    """

    rho: Array
    residual: float
    iterations: int
    method: str


class Correction(NamedTuple):
    """What a step of Newton's method adds (n_owned,), and the Krylov iterations that it took."""

    delta: Array
    iterations: int


class EdgeSystem:
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
        from petsc4py import PETSc

        self._petsc = PETSc
        self.space, self.weights = space, weights
        self.tolerance, self.method = tolerance, method
        self._short = _SHORT
        self._solvers: dict[str, Any] = {}
        stars, n = space.stars, space.n_owned
        width = stars.neighbour.shape[0]
        own = np.arange(n)
        real = stars.neighbour != own
        counts = real.sum(axis=0) + 1
        (before,) = _offset(space)
        numbers = space.with_ghosts(before + own.astype(np.float64)).astype(np.int64)
        rows = np.concatenate([own, *(own[real[k]] for k in range(width))])
        columns = np.concatenate(
            [before + own, *(numbers[stars.neighbour[k, real[k]]] for k in range(width))]
        )
        order = np.lexsort((columns, rows))
        kind = PETSc.IntType
        self._starts = np.concatenate([[0], np.cumsum(counts)]).astype(kind)
        self._columns = columns[order].astype(kind)
        place = np.empty(rows.size, dtype=np.int64)
        place[order] = np.arange(rows.size)
        self._diagonal, self._off = place[:n], place[n:]
        self._real = real
        size = ((n, space.n_global), (n, space.n_global))
        self._matrix = PETSc.Mat().createAIJ(
            size,
            csr=(self._starts, self._columns, np.zeros(rows.size)),
            comm=space.comm,
        )
        self._x, self._b = self._matrix.createVecs()
        self._values = np.empty(rows.size)

    def solve(self, rates: Rates, old: Array, dt: float) -> Solution:
        """One implicit step of ``dt`` from ``old`` (n_owned,).

        Raises:
            BrokenInvariantError: no solver reaches the tolerance. On every rank.
        """
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

    def potential(self, right: Array) -> Array:
        """p (n_owned,) with sum_j c_ij (p_i - p_j) = right_i, to round-off, up to a constant.

        ``right``: (n_owned,), sum zero over all ranks. With one diagonal entry, the largest, taken
        twice the matrix is regular, and as all columns of the others sum to zero, p is 0 there.

        Raises:
            BrokenInvariantError: no solver gets there. On every rank.
        """
        stars, space = self.space.stars, self.space
        leaving = np.sum(stars.coefficient, axis=0)
        diagonal, largest = leaving.copy(), float(np.max(leaving, initial=0.0))
        if int(np.argmax(space.comm.allgather(largest))) == space.comm.rank:
            diagonal[np.argmax(leaving)] *= 2.0
        self._values[self._diagonal] = diagonal
        self._values[self._off] = -stars.coefficient[self._real]
        self._matrix.setValuesCSR(self._starts, self._columns, self._values)
        self._matrix.assemble()
        p, left = np.zeros_like(right), right
        (size,) = space.max(float(np.max(np.abs(right), initial=0.0)))
        for name in self._preferred():
            solver = self._solver(name)
            if solver is None:
                continue
            solver.setOperators(self._matrix)
            solver.setTolerances(rtol=0.1 * _LEVEL)
            for _ in range(_TRIES):  # each corrects what the one before has left
                self._b.array[:], self._x.array[:] = left, 0.0
                solver.solve(self._b, self._x)
                p = p + self._x.array
                around = space.with_ghosts(p)[stars.neighbour]
                left = right - np.sum(stars.coefficient * (p - around), axis=0)
            wrong, terms = space.max(
                float(np.max(np.abs(left), initial=0.0)),
                float(np.max(leaving * np.abs(p), initial=0.0)),
            )
            if wrong <= max(_LEVEL * size, _ROUND_OFF * terms):
                return p
            p, left = np.zeros_like(right), right
        raise BrokenInvariantError("the potential that levels the uniform state was not solved for")

    def _preferred(self) -> list[str]:
        names = ["lu", "amg"]
        return names if self.space.n_global <= _FACTORED_UP_TO else names[::-1]

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
        self._values[self._diagonal] = 1.0 + scaled * rates.leaving
        self._values[self._off] = -(scaled * rates.arriving)[self._real]
        self._matrix.setValuesCSR(self._starts, self._columns, self._values)
        self._matrix.assemble()

    def _solver(self, name: str) -> Any:
        """The named solver, made at first use; None if this PETSc has none."""
        if name not in self._solvers:
            make = {"ilu": self._make_ilu, "lu": self._make_lu, "amg": self._make_amg}[name]
            self._solvers[name] = make()
        return self._solvers[name]

    def _krylov(self, iterations: int) -> Any:
        petsc = self._petsc
        solver = petsc.KSP().create(self.space.comm)
        solver.setOperators(self._matrix)
        solver.setType("bcgs")
        solver.setPCSide(petsc.PC.Side.RIGHT)
        solver.setNormType(petsc.KSP.NormType.UNPRECONDITIONED)
        solver.setInitialGuessNonzero(True)
        solver.setTolerances(rtol=0.1 * self.tolerance, atol=0.0, divtol=1e8, max_it=iterations)
        return solver

    def _make_ilu(self) -> Any:
        solver = self._krylov(_SHORT_ITERATIONS)
        if self.space.comm.size == 1:
            solver.getPC().setType("ilu")
        else:
            solver.getPC().setType("bjacobi")  # with incomplete LU on each rank
        return solver

    def _make_lu(self) -> Any:
        petsc = self._petsc
        parallel = self.space.comm.size > 1
        packages = [p for p in ("mumps", "superlu_dist") if petsc.Sys.hasExternalPackage(p)]
        if parallel and not packages and self.space.manifold.dimension > 1:
            return None
        solver = petsc.KSP().create(self.space.comm)
        solver.setOperators(self._matrix)
        solver.setType("preonly")
        pc = solver.getPC()
        if parallel and self.space.manifold.dimension == 1:
            pc.setType("redundant")  # every rank solves the whole small system
            return solver
        pc.setType("lu")
        pc.setFactorSolverType(packages[0] if packages else "petsc")
        if packages[:1] == ["mumps"]:
            pc.setFactorSetUpSolverType()
            factors = pc.getFactorMatrix()
            factors.setMumpsIcntl(14, 60)  # per cent of memory to spare
            factors.setMumpsCntl(1, 0.0)  # no pivoting
        return solver

    def _make_amg(self) -> Any:
        petsc = self._petsc
        solver = self._krylov(200)
        pc = solver.getPC()
        prefix = "meanfield_amg_"
        if petsc.Sys.hasExternalPackage("hypre"):
            pc.setType("hypre")
            pc.setHYPREType("boomeramg")
            options = petsc.Options(prefix)
            options["pc_hypre_boomeramg_coarsen_type"] = "PMIS"
            options["pc_hypre_boomeramg_interp_type"] = "ext+i"
            options["pc_hypre_boomeramg_relax_type_all"] = "SOR/Jacobi"
        else:
            # Plain aggregation: smoothed aggregation and its Chebyshev smoother are for symmetric
            # matrices, and diverge where the drift is strong.
            pc.setType("gamg")
            options = petsc.Options(prefix)
            options["pc_gamg_agg_nsmooths"] = 0
            options["mg_levels_ksp_type"] = "richardson"
            options["mg_levels_ksp_max_it"] = 2
            options["mg_levels_pc_type"] = "sor"
        solver.setOptionsPrefix(prefix)
        pc.setFromOptions()
        return solver


def _offset(space: P1Space) -> tuple[int]:
    """Number of vertices on the ranks before this one. Collective."""
    counts = space.comm.allgather(space.n_owned)
    return (sum(counts[: space.comm.rank]),)
