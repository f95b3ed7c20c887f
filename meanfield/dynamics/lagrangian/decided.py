"""What the beginning of a run decides about all of its steps; a checkpoint keeps it.

It hangs on the initial law and on where points start, which a run that goes on does not see again.
"""

from __future__ import annotations

from dataclasses import dataclass

from meanfield.case.solvers import Lagrangian
from meanfield.dynamics.lagrangian.start import Start, nearly_uniform
from meanfield.errors import InputError
from meanfield.geometry.mesh import Mesh
from meanfield.interaction.contract import AnyInteraction

__all__ = ["Decided", "decided"]

_TRANSFORMS = 1e-9  # accuracy of transforms with steps that are controlled by moments


@dataclass(frozen=True)
class Decided:
    """How accurate transforms and steps are.

    Attributes:
        tolerance: of transforms; None: the model's own.
        by_moments: whether steps are controlled by moments, where these tell the field.
        accuracy: of such steps.
    """

    tolerance: float | None
    by_moments: bool
    accuracy: float


def decided(
    options: Lagrangian, interaction: AnyInteraction, mesh: Mesh, start: Start | None
) -> Decided:
    """What these options mean.

    Args:
        options: of the run.
        interaction: the model, as it is without a mesh.
        mesh: where points start; start: what they carry in a chart, else None.

    Raises:
        InputError: a mesh of another geometry than the model's.
    """
    if (interaction.geometry, interaction.d) != (mesh.geometry, mesh.d):
        raise InputError(
            f"an interaction on '{interaction.geometry}' (d = {interaction.d}) found, the mesh's "
            f"'{mesh.geometry}' (d = {mesh.d}) expected"
        )
    wanted = start is not None if options.by_moments is None else options.by_moments
    tolerance = options.tolerance
    if wanted and tolerance is None and not nearly_uniform(interaction, mesh, start):
        tolerance = _TRANSFORMS
    return Decided(tolerance, wanted, options.moments_accuracy)
