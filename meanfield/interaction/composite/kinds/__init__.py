"""Kinds of attention by their names. A new one: its file, and its line here."""

from meanfield.interaction.composite.kind import Kind
from meanfield.interaction.composite.kinds.softmax import Softmax, Unnormalised

__all__ = ["KINDS"]

KINDS: dict[str, type[Kind]] = {kind.name: kind for kind in (Softmax, Unnormalised)}
"""By the name in a case."""
