"""What undoes the growth of tokens without normalisation: e^{-tV} (arXiv 2305.05465)."""

from __future__ import annotations

import numpy as np
from scipy import linalg

from meanfield.geometry.sphere import Array
from meanfield.interaction.composite import Composite
from meanfield.interaction.contract import AnyInteraction
from meanfield.interaction.interaction import Interaction
from meanfield.interaction.masked import Masked

__all__ = ["rescaling"]


def rescaling(interaction: AnyInteraction, t: float) -> Array | None:
    """e^{-tV}, (d, d), with V the sum of V of all heads, by which equal tokens grow.

    None: heads that depend on time, or weights that do not add up to one.
    """
    if isinstance(interaction, Masked):
        interaction = interaction.whole
    if isinstance(interaction, Interaction):
        if interaction.link != "log":
            return None
        return np.exp(-t * interaction.gain) * np.eye(interaction.d)
    if not isinstance(interaction, Composite) or not interaction.normalised:
        return None
    total = sum((head.V for head in interaction.heads), np.zeros((interaction.d,) * 2))
    return np.asarray(linalg.expm(-t * total))
