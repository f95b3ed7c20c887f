"""[geometry]: what is meshed and how finely, or that nothing is."""

from __future__ import annotations

import functools
import math
import os
from dataclasses import field, replace
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import BeforeValidator

from meanfield.case.geometrybase import Named
from meanfield.case.grading import (
    MAX_VERTICES,
    Factor,
    check_grading,
    finer,
    vertices_words,
    with_grading,
)
from meanfield.errors import InputError, suggest
from meanfield.geometry.manifolds import (
    MANIFOLDS,
    S1,
    S2,
    Ambient,
    Latitudes,
    Manifold,
    manifold,
    of_vectors,
)
from meanfield.options import Counted, Entries, Expected, Field, InputFile, options

if TYPE_CHECKING:
    from meanfield.geometry.mesh import Mesh

__all__ = [
    "GEOMETRIES",
    "MAX_VERTICES",
    "UNMESHED",
    "Circle",
    "Geometry",
    "MeshFile",
    "Sphere",
    "Unmeshed",
    "Zonal",
    "needs_mesh",
]

MAX_LEVEL = 10


def _level(value: object) -> object:
    # Beyond the range, but a level all the same: say what it would cost.
    if type(value) is int and value > MAX_LEVEL:
        count = f"{10 * 4**value + 2:,}" if value < 40 else f"10 * 4^{value} + 2"
        raise InputError(
            f"level {value} has {count} vertices, which would not fit into memory; expected 0 to "
            f"{MAX_LEVEL} (level 5: 10,242; level 7: 163,842)"
        )
    return value


@options("geometry")
class Sphere(Named):
    """S^2, meshed by a divided icosahedron.

    Example:
        >>> mf.Sphere(5).vertex_count
        10242
    """

    level: Annotated[Counted, BeforeValidator(_level)] = Field(ge=0, le=MAX_LEVEL, examples=[5])
    """Divisions of the icosahedron: 10 * 4^level + 2 vertices."""
    factor: Factor | None = Field(default=None, kw_only=True, examples=[3.0])
    """Of a graded mesh: how many times as fine it is at ``centre`` (and coarser at the antipode),
    for one narrow cluster whose place is known; left out: edges are the same everywhere. Points of
    characteristics start from these vertices (``solver.start`` = "auto"), not from a chart."""
    centre: Entries | None = Field(default=None, kw_only=True, examples=[[0.0, 0.0, 1.0]])
    """Of a graded mesh: where it is finest, a vector of any length; left out: e_3."""
    type: Literal["sphere"] = field(default="sphere", kw_only=True, repr=False)

    resolution: ClassVar[str] = "level"

    def __post_init__(self) -> None:
        check_grading(self.factor, self.centre, self.manifold)

    @property
    def d(self) -> int:
        """Dimension of the space around the sphere S^{d-1}."""
        return 3

    @property
    def manifold(self) -> Manifold:
        """The coordinates of its points."""
        return S2(3)

    @property
    def vertex_count(self) -> int:
        """Number of mesh vertices, known without the mesh."""
        return int(10 * 4**self.level + 2)

    def coarser(self) -> Sphere | None:
        """One level less."""
        return self.at(self.level - 1) if self.level >= 2 else None

    def at(self, resolution: int) -> Sphere:
        """The same at another level."""
        return replace(self, level=resolution)

    def resolving(self, edge: float) -> str:
        """The level with edges of this length or less."""
        return next((f"level = {n}" for n in range(MAX_LEVEL + 1) if self.at(n).edge <= edge), "")

    def build_mesh(self) -> Mesh:
        """Make the mesh (NumPy only)."""
        from meanfield.geometry.mesh import icosphere

        return with_grading(icosphere(self.level), self.factor, self.centre)


@options("geometry")
class Circle(Named):
    """S^1 with equally spaced vertices.

    Example:
        >>> mf.Circle(400).d
        2
    """

    vertices: Counted = Field(ge=3, le=MAX_VERTICES, examples=[400])
    """Number of vertices."""
    factor: Factor | None = Field(default=None, kw_only=True, examples=[3.0])
    """Of a graded mesh: how many times as fine it is at ``centre``; left out: equal steps."""
    centre: Entries | None = Field(default=None, kw_only=True, examples=[[0.0, 1.0]])
    """Of a graded mesh: where it is finest, a vector of any length; left out: e_2."""
    type: Literal["circle"] = field(default="circle", kw_only=True, repr=False)

    resolution: ClassVar[str] = "vertices"

    def __post_init__(self) -> None:
        check_grading(self.factor, self.centre, self.manifold)

    @property
    def d(self) -> int:
        """Dimension of the space around the sphere S^{d-1}."""
        return 2

    @property
    def manifold(self) -> Manifold:
        """The coordinates of its points."""
        return S1(2)

    @property
    def vertex_count(self) -> int:
        """Number of mesh vertices, known without the mesh."""
        return self.vertices

    def build_mesh(self) -> Mesh:
        """Make the mesh (NumPy only)."""
        from meanfield.geometry.mesh import circle

        return with_grading(circle(self.vertices), self.factor, self.centre)

    def coarser(self) -> Circle | None:
        """Half the vertices."""
        return self.at(self.vertices // 2) if self.vertices >= 16 else None

    def at(self, resolution: int) -> Circle:
        """The same with another number of vertices."""
        return replace(self, vertices=resolution)

    def resolving(self, edge: float) -> str:
        """So many vertices that edges have this length or less."""
        return vertices_words(self.vertices * self.edge / edge)


@options("geometry")
class Zonal(Named):
    """Measures on S^{d-1} that are symmetric about the axis e_d: theta in [0, pi], d >= 2.

    Example:
        >>> mf.Zonal(d=8, vertices=400).kind
        'zonal'
    """

    d: Counted = Field(ge=2, le=1000, examples=[8])
    """Dimension of the space around the sphere S^{d-1}."""
    vertices: Counted = Field(ge=3, le=MAX_VERTICES, examples=[400])
    """Number of vertices of [0, pi], both poles among them."""
    factor: Factor | None = Field(default=None, kw_only=True, examples=[3.0])
    """Of a graded mesh: how many times as fine it is at theta = 0 (below 1: at pi, by as much as it
    is coarser here); left out: equal steps."""
    type: Literal["zonal"] = field(default="zonal", kw_only=True, repr=False)

    resolution: ClassVar[str] = "vertices"

    def __post_init__(self) -> None:
        # The least weight, of a pole: int_0^{h/2} theta^{d-2} dtheta = (h/2)^{d-1} / (d-1). The
        # mesh refuses what underflows; here it is told with a remedy.
        least_h = 2.0 * 10.0 ** ((math.log10(self.d - 1) - 289.0) / (self.d - 1))
        least_h *= finer(self.factor)
        most = math.floor(math.pi / least_h) + 1
        if self.vertices > most:
            raise InputError(
                f"vertices: the weight sin^{self.d - 2}(theta) underflows at the poles: "
                f"expected at most {most} vertices for d = {self.d}, found {self.vertices}"
            )

    @property
    def manifold(self) -> Manifold:
        """The coordinates of its points."""
        return Latitudes(self.d)

    @property
    def vertex_count(self) -> int:
        """Number of mesh vertices, known without the mesh."""
        return self.vertices

    def build_mesh(self) -> Mesh:
        """Make the mesh (NumPy only)."""
        from meanfield.geometry.mesh import zonal_interval

        return with_grading(zonal_interval(self.vertices, d=self.d), self.factor)

    def coarser(self) -> Zonal | None:
        """Half the intervals; both poles stay vertices."""
        return self.at((self.vertices - 1) // 2 + 1) if self.vertices >= 16 else None

    def at(self, resolution: int) -> Zonal:
        """The same with another number of vertices."""
        return replace(self, vertices=resolution)

    def resolving(self, edge: float) -> str:
        """So many vertices that edges have this length or less."""
        return vertices_words(1.0 + (self.vertices - 1) * self.edge / edge)


@functools.lru_cache(maxsize=4)
def _read_mesh_cached(path: str, modified: int) -> Mesh:
    # ``modified`` is in the key only so that a rewritten file is read again.
    from meanfield.geometry.mesh import read_mesh

    mesh = read_mesh(path)
    # All who ask for this file get this one mesh.
    mesh.points.flags.writeable = mesh.cells.flags.writeable = False
    return mesh


@options("geometry")
class MeshFile(Named):
    """A mesh file of any of the geometries, also the fields.vtkhdf of a run.

    Example:
        >>> mf.MeshFile('sphere.msh').vertex_count
        42
    """

    file: Annotated[InputFile, Expected("the name of a mesh file")] = Field(examples=["sphere.msh"])
    """The file; found from the folder of the case file, stored as an absolute path."""
    type: Literal["file"] = field(default="file", kw_only=True, repr=False)

    def __post_init__(self) -> None:
        path = self.file
        if not path.is_file():
            near = ""
            if path.parent.is_dir():
                near = suggest(path.name, (p.name for p in path.parent.iterdir() if p.is_file()))
            raise InputError(f"file: there is no file {path}{near}")

    def _known(self) -> tuple[Manifold, int]:
        """The manifold and the number of vertices of the file as it is now.

        Kept with this object: who is given a copy of it, such as another rank, need not read the
        file, nor see it.
        """
        known = self.__dict__.get("_facts")
        try:
            modified = self._modified()
        except InputError:
            if known is None:
                raise
            modified = known[0]
        if known is None or known[0] != modified:
            mesh = self.build_mesh()
            known = modified, mesh.manifold, len(mesh.points)
            object.__setattr__(self, "_facts", known)
        return known[1], known[2]

    def _modified(self) -> int:
        try:
            return os.stat(self.file).st_mtime_ns
        except OSError as error:
            raise InputError(f"geometry.file: cannot read {self.file}: {error}") from error

    @property
    def d(self) -> int:
        """Dimension of the space around the sphere S^{d-1} (the file is read once)."""
        return self.manifold.d

    @property
    def manifold(self) -> Manifold:
        """The coordinates of its points (the file is read once)."""
        return self._known()[0]

    @property
    def vertex_count(self) -> int:
        """Number of mesh vertices (the file is read once)."""
        return self._known()[1]

    def build_mesh(self) -> Mesh:
        """Read the mesh, which cannot be written to; read again only if the file changed."""
        return _read_mesh_cached(str(self.file), self._modified())


UNMESHED = (
    "unmeshed",
    *(name for name, on in MANIFOLDS.items() if not on.dimension and on is not Ambient),
)
"""Types without a mesh: the whole sphere, and parts of it by the names of their manifolds."""
if TYPE_CHECKING:
    UnmeshedType = str
else:
    UnmeshedType = Literal[UNMESHED]


@options("geometry")
class Unmeshed(Named):
    """S^{d-1} without a mesh, any d >= 2: for solvers of tokens.

    Example:
        >>> mf.Unmeshed(d=128).manifold.symbol
        'S^127'
    """

    d: Counted = Field(ge=2, le=100_000, examples=[8])
    """Dimension of the space around the sphere S^{d-1}."""
    type: UnmeshedType = field(default=UNMESHED[0], kw_only=True, repr=False)

    def __post_init__(self) -> None:
        _ = self.manifold  # which may not have this dimension

    @property
    def manifold(self) -> Manifold:
        """Unit vectors: S^2, S^1, any dimension, or a part of the sphere by its name."""
        return of_vectors(self.d) if self.type == UNMESHED[0] else manifold(self.type, self.d)

    @property
    def vertex_count(self) -> int:
        """None."""
        return 0

    def build_mesh(self) -> Mesh:
        """Refuse: there is no mesh.

        Raises:
            InputError: always.
        """
        raise InputError(f"geometry.type: '{self.type}' found, a meshed one expected{_MESHED}")


_MESHED = " ('sphere', 'circle', 'zonal' or 'file') for a density"


def needs_mesh(geometry: Geometry, solver: str) -> None:
    """Refuse what has no mesh, for a solver of a density."""
    if isinstance(geometry, Unmeshed):
        raise InputError(
            f"geometry.type: the {solver} solver needs a mesh, found '{geometry.type}'; expected "
            f"another geometry{_MESHED}, or solver.type = 'particles'"
        )


Geometry = Annotated[
    Sphere | Circle | Zonal | MeshFile | Unmeshed,
    Field(discriminator="type", examples=[{"type": "sphere", "level": 5}]),
]
GEOMETRIES = (Sphere, Circle, Zonal, MeshFile, Unmeshed)
