"""What a measure does to a token at any point: potential, velocity and energy.

Made by ``Interaction.field``. Equations and names for attention: arXiv 2312.10794, (2.3), (3.4),
(3.5), (3.8). Knows nothing of meshes and of how mass is moved.
"""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np

from meanfield.collective import Alone, Communicator, everywhere, sum_over_ranks
from meanfield.errors import InputError
from meanfield.geometry.manifolds import Located
from meanfield.geometry.sphere import Array
from meanfield.interaction.anyfield import Output
from meanfield.interaction.contract import AnyField, DarkPoints
from meanfield.interaction.kernels.exponential import Exponential
from meanfield.interaction.measure import Measure, plain
from meanfield.interaction.outputseries import expanded_pull
from meanfield.interaction.parts import Parts
from meanfield.interaction.zonal import Zonal

__all__ = ["Field"]

_LOG_MAX = 700.0  # e^700 is still a double


class Field(AnyField):
    """What a measure does to a token at any point: made by ``Interaction.field``.

    Velocities and potentials with the identity as link may be of a size e^{|beta|} that no double
    holds: with ``scaled=True`` the methods leave that factor out. ``seen`` counts the points where
    transforms lose Z in their noise, so that it is summed directly (log link). Points are arrays
    (n, gdim), on the geometry to 1e-6 (else ``InputError``; they are moved onto it), or what
    ``Interaction.locate`` has made of points that are known to be good.

    Example:
        >>> x = mf.Uniform(3).sample(100, np.random.default_rng(0))
        >>> field = mf.Attention('sa', beta=4.0, d=3).field(mf.Measure.equal(x))
        >>> field.velocity(x).shape
        (100, 3)
    """

    def __init__(
        self,
        model: Zonal,
        measure: Measure,
        moments: Array | None,
        t: float,
        comm: Communicator | None,
    ) -> None:
        super().__init__(measure, moments, t, comm)
        self.interaction = model

    @cached_property
    def _noise(self) -> float:
        """Bound on the error of Z: accuracy times a bound on max |Z| (Cauchy-Schwarz by degree)."""
        model = self.interaction
        assert model.harmonics is not None and self.moments is not None
        bound = np.sum(model.largest_values * np.sqrt(model.harmonics.power(self.moments)))
        return model.epsilon * float(bound)

    def _located(self, points: object) -> Located:
        """Points that somebody has given, checked: together where ranks wait for each other."""
        model = self.interaction
        together = model.harmonics is None or model.link == "log"
        comm = self._comm if together and self._comm is not None else Alone()
        return model.locate(everywhere(comm, lambda: model.manifold.checked(points)))

    def _parts(
        self,
        points: Array | Located,
        order: int,
        value: bool = True,
        seen: DarkPoints | None = None,
    ) -> Parts:
        """Z (order 0), with its gradient (1), its Laplacian too (2). Collective for the log link.

        ``value``: whether Z itself is needed.
        """
        model = self.interaction
        at = points if isinstance(points, Located) else self._located(points)
        if model.harmonics is None:
            return self._direct_parts(at.points, order, value)
        assert self.moments is not None
        harmonics, kernel = model.harmonics, model.kernel
        coefficients = self.moments * model.multiplier
        n = at.points.shape[0]
        q = harmonics.values(coefficients, at) if value else np.zeros(n)
        z = model.expansion.lam0 * self.mass + kernel.unit * q
        gradient = laplacian = None
        if order >= 1:
            gradient = harmonics.gradient(coefficients, at)
        if order >= 2:
            laplacian = harmonics.values(harmonics.laplacian_coefficients(coefficients), at)
        parts = Parts(np.full(n, kernel.log_scale), z, q, gradient, laplacian, None)
        return self._light_up(at, parts, seen) if model.link == "log" else parts

    def _light_up(self, at: Located, parts: Parts, seen: DarkPoints | None) -> Parts:
        """Replace the values where Z is lost in its own noise by direct sums. Collective."""
        dark = parts.z < self.interaction.dark * self._noise
        sources = self._sources_for(dark, seen)
        if sources is None:
            return parts
        order = (parts.gradient is not None) + (parts.laplacian is not None)
        exact = self._direct_parts(at.points[dark], order, True, sources)
        parts.log_scale[dark] = exact.log_scale
        parts.z[dark] = exact.z
        if parts.gradient is not None:
            parts.gradient[dark] = exact.gradient
        if parts.laplacian is not None:
            parts.laplacian[dark] = exact.laplacian
        return parts._replace(dark=dark)

    def _direct_parts(
        self, x: Array, order: int, value: bool = True, sources: tuple[Array, Array] | None = None
    ) -> Parts:
        model = self.interaction
        y, m = sources if sources is not None else self._sources
        base = model.expansion.lam0 * self.mass
        return model.kernel.sums(x, y, m, model.manifold, base, order, value)

    def _factor(self, scaled: bool) -> float:
        model = self.interaction
        if scaled:
            return model.gain
        log_scale = model.factor_log
        if log_scale > _LOG_MAX:
            raise InputError(
                f"{model.describe()} found: the velocity is of size e^{log_scale:g}, no double; "
                "ask for scaled=True or use the log link (sa)"
            )
        return model.gain * math.exp(log_scale)

    def log_partition(self, points: Array | Located) -> Array:
        """log Z(x), Z = int W(<x, y>) dmu(y), (n,)."""
        parts = self._parts(points, 0)
        return parts.log_scale + np.log(parts.z)

    def potential(
        self, points: Array | Located, scaled: bool = False, seen: DarkPoints | None = None
    ) -> Array:
        """xi with X = grad xi, (n,), up to a constant; attention: Z/beta (usa), log(Z)/beta (sa).

        The constant is chosen so that xi of the uniform measure is 0. At beta = 0 both are
        value * <x, int y dmu>.
        """
        return self._potential(self._parts(points, 0, seen=seen), scaled)

    def along_edges(self, points: Located, seen: DarkPoints | None = None) -> Array:
        """The potential, (1, n): see ``AnyField``. Collective."""
        return self.potential(points, seen=seen)[None]

    def exponent(self, points: Array | Located, scaled: bool = False) -> tuple[Array, Array]:
        """xi as ``potential``, and its derivative by scaled q = (Z - lam_0 M)/unit, (n,) each."""
        model = self.interaction
        parts = self._parts(points, 0)
        xi, factor = self._potential(parts, scaled), self._factor(scaled)
        if model.is_linear:
            return xi, np.full_like(xi, factor)
        log_z = parts.log_scale - model.kernel.log_scale + np.log(parts.z)
        return xi, factor * np.exp(np.minimum(-log_z, 650.0))

    def _potential(self, parts: Parts, scaled: bool) -> Array:
        model, factor = self.interaction, self._factor(scaled)
        if model.is_linear:
            return factor * parts.q
        unit = model.kernel.unit
        base = model.expansion.lam0 * self.mass
        xi = np.empty_like(parts.z)
        light = slice(None) if parts.dark is None else ~parts.dark
        xi[light] = np.log1p((unit / base) * parts.q[light])
        if parts.dark is not None:
            dark = parts.dark
            log_scale = parts.log_scale[dark] - model.kernel.log_scale
            xi[dark] = log_scale + np.log(parts.z[dark] / base)
        return (factor / unit) * xi

    def velocity(
        self, points: Array | Located, scaled: bool = False, seen: DarkPoints | None = None
    ) -> Array:
        """X(x), tangent vectors (n, gdim); zonal: d theta/dt, (n, 1)."""
        return self._velocity(self._parts(points, 1, self.interaction.link == "log", seen), scaled)

    def velocity_and_divergence(
        self, points: Array | Located, scaled: bool = False, seen: DarkPoints | None = None
    ) -> tuple[Array, Array]:
        """X (n, gdim) and div X (n,) from one evaluation.

        Identity: X = gain grad q, div X = gain Laplace q. Log link: X = gain grad Z/(unit Z),
        div X = gain (Laplace Z/Z - |grad Z|^2/Z^2)/unit.
        """
        model = self.interaction
        parts = self._parts(points, 2, model.link == "log", seen)
        v = self._velocity(parts, scaled)
        lap = parts.laplacian
        assert lap is not None
        factor = self._factor(scaled)
        if model.link == "identity":
            return v, factor * np.exp(parts.log_scale - model.kernel.log_scale) * lap
        bend = model.kernel.unit / factor if factor != 0.0 else 0.0
        return v, factor * lap / parts.z - bend * np.sum(v * v, axis=1)

    def _velocity(self, parts: Parts, scaled: bool) -> Array:
        factor = self._factor(scaled)
        assert parts.gradient is not None
        if self.interaction.link == "identity":
            scale = factor * np.exp(parts.log_scale - self.interaction.kernel.log_scale)
            return np.asarray(scale[:, None] * parts.gradient)
        v = parts.gradient
        v /= parts.z[:, None]  # in place, as large arrays cost most by being made
        if factor != 1.0:
            v *= factor
        return v

    # ------------------------------------------------------------------ before the projection

    def output(self, points: Array | Located, seen: DarkPoints | None = None) -> Output:
        """A and its derivative: see ``AnyField``. Collective."""
        model = self.interaction
        if not isinstance(model.kernel, Exponential) or model.manifold.latitudes:
            self._refuse_output(f"of {model.describe()} on '{model.geometry}'")
        at = points if isinstance(points, Located) else self._located(points)
        if model.harmonics is None:
            return self._direct_output(at.points, self._sources)
        parts, factor = self._parts(at, 1, True, seen), self._factor(scaled=False)
        assert parts.gradient is not None and self.moments is not None
        pull = expanded_pull(model, model.harmonics, self.moments, at, parts.gradient)
        vector, slope = factor * pull.vector, factor * pull.slope
        if model.link == "log":
            vector /= parts.z[:, None]
            slope /= parts.z[:, None, None]
            by = (model.kernel.unit / parts.z)[:, None] * parts.gradient
            slope -= np.einsum("ni,nj->nij", vector, by)
        dark = parts.dark
        if dark is not None and np.any(dark):
            exact = self._direct_output(at.points[dark], self._sources)
            vector[dark], slope[dark] = exact
        return Output(vector, slope)

    def _direct_output(self, x: Array, sources: tuple[Array, Array]) -> Output:
        from meanfield.interaction.outputsums import summed_output  # compiled: where needed

        model, d = self.interaction, self.interaction.d
        matrices = model.kernel.unit * np.eye(d), model.gain * np.eye(d)
        return summed_output(matrices, x, *sources, model.link == "log")

    # ------------------------------------------------------------------ energies

    @cached_property
    def _excess(self) -> float:
        """1/2 int q dmu."""
        model = self.interaction
        if model.harmonics is not None:
            assert self.moments is not None
            return 0.5 * float(np.sum(model.multiplier * self.moments**2))
        local = np.dot(self.measure.weights, self._direct_parts(plain(self.measure.points), 0).q)
        return 0.5 * float(sum_over_ranks(self._comm, np.array([float(local)]))[0])

    @property
    def _excess_size(self) -> float:
        """1/2 int |q| dmu, degree by degree: what the excess is added up from."""
        if self.moments is None:
            return abs(self._excess)
        return 0.5 * float(np.sum(np.abs(self.interaction.multiplier) * self.moments**2))

    def energy_excess(self) -> float:
        """Scaled E - E_uniform: without the cancellation of two large numbers.

        ``drive`` times it increases along the flow (for attention with V = +I, E itself).
        """
        return self.interaction.term.energy_factor * self._excess

    def ascent(self) -> float:
        """drive (E - E_uniform), scaled: what the flow increases where it has an energy."""
        return self.interaction.gain * self._excess

    def dissipation_density(self, points: Array | Located) -> Array:
        """Scaled |X|^2, or Z |X|^2 for the log link, (n,): see ``AnyField``. Collective."""
        model = self.interaction
        divided = model.link == "log"
        parts = self._parts(points, 1, divided)
        v = self._velocity(parts, scaled=not divided)
        square = np.sum(v * v, axis=1)
        if divided:
            return np.asarray(np.exp(parts.log_scale - model.kernel.log_scale) * parts.z * square)
        with np.errstate(over="ignore"):
            return np.asarray(np.exp(model.factor_log) * square)

    def energy_noise(self, masses: float = 0.0) -> float:
        """What ``ascent`` may be wrong by without meaning anything.

        The accuracy of the transforms, and masses that are wrong by ``masses`` in the 1-norm (by
        round-off at least): these times the largest potential, and their own energy, which is all
        that is left at rest.
        """
        model = self.interaction
        # Transforms are wrong by their accuracy times the moments: of what is left without the
        # uniform part, where they get that, else of everything. All signs of a kernel count alike.
        size = whole = abs(model.gain) * self._excess_size
        if self.measure.quadrature is None:
            whole = max(size, abs(self.energy(scaled=True)))
        noise = 4.0 * model.epsilon * math.sqrt(size) * math.sqrt(whole)
        if model.harmonics is None or self.moments is None:
            return noise
        wrong = masses + 1e-15
        size = np.abs(model.gain) * model.potential_sizes
        potential = float(np.sum(size * np.sqrt(model.harmonics.power(self.moments))))
        largest = float(np.sum(size * model.root_dimensions))
        return noise + wrong * potential + wrong * wrong * largest

    def energy(self, scaled: bool = False) -> float:
        """Interaction energy E; inf if too large. ``scaled``: times e^{-|beta|} (attention).

        Kernels: E = 1/2 iint strength W dmu dmu (log link: without the strength). Attention, (3.5):
        E = (1/2 beta) iint e^{beta <x, y>} dmu dmu, which *increases* along the flow for V = +I,
        from lam_0/(2 beta) (uniform) towards e^beta/(2 beta) (a Dirac); beta = 0: |int y dmu|^2/2.
        Where W(1) is infinite, sums over points leave the term of a point with itself out.
        """
        model = self.interaction
        base = model.term.uniform_energy(model.expansion.lam0)
        value = self.energy_excess() + base * self.mass**2
        return value if scaled else model.unscaled(value)

    def tail_share(self) -> float:
        """``Expansion.last_share`` of the measure; 0 where the series ends."""
        model = self.interaction
        if model.truncation is None or model.truncation.exact or self.moments is None:
            return 0.0
        assert model.harmonics is not None
        return model.expansion.last_share(model.harmonics.power(self.moments))
