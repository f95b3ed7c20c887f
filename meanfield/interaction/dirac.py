"""What a point mass does to the tokens around it."""

from __future__ import annotations

import numpy as np

from meanfield.errors import InputError
from meanfield.interaction.contract import AnyInteraction
from meanfield.interaction.measure import Measure

__all__ = ["dirac_contraction"]

_BESIDE = 1e-3  # where it is looked whether X is smooth at the point, in widths of the interaction
_SMOOTH = 0.01  # relative difference of div X there


def dirac_contraction(interaction: AnyInteraction, t: float = 0.0) -> float:
    """Rate at which tokens next to a point mass come nearer to it, by its own field.

    A token at a small tangent vector v from the point moves by -r v, on the mean over directions:
    r = -div X/(d - 1) there. 1 for sa at any beta, e^beta for usa. Where it is not the same at all
    points, the largest at those of the coordinate axes; on latitudes at the poles.

    Args:
        interaction: any.
        t: time.

    Returns:
        The rate; below 0 they are driven away, nan: it has none (a kernel that is singular).
    """
    on, direct = interaction.manifold, interaction.direct()
    axes = np.eye(on.d)[-1:] if on.latitudes else np.eye(on.d)
    rates = []
    with np.errstate(all="ignore"):
        for x in np.concatenate([axes, -axes]):
            aside = np.roll(x, 1)  # another axis
            near = x + _BESIDE * interaction.width * aside
            points = on.coordinates(np.stack([x, near / np.linalg.norm(near)]))
            try:
                field = direct.field(Measure(points[:1], np.ones(1)), t)
                there, beside = -field.divergence(points) / (on.d - 1)
            except InputError:  # of points, or of a time, that it does not have
                continue
            if abs(there - beside) <= _SMOOTH * abs(there):
                rates.append(float(there))
    return max(rates) if rates else float("nan")
