"""What the record of a folder says: how it stopped, what it took, what it kept.

Owns the words. Reads run.json and the series; knows nothing of fields.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from meanfield.figures.reading import case_table, title_of
from meanfield.geometry.sphere import Array
from meanfield.reports.page import Html, element, joined, numeral, plain_table, subtitled
from meanfield.reports.words import with_signs
from meanfield.results.folder import RunFolder, listed
from meanfield.results.gaussians import of_gaussians

__all__ = [
    "UNFINISHED",
    "case_text",
    "energy_label",
    "facts",
    "is_of_gaussians",
    "name_of",
    "summary_row",
    "summary_table",
]

UNFINISHED = "not finished: it is still running, or was killed"
_SUCCESS = {"end", "stationary", "done"}
_VERSIONS = (
    "meanfield", "commit", "dolfinx", "numpy", "scipy", "numba", "ducc0", "h5py", "mpi4py",
    "python", "host",
)  # fmt: skip
_SETTINGS = ("seed", "ranks", "threads", "started", "ended")
_KINDS = {
    "": "run", "compare": "comparison with particles", "stationary": "stationary state",
    "branch": "branch of stationary states", "sweep": "sweep", "converge": "study of convergence",
}  # fmt: skip

Row = tuple[str, object]


def name_of(run: RunFolder) -> str:
    """Its title, or the name of the folder."""
    return with_signs(title_of(run)) or run.path.resolve().name


def energy_label(run: RunFolder) -> str:
    """How its scaled energy is written."""
    label = str(run.read_energy()["label"])
    return label.replace("e^-|beta|", "exp(−|β|)").replace("e^-|A|", "exp(−|A|)")


def is_of_gaussians(run: RunFolder) -> bool:
    """Whether what its file calls tokens are the points of Gaussians."""
    return of_gaussians(case_table(run))


def kind_of(run: RunFolder) -> str:
    """Which verb made it, in words."""
    return _KINDS.get(run.kind, run.kind)


def case_text(run: RunFolder) -> str:
    """The resolved case."""
    try:
        return run.case_path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def facts(run: RunFolder) -> Html:
    """How it ended, its last numbers, what was kept, warnings, timings, where it came from."""
    record = run.read_run()
    series = run.read_series() if run.series_path.is_file() else {}
    return joined(
        [
            _stopped(record),
            plain_table("In short", list(_outline(run, record, series))),
            subtitled("Invariants and warnings",
                      plain_table("What the scheme keeps", list(_invariants(record, series))),
                      _warnings(record)),
            element("details", element("summary", "Case, resolved"),
                    element("pre", element("code", case_text(run)))),
            element("details", element("summary", "Provenance and timings"),
                    plain_table("Versions", _told(record, _VERSIONS)),
                    plain_table("Process", _told(record, _SETTINGS)),
                    plain_table("Timings", list(_timings(record)), ("part", "seconds", "share"))),
        ]
    )  # fmt: skip


def reason_of(record: Mapping[str, object]) -> str:
    """Why it stopped."""
    return str(record.get("stop_reason") or UNFINISHED)


def _stopped(record: Mapping[str, object]) -> Html:
    """A box, where it did not come to its end."""
    reason = reason_of(record)
    if reason in _SUCCESS:
        return Html()
    text = f"Stopped early: {reason}." if reason != UNFINISHED else f"This is {reason}."
    return element("p", f"{text} What follows is what there is.", class_="stopped")


def _outline(
    run: RunFolder, record: Mapping[str, object], series: Mapping[str, Array]
) -> Iterator[Row]:
    yield "kind", kind_of(run)
    told = record.get("parameters")
    if isinstance(told, str) and told:
        yield "parameters", with_signs(told)
    elif "interaction" in record:
        yield "interaction", with_signs(str(record["interaction"]))
    yield "stopped", reason_of(record)
    if run.kind:
        for name in ("numbers", "replicas", "times", "seeds"):
            if name in record:
                values = listed(record, name) or [record[name]]
                yield name, ", ".join(numeral(value) for value in values)
        for told in listed(record, "summary"):
            if isinstance(told, list) and len(told) == 2:
                yield str(told[0]), str(told[1])
        return
    points = "points of the Gaussians" if is_of_gaussians(run) else "tokens"
    for name, label in (("t", "t at the end"), ("steps", "steps"), ("tokens", points)):
        if name in record:
            yield label, record[name]
    mesh = record.get("mesh")
    if isinstance(mesh, dict):
        yield "mesh", ", ".join(f"{name} {numeral(value, 3)}" for name, value in mesh.items())
    last = {name: float(column[-1]) for name, column in series.items() if len(column)}
    if "energy_scaled" in last:
        yield f"energy {energy_label(run)}", last["energy_scaled"]
    for name, label in (("mean_norm", "|m|"), ("clusters", "clusters"), ("entropy", "entropy")):
        if name in last:
            value = last[name]
            yield label, int(value) if value.is_integer() and name == "clusters" else value


def _invariants(record: Mapping[str, object], series: Mapping[str, Array]) -> Iterator[Row]:
    mass = series.get("mass")
    if mass is not None and np.isfinite(mass).any():
        yield "largest error of the mass", numeral(float(np.nanmax(np.abs(mass - 1.0))), 3)
    least = series.get("rho_min")
    if least is not None and np.isfinite(least).any():
        lowest = float(np.nanmin(least))
        words = "positive" if lowest > 0.0 else "not negative" if lowest == 0.0 else "negative"
        yield "least density", f"{numeral(lowest, 3)} ({words} at all times)"
    broken = record.get("energy_violations")
    if isinstance(broken, int):
        size = numeral(record.get("largest_energy_violation"), 3)
        words = f"{numeral(broken)} steps against its sign, the largest by {size}"
        yield "energy", words if broken else "monotone: no step against its sign"
    for name, label in (
        ("energy_residual", "largest energy residual"),
        ("merge_error", "error by merging"),
    ):
        values = series.get(name, record.get(name))
        if isinstance(values, float | np.ndarray) and np.isfinite(values).any():
            yield label, numeral(float(np.nanmax(np.abs(values))), 3)
    for name, label in (
        ("rejected_steps", "rejected steps"), ("dark_points", "points without mass"),
    ):  # fmt: skip
        if name in record:
            yield label, record[name]
    for name in ("unresolved_from", "rho_unresolved_from"):
        if isinstance(record.get(name), float):
            yield "not resolved by the mesh from", f"t = {numeral(record[name], 4)}"


def _warnings(record: Mapping[str, object]) -> Html:
    told = [str(text) for text in listed(record, "warnings")]
    if not told:
        return element("p", "No warnings.", class_="note")
    return element("ul", *(element("li", text) for text in told), class_="warnings")


def _told(record: Mapping[str, object], names: tuple[str, ...]) -> list[Row]:
    return [(name, str(record[name])) for name in names if record.get(name) is not None]


def _timings(record: Mapping[str, object]) -> Iterator[tuple[str, float, str]]:
    timings = record.get("timings")
    if not isinstance(timings, dict) or not timings:
        return
    total = sum(timings.values())
    for name, seconds in timings.items():
        share = f"{seconds / total:.0%}" if total > 0.0 else ""
        yield str(name), round(float(seconds), 3), share
    yield "all", round(float(total), 3), ""


def summary_row(name: str, run: RunFolder, link: str) -> list[object]:
    """A row of ``summary_table``."""
    record = run.read_run()
    series = run.read_series() if run.series_path.is_file() else {}
    last = {key: float(column[-1]) for key, column in series.items() if len(column)}
    timings = record.get("timings")
    mass = series.get("mass", np.empty(0))
    nan = float("nan")
    return [
        element("a", name, href=f"#{link}"),
        kind_of(run),
        with_signs(str(record.get("interaction", ""))),
        reason_of(record),
        record.get("t", nan),
        last.get("energy_scaled", nan),
        last.get("mean_norm", nan),
        last.get("clusters", nan),
        float(np.nanmax(np.abs(mass - 1.0))) if np.isfinite(mass).any() else nan,
        round(sum(timings.values()), 1) if isinstance(timings, dict) else nan,
    ]


def summary_table(rows: list[list[object]]) -> Html:
    """Several folders side by side."""
    head = ("folder", "kind", "interaction", "stopped", "t", "energy, scaled", "|m|", "clusters",
            "error of the mass", "seconds")  # fmt: skip
    return plain_table("All folders", rows, head)
