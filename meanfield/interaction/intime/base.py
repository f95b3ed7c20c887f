"""A real number, vector or matrix that depends on time."""

from __future__ import annotations

import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import TypeVar

import numpy as np

from meanfield.checks import real_array
from meanfield.errors import InputError
from meanfield.geometry.sphere import Array

__all__ = [
    "InTime",
    "asked",
    "at_time",
    "digest",
    "finite",
    "instants_of",
    "is_moving",
    "is_piecewise",
    "largest_norm",
    "largest_of",
    "next_jump_of",
    "read_only",
]


T = TypeVar("T")


class InTime(ABC):
    """A real array that depends on time, for all times; right-continuous where it jumps.

    Attributes:
        shape: of its values; () of a number.
        largest: a bound on |value| over all times: absolute value, length, 2-norm of a matrix.

    Example:
        >>> wave = mf.WaveInTime(np.eye(2), np.eye(2), 1.0)
        >>> isinstance(wave, mf.InTime)
        True
    """

    shape: tuple[int, ...]
    largest: float

    @abstractmethod
    def at(self, t: float) -> Array:
        """The value at a time, an array of ``shape`` that nobody can change."""

    @abstractmethod
    def next_jump(self, t: float) -> float:
        """The first time after ``t`` at which it jumps or has a kink; inf: there is none."""

    @property
    def piecewise(self) -> bool:
        """Whether it is constant between its jumps."""
        return False

    def instants(self) -> Array:
        """A few times that show what values it takes."""
        return np.zeros(1)

    @abstractmethod
    def fingerprint(self) -> str:
        """A hash (sha256, hex) of what it is: the same in another process."""


def at_time(value: InTime | Array, t: float) -> Array:
    """The value at a time; of what does not depend on time, itself."""
    return value.at(t) if isinstance(value, InTime) else value


def is_moving(value: object) -> bool:
    """Whether it depends on time."""
    return isinstance(value, InTime)


def next_jump_of(values: Iterable[object], t: float) -> float:
    """The first time after ``t`` at which one of the values jumps or has a kink."""
    return min((v.next_jump(t) for v in values if isinstance(v, InTime)), default=math.inf)


def is_piecewise(value: object) -> bool:
    """Whether it is constant between its jumps."""
    return value.piecewise if isinstance(value, InTime) else True


def instants_of(values: Iterable[object]) -> Array:
    """A few times that show what values they take, in rising order, 0 among them."""
    found = [value.instants() for value in values if isinstance(value, InTime)]
    return np.unique(np.concatenate([np.zeros(1), *found]))


def largest_of(value: InTime | Array) -> float:
    """A bound on |value| over all times."""
    return value.largest if isinstance(value, InTime) else largest_norm(value[None])


# ------------------------------------------------------------------ for those of this package


def read_only(value: Array) -> Array:
    """An array that nobody can change; a copy, unless it is one already."""
    out = np.ascontiguousarray(value, dtype=np.float64).reshape(np.shape(value))
    if out.flags.writeable:
        out = out.copy()
        out.flags.writeable = False
    return out


def finite(value: object, name: str) -> Array:
    """An array of finite numbers, of any shape, that nobody can change.

    Raises:
        InputError: it is none.
    """
    found = real_array(value, name, "a number or an array of numbers")
    if not np.all(np.isfinite(found)):
        raise InputError(f"{name}: numbers that are not finite found, finite ones expected")
    return read_only(found)


def asked(what: str, t: float, function: Callable[..., T], *arguments: object) -> T:
    """What a function that a user gave makes of its arguments, for a time.

    Raises:
        InputError: it raises or exits.
    """
    try:
        return function(*arguments)
    except InputError:
        raise
    except (Exception, SystemExit) as error:
        said = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"{what}: raised {said} at t = {t:g}") from error


def largest_norm(values: Array) -> float:
    """The largest |value| among values (n, *shape); 2-norms of matrices."""
    if values.ndim == 3:
        return float(np.max(np.linalg.svd(values, compute_uv=False), initial=0.0))
    flat = values.reshape(len(values), -1)
    return float(np.max(np.linalg.norm(flat, axis=1), initial=0.0))


def digest(*parts: str | Array) -> str:
    """A hash of texts and arrays."""
    found = hashlib.sha256()
    for part in parts:
        if isinstance(part, str):
            found.update(f"text {len(part)} {part};".encode())
        else:
            found.update(f"array {part.shape};".encode())
            found.update(np.ascontiguousarray(part, dtype="<f8").tobytes())
    return found.hexdigest()
