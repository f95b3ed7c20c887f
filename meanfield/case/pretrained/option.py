"""[model.pretrained]: the layers of a pretrained transformer as a model for tokens."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Protocol

from pydantic import BeforeValidator

from meanfield.case.normalisation import Normalisation
from meanfield.errors import InputError
from meanfield.options import Field, Flag, InputFile, as_table, options

if TYPE_CHECKING:
    from meanfield.case.geometry import Geometry
    from meanfield.case.pretrained.checkpoint import Checkpoint
    from meanfield.interaction.pretrained import Network, Transformer

__all__ = ["AnyPretrained", "Pretrained", "Told", "refuse_beside", "refuse_pretrained"]


@options("model.pretrained", kw_only=True)
class Pretrained:
    """The layers of a pretrained transformer, one for each unit of time, for tokens in their d.

    As a flow on the sphere, x' = P_x C (A_l(x) + F_l(x))/sqrt(d) for l <= t < l + 1, with softmax
    attention A_l of all heads, perceptrons F_l, shifts and gains of layer norms folded in, which
    take the mean away (C); or, with ``exact``, the network as it is.

    Example:
        >>> mf.Model(pretrained=mf.Pretrained(folder='gpt2'))  # doctest: +SKIP
    """

    folder: InputFile = Field(examples=["bert-base-uncased"])
    """A folder in the Hugging Face layout, with config.json and .safetensors files: bert, roberta,
    albert or gpt2 (by model_type; gpt2 with its causal mask). No code in it is run."""
    perceptron: Flag = True
    """Whether the flow has the perceptrons; without it attention alone."""
    norms: Flag = True
    """Whether gains, shifts and means of layer norms, and the length sqrt(d) that they give, are
    folded into the flow; without it x' = P_x (A_l(x) + F_l(x)) of the matrices as they are, with
    weights e^{<Q x, K y>/sqrt(k)}."""
    exact: Flag = False
    """The network as it is, for ``solver.type = "layers"`` with one layer for a unit of time: the
    hidden states of the forward pass, lengths kept, of which directions are reported. Tokens come
    from a file, of any lengths. The last norm of gpt2 belongs to its last layer."""
    repeat: Flag = False
    """After the last layer comes the first one; without it time ends with the layers, but for those
    of albert, which are all the same."""

    def __post_init__(self) -> None:
        if self.exact and not (self.perceptron and self.norms):
            key = "norms" if self.perceptron else "perceptron"
            raise InputError(f"{key}: found false with exact = true, which is all of the network")
        try:
            _ = self.checkpoint
        except InputError as error:
            raise InputError(f"folder: {error}") from None

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """The folder."""
        from meanfield.case.pretrained.checkpoint import Checkpoint

        return Checkpoint(self.folder)

    @property
    def transformer(self) -> Transformer:
        """Its layers."""
        return self.checkpoint.transformer(self.repeat)

    @property
    def exactly(self) -> Transformer | None:
        """Its layers, where they are asked for as they are."""
        return self.transformer if self.exact else None

    def on(self, geometry: Geometry) -> Network:
        """As a flow on the sphere.

        Raises:
            InputError: a sphere of another dimension.
        """
        from meanfield.interaction.pretrained import Network

        if geometry.d != self.checkpoint.d:
            raise InputError(
                f"geometry.d: found {geometry.d}, expected {self.checkpoint.d}, the hidden size of "
                f"{self.folder}"
            )
        return Network(self.transformer, self.perceptron, self.norms)

    def table(self) -> dict[str, object]:
        """As the table [model.pretrained] of a case file."""
        return as_table(self)

    def describe(self) -> str:
        """A few words."""
        words = self.checkpoint.describe()
        return f"{words}, as it is" if self.exact else words


def _by_folder(value: object) -> object:
    """By the folder alone."""
    return {"folder": value} if not isinstance(value, Mapping | Pretrained | None) else value


if TYPE_CHECKING:
    AnyPretrained = Pretrained
else:
    AnyPretrained = Annotated[
        Pretrained,
        BeforeValidator(_by_folder, json_schema_input_type=Pretrained | str),
    ]

# ------------------------------------------------------------------ in a model


class Told(Protocol):
    """A ``Model``, as far as it is looked at here."""

    @property
    def pretrained(self) -> Pretrained | None: ...

    @property
    def normalisation(self) -> Normalisation | str | None: ...

    @property
    def diffuses(self) -> bool: ...


_ALONE = (
    "attention", "beta", "value", "interaction", "heads", "drift", "perceptron", "potential",
    "strength", "mask", "rope", "diffusion",
)  # fmt: skip


def refuse_beside(model: Told) -> None:
    """Refuse what stands beside pretrained layers.

    Raises:
        InputError: something does.
    """
    for name in _ALONE:
        if getattr(model, name):
            raise InputError(f"{name}: found beside pretrained, whose layers are all of the model")
    scheme = model.normalisation
    if isinstance(scheme, Normalisation) and scheme.changes_heads:
        key = "centre" if scheme.gain is None else "gain"
        raise InputError(
            f"normalisation.{key}: found beside pretrained, whose layers have norms of their own; "
            "expected none"
        )


def refuse_pretrained(model: Told, who: str) -> None:
    """Refuse pretrained layers where there are none.

    Args:
        model: the model.
        who: does not have them.

    Raises:
        InputError: there are.
    """
    if model.pretrained is not None:
        raise InputError(
            f"model.pretrained: found, but {who} has none: expected solver.type = 'particles' or "
            "'layers' in `meanfield run`"
        )
