"""Self-attention as a field: a measure goes in; potential, velocity and energy come out.

The one place where the interaction is evaluated, for densities, characteristics and particles
alike. A measure is (points, weights). Equations and names: arXiv 2312.10794, (2.3), (3.4), (3.5),
(3.8). Two ways lead to the same numbers: harmonic transforms, O(N + L^3), where they exist, and
direct sums, O(N^2), in any dimension.

Knows nothing of meshes and of how mass is moved. Consumers call ``Attention.field(measure, t)`` and
then the methods of ``Field``; that is all a general (Q, K, V), several heads, a perceptron or
time-dependent parameters need, too (``Field.has_potential`` tells whether the field is a gradient).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np

from meanfield.attention.direct import pair_sums, zonal_pair_sums
from meanfield.attention.harmonics import Harmonics, Located, harmonics_for
from meanfield.attention.kernel import Kernel
from meanfield.errors import InputError, suggest
from meanfield.geometry.sphere import Array, tangent_project

__all__ = ["Attention", "Field", "Measure", "embed", "sum_over_ranks"]

_LOG_MAX = 700.0  # e^700 is still a double


class Measure(NamedTuple):
    """Point masses on a geometry.

    Attributes:
        points: (n, gdim) coordinates: unit vectors, or colatitudes (n, 1) in the zonal geometry;
            or the same, already located.
        weights: (n,) masses m_j >= 0, sum 1 over all ranks.
        quadrature: (n,) weights of a rule at the same points that integrates harmonics exactly
            (the balanced nodal weights of a mesh), or None. With it, moments are those of the
            uniform measure plus those of ``weights - quadrature``, so that the uniform density
            exerts no force to round-off, whatever the accuracy of the transforms.
    """

    points: Array | Located
    weights: Array
    quadrature: Array | None = None


class _Parts(NamedTuple):
    """Z and its derivatives at some points, all times e^{-log_scale} (log_scale: (n,) or scalar).

    ``q`` = (Z - lam_0 M)/beta, scaled by e^{-|beta|}, M the total mass; ``dark`` (or None) marks
    points whose values come from direct sums, where ``q`` is not set.
    """

    log_scale: Array
    z: Array
    q: Array
    gradient: Array | None
    laplacian: Array | None
    dark: Array | None


def embed(geometry: str, d: int, points: Array) -> Array:
    """Unit vectors (n, d) of points in the coordinates of a geometry.

    Zonal: theta becomes (sin theta, 0, ..., 0, cos theta).
    """
    if geometry != "zonal":
        return points
    x = np.zeros((points.shape[0], d))
    x[:, 0] = np.sin(points[:, 0])
    x[:, -1] = np.cos(points[:, 0])
    return x


@dataclass(frozen=True)
class Attention:
    """A self-attention model with Q = K = I and V = value * I on one geometry.

    Attributes:
        model: "sa" (softmax, (2.3)) or "usa" (unnormalised, (3.8)).
        beta: inverse temperature, any real with |beta| <= 1e4; 0 is the linear limit.
        d: dimension of the ambient space; tokens live on S^{d-1}.
        geometry: coordinates of the points: "sphere" (d = 3), "circle" (d = 2), "zonal" (any d) or
            "any" (unit vectors in any d: direct sums only).
        value: V = +I or V = -I, given as 1 or -1.
        method: "harmonics", "direct" or "auto" (harmonics wherever they exist).
        accuracy: accuracy of the transforms relative to max Z, 1e-14 to 1e-4. None chooses it: sa
            divides by Z, which can be e^{-2|beta|} of its maximum, so that the accuracy is
            1e-5 e^{-2|beta|}, at most 1e-11 (for beta < 0, where Z is small at the mass itself,
            1e-11 e^{-2|beta|}) and at least 1e-14: a looser one would show in the agreement
            between different numbers of ranks. Where Z falls below ``dark`` times its
            noise, sa sums directly ("dark" points, counted in ``Field.dark_points``).
        dark: see there; 1/dark bounds the relative noise of Z that is put up with.

    Raises:
        InputError: a parameter out of its range, or harmonics asked for where there are none.
    """

    model: Literal["sa", "usa"]
    beta: float
    d: int
    geometry: str = "any"
    value: int = 1
    method: str = "auto"
    accuracy: float | None = None
    dark: float = 1e3

    def __post_init__(self) -> None:
        if self.model not in ("sa", "usa"):
            hint = suggest(str(self.model), ("sa", "usa"))
            raise InputError(f"attention '{self.model}' found, 'sa' or 'usa' expected{hint}")
        if self.value not in (1, -1):
            raise InputError(f"value = {self.value} found, 1 (V = I) or -1 (V = -I) expected")
        if self.accuracy is not None and not 1e-14 <= self.accuracy <= 1e-4:
            raise InputError(f"accuracy = {self.accuracy:g} found, 1e-14 to 1e-4 expected")
        if self.method not in ("auto", "harmonics", "direct"):
            hint = suggest(self.method, ("auto", "harmonics", "direct"))
            raise InputError(
                f"method '{self.method}' found, 'auto', 'harmonics' or 'direct' expected{hint}"
            )
        if self.geometry == "any" and self.method == "harmonics":
            raise InputError("harmonics need a geometry: 'sphere', 'circle' or 'zonal'")
        _ = self.kernel
        if self.geometry != "any":
            harmonics_for(self.geometry, self.d, 1)

    @cached_property
    def kernel(self) -> Kernel:
        """The scaled kernel e^{beta <x, y> - |beta|}."""
        return Kernel(self.beta, self.d)

    @cached_property
    def epsilon(self) -> float:
        """Accuracy of the transforms relative to max Z."""
        if self.accuracy is not None:
            return self.accuracy
        decay = math.exp(-2.0 * abs(self.beta)) if self.model == "sa" else 1.0
        # beta < 0: Z is small where the mass is, so that its noise is felt there.
        loosest = 1e-11 * decay if self.beta < 0.0 else 1e-11
        return max(1e-14, min(loosest, 1e-5 * decay))

    @cached_property
    def harmonics(self) -> Harmonics | None:
        """The transforms in use; None for direct sums."""
        if self.geometry == "any" or self.method == "direct":
            return None
        degree = self.kernel.degree(self.epsilon)
        return harmonics_for(self.geometry, self.d, degree, self.epsilon)

    @cached_property
    def multiplier(self) -> Array:
        """Potential coefficients lam_l e^{-|beta|}/beta (0 at l = 0) of each harmonic."""
        assert self.harmonics is not None
        return self.kernel.potential_coefficients(self.harmonics.degree)[self.harmonics.degrees]

    @cached_property
    def largest_values(self) -> Array:
        """(L + 1,): the most that moments of one degree and of norm one add to Z e^{-|beta|}."""
        harmonics = self.harmonics
        assert harmonics is not None
        if harmonics.d == 3:
            size = 2.0 * np.arange(harmonics.degree + 1) + 1.0
        else:
            size = np.bincount(harmonics.degrees).astype(np.float64)
        return np.abs(self.kernel.coefficients(harmonics.degree)) * np.sqrt(size)

    @property
    def log_scale(self) -> float:
        """log of the factor in *scaled* velocities: 0 for sa, |beta| for usa."""
        return self.kernel.log_scale if self.model == "usa" else 0.0

    def field(self, measure: Measure, t: float = 0.0, comm: Any = None) -> Field:
        """The field that a measure exerts at time ``t``.

        Collective over ``comm`` (an mpi4py communicator, or None in one process): each rank gives
        its own points, the result is the field of all.
        """
        moments = None
        if self.harmonics is not None:
            points, weights, quadrature = measure
            if quadrature is None:
                moments = self.harmonics.moments(points, weights)
            else:
                moments = self.harmonics.moments(points, weights - quadrature)
            moments = sum_over_ranks(comm, moments)
            if quadrature is not None:
                moments += self.harmonics.uniform()
        return Field(self, measure, moments, t, comm)

    def field_of_moments(self, moments: Array, measure: Measure, t: float, comm: Any) -> Field:
        """The field of known moments (a checkpoint, or an extrapolation in time)."""
        return Field(self, measure, moments, t, comm)


def sum_over_ranks(comm: Any, values: Array) -> Array:
    """Sum an array over the ranks of an mpi4py communicator (None: one process). Collective."""
    if comm is None or comm.size == 1:
        return values
    total = np.empty_like(values)
    # Reduced on one rank, then broadcast: bitwise the same everywhere, so that ranks never
    # disagree on a decision taken from these numbers.
    comm.Reduce(values, total, root=0)
    comm.Bcast(total, root=0)
    return total


class Field:
    """What a measure does to a token at any point: made by ``Attention.field``.

    Velocities and potentials of usa grow like e^{|beta|}: with ``scaled=True`` the methods leave
    the factor e^{attention.log_scale} out.
    """

    def __init__(
        self, attention: Attention, measure: Measure, moments: Array | None, t: float, comm: Any
    ) -> None:
        self.attention = attention
        self.measure = measure
        self.moments = moments
        self.t = t
        self.dark_points = 0  # points of the last evaluation that needed direct sums (this rank)
        self._comm = comm

    has_potential = True  # X = grad xi for Q = K = I, V = +-I; not for general (Q, K, V)

    @cached_property
    def mass(self) -> float:
        """Total mass over all ranks."""
        if self.moments is not None:
            return float(self.moments[0])
        local = np.array([float(np.sum(self.measure.weights))])
        return float(sum_over_ranks(self._comm, local)[0])

    @cached_property
    def _noise(self) -> float:
        """Bound on the error of Z: accuracy times a bound on max |Z| (Cauchy-Schwarz by degree)."""
        harmonics = self.attention.harmonics
        assert harmonics is not None and self.moments is not None
        bound = np.sum(self.attention.largest_values * np.sqrt(harmonics.power(self.moments)))
        return self.attention.epsilon * float(bound)

    @cached_property
    def _sources(self) -> tuple[Array, Array]:
        """All points and masses, on every rank: for direct sums."""
        points = self.measure.points
        x = points.points if isinstance(points, Located) else points
        m = self.measure.weights
        if self._comm is None or self._comm.size == 1:
            return x, m
        return (
            np.concatenate(self._comm.allgather(x)),
            np.concatenate(self._comm.allgather(m)),
        )

    def _parts(self, points: Array | Located, order: int) -> _Parts:
        """Z (order 0), with its gradient (1), with its Laplacian too (2). Collective for sa."""
        att = self.attention
        if att.harmonics is None:
            x = points.points if isinstance(points, Located) else points
            return self._direct_parts(x, order)
        assert self.moments is not None
        harmonics = att.harmonics
        at = points if isinstance(points, Located) else harmonics.locate(points)
        coefficients = self.moments * att.multiplier
        q = harmonics.values(coefficients, at)
        z = att.kernel.lam0 * self.mass + att.beta * q
        gradient = laplacian = None
        if order >= 1:
            gradient = harmonics.gradient(coefficients, at)
        if order >= 2:
            laplacian = harmonics.values(harmonics.laplacian_coefficients(coefficients), at)
        parts = _Parts(np.full(z.size, abs(att.beta)), z, q, gradient, laplacian, None)
        return self._light_up(at, parts) if att.model == "sa" else parts

    def _light_up(self, at: Located, parts: _Parts) -> _Parts:
        """Replace the values where Z is lost in its own noise by direct sums. Collective."""
        dark = parts.z < self.attention.dark * self._noise
        count = np.array([float(np.count_nonzero(dark))])
        self.dark_points = int(count[0])
        if sum_over_ranks(self._comm, count)[0] == 0.0:
            return parts
        sources = self._sources  # collective: every rank takes part
        if not self.dark_points:
            return parts
        order = (parts.gradient is not None) + (parts.laplacian is not None)
        exact = self._direct_parts(at.points[dark], order, sources)
        parts.log_scale[dark] = exact.log_scale
        parts.z[dark] = exact.z
        if parts.gradient is not None:
            parts.gradient[dark] = exact.gradient
        if parts.laplacian is not None:
            parts.laplacian[dark] = exact.laplacian
        return parts._replace(dark=dark)

    def _direct_parts(
        self, x: Array, order: int, sources: tuple[Array, Array] | None = None
    ) -> _Parts:
        att = self.attention
        y, m = sources if sources is not None else self._sources
        zonal = att.geometry == "zonal"
        if zonal:
            s = zonal_pair_sums(x[:, 0], y[:, 0], m, att.beta, att.d)
        else:
            s = pair_sums(x, y, m, att.beta)
        if att.beta == 0.0:
            q = s.zt
        else:
            q = (s.z * np.exp(s.log_scale - abs(att.beta)) - att.kernel.lam0 * self.mass) / att.beta
        gradient = laplacian = None
        if order >= 1:
            gradient = s.pull if zonal else tangent_project(x, s.pull)
        if order >= 2:
            laplacian = att.beta * (s.z - s.ztt) - (att.d - 1) * s.zt
        dark = np.ones(s.z.size, dtype=bool)
        return _Parts(s.log_scale, s.z, q, gradient, laplacian, dark)

    def _factor(self, scaled: bool) -> float:
        if scaled:
            return float(self.attention.value)
        log_scale = self.attention.log_scale
        if log_scale > _LOG_MAX:
            raise InputError(
                f"usa with |beta| = {log_scale:g}: the velocity is of size e^{log_scale:g}, no "
                "double; ask for scaled=True or use sa"
            )
        return self.attention.value * math.exp(log_scale)

    def log_partition(self, points: Array | Located) -> Array:
        """log Z(x), Z = int e^{beta <x, y>} dmu(y), (n,)."""
        parts = self._parts(points, 0)
        return parts.log_scale + np.log(parts.z)

    def potential(self, points: Array | Located, scaled: bool = False) -> Array:
        """xi with X = grad xi, (n,), up to a constant: Z/beta (usa) or log(Z)/beta (sa).

        The constant is chosen so that xi of the uniform measure is 0: xi is
        value * (Z - lam_0)/beta (usa) or value * log(Z/lam_0)/beta (sa). At beta = 0 both are
        value * <x, int y dmu>.
        """
        att = self.attention
        parts = self._parts(points, 0)
        factor = self._factor(scaled)
        if att.model == "usa" or att.beta == 0.0:
            return factor * parts.q
        base = att.kernel.lam0 * self.mass
        xi = np.empty_like(parts.z)
        light = slice(None) if parts.dark is None else ~parts.dark
        xi[light] = np.log1p((att.beta / base) * parts.q[light])
        if parts.dark is not None:
            dark = parts.dark
            xi[dark] = parts.log_scale[dark] - abs(att.beta) + np.log(parts.z[dark] / base)
        return (factor / att.beta) * xi

    def velocity(self, points: Array | Located, scaled: bool = False) -> Array:
        """X(x), tangent vectors (n, gdim); zonal: d theta/dt, (n, 1)."""
        return self._velocity(self._parts(points, 1), scaled)

    def divergence(self, points: Array | Located, scaled: bool = False) -> Array:
        """Surface divergence of X, (n,)."""
        return self.velocity_and_divergence(points, scaled)[1]

    def velocity_and_divergence(
        self, points: Array | Located, scaled: bool = False
    ) -> tuple[Array, Array]:
        """X (n, gdim) and div X (n,) from one evaluation.

        usa: X = grad Z/beta, div X = Laplace Z/beta. sa: X = grad Z/(beta Z),
        div X = (Laplace Z/Z - |grad Z|^2/Z^2)/beta; times V = +-1.
        """
        att = self.attention
        parts = self._parts(points, 2)
        v = self._velocity(parts, scaled)
        lap = parts.laplacian
        assert lap is not None
        factor = self._factor(scaled)
        if att.model == "usa":
            return v, factor * np.exp(parts.log_scale - abs(att.beta)) * lap
        return v, factor * lap / parts.z - factor * att.beta * np.sum(v * v, axis=1)

    def _velocity(self, parts: _Parts, scaled: bool) -> Array:
        factor = self._factor(scaled)
        assert parts.gradient is not None
        if self.attention.model == "usa":
            scale = factor * np.exp(parts.log_scale - abs(self.attention.beta))
            return scale[:, None] * parts.gradient
        v = parts.gradient
        v /= parts.z[:, None]  # in place, as large arrays cost most by being made
        if factor != 1.0:
            v *= factor
        return v

    def energy_excess(self) -> float:
        """(E - E_uniform) e^{-|beta|}: without the cancellation of two large numbers.

        E increases along the flow for V = +I: it is minus the free energy.
        """
        return self._energy_excess

    @cached_property
    def _energy_excess(self) -> float:
        att = self.attention
        if att.harmonics is not None:
            assert self.moments is not None
            return 0.5 * float(np.sum(att.multiplier * self.moments**2))
        points = self.measure.points
        x = points.points if isinstance(points, Located) else points
        local = float(np.dot(self.measure.weights, self._direct_parts(x, 0).q))
        return 0.5 * float(sum_over_ranks(self._comm, np.array([local]))[0])

    def energy(self, scaled: bool = False) -> float:
        """Interaction energy E = (1/2 beta) iint e^{beta <x, y>} dmu dmu ((3.5)); inf if too large.

        It *increases* along the flow for V = +I, from lam_0/(2 beta) (uniform) towards
        e^beta/(2 beta) (a Dirac). beta = 0: |int y dmu|^2/2. ``scaled``: times e^{-|beta|}.
        """
        att = self.attention
        value = self._energy_excess
        if att.beta != 0.0:
            value += att.kernel.lam0 * self.mass**2 / (2.0 * att.beta)
        if scaled:
            return value
        log_scale = att.kernel.log_scale
        return (
            value * math.exp(log_scale) if log_scale <= _LOG_MAX else math.copysign(math.inf, value)
        )
