"""The words of messages about what users write: what was expected, and what was found.

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
    "a_list_of",
    "a_parameter",
    "as_found",
    "called",
    "choice_in_words",
    "number_in_words",
    "real_array",
    "refuse_rows",
    "set_checked",
    "shortened",
    "square_matrix",
    "whole_in_words",
]


_LONGEST = 200  # letters of a value in a message


def as_found(value: object) -> str:
    """Name a value the way a writer of TOML would; in one line, however large it is."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return f"{str(value).lower()} (true and false are no numbers)"
    if isinstance(value, str):
        return f"the text {shortened(repr(value))}"
    if isinstance(value, numbers.Integral) and abs(int(value)).bit_length() > 4 * _LONGEST:
        return f"a whole number of {int(math.log10(2) * int(value).bit_length())} digits or so"
    if isinstance(value, numbers.Real):
        return f"{value}"
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, Sequence):
        return "a list"
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape} ({value.dtype})"
    return f"{shortened(' '.join(repr(value).split()))} ({type(value).__name__})"


def shortened(text: str) -> str:
    """The begin of a text that would fill the screen."""
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def number_in_words(low: float, high: float, above: float | None = None) -> str:
    """A real number in [low, high], or in (above, high]."""
    if above is not None and math.isfinite(high):
        return f"a number above {above:g} and at most {high:g}"
    if above is not None:
        return f"a number above {above:g}"
    if math.isfinite(low) and math.isfinite(high):
        return f"a number from {low:g} to {high:g}"
    return f"a number, {low:g} or more" if math.isfinite(low) else "a number"


def whole_in_words(low: float, high: float) -> str:
    """A whole number in [low, high]."""
    if math.isfinite(low) and math.isfinite(high):
        return f"a whole number from {int(low)} to {int(high)}"
    return f"a whole number, {int(low)} or more" if math.isfinite(low) else "a whole number"


def choice_in_words(valid: Sequence[str]) -> str:
    """One word of a short list."""
    return " or ".join(f'"{word}"' for word in valid)


def a_list_of(words: str) -> str:
    """A list of what ``words`` names, in the plural."""
    return "a list of " + words.removeprefix("a ").replace("number", "numbers", 1)


def a_parameter(name: str, valid: Sequence[str]) -> str:
    """Check the name of something that can be varied."""
    if name not in valid:
        words = [f"'{word}'" for word in valid]
        expected = " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
        raise InputError(f"parameter '{name}' found, {expected} expected{suggest(name, valid)}")
    return name


def called(
    key: str, what: str, function: Callable[[NDArray[Any]], object], x: NDArray[Any]
) -> NDArray[Any]:
    """Values of a function that a user gave: whatever it raises is a fault of the input.

    It is shown an array that it cannot change.

    Args:
        key: of the case file; what: name of the function in the message.
        function, x: it, and what it is called with.

    Raises:
        InputError: it raises or exits, changes its argument, or gives what are no real numbers.
    """
    shown = x.view()
    shown.flags.writeable = False
    try:
        found = np.asarray(function(shown))
    except (Exception, SystemExit) as error:
        said = " ".join(f"{type(error).__name__}: {error}".split())
        if "read-only" in said:
            said += " (it changes its argument, which it must not: let it work on a copy)"
        raise InputError(
            f"{key}: {what} raised {said}; it is called with an array of shape {x.shape}"
        ) from error
    if found.dtype.kind not in "biuf":
        raise InputError(
            f"{key}: {what} gave an array of {found.dtype} for one of shape {x.shape}, expected "
            "real numbers"
        )
    return found.astype(np.float64)  # a copy: it may have given its argument


def real_array(value: object, name: str, expected: str) -> NDArray[Any]:
    """An array of real numbers as float64, of any shape; lists of them, too.

    Raises:
        InputError: what is no array, or one of texts, of truth values or of complex numbers.
    """
    try:
        found = np.asarray(value)
    except Exception as error:  # lists of unequal lengths, and whatever an object's own may raise
        raise InputError(f"{name}: found {as_found(value)}, expected {expected}") from error
    if found.dtype.kind in "iuf":
        return found.astype(np.float64, copy=False)
    what = as_found(value) if not found.shape else f"an array of {found.dtype}"
    raise InputError(f"{name}: found {what}, expected {expected}")


def refuse_rows(wrong: NDArray[np.bool_], values: NDArray[Any], what: str, expected: str) -> None:
    """Name the first of the rows that are wrong, if any are, and how many are like it.

    Raises:
        InputError: some are.
    """
    if np.any(wrong):
        at = int(np.flatnonzero(wrong)[0])
        raise InputError(
            f"{what} {at} is {values[at]} ({int(np.count_nonzero(wrong))} like it), {expected}"
        )


def set_checked(owner: object, name: str, value: object) -> None:
    """Store a checked and normalised value in a frozen dataclass that is being made."""
    object.__setattr__(owner, name, value)


def square_matrix(value: object, name: str) -> NDArray[Any]:
    """A square matrix of finite numbers, a copy.

    Raises:
        InputError: it is none.
    """
    found = real_array(value, name, "a square matrix")
    if found.ndim != 2 or found.shape[0] != found.shape[1] or not found.size:
        raise InputError(f"{name}: an array of shape {found.shape} found, (d, d) expected")
    if not np.all(np.isfinite(found)):
        raise InputError(f"{name}: entries that are not finite found, finite numbers expected")
    return np.array(found, dtype=np.float64)
