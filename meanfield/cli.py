"""The ``meanfield`` command: its verbs, what it prints, and its exit codes.

Owns words on the screen only: everything a verb does is a call that a Python user can make too.
Imports are made inside the verbs, so that ``--help`` answers at once and everything that can be
refused is refused before DOLFINx is loaded and before anything is written.

Exit codes: 0 done, 2 the input cannot be used (one line says why), 3 the computed state broke an
invariant, 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from meanfield.errors import BrokenInvariantError, InputError, MeanfieldWarning, suggest

if TYPE_CHECKING:
    from meanfield.case import Case
    from meanfield.results.folder import RunFolder

__all__ = ["main"]

EXIT_INPUT = 2
EXIT_BROKEN = 3
EXIT_INTERRUPTED = 130

_DESCRIPTION = """\
Solve the mean-field equation of self-attention on spheres with finite elements.

A run is described by a case file (TOML) and leaves a folder: numbers against time
(series.csv), the density for ParaView (fields.vtkhdf), pictures (figures/), and where
it all came from (case.toml, run.json, run.log)."""

_EXAMPLES = """\
examples:
  meanfield run scripts/cases/clustering.toml        run a case; results in results/clustering
  meanfield run clustering.toml --set model.beta=9   the same with another beta
  meanfield run clustering.toml --dry-run            show what would be run, write nothing
  meanfield info results/clustering                  what came out, and what it took
  meanfield plot results/clustering                  draw the pictures again
  meanfield stationary hysteresis.toml               the stationary state, and is it stable?
  meanfield branch hysteresis.toml --parameter kappa --from 1 --to 1.8
                                                     a bifurcation diagram
  meanfield mesh inspect sphere.msh                  is this mesh good enough?
  meanfield help solver.rtol                         what a key of a case file means
  mpirun -n 4 meanfield run clustering.toml          on four processes

`meanfield VERB --help` explains one verb."""

_RUN_DESCRIPTION = """\
Run a case file. The results go into one folder, which must not exist yet (or be empty),
unless --overwrite or --resume is given."""

_RUN_EXAMPLES = """\
examples:
  meanfield run clustering.toml -o results/first
  meanfield run clustering.toml --set model.beta=9 --set geometry.level=6 -o results/beta9
  meanfield run clustering.toml --set model.attention=usa --set time.end=2 --dry-run
  meanfield run clustering.toml --set 'time.outputs=[0, 0.5, 1]' --overwrite
  meanfield run results/clustering --resume                      go on after an interruption
  meanfield run results/clustering --resume --set time.end=20    go on for longer

exit codes: 0 done (also at the wall-clock limit), 2 the case cannot be used,
3 the state broke an invariant (the last good one is kept), 130 interrupted"""


# --------------------------------------------------------------------------------------------
# Processes: only rank 0 speaks


def _environment_number(*names: str) -> int | None:
    for name in names:
        value = os.environ.get(name, "")
        if value.isdigit():
            return int(value)
    return None


def _ranks() -> int:
    """Give the number of processes that mpirun or srun started, without importing MPI."""
    return _environment_number("OMPI_COMM_WORLD_SIZE", "PMI_SIZE") or 1


def _rank() -> int:
    """Give the number of this process."""
    if _ranks() == 1:
        return 0
    rank = _environment_number("OMPI_COMM_WORLD_RANK", "PMI_RANK")
    if rank is None:
        from meanfield.software import load_mpi

        rank = int(load_mpi().COMM_WORLD.rank)
    return rank


def _say(text: str = "", stream: TextIO | None = None) -> None:
    """Write a text on rank 0, by one call: mpirun may join the pieces of two streams."""
    if _rank() == 0:
        stream = stream or sys.stdout
        stream.write(text + "\n")
        stream.flush()


def _announce(*lines: str) -> None:
    """Say what is begun: when what can be checked has been, so that a refusal is one line."""
    with suppress(BrokenPipeError):  # nobody listens: no reason not to do it
        _say("\n".join(f"meanfield: {line}" for line in lines))


def _complain(text: str) -> None:
    _say(f"meanfield: {text}", sys.stderr)


def _together(check: Callable[[], Case]) -> Case:
    """Make the same checks on every rank; what one of them refuses is refused by all."""
    if _ranks() == 1:
        return check()
    from meanfield.software import load_mpi

    case, refusal = None, None
    try:
        case = check()
    except InputError as error:
        refusal = str(error)
    told = load_mpi().COMM_WORLD.allgather(refusal)
    first = next((text for text in told if text is not None), None)
    if first is not None:
        raise InputError(first)
    assert case is not None
    return case


@contextmanager
def _warnings_in_one_line() -> Iterator[None]:
    """Show the package's own warnings without file names and code, on rank 0 only."""
    with warnings.catch_warnings():
        default = warnings.showwarning

        def show(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if issubclass(category, MeanfieldWarning):
                _complain(f"warning: {message}")
            elif _rank() == 0:
                default(message, category, filename, lineno, file, line)

        warnings.showwarning = show
        yield


# --------------------------------------------------------------------------------------------
# help, schema


def _help(args: argparse.Namespace) -> int:
    from meanfield.case.helptext import help_keys, help_on

    try:
        lines = help_on(args.key)
    except InputError:
        # Not before: columns are of solvers, which take a second to import.
        from meanfield.analysis.columns import COLUMNS, explained

        try:
            lines = explained(args.key)
        except InputError:
            near = suggest(args.key, [*help_keys(), *(entry.name for entry in COLUMNS)])
            raise InputError(
                f"'{args.key}' found, a key of a case file or a column of the series expected{near}"
            ) from None
    _say("\n".join(lines))
    return 0


def _schema(args: argparse.Namespace) -> int:
    from meanfield.case.schema import case_schema

    _say(json.dumps(case_schema(), indent=2))
    return 0


# --------------------------------------------------------------------------------------------
# run


def _run(args: argparse.Namespace) -> int:
    case_path, folder_path = _run_paths(args)
    if args.dry_run:
        _dry_run(args, case_path, folder_path)
        return 0

    def check() -> Case:
        from meanfield.case import Case
        from meanfield.results.folder import RunFolder
        from meanfield.software import require_dolfinx

        case = Case.from_toml(case_path, args.set)
        if args.resume:
            _check_resume(case, RunFolder.open(folder_path))
        elif _rank() == 0:
            # Not on the others: they may come after rank 0 has made the folder.
            RunFolder.check(folder_path, args.overwrite)
        if _needs_dolfinx(case):
            require_dolfinx()
        return case

    case = _together(check)
    words = f"{_mesh_words(case)}, {_model_words(case)}"  # reads a file of tokens: may be refused

    from meanfield.runs import simulation

    try:
        result = simulation.run(
            case,
            folder_path,
            overwrite=args.overwrite,
            resume=args.resume,
            progress=False if args.no_progress else None,
            announce=lambda: _announce(case.title, f"{words} -> {folder_path}"),
        )
    except KeyboardInterrupt:
        return _interrupted(folder_path)
    except BrokenInvariantError as error:
        _complain(f"broken invariant: {error}")
        return EXIT_BROKEN
    _say()
    for line in _summary(result, folder_path):
        _say(line)
    if result.stop_reason == "interrupted":
        return _interrupted(folder_path)
    if result.stop_reason == "wall limit":
        _say(f"\nthe run can be resumed with: {_resume_command(folder_path)}")
    if result.stop_reason.startswith("broken invariant"):
        _complain(f"{result.stop_reason} (the last good state is in {folder_path})")
        return EXIT_BROKEN
    return 0


def _run_paths(args: argparse.Namespace) -> tuple[Path, Path]:
    """Find the case file and the folder of the run; a run folder can be given to resume it."""
    given = Path(args.case)
    if given.is_dir():
        case_file = given / "case.toml"
        if not args.resume and case_file.is_file():
            raise InputError(
                f"{given} is a run folder: add --resume to go on with it, or give {case_file} to "
                "run its case again"
            )
        if not case_file.is_file():
            raise InputError(f"{given} is a folder with no case in it, expected a case file (TOML)")
        return case_file, Path(args.output or given)
    return given, Path(args.output or Path("results") / given.stem)


def _resume_command(folder: Path) -> str:
    return f"meanfield run {shlex.quote(str(folder))} --resume"


def _check_resume(case: Case, folder: RunFolder) -> None:
    """Refuse to go on with another problem than the one that was begun."""
    from meanfield.case import Case

    if not folder.checkpoint_path.is_file():
        raise InputError(
            f"{folder.path} has no checkpoint to resume from: start again with --overwrite"
        )
    conflicts = case.resume_conflicts(Case.from_toml(folder.case_path))
    if conflicts:
        raise InputError(
            f"cannot resume {folder.path}: the case differs from the one that was begun in "
            f"{', '.join(conflicts)}; only the title, [time] and output.figures may change"
        )


def _interrupted(folder: Path) -> int:
    from meanfield.results.folder import RunFolder

    if RunFolder(folder).checkpoint_path.is_file():
        _complain(f"interrupted: the run can be resumed with: {_resume_command(folder)}")
    else:
        _complain("interrupted before the first checkpoint: nothing to resume from")
    return EXIT_INTERRUPTED


def _dry_run(args: argparse.Namespace, case_path: Path, folder_path: Path) -> None:
    from meanfield.case import Case
    from meanfield.results.folder import RunFolder
    from meanfield.software import require_dolfinx

    case = Case.from_toml(case_path, args.set)
    state, software = "new", ""
    try:
        if args.resume:
            _check_resume(case, RunFolder.open(folder_path))
            state = "will be resumed"
        else:
            RunFolder.check(folder_path, args.overwrite)
            if folder_path.is_dir() and any(folder_path.iterdir()):
                state = "will be overwritten"
    except InputError as error:
        state = f"REFUSED: {error}"
    tokens = _of_tokens(case)
    try:
        software = require_dolfinx() if _needs_dolfinx(case) else "not needed"
    except InputError as error:
        software = f"REFUSED: {error}"
    times = case.output_times()
    names, size = _written(case)
    squeezed = ", before compression" if case.output.compression != "none" else ""
    rows = [
        ("case", str(case_path)),
        ("folder", f"{folder_path} ({state})"),
        ("tokens" if tokens else "mesh", _mesh_words(case)),
        ("model", _model_words(case)),
        ("outputs", f"{len(times)}, from t = {times[0]:g} to {times[-1]:g}"),
        ("fields", f"{', '.join(names)}: {_size(size * len(times))}{squeezed}"),
        ("dolfinx", software),
    ]
    _say(_table(rows))
    _say("\nresolved case:\n")
    _say("\n".join(f"  {line}".rstrip() for line in case.to_toml().splitlines()))
    _say("\nnothing was run or written (--dry-run)")


def _of_tokens(case: Case) -> bool:
    from meanfield.case import Tokens

    return isinstance(case.solver, Tokens)


def _needs_dolfinx(case: Case) -> bool:
    from meanfield.case import FixedMesh

    return isinstance(case.solver, FixedMesh)


def _written(case: Case) -> tuple[Sequence[str], int]:
    """Name what is written at an output time, and its bytes."""
    number = int(case.output.precision[-2:]) // 8
    if not _of_tokens(case):
        values = sum(3 if name == "velocity" else 1 for name in case.output.fields)
        return case.output.fields, case.geometry.vertex_count * values * number
    return ("position", "velocity", "cluster"), _token_count(case) * (6 * number + 4)


def _token_count(case: Case) -> int:
    """Count the tokens of a case; those of a file are read, and so checked."""
    from meanfield.case import TOKEN_KINDS, Tokens
    from meanfield.dynamics.tokens import initial_tokens

    assert isinstance(case.solver, Tokens)
    number, tokens = case.solver.number, case.solver.tokens
    if tokens in TOKEN_KINDS and number is not None:
        return number
    return len(initial_tokens(case.initial, number, case.seed, tokens))


def _mesh_words(case: Case) -> str:
    """Words for what the state of a run is: a mesh, or tokens."""
    from meanfield.case import TOKEN_KINDS, Layers, Tokens

    solver, d = case.solver, case.geometry.d
    if isinstance(solver, Tokens):
        origin = solver.tokens if solver.tokens in TOKEN_KINDS else Path(solver.tokens).name
        layers = f", {solver.layers:,} layers a unit of time" if isinstance(solver, Layers) else ""
        return f"{_token_count(case):,} tokens on S^{d - 1} ({origin}){layers}"
    name = case.geometry.manifold.describe()
    words = "" if solver.type == "eulerian" else f", {solver.type}"
    return f"{name}, {case.geometry.vertex_count:,} vertices{words}"


def _model_words(case: Case) -> str:
    noise = f", kappa = {case.model.kappa:g}" if case.model.kappa else ""
    return f"{case.model.describe()}{noise}"


def _summary(result: Any, folder_path: Path) -> list[str]:
    from meanfield.results.folder import RunFolder

    folder = RunFolder(folder_path)
    seconds = sum(result.timings.values())
    rows = [
        ("stopped", f"{result.stop_reason}, at t = {result.t:g}"),
        ("steps", f"{result.steps:,} in {seconds:.1f} s"),
        *_final_numbers(result.series, str(folder.read_energy()["label"])),
        *(("warning", str(text)) for text in result.warnings),
        *(("picture", str(path)) for path in _pictures(folder)),
        ("series", str(folder.series_path)),
        ("ParaView", str(folder.fields_path)),
        ("ParaView", str(folder.particles_path)),
    ]
    return [_table([(k, v) for k, v in rows if k not in _FILE_ROWS or Path(v).exists()])]


_FILE_ROWS = ("series", "ParaView")


def _final_numbers(series: Any, energy: str) -> list[tuple[str, str]]:
    """Words for the last row of the series; ``energy``: how the scaled energy is written."""
    last = {name: float(column[-1]) for name, column in series.items() if len(column)}
    rows = []
    if "energy" in last:
        scaled = ""
        if "energy_scaled" in last and energy != "E":
            scaled = f" ({energy} = {last['energy_scaled']:.6g})"
        rows.append(("E", f"{last['energy']:.6g}{scaled}"))
    if "mean_norm" in last:
        rows.append(("|m|", f"{last['mean_norm']:.6g}"))
    if "clusters" in last:
        rows.append(("clusters", f"{last['clusters']:g}"))
    return rows


def _pictures(folder: RunFolder) -> list[Path]:
    return sorted(folder.figures_dir.glob("*.png")) if folder.figures_dir.is_dir() else []


def _table(rows: Sequence[tuple[str, str]]) -> str:
    width = max(len(name) for name, _ in rows) + 2
    return "\n".join(f"{name:<{width}}{text}".rstrip() for name, text in rows)


def _size(count: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            break
        count /= 1000
    return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"


# --------------------------------------------------------------------------------------------
# info, plot


def _pairs(table: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Lines "key = value" of nested tables."""
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _pairs(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name} = {value}"


def _info(args: argparse.Namespace) -> int:
    import tomllib

    from meanfield.results.folder import RunFolder, listed

    folder = RunFolder.open(args.folder)
    run = folder.read_run()
    try:
        case = tomllib.loads(folder.case_path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {folder.case_path}: {error}") from None
    end = case.get("time", {}).get("end")
    t, steps = run.get("t"), run.get("steps")
    reason = run.get("stop_reason") or "not yet: it is still running, or was killed"
    geometry, model = case.get("geometry", {}), case.get("model", {})
    rows = [
        ("run", str(folder.path)),
        ("title", str(case.get("title", ""))),
        ("geometry", ", ".join(f"{k} = {v}" for k, v in geometry.items())),
        ("model", ", ".join(_pairs(model))),
        ("stopped", str(reason)),
    ]
    if run.get("kind") == "compare":
        rows.append(("compared", _compared_words(run)))
    elif run.get("kind") in ("stationary", "branch"):
        found = [row for row in listed(run, "summary") if isinstance(row, list)]
        rows += [(str(name), str(text)) for name, text in found]
    else:
        rows.append(("t", f"{_short(t)} of {_short(end)}, {_short(steps)} steps"))
    if run.get("tokens"):
        rows.append(("tokens", f"{run['tokens']:,}"))
    mesh = run.get("mesh")
    if isinstance(mesh, dict):
        rows.append(("mesh", ", ".join(f"{k} = {_short(v)}" for k, v in mesh.items())))
    if folder.series_path.is_file():
        series = folder.read_series()
        rows += _final_numbers(series, str(folder.read_energy()["label"]))
        for name in ("mass", "rho_min", "rho_max", "entropy"):
            if name in series and len(series[name]):
                rows.append((name, f"{series[name][-1]:.12g}" if name == "mass" else
                             f"{series[name][-1]:.6g}"))  # fmt: skip
    when = [f"{word} {run[word]}" for word in ("started", "ended") if run.get(word)]
    if when:
        rows.append(("when", ", ".join(when)))
    timings = run.get("timings")
    if isinstance(timings, dict) and timings:
        total = sum(timings.values())
        parts = (f"{k} {v:.2f} s ({v / total:.0%})" for k, v in timings.items() if total > 0)
        rows += [("time", f"{total:.2f} s"), ("", ", ".join(parts))]
    names = ("meanfield", "dolfinx", "numpy", "ducc0", "python")
    rows.append(("versions", ", ".join(f"{n} {run[n]}" for n in names if run.get(n))))
    if "ranks" in run:
        threads = _short(run.get("threads"))
        rows.append(("ranks", f"{_short(run['ranks'])}, threads {threads}"))
    for text in listed(run, "warnings") or ["none"]:
        rows.append(("warnings", str(text)))
    for path in sorted(p for p in folder.path.rglob("*") if p.is_file()):
        relative = str(path.relative_to(folder.path))
        rows.append(("file", f"{relative:<24}{_size(path.stat().st_size):>12}"))
    _say(_table(_name_once(rows)))
    return 0


def _compared_words(run: dict[str, Any]) -> str:
    n, t = (", ".join(_short(v) for v in run.get(name, [])) for name in ("numbers", "times"))
    return f"with {_short(run.get('replicas'))} clouds of n = {n} particles each at t = {t}"


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return "unknown" if value is None else str(value)


def _name_once(rows: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Leave the name out where the row above has the same one."""
    return [
        ("" if k and name == rows[k - 1][0] else name, text) for k, (name, text) in enumerate(rows)
    ]


def _plot(args: argparse.Namespace) -> int:
    from meanfield.results.folder import RunFolder

    folder = RunFolder.open(args.folder)
    draw: Callable[[Path], list[Path]]
    if folder.read_run().get("kind") == "compare":
        from meanfield.study import draw
    elif folder.read_run().get("kind") in ("stationary", "branch"):
        from meanfield.steady import draw
    else:
        from meanfield.results.plots import make_figures as draw
    for path in draw(folder.path):
        _say(str(path))
    return 0


# --------------------------------------------------------------------------------------------
# compare


def _compare_runs(args: argparse.Namespace) -> int:
    """Two run folders: tell how far apart their densities are."""
    for path in (args.case, args.second):
        if not Path(path).is_dir():
            raise InputError(
                f"{path}: no such folder; expected two run folders (or one case file, to compare "
                "its density with particles)"
            )
    target = Path(args.output) / "differences.csv" if args.output else None
    if target is not None and target.exists() and not args.overwrite:
        raise InputError(f"{target} exists already: add --overwrite or choose another folder")

    from meanfield.results.folder import RunFolder
    from meanfield.rundiff import compare_runs, difference_table, write_differences

    rows = compare_runs(args.case, args.second, distances=not args.no_distances)
    _say(f"meanfield: {args.case} against {args.second}")
    energy = str(RunFolder.open(args.case).read_energy()["label"])
    _say("\n".join(difference_table(rows, energy)))
    if target is not None:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_differences(target, rows)
        _say(f"\ntable  {target}")
    return 0


def _compare(args: argparse.Namespace) -> int:
    if args.second is not None:
        return _compare_runs(args)
    from meanfield.case import Case
    from meanfield.results.folder import RunFolder
    from meanfield.software import require_dolfinx

    if _ranks() > 1:
        raise InputError(
            f"{_ranks()} processes found, one expected: leave mpirun out, and say --jobs {_ranks()}"
        )
    case = Case.from_toml(args.case, args.set)
    other = None
    if args.particles_set:
        # Whose number of tokens is asked for with --particles.
        number = "solver.number=2" if _sets_solver_type(args.particles_set) else None
        changes = [*args.set, *filter(None, [number]), *args.particles_set]
        other = Case.from_toml(args.case, changes)
    require_dolfinx()
    folder = Path(args.output or Path("results") / f"{Path(args.case).stem}-compare")

    from meanfield import study

    words = f"{_mesh_words(case)}, {_model_words(case)}"
    lines = [case.title, f"{words}, against particles -> {folder}"]
    if other is not None:
        lines.append(f"particles with {', '.join(args.particles_set)}")
    try:
        found = study.compare(
            case,
            args.particles,
            args.replicas,
            folder,
            particle_case=other,
            times=args.times,
            exponents=() if args.no_distances else args.p or (2,),
            jobs=args.jobs,
            overwrite=args.overwrite,
            resume=args.resume,
            progress=False if args.no_progress else None,
            announce=lambda: _announce(*lines),
        )
    except KeyboardInterrupt:
        _complain(
            "interrupted: what is finished is kept, repeat the command with --resume (and without "
            "--overwrite) to go on"
        )
        return EXIT_INTERRUPTED
    except BrokenInvariantError as error:
        _complain(f"broken invariant: {error}")
        return EXIT_BROKEN
    _say()
    for line in study.summary(found):
        _say(line)
    _say()
    rows = [("picture", str(path)) for path in _pictures(RunFolder(folder))]
    _say(_table([("table", str(folder / "compare.csv")), *rows]))
    return 0


def _sets_solver_type(overrides: Sequence[str]) -> bool:
    from meanfield.case import parse_override

    return ("solver.type", "particles") in map(parse_override, overrides)


# --------------------------------------------------------------------------------------------
# stationary, branch


def _stationary(args: argparse.Namespace) -> int:
    from meanfield import steady

    problem = steady.Problem.from_toml(args.case, args.set)
    folder = Path(args.output or Path("results") / f"{Path(args.case).stem}-stationary")
    equation = problem.equation()
    words = f"{_equation_words(problem, equation.kappa)} -> {folder}"
    try:
        found = steady.stationary(
            problem,
            folder,
            overwrite=args.overwrite,
            progress=False if args.no_progress else None,
            announce=lambda: _announce(problem.title, words),
        )
    except BrokenInvariantError as error:
        _complain(f"not found: {error}")
        return EXIT_BROKEN
    _say()
    files = [("table", folder / "stationary.csv"), ("density", folder / "density.vtu")]
    _say(_table([*found.rows(), *((name, str(path)) for name, path in files),
                 *(("picture", str(path)) for path in _folder_pictures(folder))]))  # fmt: skip
    return 0


def _branch(args: argparse.Namespace) -> int:
    from meanfield import steady

    problem = steady.Problem.from_toml(args.case, args.set)
    folder = Path(args.output or Path("results") / f"{Path(args.case).stem}-branch")
    kappa = None if args.parameter == "kappa" else problem.model.kappa
    words = (
        f"{_equation_words(problem, kappa)}, {args.parameter} from {args.start:g} to "
        f"{args.end:g} -> {folder}"
    )
    try:
        found = steady.branch(
            problem,
            args.parameter,
            args.start,
            args.end,
            folder,
            overwrite=args.overwrite,
            progress=False if args.no_progress else None,
            announce=lambda: _announce(problem.title, words),
        )
    except KeyboardInterrupt:
        _complain(f"interrupted: the points so far are in {folder / 'branch.csv'}")
        return EXIT_INTERRUPTED
    except BrokenInvariantError as error:
        _complain(f"not finished: {error}; the points so far are in {folder / 'branch.csv'}")
        return EXIT_BROKEN
    _say()
    _say(_table([*found.rows(), ("table", str(folder / "branch.csv")),
                 *(("picture", str(path)) for path in _folder_pictures(folder))]))  # fmt: skip
    return 0


def _equation_words(problem: Any, kappa: float | None) -> str:
    noise = "" if kappa is None else f", kappa = {kappa:g}"
    return f"{problem.manifold.name}, d = {problem.geometry.d}, {problem.model.describe()}{noise}"


def _folder_pictures(folder: Path) -> list[Path]:
    from meanfield.results.folder import RunFolder

    return _pictures(RunFolder(folder))


# --------------------------------------------------------------------------------------------
# mesh


def _mesh_make(args: argparse.Namespace) -> int:
    from meanfield.geometry import mesh as meshes

    made = args.make(meshes, args)
    meshes.write_mesh(args.file, made, overwrite=args.overwrite)
    _say(f"{args.file}: {len(made.points):,} vertices, {len(made.cells):,} cells")
    return 0


def _notice(text: str) -> None:
    _complain(f"notice: {text}")


def _mesh_convert(args: argparse.Namespace) -> int:
    from meanfield.geometry import mesh as meshes

    mesh = meshes.read_mesh(args.source, _notice)
    meshes.write_mesh(args.target, mesh, overwrite=args.overwrite)
    _say(f"{args.target}: {mesh.geometry}, {len(mesh.points):,} vertices")
    return 0


def _mesh_inspect(args: argparse.Namespace) -> int:
    from meanfield.geometry import mesh as meshes

    report = meshes.inspect_mesh(meshes.read_mesh(args.source, _notice))
    _say("\n".join(report.lines()))
    return 0


# --------------------------------------------------------------------------------------------
# The parser


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, with the nearest valid word, like every other refusal."""

    def __init__(self, *args: Any, **options: Any) -> None:
        # Abbreviated options would break scripts on the day a second option starts alike.
        super().__init__(*args, **{"allow_abbrev": False, **options})

    def error(self, message: str) -> NoReturn:
        hint = ""
        if "invalid choice: '" in message and "choose from" in message:
            word = message.split("invalid choice: '")[1].split("'")[0]
            listed = message.split("choose from ")[1].rstrip(")")
            hint = suggest(word, listed.replace("'", "").split(", "))
        elif message.startswith("unrecognized arguments: -"):
            hint = suggest(message.split(": ")[1].split()[0], self._option_string_actions)
        raise InputError(f"{message}{hint}; see `{self.prog} --help`")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        # Unknown options are told by the parser of the verb, which knows the valid ones.
        found, rest = super().parse_known_args(args, namespace)
        if rest:
            self.error(f"unrecognized arguments: {' '.join(rest)}")
        return found, rest

    def print_help(self, file: Any = None) -> None:
        _say(self.format_help().rstrip(), file)


class _Version(argparse.Action):
    def __init__(self, option_strings: Sequence[str], dest: str, **_: Any) -> None:
        super().__init__(
            option_strings, dest, nargs=0, help="show the versions of meanfield, DOLFINx, Python"
        )

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from meanfield.software import dolfinx_version, package_version

        _say(
            _table(
                [
                    ("meanfield", package_version("meanfield") or "not installed"),
                    ("dolfinx", dolfinx_version() or "not found"),
                    ("python", sys.version.split()[0]),
                ]
            )
        )
        parser.exit(0)


def _parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = _Parser(
        prog="meanfield", description=_DESCRIPTION, epilog=_EXAMPLES, formatter_class=raw
    )
    parser.add_argument("--version", action=_Version)
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)

    run = verbs.add_parser(
        "run",
        help="run a case file",
        description=_RUN_DESCRIPTION,
        epilog=_RUN_EXAMPLES,
        formatter_class=raw,
    )
    run.add_argument("case", metavar="CASE", help="a TOML case file (with --resume: or a folder)")
    run.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change one value of the case, such as model.beta=9 (can be repeated)",
    )
    run.add_argument(
        "-o", "--output", metavar="DIR", help="folder for the results (default: results/<CASE>)"
    )
    again = run.add_mutually_exclusive_group()
    again.add_argument(
        "--overwrite", action="store_true", help="replace an earlier run in that folder"
    )
    again.add_argument(
        "--resume", action="store_true", help="go on with the run in that folder from where it was"
    )
    run.add_argument(
        "--dry-run", action="store_true", help="check and show everything, run and write nothing"
    )
    run.add_argument("--no-progress", action="store_true", help="no progress bar")
    run.set_defaults(verb=_run)

    info = verbs.add_parser(
        "info",
        help="tell what a run folder holds",
        description="Tell why a run stopped, its final numbers, where the time went, and its files",
        epilog="example:\n  meanfield info results/clustering",
        formatter_class=raw,
    )
    info.add_argument("folder", metavar="DIR", help="the folder of a run")
    info.set_defaults(verb=_info)

    plot = verbs.add_parser(
        "plot",
        help="draw the pictures of a run again",
        description="Draw the pictures of a run again from its folder (needs no DOLFINx)",
        epilog="example:\n  meanfield plot results/clustering",
        formatter_class=raw,
    )
    plot.add_argument("folder", metavar="DIR", help="the folder of a run")
    plot.set_defaults(verb=_plot)

    _add_compare_verb(verbs, raw)
    _add_stationary_verbs(verbs, raw)
    _add_mesh_verbs(verbs, raw)
    _add_reference_verbs(verbs, raw)
    return parser


def _add_reference_verbs(verbs: Any, raw: Any) -> None:
    on_key = verbs.add_parser(
        "help",
        help="what a key of a case file, or a column of the series, means",
        description="Tell type, range, default and meaning of a key, of all keys of a section or "
        "of a type; or what a column of series.csv is",
        epilog="examples:\n"
        "  meanfield help solver.rtol\n"
        "  meanfield help model          all keys of a section\n"
        "  meanfield help lagrangian     all keys of a type\n"
        "  meanfield help columns        all columns of series.csv",
        formatter_class=raw,
    )
    on_key.add_argument(
        "key", metavar="KEY", help="a key, a section or a type of a case file; a column"
    )
    on_key.set_defaults(verb=_help)
    schema = verbs.add_parser(
        "schema",
        help="print the JSON schema of case files",
        description="Print the JSON schema of case files, by which editors complete and check them",
        epilog="example:\n  meanfield schema > case.schema.json",
        formatter_class=raw,
    )
    schema.set_defaults(verb=_schema)


def _add_compare_verb(verbs: Any, raw: Any) -> None:
    compare = verbs.add_parser(
        "compare",
        help="do particles agree with the density? how far apart are two runs?",
        description="""\
With a case: run its density and clouds of particles from the same law, and compare them: the
Wasserstein distance of a cloud to the density, held against that of as many independent samples
of the density (the sampling floor), differences of E and of moments in units of their Monte-Carlo
error, and the p-value of a test that both have the same low moments.

With two run folders: the distances of their densities (L1 and W2), and the differences of E and of
the mean, at the output times that both have.""",
        epilog="""\
examples:
  meanfield compare clustering.toml --particles 250 1000 4000 --replicas 8 --times 1 2
  meanfield compare clustering.toml --particles 250 --times 0.5 1 --jobs 2 -o results/quick
  meanfield compare clustering.toml --particles 4000 --times 1 --no-distances \\
      --particles-set model.beta=4.4 -o results/power       is a wrong beta noticed?
  meanfield compare results/eulerian results/lagrangian     two runs of densities

exit codes: 0 done (whatever the verdict), 2 this cannot be compared, 3 the density broke an
invariant, 130 interrupted""",
        formatter_class=raw,
    )
    add = compare.add_argument
    add("case", metavar="CASE", help="a TOML case file of a density, or the folder of a run")
    add("second", metavar="DIR", nargs="?", help="the folder of a second run, to compare two runs")
    add("--particles", type=int, nargs="+", default=[250, 1000, 4000], metavar="N",
        help="numbers of particles (default 250 1000 4000)")  # fmt: skip
    add("--replicas", type=int, default=8, metavar="R", help="clouds for each number (default 8)")
    add("--times", type=float, nargs="+", metavar="T", help="when to compare (0 is added; default: "
        "five of the case's output times)")  # fmt: skip
    distances = compare.add_mutually_exclusive_group()
    distances.add_argument(
        "--p", type=int, nargs="+", choices=[1, 2], help="which W_p: 2 (the default), 1 or both"
    )
    distances.add_argument(
        "--no-distances",
        action="store_true",
        help="leave out W_p, which takes nearly all the time: energies, moments and p remain",
    )
    add("--set", action="append", default=[], metavar="KEY=VALUE",
        help="change one value of the case, such as model.beta=9 (can be repeated)")  # fmt: skip
    add("--particles-set", action="append", default=[], metavar="KEY=VALUE",
        help="change one value for the particles only (a test of power)")  # fmt: skip
    add("-o", "--output", metavar="DIR", help="folder (default: results/<CASE>-compare)")
    add("-j", "--jobs", type=int, default=1, metavar="J", help="processes, one core each "
        "(default 1)")  # fmt: skip
    again = compare.add_mutually_exclusive_group()
    again.add_argument(
        "--overwrite", action="store_true", help="replace an earlier comparison in that folder"
    )
    again.add_argument(
        "--resume",
        action="store_true",
        help="go on with the comparison in that folder; more --particles, other --replicas are "
        "welcome, the rest must be as before",
    )
    add("--no-progress", action="store_true", help="no progress bar")
    compare.set_defaults(verb=_compare)


def _add_stationary_verbs(verbs: Any, raw: Any) -> None:
    stationary = verbs.add_parser(
        "stationary",
        help="find a stationary state with noise, and whether it is stable",
        description="""\
Find the stationary density mu ~ exp(xi/kappa) to which the initial law of a case leads, without
time stepping, to round-off, and the leading eigenvalues of the equation linearised at it. Uses
[geometry], [model] with kappa > 0, and [initial] of the case. No DOLFINx needed.""",
        epilog="""\
examples:
  meanfield stationary hysteresis.toml
  meanfield stationary hysteresis.toml --set model.kappa=1.7 -o results/above
  meanfield stationary clustering.toml --set model.kappa=0.1
  meanfield run hysteresis.toml --set initial.type=file --set initial.array=rho \\
      --set initial.path=results/above/density.vtu      start a run from the state

exit codes: 0 done (whatever the verdict), 2 the case cannot be used, 3 no state was found,
130 interrupted""",
        formatter_class=raw,
    )
    branch = verbs.add_parser(
        "branch",
        help="follow stationary states in kappa, beta, ...: a bifurcation diagram",
        description="""\
Follow the stationary states of a case through an interval of kappa or of a number of its
interaction (beta; strength, s, ... of a kernel), around folds, by pseudo-arclength continuation in
axial symmetry, any d: order parameter, energies and stability at each point; critical value, folds
and equal free energy are located to round-off. A branch starts at the state to which the initial
law leads at --from; if that is uniform, where the uniform state changes its stability. Needs no
DOLFINx.""",
        epilog="""\
examples:
  meanfield branch hysteresis.toml --parameter kappa --from 1 --to 1.8
  meanfield branch hysteresis.toml --parameter beta --from 2 --to 5 --set model.kappa=1.4
  meanfield branch zonal8.toml --parameter kappa --from 0.02 --to 0.12 -o results/d8

exit codes: 0 done, 2 this cannot be followed, 3 a state was not found (the points so far are
kept), 130 interrupted (likewise)""",
        formatter_class=raw,
    )
    add = branch.add_argument
    stationary.add_argument("case", metavar="CASE", help="a TOML case file")
    add("case", metavar="CASE", help="a TOML case file")
    add(
        "--parameter",
        required=True,
        metavar="NAME",
        help="what is varied: kappa, or a number of the interaction such as beta",
    )
    add(
        "--from", dest="start", type=float, required=True, metavar="A", help="start of the interval"
    )
    add("--to", dest="end", type=float, required=True, metavar="B", help="end of the interval")
    for verb, name in ((stationary, "stationary"), (branch, "branch")):
        verb.add_argument("--set", action="append", default=[], metavar="KEY=VALUE",
            help="change one value of the case (can be repeated)")  # fmt: skip
        verb.add_argument("-o", "--output", metavar="DIR",
            help=f"folder (default: results/<CASE>-{name})")  # fmt: skip
        verb.add_argument("--overwrite", action="store_true",
            help="replace what an earlier one left in that folder")  # fmt: skip
        verb.add_argument("--no-progress", action="store_true", help="no progress bar")
    stationary.set_defaults(verb=_stationary)
    branch.set_defaults(verb=_branch)


def _add_mesh_verbs(verbs: Any, raw: Any) -> None:
    mesh = verbs.add_parser(
        "mesh",
        help="make, convert or inspect a mesh",
        description="Make, convert or inspect meshes of spheres and circles (needs no DOLFINx)",
        epilog="examples:\n"
        "  meanfield mesh make sphere --level 5 sphere5.vtu\n"
        "  meanfield mesh make circle --vertices 400 circle.vtu\n"
        "  meanfield mesh convert sphere.msh sphere.vtu\n"
        "  meanfield mesh inspect sphere.msh",
        formatter_class=raw,
    )
    tasks = mesh.add_subparsers(title="tasks", metavar="TASK", required=True)
    overwrite: dict[str, Any] = {"action": "store_true", "help": "replace an existing file"}

    make = tasks.add_parser("make", help="make a mesh", description="Make a mesh and write it")
    kinds = make.add_subparsers(title="kinds", dest="kind", metavar="KIND", required=True)
    sphere = kinds.add_parser("sphere", help="an icosahedron, divided level times")
    sphere.add_argument(
        "--level", type=int, required=True, help="0, 1, 2, ...: 10 * 4^level + 2 vertices"
    )
    loose = kinds.add_parser("unstructured", help="a sphere with irregular triangles")
    loose.add_argument("--vertices", type=int, required=True, help="number of vertices")
    loose.add_argument("--seed", type=int, default=0, help="of the random points (default 0)")
    circle = kinds.add_parser("circle", help="a circle with equal steps")
    circle.add_argument("--vertices", type=int, required=True, help="number of vertices")
    zonal = kinds.add_parser("zonal", help="angles from 0 to pi, for axially symmetric measures")
    zonal.add_argument("--d", type=int, required=True, help="dimension of the space, 2 or more")
    zonal.add_argument("--vertices", type=int, required=True, help="number of vertices")
    for kind, made in (
        (sphere, lambda meshes, args: meshes.icosphere(args.level)),
        (loose, lambda meshes, args: meshes.unstructured_sphere(args.vertices, args.seed)),
        (circle, lambda meshes, args: meshes.circle(args.vertices)),
        (zonal, lambda meshes, args: meshes.zonal_interval(args.vertices, d=args.d)),
    ):
        kind.set_defaults(make=made)
        kind.add_argument("file", metavar="FILE", help="where to write (.vtu, .msh, .vtk, ...)")
        kind.add_argument("--overwrite", **overwrite)
        kind.set_defaults(verb=_mesh_make)

    convert = tasks.add_parser(
        "convert",
        help="read a mesh in one format, write it in another",
        description="Read a mesh file, check and repair it, and write it in the format that the "
        "new name asks for",
    )
    convert.add_argument("source", metavar="IN", help="a mesh file that meshio reads")
    convert.add_argument("target", metavar="OUT", help="the file to write")
    convert.add_argument("--overwrite", **overwrite)
    convert.set_defaults(verb=_mesh_convert)

    inspect = tasks.add_parser(
        "inspect",
        help="tell the size and quality of a mesh",
        description="Tell counts, edge lengths, area error, quality, smallest cotangent weight",
    )
    inspect.add_argument("source", metavar="FILE", help="a mesh file that meshio reads")
    inspect.set_defaults(verb=_mesh_inspect)


# --------------------------------------------------------------------------------------------


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: the words after ``meanfield``; by default those of this process.

    Returns:
        the exit code: 0, 2 (input), 3 (broken invariant) or 130 (interrupted).
    """
    words = sys.argv[1:] if argv is None else list(argv)
    parser = _parser()
    try:
        with _warnings_in_one_line():
            if not words:
                parser.print_help()
                return EXIT_INPUT
            args = parser.parse_args(words)
            if args.verb is not _run and _rank() != 0:
                return 0  # started on several processes by habit: one of them is enough
            return int(args.verb(args))
    except InputError as error:
        _complain(f"error: {error}")
        return EXIT_INPUT
    except KeyboardInterrupt:
        _complain("interrupted")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of our output (head, less) went away: that is its right.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except SystemExit as stop:  # argparse ends --help and --version in this way
        return stop.code if isinstance(stop.code, int) else EXIT_INPUT
    except Exception:
        if _ranks() == 1:
            raise
        # One rank has failed where the others wait for it: end them all rather than hang.
        from meanfield.software import load_mpi

        traceback.print_exc()
        sys.stderr.flush()
        time.sleep(0.2)  # let the text get through to mpirun
        load_mpi().COMM_WORLD.Abort(1)
        raise  # not reached


if __name__ == "__main__":
    sys.exit(main())
