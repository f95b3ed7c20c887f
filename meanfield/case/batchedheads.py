"""The heads of a model as the kernels of ensembles take them."""

from __future__ import annotations

from meanfield.case.heads import EXPONENTIAL
from meanfield.case.model import Model
from meanfield.errors import InputError
from meanfield.interaction.batched import BatchedHead
from meanfield.interaction.composite import HeadMatrices

__all__ = ["batched_heads"]


def batched_heads(model: Model, d: int) -> tuple[BatchedHead, ...]:
    """The heads of [[model.heads]] on S^{d-1}; none for the short form.

    Raises:
        InputError: heads in time, of another kind than sa and usa, or of another shape.
    """
    if not model.heads:
        return ()
    kind = model.attention
    if kind is None or kind not in EXPONENTIAL:
        raise InputError(
            f"model.attention: found {kind!r} with heads, 'sa' or 'usa' expected for an ensemble"
        )
    out = []
    for i, head in enumerate(model.heads):
        found = head.matrices(d, kind, f"model.heads[{i}]")
        if not isinstance(found, HeadMatrices):
            raise InputError(
                f"model.heads[{i}]: found one in time, expected constants for an ensemble"
            )
        out.append(BatchedHead(found.A, found.V))
    return tuple(out)
