"""[model.normalisation]: how a block of a transformer keeps tokens apart from their lengths.

Of a token with the direction theta_i, the length r_i and the attention output A_i at theta_i,
theta_i' = P A_i/s_i, and r_i' as the scheme says. Source: arXiv 2510.22026.
RMS-norm with a gain g has attention at diag(g) theta; layer norm centres outputs, too: both change
matrices only (``case.gain``).
A scheme is a class here with its numbers, and a line in ``SCHEMES``.
"""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, NamedTuple, Self

import numpy as np
from pydantic import BeforeValidator

from meanfield.case.lengths import AnyLength, LengthLaw, lengths_of
from meanfield.errors import InputError
from meanfield.geometry.sphere import Array
from meanfield.options import Duration, Expected, Field, Flag, Pure, Rate, Unit, as_table, options

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
    "refuse_in_density",
    "refuse_normalisation",
]

TOKENS = "solver.type = 'particles' or 'layers'"
"""Who has schemes."""

MAX_GAIN = 1e4  # squared, it stands in A = beta K^T Q

if TYPE_CHECKING:
    Gain = float | Sequence[float] | None
else:
    _Gain = Annotated[Pure, Field(gt=0.0, le=MAX_GAIN)]
    Gain = Annotated[
        float | tuple[_Gain, ...] | None,
        BeforeValidator(lambda value: _gain(value), json_schema_input_type=float | list[float]),
        Expected(f"a number or d numbers above 0, up to {MAX_GAIN:g}"),
        Unit("1"),
    ]


def _gain(value: object) -> object:
    """A number, or several as a tuple: checked, as a union would not say which is wrong."""
    if value is None:
        return None
    many = isinstance(value, tuple | list | np.ndarray) and np.ndim(value) > 0
    found = tuple(value) if many else (value,)  # type: ignore[arg-type]
    numbers = [g for g in found if isinstance(g, int | float | np.number)]
    numbers = [float(g) for g in numbers if not isinstance(g, bool) and 0.0 < g <= MAX_GAIN]
    if not found or len(numbers) != len(found):
        raise ValueError("no gain")
    return tuple(numbers) if many else numbers[0]


class Rates(NamedTuple):
    """What a scheme makes of outputs: theta' = factor P A, r' = growth, (n,) each."""

    factor: Array
    growth: Array


class Normalisation(ABC):
    """A scheme, as a case says it.

    Attributes:
        has_length: whether tokens have lengths that it changes; ``length`` is the first of them.
        sees_length: whether attention is that of the tokens as long as they are, not of directions.
        divides: whether outputs are divided by their size, so that none may be 0.
        gain: g, of attention at diag(g) theta; None: 1.
        centre: whether directions and outputs are orthogonal to (1, ..., 1).
        length: r at the beginning, where there are lengths.
    """

    type: str
    has_length: ClassVar[bool] = False
    sees_length: ClassVar[bool] = False
    divides: ClassVar[bool] = False
    gain: Gain = None
    centre: bool = False
    length: AnyLength = 1.0

    @abstractmethod
    def rates(self, along: Array, size: Array, r: Array, t: float) -> Rates:
        """1/s and r' of tokens.

        Args:
            along: (n,) <theta, A>.
            size: (n,) |A|.
            r: (n,) lengths > 0.
            t: time.
        """

    @property
    def changes_heads(self) -> bool:
        """Whether attention is another one: a gain, or centred."""
        return self.gain is not None or self.centre

    def without_heads(self) -> Self:
        """The same without gain and centre, as solvers take it: these are of matrices."""
        if not self.changes_heads:
            return self
        return dataclasses.replace(self, gain=None, centre=False)  # type: ignore[type-var]

    def refuse_heads(self) -> None:
        """Refuse a gain, or layer norm, where the matrices of attention are given already.

        Raises:
            InputError: there is one.
        """
        if self.changes_heads:
            raise InputError(
                f"scheme: found {'centre = true' if self.centre else 'a gain'}, which is another "
                "attention and no matter of solvers: expected it in "
                "mf.Model(normalisation=...), none here"
            )

    def next_jump(self, t: float) -> float:
        """The first time after ``t`` at which the scheme itself changes; inf: there is none."""
        return math.inf

    def first_lengths(self, n: int, rng: np.random.Generator) -> Array:
        """(n,) r at the beginning; ones where there are no lengths.

        Raises:
            InputError: a file that has none, or another number of them.
        """
        return lengths_of(self.length, n, rng) if self.has_length else np.ones(n)

    def table(self) -> dict[str, object]:
        """As the table [model.normalisation] of a case file."""
        table = as_table(self)
        if not self.centre:
            table.pop("centre", None)
        if isinstance(self.length, LengthLaw) and self.has_length:
            table["length"] = self.length.table()
        return table

    def describe(self) -> str:
        """A few words."""
        words = f"normalisation {self.type}"
        if self.gain is not None:
            words += f", gain {self.gain:g}" if isinstance(self.gain, float) else ", gain"
        return words + ", centred" if self.centre else words


@options("model.normalisation", kw_only=True)
class _Normed(Normalisation):
    """A scheme in which attention sees directions."""

    gain: Gain = Field(default=None, examples=[2.0])
    """g, a number or one for each coordinate: attention is that of diag(g) theta, V also (RMS-norm
    with gain, tokens on an ellipsoid; that of transformers has sqrt(d) times its weights)."""
    centre: Flag = False
    """Layer norm: directions and outputs are orthogonal to (1, ..., 1)."""


@options("model.normalisation", kw_only=True)
class Post(_Normed):
    """s = 1: tokens on the sphere; what there is without a scheme."""

    type: Literal["post"] = "post"

    def rates(self, along: Array, size: Array, r: Array, t: float) -> Rates:
        return Rates(np.ones_like(r), np.zeros_like(r))


@options("model.normalisation", kw_only=True)
class Pre(_Normed):
    """s = r, r' = <theta, A>: attention of N(x), added to x."""

    length: AnyLength = 1.0
    """r at the beginning: a number, a law { type = "uniform", low = 0.5, high = 2.0 } or { type =
    "lognormal", sigma = 0.5, median = 1.0 } drawn by the seed, or a file (.npy) of n lengths."""
    type: Literal["pre"] = "pre"

    has_length = True

    def rates(self, along: Array, size: Array, r: Array, t: float) -> Rates:
        return Rates(1.0 / r, along)


@options("model.normalisation", kw_only=True)
class Mix(_Normed):
    """ "post" until a time, "pre" from then on."""

    switch: Duration = Field(gt=0.0, examples=[2.0])
    """The time."""
    length: AnyLength = 1.0
    """r at the beginning, and until then: as for "pre"."""
    type: Literal["mix"] = "mix"

    has_length = True

    def rates(self, along: Array, size: Array, r: Array, t: float) -> Rates:
        if t < self.switch:
            return Rates(np.ones_like(r), np.zeros_like(r))
        return Rates(1.0 / r, along)

    def next_jump(self, t: float) -> float:
        return self.switch if t < self.switch else math.inf


@options("model.normalisation", kw_only=True)
class Peri(_Normed):
    """s = r |A|, r' = <theta, A>/|A|: the output is normalised, too."""

    length: AnyLength = 1.0
    """r at the beginning: a number, a law { type = "uniform", low = 0.5, high = 2.0 } or { type =
    "lognormal", sigma = 0.5, median = 1.0 } drawn by the seed, or a file (.npy) of n lengths."""
    type: Literal["peri"] = "peri"

    has_length = True
    divides = True

    def rates(self, along: Array, size: Array, r: Array, t: float) -> Rates:
        return Rates(1.0 / (r * size), along / size)


@options("model.normalisation", kw_only=True)
class Ngpt(_Normed):
    """s = |A|/alpha: the output is normalised, and all is on the sphere."""

    alpha: Rate = Field(default=1.0, gt=0.0, le=1e6)
    """Rate."""
    type: Literal["ngpt"] = "ngpt"

    divides = True

    def rates(self, along: Array, size: Array, r: Array, t: float) -> Rates:
        return Rates(self.alpha / size, np.zeros_like(r))


@options("model.normalisation", kw_only=True)
class Sqrt(_Normed):
    """s = sqrt(t + 1): outputs of deep layers count for less."""

    type: Literal["sqrt"] = "sqrt"

    def rates(self, along: Array, size: Array, r: Array, t: float) -> Rates:
        return Rates(np.full_like(r, 1.0 / math.sqrt(t + 1.0)), np.zeros_like(r))


@options("model.normalisation", kw_only=True)
class Sandwich(_Normed):
    """s = |A|: the output is normalised, and the sum."""

    type: Literal["sandwich"] = "sandwich"

    divides = True

    def rates(self, along: Array, size: Array, r: Array, t: float) -> Rates:
        return Rates(1.0 / size, np.zeros_like(r))


@options("model.normalisation", kw_only=True)
class Plain(Normalisation):
    """No normalisation: x' = A(x) of tokens of any length (arXiv 2312.10794, section 9.2)."""

    length: AnyLength = 1.0
    """|x| at the beginning: as r of "pre"."""
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
_Alone = Literal["post", "pre", "peri", "ngpt", "sqrt", "sandwich", "none"]

if TYPE_CHECKING:
    AnyNormalisation = Normalisation | str
else:
    AnyNormalisation = Annotated[
        _Any,
        Field(discriminator="type"),
        BeforeValidator(_scheme, json_schema_input_type=_Any | _Alone),
    ]


def refuse_normalisation(scheme: Normalisation | str | None, who: str, expected: str) -> None:
    """Refuse a scheme other than "post", and a gain, where there is none.

    Args:
        scheme: of the model.
        who: does not have it, and why.
        expected: what does.

    Raises:
        InputError: there is one.
    """
    if not isinstance(scheme, Normalisation):
        return
    if not isinstance(scheme, Post) or scheme.changes_heads:
        found = f"{scheme.type}' with a gain" if scheme.changes_heads else f"{scheme.type}'"
        raise InputError(f"model.normalisation: found '{found}, that {who}; expected {expected}")


def refuse_in_density(scheme: Normalisation | str | None, moving: bool = False) -> None:
    """Refuse a scheme for which there is no equation of a density of directions on a mesh.

    Args:
        scheme: of the model.
        moving: the mesh moves along the characteristics, whose vertices have lengths.

    Raises:
        InputError: it is one, with the reason.
    """
    if not isinstance(scheme, Normalisation):
        return
    expected = TOKENS if scheme.centre else f"{TOKENS} (or 'lagrangian')"
    if scheme.centre:
        found, why = "centre = true", "directions stay in a hyperplane, where no density is"
    elif isinstance(scheme, Post) or moving:
        return
    elif scheme.has_length:
        found = f"'{scheme.type}'"
        why = (
            "two tokens at one place may have different lengths, so that the density of directions "
            "has no closed equation"
        )
    elif scheme.divides:
        found = f"'{scheme.type}'"
        why = (
            "it divides by the size of outputs, of which the field of a density knows the "
            "projection alone"
        )
    else:
        found, why = f"'{scheme.type}'", "a density has no clock of its own"
        expected += ", or 'post' until 2 sqrt(t + 1) - 2, which is the same"
    raise InputError(
        f"model.normalisation: found {found} with a density on a mesh: {why}; expected {expected}"
    )
