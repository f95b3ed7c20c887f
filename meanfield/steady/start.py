"""Where the branches of a case begin: at the state to which its law leads, or at the uniform one.

Knows laws and symmetries; nothing of cases, folders and of the command line.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from meanfield.errors import InputError
from meanfield.geometry.laws import Law
from meanfield.geometry.manifolds import Manifold
from meanfield.geometry.sphere import Array
from meanfield.steady.branch import find_aligned, find_branches, first_equation
from meanfield.steady.curve import Curve
from meanfield.steady.diagram import Diagram
from meanfield.steady.equation import Equation
from meanfield.steady.follow import Report
from meanfield.steady.newton import find_stationary
from meanfield.steady.symmetric import find_symmetric_branches
from meanfield.steady.symmetry import NONE, Symmetry

__all__ = ["WITHOUT", "Follower", "direction", "follower", "order_words"]

WITHOUT = "; on the circle also --symmetry none"
"""Words for what else may be done."""

Follower = Callable[[str, float, float, Report], Diagram]
"""Follows branches in a parameter, from one value to another."""


def direction(axis: Array) -> str:
    """Words for a unit vector."""
    return f"({', '.join(f'{c:.4g}' for c in np.where(np.abs(axis) < 1e-9, 0.0, axis))})"


def order_words(symmetry: Symmetry, row: Array) -> str:
    """Words for the order parameter of a point of a branch."""
    if symmetry.has_mean:
        return f"|m| = {abs(row[1]):.4f}"
    return f"c_{symmetry.degree} = {row[2]:.4f}"


def follower(
    equation: Equation, law: Law, symmetry: Symmetry, on: Manifold, secondary: bool = False
) -> tuple[Follower, str]:
    """What follows the branches of a symmetry, and a note on where they begin.

    ``secondary``: whether those that leave others are followed, too.
    """
    if not symmetry.from_law:
        note = f"{symmetry.name}: branches from the uniform state, whatever the initial law"
        return (
            lambda name, start, end, report: find_symmetric_branches(
                equation, name, start, end, symmetry, report=report, secondary=secondary
            )
        ), note
    if symmetry is NONE:
        return (
            lambda name, start, end, report: find_aligned(
                Curve(first_equation(equation, name, (start, end)), name, (start, end), symmetry),
                law,
                report=report,
                secondary=secondary,
            )
        ), "none: the state on the circle to which the initial law leads, continued"
    at, note = _zonal_start(equation, law, on)
    return (
        lambda name, start, end, report: find_branches(
            equation, name, start, end, at, report=report, secondary=secondary
        )
    ), note


def _zonal_start(equation: Equation, law: Law, on: Manifold) -> tuple[Law | Array, str]:
    """A zonal law, or the moments about its axis of the state on the circle or sphere."""
    if on.latitudes:
        return law, ""
    if not equation.is_isotropic:
        beside = "a potential" if equation.external is not None else "matrices"
        if not law.is_zonal():
            raise InputError(
                f"initial: beside {beside} a branch is followed in its symmetry about e_"
                f"{equation.d}: expected a law that has it, found {law.describe()}"
                f"{WITHOUT if equation.d == 2 else ''}"
            )
        what = "the potential is" if equation.external is not None else "the matrices are"
        return law, f"{what} symmetric about e_{equation.d}: continued in that symmetry"
    state = find_stationary(equation, law, on.name)
    if not state.is_axially_symmetric:
        raise InputError(
            f"the state found on the {on.name} has no axis of symmetry (|m| = "
            f"{state.mean_norm:.4g}): expected one that has, to be continued in that symmetry; "
            "start from another law"
        )
    if state.is_uniform:
        note = f"the uniform state on the {on.name}; continued about e_{equation.d}"
    else:
        axis = direction(state.axis)
        note = f"the state on the {on.name} is symmetric about {axis}: continued in that symmetry"
    return state.zonal_moments(), note
