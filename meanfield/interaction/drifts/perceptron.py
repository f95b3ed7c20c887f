"""A perceptron P_x(W sigma(B x + b)) (arXiv 2312.10794, (2.8)), and sums of ridges in general."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from scipy import special

from meanfield.checks import real_array
from meanfield.errors import InputError, suggest
from meanfield.geometry.sphere import Array
from meanfield.interaction.drifts.base import Drift, mean_of, tilted

__all__ = ["ACTIVATIONS", "Activation", "Perceptron", "Ridges"]

_SAME = 1e-12


class Activation(NamedTuple):
    """A function of one number, with its derivative and an antiderivative."""

    value: Callable[[Array], Array]
    slope: Callable[[Array], Array]
    integral: Callable[[Array], Array]


def _density(t: Array) -> Array:
    return np.asarray(np.exp(-0.5 * t * t) / math.sqrt(2.0 * math.pi))


ACTIVATIONS: dict[str, Activation] = {
    "relu": Activation(
        lambda t: np.maximum(t, 0.0),
        lambda t: np.where(t > 0.0, 1.0, 0.0),
        lambda t: 0.5 * np.maximum(t, 0.0) ** 2,
    ),
    "gelu": Activation(
        lambda t: t * special.ndtr(t),
        lambda t: special.ndtr(t) + t * _density(t),
        lambda t: 0.5 * ((t * t - 1.0) * special.ndtr(t) + t * _density(t)),
    ),
    "tanh": Activation(
        np.tanh,
        lambda t: 1.0 / np.cosh(np.clip(t, -300.0, 300.0)) ** 2,
        lambda t: np.abs(t) + np.log1p(np.exp(-2.0 * np.abs(t))) - math.log(2.0),
    ),
}
"""By the name in a case."""


@dataclass(frozen=True, eq=False)
class Ridges(Drift):
    """F = sum_k w_k f(<b_k, x> + c_k): terms that vary in one direction each.

    A gradient if each w_k is a multiple of b_k.

    Attributes:
        directions: (k, d) b.
        outputs: (d, k) w.
        shifts: (k,) c.
        function: f, of arrays of any shape.
        name: in messages and descriptions.
    """

    directions: Array
    outputs: Array
    shifts: Array
    function: Activation
    name: str = "ridges"

    @property
    def d(self) -> int:  # type: ignore[override]  # known by the matrices
        """Dimension."""
        return int(self.outputs.shape[0])

    @cached_property
    def _factors(self) -> Array | None:
        """(k,) w over b; None where they are no multiples."""
        b, w = self.directions, self.outputs.T
        squared = np.einsum("ij,ij->i", b, b)
        factors = np.divide(
            np.einsum("ij,ij->i", b, w), squared, out=np.zeros(len(b)), where=squared > 0.0
        )
        apart = np.linalg.norm(w - factors[:, None] * b, axis=1)
        same = np.all(apart <= _SAME * np.linalg.norm(w, axis=1))
        return factors if same else None

    @property
    def is_gradient(self) -> bool:
        return self._factors is not None

    def _arguments(self, x: Array) -> Array:
        return np.asarray(x @ self.directions.T + self.shifts)

    def vector(self, x: Array) -> Array:
        return np.asarray(self.function.value(self._arguments(x)) @ self.outputs.T)

    def bend(self, x: Array) -> tuple[Array, Array]:
        slopes = self.function.slope(self._arguments(x))
        trace = slopes @ np.einsum("ki,ik->k", self.directions, self.outputs)
        inner = np.einsum("nk,nk,nk->n", slopes, x @ self.outputs, x @ self.directions.T)
        return np.asarray(trace), inner

    def potential(self, x: Array) -> Array:
        assert self._factors is not None
        return np.asarray(self.function.integral(self._arguments(x)) @ self._factors)

    def mean_potential(self) -> float:
        assert self._factors is not None
        lengths = np.linalg.norm(self.directions, axis=1)
        means = [
            mean_of(lambda t, a=a, c=c: self.function.integral(a * t + c), self.d)  # type: ignore[misc]
            for a, c in zip(lengths, self.shifts, strict=True)
        ]
        return float(np.dot(self._factors, means))

    def _extreme(self, function: Callable[[Array], Array]) -> Array:
        """(k,) largest |f| that a term may have."""
        lengths = np.linalg.norm(self.directions, axis=1)
        t = np.linspace(-1.0, 1.0, 201)[:, None] * lengths + self.shifts
        return np.asarray(np.max(np.abs(function(t)), axis=0))

    @property
    def size(self) -> float:
        most = self._extreme(self.function.value)
        return float(np.dot(np.linalg.norm(self.outputs, axis=0), most))

    @property
    def rate(self) -> float:
        most = self._extreme(self.function.slope)
        sizes = np.linalg.norm(self.outputs, axis=0) * np.linalg.norm(self.directions, axis=1)
        return float(np.dot(sizes, most))

    @property
    def average(self) -> float:
        lengths = np.linalg.norm(self.directions, axis=1)
        means = [
            mean_of(lambda t, a=a, c=c: self.function.slope(a * t + c), self.d)  # type: ignore[misc]
            for a, c in zip(lengths, self.shifts, strict=True)
        ]
        return float(np.einsum("ki,ik,k->", self.directions, self.outputs, means)) / self.d

    def refuse_tilted(self) -> None:
        across = np.abs(self.directions[:, :-1]).max(initial=0.0)
        across += np.abs(self.outputs[:-1]).max(initial=0.0)
        if across > 0.0:
            raise tilted(self.name, "a direction off the last axis")

    def describe(self) -> str:
        count = len(self.directions)
        return f"{self.name}, {count} direction{'s' if count != 1 else ''}"


class Perceptron(Ridges):
    """X += P_x(W sigma(B x + b)).

    Args:
        W: (d, k).
        B: (k, d).
        b: (k,); None: zeros.
        activation: "relu", "gelu" or "tanh".

    Raises:
        InputError: shapes that do not fit together, numbers that are not finite.
    """

    def __init__(
        self,
        W: Array,
        B: Array,
        b: Array | None = None,
        activation: Literal["relu", "gelu", "tanh"] = "relu",
    ) -> None:
        if activation not in ACTIVATIONS:
            hint = suggest(str(activation), ACTIVATIONS)
            raise InputError(
                f"activation '{activation}' found, one of {', '.join(ACTIVATIONS)} expected{hint}"
            )
        inner = real_array(B, "B", "a (k, d) matrix")
        outer = real_array(W, "W", "a (d, k) matrix")
        if inner.ndim != 2 or outer.shape != inner.shape[::-1]:
            raise InputError(
                f"W: a matrix of shape {outer.shape} found beside B of shape {inner.shape}, "
                "(d, k) beside (k, d) expected"
            )
        shifts = np.zeros(len(inner)) if b is None else real_array(b, "b", "(k,) numbers")
        if shifts.shape != (len(inner),):
            raise InputError(f"b: shape {shifts.shape} found, ({len(inner)},) expected, as B has")
        for name, value in (("B", inner), ("W", outer), ("b", shifts)):
            if not np.all(np.isfinite(value)):
                raise InputError(f"{name}: entries that are not finite found, numbers expected")
        super().__init__(
            np.array(inner, dtype=np.float64), np.array(outer, dtype=np.float64),
            np.array(shifts, dtype=np.float64), ACTIVATIONS[activation],
            f"perceptron ({activation})",
        )  # fmt: skip
