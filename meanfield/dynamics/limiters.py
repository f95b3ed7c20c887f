"""Limiters: how much of a difference of log rho along an edge the fluxes may use. Compiled.

Both users, the explicit sweep (``dynamics.sweep``) and the implicit fluxes (``dynamics.fluxes``),
have for an edge from its upwind vertex i to its downwind vertex j

    forward  D = log rho_j - log rho_i, kept within ``STEEP``,      along  A = grad_i . t_ij

with the least-squares gradient of log rho at i; backward, as if from the vertex before i, is
U = 2 A - D. A limiter makes of them the limited difference p of log rho from i to j.

A new limiter is a function here, which writes p for many edges at once, and a line of ``LIMITERS``
under the name that ``solver.scheme`` has for it. The users get it as the address of compiled code
(``limiter``), a plain number, and call it by ``limit_at``: they need not be compiled again, and
what numba keeps of them on disk cannot be that of an older limiter. (It can be of an older
``STEEP``, which is compiled into them.)

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

__all__ = ["LIMITERS", "Limit", "Limiter", "limit_at", "limiter", "mean", "steep"]

Limit = Callable[[Array, Array, Array], None]
"""limit(forward, along, p): writes ``p``; all three are (n,), contiguous, and do not overlap."""

# Differences of log rho beyond this say no more than "a front": what a drained vertex keeps is
# round-off, 1e-17 of what it held or nothing, and must not decide on its neighbours' gradients.
STEEP = 20.0

_VALUES = nb.types.Array(nb.types.float64, 1, "C")
_KAPPA = 0.4
_FORWARD, _BACKWARD = 0.5 * (1.0 + _KAPPA), 0.5 * (1.0 - _KAPPA)
_ALLOWANCE = 1.0  # distance in log rho from the total-variation limited value


@nb.njit(inline="always")
def steep(difference: float) -> float:
    """A difference of log rho, kept within ``STEEP``."""
    return max(-STEEP, min(STEEP, difference))


def none(forward: Array, along: Array, p: Array) -> None:
    """No difference at all: the edge has the density of its upwind vertex."""
    p[:] = 0.0


def log_muscl(forward: Array, along: Array, p: Array) -> None:
    """(1 + kappa)/2 D + (1 - kappa)/2 U, kappa = 0.4, kept within 1 of Koren's limited value.

    Between kappa = 1/3 (third-order fluxes) and 1/2 (exact for Gaussians, whose log is quadratic),
    0.4 was the most accurate when measured; the bound of 1 (in log rho) leaves smooth peaks alone,
    which a total-variation limiter clips, and holds back jumps, where log rho drops by hundreds.
    """
    for i in range(p.size):
        ahead = forward[i]
        behind = 2.0 * along[i] - ahead
        free = _FORWARD * ahead + _BACKWARD * behind
        # Koren's value is the one nearest to it in [-koren, koren].
        koren = 2.0 * min(abs(ahead), abs(behind)) if ahead * behind > 0.0 else 0.0
        most = koren + _ALLOWANCE
        p[i] = max(-most, min(most, free))


def mean(forward: Array, along: Array, p: Array) -> None:
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
    }
)
"""The limiter of each ``solver.scheme``, not compiled."""

_BY_NAME = {**LIMITERS, "mean": mean}


@dataclass(frozen=True, eq=False)
class Limiter:
    """What compiled code is given.

    Attributes:
        active: False where p = 0, and no gradient is needed.
        address: of the limiter, compiled: valid as long as this object lives.
        compiled: what lives at the address.
    """

    active: bool
    address: int
    compiled: object = field(repr=False)


@functools.cache
def limiter(scheme: str) -> Limiter:
    """The limiter of a scheme, or "mean"; compiled when it is first asked for."""
    function = _BY_NAME[scheme]
    # No fastmath: the same bits for both users, and from the cache as from the compiler.
    compiled = nb.cfunc(nb.types.void(_VALUES, _VALUES, _VALUES), cache=True)(function)
    return Limiter(function is not none, compiled.address, compiled)


# A function object as an argument takes numba 15 us a call to look at, an address nothing.
@intrinsic
def _call(typing: Any, address: Any, forward: Any, along: Any, p: Any) -> Any:
    """Call the limiter at an address with three arrays."""
    if not isinstance(address, nb.types.Integer) or not forward == along == p == _VALUES:
        raise nb.errors.TypingError(f"a limiter takes an address and three {_VALUES}")
    nothing = nb.types.none

    def generate(context: Any, builder: Any, signature: Any, values: Sequence[Any]) -> Any:
        given = [context.get_value_type(kind) for kind in signature.args[1:]]
        function = ir.FunctionType(context.get_value_type(nothing), given).as_pointer()
        return builder.call(builder.inttoptr(values[0], function), values[1:])

    return nothing(address, forward, along, p), generate


@nb.njit(inline="always")
def limit_at(address: int, forward: Array, along: Array, p: Array) -> None:
    """``limit(forward, along, p)`` of the limiter at an address, from compiled code."""
    _call(address, forward, along, p)
