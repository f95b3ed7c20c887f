"""``meanfield run``: run a case, go on with a run, or show what would be run."""

from __future__ import annotations

import argparse
import pickle
import shlex
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from meanfield.cli.parser import Verbs, add_no_progress, add_output, add_set, output_folder
from meanfield.cli.speech import (
    EXIT_BROKEN,
    EXIT_SYSTEM,
    announce,
    code_of,
    ended,
    rank,
    say,
    system_words,
)
from meanfield.cli.tables import error_rows, final_numbers, picture_rows, size, table
from meanfield.cli.words import (
    case_words,
    gaussian_count,
    mesh_words,
    resolution_words,
    token_count,
)
from meanfield.cli.world import together, together_or_ended
from meanfield.errors import BrokenInvariantError, InputError

if TYPE_CHECKING:
    from meanfield.case import Case
    from meanfield.collective import Communicator
    from meanfield.runs.result import Result

__all__ = ["add_to"]

_DESCRIPTION = """\
Run a case file. The results go into one folder, which must not exist yet (or be empty),
unless --overwrite or --resume is given."""

_EXAMPLES = """\
examples:
  meanfield run clustering.toml -o results/first
  meanfield run clustering.toml --set model.beta=9 --set geometry.level=6 -o results/beta9
  meanfield run clustering.toml --set model.attention=usa --set time.end=2 --dry-run
  meanfield run clustering.toml --set 'time.outputs=[0, 0.5, 1]' --overwrite
  meanfield run results/clustering --resume                      go on after an interruption
  meanfield run results/clustering --resume --set time.end=20    go on for longer

With noise (kappa > 0) the variance of clusters at rest is right to about 0.4 % (sphere), 2 %
(latitudes) or 0.1 % (circle) where edges are at most half their width sigma, about sqrt(kappa) for
sa: both are told, with a warning otherwise.

exit codes: 0 done (also at the wall-clock limit), 2 the case cannot be used,
3 the state broke an invariant (the last good one is kept), 4 the disk is full or the like (the last
checkpoint is kept), 130 interrupted, 128 + n ended by signal n (likewise)"""


def add_to(verbs: Verbs) -> None:
    """Add the verb."""
    parser = verbs.add(
        "run",
        _run,
        help="run a case file",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        every_rank=True,
    )
    parser.add_argument(
        "case", metavar="CASE", help="a TOML case file (with --resume: or a folder)"
    )
    add_set(parser, ", such as model.beta=9")
    add_output(parser, "folder for the results (default: results/<CASE>)")
    again = parser.add_mutually_exclusive_group()
    again.add_argument(
        "--overwrite", action="store_true", help="replace an earlier run in that folder"
    )
    again.add_argument(
        "--resume", action="store_true", help="go on with the run in that folder from where it was"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="check and show everything, run and write nothing"
    )
    add_no_progress(parser)


def _run(args: argparse.Namespace) -> int:
    case_path, folder_path = _paths(args)
    if args.dry_run:
        if rank() == 0:
            _dry_run(args, case_path, folder_path)
        return 0

    try:
        with together_or_ended():
            result = _simulated(args, case_path, folder_path)
    except KeyboardInterrupt as stop:
        return ended(code_of(stop), _interrupted(folder_path, "interrupted"))
    except OSError as error:
        return ended(EXIT_SYSTEM, _interrupted(folder_path, f"error: {system_words(error)}"))
    except BrokenInvariantError as error:
        return ended(EXIT_BROKEN, f"broken invariant: {error}")
    say(f"\n{_summary(result, folder_path)}")
    if result.stop_reason == "interrupted":
        return ended(code_of(result.signal), _interrupted(folder_path, "interrupted"))
    if result.stop_reason == "wall limit":
        say(f"\nthe run can be resumed with: {_resume_command(folder_path)}")
    if result.stop_reason.startswith("broken invariant"):
        where = f"(the last good state is in {folder_path})"
        return ended(EXIT_BROKEN, f"{result.stop_reason} {where}")
    return 0


def _simulated(args: argparse.Namespace, case_path: Path, folder_path: Path) -> Result:
    """Check all that can be checked beforehand, and run. Collective."""
    from meanfield.case import Case
    from meanfield.collective import everywhere
    from meanfield.results.folder import RunFolder
    from meanfield.runs.restart import find_restart
    from meanfield.software import require_dolfinx

    def read() -> Case:
        case = Case.from_toml(case_path, args.set, recorded=_is_recorded(args))
        if args.resume:
            find_restart(case, RunFolder.open(folder_path))
        else:
            RunFolder.check(folder_path, args.overwrite)
        return case

    world = together()
    case = _read_by_root(read, world)
    if _needs_dolfinx(case):
        everywhere(world, require_dolfinx)
    words = everywhere(world, lambda: case_words(case))  # reads a file of tokens: may be refused

    told = resolution_words(case) if rank() == 0 else []

    from meanfield.runs import simulation

    return simulation.run(
        case,
        folder_path,
        overwrite=args.overwrite,
        resume=args.resume,
        progress=args.progress,
        announce=lambda: announce(case.heading, f"{words} -> {folder_path}", *told),
    )


def _is_recorded(args: argparse.Namespace) -> bool:
    """Whether the case is that of the run which goes on: its law need not be read again."""
    return bool(args.resume) and Path(args.case).is_dir()


def _paths(args: argparse.Namespace) -> tuple[Path, Path]:
    """Find the case file and the folder of the run; a run folder can be given to resume it."""
    given = Path(args.case)
    if not given.is_dir():
        return given, output_folder(args)
    case_file = given / "case.toml"
    if not case_file.is_file():
        raise InputError(f"{given} is a folder with no case in it, expected a case file (TOML)")
    if not args.resume:
        raise InputError(
            f"{given} is a run folder: add --resume to go on with it, or give {case_file} to "
            "run its case again"
        )
    return case_file, Path(args.output or given)


def _read_by_root(read: Callable[[], Case], world: Communicator) -> Case:
    """The case that rank 0 reads and checks, on every rank: case and mesh are read once.

    A function of the user's is loaded from its file on every rank.
    """
    if world.size == 1:
        return read()
    from meanfield.collective import everywhere, on_root

    data = on_root(world, lambda: pickle.dumps(read()))
    assert data is not None
    case: Case = everywhere(world, lambda: pickle.loads(data))
    return case


def _interrupted(folder: Path, what: str) -> str:
    """What has happened, where the run stands, and how it goes on."""
    from meanfield.results.checkpoint import load_checkpoint
    from meanfield.results.folder import RunFolder

    for path in RunFolder(folder).checkpoint_paths:
        with suppress(InputError):
            t = float(str(load_checkpoint(path)["t"]))
            return f"{what}: at t = {t:g} the run can be resumed with: {_resume_command(folder)}"
    return f"{what}, before the first checkpoint: nothing to resume from"


def _resume_command(folder: Path) -> str:
    return f"meanfield run {shlex.quote(str(folder))} --resume"


def _summary(result: Result, folder_path: Path) -> str:
    from meanfield.results.folder import RunFolder
    from meanfield.results.formats import format_of

    folder = RunFolder(folder_path)
    seconds, label = sum(result.timings.values()), str(folder.read_energy()["label"])
    data = [p for p in (folder.fields_path, folder.particles_path) if p.exists()]
    files = [("series", folder.series_path), *((format_of(p).program, p) for p in data)]
    return table(
        [
            ("stopped", f"{result.stop_reason}, at t = {result.t:g}"),
            ("steps", f"{result.steps:,} in {seconds:.1f} s"),
            *final_numbers(result.series, label),
            *error_rows(folder.read_run(), label),
            *(("warning", str(text)) for text in result.warnings),
            *picture_rows(folder_path),
            *((name, str(path)) for name, path in files if path.exists()),
        ]
    )


def _dry_run(args: argparse.Namespace, case_path: Path, folder_path: Path) -> None:
    from meanfield.case import Case
    from meanfield.results.folder import RunFolder
    from meanfield.results.formats import format_named
    from meanfield.runs.restart import find_restart
    from meanfield.software import require_dolfinx

    case = Case.from_toml(case_path, args.set, recorded=_is_recorded(args))
    state = "new"
    try:
        if args.resume:
            find_restart(case, RunFolder.open(folder_path))
            state = "will be resumed"
        else:
            RunFolder.check(folder_path, args.overwrite)
            if not RunFolder.is_empty(folder_path):
                state = "will be overwritten"
    except InputError as error:
        state = f"REFUSED: {error}"
    kind = case.output.format
    format_told = _or_refused(lambda: f"{kind} ({format_named(kind).program})")
    software = _or_refused(require_dolfinx) if _needs_dolfinx(case) else "not needed"
    from meanfield.case.words import model_words

    times = case.output_times()
    names, count = _written(case)
    squeezed = ", before compression" if case.output.compression != "none" else ""
    rows = [
        ("case", str(case_path)),
        ("folder", f"{folder_path} ({state})"),
        (_state_word(case), mesh_words(case)),
        ("model", model_words(case.model, case.geometry, case.model.kappa)),
        *(("resolved", text) for text in resolution_words(case)),
        ("outputs", f"{len(times)}, from t = {times[0]:g} to {times[-1]:g}"),
        ("fields", f"{', '.join(names)}: {size(count * len(times))}{squeezed}"),
        ("format", format_told),
        ("dolfinx", software),
    ]
    say(table(rows))
    say("\nresolved case:\n")
    say("\n".join(f"  {line}".rstrip() for line in case.to_toml().splitlines()))
    say("\nnothing was run or written (--dry-run)")


def _or_refused(ask: Callable[[], str]) -> str:
    """What is told, or why it would be refused."""
    try:
        return ask()
    except InputError as error:
        return f"REFUSED: {error}"


def _state_word(case: Case) -> str:
    """What the state of a run is, in a word."""
    from meanfield.case import Gaussians, Tokens

    if isinstance(case.solver, Gaussians):
        return "clusters"
    return "tokens" if isinstance(case.solver, Tokens) else "mesh"


def _needs_dolfinx(case: Case) -> bool:
    from meanfield.case import FixedMesh

    return isinstance(case.solver, FixedMesh)


def _written(case: Case) -> tuple[Sequence[str], int]:
    """Name what is written at an output time, and its bytes."""
    from meanfield.case import Gaussians, Tokens
    from meanfield.dynamics.gaussianpoints import rule_of_clouds

    number = int(case.output.precision[-2:]) // 8
    if isinstance(case.solver, Tokens):
        return ("position", "velocity", "cluster"), token_count(case) * (6 * number + 4)
    if isinstance(case.solver, Gaussians):
        points = gaussian_count(case) * len(rule_of_clouds(case.geometry.d)[0])
        return ("position", "velocity", "cluster"), points * (6 * number + 4)
    values = sum(3 if name == "velocity" else 1 for name in case.output.fields)
    return case.output.fields, case.geometry.vertex_count * values * number
