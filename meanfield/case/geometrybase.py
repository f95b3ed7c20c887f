"""What all geometries of a case have: a name, a size, and how fine they are."""

from __future__ import annotations

from typing import ClassVar, Self

from meanfield.case.grading import Factor, edge_length, finer
from meanfield.geometry.manifolds import Manifold

__all__ = ["Named"]


class Named:
    """What all of them have."""

    resolution: ClassVar[str] = ""
    """The key that tells how fine it is; "": none does."""
    factor: Factor | None = None

    @property
    def manifold(self) -> Manifold:
        """The coordinates of its points."""
        raise NotImplementedError

    @property
    def vertex_count(self) -> int:
        """Number of mesh vertices."""
        raise NotImplementedError

    @property
    def edge(self) -> float:
        """Length of its edges in radians, about: where it is finest, if it is graded."""
        return edge_length(self.manifold, self.vertex_count) / finer(self.factor)

    def at(self, resolution: int) -> Self | None:
        """The same at another value of the key ``resolution``; None: no key tells it."""
        return None

    def resolving(self, edge: float) -> str:
        """The least of that key with edges of this length or less: "level = 5"; "": none."""
        return ""

    def words(self) -> str:
        """A few words on its mesh."""
        graded = "" if self.factor is None else f", graded by {self.factor:g}"
        return f"{self.manifold.describe()}, {self.vertex_count:,} vertices{graded}"

    def coarser(self) -> Self | None:
        """The same with half the resolution; None: there is none, or too little is left."""
        return None

    @property
    def kind(self) -> str:
        """Name of the manifold: what ``Mesh.geometry`` will be."""
        return self.manifold.name
