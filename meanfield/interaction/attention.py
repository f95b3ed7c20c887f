"""Self-attention with Q = K = I and V = value I: the exponential kernel in its two normalisations.

    sa   (softmax, arXiv 2312.10794 (2.3)):  xi = value log(Z)/beta,  Z = int e^{beta <x, y>} dmu
    usa  (unnormalised, (3.8)):              xi = value Z/beta

Both tend to value <x, int y dmu> as beta -> 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from meanfield.arguments import checked_arguments, checked_fields
from meanfield.checks import a_parameter
from meanfield.errors import InputError, suggest
from meanfield.interaction.interaction import Interaction
from meanfield.interaction.kernels.base import Link
from meanfield.interaction.kernels.exponential import Exponential

__all__ = [
    "PARAMETER_NAMES",
    "Attention",
    "SelfAttention",
    "attention_energy",
    "attention_words",
]

PARAMETER_NAMES = {"beta": (r"inverse temperature $\beta$", r"\beta")}
"""Label of an axis and symbol of the parameters that have some, for figures."""

Model = Literal["sa", "usa"]


@checked_fields
@dataclass(frozen=True)
class SelfAttention:
    """Who pulls whom, as the short form of [model] says it.

    Attributes:
        model: "sa" (softmax) or "usa" (unnormalised).
        beta: inverse temperature, any real with |beta| <= 1e4; 0 is the linear limit.
        value: V = +I or V = -I, given as 1 or -1.

    Raises:
        InputError: a parameter out of its range.

    Example:
        >>> mf.SelfAttention('usa', 4.0).describe()
        'usa, beta = 4, V = +I'
    """

    model: Model
    beta: float
    value: int = 1

    def __post_init__(self) -> None:
        if self.model not in ("sa", "usa"):
            hint = suggest(str(self.model), ("sa", "usa"))
            raise InputError(f"attention '{self.model}' found, 'sa' or 'usa' expected{hint}")
        if self.value not in (1, -1):
            raise InputError(f"value = {self.value} found, 1 (V = I) or -1 (V = -I) expected")
        _ = self.kernel

    @cached_property
    def kernel(self) -> Exponential:
        """e^{beta t}."""
        return Exponential(beta=float(self.beta), link=self.link)

    @property
    def link(self) -> Link:
        """What is done with Z."""
        return "log" if self.model == "sa" else "identity"

    @property
    def gain(self) -> float:
        """V."""
        return float(self.value)

    @property
    def energy_factor(self) -> float:
        """E is (3.5), whatever V: E = (1/2 beta) iint e^{beta <x, y>} dmu dmu."""
        return 1.0

    def uniform_energy(self, lam0: float) -> float:
        """lam_0/(2 beta), and 0 at beta = 0, where E is |int y dmu|^2/2."""
        return lam0 / (2.0 * self.beta) if self.beta != 0.0 else 0.0

    @property
    def energy_label(self) -> str:
        """How a scaled energy is written."""
        return self.kernel.energy_label

    def describe(self) -> str:
        """A few words."""
        return f"{self.model}, beta = {self.beta:g}, V = {'+' if self.value > 0 else '-'}I"

    @property
    def columns(self) -> dict[str, object]:
        """What names it in a table."""
        return {"model": self.model, "beta": float(self.beta), "value": self.value}

    @property
    def parameters(self) -> dict[str, float]:
        """The numbers that a branch or a sweep may vary."""
        return {"beta": float(self.beta)}

    def replaced(self, changes: Mapping[str, float]) -> SelfAttention:
        """The same model at another beta.

        Raises:
            InputError: another parameter, or a value out of its range.
        """
        for name in changes:
            a_parameter(name, tuple(self.parameters))
        return replace(self, **changes)  # type: ignore[arg-type]  # all of them numbers

    def refuse_overflow(self, highest: float = 600.0) -> None:
        """Refuse velocities that are no doubles.

        Raises:
            InputError: usa with |beta| above ``highest``.
        """
        if self.model == "usa" and abs(self.beta) > highest:
            raise InputError(
                f"usa with beta = {self.beta:g} found, |beta| <= {highest:g} expected: "
                "velocities are of size e^|beta|; take sa, the same flow at another speed"
            )


@checked_arguments
def Attention(  # an Interaction, named as what it is
    model: Model,
    beta: float,
    d: int,
    geometry: str = "any",
    value: int = 1,
    method: str = "auto",
    accuracy: float | None = None,
    dark: float = 1e3,
) -> Interaction:
    """Self-attention on one geometry: ``Interaction`` of a ``SelfAttention``, see both.

    Raises:
        InputError: a parameter out of its range, or harmonics asked for where there are none.

    Example:
        >>> attention = mf.Attention('sa', beta=4.0, d=3)
        >>> x = mf.Uniform(3).sample(100, np.random.default_rng(0))
        >>> attention.field(mf.Measure.equal(x)).velocity(x).shape
        (100, 3)
    """
    return Interaction(SelfAttention(model, beta, value), d, geometry, method, accuracy, dark)


def attention_energy(table: Mapping[str, object]) -> dict[str, object]:
    """How the scaled energy is written, and its value at one Dirac, from the table [model].

    For folders of earlier versions, whose run.json does not tell them; of no attention, nothing.

    Raises:
        InputError: an attention that there is not.
    """
    model, beta = table.get("attention"), table.get("beta")
    if model is None or not isinstance(beta, int | float):
        return {"label": "E", "dirac": None}
    interaction = Attention(model, float(beta), 3)  # type: ignore[arg-type]  # checked there
    return {"label": interaction.energy_label, "dirac": interaction.dirac_energy}


def attention_words(row: Mapping[str, str]) -> str:
    """Words for the interaction from a row of stationary.csv, for folders of earlier versions."""
    return f"{row['model']}, beta = {float(row['beta']):g}"
