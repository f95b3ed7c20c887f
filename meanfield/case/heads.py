"""[[model.heads]] and [model.drift]: attention by any matrices, and a linear drift."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from meanfield.arguments import checked_arguments
from meanfield.case.matrices import Ensemble, Matrix, MatrixLike, resolved
from meanfield.checks import set_checked
from meanfield.errors import InputError
from meanfield.geometry.sphere import Array
from meanfield.options import Field, Number, as_table, options

if TYPE_CHECKING:
    from meanfield.interaction.composite import HeadMatrices
    from meanfield.interaction.drifts import LinearDrift

__all__ = ["Drift", "Head", "head_matrices"]

_LARGEST = {"sa": 700.0, "usa": 600.0}
"""Of |A|, by the kind of attention: weights and velocities are of size e^|A|."""

Kind = Literal["sa", "usa"]


def _table(options: object) -> dict[str, object]:
    """Options with matrices as a table of a case file."""
    table = as_table(options)
    return {k: v.written() if isinstance(v, Matrix) else v for k, v in table.items()}


def _refuse_product(name: str, matrix: object) -> None:
    if isinstance(matrix, Ensemble) and matrix.is_product:
        raise InputError(f'{name}: found "{matrix.ensemble}", which only V may be')


@options("model.heads", kw_only=True)
class Head:
    """One head of attention: tokens y pull x by weights e^{beta <Qx, Ky>}, along V y.

    A matrix is a list of rows (from Python also an array), the name of a file, that of an ensemble,
    or a table that says more of the last two.
    """

    beta: Number | None = Field(default=None, examples=[4.0])
    """Inverse temperature; needed where ``A`` is not given."""
    Q: MatrixLike | None = Field(default=None, examples=["identity"])
    """Queries, (k, d) with any k; left out: the identity. Any matrix may be an array of a file,
    "weights.npz:Q0" or { file = "weights.npz", name = "Q0" } where it holds several; or an
    ensemble, { ensemble = "ginibre", seed = 3, scale = 0.5 }, whose name alone takes seed 0:
    ginibre (G: entries N(0, 1)), wigner (symmetric, N(0, 1) on and above the diagonal), goe
    ((G + G^T)/sqrt 2), psd (G^T G/d), rotation (Haar, det +1)."""
    K: MatrixLike | None = Field(default=None, examples=["weights.npz:K0"])
    """Keys, (k, d) with the k of ``Q``; left out: the identity."""
    V: MatrixLike | None = Field(default=None, examples=["Q^T K"])
    """Values, (d, d): also "Q^T K" and "-Q^T K", of this head's own Q and K; left out: the
    identity."""
    A: MatrixLike | None = Field(default=None, examples=[[[4.0, 1.0], [-1.0, 4.0]]])
    """A = beta K^T Q, (d, d), instead of the three."""

    def __post_init__(self) -> None:
        if self.A is None:
            if self.beta is None:
                raise InputError("beta is missing; add for example beta = 4.0, or A")
            for name in ("Q", "K"):
                if getattr(self, name) is None:
                    set_checked(self, name, Ensemble(ensemble="identity"))
        else:
            self._check_alone()
        if self.V is None:
            set_checked(self, "V", Ensemble(ensemble="identity"))
        for name in ("Q", "K", "A"):
            _refuse_product(name, getattr(self, name))

    def _check_alone(self) -> None:
        """Nothing of which A is made stands beside it."""
        if self.beta is not None:
            raise InputError(
                f"beta: given twice, as {self.beta:g} and in A = beta K^T Q, expected one of them"
            )
        for name in ("Q", "K"):
            if getattr(self, name) is not None:
                raise InputError(
                    f"{name}: found together with A = beta K^T Q, expected one of the two"
                )
        if isinstance(self.V, Ensemble) and self.V.is_product:
            raise InputError(
                f'V: found "{self.V.ensemble}" together with A, expected Q, K and beta instead of A'
            )

    def table(self) -> dict[str, object]:
        """As a table of a case file."""
        return _table(self)

    @checked_arguments
    def matrices(self, d: int, kind: Kind, key: str = "model.heads") -> HeadMatrices:
        """A and V on S^{d-1}.

        Args:
            d: dimension of the ambient space.
            kind: of attention.
            key: path of this table, which messages begin with.

        Raises:
            InputError: a matrix of another shape, or one that is too large.
        """
        if d < 2:
            raise InputError(f"d = {d} found, a dimension of at least 2 expected")
        if self.A is not None:
            A, product = resolved(f"{key}.A", self.A, d, d), None
        else:
            assert self.beta is not None
            Q = resolved(f"{key}.Q", self.Q, d)
            K = resolved(f"{key}.K", self.K, d, len(Q))
            with np.errstate(over="ignore"):
                A, product = self.beta * (K.T @ Q), (Q, K)
        if isinstance(self.V, Ensemble) and self.V.is_product:
            assert product is not None
            V = self.V.product(*product)
        else:
            V = resolved(f"{key}.V", self.V, d, d)
        return head_matrices(A, V, kind, key)


def head_matrices(A: Array, V: Array, kind: Kind, key: str) -> HeadMatrices:
    """A head of two (d, d) matrices.

    Raises:
        InputError: weights e^{<Ax, y>} that no double holds.
    """
    from meanfield.interaction.composite import HeadMatrices

    size = float(np.linalg.norm(A, 2)) if np.all(np.isfinite(A)) else np.inf
    if size > _LARGEST[kind]:
        raise InputError(
            f"{key}: found |A| = {size:.6g} (2-norm of beta K^T Q), but attention is of size "
            f'e^|A|: expected at most {_LARGEST[kind]:g} for "{kind}"'
        )
    return HeadMatrices(A, V)


@options("model.drift", kw_only=True)
class Drift:
    """A linear drift: P_x(M x) is added to the velocity."""

    matrix: MatrixLike = Field(examples=[[[0.0, -1.0], [1.0, 0.0]]])
    """M, (d, d), given as those of heads are."""

    def __post_init__(self) -> None:
        _refuse_product("matrix", self.matrix)

    def table(self) -> dict[str, object]:
        """As the section [model.drift] of a case file."""
        return _table(self)

    def on(self, d: int) -> LinearDrift:
        """On S^{d-1}.

        Raises:
            InputError: a matrix of another shape.
        """
        from meanfield.interaction.drifts import LinearDrift

        return LinearDrift(resolved("model.drift.matrix", self.matrix, d, d))
