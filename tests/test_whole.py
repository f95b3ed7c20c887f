"""Files that are whole or absent, whatever happens while they are written."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from processes import Job, python

from meanfield.whole import finished_name, save_arrays, whole_file, write_text


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError, ValueError])
def test_an_error_in_the_middle_keeps_the_old_file(
    tmp_path: Path, error: type[BaseException], shared: bool
) -> None:
    path = tmp_path / "table.csv"
    write_text(path, "old")
    with pytest.raises(error), whole_file(path, shared=shared) as part:
        part.write_text("half of the n")
        assert path.read_text() == "old" and part.parent == path.parent
        raise error
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["table.csv"]


def test_an_error_on_the_way_to_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    for step in ("fsync", "replace"):
        write_text(tmp_path / "a.txt", "old")
        with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
            patch.setattr(os, step, full)
            write_text(tmp_path / "a.txt", "new")
        assert (tmp_path / "a.txt").read_text() == "old" and os.listdir(tmp_path) == ["a.txt"]


def test_what_a_killed_process_left_goes_with_the_next_one(
    tmp_path: Path, start: Callable[..., Job]
) -> None:
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from meanfield.whole import whole_file\n"
        "with whole_file(Path('a.txt')) as part:\n"
        "    part.write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    write_text(tmp_path / "a.txt", "old")
    assert start(*python("-c", code), cwd=tmp_path).finish().code == -signal.SIGKILL
    assert (tmp_path / "a.txt").read_text() == "old"
    assert {finished_name(name) for name in os.listdir(tmp_path)} == {None, "a.txt"}
    write_text(tmp_path / "a.txt", "new")
    assert os.listdir(tmp_path) == ["a.txt"] and (tmp_path / "a.txt").read_text() == "new"


def test_who_writes_the_same_file_has_a_name_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "ball.vtu.tmp").write_text("mine")
    with whole_file(tmp_path / "ball.vtu", shared=True) as part:
        part.write_text("mesh")
        assert str(os.getpid()) in part.name and finished_name(part.name) == "ball.vtu"
    assert sorted(os.listdir(tmp_path)) == ["ball.vtu", "ball.vtu.tmp"]


def test_names_of_unfinished_files() -> None:
    assert finished_name("run.json.tmp") == finished_name("run.json.417.tmp") == "run.json"
    assert finished_name("a-n20.5.npz.7.tmp") == "a-n20.5.npz"
    for name in ("run.json", ".tmp", "tmp", "run.json.tmp.bak"):
        assert finished_name(name) is None


def test_arrays_come_back(tmp_path: Path) -> None:
    save_arrays(tmp_path / "a.npz", x=np.arange(3.0), names=["one", "two"], d=3)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as data:
        assert data["x"].tolist() == [0.0, 1.0, 2.0] and data["names"].tolist() == ["one", "two"]
        assert int(data["d"]) == 3
    with pytest.raises(ValueError, match="allow_pickle"):
        save_arrays(tmp_path / "a.npz", x=np.array([object()]))
    with np.load(tmp_path / "a.npz") as data:
        assert sorted(data.files) == ["d", "names", "x"]
    assert os.listdir(tmp_path) == ["a.npz"]


def test_what_the_system_refuses_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Few of Python's functions that write tell it."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as refused:
        save_arrays(tmp_path / "a.npz", a=np.zeros(3))
    assert refused.value.filename == str(tmp_path / "a.npz")


def test_the_file_that_is_replaced_may_stay(tmp_path: Path) -> None:
    for text in ("one", "two", "three"):
        with whole_file(tmp_path / "a.txt", kept=tmp_path / "b.txt") as part:
            part.write_text(text)
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"a.txt": "three", "b.txt": "two"}
