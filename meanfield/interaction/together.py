"""Interactions side by side: the sum of several on one geometry, such as a kernel and drifts.

Velocities, potentials, divergences and energies add up. One adjoint transform serves all parts:
each takes the moments of its own degrees. What a part takes beside them (sinkhorn and l2 attention)
follows, part by part.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from meanfield.arguments import checked_fields
from meanfield.checks import as_found
from meanfield.collective import Communicator
from meanfield.errors import InputError
from meanfield.geometry.manifolds import Harmonics, Located, Manifold
from meanfield.geometry.sphere import Array
from meanfield.interaction.contract import AnyInteraction, EnergyKind
from meanfield.interaction.expansion import Convexity, Truncation
from meanfield.interaction.measure import Measure
from meanfield.interaction.togetherfield import Share, TogetherField

__all__ = ["Together"]


@checked_fields
@dataclass(frozen=True, eq=False)
class Together(AnyInteraction):
    """A sum of interactions on one geometry.

    By transforms where all parts have them, else by direct sums all.

    Attributes:
        parts: two or more, of one geometry and one dimension.

    Raises:
        InputError: no parts, or of different geometries.

    Example:
        >>> parts = (mf.Attention('sa', beta=1.0, d=3), mf.Attention('usa', beta=4.0, d=3))
        >>> mf.Together(parts).d
        3
    """

    parts: tuple[AnyInteraction, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", tuple(self.parts))
        if not self.parts:
            raise InputError("parts: found none, expected two interactions or more")
        for k, part in enumerate(self.parts):
            if not isinstance(part, AnyInteraction):
                raise InputError(
                    f"parts[{k}]: found {as_found(part)}, expected an interaction such as "
                    "Interaction(kernel, d) or Composite(heads, kind, d)"
                )
            first = self.parts[0]
            if (part.geometry, part.d) != (first.geometry, first.d):
                raise InputError(
                    f"parts[{k}]: one on '{part.geometry}' (d = {part.d}) found, on "
                    f"'{first.geometry}' (d = {first.d}) expected, as the first is"
                )

    def _each(self, parts: list[AnyInteraction]) -> Self:
        return type(self)(tuple(parts))

    # ------------------------------------------------------------------ time

    @property
    def moves(self) -> bool:
        return any(part.moves for part in self.parts)

    @property
    def piecewise(self) -> bool:
        return all(part.piecewise for part in self.parts)

    def at(self, t: float) -> AnyInteraction:
        """The sum of those at a time."""
        return self._each([part.at(t) for part in self.parts]) if self.moves else self

    def next_jump(self, t: float) -> float:
        return min(part.next_jump(t) for part in self.parts)

    # ------------------------------------------------------------------ points and transforms

    @property
    def d(self) -> int:  # type: ignore[override]  # of its parts, as all of these
        """Dimension of the ambient space."""
        return self.parts[0].d

    @property
    def geometry(self) -> str:  # type: ignore[override]
        """Coordinates of the points."""
        return self.parts[0].geometry

    @property
    def method(self) -> str:  # type: ignore[override]
        """ "direct" or "harmonics" if one part asks for that, else "auto"."""
        asked = {part.method for part in self.parts}
        return next((name for name in ("direct", "harmonics") if name in asked), "auto")

    @property
    def accuracy(self) -> float | None:  # type: ignore[override]
        """The smallest one that is given."""
        given = [part.accuracy for part in self.parts if part.accuracy is not None]
        return min(given) if given else None

    @property
    def dark(self) -> float:  # type: ignore[override]
        """The largest one."""
        return max(part.dark for part in self.parts)

    @property
    def manifold(self) -> Manifold:
        return self.parts[0].manifold

    @cached_property
    def _acting(self) -> tuple[AnyInteraction, ...]:
        """The parts, all by transforms or all by direct sums."""
        if self.truncation is not None:
            return self.parts
        return tuple(part.direct() for part in self.parts)

    @cached_property
    def truncation(self) -> Truncation | None:
        found = [part.truncation for part in self.parts]
        kept = [cut for cut in found if cut is not None]
        if len(kept) < len(found):
            return None
        return Truncation(
            max(cut.degree for cut in kept), all(cut.exact for cut in kept),
            math.hypot(*(cut.tail for cut in kept)),
        )  # fmt: skip

    @cached_property
    def epsilon(self) -> float:
        """Accuracy of the transforms: that of the part that asks for most."""
        return min(part.epsilon for part in self.parts)

    @cached_property
    def harmonics(self) -> Harmonics | None:
        if self.truncation is None:
            return None
        return self.manifold.harmonics(self.truncation.degree, self.epsilon)

    @cached_property
    def _kept(self) -> tuple[Array, ...]:
        """For each part, which moments it takes, (n_coefficients,) bool."""
        harmonics = self.harmonics
        assert harmonics is not None
        degrees = [part.harmonics.degree for part in self.parts if part.harmonics is not None]
        return tuple(harmonics.degrees <= degree for degree in degrees)

    def locate(self, points: Array) -> Located:
        if self.harmonics is None:
            return self._acting[0].locate(points)
        return self.harmonics.locate(points)

    def on_mesh(self, vertices: int, accuracy: float | None = None) -> Self:
        return self._each([part.on_mesh(vertices, accuracy) for part in self.parts])

    def by(self, method: str) -> Self:
        return self._each([part.by(method) for part in self.parts])

    def quiet(self, rtol: float) -> Self:
        return self._each([part.quiet(rtol) for part in self.parts])

    def with_dark(self, dark: float) -> Self:
        return self._each([part.with_dark(dark) for part in self.parts])

    def degree(self, tolerance: float, otherwise: int = 64) -> int:
        return max(part.degree(tolerance, otherwise) for part in self.parts)

    @property
    def series_ends(self) -> bool:
        return all(part.series_ends for part in self.parts)

    @property
    def exact_sums(self) -> bool:
        return all(part.exact_sums for part in self.parts)

    @property
    def compiled_sums(self) -> bool:
        return all(part.compiled_sums for part in self.parts)

    @property
    def local_tail(self) -> float:
        return sum(part.local_tail for part in self.parts)

    @property
    def open_tail(self) -> str:
        return next((part.open_tail for part in self.parts if part.open_tail), "")

    def with_closed_tail(self) -> Self:
        return self._each([part.with_closed_tail() for part in self.parts])

    # ------------------------------------------------------------------ fields

    @cached_property
    def further(self) -> int:
        return sum(part.further for part in self.parts)

    def further_moments(
        self, own: Array, measure: Measure, t: float, comm: Communicator | None
    ) -> Array:
        """Those of the parts, one after the other. Collective."""
        found = [
            part.further_moments(own[kept], measure, t, comm)
            for part, kept in zip(self.parts, self._kept, strict=True)
            if part.further
        ]
        return np.concatenate(found) if found else np.zeros(0)

    @cached_property
    def _taken(self) -> tuple[NDArray[np.int64], ...]:
        """For each part, the places of what it takes in what ``moments_of`` gives."""
        ends = self._kept[0].size + np.cumsum([part.further for part in self.parts])
        return tuple(
            np.concatenate([np.flatnonzero(kept), np.arange(end - part.further, end)])
            for part, kept, end in zip(self.parts, self._kept, ends, strict=True)
        )

    def field_of_moments(
        self, moments: Array | None, measure: Measure, t: float, comm: Communicator | None
    ) -> TogetherField:
        shares = []
        for k, part in enumerate(self._acting):
            own = None if moments is None else moments[self._taken[k]]
            field = part.field_of_moments(own, measure, t, comm)
            shares.append(Share(part, field, self._units[k]))
        return TogetherField(self, tuple(shares), measure, moments, t, comm)

    def kernel_norm(self, moments: Array) -> float:
        norms = [
            part.kernel_norm(moments[taken])
            for part, taken in zip(self.parts, self._taken, strict=True)
        ]
        return math.hypot(*norms)

    @cached_property
    def metric(self) -> Array:
        """The largest weight that a part gives a moment."""
        out = np.zeros(self._kept[0].size + self.further)
        for part, taken in zip(self.parts, self._taken, strict=True):
            out[taken] = np.maximum(out[taken], part.metric)
        return out

    @cached_property
    def repels(self) -> Array:
        """Those of any part: exact where only one hangs on the measure."""
        out = np.zeros(self._kept[0].size + self.further, dtype=bool)
        for part, taken in zip(self.parts, self._taken, strict=True):
            out[taken] |= part.repels
        return out

    # ------------------------------------------------------------------ what is known about it

    @property
    def is_external(self) -> bool:
        return all(part.is_external for part in self.parts)

    @property
    def has_potential(self) -> bool:
        return all(part.has_potential for part in self.parts)

    @property
    def has_gradient(self) -> bool:
        return any(part.has_gradient for part in self.parts)

    @property
    def energy_kind(self) -> EnergyKind | None:
        """ "gradient" where that is the kind of all parts: their energies add up."""
        same = all(part.energy_kind == "gradient" for part in self.parts)
        return "gradient" if same else None

    @property
    def why_no_energy(self) -> str:
        for part in self.parts:
            if part.energy_kind is None:
                return part.why_no_energy
            if part.energy_kind == "monotone":
                return (
                    f"a velocity that is normalised, or times a strength ({part.describe()}), has "
                    "none with others beside it"
                )
        return ""

    @cached_property
    def convexity(self) -> Convexity | None:
        """That of the parts that hang on the measure, if they agree: the others are linear."""
        if self.energy_kind is None:
            return None
        signs = {part.convexity for part in self.parts if not part.is_external}
        return "mixed" if len(signs) > 1 else signs.pop() if signs else "positive"

    def free_energy(self, energy: float, entropy: float, kappa: float) -> float:
        """F = kappa H - E."""
        return kappa * entropy - energy

    @property
    def has_double_energy(self) -> bool:
        return all(part.has_double_energy for part in self.parts)

    @cached_property
    def _unit(self) -> float:
        return min(part.scaled(1.0) for part in self.parts)

    @cached_property
    def _units(self) -> tuple[float, ...]:
        """What turns the scaled energies of the parts into those of all."""
        found = [part.scaled(1.0) for part in self.parts]
        return tuple(self._unit / unit if unit > 0.0 else 1.0 for unit in found)

    def scaled(self, value: float) -> float:
        """A number in the unit of scaled energies: that of the part with the largest."""
        return value * self._unit

    @property
    def energy_label(self) -> str:
        units = [part.scaled(1.0) for part in self.parts]
        return self.parts[int(np.argmin(units))].energy_label

    @property
    def dirac_energy(self) -> float:
        """nan where that of a part is not known."""
        pairs = zip(self.parts, self._units, strict=True)
        return sum(unit * part.ascending(part.dirac_energy) for part, unit in pairs)

    @property
    def leaves_out_self(self) -> bool:
        return any(part.leaves_out_self for part in self.parts)

    @property
    def excludes_self(self) -> bool:
        return any(part.excludes_self for part in self.parts)

    @property
    def one_point_each(self) -> bool:
        return any(part.one_point_each for part in self.parts)

    def refuse_number(self, n: int) -> None:
        for part in self.parts:
            part.refuse_number(n)

    def excluding_self(self) -> AnyInteraction:
        return self._each([part.excluding_self() for part in self.parts])

    def pair_energy(self, measure: Measure, n: float, t: float = 0.0) -> float:
        pairs = zip(self._acting, self._units, strict=True)
        return sum(unit * part.ascending(part.pair_energy(measure, n, t)) for part, unit in pairs)

    def fastest_rate(self, degree: int) -> float:
        return sum(part.fastest_rate(degree) for part in self.parts)

    @property
    def sharpens(self) -> bool:
        """Whether all parts that hang on the measure do."""
        inner = [part for part in self.parts if not part.is_external]
        return all(part.sharpens for part in inner or self.parts)

    @property
    def sharpness(self) -> float:
        return max(part.sharpness for part in self.parts)

    @property
    def width(self) -> float:
        return 1.0 / math.sqrt(self.sharpness)

    @property
    def factor_log(self) -> float:
        """log of the factor in *scaled* velocities: the largest one."""
        return max(part.factor_log for part in self.parts)

    def refuse_overflow(self, highest: float = 600.0) -> None:
        for part in self.parts:
            part.refuse_overflow(highest)

    def describe(self) -> str:
        return "; ".join(part.describe() for part in self.parts)

    @property
    def columns(self) -> Mapping[str, object]:
        """The names of the parts, and the numbers of each; of the first where they meet."""
        found: dict[str, object] = {}
        for part in self.parts:
            found = {**part.columns, **found}
        return {**found, "model": " + ".join(str(part.columns["model"]) for part in self.parts)}

    @property
    def parameters(self) -> Mapping[str, float]:
        """Those of all parts."""
        return {name: value for part in self.parts for name, value in part.parameters.items()}
