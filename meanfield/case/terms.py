"""[model.potential], [model.perceptron], [model.diffusion]: what acts whatever the others do."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

import numpy as np
from pydantic import BeforeValidator, ValidationInfo, WrapValidator

from meanfield.case.intime import (
    Form,
    InCase,
    MatrixInTime,
    in_time,
    moving_in,
    resolved,
    vector_in_time,
    written,
)
from meanfield.case.matrices import MAX_ENTRY
from meanfield.errors import InputError
from meanfield.geometry.sphere import Array
from meanfield.interaction.drifts.potential import Potential
from meanfield.interaction.drifts.potentials import POTENTIALS
from meanfield.interaction.intime import InTime, TableInTime
from meanfield.options import Expected, Field, Pure, Unit, a_list, as_table, options

if TYPE_CHECKING:
    from meanfield.case.gain import Norm
    from meanfield.interaction.composite import MovingDrift
    from meanfield.interaction.drifts import Drift

__all__ = [
    "AnyPotential",
    "Diffusion",
    "Perceptron",
    "constant_kappa",
    "kappa_in_time",
    "potential_on",
]


def _potential(value: Any, read: Callable[[Any], object], info: ValidationInfo) -> object:
    """A potential whose values in time have been read."""
    if isinstance(value, Mapping):
        return read({key: _read(v, info, key) for key, v in value.items()})
    if isinstance(value, Potential):
        names = [f.name for f in dataclasses.fields(value)]
        changes = {
            key: in_time(getattr(value, key), info, where=key)
            for key in names
            if isinstance(getattr(value, key), InTime)
        }
        return read(dataclasses.replace(value, **changes))  # type: ignore[arg-type]
    return read(value)


def _read(value: object, info: ValidationInfo, where: str) -> object:
    """A key of a potential: what is in time has been read, the others are left to its class."""
    if isinstance(value, Mapping | InTime):
        return in_time(value, info, where=where) or value
    return value


if TYPE_CHECKING:
    AnyPotential = Potential
else:
    AnyPotential = Annotated[
        Union[tuple(POTENTIALS.values())],  # noqa: UP007  # made at run time
        Field(discriminator="type"),
        WrapValidator(_potential),
    ]


def potential_on(potential: Potential, d: int) -> Drift | MovingDrift:
    """A potential on S^{d-1}, made anew at each time where something of it is in time.

    Raises:
        InputError: directions of another dimension.
    """
    given = moving_in(potential)
    if not given:
        return potential.on(d)
    from meanfield.interaction.composite import MovingDrift

    parts = [value.on(f"model.potential.{name}", Form(d=d)) for name, value in given.items()]

    def made(*values: Array) -> Drift:
        changes = {name: value.tolist() for name, value in zip(given, values, strict=True)}
        return dataclasses.replace(potential, **changes).on(d)

    found = MovingDrift(tuple(parts), made)
    for part in parts:  # each value of a table before it is needed
        if isinstance(part, TableInTime):
            for t in part.times:
                found.at(float(t))
    return found


if TYPE_CHECKING:
    Shifts = Array | tuple[float, ...] | InTime | Mapping[str, object]
else:
    Shifts = Annotated[
        tuple[Annotated[Pure, Field(ge=-MAX_ENTRY, le=MAX_ENTRY)], ...],
        BeforeValidator(a_list, json_schema_input_type=list[float]),
        Expected(f"a list of k numbers up to {MAX_ENTRY:g}"),
        vector_in_time(list[float]),
    ]


def kappa_in_time(kappa: object) -> InTime | float:
    """kappa of a model as solvers take it.

    Raises:
        InputError: values that are no numbers.
    """
    return kappa.on("model.kappa", Form(0)) if isinstance(kappa, InCase) else constant_kappa(kappa)


def constant_kappa(kappa: object) -> float:
    """kappa of a model where it does not depend on time.

    Raises:
        InputError: it does.
    """
    if not isinstance(kappa, float):
        raise InputError("model.kappa: found a value in time, stationary and branch need constants")
    return kappa


MAX_EXPONENT = 20.0  # densities of 1e15 have powers then that are doubles


@options("model.diffusion", kw_only=True)
class Diffusion:
    """Diffusion (kappa/m) Laplace rho^m of a density: of H(rho) = (rho^m - rho)/(m(m - 1)).

    Example:
        >>> porous = mf.Diffusion(exponent=2.0)
        >>> mf.Model(attention='sa', beta=1.0, kappa=0.2, diffusion=porous).exponent
        2.0
    """

    exponent: Pure = Field(default=1.0, gt=0.0, le=MAX_EXPONENT)
    """m: 1 is linear diffusion, H = rho log rho; above 1 supports spread at finite speed (porous
    medium), below 1 tails are wide (fast diffusion). The uniform state has the same rates, and
    kappa the same critical values, for every m."""

    def table(self) -> dict[str, object]:
        """As the section [model.diffusion] of a case file."""
        return as_table(self)


@options("model.perceptron", kw_only=True)
class Perceptron:
    """A perceptron: P_x(W sigma(B x + b)) is added to the velocity.

    Example:
        >>> part = mf.Perceptron(W=[[4.0], [0.0], [0.0]], B=[[1.0, 0.0, 0.0]], activation='tanh')
        >>> mf.Model(attention='sa', beta=1.0, perceptron=part).describe()
        'sa, beta = 1, V = +I, perceptron'
    """

    W: Annotated[MatrixInTime, Unit("1/time")] = Field(examples=[[[1.0], [0.0], [0.0]]])
    """(d, k), given as matrices of heads are, also in time (as B and b)."""
    B: Annotated[MatrixInTime, Unit("1")] = Field(examples=[[[1.0, 0.0, 0.0]]])
    """(k, d)."""
    b: Shifts | None = Field(default=None, examples=[[0.0]])
    """k numbers; left out: zeros."""
    activation: Literal["relu", "gelu", "tanh"] = "relu"
    """sigma."""

    def table(self) -> dict[str, object]:
        """As the section [model.perceptron] of a case file."""
        return written(as_table(self))

    def on(self, d: int, norm: Norm | None = None) -> Drift | MovingDrift:
        """As a drift on S^{d-1}; ``norm``: what stands between tokens and B, W and outputs.

        Raises:
            InputError: shapes that do not fit together.
        """
        from meanfield.interaction.drifts import Perceptron as Made

        key = "model.perceptron"
        inner = resolved(f"{key}.B", self.B, Form(2, d))
        outer = resolved(f"{key}.W", self.W, Form(2, inner.shape[0], d))
        if norm is not None:
            inner, outer = norm.seen(inner), norm.given(outer)
        shifts: InTime | Array = np.zeros(inner.shape[0])
        if self.b is not None:
            shifts = resolved(f"{key}.b", self.b, Form(1))
        if shifts.shape != inner.shape[:1]:
            raise InputError(
                f"{key}.b: expected {inner.shape[0]} numbers, one for each row of B, found "
                f"{shifts.shape[0]}"
            )

        def made(W: Array, B: Array, b: Array) -> Drift:
            return Made(W, B, b, self.activation)

        if any(isinstance(part, InTime) for part in (outer, inner, shifts)):
            from meanfield.interaction.composite import MovingDrift

            return MovingDrift((outer, inner, shifts), made)
        return made(*(part for part in (outer, inner, shifts) if not isinstance(part, InTime)))
