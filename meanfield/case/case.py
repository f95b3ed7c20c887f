"""A whole case: everything that defines a run."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import BeforeValidator, PlainValidator, ValidationInfo

from meanfield.arguments import checked_arguments
from meanfield.case.auto import auto_solver
from meanfield.case.equiangular import check_law
from meanfield.case.files import digest_of, emit_toml, read_table
from meanfield.case.gaussians import Gaussians, clusters_of
from meanfield.case.geometry import Geometry, Unmeshed
from meanfield.case.masks import refuse_mask, refuse_number
from meanfield.case.memory import GivenGeometry, refuse_function
from meanfield.case.model import Model
from meanfield.case.normalisation import (
    TOKENS,
    Normalisation,
    refuse_in_density,
    refuse_normalisation,
)
from meanfield.case.numbered import numbered
from meanfield.case.output import Output
from meanfield.case.pretrained.fitting import check_pretrained
from meanfield.case.pretrained.option import refuse_pretrained
from meanfield.case.reference import check_top_level
from meanfield.case.slices import settled_slices
from meanfield.case.solvers import Auto, Density, Eulerian, Lagrangian, Layers, Solver, Tokens
from meanfield.case.time import Time
from meanfield.case.titles import MAX_TITLE, escaped, resolved_title
from meanfield.checks import as_found, set_checked
from meanfield.errors import InputError
from meanfield.geometry.laws import (
    FunctionDensity,
    Law,
    LawTable,
    density_law,
    law_from_spec,
    law_to_spec,
)
from meanfield.geometry.laws.recorded import RecordedLaw, is_elsewhere
from meanfield.options import Counted, Field, Text, as_table, made_from, options

__all__ = ["Case"]

_FREE = {"title", "output.figures", "output.checkpoint_minutes"}
"""What a run that goes on may change, beside ``time``."""

_WEIGHTS = "model.pretrained.folder"

MAX_STEPS = 1e9  # of a fixed length: more would take years
MAX_BETA_FLOAT32 = 80.0  # e^88 is the largest float32


@dataclass(frozen=True)
class _Table:
    """The table of a law, until the geometry is known; files are found from ``base``.

    ``recorded``: not to be read, where it names a file or a law made in Python and is not needed.
    """

    entries: Mapping[str, object]
    base: Path | None
    recorded: bool = False

    def law(self, d: int, needed: bool) -> Law:
        lost = self.entries.get("type") == "python"
        if self.recorded and is_elsewhere(self.entries) and (lost or not needed):
            return RecordedLaw(self.entries, d)
        return law_from_spec(self.entries, d, self.base)


@dataclass(frozen=True)
class _Given:
    """A function, or values at vertices, until the geometry is known."""

    density: object

    def law(self, geometry: Geometry) -> Law:
        """The law that it is on a geometry."""
        on = geometry.manifold
        if callable(self.density):
            return FunctionDensity(self.density, geometry.d, zonal=on.latitudes)
        if isinstance(geometry, Unmeshed):
            raise InputError(
                f"found {as_found(self.density)}, expected a law or a function: the geometry "
                f"'{geometry.type}' has no vertices"
            )
        return density_law(geometry.build_mesh(), self.density)


def _law(value: object, info: ValidationInfo) -> Law | _Table | _Given:
    if isinstance(value, _Table):
        return value
    if isinstance(value, Mapping):
        return _Table(value, Path(info.context["base"]) if info.context else None)
    if info.context:
        raise InputError(f"initial: expected a section [initial], found {as_found(value)}")
    if isinstance(value, Law) and not isinstance(value, type):
        return value
    refuse_function(value)
    if isinstance(value, np.ndarray | list | tuple) or callable(value):
        return _Given(value)
    raise InputError(
        "initial: expected a law such as meanfield.standard_density(), a function of unit vectors "
        f"(n, d), or an array with a number for each vertex, found {as_found(value)}"
    )


def _solver(value: object) -> object:
    """A solver by its type alone; a table without one is of the first type."""
    if isinstance(value, str):
        return {"type": value}
    if isinstance(value, Mapping) and "type" not in value:
        return {"type": Eulerian.type, **value}
    return value


if TYPE_CHECKING:
    SolverTable = Solver
else:
    SolverTable = Annotated[Solver | Auto, Field(discriminator="type"), BeforeValidator(_solver)]


def _one_line(value: object) -> object:
    if isinstance(value, str) and "\n" in value:
        raise InputError("expected one line, found a line break")
    if isinstance(value, str) and len(value) > MAX_TITLE:
        raise InputError(f"expected at most {MAX_TITLE} letters, found {len(value)}")
    return value


@options("", kw_only=True)
class Case:
    """Everything that defines a run.

    Raises:
        InputError: for anything out of type or range, or parts that do not fit together.

    >>> mf.Case.from_toml('clustering.toml').heading
    'tokens'
    """

    title: Annotated[Text, BeforeValidator(_one_line)] = "Mean-field self-attention"
    """One line for people; ``{model.beta}`` stands for what the case has for that key, and
    ``{model.beta:.2f}`` for it in that format. A brace that is meant is written twice: {{ or }}."""
    seed: Counted = Field(default=0, ge=0, le=2**63 - 1)
    """Of every random number of the run."""
    geometry: GivenGeometry
    """``Sphere``, ``Circle``, ``Zonal``, ``MeshFile``; for tokens ``Unmeshed``, too. From Python a
    ``Mesh``, too."""
    model: Model = Field(examples=[{"attention": "sa", "beta": 4.0}])
    """Who pulls whom, and the diffusion."""
    initial: Annotated[Law, PlainValidator(_law, json_schema_input_type=LawTable)] = Field(
        examples=[{"type": "standard"}]
    )
    """The initial law (``meanfield.geometry.laws``), in the same dimension. From Python also its
    density: a function from (n, d) unit vectors to (n,) values >= 0, or an array with a value for
    each vertex of the mesh, in the order of its file; both in any unit."""
    solver: SolverTable = Field(default=Eulerian())
    """Of a density (``Eulerian``, ``Implicit``, ``Lagrangian``, ``Gaussians``) or of tokens
    (``Particles``, ``Layers``); its name alone, such as "auto", takes the default options."""
    time: Time = Field(examples=[{"end": 12.0}])
    """End, output times, stopping."""
    output: Output = Field(default=Output())
    """Files."""

    def __post_init__(self) -> None:
        initial: object = self.initial
        if isinstance(initial, _Table):
            set_checked(self, "initial", initial.law(self.geometry.d, self._needs_law))
        elif isinstance(initial, _Given):
            try:
                set_checked(self, "initial", initial.law(self.geometry))
            except InputError as error:
                raise InputError(f"initial: {error}") from error
        if self.initial.d != self.geometry.d:
            raise InputError(
                f"initial: the law lives in dimension d = {self.initial.d}, but the geometry "
                f"'{self.geometry.type}' has d = {self.geometry.d}"
            )
        given: Solver | Auto = self.solver
        if isinstance(given, Lagrangian):
            set_checked(self, "solver", settled_slices(given, self.model))
        elif isinstance(given, Auto | Density):
            refuse_mask(self.model, "a density on a mesh that stays")
        if isinstance(given, Auto | Density):
            refuse_pretrained(self.model, "a density")
            moving = isinstance(given, Lagrangian)
            if moving and self.model.ordered:
                scheme, who = self.model.normalisation, "densities by position do not have"
                refuse_normalisation(scheme, who, TOKENS)
            refuse_in_density(self.model.normalisation, moving)
        set_checked(self, "model", numbered(self.model, given, self.geometry.d))
        if isinstance(given, Auto):
            set_checked(self, "solver", auto_solver(self.geometry, self.model, self.time))
        self.solver.suits(self.geometry, self.model)
        check_law(self.solver, self.initial)
        if isinstance(self.solver, Gaussians):
            clusters_of(self.initial)
        check_pretrained(self.model, self.geometry, self.solver, self.time)
        if isinstance(self.solver, Tokens) and self.solver.number is not None:
            refuse_number(self.model, self.solver.number)
        scheme = self.model.normalisation
        centred = isinstance(scheme, Normalisation) and scheme.centre
        self.output.suits(isinstance(self.solver, Tokens), self.model.diffuses, centred)
        self.output.suits_solver(self.solver, self.model)
        self._check_precision()
        self._check_steps()
        if self.geometry.manifold.latitudes and not self.initial.is_zonal():
            raise InputError(
                "initial: a zonal geometry needs a law that is symmetric about the last "
                "coordinate axis (directions along e_d only)"
            )
        try:
            resolved_title(self.title, self._told())
        except InputError as error:
            raise InputError(f"title: {error}") from None

    def _told(self) -> Mapping[str, object]:
        """The table that a title has its values from; made only where it has some."""
        return self.to_dict() if "{" in self.title else {}

    def _check_steps(self) -> None:
        if isinstance(self.solver, Layers):
            self.solver.refuse_times(self.output_times(), self.model)
        dt = getattr(self.solver, "dt", None)
        if dt is not None and self.time.end / dt > MAX_STEPS:
            raise InputError(
                f"solver.dt: {dt:g} until time.end = {self.time.end:g} makes "
                f"{self.time.end / dt:.3g} steps, expected at most {MAX_STEPS:g}"
            )

    @property
    def _needs_law(self) -> bool:
        """Whether the density of any time is made of the initial one."""
        return self.output.mesh == "fixed"

    def _check_precision(self) -> None:
        if not all(value.known for value in self.model.moving.values()):
            return  # the record of a run, which none can be made of
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

    # ---- reading -----------------------------------------------------------------------------

    @classmethod
    @checked_arguments
    def from_toml(
        cls,
        path: str | os.PathLike[str],
        overrides: Iterable[str] | Mapping[str, object] = (),
        *,
        recorded: bool = False,
    ) -> Case:
        """Read a case file.

        Args:
            path: the TOML file; files it names are found relative to its folder.
            overrides: "model.beta=9" lines with TOML values (a bare word is a text), or a mapping
                from key paths to values; applied before anything is checked.
            recorded: the case is that of a run which was begun: its initial law is not read again,
                if it is in a file or was made in Python.

        Raises:
            InputError: naming the file, the key, what was expected and what was found.
        """
        path = Path(path)
        raw = read_table(path, overrides)
        try:
            return cls.from_dict(raw, path.parent, recorded=recorded)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None

    @classmethod
    @checked_arguments
    def from_dict(
        cls,
        raw: Mapping[str, object],
        base_dir: str | os.PathLike[str] = ".",
        *,
        recorded: bool = False,
    ) -> Case:
        """Make a case from the nested dictionary that its TOML file would give.

        Args:
            raw: sections and keys as in a case file.
            base_dir: folder that relative file names start from.
            recorded: as for ``from_toml``.

        Raises:
            InputError: unknown or missing key, wrong type, out of range.
        """
        check_top_level(raw)
        initial = raw.get("initial")
        if recorded and isinstance(initial, Mapping):
            raw = {**raw, "initial": _Table(initial, Path(base_dir), recorded=True)}
        if recorded and isinstance(title := raw.get("title"), str):
            raw = {**raw, "title": escaped(title, raw)}
        return made_from(cls, raw, base_dir)

    # ---- writing -----------------------------------------------------------------------------

    def to_dict(self) -> dict[str, object]:
        """Give the resolved case as the nested dictionary of its TOML file, defaults included.

        A law made in Python from a function or values that are in no file has no table: it is
        described in words under the type "python", which cannot be read back.
        """
        try:
            initial = law_to_spec(self.initial)
        except InputError:
            initial = {"type": "python", "description": self.initial.describe()}
        return {
            "title": self.title,
            "seed": self.seed,
            "geometry": as_table(self.geometry),
            "model": self.model.table(),
            "initial": initial,
            "solver": as_table(self.solver),
            "time": self.time.table(),
            "output": as_table(self.output),
        }

    def to_toml(self) -> str:
        """Give the resolved case as TOML text that ``from_toml`` reads back to an equal case.

        Except for a law made in Python, see ``to_dict``.
        """
        return emit_toml(self.to_dict())

    # ---- questions ---------------------------------------------------------------------------

    @property
    def heading(self) -> str:
        """The title with its values, as it is shown: "beta = {model.beta}" -> "beta = 4"."""
        return resolved_title(self.title, self._told())

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
            key for key in self.differences(old) if key not in _FREE and not key.startswith("time.")
        ]

    def file_digests(self, *, law: bool = False) -> dict[str, str]:
        """SHA-256 of each file that the state of a run hangs on at every moment, by its key path.

        Those of the mesh, of a kernel, of tokens, of a folder of weights; that of the initial law
        only where the density of later times is made of it, or ``law`` asks for it.
        """
        free = ("title",) if law or self._needs_law else ("title", "initial.")
        return {
            key: digest_of(value)
            for key, value in _flatten(self.to_dict())
            if isinstance(value, str)
            and not key.startswith(free)
            and os.path.isabs(value)
            and (os.path.isfile(value) or (key == _WEIGHTS and os.path.isdir(value)))
        }


def _flatten(table: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Key paths and values; a table in a list has its place in the path, ``model.heads.0.beta``."""
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{name}.")
        elif isinstance(value, list) and any(isinstance(v, Mapping) for v in value):
            yield from _flatten({str(i): v for i, v in enumerate(value)}, f"{prefix}{name}.")
        else:
            yield prefix + name, value
