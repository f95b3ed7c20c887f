"""What options of ``particles`` go with a scheme of normalisation."""

from __future__ import annotations

from typing import Protocol

from meanfield.case.normalisation import Normalisation, Post
from meanfield.errors import InputError

__all__ = ["suits_scheme"]


class _Options(Protocol):
    @property
    def interaction(self) -> str: ...

    @property
    def exclude_self(self) -> bool: ...

    @property
    def common_noise(self) -> float: ...


def suits_scheme(solver: _Options, scheme: Normalisation | str | None, noisy: bool) -> None:
    """Refuse options that a scheme does not have.

    Args:
        solver: the options.
        scheme: of the model.
        noisy: whether kappa > 0.

    Raises:
        InputError: one is given.
    """
    if not isinstance(scheme, Normalisation):
        return
    if scheme.centre and solver.common_noise > 0.0:
        raise InputError(
            "solver.common_noise: found noise with normalisation.centre = true: it does not stay "
            "orthogonal to (1, ..., 1); expected 0"
        )
    if isinstance(scheme, Post):
        return
    name = f"model.normalisation = '{scheme.type}'"
    if solver.interaction == "harmonics":
        raise InputError(
            f"solver.interaction: found 'harmonics' with {name}, whose outputs are direct sums; "
            "expected 'auto' or 'direct'"
        )
    if solver.exclude_self:
        raise InputError(
            f"solver.exclude_self: found true with {name}, whose outputs have the own term of a "
            "token; expected false"
        )
    if scheme.has_length and (noisy or solver.common_noise > 0.0):
        key = "model.kappa" if noisy else "solver.common_noise"
        raise InputError(
            f"{key}: found noise with {name}: noise would change the lengths of tokens, too, and "
            "nothing says how; expected 0, or a scheme without lengths (sqrt, sandwich, ngpt)"
        )
