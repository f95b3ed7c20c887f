"""Equiangular tokens: all <theta_i, theta_j> equal, and all lengths; they stay so.

n tokens with the cosine gamma and the length r under attention with Q = K = I, V = value * I, in
any scheme of normalisation: A_i = V (w_self theta_i + w_other sum_{j != i} theta_j) with
w_self = e^beta/Z, w_other = e^{beta gamma}/Z, Z = e^beta + (n - 1) e^{beta gamma} (sa), Z = n
(usa), and two equations for gamma and r tell all:

    gamma' = 2 value (1 - gamma)(1 + (n - 1) gamma) w_other/s,    r' of the scheme

Sources: arXiv 2312.10794, section 6 (post), and 2510.22026 (the others). Shares no code with
``meanfield.interaction``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import integrate

from meanfield.arguments import checked_arguments, checked_fields
from meanfield.case.normalisation import Normalisation, Post
from meanfield.checks import real_array
from meanfield.errors import InputError, suggest
from meanfield.geometry.sphere import Array

__all__ = [
    "Equiangular",
    "EquiangularCurve",
    "equiangular_curve",
    "equiangular_rate",
    "equiangular_solution",
    "equiangular_time",
]

_RTOL, _ATOL = 1e-12, 1e-14
_LONGEST = 1e4  # time that is looked at for a cosine


@checked_fields
@dataclass(frozen=True)
class Equiangular:
    """Tokens and their attention.

    Attributes:
        n: number of tokens, >= 2; n <= d + 1, and n <= d for gamma >= 0 at the beginning.
        beta: inverse temperature.
        value: V = value * I, 1 or -1.
        kind: "sa" or "usa".
        gamma: cosine at t = 0, -1/(n - 1) < gamma < 1.
        length: r at t = 0, > 0.
    """

    n: int
    beta: float
    value: int = 1
    kind: Literal["sa", "usa"] = "sa"
    gamma: float = 0.0
    length: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in ("sa", "usa"):
            hint = suggest(str(self.kind), ("sa", "usa"))
            raise InputError(f"model '{self.kind}' found, 'sa' or 'usa' expected{hint}")
        if self.value not in (1, -1):
            raise InputError(f"value = {self.value} found, 1 (V = I) or -1 (V = -I) expected")
        if self.n < 2:
            raise InputError(f"n = {self.n} found, at least 2 tokens expected")
        if not -1.0 / (self.n - 1) < self.gamma < 1.0:
            raise InputError(
                f"gamma = {self.gamma:g} found, a cosine between {-1.0 / (self.n - 1):.4g} and 1 "
                "expected"
            )
        if not 0.0 < self.length < math.inf:
            raise InputError(f"length = {self.length:g} found, a finite number > 0 expected")


class EquiangularCurve(NamedTuple):
    """What becomes of them: cosines and lengths, of the shape of the times."""

    gamma: Array
    length: Array


class _Flow:
    """The right-hand side, in u = -log(1 - gamma) and log r: gamma next to 1 keeps its digits."""

    def __init__(self, tokens: Equiangular, scheme: Normalisation) -> None:
        self.tokens, self.scheme = tokens, scheme
        self.gain = _common_gain(scheme)

    def __call__(self, t: float, y: Array) -> Array:
        tokens, n = self.tokens, self.tokens.n
        r = np.exp(y[1:2])
        apart = np.exp(-y[0])  # 1 - gamma
        gamma = 1.0 - apart
        size = (float(r[0]) if self.scheme.sees_length else 1.0) * self.gain
        beta = tokens.beta * size * size
        if tokens.kind == "sa":
            e = np.exp(-abs(beta) * apart)  # never overflows
            own = 1.0 / (1.0 + (n - 1) * e) if beta >= 0.0 else e / (e + (n - 1))
            other = e * own if beta >= 0.0 else 1.0 / (e + (n - 1))
        else:
            other, own = np.exp(beta * gamma) / n, np.exp(beta) / n
        other, own = tokens.value * size * other, tokens.value * size * own
        along = np.array([own + (n - 1) * other * gamma])
        squared = own * own + (n - 1) * other * (2.0 * own * gamma + other * (1 + (n - 2) * gamma))
        rates = self.scheme.rates(along, np.sqrt(np.array([squared])), r, t)
        turn = 2.0 * float(rates.factor[0]) * other * (1.0 + (n - 1) * gamma)
        return np.array([turn, float(rates.growth[0] / r[0])])


def _common_gain(scheme: Normalisation) -> float:
    """The factor of tokens before attention sees them: the same in all coordinates."""
    gain = scheme.gain
    if scheme.centre or isinstance(gain, tuple):
        raise InputError(
            "scheme: found a centre or a gain for each coordinate, under which tokens do not stay "
            "equiangular; expected one number as gain"
        )
    return 1.0 if gain is None else float(gain)  # type: ignore[arg-type]


def _start(tokens: Equiangular) -> Array:
    return np.array([-math.log1p(-tokens.gamma), math.log(tokens.length)])


def _legs(scheme: Normalisation, end: float) -> list[tuple[float, float, float]]:
    """Times from 0 to ``end``, apart at jumps of the scheme: begin, end, and its left limit."""
    legs, t = [], 0.0
    while t < end:
        jump = scheme.next_jump(t)
        stop = min(jump, end)
        legs.append((t, stop, math.nextafter(stop, -math.inf) if stop == jump else stop))
        t = stop
    return legs


def _solve(flow: _Flow, y: Array, times: Array) -> Array:
    """States (m, 2) at ascending times >= 0, from y at t = 0."""
    found = []
    for begin, stop, last in _legs(flow.scheme, float(times[-1])):
        wanted = times[(times > begin) & (times <= stop)]
        asked = np.unique(np.append(wanted, stop))
        inside = np.minimum(asked, last)  # up to the left limit: an error of one rounding
        with np.errstate(all="ignore"):  # what are no doubles are no success
            solution = integrate.solve_ivp(
                flow, (begin, last), y, "DOP853", t_eval=inside, rtol=_RTOL, atol=_ATOL
            )
        if not solution.success:
            raise InputError(
                f"t: found times up to {times[-1]:g}, before which a length reaches 0 or outputs "
                "are no doubles; expected earlier ones"
            )
        found.append(solution.y.T[: len(wanted)])
        y = solution.y[:, -1]
    return np.concatenate(found)


@checked_arguments
def equiangular_curve(
    t: ArrayLike, tokens: Equiangular, scheme: Normalisation | None = None
) -> EquiangularCurve:
    """gamma and r at times t >= 0 of any shape.

    Args:
        t: times.
        tokens: which ones, and their attention.
        scheme: of normalisation; None: "post". Its first length is not read, but that of tokens.

    Raises:
        InputError: times below 0, or a scheme under which tokens do not stay equiangular.
    """
    times = real_array(t, "t", "times")
    flat = times.ravel()
    if flat.size and (not np.all(np.isfinite(flat)) or flat.min() < 0.0):
        raise InputError("times that are negative or not finite found, times >= 0 expected")
    flow = _Flow(tokens, Post() if scheme is None else scheme)
    wanted, back = np.unique(flat, return_inverse=True)
    states = np.tile(_start(tokens), (wanted.size, 1))
    if wanted.size and wanted[-1] > 0.0:
        states[wanted > 0.0] = _solve(flow, states[0], wanted[wanted > 0.0])
    states = states[back].reshape(*times.shape, 2)
    return EquiangularCurve(-np.expm1(-states[..., 0]), np.exp(states[..., 1]))


@checked_arguments
def equiangular_time(
    cosine: float, tokens: Equiangular, scheme: Normalisation | None = None
) -> float:
    """When gamma reaches a cosine above that of the beginning.

    inf: not before t = 10 000; nan: a length reaches 0, or is no double, before it does.

    Raises:
        InputError: no such cosine, or a scheme under which tokens do not stay equiangular.
    """
    if not tokens.gamma < cosine < 1.0:
        raise InputError(f"cosine = {cosine:g} found, {tokens.gamma:g} < cosine < 1 expected")
    flow = _Flow(tokens, Post() if scheme is None else scheme)
    goal, y = -math.log1p(-cosine), _start(tokens)

    def reached(t: float, state: Array) -> float:
        return float(state[0]) - goal

    reached.terminal = True  # type: ignore[attr-defined]
    for begin, _, last in _legs(flow.scheme, _LONGEST):
        with np.errstate(all="ignore"):
            way = integrate.solve_ivp(
                flow, (begin, last), y, "DOP853", events=reached, rtol=_RTOL, atol=_ATOL
            )
        if len(way.t_events[0]):
            return _refined(flow, goal, float(way.t_events[0][0]))
        if not way.success:
            return math.nan
        y = way.y[:, -1]
    return math.inf


def _refined(flow: _Flow, goal: float, t: float) -> float:
    """An event, which is known to the order of an interpolation, by Newton's method."""
    for _ in range(3):
        (state,) = _solve(flow, _start(flow.tokens), np.array([t]))
        t -= (state[0] - goal) / flow(t, state)[0]
    return t


def equiangular_rate(
    model: Literal["sa", "usa"], gamma: ArrayLike, beta: float, n: int, value: int = 1
) -> Array:
    """d gamma/dt of n equal tokens with pairwise inner products gamma in "post".

    sa: 2 e^{beta gamma} (1 - gamma)((n - 1) gamma + 1)/(e^beta + (n - 1) e^{beta gamma});
    usa: (2/n) e^{beta gamma} (1 - gamma)((n - 1) gamma + 1). They need n <= d for gamma = 0.
    """
    Equiangular(n, beta, value, model)
    g = np.asarray(gamma, dtype=np.float64)
    common = 2.0 * value * (1.0 - g) * ((n - 1) * g + 1.0)
    if model == "usa":
        return np.asarray(common * np.exp(beta * g) / n)
    return np.asarray(common / (np.exp(beta * (1.0 - g)) + (n - 1)))


def equiangular_solution(
    t: ArrayLike, gamma: float, model: Literal["sa", "usa"], beta: float, n: int, value: int = 1
) -> Array:
    """gamma(t) of n equiangular tokens in "post" at times t (any shape), from ``gamma`` at 0."""
    if gamma == 1.0:
        return np.ones(np.shape(t))
    return equiangular_curve(t, Equiangular(n, beta, value, model, float(gamma))).gamma
