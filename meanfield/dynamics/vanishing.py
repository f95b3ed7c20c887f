"""Outputs of attention that vanish, where a scheme divides by their size."""

from __future__ import annotations

import numpy as np

from meanfield.case.normalisation import Normalisation
from meanfield.errors import BrokenInvariantError
from meanfield.geometry.sphere import Array
from meanfield.interaction.contract import AnyInteraction

__all__ = ["refuse_vanishing", "sizes"]

_ZERO = 1e-13  # of what a sum would be of equal terms: below, it is what round-off leaves
_SMALL = 1e-6  # size from which on an output is looked at


def sizes(a: Array) -> Array:
    """|a| of rows (n, d), also of those whose squares are no doubles."""
    largest = np.maximum(np.max(np.abs(a), axis=1), 1e-300)
    return np.asarray(largest * np.sqrt(np.sum((a / largest[:, None]) ** 2, axis=1)))


def refuse_vanishing(
    scheme: Normalisation, part: AnyInteraction, seen: Array, weights: Array, size: Array, t: float
) -> None:
    """Refuse outputs that are 0, or nothing but round-off.

    Args:
        scheme: that divides by their size.
        part, seen, weights, t: the outputs are ``part.outputs(seen, weights, t)``.
        size: of the outputs, (n,).

    Raises:
        BrokenInvariantError: the smallest is less than 1e-13 of what it would be if all tokens were
            where its own is, so that nothing cancels.
    """
    token = int(np.argmin(size))
    if size[token] > _SMALL:
        return
    if size[token] > 0.0:
        with np.errstate(over="ignore", invalid="ignore"):
            same = part.outputs(np.tile(seen[token], (len(seen), 1)), weights, t)
        if size[token] > _ZERO * np.linalg.norm(same[token]):
            return
    raise BrokenInvariantError(
        f"the output of attention of token {token} is 0 or no number at t = {t:.6g}: the scheme "
        f"'{scheme.type}' divides by its size"
    )
