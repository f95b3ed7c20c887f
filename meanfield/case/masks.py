"""[model.mask], [model.rope]: which tokens a token sees, and positions, in the order of tokens."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Literal, Protocol

import numpy as np
from pydantic import BeforeValidator, PlainValidator, ValidationInfo

from meanfield.case.batchmasks import Padding, Sequences
from meanfield.case.built import Parts, composite_of
from meanfield.case.gain import norm_of
from meanfield.case.heads import Head, number_in_words
from meanfield.case.intime import Form, resolved
from meanfield.case.maskoption import MaskOption
from meanfield.case.matrices import Rows, as_matrix
from meanfield.case.matrixfiles import MATRIX_FILES, array_name, read_matrix
from meanfield.checks import set_checked
from meanfield.errors import InputError
from meanfield.geometry.sphere import Array
from meanfield.interaction import masks
from meanfield.options import (
    Expected,
    Field,
    Flag,
    InputFile,
    Numbers,
    Pure,
    Text,
    Unit,
    Whole,
    as_table,
    options,
)

if TYPE_CHECKING:
    from meanfield.case.geometry import Geometry
    from meanfield.interaction.contract import AnyInteraction
    from meanfield.interaction.masked import Masked
    from meanfield.interaction.rotary import RotaryHead

__all__ = [
    "MASKS",
    "Alibi",
    "AnyMask",
    "Causal",
    "MaskOption",
    "MatrixMask",
    "Padding",
    "Rope",
    "Sequences",
    "Window",
    "check_ordered",
    "mask_factors",
    "masked_on",
    "refuse_mask",
    "refuse_number",
    "words_of_order",
]

MAX_SLOPE = 1e6


@options("model.mask", kw_only=True)
class Causal(MaskOption):
    """Token i sees the tokens j <= i."""

    type: Literal["causal"] = "causal"

    def on(self) -> masks.Mask:
        return masks.Causal()


@options("model.mask", kw_only=True)
class Window(MaskOption):
    """Token i sees the tokens with |i - j| <= width."""

    width: Annotated[Whole, Unit("tokens")] = Field(ge=0, le=2**31, examples=[8])
    """k; 0: each token sees itself alone."""
    causal: Flag = False
    """Of these, only j <= i."""
    type: Literal["window"] = "window"

    def on(self) -> masks.Mask:
        return masks.Window(self.width, self.causal)


@options("model.mask", kw_only=True)
class Alibi(MaskOption):
    """Weights times e^{-(slope/n)|i - j|}, for n tokens (ALiBi)."""

    slope: Pure = Field(ge=0.0, le=MAX_SLOPE, examples=[4.0])
    """lambda, over the whole sequence."""
    causal: Flag = True
    """Token i sees the tokens j <= i alone."""
    type: Literal["alibi"] = "alibi"

    def on(self) -> masks.Mask:
        return masks.Alibi(self.slope, self.causal)


def _rows(value: object, info: ValidationInfo) -> Rows | None:
    if value is None:
        return None
    found = None
    if isinstance(value, Rows | Iterable) and not isinstance(value, str | bytes | dict):
        found = as_matrix(value, info)
    if not isinstance(found, Rows):
        raise InputError("expected a list of rows of numbers; a file has the key file")
    return found


if TYPE_CHECKING:
    MaskRows = Rows | Sequence[Sequence[float]] | Array | None
else:
    MaskRows = Annotated[
        Rows | None,
        PlainValidator(_rows, json_schema_input_type=list[list[float]] | None),
        Expected("a list of rows of numbers"),
        Unit("1"),
    ]


@options("model.mask", kw_only=True)
class MatrixMask(MaskOption):
    """Weights times a matrix, (n, n) for n tokens."""

    rows: MaskRows = Field(default=None, examples=[[[1.0, 0.0], [1.0, 1.0]]])
    """Factors >= 0 by which token i (row) sees token j; each row has one that is not 0."""
    file: InputFile | None = Field(default=None, examples=["mask.npy"])
    """A file of them, instead of rows."""
    name: Text | None = Field(default=None, examples=["mask"])
    """Which array of the file, where it holds several."""
    type: Literal["matrix"] = "matrix"

    def __post_init__(self) -> None:
        if (self.rows is None) == (self.file is None):
            found = "neither of them" if self.rows is None else "both"
            raise InputError(f"rows: expected either rows or file, found {found}")
        if self.file is None:
            if self.name is not None:
                raise InputError(f'name: found "{self.name}" without a file, expected none')
        elif not self.file.name.lower().endswith(MATRIX_FILES):
            raise InputError(
                f"file: expected one of {', '.join(MATRIX_FILES)}, found {self.file.name}"
            )
        else:
            try:
                set_checked(self, "name", array_name(self.file, self.name))
            except InputError as error:
                raise InputError(f"file: {error}") from None
        self.on()

    def on(self) -> masks.Mask:
        try:
            if self.file is not None:
                return masks.GivenMask(read_matrix(self.file, self.name))
            assert isinstance(self.rows, Rows)
            return masks.GivenMask(self.rows.numbers(0))
        except InputError as error:
            raise InputError(f"{'rows' if self.file is None else 'file'}: {error}") from None

    def table(self) -> dict[str, object]:
        table = as_table(self)
        if isinstance(self.rows, Rows):
            table["rows"] = self.rows.written()
        return table


MASKS: dict[str, type[MaskOption]] = {
    "causal": Causal,
    "window": Window,
    "alibi": Alibi,
    "matrix": MatrixMask,
    "padding": Padding,
    "sequences": Sequences,
}


def _mask(value: object) -> object:
    """A mask by its type alone."""
    return {"type": value} if isinstance(value, str) else value


_Any = Causal | Window | Alibi | MatrixMask | Padding | Sequences

if TYPE_CHECKING:
    AnyMask = MaskOption | str
else:
    AnyMask = Annotated[
        _Any,
        Field(discriminator="type"),
        BeforeValidator(_mask, json_schema_input_type=_Any | Literal["causal"]),
    ]


@options("model.rope", kw_only=True)
class Rope:
    """Rotary positions: scores <R_i Q x_i, R_j K x_j>, R_i turns pairs of coordinates by i theta.

    The last one of an odd number of rows of Q and K is left alone.

    Example:
        >>> mf.Rope(base=10_000.0).base
        10000.0
    """

    base: Annotated[Pure, Field(gt=0.0, le=1e12)] | None = Field(default=None, examples=[1e4])
    """theta_m = base^{-2m/k} of the pair m of k rows; left out, with frequencies, too: 10000."""
    frequencies: Annotated[Numbers, Unit("rad/token")] | None = Field(
        default=None, examples=[[1.0, 0.1]]
    )
    """theta_m themselves, one for each pair of rows, in radians a position."""

    def __post_init__(self) -> None:
        if self.base is not None and self.frequencies is not None:
            raise InputError(
                f"base: found {self.base:g} together with frequencies, expected one of the two"
            )

    def table(self) -> dict[str, object]:
        """As the section [model.rope] of a case file."""
        return as_table(self)

    def of_rows(self, k: int) -> Array:
        """(k // 2,) frequencies for k rows of Q and K.

        Raises:
            InputError: another number of them is given.
        """
        if self.frequencies is None:
            base = 1e4 if self.base is None else self.base
            return np.asarray(base ** (-2.0 * np.arange(k // 2) / k))
        if len(self.frequencies) != k // 2:
            raise InputError(
                f"model.rope.frequencies: {len(self.frequencies)} found, {k // 2} expected, one "
                f"for each pair of the {k} rows of Q and K"
            )
        return np.array(self.frequencies)


# ------------------------------------------------------------------ in a model


class Ordered(Parts, Protocol):
    """A ``Model``, as far as it is looked at here."""

    @property
    def mask(self) -> MaskOption | str | None: ...

    @property
    def rope(self) -> Rope | None: ...

    @property
    def interaction(self) -> object: ...


def _key(model: Ordered) -> str | None:
    """The key that gives tokens an order; None: there is none."""
    return "mask" if model.mask is not None else None if model.rope is None else "rope"


def check_ordered(model: Ordered) -> None:
    """What a mask and positions go with.

    Raises:
        InputError: other kinds of attention, a kernel, heads in time or by A with positions.
    """
    key = _key(model)
    if key is None:
        return
    if model.interaction is not None:
        raise InputError(f"{key}: found beside model.interaction, expected attention alone")
    if model.attention not in ("sa", "usa"):
        found = "no attention" if model.attention is None else f'attention = "{model.attention}"'
        raise InputError(f'{key}: found with {found}, expected "sa" or "usa"')
    if model.rope is None:
        return
    for i, head in enumerate(model.heads):
        if head.A is not None:
            raise InputError(
                f"rope: found with heads[{i}].A, expected beta, Q and K: positions turn Q x and K y"
            )


def words_of_order(model: Ordered) -> list[str]:
    """A few words."""
    words = [] if model.mask is None else [_option(model).on().describe()]
    return words if model.rope is None else [*words, "rotary positions"]


def _option(model: Ordered) -> MaskOption:
    assert isinstance(model.mask, MaskOption)
    return model.mask


_EXPECTED = 'solver.type = "particles", "layers" or, with a mask, "lagrangian"'


def refuse_mask(model: Ordered, who: str, expected: str = _EXPECTED) -> None:
    """Refuse an order of tokens where there is none.

    Args:
        model: the model.
        who: does not have it.
        expected: instead.

    Raises:
        InputError: there is one.
    """
    key = _key(model)
    if key is not None:
        raise InputError(
            f"model.{key}: found one, which is of tokens in an order, that {who} does not know; "
            f"expected {expected}"
        )


def refuse_number(model: Ordered, n: int) -> None:
    """Refuse a mask that is not of n tokens.

    Raises:
        InputError: it is a matrix of another size.
    """
    if model.mask is not None:
        try:
            _option(model).on().refuse_number(n)
        except InputError as error:
            raise InputError(f"model.{error}") from None


def masked_on(model: Ordered, geometry: Geometry, method: str, accuracy: float | None) -> Masked:
    """The heads of a model, and what stands beside them, for tokens in their order.

    Raises:
        InputError: what this dimension, or sums over pairs, do not have.
    """
    from meanfield.interaction.composite import Composite, Moving
    from meanfield.interaction.masked import Masked

    if geometry.manifold.latitudes:
        refuse_mask(model, f"the geometry '{geometry.type}'")
    whole: AnyInteraction = composite_of(model, geometry, method, accuracy)
    assert isinstance(whole, Composite | Moving)
    try:
        mask = None if model.mask is None else _option(model).on()
        return Masked(whole, mask, _rotary(model, geometry.d))
    except InputError as error:
        said = str(error)
        raise InputError(said if said.startswith("model.") else f"model.mask: {said}") from None


def _rotary(model: Ordered, d: int) -> tuple[RotaryHead, ...]:
    """Queries and keys of each head, the short form is one."""
    from meanfield.interaction.rotary import RotaryHead

    if model.rope is None:
        return ()
    found = []
    heads, norm = list(model.heads) or [Head(beta=model.beta)], norm_of(model.normalisation, d)
    for i, head in enumerate(heads):
        key = f"model.heads[{i}]" if model.heads else "model"
        Q = resolved(f"{key}.Q", head.Q, Form(2, d))
        K = resolved(f"{key}.K", head.K, Form(2, d, Q.shape[0]))
        if not (isinstance(head.beta, float) and all(isinstance(m, np.ndarray) for m in (Q, K))):
            raise InputError(
                f"model.rope: found with {key} in time ({number_in_words(head.beta)} for beta), "
                "expected constants"
            )
        if norm is not None:
            Q, K = norm.seen(Q), norm.seen(K)
        assert isinstance(Q, np.ndarray) and isinstance(K, np.ndarray)
        found.append(RotaryHead(head.beta * Q, K, model.rope.of_rows(len(Q))))
    return tuple(found)


def mask_factors(model: Ordered, n: int) -> Array | None:
    """(n, n) factors of the weights of n tokens; None: there is no mask.

    Raises:
        InputError: rotary positions, which are no factors; a matrix of another size.
    """
    if model.rope is not None:
        raise InputError(
            "model.rope: found one, which turns queries and keys and is no factor of weights"
        )
    if model.mask is None:
        return None
    try:
        return _option(model).on().factors(n)
    except InputError as error:
        raise InputError(f"model.mask: {error}") from None
