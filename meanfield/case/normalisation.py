"""[model.normalisation]: how a block of a transformer keeps tokens apart from their lengths.

Of a token with the direction theta_i, the length r_i and the attention output A_i at theta_i,
theta_i' = P A_i/s_i, and r_i' as the scheme says. Source: arXiv 2510.22026.
A scheme is a class here with its numbers, and a line in ``SCHEMES``.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import BeforeValidator

from meanfield.errors import InputError
from meanfield.geometry.sphere import Array
from meanfield.options import Expected, Field, Number, as_table, options

__all__ = [
    "SCHEMES",
    "TOKENS",
    "AnyNormalisation",
    "Mix",
    "Ngpt",
    "Normalisation",
    "Peri",
    "Plain",
    "Post",
    "Pre",
    "Rates",
    "Sandwich",
    "Sqrt",
    "refuse_normalisation",
]

TOKENS = "solver.type = 'particles' or 'layers'"
"""Who has schemes."""

Length = Annotated[Number, Field(gt=0.0, le=1e6), Expected("a length > 0")]


class Rates(NamedTuple):
    """What a scheme makes of outputs: theta' = factor P A, r' = growth, (n,) each."""

    factor: Array
    growth: Array


class Normalisation(ABC):
    """A scheme, as a case says it.

    Attributes:
        has_length: whether tokens have lengths that it changes; ``length`` is the first of them.
        sees_length: whether attention is that of the tokens as long as they are, not of directions.
    """

    type: str
    has_length: ClassVar[bool] = False
    sees_length: ClassVar[bool] = False

    @abstractmethod
    def rates(self, along: Array, size: Array, r: Array, t: float) -> Rates:
        """1/s and r' of tokens.

        Args:
            along: (n,) <theta, A>.
            size: (n,) |A|.
            r: (n,) lengths > 0.
            t: time.
        """

    def next_jump(self, t: float) -> float:
        """The first time after ``t`` at which the scheme itself changes; inf: there is none."""
        return math.inf

    def first_lengths(self, n: int, rng: np.random.Generator) -> Array:
        """(n,) r at the beginning; ones where there are no lengths."""
        return np.full(n, float(getattr(self, "length", 1.0)))

    def table(self) -> dict[str, object]:
        """As the table [model.normalisation] of a case file."""
        return as_table(self)

    def describe(self) -> str:
        """A few words."""
        return f"normalisation {self.type}"


@options("model.normalisation", kw_only=True)
class Post(Normalisation):
    """s = 1: tokens on the sphere; what there is without a scheme."""

    type: Literal["post"] = "post"

    def rates(self, along: Array, size: Array, r: Array, t: float) -> Rates:
        return Rates(np.ones_like(r), np.zeros_like(r))


@options("model.normalisation", kw_only=True)
class Pre(Normalisation):
    """s = r, r' = <theta, A>: attention of N(x), added to x."""

    length: Length = 1.0
    """r at the beginning."""
    type: Literal["pre"] = "pre"

    has_length = True

    def rates(self, along: Array, size: Array, r: Array, t: float) -> Rates:
        return Rates(1.0 / r, along)


@options("model.normalisation", kw_only=True)
class Mix(Normalisation):
    """ "post" until a time, "pre" from then on."""

    switch: Number = Field(gt=0.0, examples=[2.0])
    """The time."""
    length: Length = 1.0
    """r at the beginning, and until then."""
    type: Literal["mix"] = "mix"

    has_length = True

    def rates(self, along: Array, size: Array, r: Array, t: float) -> Rates:
        if t < self.switch:
            return Rates(np.ones_like(r), np.zeros_like(r))
        return Rates(1.0 / r, along)

    def next_jump(self, t: float) -> float:
        return self.switch if t < self.switch else math.inf


@options("model.normalisation", kw_only=True)
class Peri(Normalisation):
    """s = r |A|, r' = <theta, A>/|A|: the output is normalised, too."""

    length: Length = 1.0
    """r at the beginning."""
    type: Literal["peri"] = "peri"

    has_length = True

    def rates(self, along: Array, size: Array, r: Array, t: float) -> Rates:
        return Rates(1.0 / (r * size), along / size)


@options("model.normalisation", kw_only=True)
class Ngpt(Normalisation):
    """s = |A|/alpha: the output is normalised, and all is on the sphere."""

    alpha: Number = Field(default=1.0, gt=0.0, le=1e6)
    """Rate."""
    type: Literal["ngpt"] = "ngpt"

    def rates(self, along: Array, size: Array, r: Array, t: float) -> Rates:
        return Rates(self.alpha / size, np.zeros_like(r))


@options("model.normalisation", kw_only=True)
class Sqrt(Normalisation):
    """s = sqrt(t + 1): outputs of deep layers count for less."""

    type: Literal["sqrt"] = "sqrt"

    def rates(self, along: Array, size: Array, r: Array, t: float) -> Rates:
        return Rates(np.full_like(r, 1.0 / math.sqrt(t + 1.0)), np.zeros_like(r))


@options("model.normalisation", kw_only=True)
class Sandwich(Normalisation):
    """s = |A|: the output is normalised, and the sum."""

    type: Literal["sandwich"] = "sandwich"

    def rates(self, along: Array, size: Array, r: Array, t: float) -> Rates:
        return Rates(1.0 / size, np.zeros_like(r))


@options("model.normalisation", kw_only=True)
class Plain(Normalisation):
    """No normalisation: x' = A(x) of tokens of any length (arXiv 2312.10794, section 9.2)."""

    length: Length = 1.0
    """|x| at the beginning."""
    type: Literal["none"] = "none"

    has_length = True
    sees_length = True

    def rates(self, along: Array, size: Array, r: Array, t: float) -> Rates:
        return Rates(1.0 / r, along)


SCHEMES: dict[str, type[Normalisation]] = {
    "post": Post,
    "pre": Pre,
    "mix": Mix,
    "peri": Peri,
    "ngpt": Ngpt,
    "sqrt": Sqrt,
    "sandwich": Sandwich,
    "none": Plain,
}


def _scheme(value: object) -> object:
    """A scheme by its type alone."""
    return {"type": value} if isinstance(value, str) else value


_Any = Post | Pre | Mix | Peri | Ngpt | Sqrt | Sandwich | Plain

if TYPE_CHECKING:
    AnyNormalisation = Normalisation | str
else:
    AnyNormalisation = Annotated[
        _Any,
        Field(discriminator="type"),
        BeforeValidator(_scheme, json_schema_input_type=_Any | str),
    ]


def refuse_normalisation(scheme: Normalisation | str | None, who: str, expected: str) -> None:
    """Refuse a scheme other than "post" where there is none.

    Args:
        scheme: of the model.
        who: does not have it, and why.
        expected: what does.

    Raises:
        InputError: there is one.
    """
    if isinstance(scheme, Normalisation) and not isinstance(scheme, Post):
        raise InputError(
            f"model.normalisation: found '{scheme.type}', that {who}; expected {expected}"
        )
