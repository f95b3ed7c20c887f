"""Arguments of public functions: what is of another type than they say is refused by name.

One decorator for functions and methods, ``checked_arguments``, and one for dataclasses,
``checked_fields``: both read the annotations. Ranges, and what arrays hold, are a matter of the
function itself. For what users call; not for what is called in every step.
"""

from __future__ import annotations

import functools
import inspect
import numbers
import os
import sys
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, ParamSpec, TypeVar, Union, get_args, get_origin

import numpy as np
from annotated_types import Ge

from meanfield.checks import as_found, choice_in_words
from meanfield.errors import InputError

__all__ = [
    "ON_ALL_RANKS",
    "Count",
    "PathLike",
    "checked_arguments",
    "checked_fields",
    "refuse_other",
]

P = ParamSpec("P")
R = TypeVar("R")
C = TypeVar("C", bound=type)

Count = Annotated[int, Ge(0)]
"""A number of things."""
ON_ALL_RANKS = "checked on all ranks together"
"""Mark of what may differ between ranks: one that refused it alone would be waited for."""
PathLike = str | os.PathLike[str]
"""Where something is."""


def refuse_other(name: str, value: object, wanted: object) -> None:
    """Refuse a value of another type than an annotation says.

    Args:
        name: of the argument.
        value: of it.
        wanted: the annotation, as an object.

    Raises:
        InputError: with what was found and what was expected.
    """
    if _fits(value, wanted):
        return
    for part in get_args(wanted) if get_origin(wanted) in (Union, types.UnionType) else (wanted,):
        if get_origin(part) in (Sequence, Iterable) and isinstance(value, Sequence | np.ndarray):
            if _fits(value, get_origin(part)):  # a list: one of what is in it does not fit
                for i, one in enumerate(value):
                    refuse_other(f"{name}[{i}]", one, get_args(part)[0])
    raise InputError(f"{name}: found {as_found(value)}, expected {_in_words(wanted)}")


def checked_arguments(function: Callable[P, R]) -> Callable[P, R]:
    """A function that looks at the types of its arguments before anything else.

    What it raises then is an ``InputError`` that begins with the name of the argument.
    """
    return _checked(function, (function.__module__,))


def _checked(function: Callable[P, R], modules: Sequence[str]) -> Callable[P, R]:
    """See ``checked_arguments``; ``modules`` have the names in its annotations, the last first."""
    signature = inspect.signature(function)

    @functools.cache
    def wanted() -> dict[str, object]:  # names may be of modules that are not loaded yet
        names: dict[str, object] = {}
        for module in modules:
            names |= vars(sys.modules[module])
        return _annotations(signature, names)

    @functools.wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            given = signature.bind(*args, **kwargs).arguments
        except TypeError:  # an argument too many or too few: Python's own words, by name
            return function(*args, **kwargs)
        for name, value in given.items():
            if name in wanted():
                refuse_other(name, value, wanted()[name])
        return function(*args, **kwargs)

    return checked


def checked_fields(kind: C) -> C:
    """A dataclass that looks at the types of its fields before anything else."""
    # Fields that are inherited have annotations with the names of the module they come from.
    modules = [base.__module__ for base in reversed(kind.__mro__)]
    kind.__init__ = _checked(kind.__init__, modules)  # type: ignore[misc]
    return kind


# ------------------------------------------------------------------ annotations


def _annotations(signature: inspect.Signature, names: Mapping[str, object]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, parameter in signature.parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        said = parameter.annotation
        if isinstance(said, str):
            try:
                said = eval(said, dict(names))
            except NameError:
                continue
        if said is not inspect.Parameter.empty:
            found[name] = said
    return found


def _fits(value: object, wanted: object) -> bool:
    origin, parts = get_origin(wanted), get_args(wanted)
    if origin in (Union, types.UnionType):
        return any(_fits(value, part) for part in parts)
    if origin is Annotated:
        if ON_ALL_RANKS in parts[1:]:
            return True
        least = next((mark.ge for mark in parts[1:] if isinstance(mark, Ge)), None)
        return _fits(value, parts[0]) and (least is None or value >= least)  # type: ignore[operator]
    if origin is Literal:
        return any(type(value) is type(part) for part in parts)  # who takes it knows the words
    if wanted is None or wanted is type(None):
        return value is None
    if wanted is bool:
        return isinstance(value, bool | np.bool_)
    if wanted in (int, float):
        kind: type = numbers.Integral if wanted is int else numbers.Real
        return isinstance(value, kind) and not isinstance(value, bool) and value == value  # no nan
    return _is_of(value, origin or wanted, parts)


def _is_of(value: object, kind: object, parts: Sequence[object]) -> bool:
    """Whether a value is of a class; of a list, whether all that is in it is of its class."""
    if kind is Callable:
        return callable(value)
    if not isinstance(kind, type) or issubclass(kind, np.ndarray):
        return True  # arrays are taken from lists, too, and looked at by who knows their shape
    if kind is tuple or kind not in (Sequence, Iterable):
        return isinstance(value, kind)
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        return False
    if isinstance(value, Sequence | np.ndarray):
        listed = not isinstance(value, np.ndarray) or value.ndim == 1
        return listed and (not parts or all(_fits(one, parts[0]) for one in value))
    return kind is Iterable


# ------------------------------------------------------------------ words

_WORDS: dict[object, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    type(None): "None",
    Callable: "a function",
    Mapping: "a mapping",
    Path: "a path",
    os.PathLike: "a path",
    PathLike: "a path",
    PathLike | None: "a path or None",
    np.random.Generator: "a numpy.random.Generator, such as numpy.random.default_rng(0)",
}


def _in_words(wanted: object) -> str:
    origin, parts = get_origin(wanted), get_args(wanted)
    known = next((key for key in (wanted, origin) if key is not None and key in _WORDS), None)
    if known is not None:
        return _WORDS[known]
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(_in_words(part) for part in parts))
    if origin is Annotated:
        least = next((mark.ge for mark in parts[1:] if isinstance(mark, Ge)), None)
        return _in_words(parts[0]) + ("" if least is None else f", {least} or more")
    if origin is Literal:
        return choice_in_words([str(part) for part in parts])
    if origin in (Sequence, Iterable) or wanted is Sequence:
        return f"a list ({_in_words(parts[0])} each)" if parts else "a list"
    kind = origin or wanted
    name = getattr(kind, "__name__", str(kind))
    return f"{'an' if name[0] in 'AEIOU' else 'a'} {name}"
