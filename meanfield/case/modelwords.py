"""A few words for the parts of [model]."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from meanfield.case.heads import Attention, Head
from meanfield.case.intime import moving_in
from meanfield.checks import shortened

if TYPE_CHECKING:
    from meanfield.case.built import Parts

__all__ = ["words_beside", "words_of_heads"]


def words_of_heads(attention: Attention | None, heads: Sequence[Head]) -> list[str]:
    """For heads, of which there is one at least."""
    betas = [f"{head.beta:g}" for head in heads if isinstance(head.beta, float)]
    words = [f"{attention}, {len(heads)} head{'s' if len(heads) > 1 else ''}"]
    if len(betas) == len(heads):
        words.append(f"beta = {shortened(', '.join(betas))}")
    if any(moving_in(head) for head in heads):
        words.append("in time")
    return words


def words_beside(model: Parts) -> list[str]:
    """For drifts and potentials."""
    words = []
    for name in model.beside:
        word = "linear drift" if name == "drift" else name
        words.append(f"{word} in time" if moving_in(getattr(model, name)) else word)
    return words
