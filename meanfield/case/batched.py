"""What the kernels of ensembles take of a case: attention of few tokens; or why not."""

from __future__ import annotations

from meanfield.arguments import checked_arguments
from meanfield.case.case import Case
from meanfield.case.heads import EXPONENTIAL
from meanfield.case.solvers import Particles
from meanfield.errors import InputError
from meanfield.interaction.batched import BatchedModel

__all__ = ["batched_model"]


@checked_arguments
def batched_model(case: Case) -> BatchedModel:
    """The model of a case as ``BatchedModel``; its noise is not looked at.

    Raises:
        InputError: what the kernels do not do, by its key.
    """
    solver, model = case.solver, case.model
    if not isinstance(solver, Particles):
        raise InputError(f"solver.type: found '{solver.type}', expected 'particles' in an ensemble")
    if solver.number is None or solver.tokens not in ("iid", "quantised"):
        raise InputError(
            "solver.tokens: found a file, expected 'iid' or 'quantised' in an ensemble"
        )
    if solver.number < 2:
        raise InputError(f"solver.number: found {solver.number}, expected 2 or more in an ensemble")
    if solver.exclude_self:
        raise InputError("solver.exclude_self: found true, expected false in an ensemble")
    if solver.interaction == "harmonics":
        raise InputError("solver.interaction: found 'harmonics', expected 'auto' in an ensemble")
    if model.moving:
        raise InputError(f"{next(iter(model.moving))}: found in time, expected constants")
    for name in ("interaction", "strength", *model.beside):
        if getattr(model, name) is not None:
            raise InputError(f"model.{name}: found, expected attention alone in an ensemble")
    if model.attention not in EXPONENTIAL:
        raise InputError(f"model.attention: found '{model.attention}', expected 'sa' or 'usa'")
    if model.heads:
        raise InputError(
            "model.heads: found, expected attention with beta and value in an ensemble"
        )
    assert isinstance(model.beta, float) and model.value is not None
    return BatchedModel(
        n=solver.number,
        d=case.geometry.d,
        normalised=model.attention == "sa",
        beta=model.beta,
        value=model.value,
    )
