"""What field files store of a step: checked, in three dimensions, in the stored type.

Shared by all formats. Knows meshes and arrays; nothing of files.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield.errors import BrokenInvariantError, InputError
from meanfield.geometry.mesh import Mesh
from meanfield.geometry.sphere import Array
from meanfield.results.formats.base import INNER_PRODUCT_EDGES, LOG10_FLOOR

__all__ = [
    "checked_components",
    "checked_frame",
    "checked_masses",
    "chosen_pairs",
    "inner_products",
    "stored",
    "stored_field",
    "stored_vectors",
]

_PAIRS = 400_000  # all of 900 tokens; of more, a sample that shows a hundredth of the pairs to 2 %
_BLOCK = 2_000_000  # coordinates gathered at a time


def stored(
    values: Array, dtype: np.dtype[Any], what: str, t: float, item: tuple[str, str]
) -> NDArray[np.floating[Any]]:
    """Convert doubles to the stored type.

    Args:
        values: (n,) or (n, 3).
        dtype: of the data set.
        what: what they are, for messages, with quotation marks if it is a name.
        t: time, for messages.
        item: what has these values, for messages: ("vertices", "vertex").

    Raises:
        BrokenInvariantError: if a value is NaN, infinite or too large for the type.
    """
    with np.errstate(over="ignore", under="ignore"):
        converted = values.astype(dtype)
    good = np.isfinite(converted)
    if np.all(good):
        return converted
    if np.all(np.isfinite(values)):
        raise BrokenInvariantError(
            f"{what} at t = {t:.6g} reaches {np.abs(values).max():.3g}, beyond "
            f'{dtype}: set output.precision = "float64"'
        )
    where = np.argwhere(~good)
    first = int(where[0, 0])
    raise BrokenInvariantError(
        f"{what} at t = {t:.6g} is not finite at {len(set(where[:, 0]))} of "
        f"{len(values)} {item[0]} (first: {item[1]} {first}, value {values[first]}); "
        "expected finite values, so the step is not written"
    )


def stored_field(
    name: str,
    components: int,
    values: Array,
    mesh: Mesh,
    dtype: np.dtype[Any],
    t: float,
    known: bool = True,
) -> NDArray[np.floating[Any]]:
    """Check one field, put it into three dimensions and convert it to the stored type.

    Args:
        name: of the field, for messages; ``log10_rho`` may be -inf, stored as ``LOG10_FLOOR``.
        components: as it is stored, 1 or 3.
        values: (n,) or (n, 1) for a scalar; vectors in components of the geometry.
        mesh: where it is.
        dtype: of what is stored.
        t: time, for messages.
        known: False: it may be NaN where nothing tells it.

    Raises:
        BrokenInvariantError: see ``stored``.
        ValueError: another shape.
    """
    values = np.asarray(values, dtype=np.float64)
    if name == "log10_rho":
        # NaN stays NaN in np.maximum.
        values = np.maximum(values, LOG10_FLOOR)
    if components == 3:
        vectors = values[:, None] if values.ndim == 1 else values
        values = mesh.manifold.vectors_in_space(mesh.points, vectors)
    elif values.shape == (mesh.n_vertices, 1):
        values = values[:, 0]
    shape = (mesh.n_vertices,) if components == 1 else (mesh.n_vertices, 3)
    if values.shape != shape:
        raise ValueError(f"field '{name}' has shape {values.shape}, expected {shape}")
    nowhere = np.zeros(shape, dtype=bool) if known else np.isnan(values)
    told = np.where(nowhere, 0.0, values)
    found = stored(told, dtype, f"field '{name}'", t, ("vertices", "vertex"))
    found[nowhere] = np.nan
    return found


def stored_vectors(
    name: str,
    values: Array,
    shape: tuple[int, int],
    frame: Array | None,
    dtype: np.dtype[Any],
    t: float,
) -> NDArray[np.floating[Any]]:
    """Vectors of tokens (n, d), ``shape``, in three dimensions and the stored type, (n, 3).

    Raises:
        BrokenInvariantError: see ``stored``.
        ValueError: another shape.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.shape != shape:
        raise ValueError(f"{name} of shape {values.shape}: expected {shape}")
    if shape[1] == 2:
        values = np.column_stack([values, np.zeros(len(values))])
    if frame is not None and np.all(np.isfinite(values)):
        # What is not finite is refused next: also where the frame does not see it.
        values = values @ frame.T
    return stored(values, dtype, f"the {name} of the tokens", t, ("tokens", "token"))


def inner_products(x: Array, masses: Array, pairs: NDArray[np.int64]) -> Array:
    """Parts of the pairs (2, k) of tokens x (n, d) in each bin, (bins,), sum 1; zeros if k = 0."""
    x, parts = np.asarray(x, dtype=np.float64), np.zeros(len(INNER_PRODUCT_EDGES) - 1)
    size = max(1, _BLOCK // x.shape[1])
    for start in range(0, pairs.shape[1], size):
        i, j = pairs[:, start : start + size]
        # Tokens that coincide have 1 + 1e-16.
        products = np.clip(np.einsum("pk,pk->p", x[i], x[j]), -1.0, 1.0)
        weights = masses[i] * masses[j]
        parts += np.histogram(products, INNER_PRODUCT_EDGES, weights=weights)[0]
    total = parts.sum()
    return np.asarray(parts / total if total > 0.0 else parts)


def checked_components(names: Mapping[str, int]) -> dict[str, int]:
    """Names of fields with their numbers of components, 1 or 3.

    Raises:
        InputError: another number.
    """
    for name, components in names.items():
        if components not in (1, 3):
            raise InputError(
                f"field '{name}' has {components} components: expected 1 (scalar) or 3 (vector)"
            )
    return dict(names)


def checked_masses(masses: Array | None, d: int, n: int) -> Array:
    """Masses (n,) of tokens as they are stored; None: 1/n each.

    Raises:
        ValueError: no tokens, no sphere, or masses of another shape or not finite.
    """
    if d < 2 or n < 1:
        raise ValueError(f"{n} tokens in dimension {d}: expected n >= 1 and d >= 2")
    made = np.full(n, 1.0 / n) if masses is None else np.array(masses, dtype=np.float64)
    if made.shape != (n,) or not np.all(np.isfinite(made)):
        raise ValueError(f"masses of shape {made.shape}: expected ({n},), finite")
    return made


def checked_frame(frame: ArrayLike | None, d: int) -> Array | None:
    """The rows (3, d) that tokens are drawn along, for d > 3 (None: the first axes); else None."""
    if d <= 3:
        if frame is not None:
            raise ValueError(f"a frame is for d > 3, d = {d} needs none")
        return None
    rows = np.eye(3, d) if frame is None else np.array(frame, dtype=np.float64)
    if rows.shape != (3, d) or not np.allclose(rows @ rows.T, np.eye(3), rtol=0.0, atol=1e-12):
        raise ValueError(f"frame of shape {rows.shape}: expected (3, {d}) with orthonormal rows")
    return rows


def chosen_pairs(n: int) -> NDArray[np.int64]:
    """Numbers of two different tokens each, (2, pairs): the same in every run with n tokens."""
    if n * (n - 1) // 2 <= _PAIRS:
        return np.stack(np.triu_indices(n, 1)).astype(np.int64)
    rng = np.random.default_rng(0)
    first = rng.integers(n, size=_PAIRS)
    return np.stack([first, (first + rng.integers(1, n, size=_PAIRS)) % n])
