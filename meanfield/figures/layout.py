"""Whether the panels of a figure have room, of which matplotlib only warns."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from matplotlib.figure import Figure

from meanfield.errors import InputError

__all__ = ["laid_out"]


@contextmanager
def laid_out(figure: Figure) -> Iterator[None]:
    """Draw a figure within.

    Raises:
        InputError: its size leaves no room for panels.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "constrained_layout not applied")
        try:
            yield
        except UserWarning:
            width, height = figure.get_size_inches()
            raise InputError(
                f"plot.size: found {width:g} x {height:g} inches, expected more: the panels have "
                "no room"
            ) from None
