"""From folders to one file: what is asked for, the order of things on the page, where it goes.

Owns the order. Reads folders as they are, also of runs that go on or were killed.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Protocol, runtime_checkable

from meanfield.arguments import PathLike, checked_arguments
from meanfield.errors import InputError
from meanfield.figures import FIGURES, make_figures
from meanfield.reports.charts import charts, charts_of_several
from meanfield.reports.facts import facts, is_of_gaussians, name_of, summary_row, summary_table
from meanfield.reports.page import MARK, Html, Page, element, joined, picture, subtitled
from meanfield.reports.scenes import scenes
from meanfield.reports.tables import tables
from meanfield.results.folder import RunFolder
from meanfield.results.lock import LOCK_FILE
from meanfield.results.manifest import RUN_FILE
from meanfield.software import package_version, utc_now
from meanfield.whole import write_text

__all__ = ["HasFolder", "report"]

_NAME, _ENDINGS = "report.html", (".html", ".htm")
_FILES = {
    "series": "energy", "globes": "density", "log-density": "density-map", "slices": "slices",
    "tokens": "particles", "pairs": "pairs", "centres": "centres",
}  # fmt: skip
"""Figures that runs draw, and their files."""
_ALT = {
    "density": "Maps of the density at several times",
    "energy": "Curves of the energy, the mean and others against time",
    "particles": "Tokens at several times",
    "branch": "Bifurcation diagram",
}


@runtime_checkable
class HasFolder(Protocol):
    """What a run gives back, of which only the folder counts here."""

    @property
    def folder(self) -> Path | None:
        """The run folder."""


@checked_arguments
def report(
    folders: PathLike | HasFolder | Sequence[PathLike | HasFolder],
    output: PathLike | None = None,
    *,
    title: str | None = None,
    scene: bool = True,
    frames: int = 30,
    overwrite: bool = False,
) -> Path:
    """Write what is in folders of runs (or of other verbs) as one HTML file that works offline.

    The case, where it came from, what the scheme kept, curves, pictures, tables, and the density
    and tokens in space with a slider of time. Of a run that was killed: what there is; of one that
    goes on, too, in a file outside of its folder.

    Args:
        folders: one, or several, which are then also told side by side; or results with folders.
        output: the file; None: ``report.html`` in the (first) folder.
        title: of the page; None: that of the case.
        scene: whether to show densities and tokens in space.
        frames: the most times of a scene, 2 or more: those at which most happens.
        overwrite: replace a report that is there.

    Returns:
        The file.

    Raises:
        InputError: a folder that is none of ours, a file that is there, or plotly is missing.

    Example:
        >>> import meanfield as mf
        >>> mf.report("results/clustering", overwrite=True).name
        'report.html'
    """
    if isinstance(folders, str | os.PathLike | HasFolder):
        folders = [folders]
    several = [_place(given) for given in folders]
    if not several:
        raise InputError("folders: none found, one or more expected")
    if frames < 2:
        raise InputError(f"frames: {frames} found, 2 or more expected")
    runs = [RunFolder.open(folder) for folder in several]
    places = [run.path.resolve() for run in runs]
    for k, place in enumerate(places):
        if place in places[:k]:
            raise InputError(f"{runs[k].path} is given twice: expected each folder once")
    path = runs[0].path / _NAME if output is None else Path(output)
    _refuse(path, overwrite)
    owner = next((run for run in runs if path.resolve().is_relative_to(run.path.resolve())), None)
    claim = nullcontext() if owner is None else RunFolder.claimed(owner.path, "report", "FILE")
    with claim:
        text = _page(runs, title, frames if scene else 0)
        if owner is not None:
            relative = path.resolve().relative_to(owner.path.resolve())
            path = owner.file(relative.as_posix())
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, text)
    return path


def _place(given: PathLike | HasFolder) -> PathLike:
    if not isinstance(given, HasFolder):
        return given
    if given.folder is None:
        raise InputError("folders: found a result without a folder, expected one with a folder")
    return given.folder


def _refuse(path: Path, overwrite: bool) -> None:
    """Refuse a file that is there, or that cannot be.

    Raises:
        InputError: what is wrong.
    """
    if path.suffix.lower() not in _ENDINGS:
        raise InputError(f"{path}: found the ending {path.suffix!r}, expected .html")
    if path.is_dir():
        raise InputError(f"{path} is a folder, expected the name of a file")
    if not path.exists():
        return
    if not overwrite:
        raise InputError(f"{path} exists already: choose another name, or ask to overwrite it")
    with open(path, encoding="utf-8", errors="replace") as file:
        if MARK not in file.read(1000):
            raise InputError(
                f"{path} is no report of meanfield: it is left alone, give another name"
            )


def _page(runs: Sequence[RunFolder], title: str | None, frames: int) -> Html:
    """The whole page; ``frames``: the most times of a scene, 0: none."""
    page = Page()
    names = _names(runs)
    told = title or (name_of(runs[0]) if len(runs) == 1 else f"{len(runs)} folders")
    minute = utc_now()[:16].replace("T", " ")
    when = f"Made by meanfield {package_version('meanfield') or ''}, {minute} UTC"
    parts = [element("h1", told)]
    if len(runs) == 1:
        parts += [
            element("p", f"{when}, from {runs[0].path.resolve().name}.", class_="lead"),
            _section(page, runs[0], frames),
        ]
    else:
        links = [page.name("run") for _ in runs]
        rows = [summary_row(*one) for one in zip(names, runs, links, strict=True)]
        pairs = list(zip(names, runs, strict=True))
        parts += [
            element("p", f"{when}.", class_="lead"),
            summary_table(rows),
            subtitled("Side by side", charts_of_several(page, pairs)),
        ]
        for name, run, link in zip(names, runs, links, strict=True):
            heading = element("h2", f"{name}: {name_of(run)}", id=link)
            parts.append(element("section", heading, _section(page, run, frames)))
    return page.whole(told, element("main", *parts))


def _names(runs: Sequence[RunFolder]) -> list[str]:
    """Names of the folders, with as much of their paths as tells them apart."""
    paths = [run.path.resolve() for run in runs]
    deep = 1
    while deep < 4 and len({path.parts[-deep:] for path in paths}) < len(paths):
        deep += 1
    return ["/".join(path.parts[-deep:]) for path in paths]


def _section(page: Page, run: RunFolder, frames: int) -> Html:
    """All of one folder."""
    shown = _safely(lambda: scenes(page, run, frames)) if frames else Html()
    return joined(
        [
            facts(run),
            shown,
            subtitled("Against time", _safely(lambda: charts(page, run))),
            subtitled("Pictures", _pictures(run), _left_out(run)),
            subtitled("Tables", _safely(lambda: tables(run))),
        ]
    )


def _safely(make: Callable[[], Html]) -> Html:
    """A part; in its place what is wrong, if its file cannot be read."""
    try:
        return make()
    except InputError as error:
        return element("p", f"Left out: {error}", class_="stopped")


def _pictures(run: RunFolder) -> Html:
    """The pictures of a folder; where it has none, they are drawn elsewhere."""
    with _drawn(run) as paths:
        of_gaussians = is_of_gaussians(run)
        told = [
            ("Gaussians", "Gaussians at several times")
            if of_gaussians and path.stem == "particles"
            else (_words(path), _ALT.get(path.stem, _words(path)))
            for path in paths
        ]
        return joined(
            picture(path, alt, words) for path, (words, alt) in zip(paths, told, strict=True)
        )


def _words(path: Path) -> str:
    text = path.stem.replace("-", " ").replace("_", " ")
    return f"{text[:1].upper()}{text[1:]}"


@contextmanager
def _drawn(run: RunFolder) -> Iterator[list[Path]]:
    """The pictures there are; usual ones that are missing are drawn in a copy of the folder.

    So nothing is written into a folder that another one may be writing in.
    """
    made = [run.path / name for name in sorted(run.files()) if name.startswith("figures/")]
    made = [path for path in made if path.is_file()]
    there = {path.stem: path for path in made if path.suffix == ".svg"}
    there |= {path.stem: path for path in made if path.suffix == ".png"}
    if made and not _lacks(run, {path.stem for path in made}):
        yield list(there.values())
        return
    with tempfile.TemporaryDirectory(prefix="meanfield-report-") as name:
        copy = Path(name)
        for path in run.path.iterdir():
            if path.name == RUN_FILE:
                shutil.copyfile(path, copy / RUN_FILE)
            elif path.name not in (LOCK_FILE, "figures"):
                (copy / path.name).symlink_to(path.resolve())
        try:
            drawn = make_figures(copy)
        except InputError:  # a state, a branch or a sweep that is not finished
            drawn = []
        yield [*there.values(), *(path for path in drawn if path.stem not in there)]


def _lacks(run: RunFolder, stems: set[str]) -> bool:
    """Whether a usual figure of a run is none of these: it was killed while it drew."""
    try:
        return any(
            _FILES[one.name] not in stems
            and one.has(run)
            and (one.usual(run) if callable(one.usual) else one.usual)
            for one in FIGURES
            if one.name in _FILES
        )
    except InputError:  # a damaged file: what is there is shown
        return False


def _left_out(run: RunFolder) -> Html:
    """The names of pictures that a page cannot show."""
    made = sorted(name for name in run.files() if name.startswith("figures/"))
    stems = {name.rpartition(".")[0] for name in made if name.endswith((".png", ".svg"))}
    names = [n for n in made if n.endswith(".pdf") and n.rpartition(".")[0] not in stems]
    names = [name for name in names if (run.path / name).is_file()]
    text = f"Not shown here, but in the folder: {', '.join(names)}."
    return element("p", text, class_="note") if names else Html()
