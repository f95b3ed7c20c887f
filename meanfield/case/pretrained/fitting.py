"""What of a case goes with [model.pretrained]: tokens in the dimension of the network, its time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meanfield.case.layeroptions import Layers
from meanfield.case.normalisation import Normalisation, Post
from meanfield.case.pretrained.option import Told, refuse_pretrained
from meanfield.case.tokensolvers import TOKEN_KINDS, Particles
from meanfield.errors import InputError

if TYPE_CHECKING:
    from meanfield.case.geometry import Geometry
    from meanfield.case.time import Time

__all__ = ["check_pretrained"]


def check_pretrained(model: Told, geometry: Geometry, solver: object, time: Time) -> None:
    """What of a case goes with pretrained layers.

    Raises:
        InputError: another solver, another dimension, more time than layers.
    """
    option = model.pretrained
    if option is None:
        return
    if not isinstance(solver, Particles | Layers):
        refuse_pretrained(model, "a density")
        return
    option.on(geometry)
    for key in ("interaction", "exclude_self"):
        if getattr(solver, key) in ("harmonics", True):
            found = "true" if key == "exclude_self" else "'harmonics'"
            raise InputError(
                f"solver.{key}: found {found} with model.pretrained, whose sums are direct and "
                "over all tokens; expected neither"
            )
    whole = option.transformer
    if whole.ends and time.end > whole.count:
        raise InputError(
            f"time.end: found {time.end:g}, expected at most {whole.count}, one for each layer of "
            f"{option.folder}; or model.pretrained.repeat = true"
        )
    if option.exact:
        _check_exact(model, solver)


def _check_exact(model: Told, solver: Particles | Layers) -> None:
    exact = "model.pretrained.exact = true"
    if not isinstance(solver, Layers):
        raise InputError(f"solver.type: found '{solver.type}' with {exact}, expected 'layers'")
    if solver.layers != 1:
        raise InputError(
            f"solver.layers: found {solver.layers} with {exact}, expected 1: one layer of the "
            "network for a unit of time"
        )
    if solver.normalise:
        raise InputError(
            f"solver.normalise: found true with {exact}, whose hidden states keep their lengths; "
            "expected false"
        )
    if model.diffuses:
        raise InputError(f"model.kappa: found noise with {exact}, expected 0")
    default = Layers(layers=1)
    for key in ("residual", "step", "output", "perceptron"):
        if getattr(solver, key) != getattr(default, key):
            raise InputError(
                f"solver.{key}: found '{getattr(solver, key)}' with {exact}, expected none"
            )
    if solver.tokens in TOKEN_KINDS:
        raise InputError(
            f"solver.tokens: found '{solver.tokens}' with {exact}, expected a file of embeddings, "
            'such as "embeddings.npy"'
        )
    if isinstance(model.normalisation, Normalisation) and not isinstance(model.normalisation, Post):
        raise InputError(
            f"model.normalisation: found '{model.normalisation.type}' with {exact}, expected none"
        )
