"""Small cases, one for each kind of run, each of a step or two: what is run to compile kernels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from meanfield.case.case import Case
from meanfield.case.overrides import apply_overrides

__all__ = ["small_cases"]

Changes = Mapping[str, object]

_PLAIN: Changes = {
    "geometry": {"type": "sphere", "level": 1},
    "model": {"attention": "sa", "beta": 1.0},
    "initial": {"type": "standard"},
    "time": {"end": 1e-3},
}
_CIRCLE: Changes = {"geometry": {"type": "circle", "vertices": 32}, "initial": {"type": "uniform"}}
_ZONAL: Changes = {
    "geometry": {"type": "zonal", "d": 4, "vertices": 32},
    "initial": {"type": "uniform"},
}
_TOKENS: Changes = {
    "geometry": {"type": "unmeshed", "d": 3},
    "solver": {"type": "particles", "number": 24},
}
_FIXED: Changes = {"solver": {"type": "eulerian"}}
_IMPLICIT: Changes = {
    "solver": {"type": "implicit"},
    "model.kappa": 0.1,
    "time.stationary": 1e-12,
}
_MOVING: Changes = {"solver": {"type": "lagrangian"}}
_TILTED = [[1.0, 0.2, 0.0], [0.0, 0.5, 0.0], [0.3, 0.0, -0.5]]
_HEADS: Changes = {
    "model.heads": [{"A": _TILTED, "V": _TILTED}, {"A": _TILTED}],
    "model.beta": None,
}
_TURNED: Changes = {
    "model.heads": [{"A": [[1.0, 0.2], [0.0, 0.5]], "V": [[0.5, 0.0], [0.3, 1.0]]}],
    "model.beta": None,
}
_UNIFORM: Changes = {"initial": {"type": "uniform"}}
_POWER: Changes = {"model.interaction": {"type": "power", "k": 1}}

_CASES: Mapping[str, Changes] = {
    "sphere, explicit": {**_FIXED, "time": {"end": 2.0}},  # until fields are extrapolated
    "sphere, upwind": {"solver": {"type": "eulerian", "scheme": "upwind"}},
    "sphere, noise": {**_FIXED, "model.kappa": 0.1},
    "sphere, porous": {
        **_FIXED, **_POWER, "model.kappa": 0.1, "model.diffusion": {"exponent": 2.0},
    },
    "sphere, usa": {**_FIXED, "model.attention": "usa"},
    "sphere, heads": {**_FIXED, **_HEADS},
    "sphere, implicit": _IMPLICIT,
    "sphere, implicit, no noise": {**_IMPLICIT, "model.kappa": 0.0},
    "sphere, implicit, porous": {**_IMPLICIT, **_POWER, "model.diffusion": {"exponent": 2.0}},
    "sphere, characteristics": _MOVING,
    "circle, explicit": {**_CIRCLE, **_FIXED},
    "circle, implicit": {**_CIRCLE, **_IMPLICIT},
    "circle, characteristics": {**_CIRCLE, **_MOVING},
    "circle, heads": {**_CIRCLE, **_FIXED, **_TURNED},
    "zonal, explicit": {**_ZONAL, **_FIXED},
    "zonal, implicit": {**_ZONAL, **_IMPLICIT},
    "zonal, characteristics": {**_ZONAL, **_MOVING},
    "tokens": _TOKENS,
    "tokens, high dimension": {**_TOKENS, "geometry": {"type": "unmeshed", "d": 16}, **_UNIFORM},
    "tokens, noise": {**_TOKENS, "model.kappa": 0.1},
    "tokens, usa": {**_TOKENS, "model.attention": "usa"},
    "tokens, heads": {**_TOKENS, **_HEADS},
    "tokens, mask": {**_TOKENS, **_HEADS, "model.mask": "causal"},
    "tokens, kernel": {
        **_TOKENS, "solver.number": 80, "model.interaction": {"type": "riesz", "s": 0.5},
    },
    "tokens, hardmax": {**_TOKENS, **_HEADS, "model.attention": "hardmax"},
    "tokens, sigmoid": {**_TOKENS, **_HEADS, "model.attention": "sigmoid"},
    "tokens, layers": {**_TOKENS, "solver": {"type": "layers", "number": 24, "layers": 1}},
}  # fmt: skip
"""A case for each kind of run, told by what it changes in a plain one."""


def small_cases() -> Iterator[Case]:
    """The cases, made one after the other."""
    for name, changes in _CASES.items():
        yield Case.from_dict(apply_overrides(_PLAIN, {"title": name, **changes}))
