"""A case as a user may give it: itself, the path of its file, or its table."""

from __future__ import annotations

import os
from collections.abc import Mapping

from meanfield.case.case import Case
from meanfield.checks import as_found
from meanfield.errors import InputError

__all__ = ["GivenCase", "as_case"]

GivenCase = Case | str | os.PathLike[str] | Mapping[str, object]
"""What stands for a case."""


def as_case(given: GivenCase) -> Case:
    """The case; files that a table names are found from the working directory.

    Raises:
        InputError: what is no case.
    """
    if isinstance(given, Case):
        return given
    if isinstance(given, str | os.PathLike):
        return Case.from_toml(given)
    if isinstance(given, Mapping):
        return Case.from_dict(given)
    raise InputError(f"case: found {as_found(given)}, expected a Case or the path of a case file")
