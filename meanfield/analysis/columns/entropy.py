"""Entropy, and with it the free energy where there is diffusion."""

from meanfield.analysis.columns.base import Column
from meanfield.analysis.columns.view import View


def _free_energy(view: View) -> float:
    solver = view.solver
    return solver.interaction.free_energy(view.energy, view.entropy, solver.kappa)


COLUMNS = (
    Column(
        "entropy",
        "1",
        "int rho log rho dsigma >= 0, zero for the uniform density; with an exponent m of the "
        "diffusion int (rho^m - rho)/(m(m - 1)) dsigma.",
        lambda view: view.entropy,
        frozenset({"entropy"}),
    ),
    Column(
        "free_energy",
        "energy",
        "F = kappa H - E, H the entropy (repulsive attention: + E), never increases: diffusion and "
        "identity as link (usa, kernels) only. No such functional is known for sa. With kappa in "
        "time that of the present kappa: F then changes by H dkappa, too.",
        _free_energy,
        frozenset({"entropy", "free energy", "double energy"}),
    ),
)
