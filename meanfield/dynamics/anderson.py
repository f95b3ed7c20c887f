"""Anderson acceleration of a fixed-point iteration a = G(a) for short vectors.

Knows nothing of what is iterated.
"""

from __future__ import annotations

import numpy as np

from meanfield.geometry.sphere import Array

__all__ = ["Anderson"]

_DEPTH = 12
_CUTOFF = 1e-9  # relative size of the directions that are used


class Anderson:
    """The next argument from all earlier arguments and values (Anderson 1965; Walker and Ni 2011).

    Args:
        scale: (n,) weights >= 0 of the components in the norm.
    """

    def __init__(self, scale: Array) -> None:
        top = float(np.max(scale))
        self.scale: Array = scale / top if top > 0.0 else scale
        self._residuals: list[Array] = []
        self._values: list[Array] = []

    def norm(self, a: Array) -> float:
        """Weighted 2-norm."""
        return float(np.linalg.norm(self.scale * a))

    def next(self, argument: Array, value: Array) -> tuple[Array, float]:
        """The next argument, and how far (weighted 2-norm) it is from this one.

        The combination of the values whose residuals, combined likewise, are least.
        """
        self._residuals.append(self.scale * (value - argument))
        self._values.append(value)
        del self._residuals[:-_DEPTH], self._values[:-_DEPTH]
        new = value
        if len(self._values) > 1:
            steps = np.array(
                [b - a for a, b in zip(self._residuals, self._residuals[1:], strict=False)]
            )
            moves = np.array([b - a for a, b in zip(self._values, self._values[1:], strict=False)])
            gamma = np.linalg.lstsq(steps.T, self._residuals[-1], rcond=_CUTOFF)[0]
            new = value - gamma @ moves
        return new, self.norm(new - argument)
