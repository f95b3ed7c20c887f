"""What defines a stationary state: geometry, model and initial law of a case.

Its solver and its times play no part. Knows nothing of how a state is found and of what is written.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from meanfield.case import (
    UNMESHED,
    Case,
    Geometry,
    GivenCase,
    Model,
    Unmeshed,
    as_case,
    emit_toml,
    read_table,
)
from meanfield.case.terms import constant_kappa
from meanfield.case.titles import literally, resolved_title
from meanfield.case.words import left_of, noise_words
from meanfield.errors import InputError
from meanfield.geometry.laws import Law
from meanfield.geometry.manifolds import Latitudes, Manifold
from meanfield.geometry.mesh import Mesh, usual_mesh
from meanfield.options import as_table
from meanfield.steady.equation import Equation
from meanfield.steady.symmetry import AXIAL, Symmetry, symmetry_named

__all__ = ["Problem", "first_of"]

_UNUSED = ("solver", "time", "output")
"""Sections that play no part."""


@dataclass(frozen=True)
class Problem:
    """What defines a stationary state: a case without its solver and its times.

    Attributes:
        title: one line for people, with the values that it names.
        geometry, model, initial: as in a case; ``model.kappa`` is positive for a state.
        table: the resolved tables, as they go into case.toml.
        symmetry: of branches: see ``symmetry.symmetry_named``.
        secondary: whether branches that leave others are followed, too.

    Example:
        >>> problem = mf.Problem.of({
        ...     'geometry': {'type': 'zonal', 'd': 3, 'vertices': 50},
        ...     'model': {'attention': 'usa', 'beta': 4.0, 'kappa': 1.0},
        ...     'initial': {'type': 'uniform'},
        ...     'time': {'end': 1.0},
        ... })
        >>> problem.manifold.name
        'zonal'
    """

    title: str
    geometry: Geometry
    model: Model
    initial: Law
    table: Mapping[str, object]
    symmetry: Symmetry = AXIAL
    secondary: bool = False

    @classmethod
    def from_toml(
        cls,
        path: str | os.PathLike[str],
        overrides: Iterable[str] | Mapping[str, object] = (),
    ) -> Problem:
        """Read a case file; [solver], [time] and [output] are not used and not checked.

        Raises:
            InputError: naming the file, the key, what was expected and what was found.
        """
        path = Path(path)
        raw = read_table(path, overrides)
        solver = raw.pop("solver", None)
        unused = {name: value for name, value in raw.items() if name in ("time", "output")}
        title = raw["title"]
        raw["title"] = literally(title)  # what it names may be in a section that is not used
        raw["time"], raw["output"] = {"end": 1.0}, {}
        kappa: Any = 0.0  # checked with the model that gets it
        if isinstance(given := raw.get("model"), Mapping):
            raw["model"] = {name: value for name, value in given.items() if name != "kappa"}
            kappa = given.get("kappa", kappa)
        geometry = raw.get("geometry")
        if isinstance(geometry, Mapping) and geometry.get("type") in UNMESHED:
            raw["solver"] = {"type": "particles", "number": 1}
        try:
            case = Case.from_dict(raw, path.parent)
            model = dataclasses.replace(case.model, kappa=kappa)
            used = solver if isinstance(solver, Mapping) else None
            return cls._of(case, str(title), model, used, unused)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None

    @classmethod
    def from_case(cls, case: Case) -> Problem:
        """Take geometry, model and initial law of a case."""
        unused: dict[str, object] = {
            "time": case.time.table(), "output": as_table(case.output)
        }  # fmt: skip
        return cls._of(case, case.title, case.model, as_table(case.solver), unused)

    @classmethod
    def of(cls, given: Problem | GivenCase) -> Problem:
        """Take a case, the path of a case file, or a table; a problem is what it is.

        Raises:
            InputError: what is no case.
        """
        if isinstance(given, Problem):
            return given
        if isinstance(given, str | os.PathLike):
            return cls.from_toml(given)
        return cls.from_case(as_case(given))

    @classmethod
    def _of(
        cls,
        case: Case,
        title: str,
        model: Model,
        solver: Mapping[str, object] | None,
        unused: Mapping[str, object],
    ) -> Problem:
        table = {**case.to_dict(), "title": title}
        table["model"] = {**case.model.table(), "kappa": constant_kappa(model.kappa)}
        for name in ("solver", "time", "output"):
            table.pop(name)
        if solver is not None:
            table["solver"] = dict(solver)
        try:
            shown = resolved_title(title, {**unused, **table}, unused=_UNUSED)
        except InputError as error:
            raise InputError(f"title: {error}") from None
        return cls(shown, case.geometry, model, case.initial, table)

    def over(self, parameter: str, start: float, end: float) -> Problem:
        """The same, with a title that shows the interval of a parameter, if it names that."""
        words = f"{start:g} to {end:g}"
        keys = [f"model.{parameter}", f"model.interaction.{parameter}"]
        template = str(self.table["title"])
        title = resolved_title(template, self.table, dict.fromkeys(keys, words), _UNUSED)
        return dataclasses.replace(self, title=title)

    def parameters(self, without: Sequence[str] = ()) -> str:
        """What is in effect, in words, but for parameters that vary."""
        model, on = self.model, self.geometry
        words = [*model.on(on).describe().split(", "), *noise_words(model), on.manifold.symbol]
        return ", ".join(left_of(words, without))

    def with_symmetry(self, name: str) -> Problem:
        """The same, for branches of states with a symmetry.

        Args:
            name: see ``symmetry.symmetry_named``.

        Raises:
            InputError: there is none of that name in this dimension.
        """
        return dataclasses.replace(self, symmetry=symmetry_named(name, self.geometry.d))

    def with_secondary(self) -> Problem:
        """The same, for branches with those of their symmetry that leave them."""
        return dataclasses.replace(self, secondary=True)

    def to_toml(self) -> str:
        """The resolved case as TOML."""
        return emit_toml(dict(self.table))

    def equation(self, changes: Mapping[str, float] | None = None) -> Equation:
        """The stationary equation, with kappa or other ``parameters`` of the model changed.

        Raises:
            InputError: kappa is not positive, or a number is out of its range.
        """
        model = self.model
        for name, value in (changes or {}).items():
            model = model.replaced(name, value)
        if model.kappa == 0.0:
            raise InputError(
                "model.kappa: found 0, expected noise, kappa > 0, for a stationary density; add "
                "for example --set model.kappa=0.1"
            )
        kappa, d = constant_kappa(model.kappa), self.geometry.d
        return Equation(model.gibbs(d), kappa, d, model.external(d), model.exponent)

    @property
    def manifold(self) -> Manifold:
        """Geometry in which states are found.

        Raises:
            InputError: d > 3 without a mesh, and a law that is not symmetric about e_d; a geometry
                for tokens alone.
        """
        on = self.geometry.manifold
        if not on.whole:
            raise InputError(f"geometry: found {on.symbol}, stationary states are found on spheres")
        if not on.has_harmonics:
            if not self.initial.is_zonal():
                raise InputError(
                    f"initial: in d = {self.geometry.d} a law symmetric about e_d expected (states "
                    "are found in zonal geometry there)"
                )
            return Latitudes(on.d)
        return on

    def mesh(self) -> Mesh:
        """The mesh on which the density is written: that of the case or, without one, a usual one.

        Its fineness does not matter for the state itself.
        """
        if not isinstance(self.geometry, Unmeshed):
            return self.geometry.build_mesh()
        return usual_mesh(self.manifold)


def first_of(problem: Problem, parameter: str, ends: tuple[float, float]) -> Equation:
    """The equation at the first of two values of a parameter, both of which are checked.

    Raises:
        InputError: one cannot be; heads of beta = 0 are none, for which others give other reasons.
    """
    found = {value: problem.equation({parameter: value}) for value in ends if value != 0.0}
    try:
        return {v: found.get(v) or problem.equation({parameter: v}) for v in ends}[ends[0]]
    except InputError:
        if not parameter.startswith("heads"):
            raise
        raise InputError(
            f"{parameter} from {ends[0]:g} to {ends[1]:g} found: 0 cannot be an end, because "
            "heads of A = 0 are none; expected two other numbers"
        ) from None
