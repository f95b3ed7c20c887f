"""Formats of field files: each a module, or package, of this name with its ``FORMAT``.

A new format is a file here, and its name in ``case.output.FormatName``. Runs write, and figures
read, by this registry only; a format is imported when it is used.
"""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path

from meanfield.arguments import checked_arguments
from meanfield.results.formats.base import (
    INNER_PRODUCT_EDGES,
    LOG10_FLOOR,
    FieldFile,
    FieldSeries,
    Format,
    TokenFile,
    TokenSeries,
)

__all__ = [
    "INNER_PRODUCT_EDGES",
    "LOG10_FLOOR",
    "FieldFile",
    "FieldSeries",
    "Format",
    "TokenFile",
    "TokenSeries",
    "format_named",
    "format_of",
    "read_fields",
    "read_tokens_file",
]

_DEFAULT = "vtkhdf"


def format_named(name: str) -> Format:
    """The format of this name.

    Raises:
        InputError: a library is missing that it takes; who is going to write asks before.
    """
    made: Format = importlib.import_module(f"{__name__}.{name}").FORMAT
    return made


def format_of(path: Path) -> Format:
    """By the ending of the name; of any other one, the default."""
    name = path.suffix.removeprefix(".")
    known = name.isidentifier() and importlib.util.find_spec(f"{__name__}.{name}") is not None
    return format_named(name if known and name != "base" else _DEFAULT)


@checked_arguments
def read_fields(path: str | Path) -> FieldSeries:
    """Open a field file of a finished, running or killed run.

    Raises:
        InputError: if there is no such file or no run wrote it.

    Example:
        >>> fields = mf.read_fields('results/clustering/fields.vtkhdf')
        >>> fields.read('rho', -1).shape
        (162,)
    """
    return format_of(Path(path)).read_fields(Path(path))


@checked_arguments
def read_tokens_file(path: str | Path) -> TokenSeries:
    """Open a particle file of a finished, running or killed run.

    Raises:
        InputError: if there is no such file or no run wrote it.
    """
    return format_of(Path(path)).read_tokens(Path(path))
