"""The description of one run: a TOML case <-> frozen dataclasses, with strict validation.

Owns what a case may say, its defaults and every message about what it may not say. The same
objects serve Python users, so each class checks itself when it is made and names the key of the
case file (``model.beta``) in its message. Knows nothing of DOLFINx, of how a case is run and of
what a run leaves behind; initial laws and meshes are read by ``geometry``.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import json
import math
import numbers
import os
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from meanfield.checks import a_choice, a_flag, a_number, a_text, an_integer, as_found, set_checked
from meanfield.errors import InputError, suggest

if TYPE_CHECKING:
    from meanfield.geometry.laws import Law
    from meanfield.geometry.mesh import Mesh
    from meanfield.interaction.interaction import Interaction
    from meanfield.interaction.kernels import Kernel
    from meanfield.interaction.zonal import Term

__all__ = [
    "Case",
    "Circle",
    "Eulerian",
    "Every",
    "Geometric",
    "Geometry",
    "Implicit",
    "Lagrangian",
    "Layers",
    "MeshFile",
    "Model",
    "Output",
    "Particles",
    "Sphere",
    "Time",
    "Unmeshed",
    "Zonal",
    "emit_toml",
    "read_table",
]

MAX_LEVEL = 10
MAX_VERTICES = 20_000_000
MAX_OUTPUTS = 100_000
MAX_BETA = 1000.0
MAX_TOKENS = 10**9
MAX_BETA_USA = 600.0
MAX_BETA_FLOAT32 = 80.0  # e^88 is the largest float32
FIELDS = ("rho", "log10_rho", "velocity")
TOKEN_KINDS = ("iid", "quantised")


# --------------------------------------------------------------------------------------------
# [geometry]


@dataclass(frozen=True)
class Sphere:
    """S^2, meshed by an icosahedron divided ``level`` times: 10 * 4^level + 2 vertices."""

    level: int

    type: ClassVar[str] = "sphere"

    def __post_init__(self) -> None:
        # Beyond the range, but a level all the same: say what it would cost.
        if type(self.level) is int and self.level > MAX_LEVEL:
            count = f"10 * 4^{self.level} + 2"
            if self.level < 40:
                count = f"{10 * 4**self.level + 2:,}"
            raise InputError(
                f"geometry.level: level {self.level} has {count} vertices, which would not fit "
                f"into memory; expected 0 to {MAX_LEVEL} (level 5: 10,242; level 7: 163,842)"
            )
        set_checked(self, "level", an_integer("geometry.level", self.level, 0, MAX_LEVEL))

    @property
    def d(self) -> int:
        """Dimension of the space around the sphere S^{d-1}."""
        return 3

    @property
    def kind(self) -> str:
        """What ``Mesh.geometry`` will be: "sphere", "circle" or "zonal"."""
        return "sphere"

    @property
    def vertex_count(self) -> int:
        """Number of mesh vertices, known without the mesh."""
        return int(10 * 4**self.level + 2)

    def build_mesh(self) -> Mesh:
        """Make the mesh (NumPy only)."""
        from meanfield.geometry.mesh import icosphere

        return icosphere(self.level)


@dataclass(frozen=True)
class Circle:
    """S^1 with equally spaced vertices."""

    vertices: int

    type: ClassVar[str] = "circle"

    def __post_init__(self) -> None:
        set_checked(
            self, "vertices", an_integer("geometry.vertices", self.vertices, 3, MAX_VERTICES)
        )

    @property
    def d(self) -> int:
        """Dimension of the space around the sphere S^{d-1}."""
        return 2

    @property
    def kind(self) -> str:
        """What ``Mesh.geometry`` will be: "sphere", "circle" or "zonal"."""
        return "circle"

    @property
    def vertex_count(self) -> int:
        """Number of mesh vertices, known without the mesh."""
        return self.vertices

    def build_mesh(self) -> Mesh:
        """Make the mesh (NumPy only)."""
        from meanfield.geometry.mesh import circle

        return circle(self.vertices)


@dataclass(frozen=True)
class Zonal:
    """Measures on S^{d-1} that are symmetric about the axis e_d: theta in [0, pi], d >= 2."""

    d: int
    vertices: int

    type: ClassVar[str] = "zonal"

    def __post_init__(self) -> None:
        set_checked(self, "d", an_integer("geometry.d", self.d, 2, 1000))
        set_checked(
            self, "vertices", an_integer("geometry.vertices", self.vertices, 3, MAX_VERTICES)
        )
        # The least weight, of a pole: int_0^{h/2} theta^{d-2} dtheta = (h/2)^{d-1} / (d-1). The
        # mesh refuses what underflows; here it is told with a remedy.
        least_h = 2.0 * 10.0 ** ((math.log10(self.d - 1) - 289.0) / (self.d - 1))
        most = math.floor(math.pi / least_h) + 1
        if self.vertices > most:
            raise InputError(
                f"geometry.vertices: the weight sin^{self.d - 2}(theta) underflows at the poles: "
                f"expected at most {most} vertices for d = {self.d}, found {self.vertices}"
            )

    @property
    def kind(self) -> str:
        """What ``Mesh.geometry`` will be: "sphere", "circle" or "zonal"."""
        return "zonal"

    @property
    def vertex_count(self) -> int:
        """Number of mesh vertices, known without the mesh."""
        return self.vertices

    def build_mesh(self) -> Mesh:
        """Make the mesh (NumPy only)."""
        from meanfield.geometry.mesh import zonal_interval

        return zonal_interval(self.vertices, d=self.d)


@functools.lru_cache(maxsize=4)
def _read_mesh_cached(path: str, modified: int) -> Mesh:
    # ``modified`` is in the key only so that a rewritten file is read again.
    from meanfield.geometry.mesh import read_mesh

    return read_mesh(path)


@dataclass(frozen=True)
class MeshFile:
    """A mesh file that meshio reads, of any of the geometries; stored as an absolute path."""

    file: str | os.PathLike[str]

    type: ClassVar[str] = "file"

    def __post_init__(self) -> None:
        if not isinstance(self.file, str | os.PathLike):
            raise InputError(
                f"geometry.file: expected the name of a mesh file, found {as_found(self.file)}"
            )
        path = Path(self.file).expanduser().absolute()
        if not path.is_file():
            near = ""
            if path.parent.is_dir():
                near = suggest(path.name, (p.name for p in path.parent.iterdir() if p.is_file()))
            raise InputError(f"geometry.file: there is no file {path}{near}")
        set_checked(self, "file", path)

    @property
    def d(self) -> int:
        """Dimension of the space around the sphere S^{d-1} (the file is read once)."""
        return self.build_mesh().d

    @property
    def kind(self) -> str:
        """What ``Mesh.geometry`` will be: "sphere", "circle" or "zonal"."""
        return self.build_mesh().geometry

    @property
    def vertex_count(self) -> int:
        """Number of mesh vertices (the file is read once)."""
        return len(self.build_mesh().points)

    def build_mesh(self) -> Mesh:
        """Read the mesh; read again only if the file changed."""
        try:
            return _read_mesh_cached(str(self.file), os.stat(self.file).st_mtime_ns)
        except OSError as error:
            raise InputError(f"geometry.file: cannot read {self.file}: {error}") from error


@dataclass(frozen=True)
class Unmeshed:
    """S^{d-1} without a mesh, any d >= 2: for solvers of tokens."""

    d: int

    type: ClassVar[str] = "unmeshed"

    def __post_init__(self) -> None:
        set_checked(self, "d", an_integer("geometry.d", self.d, 2, 100_000))

    @property
    def kind(self) -> str:
        """The coordinates: "sphere" (d = 3), "circle" (d = 2), else "any" (unit vectors)."""
        return {3: "sphere", 2: "circle"}.get(self.d, "any")

    @property
    def vertex_count(self) -> int:
        """None."""
        return 0

    def build_mesh(self) -> Mesh:
        """Refuse: there is no mesh.

        Raises:
            InputError: always.
        """
        raise InputError(f"geometry.type: 'unmeshed' found, a meshed one expected{_MESHED}")


_MESHED = " ('sphere', 'circle', 'zonal' or 'file') for a density"
Geometry = Sphere | Circle | Zonal | MeshFile | Unmeshed
GEOMETRIES: dict[str, type[Geometry]] = {
    c.type: c for c in (Sphere, Circle, Zonal, MeshFile, Unmeshed)
}


# --------------------------------------------------------------------------------------------
# [model], [solver], [time], [output]


@dataclass(frozen=True, kw_only=True)
class Model:
    """The equation d_t mu + div(X[mu] mu) = kappa Laplace(mu): who pulls whom, and the diffusion.

    Attention in its short form, with V = value * I, or any zonal kernel.

    Attributes:
        attention: "sa" (softmax self-attention) or "usa" (unnormalised).
        beta: inverse temperature; positive attracts for value = +1, zero is the linear limit.
        value: +1 or -1. With +1 the interaction energy *increases* along the flow.
        interaction: instead of these three, a kernel such as ``Power(k=2)``.
        kappa: diffusion.
    """

    attention: str | None = None
    beta: float | None = None
    value: int | None = None
    interaction: Kernel | None = None
    kappa: float = 0.0

    def __post_init__(self) -> None:
        if self.interaction is None:
            self._check_attention()
        else:
            self._check_interaction()
        set_checked(self, "kappa", a_number("model.kappa", self.kappa, 0.0))

    def _check_attention(self) -> None:
        for name in ("attention", "beta"):
            if getattr(self, name) is None:
                raise InputError(
                    f"model.{name} is missing; add for example {_EXAMPLES[f'model.{name}']}"
                )
        set_checked(self, "attention", a_choice("model.attention", self.attention, ("sa", "usa")))
        beta = a_number("model.beta", self.beta, -MAX_BETA, MAX_BETA)
        set_checked(self, "beta", beta)
        value = 1 if self.value is None else self.value
        if isinstance(value, bool) or value not in (1, -1):
            raise InputError(
                f"model.value: expected 1 or -1 (V = value * I), found {as_found(value)}"
            )
        set_checked(self, "value", int(value))
        if self.attention == "usa" and abs(beta) > MAX_BETA_USA:
            raise InputError(
                f"model.beta: found {beta:g}, but usa velocities are of size e^|beta|, which "
                f'no float holds: expected |beta| <= {MAX_BETA_USA:g}, or attention = "sa"'
            )

    def _check_interaction(self) -> None:
        from meanfield.interaction.kernels import KERNELS, Kernel

        given = [n for n in ("attention", "beta", "value") if getattr(self, n) is not None]
        if given:
            raise InputError(
                f"model.interaction: found together with model.{given[0]}, expected one of the "
                "two: attention, beta and value are the short form of an interaction"
            )
        if not isinstance(self.interaction, Kernel):
            raise InputError(
                "model.interaction: expected a table with a type (one of "
                f"{', '.join(KERNELS)}), found {as_found(self.interaction)}"
            )
        try:
            self.interaction.refuse_overflow(MAX_BETA_USA)
        except InputError as error:
            raise InputError(f"model.interaction: {error}") from None

    @property
    def term(self) -> Term:
        """Who pulls whom, as ``interaction.Interaction`` takes it."""
        if self.interaction is not None:
            return self.interaction
        from meanfield.interaction.attention import SelfAttention

        assert self.beta is not None and self.value is not None
        return SelfAttention("sa" if self.attention == "sa" else "usa", self.beta, self.value)

    def on(
        self, geometry: Geometry, method: str = "auto", accuracy: float | None = None
    ) -> Interaction:
        """The interaction on a geometry: what solvers take.

        Raises:
            InputError: one that this dimension does not have.
        """
        from meanfield.interaction.interaction import Interaction

        return Interaction(self.term, geometry.d, geometry.kind, method, accuracy)

    def describe(self) -> str:
        """A few words."""
        return self.term.describe()

    def table(self) -> dict[str, Any]:
        """As the section [model] of a case file."""
        if self.interaction is None:
            return _table(self)
        return {"interaction": self.interaction.table(), "kappa": self.kappa}

    def replaced(self, parameter: str, value: float) -> Model:
        """The model with another kappa, or another number of its interaction.

        Raises:
            InputError: there is no such parameter, or the value is out of its range.
        """
        if parameter == "kappa" or self.interaction is None:
            return dataclasses.replace(self, **{parameter: value})  # type: ignore[arg-type]
        return dataclasses.replace(self, interaction=self.interaction.replaced({parameter: value}))

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of what a branch may vary."""
        return ("kappa", *self.term.parameters)


@dataclass(frozen=True, kw_only=True)
class Eulerian:
    """Finite elements on a fixed mesh: edge fluxes with an explicit, positive step.

    Attributes:
        scheme: "log-muscl" (second order where smooth) or "upwind".
        stepper: "ssprk2", "ssprk3" or "euler".
        cfl: step as a fraction of the positivity limit, in (0, 1].
        field: "extrapolated" (one field evaluation a step) or "stages" (one each stage).
        tolerance: accuracy of the harmonic transforms relative to max Z, 1e-14 to 1e-4; None
            (the key left out) chooses it by beta, see ``attention.field.Attention``.
    """

    scheme: str = "log-muscl"
    stepper: str = "ssprk2"
    cfl: float = 0.9
    field: str = "extrapolated"
    tolerance: float | None = None

    type: ClassVar[str] = "eulerian"

    def __post_init__(self) -> None:
        a_choice("solver.scheme", self.scheme, ("log-muscl", "upwind"))
        a_choice("solver.stepper", self.stepper, ("ssprk3", "ssprk2", "euler"))
        set_checked(self, "cfl", a_number("solver.cfl", self.cfl, high=1.0, above=0.0))
        a_choice("solver.field", self.field, ("extrapolated", "stages"))
        if self.tolerance is not None:
            set_checked(
                self, "tolerance", a_number("solver.tolerance", self.tolerance, 1e-14, 1e-4)
            )


@dataclass(frozen=True, kw_only=True)
class Implicit:
    """Finite elements on a fixed mesh, linear-implicit in time: any diffusion, any step.

    Attributes:
        scheme: "log-muscl" (second order where smooth) or "fitted" (exponentially fitted fluxes
            alone: upwind for kappa = 0).
        order: of the steps in time, 2 or 1.
        rtol: tolerance of the error of a step, in total variation.
        dt: fixed step; None: steps follow the error.
        linear_tolerance: of the linear solves, in the 1-norm of masses.
        tolerance: accuracy of the harmonic transforms, as for ``Eulerian``.
    """

    scheme: str = "log-muscl"
    order: int = 2
    rtol: float = 1e-3
    dt: float | None = None
    linear_tolerance: float = 1e-12
    tolerance: float | None = None

    type: ClassVar[str] = "implicit"

    def __post_init__(self) -> None:
        a_choice("solver.scheme", self.scheme, ("log-muscl", "fitted"))
        set_checked(self, "order", an_integer("solver.order", self.order, 1, 2))
        set_checked(self, "rtol", a_number("solver.rtol", self.rtol, 1e-9, 1e-1))
        if self.dt is not None:
            set_checked(self, "dt", a_number("solver.dt", self.dt, above=0.0))
        linear = a_number("solver.linear_tolerance", self.linear_tolerance, 1e-15, 1e-6)
        set_checked(self, "linear_tolerance", linear)
        if self.tolerance is not None:
            set_checked(
                self, "tolerance", a_number("solver.tolerance", self.tolerance, 1e-14, 1e-4)
            )


def _check_tokens(owner: Particles | Layers) -> None:
    """Check how many tokens there are and where they come from; a file's path becomes absolute."""
    number, tokens = owner.number, owner.tokens
    if number is not None:
        set_checked(owner, "number", an_integer("solver.number", number, 1, MAX_TOKENS))
    if not isinstance(tokens, str | os.PathLike):
        raise InputError(
            'solver.tokens: expected "iid", "quantised" or the name of a file of tokens, found '
            + as_found(tokens)
        )
    if tokens in TOKEN_KINDS:
        if number is None:
            raise InputError(
                "solver.number: the number of tokens is missing; add for example number = 1000"
            )
        return
    from meanfield.dynamics.tokens import TOKEN_FILES

    path = Path(tokens).expanduser().absolute()
    expected = f'expected "iid", "quantised" or a file ({", ".join(TOKEN_FILES)})'
    if not path.is_file():
        names = list(TOKEN_KINDS)
        if path.parent.is_dir():
            names += [p.name for p in path.parent.iterdir() if p.suffix.lower() in TOKEN_FILES]
        near = suggest(path.name, names)
        raise InputError(f"solver.tokens: {expected}, there is no file {path}{near}")
    if path.suffix.lower() not in TOKEN_FILES:
        raise InputError(f"solver.tokens: {expected}, found {path}")
    set_checked(owner, "tokens", path)


@dataclass(frozen=True, kw_only=True)
class Particles:
    """n tokens that follow the flow (kappa = 0) or diffuse in it (kappa > 0).

    Attributes:
        number: how many; may be left out for a file.
        tokens: "iid" (drawn from the law by the case's seed), "quantised" (placed evenly by it) or
            a file (.npy, .csv, .vtp, .vtu).
        method: "dop853" or "dopri5", for kappa = 0.
        rtol, atol: tolerances of a step, for kappa = 0.
        dt: fixed step, for kappa > 0; None: chosen by the solver.
        interaction: "auto" (harmonic transforms on S^1 and S^2), "harmonics" or "direct".
        cluster_angle: tokens nearer than this (radians) belong to one cluster.
    """

    number: int | None = None
    tokens: str | os.PathLike[str] = "iid"
    method: str = "dop853"
    rtol: float = 1e-6
    atol: float = 1e-9
    dt: float | None = None
    interaction: str = "auto"
    cluster_angle: float = 0.1

    type: ClassVar[str] = "particles"

    def __post_init__(self) -> None:
        _check_tokens(self)
        a_choice("solver.method", self.method, ("dop853", "dopri5"))
        set_checked(self, "rtol", a_number("solver.rtol", self.rtol, 1e-13, 1e-1))
        set_checked(self, "atol", a_number("solver.atol", self.atol, 1e-14, 1e-1))
        if self.dt is not None:
            set_checked(self, "dt", a_number("solver.dt", self.dt, above=0.0))
        a_choice("solver.interaction", self.interaction, ("auto", "harmonics", "direct"))
        angle = a_number("solver.cluster_angle", self.cluster_angle, high=math.pi, above=0.0)
        set_checked(self, "cluster_angle", angle)


@dataclass(frozen=True, kw_only=True)
class Layers:
    """n tokens sent through transformer layers: explicit Euler steps and normalisation.

    Attributes:
        number, tokens, interaction, cluster_angle: as for ``Particles``.
        layers: number of layers for one unit of time (the step is its inverse).
    """

    number: int | None = None
    tokens: str | os.PathLike[str] = "iid"
    layers: int
    interaction: str = "auto"
    cluster_angle: float = 0.1

    type: ClassVar[str] = "layers"

    def __post_init__(self) -> None:
        _check_tokens(self)
        set_checked(self, "layers", an_integer("solver.layers", self.layers, 1, 10**9))
        a_choice("solver.interaction", self.interaction, ("auto", "harmonics", "direct"))
        angle = a_number("solver.cluster_angle", self.cluster_angle, high=math.pi, above=0.0)
        set_checked(self, "cluster_angle", angle)


@dataclass(frozen=True, kw_only=True)
class Lagrangian:
    """Characteristics: the vertices of the mesh follow the flow and carry their mass (kappa = 0).

    Attributes:
        method: "dop853" (order 8) or "dopri5" (order 5).
        rtol, atol: tolerances of a step: error of a position (and of log rho) against how far it
            has moved, and absolute.
        merge: make one point of vertices that have collapsed, so that steps can grow.
        refine: insert vertices where moved edges become long.
        refine_longest: length from which on, as a multiple of the longest edge of the mesh.
        refine_mass: mass below which an edge is left alone.
        refine_vertices: most vertices in all.
        tolerance: accuracy of the harmonic transforms, as for ``Eulerian``.
    """

    method: str = "dop853"
    rtol: float = 1e-8
    atol: float = 1e-10
    merge: bool = True
    refine: bool = False
    refine_longest: float = 1.5
    refine_mass: float = 1e-5
    refine_vertices: int = 100_000
    tolerance: float | None = None

    type: ClassVar[str] = "lagrangian"

    def __post_init__(self) -> None:
        a_choice("solver.method", self.method, ("dop853", "dopri5"))
        set_checked(self, "rtol", a_number("solver.rtol", self.rtol, 1e-13, 1e-1))
        set_checked(self, "atol", a_number("solver.atol", self.atol, 1e-14, 1e-1))
        a_flag("solver.merge", self.merge)
        a_flag("solver.refine", self.refine)
        longest = a_number("solver.refine_longest", self.refine_longest, high=1e3, above=1.0)
        set_checked(self, "refine_longest", longest)
        set_checked(
            self, "refine_mass", a_number("solver.refine_mass", self.refine_mass, 1e-15, 0.1)
        )
        most = an_integer("solver.refine_vertices", self.refine_vertices, 1, MAX_VERTICES)
        set_checked(self, "refine_vertices", most)
        if self.tolerance is not None:
            set_checked(
                self, "tolerance", a_number("solver.tolerance", self.tolerance, 1e-14, 1e-4)
            )


FixedMesh = Eulerian | Implicit
"""Solvers of a density on a mesh that stays; they need DOLFINx."""
Density = FixedMesh | Lagrangian
"""Solvers of a density on a mesh."""
Tokens = Particles | Layers
"""Solvers of tokens."""
Solver = Density | Tokens
SOLVERS: dict[str, type[Solver]] = {
    c.type: c for c in (Eulerian, Implicit, Lagrangian, Particles, Layers)
}


@dataclass(frozen=True)
class Every:
    """Outputs at 0, every, 2 every, ... and at the end."""

    every: float

    def __post_init__(self) -> None:
        set_checked(self, "every", a_number("time.outputs.every", self.every, above=0.0))

    def times(self, end: float) -> tuple[float, ...]:
        """All output times in [0, end]; multiples are formed in decimals, so 3 * 0.1 is 0.3."""
        if end / self.every > MAX_OUTPUTS:
            raise InputError(
                f"time.outputs.every: {self.every:g} until {end:g} makes {end / self.every:.3g} "
                f"outputs, expected at most {MAX_OUTPUTS}: choose a larger one"
            )
        step = Decimal(repr(self.every))
        times = (float(step * k) for k in range(math.ceil(end / self.every) + 1))
        return (*(t for t in times if t < end * (1.0 - 1e-12)), end)


@dataclass(frozen=True, kw_only=True)
class Geometric:
    """Outputs at 0 and at ``number`` times from ``first`` to the end, each a fixed factor later."""

    first: float
    number: int

    def __post_init__(self) -> None:
        key = "time.outputs.geometric"
        set_checked(self, "first", a_number(f"{key}.first", self.first, above=0.0))
        set_checked(self, "number", an_integer(f"{key}.number", self.number, 2, MAX_OUTPUTS))

    def times(self, end: float) -> tuple[float, ...]:
        """All output times in [0, end]."""
        if self.first >= end:
            raise InputError(
                f"time.outputs.geometric.first: expected a time before time.end = {end:g}, "
                f"found {self.first:g}"
            )
        last = self.number - 1
        ratio = math.log(end / self.first)
        # 14 digits: 0.1 and not 0.10000000000000002 in file names and tables.
        inner = (float(f"{self.first * math.exp(ratio * k / last):.14g}") for k in range(1, last))
        return (0.0, self.first, *inner, end)


def _listed_times(times: Sequence[float], end: float) -> tuple[float, ...]:
    """Check and sort the output times of a list."""
    key = "time.outputs"
    if len(times) > MAX_OUTPUTS:
        raise InputError(f"{key}: found {len(times)} times, expected at most {MAX_OUTPUTS}")
    checked = sorted(a_number(f"{key}[{k}]", t, 0.0) for k, t in enumerate(times))
    if checked and checked[-1] > end:
        raise InputError(
            f"{key}: the time {checked[-1]:g} lies beyond time.end = {end:g}: raise time.end or "
            "leave it out"
        )
    for one, two in itertools.pairwise(checked):
        if one == two:
            raise InputError(f"{key}: the time {one:g} is given twice")
    return tuple(checked)


@dataclass(frozen=True, kw_only=True)
class Time:
    """How long to run and when to write.

    Attributes:
        end: simulated time at which the run ends.
        outputs: ``Every``, ``Geometric`` or a list of times (stored sorted); 0 and ``end`` are
            always output times.
        series_every: steps between rows of the series; each output has a row as well.
        wall_limit: seconds after which the run stops by itself and can be resumed.
        stationary: stop when the root mean square speed falls below this; that of the total flux,
            X - kappa grad log rho, for a density with diffusion.
    """

    end: float
    outputs: Every | Geometric | Sequence[float] = Every(1.0)
    series_every: int = 10
    wall_limit: float | None = None
    stationary: float | None = None

    def __post_init__(self) -> None:
        set_checked(self, "end", a_number("time.end", self.end, above=0.0))
        if not isinstance(self.outputs, Every | Geometric):
            if isinstance(self.outputs, str | bytes | Mapping) or not isinstance(
                self.outputs, Iterable
            ):
                raise InputError(
                    "time.outputs: expected { every = 1.0 }, a list of times or "
                    "{ geometric = { first = 0.01, number = 20 } }, found " + as_found(self.outputs)
                )
            set_checked(self, "outputs", _listed_times(tuple(self.outputs), self.end))
        self.output_times()  # a schedule that does not fit is refused here
        set_checked(
            self, "series_every", an_integer("time.series_every", self.series_every, 1, 10**9)
        )
        for name in ("wall_limit", "stationary"):
            value = getattr(self, name)
            if value is not None:
                set_checked(self, name, a_number(f"time.{name}", value, above=0.0))

    def output_times(self) -> tuple[float, ...]:
        """All output times, ascending, with 0 and ``end``."""
        if isinstance(self.outputs, Every | Geometric):
            return self.outputs.times(self.end)
        return tuple(sorted({0.0, *self.outputs, self.end}))


AUTO_EXPLICIT = 20.0
"""Growth times of the fastest mode up to which ``auto_solver`` takes explicit steps."""


def auto_solver(geometry: Geometry, model: Model, time: Time) -> Density:
    """The solver of a density that fits a problem, with its default options (``type = "auto"``).

    * kappa > 0: ``Implicit``, the only one with diffusion.
    * kappa = 0 and an end within 20 growth times of the fastest mode of the uniform state, in which
      clusters form: ``Eulerian``.
    * kappa = 0 and later: clusters are narrower than any mesh and move on the time scale
      e^{beta(1 - cos angle)} (attention). ``Lagrangian``, whose clusters collapse to points;
      ``Implicit`` where they do not narrow (W concave on average: repulsion, V beta < 0), which
      comes to rest, and for singular kernels.
    """
    if model.kappa > 0.0:
        return Implicit()
    interaction = model.on(geometry)
    degrees = 8 + int(3.0 * math.sqrt(interaction.sharpness - 1.0))
    rates = interaction.uniform_rates(degrees)
    if time.end * float(np.max(np.abs(rates))) <= AUTO_EXPLICIT:
        return Eulerian()
    return Lagrangian() if interaction.sharpens and interaction.series_ends else Implicit()


@dataclass(frozen=True, kw_only=True)
class Output:
    """What the run folder holds beside the series.

    Attributes:
        fields: any of "rho", "log10_rho", "velocity", written at the output times.
        precision: "float32" or "float64".
        compression: "gzip" or "none".
        figures: draw the figures at the end.
    """

    fields: Sequence[str] = FIELDS
    precision: str = "float32"
    compression: str = "gzip"
    figures: bool = True

    def __post_init__(self) -> None:
        key = "output.fields"
        if isinstance(self.fields, str | bytes | Mapping) or not isinstance(self.fields, Iterable):
            raise InputError(
                f'{key}: expected a list such as ["rho"], found {as_found(self.fields)}'
            )
        fields = tuple(a_choice(f"{key}[{k}]", f, FIELDS) for k, f in enumerate(self.fields))
        if not fields:
            raise InputError(f"{key}: the list is empty, expected at least one of {FIELDS}")
        for name in fields:
            if fields.count(name) > 1:
                raise InputError(f"{key}: '{name}' is given twice")
        set_checked(self, "fields", fields)
        a_choice("output.precision", self.precision, ("float32", "float64"))
        a_choice("output.compression", self.compression, ("gzip", "none"))
        a_flag("output.figures", self.figures)


# --------------------------------------------------------------------------------------------
# The case


@dataclass(frozen=True, kw_only=True)
class Case:
    """Everything that defines a run.

    Attributes:
        title: one line for people.
        seed: of every random number of the run, 0 to 2^63 - 1.
        geometry: ``Sphere``, ``Circle``, ``Zonal`` or ``MeshFile``; for tokens ``Unmeshed``, too.
        model: the interaction.
        initial: the initial law (``meanfield.geometry.laws``), in the same dimension.
        solver: ``Eulerian``, ``Implicit`` or ``Lagrangian`` (a density), or ``Particles`` or
            ``Layers`` (tokens).
        time: end, output times, stopping.
        output: files.

    Raises:
        InputError: for anything out of type or range, or parts that do not fit together.
    """

    title: str = "Mean-field self-attention"
    seed: int = 0
    geometry: Geometry
    model: Model
    initial: Law
    solver: Solver = field(default_factory=Eulerian)
    time: Time
    output: Output = field(default_factory=Output)

    def __post_init__(self) -> None:
        a_text("title", self.title)
        if "\n" in self.title:
            raise InputError("title: expected one line, found a line break")
        set_checked(self, "seed", an_integer("seed", self.seed, 0, 2**63 - 1))
        for name, kinds in (
            ("geometry", tuple(GEOMETRIES.values())),
            ("model", (Model,)),
            ("solver", tuple(SOLVERS.values())),
            ("time", (Time,)),
            ("output", (Output,)),
        ):
            if not isinstance(getattr(self, name), kinds):
                wanted = " or ".join(kind.__name__ for kind in kinds)
                raise InputError(f"{name}: expected {wanted}, found {getattr(self, name)!r}")
        if isinstance(self.initial, str | Mapping) or self.initial is None:
            raise InputError(
                "initial: expected a law such as meanfield.geometry.laws.standard_density(), found "
                + as_found(self.initial)
            )
        if self.initial.d != self.geometry.d:
            raise InputError(
                f"initial: the law lives in dimension d = {self.initial.d}, but the geometry "
                f"'{self.geometry.type}' has d = {self.geometry.d}"
            )
        self._check_solver()
        density = isinstance(self.solver, Density)
        size = self.model.on(self.geometry).factor_log
        if (
            size > MAX_BETA_FLOAT32
            and self.output.precision == "float32"
            and ("velocity" in self.output.fields or not density)
        ):
            way_out = ', or output.fields without "velocity"' if density else ""
            raise InputError(
                f"output.precision: usa velocities of size e^{size:g} do not fit "
                f'into float32: expected "float64"{way_out}'
            )
        if self.geometry.kind == "zonal" and not self.initial.is_zonal():
            raise InputError(
                "initial: a zonal geometry needs a law that is symmetric about the last "
                "coordinate axis (directions along e_d only)"
            )

    def _check_solver(self) -> None:
        """Refuse what the solver cannot do on this geometry, or with this model."""
        kind = self.geometry.type
        if isinstance(self.solver, Density):
            if isinstance(self.geometry, Unmeshed):
                raise InputError(
                    f"geometry.type: the {self.solver.type} solver needs a mesh, found 'unmeshed'; "
                    f"expected another geometry{_MESHED}, or solver.type = 'particles'"
                )
            if self.model.kappa != 0.0 and not isinstance(self.solver, Implicit):
                raise InputError(
                    f"model.kappa: found {self.model.kappa:g}, but the {self.solver.type} solver "
                    'has kappa = 0 only: expected solver.type = "implicit" (or "particles")'
                )
            return
        if self.geometry.kind == "zonal":
            raise InputError(
                f"geometry.type: tokens live on the whole sphere, found '{kind}'; expected "
                f"'unmeshed' with d = {self.geometry.d}"
            )
        if isinstance(self.solver, Layers) and self.model.kappa != 0.0:
            raise InputError(f"model.kappa: found {self.model.kappa:g}, layers have no noise: 0")
        if isinstance(self.solver, Particles) and self.solver.dt is not None:
            if self.model.kappa == 0.0:
                raise InputError(
                    f"solver.dt: found {self.solver.dt:g} with model.kappa = 0, where steps follow "
                    "the error: expected rtol and atol, or noise"
                )
        if self.solver.tokens == "quantised" and self.geometry.d > 3:
            raise InputError(
                "solver.tokens: quantised tokens exist for d = 2 and 3, found d = "
                f"{self.geometry.d}: expected 'iid' or a file"
            )
        if self.solver.interaction == "harmonics" and self.geometry.kind == "any":
            raise InputError(
                "solver.interaction: harmonics exist for d = 2 and 3, found d = "
                f"{self.geometry.d}: expected 'auto' or 'direct'"
            )

    # ---- reading -----------------------------------------------------------------------------

    @classmethod
    def from_toml(
        cls,
        path: str | os.PathLike[str],
        overrides: Iterable[str] | Mapping[str, object] = (),
    ) -> Case:
        """Read a case file.

        Args:
            path: the TOML file; files it names are found relative to its folder.
            overrides: "model.beta=9" lines with TOML values (a bare word is a text), or a mapping
                from key paths to values; applied before anything is checked.

        Raises:
            InputError: naming the file, the key, what was expected and what was found.
        """
        path = Path(path)
        raw = read_table(path, overrides)
        try:
            return cls.from_dict(raw, path.parent)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any], base_dir: str | os.PathLike[str] = ".") -> Case:
        """Make a case from the nested dictionary that its TOML file would give.

        Args:
            raw: sections and keys as in a case file.
            base_dir: folder that relative file names start from.

        Raises:
            InputError: unknown or missing key, wrong type, out of range.
        """
        from meanfield.geometry.laws import law_from_spec

        base = Path(base_dir)
        _check_top_level(raw)
        geometry_table = dict(_section(raw, "geometry"))
        geometry_class = GEOMETRIES[_pop_type("geometry", geometry_table, tuple(GEOMETRIES))]
        if geometry_class is MeshFile and isinstance(geometry_table.get("file"), str):
            geometry_table["file"] = base / Path(geometry_table["file"]).expanduser()
        geometry: Geometry = _build(geometry_class, "geometry", geometry_table)
        model = _model(_section(raw, "model"), base)
        solver_table = raw.get("solver", {})
        if isinstance(solver_table, str):  # solver = "lagrangian": the type is all that is said
            solver_table = {"type": solver_table}
        solver_table = dict(_section({"solver": solver_table}, "solver"))
        solver_type = _pop_type("solver", solver_table, (*SOLVERS, "auto"), "eulerian")
        tokens = solver_table.get("tokens")
        if isinstance(tokens, str) and tokens not in TOKEN_KINDS:
            solver_table["tokens"] = base / Path(tokens).expanduser()
        time_table = dict(_section(raw, "time"))
        if isinstance(time_table.get("outputs"), Mapping):
            time_table["outputs"] = _schedule(time_table["outputs"])
        time = _build(Time, "time", time_table)
        if solver_type == "auto":
            if solver_table:
                raise InputError(
                    f"solver: type 'auto' takes no other keys, found {', '.join(solver_table)}: "
                    "name the solver to set its options"
                )
            solver: Solver = auto_solver(geometry, model, time)
        else:
            solver = _build(SOLVERS[solver_type], "solver", solver_table)
        output = _build(Output, "output", _section(raw, "output"))
        initial = law_from_spec(dict(_section(raw, "initial")), geometry.d, base)
        top = {name: raw[name] for name in ("title", "seed") if name in raw}
        return cls(
            **top,
            geometry=geometry,
            model=model,
            initial=initial,
            solver=solver,
            time=time,
            output=output,
        )

    # ---- writing -----------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Give the resolved case as the nested dictionary of its TOML file, defaults included.

        A law made in Python from a function or values that are in no file has no table: it is
        described in words under the type "python", which cannot be read back.
        """
        from meanfield.geometry.laws import law_to_spec

        try:
            initial = law_to_spec(self.initial)
        except InputError:
            initial = {"type": "python", "description": self.initial.describe()}
        time = _table(self.time)
        if isinstance(self.time.outputs, Every):
            time["outputs"] = {"every": self.time.outputs.every}
        elif isinstance(self.time.outputs, Geometric):
            time["outputs"] = {"geometric": _table(self.time.outputs)}
        return {
            "title": self.title,
            "seed": self.seed,
            "geometry": {"type": self.geometry.type, **_table(self.geometry)},
            "model": self.model.table(),
            "initial": initial,
            "solver": {"type": self.solver.type, **_table(self.solver)},
            "time": time,
            "output": _table(self.output),
        }

    def to_toml(self) -> str:
        """Give the resolved case as TOML text that ``from_toml`` reads back to an equal case.

        Except for a law made in Python, see ``to_dict``.
        """
        return emit_toml(self.to_dict())

    # ---- questions ---------------------------------------------------------------------------

    def output_times(self) -> tuple[float, ...]:
        """Give all output times, ascending, with 0 and the end."""
        return self.time.output_times()

    def differences(self, other: Case) -> list[str]:
        """Name the key paths in which two cases differ, such as ``model.beta``."""
        mine, theirs = dict(_flatten(self.to_dict())), dict(_flatten(other.to_dict()))
        keys = [*mine, *(key for key in theirs if key not in mine)]
        return [k for k in keys if (k in mine, mine.get(k)) != (k in theirs, theirs.get(k))]

    def resume_conflicts(self, old: Case) -> list[str]:
        """Name the key paths that a run may not change when it goes on from where ``old`` stopped.

        A later end, other output times, limits, the title and the figures are free.
        """
        return [
            key
            for key in self.differences(old)
            if key not in {"title", "output.figures"} and not key.startswith("time.")
        ]


# --------------------------------------------------------------------------------------------
# Dictionary -> dataclasses


def read_table(path: Path, overrides: Iterable[str] | Mapping[str, object] = ()) -> dict[str, Any]:
    """Read a case file as nested tables, with overrides, before anything in it is checked.

    Raises:
        InputError: no such file, no TOML, or an override of a key that no case has.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        near = ""
        if path.parent.is_dir():
            # Without the ending, which all of them share and which says nothing.
            near = suggest(path.stem, (p.stem for p in path.parent.glob("*.toml")))
            near = near.replace("'?)", ".toml'?)")
        raise InputError(f"there is no case file {path}{near}") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder, expected a case file (TOML)") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: a case file is UTF-8 text, but {error}") from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path} is not valid TOML: {error}") from None
    raw = apply_overrides(raw, overrides)
    raw.setdefault("title", path.stem)
    return raw


_SECTIONS = ("geometry", "model", "initial", "solver", "time", "output")
_REQUIRED_SECTIONS = ("geometry", "model", "initial", "time")
_EXAMPLES = {
    "geometry": '[geometry]\n  type = "sphere"\n  level = 5',
    "model": '[model]\n  attention = "sa"\n  beta = 4.0',
    "initial": '[initial]\n  type = "standard"',
    "time": "[time]\n  end = 12.0",
    "geometry.type": 'type = "sphere"',
    "geometry.level": "level = 5",
    "geometry.vertices": "vertices = 400",
    "geometry.d": "d = 8",
    "geometry.file": 'file = "sphere.msh"',
    "model.attention": 'attention = "sa"',
    "model.beta": "beta = 4.0",
    "model.interaction.type": 'type = "power"',
    "model.interaction.beta": "beta = 4.0",
    "model.interaction.k": "k = 2",
    "model.interaction.s": "s = 0.5",
    "model.interaction.c": "c = 0.7",
    "model.interaction.width": "width = 0.5",
    "solver.layers": "layers = 100",
    "time.end": "end = 12.0",
    "time.outputs.every": "outputs = { every = 1.0 }",
    "time.outputs.geometric.first": "outputs = { geometric = { first = 0.01, number = 20 } }",
    "time.outputs.geometric.number": "outputs = { geometric = { first = 0.01, number = 20 } }",
}


def _keys(kind: type) -> tuple[str, ...]:
    return tuple(f.name for f in dataclasses.fields(kind))


def _check_top_level(raw: Mapping[str, Any]) -> None:
    valid = ("title", "seed", *_SECTIONS)
    for name in raw:
        if name not in valid:
            homes = [s for s, keys in _section_keys().items() if name in keys]
            if homes:
                where = " or ".join(f"[{s}]" for s in homes)
                raise InputError(f"'{name}' stands at the top of the file, expected it in {where}")
            raise InputError(
                f"unknown key or section '{name}'{suggest(name, valid)}; expected "
                + ", ".join(valid)
            )
    for name in _REQUIRED_SECTIONS:
        if name not in raw:
            raise InputError(f"the section [{name}] is missing; add for example\n"
                             f"  {_EXAMPLES[name]}")  # fmt: skip


def _section_keys() -> dict[str, set[str]]:
    """All keys of each section, whatever its type (the initial law checks its own)."""
    return {
        "geometry": {"type"}.union(*(_keys(kind) for kind in GEOMETRIES.values())),
        "model": set(_keys(Model)),
        "solver": {"type"}.union(*(_keys(kind) for kind in SOLVERS.values())),
        "time": set(_keys(Time)),
        "output": set(_keys(Output)),
    }


def _section(raw: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table = raw.get(name, {})
    if not isinstance(table, Mapping):
        raise InputError(f"{name}: expected a section [{name}], found {as_found(table)}")
    return table


def _pop_type(
    section: str, table: dict[str, Any], valid: tuple[str, ...], default: str | None = None
) -> str:
    if "type" not in table and default is None:
        raise InputError(
            f"{section}.type is missing; add for example {_EXAMPLES[f'{section}.type']} "
            f"(one of {', '.join(valid)})"
        )
    return a_choice(f"{section}.type", table.pop("type", default), valid)


def _build(kind: Callable[..., Any], section: str, table: Mapping[str, Any]) -> Any:
    """Make a dataclass from a table: no unknown key, no missing one."""
    assert isinstance(kind, type)
    valid = _keys(kind)
    named = getattr(kind, "type", None) or getattr(kind, "name", None)
    typed = f" of type '{named}'" if isinstance(named, str) else ""
    for name in table:
        if name not in valid:
            raise InputError(
                f"unknown key {section}.{name}{suggest(name, valid)}; [{section}]{typed} takes "
                + ", ".join(valid)
            )
    for f in dataclasses.fields(kind):
        required = f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
        if required and f.name not in table:
            key = f"{section}.{f.name}"
            raise InputError(
                f"{key} is missing{f' ([{section}]{typed} needs it)' if typed else ''}; "
                f"add for example {_EXAMPLES[key]}"
            )
    return kind(**table)


def _model(table: Mapping[str, Any], base: Path) -> Model:
    """Read [model], with the kernel of [model.interaction]; files are found from ``base``."""
    given = dict(table)
    inner = given.get("interaction")
    if isinstance(inner, Mapping):
        from meanfield.interaction.kernels import KERNELS

        inner = dict(inner)
        kind = KERNELS[_pop_type("model.interaction", inner, tuple(KERNELS))]
        if isinstance(inner.get("path"), str):
            inner["path"] = base / Path(inner["path"]).expanduser()
        if "function" in inner:
            raise InputError(
                "model.interaction.function: a case file names a Python file, expected path (and "
                "call, the name of the function in it)"
            )
        try:
            given["interaction"] = _build(kind, "model.interaction", inner)
        except InputError as error:
            if "model.interaction" in str(error):
                raise
            raise InputError(f"model.interaction: {error}") from None
    model = _build(Model, "model", given)
    assert isinstance(model, Model)
    return model


def _schedule(table: Mapping[str, Any]) -> Every | Geometric:
    """Read { every = ... } or { geometric = { first = ..., number = ... } }."""
    if len(table) != 1 or next(iter(table)) not in ("every", "geometric"):
        unknown = [name for name in table if name not in ("every", "geometric")]
        if unknown:
            hint = suggest(unknown[0], ("every", "geometric"))
            raise InputError(
                f"unknown key time.outputs.{unknown[0]}{hint}; expected {{ every = 1.0 }} or "
                "{ geometric = { first = 0.01, number = 20 } }"
            )
        found = "both every and geometric" if table else "an empty table"
        raise InputError(f"time.outputs: expected either every or geometric, found {found}")
    if "every" in table:
        return Every(table["every"])
    inner = table["geometric"]
    if not isinstance(inner, Mapping):
        raise InputError(
            "time.outputs.geometric: expected { first = 0.01, number = 20 }, found "
            + as_found(inner)
        )
    schedule = _build(Geometric, "time.outputs.geometric", inner)
    assert isinstance(schedule, Geometric)
    return schedule


def _table(owner: Any) -> dict[str, Any]:
    """A dataclass as a table: tuples become lists, paths text, absent options are left out."""
    table: dict[str, Any] = {}
    for f in dataclasses.fields(owner):
        value = getattr(owner, f.name)
        if isinstance(value, tuple):
            value = list(value)
        elif isinstance(value, os.PathLike):
            value = os.fspath(value)
        if value is not None:
            table[f.name] = value
    return table


def _flatten(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


# --------------------------------------------------------------------------------------------
# Overrides


def parse_override(text: str) -> tuple[str, object]:
    """Split "a.b=value": the value is read as TOML, and a bare word is taken as a text.

    Raises:
        InputError: no "=", an empty path, or a quoted/bracketed value that is not valid TOML.
    """
    key, equals, value = text.partition("=")
    key, value = re.sub(r"\[(\d+)\]", r".\1", key.strip()), value.strip()
    if not equals or not key or not all(key.split(".")):
        raise InputError(f"--set {text}: expected KEY=VALUE such as model.beta=9")
    try:
        read = tomllib.loads(f"value = {value}")
    except tomllib.TOMLDecodeError as error:
        if re.fullmatch(r"[+-]?(\d+\.|\.\d+)([eE][+-]?\d+)?", value):
            return key, float(value)  # .5 and 5. are numbers to everyone but TOML
        if not value or value[0] in "\"'[{":
            hint = "nothing" if not value else str(error)
            raise InputError(f"--set {text}: the value is not valid TOML: {hint}") from None
        return key, value
    # A line break could smuggle in a second key: such a text is then just a text.
    return key, read["value"] if len(read) == 1 else value


def apply_overrides(
    raw: Mapping[str, Any], overrides: Iterable[str] | Mapping[str, object]
) -> dict[str, Any]:
    """Give a copy of the nested dictionary ``raw`` with some values set.

    Args:
        raw: a case as read from TOML.
        overrides: "a.b=value" lines, or a mapping from key paths to values. A number in a path is
            a place in a list (``initial.components.0.weight``, or ``components[0].weight``).
            Another ``geometry.type``, ``initial.type`` or ``solver.type`` empties the section
            first: its keys belong to the old type. ``model.interaction.type`` takes the place of
            attention, beta and value, and ``model.attention`` that of an interaction.

    Raises:
        InputError: a path that no case has, with the nearest one that exists.
    """
    result: dict[str, Any] = _copy(raw)
    pairs = list(
        overrides.items()
        if isinstance(overrides, Mapping)
        else (parse_override(text) for text in overrides)
    )
    for path, value in pairs:
        _check_path(path)
        section, _, name = path.partition(".")
        table = result.get(section)
        if name == "type" and isinstance(table, dict) and table.get("type") != value:
            result[section] = {}
        if section == "model" and isinstance(table, dict):
            _change_model(table, name, value)
    for path, value in pairs:
        _assign(result, path, value)
    return result


_SHORT_FORM = ("attention", "beta", "value")


def _change_model(table: dict[str, Any], name: str, value: object) -> None:
    """Another kind of interaction takes the place of the one that is there, with its numbers."""
    inner = table.get("interaction")
    if name == "interaction.type" or (name == "interaction" and isinstance(value, Mapping)):
        for key in _SHORT_FORM:
            table.pop(key, None)
        if name != "interaction" and isinstance(inner, dict) and inner.get("type") != value:
            table["interaction"] = {}
    elif name == "attention":
        table.pop("interaction", None)


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _copy(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_copy(item) for item in value]
    return value


def _check_path(path: str) -> None:
    """Refuse a key path that no case has; below ``initial`` the law itself decides."""
    sections = _section_keys()
    valid = ["title", "seed", *_SECTIONS]
    valid += [f"{section}.{name}" for section, names in sections.items() for name in names]
    valid += ["time.outputs.every", "time.outputs.geometric"]
    valid += ["time.outputs.geometric.first", "time.outputs.geometric.number"]
    if path.startswith("model.interaction."):
        from meanfield.interaction.kernels import KERNELS

        keys = {"type"}.union(*(_keys(kind) for kind in KERNELS.values())) - {"function"}
        valid += [f"model.interaction.{key}" for key in sorted(keys)]
        path = re.sub(r"\.\d+$", "", path)
    if path in valid or path.startswith("initial."):
        return
    if re.fullmatch(r"(time\.outputs|output\.fields)\.\d+", path):
        return
    # The last word alone is often right (beta -> model.beta); else the nearest path.
    last = path.rpartition(".")[2]
    homes = [name for name in valid if name.rpartition(".")[2] == last and "." in name]
    hint = f" (did you mean '{homes[0]}'?)" if homes else suggest(path, valid)
    raise InputError(f"--set {path}: a case has no such key{hint}")


def _assign(table: dict[str, Any], path: str, value: object) -> None:
    names = path.split(".")
    here: Any = table
    for depth, name in enumerate(names):
        last = depth == len(names) - 1
        so_far = ".".join(names[: depth + 1])
        if isinstance(here, list):
            if not name.isdigit() or int(name) >= len(here):
                raise InputError(
                    f"--set {path}: expected a place from 0 to {len(here) - 1} in the list "
                    f"{'.'.join(names[:depth])}, found '{name}'"
                )
            if last:
                here[int(name)] = value
            else:
                here = here[int(name)]
            continue
        if so_far in ("time.outputs.every", "time.outputs.geometric"):
            # The schedules exclude each other: naming one replaces the other.
            other = "geometric" if name == "every" else "every"
            here.pop(other, None)
        if last:
            here[name] = value
            continue
        inner = here.get(name)
        if so_far == "time.outputs" and not isinstance(inner, dict) and not names[-1].isdigit():
            inner = None
        if inner is None:
            inner = here[name] = {}
        if not isinstance(inner, dict | list):
            raise InputError(f"--set {path}: {so_far} is {as_found(inner)}, not a table")
        here = inner


# --------------------------------------------------------------------------------------------
# TOML writer: only what a case holds (tables, lists, texts, numbers, booleans)


def _key_text(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _string(name)


def _string(text: str) -> str:
    # JSON escapes are TOML escapes, except that TOML escapes DEL too.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(value: Any, indent: str = "") -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | os.PathLike):
        return _string(os.fspath(value))
    if isinstance(value, numbers.Integral):
        return str(int(value))
    if isinstance(value, numbers.Real):
        return repr(float(value))
    if isinstance(value, Mapping):
        inner = (f"{_key_text(k)} = {_value(v)}" for k, v in value.items() if v is not None)
        return "{ " + ", ".join(inner) + " }"
    if isinstance(value, Iterable):
        items = list(value)
        if any(isinstance(item, Mapping) for item in items):
            deeper = indent + "  "
            body = "".join(f"{deeper}{_value(item, deeper)},\n" for item in items)
            return f"[\n{body}{indent}]"
        return "[" + ", ".join(_value(item) for item in items) + "]"
    raise TypeError(f"no TOML for {value!r}")


def emit_toml(table: Mapping[str, Any]) -> str:
    """Write nested tables, such as those of a case, as TOML."""
    lines = [f"{_key_text(k)} = {_value(v)}" for k, v in table.items() if not isinstance(v, dict)]
    for section, inner in table.items():
        if isinstance(inner, dict):
            lines += ["", f"[{_key_text(section)}]"]
            lines += [f"{_key_text(k)} = {_value(v)}" for k, v in inner.items() if v is not None]
    return "\n".join(lines) + "\n"
