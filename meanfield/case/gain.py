"""A gain, and layer norm, as a change of matrices: attention at diag(g) theta, outputs centred.

Q, K and V are of diag(g) theta: A = beta K^T Q becomes diag(g) A diag(g), V becomes V diag(g).
Where tokens and outputs are centred, G = diag(g) C stands for diag(g), C = I - 1 1^T/d: A becomes
G^T A G and V C V G, the same on centred tokens; so A = V = I still have an energy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from meanfield.case.intime import combined
from meanfield.case.normalisation import Normalisation
from meanfield.errors import InputError
from meanfield.geometry.sphere import Array
from meanfield.interaction.intime import InTime

__all__ = ["Norm", "check_normalisation", "norm_of"]

_NOTHING = 1e-12  # length of a centred direction that is none


@dataclass(frozen=True, eq=False)
class Norm:
    """What stands between tokens and the matrices of attention.

    Attributes:
        gain: g, (d,).
        centred: whether directions and outputs are orthogonal to (1, ..., 1).
    """

    gain: Array
    centred: bool

    def seen(self, matrix: InTime | Array) -> InTime | Array:
        """M G of a matrix (k, d) that is multiplied by tokens, also in time."""
        return self._made(matrix, lambda m: self._right(m * self.gain), float(self.gain.max()))

    def within(self, matrix: InTime | Array) -> InTime | Array:
        """G^T M G of a form (d, d)."""

        def change(m: Array) -> Array:
            return self._right(self._right(self.gain[:, None] * m * self.gain).T).T

        return self._made(matrix, change, float(self.gain.max()) ** 2)

    def _right(self, m: Array) -> Array:
        """M C; M where tokens are not centred."""
        return m - m.mean(axis=-1, keepdims=True) if self.centred else m

    def given(self, matrix: InTime | Array) -> InTime | Array:
        """C M of a matrix (d, k) that makes outputs; M where they are not centred."""
        if not self.centred:
            return matrix
        return self._made(matrix, lambda m: m - m.mean(axis=0), 1.0)

    def directions(self, x: Array) -> Array:
        """Directions (n, d) as the scheme has them: centred ones.

        Raises:
            InputError: one is along (1, ..., 1).
        """
        if not self.centred:
            return x
        inside = x - x.mean(axis=1, keepdims=True)
        length = np.linalg.norm(inside, axis=1)
        if np.min(length, initial=1.0) < _NOTHING:
            raise InputError(
                f"tokens: row {int(np.argmin(length))} found along (1, ..., 1), of which layer "
                "norm leaves nothing; expected another direction"
            )
        return np.asarray(inside / length[:, None])

    @staticmethod
    def _made(matrix: InTime | Array, change: _Change, scale: float) -> InTime | Array:
        return combined((matrix,), change, matrix.shape, scale)


class _Change(Protocol):
    def __call__(self, m: Array) -> Array: ...


def norm_of(scheme: Normalisation | str | None, d: int) -> Norm | None:
    """What a scheme puts between tokens and matrices; None: nothing.

    Raises:
        InputError: another number of gains than d, or layer norm on the circle.
    """
    if not isinstance(scheme, Normalisation) or not scheme.changes_heads:
        return None
    g = np.ones(1) if scheme.gain is None else np.atleast_1d(np.array(scheme.gain, dtype=float))
    if len(g) not in (1, d) or (len(g) == 1 and isinstance(scheme.gain, tuple) and d > 1):
        raise InputError(
            f"model.normalisation.gain: found {len(g)} numbers, expected one number or d = {d} of "
            "them"
        )
    if scheme.centre and d < 3:
        raise InputError(
            f"model.normalisation.centre: found true with d = {d}, where directions that are "
            "orthogonal to (1, ..., 1) are two points; expected d >= 3"
        )
    return Norm(np.broadcast_to(g, (d,)).copy(), scheme.centre)


class _Model(Protocol):
    @property
    def normalisation(self) -> Normalisation | str | None: ...

    @property
    def interaction(self) -> object: ...

    @property
    def strength(self) -> object: ...

    @property
    def potential(self) -> object: ...

    @property
    def attention(self) -> str | None: ...

    @property
    def heads(self) -> Sequence[object]: ...

    @property
    def diffuses(self) -> bool: ...


def check_normalisation(model: _Model) -> None:
    """What a scheme goes with.

    Raises:
        InputError: a kernel, a strength or a potential: they have no outputs; or noise, where
            directions stay in a hyperplane.
    """
    scheme = model.normalisation
    if not isinstance(scheme, Normalisation):
        return
    if scheme.type == "post" and not scheme.changes_heads:
        return
    if scheme.centre and model.diffuses:
        raise InputError(
            "normalisation.centre: found true with kappa > 0: noise does not stay orthogonal to "
            "(1, ..., 1); expected kappa = 0"
        )
    for name in ("interaction", "strength", "potential"):
        if getattr(model, name) is not None:
            what = "a gain" if scheme.type == "post" else f"'{scheme.type}'"
            raise InputError(
                f"normalisation: found {what} with model.{name}, which has no outputs to "
                "normalise; expected attention by heads or in its short form"
            )
    if scheme.type != "post" and model.attention not in ("sa", "usa", None):
        raise InputError(
            f"normalisation: found '{scheme.type}' with attention = \"{model.attention}\", whose "
            'outputs are not known before their projection; expected "sa" or "usa"'
        )
