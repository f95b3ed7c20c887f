"""solver.tokens = "equiangular": tokens whose inner products are all the same; its options."""

from __future__ import annotations

from typing import Annotated, Protocol

from meanfield.errors import InputError
from meanfield.geometry.laws import Law, Uniform
from meanfield.options import Field, Pure

__all__ = ["EQUIANGULAR", "Cosine", "check_equiangular", "check_law"]

EQUIANGULAR = "equiangular"

Cosine = Annotated[Pure, Field(ge=-1.0, le=1.0)] | None


class Started(Protocol):
    """Options of tokens, as far as they are looked at here."""

    @property
    def tokens(self) -> object: ...

    @property
    def number(self) -> int | None: ...

    @property
    def cosine(self) -> float | None: ...


def check_equiangular(solver: Started, d: int, scheme: object = None) -> None:
    """Refuse a cosine that n tokens in dimension d cannot have, or that nobody asks for.

    Args:
        solver: the options.
        d: dimension.
        scheme: of normalisation; one that centres tokens changes the cosine.

    Raises:
        InputError: with what can be.
    """
    n, cosine = solver.number, solver.cosine
    if solver.tokens != EQUIANGULAR:
        if cosine is not None:
            raise InputError(
                f"solver.cosine: found {cosine:g} with solver.tokens = '{solver.tokens}', expected "
                f"solver.tokens = '{EQUIANGULAR}', or no cosine"
            )
        return
    if getattr(scheme, "centre", False):
        raise InputError(
            f"solver.tokens: found '{EQUIANGULAR}' with model.normalisation.centre = true, which "
            "projects tokens to a hyperplane where their cosine is another one; expected 'iid', a "
            "file of centred tokens, or centre = false"
        )
    if cosine is None:
        raise InputError(
            "solver.cosine is missing (solver.tokens = 'equiangular' needs it); add for example "
            "cosine = 0.5"
        )
    assert n is not None
    if cosine == 1.0:
        raise InputError("solver.cosine: found 1, which is one token; expected less")
    least = -1.0 / (n - 1.0) if n > 1 else -1.0
    if cosine < least * (1.0 + 1e-12):
        raise InputError(
            f"solver.cosine: found {cosine:g}, expected at least {least:.6g} for {n} tokens: the "
            "length of their sum would be no number"
        )
    needed = n - 1 if abs(cosine - least) <= 1e-12 * abs(least) else n
    if d < needed:
        raise InputError(
            f"solver.number: found {n} equiangular tokens in d = {d} dimensions, expected at most "
            f"{d}, which span them (or {d + 1} for the cosine {-1.0 / d:.6g})"
        )


def check_law(solver: object, law: Law) -> None:
    """Refuse equiangular tokens of a law that is not theirs.

    Raises:
        InputError: it is not the uniform one, of which each is, the others left aside.
    """
    if getattr(solver, "tokens", None) == EQUIANGULAR and not isinstance(law, Uniform):
        raise InputError(
            f"initial: found {law.describe()} with solver.tokens = 'equiangular', which are turned "
            "at random by the seed, so that each of them is uniform; expected initial.type = "
            "'uniform'"
        )
