"""A law by position in a sequence: from that of the first token to that of the last.

Knows other laws by the protocol only.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np

from meanfield.arguments import Count, checked_arguments, refuse_other
from meanfield.errors import InputError
from meanfield.geometry.laws.base import Law, refuse_ordered, unchecked
from meanfield.geometry.laws.mixture import Mixture
from meanfield.geometry.sphere import Array
from meanfield.options import Expected, Field, field, options

__all__ = ["ByPosition", "law_at"]

_PART = (unchecked(dict[str, object]), Expected("a table of a law"))


@options("")
class ByPosition:
    """Tokens in an order: at position s in (0, 1] the mixture (1 - s) first + s last.

    As a law it is the mean over s. Of n draws, in their order, the i-th is at s = (i - 1/2)/n.

    Raises:
        InputError: if dimensions differ, or one is itself by position.

    Example:
        >>> law = mf.ByPosition(mf.VonMisesFisher((0, 0, 1), 4.0), mf.Uniform(3))
        >>> law.d
        3
    """

    first: Annotated[Law, *_PART] = Field(examples=[{"type": "uniform"}])
    """The law at s = 0."""
    last: Annotated[Law, *_PART] = Field(examples=[{"type": "cap", "centre": "e_d", "angle": 0.5}])
    """The law at s = 1."""
    type: Literal["by-position"] = field(default="by-position", kw_only=True, repr=False)

    def __post_init__(self) -> None:
        for name in ("first", "last"):
            refuse_other(name, getattr(self, name), Law)
            refuse_ordered(getattr(self, name), name)
        if self.first.d != self.last.d:
            raise InputError(
                f"last: found a law in dimension {self.last.d}, expected {self.first.d} like first"
            )

    @property
    def d(self) -> int:
        """Dimension of the surrounding space."""
        return self.first.d

    def at(self, s: float) -> Law:
        """The law at a position 0 <= s <= 1."""
        if not 0.0 <= s <= 1.0:
            raise InputError(f"s = {s:g} found, 0 to 1 expected")
        return Mixture((self.first, self.last), (1.0 - s, s))

    def density(self, x: Array) -> Array:
        """Mean over the positions, (n,)."""
        return self.at(0.5).density(x)

    def log_density(self, x: Array) -> Array:
        """Its logarithm, (n,)."""
        return self.at(0.5).log_density(x)

    @checked_arguments
    def sample(self, n: Count, rng: np.random.Generator) -> Array:
        """Draw a point at each of n positions, in their order."""
        ends = rng.random(n) < (np.arange(n) + 0.5) / max(n, 1)
        x = np.empty((n, self.d))
        for law, mine in ((self.first, ~ends), (self.last, ends)):
            x[mine] = law.sample(int(mine.sum()), rng)
        return x

    @checked_arguments
    def is_zonal(self, tol: float = 1e-12) -> bool:
        """Whether both are."""
        return self.first.is_zonal(tol) and self.last.is_zonal(tol)

    def describe(self) -> str:
        """One line."""
        return f"by position: from {self.first.describe()} to {self.last.describe()}"


def law_at(law: Law, s: float) -> Law:
    """The law at a position in the sequence; that of all positions where it hangs on none."""
    return law.at(s) if isinstance(law, ByPosition) else law
