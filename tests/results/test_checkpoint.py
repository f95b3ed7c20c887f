"""A checkpoint comes back bit for bit, or is refused: never half of one."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from meanfield.errors import InputError
from meanfield.results.checkpoint import load_checkpoint, save_checkpoint


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    rng = np.random.default_rng(3)
    path = tmp_path / "checkpoint.npz"
    save_checkpoint(path, t=1.25, rho=rng.random(500), case_toml='title = "β"\n')
    return path


def test_every_kind_of_value_returns_exactly(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rho = rng.random(100) * 10.0 ** rng.integers(-300, 300, 100)
    history = np.asfortranarray(rng.random((2, 100, 3)))
    path = tmp_path / "c.npz"
    text = 'title = "κ = 0"\nseed = 3\n'
    save_checkpoint(
        path, t=0.1 + 0.2, step=7, ok=True, rho=rho, history=history, empty=np.zeros(0), case=text
    )
    back = load_checkpoint(path)
    assert list(back) == ["t", "step", "ok", "rho", "history", "empty", "case"]
    assert back["t"] == 0.1 + 0.2 and type(back["t"]) is float
    assert back["step"] == 7 and type(back["step"]) is int
    assert back["ok"] is True
    assert back["case"] == text and type(back["case"]) is str
    assert back["rho"].dtype == np.float64 and back["rho"].tobytes() == rho.tobytes()
    np.testing.assert_array_equal(back["history"], history)
    assert back["empty"].shape == (0,)


def test_replacing_leaves_no_other_file(saved: Path) -> None:
    save_checkpoint(saved, t=2.0)
    assert load_checkpoint(saved) == {"t": 2.0}
    assert os.listdir(saved.parent) == [saved.name]


def test_failure_while_writing_keeps_the_old_one(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = saved.read_bytes()

    def full_disk(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(saved, t=2.0, rho=np.ones(1000))
    assert saved.read_bytes() == before
    assert os.listdir(saved.parent) == [saved.name]


def test_what_would_need_pickle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="'law' is dict"):
        save_checkpoint(tmp_path / "c.npz", t=0.0, law={"type": "uniform"})
    with pytest.raises(TypeError, match="'nothing' is NoneType"):
        save_checkpoint(tmp_path / "c.npz", nothing=None)
    assert not list(tmp_path.iterdir())


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no checkpoint at .*c\.npz"):
        load_checkpoint(tmp_path / "c.npz")


def test_truncation_anywhere_is_detected(saved: Path) -> None:
    whole = saved.read_bytes()
    for length in [*range(0, len(whole), 97), len(whole) - 1]:
        saved.write_bytes(whole[:length])
        with pytest.raises(InputError, match="truncated or damaged"):
            load_checkpoint(saved)


def test_a_flipped_byte_is_detected_or_harmless(saved: Path) -> None:
    """Not every byte of a zip file matters (time stamps): the others must be refused."""
    whole = saved.read_bytes()
    good = load_checkpoint(saved)
    detected = 0
    positions = range(0, len(whole), 3)
    for position in positions:
        damaged = bytearray(whole)
        damaged[position] ^= 0xFF
        saved.write_bytes(damaged)
        try:
            back = load_checkpoint(saved)
        except InputError:
            detected += 1
        else:
            assert back["t"] == good["t"] and back["case_toml"] == good["case_toml"]
            np.testing.assert_array_equal(back["rho"], good["rho"])
    assert detected > 0.9 * len(positions)


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.npz"
    with open(path, "wb") as handle:
        np.savez(handle, rho=np.ones(3))
    with pytest.raises(InputError, match="no mark of this package"):
        load_checkpoint(path)
    with open(path, "wb") as handle:
        np.savez(handle, meanfield_checkpoint=99, rho=np.ones(3))
    with pytest.raises(InputError, match="version 99"):
        load_checkpoint(path)
    with open(path, "wb") as handle:
        np.save(handle, np.ones(3))
    with pytest.raises(InputError, match="truncated or damaged"):
        load_checkpoint(path)
