"""What one layer of a transformer does to tokens, by its normalisation: sums y = a x + b A.

Of a token with the direction x and the length r, N(y) = y/|y|, and the output A of a sublayer:

    post      x <- N(alpha x + gamma A(x))                          (Post-LN)
    sqrt      the same with gamma/sqrt(t + 1)
    sandwich  x <- N(alpha x + gamma N(A(x)))
    ngpt      x <- N(alpha x + gamma rate (N(A(x)) - x))
    pre       y <- alpha y + gamma A(N(y)),     y = r x             (Pre-LN)
    peri      y <- alpha y + gamma N(A(N(y)))
    none      y <- alpha y + gamma A(y)
    mix       post until a time, then pre

For alpha = 1 and gamma = 1/L these are the flows of the schemes (arXiv 2510.22026) to O(1/L).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

from meanfield.arguments import checked_fields
from meanfield.case.normalisation import (
    Mix,
    Ngpt,
    Normalisation,
    Peri,
    Plain,
    Post,
    Pre,
    Sandwich,
    Sqrt,
)
from meanfield.errors import InputError
from meanfield.interaction.contract import AnyInteraction

__all__ = ["Block", "Sum", "summed"]

_SAME = 1e-10  # relative: how near a sum of steps is to the time that it stands for


class Sum(NamedTuple):
    """y = own x + of A, with these numbers for all tokens.

    Attributes:
        own, of: a (of a token as long as it is, where ``long``) and b.
        unit: whether A is normalised.
        long: whether y is the token; else its direction alone, and the length stays.
    """

    own: float
    of: float
    unit: bool
    long: bool


def summed(scheme: Normalisation, residual: float, step: float, t: float) -> Sum:
    """What a scheme adds in a sublayer.

    Args:
        scheme: the normalisation.
        residual, step: alpha, gamma.
        t: time at the beginning of the layer.

    Raises:
        InputError: a scheme that layers do not know; nGPT's rate with steps that leave nothing.
    """
    match scheme:
        case Post():
            return Sum(residual, step, False, False)
        case Sqrt():
            return Sum(residual, step / math.sqrt(t + 1.0), False, False)
        case Sandwich():
            return Sum(residual, step, True, False)
        case Ngpt():
            rate = step * scheme.alpha
            if rate > residual:
                raise InputError(
                    f"nGPT: a rate of {scheme.alpha:g} found in steps of {step:g}, which take more "
                    f"than the {residual:g} of a token that there is: expected shorter steps"
                )
            return Sum(residual - rate, rate, True, False)
        case Pre() | Plain():
            return Sum(residual, step, False, True)
        case Peri():
            return Sum(residual, step, True, True)
        case Mix():
            return Sum(residual, step, False, t >= scheme.switch * (1.0 - _SAME))
    raise InputError(f"normalisation '{scheme.type}' found, one that layers have expected")


@checked_fields
@dataclass(frozen=True, eq=False)
class Block:
    """What a layer is made of.

    Attributes:
        scheme: the normalisation, without gain and centre: they are of the interaction.
        residual: alpha >= 0, of the first sublayer; 1 in those that follow.
        step: gamma > 0; None: the time that a layer stands for.
        whole: outputs A as they are; else X, their tangential part ("post" and "sqrt" alone).
        sublayers: attention, and what follows it in the same layer; (): the interaction of the
            solver, as it is.

    Raises:
        InputError: numbers out of their range, a gain, or tangential outputs with other schemes.

    Example:
        >>> mf.Block(residual=1.0, step=0.5).step
        0.5
    """

    scheme: Normalisation = field(default_factory=Post)
    residual: float = 1.0
    step: float | None = None
    whole: bool = True
    sublayers: tuple[AnyInteraction, ...] = ()

    def __post_init__(self) -> None:
        self.scheme.refuse_heads()
        if not 0.0 <= self.residual < math.inf:
            raise InputError(f"residual = {self.residual:g} found, a finite number >= 0 expected")
        if self.step is not None and not 0.0 < self.step < math.inf:
            raise InputError(f"step = {self.step:g} found, a finite number > 0 expected")
        if not self.whole and not isinstance(self.scheme, Post | Sqrt):
            raise InputError(
                f"whole: False found with normalisation '{self.scheme.type}', which takes outputs "
                "as they are: True expected"
            )

    def sums(self, step: float, t: float) -> tuple[Sum, ...]:
        """What each sublayer adds in a layer that begins at ``t`` with gamma = ``step``.

        Raises:
            InputError: see ``summed``.
        """
        weights = (self.residual, *[1.0] * (len(self.sublayers) - 1))
        return tuple(summed(self.scheme, weight, step, t) for weight in weights)
