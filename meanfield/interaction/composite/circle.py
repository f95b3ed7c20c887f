"""Heads on S^1 by Fourier series: e^{<w, y>} = sum_k I_|k|(|w|) e^{ik(phi - alpha)}.

No transform, and exact for each target, which costs as many operations as there are degrees.
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np

from meanfield.geometry.manifolds import CircleGrid, CircleHarmonics, Located
from meanfield.geometry.sphere import Array, tangent_project
from meanfield.interaction.composite.bessel import exponential_series, uniform_slope
from meanfield.interaction.composite.matrices import HeadMatrices
from meanfield.interaction.composite.parts import HeadParts
from meanfield.interaction.composite.series import (
    BEYOND,
    NOISE,
    HeadSeries,
    HeadSums,
    Precision,
    series_degree,
)
from meanfield.interaction.composite.sums import tangential_divergence

__all__ = ["CircleHead"]


class CircleHead(HeadSeries):
    """A head on S^1.

    Args:
        head: the matrices.
    """

    def __init__(self, head: HeadMatrices) -> None:
        self.head = head
        self.degree = series_degree(head.size, 2)

    def sums(self, moments: Array, of: int, precision: Precision) -> CircleSums:
        """With the moments of a measure up to degree ``of``."""
        return CircleSums(self, moments, precision)


class CircleSums(HeadSums):
    """A head on S^1 and the moments of one measure.

    Args:
        series: the head.
        moments: of the measure, of ``CircleHarmonics``.
        precision: what is asked for.
    """

    def __init__(self, series: CircleHead, moments: Array, precision: Precision) -> None:
        self._head, self._degree = series.head, series.degree
        self._series, self._precision, self._whole = series, precision, moments
        modes = math.sqrt(0.5) * (moments[1::2] + 1j * moments[2::2])
        self._modes = np.concatenate([moments[:1], modes])[: self._degree + BEYOND + 1]
        self._total = float(moments[0])
        self._mass = self._total if series.head.rests else 0.0

    def pairs(self, moments: Array) -> float:
        degree = moments.size // 2
        grid = CircleGrid(degree, 2 * degree + 2)
        at = CircleHarmonics(degree, self._precision.epsilon).locate(grid.points)
        return float(moments @ self._series.pair_matrix(grid, at, self._precision) @ self._whole)

    def parts(self, at: Located, order: int) -> HeadParts:
        head, x, mass = self._head, at.points, self._mass
        w = x @ head.A.T
        r, angle = np.hypot(w[:, 0], w[:, 1]), np.arctan2(w[:, 1], w[:, 0])
        plain = self._modes.copy()
        plain[0] -= mass
        series = exponential_series(r, self._degree, 2)
        sums = _sums(series, angle, plain)
        excess, noise = sums[0].real, np.full(len(x), NOISE * self._total)
        z = excess + mass * series[:, 0]
        if order == 0:
            return HeadParts(r, z, excess, noise)
        mean = np.stack([sums[1].real, sums[1].imag], axis=1)
        flow = tangent_project(x, mean @ head.V.T)
        if order == 1:
            return HeadParts(r, z, excess, noise, flow)
        whole, second = mean, sums[2]
        if mass:
            whole = mean + (mass * uniform_slope(r, 2))[:, None] * w
            second = second + _sums(series, angle, self._modes - plain)[2]
        # S = int e^{<w, y>} y y^T from its trace z and the second mode.
        half, real, mixed = 0.5 * z, 0.5 * second.real, 0.5 * second.imag
        s = np.empty((len(x), 2, 2))
        s[:, 0, 0], s[:, 1, 1] = half + real, half - real
        s[:, 0, 1] = s[:, 1, 0] = mixed
        trace = np.einsum("ijk,kj->i", s, head.A @ head.V)
        bend = np.einsum("ij,ijk,ik->i", x @ head.V, s, w)
        divergence = tangential_divergence(x, whole @ head.V.T, trace, bend)
        return HeadParts(r, z, excess, noise, flow, divergence, whole @ head.A)


def _sums(series: Array, angle: Array, modes: Array) -> Array:
    """(3, n) complex: int e^{i s phi} e^{<w, y> - |w|} dmu for s = 0, 1, 2."""
    out = np.empty((3, angle.size), dtype=np.complex128)
    _fill_sums(series, np.exp(-1j * angle), modes, out)
    return out


@nb.njit(cache=True)
def _fill_sums(series: Array, turn: Array, modes: Array, out: Array) -> None:
    degree = series.shape[1] - 1
    for i in range(turn.size):
        first, step = series[i, 0], turn[i]
        s0 = first * modes[0]
        s1 = first * modes[1]
        s2 = first * modes[2]
        power = 1.0 + 0.0j
        for k in range(1, degree + 1):
            power *= step
            forward = series[i, k] * power  # of the mode k, e^{-ik alpha}
            backward = series[i, k] * power.conjugate()  # of the mode -k
            s0 += 2.0 * (forward * modes[k]).real
            s1 += forward * modes[k + 1]
            s1 += backward * (modes[1 - k] if k <= 1 else modes[k - 1].conjugate())
            s2 += forward * modes[k + 2]
            s2 += backward * (modes[2 - k] if k <= 2 else modes[k - 2].conjugate())
        out[0, i], out[1, i], out[2, i] = s0, s1, s2
