"""[model]: who pulls whom, and the diffusion."""

from __future__ import annotations

import dataclasses
import numbers
from typing import TYPE_CHECKING, Annotated, Literal, Union

from pydantic import BeforeValidator, WrapValidator

from meanfield.checks import set_checked
from meanfield.errors import InputError
from meanfield.interaction.kernels import KERNELS, Kernel
from meanfield.options import Expected, Field, Number, as_table, options, options_of

if TYPE_CHECKING:
    from meanfield.case.geometry import Geometry
    from meanfield.interaction.interaction import Interaction
    from meanfield.interaction.zonal import Term

__all__ = ["SHORT_FORM", "Model"]

MAX_BETA = 2000.0
MAX_KAPPA = 1e6  # as of the strength of a kernel: all is uniform at once
MAX_BETA_USA = 600.0

SHORT_FORM = ("attention", "beta", "value")
"""The keys of [model] that name an interaction without its table."""

if TYPE_CHECKING:
    AnyKernel = Kernel
else:
    # A kernel made in Python is taken as it is, also one that no registry knows.
    AnyKernel = Annotated[
        Union[tuple(KERNELS.values())],  # noqa: UP007  # made at run time
        Field(discriminator="type"),
        WrapValidator(lambda value, read: value if isinstance(value, Kernel) else read(value)),
    ]


def _sign(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or value not in (1, -1):
        raise ValueError("no sign")
    return 1 if value == 1 else -1


@options("model", kw_only=True)
class Model:
    """The equation d_t mu + div(X[mu] mu) = kappa Laplace(mu): who pulls whom, and the diffusion.

    Attention in its short form, with V = value * I, or any zonal kernel.
    """

    attention: Literal["sa", "usa"] | None = Field(default=None, examples=["sa"])
    """Softmax self-attention "sa", or unnormalised "usa"; needed where there is no interaction."""
    beta: Annotated[Number, Field(ge=-MAX_BETA, le=MAX_BETA)] | None = Field(
        default=None, examples=[4.0]
    )
    """Inverse temperature, needed with ``attention``; positive attracts for value = +1, zero is the
    linear limit."""
    value: (
        Annotated[
            int,
            BeforeValidator(_sign, json_schema_input_type=Literal[1, -1]),
            Expected("1 or -1 (V = value * I)"),
        ]
        | None
    ) = None
    """V = value * I, 1 or -1 (left out: 1). With 1 the interaction energy *increases* in time."""
    interaction: AnyKernel | None = None
    """Instead of these three, a kernel W(<x, y>)."""
    kappa: Number = Field(default=0.0, ge=0.0, le=MAX_KAPPA)
    """Diffusion."""

    def __post_init__(self) -> None:
        if self.interaction is None:
            self._check_attention()
        else:
            self._check_interaction()

    def _check_attention(self) -> None:
        for name in ("attention", "beta"):
            if getattr(self, name) is None:
                example = next(o.example for o in options_of(Model) if o.key == f"model.{name}")
                raise InputError(f"model.{name} is missing; add for example {name} = {example}")
        assert self.beta is not None
        set_checked(self, "value", 1 if self.value is None else self.value)
        if self.attention == "usa" and abs(self.beta) > MAX_BETA_USA:
            raise InputError(
                f"beta: found {self.beta:g}, but usa velocities are of size e^|beta|, which "
                f'no float holds: expected |beta| <= {MAX_BETA_USA:g}, or attention = "sa"'
            )

    def _check_interaction(self) -> None:
        given = [n for n in SHORT_FORM if getattr(self, n) is not None]
        if given:
            raise InputError(
                f"interaction: found together with model.{given[0]}, expected one of the "
                "two: attention, beta and value are the short form of an interaction"
            )
        assert self.interaction is not None
        try:
            self.interaction.refuse_overflow(MAX_BETA_USA)
        except InputError as error:
            raise InputError(f"interaction: {error}") from None

    @property
    def term(self) -> Term:
        """Who pulls whom, as ``interaction.Interaction`` takes it."""
        if self.interaction is not None:
            return self.interaction
        from meanfield.interaction.attention import SelfAttention

        assert self.attention is not None and self.beta is not None and self.value is not None
        return SelfAttention(self.attention, self.beta, self.value)

    def on(
        self, geometry: Geometry, method: str = "auto", accuracy: float | None = None
    ) -> Interaction:
        """The interaction on a geometry: what solvers take.

        Raises:
            InputError: one that this dimension does not have.
        """
        from meanfield.interaction.interaction import Interaction

        return Interaction(self.term, geometry.d, geometry.kind, method, accuracy)

    def describe(self) -> str:
        """A few words."""
        return self.term.describe()

    def table(self) -> dict[str, object]:
        """As the section [model] of a case file."""
        if self.interaction is None:
            return as_table(self)
        return {"interaction": self.interaction.table(), "kappa": self.kappa}

    def replaced(self, parameter: str, value: float) -> Model:
        """The model with another kappa, or another number of its interaction.

        Raises:
            InputError: there is no such parameter, or the value is out of its range.
        """
        if parameter == "kappa" or self.interaction is None:
            return dataclasses.replace(self, **{parameter: value})  # type: ignore[arg-type]
        return dataclasses.replace(self, interaction=self.interaction.replaced({parameter: value}))

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of what a branch may vary."""
        return ("kappa", *self.term.parameters)
