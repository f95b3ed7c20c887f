"""Where tokens start that are drawn from a law, or placed evenly by it.

Knows laws by ``density`` and ``sample``; nothing of attention or of time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from meanfield.case.equiangular import EQUIANGULAR
from meanfield.case.tokensolvers import TOKEN_KINDS
from meanfield.checks import choice_in_words, real_array
from meanfield.dynamics.equiangular import equiangular_tokens
from meanfield.dynamics.noise import start_generator
from meanfield.errors import InputError, suggest
from meanfield.geometry.laws import ByPosition, Law
from meanfield.geometry.sphere import Array, normalize

__all__ = ["checked_weights", "initial_tokens", "tokens_of_block"]

_CIRCLE_CELLS = 1 << 16
_SPHERE_ROWS, _SPHERE_COLUMNS = 2048, 2048  # the density is constant on each cell
_GOLDEN = 0.5 * (math.sqrt(5.0) - 1.0)


def initial_tokens(
    law: Law, n: int | None, rng_seed: int = 0, kind: str = "iid", cosine: float | None = None
) -> Array:
    """Tokens that represent a law.

    Args:
        law: the initial law.
        n: number of tokens, >= 1.
        rng_seed: 0 <= seed < 2^64, for "iid" and the rotation of "equiangular".
        kind: "iid": independent draws. "quantised": tokens of equal mass placed evenly by the law
            (d = 2: inverse distribution function at (i + 1/2)/n; d = 3: a Fibonacci lattice moved
            by the inverse distribution functions of latitude and longitude), whose moments are
            wrong by about 1/n instead of n^{-1/2}; a jump of the density is known to a grid cell
            (0.0015 rad for d = 3, 1e-4 for d = 2). "equiangular": see ``equiangular_tokens``; of
            the law only its dimension counts, each of them is uniform.
        cosine: of equiangular tokens.

    Returns:
        (n, d) unit vectors.

    Raises:
        InputError: what was asked for does not exist (quantised for d > 3), or the law is too
            concentrated for the grid of the quantisation.
    """
    if kind not in TOKEN_KINDS:
        raise InputError(
            f"tokens '{kind}' found, {choice_in_words(TOKEN_KINDS)} expected"
            + suggest(str(kind), TOKEN_KINDS)
        )
    if n is None or n < 1:
        raise InputError(f"{n} tokens found, at least 1 expected")
    if kind == "iid":
        return law.sample(n, start_generator(rng_seed))
    if kind == EQUIANGULAR:
        if cosine is None:
            raise InputError("no cosine found, one expected for equiangular tokens")
        return equiangular_tokens(n, law.d, cosine, start_generator(rng_seed))
    if isinstance(law, ByPosition):
        raise InputError("quantised tokens of a law by position found, 'iid' expected")
    if law.d == 2:
        return _on_circle(law, n)
    if law.d == 3:
        return _on_sphere(law, n)
    raise InputError(f"quantised tokens for d = {law.d} found, d = 2 or 3 expected; take 'iid'")


def tokens_of_block(
    law: Law,
    n: int,
    seeds: Sequence[int] | NDArray[np.int64],
    kind: str = "iid",
    cosine: float | None = None,
) -> Array:
    """Tokens of several realisations, those of ``initial_tokens`` with each seed, to the last bit.

    Args:
        law: the initial law.
        n: number of tokens of a realisation, >= 1.
        seeds: of the realisations, (R,).
        kind: as for ``initial_tokens``; quantised tokens are the same in all.
        cosine: of equiangular tokens.

    Returns:
        (R, n, d) unit vectors.

    Raises:
        InputError: as ``initial_tokens`` does.
    """
    tokens = np.empty((len(seeds), n, law.d))
    if kind == "quantised":
        tokens[:] = initial_tokens(law, n, 0, kind)
        return tokens
    for k, seed in enumerate(seeds):
        tokens[k] = initial_tokens(law, n, int(seed), kind, cosine)
    return tokens


def checked_weights(weights: Array | None, n: int) -> Array:
    """Masses (n,), scaled to sum one; None: equal ones.

    Raises:
        InputError: another number of masses, a negative or infinite one, or none at all.
    """
    if weights is None:
        return np.full(n, 1.0 / n)
    w = real_array(weights, "weights", f"one number for each of {n} tokens")
    if w.shape != (n,):
        raise InputError(f"weights of shape {w.shape} found, one for each of {n} tokens expected")
    if not np.all(np.isfinite(w)) or np.any(w < 0.0) or not np.sum(w) > 0.0:
        raise InputError(
            f"weights from {np.min(w):g} to {np.max(w):g} found, finite masses >= 0 with a "
            "positive sum expected"
        )
    return w / np.sum(w)


# ------------------------------------------------------------------ quantisation


def _check_mass(mass: float, cells: str) -> None:
    if not abs(mass - 1.0) < 0.01:
        raise InputError(
            f"the law has mass {mass:.4g} on a grid of {cells}, 1 expected: it is too concentrated "
            "for quantised tokens; take 'iid'"
        )


def _on_circle(law: Law, n: int) -> Array:
    edges = np.linspace(0.0, 2.0 * np.pi, _CIRCLE_CELLS + 1)
    middle = 0.5 * (edges[1:] + edges[:-1])
    mass = law.density(np.column_stack([np.cos(middle), np.sin(middle)])) / _CIRCLE_CELLS
    total = float(np.sum(mass))
    _check_mass(total, f"{_CIRCLE_CELLS} arcs")
    phi = np.interp((np.arange(n) + 0.5) / n, np.append(0.0, np.cumsum(mass)) / total, edges)
    return np.column_stack([np.cos(phi), np.sin(phi)])


def _on_sphere(law: Law, n: int) -> Array:
    rows, columns = _SPHERE_ROWS, _SPHERE_COLUMNS
    z = np.cos(np.linspace(0.0, np.pi, rows + 1))  # falls from 1 to -1
    theta = (np.arange(rows) + 0.5) * (np.pi / rows)
    phi = (np.arange(columns) + 0.5) * (2.0 * np.pi / columns)
    # The pole of the lattice is put where most mass is: evenest there, above all for one peak.
    coarse = np.stack(
        [
            np.outer(np.sin(theta[8::16]), np.cos(phi[8::16])),
            np.outer(np.sin(theta[8::16]), np.sin(phi[8::16])),
            np.outer(np.cos(theta[8::16]), np.ones(columns // 16)),
        ],
        axis=-1,
    ).reshape(-1, 3)
    weight = np.repeat(np.sin(theta[8::16]), columns // 16)
    mean = (law.density(coarse) * weight) @ coarse / np.sum(weight)
    frame = _frame(mean)
    mass = np.empty((rows, columns))
    band = (z[:-1] - z[1:]) / (2.0 * columns)
    for i in range(0, rows, 64):  # in bands, for the memory
        st, ct = np.sin(theta[i : i + 64]), np.cos(theta[i : i + 64])
        x = np.empty((len(st), columns, 3))
        x[:, :, 0] = np.outer(st, np.cos(phi))
        x[:, :, 1] = np.outer(st, np.sin(phi))
        x[:, :, 2] = ct[:, None]
        values = law.density(x.reshape(-1, 3) @ frame).reshape(len(st), columns)
        mass[i : i + 64] = values * band[i : i + 64, None]
    total = float(np.sum(mass))
    _check_mass(total, f"{rows} x {columns} cells")
    by_row = np.sum(mass, axis=1)
    u = (np.arange(n) + 0.5) / n * total
    ends = np.cumsum(by_row)
    row = np.minimum(np.searchsorted(ends, u), rows - 1)
    inside = np.clip((u - (ends[row] - by_row[row])) / by_row[row], 0.0, 1.0)
    height = z[row] + (z[row + 1] - z[row]) * inside
    # One sorted array for all rows: row number + distribution function along the row.
    with np.errstate(invalid="ignore", divide="ignore"):
        along = np.cumsum(mass, axis=1) / by_row[:, None]
    along[by_row == 0.0] = np.linspace(1.0 / columns, 1.0, columns)
    along[:, -1] = 1.0
    v = np.mod(np.arange(n) * _GOLDEN + 0.5, 1.0)
    flat = (along + np.arange(rows)[:, None]).ravel()
    column = np.clip(np.searchsorted(flat, row + v) - row * columns, 0, columns - 1)
    upper = along[row, column]
    lower = np.where(column > 0, along[row, np.maximum(column - 1, 0)], 0.0)
    part = np.clip((v - lower) / np.maximum(upper - lower, 1e-300), 0.0, 1.0)
    angle = (column + part) * (2.0 * np.pi / columns)
    radius = np.sqrt(np.maximum(1.0 - height * height, 0.0))
    x = np.column_stack([radius * np.cos(angle), radius * np.sin(angle), height])
    return normalize(x @ frame)


def _frame(axis: Array) -> Array:
    """A rotation (rows: new axes) with third axis ``axis``; the identity if that is zero."""
    length = float(np.linalg.norm(axis))
    if length < 1e-8:
        return np.eye(3)
    e = axis / length
    least = np.eye(3)[int(np.argmin(np.abs(e)))]
    first = np.cross(least, e)
    first /= np.linalg.norm(first)
    return np.stack([first, np.cross(e, first), e])
