"""The sheet that characteristics with lengths are on, and what a normalisation scheme does to it.

A vertex has a direction theta and a length r. Of the outputs A with a = <theta, A>,

    theta' = f X,  r' = g,   X = A - a theta,  f, g functions of a, |A|, r and t (the scheme).

Vertices are labels of a surface {(theta, log r)} in S^{d-1} x R. Its tangent vectors (w, q) move by
the derivative of the flow along them, and how they spread over directions is how the density of
directions falls: log rho changes by -log |det| of their parts w, also where the surface is steep or
has turned over (then rho is the density of this part of it). Nothing depends on the basis of its
tangent space: after each step it is made orthonormal again.

Knows arrays and a scheme; nothing of fields, masses and who takes steps.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from meanfield.geometry.manifolds import Ambient
from meanfield.geometry.sphere import Array, tangent_project
from meanfield.interaction.anyfield import Output

__all__ = ["Directed", "Scheme", "first_tangents", "log_spread", "sheet_rates", "straightened"]

_STEP = 1e-30  # of a derivative by a complex argument: nothing is subtracted


class Rates(Protocol):
    """1/s and r'."""

    @property
    def factor(self) -> Array:
        """f, (n,)."""

    @property
    def growth(self) -> Array:
        """g, (n,)."""


class Scheme(Protocol):
    """What is asked of a normalisation scheme."""

    def rates(self, along: Array, size: Array, r: Array, t: float) -> Rates:
        """f and g of a, |A|, r, (n,) each: analytic functions of them."""


class Directed(Ambient):
    """S^{d-1} x R: unit vectors with one more number, (n, d + 1)."""

    def retracted(self, y: Array) -> Array | None:
        x = super().retracted(y[:, :-1])
        if x is None or not np.all(np.isfinite(y[:, -1])):
            return None
        return np.column_stack([x, y[:, -1]])

    def tangential(self, x: Array, vectors: Array) -> Array:
        return np.column_stack([tangent_project(x[:, :-1], vectors[:, :-1]), vectors[:, -1]])


def first_tangents(x: Array) -> Array:
    """(n, d - 1, d + 1) orthonormal (w, 0) of a sheet of one length at unit vectors (n, d)."""
    n, d = x.shape
    # Of the reflection that takes e_k to -+x, k the largest coordinate, all columns but the k-th.
    k = np.argmax(np.abs(x), axis=1)
    rows = np.arange(n)
    normal = x.copy()
    normal[rows, k] += np.copysign(1.0, x[rows, k])
    square = np.einsum("ni,ni->n", normal, normal)
    mirror = np.eye(d) - np.einsum("n,ni,nj->nij", 2.0 / square, normal, normal)
    others = np.array([np.delete(np.arange(d), j) for j in range(d)])[k]
    w = np.take_along_axis(mirror, others[:, :, None], axis=1)
    return np.concatenate([w, np.zeros((n, d - 1, 1))], axis=2)


def log_spread(x: Array, tangents: Array) -> Array:
    """(n,) log |det| of the parts w of tangent vectors; -inf where the surface turns over."""
    frame = np.concatenate([x[:, None, :], tangents[:, :, :-1]], axis=1)
    return np.linalg.slogdet(frame)[1]


class Straight(NamedTuple):
    """A basis made orthonormal.

    Attributes:
        tangents: (n, d - 1, d + 1).
        turn: (n, d - 1, d - 1): new vectors are its products with the old ones.
    """

    tangents: Array
    turn: Array


def straightened(x: Array, tangents: Array) -> Straight:
    """Tangent vectors of the sheet at unit vectors, orthonormal."""
    w = tangents[:, :, :-1]
    w = w - np.einsum("nci,ni,nk->nck", w, x, x)
    whole = np.concatenate([w, tangents[:, :, -1:]], axis=2)
    upper = np.linalg.qr(whole.transpose(0, 2, 1), mode="r")
    turn = np.linalg.inv(upper).transpose(0, 2, 1)
    return Straight(turn @ whole, turn)


def sheet_rates(
    scheme: Scheme, out: Output, x: Array, log_r: Array, tangents: Array, t: float
) -> tuple[Array, Array]:
    """Rates of (theta, log r), (n, d + 1), and of tangent vectors, (n, d - 1, d + 1).

    Args:
        scheme: f and g.
        out: of attention at the unit vectors ``x`` (n, d).
        log_r: (n,).
        tangents: (n, d - 1, d + 1).
        t: time.
    """
    r = np.exp(log_r)
    along = np.einsum("ni,ni->n", x, out.vector)
    velocity = out.vector - along[:, None] * x
    size = np.sqrt(along * along + np.einsum("ni,ni->n", velocity, velocity))
    found = scheme.rates(along, size, r, t)
    f, g = found.factor, found.growth
    rates = np.column_stack([f[:, None] * velocity, g / r])
    moved = np.empty_like(tangents)
    for c in range(tangents.shape[1]):
        w, q = tangents[:, c, :-1], tangents[:, c, -1]
        d_out = np.einsum("nij,nj->ni", out.slope, w)
        d_along = np.einsum("ni,ni->n", w, out.vector) + np.einsum("ni,ni->n", x, d_out)
        d_size = np.einsum("ni,ni->n", out.vector, d_out) / size
        bent = scheme.rates(_aside(along, d_along), _aside(size, d_size), _aside(r, r * q), t)
        df, dg = (np.imag(value) / _STEP for value in (bent.factor, bent.growth))
        d_velocity = d_out - d_along[:, None] * x - along[:, None] * w
        moved[:, c, :-1] = df[:, None] * velocity + f[:, None] * d_velocity
        moved[:, c, -1] = (dg - g * q) / r
    return rates, moved


def _aside(values: Array, slope: Array) -> Array:
    """Arguments whose rates have derivatives along ``slope`` as imaginary parts."""
    return np.asarray(values + 1j * _STEP * slope)
