"""Matrices from .npy, .npz and .safetensors files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from meanfield.case.matrixfiles import array_name, read_matrix
from meanfield.errors import InputError
from meanfield.geometry.sphere import Array

W = np.random.default_rng(0).standard_normal((3, 2))
TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}


def tensors(path: Path, kinds: Mapping[str, str], array: Array = W) -> Path:
    """A file of one array in several types, as the format is described."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    data = b""
    for name, kind in kinds.items():
        if kind == "BF16":  # the upper half of each float32, rounded towards zero
            raw = (array.astype("<f4").view("<u4") >> 16).astype("<u2").tobytes()
        else:
            raw = array.astype(TYPES[kind]).tobytes()
        header[name] = {
            "dtype": kind,
            "shape": list(array.shape),
            "data_offsets": [len(data), len(data) + len(raw)],
        }
        data += raw
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


@pytest.mark.parametrize(
    ("kind", "digits"), [("F64", 0.0), ("F32", 1e-7), ("F16", 1e-3), ("BF16", 1e-2)]
)
def test_types_of_tensors(kind: str, digits: float, tmp_path: Path) -> None:
    path = tensors(tmp_path / "one.safetensors", {"model.layers.0.q": kind})
    assert array_name(path, None) is None
    found = read_matrix(path, None)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, W, rtol=digits, atol=0.0)


def test_arrays_by_their_names(tmp_path: Path) -> None:
    several = tensors(tmp_path / "w.safetensors", {"K0": "F16", "Q0": "F64"})
    np.testing.assert_array_equal(read_matrix(several, "Q0"), W)
    zipped = tmp_path / "w.npz"
    np.savez(zipped, K0=2 * W, Q0=W.astype(np.float32))
    for path in (several, zipped):
        np.testing.assert_allclose(read_matrix(path, "Q0"), W, rtol=1e-6)
        with pytest.raises(InputError, match=r"no array 'K' in .*did you mean 'K0'.*one of K0, Q0"):
            array_name(path, "K")
        with pytest.raises(InputError, match=rf'holds 2 arrays.*"{path.name}:K0": K0, Q0'):
            array_name(path, None)
    alone = tmp_path / "one.npz"
    np.savez(alone, W)
    np.testing.assert_array_equal(read_matrix(alone, None), W)
    np.save(tmp_path / "w.npy", W.astype(np.int8))
    np.testing.assert_array_equal(read_matrix(tmp_path / "w.npy", None), W.astype(np.int8))
    with pytest.raises(InputError, match="holds one array without a name"):
        array_name(tmp_path / "w.npy", "K0")


def cut(path: Path, by: int) -> Path:
    path.write_bytes(path.read_bytes()[:-by])
    return path


def test_what_is_no_matrix_of_a_file(tmp_path: Path) -> None:
    np.save(tmp_path / "c.npy", W + 1j)
    np.save(tmp_path / "o.npy", np.array([[None]]), allow_pickle=True)
    np.savez(tmp_path / "none.npz")
    np.save(tmp_path / "cut.npy", W)
    np.savez(tmp_path / "cut.npz", a=W)
    (tmp_path / "text.safetensors").write_text("text " * 10)
    (tmp_path / "empty.safetensors").touch()
    (tmp_path / "w.mat").touch()
    odd = tensors(tmp_path / "odd.safetensors", {"a": "F32"})
    odd.write_bytes(odd.read_bytes().replace(b"F32", b"I64"))
    short = tensors(tmp_path / "short.safetensors", {"a": "F32"})
    short.write_bytes(
        short.read_bytes().replace(b'"data_offsets": [0, 24]', b'"data_offsets": [0, 16]')
    )
    cut(tensors(tmp_path / "cut.safetensors", {"a": "F64"}), 8)
    cut(tmp_path / "cut.npy", 8)
    cut(tmp_path / "cut.npz", 40)
    for name, words in {
        "c.npy": "complex128", "o.npy": "no whole .npy", "none.npz": "holds no array",
        "cut.npy": "no whole .npy", "cut.npz": "no whole .npz",
        "text.safetensors": "its header is cut", "empty.safetensors": "its header is cut",
        "odd.safetensors": "a tensor of I64", "short.safetensors": "does not fit its data",
        "cut.safetensors": "no whole .safetensors", "w.mat": "expected a file .npy, .npz",
        "w.npy": "found no file",
    }.items():  # fmt: skip
        with pytest.raises(InputError) as caught:
            read_matrix(tmp_path / name, None)
        said = str(caught.value)
        assert words in said and name in said and "\n" not in said, said
