"""Functions that a user gives, from Python or from a Python file that a case names.

A file is run (``--trust``): use only what you trust.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationInfo

from meanfield.checks import as_found
from meanfield.errors import InputError
from meanfield.geometry.laws.files import load_function
from meanfield.geometry.sphere import Array

__all__ = ["from_python", "loaded", "with_origin"]

UserFunction = Callable[[Array], Array]


def from_python(value: object, info: ValidationInfo) -> object:
    """A validator: a function is none of a case file's, which names the file that it is in.

    Raises:
        InputError: it is read from one.
    """
    if info.context:
        raise InputError(
            "a case file names a Python file, expected path (and call, the name of the function "
            "in it)"
        )
    return value


def loaded(
    given: UserFunction | None, key: str, path: Path | None, call: str, what: str
) -> UserFunction:
    """The function that was given or, where none was, that of a file; it has a hash.

    Args:
        given: from Python.
        key: of the argument that it was given as.
        path, call: the file, and the name of the function in it.
        what: the function is, for messages.

    Raises:
        InputError: neither of the two, or the file has no such function.
    """
    if given is None:
        if path is None:
            raise InputError(
                f"path: expected the name of a Python file with the {what}, found nothing"
            )
        try:
            return load_function(path, call)
        except InputError as error:
            name, _, rest = str(error).partition(": ")
            name = {"name": "call"}.get(name, name)
            raise InputError(f"{name}: {rest}") from None
    if not callable(given):
        raise InputError(f"{key}: expected a function, found {as_found(given)}")
    try:
        hash(given)
    except TypeError:  # such as polynomials of NumPy's: known by identity then
        return _Hashed(given)
    return given


def with_origin(table: dict[str, object], function: object) -> dict[str, object]:
    """The table of a section, which says of a function from Python that it is one."""
    if table.get("path") is None:
        name = getattr(function, "__name__", "function")
        table["path"] = f"(made in Python: {name})"
    return table


class _Hashed:
    """A function that has no hash."""

    def __init__(self, function: UserFunction) -> None:
        self._function = function

    def __call__(self, x: Array) -> Array:
        return self._function(x)
