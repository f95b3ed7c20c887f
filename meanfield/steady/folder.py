"""Folders of the verbs ``stationary`` and ``branch``: tables, arrays, a density, and pictures.

Owns what is in them. Knows nothing of how states are found, nor of how pictures are drawn.
"""

from __future__ import annotations

import contextlib
import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from meanfield.figures import make_figures
from meanfield.geometry.mesh import Mesh, write_mesh
from meanfield.geometry.sphere import Array
from meanfield.results.folder import RunFolder
from meanfield.software import provenance, utc_now
from meanfield.steady.diagram import COLUMNS, Branch, Diagram, Event
from meanfield.steady.follow import Report
from meanfield.steady.problem import Problem
from meanfield.steady.spectrum import NEUTRAL, Spectrum
from meanfield.steady.state import StationaryState
from meanfield.whole import save_arrays, write_table

__all__ = [
    "branch_table",
    "finish",
    "open_folder",
    "told_if_broken",
    "write_diagram",
    "write_state",
]

_EXCESS = "free_energy_excess"


def _falls(run: RunFolder) -> bool:
    """Whether there is a free energy, that is: one that falls."""
    return run.read_run()["energy_kind"] == "gradient"


def open_folder(
    problem: Problem, path: Path, overwrite: bool, about: Mapping[str, object]
) -> RunFolder:
    """Make a folder with its case and a record that says ``about`` what it is."""
    run = RunFolder.create(path, overwrite)
    run.write_case(problem)
    model = problem.model
    about = {**about, "interaction": model.describe(), "energy_kind": model.on(problem.geometry)
             .energy_kind}  # fmt: skip
    without = [str(about["parameter"]).rpartition(".")[2]] if "parameter" in about else []
    told = {"title": problem.title, "parameters": problem.parameters(without)}
    run.write_run({**provenance(), **told, **about, "started": utc_now(), "ended": None,
                   "stop_reason": None})  # fmt: skip
    return run


@contextlib.contextmanager
def told_if_broken(run: RunFolder) -> Iterator[None]:
    """Record why the work within ended, if it did not come to its end."""
    try:
        yield
    except BaseException as error:
        reason = "interrupted"
        if not isinstance(error, KeyboardInterrupt):
            reason = f"failed: {type(error).__name__}: {error}"
        run.write_run({**run.read_run(), "ended": utc_now(), "stop_reason": reason})
        raise


def finish(
    run: RunFolder, rows: list[tuple[str, str]], title: str, warnings: Sequence[str] = ()
) -> None:
    """Complete the record, with ``rows`` for people, and draw."""
    about = {**run.read_run(), "ended": utc_now(), "stop_reason": "done", "summary": rows,
             "title": title, "warnings": list(warnings)}  # fmt: skip
    run.write_run(about)
    figures = make_figures(run)
    run.write_run({**about, "figures": [str(p.relative_to(run.path)) for p in figures]})


# --------------------------------------------------------------------------------------------
# A state


def write_state(state: StationaryState, found: Spectrum, mesh: Mesh, run: RunFolder) -> None:
    """Write a state with its spectrum, and its density on a mesh."""
    equation = state.equation
    named = dict(equation.interaction.columns)
    last: dict[str, object] = {
        name: named.pop(name) for name in ("value", "strength", "link") if name in named
    }
    numbers: dict[str, object] = {
        **named,
        "kappa": equation.kappa,
        "d": equation.d,
        **last,
        **({} if equation.external is None else equation.external.parameters),
        "c_1": state.mean_norm,
        "c_2": state.c2,
        "energy": state.energy,
        "entropy": state.entropy,
        _EXCESS: state.free_energy_excess,
        "residual": state.residual,
        "leading": found.leading,
        "stable": int(found.is_stable) if found.is_known else math.nan,
        "uniform": int(state.is_uniform),
    }
    if not _falls(run):
        del numbers[_EXCESS]
    write_table(run.file("stationary.csv"), list(numbers), [list(numbers.values())])
    eigenvalues: list[list[object]] = [
        [mode.order, v.real, v.imag] for mode in found.modes for v in mode.eigenvalues
    ]
    write_table(run.file("eigenvalues.csv"), ["order", "real", "imag"], eigenvalues)
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


def _order_name(run: RunFolder) -> str:
    """What the order parameter of states without a mean is called."""
    return f"c_{run.read_run()['order_degree']}"


@contextlib.contextmanager
def branch_table(run: RunFolder, parameter: str) -> Iterator[Report]:
    """The table of a branch, and what writes each point to it as it comes."""
    with open(run.file("branch.csv"), "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        falls, order = _falls(run), _order_name(run)
        names = [name for name in COLUMNS[1:-1] if falls or name != _EXCESS]
        told = [order if name == "c_2" else name for name in names]
        writer.writerow(["branch", parameter, "mean_norm", *told, "order", "stable"])

        def report(name: str, row: Array) -> None:
            values = [f"{row[COLUMNS.index(column)]:.17g}" for column in names]
            stable = int(row[COLUMNS.index("leading")] < -NEUTRAL)
            writer.writerow(
                [name, f"{row[0]:.17g}", f"{abs(row[1]):.17g}", *values, int(row[-1]), stable]
            )
            file.flush()

        yield report


def write_diagram(diagram: Diagram, run: RunFolder) -> None:
    """Write the special points and the arrays of a diagram."""
    header = ["branch", "kind", "parameter", "mean_norm", _EXCESS, "order", "c_2"]
    if not _falls(run):
        header.remove(_EXCESS)
    events: list[list[object]] = [
        [b.name, *(getattr(e, name) for name in header[1:])]
        for b in diagram.branches
        for e in _told(b, diagram)
    ]
    named = [diagram.order_name if name == "c_2" else name for name in header]
    write_table(run.file("events.csv"), named, events)
    arrays: dict[str, Array] = {}
    for number, found in enumerate(diagram.branches):
        arrays[f"table_{number}"] = found.table
        arrays[f"moments_{number}"] = found.moments
    names = [b.name for b in diagram.branches]
    parents = [b.parent for b in diagram.branches]
    save_arrays(
        run.file("branch.npz"), columns=COLUMNS, names=names, parents=parents, **arrays
    )  # fmt: skip


def _told(found: Branch, diagram: Diagram) -> tuple[Event, ...]:
    """Events of a branch; those of the uniform one are the critical values."""
    if found.name == "uniform":
        excess = float(found.column(_EXCESS)[0])  # 0, or nan
        return tuple(Event("critical", p, 0.0, excess) for p in diagram.critical)
    return found.events


# --------------------------------------------------------------------------------------------
# Pictures
