"""nu(|m|): the strength of an interaction by the length of the mean m = int y dmu.

A new one is a class with its numbers here and a line in ``STRENGTHS``; in a case file it is
[model.strength] with its ``type``. Source: alignment models, Degond, Frouvelle, Liu, ARMA 216
(2015), with nu = |m|^k.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Annotated, Literal

import numpy as np
from pydantic import PlainValidator

from meanfield.checks import called, set_checked
from meanfield.errors import InputError
from meanfield.geometry.sphere import Array
from meanfield.interaction.userfunctions import from_python, loaded, with_origin
from meanfield.options import (
    Expected,
    Field,
    FromElsewhere,
    InputFile,
    Pure,
    Text,
    as_table,
    options,
)

__all__ = ["STRENGTHS", "FunctionStrength", "PowerStrength", "Strength"]


class Strength(ABC):
    """A function nu >= 0 of |m|, 0 <= |m| <= 1, that velocities are multiplied by."""

    type: str

    @abstractmethod
    def values(self, s: Array) -> Array:
        """nu at lengths (n,)."""

    def at(self, s: float) -> float:
        """nu at one length."""
        return float(self.values(np.array([min(max(s, 0.0), 1.0)]))[0])

    def mean(self, s: float) -> float:
        """(2/s^2) int_0^s nu(r) r dr, nu(0) at s = 0: what energies are multiplied by."""
        nodes, weights = np.polynomial.legendre.leggauss(64)
        q = 0.5 * (nodes + 1.0)
        return float(np.dot(weights * q, self.values(min(max(s, 0.0), 1.0) * q)))

    @property
    def largest(self) -> float:
        """The largest nu that there is, on a grid."""
        return float(np.max(self.values(np.linspace(0.0, 1.0, 201))))

    @property
    def convex(self) -> bool:
        """Whether nu(s) s does not decrease, on a grid: its integral is convex."""
        s = np.linspace(0.0, 1.0, 201)
        rising = np.diff(self.values(s) * s)
        return bool(np.all(rising >= -1e-14 * self.largest))

    @abstractmethod
    def describe(self) -> str:
        """A few words."""

    def table(self) -> dict[str, object]:
        """As the table [model.strength] of a case file."""
        return as_table(self)


@options("model.strength", kw_only=True)
class PowerStrength(Strength):
    """nu = factor |m|^exponent.

    Example:
        >>> mf.PowerStrength(exponent=1.0).describe()
        'strength |m|^1'
    """

    exponent: Pure = Field(default=1.0, ge=0.0, le=100.0)
    """Its power."""
    factor: Pure = Field(default=1.0, ge=0.0, le=1e6)
    """nu at |m| = 1."""
    type: Literal["power"] = "power"

    def values(self, s: Array) -> Array:
        return np.asarray(self.factor * np.asarray(s, dtype=np.float64) ** self.exponent)

    def describe(self) -> str:
        factor = "" if self.factor == 1.0 else f"{self.factor:g} "
        return f"strength {factor}|m|^{self.exponent:g}"


@options("model.strength", kw_only=True)
class FunctionStrength(Strength):
    """nu from Python, or from a Python file, which is run (``--trust``): take only your own.

    Example:
        >>> mf.FunctionStrength(function=lambda r: 1.0 + r).describe()
        'strength by a function of |m|'
    """

    function: Annotated[
        Callable[[Array], Array] | None,
        PlainValidator(from_python),
        FromElsewhere("the file"),
    ] = None
    """nu, from an array of lengths to one of the same shape; None: from ``path``."""
    path: Annotated[InputFile, Expected("the name of a Python file with nu")] | None = Field(
        default=None, examples=["strength.py"]
    )
    """A Python file, found from the folder of the case file."""
    call: Text = "strength"
    """Name of the function in it."""
    type: Literal["function"] = "function"

    def __post_init__(self) -> None:
        function = loaded(self.function, "function", self.path, self.call, "strength")
        set_checked(self, "function", function)
        found = self.values(np.linspace(0.0, 1.0, 201))
        if not np.all(np.isfinite(found)) or np.any(found < 0.0):
            wrong = found[~(np.isfinite(found) & (found >= 0.0))][0]
            raise InputError(f"function: expected nu >= 0 for 0 <= |m| <= 1, found {wrong:g}")

    def values(self, s: Array) -> Array:
        assert self.function is not None
        s = np.asarray(s, dtype=np.float64)
        found = called("model.strength.function", "the strength", self.function, s)
        if found.shape not in ((), s.shape):
            raise InputError(
                f"model.strength.function: found shape {found.shape} for an array of shape "
                f"{s.shape}, expected the same"
            )
        return np.array(np.broadcast_to(found, s.shape), dtype=np.float64)

    def table(self) -> dict[str, object]:
        return with_origin(super().table(), self.function)

    def describe(self) -> str:
        return "strength by a function of |m|"


STRENGTHS: dict[str, type[Strength]] = {"power": PowerStrength, "function": FunctionStrength}
"""By the name in a case."""
