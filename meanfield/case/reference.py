"""Every key of a case file: which there are, and the classes that have them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from meanfield.case.bynumber import BY_NUMBER
from meanfield.case.gaussians import Gaussians
from meanfield.case.geometry import GEOMETRIES
from meanfield.case.heads import Drift, Head
from meanfield.case.intime import IN_TIME
from meanfield.case.layeroptions import Layers
from meanfield.case.lengths import LENGTH_LAWS
from meanfield.case.masks import MASKS, Rope
from meanfield.case.matrices import Ensemble, InFile
from meanfield.case.model import Model
from meanfield.case.normalisation import SCHEMES
from meanfield.case.output import Output
from meanfield.case.pretrained.option import Pretrained
from meanfield.case.solvers import Auto, Eulerian, Implicit, Lagrangian
from meanfield.case.terms import Diffusion, Perceptron
from meanfield.case.time import Every, Geometric, Time
from meanfield.case.tokensolvers import Particles
from meanfield.errors import InputError, suggest
from meanfield.geometry.laws import LAWS
from meanfield.interaction.drifts.potentials import POTENTIALS
from meanfield.interaction.kernels import KERNELS
from meanfield.interaction.strength import STRENGTHS
from meanfield.options import label_of, options_of

__all__ = ["NESTED", "SECTIONS", "check_top_level", "is_key", "key_paths"]

TOP = ("title", "seed")
SECTIONS: dict[str, tuple[type, ...]] = {
    "geometry": GEOMETRIES,
    "model": (Model,),
    "initial": tuple(LAWS.values()),
    "solver": (Eulerian, Implicit, Lagrangian, Gaussians, Particles, Layers, Auto),
    "time": (Time,),
    "output": (Output,),
}
"""The classes of options of each section."""
NESTED: dict[str, tuple[type, ...]] = {
    "model.beta": tuple(BY_NUMBER.values()),
    "model.interaction": tuple(KERNELS.values()),
    "model.heads": (Head,),
    "model.drift": (Drift,),
    "model.perceptron": (Perceptron,),
    "model.diffusion": (Diffusion,),
    "model.potential": tuple(POTENTIALS.values()),
    "model.strength": tuple(STRENGTHS.values()),
    "model.mask": tuple(MASKS.values()),
    "model.rope": (Rope,),
    "model.pretrained": (Pretrained,),
    "model.normalisation": tuple(SCHEMES.values()),
    "model.normalisation.length": LENGTH_LAWS,
    "time.outputs": (Every,),
    "time.outputs.geometric": (Geometric,),
}


def _names(kinds: tuple[type, ...]) -> set[str]:
    names = {option.key.rpartition(".")[2] for kind in kinds for option in options_of(kind)}
    return names | ({"type"} if any(map(label_of, kinds)) else set())


def check_top_level(raw: Mapping[str, object]) -> None:
    """Refuse names that no case has at its top, with the section in which they stand."""
    valid = (*TOP, *SECTIONS)
    for name in raw:
        if name in valid:
            continue
        homes = [s for s, kinds in SECTIONS.items() if s != "initial" and name in _names(kinds)]
        if homes:
            where = " or ".join(f"[{section}]" for section in homes)
            raise InputError(f"'{name}' stands at the top of the file, expected it in {where}")
        raise InputError(
            f"unknown key or section '{name}'{suggest(name, valid)}; expected " + ", ".join(valid)
        )


def key_paths() -> list[str]:
    """All keys, but those inside of a law: its components are laws themselves."""
    paths = [*TOP, *SECTIONS]
    for section, kinds in (SECTIONS | NESTED).items():
        if section != "initial":
            paths += [f"{section}.{name}" for name in sorted(_names(kinds))]
    return [*dict.fromkeys([*paths, "time.outputs.geometric"])]


_WITH_MATRICES = ("model.drift", "model.perceptron", "model.potential", "model.interaction")
_INSIDE = {*_names((Ensemble, InFile)), *_names(IN_TIME), *_names(tuple(BY_NUMBER.values()))}
"""Names of tables that stand for a matrix, or for a value in time or by the number of tokens."""


def _is_of_matrices(path: str) -> bool:
    """Whether a case may have such a key below ``model.heads.0`` or what else has lists in it.

    What is in time has tables, lists of them, and lists in these, however deep.
    """
    of_head = re.fullmatch(r"model\.heads\.\d+(?:\.(\w+)(\..+)?)?", path)
    other = re.fullmatch(r"(model\.\w+)\.(\w+)(\..+)?", path)
    if of_head:
        (name, rest), valid = of_head.groups(), {*_names((Head,)), None}
    elif other and other[1] in _WITH_MATRICES:
        name, rest, valid = other[2], other[3], {*_names(NESTED[other[1]])}
    elif other and other[1] in ("model.beta", "model.kappa"):
        name, rest, valid = None, path.removeprefix(other[1]), {None}
        if path.split(".")[2] not in _names(IN_TIME):
            return False
    else:
        return False
    inside = (rest or "").split(".")[1:]
    if name not in valid or not all(word.isdigit() or word in _INSIDE for word in inside):
        return False
    return not inside or not inside[0].isdigit() or len(inside) <= 2  # a list, or one of rows


def is_key(path: str) -> bool:
    """Whether a case may have such a key; below ``initial`` the law itself decides."""
    if _is_of_matrices(path):
        return True
    if path.startswith("initial.") or re.fullmatch(r"(time\.outputs|output\.fields)\.\d+", path):
        return True
    return (re.sub(r"\.\d+$", "", path) if path.startswith("model.interaction.") else path) in (
        key_paths()
    )
