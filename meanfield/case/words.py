"""Words for what a case sets: its model, and all that is in effect, for pictures and records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meanfield.case.case import Case
    from meanfield.case.geometry import Geometry
    from meanfield.case.intime import NumberInTime
    from meanfield.case.model import Model

__all__ = ["left_of", "model_words", "noise_words", "parameters_in_words", "record_of"]


def model_words(model: Model, geometry: Geometry, kappa: NumberInTime) -> str:
    """Words for the interaction on a geometry, and for the noise if there is some."""
    noise = f", kappa = {kappa:g}" if isinstance(kappa, float) else ", kappa in time"
    if not kappa:
        noise = ""
    if kappa and model.exponent != 1.0:
        noise += f", m = {model.exponent:g}"
    return f"{model.on(geometry).describe()}{noise}"


def parameters_in_words(case: Case, interaction: str = "", without: Sequence[str] = ()) -> str:
    """What is in effect: "sa, beta = 4, V = +I, kappa = 0, S^2, level = 5, eulerian".

    Args:
        case: any.
        interaction: words for it, where they are known already.
        without: parameters that have no one value, such as "beta".
    """
    model, on = case.model, case.geometry
    words = [*(interaction or model.on(on).describe()).split(", "), *noise_words(model)]
    if not any(word.startswith("beta") for word in words):
        words[1:1] = _betas(model)
    words.append(on.manifold.symbol)
    if on.resolution:
        words.append(f"{on.resolution} = {getattr(on, on.resolution)}")
    number = getattr(case.solver, "number", None)
    if number is not None:
        words.append(f"n = {number}")
    return ", ".join(left_of([*words, case.solver.type], without))


def _betas(model: Model) -> list[str]:
    """The one beta of all heads, which stands in their matrices where these are told."""
    betas = {model.beta, *(head.beta for head in model.heads)} - {None}
    return [f"beta = {beta:g}" for beta in betas if isinstance(beta, float) and len(betas) == 1]


def noise_words(model: Model) -> list[str]:
    """Words for the noise, none or some."""
    words = [f"kappa = {model.kappa:g}" if isinstance(model.kappa, float) else "kappa in time"]
    return words if model.exponent == 1.0 else [*words, f"m = {model.exponent:g}"]


def left_of(words: Sequence[str], without: Sequence[str]) -> list[str]:
    """The words that are of no parameter in ``without``."""
    return [word for word in words if word.split(" = ")[0].split(" in time")[0] not in without]


def record_of(case: Case, interaction: str = "") -> dict[str, object]:
    """What run.json tells of a case for people: its title, resolved, and what is in effect."""
    return {"title": case.heading, "parameters": parameters_in_words(case, interaction)}
