"""A mask with a density: by position s in (0, 1] in a sequence, in slices (characteristics)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from meanfield.case.masks import MaskOption, refuse_mask
from meanfield.case.solvers import Lagrangian
from meanfield.errors import InputError
from meanfield.interaction.masks import GivenMask

if TYPE_CHECKING:
    from meanfield.case.geometry import Geometry
    from meanfield.case.model import Model
    from meanfield.interaction.sliced import Sliced

__all__ = ["SLICES", "settled_slices", "sliced_on"]

SLICES = 16
"""Slices where a case has a mask and does not say how many; of a matrix as many as it has rows."""


def settled_slices(solver: Lagrangian, model: Model) -> Lagrangian:
    """The solver with its number of slices: None without a mask.

    Raises:
        InputError: slices without a mask, or a mask with what slices do not have.
    """
    if model.mask is None:
        refuse_mask(model, "a density")  # rotary positions
        if solver.slices is not None:
            raise InputError(
                f"solver.slices: found {solver.slices} without model.mask, which slices are of: "
                'expected none, or mask = "causal"'
            )
        return solver
    if model.rope is not None:
        raise InputError(
            "model.rope: found with a density, which has no numbers of tokens to turn by; expected "
            'solver.type = "particles" or "layers"'
        )
    if model.strength is not None:
        raise InputError("model.strength: found with slices of positions, expected none")
    assert isinstance(model.mask, MaskOption)
    mask = model.mask.on()
    usual = len(mask.matrix) if isinstance(mask, GivenMask) else SLICES
    number = usual if solver.slices is None else solver.slices
    try:
        mask.slices(number)
    except InputError as error:
        raise InputError(f"model.{error}") from None
    return replace(solver, slices=number)


def sliced_on(model: Model, geometry: Geometry, number: int) -> Sliced:
    """Attention by position, and what stands beside it, on a geometry, in so many slices.

    Raises:
        InputError: as for ``Model.on``.
    """
    from meanfield.interaction.sliced import Sliced

    assert isinstance(model.mask, MaskOption)
    whole = replace(model, mask=None).on(geometry)
    return Sliced(whole, model.mask.on().slices(number), model.attention == "sa")
