"""Heads on axially symmetric measures: closed where matrices commute with all rotations about e_d.

A = a R + c e e^T and V = v R' + w e e^T with rotations R, R' of what is orthogonal to e = e_d, by
angles that only exist for d = 3: of them nothing is seen but cos of their sum, in v. For other
matrices the law does not stay symmetric. Points are colatitudes theta; w = A x has the components
a sin(theta) across and c cos(theta) along the axis.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from meanfield.errors import InputError
from meanfield.geometry.polynomials import gegenbauer
from meanfield.geometry.sphere import Array, harmonic_dimension
from meanfield.interaction.composite.bessel import exponential_series
from meanfield.interaction.composite.matrices import HeadMatrices
from meanfield.interaction.composite.parts import HeadParts
from meanfield.interaction.direct import circle_means

__all__ = ["Axial", "axial", "axial_drift", "zonal_head_parts", "zonal_head_sums"]

_PAIRS = 1 << 20  # of colatitudes at a time
_SAME = 1e-12


class Axial(NamedTuple):
    """A head as it acts on axially symmetric measures.

    Attributes:
        a, c: of A, across and along the axis.
        v, w: of V likewise, v times the cosine of what A and V turn by.
    """

    a: float
    c: float
    v: float
    w: float


def _numbers(matrix: Array, name: str) -> tuple[float, float, float]:
    """Size across the axis, angle that it turns by, size along the axis.

    Raises:
        InputError: it does not commute with the rotations about the axis.
    """
    d = len(matrix)
    block, along = matrix[:-1, :-1], float(matrix[-1, -1])
    if d == 3:
        real = 0.5 * (block[0, 0] + block[1, 1])
        imaginary = 0.5 * (block[1, 0] - block[0, 1])
        size, angle = math.hypot(real, imaginary), math.atan2(imaginary, real)
        ideal = np.array([[real, -imaginary], [imaginary, real]])
    else:
        size, angle = float(np.trace(block)) / (d - 1), 0.0
        ideal = size * np.eye(d - 1)
    whole = np.zeros((d, d))
    whole[:-1, :-1], whole[-1, -1] = ideal, along
    if float(np.linalg.norm(matrix - whole)) > _SAME * float(np.linalg.norm(matrix)):
        turn = " (d = 3: with a rotation about e_3 in it)" if d == 3 else ""
        raise InputError(
            f"{name}: a matrix that does not commute with the rotations about the last axis "
            f"found, a I + c e e^T{turn} expected on a zonal geometry: take the sphere or the "
            "circle"
        )
    return size, angle, along


def axial(head: HeadMatrices, name: str) -> Axial:
    """The numbers of a head.

    Raises:
        InputError: the law of the tokens would not stay axially symmetric.
    """
    a, turn, c = _numbers(head.A, f"{name}.A")
    v, further, w = _numbers(head.V, f"{name}.V")
    return Axial(a, c, v * math.cos(turn + further), w)


def axial_drift(matrix: Array) -> tuple[float, float]:
    """Sizes of a linear drift across and along the axis.

    Raises:
        InputError: as for ``axial``.
    """
    across, turn, along = _numbers(matrix, "drift")
    return across * math.cos(turn), along


class _Means(NamedTuple):
    """int e^{<w, y>} f dmu: f = 1, what y has across (to w) and along the axis; products."""

    z: Array
    across: Array
    along: Array
    mixed: Array | None = None
    squared: Array | None = None


def _assembled(
    head: Axial, theta: Array, d: int, log_scale: Array, means: _Means, plain: _Means, rest: Array
) -> HeadParts:
    """``HeadParts`` of means.

    Args:
        head: the numbers.
        theta: (n,) targets.
        d: dimension.
        log_scale: (n,) of the means.
        means: of the measure.
        plain: the same without the uniform part, where the head is at rest under that.
        rest: (n,) int e^{<w, y>} y dsigma over w, times the mass, where it has been taken out.
    """
    a, c, v, w = head
    s, k = np.sin(theta), np.cos(theta)
    flow = v * plain.across * k - w * plain.along * s
    if means.mixed is None or means.squared is None:
        return HeadParts(log_scale, means.z, plain.z, flow[:, None])
    across, along = plain.across + rest * a * s, plain.along + rest * c * k
    # x.V S A x with S = int e^{<w, y>} y y^T: S across is (what is left of the trace) - S along the
    # axis - (d - 2) times what is orthogonal to both, which is N across/w across.
    left = means.z - means.squared
    trace = w * c * means.squared + v * a * left
    bend = v * s * (a * s * left - (d - 2) * across + c * k * means.mixed) + w * k * (
        a * s * means.mixed + c * k * means.squared
    )
    normal = v * s * across + w * k * along
    divergence = trace - bend - (d - 1) * normal
    slope = a * k * across - c * s * along
    return HeadParts(log_scale, means.z, plain.z, flow[:, None], divergence, slope[:, None])


# ------------------------------------------------------------------ by harmonics


def zonal_head_parts(
    head: Axial, rests: bool, theta: Array, moments: Array, order: int, d: int
) -> HeadParts:
    """The head's sums by Gegenbauer series, exact at any target.

    Args:
        head: the numbers.
        rests: whether the uniform measure is at rest under it.
        theta: (n,) targets.
        moments: (L + 1,) moments int P_l(cos theta) dmu.
        order: as for ``head_sums``.
        d: dimension.
    """
    x, z = head.a * np.sin(theta), head.c * np.cos(theta)
    r = np.hypot(x, z)
    safe = np.where(r > 0.0, r, 1.0)
    sine, cosine = np.where(r > 0.0, x / safe, 0.0), np.where(r > 0.0, z / safe, 1.0)
    degree = moments.size - 3
    series = exponential_series(r, degree + 1, d)
    dimension = harmonic_dimension(degree, d)
    p = gegenbauer(cosine, d, degree)
    tables = (series, dimension, p, r, sine, cosine)
    first = _along(moments, d)
    uniform = np.zeros_like(moments)
    uniform[0] = moments[0] if rests else 0.0
    start = moments - uniform
    excess = _value(start, *tables)
    whole = excess + uniform[0] * series[:, 0]
    if order == 0:
        return HeadParts(r, whole, excess)
    across = _gradient(start, *tables, d)[0]
    along = _value(_along(start, d), *tables)
    rest = np.zeros_like(r)
    means = _Means(whole, across, along)
    if order > 1:
        rest = uniform[0] * _over_r(series, r, 1, d)
        mixed = _gradient(first, *tables, d)[0]
        means = _Means(whole, across, along, mixed, _value(_along(first, d), *tables))
    return _assembled(head, theta, d, r, means, _Means(excess, across, along), rest)


def _along(moments: Array, d: int) -> Array:
    """Moments of cos(theta) mu from those of mu, one degree fewer (0 in the last place)."""
    l = np.arange(moments.size - 1.0)
    out = np.zeros_like(moments)
    with np.errstate(invalid="ignore", divide="ignore"):
        up, down = (l + d - 2.0) / (2.0 * l + d - 2.0), l / (2.0 * l + d - 2.0)
    if d == 2:
        up[0], down[0] = 1.0, 0.0
    out[:-1] = up * moments[1:]
    out[1:-1] += down[1:] * moments[: moments.size - 2]
    return out


def _value(
    moments: Array, series: Array, dimension: Array, p: Array, r: Array, sine: Array, cosine: Array
) -> Array:
    size = dimension.size
    return np.asarray(np.einsum("il,l,li->i", series[:, :size], dimension * moments[:size], p))


def _over_r(series: Array, r: Array, l: int, d: int) -> Array:
    """lam_l/r, l >= 1: lam_{l-1}/(2l + d - 2 + r lam_{l+1}/lam_l)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.where(series[:, l] > 0.0, series[:, l + 1] / series[:, l], 0.0)
    return np.asarray(series[:, l - 1] / (2.0 * l + d - 2.0 + r * ratio))


def _gradient(
    moments: Array, series: Array, dimension: Array, p: Array, r: Array, sine: Array,
    cosine: Array, d: int,
) -> tuple[Array, Array]:  # fmt: skip
    """Derivatives of ``_value`` by the components of w across and along the axis."""
    degree = dimension.size - 1
    l = np.arange(degree + 1.0)
    over = np.stack([_over_r(series, r, k, d) for k in range(1, degree + 1)], axis=1)
    radial = series[:, 1 : degree + 2].copy()
    radial[:, 1:] += l[1:] * over
    c = dimension * moments[: degree + 1]
    by_r = np.einsum("il,l,li->i", radial, c, p)
    # P_l' = l(l + d - 2)/(d - 1) times the polynomial of degree l - 1 in dimension d + 2.
    slopes = gegenbauer(cosine, d + 2, max(degree - 1, 0))[:degree]
    factor = (c * l * (l + d - 2.0) / (d - 1.0))[1:]
    by_angle = -sine * np.einsum("il,l,li->i", over, factor, slopes)
    return sine * by_r + cosine * by_angle, cosine * by_r - sine * by_angle


# ------------------------------------------------------------------ direct sums


def zonal_head_sums(
    head: HeadMatrices, theta: Array, sources: Array, m: Array, order: int, d: int
) -> HeadParts:
    """Direct sums: see ``sums.head_sums``; masses are spread over circles of latitude."""
    numbers = axial(head, "head")
    n = theta.size
    scale = np.zeros(n)
    found = np.zeros((5, n))
    rows = max(1, _PAIRS // max(sources.size, 1))
    cy, sy = np.cos(sources), np.sin(sources)
    for start in range(0, n, rows) if m.size else ():
        at = slice(start, min(n, start + rows))
        x, z = numbers.a * np.sin(theta[at]), numbers.c * np.cos(theta[at])
        size = np.abs(x)[:, None] * sy
        exponent = z[:, None] * cy + size
        scale[at] = exponent.max(axis=1)
        h0, h1, _ = circle_means((x[:, None] * sy).ravel(), d)
        e = m * np.exp(exponent - scale[at, None])
        e0, e1 = e * h0.reshape(e.shape), e * h1.reshape(e.shape)
        found[:, at] = (
            e0.sum(axis=1), e1 @ sy, e0 @ cy, e1 @ (sy * cy), e0 @ (cy * cy),
        )  # fmt: skip
    if order == 0:
        return HeadParts(scale, found[0], found[0])
    means = _Means(*found) if order > 1 else _Means(*found[:3])
    return _assembled(numbers, theta, d, scale, means, means, np.zeros(n))
