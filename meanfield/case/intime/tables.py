"""Tables, waves and random paths in time, as a case may give them."""

from __future__ import annotations

import numbers
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import PlainValidator, ValidationInfo

from meanfield.case.intime.base import InCase
from meanfield.case.intime.entries import (
    Entry,
    Form,
    Stack,
    numbers_of,
    read_entry,
    read_stack,
    written_entry,
)
from meanfield.case.matrices import Ensemble, InFile
from meanfield.checks import as_found
from meanfield.errors import InputError
from meanfield.geometry.sphere import Array
from meanfield.interaction.intime import EndlessPath, InTime, TableInTime, WaveInTime
from meanfield.options import (
    OF_KEY,
    Angle,
    Counted,
    Duration,
    Expected,
    Field,
    Flag,
    Number,
    Rate,
    Unit,
    as_table,
    options,
)

__all__ = ["RandomPath", "TimeTable", "Wave"]

# ------------------------------------------------------------------ tables


def _read_times(value: object, info: ValidationInfo) -> Stack:
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        for k, one in enumerate(value):
            if isinstance(one, bool) or not isinstance(one, numbers.Real):
                raise InputError(f"times[{k}]: expected a number, found {as_found(one)}")
    return read_stack(value, info)


if TYPE_CHECKING:
    EntryLike = Entry
    TimesLike = Stack
    StackLike = Stack
else:
    _Matrices = list[list[float]] | str | Ensemble | InFile
    _Given = float | list[float] | _Matrices
    EntryLike = Annotated[
        object,
        PlainValidator(read_entry, json_schema_input_type=_Given),
        Expected("a number, a list of numbers or a matrix"),
        OF_KEY,
    ]
    _LIST = Expected("a list, or a file with an array")
    TimesLike = Annotated[
        object,
        PlainValidator(_read_times, json_schema_input_type=list[float] | str | InFile),
        _LIST,
        Unit("time"),
    ]
    StackLike = Annotated[
        object,
        PlainValidator(read_stack, json_schema_input_type=list[_Given] | str | InFile),
        _LIST,
        OF_KEY,
    ]


@options("in_time", kw_only=True)
class TimeTable(InCase):
    """Values at some times, in steps or joined by straight lines."""

    times: TimesLike = Field(examples=[[0.0, 1.0, 2.0]])
    """Times that rise: a list, or an array of a file. Before the first one the first value holds,
    after the last one the last."""
    values: StackLike = Field(examples=[[4.0, 9.0, 1.0]])
    """As many values, each given as the key takes it: a number, a list or a matrix. Also an array
    of a file, "w.npz:Q", whose first index is that of the times."""
    interpolate: Literal["step", "linear"] = "step"
    """"step": each value holds from its time on. "linear": straight lines between."""

    def __post_init__(self) -> None:
        times, values = self._times(), self._rows()
        if len(times) != len(values):
            raise InputError(
                f"values: found {len(values)} for {len(times)} times, expected one for each"
            )
        TableInTime(times, np.zeros(len(times)))  # times that rise

    def _times(self) -> Array:
        if isinstance(self.times, InFile):
            found = self.times.numbers(0)
            if found.ndim != 1:
                raise InputError(f"times: found {as_found(found)}, expected a list of numbers")
            return found
        return np.array(self.times, dtype=np.float64)

    def _rows(self) -> list[Entry] | Array:
        if not isinstance(self.values, InFile):
            return list(self.values)
        found = self.values.numbers(0)
        if not found.ndim:
            raise InputError("values: found a single number in the file, expected one a time")
        return found

    def entries(self) -> Iterator[tuple[str, Entry]]:
        if not isinstance(self.values, InFile):
            yield from ((f"values[{k}]", entry) for k, entry in enumerate(self.values))

    def extremes(self) -> tuple[float, ...]:
        rows = self._rows()
        if isinstance(rows, np.ndarray):
            return tuple(rows.tolist()) if rows.ndim == 1 else ()
        return tuple(entry for entry in rows if isinstance(entry, float))

    def _on(self, form: Form) -> InTime:
        found = [numbers_of(f"values[{k}]", entry, form) for k, entry in enumerate(self._rows())]
        for k, value in enumerate(found):
            if value.shape != found[0].shape:
                raise InputError(
                    f"values[{k}]: found {as_found(value)}, expected the shape of values[0], "
                    f"{found[0].shape}"
                )
        return TableInTime(self._times(), np.array(found), self.interpolate)

    def written(self) -> dict[str, object]:
        table: dict[str, object] = {}
        for name in ("times", "values"):
            stack = getattr(self, name)
            table[name] = (
                stack.written()
                if isinstance(stack, InFile)
                else [written_entry(entry, in_list=True) for entry in stack]
            )
        return {**table, "interpolate": self.interpolate}


# ------------------------------------------------------------------ waves and random paths


@options("in_time", kw_only=True)
class Wave(InCase):
    """mean + amplitude cos(2 pi t/period + phase)."""

    mean: EntryLike = Field(examples=[4.0])
    """Given as the key takes it."""
    amplitude: EntryLike = Field(examples=[1.0])
    """Likewise."""
    period: Duration = Field(gt=0.0, examples=[2.0])
    """Time of one oscillation."""
    phase: Angle = 0.0
    """An angle."""

    def entries(self) -> Iterator[tuple[str, Entry]]:
        yield from (("mean", self.mean), ("amplitude", self.amplitude))

    def extremes(self) -> tuple[float, ...]:
        if not isinstance(self.mean, float) or not isinstance(self.amplitude, float):
            return ()
        return self.mean - self.amplitude, self.mean + self.amplitude

    def _on(self, form: Form) -> InTime:
        mean, amplitude = (numbers_of(place, entry, form) for place, entry in self.entries())
        return WaveInTime(mean, amplitude, self.period, self.phase)

    def written(self) -> dict[str, object]:
        return _written(self)


@options("in_time", kw_only=True)
class RandomPath(InCase):
    """Entries that wander about a mean as Ornstein-Uhlenbeck processes, each on its own.

    The path begins in the stationary law and goes on as long as a run does: a later end does not
    change what came before.
    """

    mean: EntryLike = Field(examples=["identity"])
    """Given as the key takes it."""
    variance: Annotated[Number, Unit("square of that of the key")] = Field(ge=0.0, examples=[2.0])
    """Of each entry."""
    rate: Rate = Field(default=1.0, gt=0.0)
    """Of the decay of correlations: the covariance at a distance s is variance e^{-rate s}."""
    seed: Counted = Field(default=0, ge=0, le=2**63 - 1)
    """Of its random numbers: the same seed gives the same path, also elsewhere in the case."""
    symmetric: Flag = False
    """Whether the entries below the diagonal of a matrix are those above it."""
    step: Annotated[Duration, Field(gt=0.0)] | None = Field(default=None, examples=[0.05])
    """Between the times at which it is drawn (by the exact law), with straight lines between; left
    out: 1/32 of 1/rate. Steps of a solver end there."""

    def entries(self) -> Iterator[tuple[str, Entry]]:
        yield "mean", self.mean

    def extremes(self) -> tuple[float, ...]:
        if not isinstance(self.mean, float):
            return ()
        away = self._of(np.zeros(())).largest
        return self.mean - away, self.mean + away

    def _of(self, mean: Array) -> EndlessPath:
        return EndlessPath(mean, self.rate, self.variance, self.seed, self.step, self.symmetric)

    def _on(self, form: Form) -> InTime:
        return self._of(numbers_of("mean", self.mean, form))

    def written(self) -> dict[str, object]:
        return _written(self)


def _written(value: Wave | RandomPath) -> dict[str, object]:
    entries = {name: written_entry(entry) for name, entry in value.entries()}
    return {**as_table(value), **entries}
