"""A law of which only the table is known: that of a run which goes on from its state.

Knows nothing of how tables become laws.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

import numpy as np

from meanfield.errors import InputError
from meanfield.geometry.sphere import Array

__all__ = ["RecordedLaw", "is_elsewhere"]

_ELSEWHERE = ("python", "function", "file")


def is_elsewhere(table: Mapping[str, object]) -> bool:
    """Whether the table of a law only tells where the law is: in Python, in a file."""
    parts = table.get("components", ())
    inside = [*(parts if isinstance(parts, list) else ()), table.get("first"), table.get("last")]
    return table.get("type") in _ELSEWHERE or any(
        isinstance(part, Mapping) and is_elsewhere(part) for part in inside
    )


@dataclass(frozen=True)
class RecordedLaw:
    """A law by its table alone, of which nothing can be computed.

    Attributes:
        table: as ``Case.to_dict`` gives it.
        d: dimension of the surrounding space.
    """

    table: Mapping[str, object]
    d: int

    def refuse(self) -> NoReturn:
        """Say what is missing.

        Raises:
            InputError: always.
        """
        raise InputError(
            f"the initial law ({self.describe()}) is known by its name only, as in a run that goes "
            "on: give it again, from Python or in a case file"
        )

    def density(self, x: Array) -> Array:
        """Refuse."""
        self.refuse()

    def log_density(self, x: Array) -> Array:
        """Refuse."""
        self.refuse()

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Refuse."""
        self.refuse()

    def is_zonal(self, tol: float = 1e-12) -> bool:
        """True: a run was begun with it, where it may have had to be."""
        return True

    def describe(self) -> str:
        """As its table tells."""
        if "description" in self.table:
            return str(self.table["description"])
        return ", ".join(f"{key} = {value}" for key, value in self.table.items())
