"""What keys of [model] go together: refused in one line where they do not."""

from __future__ import annotations

import numbers
from typing import Annotated, Literal, Protocol

from pydantic import BeforeValidator

from meanfield.case.built import Parts
from meanfield.case.heads import number_in_words, without_beta
from meanfield.case.intime import moves
from meanfield.case.kernels import AnyKernel
from meanfield.errors import InputError
from meanfield.options import Expected, Unit

__all__ = ["SHORT_FORM", "Sign", "check_attention", "check_heads", "check_interaction"]

MAX_BETA_USA = 600.0
_EXAMPLES = {"attention": '"sa"', "beta": "4.0"}

SHORT_FORM = ("attention", "beta", "value")
"""The keys of [model] that name an interaction without its table."""


def _sign(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or value not in (1, -1):
        raise ValueError("no sign")
    return 1 if value == 1 else -1


Sign = Annotated[
    int,
    BeforeValidator(_sign, json_schema_input_type=Literal[1, -1]),
    Expected("1 or -1 (V = value * I)"),
    Unit("1"),
]


class Told(Parts, Protocol):
    """A ``Model``, as far as it is checked here."""

    @property
    def interaction(self) -> AnyKernel | None: ...


def _need(model: Parts, *names: str) -> None:
    for name in names:
        if getattr(model, name) is None:
            raise InputError(f"model.{name} is missing; add for example {name} = {_EXAMPLES[name]}")


def check_attention(model: Told) -> None:
    """Attention in its short form."""
    _need(model, "attention")
    if without_beta(model.attention):
        if model.beta is not None:
            raise InputError(
                f"beta: found {number_in_words(model.beta)} together with {model.attention} "
                "attention, which is beta = inf; expected none"
            )
    else:
        _need(model, "beta")
    if moves(model.beta) or model.beta is None:
        return
    assert isinstance(model.beta, float)
    if model.attention == "usa" and abs(model.beta) > MAX_BETA_USA:
        raise InputError(
            f"beta: found {model.beta:g}, but usa velocities are of size e^|beta|, which "
            f'no float holds: expected |beta| <= {MAX_BETA_USA:g}, or attention = "sa"'
        )


def check_heads(model: Told) -> None:
    """Attention by heads."""
    if model.beta is not None:
        raise InputError(
            f"beta: given twice, as {number_in_words(model.beta)} and in heads; expected it in "
            "each head"
        )
    if model.value is not None:
        raise InputError(f"value: found {model.value} together with heads, expected V in each head")
    _need(model, "attention")
    assert model.attention is not None
    for i, head in enumerate(model.heads):
        head.refuse_beta(model.attention, f"heads[{i}].")


def check_interaction(model: Told) -> None:
    """A kernel, alone or beside heads."""
    if model.heads:
        check_heads(model)
    elif given := [n for n in SHORT_FORM if getattr(model, n) is not None]:
        raise InputError(
            f"interaction: found together with model.{given[0]}, expected one of the two: "
            "attention, beta and value are the short form of an interaction; attention beside "
            "a kernel is told by [[model.heads]]"
        )
    assert model.interaction is not None
    try:
        model.interaction.refuse_overflow(MAX_BETA_USA)
    except InputError as error:
        raise InputError(f"interaction: {error}") from None
