"""A density as few narrow Gaussians: masses, centres on S^{d-1}, covariances in tangent planes.

For small kappa clusters are about sqrt(kappa) wide: too narrow for a mesh, and as smooth as can be.
Of the law mu_k of a cluster, with mean direction n and u = P_n x, C = int u u^T dmu_k, the equation

    d/dt mu = - div(mu X) + kappa Laplace mu

gives, for a law that is even in u (so that int <n, x> u dmu_k = 0),

    c dn/dt = P_n int X dmu_k,        c = int <n, x> dmu_k,
    dC/dt   = int (P_n X u^T + u (P_n X)^T) dmu_k + 2 kappa P_n - 2 d kappa C,

C carried along n. The closure is to take u for a Gaussian. Where X is affine in u it is exact;
where X is curved the variances are wrong by about the square of the share of X that is not affine,
see ``GaussianSolver.nonaffine``. The integrals, and so the field, are those of 5^{d-1} points for
each Gaussian, from d = 4 on 3^{d-1} (Gauss-Hermite, exact up to degree 9 and 5 in each coordinate;
they are called sigma points in filters, S. J. Julier, J. K. Uhlmann, Proc. IEEE 92 (2004) 401):
C = L L^T, u = L z, x = u + sqrt(1 - |u|^2) n. Where a Gaussian is wide a few of little weight are
put on the rim of its hemisphere. With L for a state, C stays positive:

    dL/dt = int P_n X z^T + kappa L^{-T} - d kappa L,       L carried along n.

Gaussians that overlap are left as they are: the equation is linear in mu for a given field, so that
a sum of them is as good as one, whatever their distance.

Knows Gaussians, an interaction and the state; nothing of meshes, files, cases or observers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from meanfield.arguments import checked_arguments
from meanfield.case.gaussians import MOST_DIMENSION, WIDEST, Gaussians
from meanfield.checks import real_array
from meanfield.dynamics.gaussianpoints import (
    FINE,
    cloud,
    frame,
    inverse,
    log_density,
    rows,
    rule,
    rule_of_clouds,
    tangent,
)
from meanfield.dynamics.movingdiffusion import AnyDiffusion, diffusion_of
from meanfield.dynamics.rungekutta import Control, Setting, pair_named, try_step
from meanfield.dynamics.solver import State
from meanfield.dynamics.tokensolver import TokenSolver, check_noise, tokens_for
from meanfield.errors import BrokenInvariantError, InputError
from meanfield.geometry.manifolds import Ambient
from meanfield.geometry.sphere import Array
from meanfield.interaction.contract import AnyInteraction
from meanfield.interaction.intime import InTime
from meanfield.interaction.measure import Measure
from meanfield.options import chosen

__all__ = ["GaussianSolver", "GaussianState"]

_ENTROPY_POINTS = 7  # in each direction, where logarithms of sums of Gaussians are integrated
_LIMIT = 1.0 / 3.0  # of a sum of variances: no hemisphere holds them
_NO_STEP = ": tolerances are below round-off"


@dataclass(frozen=True, eq=False)
class GaussianState(State):
    """All that a restart needs.

    Attributes:
        centres: (k, d) unit vectors.
        factors: (k, d, d - 1) L, tangent at the centres: covariances are L L^T.
        longest, previous: what the step control remembers.
        rejected: rejected steps so far.
    """

    centres: Array
    factors: Array
    longest: float
    previous: float
    rejected: int


@dataclass(frozen=True)
class _Framed(Ambient):
    """Rows (k, d + d (d - 1)): a unit vector, and the factor of a covariance that is tangent."""

    name: ClassVar[str] = "unit vectors with factors of covariances"

    def retracted(self, y: Array) -> Array | None:
        """Rows with unit vectors and tangent factors; None: none, or too wide for a hemisphere."""
        n, d = super().retracted(y[:, : self.d]), self.d
        if n is None or not np.all(np.isfinite(y)):
            return None
        factors = tangent(n, y[:, d:].reshape(len(y), d, d - 1))
        if np.any(np.sum(factors**2, axis=(1, 2)) >= _LIMIT):
            return None
        return rows(n, factors)

    def tangential(self, x: Array, vectors: Array) -> Array:
        """What of rows a rate may have."""
        d = self.d
        along = super().tangential(x[:, :d], vectors[:, :d])
        return rows(along, tangent(x[:, :d], vectors[:, d:].reshape(len(x), d, d - 1)))


class GaussianSolver(TokenSolver):
    """Advance Gaussians, by a Runge-Kutta pair whose steps follow the error.

    Its tokens are the points by which the Gaussians are integrated, ``copies`` of each with masses
    that stay: mean and second moments of the law are exactly theirs.

    Args:
        interaction: the model; geometry "sphere", "circle" or "any". Sums are direct, which few
            points need; a kernel that is singular where points meet is none for them.
        centres: (k, d) unit vectors.
        variances: (k,) of each tangent coordinate u.
        weights: (k,) masses >= 0, scaled to sum 1; None: equal ones.
        options: tolerances.
        kappa: diffusion, > 0 at some time; also in time.
        t: initial time.

    Attributes:
        centres: (k, d) unit vectors; factors: (k, d, d - 1), see ``GaussianState``.
        masses: (k,) of the Gaussians, sum one.
        rejected: number of rejected steps; evaluations: of the field.
        wide_from: time from which on a sum of variances was beyond ``WIDEST``; None: never.
        All others are those of ``TokenSolver``.

    Raises:
        InputError: parameters or Gaussians that cannot be used.
    """

    state_kind: ClassVar[type[GaussianState]] = GaussianState

    @checked_arguments
    def __init__(
        self,
        interaction: AnyInteraction,
        centres: Array,
        variances: Array,
        weights: Array | None = None,
        *,
        options: Gaussians | None = None,
        kappa: AnyDiffusion | InTime | float,
        t: float = 0.0,
    ) -> None:
        self.options = options = chosen(Gaussians, options)
        n = tokens_for(interaction, centres)
        diffusion = diffusion_of(kappa)
        _check_model(interaction, diffusion)
        _check_variances(variances, n.shape)
        self._z, share = rule_of_clouds(n.shape[1])
        super().__init__(interaction.direct(), (len(n), n.shape[1]), weights, t, diffusion)
        self.masses, self._share = self.weights, share
        self.weights = np.outer(self.masses, share).reshape(-1)
        self.n = len(self.weights)
        self.pair = pair_named(options.method)
        self.evaluations = 0
        self.wide_from: float | None = None
        self._setting = Setting(_Framed(self.d))
        self._control = Control(options.rtol, options.atol, self.pair.error_order)
        frames = np.stack([frame(axis) for axis in n])
        self._put(n, np.sqrt(variances)[:, None, None] * frames)

    # ------------------------------------------------------------------ the state, from outside

    @property
    def x(self) -> Array:
        """(k q, d) points of the Gaussians, one after the other."""
        return cloud(self.centres, self.factors, self._z)[0].reshape(-1, self.d)

    @property
    def rejected(self) -> int:
        """Number of rejected steps so far."""
        return self._control.rejected

    @property
    def copies(self) -> int:
        """How many points each Gaussian has."""
        return len(self._z)

    @property
    def variances(self) -> Array:
        """(k, d - 1) of the principal directions of each Gaussian, ascending."""
        return np.linalg.eigvalsh(np.swapaxes(self.factors, 1, 2) @ self.factors)

    def velocity(self) -> Array:
        """X at the points, (n, d)."""
        return self._field_at(self.x, self.t)

    def entropy(self) -> float:
        """int rho log rho dsigma of the sum of the Gaussians; 49 points of each on S^2.

        Where they overlap, too. What a Gaussian has beyond its hemisphere is left out.
        """
        z, share = rule(_ENTROPY_POINTS, self.d - 1)
        x = cloud(self.centres, self.factors, z)[0].reshape(-1, self.d)
        values = log_density(self.masses, self.centres, self.factors, x)
        values = values.reshape(len(self.masses), -1)
        some = self.masses > 0.0
        return float(np.sum(self.masses[some, None] * share * values[some]))

    def nonaffine(self) -> Array:
        """(k,) share of the field within each Gaussian that is not affine, from 0 to 1.

        Root mean squares, by five points in each direction (three have z^3 = 3 z: odd curves are
        lines to them): of P_n X less its best affine function of u, over those of its linear part
        and of kappa C^{-1} u, which balances it. The square of the largest so far is the
        relative error of the variances up to a factor (measured for sa, against ``implicit``: 0.3
        to 6), while their sum is below ``WIDEST``; beyond, what widens runs away from it.
        """
        z, share = rule(FINE, self.d - 1)
        x = cloud(self.centres, self.factors, z)[0].reshape(-1, self.d)
        at, t = self.interaction.locate, self.t
        sources = Measure(at(self.x), self.weights)
        v = self._shaped(self.interaction.field(sources, t).velocity(at(x)))
        v = tangent(self.centres, v)
        mean = np.einsum("q,kiq->ki", share, v)
        slope = np.einsum("q,kiq,qj->kij", share, v, z)
        rest = v - mean[:, :, None] - np.einsum("kij,qj->kiq", slope, z)
        noise = self.kappa * inverse(self.factors)
        beside = np.einsum("q,kiq->k", share, rest * rest)
        linear = np.sqrt(np.sum(slope**2, axis=(1, 2))) + np.sqrt(np.sum(noise**2, axis=(1, 2)))
        linear /= math.sqrt(self.d - 1)  # those of a direction: X is often curved in one alone
        return np.sqrt(beside) / np.maximum(linear + np.sqrt(beside), 1e-300)

    def state(self) -> GaussianState:
        """Everything that a restart needs."""
        control = self._control
        return GaussianState(
            t=self.t,
            step=self.step,
            dt=self.dt,
            centres=self.centres.copy(),
            factors=self.factors.copy(),
            longest=control.longest,
            previous=control.previous,
            rejected=control.rejected,
        )

    def restore(self, state: State | None) -> None:
        """As ``Solver``; there are no tangents."""
        assert self.tangents is None
        super().restore(state)

    def _refuse_state(self, state: State) -> None:
        assert isinstance(state, GaussianState)
        if state.factors.shape != self.factors.shape:
            raise InputError(
                f"a state of factors {state.factors.shape} found, {self.factors.shape} expected"
            )

    def _restore(self, state: State | None) -> None:
        assert isinstance(state, GaussianState)
        control = self._control
        control.longest, control.previous = state.longest, state.previous
        control.rejected = state.rejected
        self._put(state.centres, state.factors)

    def _put(self, centres: Array, factors: Array) -> None:
        self.centres, self.factors = centres.copy(), factors.copy()
        self._first: Array | None = None

    def check(self) -> None:
        """Refuse Gaussians that are none; see ``Solver``."""
        if not (np.all(np.isfinite(self.centres)) and np.all(np.isfinite(self.factors))):
            raise BrokenInvariantError(f"Gaussians not finite at t = {self.t:.6g}")

    # ------------------------------------------------------------------ stepping

    def carry(self, most: int, seed: int = 0) -> None:
        """Refuse tangents.

        Raises:
            InputError: always.
        """
        raise InputError(f"tangents = {most} found with Gaussians, tokens expected")

    def _forget(self) -> None:
        self._first = None

    def _leave_behind(self) -> None:
        self._first = None  # kappa has jumped

    def _shaped(self, values: Array) -> Array:
        """(k, d, q) of rows (n, d) at the points."""
        return np.swapaxes(values.reshape(len(self.masses), -1, self.d), 1, 2)

    def _field_at(self, x: Array, t: float) -> Array:
        self.evaluations += 1
        with self._timed("field"):
            at = self.interaction.locate(x)
            return self.interaction.field(Measure(at, self.weights), t).own_velocity()

    def _rates(self, y: Array, t: float) -> Array:
        """Rates (k, d + d (d - 1)) of the rows of ``_Framed``."""
        d, t = self.d, self._within(t)
        n, factors = y[:, :d], y[:, d:].reshape(len(y), d, d - 1)
        x, height = cloud(n, factors, self._z)
        v = self._shaped(self._field_at(x.reshape(-1, d), t))
        v = tangent(n, v)
        kappa = self.diffusion_in_time.at(t).kappa
        turn = np.einsum("q,kiq->ki", self._share, v) / (height @ self._share)[:, None]
        rate = np.einsum("q,kiq,qj->kij", self._share, v, self._z)
        if kappa > 0.0:
            rate += kappa * (inverse(factors) - d * factors)
        # Carried along: what is tangent at n stays so.
        rate -= n[:, :, None] * np.einsum("ki,kij->kj", turn, factors)[:, None, :]
        return rows(turn, rate)

    def _take(self, t_end: float) -> float:
        control, y = self._control, rows(self.centres, self.factors)
        if self._first is None:
            self._first = self._rates(y, self.t)
        if control.longest == 0.0:
            control.start(self._rates, y, self._first, self.t, t_end, self._setting)
        too_wide = False
        while True:
            if too_wide and not self.t + control.longest > self.t:
                raise BrokenInvariantError(self._too_wide())
            dt = self._fitted(t_end, control.longest, _NO_STEP)
            t_new = self._after(dt, t_end)
            trial = try_step(
                self.pair, self._rates, y, self._first, self.t, dt, t_new, self._setting
            )
            if control.accepts(dt, trial):
                assert trial.x is not None
                d = self.d
                self._put(trial.x[:, :d], trial.x[:, d:].reshape(self.factors.shape))
                self._first = trial.velocity
                if self.wide_from is None and np.any(self._widths() > WIDEST):
                    self.wide_from = t_new
                return dt
            too_wide = trial.x is None

    def _widths(self) -> Array:
        """(k,) sums of the variances."""
        return np.asarray(np.sum(self.factors**2, axis=(1, 2)))

    def _too_wide(self) -> str:
        widest = int(np.argmax(self._widths()))
        found = ", ".join(f"{s:.3g}" for s in self.variances[widest])
        return (
            f"a Gaussian of variances {found}, which sum to a third, has points beyond its "
            f"hemisphere from t = {self.t:.6g} on: expected 'implicit' or 'particles'"
        )


# ------------------------------------------------------------------ checks of what users give


def _check_model(interaction: AnyInteraction, diffusion: AnyDiffusion) -> None:
    d = interaction.d
    if not 2 <= d <= MOST_DIMENSION:
        raise InputError(f"d = {d} found for Gaussians, 2 <= d <= {MOST_DIMENSION} expected")
    check_noise(diffusion, 0)
    if not diffusion.acts:
        raise InputError("kappa = 0 found for Gaussians, whose width it makes: kappa > 0 expected")
    if interaction.one_point_each:
        raise InputError("an interaction of tokens in an order found: Gaussians have none")
    if not interaction.series_ends:
        raise InputError(
            f"{interaction.describe()} found for Gaussians: it is singular where points meet, and "
            "few points are no Gaussian to it; a smooth kernel expected"
        )


def _check_variances(variances: Array, shape: tuple[int, ...]) -> None:
    s = real_array(variances, "variances", "one number for each Gaussian")
    if s.shape != shape[:1]:
        raise InputError(f"variances of shape {s.shape} found, one for each of {shape[0]} expected")
    most = WIDEST / (shape[1] - 1)
    if not (np.all(s > 0.0) and np.all(s <= most)):
        raise InputError(
            f"variances from {np.min(s):g} to {np.max(s):g} found, 0 < variance <= {most:g} "
            f"expected: Gaussians are narrow"
        )
