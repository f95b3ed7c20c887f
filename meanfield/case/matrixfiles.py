"""Matrices from files: .npy, .npz and .safetensors, of which one array is taken by its name.

Safetensors are read here: the package of that name has no NumPy type for BF16, in which weights of
transformers mostly are. Knows formats; nothing of heads.
"""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from meanfield.checks import shortened
from meanfield.errors import InputError, suggest
from meanfield.geometry.sphere import Array

__all__ = ["MATRIX_FILES", "array_name", "read_matrix", "tensor_shapes"]

T = TypeVar("T")

_LONGEST_HEADER = 100_000_000  # bytes, as the format has it
_TENSORS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}


def array_name(path: Path, name: str | None) -> str | None:
    """The name of the array that is meant; None: the file has one without a name.

    Raises:
        InputError: no such file or array, or several of them and no name.
    """
    read = _reader(path)
    names = _guarded(path, lambda: read.names(path))
    if names is None:
        if name is not None:
            raise InputError(f"found the name '{name}', but {path} holds one array without a name")
        return None
    if not names:
        raise InputError(f"{path} holds no array, expected a matrix")
    known = shortened(", ".join(names))
    if name is None:
        if len(names) > 1:
            raise InputError(
                f"{path} holds {len(names)} arrays, expected one of their names after a colon, "
                f'such as "{path.name}:{names[0]}": {known}'
            )
        return None
    if name not in names:
        raise InputError(
            f"found no array '{name}' in {path}{suggest(name, names)}, expected one of {known}"
        )
    return name


def read_matrix(path: Path, name: str | None) -> Array:
    """The array of a file, float64, of any shape.

    Args:
        path: .npy, .npz or .safetensors.
        name: as ``array_name`` gives it.

    Raises:
        InputError: the file cannot be read, or holds no real numbers.
    """
    name = array_name(path, name)
    read = _reader(path)
    found = _guarded(path, lambda: read.array(path, name))
    if found.dtype.kind not in "iuf":
        raise InputError(f"found an array of {found.dtype} in {path}, expected real numbers")
    return found.astype(np.float64)


def tensor_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors of a .safetensors file, of which no more is read.

    Raises:
        InputError: the file cannot be read.
    """
    tensors = _guarded(path, lambda: _header(path)[0])
    return _guarded(path, lambda: {name: tuple(said["shape"]) for name, said in tensors.items()})


# ------------------------------------------------------------------ formats


class _Reader(NamedTuple):
    names: Callable[[Path], list[str] | None]
    array: Callable[[Path, str | None], Array]


def _npz_names(path: Path) -> list[str]:
    with np.load(path, allow_pickle=False) as data:
        return list(data.files)


def _from_npz(path: Path, name: str | None) -> Array:
    with np.load(path, allow_pickle=False) as data:
        return np.asarray(data[data.files[0] if name is None else name])


def _header(path: Path) -> tuple[dict[str, dict[str, Any]], int]:
    """What a .safetensors file says of its tensors, and where their data begin."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(_LONGEST_HEADER, path.stat().st_size - 8):
            raise ValueError("its header is cut, or it is of another format")
        said = json.loads(file.read(length))
    if not isinstance(said, dict) or not all(isinstance(about, dict) for about in said.values()):
        raise ValueError("its header is no table")
    said.pop("__metadata__", None)
    return said, 8 + length


def _from_safetensors(path: Path, name: str | None) -> Array:
    tensors, start = _header(path)
    about = tensors[next(iter(tensors)) if name is None else name]
    kind, shape, (first, last) = about["dtype"], about["shape"], about["data_offsets"]
    if kind not in _TENSORS:
        raise InputError(f"found a tensor of {kind} in {path}, expected {', '.join(_TENSORS)}")
    dtype = np.dtype(_TENSORS[kind])
    if last - first != math.prod(shape) * dtype.itemsize or first < 0:
        raise ValueError("its header does not fit its data")
    with path.open("rb") as file:
        file.seek(start + first)
        found = np.frombuffer(file.read(last - first), dtype).reshape(shape)
    if kind == "BF16":  # the upper half of a float32
        return (found.astype(np.uint32) << 16).view(np.float32)
    return found


_READERS = {
    ".npy": _Reader(lambda path: None, lambda path, name: np.load(path, allow_pickle=False)),
    ".npz": _Reader(_npz_names, _from_npz),
    ".safetensors": _Reader(lambda path: list(_header(path)[0]), _from_safetensors),
}
MATRIX_FILES = tuple(_READERS)
"""Files that matrices are read from."""


def _reader(path: Path) -> _Reader:
    found = _READERS.get(path.suffix.lower())
    if found is None:
        raise InputError(f"found {path}, expected a file {', '.join(MATRIX_FILES)}")
    if not path.is_file():
        near: list[str] = []
        if path.parent.is_dir():
            near = [p.name for p in path.parent.iterdir() if p.suffix.lower() in _READERS]
        raise InputError(f"found no file {path}{suggest(path.name, near)}")
    return found


def _guarded(path: Path, read: Callable[[], T]) -> T:
    """What is read of a file, or why it cannot be."""
    try:
        return read()
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None
    except (ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile) as error:
        said = " ".join(str(error).split())
        raise InputError(f"{path} is no whole {path.suffix} file of arrays: {said}") from None
