"""Characteristics: the vertices of a mesh follow the flow and carry their mass (kappa = 0).

x_i' = X(x_i), masses m_i = w_i rho_0(x_i) stay for good, and d/dt log rho = -div X along each path,
with X and div X exact from the harmonics of the moved masses. There is no numerical diffusion, mass
is exact, and with nodal weights that integrate harmonics exactly the accuracy is spectral as long
as the flow is smooth. The moving triangulation carries the P1 density for output.

start: what the vertices of a mesh carry; points: where they are, and what has collapsed into one;
paths: what moves them; solver: steps; decided: how accurate they are; history: the moments of all
of them; following: points that go through these; pointwise: the density at any point and time;
chart: a start that keeps its accuracy, of one rule or of cells (adaptive), by a run of few points
(pilot), with an estimate of its error (estimate); sliced: a density by position; schemed, sheet:
with lengths, under a normalisation scheme.
"""

from __future__ import annotations

from meanfield.dynamics.lagrangian.begin import characteristics
from meanfield.dynamics.lagrangian.schemed import SchemedSolver, SchemedState
from meanfield.dynamics.lagrangian.sliced import SlicedSolver
from meanfield.dynamics.lagrangian.solver import LagrangianSolver
from meanfield.dynamics.lagrangian.start import Estimate
from meanfield.dynamics.lagrangian.state import LagrangianState

__all__ = [
    "Estimate",
    "LagrangianSolver",
    "LagrangianState",
    "SchemedSolver",
    "SchemedState",
    "SlicedSolver",
    "characteristics",
]
