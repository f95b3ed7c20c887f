"""What the kernels of ensembles take of a case: attention of few tokens; or why not."""

from __future__ import annotations

from meanfield.arguments import checked_arguments
from meanfield.case.batchedheads import batched_heads
from meanfield.case.case import Case
from meanfield.case.heads import EXPONENTIAL
from meanfield.case.masks import mask_factors
from meanfield.case.normalisation import refuse_normalisation
from meanfield.case.tokensolvers import TOKEN_KINDS, Particles
from meanfield.errors import InputError
from meanfield.interaction.batched import BatchedModel
from meanfield.interaction.batched.model import MOST_BETA

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
    if solver.number is None or solver.tokens not in TOKEN_KINDS:
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
    for name in ("interaction", "strength", "pretrained", *model.beside):
        if getattr(model, name) is not None:
            raise InputError(f"model.{name}: found, expected attention alone in an ensemble")
    if model.attention not in EXPONENTIAL:
        raise InputError(f"model.attention: found '{model.attention}', expected 'sa' or 'usa'")
    refuse_normalisation(model.normalisation, "ensembles do not have", "'post' in an ensemble")
    if case.output.tangents:
        raise InputError(
            f"output.tangents: found {case.output.tangents}, expected 0 in an ensemble"
        )
    if case.output.pairs:
        raise InputError(f"output.pairs: found {case.output.pairs}, expected 0 in an ensemble")
    mask = mask_factors(model, solver.number)
    size = (solver.number, case.geometry.d, model.attention == "sa")
    if model.heads:
        return BatchedModel(*size, heads=batched_heads(model, case.geometry.d), mask=mask)
    assert isinstance(model.beta, float) and model.value is not None
    if abs(model.beta) > MOST_BETA:
        raise InputError(
            f"model.beta: found {model.beta:g}, expected |beta| <= {MOST_BETA:g} in an ensemble"
        )
    return BatchedModel(*size, beta=float(model.beta), value=model.value, mask=mask)
