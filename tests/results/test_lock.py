"""A folder has one writer; who died or has ended is none."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from processes import Job, python

from meanfield.errors import InputError, MeanfieldWarning
from meanfield.results.lock import LOCK_FILE, locked

WAIT = """
import sys, time
from pathlib import Path
from meanfield.results.lock import locked
with locked(Path("here"), "sweep"):
    print("mine", flush=True)
    time.sleep(1e6)
"""


def test_the_second_writer_is_told_of_the_first(tmp_path: Path, start: Callable[..., Job]) -> None:
    job = start(*python("-c", WAIT), cwd=tmp_path)
    job.wait_until((tmp_path / "here" / LOCK_FILE).is_file, "lock")
    assert job.process.stdout is not None
    job.process.stdout.readline()
    told = rf"meanfield sweep \(process {job.pid} on \S+, since 20\d\d-\S+\) is writing in"
    with pytest.raises(InputError, match=told), locked(tmp_path / "here", "run"):
        pytest.fail("two writers")
    # However the first one ends, it is no obstacle then, and no file of it stays.
    job.send(signal.SIGKILL)
    job.finish()
    assert os.listdir(tmp_path / "here") == [LOCK_FILE]
    with locked(tmp_path / "here", "run"):
        (tmp_path / "here" / "a.txt").write_text("a")
    assert os.listdir(tmp_path / "here") == ["a.txt"]


def test_other_threads_are_other_writers(tmp_path: Path) -> None:
    refused: list[InputError] = []

    def second() -> None:
        try:
            with locked(tmp_path, "plot"):
                pass
        except InputError as error:
            refused.append(error)

    with locked(tmp_path, "run"):
        with locked(tmp_path / "." / "..", "of another folder"):
            pass
        with locked(tmp_path / ".", "what this one does, too"):
            thread = threading.Thread(target=second)
            thread.start()
            thread.join()
        assert (tmp_path / LOCK_FILE).is_file()  # that of the outer one
    assert len(refused) == 1 and f"process {os.getpid()}" in str(refused[0])
    second()
    assert len(refused) == 1


def test_a_lock_whose_file_is_taken_away_is_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its owner ends between the moment when the file is opened and that when it is locked."""
    flock, calls = fcntl.flock, []

    def late(file: int, how: int) -> None:
        if not calls:
            (tmp_path / LOCK_FILE).unlink()
        calls.append(os.fstat(file).st_ino)
        flock(file, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with locked(tmp_path, "run"):
        assert len(calls) == 2
        assert (tmp_path / LOCK_FILE).stat().st_ino == calls[1]


def test_file_systems_without_locks_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(file: int, how: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.warns(MeanfieldWarning, match="has no locks"), locked(tmp_path, "run"):
        pass


def test_folders_that_nothing_was_written_to_do_not_stay(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(ZeroDivisionError), locked(tmp_path / "a" / "b" / "c", "run"):
        assert os.listdir(tmp_path / "a" / "b" / "c") == [LOCK_FILE]
        raise ZeroDivisionError
    assert os.listdir(tmp_path) == ["a"] and not os.listdir(tmp_path / "a")
    with locked(tmp_path / "a" / "b", "run"):
        (tmp_path / "a" / "b" / "a.txt").write_text("a")
    assert os.listdir(tmp_path / "a" / "b") == ["a.txt"]


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a")
    with pytest.raises(InputError, match="cannot make the folder"), locked(tmp_path / "file", "x"):
        pass
    (tmp_path / "folder" / LOCK_FILE).mkdir(parents=True)
    with pytest.raises(InputError, match="cannot write "), locked(tmp_path / "folder", "x"):
        pass


def test_a_file_of_the_name_is_no_way_out(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / LOCK_FILE).symlink_to(tmp_path / "mine.txt")
    with pytest.raises(InputError, match="cannot write "), locked(tmp_path / "x", "run"):
        pass
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_a_copy_of_the_process_has_no_lock_and_holds_none(tmp_path: Path) -> None:
    """Its parent may be killed while it lives."""
    with locked(tmp_path, "run"):
        out, into = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                with locked(tmp_path, "run"):
                    os.write(into, b"both")
            except InputError:
                os.write(into, b"refused")
            os.read(os.open(os.devnull, os.O_RDONLY), 1)
            signal.pause()
        assert os.read(out, 10) == b"refused"
    with locked(tmp_path, "run"):  # although the copy is alive
        pass
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def test_others_may_lock_after_a_killed_owner(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    before = os.umask(0o077)
    try:
        with locked(tmp_path, "run"):
            assert (tmp_path / LOCK_FILE).stat().st_mode & 0o777 == 0o666
    finally:
        os.umask(before)
