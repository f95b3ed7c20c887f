"""``meanfield info``: tell what the folder of a run, a comparison or a branch holds."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from meanfield.checks import shortened
from meanfield.cli.parser import Verbs
from meanfield.cli.speech import say
from meanfield.cli.tables import Row, error_rows, final_numbers, size, table
from meanfield.errors import InputError

if TYPE_CHECKING:
    from meanfield.geometry.sphere import Array
    from meanfield.results.folder import RunFolder

__all__ = ["add_to"]

_MANY, _FEW = ("blocks", "points"), 20
"""Folders of a sweep, which are told by their size where there are more files in them."""


def add_to(verbs: Verbs) -> None:
    """Add the verb."""
    parser = verbs.add(
        "info",
        _info,
        help="tell what a run folder holds",
        description="Tell why a run stopped, its final numbers, where the time went, and its files",
        epilog="example:\n  meanfield info results/clustering",
    )
    parser.add_argument("folder", metavar="DIR", help="the folder of a run")


def _info(args: argparse.Namespace) -> int:
    from meanfield.results.folder import RunFolder

    folder = RunFolder.open(args.folder)
    run = folder.read_run()
    rows = [
        ("run", str(folder.path)),
        *_problem_rows(folder, run),
        *_series_rows(folder),
        *_process_rows(run),
        *_file_rows(folder),
    ]
    say(table(_name_once(rows)))
    return 0


def _problem_rows(folder: RunFolder, run: Mapping[str, object]) -> Iterator[Row]:
    """What was solved, and how far."""
    import tomllib

    from meanfield.figures.reading import title_of
    from meanfield.results.folder import listed

    try:
        case = tomllib.loads(folder.case_path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {folder.case_path}: {error}") from None
    yield "title", title_of(folder)
    yield "geometry", ", ".join(_pairs(case.get("geometry", {})))
    yield "model", ", ".join(_pairs(case.get("model", {})))
    yield "stopped", str(run.get("stop_reason") or "not yet: it is still running, or was killed")
    if run.get("kind") == "compare":
        n, times = (", ".join(map(_short, listed(run, name))) for name in ("numbers", "times"))
        clouds = _short(run.get("replicas"))
        yield "compared", f"with {clouds} clouds of n = {n} particles each at t = {times}"
    elif run.get("kind") == "sweep":
        yield from _sweep_rows(folder, run)
    elif run.get("kind") == "converge":
        yield from _converge_rows(folder, run)
    elif run.get("kind") in ("stationary", "branch"):
        for row in listed(run, "summary"):
            if isinstance(row, list):
                yield str(row[0]), str(row[1])
    else:
        t, end, steps = run.get("t"), case.get("time", {}).get("end"), run.get("steps")
        yield "t", f"{_short(t)} of {_short(end)}, {_short(steps)} steps"
    if run.get("tokens"):
        yield "tokens", f"{run['tokens']:,}"
    if isinstance(mesh := run.get("mesh"), dict):
        yield "mesh", ", ".join(f"{name} = {_short(value)}" for name, value in mesh.items())


def _sweep_rows(folder: RunFolder, run: Mapping[str, object]) -> Iterator[Row]:
    """What was varied, how many realisations are done, what has failed."""
    from meanfield.results.folder import listed
    from meanfield.results.sweeptable import SweepTable, has_sweep

    for axis in listed(run, "axes"):
        if isinstance(axis, list):
            yield "varied", f"{', '.join(axis[0])}: {len(axis[1])} values"
    yield "seeds", _short(run.get("seeds"))
    made = folder.path / "blocks"
    yield "blocks", f"{len(list(made.glob('*.npz'))) if made.is_dir() else 0:,} written"
    if has_sweep(folder):
        table = SweepTable.read(folder.path)
        points = f"{len(table.finished):,} points"
        yield "done", f"{table.finished.sum():,} realisations at {points}"
        yield "failed", f"{table.failed.sum():,}"
    for told in listed(run, "failures"):
        if isinstance(told, list):
            yield "failed", f"{told[0]}, seed {told[1]}: {told[2]}"


def _converge_rows(folder: RunFolder, run: Mapping[str, object]) -> Iterator[Row]:
    """What was run, and the errors at the end with their order."""
    from meanfield.results.convergence import QUANTITIES, ConvergenceTable, has_convergence

    if run.get("stop_reason") != "end" or not has_convergence(folder):
        return
    found = ConvergenceTable.read(folder.path)
    yield found.key, f"{', '.join(map(str, found.resolutions))} against {found.against}"
    for name in QUANTITIES:
        errors = [f"{error:.2e}" for error in found.errors[name][:, -1] if error > 0.0]
        if errors:
            order = found.fitted(name).value
            yield name, f"{', '.join(errors)} at t = {found.times[-1]:g}: order {order:.2f}"


def _series_rows(folder: RunFolder) -> Iterator[Row]:
    """The last numbers of the series."""
    if not folder.series_path.is_file():
        return
    series = folder.read_series()
    label = str(folder.read_energy()["label"])
    yield from final_numbers(series, label)
    yield from error_rows(folder.read_run(), label)
    for name, digits in (("mass", 12), ("rho_min", 6), ("rho_max", 6), ("entropy", 6)):
        if name in series and len(series[name]):
            yield name, f"{series[name][-1]:.{digits}g}"
    if "energy_scaled" in series:
        yield from _staircase_rows(series["t"], series["energy_scaled"])


def _staircase_rows(t: Array, energy: Array) -> Iterator[Row]:
    """The plateaus of the energy, scaled, where one is between the first and the last."""
    from meanfield.analysis.staircase import plateaus

    found = plateaus(t, energy)
    if len(found) < 3:
        return
    yield "staircase", f"{len(found) - 1} steps between {len(found)} plateaus of the scaled energy"
    for one in found:
        yield "", f"{one.height:.6g} from t = {one.begin:.4g} to {one.end:.4g}"


def _process_rows(run: Mapping[str, object]) -> Iterator[Row]:
    """When and by what it was run, and where the time went."""
    from meanfield.results.folder import listed

    when = [f"{word} {run[word]}" for word in ("started", "ended") if run.get(word)]
    if when:
        yield "when", ", ".join(when)
    timings = run.get("timings")
    if isinstance(timings, dict) and timings:
        total = sum(timings.values())
        yield "time", f"{total:.2f} s"
        parts = (f"{k} {v:.2f} s ({v / total:.0%})" for k, v in timings.items() if total > 0)
        yield "", ", ".join(parts)
    names = ("meanfield", "dolfinx", "numpy", "ducc0", "python")
    yield "versions", ", ".join(f"{name} {run[name]}" for name in names if run.get(name))
    if "ranks" in run:
        yield "ranks", f"{_short(run['ranks'])}, threads {_short(run.get('threads'))}"
    for text in listed(run, "warnings") or ["none"]:
        yield "warnings", str(text)


def _file_rows(folder: RunFolder) -> Iterator[Row]:
    inner = [p for name in _MANY for p in folder.path.glob(f"{name}/**/*") if p.is_file()]
    for name in _MANY if len(inner) > _FEW else ():
        some = [path for path in inner if path.is_relative_to(folder.path / name)]
        if some:
            total = size(sum(path.stat().st_size for path in some))
            yield "file", f"{f'{name}/ ({len(some):,} files)':<24}{total:>12}"
    hidden = set(inner) if len(inner) > _FEW else set()
    for path in sorted(p for p in folder.path.rglob("*") if p.is_file() and p not in hidden):
        relative = str(path.relative_to(folder.path))
        yield "file", f"{relative:<24}{size(path.stat().st_size):>12}"


def _pairs(nested: Mapping[str, object], prefix: str = "") -> Iterator[str]:
    """Lines "key = value" of nested tables, also of those in lists; long values are cut."""
    for name, value in nested.items():
        if isinstance(value, Mapping):
            yield from _pairs(value, f"{prefix}{name}.")
        elif isinstance(value, list) and value and all(isinstance(v, Mapping) for v in value):
            for place, inner in enumerate(value):
                yield from _pairs(inner, f"{prefix}{name}.{place}.")
        else:
            yield f"{prefix}{name} = {shortened(str(value))}"


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return "unknown" if value is None else str(value)


def _name_once(rows: Sequence[Row]) -> list[Row]:
    """Leave the name out where the row above has the same one."""
    return [
        ("" if k and name == rows[k - 1][0] else name, text) for k, (name, text) in enumerate(rows)
    ]
