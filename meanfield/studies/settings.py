"""What a comparison is asked for: checked before anything is written, and recorded in its folder.

Owns what may be compared, and which clouds may be mixed when it goes on. Knows nothing of how it is
done.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from meanfield.arguments import checked_fields
from meanfield.case import Case, Output, Particles, Unmeshed
from meanfield.case.words import record_of
from meanfield.errors import InputError
from meanfield.geometry.sphere import uniform_points
from meanfield.results.comparison import comparison_record
from meanfield.results.folder import RunFolder, listed
from meanfield.software import provenance, utc_now
from meanfield.studies.numbers import checked_integer, checked_numbers
from meanfield.studies.suitable import check_cases

__all__ = ["KERNELS", "NO_FILES", "Clouds", "Settings", "as_begun", "open_folder", "settle"]

KERNELS = {"energy_distance": "energy", "mmd": "mmd"}
"""Names of the distances beside W_p of clouds to a cloud, and their statistics."""
NO_FILES = Output(precision="float64", figures=False)
"""Of the runs of a comparison: what float32 could not hold is welcome."""


@checked_fields
@dataclass(frozen=True)
class Clouds:
    """Which particles a density is compared with, and when and how.

    Attributes:
        numbers: numbers of particles, at most 1 000 000; for distances in d > 4 20 000. On
            surfaces the distances of more than 100 000 are those of 100 000 of them, or bounds.
        replicas: clouds for each n, at least 2 (6 for a verdict by sign flips).
        case: model for the particles, if it is to differ (a test of power): a density's case, or
            one of ``Particles`` for their tolerances or noise. The number and the origin of its
            tokens are not used: clouds are independent draws from its law. Tokens of a file are
            told, equiangular ones refused; ``output.pairs`` and ``output.tangents`` are ignored.
        times: when to compare; by default at five output times, start and end included.
        exponents: p of W_p: 1, 2 or both; none of them leaves the distances out, which are by far
            the slowest part, so that energies, moments and the verdict remain.
        reference: number N of particles that stand for the limit, where the case is one of
            ``Particles``, in any d: the points of distances, and n others for the floor of each of
            R replicas. By default N = points + R n for the largest n (without distances 2 R n);
            fewer points will do, down to N = 2 R n (without distances N = 2 n). For a verdict N is
            to be at least n R: see ``Comparison.rows``.

    Example:
        >>> mf.Clouds([250, 1000], 8).exponents
        (2,)
    """

    numbers: Sequence[int]
    replicas: int
    case: Case | None = None
    times: Sequence[float] | None = None
    exponents: Sequence[int] = (2,)
    reference: int | None = None


@dataclass(frozen=True)
class Settings:
    """What is compared, with all defaults and in order; see ``Clouds``."""

    case: Case
    particle_case: Case
    numbers: tuple[int, ...]
    replicas: int
    times: tuple[float, ...]
    exponents: tuple[int, ...]
    reference: int | None = None

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of clouds that are needed."""
        return ("particles", "floor") if self.exponents else ("particles",)

    @property
    def distances(self) -> tuple[str, ...]:
        """Names of all distances that are measured."""
        names = tuple(f"w{p}" for p in self.exponents)
        return (*names, *KERNELS) if names and self.reference is not None else names

    def token_case(self, n: int, other: bool = True) -> Case:
        """The case for n tokens, which live on the whole sphere.

        Args:
            n: their number.
            other: whether it is that of the particles, if these have one; else the reference's.
        """
        case = self.particle_case if other else self.case
        options = case.solver if isinstance(case.solver, Particles) else Particles(number=n)
        return replace(
            case,
            geometry=Unmeshed(case.geometry.d),
            solver=replace(options, number=n, tokens="iid", cosine=None),
            output=NO_FILES,
        )

    def describe(self) -> dict[str, object]:
        """As it is recorded."""
        return {
            "kind": "compare",
            "numbers": list(self.numbers),
            "replicas": self.replicas,
            "times": list(self.times),
            "exponents": list(self.exponents),
            **({} if self.reference is None else {"reference": self.reference}),
            "particle_case": self.particle_case.to_toml(),
        }


def settle(case: Case, clouds: Clouds) -> Settings:
    """Check what is asked for.

    Raises:
        InputError: it cannot be compared.
    """
    other = clouds.case or case
    check_cases(case, other)
    exponents = _checked_exponents(clouds.exponents)
    replicas = checked_integer("replicas", clouds.replicas, 2, 10_000, "6 for a full verdict")
    numbers, reference = checked_numbers(
        case, tuple(clouds.numbers), replicas, clouds.reference, bool(exponents)
    )
    times = _chosen_times(case, clouds.times)
    settings = Settings(case, other, numbers, replicas, times, exponents, reference)
    settings.token_case(2)  # what it refuses is refused before the density is run
    return settings


def as_begun(clouds: Clouds, path: str | Path) -> Clouds:
    """Clouds with the reference that the comparison in a folder has, if none is asked for.

    Raises:
        InputError: there is no comparison in the folder.
    """
    had = comparison_record(RunFolder.open(path)).get("reference")
    if clouds.reference is not None or not isinstance(had, int):
        return clouds
    return replace(clouds, reference=had)


def _chosen_times(case: Case, times: Sequence[float] | None) -> tuple[float, ...]:
    available = case.output_times()
    if times is None:
        picked = np.unique(np.round(np.linspace(0, len(available) - 1, 5)).astype(int))
        return tuple(available[k] for k in picked)
    for t in times:
        if not 0.0 <= t <= case.time.end:
            raise InputError(f"time {t:g} found, 0 to time.end = {case.time.end:g} expected")
    return tuple(sorted({0.0, *map(float, times)}))


def _checked_exponents(exponents: Sequence[int]) -> tuple[int, ...]:
    if not set(exponents) <= {1, 2}:
        raise InputError(f"exponents {tuple(exponents)} found, 1, 2 or both expected")
    return tuple(sorted(set(exponents), reverse=True))


def open_folder(path: Path, settings: Settings, overwrite: bool, resume: bool) -> RunFolder:
    """Make the folder of a comparison, or go on with that there is, and record what is asked for.

    Raises:
        InputError: it cannot be written, or was begun with other settings.
    """
    before: dict[str, object] = {}
    about = {**provenance(), **record_of(settings.case), **settings.describe(),
             "digests": _digests(settings), "law": _law(settings)}  # fmt: skip
    if resume:
        folder = RunFolder.open(path)
        before = comparison_record(folder)
        _check_same(folder, before, settings, about)
        about["resumed"] = [*listed(before, "resumed"), utc_now()]
    else:
        folder = RunFolder.create(path, overwrite)
    folder.write_case(settings.case)
    about |= {"started": before.get("started", utc_now()), "ended": None, "stop_reason": None}
    folder.write_run({**before, **about})
    return folder


def _check_same(
    folder: RunFolder,
    before: Mapping[str, object],
    settings: Settings,
    about: Mapping[str, object],
) -> None:
    """Refuse to mix the clouds of different problems; ``about`` is what would be recorded."""
    wanted = json.loads(json.dumps(settings.describe()))
    fixed = ("times", "exponents", "reference")
    changed = [k for k in fixed if before.get(k) != wanted.get(k)]
    changed += settings.case.resume_conflicts(Case.from_toml(folder.case_path, recorded=True))
    if _of_particles(str(before.get("particle_case", ""))) != _of_particles(
        wanted["particle_case"]
    ):
        changed.append("the case of the particles")
    then, now = before.get("digests"), about["digests"]
    if isinstance(then, dict) and isinstance(now, dict):
        changed += [f"the file of {key}" for key in now if then.get(key, now[key]) != now[key]]
    law, other = before.get("law"), about["law"]
    if isinstance(law, list) and not np.allclose(law, np.asarray(other), rtol=1e-6, atol=1e-300):
        changed.append("the law")
    if changed:
        raise InputError(
            f"cannot go on with {folder.path}, which was begun with other values of "
            f"{', '.join(changed)}: only numbers of particles and replicas may change"
        )


def _digests(settings: Settings) -> dict[str, str]:
    """Of the files that densities and clouds hang on."""
    ours = settings.case.file_digests(law=True)
    theirs = settings.particle_case.file_digests(law=True)
    # The particles' own tokens are not used.
    others = {
        key: digest
        for key, digest in theirs.items()
        if ours.get(key) != digest and not key.startswith("solver.")
    }
    return ours | {f"{key} of the particles": digest for key, digest in others.items()}


def _law(settings: Settings) -> list[float]:
    """The laws' densities at some points, which tell one made in Python from another."""
    x = uniform_points(32, settings.case.geometry.d, np.random.default_rng(0))
    cases = (settings.case, settings.particle_case)
    return [float(value) for case in cases for value in case.initial.density(x)]


def _of_particles(text: str) -> dict[str, object]:
    """What of a case the clouds depend on, with all defaults: an earlier version had fewer keys."""
    table = tomllib.loads(text)
    with suppress(InputError):  # what this version no longer reads is compared as it stands
        table = Case.from_dict(table, recorded=True).to_dict()
    return {name: table.get(name) for name in ("geometry", "model", "initial", "solver")}
