"""Potentials that a user gives: a function, or values at points; see ``potentials``."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import PlainValidator

from meanfield.arguments import checked_arguments
from meanfield.checks import called, set_checked
from meanfield.errors import InputError
from meanfield.geometry.laws.files import read_values
from meanfield.geometry.manifolds import manifold
from meanfield.geometry.sphere import Array, tangent_project, uniform_points
from meanfield.interaction.drifts.base import Drift, TangentialGradient, tilted
from meanfield.interaction.drifts.expanded import Expanded, fitted, projected, turned
from meanfield.interaction.drifts.potential import Potential, of_one_time
from meanfield.interaction.userfunctions import from_python, loaded, with_origin
from meanfield.options import Duration, Expected, Field, FromElsewhere, InputFile, Text, options

__all__ = ["FunctionPotential", "GivenPotential", "MeshPotential"]

_KEY = "model.potential.function"
_STEP = 1e-2  # of differences of the gradient, sixth order: 1e-13 of smooth ones
_WEIGHTS = (0.75, -0.15, 1.0 / 60.0)
_PROBES = 4096  # points at which sizes are taken
_NODES = 128  # of means
_NEAR = 1e-5  # by which a gradient may miss the differences of its function

UserFunction = Callable[[Array], Array]


def _checked(function: UserFunction, x: Array, shape: tuple[int, ...], key: str) -> Array:
    """Values of a user's function at unit vectors.

    Raises:
        InputError: others than finite numbers of this shape.
    """
    with np.errstate(all="ignore"):
        found = called(key, "the function", function, x)
    if found.shape != shape:
        raise InputError(
            f"{key}: found a result of shape {found.shape} for points of shape {x.shape}, expected "
            f"{shape}"
        )
    if not np.all(np.isfinite(found)):
        at = int(np.argwhere(~np.isfinite(found))[0, 0])
        raise InputError(f"{key}: found values that are not finite, at {x[at]}, expected numbers")
    return found


@dataclass(frozen=True, eq=False)
class GivenPotential(TangentialGradient):
    """-U and its gradient as functions, in any d; the divergence by differences of the gradient.

    Attributes:
        function: U at unit vectors (n, d), (n,).
        gradient: that of U, (n, d); its normal part says nothing.
        d: dimension.
        strength: factor of both.

    Raises:
        InputError: they are no such functions, or the gradient is another one's.
    """

    function: UserFunction
    gradient: UserFunction
    d: int
    strength: float = 1.0

    margin: ClassVar[float] = 1.2

    def __post_init__(self) -> None:
        x = self._probes[:32]
        e = tangent_project(x, np.roll(self._probes, 1, axis=0)[:32])
        e /= np.linalg.norm(e, axis=1, keepdims=True)
        h = 1e-4
        ends = [_checked(self.function, _moved(x, s * h * e), (32,), _KEY) for s in (1.0, -1.0)]
        difference = (ends[0] - ends[1]) / (2.0 * h)
        told = np.sum(self._raw(x) * e, axis=1)
        size = float(np.max(np.abs(told)) + np.max(np.abs(difference)))
        wrong = np.abs(told - difference)
        # At a kink, differences say nothing: few of the points are at one.
        if float(np.quantile(wrong, 0.75)) > _NEAR * size:
            at = int(np.argmax(wrong))
            raise InputError(
                f"model.potential.gradient: found a slope of {told[at]:.6g} at {x[at]}, "
                f"{difference[at]:.6g} expected by differences of the function"
            )

    @cached_property
    def _probes(self) -> Array:
        return uniform_points(_PROBES, self.d, np.random.default_rng(3))

    def _raw(self, x: Array) -> Array:
        key = "model.potential.gradient"
        return tangent_project(x, _checked(self.gradient, x, x.shape, key))

    def vector(self, x: Array) -> Array:
        return np.asarray(-self.strength * self._raw(x))

    def divergence(self, x: Array) -> Array:
        out = np.zeros(len(x))
        for e in _frames(x):
            for k, weight in enumerate(_WEIGHTS):
                h = (k + 1) * _STEP
                ahead, back = (self._raw(_moved(x, s * h * e)) for s in (1.0, -1.0))
                # Along the great circle, e turns with it.
                turned_e = [np.cos(h) * e - s * np.sin(h) * x for s in (1.0, -1.0)]
                out += (weight / _STEP) * np.sum(ahead * turned_e[0] - back * turned_e[1], axis=1)
        return np.asarray(-self.strength * out)

    def potential(self, x: Array) -> Array:
        return np.asarray(-self.strength * _checked(self.function, x, (len(x),), _KEY))

    def mean_potential(self) -> float:
        """By quadrature (d > 3: over random points): a constant that nothing hangs on."""
        if self.d > 3:
            return float(np.mean(self.potential(self._probes)))
        grid = manifold({2: "circle", 3: "sphere"}[self.d], self.d).grid(1, _NODES)
        return float(grid.weights @ self.potential(grid.unit_vectors))

    @cached_property
    def steepest(self) -> tuple[float, float]:
        slope = np.linalg.norm(self.vector(self._probes), axis=1)
        return float(np.max(slope)), float(np.max(np.abs(self.divergence(self._probes))))

    def refuse_tilted(self) -> None:
        if turned(self.potential, self.d):
            raise tilted("potential", "a function that changes around it")

    def describe(self) -> str:
        return f"potential ({getattr(self.function, '__name__', 'function')})"


def _moved(x: Array, along: Array) -> Array:
    """Along great circles, by tangent vectors (n, d)."""
    angle = np.linalg.norm(along, axis=1, keepdims=True)
    return np.asarray(np.cos(angle) * x + np.sinc(angle / np.pi) * along)


def _frames(x: Array) -> list[Array]:
    """d - 1 orthonormal tangent vectors at each point, (n, d) each: columns of a reflection."""
    d = x.shape[1]
    u = x.copy()
    sign = np.where(x[:, -1] >= 0.0, 1.0, -1.0)
    u[:, -1] += sign
    scale = 2.0 / np.sum(u * u, axis=1)
    return [np.eye(d)[k] - (scale * u[:, k])[:, None] * u for k in range(d - 1)]


@lru_cache(maxsize=16)
def _projection(function: UserFunction, d: int) -> Expanded:
    """-U by harmonics, for strength one; kept, as a case is looked at more than once."""

    def values(x: Array) -> Array:
        return -_checked(function, x, (len(x),), _KEY)

    return projected(values, d, "potential of a function")


@lru_cache(maxsize=16)
def _fit(path: Path, array: str, d: int, time: float | None, state: tuple[int, int]) -> Expanded:
    """-U by harmonics, for strength one; kept as long as the file has this time and size."""
    points, values = read_values(path, array, d, time)
    return fitted(points, -values, d, f"potential of {path.name}")


def _scaled(found: Expanded, strength: float) -> Expanded:
    exact = found.exact
    return Expanded(
        found.transforms, strength * found.coefficients, found.on, found.name,
        None if exact is None else lambda x: strength * exact(x),
    )  # fmt: skip


@options("model.potential", kw_only=True)
class FunctionPotential(Potential):
    """U from Python, or from a Python file, which is run (``--trust``): use only what you trust.

    Without its gradient, velocities are those of its harmonics: in d = 2 and 3, and where it hangs
    on the last coordinate alone.

    Example:
        >>> mf.FunctionPotential(function=lambda x: x[:, 2]).strength
        1.0
    """

    function: Annotated[
        Callable[[Array], Array] | None,
        PlainValidator(from_python),
        FromElsewhere("the file"),
    ] = None
    """U, from unit vectors (n, d) to (n,) numbers; None: from ``path``."""
    slope: Annotated[
        Callable[[Array], Array] | None,
        PlainValidator(from_python),
        FromElsewhere("the file"),
    ] = None
    """grad U, from unit vectors (n, d) to (n, d); any normal part; None: ``gradient``, or none."""
    path: Annotated[InputFile, Expected("the name of a Python file with the potential")] | None = (
        Field(default=None, examples=["potential.py"])
    )
    """A Python file, found from the folder of the case file."""
    call: Text = "potential"
    """Name of the function in it."""
    gradient: Text | None = Field(default=None, examples=["gradient"])
    """Name of its gradient in it."""
    type: Literal["function"] = "function"

    def __post_init__(self) -> None:
        function = loaded(self.function, "function", self.path, self.call, "potential")
        set_checked(self, "function", function)
        if self.gradient is not None and self.slope is None:
            try:
                slope = loaded(None, "slope", self.path, self.gradient, "gradient")
            except InputError as error:
                raise InputError(str(error).replace("call:", "gradient:", 1)) from None
            set_checked(self, "slope", slope)
        elif self.slope is not None:
            set_checked(self, "slope", loaded(self.slope, "slope", None, "", "gradient"))

    @checked_arguments
    def on(self, d: int) -> Drift:
        of_one_time(self)
        function = self.function
        assert function is not None
        if self.slope is not None:
            return GivenPotential(function, self.slope, d, self.strength)
        return _scaled(_projection(function, d), self.strength)

    def table(self) -> dict[str, object]:
        return with_origin(super().table(), self.function)


@options("model.potential", kw_only=True)
class MeshPotential(Potential):
    """U by values at the vertices of a mesh, or at other points: harmonics that fit them best.

    Example:
        >>> mf.MeshPotential(path='potential.vtu', array='U')  # doctest: +SKIP
    """

    path: Annotated[InputFile, Expected("the name of a file with values at points")] = Field(
        examples=["potential.vtu"]
    )
    """A mesh file, or .npy or .csv with d coordinates and the value in each row; found from the
    folder of the case file."""
    array: Text = "U"
    """Name of the point data in a mesh file."""
    time: Duration | None = Field(default=None, examples=[4.0])
    """Which of the times of a .vtkhdf file; left out: the last."""
    type: Literal["mesh"] = "mesh"

    @property
    def parameters(self) -> dict[str, float]:
        """The numbers that a branch may vary: a time says which field."""
        return {name: value for name, value in super().parameters.items() if name != "time"}

    @checked_arguments
    def on(self, d: int) -> Drift:
        of_one_time(self)
        try:
            about = os.stat(self.path)
            state = about.st_mtime_ns, about.st_size
            found = _fit(Path(self.path), self.array, d, self.time, state)
        except OSError as error:
            raise InputError(f"model.potential.path: {self.path}: {error.strerror}") from None
        except InputError as error:
            said = str(error)
            raise InputError(
                said if said.startswith("model.") else f"model.potential.{said}"
            ) from None
        return _scaled(found, self.strength)
