"""Errors that the user can mend, and the nearest valid name for a mistyped one.

Owns the one exception class that the command line turns into a single line and exit code 2.
Knows nothing of the rest of the package.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

__all__ = ["BrokenInvariantError", "InputError", "MeanfieldWarning", "OtherRankError", "suggest"]


class InputError(ValueError):
    """Something the user gave cannot be used: says what was found and what was expected.

    In one line, whatever it is: arrays and other things that are shown may have several.

    Example:
        >>> try:
        ...     mf.Sphere(level=-1)
        ... except mf.InputError as error:
        ...     print(error)
        geometry.level: expected a whole number from 0 to 10, found -1
    """

    def __str__(self) -> str:
        return re.sub(r"\s*\n\s*", " ", super().__str__())


class BrokenInvariantError(RuntimeError):
    """A computed state lost what the scheme guarantees (NaN, lost mass, negative density).

    Example:
        >>> def refuse(solver):
        ...     if solver.t > 0.5:
        ...         raise mf.BrokenInvariantError('too late')
    """


class OtherRankError(RuntimeError):
    """Something failed on another rank, where the error itself is raised: its text."""


class MeanfieldWarning(UserWarning):
    """A result is usable but something about it should be known; also recorded in the run.

    Example:
        >>> import warnings
        >>> warnings.simplefilter('ignore', mf.MeanfieldWarning)
    """


def suggest(name: str, valid: Iterable[str]) -> str:
    """Return `` (did you mean 'x'?)`` for the nearest valid name, or an empty string.

    Also for an abbreviation by initials: "vmf" is nearest to "von-mises-fisher".
    """
    names = sorted(valid)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if not close and len(name) > 1:
        close = [n for n in names if "".join(w[:1] for w in re.split("[-_ ]", n)) == name.lower()]
    return f" (did you mean '{close[0]}'?)" if close else ""
