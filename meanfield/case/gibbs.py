"""What stationary states and branches take of a model: an exponent, potentials, numbers to vary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from meanfield.case.built import Parts, heads_of, options_of
from meanfield.case.heads import EXPONENTIAL
from meanfield.case.kernels import KernelInTime
from meanfield.case.masks import Ordered, refuse_mask
from meanfield.case.normalisation import TOKENS, Normalisation, refuse_normalisation
from meanfield.case.pretrained.option import Pretrained, refuse_pretrained
from meanfield.case.terms import Diffusion
from meanfield.errors import InputError

if TYPE_CHECKING:
    from meanfield.interaction.external import External
    from meanfield.interaction.gibbs import AnyGibbs
    from meanfield.interaction.kernels import Kernel
    from meanfield.interaction.strength import Strength
    from meanfield.interaction.zonal import Term

__all__ = [
    "Steady",
    "changes_for",
    "external_of",
    "gibbs_of",
    "is_kernel",
    "numbers_of",
    "parameters_of",
    "refuse_unsteady",
]


class Steady(Ordered, Protocol):
    """What of a ``Model`` is asked here, beside its parts."""

    @property
    def interaction(self) -> Kernel | KernelInTime | None: ...

    @property
    def strength(self) -> Strength | None: ...

    @property
    def diffuses(self) -> bool: ...

    @property
    def normalisation(self) -> Normalisation | str | None: ...

    @property
    def pretrained(self) -> Pretrained | None: ...

    @property
    def term(self) -> Term: ...

    @property
    def moving(self) -> Mapping[str, object]:
        """What is in time, by key paths."""


def is_kernel(model: Parts) -> bool:
    """Whether what interacts is a zonal kernel, or nothing."""
    return not model.heads and (model.attention is None or model.attention in EXPONENTIAL)


def refuse_unsteady(model: Steady) -> None:
    """Refuse what ``stationary`` and ``branch`` do not have in any dimension.

    Raises:
        InputError: values in time, or a strength.
    """
    refuse_mask(model, "a stationary density")
    refuse_pretrained(model, "a stationary density")
    refuse_normalisation(model.normalisation, "stationary and branch do not have", TOKENS)
    for key in model.moving:
        raise InputError(f"{key}: found a value in time, stationary and branch need constants")
    if model.strength is not None:
        raise InputError(
            "model.strength: found one, which makes the exponent a product of functions of the "
            "measure; stationary and branch need one of something linear in it: `meanfield run` "
            "with time.stationary ends at rest"
        )


def _kernel_of(model: Steady) -> Kernel | None:
    """The kernel; one in time has been refused."""
    assert not isinstance(model.interaction, KernelInTime)
    return model.interaction


def numbers_of(model: Parts) -> dict[str, tuple[tuple[int, ...], float]]:
    """What a branch may vary of heads that are no zonal kernel: inverse temperatures.

    Returns:
        By its name, as in a case, which heads it is of, and its value; "heads.beta" where it is the
        same for all of several.
    """
    if not model.heads:
        beta = model.beta
        return {"beta": ((0,), beta)} if isinstance(beta, float) and beta != 0.0 else {}
    betas = [(k, head.beta) for k, head in enumerate(model.heads)]
    known = [(k, beta) for k, beta in betas if isinstance(beta, float) and beta != 0.0]
    found: dict[str, tuple[tuple[int, ...], float]] = {
        f"heads[{k}].beta": ((k,), beta) for k, beta in known
    }
    if len(known) == len(betas) > 1 and len({beta for _, beta in known}) == 1:
        found["heads.beta"] = (tuple(range(len(betas))), known[0][1])
    return found


def parameters_of(model: Steady) -> tuple[str, ...]:
    """Names of what a branch may vary.

    Raises:
        InputError: there are no branches, see ``refuse_unsteady``.
    """
    refuse_unsteady(model)
    known, kernel = ["kappa"], _kernel_of(model)
    if kernel is not None or (is_kernel(model) and model.beta is not None):
        known += (kernel or model.term).parameters
    if not is_kernel(model):
        known += numbers_of(model)
    more = {} if model.potential is None else model.potential.parameters
    return (*known, *(f"potential.{name}" for name in more), "diffusion.exponent")


def changes_for(model: Steady, parameter: str, value: float) -> dict[str, object]:
    """The fields of a model that another value of one of its ``parameters_of`` changes.

    Raises:
        InputError: the value is out of its range; what has no stationary states.
    """
    refuse_unsteady(model)
    head, _, name = parameter.partition(".")
    if parameter in (found := numbers_of(model)) and model.heads:
        which = found[parameter][0]
        heads = enumerate(model.heads)
        return {"heads": [replace(one, beta=value) if k in which else one for k, one in heads]}
    if head == "potential" and model.potential is not None:
        return {"potential": model.potential.replaced({name: value})}
    if head == "diffusion" and name:
        return {"diffusion": Diffusion(**{name: value})}
    kernel = _kernel_of(model)
    if parameter == "kappa" or kernel is None:
        return {parameter: value}
    return {"interaction": kernel.replaced({parameter: value})}


def gibbs_of(model: Steady, d: int) -> Term | AnyGibbs:
    """What of a model interacts, as stationary states take it; others see ``external_of``.

    Raises:
        InputError: what has no energy, or is in time.
    """
    refuse_unsteady(model)
    if is_kernel(model):
        return model.term
    from meanfield.interaction.composite import KINDS, HeadMatrices
    from meanfield.interaction.composite.gibbs import GibbsHeads
    from meanfield.interaction.gibbssum import GibbsSum
    from meanfield.interaction.interaction import Interaction

    kind = model.attention or "sa"
    heads = [head for head in heads_of(model, d, kind) if isinstance(head, HeadMatrices)]
    key = "model.heads" if model.heads else "model.attention"
    try:
        found = GibbsHeads(tuple(heads), KINDS[kind](**options_of(model)), d, numbers_of(model))
        if (kernel := _kernel_of(model)) is None:
            return found
        return GibbsSum(Interaction(kernel, d, accuracy=1e-14), found)
    except InputError as error:
        said = str(error)
        raise InputError(said if said.startswith("model.") else f"{key}: {said}") from None


def external_of(model: Parts, d: int) -> External | None:
    """-U beside ``Model.term``: of the potential, and of drifts that are gradients; None: nothing.

    Raises:
        InputError: a drift that is no gradient.
    """
    if not model.beside:
        return None
    from meanfield.interaction.external import External

    drifts = {name: getattr(model, name).on(d) for name in model.beside if name != "potential"}
    for name, drift in drifts.items():
        if not drift.is_gradient:
            raise InputError(
                f"model.{name}: found one that is no gradient, whose stationary states carry a "
                "flux; stationary and branch need a gradient (of a drift: a symmetric matrix)"
            )
    return External(d, tuple(drifts.values()), model.potential)
