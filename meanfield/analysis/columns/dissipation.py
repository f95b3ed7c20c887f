"""Whether the energy moves as the field says: what it should move by, and what it does."""

import math

from meanfield.analysis.columns.base import Column
from meanfield.analysis.columns.view import View


def _residual(view: View) -> float:
    """nan, where the row before is not there or (of an earlier version) does not tell its part."""
    before = view.previous
    if before is None:
        return math.nan
    noisy = view.solver.diffuses
    energy, earlier = view.energy_scaled, before["energy_scaled"]
    grown = view.falling(earlier, before["entropy"] if noisy else 0.0) - view.falling(
        energy, view.entropy if noisy else 0.0
    )
    told = 0.5 * (view.t - before["t"]) * (view.dissipation + before["dissipation"])
    wrong = grown - told
    if abs(wrong) <= view.field.energy_noise():
        return 0.0  # at rest both are round-off, and their quotient is any number
    return wrong / max(abs(energy), abs(earlier), 1e-300)


COLUMNS = (
    Column(
        "dissipation",
        "energy/time",
        "What the field says of dE/dt, in the unit of energy_scaled: int |X|^2 dmu, for sa (log "
        "link) int Z |X|^2 dmu; where E falls (V = -I), -dE/dt; with diffusion -dF/dt of the free "
        "energy F (of the present kappa: beside what F changes by with it). Left out where this is "
        "not known: no energy; sa or tokens with diffusion, a normalisation or weights of layers.",
        lambda view: view.dissipation,
        frozenset({"dissipation"}),
    ),
    Column(
        "energy_residual",
        "1",
        "What E (with diffusion -F) has grown by since the row before, less the integral of the "
        "dissipation by the trapezoidal rule, over E; V = -I: what E has fallen by. Of the order "
        "of the cube of the time between rows, and of this time times the error of the scheme; for "
        "tokens and characteristics the former only. nan in the first row. Left out where kappa "
        "depends on time.",
        _residual,
        frozenset({"dissipation", "balance"}),
        may_be_missing=True,
    ),
)
