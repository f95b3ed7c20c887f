"""W given by the user as a Python function of t = <x, y>, or of the angle between x and y."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Literal

import numpy as np
from pydantic import BeforeValidator, PlainValidator

from meanfield.checks import called, set_checked
from meanfield.errors import InputError
from meanfield.geometry.sphere import Array
from meanfield.interaction.funkhecke import angles_of, project
from meanfield.interaction.kernels.base import Kernel
from meanfield.interaction.userfunctions import from_python, loaded, with_origin
from meanfield.options import Expected, Field, FromElsewhere, InputFile, Pure, Text, a_list, options

__all__ = ["FunctionKernel"]

_STEP = 1e-3  # of the differences


@options("model.interaction", kw_only=True)
class FunctionKernel(Kernel):
    """W from Python, or from a Python file, which is run (``--trust``): use only what you trust.

    Derivatives (sums over pairs: tokens) are taken by differences of sixth order between the
    breaks: some twelve digits of W', nine of W'', where W is smooth. Fields of densities come from
    the series and need none.

    Example:
        >>> kernel = mf.FunctionKernel(function=lambda t: np.exp(t))
        >>> mf.Model(interaction=kernel).describe()
        'function'
    """

    function: Annotated[
        Callable[[Array], Array] | None,
        PlainValidator(from_python),
        FromElsewhere("the file"),
    ] = None
    """W, from an array of any shape to one of the same; None: from ``path``."""
    argument: Literal["t", "angle"] = "t"
    """What it takes: "t" = <x, y>, or "angle", which keeps digits next to 0."""
    breaks: Annotated[
        tuple[Annotated[Pure, Field(ge=-1.0, le=1.0)], ...],
        BeforeValidator(a_list, json_schema_input_type=list[float]),
        Expected("a list of numbers between -1 and 1"),
    ] = ()
    """Values of t in (-1, 1) where W or a derivative jumps."""
    path: Annotated[InputFile, Expected("the name of a Python file with the kernel")] | None = (
        Field(default=None, examples=["kernel.py"])
    )
    """A Python file, found from the folder of the case file."""
    call: Text = "kernel"
    """Name of the function in it."""
    type: Literal["function"] = "function"

    near = None
    far = None

    def __post_init__(self) -> None:
        set_checked(self, "breaks", tuple(t for t in sorted(self.breaks) if -1.0 < t < 1.0))
        function = loaded(self.function, "function", self.path, self.call, "kernel")
        set_checked(self, "function", function)
        self._values(np.array([0.3, 1.0, 2.5]))

    def table(self) -> dict[str, object]:
        return with_origin(super().table(), self.function)

    def _values(self, theta: Array) -> Array:
        """W at angles of any shape."""
        assert self.function is not None
        argument = np.asarray(theta)
        if self.argument == "t":
            argument = np.clip(np.cos(theta), -1.0 + 2.0**-53, 1.0 - 2.0**-53)
        with np.errstate(all="ignore"):
            found = called("model.interaction.function", "the kernel", self.function, argument)
        if found.shape != argument.shape:
            found = np.broadcast_to(found, argument.shape) if found.shape == () else found
        if found.shape != argument.shape or np.any(np.isnan(found)):
            what = "nan" if found.shape == argument.shape else f"shape {found.shape}"
            raise InputError(
                f"model.interaction.function: found {what} for an array of shape "
                f"{argument.shape}, expected as many numbers"
            )
        return found

    def lam(self, degree: int, d: int) -> Array:
        levels = 24 if self.argument == "t" else 60

        def values(t: Array, u: Array) -> Array:
            found = self._values(angles_of(u))
            if not np.all(np.isfinite(found)):
                raise InputError(
                    f"model.interaction.function: found W = {found[~np.isfinite(found)][0]} at t = "
                    f"{t[~np.isfinite(found)][0]:.3g}, expected finite values in (-1, 1); for a "
                    'singularity at t = 1 give W of the angle (argument = "angle")'
                )
            return found

        return project(values, degree, d, self.breaks, levels=levels)

    def w(self, t: Array, u: Array, d: int) -> Array:
        return self._values(angles_of(u))

    def dw(self, t: Array, u: Array, d: int) -> Array:
        return self._derivatives(u)[0]

    def ddw(self, t: Array, u: Array, d: int) -> Array:
        return self._derivatives(u)[1]

    def _derivatives(self, u: Array) -> tuple[Array, Array]:
        """W' and W'' by t, from differences of W in its own argument."""
        if self.argument == "t":
            marks = np.array([-1.0, *self.breaks, 1.0])
            return _differences(lambda t: self._values(np.arccos(t)), 1.0 - u, marks, False)
        theta = np.maximum(angles_of(u), 1e-5)
        marks = np.array([0.0, *sorted(math.acos(t) for t in self.breaks), math.pi])
        first, second = _differences(self._values, theta, marks, True)
        sine = np.maximum(np.sin(theta), 1e-300)
        return -first / sine, (second - first * np.cos(theta) / sine) / (sine * sine)


def _differences(
    function: Callable[[Array], Array], x: Array, marks: Array, shrinks: bool
) -> tuple[Array, Array]:
    """First and second derivative from seven points around x, between the nearest marks.

    ``shrinks``: the step falls with the distance to the first mark, where there may be a
    singularity.
    """
    piece = np.clip(np.searchsorted(marks, x, side="right") - 1, 0, len(marks) - 2)
    low, high = marks[piece], marks[piece + 1]
    h = np.minimum(_STEP, (high - low) / 8.0)
    if shrinks:
        h = np.where(piece == 0, np.minimum(h, 0.1 * (x - marks[0])), h)
    centre = np.clip(x, low + 3.0 * h, high - 3.0 * h)
    offset = (x - centre) / h
    samples = np.stack([function(centre + k * h) for k in range(-3, 4)])
    # The polynomial of degree six through them: coefficients of powers of the offset.
    c = np.tensordot(_MONOMIALS, samples, axes=1)
    first, second = np.zeros_like(x), np.zeros_like(x)
    for k in range(6, 0, -1):
        first = first * offset + k * c[k]
    for k in range(6, 1, -1):
        second = second * offset + k * (k - 1) * c[k]
    return first / h, second / (h * h)


_MONOMIALS = np.linalg.inv(np.vander(np.arange(-3.0, 4.0), 7, increasing=True))
