"""One writer in a folder at a time: a lock of the operating system, which dies with its owner.

Owns the file of the lock, which also says who holds it. Knows nothing of what is written; readers
do not ask.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from meanfield.errors import InputError, MeanfieldWarning
from meanfield.software import utc_now

__all__ = ["LOCK_FILE", "locked"]

LOCK_FILE = ".meanfield.lock"

_NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}
"""What file systems without locks answer, such as Lustre mounted without ``flock``."""

_held: dict[str, int] = {}  # the thread that has the folder
_open: set[int] = set()  # files of the locks of this process


def _let_go() -> None:
    """A copy (fork) of this process has none of its locks, and does not outlive them."""
    for file in _open:
        with suppress(OSError):
            os.close(file)
    _open.clear()
    _held.clear()


os.register_at_fork(after_in_child=_let_go)


@contextmanager
def locked(folder: Path, what: str, instead: str = "") -> Iterator[None]:
    """Keep other writers out of a folder, in this process, in others and on other machines.

    The lock is ``flock``'s: it is gone when its owner is, however that ended; on NFS it holds for
    all machines. It may be taken again by the thread that has it. The folder is made if need be,
    and taken away again if nothing is in it at the end.

    Args:
        folder: the folder; it and its parents may be missing.
        what: who is writing, as others are told: "run".
        instead: what may be done where somebody else is writing, besides to wait.

    Raises:
        InputError: somebody else is writing: says who, where and since when; or nothing can be
            written there.
    """
    place, me = os.path.realpath(folder), threading.get_ident()
    if _held.get(place) == me:
        yield
        return
    made = _made(folder)
    try:
        file = _taken(folder, what, instead)
        _held[place] = me
        try:
            yield
        finally:
            _held.pop(place, None)
            if file in _open:  # and not in a copy of the process that has it
                _open.discard(file)
                # While it is held: who waits for this file then finds that it is no longer this.
                with suppress(OSError):
                    (folder / LOCK_FILE).unlink()
                os.close(file)
    finally:
        for path in made:
            with suppress(OSError):  # it is not empty
                path.rmdir()


def _made(folder: Path) -> list[Path]:
    """Make a folder; gives what was missing, the innermost first."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {folder}: {error.strerror}") from None
    return missing


def _taken(folder: Path, what: str, instead: str) -> int:
    """Take the lock; gives its open file."""
    path = folder / LOCK_FILE
    while True:
        try:
            # Whoever may write in the folder may do so after us.
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
            with suppress(OSError):
                os.fchmod(file, 0o666 & folder.stat().st_mode)
        except FileNotFoundError:
            folder.mkdir(parents=True, exist_ok=True)  # taken away just now by who had made it
            continue
        except OSError as error:
            raise InputError(f"cannot write {path}: {error.strerror}") from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = _owner(file)
            os.close(file)
            advice = f"wait for its end, or stop it{instead and f', or {instead}'}"
            raise InputError(f"{owner} is writing in the folder {folder}: {advice}") from None
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                os.close(file)
                raise InputError(f"cannot lock the folder {folder}: {error.strerror}") from None
            warnings.warn(
                f"the file system of {folder} has no locks ({error.strerror}): nothing keeps a "
                "second writer out of it",
                MeanfieldWarning,
                stacklevel=4,
            )
        if _is_still(path, file):
            break
        os.close(file)  # its owner has taken it away just now
    about = {
        "what": what,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "since": utc_now(),
    }
    _open.add(file)
    with suppress(OSError):  # a full disk is told by what is written for its own sake
        os.ftruncate(file, 0)
        os.pwrite(file, json.dumps(about).encode(), 0)
    return file


def _is_still(path: Path, file: int) -> bool:
    """Whether an open file is the one of this name."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(file))
    except FileNotFoundError:
        return False


def _owner(file: int) -> str:
    """Who holds the lock, in words."""
    try:
        about = json.loads(os.pread(file, 4096, 0))
        return (
            f"meanfield {about['what']} (process {about['pid']} on {about['host']}, since "
            f"{about['since']})"
        )
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
