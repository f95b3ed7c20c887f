"""Stationary states and their branches for a case: what the verbs do, and the folders they leave.

Takes geometry, model and initial law from a case; its solver and its times play no part. Finds
states by ``analysis.stationary`` and branches by ``analysis.continuation``, writes tables, arrays,
a density that can be an initial law again, and pictures. Needs no DOLFINx. Knows nothing of the
command line.
"""

from __future__ import annotations

import csv
import dataclasses
import math
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from meanfield.analysis.continuation import COLUMNS, Branch, Diagram, Event
from meanfield.analysis.continuation import branch as follow
from meanfield.analysis.linearised import Spectrum, spectrum
from meanfield.analysis.stationary import Equation, StationaryState, find_stationary
from meanfield.case import Case, Geometry, Model, Unmeshed, emit_toml, read_table
from meanfield.checks import a_parameter
from meanfield.errors import InputError
from meanfield.geometry.laws import Law
from meanfield.geometry.manifolds import Latitudes, Manifold, of_vectors
from meanfield.geometry.mesh import Mesh, usual_mesh, write_mesh
from meanfield.geometry.sphere import Array
from meanfield.interaction.attention import attention_words
from meanfield.options import as_table
from meanfield.results.folder import RunFolder, utc_now
from meanfield.results.plots_stationary import draw_diagram, draw_profile, draw_sphere
from meanfield.software import provenance
from meanfield.whole import save_arrays, whole_file

__all__ = ["BranchResult", "Problem", "StationaryResult", "branch", "draw", "stationary"]

_EVEN = 1e-9  # |m| below which a state is even
_EVENT_NUMBERS = ("parameter", "mean_norm", "free_energy", "c_2")


@dataclass(frozen=True)
class Problem:
    """What defines a stationary state: a case without its solver and its times.

    Attributes:
        title: one line for people.
        geometry, model, initial: as in a case; ``model.kappa`` is positive for a state.
        table: the resolved tables, as they go into case.toml.
    """

    title: str
    geometry: Geometry
    model: Model
    initial: Law
    table: Mapping[str, object]

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
        raw["time"], raw["output"] = {"end": 1.0}, {}
        kappa: Any = 0.0  # checked with the model that gets it
        if isinstance(given := raw.get("model"), Mapping):
            raw["model"] = {name: value for name, value in given.items() if name != "kappa"}
            kappa = given.get("kappa", kappa)
        geometry = raw.get("geometry")
        if isinstance(geometry, Mapping) and geometry.get("type") == Unmeshed.type:
            raw["solver"] = {"type": "particles", "number": 1}
        try:
            case = Case.from_dict(raw, path.parent)
            model = dataclasses.replace(case.model, kappa=kappa)
            return cls._of(case, model, solver if isinstance(solver, Mapping) else None)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None

    @classmethod
    def from_case(cls, case: Case) -> Problem:
        """Take geometry, model and initial law of a case."""
        return cls._of(case, case.model, as_table(case.solver))

    @classmethod
    def _of(cls, case: Case, model: Model, solver: Mapping[str, object] | None) -> Problem:
        table = case.to_dict()
        table["model"] = {**case.model.table(), "kappa": model.kappa}
        for name in ("solver", "time", "output"):
            table.pop(name)
        if solver is not None:
            table["solver"] = dict(solver)
        return cls(case.title, case.geometry, model, case.initial, table)

    def to_toml(self) -> str:
        """The resolved case as TOML."""
        return emit_toml(dict(self.table))

    def equation(self, **changes: float) -> Equation:
        """The stationary equation, with kappa or numbers of the interaction changed.

        Raises:
            InputError: kappa is not positive, or a number is out of its range.
        """
        model = self.model
        for name, value in changes.items():
            model = model.replaced(name, value)
        if model.kappa == 0.0:
            raise InputError(
                "model.kappa: found 0, expected noise, kappa > 0, for a stationary density; add "
                "for example --set model.kappa=0.1"
            )
        return Equation(model.term, model.kappa, self.geometry.d)

    @property
    def manifold(self) -> Manifold:
        """Geometry in which states are found.

        Raises:
            InputError: d > 3 without a mesh, and a law that is not symmetric about e_d.
        """
        on = self.geometry.manifold
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


# --------------------------------------------------------------------------------------------
# One state


@dataclass(frozen=True)
class StationaryResult:
    """A stationary state of a case.

    Attributes:
        state: the state.
        spectrum: leading eigenvalues of the linearisation at it.
        folder: where it was written.
    """

    state: StationaryState
    spectrum: Spectrum
    folder: Path

    def rows(self) -> list[tuple[str, str]]:
        """Words for people: name and value."""
        state, model = self.state, self.state.equation.interaction
        leading = ", ".join(_complex(v) for v in self.spectrum.leading_mode.eigenvalues[:4])
        rows = [
            ("state", describe(state)),
            ("c_1 = |m|", f"{state.mean_norm:.12g}"),
            ("c_2", f"{state.c2:.12g}"),
            ("E", f"{state.energy:.12g}"),
            ("H", f"{state.entropy:.12g}"),
        ]
        if model.energy_kind == "gradient":
            rows.append(("F - F_uniform", f"{state.free_energy:.12g}"))
        fixed, newton = state.iterations
        rows += [
            ("residual", f"{state.residual:.1e} ({fixed} fixed-point, {newton} Newton steps)"),
            ("eigenvalues", f"{leading}{_order_words(self.spectrum)}"),
        ]
        if not math.isnan(self.spectrum.rotation_error):
            rows.append(("rotations", f"{self.spectrum.rotation_error:.1e} (exact: 0)"))
        rows.append(("verdict", verdict(self.spectrum)))
        return rows


def describe(state: StationaryState) -> str:
    """Words for which state it is."""
    if state.is_uniform:
        return "uniform"
    if not state.is_axially_symmetric:
        return "not uniform, without an axis of symmetry"
    where = f"e_{state.grid.d}" if state.grid.manifold.latitudes else _direction(state.axis)
    odd = "" if state.mean_norm > 1e-7 else ", even (its mean vanishes)"
    return f"not uniform, symmetric about {where}{odd}"


def _direction(axis: Array) -> str:
    return f"({', '.join(f'{c:.4g}' for c in np.where(np.abs(axis) < 1e-9, 0.0, axis))})"


def verdict(found: Spectrum) -> str:
    """Words for the stability."""
    leading = found.leading
    if found.is_stable:
        return f"linearly stable: perturbations decay like e^({leading:.4g} t) or faster"
    if leading <= 1e-9:
        return "neutral to round-off: at a critical value"
    return f"linearly UNSTABLE: perturbations grow like e^({leading:.4g} t)"


def _order_words(found: Spectrum) -> str:
    order = found.leading_mode.order
    return f" (azimuthal order {order})" if order >= 0 else ""


def _complex(value: complex) -> str:
    if abs(value.imag) < 1e-12 * max(abs(value), 1.0):
        return f"{value.real:.8g}"
    return f"{value.real:.8g}{value.imag:+.8g}i"


def stationary(
    problem: Problem | Case,
    folder: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    progress: bool | None = None,
    announce: Callable[[], None] | None = None,
) -> StationaryResult:
    """Find the stationary state to which the initial law of a case leads, and write it.

    The folder gets stationary.csv (one row of numbers), eigenvalues.csv, state.npz (moments, nodes,
    density), density.vtu (for ParaView, and to start from: ``type = "file"``, array "rho"),
    figures/, case.toml and run.json.

    Args:
        problem: a case, or what remains of it.
        folder: for the results.
        overwrite: replace what is in it.
        progress: show the iterations; None: on a terminal.
        announce: called when what can be checked beforehand has been, before the work begins.

    Raises:
        InputError: what cannot be done, before anything is written.
        BrokenInvariantError: no convergence.
    """
    problem = Problem.from_case(problem) if isinstance(problem, Case) else problem
    equation, kind = problem.equation(), problem.manifold.name
    RunFolder.check(folder, overwrite)
    mesh = problem.mesh()
    if announce is not None:
        announce()
    with _bar(progress, "iterations") as bar:

        def show(count: int, residual: float) -> None:
            bar.set_postfix_str(f"residual {residual:.1e}", refresh=False)
            bar.update()

        state = find_stationary(equation, problem.initial, kind, show)
    result = StationaryResult(state, spectrum(state), Path(folder))
    run = _open(problem, Path(folder), overwrite, {"kind": "stationary"})
    _write_state(result, mesh, run)
    _finish(run, result.rows(), problem.title)
    return result


def _write_state(result: StationaryResult, mesh: Mesh, run: RunFolder) -> None:
    state, found = result.state, result.spectrum
    equation = state.equation
    named = equation.interaction.columns
    last: dict[str, Any] = {
        name: named.pop(name) for name in ("value", "strength", "link") if name in named
    }
    numbers: dict[str, Any] = {
        **named,
        "kappa": equation.kappa,
        "d": equation.d,
        **last,
        "c_1": state.mean_norm,
        "c_2": state.c2,
        "energy": state.energy,
        "entropy": state.entropy,
        "free_energy": state.free_energy,
        "residual": state.residual,
        "leading": found.leading,
        "stable": int(found.is_stable),
        "uniform": int(state.is_uniform),
    }
    _write_csv(run.file("stationary.csv"), list(numbers), [list(numbers.values())])
    eigenvalues = [[mode.order, v.real, v.imag] for mode in found.modes for v in mode.eigenvalues]
    _write_csv(run.file("eigenvalues.csv"), ["order", "real", "imag"], eigenvalues)
    rho = state.density(mesh.points)
    with np.errstate(divide="ignore"):
        log_rho = np.log(rho)
    save_arrays(
        run.file("state.npz"),
        moments=state.moments, degrees=state.grid.degrees, points=state.grid.points,
        weights=state.grid.weights, log_rho=state.log_rho,
    )  # fmt: skip
    fields = {"rho": rho, "log10_rho": np.maximum(log_rho / math.log(10.0), -300.0)}
    write_mesh(run.file("density.vtu"), mesh, overwrite=True, fields=fields)


# --------------------------------------------------------------------------------------------
# Branches


@dataclass(frozen=True)
class BranchResult:
    """A bifurcation diagram of a case.

    Attributes:
        diagram: the branches.
        note: how a case on the sphere or the circle was made axially symmetric, or "".
        folder: where it was written.
    """

    diagram: Diagram
    note: str
    folder: Path

    def rows(self) -> list[tuple[str, str]]:
        """Words for people: name and value."""
        diagram, name = self.diagram, self.diagram.parameter
        rows = [("symmetry", self.note)] if self.note else []
        critical = ", ".join(f"{name} = {p:.9g}" for p in diagram.critical)
        rows.append(("uniform", f"changes its stability at {critical}" if critical else
                     f"{'stable' if bool(diagram.branches[0].stable[0]) else 'unstable'} "
                     "on the whole interval"))  # fmt: skip
        for found in diagram.branches[1:]:
            p = found.column("parameter")
            rows.append(
                (found.name, f"{len(p)} points from {name} = {p[0]:.6g} to {p[-1]:.6g}; "
                             f"end: {found.stopped}")
            )  # fmt: skip
            for event in found.events:
                if event.kind in ("fold", "equal free energy", "branch point"):
                    even = event.mean_norm < _EVEN  # what tells its order then is c_2
                    size = f"c_2 = {event.c_2:.6g}" if even else f"|m| = {event.mean_norm:.6g}"
                    rows.append((event.kind, f"{name} = {event.parameter:.9g}, {size}"))
        rows.append(("transition", self._transition()))
        return [*rows, *(("warning", text) for text in self.warnings)]

    @property
    def warnings(self) -> list[str]:
        """What is missing: branches that were not followed to their end."""
        ends = ("the uniform state", "the end of the interval")
        return [
            f"{b.name} was not followed to its end: {b.stopped}"
            for b in self.diagram.branches
            if b.stopped not in ends
        ]

    def _transition(self) -> str:
        """What happens at the critical value, from the state next to it on the branch."""
        diagram, name = self.diagram, self.diagram.parameter
        if len(diagram.branches) == 1:
            return "no state but the uniform one was found on the interval"
        folds = [event.parameter for event in diagram.events("fold")]
        for found in diagram.branches[1:]:
            leading = found.column("leading")
            for end, beside in ((0, 1), (-1, -2)):
                joins = any(abs(found.table[end, 0] - p) <= 1e-9 * abs(p) for p in diagram.critical)
                if abs(found.table[end, 1]) > 1e-9 or not joins:
                    continue
                if leading[beside] < 0.0:
                    return "continuous: stable states branch off where the uniform one loses it"
                if not folds:
                    return (
                        "first order: unstable states branch off; the fold is not in the interval"
                    )
                low, high = sorted((float(found.table[end, 0]), folds[0]))
                return (
                    f"first order: uniform and clustered are both stable for {name} between "
                    f"{low:.6g} and {high:.6g} (hysteresis)"
                )
        if folds:
            return f"first order: hysteresis ends at the fold, {name} = {folds[0]:.6g}"
        return "none on the interval"


def branch(
    problem: Problem | Case,
    parameter: str,
    start: float,
    end: float,
    folder: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    progress: bool | None = None,
    announce: Callable[[], None] | None = None,
) -> BranchResult:
    """Follow the stationary states of a case through an interval of a parameter, and write them.

    Done in zonal geometry. On the circle or the sphere the state at ``start`` is found in full and
    continued in the symmetry about its axis.

    The folder gets branch.csv (a row for each point, written as they come), events.csv, branch.npz
    (with the moments), figures/, case.toml and run.json.

    Args:
        problem: a case, or what remains of it.
        parameter: "kappa", or a number of the interaction ("beta", or of a kernel).
        start, end: the interval, followed from start to end.
        folder, overwrite, progress, announce: as for ``stationary``.

    Raises:
        InputError: what cannot be done, before anything is written.
        BrokenInvariantError: a state was not found; the points so far are in the folder.
        KeyboardInterrupt: Ctrl-C; likewise.
    """
    problem = Problem.from_case(problem) if isinstance(problem, Case) else problem
    a_parameter(parameter, problem.model.parameters)
    if not (math.isfinite(start) and math.isfinite(end)) or start == end:
        raise InputError(
            f"{parameter} from {start:g} to {end:g} found, two different numbers expected"
        )
    if parameter == "kappa" and min(start, end) <= 0.0:
        raise InputError(f"kappa from {start:g} to {end:g} found, positive numbers expected")
    equation = problem.equation(**{parameter: start})
    problem.equation(**{parameter: end})
    on = problem.manifold
    RunFolder.check(folder, overwrite)
    law, note = _zonal_start(equation, problem.initial, on)
    about = {"kind": "branch", "parameter": parameter, "from": start, "to": end}
    run = _open(problem, Path(folder), overwrite, about)
    if announce is not None:
        announce()
    columns = ["branch", parameter, "mean_norm", *COLUMNS[1:], "stable"]
    try:
        with (
            open(run.file("branch.csv"), "w", encoding="utf-8", newline="") as file,
            _bar(progress, "points") as bar,
        ):
            writer = csv.writer(file)
            writer.writerow(columns)

            def report(name: str, row: Array) -> None:
                writer.writerow(_csv_row(name, row))
                file.flush()
                bar.set_postfix_str(
                    f"{name}: {parameter} = {row[0]:.5g}, |m| = {abs(row[1]):.4f}", refresh=False
                )
                bar.update()

            diagram = follow(equation, parameter, start, end, law, report=report)
    except BaseException as error:
        reason = "interrupted"
        if not isinstance(error, KeyboardInterrupt):
            reason = f"failed: {type(error).__name__}: {error}"
        run.write_run({**run.read_run(), "ended": utc_now(), "stop_reason": reason})
        raise
    result = BranchResult(diagram, note, run.path)
    _write_diagram(result, run)
    _finish(run, result.rows(), problem.title, result.warnings)
    return result


def _zonal_start(equation: Equation, law: Law, on: Manifold) -> tuple[Law | Array, str]:
    """A zonal law, or the moments about its axis of the state on the circle or sphere."""
    if on.latitudes:
        return law, ""
    state = find_stationary(equation, law, on.name)
    if not state.is_axially_symmetric:
        raise InputError(
            f"the state found on the {on.name} has no axis of symmetry (|m| = "
            f"{state.mean_norm:.4g}): expected one that has, to be continued in that symmetry; "
            "start from another law"
        )
    if state.is_uniform:
        note = f"the uniform state on the {on.name}; continued about e_{equation.d}"
    else:
        axis = _direction(state.axis)
        note = f"the state on the {on.name} is symmetric about {axis}: continued in that symmetry"
    return state.zonal_moments(), note


def _csv_row(name: str, row: Array) -> list[Any]:
    values = [f"{v:.17g}" for v in row[1:-1]]
    stable = int(row[COLUMNS.index("leading")] < -1e-9)
    return [name, f"{row[0]:.17g}", f"{abs(row[1]):.17g}", *values, int(row[-1]), stable]


def _write_diagram(result: BranchResult, run: RunFolder) -> None:
    diagram = result.diagram
    events = [
        [b.name, e.kind, e.parameter, e.mean_norm, e.free_energy, e.order, e.c_2]
        for b in diagram.branches
        for e in _told(b, diagram)
    ]
    header = ["branch", "kind", "parameter", "mean_norm", "free_energy", "order", "c_2"]
    _write_csv(run.file("events.csv"), header, events)
    arrays: dict[str, Any] = {}
    for number, found in enumerate(diagram.branches):
        arrays[f"table_{number}"] = found.table
        arrays[f"moments_{number}"] = found.moments
    names = [b.name for b in diagram.branches]
    save_arrays(run.file("branch.npz"), columns=COLUMNS, names=names, **arrays)


def _told(found: Branch, diagram: Diagram) -> tuple[Event, ...]:
    """Events of a branch; those of the uniform one are the critical values."""
    if found.name == "uniform":
        return tuple(Event("critical", p, 0.0, 0.0) for p in diagram.critical)
    return found.events


# --------------------------------------------------------------------------------------------
# Folders


def _bar(progress: bool | None, unit: str) -> Any:
    shown = progress if progress is not None else sys.stderr.isatty()
    return tqdm(unit=f" {unit}", disable=not shown, file=sys.stderr,
                bar_format="{n_fmt}{unit} [{elapsed}{postfix}]")  # fmt: skip


def _open(problem: Problem, path: Path, overwrite: bool, about: Mapping[str, Any]) -> RunFolder:
    run = RunFolder.create(path, overwrite)
    run.write_case(problem)
    model = problem.model
    about = {**about, "interaction": model.describe(), "energy_kind": model.on(problem.geometry)
             .energy_kind}  # fmt: skip
    run.write_run({**provenance(), **about, "started": utc_now(), "ended": None,
                   "stop_reason": None})  # fmt: skip
    return run


def _finish(
    run: RunFolder, rows: list[tuple[str, str]], title: str, warnings: Sequence[str] = ()
) -> None:
    about = {**run.read_run(), "ended": utc_now(), "stop_reason": "done", "summary": rows,
             "title": title, "warnings": list(warnings)}  # fmt: skip
    run.write_run(about)
    figures = draw(run.path)
    run.write_run({**about, "figures": [str(p.relative_to(run.path)) for p in figures]})


def _write_csv(path: Path, header: list[str], rows: list[list[Any]]) -> None:
    with whole_file(path) as part, open(part, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for row in rows:
            writer.writerow([f"{v:.17g}" if isinstance(v, float) else v for v in row])


def draw(folder: str | os.PathLike[str]) -> list[Path]:
    """Draw the pictures of a folder that ``stationary`` or ``branch`` left.

    Raises:
        InputError: it is no such folder, or not finished.
    """
    run = RunFolder.open(folder)
    about = run.read_run()
    if about.get("stop_reason") != "done" or about.get("kind") not in ("stationary", "branch"):
        raise InputError(f"{run.path} holds no finished stationary state or branch to draw")
    if about["kind"] == "branch":
        return [_draw_branch(run, about)]
    return [_draw_state(run, about)]


def _draw_state(run: RunFolder, about: Mapping[str, Any]) -> Path:
    import meshio

    with open(run.path / "stationary.csv", encoding="utf-8", newline="") as file:
        numbers = next(csv.DictReader(file))
    data = meshio.read(run.path / "density.vtu")
    log_rho = data.point_data["log10_rho"] * math.log(10.0)
    stable = "stable" if numbers["stable"] == "1" else "unstable"
    note = (
        f"stationary state, {stable}: {_interaction_words(about, numbers)}, "
        f"kappa = {float(numbers['kappa']):g}, |m| = {float(numbers['c_1']):.6f}, "
        f"leading eigenvalue {float(numbers['leading']):.4g}"
    )
    path, title, d = run.figure("density.png"), str(about["title"]), int(numbers["d"])
    triangles = data.get_cells_type("triangle")
    if len(triangles):
        return draw_sphere(path, data.points, triangles.astype(np.int64), log_rho, title, note)
    on = Latitudes(d) if "theta" in data.point_data else of_vectors(d)
    points = on.from_space(data.points, data.point_data.__getitem__)
    return draw_profile(path, on, points, log_rho, title, note)


def _draw_branch(run: RunFolder, about: Mapping[str, Any]) -> Path:
    with np.load(run.path / "branch.npz") as data:
        columns = [str(name) for name in data["columns"]]
        branches = [
            (str(name), dict(zip(columns, data[f"table_{k}"].T, strict=True)))
            for k, name in enumerate(data["names"])
        ]
    with open(run.path / "events.csv", encoding="utf-8", newline="") as file:
        events = [
            {**row, **{k: float(row.get(k, "nan")) for k in _EVENT_NUMBERS}}
            for row in csv.DictReader(file)
        ]
    falls = about.get("energy_kind", "")
    if not falls:  # a folder of an earlier version
        problem = Problem.from_toml(run.case_path)
        falls = problem.model.on(problem.geometry).energy_kind
    return draw_diagram(
        run.figure("branch.png"), str(about["parameter"]), branches, events,
        falls == "gradient", str(about["title"]),
    )  # fmt: skip


def _interaction_words(about: Mapping[str, Any], numbers: Mapping[str, str]) -> str:
    """Words for the interaction of a folder; from its table in those of earlier versions."""
    return str(about["interaction"]) if "interaction" in about else attention_words(numbers)
