"""One view of a state for all columns, whichever solver it is of.

A view is made anew for each state and computes what is asked for once. Everything is collective and
the same on every rank. A new kind of solver makes a child here, and has every column that needs
nothing else.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property
from typing import NamedTuple

import numpy as np

from meanfield.analysis.peaks import PeakCounter, moved_clusters
from meanfield.collective import on_root, sum_over_ranks
from meanfield.dynamics.density import DensitySolver
from meanfield.dynamics.lagrangian import LagrangianSolver
from meanfield.dynamics.solver import Solver
from meanfield.dynamics.tokensolver import TokenSolver
from meanfield.geometry.manifolds import Harmonics
from meanfield.geometry.sphere import Array
from meanfield.interaction.contract import AnyField
from meanfield.interaction.measure import plain

__all__ = [
    "POWER_DEGREE",
    "CharacteristicView",
    "DensityView",
    "Totals",
    "View",
    "energies_of",
    "power_of",
    "totals_of",
]

POWER_DEGREE = 8
_LOG_MOST = 690.0  # log of the largest density that is told
_COLLAPSED = 1e-3  # length of an edge that has collapsed, over the longest of the initial mesh


class Totals(NamedTuple):
    """Integrals over mu: of 1, H/rho (log rho; 0 for tokens), x and x x^T."""

    mass: float
    entropy: float
    mean: Array
    second: Array


class View(ABC):
    """What a column may ask of a state.

    Attributes:
        offers: what there is beside what every view has: "density" (``extremes``), "entropy",
            "noise" (kappa > 0 at some time), "energy" (there is one), "free energy" (noise, with an
            energy of kind "gradient"), "double energy" (unscaled), "dissipation" (of what is known
            to fall), "balance" (and falls by nothing else: kappa does not depend on time),
            "harmonics" (``power``), "groups" (``largest_cluster``), "points", "spectrum"
            (``spectrum``), "tangents" (``growth``), "lengths" and "rescaled" (of tokens in schemes
            that have them), "gaussians" (``variances``, ``nonaffine``).
        previous: the row before in the series; None: there is none.
        directions: how many coordinates the mean is given in; the second moments likewise.

    Example:
        >>> class Shown(mf.Observer):
        ...     def handle(self, view):
        ...         print(view.t, view.mean, view.clusters)
    """

    solver: Solver
    offers: frozenset[str]
    directions: int
    previous: Mapping[str, float] | None = None

    @property
    def t(self) -> float:
        """Time."""
        return self.solver.t

    @cached_property
    def field(self) -> AnyField:
        """Of the state."""
        return self.solver.field()

    @cached_property
    def energy(self) -> float:
        """E, in its own unit."""
        return self.solver.energy()

    @cached_property
    def energy_scaled(self) -> float:
        """E, scaled."""
        return self.solver.energy(scaled=True)

    @cached_property
    def dissipation(self) -> float:
        """d/dt of the energy that the flow increases; scaled, >= 0."""
        field = self.field
        local = np.dot(field.measure.weights, field.own_dissipation_density())
        return float(sum_over_ranks(self.solver.comm, np.array([float(local)]))[0])

    def falling(self, energy: float, entropy: float) -> float:
        """F = kappa H - drive E, scaled, of a scaled energy and an entropy."""
        solver = self.solver
        return solver.interaction.free_energy(
            energy, entropy, solver.interaction.scaled(solver.kappa)
        )

    @abstractmethod
    def _totals_of(self) -> Totals:
        """The integrals over all ranks."""

    @cached_property
    def _totals(self) -> Totals:
        return self._totals_of()

    @property
    def mass(self) -> float:
        """Sum of all masses."""
        return self._totals.mass

    @property
    def entropy(self) -> float:
        """int H dsigma, of the diffusion; H = rho log rho where it is linear, or there is none."""
        return self._totals.entropy

    @property
    def mean(self) -> Array:
        """int x dmu, all coordinates."""
        return self._totals.mean

    @cached_property
    def second(self) -> Array:
        """The ``directions`` largest eigenvalues of int x x^T dmu, ascending."""
        return np.linalg.eigvalsh(self._totals.second)[-self.directions :]

    @abstractmethod
    def power_to(self, degree: int) -> Array:
        """Sum of the squared moments of each degree up to this one, (degree + 1,)."""

    @cached_property
    def power(self) -> Array:
        """The same up to ``POWER_DEGREE``."""
        return self.power_to(POWER_DEGREE)

    @property
    @abstractmethod
    def extremes(self) -> tuple[float, float]:
        """The smallest and the largest density."""

    @property
    @abstractmethod
    def clusters(self) -> int:
        """Number of clusters."""

    @property
    def largest_cluster(self) -> float:
        """Mass of the largest cluster."""
        raise NotImplementedError

    @property
    def points(self) -> int:
        """Number of different points."""
        raise NotImplementedError

    @property
    def spectrum(self) -> Array:
        """All eigenvalues of int x x^T dmu that may differ from 0, ascending."""
        raise NotImplementedError

    @property
    def growth(self) -> float:
        """log of the norm of d x(t)/d x(0), on the directions that are carried along."""
        raise NotImplementedError

    @property
    def masses(self) -> Array:
        """(n,) masses of the tokens."""
        raise NotImplementedError

    @property
    def lengths(self) -> Array:
        """(n,) lengths of the tokens."""
        raise NotImplementedError

    @property
    def variances(self) -> tuple[float, float]:
        """The smallest and the largest of all Gaussians, in any direction."""
        raise NotImplementedError

    @property
    def nonaffine(self) -> float:
        """The largest share of the field within a Gaussian that is not affine."""
        raise NotImplementedError

    @property
    def rescaled(self) -> Array:
        """(n, d) tokens whose growth is undone."""
        raise NotImplementedError


class DensityView(View):
    """Of a density on a fixed mesh.

    Args:
        solver: with the state.
        counter: of the peaks, on rank 0.
    """

    def __init__(self, solver: DensitySolver, counter: PeakCounter | None) -> None:
        self.solver: DensitySolver = solver
        self._counter = counter
        falls = solver.diffuses and solver.interaction.energy_kind == "gradient"
        noise = {"noise"} if solver.diffuses else set()
        free = {"free energy", "dissipation"} if falls else set()
        if falls and not solver.kappa_moves:
            free.add("balance")
        given = {"density", "entropy", "harmonics", "groups"}
        self.offers = frozenset(given | noise | free | energies_of(solver))
        self.directions = solver.space.manifold.moments

    def _totals_of(self) -> Totals:
        solver, space, rho = self.solver, self.solver.space, self.solver.rho
        x, m = space.manifold.moments_of(space.points[: space.n_owned]), solver.weights * rho
        return totals_of(x, m, solver.specific_entropy(rho), solver)

    @cached_property
    def dissipation(self) -> float:
        """-dF/dt; without any, and a closed tail, as for every view. Scaled, >= 0."""
        if not self.solver.diffusion.acts:
            return super().dissipation
        speed = self.solver.speed()
        return speed * self.solver.interaction.scaled(speed)  # its square may be no double

    @cached_property
    def extremes(self) -> tuple[float, float]:
        """The smallest and the largest density at a vertex."""
        rho = self.solver.rho
        top, bottom = self.solver.space.max(
            float(np.max(rho, initial=0.0)), float(-np.min(rho, initial=np.inf))
        )
        return -bottom, top

    def power_to(self, degree: int) -> Array:
        solver, space = self.solver, self.solver.space
        harmonics, moments = solver.interaction.harmonics, self.field.moments
        assert harmonics is not None and moments is not None
        if harmonics.degree < degree:
            harmonics = space.manifold.harmonics(degree, harmonics.epsilon)
            _, weights, quadrature = solver.measure()
            assert quadrature is not None
            x = space.points[: space.n_owned]
            moments = sum_over_ranks(space.comm, harmonics.moments(x, weights - quadrature))
            moments = moments + harmonics.uniform()
        return harmonics.power(moments[: harmonics.degrees.size])[: degree + 1]

    @cached_property
    def clusters(self) -> int:
        """Number of peaks (``PeakCounter``)."""
        everything = self.solver.space.gather(self.solver.rho)

        def count() -> int:
            assert everything is not None and self._counter is not None
            return self._counter.count(everything)

        found = on_root(self.solver.comm, count)
        assert found is not None
        return found

    @cached_property
    def largest_cluster(self) -> float:
        """Mass of the heaviest one; 0: there is none."""
        solver, space = self.solver, self.solver.space
        rho, mass = space.gather(solver.rho), space.gather(solver.weights * solver.rho)

        def largest() -> float:
            assert rho is not None and mass is not None and self._counter is not None
            return self._counter.largest(rho, mass)

        found = on_root(solver.comm, largest)
        assert found is not None
        return found


class CharacteristicView(View):
    """Of a density on a mesh that moves with it: integrals over mu are sums over its vertices."""

    def __init__(self, solver: LagrangianSolver) -> None:
        self.solver: LagrangianSolver = solver
        self.offers = frozenset({"density", "entropy", "harmonics", "points"} | energies_of(solver))
        self.directions = solver.manifold.moments

    @cached_property
    def dissipation(self) -> float:
        """As for every view, times what velocities are over X."""
        field, solver = self.field, self.solver
        masses = field.measure.weights * solver.paces()
        local = np.dot(masses, field.own_dissipation_density())
        return float(sum_over_ranks(solver.comm, np.array([float(local)]))[0])

    @cached_property
    def _log_rho(self) -> Array:
        return self.solver.log_density()

    def _totals_of(self) -> Totals:
        m = self.solver.mass
        x = self.solver.positions()[:, -self.directions :]
        return totals_of(x, m, np.where(m > 0.0, self._log_rho, 0.0))

    @cached_property
    def extremes(self) -> tuple[float, float]:
        """The smallest and the largest density at a vertex; e^690 for all beyond."""
        low, high = np.exp(np.minimum([self._log_rho.min(), self._log_rho.max()], _LOG_MOST))
        return float(low), float(high)

    @cached_property
    def implied_mass(self) -> float:
        """Integral of the P1 density over the moved mesh, e^690 for all beyond.

        Far from 1 where the mesh, which has moved with the mass, does not resolve the density.
        """
        mesh = self.solver.moved_mesh()
        shares = mesh.manifold.shares(mesh.points, mesh.cells) / mesh.cells.shape[1]
        with np.errstate(divide="ignore"):
            terms = np.log(shares)[:, None] + self._log_rho[mesh.cells]
        top = float(np.max(terms))
        if not math.isfinite(top):
            return 0.0
        return math.exp(min(top + math.log(np.sum(np.exp(terms - top))), _LOG_MOST))

    def power_to(self, degree: int) -> Array:
        return power_of(self.solver, self.solver.manifold.harmonics(degree, 1e-12))

    @cached_property
    def clusters(self) -> int:
        """Number of peaks (``moved_clusters``)."""
        solver = self.solver
        return moved_clusters(solver.moved_mesh(), self._log_rho, solver.mass, self.near)

    @property
    def near(self) -> float:
        """Length (a chord) of an edge that has collapsed."""
        return _COLLAPSED * self.solver.longest_edge

    @property
    def points(self) -> int:
        """Number of different points: vertices that have not become one with others."""
        return self.solver.points


def energies_of(solver: Solver) -> set[str]:
    """What a view offers of energies."""
    interaction = solver.interaction
    if interaction.energy_kind is None:
        return set()
    double = {"double energy"} if interaction.has_double_energy else set()
    told = set() if solver.diffuses else {"dissipation", "balance"}
    return {"energy"} | double | told


def totals_of(x: Array, m: Array, entropy: Array, shared: DensitySolver | None = None) -> Totals:
    """Integrals over points x (n, k) with masses m and entropies for each mass (n,).

    Of all ranks, where a solver shares them.
    """
    k = x.shape[1]
    local = np.concatenate([[m.sum(), np.dot(m, entropy)], m @ x, ((x * m[:, None]).T @ x).ravel()])
    totals = local if shared is None else sum_over_ranks(shared.comm, local)
    mean, second = totals[2 : 2 + k], totals[2 + k :].reshape(k, k)
    return Totals(float(totals[0]), float(totals[1]), mean, second)


def power_of(solver: LagrangianSolver | TokenSolver, harmonics: Harmonics) -> Array:
    """Sum of the squared moments of each degree, of points that move. Collective."""
    points, weights, _ = solver.measure()
    local = harmonics.moments(plain(points), weights)
    return harmonics.power(sum_over_ranks(solver.comm, local))
