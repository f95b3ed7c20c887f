"""[model.interaction]: a zonal kernel, also with numbers that depend on time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, Union

from pydantic import ValidationInfo, WrapValidator

from meanfield.case.intime import Form, InCase, in_time, is_in_time
from meanfield.errors import InputError
from meanfield.interaction.intime import InTime
from meanfield.interaction.kernels import KERNELS, Kernel
from meanfield.options import Field
from meanfield.options.fields import fields_of

if TYPE_CHECKING:
    from meanfield.case.geometry import Geometry
    from meanfield.interaction.kernels.base import Link
    from meanfield.interaction.movingkernel import MovingKernel

__all__ = ["AnyKernel", "KernelInTime"]


@dataclass(frozen=True)
class KernelInTime:
    """A kernel of which some numbers depend on time.

    Attributes:
        kernel: with one of their values each.
        numbers: those in time, by name.
    """

    kernel: Kernel
    numbers: Mapping[str, InCase]

    def on(self, geometry: Geometry, method: str, accuracy: float | None) -> MovingKernel:
        """As an interaction on a geometry.

        Raises:
            InputError: values that the kernel does not have.
        """
        from meanfield.interaction.movingkernel import MovingKernel

        numbers = {n: v.on(f"model.interaction.{n}", Form(0)) for n, v in self.numbers.items()}
        kind, d = geometry.kind, geometry.d
        return MovingKernel(self.kernel, numbers, d, kind, method, accuracy)

    @property
    def link(self) -> Link:
        """What is done with W * mu."""
        return self.kernel.link

    def refuse_overflow(self, highest: float = 600.0) -> None:
        """Refuse velocities that are no doubles, at the ends of what the numbers are.

        Raises:
            InputError: they are not.
        """
        for name, value in self.numbers.items():
            for number in value.extremes():
                self.kernel.replaced({name: number}).refuse_overflow(highest)

    def describe(self) -> str:
        """A few words."""
        fixed = [f"{k} = {v:g}" for k, v in self.kernel.parameters.items() if k not in self.numbers]
        return ", ".join([self.kernel.type, *fixed, *(f"{name} in time" for name in self.numbers)])

    def replaced(self, changes: Mapping[str, float]) -> NoReturn:
        """It has no branches.

        Raises:
            InputError: always.
        """
        raise InputError(
            f"model.interaction.{next(iter(self.numbers))}: found a value in time, stationary and "
            "branch need constants"
        )

    def table(self) -> dict[str, object]:
        """As the table [model.interaction] of a case file."""
        numbers = {name: value.written() for name, value in self.numbers.items()}
        return {**self.kernel.table(), **numbers}


def _kernel(value: Any, read: Callable[[Any], Kernel], info: ValidationInfo) -> object:
    """A kernel; those made in Python are taken as they are, also ones that no registry knows."""
    if isinstance(value, Kernel | KernelInTime):
        return value
    found: dict[str, InCase] = {}
    if isinstance(value, Mapping):
        _refuse_constants(value)
        tables = {k: v for k, v in value.items() if isinstance(v, Mapping | InTime) and k != "type"}
        read_in_time = {k: in_time(v, info, 0, where=k) for k, v in tables.items()}
        found = {k: v for k, v in read_in_time.items() if v is not None}
    if not found:
        return read(value)
    kernel = read({**value, **{k: _one_of(v) for k, v in found.items()}})
    for name, number in found.items():
        for end in number.extremes():
            kernel.replaced({name: end})  # in its range
    return KernelInTime(kernel, found)


def _refuse_constants(table: Mapping[str, object]) -> None:
    """Refuse values in time of what is no number of a kernel, such as an exponent, a list, a name.

    Raises:
        InputError: there is one. Names and types that are unknown are left to others.
    """
    kind = KERNELS.get(str(table.get("type")))
    known = {} if kind is None else fields_of(kind)
    for name, value in table.items():
        if name in known and known[name].annotation is not float and is_in_time(value):
            raise InputError(f"{name}: found a value in time, expected a constant")


def _one_of(value: InCase) -> float:
    """A number between its ends: those that are known lie in the range, or are refused."""
    return next(iter(value.extremes()), 1.0)


if TYPE_CHECKING:
    AnyKernel = Kernel | KernelInTime
else:
    AnyKernel = Annotated[
        Union[tuple(KERNELS.values())],  # noqa: UP007  # made at run time
        Field(discriminator="type"),
        WrapValidator(_kernel),
    ]
