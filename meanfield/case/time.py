"""[time]: how long to run, and when to write."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Annotated, cast

from pydantic import BeforeValidator, PlainValidator
from typing_extensions import TypedDict  # on Python 3.11 pydantic takes no other

from meanfield.checks import as_found
from meanfield.errors import InputError, suggest
from meanfield.options import (
    Counted,
    Duration,
    Expected,
    Field,
    Number,
    Unit,
    Whole,
    a_list,
    as_table,
    checked,
    made_from,
    options,
)

__all__ = ["MAX_OUTPUTS", "Every", "Geometric", "Schedule", "Time"]

MAX_OUTPUTS = 100_000


@options("time.outputs")
class Every:
    """Outputs at 0, every, 2 every, ... and at the end.

    Example:
        >>> mf.Time(end=1.0, outputs=mf.Every(0.5)).output_times()
        (0.0, 0.5, 1.0)
    """

    every: Duration = Field(gt=0.0, examples=[1.0])
    """Time between outputs."""

    def times(self, end: float) -> tuple[float, ...]:
        """All output times in [0, end]; multiples are formed in decimals, so 3 * 0.1 is 0.3."""
        if end / self.every > MAX_OUTPUTS:
            raise InputError(
                f"time.outputs.every: {self.every:g} until {end:g} makes {end / self.every:.3g} "
                f"outputs, expected at most {MAX_OUTPUTS}: choose a larger one"
            )
        step = Decimal(repr(self.every))
        times = (float(step * k) for k in range(math.ceil(end / self.every) + 1))
        return (*(t for t in times if t < end * (1.0 - 1e-12)), end)

    def table(self) -> dict[str, object]:
        """As in a case file."""
        return {"every": self.every}


@options("time.outputs.geometric", kw_only=True)
class Geometric:
    """Outputs at 0 and at ``number`` times from ``first`` to the end, each a fixed factor later.

    Example:
        >>> len(mf.Time(end=1e3, outputs=mf.Geometric(first=0.1, number=5)).output_times())
        6
    """

    first: Duration = Field(gt=0.0, examples=[0.01])
    """The first output after 0."""
    number: Counted = Field(ge=2, le=MAX_OUTPUTS, examples=[20])
    """Number of outputs after 0."""

    def times(self, end: float) -> tuple[float, ...]:
        """All output times in [0, end]."""
        if self.first >= end:
            raise InputError(
                f"time.outputs.geometric.first: expected a time before time.end = {end:g}, "
                f"found {self.first:g}"
            )
        last = self.number - 1
        ratio = end / self.first
        # The quotient, and powers of it, need not be doubles.
        ratio = math.log(ratio) if ratio < math.inf else math.log(end) - math.log(self.first)
        halves = (math.exp(0.5 * ratio * k / last) for k in range(1, last))
        # 14 digits: 0.1 and not 0.10000000000000002 in file names and tables.
        inner = (float(f"{self.first * half * half:.14g}") for half in halves)
        times = (0.0, self.first, *inner, end)
        if any(one >= two for one, two in itertools.pairwise(times)):
            raise InputError(
                f"time.outputs.geometric: {self.number} times from {self.first:g} to {end:g} lie "
                "too close to each other: expected fewer, or an earlier first"
            )
        return times

    def table(self) -> dict[str, object]:
        """As in a case file."""
        return {"geometric": as_table(self)}


class EveryTable(TypedDict):
    every: float


class GeometricTable(TypedDict):
    geometric: Geometric


_TABLES = "{ every = 1.0 } or { geometric = { first = 0.01, number = 20 } }"
_SCHEDULES = "{ every = 1.0 }, a list of times or { geometric = { first = 0.01, number = 20 } }"
_Times = Annotated[tuple[Annotated[Number, Field(ge=0.0)], ...], BeforeValidator(a_list)]


def _schedule(value: object) -> Every | Geometric | tuple[float, ...]:
    """Read { every = ... }, { geometric = { first = ..., number = ... } } or a list of times."""
    key = "time.outputs"
    if isinstance(value, Every | Geometric):
        return value
    if isinstance(value, Mapping):
        return _from_table(value)
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise InputError(f"{key}: expected {_SCHEDULES}, found {as_found(value)}")
    times = tuple(value)
    if len(times) > MAX_OUTPUTS:
        raise InputError(f"{key}: found {len(times)} times, expected at most {MAX_OUTPUTS}")
    found = tuple(sorted(cast(tuple[float, ...], checked(key, _Times, times))))
    for one, two in itertools.pairwise(found):
        if one == two:
            raise InputError(f"{key}: the time {one:g} is given twice")
    return found


def _from_table(value: Mapping[str, object]) -> Every | Geometric:
    names = ("every", "geometric")
    unknown = [str(name) for name in value if name not in names]
    if unknown:
        raise InputError(
            f"unknown key time.outputs.{unknown[0]}{suggest(unknown[0], names)}; expected {_TABLES}"
        )
    if len(value) != 1:
        found = "both every and geometric" if value else "an empty table"
        raise InputError(f"time.outputs: expected either every or geometric, found {found}")
    if "every" in value:
        return made_from(Every, value)
    inner = value["geometric"]
    if not isinstance(inner, Mapping):
        raise InputError(
            "time.outputs.geometric: expected { first = 0.01, number = 20 }, found "
            + as_found(inner)
        )
    return made_from(Geometric, inner)


Schedule = Annotated[
    Every | Geometric | Sequence[float],
    PlainValidator(_schedule, json_schema_input_type=EveryTable | GeometricTable | list[float]),
    Expected(_SCHEDULES),
    Unit("time"),
]


@options("time", kw_only=True)
class Time:
    """How long to run and when to write.

    Example:
        >>> mf.Time(end=1.0, outputs=mf.Every(0.25)).output_times()
        (0.0, 0.25, 0.5, 0.75, 1.0)
    """

    end: Duration = Field(gt=0.0, examples=[12.0])
    """Simulated time at which the run ends."""
    outputs: Schedule = Field(default=Every(1.0))
    """Times of the fields and tokens; a list is stored sorted; 0 and ``end`` always are some."""
    series_every: Annotated[Whole, Unit("steps")] = Field(default=10, ge=1, le=10**9)
    """Steps between rows of the series; each output has a row as well."""
    wall_limit: Annotated[Number, Unit("s"), Field(gt=0.0)] | None = Field(
        default=None, examples=[3600.0]
    )
    """Seconds after which the run stops by itself and can be resumed."""
    stationary: Annotated[Number, Unit("rad/time"), Field(gt=0.0)] | None = Field(
        default=None, examples=[1e-6]
    )
    """Stop when the root mean square speed falls below this; that of the total flux,
    X - kappa grad log rho (H'(rho) with an exponent), for a density with diffusion. Not as long as
    parameters go on changing in time."""

    def __post_init__(self) -> None:
        if not isinstance(self.outputs, Every | Geometric):
            last = max(self.outputs, default=0.0)
            if last > self.end:
                raise InputError(
                    f"time.outputs: the time {last:g} lies beyond time.end = {self.end:g}: raise "
                    "time.end or leave it out"
                )
        self.output_times()  # a schedule that does not fit is refused here

    def output_times(self) -> tuple[float, ...]:
        """All output times, ascending, with 0 and ``end``."""
        if isinstance(self.outputs, Every | Geometric):
            return self.outputs.times(self.end)
        return tuple(sorted({0.0, *self.outputs, self.end}))

    def table(self) -> dict[str, object]:
        """As in a case file."""
        table = as_table(self)
        if isinstance(self.outputs, Every | Geometric):
            table["outputs"] = self.outputs.table()
        return table
