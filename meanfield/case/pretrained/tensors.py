"""The tensors of a folder of weights, in one .safetensors file or in several with an index."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from meanfield.case.matrixfiles import read_matrix, tensor_shapes
from meanfield.checks import as_found, shortened
from meanfield.errors import InputError, suggest
from meanfield.geometry.sphere import Array

__all__ = ["Tensors", "json_table"]

_WHOLE, _INDEX = "model.safetensors", "model.safetensors.index.json"
_PICKLES = (
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "tf_model.h5",
    "flax_model.msgpack",
)
_OLD = {"weight": "gamma", "bias": "beta"}  # of layer norms that came from TensorFlow
_MOST_BYTES = 100_000_000


def json_table(path: Path) -> dict[str, object]:
    """The table of a .json file.

    Raises:
        InputError: there is none, or something else is in it.
    """
    if not path.is_file():
        near = [one.name for one in path.parent.iterdir()] if path.parent.is_dir() else []
        raise InputError(f"found no file {path}{suggest(path.name, near)}")
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError(f"it has more than {_MOST_BYTES / 1e6:g} MB")
        found = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise InputError(f"{path}: found {as_found(found)}, expected a table")
    return found


class Tensors:
    """Tensors by name; their numbers are read when they are asked for.

    Args:
        folder: with ``model.safetensors``, or with several files and their index.

    Attributes:
        shapes: by name.

    Raises:
        InputError: no such files, or other formats alone.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files = self._found()
        self.shapes: dict[str, tuple[int, ...]] = {}
        for path in dict.fromkeys(self._files.values()):
            held = tensor_shapes(path)
            self.shapes |= {n: s for n, s in held.items() if self._files.get(n, path) == path}
        self._files = {name: self._files.get(name, folder / _WHOLE) for name in self.shapes}

    def _found(self) -> dict[str, Path]:
        folder = self.folder
        if (folder / _WHOLE).is_file():
            return {"": folder / _WHOLE}
        if (folder / _INDEX).is_file():
            return self._indexed(json_table(folder / _INDEX))
        names = sorted(one.name for one in folder.iterdir())
        other = [name for name in _PICKLES if name in names]
        if other:
            raise InputError(
                f"found {other[0]} in {folder}, which may run code or is of another program; "
                f"expected {_WHOLE} (save_pretrained writes it)"
            )
        near = suggest(_WHOLE, names)
        raise InputError(f"found no {_WHOLE} (or {_INDEX}) in {folder}{near}")

    def _indexed(self, index: Mapping[str, object]) -> dict[str, Path]:
        where = index.get("weight_map")
        if not isinstance(where, Mapping) or not where:
            raise InputError(f"{self.folder / _INDEX}: found no weight_map, expected one")
        found = {}
        for name, file in where.items():
            inside = isinstance(file, str) and Path(file).name == file
            if not inside or not file.endswith(".safetensors"):
                raise InputError(
                    f"{self.folder / _INDEX}: found {as_found(file)} for {shortened(str(name))}, "
                    "expected the name of a .safetensors file of the same folder"
                )
            found[str(name)] = self.folder / file
        for path in dict.fromkeys(found.values()):
            if not path.is_file():
                raise InputError(f"found no file {path}, which {_INDEX} names")
        return found

    def name(self, owner: str, part: str) -> str | None:
        """Full name of the weight or bias of ``owner``, also by the old names; None: no such."""
        return next(
            (n for n in (f"{owner}.{part}", f"{owner}.{_OLD[part]}") if n in self.shapes), None
        )

    def refuse_shape(self, owner: str, part: str, shape: tuple[int, ...]) -> None:
        """Refuse a tensor that is not there, or of another shape.

        Raises:
            InputError: it is not.
        """
        name = self.name(owner, part)
        if name is None:
            near = suggest(f"{owner}.{part}", self.shapes)
            raise InputError(f"found no tensor {owner}.{part} in {self.folder}{near}")
        if self.shapes[name] != shape:
            size = " x ".join(map(str, self.shapes[name])) or "a single number"
            expected = " x ".join(map(str, shape))
            raise InputError(f"{self.folder}: found {size} for {name}, expected {expected}")

    def read(self, owner: str, part: str) -> Array:
        """The numbers of a tensor, float64.

        Raises:
            InputError: they are not finite.
        """
        name = self.name(owner, part)
        assert name is not None
        found = read_matrix(self._files[name], name)
        if not np.all(np.isfinite(found)):
            raise InputError(f"{self.folder}: found numbers in {name} that are not finite")
        return found
