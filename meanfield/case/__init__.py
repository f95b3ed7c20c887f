"""The description of one run: a TOML case <-> frozen options, with strict validation.

Owns what a case may say, its defaults and every message about what it may not say. The same
objects serve Python users and the solvers themselves. One file a section (``geometry``, ``model``,
``solvers``, ``time``, ``output``; initial laws are in ``geometry.laws``), ``case`` puts them
together, ``files`` and ``overrides`` read them, ``reference`` tells what each key means. Knows
nothing of DOLFINx, of how a case is run and of what a run leaves behind.
"""

from meanfield.case.auto import auto_solver
from meanfield.case.case import Case
from meanfield.case.files import emit_toml, read_table
from meanfield.case.gaussians import Gaussians
from meanfield.case.geometry import UNMESHED, Circle, Geometry, MeshFile, Sphere, Unmeshed, Zonal
from meanfield.case.given import GivenCase, as_case
from meanfield.case.heads import Drift, Head
from meanfield.case.layeroptions import Layers
from meanfield.case.masks import Rope
from meanfield.case.model import Model
from meanfield.case.output import Output
from meanfield.case.overrides import apply_overrides, parse_override
from meanfield.case.solvers import (
    Density,
    Eulerian,
    FixedMesh,
    Implicit,
    Lagrangian,
    Tokens,
)
from meanfield.case.terms import Diffusion, Perceptron
from meanfield.case.time import MAX_OUTPUTS, Every, Geometric, Time
from meanfield.case.tokensolvers import MAX_TOKENS, TOKEN_KINDS, Particles

__all__ = [
    "MAX_OUTPUTS",
    "MAX_TOKENS",
    "TOKEN_KINDS",
    "UNMESHED",
    "Case",
    "Circle",
    "Density",
    "Diffusion",
    "Drift",
    "Eulerian",
    "Every",
    "FixedMesh",
    "Gaussians",
    "Geometric",
    "Geometry",
    "GivenCase",
    "Head",
    "Implicit",
    "Lagrangian",
    "Layers",
    "MeshFile",
    "Model",
    "Output",
    "Particles",
    "Perceptron",
    "Rope",
    "Sphere",
    "Time",
    "Tokens",
    "Unmeshed",
    "Zonal",
    "apply_overrides",
    "as_case",
    "auto_solver",
    "emit_toml",
    "parse_override",
    "read_table",
]
