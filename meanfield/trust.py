"""Whether code that a case file names may be run. Knows nothing of the rest of the package.

From Python it may: who calls us runs code anyway. The command line reads files of others, and
says so for each of its verbs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from meanfield.errors import InputError

__all__ = ["refuse_code", "running_code"]

_WHY_NOT: ContextVar[str | None] = ContextVar("why_not", default=None)


@contextmanager
def running_code(why_not: str | None) -> Iterator[None]:
    """While this lasts, code is not run, for a reason; None: it is."""
    token = _WHY_NOT.set(why_not)
    try:
        yield
    finally:
        _WHY_NOT.reset(token)


def refuse_code(path: Path) -> None:
    """To be called before the file ``path`` is run.

    Raises:
        InputError: it may not be.
    """
    why_not = _WHY_NOT.get()
    if why_not is not None:
        raise InputError(f"path: {path} is Python code, {why_not}")
