"""Symmetries that states along a branch share: about an axis, of a solid, of a polygon.

States with a symmetry are stationary if they are so among those that have it: what they exert has
it, too. Owns which functions that leaves, on which grid, and how the spectrum of such a state is
found. A new one is its class here and a line in ``symmetry_named``.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from meanfield.errors import InputError, suggest
from meanfield.geometry.groups import GROUPS
from meanfield.geometry.manifolds import (
    CircleGrid,
    InvariantGrid,
    MatrixGrid,
    PolygonGrid,
    ZonalGrid,
)
from meanfield.steady.equation import MomentMap, Point
from meanfield.steady.spectrum import Spectrum, arnoldi_spectrum, spectrum, zonal_spectrum
from meanfield.steady.state import StationaryState

__all__ = ["AXIAL", "NONE", "SYMMETRIES", "Symmetry", "symmetry_named"]

_LARGEST_ORDER = 60  # of a polygon


@dataclass(frozen=True)
class Symmetry(ABC):
    """What states along a branch share.

    Attributes:
        name: as users give it.
        degree: of the harmonic whose average is the order parameter, beside the mean.
    """

    name: str
    degree: int

    has_mean: ClassVar[bool] = False
    """Whether a state may have a mean, int x dmu."""
    own_order: ClassVar[int | None] = None
    """Azimuthal order of the perturbations that have the symmetry, if the spectrum tells it."""
    from_law: ClassVar[bool] = False
    """Whether a branch may begin at the state to which a law leads."""

    @abstractmethod
    def grid(self, degree: int, size: int, d: int) -> MatrixGrid:
        """Nodes, and the harmonics up to a degree that have the symmetry."""

    @abstractmethod
    def spectrum(self, moment_map: MomentMap, point: Point, count: int) -> Spectrum:
        """Leading eigenvalues of all perturbations, whether or not they share the symmetry."""

    @property
    def noun(self) -> str:
        """What its branches are called, with a number."""
        return self.name


@dataclass(frozen=True)
class _Axial(Symmetry):
    """About e_d, in any dimension."""

    has_mean: ClassVar[bool] = True
    own_order: ClassVar[int | None] = 0
    from_law: ClassVar[bool] = True

    def grid(self, degree: int, size: int, d: int) -> MatrixGrid:
        return ZonalGrid(degree, size, d)

    def spectrum(self, moment_map: MomentMap, point: Point, count: int) -> Spectrum:
        return zonal_spectrum(moment_map, point, count)

    @property
    def noun(self) -> str:
        return "clustered"


AXIAL: Symmetry = _Axial("axial", 2)
"""About an axis."""


@dataclass(frozen=True)
class _None(Symmetry):
    """None, on S^1: for matrices and potentials that have none."""

    has_mean: ClassVar[bool] = True
    from_law: ClassVar[bool] = True

    def grid(self, degree: int, size: int, d: int) -> MatrixGrid:
        return CircleGrid(degree, size)

    def spectrum(self, moment_map: MomentMap, point: Point, count: int) -> Spectrum:
        return spectrum(StationaryState.of(moment_map, point), count)


NONE: Symmetry = _None("none", 2)
"""None at all."""


class _WithoutAxis(Symmetry):
    """Of a finite group: the spectrum is that of the state on the whole circle or sphere."""

    def spectrum(self, moment_map: MomentMap, point: Point, count: int) -> Spectrum:
        grid = moment_map.grid
        assert isinstance(grid, InvariantGrid | PolygonGrid)
        if float(np.abs(point.moments[1:]).max(initial=0.0)) == 0.0:  # has all symmetries
            zonal = MomentMap(moment_map.equation, ZonalGrid(grid.degree, grid.size, grid.d))
            moments = np.zeros(zonal.grid.degrees.size)
            moments[0] = 1.0
            return zonal_spectrum(zonal, zonal.at(moments), count)
        full = grid.whole_grid
        whole = MomentMap(moment_map.equation, full)
        synthesised = grid.whole(grid.synthesise(point.moments))
        state = StationaryState.of(whole, whole.at(full.analyse(synthesised)))
        return spectrum(state, count) if grid.d == 2 else arnoldi_spectrum(state, count)


@dataclass(frozen=True)
class _Polygon(_WithoutAxis):
    """Of a k-gon on S^1."""

    def grid(self, degree: int, size: int, d: int) -> MatrixGrid:
        return PolygonGrid(degree, max(size, 4 * self.degree), self.degree)


@dataclass(frozen=True)
class _Solid(_WithoutAxis):
    """Of a Platonic solid on S^2."""

    def grid(self, degree: int, size: int, d: int) -> MatrixGrid:
        return InvariantGrid(degree, size, self.name)


@dataclass(frozen=True)
class _Prism(_WithoutAxis):
    """Of a prism over a k-gon, D_kh, on S^2."""

    def grid(self, degree: int, size: int, d: int) -> MatrixGrid:
        return InvariantGrid(degree, size, "dihedral", self.degree)


_DEGREES = {"tetrahedral": 3, "octahedral": 4, "icosahedral": 6}
SYMMETRIES = ("axial", "none", *GROUPS, "dihedral:K", "polygon:K")
"""Names that users may give, K a number."""


def symmetry_named(name: str, d: int) -> Symmetry:
    """The symmetry of a name in dimension d.

    Args:
        name: "axial"; d = 3: "tetrahedral", "octahedral", "icosahedral" or "dihedral:k",
            k >= 3 (of a prism); d = 2: "none" or "polygon:k", k >= 2.

    Raises:
        InputError: there is none of that name, or not in that dimension.
    """
    if name == AXIAL.name:
        return AXIAL
    if name == NONE.name:
        _refuse_other(name, d, 2)
        return NONE
    kind, _, number = name.partition(":")
    if kind in GROUPS and not number:
        _refuse_other(name, d, 3)
        return _Solid(name, _DEGREES[name])
    if kind in ("dihedral", "polygon") and re.fullmatch(r"\d{1,9}", number):
        k, least = int(number), 3 if kind == "dihedral" else 2
        if not least <= k <= _LARGEST_ORDER:
            raise InputError(f"symmetry: expected {kind}:{least} to {kind}:{_LARGEST_ORDER}, "
                             f"found {name}")  # fmt: skip
        if kind == "polygon":
            _refuse_other(name, d, 2)
            return _Polygon(name, k)
        _refuse_other(name, d, 3)
        return _Prism(name, k)
    hint = suggest(name, SYMMETRIES)
    raise InputError(f"symmetry: found '{name}', expected one of {', '.join(SYMMETRIES)}{hint}")


def _refuse_other(name: str, d: int, wanted: int) -> None:
    if d != wanted:
        raise InputError(f"symmetry: found {name} in d = {d}, expected d = {wanted}")
