"""Figure of the power spectrum of a density or of tokens: how much of each degree there is.

The power of degree l is the sum of the squared moments of the harmonics of that degree, orthonormal
in L^2(sigma): 1 for degree 0, and at most the number of the harmonics, which all mass at one point
has. No rotation changes it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from meanfield.figures.density import has_density
from meanfield.figures.moments import steps_to_show
from meanfield.figures.reading import parameters_of, title_of
from meanfield.figures.style import FAINT, drawing, footnote, headline, number, save, shades
from meanfield.geometry.manifolds import of_vectors
from meanfield.geometry.manifolds.transforms import Harmonics
from meanfield.geometry.sphere import Array
from meanfield.results.folder import RunFolder
from meanfield.results.formats import FieldSeries, TokenSeries, read_tokens_file
from meanfield.results.outputs import known_fields

__all__ = ["density_power", "has_spectrum", "plot_spectrum", "token_power"]

_MOST = 48  # degrees shown
_DECADES = 12.0
_PRECISION = 1e-12


def has_spectrum(run: RunFolder) -> bool:
    """Whether there is a density, or tokens on the circle or on S^2, at a time."""
    return has_density(run) or _tokens(run) is not None


def _tokens(run: RunFolder) -> TokenSeries | None:
    if not run.particles_path.is_file():
        return None
    tokens = read_tokens_file(run.particles_path)
    return tokens if tokens.d <= 3 and len(tokens.times) else None


def plot_spectrum(run: RunFolder) -> Path:
    """Draw ``figures/power.png``: power of each degree at up to four times, logarithmic.

    Dotted: all mass at one point. Dashed, of tokens: independent uniform ones, on average.

    Returns:
        The file made.
    """
    tokens = None if has_density(run) else _tokens(run)
    with drawing():
        figure = Figure(figsize=(5.4, 3.3), layout="constrained")
        ax = figure.subplots()
        if tokens is None:
            fields = known_fields(run)
            times, steps = fields.times, steps_to_show(run, fields.times)
            harmonics = _harmonics_of(fields)
            rows = [density_power(fields, k, harmonics) for k in steps]
        else:
            times, steps = tokens.times, steps_to_show(run, tokens.times)
            harmonics = of_vectors(tokens.d).harmonics(_MOST, _PRECISION)
            rows = [token_power(tokens, k, harmonics) for k in steps]
        degrees = np.arange(1, len(rows[0]))
        for row, k, shade in zip(rows, steps, shades(len(steps)), strict=True):
            label = f"$t = {number(float(times[k]))}$"
            ax.plot(degrees, row[1:], color=shade, marker="o", markersize=2.5, label=label)
        most = np.bincount(harmonics.degrees)[1:]
        ax.plot(degrees, most, color=FAINT, linestyle=":", linewidth=0.9, label="one point")
        if tokens is not None:
            part = float(np.sum(_masses(tokens) ** 2))
            ax.plot(degrees, most * part, color=FAINT, linestyle="--", linewidth=0.9,
                label="uniform tokens")  # fmt: skip
        ax.set_yscale("log")
        top = float(most.max())
        found = np.concatenate([row[1:] for row in rows])
        least = max(float(found[found > 0.0].min(initial=top)), top * 10.0**-_DECADES)
        ax.set_ylim(0.5 * least, 2.0 * top)
        ax.set_xlim(0.5, len(degrees) + 0.5)
        ax.xaxis.set_major_locator(MaxNLocator(8, integer=True, steps=[1, 2, 5, 10]))
        ax.set_xlabel(r"degree  $\ell$")
        ax.set_ylabel("power")
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
        footnote(figure, "sum of the squared moments of the harmonics of each degree")
        headline(figure, title_of(run), parameters_of(run))
        return save(figure, run.figure("power.png"))


def _harmonics_of(fields: FieldSeries) -> Harmonics:
    degree = min(fields.manifold.resolved_degree(len(fields.points)), _MOST)
    return fields.manifold.harmonics(max(degree, 2), _PRECISION)


def density_power(fields: FieldSeries, k: int, harmonics: Harmonics) -> Array:
    """Power (degree + 1,) of the density of step ``k``."""
    there = fields.at(k)
    mesh = there.mesh
    if fields.moving:
        mass = there.read("mass", k)
        return harmonics.power(harmonics.moments(mesh.points, mass / mass.sum()))
    corners = mesh.cells.shape[1]
    parts = np.repeat(mesh.manifold.shares(mesh.points, mesh.cells) / corners, corners)
    even = np.bincount(mesh.cells.ravel(), parts, minlength=mesh.n_vertices)
    mass = even * 10.0 ** np.clip(there.log10_density(k), -300.0, 300.0)
    # The uniform part is known: the error of this quadrature is that of the rest only.
    rest = harmonics.moments(mesh.points, mass / mass.sum() - even / even.sum())
    return harmonics.power(rest + harmonics.uniform())


def _masses(tokens: TokenSeries) -> Array:
    masses = tokens.read("mass")
    return np.asarray(masses / masses.sum())


def token_power(tokens: TokenSeries, k: int, harmonics: Harmonics) -> Array:
    """Power (degree + 1,) of the tokens of step ``k``, for d <= 3."""
    x = tokens.points(k)[:, : tokens.d]
    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    return harmonics.power(harmonics.moments(x, _masses(tokens)))
