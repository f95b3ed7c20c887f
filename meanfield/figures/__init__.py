"""Figures of what is in a folder: each is drawn from files, never from a live run.

A file for each figure or family of figures; here is only which there are, by name. ``style`` is
what they share, ``options`` what may be asked of them, ``moments`` which times they show,
``globe``, ``maps`` and ``projections`` how the sphere is shown, ``reading`` what several of them
read. A new figure is a file with two functions of a folder (whether it has what the figure needs,
and drawing it) and a line here. No pyplot, no display, no OpenGL.
"""

# ruff: noqa: E402  (matplotlib is loaded before those that draw with it)
from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, runtime_checkable

from meanfield.software import load_matplotlib

load_matplotlib()

from meanfield.arguments import checked_arguments
from meanfield.errors import InputError, MeanfieldWarning, suggest
from meanfield.figures.centres import has_centres, plot_centres
from meanfield.figures.clustercurves import has_clusters, plot_clusters
from meanfield.figures.convergence import has_convergence, plot_convergence
from meanfield.figures.density import has_density, plot_density
from meanfield.figures.densitymap import has_map as has_density_map
from meanfield.figures.densitymap import plot_linear, plot_log_map
from meanfield.figures.diagram import has_branch, plot_branch
from meanfield.figures.distances import has_distances, has_numbers, plot_against_n, plot_against_t
from meanfield.figures.energytime import has_energy, plot_energy
from meanfield.figures.innerproducts import has_inner_products, plot_inner_products
from meanfield.figures.options import PlotOptions, asked, asking
from meanfield.figures.pairs import has_pairs
from meanfield.figures.series import has_series, plot_series
from meanfield.figures.side_by_side import has_sides, plot_side_by_side
from meanfield.figures.slices import has_slices, plot_slices
from meanfield.figures.spacetime import has_spacetime, plot_spacetime
from meanfield.figures.spectrum import has_spectrum, plot_spectrum
from meanfield.figures.state import has_state, plot_state
from meanfield.figures.sweepbands import has_bands, plot_bands
from meanfield.figures.sweepcurves import has_curves, plot_curves
from meanfield.figures.sweepmap import has_map, plot_map
from meanfield.figures.sweepplane import has_plane, plot_plane
from meanfield.figures.sweepslopes import has_slopes, plot_slopes
from meanfield.figures.tokens import has_tokens, plot_tokens
from meanfield.figures.velocity import has_velocity, plot_velocity
from meanfield.results.folder import RunFolder

__all__ = ["FIGURES", "Drawn", "PlotOptions", "make_figures", "plot"]


@dataclass(frozen=True)
class Drawn:
    """A figure.

    Attributes:
        name: by which it is asked for.
        has: whether a folder has what it needs.
        draw: draws it; gives the file made.
        usual: whether a folder that allows it has it drawn unless others are asked for; a function
            where not all such folders have.
    """

    name: str
    has: Callable[[RunFolder], bool]
    draw: Callable[[RunFolder], Path]
    usual: bool | Callable[[RunFolder], bool] = True


def _draw_log(run: RunFolder) -> Path:
    """On the sphere a map, unless globes are asked for."""
    globes = not has_density_map(run) or asked().projection == "globe"
    return plot_density(run) if globes else plot_log_map(run)


def _as_usual(run: RunFolder) -> bool:
    return asked().projection in (None, "globe") or not has_density_map(run)


def _as_map(run: RunFolder) -> bool:
    return has_density_map(run) and asked().projection != "globe"


FIGURES = (
    Drawn("series", has_series, plot_series),
    Drawn("globes", has_density, plot_density, _as_usual),
    Drawn("log-density", has_density, _draw_log, _as_map),
    Drawn("slices", has_slices, plot_slices),
    Drawn("tokens", has_tokens, plot_tokens),
    Drawn("pairs", has_inner_products, plot_inner_products, has_pairs),
    Drawn("centres", has_centres, plot_centres),
    Drawn("distances", has_distances, plot_against_t),
    Drawn("rates", has_numbers, plot_against_n),
    Drawn("side-by-side", has_sides, plot_side_by_side),
    Drawn("state", has_state, plot_state),
    Drawn("branch", has_branch, plot_branch),
    Drawn("sweep-map", has_map, plot_map),
    Drawn("sweep-plane", has_plane, plot_plane),
    Drawn("sweep-curves", has_curves, plot_curves),
    Drawn("sweep-bands", has_bands, plot_bands),
    Drawn("sweep-slopes", has_slopes, plot_slopes),
    Drawn("convergence", has_convergence, plot_convergence),
    Drawn("density", has_density, plot_linear, False),
    Drawn("velocity", has_velocity, plot_velocity, False),
    Drawn("clusters", has_clusters, plot_clusters, False),
    Drawn("energy", has_energy, plot_energy, False),
    Drawn("power", has_spectrum, plot_spectrum, False),
    Drawn("spacetime", has_spacetime, plot_spacetime, False),
)
"""All figures, in the order in which they are drawn."""


class _Pictured(RunFolder):
    """A folder whose pictures go where, and have the endings, that are asked for."""

    def figure(self, name: str) -> Path:
        """Path of a picture in the first format; recorded in all, where it is for the folder."""
        wanted = asked()
        if wanted.output is not None:
            return (Path(wanted.output) / name).with_suffix(f".{wanted.format[0]}")
        names = [Path(name).with_suffix(f".{ending}").name for ending in wanted.format]
        self.add(*(f"{self.figures_dir.name}/{one}" for one in names))
        return self.figures_dir / names[0]


def make_figures(folder: RunFolder | str | Path, wanted: PlotOptions | None = None) -> list[Path]:
    """Draw the figures that are asked for, or every usual one that the files of a folder allow.

    Returns:
        The files made.

    Raises:
        InputError: it is no folder of a run, or that of a comparison, a stationary state or a
            branch that is not finished; or it has not what a figure needs that is asked for; or
            somebody else is writing there.
    """
    path = folder.path if isinstance(folder, RunFolder) else RunFolder.open(folder).path
    run, wanted = _Pictured(path), wanted or PlotOptions()
    with RunFolder.claimed(run.path, "plot"), asking(wanted) as now:
        chosen = _named(run, wanted) if wanted.what else _usual(run)
        now.read.clear()
        for one in chosen:
            one.draw(run)
    for name in now.unread():
        pictures = ", ".join(one.name for one in chosen)
        warnings.warn(
            f"plot.{name}: none of these pictures ({pictures}) has a use for it",
            MeanfieldWarning,
            stacklevel=2,
        )
    return now.files


def _usual(run: RunFolder) -> list[Drawn]:
    found = [one for one in FIGURES if one.usual is not False and one.has(run)]
    return [one for one in found if one.usual is True or _agrees(one.usual, run)]


def _agrees(usual: bool | Callable[[RunFolder], bool], run: RunFolder) -> bool:
    return callable(usual) and usual(run)


def _named(run: RunFolder, wanted: PlotOptions) -> list[Drawn]:
    known = {one.name: one for one in FIGURES}
    for name in wanted.what:
        if name not in known:
            listed = ", ".join(known)
            raise InputError(
                f"plot.what: expected names of figures ({listed}), found '{name}'"
                + suggest(name, known)
            )
    chosen = [known[name] for name in dict.fromkeys(wanted.what)]
    for one in chosen:
        if not one.has(run):
            able = ", ".join(other.name for other in FIGURES if other.has(run))
            raise InputError(
                f"plot.what: {run.path} has not what '{one.name}' needs, expected one of "
                f"{able or 'none: nothing in it can be drawn'}"
            )
    return chosen


@runtime_checkable
class _HasFolder(Protocol):
    @property
    def folder(self) -> Path | None: ...


@checked_arguments
def plot(
    run: object, what: str | Sequence[str] = (), options: PlotOptions | None = None
) -> list[Path]:
    """Draw pictures of a run, as ``meanfield plot`` does.

    Args:
        run: its folder, or what ``run`` has given.
        what: names of figures, or one: "log-density", "velocity", ...; none: the usual ones.
        options: times, looks and files.

    Returns:
        The files made.

    Raises:
        InputError: a run without a folder, or as ``make_figures``.

    Example:
        >>> import meanfield as mf
        >>> mf.plot(
        ...     "results/clustering", "velocity", mf.PlotOptions(times=[1, 5], format=["pdf"])
        ... )  # doctest: +SKIP
        [PosixPath('results/clustering/figures/velocity.pdf')]
    """
    where = run.folder if isinstance(run, _HasFolder) else run
    if not isinstance(where, str | Path | RunFolder):
        raise InputError("run: expected the folder of a run, or a result that has one")
    wanted = options or PlotOptions()
    if what:
        wanted = replace(wanted, what=(what,) if isinstance(what, str) else tuple(what))
    return make_figures(where, wanted)
