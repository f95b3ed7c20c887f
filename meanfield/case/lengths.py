"""Lengths of tokens at the beginning: one for all, a law, or a file of them.

A law is a class here with its numbers, and its name in ``AnyLength``.
"""

from __future__ import annotations

import math
import numbers
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import BeforeValidator, Discriminator, Tag

from meanfield.checks import as_found, real_array, refuse_rows
from meanfield.errors import InputError, suggest
from meanfield.geometry.sphere import Array
from meanfield.options import Expected, Field, InputFile, Pure, Unit, as_table, options

__all__ = [
    "LENGTH_LAWS",
    "AnyLength",
    "FileLength",
    "LengthLaw",
    "LognormalLength",
    "UniformLength",
    "lengths_of",
]

MAX_LENGTH = 1e6


class LengthLaw(ABC):
    """What the lengths of n tokens are at the beginning."""

    type: str

    @abstractmethod
    def lengths(self, n: int, rng: np.random.Generator) -> Array:
        """(n,) lengths > 0.

        Raises:
            InputError: a file that has none, or another number of them.
        """

    def table(self) -> dict[str, object]:
        """As a table of a case file."""
        return as_table(self)


@options("model.normalisation.length", kw_only=True)
class UniformLength(LengthLaw):
    """Drawn from a uniform law."""

    low: Pure = Field(gt=0.0, le=MAX_LENGTH, examples=[0.5])
    """The shortest."""
    high: Pure = Field(gt=0.0, le=MAX_LENGTH, examples=[2.0])
    """The longest."""
    type: Literal["uniform"] = "uniform"

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise InputError(f"high: found {self.high:g}, expected at least low = {self.low:g}")

    def lengths(self, n: int, rng: np.random.Generator) -> Array:
        return rng.uniform(self.low, self.high, n)


@options("model.normalisation.length", kw_only=True)
class LognormalLength(LengthLaw):
    """Drawn from a lognormal law: log r is normal."""

    sigma: Pure = Field(ge=0.0, le=10.0, examples=[0.5])
    """Standard deviation of log r."""
    median: Pure = Field(default=1.0, gt=0.0, le=MAX_LENGTH)
    """e^(mean of log r)."""
    type: Literal["lognormal"] = "lognormal"

    def lengths(self, n: int, rng: np.random.Generator) -> Array:
        return np.asarray(self.median * np.exp(self.sigma * rng.standard_normal(n)))


@options("model.normalisation.length", kw_only=True)
class FileLength(LengthLaw):
    """Of a file: an array (n,), in the order of the tokens."""

    file: InputFile = Field(examples=["lengths.npy"])
    """The file (.npy)."""
    type: Literal["file"] = "file"

    def __post_init__(self) -> None:
        if self.file.suffix.lower() != ".npy":
            raise InputError(f"file: expected a file .npy, found {self.file.name}")
        if not self.file.is_file():
            folder = self.file.parent
            near = [p.name for p in folder.iterdir()] if folder.is_dir() else []
            raise InputError(f"file: there is no file {self.file}{suggest(self.file.name, near)}")

    def lengths(self, n: int, rng: np.random.Generator) -> Array:
        try:
            found = np.load(self.file, allow_pickle=False)  # a pickle runs what its maker wants
        except Exception as error:  # a damaged file can raise anything
            said = (str(error) or type(error).__name__).splitlines()[0][:200]
            raise InputError(f"{self.file} cannot be read: {said}") from error
        key = f"{self.file}: length"
        r = real_array(found, key, f"one number for each of {n} tokens")
        if r.shape != (n,):
            raise InputError(
                f"{key}s of shape {r.shape} found, one for each of {n} tokens expected"
            )
        wrong = ~(np.isfinite(r) & (r > 0.0) & (r <= MAX_LENGTH))
        refuse_rows(wrong, r, key, f"numbers above 0, up to {MAX_LENGTH:g}, expected")
        return r


Length = Annotated[Pure, Field(gt=0.0, le=MAX_LENGTH), Expected("a length > 0")]


def _given(value: object) -> object:
    """A file by its name alone; a number, as a union would not say what is wrong with it."""
    if isinstance(value, str | os.PathLike):
        return {"type": "file", "file": value}
    if isinstance(value, Mapping | LengthLaw):
        return value
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not number or not 0.0 < float(value) <= MAX_LENGTH:  # type: ignore[arg-type]
        raise InputError(
            "model.normalisation.length: expected a length above 0, a table of a law or the name "
            f"of a file (.npy), found {as_found(value)}"
        )
    return value


def _kind(value: object) -> str | None:
    """Which of the laws it is; "number" for what is none."""
    if isinstance(value, Mapping):
        return str(value["type"]) if "type" in value else None
    return value.type if isinstance(value, LengthLaw) else "number"


LENGTH_LAWS: tuple[type[LengthLaw], ...] = (UniformLength, LognormalLength, FileLength)
"""What a table may be."""

if TYPE_CHECKING:
    AnyLength = float | str | Path | LengthLaw
else:
    AnyLength = Annotated[
        Annotated[Length, Tag("number")]
        | Annotated[UniformLength, Tag("uniform")]
        | Annotated[LognormalLength, Tag("lognormal")]
        | Annotated[FileLength, Tag("file")],
        Discriminator(_kind),
        BeforeValidator(_given),
        Expected("a length > 0, a table of a law or a file (.npy)"),
        Unit("1"),
    ]


def lengths_of(length: AnyLength, n: int, rng: np.random.Generator) -> Array:
    """(n,) lengths > 0 of n tokens.

    Raises:
        InputError: a file that has none, or another number of them.
    """
    if isinstance(length, LengthLaw):
        return length.lengths(n, rng)
    assert isinstance(length, float) and math.isfinite(length)
    return np.full(n, length)
