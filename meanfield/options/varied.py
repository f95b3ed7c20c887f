"""Options whose single numbers a branch or a sweep may vary."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Self, cast

from meanfield.checks import a_parameter

__all__ = ["Varied"]


class Varied:
    """A base of options: their numbers, and the same with other ones."""

    @property
    def parameters(self) -> dict[str, float]:
        """The numbers that a branch or a sweep may vary."""
        names = [part.name for part in dataclasses.fields(cast(Any, self))]
        found = {name: getattr(self, name) for name in names}
        return {
            name: float(value)
            for name, value in found.items()
            if isinstance(value, int | float) and not isinstance(value, bool)
        }

    def replaced(self, changes: Mapping[str, float]) -> Self:
        """The same with other numbers.

        Raises:
            InputError: it has no such number, or the value is out of its range.
        """
        for name in changes:
            a_parameter(name, tuple(self.parameters))
        return cast(Self, dataclasses.replace(cast(Any, self), **changes))
