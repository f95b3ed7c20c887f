"""Limiters: how much of a difference of log rho along an edge the fluxes may use. Compiled.

Both users, the explicit sweep (``dynamics.sweep``) and the implicit fluxes (``dynamics.fluxes``),
have for an edge from its upwind vertex i to its downwind vertex j

    forward  D = log rho_j - log rho_i, kept within ``STEEP``,      along  A = grad_i . t_ij

with the least-squares gradient of log rho at i; backward, as if from the vertex before i, is
U = 2 A - D. Beside them stand three numbers of the star of i (``dynamics.slopes``): low and high,
between which log rho - log rho_i is there, and the room that its curvature leaves. A limiter makes
of them the limited difference p of log rho from i to j.

A new limiter is a function here, which writes p for many edges at once, and a line of ``LIMITERS``
under the name that ``solver.scheme`` has for it (and of ``_CURVED``, if it asks for the room). The
users get it as the address of compiled code (``limiter``), a plain number, and call it by
``limit_at``: they need not be compiled again, and what numba keeps of them on disk cannot be that
of an older limiter. (It can be of an older ``steep`` and ``room``, which are compiled into them.)

Knows only arrays.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numba as nb
from llvmlite import ir
from numba.extending import intrinsic

from meanfield.geometry.sphere import Array

__all__ = ["LIMITERS", "Limit", "Limiter", "limit_at", "limiter", "mean", "room", "steep"]

Limit = Callable[[Array, Array, Array, Array, Array, Array], None]
"""limit(forward, along, low, high, room, p): writes ``p``, for each edge that of its upwind end.

All are (n,), contiguous, and do not overlap; low <= 0 <= high, room >= 0."""

# Differences of log rho beyond this say no more than "a front": what a drained vertex keeps is
# round-off, 1e-17 of what it held or nothing, and must not decide on its neighbours' gradients.
STEEP = 20.0

_VALUES = nb.types.Array(nb.types.float64, 1, "C")
_KAPPA = 0.4
_FORWARD, _BACKWARD = 0.5 * (1.0 + _KAPPA), 0.5 * (1.0 - _KAPPA)
_MOST = 1.0  # room, in log rho
# Room over the least curvature of a star, and how many times that the largest may be (measured: a
# ratio of 4 leaves no plateau above its bound, 10 is the more accurate where it is not resolved).
_SHARE, _ALIKE = 2.0, 6.0


@nb.njit(inline="always")
def steep(difference: float) -> float:
    """A difference of log rho, kept within ``STEEP``."""
    return max(-STEEP, min(STEEP, difference))


@nb.njit(inline="always")
def room(least: float, most: float) -> float:
    """What a limited difference may have beyond its bound, by the curvatures of a star.

    0 where they are of both signs or of very different sizes: at jumps and at the ends of
    plateaus; at a smooth peak, where all are about the same, twice the least, or 1.
    """
    small, large = max(least, -most), max(most, -least)
    return min(_MOST, _SHARE * max(0.0, min(small, _ALIKE * small - large)))


@nb.njit(inline="always")
def _kept(forward: float, along: float, low: float, high: float, room: float) -> float:
    """The free difference, kept within ``room`` of Koren's value inside the star."""
    behind = 2.0 * along - forward
    # The vertex before i would be one of the star: its log rho within what that has.
    inside = max(-high, min(-low, behind))
    most = 2.0 * min(abs(forward), abs(inside)) if forward * inside > 0.0 else 0.0
    koren = max(-most, min(most, _FORWARD * forward + _BACKWARD * inside))
    free = _FORWARD * forward + _BACKWARD * behind
    return max(koren - room, min(koren + room, free))


def none(forward: Array, along: Array, low: Array, high: Array, room: Array, p: Array) -> None:
    """No difference at all: the edge has the density of its upwind vertex."""
    p[:] = 0.0


def log_muscl(
    forward: Array, along: Array, low: Array, high: Array, room: Array, p: Array
) -> None:  # fmt: skip
    """(1 + kappa)/2 D + (1 - kappa)/2 U, kappa = 0.4, within the room of the bounded value.

    Between kappa = 1/3 (third-order fluxes) and 1/2 (exact for Gaussians, whose log is quadratic),
    0.4 was the most accurate when measured. The room leaves smooth peaks alone, which a
    total-variation limiter clips, and nothing at jumps, where any allowance makes new maxima (20 %
    with one of 1).
    """
    for i in range(p.size):
        p[i] = _kept(forward[i], along[i], low[i], high[i], room[i])


def bounded(
    forward: Array, along: Array, low: Array, high: Array, room: Array, p: Array
) -> None:  # fmt: skip
    """Koren's value, with U kept within the star: no density on an edge beyond those of the star.

    With M the largest density on the star of a vertex and div_h the divergence of the drift there,
    an Euler step leaves it with at most M (1 - dt div_h) if dt sum_j c_ij u_ij^+ <= w_i/2: an edge
    towards it has at most M, one out of it at least rho_i^2/M.
    """
    for i in range(p.size):
        p[i] = _kept(forward[i], along[i], low[i], high[i], 0.0)


def mean(forward: Array, along: Array, low: Array, high: Array, room: Array, p: Array) -> None:
    """The edge has the mean of the densities of its ends, at most twice that of the upwind one.

    For nonlinear diffusion, whose fronts are steep in log rho and not in rho; chosen by no scheme.
    """
    for i in range(p.size):
        p[i] = 2.0 * math.log(min(0.5 * (1.0 + math.exp(forward[i])), 2.0))


LIMITERS: Mapping[str, Limit] = MappingProxyType(
    {
        "upwind": none,
        "fitted": none,
        "log-muscl": log_muscl,
        "bounded": bounded,
    }
)
"""The limiter of each ``solver.scheme``, not compiled."""

_BY_NAME = {**LIMITERS, "mean": mean}
_CURVED = frozenset({log_muscl})  # those that ask for the room


@dataclass(frozen=True, eq=False)
class Limiter:
    """What compiled code is given.

    Attributes:
        active: False where p = 0, and nothing of the stars is needed.
        curved: whether the room matters, and with it curvatures; without, it is 0.
        address: of the limiter, compiled: valid as long as this object lives.
        compiled: what lives at the address.
    """

    active: bool
    curved: bool
    address: int
    compiled: object = field(repr=False)


@functools.cache
def limiter(scheme: str) -> Limiter:
    """The limiter of a scheme, or "mean"; compiled when it is first asked for."""
    function = _BY_NAME[scheme]
    # No fastmath: the same bits for both users, and from the cache as from the compiler.
    compiled = nb.cfunc(nb.types.void(*[_VALUES] * 6), cache=True)(function)
    return Limiter(function is not none, function in _CURVED, compiled.address, compiled)


# A function object as an argument takes numba 15 us a call to look at, an address nothing.
@intrinsic
def _call(
    typing: Any, address: Any, forward: Any, along: Any, low: Any, high: Any, room: Any, p: Any
) -> Any:
    """Call the limiter at an address with six arrays."""
    given = (forward, along, low, high, room, p)
    if not isinstance(address, nb.types.Integer) or set(given) != {_VALUES}:
        raise nb.errors.TypingError(f"a limiter takes an address and six {_VALUES}")
    nothing = nb.types.none

    def generate(context: Any, builder: Any, signature: Any, values: Sequence[Any]) -> Any:
        kinds = [context.get_value_type(kind) for kind in signature.args[1:]]
        function = ir.FunctionType(context.get_value_type(nothing), kinds).as_pointer()
        return builder.call(builder.inttoptr(values[0], function), values[1:])

    return nothing(address, *given), generate


@nb.njit(inline="always")
def limit_at(
    address: int, forward: Array, along: Array, low: Array, high: Array, room: Array, p: Array
) -> None:
    """``limit(forward, along, low, high, room, p)`` of the limiter at an address."""
    _call(address, forward, along, low, high, room, p)
