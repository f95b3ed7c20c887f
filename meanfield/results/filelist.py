"""What the files of a folder are: one list for ``meanfield help files`` and the reference.

Owns the words. Knows nothing of how the files are written.
"""

from __future__ import annotations

import fnmatch
import textwrap
from dataclasses import dataclass

from meanfield.results.exporting import EXPORT_DIR
from meanfield.results.folder import (
    CASE_FILE,
    CHECKPOINT_FILE,
    CLUSTERS_FILE,
    FIGURES_DIR,
    LOG_FILE,
    PREVIOUS_FILE,
    SERIES_FILE,
)
from meanfield.results.lock import LOCK_FILE
from meanfield.results.manifest import FORMAT, RUN_FILE
from meanfield.results.pairtable import PAIRS_FILE

__all__ = ["FILES", "GROUPS", "FileKind", "explained_files", "kind_of"]


@dataclass(frozen=True)
class FileKind:
    """A file, or a family of them.

    Attributes:
        name: in the folder; ``*`` stands for anything.
        group: which folders have it, a key of ``GROUPS``.
        form: what it is, for who reads it.
        about: what is in it.
    """

    name: str
    group: str
    form: str
    about: str


GROUPS: dict[str, str] = {
    "any": "every folder, but that of a pair",
    "run": "a run (meanfield run)",
    "made": "what verbs add to the folder of a run",
    "sweep": "a sweep (meanfield sweep)",
    "compare": "a comparison of particles with a density (meanfield compare CASE)",
    "pair": "a pair: a run and tokens, or two runs (meanfield compare RUN OTHER -o): a table alone",
    "converge": "a study of convergence (meanfield converge)",
    "stationary": "a stationary state (meanfield stationary)",
    "branch": "a bifurcation diagram (meanfield branch)",
}
"""Folders by the verbs that make them, in words."""

_F = FileKind
FILES: tuple[FileKind, ...] = (
    _F(CASE_FILE, "any", "TOML",
       "The resolved case: all keys, defaults included; `meanfield run` takes it again. Of a "
       "sweep that of its first point."),
    _F(RUN_FILE, "any", f"JSON, format {FORMAT}",
       "The record: versions, threads and ranks, when it began and ended and why it stopped "
       "(stop_reason), parameters in words, where the time went (timings, in s), warnings, "
       "violations of what must hold, steps tried again, shorter (rejected_steps; on a mesh that "
       "stays those for their energy, too: rejected_for_energy); format, the version of the "
       "folder; files, what belongs to it: --overwrite deletes these and nothing else."),
    _F(f"{FIGURES_DIR}/*", "any", "PNG, PDF or SVG; MP4 or GIF",
       "Pictures, and films without -o: `meanfield plot` and `meanfield film` draw them "
       "again."),
    _F("report.html", "any", "HTML",
       "`meanfield report`: all of it in one file that works offline."),
    _F(LOCK_FILE, "any", "text",
       "Who writes in the folder now; gone when it has ended."),
    _F(LOG_FILE, "run", "text",
       "What happened, with time stamps."),
    _F(SERIES_FILE, "run", "CSV with a header",
       "Numbers against time: a row every time.series_every steps and at each output time. "
       "Columns: `meanfield help columns`."),
    _F(CLUSTERS_FILE, "run", "CSV with a header",
       "A row a cluster and output time: t; cluster, a number that it keeps; mass; spread, "
       "the root of the mean squared angle to its centre (rad); ring, the angle of a ring "
       "about the axis (zonal; else 0); its centre x1 to xd. Not of densities by position."),
    _F(PAIRS_FILE, "run", "CSV with a header",
       "With output.pairs: t; blur, what a histogram of a density is smoothed by; share_1, "
       "...: shares of all pairs by <x, y>, in bins of equal width from -1 to 1."),
    _F("fields.vtkhdf", "run", "VTKHDF, format 1",
       "The mesh and rho, log10_rho and velocity at the output times (of characteristics the "
       "mesh of each time, and masses), for ParaView >= 5.13 and pyvista; own numbers "
       "(geometry, d, the floor of log10_rho) in the group /meanfield."),
    _F("fields.pvd", "run", "VTK collection, format 1",
       'The same with output.format = "pvd": a list of the files of the steps.'),
    _F("fields/fields_*.vtu", "run", "VTK XML",
       "Its steps, one file each."),
    _F("particles.vtkhdf", "run", "VTKHDF, format 1",
       "Of tokens: positions (for d > 3 projections to three dimensions), velocity, cluster, "
       "id and mass; for d > 3 all d coordinates, unless output.coordinates = false; length "
       "where tokens have one."),
    _F("particles.pvd", "run", "VTK collection, format 1",
       'The same with output.format = "pvd".'),
    _F("particles/particles_*.vtu", "run", "VTK XML",
       "Its steps, one file each."),
    _F(CHECKPOINT_FILE, "run", "NumPy .npz, version 1",
       "All that a run needs to go on: `meanfield run DIR --resume`."),
    _F(PREVIOUS_FILE, "run", "NumPy .npz, version 1",
       "The one before, for a damaged disk."),
    _F("open_in_paraview.py", "made", "Python",
       "`meanfield paraview`: a state script for ParaView >= 5.12."),
    _F(f"{EXPORT_DIR}/*", "made", ".npz, .csv, .pvd with .vtu, or .xdmf with .h5",
       "`meanfield export`: fields.* or particles.* in other forms."),
    _F("sweep.csv", "sweep", "CSV with a header",
       "A row a point: its values by key; finished and failed, how many realisations; "
       "half_time and half_time_error, when half of all pairs have met; the mean over "
       "realisations and its error (error_NAME) of each column at the end."),
    _F("sweep.npz", "sweep", "NumPy .npz",
       "The statistics at all times: means, errors, quantiles (5, 25, 50, 75 and 95 %) and "
       "counts; axes, names and what it is about as JSON texts."),
    _F("blocks/point-*-from-*.npz", "sweep", "NumPy .npz",
       "Realisations by point, kept so that --resume goes on."),
    _F("points/*/seed-*/*", "sweep", "the folder of a run",
       "Of other cases: a run for each point and seed."),
    _F("compare.csv", "compare", "CSV with a header",
       "A row for each n and time: W_p with its interval, the sampling floor, ratio, "
       "differences of E and of moments in standard errors, what the mesh or the reference "
       "allows for, p."),
    _F("rates.csv", "compare", "CSV with a header",
       "t, exponent, low, high: the exponent of n in the distance with its 95 % interval."),
    _F("density.npz", "compare", "NumPy .npz",
       "The density that clouds are compared with."),
    _F("density-coarse.npz", "compare", "NumPy .npz",
       "The same on a coarser mesh, from which its error is known."),
    _F("reference.npz", "compare", "NumPy .npz",
       "Instead of these, of a case of tokens: the large cloud."),
    _F("tasks/*.npz", "compare", "NumPy .npz",
       "Each cloud (particles-nN-rR) and each sample of the floor (floor-nN-rR)."),
    _F("points.csv", "pair", "CSV with a header",
       "Own tokens against a density: W2, floor, ratio, p, moments."),
    _F("differences.csv", "pair", "CSV with a header",
       "Two runs: distances and differences at each common output time."),
    _F("converge.csv", "converge", "CSV with a header",
       "A row a resolution and time: resolution, vertices, edge (rad), t; mean_error, "
       "energy_error, l1_error, and the orders to the next resolution."),
    _F("runs/*", "converge", "folders of runs",
       "The runs themselves."),
    _F("stationary.csv", "stationary", "CSV with a header",
       "One row: parameters, c_1 = |m|, c_2, energy, entropy, free_energy_excess (over the "
       "uniform state), residual, leading (largest eigenvalue, 1/time), stable, uniform (1 "
       "or 0)."),
    _F("eigenvalues.csv", "stationary", "CSV with a header",
       "order, real, imag: eigenvalues of the linearised equation by the order of their "
       "modes (1/time)."),
    _F("state.npz", "stationary", "NumPy .npz",
       "The state: moments, and log rho at quadrature points."),
    _F("density.vtu", "stationary", "VTK XML",
       "rho and log10_rho on a mesh."),
    _F("branch.csv", "branch", "CSV with a header",
       "A row a point: branch, the parameter, mean_norm, free_energy_excess (where there is "
       "a free energy), c_2, leading eigenvalue, its order, stable (1 or 0)."),
    _F("events.csv", "branch", "CSV with a header",
       "Critical values, folds and branch points: branch, kind, parameter, mean_norm, ..."),
    _F("branch.npz", "branch", "NumPy .npz",
       "All branches with the moments of their states."),
)  # fmt: skip
"""All of them, in the order of the groups."""


def kind_of(name: str, *groups: str) -> FileKind | None:
    """What a file is by its name in the folder; None: nothing that verbs make.

    Args:
        name: with "/" between folders.
        groups: of these folders; none: of any.
    """
    wanted = set(groups) or set(GROUPS)
    if wanted != {"pair"}:
        wanted.add("any")
    return next(
        (one for one in FILES if one.group in wanted and fnmatch.fnmatch(name, one.name)), None
    )


def explained_files() -> list[str]:
    """Lines on all files, by the folders that have them."""
    lines: list[str] = []
    for group, words in GROUPS.items():
        lines += ["", f"{words}:"]
        for one in FILES:
            if one.group == group:
                text = textwrap.fill(one.about, 94, break_on_hyphens=False)
                lines += [
                    f"  {one.name}  ({one.form})",
                    *textwrap.indent(text, "      ").split("\n"),
                ]
    return lines[1:]
