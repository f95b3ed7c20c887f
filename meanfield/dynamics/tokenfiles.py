"""Tokens from files: which columns are coordinates, which one weights, and whether they are tokens.

Knows formats of files; nothing of laws, of what interacts and of time.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from meanfield.case.tokensolvers import TOKEN_FILES
from meanfield.checks import real_array, refuse_rows
from meanfield.dynamics.tokencolumns import Columns, columns_of, layout_of, weight_column
from meanfield.errors import InputError, suggest
from meanfield.geometry.points import ON_SPHERE, unit_vectors
from meanfield.geometry.sphere import Array
from meanfield.software import load_pyvista

__all__ = ["TokenTable", "read_tokens", "read_vectors"]


@dataclass(frozen=True, eq=False)
class TokenTable:
    """The tokens of a file.

    Attributes:
        x: (n, d) unit vectors.
        weights: (n,) masses >= 0 with a positive sum, in any unit; None: equal ones.
        taken: what was taken of the file, in words: "columns x, y, z; weights mass"; empty: all.
    """

    x: Array
    weights: Array | None
    taken: str


@dataclass(frozen=True, eq=False)
class _Found:
    """What a file holds, before anything in it is checked."""

    x: object
    weights: object | None
    taken: str


def read_tokens(
    path: str | os.PathLike[str], d: int, number: int | None = None, normalise: bool = False
) -> TokenTable:
    """Read tokens from a file and check that they are unit vectors.

    Args:
        path: .npy: an array (n, d), or one with named fields. .npz: an array of two axes, named x,
            points or tokens where there are several, and weights (or mass). .csv, .txt: a row for
            each token, apart by commas, semicolons, tabs or blanks; under a header the coordinates
            are found by name (x, y, z; x1, ...; x_0, ...; Points:0, ... and the like; the bare
            numbers 0, 1, ... that pandas writes), in any order and among others, and so is a column
            mass or weight. .vtp, .vtu: the points, with point data mass or weight.
            A third coordinate that is 0 is left out where d = 2.
        d: dimension of the ambient space.
        number: of tokens that is expected; None: any.
        normalise: scale rows of any length, instead of refusing what is not of length one to 1e-6.

    Raises:
        InputError: the file cannot be read, holds other numbers than d coordinates a row, or a row
            is no unit vector: the one farthest off is named.
    """
    found, path = _found(path, d), Path(path)
    x = _checked(found, d, str(path), normalise)
    _refuse_number(x, number, path)
    return TokenTable(x, _weights(found, len(x), str(path)), found.taken)


def read_vectors(path: str | os.PathLike[str], d: int, number: int | None = None) -> Array:
    """The rows of a file as ``read_tokens`` finds them, of any length but 0: (n, d).

    Raises:
        InputError: as for tokens, and where they have weights.
    """
    found, path = _found(path, d), Path(path)
    if found.weights is not None:
        raise InputError(f"{path} ({found.taken}): weights found, none expected beside vectors")
    x = _shaped(found, d, _named(str(path), found))
    refuse_rows(~np.isfinite(x).all(axis=1), x, f"{path}: point", "finite numbers expected")
    refuse_rows(~x.any(axis=1), x, f"{path}: point", "a direction expected")
    _refuse_number(x, number, path)
    return x


def _refuse_number(x: Array, number: int | None, path: Path) -> None:
    if number is not None and len(x) != number:
        raise InputError(f"{path}: {len(x)} tokens found, {number} expected")


def _found(path: str | os.PathLike[str], d: int) -> _Found:
    """What a file holds, whatever it is."""
    path = Path(path)
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"{path}: a file {', '.join(TOKEN_FILES)} expected for tokens")
    if not path.is_file():
        near = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        raise InputError(f"token file {path} does not exist{suggest(path.name, near)}")
    try:
        return reader(path, d)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except Exception as error:  # a damaged file can raise anything
        said = (str(error) or type(error).__name__).splitlines()[0][:200]
        raise InputError(f"{path} cannot be read: {said}") from error


# ------------------------------------------------------------------ what was found


def _shaped(found: _Found, d: int, name: str) -> Array:
    """(n, d) numbers."""
    expected = f"n rows of d = {d} numbers"
    x = real_array(found.x, name, expected)
    if x.ndim == 2 and x.shape[1] == 3 and d == 2 and not np.any(np.abs(x[:, 2]) > ON_SPHERE):
        x = x[:, :2]
    if x.ndim != 2 or x.shape[1] != d or not len(x):
        raise InputError(f"{name}: an array of shape {x.shape} found, {expected} expected")
    return x


def _checked(found: _Found, d: int, name: str, normalise: bool) -> Array:
    name = _named(name, found)
    x = _shaped(found, d, name)
    if normalise:
        refuse_rows(~np.isfinite(x).all(axis=1), x, f"{name}: point", "finite numbers expected")
        largest = np.max(np.abs(x), axis=1, keepdims=True)  # so that squares are doubles
        refuse_rows(largest[:, 0] == 0.0, x, f"{name}: point", "a direction expected")
        x = x / largest
        x = x / np.sqrt(np.sum(x * x, axis=1, keepdims=True))
    return unit_vectors(x, d, name, "unit vectors expected; solver.normalise = true makes them")


def _named(name: str, found: _Found) -> str:
    return f"{name} ({found.taken})" if found.taken else name


def _weights(found: _Found, n: int, name: str) -> Array | None:
    if found.weights is None:
        return None
    name, expected = f"{_named(name, found)}: weight", f"one number for each of {n} tokens"
    weights = real_array(found.weights, name, expected)
    if weights.shape == (n, 1):
        weights = weights[:, 0]
    if weights.shape != (n,):
        raise InputError(f"{name}s of shape {weights.shape} found, {expected} expected")
    wrong = ~(np.isfinite(weights) & (weights >= 0.0))
    refuse_rows(wrong, weights, name, "finite numbers >= 0 expected")
    if not np.any(weights > 0.0):
        raise InputError(f"{name}s that are all 0 found, a positive sum expected")
    return weights


# ------------------------------------------------------------------ arrays


def _picked(table: Array, columns: Columns) -> _Found:
    weights = None if columns.weights is None else table[:, columns.weights]
    return _Found(table[:, list(columns.coordinates)], weights, columns.taken)


def _from_npy(path: Path, d: int) -> _Found:
    found = np.load(path, allow_pickle=False)  # a pickle runs what its maker wants
    names = found.dtype.names
    if names is None:
        return _Found(found, None, "")
    table = np.column_stack([found[name].astype(np.float64) for name in names])
    return _picked(table, columns_of(names, d))


def _from_npz(path: Path, d: int) -> _Found:
    with np.load(path, allow_pickle=False) as data:
        arrays = {name: data[name] for name in data.files}
    named = [name for name in arrays if name.lower() in ("x", "points", "tokens")]
    wanted = named or [name for name, values in arrays.items() if values.ndim == 2]
    if len(wanted) != 1:
        raise InputError(
            f"the arrays {', '.join(arrays) or '(none)'} found, one array (n, {d}) expected, or "
            "one with the name x"
        )
    return _with_weights(arrays[wanted[0]], f"array {wanted[0]}", arrays)


def _with_weights(x: Array, taken: str, beside: Mapping[str, object]) -> _Found:
    names = list(beside)
    place = weight_column(names)
    if place is None:
        return _Found(x, None, taken if len(names) > 1 else "")
    return _Found(x, beside[names[place]], f"{taken}; weights {names[place]}")


def _from_vtk(path: Path, d: int) -> _Found:
    pyvista = load_pyvista()
    with pyvista.VtkErrorCatcher(raise_errors=True), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a damaged file may come as a warning and no points
        data = pyvista.read(path)
        x, beside = np.asarray(data.points, dtype=np.float64), dict(data.point_data)
    return _with_weights(x, "points", {k: np.asarray(v) for k, v in beside.items()})


def _from_table(path: Path, d: int) -> _Found:
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    layout = layout_of(lines, d)
    place = layout.columns.weights
    used = [*layout.columns.coordinates, *([] if place is None else [place])]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a table without rows is refused later
        table = np.loadtxt(
            lines[layout.first :],
            delimiter=layout.delimiter,
            usecols=used,
            ndmin=2,
            quotechar='"',
        )
    k = len(layout.columns.coordinates)
    weights = table[:, k] if len(used) > k else None
    return _Found(table[:, :k], weights, layout.columns.taken)


_READERS: dict[str, Callable[[Path, int], _Found]] = {
    ".npy": _from_npy,
    ".npz": _from_npz,
    ".csv": _from_table,
    ".txt": _from_table,
    ".vtp": _from_vtk,
    ".vtu": _from_vtk,
}
