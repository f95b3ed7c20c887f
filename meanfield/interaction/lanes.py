"""Sums over arrays from compiled code, in lanes that are written out.

A sum whose order the compiler may choose ("reassoc") is not the same number wherever it is
compiled: numba compiles a parallel loop once for the process that asks for it, and once more for
its cache. So the order is fixed here: lane k adds the terms k, k + ``LANES``, ..., the lanes are
added by halves, and then what is left. It is as fast, since the lanes are vectors of the
processor's.

Called from functions compiled by numba, whose cache does not look into this file: whoever changes
it changes a line in these, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numba as nb
from llvmlite import ir
from numba.core import cgutils
from numba.extending import intrinsic

from meanfield.geometry.sphere import Array

__all__ = ["LANES", "lane_max", "lane_moments", "lane_pull"]

LANES = 16
"""Terms that are added at the same time."""

_F8, _N = nb.types.float64, nb.types.intp
_ARRAYS = [nb.types.Array(_F8, 1, "C", readonly=readonly) for readonly in (False, True)]
_REAL, _PLACE = ir.DoubleType(), ir.IntType(32)

_Values = Sequence[Any]
_Step = Callable[[_Values, _Values, _Values], _Values]
"""(found so far, elements of the arrays, numbers) -> found: all vectors, or all single numbers."""
_Join = Callable[[Any, Any], Any]


def _reduced(
    context: Any, builder: Any, signature: Any, values: _Values, begin: _Values, step: _Step,
    join: _Join,
) -> list[Any]:  # fmt: skip
    """What ``step`` finds along the arrays among the arguments; the last argument is n."""
    given = list(zip(signature.args[:-1], values[:-1], strict=True))
    arrays = [
        context.make_array(kind)(context, builder, value).data
        for kind, value in given
        if isinstance(kind, nb.types.Array)
    ]
    numbers = [value for kind, value in given if kind == _F8]
    n, vector = values[-1], ir.VectorType(_REAL, LANES)
    zero, width = ir.Constant(n.type, 0), ir.Constant(n.type, LANES)
    whole = builder.sub(n, builder.srem(n, width))

    def run(
        found: _Values, kind: Any, first: Any, stop: Any, stride: Any, fixed: _Values
    ) -> _Values:
        kept = [cgutils.alloca_once_value(builder, value) for value in found]
        with cgutils.for_range_slice(builder, first, stop, stride, n.type) as (i, _):
            at = [builder.bitcast(builder.gep(a, [i]), kind.as_pointer()) for a in arrays]
            read = [builder.load(place, align=8) for place in at]
            now = [builder.load(place) for place in kept]
            for place, value in zip(kept, step(now, read, fixed), strict=True):
                builder.store(value, place)
        return [builder.load(place) for place in kept]

    spread = [_spread(builder, value) for value in numbers]
    start = [_spread(builder, value) for value in begin]
    lanes = run(start, vector, zero, whole, width, spread)
    joined = [_over_lanes(builder, value, join) for value in lanes]
    return list(run(joined, _REAL, whole, n, ir.Constant(n.type, 1), numbers))


def _spread(builder: Any, value: Any) -> Any:
    """A vector with one number in all lanes."""
    nothing = ir.Constant(ir.VectorType(_REAL, LANES), ir.Undefined)
    one = builder.insert_element(nothing, value, ir.Constant(_PLACE, 0))
    return builder.shuffle_vector(one, nothing, _places(0, 0, LANES))


def _over_lanes(builder: Any, vector: Any, join: _Join) -> Any:
    """One number of a vector, which is joined half to half."""
    while (half := vector.type.count // 2) > 0:
        low, high = (_places(begin, 1, half) for begin in (0, half))
        vector = join(
            builder.shuffle_vector(vector, vector, low),
            builder.shuffle_vector(vector, vector, high),
        )
    return builder.extract_element(vector, ir.Constant(_PLACE, 0))


def _places(begin: int, stride: int, count: int) -> Any:
    return ir.Constant(ir.VectorType(_PLACE, count), [begin + stride * k for k in range(count)])


def _refuse(*kinds: Any) -> None:
    if not all(kind in _ARRAYS for kind in kinds):
        raise nb.errors.TypingError(f"contiguous arrays of float64 expected, {kinds} found")


@intrinsic
def _max(typing: Any, t: Any, factor: Any, n: Any) -> Any:
    _refuse(t)

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        def larger(a: Any, b: Any) -> Any:
            return builder.select(builder.fcmp_ordered(">", b, a), b, a)

        (found,) = _reduced(
            context, builder, signature, values, [ir.Constant(_REAL, float("-inf"))],
            lambda now, read, fixed: [larger(now[0], builder.fmul(fixed[0], read[0]))], larger,
        )  # fmt: skip
        return found

    return _F8(t, _F8, _N), generate


@intrinsic
def _moments(typing: Any, e: Any, t: Any, n: Any) -> Any:
    _refuse(e, t)

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        def step(now: _Values, read: _Values, fixed: _Values) -> _Values:
            first = builder.fmul(read[0], read[1])
            terms = (read[0], first, builder.fmul(first, read[1]))
            return [builder.fadd(s, term) for s, term in zip(now, terms, strict=True)]

        begin = [ir.Constant(_REAL, 0.0)] * 3
        sums = _reduced(context, builder, signature, values, begin, step, builder.fadd)
        return context.make_tuple(builder, signature.return_type, sums)

    return nb.types.UniTuple(_F8, 3)(e, t, _N), generate


@intrinsic
def _pull(typing: Any, e: Any, y: Any, x: Any, n: Any) -> Any:
    _refuse(e, y)

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        def step(now: _Values, read: _Values, fixed: _Values) -> _Values:
            apart = builder.fsub(read[1], fixed[0])
            return [builder.fadd(now[0], builder.fmul(read[0], apart))]

        begin = [ir.Constant(_REAL, 0.0)]
        (found,) = _reduced(context, builder, signature, values, begin, step, builder.fadd)
        return found

    return _F8(e, y, _F8, _N), generate


@nb.njit(inline="always")
def lane_max(t: Array, factor: float, n: int) -> float:
    """The largest of ``factor`` t_j, j < n; -inf of none."""
    return _max(t, factor, n)


@nb.njit(inline="always")
def lane_moments(e: Array, t: Array, n: int) -> tuple[float, float, float]:
    """The sums of e_j, e_j t_j and e_j t_j^2, j < n."""
    return _moments(e, t, n)


@nb.njit(inline="always")
def lane_pull(e: Array, y: Array, x: float, n: int) -> float:
    """The sum of e_j (y_j - x), j < n."""
    return _pull(e, y, x, n)
