"""Words for what is run: the state of a case, its model, its tokens. Knows no verb."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meanfield.case import Case, Model
    from meanfield.steady.problem import Problem

__all__ = ["case_words", "mesh_words", "model_words", "problem_words", "token_count"]


def token_count(case: Case) -> int:
    """Count the tokens of a case that has some; those of a file are read, and so checked."""
    from meanfield.case import TOKEN_KINDS, Tokens
    from meanfield.dynamics.tokens import initial_tokens

    assert isinstance(case.solver, Tokens)
    number, tokens = case.solver.number, case.solver.tokens
    if tokens in TOKEN_KINDS and number is not None:
        return number
    return len(initial_tokens(case.initial, number, case.seed, tokens))


def mesh_words(case: Case) -> str:
    """Words for what the state of a run is: a mesh, or tokens."""
    from meanfield.case import TOKEN_KINDS, Layers, Tokens

    solver, on = case.solver, case.geometry.manifold
    if isinstance(solver, Tokens):
        origin = solver.tokens if solver.tokens in TOKEN_KINDS else Path(solver.tokens).name
        layers = f", {solver.layers:,} layers a unit of time" if isinstance(solver, Layers) else ""
        return f"{token_count(case):,} tokens on {on.symbol} ({origin}){layers}"
    words = "" if solver.type == "eulerian" else f", {solver.type}"
    return f"{on.describe()}, {case.geometry.vertex_count:,} vertices{words}"


def model_words(model: Model, kappa: float) -> str:
    """Words for the interaction, and for the noise if there is some."""
    noise = f", kappa = {kappa:g}" if kappa else ""
    return f"{model.describe()}{noise}"


def case_words(case: Case) -> str:
    """Words for a case."""
    return f"{mesh_words(case)}, {model_words(case.model, case.model.kappa)}"


def problem_words(problem: Problem, kappa: float) -> str:
    """Words for a stationary problem; kappa = 0: it is what varies."""
    words = model_words(problem.model, kappa)
    return f"{problem.manifold.name}, d = {problem.geometry.d}, {words}"
