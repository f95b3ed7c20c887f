"""Functions of time: of a Python file that a case names, or made in Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, NoReturn

import numpy as np
from pydantic import PlainValidator, ValidationInfo

from meanfield.case.intime.base import InCase
from meanfield.case.intime.entries import RANKS, Form
from meanfield.checks import set_checked
from meanfield.errors import InputError
from meanfield.geometry.laws.files import load_function
from meanfield.geometry.sphere import Array
from meanfield.interaction.intime import FunctionInTime, InTime
from meanfield.options import (
    OF_KEY,
    Entries,
    Expected,
    Field,
    FromElsewhere,
    InputFile,
    Number,
    Numbers,
    Text,
    Unit,
    a_list,
    as_table,
    options,
)

__all__ = ["MadeInPython", "TimeFunction"]


def _from_elsewhere(value: Any, info: ValidationInfo) -> Any:
    if info.context:
        raise InputError("a case file names a Python file, expected path (and call)")
    return value


@options("in_time", kw_only=True)
class TimeFunction(InCase):
    """A function of time in a Python file, which is run (``--trust``): use only what you trust."""

    path: Annotated[InputFile, Expected("the name of a Python file with the function")] = Field(
        examples=["weights.py"]
    )
    """A Python file, found from the folder of the case file."""
    largest: Annotated[Number, OF_KEY] = Field(ge=0.0, examples=[9.0])
    """A bound on its values, of matrices on their 2-norm; a larger value ends the run."""
    call: Text = "value"
    """Name of the function in it: from t to a number, a list or a matrix, as the key takes it."""
    jumps: Annotated[Numbers, Unit("time")] = ()
    """Times at which it jumps or has a kink: steps end there."""
    function: Annotated[
        Callable[[float], Array] | None, PlainValidator(_from_elsewhere), FromElsewhere("the file")
    ] = None
    """Of the file."""

    def __post_init__(self) -> None:
        try:
            set_checked(self, "function", load_function(self.path, self.call))
        except InputError as error:
            key, _, rest = str(error).partition(": ")
            raise InputError(f"{ {'name': 'call'}.get(key, key) }: {rest}") from None

    def extremes(self) -> tuple[float, ...]:
        return (self.largest,)

    def _on(self, form: Form) -> InTime:
        assert self.function is not None
        shape: tuple[int, ...] = ()
        if form.rank != 0:
            try:
                first = np.asarray(self.function(0.0), dtype=np.float64)
            except (Exception, SystemExit) as error:
                said = " ".join(f"{type(error).__name__}: {error}".split())
                raise InputError(f"call: {self.call} raised {said} at t = 0") from error
            shape = form.checked("call", first).shape
        return FunctionInTime(self.function, shape, self.largest, self.jumps)

    def on(self, key: str, form: Form) -> InTime:
        """A function that says which key it stands for, see ``InCase.on``."""
        named = _Named(key, super().on(key, form))
        named.at(0.0)
        return named

    def written(self) -> dict[str, object]:
        return as_table(self)


class _Named(InTime):
    """A function that says which key it stands for."""

    def __init__(self, key: str, function: InTime) -> None:
        self._key, self._function = key, function
        self.shape, self.largest = function.shape, function.largest

    def at(self, t: float) -> Array:
        try:
            return self._function.at(t)
        except InputError as error:
            raise InputError(f"{self._key}: {error}") from None

    @property
    def piecewise(self) -> bool:
        return self._function.piecewise

    def instants(self) -> Array:
        return self._function.instants()

    def next_jump(self, t: float) -> float:
        return self._function.next_jump(t)

    def fingerprint(self) -> str:
        return self._function.fingerprint()


def _shape(value: object) -> object:
    return a_list(value)


@options("in_time", kw_only=True, eq=False)
class MadeInPython(InCase):
    """A value in time made in Python, of which a case file only tells which one it was."""

    python: Text = Field(examples=["FunctionInTime"])
    """What it was."""
    fingerprint: Text = Field(examples=["0f3a..."])
    """A hash by which a run that goes on knows it."""
    shape: Entries = ()
    """Of its values."""
    largest: Annotated[Number, OF_KEY] = Field(ge=0.0, examples=[9.0])
    """A bound on its values."""
    made: Annotated[InTime | None, PlainValidator(_from_elsewhere), FromElsewhere("Python")] = None
    """The thing itself; None: it is not known."""

    @property
    def known(self) -> bool:
        return self.made is not None

    @classmethod
    def of(cls, made: InTime) -> MadeInPython:
        """Of the thing itself."""
        shape = tuple(float(n) for n in made.shape)
        return cls(
            python=type(made).__name__, fingerprint=made.fingerprint(), shape=shape,
            largest=made.largest, made=made,
        )  # fmt: skip

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MadeInPython) and self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def check_rank(self, rank: int | None) -> None:
        if rank is not None and len(self.shape) != rank:
            found = tuple(map(int, self.shape))
            raise InputError(f"expected values that are {RANKS[rank]} each, found shape {found}")

    def extremes(self) -> tuple[float, ...]:
        return () if self.shape else (self.largest,)

    def on(self, key: str, form: Form) -> InTime:
        """The thing itself, see ``InCase.on``."""
        if self.made is None:
            raise InputError(
                f"{key}: {self.python} was made in Python, and is known by its hash only: give it "
                "again, from Python"
            )
        named = _Named(key, self.made)
        form.checked(key, named.at(0.0))
        return named

    def _on(self, form: Form) -> NoReturn:
        raise NotImplementedError

    def written(self) -> dict[str, object]:
        return {**as_table(self), "shape": [int(n) for n in self.shape]}
