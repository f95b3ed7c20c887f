"""Forms of export: each a module of this name with its ``EXPORT``.

A new one is a file here, and its line below.
"""

from __future__ import annotations

from meanfield.errors import InputError, suggest
from meanfield.results.exports import csv, npz, pvd, xdmf
from meanfield.results.exports.base import Data, Exporter

__all__ = ["EXPORTS", "Data", "Exporter", "exporter_named"]

EXPORTS: dict[str, Exporter] = {
    "pvd": pvd.EXPORT,
    "xdmf": xdmf.EXPORT,
    "npz": npz.EXPORT,
    "csv": csv.EXPORT,
}
"""By their names."""


def exporter_named(name: str) -> Exporter:
    """The form of this name.

    Raises:
        InputError: there is none.
    """
    if name not in EXPORTS:
        raise InputError(
            f"to: found '{name}', expected one of {', '.join(EXPORTS)}{suggest(name, EXPORTS)}"
        )
    return EXPORTS[name]
