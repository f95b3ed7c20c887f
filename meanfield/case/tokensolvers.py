"""[solver] for tokens: where they start, and the choices of the solvers that move them.

A new option is a field: it is checked, explained and written by that.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Protocol

from pydantic import PlainValidator, ValidationInfo

from meanfield.case.equiangular import EQUIANGULAR, Cosine, check_equiangular
from meanfield.case.geometry import Geometry
from meanfield.case.schemechecks import suits_scheme
from meanfield.checks import as_found
from meanfield.errors import InputError, suggest
from meanfield.options import (
    Angle,
    Counted,
    Duration,
    Expected,
    Field,
    Flag,
    Pure,
    Rate,
    absolute,
    options,
)

if TYPE_CHECKING:
    from meanfield.case.model import Model

__all__ = [
    "MAX_TOKENS",
    "TOKEN_FILES",
    "TOKEN_KINDS",
    "Count",
    "Method",
    "Pair",
    "Particles",
    "Step",
    "TokenOptions",
    "TokenSource",
    "Tolerance",
    "suits_tokens",
]

MAX_TOKENS = 10**9
TOKEN_KINDS = ("iid", "quantised", EQUIANGULAR)
TOKEN_FILES = (".npy", ".npz", ".csv", ".txt", ".vtp", ".vtu")
"""Files that tokens are read from."""
_KINDS = ", ".join(f'"{kind}"' for kind in TOKEN_KINDS)

Tolerance = Annotated[Pure, Field(ge=1e-14, le=1e-4)] | None
Step = Annotated[Duration, Field(gt=0.0)]
Pair = Literal["dop853", "dopri5"]


def _tokens(value: object, info: ValidationInfo) -> str | Path:
    """A kind of tokens, or the absolute path of a file that exists."""
    if not isinstance(value, str | os.PathLike):
        raise InputError(
            f"expected {_KINDS} or the name of a file of tokens, found {as_found(value)}"
        )
    if isinstance(value, str) and value in TOKEN_KINDS:
        return value
    path = absolute(value, info)
    expected = f"expected {_KINDS} or a file ({', '.join(TOKEN_FILES)})"
    if not path.is_file():
        names = list(TOKEN_KINDS)
        if path.parent.is_dir():
            names += [p.name for p in path.parent.iterdir() if p.suffix.lower() in TOKEN_FILES]
        raise InputError(f"{expected}, there is no file {path}{suggest(path.name, names)}")
    if path.suffix.lower() not in TOKEN_FILES:
        raise InputError(f"{expected}, found {path}")
    return path


TokenSource = Annotated[
    str | Path,
    PlainValidator(_tokens, json_schema_input_type=str),
    Expected(f"{_KINDS} or the name of a file of tokens"),
]
Count = Annotated[Counted, Field(ge=1, le=MAX_TOKENS)] | None
Method = Literal["auto", "harmonics", "direct"]


class TokenOptions(Protocol):
    """What the options of all solvers of tokens have."""

    @property
    def tokens(self) -> str | Path: ...

    @property
    def number(self) -> int | None: ...

    @property
    def interaction(self) -> str: ...

    @property
    def exclude_self(self) -> bool: ...

    @property
    def cosine(self) -> float | None: ...


def suits_tokens(solver: TokenOptions, geometry: Geometry, model: Model) -> None:
    """Refuse a problem that no solver of tokens can do.

    Raises:
        InputError: with what would do.
    """
    if geometry.manifold.latitudes:
        raise InputError(
            f"geometry.type: tokens live on the whole sphere, found '{geometry.type}'; expected "
            f"'unmeshed' with d = {geometry.d}"
        )
    if solver.tokens in TOKEN_KINDS and solver.number is None:
        raise InputError(
            "solver.number: the number of tokens is missing; add for example number = 1000"
        )
    check_equiangular(solver, geometry.d, model.normalisation)
    if solver.tokens == "quantised" and geometry.d > 3:
        raise InputError(
            "solver.tokens: quantised tokens exist for d = 2 and 3, found d = "
            f"{geometry.d}: expected 'iid' or a file"
        )
    if solver.interaction == "harmonics" and not geometry.manifold.has_harmonics:
        raise InputError(
            "solver.interaction: harmonics exist for d = 2 and 3, found d = "
            f"{geometry.d}: expected 'auto' or 'direct'"
        )
    if solver.exclude_self and solver.interaction == "harmonics":
        raise InputError(
            "solver.exclude_self: found with harmonics, which leave no token's own term out: "
            "expected solver.interaction = 'auto' or 'direct'"
        )
    if model.ordered and (solver.interaction == "harmonics" or solver.exclude_self):
        key = "exclude_self" if solver.exclude_self else "interaction"
        raise InputError(
            f"solver.{key}: found {'harmonics' if key == 'interaction' else 'true'} with a mask or "
            "positions, whose sums are direct and have the terms that the mask leaves; expected "
            "neither"
        )
    kernel = model.interaction
    if solver.exclude_self and kernel is not None and kernel.link == "log":
        raise InputError(
            "solver.exclude_self: found with a kernel with the log link, expected attention or the "
            "identity as link"
        )


@options("solver", kw_only=True)
class Particles:
    """n tokens that follow the flow (kappa = 0) or diffuse in it (kappa > 0).

    Example:
        >>> mf.Particles(number=1000).tokens
        'iid'
    """

    number: Count = Field(default=None, examples=[1000])
    """How many; may be left out for a file."""
    tokens: TokenSource = "iid"
    """Where they start: "iid" (drawn from the law by the case's seed), "quantised" (placed evenly
    by it), "equiangular" (with one ``cosine``) or a file (.npy, .npz, .csv, .txt, .vtp, .vtu), of
    which coordinates and weights are taken by name."""
    cosine: Cosine = Field(default=None, examples=[0.5])
    """<x_i, x_j> of all pairs of equiangular tokens, from -1/(n - 1) on: sqrt(rho) z_0 + sqrt(1 -
    rho) z_i, turned at random by the seed; they need d >= n."""
    normalise: Flag = False
    """Scale the tokens of a file to length one, instead of refusing others (few digits)."""
    method: Pair = "dop853"
    """Runge-Kutta pair for kappa = 0: "dop853" (order 8, 12 evaluations a step; measured: three
    times fewer evaluations for the same error at any tolerance) or "dopri5" (order 5, 6)."""
    rtol: Pure = Field(default=1e-6, ge=1e-13, le=1e-1)
    """Tolerance of a step for kappa = 0, against the largest distance moved in it."""
    atol: Angle = Field(default=1e-9, ge=1e-14, le=1e-1)
    """Absolute tolerance of a step for kappa = 0."""
    dt: Step | None = Field(default=None, examples=[0.01])
    """Fixed step with noise, shortened to land on output times; left out: chosen."""
    common_noise: Rate = Field(default=0.0, ge=0.0, le=1e6)
    """kappa_0: of noise that all tokens have in common, sqrt(2 kappa_0) P_x dW with one Brownian
    motion W of the space (Stratonovich). Steps are then those for kappa > 0."""
    common_seed: Counted | None = Field(default=None, ge=0, lt=2**64, examples=[7])
    """Of the common noise; left out: from the seed of the case. Given, with ``dt``: the same path
    for runs with other seeds."""
    interaction: Method = "auto"
    """Harmonic transforms (S^1 and S^2) or direct sums over all pairs."""
    tolerance: Tolerance = Field(default=None, examples=[1e-8])
    """Accuracy of the harmonic transforms relative to max Z (heads of sa: Z itself); left out:
    chosen by the model (with heads 1e-7)."""
    exclude_self: Flag = False
    """Leave a token's own term out of the sums that move it, j != i; of softmax out of Z, too.
    Sums are direct then, and no tokens are merged where it matters."""
    cluster_angle: Angle = Field(default=0.1, gt=0.0, le=math.pi)
    """Tokens nearer than this (radians) belong to one cluster."""
    merge: Flag = True
    """Make one point of tokens that have collapsed (kappa = 0), so that steps can grow."""
    type: Literal["particles"] = "particles"

    def suits(self, geometry: Geometry, model: Model) -> None:
        """Refuse a problem that this solver cannot do.

        Raises:
            InputError: with what would do.
        """
        suits_tokens(self, geometry, model)
        suits_scheme(self, model.normalisation, model.diffuses)
        if model.diffuses and model.exponent != 1.0:
            raise InputError(
                f"model.diffusion.exponent: found {model.exponent:g}, but the noise of tokens is "
                'linear diffusion: expected solver.type = "implicit" (or exponent = 1)'
            )
        self._suits_common()
        if self.dt is not None and not (model.diffuses or self.common_noise):
            raise InputError(
                f"solver.dt: found {self.dt:g} with model.kappa = 0, where steps follow the "
                "error: expected rtol and atol, or noise"
            )

    def _suits_common(self) -> None:
        if self.common_seed is None:
            return
        if self.common_noise == 0.0:
            raise InputError(
                f"solver.common_seed: found {self.common_seed} with common_noise = 0: expected "
                "common_noise > 0, or no seed of it"
            )
        if self.dt is None:
            raise InputError(
                f"solver.common_seed: found {self.common_seed} without dt: one path for several "
                "runs needs steps that are the same in all of them, expected solver.dt"
            )
