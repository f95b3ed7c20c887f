"""The model of a case whose inverse temperatures are by its number of tokens."""

from __future__ import annotations

import dataclasses
import math

from meanfield.case.batchmasks import Padding, Sequences
from meanfield.case.bynumber import ByNumber
from meanfield.case.gaussians import Gaussians
from meanfield.case.model import Model
from meanfield.case.solvers import Auto, Density, Solver, Tokens
from meanfield.errors import InputError

__all__ = ["numbered", "refuse_by_number"]


def numbered(model: Model, solver: Solver | Auto, d: int) -> Model:
    """A model with the inverse temperatures that its laws give for the tokens of a solver.

    Args:
        model: of a case; one without such laws is given back.
        solver: whose number of tokens it is.
        d: dimension of the ambient space.

    Raises:
        InputError: there is no number of tokens, or a value that is out of range.
    """
    laws = _laws(model)
    if not laws:
        return model
    if isinstance(model.mask, Padding | Sequences):
        key = next(iter(laws))
        raise InputError(
            f"{key}: found {_words(laws[key])}, which is by the number of tokens, with a mask of "
            "batches, whose tokens see fewer; expected a number"
        )
    n = _number(solver, *next(iter(laws.items())), d)
    values = {key: beta.at(n, d) for key, beta in laws.items()}
    for key, beta in values.items():
        if not math.isfinite(beta):
            raise InputError(f"{key}: found {_words(beta)} at n = {n}, expected a finite number")
    heads = [
        dataclasses.replace(head, beta=values.get(f"model.heads[{k}].beta", head.beta))
        for k, head in enumerate(model.heads)
    ]
    try:
        return dataclasses.replace(
            model, beta=values.get("model.beta", model.beta), heads=tuple(heads)
        )
    except InputError as error:
        key, beta = next(iter(values.items()))
        raise InputError(f"{error}, of {_words(beta)} at n = {n}") from None


def refuse_by_number(model: Model, d: int, why: str) -> None:
    """Refuse inverse temperatures by the number of tokens, and say ``why``.

    Raises:
        InputError: there is one.
    """
    for key, beta in _laws(model).items():
        raise InputError(
            f"{key}: found {_words(beta)}, {why}; expected a number, such as "
            f"{beta.at(1000, d):.4g} (that of 1000 tokens)"
        )


def _laws(model: Model) -> dict[str, ByNumber]:
    """All inverse temperatures by the number of tokens, by their keys."""
    of_heads = {f"model.heads[{k}].beta": head.beta for k, head in enumerate(model.heads)}
    given = {"model.beta": model.beta, **of_heads}
    return {key: beta for key, beta in given.items() if isinstance(beta, ByNumber)}


def _words(beta: ByNumber) -> str:
    return f"'{beta.law.type}' with factor {beta.law.factor:g}"


def _number(solver: Solver | Auto, key: str, beta: ByNumber, d: int) -> int:
    """n, or why there is none."""
    if isinstance(solver, Density | Gaussians | Auto):
        raise InputError(
            f"{key}: found {_words(beta)}, which is by the number of tokens, and a density has "
            f"none; expected a number, such as {beta.at(1000, d):.4g} (that of 1000 tokens), or "
            "solver.type = 'particles' or 'layers'"
        )
    assert isinstance(solver, Tokens)
    if solver.number is None:
        raise InputError(
            f"{key}: found {_words(beta)}, which is by the number of tokens, and no solver.number; "
            "expected solver.number, also with a file of tokens (the number of its rows)"
        )
    return solver.number
