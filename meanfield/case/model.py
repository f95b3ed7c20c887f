"""[model]: who pulls whom, and the diffusion."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Union

from pydantic import BeforeValidator

from meanfield.case.built import OPTIONS
from meanfield.case.bynumber import beta_by_number, refuse_unnumbered
from meanfield.case.gain import check_normalisation
from meanfield.case.gibbs import (
    changes_for,
    external_of,
    gibbs_of,
    is_kernel,
    parameters_of,
    refuse_unsteady,
)
from meanfield.case.heads import (
    EXPONENTIAL,
    Attention,
    Drift,
    Head,
)
from meanfield.case.intime import (
    InCase,
    moves,
    moving_in,
    number_in_time,
    vanishes,
    written,
)
from meanfield.case.kernels import AnyKernel, KernelInTime
from meanfield.case.masks import AnyMask, Rope, check_ordered, masked_on, words_of_order
from meanfield.case.modelchecks import (
    SHORT_FORM,
    Sign,
    check_attention,
    check_heads,
    check_interaction,
)
from meanfield.case.modelwords import words_beside, words_of_heads
from meanfield.case.normalisation import AnyNormalisation, Normalisation
from meanfield.case.pretrained.option import AnyPretrained, refuse_beside
from meanfield.case.terms import AnyPotential, Diffusion, Perceptron
from meanfield.checks import set_checked
from meanfield.errors import InputError
from meanfield.interaction.kernels import Power
from meanfield.interaction.strength import STRENGTHS, Strength
from meanfield.options import Expected, Field, Pure, Rate, a_list, as_table, options

if TYPE_CHECKING:
    from meanfield.case.geometry import Geometry
    from meanfield.case.intime import NumberInTime
    from meanfield.interaction.contract import AnyInteraction
    from meanfield.interaction.external import External
    from meanfield.interaction.gibbs import AnyGibbs
    from meanfield.interaction.pretrained import Transformer
    from meanfield.interaction.zonal import Term

__all__ = ["ALONE", "SHORT_FORM", "Model"]

MAX_BETA = 2000.0
MAX_KAPPA = 1e6  # as of the strength of a kernel: all is uniform at once

ALONE = ("drift", "perceptron", "potential")
"""Those of what may stand beside an interaction, or alone."""

if TYPE_CHECKING:
    AnyStrength = Strength
    Heads = Sequence[Head]
    Beta = NumberInTime
    Kappa = NumberInTime
else:
    _Beta = Annotated[Pure, Field(ge=-MAX_BETA, le=MAX_BETA)]
    _Beta = Annotated[_Beta, number_in_time(_Beta)]
    Beta = Annotated[_Beta, beta_by_number(_Beta)]
    _Kappa = Annotated[Rate, Field(ge=0.0, le=MAX_KAPPA)]
    Kappa = Annotated[_Kappa, number_in_time(_Kappa)]
    Heads = Annotated[
        tuple[Head, ...],
        BeforeValidator(a_list, json_schema_input_type=list[Head]),
        Expected("tables [[model.heads]]"),
    ]
    AnyStrength = Annotated[
        Union[tuple(STRENGTHS.values())],  # noqa: UP007  # made at run time
        Field(discriminator="type"),
    ]


@options("model", kw_only=True)
class Model:
    """The equation d_t mu + div(X[mu] mu) = kappa Laplace(mu): who pulls whom, and the diffusion.

    With an exponent m in ``diffusion`` the right-hand side is (kappa/m) Laplace(rho^m).
    Attention in its short form, with V = value * I; or by heads with any matrices; or any zonal
    kernel, alone or beside heads. A drift, a perceptron, a potential may be added, or stand alone.

    >>> mf.Model(attention='sa', beta=4.0).describe()
    'sa, beta = 4, V = +I'
    """

    attention: Attention | None = Field(default=None, examples=["sa"])
    """Softmax self-attention "sa", or unnormalised "usa", of all heads; needed where there is no
    interaction. Further kinds: "linear" (weights <Ax, y>, not normalised), "hardmax" (beta = inf:
    tokens follow the maximiser of <Ax, y> among all, densities that over the sphere), "l2"
    (weights e^{-beta |Qx - Ky|^2/2}, normalised), "sigmoid" (weights 1/(1 + e^{-<Ax, y> - bias}),
    not normalised), "sinkhorn" (doubly stochastic weights)."""
    beta: Beta | None = Field(default=None, examples=[4.0])
    """Inverse temperature, needed with ``attention`` where there are no heads (hardmax has none);
    positive attracts for value = +1, zero is the linear limit. Also in time, as a table (see
    ``meanfield help in_time``); of tokens also by their number n, { type = "log_n", factor = 1.5 }
    or { type = "power_n", exponent = "2/(d-1)" }."""
    value: Sign | None = Field(default=None, examples=[1])
    """V = value * I, 1 or -1 (left out: 1). With 1 the interaction energy *increases* in time."""
    bias: Annotated[Pure, Field(ge=-1e3, le=1e3)] | None = Field(default=None, examples=[-7.0])
    """Of sigmoid attention, for all heads: 0 where it is left out; -log n in practice."""
    tolerance: Annotated[Pure, Field(ge=1e-13, le=1e-3)] | None = Field(
        default=None, examples=[1e-10]
    )
    """Of the scalings of sinkhorn attention: 1e-9 where it is left out."""
    interaction: AnyKernel | None = None
    """Instead of these three, a kernel W(<x, y>), its numbers also in time; heads, with their
    attention, add to it."""
    heads: Heads = ()
    """Instead of beta and value, heads of attention with any matrices; they add up."""
    drift: Drift | None = None
    """A linear drift beside an interaction, or alone."""
    perceptron: Perceptron | None = None
    """A perceptron, likewise."""
    potential: AnyPotential | None = None
    """An external potential U, likewise: -grad U is added to the velocity."""
    strength: AnyStrength | None = None
    """nu(|m|), m the mean of the tokens, by which the velocity of attention and of an interaction
    is multiplied, as in alignment models; that of a drift, a perceptron, a potential is not."""
    mask: AnyMask | None = Field(default=None, examples=["causal"])
    """Which tokens a token sees, in their order, for ``particles`` and ``layers`` with "sa" or
    "usa" (over the mass that is seen): "causal", or a table { type = "window", width = 8 },
    { type = "alibi", slope = 4.0 }, { type = "matrix", file = "mask.npy" },
    { type = "padding", length = 48 }, { type = "sequences", length = 32 }. With ``lagrangian`` a
    density by position, in slices (causal, alibi)."""
    rope: Rope | None = None
    """Rotary positions, likewise."""
    normalisation: AnyNormalisation | None = Field(default=None, examples=["pre"])
    """How outputs of attention and lengths of tokens are normalised: "post" (left out: this, tokens
    on the sphere), "pre", "peri", "sqrt", "sandwich", "ngpt", "none", or a table such as
    { type = "mix", switch = 2.0 }."""
    pretrained: AnyPretrained | None = Field(default=None, examples=["bert-base-uncased"])
    """Instead of all these, the layers of a pretrained transformer, by its folder or as a table
    such as { folder = "gpt2", exact = true }, for tokens."""
    kappa: Kappa = 0.0
    """Diffusion, also in time, where it is >= 0 at all times."""
    diffusion: Diffusion | None = None
    """What kind of diffusion kappa is of; left out: linear."""

    def __post_init__(self) -> None:
        for name, kind in OPTIONS.items():
            value = getattr(self, name)
            if value is not None and self.attention != kind:
                raise InputError(
                    f'{name}: found {value:g}, which only attention = "{kind}" has; expected none'
                )
        if self.pretrained is not None:
            refuse_beside(self)
        check_ordered(self)
        check_normalisation(self)
        if self.pretrained is not None:
            return
        if self.interaction is not None:
            check_interaction(self)
        elif self.heads:
            check_heads(self)
        elif not self.beside or any(getattr(self, n) is not None for n in SHORT_FORM):
            check_attention(self)
            set_checked(self, "value", 1 if self.value is None else self.value)
        elif self.strength is not None:
            raise InputError(
                f"strength: found beside model.{self.beside[0]} alone, which it does not multiply; "
                "expected attention or an interaction"
            )

    @property
    def beside(self) -> list[str]:
        """The keys that are given of what needs no interaction: drifts, and a potential."""
        return [name for name in ALONE if getattr(self, name) is not None]

    @property
    def moving(self) -> dict[str, InCase]:
        """What is in time, by key paths."""
        heads = {f"heads[{i}]": head for i, head in enumerate(self.heads)}
        owners = {**heads, **{name: getattr(self, name) for name in ALONE}}
        inside = {
            f"model.{name}.{key}": value
            for name, owner in owners.items()
            for key, value in moving_in(owner).items()
        }
        if isinstance(self.interaction, KernelInTime):
            inside |= {f"model.interaction.{n}": v for n, v in self.interaction.numbers.items()}
        return {f"model.{name}": value for name, value in moving_in(self).items()} | inside

    @property
    def ordered(self) -> bool:
        """Whether tokens have an order: a mask, or positions."""
        return self.mask is not None or self.rope is not None

    @property
    def diffuses(self) -> bool:
        """Whether kappa may be positive at some time."""
        return not vanishes(self.kappa)

    @property
    def exponent(self) -> float:
        """m of the diffusion; 1: it is linear."""
        return 1.0 if self.diffusion is None else self.diffusion.exponent

    @property
    def exact(self) -> Transformer | None:
        """The pretrained layers that tokens are sent through as they are; None: there are none."""
        return None if self.pretrained is None else self.pretrained.exactly

    @property
    def is_zonal(self) -> bool:
        """Whether x is pulled by y along a function of <x, y>, and by nothing else."""
        kernel = self.attention is None or self.attention in EXPONENTIAL
        more = self.heads or self.beside or self.strength is not None or moves(self.beta)
        more = more or self.ordered or self.pretrained is not None or self._changed
        return kernel and not more and not isinstance(self.interaction, KernelInTime)

    @property
    def _changed(self) -> bool:
        """Whether a gain, or layer norm, stands before attention."""
        return isinstance(self.normalisation, Normalisation) and self.normalisation.changes_heads

    @property
    def term(self) -> Term:
        """A zonal kernel, as ``interaction.Interaction`` takes it, potentials left aside.

        Raises:
            InputError: heads and other kinds of attention are no zonal kernel, see ``gibbs``.
        """
        refuse_unsteady(self)
        if not is_kernel(self):
            key = "heads" if self.heads else "attention"
            raise InputError(f"model.{key}: found what is no zonal kernel, expected one")
        if self.interaction is None and self.beta is None:
            return Power(k=1, strength=0.0)  # nobody pulls anybody
        return self._zonal

    def gibbs(self, d: int) -> Term | AnyGibbs:
        """What ``stationary`` and ``branch`` take for the interaction, potentials left aside.

        Raises:
            InputError: one without a potential, or in time.
        """
        return gibbs_of(self, d)

    def external(self, d: int) -> External | None:
        """-U beside ``term``: see ``case.gibbs.external_of``."""
        return external_of(self, d)

    @property
    def _zonal(self) -> Term:
        if self.interaction is not None:
            assert not isinstance(self.interaction, KernelInTime)
            return self.interaction
        from meanfield.interaction.attention import SelfAttention

        assert self.attention in EXPONENTIAL and self.value is not None
        assert isinstance(self.beta, float)
        return SelfAttention(self.attention, float(self.beta), self.value)  # type: ignore[arg-type]

    @property
    def _pull(self) -> Model:
        """What the strength multiplies."""
        return dataclasses.replace(self, strength=None, drift=None, perceptron=None, potential=None)

    @property
    def _others(self) -> Model:
        """What stands beside it."""
        return Model(
            drift=self.drift, perceptron=self.perceptron, potential=self.potential,
        )  # fmt: skip

    def on(
        self, geometry: Geometry, method: str = "auto", accuracy: float | None = None
    ) -> AnyInteraction:
        """The interaction on a geometry: what solvers take.

        Raises:
            InputError: one that this dimension does not have, such as a matrix of another shape.
        """
        from meanfield.case.built import composite_of
        from meanfield.interaction.interaction import Interaction
        from meanfield.interaction.together import Together

        refuse_unnumbered(self.beta, self.heads)
        if self.pretrained is not None:
            return self.pretrained.on(geometry)
        if self.strength is not None:
            from meanfield.interaction.strong import Strong

            strong = Strong(self._pull.on(geometry, method, accuracy), self.strength)
            if not self.beside:
                return strong
            return Together((strong, composite_of(self._others, geometry, method, accuracy)))
        if self.ordered:
            return masked_on(self, geometry, method, accuracy)
        if self.interaction is None and not self.is_zonal:
            return composite_of(self, geometry, method, accuracy)

        zonal: AnyInteraction
        if isinstance(self.interaction, KernelInTime):
            zonal = self.interaction.on(geometry, method, accuracy)
        else:
            zonal = Interaction(self._zonal, geometry.d, geometry.kind, method, accuracy)
        if not (self.heads or self.beside):
            return zonal
        return Together((zonal, composite_of(self, geometry, method, accuracy)))

    def describe(self) -> str:
        """A few words."""
        words, scheme = self._words(), self.normalisation
        return f"{words}, {scheme.describe()}" if isinstance(scheme, Normalisation) else words

    def _words(self) -> str:
        if self.pretrained is not None:
            return self.pretrained.describe()
        if self.strength is not None:
            words = [self._pull.describe(), self.strength.describe()]
            return ", ".join([*words, self._others.describe()] if self.beside else words)
        if self.is_zonal:
            return (self.term if self.normalisation is None else self._zonal).describe()
        told = self.value is not None or self.interaction is not None
        words = [self._short()] if told else []
        if self.heads:
            words += words_of_heads(self.attention, self.heads)
        return ", ".join([*words, *words_of_order(self), *words_beside(self)])

    def _short(self) -> str:
        """The short form, or the kernel, in words."""
        kernel = self.interaction is not None or self.attention in EXPONENTIAL
        if isinstance(self.interaction, KernelInTime):
            return self.interaction.describe()
        if kernel and not moves(self.beta):
            return self._zonal.describe()
        named = [(n, getattr(self, n)) for n in ("beta", *OPTIONS)]
        numbers = [
            f"{name} in time" if moves(value) else f"{name} = {value:g}"
            for name, value in named
            if value is not None
        ]
        return ", ".join([str(self.attention), *numbers, "V = +I" if self.value == 1 else "V = -I"])

    def table(self) -> dict[str, object]:
        """As the section [model] of a case file."""
        table = written(as_table(self))
        if not self.heads:
            del table["heads"]
        ordered = ("interaction", "strength", "mask", "rope", "normalisation", "pretrained")
        for name in (*ordered, *ALONE, "diffusion"):
            if (part := getattr(self, name)) is not None:
                table[name] = part.table()
        if self.heads:
            table["heads"] = [head.table() for head in self.heads]
        return table

    def replaced(self, parameter: str, value: float) -> Model:
        """The model with another kappa, or a number of its interaction ("strength", "beta").

        Or of its potential ("potential.strength"), or another exponent ("diffusion.exponent").

        Raises:
            InputError: there is no such parameter, or the value is out of its range.
        """
        return dataclasses.replace(self, **changes_for(self, parameter, value))  # type: ignore[arg-type]

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of what a branch may vary.

        Raises:
            InputError: there are no branches, see ``gibbs``.
        """
        return parameters_of(self)
