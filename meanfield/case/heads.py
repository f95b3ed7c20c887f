"""[[model.heads]] and [model.drift]: attention by any matrices, and a linear drift."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, get_args

import numpy as np

from meanfield.arguments import checked_arguments
from meanfield.case.bynumber import beta_by_number
from meanfield.case.intime import (
    Form,
    MatrixInTime,
    NumberInTime,
    combined,
    resolved,
    written,
)
from meanfield.case.matrices import Ensemble
from meanfield.checks import set_checked
from meanfield.errors import InputError
from meanfield.geometry.sphere import Array
from meanfield.interaction.intime import InTime, largest_of
from meanfield.options import Field, Unit, as_table, options

if TYPE_CHECKING:
    from meanfield.case.gain import Norm
    from meanfield.interaction.composite import HeadMatrices, MovingDrift, MovingHead
    from meanfield.interaction.drifts import LinearDrift

    _Beta = NumberInTime
else:
    _Beta = Annotated[NumberInTime, Unit("1"), beta_by_number(NumberInTime)]

__all__ = [
    "EXPONENTIAL",
    "KINDS",
    "Attention",
    "Drift",
    "Head",
    "head_matrices",
    "number_in_words",
    "without_beta",
]

Attention = Literal["sa", "usa", "linear", "hardmax", "l2", "sigmoid", "sinkhorn"]
"""Kinds of attention: those of ``interaction.composite.kinds``, told here to keep cases light."""

KINDS: tuple[str, ...] = get_args(Attention)

EXPONENTIAL = ("sa", "usa")
"""Those that are zonal kernels in their short form."""


def without_beta(attention: str | None) -> bool:
    """Whether a kind of attention has no inverse temperature."""
    return attention == "hardmax"


def _refuse_product(name: str, matrix: object) -> None:
    if isinstance(matrix, Ensemble) and matrix.is_product:
        raise InputError(f'{name}: found "{matrix.ensemble}", which only V may be')


@options("model.heads", kw_only=True)
class Head:
    """One head of attention: tokens y pull x by weights e^{beta <Qx, Ky>}, along V y.

    A matrix is a list of rows (from Python also an array), the name of a file, that of an ensemble,
    or a table that says more of the last two. Each of them, and beta, may be in time: a table such
    as { times = [0.0, 1.0], values = [4.0, 9.0] } (``meanfield help in_time``).

    Example:
        >>> head = mf.Head(beta=4.0, V=np.diag([1.0, 1.0, -1.0]))
        >>> model = mf.Model(attention='sa', heads=(head,))
        >>> len(model.heads)
        1
    """

    beta: _Beta | None = Field(default=None, examples=[4.0])
    """Inverse temperature; needed where ``A`` is not given; hardmax has none. Also by the number of
    tokens, as that of the model."""
    Q: Annotated[MatrixInTime, Unit("1")] | None = Field(default=None, examples=["identity"])
    """Queries, (k, d) with any k; left out: the identity. Any matrix may be an array of a file,
    "weights.npz:Q0" or { file = "weights.npz", name = "Q0" } where it holds several; or an
    ensemble, { ensemble = "ginibre", seed = 3, scale = 0.5 }, whose name alone takes seed 0:
    ginibre (G: entries N(0, 1)), wigner (symmetric, N(0, 1) on and above the diagonal), goe
    ((G + G^T)/sqrt 2), psd (G^T G/d), rotation (Haar, det +1)."""
    K: Annotated[MatrixInTime, Unit("1")] | None = Field(default=None, examples=["weights.npz:K0"])
    """Keys, (k, d) with the k of ``Q``; left out: the identity."""
    V: Annotated[MatrixInTime, Unit("1/time")] | None = Field(default=None, examples=["Q^T K"])
    """Values, (d, d): also "Q^T K" and "-Q^T K", of this head's own Q and K; left out: the
    identity."""
    A: Annotated[MatrixInTime, Unit("1")] | None = Field(
        default=None, examples=[[[4.0, 1.0], [-1.0, 4.0]]]
    )
    """A = beta K^T Q, (d, d), instead of the three."""

    def __post_init__(self) -> None:
        if self.A is None:
            if self.beta is None and self.Q is None and self.K is None:
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
            found = number_in_words(self.beta)
            raise InputError(
                f"beta: given twice, as {found} and in A = beta K^T Q, expected one of them"
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
        return written(as_table(self))

    def refuse_beta(self, kind: str, key: str = "") -> None:
        """Refuse an inverse temperature that is missing, or that a kind does not have.

        Args:
            kind: of attention.
            key: path of this table, which messages begin with.

        Raises:
            InputError: it is missing, or given in vain.
        """
        if without_beta(kind):
            if self.beta is not None:
                raise InputError(
                    f"{key}beta: found {number_in_words(self.beta)} together with {kind} "
                    "attention, which is beta = inf; expected none"
                )
        elif self.A is None and self.beta is None:
            raise InputError(f"{key}beta is missing; add for example beta = 4.0, or A")

    @checked_arguments
    def matrices(
        self, d: int, kind: Attention, key: str = "model.heads"
    ) -> HeadMatrices | MovingHead:
        """A and V on S^{d-1}, in time where something of them is.

        Args:
            d: dimension of the ambient space.
            kind: of attention.
            key: path of this table, which messages begin with.

        Raises:
            InputError: a matrix of another shape, or one that is too large.
        """
        if d < 2:
            raise InputError(f"d = {d} found, a dimension of at least 2 expected")
        self.refuse_beta(kind, f"{key}.")
        square = Form(2, d, d)
        product: tuple[InTime | Array, ...] = ()
        keys: InTime | Array | None = None
        if self.A is not None:
            if kind == "l2":
                raise InputError(f"{key}.A: found with l2 attention, expected beta, Q and K")
            A = resolved(f"{key}.A", self.A, square)
        else:
            product = self._product(d, key)
            beta = resolved(f"{key}.beta", 1.0 if self.beta is None else self.beta, Form(0))
            A = combined((beta, *product), _pull, (d, d))
            if kind == "l2":
                keys = combined((beta, product[1], product[1]), _pull, (d, d))
        if isinstance(self.V, Ensemble) and self.V.is_product:
            V = combined(product, self.V.product, (d, d), abs(self.V.scale))
        else:
            V = resolved(f"{key}.V", self.V, square)
        return head_matrices(A, V, kind, key, keys)

    def _product(self, d: int, key: str) -> tuple[InTime | Array, InTime | Array]:
        """Q and K."""
        Q = resolved(f"{key}.Q", self.Q, Form(2, d))
        return Q, resolved(f"{key}.K", self.K, Form(2, d, Q.shape[0]))


def number_in_words(number: object) -> str:
    """A number that may be in time, in a few words."""
    return f"{number:g}" if isinstance(number, float) else "a value in time"


def _pull(beta: Array, Q: Array, K: Array) -> Array:
    with np.errstate(over="ignore"):
        return np.asarray(beta * (K.T @ Q))


def head_matrices(
    A: InTime | Array, V: InTime | Array, kind: str, key: str, keys: InTime | Array | None = None
) -> HeadMatrices | MovingHead:
    """A head of two (d, d) matrices, and of a third one where its kind has one.

    Raises:
        InputError: an |A| that this kind does not have, such as weights e^{<Ax, y>} that no double
            holds.
    """
    from meanfield.interaction import composite

    size = largest_of(A) if isinstance(A, InTime) or np.all(np.isfinite(A)) else np.inf
    largest = composite.KINDS[kind].largest
    if size > largest:
        when = " at some time" if isinstance(A, InTime) else ""
        why = "but attention is of size e^|A|: " if kind in EXPONENTIAL else ""
        raise InputError(
            f"{key}: found |A| = {size:.6g}{when} (2-norm of beta K^T Q), {why}expected at most "
            f'{largest:g} for "{kind}"'
        )
    if isinstance(A, InTime) or isinstance(V, InTime):
        return composite.MovingHead(A, V, keys)
    assert not isinstance(keys, InTime)  # of which A is made, too
    return composite.HeadMatrices(A, V, keys)


@options("model.drift", kw_only=True)
class Drift:
    """A linear drift: P_x(M x) is added to the velocity.

    Example:
        >>> drift = mf.Drift(matrix=np.diag([0.0, 0.0, 1.0]))
        >>> mf.Model(attention='sa', beta=1.0, drift=drift).describe()
        'sa, beta = 1, V = +I, linear drift'
    """

    matrix: Annotated[MatrixInTime, Unit("1/time")] = Field(examples=[[[0.0, -1.0], [1.0, 0.0]]])
    """M, (d, d), given as those of heads are, also in time."""

    def __post_init__(self) -> None:
        _refuse_product("matrix", self.matrix)

    def table(self) -> dict[str, object]:
        """As the section [model.drift] of a case file."""
        return written(as_table(self))

    def on(self, d: int, norm: Norm | None = None) -> LinearDrift | MovingDrift:
        """On S^{d-1}; ``norm``: what stands between tokens and M.

        Raises:
            InputError: a matrix of another shape.
        """
        from meanfield.interaction.drifts import LinearDrift

        found = resolved("model.drift.matrix", self.matrix, Form(2, d, d))
        if norm is not None:
            found = norm.given(norm.seen(found))
        if not isinstance(found, InTime):
            return LinearDrift(found)
        from meanfield.interaction.composite import MovingDrift

        return MovingDrift((found,), LinearDrift)
