"""The layers of a transformer one after another, each made when it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from meanfield.arguments import checked_fields
from meanfield.errors import InputError
from meanfield.geometry.sphere import Array
from meanfield.interaction.pretrained.block import Block, Norm

__all__ = ["Transformer"]


@checked_fields
@dataclass(frozen=True, eq=False)
class Transformer:
    """Layers with given weights.

    Attributes:
        d: dimension of the tokens.
        count: number of layers.
        block: gives layer l, 0 <= l < ``count``.
        causal: token i sees the tokens j <= i.
        last: layer norm after the last layer (GPT-2); None: there is none.
        shared: all layers are the same (ALBERT): there is one more whenever it is asked for.
        repeats: after the last layer comes the first one, without ``last`` between.
        name: a few words.
        again: what the tokens that the first layer takes have been normalised by from its second
            time on, where layers repeat; None: as at first.

    Example:
        >>> transformer = mf.Checkpoint('gpt2').transformer()  # doctest: +SKIP
    """

    d: int
    count: int
    block: Callable[[int], Block]
    causal: bool = False
    last: Norm | None = None
    shared: bool = False
    repeats: bool = False
    name: str = "transformer"
    again: Norm | None = None

    @property
    def ends(self) -> bool:
        """Whether there is a last layer."""
        return not (self.shared or self.repeats)

    def number(self, layer: int) -> int:
        """Which of the layers stands at a place, 0, 1, ...; beyond the last place the last one."""
        if self.shared:
            return 0
        return layer % self.count if self.repeats else min(max(layer, 0), self.count - 1)

    def earliest(self, place: int) -> int:
        """The first place at which there is the same layer, behind the same norms."""
        number = self.number(place)
        later = self.repeats and self.again is not None and place >= self.count
        return self.count if later and number == 0 else number

    def at(self, place: int) -> Block:
        """The layer at a place, with the norm that is before it there."""
        block, earliest = self.block(self.number(place)), self.earliest(place)
        if self.again is None or earliest < self.count:
            return block
        return replace(block, entry=self.again)

    def after(self, x: Array, layer: int) -> Array:
        """Tokens (n, d) after the layer at a place; beyond the last place as they are."""
        if self.ends and layer >= self.count:
            return x
        x = self.block(self.number(layer))(x)
        if self.last is not None and self.ends and layer == self.count - 1:
            x = self.last(x)
        return x

    def states(self, x: Array, depth: int | None = None) -> Array:
        """(depth + 1, n, d): tokens before the first and after each of ``depth`` layers.

        Args:
            x: (n, d) tokens of any length.
            depth: None: ``count``.

        Raises:
            InputError: tokens in another dimension.
        """
        x = np.asarray(x, dtype=np.float64)
        if x.ndim != 2 or x.shape[1] != self.d:
            raise InputError(f"x: an array of shape {x.shape} found, (n, {self.d}) expected")
        found = [x]
        for layer in range(self.count if depth is None else depth):
            found.append(self.after(found[-1], layer))
        return np.stack(found)
