"""What a sweep varies: ranges of the command line, and lists from Python, as axes.

Owns the grammar of ranges. Knows nothing of what the keys mean.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from meanfield.case import parse_override
from meanfield.checks import as_found, shortened
from meanfield.errors import InputError
from meanfield.results.sweeptable import Axis

__all__ = ["Vary", "as_vary", "axes_of", "parse_axes", "parse_range"]

Vary = Mapping[str | tuple[str, ...], Sequence[object]]
"""Values by key; several keys: they change together, a tuple of values each."""

_MOST = 100_000  # values on an axis
_DIGITS = 12  # of a value in a range: 0.3, not 0.30000000000000004
_EXPECTED = "expected KEY=A:B:N (linear), KEY=log:A:B:N or a list KEY=V,V,V"


def parse_axes(words: Sequence[tuple[bool, str]]) -> tuple[Axis, ...]:
    """The axes of a command line.

    Args:
        words: in their order, whether each goes along with the one before it (``--zip``), and
            "KEY=RANGE".

    Raises:
        InputError: what is no range, a key twice, or zipped ranges of different lengths.
    """
    axes: list[Axis] = []
    for zipped, text in words:
        key, values = parse_range(text, "--zip" if zipped else "--vary")
        if not zipped:
            axes.append(Axis((key,), tuple((value,) for value in values)))
            continue
        if not axes:
            raise InputError(
                f"--zip {shortened(text)}: found no --vary before it that it goes with"
            )
        before = axes.pop()
        if len(before.values) != len(values):
            raise InputError(
                f"--zip {shortened(text)}: found {len(values)} values, expected "
                f"{len(before.values)}, as {before.keys[0]} has"
            )
        pairs = zip(before.values, values, strict=True)
        axes.append(Axis((*before.keys, key), tuple((*old, new) for old, new in pairs)))
    return _checked(axes)


def parse_range(text: str, option: str = "--vary") -> tuple[str, list[object]]:
    """Split "KEY=RANGE" into the key and its values.

    ``A:B:N`` are N values from A to B, evenly; ``log:A:B:N`` by a constant factor; ``V,V,V`` these,
    each as after ``--set``: TOML, or a bare word. A linear range between whole numbers whose values
    are all whole is one of whole numbers.

    Raises:
        InputError: it is none.
    """
    key, _, value = text.partition("=")
    value = value.strip()
    if not key.strip() or not value:
        raise InputError(f"{option} {shortened(text)}: {_EXPECTED}")
    found = re.fullmatch(r"(?:(\w+):)?([^:,\[\]\"']+):([^:,]+):([^:,]+)", value)
    if found:
        name = parse_override(f"{key}=0")[0]
        try:
            return name, _numbers(found[1], found[2], found[3], found[4])
        except InputError as error:
            raise InputError(f"{option} {shortened(text)}: {error}") from None
    if re.fullmatch(r"[\w.+-]*(:[\w.+-]*)+", value):  # a range that is not whole
        raise InputError(f"{option} {shortened(text)}: {_EXPECTED}")
    values: list[object] = []
    name = key.strip()
    for part in _parts(value):
        try:
            name, one = parse_override(f"{key}={part}")
        except InputError as error:
            raise InputError(str(error).replace("--set", option, 1)) from None
        values.append(one)
    return name, values


def _numbers(scale: str | None, first: str, last: str, number: str) -> list[object]:
    if scale not in (None, "linear", "log"):
        raise InputError(f"found the scale '{scale}', expected linear or log")
    try:
        a, b = float(first), float(last)
        count = int(number)
    except ValueError:
        raise InputError(
            f"found {first}:{last}:{number}, expected two numbers and how many values"
        ) from None
    if not 2 <= count <= _MOST:
        raise InputError(f"found {count} values, expected 2 to {_MOST}")
    if not (math.isfinite(a) and math.isfinite(b)):
        raise InputError(f"found {first}:{last}, expected finite numbers")
    if scale == "log":
        if not (a > 0.0 and b > 0.0):
            raise InputError(f"found {first}:{last}, expected numbers above 0 on a log scale")
        values = [_rounded(v) for v in np.geomspace(a, b, count)]
    else:
        values = [_rounded(v) for v in np.linspace(a, b, count)]
    whole = all(re.fullmatch(r"[+-]?\d+", end.strip()) for end in (first, last))
    if whole and all(v.is_integer() for v in values):
        return [int(v) for v in values]
    return list(values)


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


def _parts(text: str) -> list[str]:
    """Split at the commas that are in no brackets and no quotes."""
    parts, depth, quote, begin = [], 0, "", 0
    for i, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter in "[{":
            depth += 1
        elif letter in "]}":
            depth -= 1
        elif letter == "," and depth == 0:
            parts.append(text[begin:i])
            begin = i + 1
    return [part.strip() for part in (*parts, text[begin:])]


def axes_of(vary: Vary) -> tuple[Axis, ...]:
    """The axes of what is given in Python, in its order.

    Raises:
        InputError: what is no list of values, or a tuple of another length than its keys.
    """
    axes = []
    for key, given in vary.items():
        keys = (key,) if isinstance(key, str) else key
        if not keys or not all(isinstance(k, str) for k in keys):
            raise InputError(f"vary: found the key {as_found(key)}, expected a text or several")
        if isinstance(given, str | bytes | Mapping) or not isinstance(given, Iterable):
            raise InputError(f"vary['{keys[0]}']: found {as_found(given)}, expected a list")
        values = [_plain(value) for value in given]
        if len(keys) == 1:
            rows = [(value,) for value in values]
        else:
            rows = [tuple(v) if isinstance(v, list | tuple) else (v,) for v in values]
        for row in rows:
            if len(row) != len(keys):
                raise InputError(
                    f"vary[{', '.join(keys)}]: found {as_found(row)}, expected {len(keys)} values"
                )
        axes.append(Axis(keys, tuple(rows)))
    return _checked(axes)


def as_vary(axes: Sequence[Axis]) -> dict[str | tuple[str, ...], Sequence[object]]:
    """Axes as they are given in Python."""
    return {
        axis.keys[0] if len(axis.keys) == 1 else axis.keys: [
            row[0] if len(axis.keys) == 1 else row for row in axis.values
        ]
        for axis in axes
    }


def _plain(value: object) -> object:
    """As TOML has it: what NumPy has made is a number or a list."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return value


def _checked(axes: Sequence[Axis]) -> tuple[Axis, ...]:
    seen: set[str] = set()
    for axis in axes:
        if not 1 <= len(axis.values) <= _MOST:
            raise InputError(
                f"{axis.keys[0]}: found {len(axis.values)} values, expected 1 to {_MOST}"
            )
        if len({repr(values) for values in axis.values}) < len(axis.values):
            raise InputError(f"{axis.keys[0]}: found a value twice, expected different ones")
        for key in axis.keys:
            if key in seen:
                raise InputError(f"{key}: found twice among what is varied, expected once")
            if key == "seed":
                raise InputError("seed: a sweep has its own ones; expected --seeds N instead")
            seen.add(key)
    return tuple(axes)
