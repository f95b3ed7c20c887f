"""A matrix as a case may give it: rows, an array of a file, or an ensemble by its name.

It becomes numbers when the dimension is known. Knows nothing of what a matrix is for.
"""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import PlainValidator, ValidationInfo

from meanfield.case.ensembles import ENSEMBLES, RANDOM, draw
from meanfield.case.matrixfiles import MATRIX_FILES, array_name, read_matrix
from meanfield.checks import as_found, set_checked
from meanfield.errors import InputError, suggest
from meanfield.geometry.sphere import Array
from meanfield.options import (
    OF_KEY,
    Counted,
    Expected,
    Field,
    InputFile,
    Number,
    Text,
    absolute,
    as_table,
    made_from,
    options,
)

__all__ = [
    "MATRIX_WORDS",
    "MAX_ENTRY",
    "PRODUCTS",
    "Ensemble",
    "InFile",
    "Matrix",
    "MatrixLike",
    "Rows",
    "as_matrix",
    "fitting",
    "is_named",
    "resolved",
]

PRODUCTS = {"Q^T K": 1.0, "-Q^T K": -1.0}
"""Names for the product of a head's own Q and K, with its sign."""

MAX_ENTRY = 1e6  # of a 2-norm: as of the strength of a kernel

if TYPE_CHECKING:
    Name = str
else:
    Name = Literal[tuple([*ENSEMBLES, *PRODUCTS])]


class Matrix(ABC):
    """A matrix whose dimension may not be known yet."""

    @abstractmethod
    def numbers(self, d: int) -> Array:
        """The array, of any shape where it is the user's.

        Raises:
            InputError: what is in a file is no longer what it was.
        """

    @abstractmethod
    def written(self) -> object:
        """As in a case file."""


@dataclass(frozen=True)
class Rows(Matrix):
    """A matrix by its rows."""

    rows: tuple[tuple[float, ...], ...]

    def numbers(self, d: int) -> Array:
        return np.array(self.rows, dtype=np.float64)

    def written(self) -> object:
        return [list(row) for row in self.rows]


@options("file", kw_only=True)
class InFile(Matrix):
    """An array of a file (.npy, .npz, .safetensors)."""

    file: InputFile = Field(examples=["weights.npz"])
    """The file."""
    name: Text | None = Field(default=None, examples=["K0"])
    """Which array, where it holds several."""

    def __post_init__(self) -> None:
        try:
            set_checked(self, "name", array_name(self.file, self.name))
        except InputError as error:
            raise InputError(f"file: {error}") from None

    def numbers(self, d: int) -> Array:
        return read_matrix(self.file, self.name)

    def written(self) -> object:
        return os.fspath(self.file) if self.name is None else as_table(self)


@options("ensemble", kw_only=True)
class Ensemble(Matrix):
    """A matrix by the name of its ensemble."""

    ensemble: Name = Field(examples=["ginibre"])
    """Which, as told of ``model.heads.Q``; "Q^T K" and "-Q^T K" are of a head's own Q and K."""
    seed: Counted = Field(default=0, ge=0, le=2**63 - 1)
    """Of random numbers: the same seed gives the same matrix everywhere, also in another head."""
    scale: Annotated[Number, OF_KEY] = Field(default=1.0, ge=-MAX_ENTRY, le=MAX_ENTRY)
    """Factor of the matrix."""

    @property
    def is_product(self) -> bool:
        """Whether it is made of other matrices of its head."""
        return self.ensemble in PRODUCTS

    def product(self, Q: Array, K: Array) -> Array:
        """The (d, d) product of a head's own matrices, if it is one."""
        return self.scale * PRODUCTS[self.ensemble] * (Q.T @ K)

    def numbers(self, d: int) -> Array:
        return self.scale * draw(self.ensemble, d, self.seed)

    def written(self) -> object:
        if self.ensemble in RANDOM:
            return as_table(self)
        if self.scale == 1.0:
            return self.ensemble
        return {"ensemble": self.ensemble, "scale": self.scale}


# ------------------------------------------------------------------ reading

MATRIX_WORDS = (
    f"a list of rows, a file ({', '.join(MATRIX_FILES)}) or the name of an ensemble ("
    f"{', '.join(ENSEMBLES)})"
)


def as_matrix(value: object, info: ValidationInfo, where: str | None = None) -> Matrix:
    """What a user may give for a matrix, turned into what is kept.

    Args:
        value: rows, the name of a file or of an ensemble, or a table that says more of these.
        info: of pydantic: the folder that files are found from.
        where: name of the key, for messages about a table; None: of the field that is checked.

    Raises:
        InputError: it is none of these.
    """
    if isinstance(value, Matrix):
        return value
    if isinstance(value, str) and value in (*ENSEMBLES, *PRODUCTS):
        return Ensemble(ensemble=value)
    base = info.context["base"] if info.context else Path()
    if isinstance(value, Mapping):
        kind = InFile if "file" in value else Ensemble
        if not {"file", "ensemble"} & set(value):
            raise InputError(
                "found a table without ensemble or file; expected such as "
                '{ ensemble = "ginibre", seed = 3 } or { file = "weights.npz", name = "K0" }'
            )
        return made_from(kind, value, base, where or str(info.field_name))
    if isinstance(value, str | os.PathLike):
        return _named_file(os.fspath(value), info)
    if isinstance(value, Iterable) and not isinstance(value, bytes):
        return _rows(value)
    raise InputError(f"expected {MATRIX_WORDS}, found {as_found(value)}")


def is_named(text: str) -> bool:
    """Whether a text is the name of an ensemble, or of a file by its ending."""
    return text in (*ENSEMBLES, *PRODUCTS) or _split(text)[0].lower().endswith(MATRIX_FILES)


def _split(text: str) -> tuple[str, str | None]:
    """A file and the name of an array in it: "weights.npz:K0"."""
    endings = "|".join(re.escape(ending) for ending in MATRIX_FILES)
    split = re.fullmatch(rf"(.+?(?:{endings})):(.+)", text, re.IGNORECASE)
    return (split[1], split[2]) if split else (text, None)


def _named_file(text: str, info: ValidationInfo) -> Matrix:
    given, name = _split(text)
    if not given.lower().endswith(MATRIX_FILES):
        near = suggest(text, [*ENSEMBLES, *PRODUCTS])
        raise InputError(f"expected {MATRIX_WORDS}, found {as_found(text)}{near}")
    path = absolute(given, info)
    return InFile(file=path, name=array_name(path, name))


def _rows(value: Iterable[object]) -> Rows:
    try:
        found = np.asarray(value if isinstance(value, np.ndarray) else list(value))
    except Exception:
        found = np.asarray(None)
    if found.dtype.kind not in "iuf" or found.ndim != 2 or not found.size:
        raise InputError(f"expected a list of rows of numbers, of one length, found {_what(value)}")
    wrong = np.argwhere(~np.isfinite(found))
    if len(wrong):
        i, j = wrong[0]
        raise InputError(f"expected finite numbers, found {found[i, j]} in row {i}, column {j}")
    return Rows(tuple(tuple(row) for row in found.astype(np.float64).tolist()))


def _what(value: object) -> str:
    """Words for what is no matrix."""
    if isinstance(value, np.ndarray) or not isinstance(value, Sequence):
        return as_found(value)
    if not value:
        return "an empty list"
    if not all(
        isinstance(row, Sequence | np.ndarray) and not isinstance(row, str) for row in value
    ):
        wrong = next((row for row in value if isinstance(row, str) or not np.iterable(row)), None)
        return f"{as_found(wrong)} where a row should be"
    lengths = dict.fromkeys(len(row) for row in value)
    if len(lengths) > 1:
        return f"rows of {' and '.join(map(str, lengths))}"
    odd = [x for row in value for x in row if isinstance(x, bool) or not np.isreal(x)]
    return f"{as_found(odd[0])} in a row" if odd else "rows of something else"


if TYPE_CHECKING:
    MatrixLike = Matrix | Array | Sequence[Sequence[float]] | str | Path | Mapping[str, object]
    """What a user may give for a matrix."""
else:
    MatrixLike = Annotated[
        Matrix,
        PlainValidator(
            as_matrix, json_schema_input_type=list[list[float]] | str | Ensemble | InFile
        ),
        Expected(MATRIX_WORDS),
    ]

# ------------------------------------------------------------------ numbers


def resolved(key: str, matrix: object, d: int, rows: int | None = None) -> Array:
    """The numbers of a matrix on S^{d-1}: (rows, d), finite, of a 2-norm of at most 1e6.

    Args:
        key: path of its key, which messages begin with.
        matrix: a ``Matrix``.
        d: dimension of the ambient space.
        rows: how many it must have; None: any number.

    Raises:
        InputError: another shape, or numbers that cannot be.
    """
    assert isinstance(matrix, Matrix)
    try:
        found = matrix.numbers(d)
    except InputError as error:
        raise InputError(f"{key}: {error}") from None
    return fitting(key, found, d, rows)


def fitting(key: str, found: Array, d: int, rows: int | None = None) -> Array:
    """An array as a matrix on S^{d-1}: see ``resolved``.

    Raises:
        InputError: another shape, or numbers that cannot be.
    """
    expected = f"{rows} x {d} matrix" if rows else f"matrix with {d} columns"
    if found.ndim != 2 or found.shape[1] != d or found.shape[0] != (rows or found.shape[0]):
        shape = " x ".join(map(str, found.shape)) or "a single number"
        raise InputError(f"{key}: expected a {expected}, found {shape}")
    if not np.all(np.isfinite(found)):
        raise InputError(f"{key}: expected finite numbers, found {found[~np.isfinite(found)][0]}")
    # The largest entry first: a norm of what is larger than the root of all doubles is inf.
    size = np.max(np.abs(found), initial=0.0)
    size = float(np.linalg.norm(found, 2)) if size < 1e150 else float(size)
    if size > MAX_ENTRY:
        raise InputError(f"{key}: expected a 2-norm of at most {MAX_ENTRY:g}, found {size:.6g}")
    return found
