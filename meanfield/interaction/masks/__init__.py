"""Masks: which tokens a token sees, in their order. A new one is a file here."""

from meanfield.interaction.masks.alibi import Alibi
from meanfield.interaction.masks.base import Mask, Seen, Slices
from meanfield.interaction.masks.causal import Causal
from meanfield.interaction.masks.given import GivenMask
from meanfield.interaction.masks.padding import Padding
from meanfield.interaction.masks.sequences import RandomSequences, Sequences
from meanfield.interaction.masks.window import Window

__all__ = [
    "Alibi",
    "Causal",
    "GivenMask",
    "Mask",
    "Padding",
    "RandomSequences",
    "Seen",
    "Sequences",
    "Slices",
    "Window",
]
