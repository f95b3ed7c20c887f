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
from meanfield.geometry.sphere import Array
from meanfield.interaction.composite.matrices import HeadMatrices
from meanfield.interaction.composite.parts import HeadParts
from meanfield.interaction.direct import circle_means

__all__ = ["Axial", "Means", "Taken", "assembled", "axial", "zonal_head_sums"]

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


class Means(NamedTuple):
    """int e^{<w, y>} f dmu: f = 1, what y has across (to w) and along the axis; products."""

    z: Array
    across: Array
    along: Array
    mixed: Array | None = None
    squared: Array | None = None


class Taken(NamedTuple):
    """What is left of means without the uniform part, where the head is at rest under that.

    Attributes:
        z, across, along: as in ``Means``.
        slope: (n,) int e^{<w, y>} y dsigma over w, times the mass that has been taken out.
    """

    z: Array
    across: Array
    along: Array
    slope: Array


def assembled(
    head: Axial, theta: Array, d: int, log_scale: Array, means: Means, left: Taken, noise: float
) -> HeadParts:
    """``HeadParts`` of means.

    Args:
        head: the numbers.
        theta: (n,) targets.
        d: dimension.
        log_scale: (n,) of the means.
        means: of the measure.
        left: of them.
        noise: of Z.
    """
    a, c, v, w = head
    s, k = np.sin(theta), np.cos(theta)
    wrong = np.full(theta.size, noise)
    flow = v * left.across * k - w * left.along * s
    if means.mixed is None or means.squared is None:
        return HeadParts(log_scale, means.z, left.z, wrong, flow[:, None])
    across, along = left.across + left.slope * a * s, left.along + left.slope * c * k
    # x.V S A x with S = int e^{<w, y>} y y^T: S across is (what is left of the trace) - S along the
    # axis - (d - 2) times what is orthogonal to both, which is N across/w across.
    rest = means.z - means.squared
    trace = w * c * means.squared + v * a * rest
    bend = v * s * (a * s * rest - (d - 2) * across + c * k * means.mixed) + w * k * (
        a * s * means.mixed + c * k * means.squared
    )
    normal = v * s * across + w * k * along
    divergence = trace - bend - (d - 1) * normal
    slope = a * k * across - c * s * along
    return HeadParts(log_scale, means.z, left.z, wrong, flow[:, None], divergence, slope[:, None])


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
        return HeadParts(scale, found[0], found[0], np.zeros(n))
    means = Means(*found) if order > 1 else Means(*found[:3])
    left = Taken(found[0], found[1], found[2], np.zeros(n))
    return assembled(numbers, theta, d, scale, means, left, 0.0)
