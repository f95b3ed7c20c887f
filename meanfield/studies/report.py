"""What a comparison says: its tables and figures, and lines for people."""

from __future__ import annotations

import math
import textwrap
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from meanfield.dynamics.parts import FEWEST
from meanfield.errors import MeanfieldWarning
from meanfield.results.comparison import comparison_record, write_csv, write_rows
from meanfield.results.folder import RunFolder
from meanfield.software import utc_now
from meanfield.studies.evaluate import HIDDEN, Comparison, is_hidden
from meanfield.studies.grid import Grid

if TYPE_CHECKING:
    from meanfield.figures import PlotOptions

__all__ = ["draw", "parts", "summary", "write"]

_KERNELS = (("energy_distance", "energy d."), ("mmd", "MMD"))


def write(found: Comparison, folder: RunFolder, figures: bool) -> None:
    """Write the tables and that it has ended, and draw ``figures`` if they are wanted."""
    write_rows(folder, found.rows)
    fits = [(t, r.value, r.low, r.high) for t, r in found.rates.items() if r is not None]
    write_csv(folder, "rates.csv", ("t", "exponent", "low", "high"), fits)
    end = {"ended": utc_now(), "stop_reason": "end"}
    folder.write_run({**folder.read_run(), **end})
    if figures:
        try:
            draw(folder.path)
        except Exception as error:  # a picture that fails must not lose the comparison
            text = f"the figures could not be drawn: {error}"
            warnings.warn(text, MeanfieldWarning, stacklevel=1)


def draw(path: str | Path, wanted: PlotOptions | None = None) -> list[Path]:
    """Draw the figures of a finished comparison (again) from its folder. Needs no DOLFINx.

    Raises:
        InputError: there is no finished comparison in the folder.
    """
    from meanfield.figures import make_figures

    folder = RunFolder.open(path)
    with RunFolder.claimed(path, "plot"):
        about = comparison_record(folder)
        made = make_figures(folder, wanted)
        folder.write_run({**about, "figures": [figure.name for figure in made]})
    return made


def summary(comparison: Comparison) -> list[str]:
    """Lines for a file or a pipe: the parts, with texts as wide as the first table."""
    lines: list[str] = []
    for part in parts(comparison):
        if isinstance(part, Grid):
            lines += part.lines()
        else:
            lines += textwrap.wrap(part, max(len(lines[0]), 79), subsequent_indent="  ")
    return lines


def parts(comparison: Comparison) -> list[Grid | str]:
    """A table, the rates, and what the columns mean."""
    names = [p for p in (2, 1) if f"w{p}" in comparison.rows[0]]
    found: list[Grid | str] = [_grid(comparison.rows, names)]
    for t, rate in comparison.rates.items():
        if rate is not None:
            found.append(
                f"t = {t:g}: W{names[0]} ~ n^{rate.value:.3f}, 95 % interval [{rate.low:.3f}, "
                f"{rate.high:.3f}]"
            )
    kernels = _kernel_grid(comparison.rows)
    found += [] if kernels is None else [kernels]
    return [*found, *_explained(comparison, bool(names))]


def _grid(rows: Sequence[Mapping[str, float]], names: Sequence[int]) -> Grid:
    heads, widths, gaps = ["t", "n"], [8, 7], [0, 1]
    for p in names:
        heads += [f"W{p}", "95 % interval", "floor", "ratio", "95 % int."]
        widths += [8, 18, 8, 6, 12]
        gaps += [2, 1, 2, 2, 1]
    heads += ["z(E)", "z(m)", "z(m2)", "bias", "band", "allow", "p"]
    widths += [6, 6, 6, 5, 5, 5, 7]
    gaps += [2, 1, 1, 2, 1, 1, 2]
    cells = []
    for row in rows:
        line = [f"{row['t']:.4g}", f"{int(row['n'])}"]
        for p in names:
            line += [
                f"{row[f'w{p}']:.5f}",
                f"[{row[f'w{p}_low']:7.5f}, {row[f'w{p}_high']:7.5f}]",
                f"{row[f'floor_w{p}']:.5f}",
                f"{row[f'ratio_w{p}']:.3f}",
                f"[{row[f'ratio_w{p}_low']:4.2f}, {row[f'ratio_w{p}_high']:4.2f}]",
            ]
        line += [_number(row[f"z_{name}"]) for name in ("energy", "mean", "second")]
        line += [
            f"{_times(row[f'moment_{k}'], row['moment_resolution']):.1f}"
            for k in ("bias", "band", "allowance")
        ]
        line.append("none" if math.isnan(row["p_value"]) else f"{row['p_value']:.4f}")
        cells.append(tuple(line))
    return Grid(tuple(heads), tuple(cells), tuple(widths), tuple(gaps))


def _kernel_grid(rows: Sequence[Mapping[str, float]]) -> Grid | None:
    """A table of the distances by kernels, if there are any."""
    names = [(k, text) for k, text in _KERNELS if k in rows[0]]
    if not names:
        return None
    heads = [
        "t",
        "n",
        *(word for _, text in names for word in (text, "floor", "ratio", "95 % int.")),
    ]
    cells = []
    for row in rows:
        line = [f"{row['t']:.4g}", f"{int(row['n'])}"]
        for k, _ in names:
            line += [
                f"{row[k]:.6f}",
                f"{row[f'floor_{k}']:.6f}",
                f"{row[f'ratio_{k}']:.3f}",
                f"[{row[f'ratio_{k}_low']:4.2f}, {row[f'ratio_{k}_high']:4.2f}]",
            ]
        cells.append(tuple(line))
    widths, gaps = (8, 7, *(9, 9, 6, 12) * len(names)), (0, 1, *(2, 1, 1, 1) * len(names))
    return Grid(tuple(heads), tuple(cells), widths, gaps)


def _number(z: float) -> str:
    return f"{z:.1f}" if not math.isnan(z) else "-"


def _times(size: float, unit: float) -> float:
    return size / unit if unit > 0.0 else 0.0


def _cut(rows: Sequence[Mapping[str, float]]) -> Iterator[str]:
    """What is not known of the distances of very many particles."""
    if any(row.get("measured", row["n"]) < row["n"] for row in rows):
        most = int(max(min(row["measured"], row["floor_measured"]) for row in rows))
        yield (
            f"W and floor of more than {most} particles are those of {most} of them: exact ones of "
            "all take hours, and bounds by blocks would be wider than W"
        )
    gap = max((row.get("gap", 0.0) for row in rows), default=0.0)
    if gap > 1e-3:
        yield f"W is an upper bound where particles are many and far, the lower within {gap:.1%}"
    if any(row.get("measured", 0.0) != row.get("floor_measured", 0.0) for row in rows):
        yield "ratio nan: W is bounded for all particles, its floor is that of fewer"


def _explained(comparison: Comparison, distances: bool) -> Iterator[str]:
    """What the columns of a table mean, and what is missing in it."""
    rows, n = comparison.rows, comparison.reference
    if distances and n is not None:
        yield (
            f"distances are to some of the {n} particles that are the reference, floor: that of n "
            "others of these; ratio: over the floor"
        )
    elif distances:
        yield "floor: the distance of n independent samples; ratio: W over floor"
    yield from _cut(rows)
    yield (
        f"z: of E, of the mean and of the second moments (the largest), for n >= {FEWEST} of "
        "extrapolations to n = infinity, in Monte-Carlo errors"
    )
    if any(math.isnan(row["z_energy"]) for row in rows):
        yield "-: the model has no energy"
    yield (
        "bias: of the moments of clouds for having n particles, measured by parts of the clouds "
        "and taken out; band: the last correction of this; allow: what the error of the "
        f"{'density' if n is None else 'reference'} may hide; all over what chance makes"
    )
    yield (
        "p: that clouds have, on average and for n to infinity, the "
        f"{'density' if n is None else 'reference'}'s moments of degree 1 to {comparison.degree}, "
        f"within its {'numerical' if n is None else 'sampling'} error; small if they differ"
    )
    yield from _no_verdict(rows, n)
    if all(math.isnan(row["density_error"]) for row in rows):
        yield "the numerical error of the density is not known: there is no coarser mesh"


def _no_verdict(rows: Sequence[Mapping[str, float]], reference: int | None) -> Iterator[str]:
    """Why p is none, where it is."""
    none = [row for row in rows if math.isnan(row["p_value"])]
    hidden = [row for row in none if reference is not None and is_hidden(row)]
    if len(hidden) < len(none):
        yield (
            "none: no verdict, since the clouds have too few particles for this time (fewer than "
            f"{FEWEST}, or too much of their fluctuations depends on n): more particles, or "
            "earlier times"
        )
    if hidden:
        most = int(max(row["n"] * row["replicas"] for row in hidden))
        yield (
            f"none where allow is above {HIDDEN:g}: no verdict, since the sampling error of the "
            f"reference would hide nearly all differences: a reference of at least n R = {most}"
        )
