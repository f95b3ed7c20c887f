"""Rotary positions (RoPE): scores <R_i Q x_i, R_j K x_j>, which depend on i - j alone.

R_i turns the coordinates 2m, 2m + 1 of queries and keys by the angle i theta_m; the last one of an
odd number of coordinates is left alone. Source: Su et al., arXiv 2104.09864.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from meanfield.arguments import checked_fields
from meanfield.errors import InputError
from meanfield.geometry.sphere import Array

__all__ = ["RotaryHead"]


@checked_fields
@dataclass(frozen=True, eq=False)
class RotaryHead:
    """Queries and keys of a head, turned by the positions of the tokens.

    Attributes:
        queries: beta Q, (k, d).
        keys: K, (k, d).
        frequencies: (k // 2,) theta_m, in radians a position.

    Raises:
        InputError: shapes that do not fit together, or numbers that are not finite.
    """

    queries: Array
    keys: Array
    frequencies: Array

    def __post_init__(self) -> None:
        k = len(self.queries)
        if self.queries.shape != self.keys.shape or self.queries.ndim != 2:
            raise InputError(
                f"keys: a matrix of shape {self.keys.shape} found, that of the queries expected: "
                f"{self.queries.shape}"
            )
        if self.frequencies.shape != (k // 2,) or not np.all(np.isfinite(self.frequencies)):
            raise InputError(
                f"frequencies: {self.frequencies.size} found for {k} rows of Q and K, {k // 2} "
                "finite numbers expected, one for each pair of rows"
            )

    def turned(self, x: Array) -> tuple[Array, Array]:
        """R_i beta Q x_i and R_j K x_j, (n, k) each, of tokens (n, d) in their order."""
        angles = np.arange(len(x))[:, None] * self.frequencies
        cos, sin = np.cos(angles), np.sin(angles)
        return _turn(x @ self.queries.T, cos, sin), _turn(x @ self.keys.T, cos, sin)


def _turn(x: Array, cos: Array, sin: Array) -> Array:
    pairs = 2 * cos.shape[1]
    out = x.copy()
    out[:, 0:pairs:2] = cos * x[:, 0:pairs:2] - sin * x[:, 1:pairs:2]
    out[:, 1:pairs:2] = sin * x[:, 0:pairs:2] + cos * x[:, 1:pairs:2]
    return out
