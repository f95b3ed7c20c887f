"""[model.mask] of batches: padding, and sequences that do not see each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BeforeValidator

from meanfield.case.maskoption import MaskOption
from meanfield.errors import InputError
from meanfield.interaction import masks
from meanfield.options import Counted, Expected, Field, Flag, Unit, Whole, a_list, options

__all__ = ["Padding", "Sequences"]

Length = Annotated[Whole, Unit("tokens"), Field(ge=1, le=2**31)]

if TYPE_CHECKING:
    Lengths = Sequence[int]
else:
    Lengths = Annotated[
        tuple[Length, ...],
        BeforeValidator(a_list, json_schema_input_type=list[Length]),
        Expected("a list of whole numbers >= 1"),
        Unit("tokens"),
    ]


@options("model.mask", kw_only=True)
class Padding(MaskOption):
    """All tokens see the first ``length`` ones; those beyond, padding, are seen by none."""

    length: Length = Field(examples=[48])
    """How many are seen."""
    type: Literal["padding"] = "padding"

    def on(self) -> masks.Mask:
        return masks.Padding(self.length)


@options("model.mask", kw_only=True)
class Sequences(MaskOption):
    """A batch: sequences one after the other, whose tokens see those of their own alone.

    By one length for all, by their lengths, or by lengths drawn from low to high by a seed.
    """

    length: Length | None = Field(default=None, examples=[32])
    """Of each sequence; the number of tokens is a multiple of it."""
    lengths: Lengths | None = Field(default=None, examples=[[24, 32, 8]])
    """Of the sequences; their sum is the number of tokens."""
    low: Length | None = Field(default=None, examples=[8])
    """Least length of those that are drawn, uniformly; the last sequence takes what is left."""
    high: Length | None = Field(default=None, examples=[64])
    """Largest length of those that are drawn."""
    seed: Counted | None = Field(default=None, ge=0, lt=2**64, examples=[7])
    """Of the lengths that are drawn; left out: 0."""
    causal: Flag = False
    """Of a sequence, token i sees the tokens j <= i alone."""
    type: Literal["sequences"] = "sequences"

    def __post_init__(self) -> None:
        drawn = self.low is not None or self.high is not None
        given = [n for n in ("length", "lengths") if getattr(self, n) is not None]
        given += ["low and high"] if drawn else []
        if len(given) != 1:
            raise InputError(
                f"length: found {' together with '.join(given) or 'no lengths'}, expected one of "
                "length, lengths, low and high"
            )
        if drawn and (self.low is None or self.high is None):
            missing = "low" if self.low is None else "high"
            raise InputError(f"{missing} is missing; add for example {missing} = 32")
        if self.seed is not None and not drawn:
            raise InputError(f"seed: found {self.seed} without low and high, expected none")
        self.on()

    def on(self) -> masks.Mask:
        if self.low is not None and self.high is not None:
            seed = 0 if self.seed is None else self.seed
            return masks.RandomSequences(self.low, self.high, seed, self.causal)
        lengths = self.length if self.length is not None else tuple(self.lengths or ())
        return masks.Sequences(lengths, self.causal)
