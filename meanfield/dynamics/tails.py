"""Repulsion whose series is cut: what to do for the density on scales that its moments do not see.

A repulsive singular kernel (lam_l < 0, decreasing in size for ever) that is cut at degree L says
nothing of moments beyond: without diffusion they are not determined, and what the scheme leaves
there stays. They are closed by what the tail tends to, a local repulsion: lam_l - lam_{L+1} for
l <= L, and |lam_{L+1}| rho^2/2 in the free energy for all l. Moments up to L feel exactly what they
did; what is wrong of the energy is sum_{l > L} (lam_l - lam_{L+1}) |a_l|^2/2 alone.

Noise determines them as well, but at its own rate: up to kappa = 10 |lam_{L+1}| closing was still
the better of the two (log gas, N = 200 against 800: at 1, 3, 7.6 times that the error in L^1 was
10.5, 11, 2.6 times smaller, with 3 to 7 times fewer steps); beyond, it makes no difference.

The interaction says that its tail is like that, and how large; the diffusion takes it.
"""

from __future__ import annotations

from typing import NamedTuple

from meanfield.case.solvers import Tail
from meanfield.dynamics.movingdiffusion import AnyDiffusion
from meanfield.errors import InputError
from meanfield.interaction.contract import AnyInteraction

__all__ = ["Closed", "closed"]

_COUNTS = 10.0  # kappa over that of the tail from which noise alone determines what is left open


class Closed(NamedTuple):
    """An interaction, cut to a mesh, and a diffusion that stands in for its tail, if any does."""

    interaction: AnyInteraction
    diffusion: AnyDiffusion


def closed(interaction: AnyInteraction, diffusion: AnyDiffusion, tail: Tail) -> Closed:
    """Close the tail of an interaction that is cut to a mesh, or leave it.

    Args:
        interaction: its series as the mesh resolves it.
        diffusion: of the model.
        tail: "closed", "cut", or "auto": closed where kappa is less than ten times the tail.

    Raises:
        InputError: a tail that is not there was to be closed.
    """
    local = interaction.local_tail
    if tail == "closed" and interaction.open_tail:
        raise InputError(
            f'tail: "closed" found, but the tail of {interaction.describe()} cannot be: '
            f'{interaction.open_tail}; expected "auto" or "cut"'
        )
    if tail == "closed" and local == 0.0:
        raise InputError(
            f'tail: "closed" found, but {interaction.describe()} has no tail of a local repulsion '
            '(coefficients below 0 that decrease in size for ever): "auto" or "cut" expected'
        )
    if tail == "cut" or local == 0.0 or (tail == "auto" and diffusion.lowest >= _COUNTS * local):
        return Closed(interaction, diffusion)
    return Closed(interaction.with_closed_tail(), diffusion.with_local(local))
