"""Schemes of normalisation, and layers: equiangular tokens, one layer in closed form."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import meanfield as mf
from meanfield.analysis.equiangular import Equiangular, equiangular_curve, equiangular_time
from meanfield.analysis.onelayer import layer_cosine
from meanfield.case.normalisation import Mix, Ngpt, Peri, Plain, Post, Pre, Sandwich, Sqrt
from meanfield.dynamics.equiangular import equiangular_tokens
from meanfield.dynamics.schemes import SchemeSolver
from meanfield.geometry.sphere import Array
from meanfield.interaction.attention import Attention

from .solving import until
from .table import Table, Values

table = Table("normalisation")

SCHEMES: dict[str, Any] = {
    "post": Post(), "pre": Pre(length=0.8), "mix": Mix(switch=0.7), "peri": Peri(length=2.0),
    "ngpt": Ngpt(alpha=0.5), "sqrt": Sqrt(), "sandwich": Sandwich(), "none": Plain(length=0.7),
}  # fmt: skip


def _orthogonal(n: int, scheme: Any, **options: Any) -> SchemeSolver:
    made = mf.Particles(merge=False, **options)
    return SchemeSolver(Attention("sa", 5.0, n), np.eye(n), scheme=scheme, options=made)


def _cosines(x: Array) -> Array:
    return np.asarray((x @ x.T)[np.triu_indices(len(x), 1)])


@table.row(
    "12 orthogonal tokens, $\\beta = 5$, `post`, `pre`, `mix`, `peri`, `ngpt`, `sqrt`, `sandwich`, "
    "`none` until $t = 4$: largest error of cosines in any of them", "{:.0e}",
    source="two scalar equations, by SciPy", quick=True, rough=True,
)  # fmt: skip
def schemes() -> Values:
    worst = 0.0
    for scheme in SCHEMES.values():
        times = [0.4, 1.5, 4.0]
        curve = equiangular_curve(times, Equiangular(12, 5.0, length=scheme.length), scheme)
        solver = _orthogonal(12, scheme, rtol=1e-11, atol=1e-12)
        for t, gamma in zip(times, curve.gamma, strict=True):
            worst = max(worst, float(np.max(np.abs(_cosines(until(solver, t).x) - gamma))))
    return (worst,)


def _times(scheme: Any) -> Values:
    return tuple(
        equiangular_time(level, Equiangular(256, 5.0), scheme) for level in (0.5, 0.9, 0.99)
    )


def _passing(scheme: Any) -> Values:
    """When the cosine of 256 orthogonal tokens passes .5, .9, .99, by Newton's method in time."""
    found = []
    for level, known in zip((0.5, 0.9, 0.99), _times(scheme), strict=True):
        solver = until(_orthogonal(256, scheme), known - 0.05)
        before = float(np.mean(_cosines(solver.x)))
        after = float(np.mean(_cosines(until(solver, known + 0.05).x)))
        # -log(1 - gamma) is nearly linear in t over a tenth.
        u = [-math.log(1.0 - value) for value in (before, level, after)]
        found.append(known - 0.05 + 0.1 * (u[1] - u[0]) / (u[2] - u[0]))
    return tuple(found)


@table.row(
    "256 orthogonal tokens, $\\beta = 5$, $r = 1$, `pre`: times at which cosines pass .5, .9, .99",
    "{:.2f}, {:.2f}, {:.2f}", known=_times(Pre()), source="two scalar equations (2510.22026)",
)  # fmt: skip
def pre_times() -> Values:
    return _passing(Pre())


@table.row("the same, `peri`", "{:.2f}, {:.2f}, {:.2f}", known=_times(Peri()), source="the same")
def peri_times() -> Values:
    return _passing(Peri())


LAYERED = {"pre": {"type": "pre", "length": 2.0}, "peri": "peri", "sandwich": "sandwich"}


def _ends(solver: dict[str, Any], scheme: Any) -> Array:
    table = {
        "geometry": {"type": "unmeshed", "d": 4},
        "model": {"attention": "sa", "beta": 2.0, "normalisation": scheme},
        "initial": {"type": "uniform"},
        "solver": {"number": 12, **solver},
        "time": {"end": 1.0},
    }
    return np.asarray(mf.run(mf.Case.from_dict(table), progress=False).solver.x)


@table.row(
    "50 and 100 layers in a unit of time against the flow, `pre`, `peri`, `sandwich`: ratio of "
    "errors", "{:.2f}, {:.2f}, {:.2f}", source="2: first order in $h$", quick=True,
)  # fmt: skip
def layers() -> Values:
    ratios = []
    for scheme in LAYERED.values():
        flow = _ends({"type": "particles", "rtol": 1e-9}, scheme)
        errors = [
            float(np.max(np.abs(_ends({"type": "layers", "layers": count}, scheme) - flow)))
            for count in (50, 100)
        ]
        ratios.append(errors[0] / errors[1])
    return tuple(ratios)


def _one_layer(gamma: float) -> float:
    return float(layer_cosine(0.5, gamma * math.log(1000.0), 1000))


@table.row(
    "one layer, $\\alpha = 0$, 1 000 equiangular tokens, cosine .5, $\\beta = \\gamma\\log n$, "
    "$\\gamma = 1.5, 2$: cosine of the outputs", "{:.6f}, {:.6f}",
    known=(_one_layer(1.5), _one_layer(2.0)), source="closed form (2510.05554)", quick=True,
)  # fmt: skip
def one_layer() -> Values:
    x = equiangular_tokens(1000, 1000, 0.5, np.random.default_rng(0))
    found = []
    for gamma in (1.5, 2.0):
        pulls = Attention("sa", gamma * math.log(1000.0), 1000)
        y = mf.layers(pulls, x, 1, block=mf.Block(Post(), residual=0.0, step=1.0))[-1]
        found.append(float(y[0] @ y[1]))
    return tuple(found)
