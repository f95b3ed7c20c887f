"""What is said on the screen, by rank 0 only, and the exit codes. Knows no verb.

Exit codes: 0 done, 2 the input cannot be used (one line says why), 3 the computed state broke an
invariant, 4 the system refused (a full disk, a folder that is gone), 128 + n ended by signal n
(130: Ctrl-C).
"""

from __future__ import annotations

import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from meanfield.cli import screen
from meanfield.errors import BrokenInvariantError, MeanfieldWarning
from meanfield.surroundings import launched, launched_rank

__all__ = [
    "EXIT_BROKEN",
    "EXIT_INPUT",
    "EXIT_SYSTEM",
    "announce",
    "code_of",
    "complain",
    "ended",
    "rank",
    "ranks",
    "say",
    "study_ended",
    "system_words",
    "warnings_in_one_line",
]

EXIT_INPUT = 2
EXIT_BROKEN = 3
EXIT_SYSTEM = 4


def code_of(stop: KeyboardInterrupt | int) -> int:
    """The exit code of what a signal has ended: its number, or what it raised."""
    return 128 + (stop if isinstance(stop, int) else getattr(stop, "number", signal.SIGINT))


def system_words(error: OSError) -> str:
    """What the system has refused, in words."""
    where = f": {error.filename}" if error.filename else ""
    return f"{error.strerror or error}{where}"


def ranks() -> int:
    """Give the number of processes that were started together, without importing MPI if it can."""
    told = launched()
    if told is not None:
        return told
    from meanfield.software import load_mpi

    return int(load_mpi().COMM_WORLD.size)


def rank() -> int:
    """Give the number of this process among those."""
    if ranks() == 1:
        return 0
    number = launched_rank()
    if number is None:
        from meanfield.software import load_mpi

        number = int(load_mpi().COMM_WORLD.rank)
    return number


def say(text: str = "", stream: TextIO | None = None, everywhere: bool = False) -> None:
    """Write a text on rank 0, by one call: mpirun may join the pieces of two streams."""
    if everywhere or rank() == 0:
        stream = stream or sys.stdout
        stream.write(text + "\n")
        stream.flush()


def announce(*lines: str) -> None:
    """Say what is begun: when what can be checked has been, so that a refusal is one line."""
    say("\n".join(f"meanfield: {line}" for line in lines))


def complain(text: str, everywhere: bool = False) -> None:
    """Say what is wrong, or should be known; ``everywhere``: not only on rank 0."""
    say(f"meanfield: {screen.marked(text, sys.stderr)}", sys.stderr, everywhere)


def ended(code: int, why: str) -> int:
    """Say why a verb ends before its end; gives the exit code."""
    complain(why)
    return code


def study_ended(stop: KeyboardInterrupt | BrokenInvariantError) -> int:
    """Say why a study of several runs ends before its end; gives the exit code."""
    if isinstance(stop, BrokenInvariantError):
        return ended(EXIT_BROKEN, f"broken invariant: {stop}")
    return ended(
        code_of(stop),
        "interrupted: what is finished is kept, repeat the command with --resume (and without "
        "--overwrite) to go on",
    )


@contextmanager
def warnings_in_one_line() -> Iterator[None]:
    """Show the package's own warnings without file names and code, on rank 0 only."""
    with warnings.catch_warnings():
        default = warnings.showwarning

        def show(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if issubclass(category, MeanfieldWarning):
                complain(f"warning: {message}")
            elif rank() == 0:
                default(message, category, filename, lineno, file, line)

        warnings.showwarning = show
        yield
