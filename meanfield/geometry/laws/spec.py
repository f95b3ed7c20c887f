"""Laws to and from the tables of a TOML case.

Owns the names of laws and their keys, and the messages for what is wrong in a table; each names the
key path, such as ``initial.components[1].concentration``. The laws check their own values.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Union

import numpy as np

from meanfield.errors import InputError, suggest
from meanfield.geometry.laws.base import Law, check_dimension, real, vector
from meanfield.geometry.laws.byposition import ByPosition
from meanfield.geometry.laws.cap import Cap
from meanfield.geometry.laws.closed import (
    AngularGaussian,
    PoissonKernel,
    Uniform,
    VonMisesFisher,
)
from meanfield.geometry.laws.files import load_function, read_tabulated
from meanfield.geometry.laws.function import FunctionDensity
from meanfield.geometry.laws.mixture import Mixture, standard_density
from meanfield.geometry.laws.modes import Fourier, Gegenbauer, Harmonic
from meanfield.geometry.laws.recorded import RecordedLaw
from meanfield.geometry.laws.tables import FileLaw, FunctionLaw, StandardLaw
from meanfield.geometry.laws.tabulated import TabulatedDensity, TabulatedProfile
from meanfield.options import Field, as_table, options_of

__all__ = ["LAWS", "LAW_TYPES", "LawTable", "law_from_spec", "law_to_spec"]


@dataclass(frozen=True)
class _Table:
    """One TOML table on its way to a law: its entries, where it stands, and what it must fit."""

    entries: Mapping[str, object]
    where: str
    d: int
    base_dir: Path | None
    extra: frozenset[str] = frozenset()

    def at(self, key: str) -> str:
        return f"{self.where}.{key}"

    def fail(self, key: str, message: str) -> InputError:
        return InputError(f"{self.at(key)}: {message}")

    def numbers(self, key: str) -> tuple[float, ...]:
        return vector(self.entries.get(key, ()), self.at(key))

    def vector(self, key: str) -> tuple[float, ...]:
        """A vector of d numbers, or the name of a signed coordinate axis such as "-e_3"."""
        value = self.entries[key]
        if isinstance(value, str):
            sign, name = (-1.0, value[1:]) if value.startswith("-") else (1.0, value)
            axes = {f"e_{i + 1}": i for i in range(self.d)} | {"e_d": self.d - 1}
            if name not in axes:
                raise self.fail(
                    key,
                    f"found {value!r}, expected {self.d} numbers or an axis, 'e_1' to "
                    f"'e_{self.d}' (with a minus sign for the opposite direction)",
                )
            unit = np.zeros(self.d)
            unit[axes[name]] = sign
            return tuple(unit.tolist())
        found = vector(value, self.at(key))
        self.fits(key, len(found), f"{len(found)} numbers")
        return found

    def fits(self, key: str, length: int, found: str) -> None:
        if length != self.d:
            raise self.fail(
                key, f"found {found}, expected {self.d} (the geometry has d = {self.d})"
            )

    def only_in(self, d: int, sphere: str) -> None:
        if self.d != d:
            raise self.fail(
                "type",
                f"found '{self.entries['type']}', a law on the {sphere} (d = {d}), expected one "
                f"for d = {self.d}; for a zonal geometry use 'gegenbauer'",
            )

    def text(self, key: str) -> str:
        value = self.entries[key]
        if not isinstance(value, str) or not value:
            raise self.fail(key, f"found {value!r}, expected a text in quotes")
        return value

    def path(self) -> Path:
        path = Path(self.text("path")).expanduser()
        return path if self.base_dir is None else self.base_dir / path

    def tables(self, key: str) -> list[Mapping[str, object]]:
        value = self.entries[key]
        if not isinstance(value, list | tuple) or not value:
            raise self.fail(key, f"found {value!r}, expected a list of tables, at least one")
        for i, entry in enumerate(value):
            if not isinstance(entry, Mapping):
                raise self.fail(f"{key}[{i}]", f"found {entry!r}, expected a table")
        return list(value)


@contextlib.contextmanager
def _within(where: str) -> Iterator[None]:
    """Put the key path before the message of a law, which starts with the name of its field."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{where}.{error}") from error


def _uniform(table: _Table) -> Law:
    return Uniform(table.d)


def _von_mises_fisher(table: _Table) -> Law:
    mean = table.vector("mean")
    concentration = real(table.entries["concentration"], table.at("concentration"), "a number >= 0")
    with _within(table.where):
        return VonMisesFisher(mean, concentration)


def _mixture(table: _Table) -> Law:
    components: list[Law] = []
    weights: list[float] = []
    for i, entry in enumerate(table.tables("components")):
        where = table.at(f"components[{i}]")
        if "weight" not in entry:
            raise InputError(f"{where}.weight: missing, expected a number >= 0")
        weight = real(entry["weight"], f"{where}.weight", "a number >= 0")
        if weight < 0.0:
            raise InputError(f"{where}.weight: found {weight:g}, expected a number >= 0")
        weights.append(weight)
        inner = _Table(entry, where, table.d, table.base_dir, frozenset({"weight"}))
        components.append(_law(inner))
    if not sum(weights) > 0.0:
        raise table.fail("components", "found weights that are all zero, expected a positive sum")
    with _within(table.where):
        return Mixture(components, weights)


def _by_position(table: _Table) -> Law:
    ends = []
    for key in ("first", "last"):
        entries = table.entries[key]
        if not isinstance(entries, Mapping):
            raise table.fail(key, f"found {entries!r}, expected a table of a law")
        ends.append(_law(_Table(entries, table.at(key), table.d, table.base_dir)))
    with _within(table.where):
        return ByPosition(*ends)


def _harmonic(table: _Table) -> Law:
    table.only_in(3, "sphere")
    modes: list[tuple[int, int, float]] = []
    for i, entry in enumerate(table.tables("modes")):
        inner = _Table(entry, table.at(f"modes[{i}]"), table.d, table.base_dir)
        _check_keys(inner, ("l", "m", "amplitude"), ())
        # The law itself refuses what is not an integer; the cast is for the type checker alone.
        modes.append((entry["l"], entry["m"], entry["amplitude"]))  # type: ignore[arg-type]
    with _within(table.where):
        return Harmonic(tuple(modes))


def _fourier(table: _Table) -> Law:
    table.only_in(2, "circle")
    if "cos" not in table.entries and "sin" not in table.entries:
        raise table.fail("cos", "missing, and 'sin' too; expected the amplitudes of the modes")
    cos, sin = table.numbers("cos"), table.numbers("sin")
    with _within(table.where):
        return Fourier(cos, sin)


def _gegenbauer(table: _Table) -> Law:
    coefficients = table.numbers("coefficients")
    axis = table.vector("axis") if "axis" in table.entries else None
    with _within(table.where):
        return Gegenbauer(table.d, coefficients, axis)


def _poisson_kernel(table: _Table) -> Law:
    value = table.entries["w"]
    if isinstance(value, int | float) and not isinstance(value, bool):
        w: tuple[float, ...] = (*(0.0,) * (table.d - 1), real(value, table.at("w"), "a number"))
    else:
        w = vector(value, table.at("w"))
        table.fits("w", len(w), f"{len(w)} numbers")
    with _within(table.where):
        return PoissonKernel(w)


def _angular_gaussian(table: _Table) -> Law:
    value = table.entries["matrix"]
    if not isinstance(value, list | tuple):
        raise table.fail(
            "matrix",
            f"found {value!r}, expected {table.d} rows of {table.d} numbers, or {table.d} numbers "
            "for a diagonal matrix",
        )
    table.fits("matrix", len(value), f"{len(value)} entries")
    rows: object = value
    if not any(isinstance(row, list | tuple) for row in value):
        rows = np.diag(vector(value, table.at("matrix"))).tolist()
    with _within(table.where):
        return AngularGaussian(rows)  # type: ignore[arg-type] # the law checks every row


def _cap(table: _Table) -> Law:
    centre = table.vector("centre")
    angle = real(table.entries["angle"], table.at("angle"), "an angle in (0, pi], in radians")
    with _within(table.where):
        return Cap(centre, angle)


def _file(table: _Table) -> Law:
    path, array = table.path(), table.text("array")
    given = table.entries.get("time")
    time = None if given is None else real(given, table.at("time"), "a number")
    with _within(table.where):
        return read_tabulated(path, array, table.d, time)


def _function(table: _Table) -> Law:
    path, name = table.path(), table.text("name")
    zonal = table.entries.get("zonal", False)
    if not isinstance(zonal, bool):
        raise table.fail("zonal", f"found {zonal!r}, expected true or false")
    bound = table.entries.get("bound")
    number = None if bound is None else real(bound, table.at("bound"), "a positive number")
    with _within(table.where):
        function = load_function(path, name)
        return FunctionDensity(function, table.d, zonal, number, (str(path.resolve()), name))


def _standard(table: _Table) -> Law:
    table.only_in(3, "sphere")
    return standard_density()


_KINDS: tuple[tuple[type, Callable[[_Table], Law]], ...] = (
    (Uniform, _uniform),
    (VonMisesFisher, _von_mises_fisher),
    (Mixture, _mixture),
    (ByPosition, _by_position),
    (Harmonic, _harmonic),
    (Fourier, _fourier),
    (Gegenbauer, _gegenbauer),
    (PoissonKernel, _poisson_kernel),
    (AngularGaussian, _angular_gaussian),
    (Cap, _cap),
    (FileLaw, _file),
    (FunctionLaw, _function),
    (StandardLaw, _standard),
)
LAWS: dict[str, type] = {str(kind.type): kind for kind, _ in _KINDS}  # type: ignore[attr-defined]
"""The options of each law by the name that ``type`` has in its table."""
_BUILD = {name: build for name, (_, build) in zip(LAWS, _KINDS, strict=True)}

LAW_TYPES = tuple(LAWS)
"""The names that ``type`` may have in the table of a law."""

LawTable: object = Annotated[Union[tuple(LAWS.values())], Field(discriminator="type")]  # noqa: UP007
"""The table of a law, for the schema."""


def _check_keys(table: _Table, required: tuple[str, ...], optional: tuple[str, ...]) -> None:
    valid = (*required, *optional)
    for key in table.entries:
        if key not in valid and key not in table.extra and key != "type":
            known = ", ".join((*sorted(table.extra), *valid)) or "no key but 'type'"
            raise table.fail(
                str(key),
                f"unknown key{suggest(str(key), (*table.extra, *valid))}, expected: {known}",
            )
    for key in required:
        if key not in table.entries:
            raise table.fail(key, f"missing, expected: {', '.join(required)}")


def _law(table: _Table) -> Law:
    kind = table.entries.get("type")
    names = ", ".join(LAW_TYPES)
    if kind is None:
        raise table.fail("type", f"missing, expected one of: {names}")
    if not isinstance(kind, str) or kind not in LAWS:
        if kind == "python":
            raise table.fail(
                "type", "found 'python', a law that was made in Python and is in no file: go on "
                "with its run by --resume, or run the script again"
            )  # fmt: skip
        hint = suggest(kind, LAW_TYPES) if isinstance(kind, str) else ""
        raise table.fail("type", f"found {kind!r}{hint}, expected one of: {names}")
    options = options_of(LAWS[kind], "")
    _check_keys(
        table,
        tuple(option.key for option in options if option.default is None),
        tuple(option.key for option in options if option.default is not None),
    )
    return _BUILD[kind](table)


def law_from_spec(
    spec: Mapping[str, object], d: int, base_dir: Path | None = None, where: str = "initial"
) -> Law:
    """Make a law from a TOML table such as ``{type = "cap", centre = [0, 0, 1], angle = 0.5}``.

    Directions (``mean``, ``centre``, ``axis``) are d numbers of any length but zero, or the name
    of a coordinate axis: "e_1", ..., "-e_3", "e_d". ``w`` of the Poisson kernel may be one number,
    its last coordinate. ``matrix`` may be d numbers, its diagonal.

    Args:
        spec: the table; ``type`` is one of ``LAW_TYPES``.
        d: dimension of the space around the sphere that the geometry has.
        base_dir: folder that relative paths start from; the working directory if None.
        where: key path of the table, for messages.

    Raises:
        InputError: for an unknown type or key, a missing key, or a value that cannot be used.
    """
    if not isinstance(spec, Mapping):
        raise InputError(f"{where}: found {spec!r}, expected a table with a 'type'")
    return _law(_Table(spec, where, check_dimension(d), base_dir))


def law_to_spec(law: Law) -> dict[str, object]:
    """The table that ``law_from_spec`` makes the same law from; paths are absolute.

    Raises:
        InputError: for a law made in Python from a function or values that are in no file.
    """
    match law:
        case Mixture():
            parts = zip(law.weights, law.components, strict=True)
            tables = [{"weight": weight, **law_to_spec(part)} for weight, part in parts]
            return {"type": law.type, "components": tables}
        case ByPosition():
            ends = {"first": law_to_spec(law.first), "last": law_to_spec(law.last)}
            return {"type": law.type, **ends}
        case Harmonic():
            modes = [{"l": degree, "m": m, "amplitude": a} for degree, m, a in law.modes]
            return {"type": law.type, "modes": modes}
        case RecordedLaw():
            return dict(law.table)
        case Uniform() | VonMisesFisher() | Fourier() | Gegenbauer() | PoissonKernel() | Cap():
            return as_table(law)
        case AngularGaussian():
            return {"type": law.type, "matrix": [list(row) for row in law.matrix]}
        case TabulatedDensity() | TabulatedProfile() if law.source is not None:
            return {
                "type": "file",
                **dict(zip(("path", "array", "time"), law.source, strict=False)),
            }
        case FunctionDensity() if law.source is not None:
            bound = {} if law.bound is None else {"bound": law.bound}
            zonal = {"zonal": True} if law.zonal else {}
            path, name = law.source
            return {"type": "function", "path": path, "name": name, **zonal, **bound}
    raise InputError(
        f"found a law that is in no file ({law.describe()}), expected one that a table can name; "
        "write the function or the values to a file and load them from there"
    )
