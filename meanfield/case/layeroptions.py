"""[solver] type = "layers": tokens that go through the layers of a transformer.

A new option is a field: it is checked, explained and written by that.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, Literal

from meanfield.case.equiangular import Cosine
from meanfield.case.geometry import Geometry
from meanfield.case.heads import number_in_words
from meanfield.case.normalisation import refuse_normalisation
from meanfield.case.tokensolvers import Count, Method, TokenSource, Tolerance, suits_tokens
from meanfield.errors import InputError
from meanfield.options import Field, Flag, Number, Whole, options

if TYPE_CHECKING:
    from meanfield.case.model import Model

__all__ = ["Layers"]

_NO_NOISE = dict.fromkeys(
    ("common_noise", "common_seed"), "layers have no noise: expected solver.type 'particles'"
)


@options("solver", kw_only=True)
class Layers:
    """n tokens sent through transformer layers: explicit Euler steps and normalisation."""

    number: Count = Field(default=None, examples=[1000])
    """How many; may be left out for a file."""
    tokens: TokenSource = "iid"
    """Where they start: as for particles."""
    cosine: Cosine = Field(default=None, examples=[0.5])
    """Of equiangular tokens: as for particles."""
    normalise: Flag = False
    """Scale the tokens of a file to length one: as for particles."""
    layers: Whole = Field(ge=1, le=10**9, examples=[100])
    """Number of layers for one unit of time (the step is its inverse)."""
    interaction: Method = "auto"
    """Harmonic transforms (S^1 and S^2) or direct sums over all pairs."""
    tolerance: Tolerance = None
    """Accuracy of the harmonic transforms relative to max Z (heads of sa: Z itself); left out:
    chosen by the model (with heads 1e-7)."""
    exclude_self: Flag = False
    """Leave a token's own term out of the sums that move it: as for particles."""
    cluster_angle: Number = Field(default=0.1, gt=0.0, le=math.pi)
    """Tokens nearer than this (radians) belong to one cluster."""
    type: Literal["layers"] = "layers"

    not_here: ClassVar[dict[str, str]] = _NO_NOISE

    def suits(self, geometry: Geometry, model: Model) -> None:
        """Refuse a problem that this solver cannot do.

        Raises:
            InputError: with what would do.
        """
        suits_tokens(self, geometry, model)
        refuse_normalisation(model.normalisation, "layers do not have yet", "none")
        if model.diffuses:
            found = number_in_words(model.kappa)
            raise InputError(f"model.kappa: found {found}, layers have no noise: 0")
        if model.potential is not None:
            raise InputError(
                "model.potential: found together with layers, which have none: expected "
                'solver.type = "particles", or model.perceptron'
            )
