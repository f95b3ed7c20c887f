"""Stationary states and their branches for a case: what the verbs do.

Finds a state or its branches, says in words what was found, and has it written by ``folder``. Needs
no DOLFINx. Knows nothing of the command line.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from meanfield.arguments import checked_arguments
from meanfield.case import GivenCase
from meanfield.checks import a_parameter
from meanfield.errors import InputError
from meanfield.geometry.sphere import Array
from meanfield.results.folder import RunFolder
from meanfield.steady.diagram import EVEN, Branch, Diagram, Event
from meanfield.steady.equation import Equation
from meanfield.steady.folder import (
    branch_table,
    finish,
    open_folder,
    told_if_broken,
    write_diagram,
    write_state,
)
from meanfield.steady.newton import find_stationary
from meanfield.steady.problem import Problem, first_of
from meanfield.steady.spectrum import NEUTRAL, Spectrum, spectrum
from meanfield.steady.start import WITHOUT, direction, follower, order_words
from meanfield.steady.state import StationaryState
from meanfield.steady.symmetry import NONE
from meanfield.surroundings import is_terminal

__all__ = ["BranchResult", "StationaryResult", "branch", "stationary"]

_EVEN = 1e-9  # |m| below which a state is even
_SHOWN = ("fold", "equal free energy", "branch point", "secondary")


def _bar(progress: bool | None, unit: str) -> Any:
    shown = progress if progress is not None else is_terminal(sys.stderr)
    return tqdm(unit=f" {unit}", disable=not shown, file=sys.stderr,
                bar_format="{n_fmt}{unit} [{elapsed}{postfix}]")  # fmt: skip


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
        known, values = self.spectrum.is_known, self.spectrum.leading_mode.eigenvalues
        leading = ", ".join(_complex(v) for v in values[:4]) if known else "unknown"
        rows = [
            ("state", describe(state)),
            ("c_1 = |m|", f"{state.mean_norm:.12g}"),
            ("c_2", f"{state.c2:.12g}"),
            *([("E", f"{state.energy:.12g}")] if state.has_energy else []),
            ("H", f"{state.entropy:.12g}"),
        ]
        if model.energy_kind == "gradient":
            rows.append(("F - F_uniform", f"{state.free_energy_excess:.12g}"))
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
    where = f"e_{state.grid.d}" if state.grid.manifold.latitudes else direction(state.axis)
    odd = "" if state.mean_norm > 1e-7 else ", even (its mean vanishes)"
    return f"not uniform, symmetric about {where}{odd}"


def verdict(found: Spectrum) -> str:
    """Words for the stability."""
    leading = found.leading
    if not found.is_known:
        return "stability unknown: the nodes do not keep to the edges of the state"
    if found.is_stable:
        return f"linearly stable: perturbations decay like e^({leading:.4g} t) or faster"
    if leading <= NEUTRAL:
        return "neutral to round-off: at a critical value"
    return f"linearly UNSTABLE: perturbations grow like e^({leading:.4g} t)"


def _order_words(found: Spectrum) -> str:
    order = found.leading_mode.order
    return f" (azimuthal order {order})" if order >= 0 else ""


def _complex(value: complex) -> str:
    if abs(value.imag) < 1e-12 * max(abs(value), 1.0):
        return f"{value.real:.8g}"
    return f"{value.real:.8g}{value.imag:+.8g}i"


@checked_arguments
def stationary(
    problem: Problem | GivenCase,
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
        problem: a case, the path of its file, or what remains of it.
        folder: for the results.
        overwrite: replace what is in it.
        progress: show the iterations; None: on a terminal.
        announce: called when what can be checked beforehand has been, before the work begins.

    Raises:
        InputError: what cannot be done, before anything is written.
        BrokenInvariantError: no convergence.

    >>> found = mf.stationary('noise.toml', 'results/noise')
    """
    problem = Problem.of(problem)
    equation, kind = problem.equation(), problem.manifold.name
    with RunFolder.claimed(folder, "stationary"):
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
        run = open_folder(problem, Path(folder), overwrite, {"kind": "stationary"})
        write_state(state, result.spectrum, mesh, run)
        finish(run, result.rows(), problem.title)
        return result


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
        at = "changes its stability at" if diagram.symmetry.has_mean else (
            f"changes its stability against {diagram.symmetry.name} perturbations at"
        )  # fmt: skip
        if diagram.uniform is None:
            there = diagram.equation.external is not None
            words = "no state: there is a potential" if there else "no state under these heads"
        elif critical:
            words = f"{at} {critical}"
        elif diagram.symmetry.has_mean:
            stable = bool(diagram.uniform.stable[0])
            words = f"{'stable' if stable else 'unstable'} on the whole interval"
        else:
            words = f"loses or gains no stability against {diagram.symmetry.name} perturbations"
        rows.append(("uniform", words))
        if left := self._without_branches:
            values = ", ".join(f"{name} = {p:.9g}" for p in left)
            rows.append(("no branch", f"from {values}: none but axial states, or undecided there"))
        for found in diagram.others:
            p = found.column("parameter")
            origin = f"leaves {found.parent}; " if found.parent else ""
            rows.append(
                (found.name, f"{origin}{len(p)} points from {name} = {p[0]:.6g} to {p[-1]:.6g}; "
                             f"end: {found.stopped}")
            )  # fmt: skip
            rows += [(e.kind, self._where(e)) for e in found.events if e.kind in _SHOWN]
        if diagram.symmetry.has_mean:  # others are rarely stable against all perturbations
            rows.append(("transition", self._transition()))
        return [*rows, *(("warning", text) for text in self.warnings)]

    @property
    def warnings(self) -> list[str]:
        """What is missing: branches that were not followed to their end."""
        return [
            f"{b.name} was not followed to its end: {b.stopped}"
            for b in self.diagram.branches
            if not b.is_complete
        ]

    @property
    def _without_branches(self) -> list[float]:
        """Critical values, of another symmetry than axial, at which no branch begins or ends."""
        if self.diagram.symmetry.has_mean:
            return []
        met = [e.parameter for b in self.diagram.others for e in b.events if e.kind == "uniform"]
        return [p for p in self.diagram.critical if all(abs(p - q) > 1e-6 * abs(p) for q in met)]

    def _where(self, event: Event) -> str:
        """Words for a special point."""
        diagram = self.diagram
        even = event.mean_norm < _EVEN  # what tells its order then is c_2
        order = f"{diagram.order_name} = {event.c_2:.6g}"
        size = order if even else f"|m| = {event.mean_norm:.6g}"
        words = f"{diagram.parameter} = {event.parameter:.9g}, {size}"
        if event.kind == "branch point" and diagram.symmetry.has_mean and event.order > 0:
            words += f"; the branch there has azimuthal order {event.order}: it leaves the symmetry"
        return words

    def _from_even(self, found: Branch) -> str:
        """What happens where a branch meets the even states, of those that have its symmetry."""
        p = float(found.column("parameter")[-1])
        words = f"{found.name} states branch off {EVEN} at {self.diagram.parameter} = {p:.9g}"
        if abs(found.beside) <= NEUTRAL:
            at = np.abs(found.column("parameter") - p) <= 1e-9 * abs(p)
            size = float(np.max(np.abs(found.column("c_1")[at])))
            return f"degenerate: {words}, where all |m| up to {size:.4g} at least are at rest"
        return f"{'continuous' if found.beside < 0.0 else 'first order'}: {words}"

    def _transition(self) -> str:
        """What happens at the critical value, from the state next to it on the branch."""
        diagram, name = self.diagram, self.diagram.parameter
        if not diagram.others:
            return "no state but the uniform one was found on the interval"
        folds = [event.parameter for event in diagram.events("fold")]
        met = [b for b in diagram.others if b.stopped == EVEN]
        if met and not folds:
            return self._from_even(met[0])
        for found in diagram.others:
            if found.is_vertical:
                at = found.table[-1, 0]
                return f"vertical: at {name} = {at:.6g} states of any width are stationary"
            leading = found.column("leading")
            for end, beside in ((0, 1), (-1, -2)):
                joins = any(abs(found.table[end, 0] - p) <= 1e-9 * abs(p) for p in diagram.critical)
                if abs(found.table[end, 1]) > 1e-9 or not joins:
                    continue
                if abs(leading[beside]) <= NEUTRAL:
                    p = float(found.table[end, 0])
                    at = np.abs(found.table[:, 0] - p) <= 1e-9 * abs(p)
                    size = float(np.max(np.abs(found.table[at, 1])))
                    rest = f"all |m| up to {size:.4g} at least are at rest"
                    return f"degenerate: at {name} = {p:.6g} {rest}"
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


@checked_arguments
def branch(
    problem: Problem | GivenCase,
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
    continued in the symmetry about its axis. With another one (``Problem.with_symmetry``) branches
    begin where the uniform state loses its stability to it. See also ``Problem.with_secondary``.

    The folder gets branch.csv (a row for each point, written as they come), events.csv, branch.npz
    (with the moments), figures/, case.toml and run.json.

    Args:
        problem: a case, the path of its file, or what remains of it.
        parameter: "kappa", "diffusion.exponent", or a number of the interaction or the potential.
        start, end: the interval, in its order; folder, overwrite, progress, announce: as for
            ``stationary``.

    Raises:
        InputError: what cannot be done, before anything is written.
        BrokenInvariantError: the points so far are in the folder, also when interrupted.

    >>> found = mf.branch('hysteresis.toml', 'kappa', 1.4, 1.7, 'branch')  # doctest: +SKIP
    """
    problem = Problem.of(problem).over(parameter, start, end)
    equation = _first_equation(problem, parameter, start, end)
    with RunFolder.claimed(folder, "branch"):
        RunFolder.check(folder, overwrite)
        symmetry, secondary, on = problem.symmetry, problem.secondary, problem.manifold
        follow, note = follower(equation, problem.initial, symmetry, on, secondary)
        about = {"kind": "branch", "parameter": parameter, "from": start, "to": end,
                 "symmetry": symmetry.name, "order_degree": symmetry.degree,
                 "secondary": secondary}  # fmt: skip
        run = open_folder(problem, Path(folder), overwrite, about)
        if announce is not None:
            announce()
        with (
            told_if_broken(run),
            branch_table(run, parameter) as write,
            _bar(progress, "points") as bar,
        ):

            def report(name: str, row: Array) -> None:
                write(name, row)
                words = f"{name}: {parameter} = {row[0]:.5g}, {order_words(symmetry, row)}"
                bar.set_postfix_str(words, refresh=False)
                bar.update()

            result = BranchResult(follow(parameter, start, end, report), note, run.path)
        write_diagram(result.diagram, run)
        finish(run, result.rows(), problem.title, result.warnings)
        return result


def _first_equation(problem: Problem, parameter: str, start: float, end: float) -> Equation:
    """The equation at the start of the interval, all of which is checked."""
    a_parameter(parameter, problem.model.parameters)
    if not (math.isfinite(start) and math.isfinite(end)) or start == end:
        raise InputError(
            f"{parameter} from {start:g} to {end:g} found, two different numbers expected"
        )
    if parameter == "kappa" and min(start, end) <= 0.0:
        raise InputError(f"kappa from {start:g} to {end:g} found, positive numbers expected")
    equation = first_of(problem, parameter, (start, end))
    if problem.symmetry is NONE:
        if equation.is_free:
            raise InputError(
                "symmetry: found none where the uniform state is stationary, expected axial"
            )
    elif not equation.is_isotropic:
        try:
            equation.refuse_tilted()
        except InputError as error:
            raise InputError(f"{error}{WITHOUT if equation.d == 2 else ''}") from None
        if not problem.symmetry.from_law:
            raise InputError(
                f"symmetry: found {problem.symmetry.name} beside a potential, a drift or matrices, "
                "which break it; expected axial"
            )
    return equation
