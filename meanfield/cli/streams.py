"""What the command writes to: a terminal, a file, a pipe that nobody reads any more, or nothing.

Knows nothing of what is written. That nobody listens is no reason to stop working.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast

__all__ = ["lasting_streams"]


_NOBODY_READS = (errno.EPIPE, errno.EIO, errno.EBADF)
"""A pipe whose reader has ended, a terminal that hung up, a stream that is closed."""


class _Lasting:
    """A stream that swallows what can no longer be written, as its reader has gone away.

    Attributes:
        lost: what was lost although somebody may want it, as in a file on a full disk.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._gone = stream, False
        self.lost: OSError | None = None

    def write(self, text: str) -> int:
        """Write a text, if anybody is there."""
        return self._try(lambda: self._stream.write(text)) or len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write several."""
        self.write("".join(lines))

    def flush(self) -> None:
        """Bring it to its reader, if anybody is there."""
        self._try(self._stream.flush)

    def _try(self, action: Any) -> Any:
        if self._gone:
            return None
        try:
            return action()
        except UnicodeError:
            raise
        except (OSError, ValueError) as error:  # ValueError: it is closed
            self._gone = True
            if isinstance(error, OSError) and error.errno not in _NOBODY_READS:
                self.lost = error
            with suppress(OSError, ValueError):
                # What is left in the buffer is written when Python ends: to nowhere.
                number = os.open(os.devnull, os.O_WRONLY)
                os.dup2(number, self._stream.fileno())
                os.close(number)
            return None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _open_standard_numbers() -> None:
    """Have 0, 1 and 2 name something: a file opened next would get a number that is free.

    Libraries write there without asking.
    """
    while True:
        number = os.open(os.devnull, os.O_RDWR)
        if number > 2:
            os.close(number)
            return


def _lasting(stream: TextIO | None) -> _Lasting:
    if stream is None:
        stream = open(os.devnull, "w", encoding="utf-8")
    return _Lasting(stream)


@contextmanager
def _taking_any_letter(*streams: TextIO | None) -> Iterator[None]:
    """Let streams write a question mark for what they have no letter for."""
    before = [(s, s.errors) for s in streams if isinstance(s, io.TextIOWrapper)]
    for stream, errors in before:
        if errors in ("strict", "surrogateescape"):
            stream.reconfigure(errors="replace")
    try:
        yield
    finally:
        for stream, errors in before:
            with suppress(ValueError):  # it was closed meanwhile
                stream.reconfigure(errors=errors)


@contextmanager
def lasting_streams() -> Iterator[Callable[[], OSError | None]]:
    """Let standard output and error take whatever is written, whether it gets anywhere or not.

    Yields what tells, at the end, why standard output has lost something that may be wanted.
    """
    _open_standard_numbers()
    before = sys.stdout, sys.stderr
    out, err = (_lasting(stream) for stream in before)
    sys.stdout, sys.stderr = cast(TextIO, out), cast(TextIO, err)

    def lost() -> OSError | None:
        out.flush()
        return out.lost

    try:
        with _taking_any_letter(*before):
            yield lost
            out.flush()
            err.flush()
    finally:
        sys.stdout, sys.stderr = before
