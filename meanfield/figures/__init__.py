"""Figures of what is in a folder: each is drawn from files, never from a live run.

A file for each figure or family of figures; here is only which there are. ``style`` is what they
share, ``globe`` how the sphere is shown, ``reading`` what several of them read. A new figure is a
file with two functions of a folder (whether it has what the figure needs, and drawing it) and a
line here. No pyplot, no display, no OpenGL.
"""

# ruff: noqa: E402  (matplotlib is loaded before those that draw with it)
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from meanfield.software import load_matplotlib

load_matplotlib()

from meanfield.figures.centres import has_centres, plot_centres
from meanfield.figures.convergence import has_convergence, plot_convergence
from meanfield.figures.density import has_density, plot_density
from meanfield.figures.diagram import has_branch, plot_branch
from meanfield.figures.distances import has_distances, has_numbers, plot_against_n, plot_against_t
from meanfield.figures.pairs import has_pairs, plot_pairs
from meanfield.figures.series import has_series, plot_series
from meanfield.figures.side_by_side import has_sides, plot_side_by_side
from meanfield.figures.slices import has_slices, plot_slices
from meanfield.figures.state import has_state, plot_state
from meanfield.figures.sweepbands import has_bands, plot_bands
from meanfield.figures.sweepcurves import has_curves, plot_curves
from meanfield.figures.sweepmap import has_map, plot_map
from meanfield.figures.sweepplane import has_plane, plot_plane
from meanfield.figures.sweepslopes import has_slopes, plot_slopes
from meanfield.figures.tokens import has_tokens, plot_tokens
from meanfield.results.folder import RunFolder

__all__ = ["FIGURES", "make_figures"]

FIGURES: tuple[tuple[Callable[[RunFolder], bool], Callable[[RunFolder], Path]], ...] = (
    (has_series, plot_series),
    (has_density, plot_density),
    (has_slices, plot_slices),
    (has_tokens, plot_tokens),
    (has_pairs, plot_pairs),
    (has_centres, plot_centres),
    (has_distances, plot_against_t),
    (has_numbers, plot_against_n),
    (has_sides, plot_side_by_side),
    (has_state, plot_state),
    (has_branch, plot_branch),
    (has_map, plot_map),
    (has_plane, plot_plane),
    (has_curves, plot_curves),
    (has_bands, plot_bands),
    (has_slopes, plot_slopes),
    (has_convergence, plot_convergence),
)
"""For each figure whether a folder has what it needs, and what draws it."""


def make_figures(folder: RunFolder | str | Path) -> list[Path]:
    """Draw every figure that the files of a folder allow.

    Returns:
        The files made.

    Raises:
        InputError: it is no folder of a run, or that of a comparison, a stationary state or a
            branch that is not finished; or somebody else is writing there.
    """
    run = folder if isinstance(folder, RunFolder) else RunFolder.open(folder)
    with RunFolder.claimed(run.path, "plot"):
        return [plot(run) for has, plot in FIGURES if has(run)]
