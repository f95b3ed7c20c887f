"""Kinds of attention by their names. A new one: its file, and its line here."""

from meanfield.interaction.composite.kind import Kind
from meanfield.interaction.composite.kinds.hardmax import Hardmax
from meanfield.interaction.composite.kinds.l2 import L2
from meanfield.interaction.composite.kinds.linear import LinearAttention
from meanfield.interaction.composite.kinds.sigmoid import Sigmoid
from meanfield.interaction.composite.kinds.sinkhorn import Sinkhorn
from meanfield.interaction.composite.kinds.softmax import Softmax, Unnormalised

__all__ = ["KINDS"]

KINDS: dict[str, type[Kind]] = {
    kind.name: kind
    for kind in (Softmax, Unnormalised, LinearAttention, Hardmax, L2, Sigmoid, Sinkhorn)
}
"""By the name in a case."""
