"""What every initial law offers, and the checks and constructions that several laws share.

Owns the ``Law`` protocol, the reading of numbers and vectors given by a user, the frame along an
axis, zonality tests and rejection sampling. Knows no particular law.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Sequence
from typing import Annotated, Protocol, runtime_checkable

import numpy as np
from pydantic import PlainValidator

from meanfield.errors import InputError
from meanfield.geometry.points import unit_vectors
from meanfield.geometry.sphere import Array, random_rotation, uniform_points
from meanfield.options import Expected, FromElsewhere, Unit

__all__ = [
    "Amplitudes",
    "Axis",
    "Dimension",
    "Law",
    "Scalar",
    "Vector",
    "along_axis",
    "as_points",
    "check_dimension",
    "direction",
    "in_numbers",
    "lowest_on_interval",
    "off_axis",
    "real",
    "refuse_ordered",
    "reject_from_uniform",
    "unchecked",
    "vector",
    "zonal_by_sampling",
]

Vector = Sequence[float] | Array
"""What a user may give for a vector; the laws keep it as a tuple of floats."""


def unchecked(written_as: object) -> PlainValidator:
    """For an argument that the law checks itself when it is made; how a table writes it."""
    return PlainValidator(lambda value: value, json_schema_input_type=written_as)


Scalar = Annotated[float, unchecked(float), Expected("a number")]
Axis = Annotated[
    Vector,
    unchecked(list[float] | str),
    Expected('d numbers, or an axis such as "e_1", "-e_3" or "e_d"'),
    Unit("1"),
]
Amplitudes = Annotated[
    Vector, unchecked(list[float]), Expected("a list of numbers"), Unit("density")
]
Dimension = Annotated[int, unchecked(int), FromElsewhere("the geometry")]


@runtime_checkable
class Law(Protocol):
    """A probability law on the unit sphere S^{d-1}, independent of any mesh.

    Densities are with respect to sigma, the uniform probability measure: the uniform law has
    density 1, and every density integrates to 1 against sigma.
    """

    @property
    def d(self) -> int:
        """Dimension of the surrounding space; the sphere is S^{d-1}."""

    def density(self, x: Array) -> Array:
        """Density with respect to sigma at unit vectors ``x`` (n, d), as (n,)."""

    def log_density(self, x: Array) -> Array:
        """Logarithm of ``density``, computed without overflow where a closed form allows it.

        It is -inf where the density is zero.
        """

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Draw ``n`` independent points, as (n, d) unit vectors."""

    def is_zonal(self, tol: float = 1e-12) -> bool:
        """Whether the law is axially symmetric about the last coordinate axis e_d.

        Only such a law may be put on the zonal geometry. For d = 2 this means symmetric under
        the reflection x_1 -> -x_1. ``tol`` bounds the departure in the parameters of the law (an
        off-axis part of a unit vector, an amplitude), or the relative change of the density
        where symmetry can only be tried at points.
        """

    def describe(self) -> str:
        """One line in words, with the parameters."""


def refuse_ordered(law: Law, name: str) -> None:
    """Refuse a law by position as a part of another one, whose draws would lose their places.

    Raises:
        InputError: it is one.
    """
    if getattr(law, "type", None) == "by-position":
        raise InputError(
            f"{name}: found a law by position, expected one that is the same at all positions"
        )


def real(value: object, name: str, expected: str) -> float:
    """Read a finite number; ``name`` and ``expected`` make the message of the ``InputError``."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise InputError(f"{name}: found {value!r}, expected {expected}")
    number = float(value)
    if not math.isfinite(number):
        raise InputError(f"{name}: found {number}, expected {expected}")
    return number


def vector(value: object, name: str, length: int | None = None) -> tuple[float, ...]:
    """Read a list of finite numbers, of the given length if any.

    Raises:
        InputError: if it is not a flat list of finite numbers, or has another length.
    """
    wanted = "a list of numbers" if length is None else f"a list of {length} numbers"
    if isinstance(value, (str, bytes)) or not isinstance(value, (Sequence, np.ndarray)):
        raise InputError(f"{name}: found {value!r}, expected {wanted}")
    if isinstance(value, np.ndarray) and value.ndim != 1:
        raise InputError(f"{name}: found an array of shape {value.shape}, expected {wanted}")
    found = tuple(real(v, f"{name}[{i}]", "a finite number") for i, v in enumerate(value))
    if length is not None and len(found) != length:
        raise InputError(f"{name}: found {len(found)} numbers, expected {length}")
    return found


def direction(value: object, name: str) -> tuple[tuple[float, ...], Array]:
    """Read a non-zero vector of at least two numbers: as given, and scaled to unit length."""
    given = vector(value, name)
    if len(given) < 2:
        raise InputError(f"{name}: found {len(given)} numbers, expected d >= 2 of them")
    largest = max(abs(v) for v in given)
    if largest == 0.0:
        raise InputError(f"{name}: found {list(given)}, expected a vector that has a direction")
    unit = np.array([v / largest for v in given])  # so that squares do not over- or underflow
    return given, unit / math.hypot(*unit)  # not by BLAS, see along_axis


def check_dimension(d: object, name: str = "d") -> int:
    """Read the dimension of the surrounding space, an integer >= 2."""
    if isinstance(d, bool) or not isinstance(d, numbers.Integral) or int(d) < 2:
        raise InputError(f"{name}: found {d!r}, expected an integer >= 2 (the sphere is S^(d-1))")
    return int(d)


def as_points(x: Array, d: int) -> Array:
    """Unit vectors (n, d) that a law is asked about, as float64 and as they are.

    Raises:
        InputError: another shape, no finite real numbers, or no unit vectors to 1e-6.
    """
    unit_vectors(x, d)
    return np.asarray(x, dtype=np.float64)  # the very points: draws depend on every bit


def along_axis(s: Array, axis: Array, rng: np.random.Generator) -> Array:
    """Points with <x, axis> = 1 - s and a uniform direction around the axis, as (n, d).

    Taking s = 1 - cos(theta), not the cosine, keeps all digits of a law that sits close to the
    axis. ``s`` (n,) lies in [0, 2]; ``axis`` (d,) is a unit vector.
    """
    d = len(axis)
    around = uniform_points(len(s), d - 1, rng)
    x = np.empty((len(s), d))
    x[:, :-1] = np.sqrt(s * (2.0 - s))[:, None] * around
    x[:, -1] = 1.0 - s
    # The Householder reflection that takes e_d to the axis; the law of ``around`` is invariant.
    u = -axis.copy()
    u[-1] += 1.0
    square = float(np.sum(u * u))
    if square > 0.0:
        # Not x @ u: BLAS may give other bits for another place in memory, and draws must not.
        x -= np.outer(np.sum(x * u, axis=1), (2.0 / square) * u)
    return x


def off_axis(v: Array) -> float:
    """Length of the part of ``v`` (d,) orthogonal to the last coordinate axis."""
    return float(np.linalg.norm(v[:-1]))


def zonal_by_sampling(law: Law, tol: float) -> bool:
    """Try axial symmetry on points drawn from the law itself, so that its mass is seen.

    The density must not change, relatively by more than ``max(tol, 1e-9)``, when the points are
    rotated about e_d (d = 2: reflected). Eight rotations of 256 points, always the same ones.
    """
    rng = np.random.default_rng(20240229)
    x = law.sample(256, rng)
    here = law.density(x)
    for _ in range(8):
        y = x.copy()
        y[:, :-1] = -x[:, :-1] if law.d == 2 else x[:, :-1] @ random_rotation(law.d - 1, rng)
        there = law.density(y)
        if np.any(np.abs(there - here) > max(tol, 1e-9) * np.maximum(here, there)):
            return False
    return True


def reject_from_uniform(
    n: int,
    d: int,
    rng: np.random.Generator,
    density: Callable[[Array], Array],
    bound: float,
    least_acceptance: float = 0.0,
) -> Array:
    """Draw ``n`` points of the given density (integral 1) by rejection from uniform points.

    Args:
        n: how many points.
        d: dimension of the surrounding space.
        rng: source of randomness.
        density: maps (m, d) unit vectors to (m,) values, with respect to sigma.
        bound: a number that the density nowhere exceeds; one draw in ``bound`` is kept.
        least_acceptance: give up when 1 / bound is less.

    Raises:
        InputError: if the density exceeds the bound, or the acceptance is too low.
    """
    if 1.0 / bound < least_acceptance:
        raise InputError(
            f"rejection keeps one draw in {bound:.3g}, expected at least one in "
            f"{1.0 / least_acceptance:.3g}: give a tighter bound or a less peaked density"
        )
    found: list[Array] = [np.empty((0, d))]
    missing = n
    while missing > 0:
        x = uniform_points(min(int(1.1 * bound * missing) + 16, 1_000_000), d, rng)
        value = density(x)
        if value.max() > bound * (1.0 + 1e-9):
            worst = int(value.argmax())
            raise InputError(
                f"bound: the density is {value[worst]:.6g} at {x[worst]}, more than the bound "
                f"{bound:.6g}: give a larger bound"
            )
        kept = x[rng.random(len(x)) * bound < value][:missing]
        found.append(kept)
        missing -= len(kept)
    return np.concatenate(found)


def lowest_on_interval(
    f: Callable[[Array], Array], a: float, b: float, nodes: int
) -> tuple[float, float]:
    """Place and value of the least value of a smooth function on [a, b].

    ``nodes`` equal steps must resolve the function; the lowest few nodes are then polished.
    """
    t = np.linspace(a, b, nodes + 1)
    values = f(t)
    best = int(values.argmin())
    place, value = float(t[best]), float(values[best])
    from scipy.optimize import minimize_scalar  # 0.2 s: where it is needed

    for i in np.argsort(values)[:8]:
        span = (float(t[max(i - 1, 0)]), float(t[min(i + 1, nodes)]))
        polished = minimize_scalar(
            lambda s: float(f(np.array([s]))[0]), bounds=span, method="bounded"
        )
        if polished.fun < value:
            place, value = float(polished.x), float(polished.fun)
    return place, value


def in_numbers(v: Sequence[float] | Array) -> str:
    """A vector in words."""
    return "(" + ", ".join(f"{float(a):.6g}" for a in v) + ")"
