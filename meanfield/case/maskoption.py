"""What a mask is in a case: options that become a mask of interactions."""

from __future__ import annotations

from abc import ABC, abstractmethod

from meanfield.interaction import masks
from meanfield.options import as_table

__all__ = ["MaskOption"]


class MaskOption(ABC):
    """A mask as a case says it."""

    type: str

    @abstractmethod
    def on(self) -> masks.Mask:
        """As interactions take it.

        Raises:
            InputError: what is in a file is no mask.
        """

    def table(self) -> dict[str, object]:
        """As the table [model.mask] of a case file."""
        return as_table(self)
