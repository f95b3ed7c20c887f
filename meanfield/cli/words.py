"""Words for what is run: the state of a case, its model, its tokens. Knows no verb."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meanfield.case import Case
    from meanfield.case.intime import NumberInTime
    from meanfield.steady.problem import Problem

__all__ = [
    "case_words",
    "gaussian_count",
    "mesh_words",
    "problem_words",
    "resolution_words",
    "token_count",
]


def token_count(case: Case) -> int:
    """Count the tokens of a case that has some; those of a file are read, and so checked."""
    return _tokens(case)[0]


def _tokens(case: Case) -> tuple[int, str]:
    """Number of tokens, and where they come from: of a file, what is taken of it."""
    from meanfield.case import TOKEN_KINDS, Tokens

    solver = case.solver
    assert isinstance(solver, Tokens)
    if solver.tokens in TOKEN_KINDS and solver.number is not None:
        return solver.number, str(solver.tokens)

    from meanfield.dynamics.tokenfiles import read_tokens, read_vectors

    if case.model.exact is not None:
        vectors = read_vectors(solver.tokens, case.geometry.d, solver.number)
        return len(vectors), Path(solver.tokens).name
    table = read_tokens(solver.tokens, case.initial.d, solver.number, solver.normalise)
    taken = f": {table.taken}" if table.taken else ""
    return len(table.x), f"{Path(solver.tokens).name}{taken}"


def gaussian_count(case: Case) -> int:
    """Count the Gaussians of a case that has some."""
    from meanfield.case.gaussians import clusters_of

    return len(clusters_of(case.initial).masses)


def mesh_words(case: Case) -> str:
    """Words for what the state of a run is: a mesh, or tokens."""
    from meanfield.case import Gaussians, Lagrangian, Layers, Tokens

    solver, on = case.solver, case.geometry.manifold
    if isinstance(solver, Tokens):
        number, origin = _tokens(case)
        tokens = f"{number:,} tokens on {on.symbol} ({origin})"
        if case.model.exact is not None:
            return f"{tokens}, layer by layer"
        if isinstance(solver, Layers):
            return f"{tokens}, {solver.words(case.model.normalisation)}"
        return tokens
    if isinstance(solver, Gaussians):
        return f"{gaussian_count(case):,} Gaussians on {on.symbol}"
    words = "" if solver.type == "eulerian" else f", {solver.type}"
    if isinstance(solver, Lagrangian) and solver.charted(case.geometry, case.model):
        where = "a chart if there is one" if solver.start == "auto" else "a chart"
        return f"{on.describe()}, {case.geometry.vertex_count:,} points, from {where}{words}"
    return f"{case.geometry.words()}{words}"


def case_words(case: Case) -> str:
    """Words for a case."""
    from meanfield.case.words import model_words

    return f"{mesh_words(case)}, {model_words(case.model, case.geometry, case.model.kappa)}"


def resolution_words(case: Case) -> list[str]:
    """A line on the clusters that noise leaves and the mesh; none where it has nothing to tell."""
    from meanfield.analysis.clusterwidth import resolution_of

    found = resolution_of(case)
    return [] if found is None else [found.words]


def problem_words(problem: Problem, kappa: NumberInTime) -> str:
    """Words for a stationary problem; kappa = 0: it is what varies."""
    from meanfield.case.words import model_words

    words = model_words(problem.model, problem.geometry, kappa)
    return f"{problem.manifold.name}, d = {problem.geometry.d}, {words}"
