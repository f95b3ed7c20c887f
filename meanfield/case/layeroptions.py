"""[solver] type = "layers": tokens that go through the layers of a transformer.

A new option is a field: it is checked, explained and written by that.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np

from meanfield.case.equiangular import Cosine
from meanfield.case.geometry import Geometry
from meanfield.case.heads import number_in_words
from meanfield.case.normalisation import Normalisation, Post, Sqrt
from meanfield.case.tokensolvers import Count, Method, TokenSource, Tolerance, suits_tokens
from meanfield.errors import InputError
from meanfield.options import Angle, Duration, Field, Flag, Pure, Unit, Whole, options

if TYPE_CHECKING:
    from meanfield.case.model import Model

__all__ = ["Layers"]

_WHOLE = 1e-9  # relative: how near a time is that of the end of a layer

_NO_NOISE = dict.fromkeys(
    ("common_noise", "common_seed"),
    "the noise of layers is that of each token, model.kappa: expected solver.type 'particles'",
)


@options("solver", kw_only=True)
class Layers:
    """n tokens sent through transformer layers.

    Without more, x <- N(x + h X(x)) with h = 1/layers, N(y) = y/|y|. With a residual weight, a
    step, a normalisation of the model or a sublayer, layers as they are built, of outputs A of
    attention as they are: x <- N(residual x + step A(x)), and as ``model.normalisation`` says.
    Output times, and the end, are then at ends of layers; likewise with noise.

    Example:
        >>> mf.Layers(number=64, layers=20).layers
        20
    """

    number: Count = Field(default=None, examples=[1000])
    """How many; may be left out for a file."""
    tokens: TokenSource = "iid"
    """Where they start: as for particles."""
    cosine: Cosine = Field(default=None, examples=[0.5])
    """Of equiangular tokens: as for particles."""
    normalise: Flag = False
    """Scale the tokens of a file to length one: as for particles."""
    layers: Annotated[Whole, Unit("1/time")] = Field(ge=1, le=10**9, examples=[100])
    """Number of layers for one unit of time: the time of a layer is its inverse."""
    residual: Pure = Field(default=1.0, ge=0.0, le=1e6)
    """alpha, by which a token is multiplied before the output of attention is added; 0: the output
    alone."""
    step: Annotated[Duration, Field(gt=0.0, le=1e6)] | None = Field(default=None, examples=[0.5])
    """gamma, by which outputs are multiplied; left out: the time of a layer."""
    output: Literal["projected", "whole"] | None = Field(default=None, examples=["whole"])
    """Of attention: its tangential part X, or A as it is, of sa and usa, by direct sums. Left out:
    "whole" where residual, step, a normalisation other than "post" or a sublayer is given."""
    perceptron: Literal["added", "sublayer"] = "added"
    """model.perceptron: "added" to the output of attention, or a "sublayer" of its own after it,
    x <- N(x + step W sigma(B x + b)), as the normalisation says."""
    interaction: Method = "auto"
    """Harmonic transforms (S^1 and S^2) or direct sums over all pairs."""
    tolerance: Tolerance = Field(default=None, examples=[1e-8])
    """Accuracy of the harmonic transforms relative to max Z (heads of sa: Z itself); left out:
    chosen by the model (with heads 1e-7)."""
    exclude_self: Flag = False
    """Leave a token's own term out of the sums that move it: as for particles."""
    cluster_angle: Angle = Field(default=0.1, gt=0.0, le=math.pi)
    """Tokens nearer than this (radians) belong to one cluster."""
    type: Literal["layers"] = "layers"

    not_here: ClassVar[dict[str, str]] = _NO_NOISE

    def whole(self, scheme: Normalisation | str | None) -> bool:
        """Whether outputs of attention are taken as they are, with a normalisation."""
        if self.output is not None:
            return self.output == "whole"
        built = self.residual != 1.0 or self.step is not None or self.perceptron == "sublayer"
        return built or not (scheme is None or isinstance(scheme, Post))

    def words(self, scheme: Normalisation | str | None) -> str:
        """How many layers, and of what kind where that is said."""
        words = [f"{self.layers:,} layer{'' if self.layers == 1 else 's'} a unit of time"]
        if isinstance(scheme, Normalisation) and not isinstance(scheme, Post):
            words.append(scheme.type)
        if self.residual != 1.0:
            words.append(f"residual {self.residual:g}")
        if self.step is not None:
            words.append(f"step {self.step:g}")
        if self.perceptron == "sublayer":
            words.append("the perceptron a sublayer")
        return ", ".join(words)

    def suits(self, geometry: Geometry, model: Model) -> None:
        """Refuse a problem that this solver cannot do.

        Raises:
            InputError: with what would do.
        """
        suits_tokens(self, geometry, model)
        scheme = model.normalisation
        if model.diffuses:
            _refuse_noise(model)
        if model.potential is not None:
            raise InputError(
                "model.potential: found together with layers, which have none: expected "
                'solver.type = "particles", or model.perceptron'
            )
        if self.perceptron == "sublayer":
            _refuse_sublayer(model)
        if self.whole(scheme):
            _refuse_whole(self, geometry, model)
        elif not (scheme is None or isinstance(scheme, Post | Sqrt)):
            raise InputError(
                "solver.output: found 'projected' with a normalisation that takes outputs as they "
                "are, expected 'whole'"
            )

    def refuse_times(
        self, times: tuple[float, ...], model: Model, key: str = "time.outputs"
    ) -> None:
        """Refuse times within a layer, where two parts of a layer are another network than it.

        Args:
            times: at which a run lands.
            model: what the layers are of.
            key: who asks for these times.

        Raises:
            InputError: there is one.
        """
        given = self.step is not None or self.residual != 1.0 or self.perceptron == "sublayer"
        if not (given or self.whole(model.normalisation) or model.diffuses):
            return
        for t in times:
            done = t * self.layers
            if abs(done - round(done)) > _WHOLE * max(1.0, done):
                raise InputError(
                    f"{key}: found t = {t:g} within a layer; with noise, or what makes a block of "
                    "a layer (residual, step, perceptron, a normalisation), expected ends of "
                    f"layers, multiples of 1/{self.layers}"
                )


def _refuse_noise(model: Model) -> None:
    """Noise is linear diffusion of tokens that have no lengths."""
    scheme, found = model.normalisation, number_in_words(model.kappa)
    if model.exponent != 1.0:
        raise InputError(
            f"model.diffusion.exponent: found {model.exponent:g}, but the noise of tokens is "
            "linear diffusion: expected exponent = 1"
        )
    if isinstance(scheme, Normalisation) and scheme.has_length:
        raise InputError(
            f"model.kappa: found {found} with model.normalisation = '{scheme.type}': noise would "
            "change the lengths of tokens, too, and nothing says how; expected 0, or a scheme "
            "without lengths (sqrt, sandwich, ngpt)"
        )


def _refuse_sublayer(model: Model) -> None:
    """A perceptron after attention needs both."""
    if model.perceptron is None:
        raise InputError(
            "solver.perceptron: found 'sublayer' without [model.perceptron], expected 'added'"
        )
    if model.attention is None and model.interaction is None and model.drift is None:
        raise InputError(
            "solver.perceptron: found 'sublayer' with a perceptron alone, expected 'added', or "
            "attention before it"
        )


def _refuse_whole(solver: Layers, geometry: Geometry, model: Model) -> None:
    """Outputs as they are: of sa and usa on the whole sphere, by direct sums."""
    for key, found in (("exclude_self", solver.exclude_self), ("interaction", solver.interaction)):
        if found is True or found == "harmonics":
            raise InputError(
                f"solver.{key}: found {'true' if found is True else found} with outputs of "
                "attention as they are, which are direct sums over all tokens: expected none"
            )
    if not geometry.manifold.whole:
        raise InputError(
            f"geometry.type: found '{geometry.type}' with outputs of attention as they are, which "
            "leave it: expected the whole sphere, or output = 'projected'"
        )
    if not all(value.known for value in model.moving.values()):
        return  # the record of a run, which none can be made of
    one = dataclasses.replace(model, mask=None, rope=None).on(geometry)
    try:
        one.outputs(np.eye(1, geometry.d), np.ones(1))
    except InputError:
        raise InputError(
            f"solver.output: outputs as they are found for {model.describe()}, which has none: "
            "expected attention 'sa' or 'usa', or output = 'projected'"
        ) from None
