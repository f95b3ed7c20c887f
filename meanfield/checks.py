"""Checks of single values, with messages that name the key, what was expected and what was found.

For everything that users write: in a case file or as arguments of the classes that it is made of.
Knows nothing of what the values mean.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meanfield.errors import InputError, suggest

__all__ = [
    "a_choice",
    "a_flag",
    "a_number",
    "a_parameter",
    "a_text",
    "an_integer",
    "as_found",
    "called",
    "set_checked",
]


def as_found(value: object) -> str:
    """Name a value the way a writer of TOML would."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return f"{str(value).lower()} (true and false are no numbers)"
    if isinstance(value, str):
        return f"the text {value!r}"
    if isinstance(value, numbers.Real):
        return f"{value}"
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, Sequence):
        return "a list"
    return f"{value!r} ({type(value).__name__})"


def a_number(
    key: str,
    value: object,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    above: float | None = None,
) -> float:
    """Check a real number in [low, high], or in (above, high]; integers are taken as well."""
    expected = "a number"
    if above is not None and math.isfinite(high):
        expected = f"a number above {above:g} and at most {high:g}"
    elif above is not None:
        expected = f"a number above {above:g}"
    elif math.isfinite(low) and math.isfinite(high):
        expected = f"a number from {low:g} to {high:g}"
    elif math.isfinite(low):
        expected = f"a number, {low:g} or more"
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise InputError(f"{key}: expected {expected}, found {as_found(value)}")
    number = float(value)
    if not math.isfinite(number):
        raise InputError(f"{key}: expected {expected}, found {number} (it must be finite)")
    if number < low or number > high or (above is not None and number <= above):
        raise InputError(f"{key}: expected {expected}, found {value}")
    return number


def an_integer(key: str, value: object, low: int, high: int) -> int:
    """Check a whole number in [low, high]."""
    expected = f"a whole number from {low} to {high}"
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise InputError(f"{key}: expected {expected}, found {as_found(value)}")
    whole = int(value)
    if not low <= whole <= high:
        raise InputError(f"{key}: expected {expected}, found {whole}")
    return whole


def a_choice(key: str, value: object, valid: Sequence[str]) -> str:
    """Check one word of a short list."""
    expected = " or ".join(f'"{word}"' for word in valid)
    if not isinstance(value, str):
        raise InputError(f"{key}: expected {expected}, found {as_found(value)}")
    if value not in valid:
        raise InputError(f"{key}: expected {expected}, found '{value}'{suggest(value, valid)}")
    return value


def a_text(key: str, value: object) -> str:
    if not isinstance(value, str):
        raise InputError(f"{key}: expected a text in quotes, found {as_found(value)}")
    return value


def a_flag(key: str, value: object) -> bool:
    if not isinstance(value, bool):
        hint = ""
        if isinstance(value, str) and value.lower() in {"true", "false"}:
            hint = " (TOML writes true and false in lower case, without quotes)"
        raise InputError(f"{key}: expected true or false, found {as_found(value)}{hint}")
    return value


def a_parameter(name: str, valid: Sequence[str]) -> str:
    """Check the name of something that can be varied."""
    if name not in valid:
        words = [f"'{word}'" for word in valid]
        expected = " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
        raise InputError(f"parameter '{name}' found, {expected} expected{suggest(name, valid)}")
    return name


def called(key: str, what: str, function: Callable[[Any], Any], x: NDArray[Any]) -> NDArray[Any]:
    """Values of a function that a user gave: whatever it raises is a fault of the input.

    Args:
        key: of the case file; what: name of the function in the message.
        function, x: it, and what it is called with.
    """
    try:
        return np.asarray(function(x), dtype=np.float64)
    except Exception as error:
        said = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(
            f"{key}: {what} raised {said}; it is called with an array of shape {x.shape}"
        ) from error


def set_checked(owner: object, name: str, value: object) -> None:
    """Store a checked and normalised value in a frozen dataclass that is being made."""
    object.__setattr__(owner, name, value)
