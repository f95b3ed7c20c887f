"""[model.interaction]: reading, writing, refusing, running, going on, comparing, following."""

from __future__ import annotations

import csv
import json
import re
import tomllib
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from processes import ROOT, Job, needs_launcher, ranks

import meanfield as mf
from meanfield import cli
from meanfield.case import apply_overrides
from meanfield.errors import InputError
from meanfield.interaction.kernels import KERNELS
from meanfield.studies.compare import compare
from meanfield.studies.settings import Clouds

CASES = ROOT / "scripts" / "cases"
Start = Callable[..., Job]

TABLES: dict[str, dict[str, Any]] = {
    "exponential": {"beta": 2.0, "link": "log", "strength": 0.5},
    "power": {"k": 3},
    "maier-saupe": {},
    "onsager": {"s": 0.6},
    "log": {"strength": -1.0},
    "riesz": {"s": 0.5, "strength": -1.0},
    "series": {"coefficients": [0.1, 0.2, 0.3]},
    "gaussian": {"width": 0.4},
    "bounded-confidence": {"c": 0.7, "width": 0.1},
    "function": {"path": "mine.py", "call": "pull", "breaks": [0.2]},
}
every_table = pytest.mark.parametrize("name", TABLES)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a file that holds a kernel, where commands are given."""
    text = "import numpy as np\ndef pull(t):\n    return np.abs(t - 0.2) ** 3 + t\n"
    (tmp_path / "mine.py").write_text(text, "utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def raw_case(name: str = "gaussian", **changes: Any) -> dict[str, Any]:
    raw: dict[str, Any] = {
        "title": "small",
        "geometry": {"type": "sphere", "level": 2},
        "model": {"interaction": {"type": name, **TABLES[name]}},
        "initial": {"type": "standard"},
        "solver": {"type": "implicit"},
        "time": {"end": 0.2, "outputs": [0.1]},
        "output": {"figures": False},
    }
    for path, value in changes.items():
        section, _, key = path.partition("__")
        raw[section] = {**raw[section], key: value} if key else value
    return raw


def small(name: str, here: Path, **changes: Any) -> mf.Case:
    return mf.Case.from_dict(raw_case(name, **changes), here)


def test_every_kernel_is_read() -> None:
    assert set(TABLES) == set(KERNELS)


@every_table
def test_cases_are_written_as_they_are_read(name: str, here: Path) -> None:
    case = small(name, here)
    again = mf.Case.from_dict(tomllib.loads(case.to_toml()))
    assert again == case and not case.differences(again)
    assert name in case.model.describe()
    other = mf.Case.from_dict(
        apply_overrides(raw_case(name), {"model.interaction.strength": 0.25}), here
    )
    assert case.differences(other) == ["model.interaction.strength"]
    assert case.resume_conflicts(other) == ["model.interaction.strength"]


@every_table
@pytest.mark.parametrize("solver", ["implicit", "eulerian", "particles"])
def test_every_kernel_runs_in_every_solver(name: str, solver: str, here: Path) -> None:
    changes: dict[str, Any] = {"solver": {"type": solver}}
    if solver == "particles":
        changes = {
            "solver": {"type": solver, "number": 60},
            "geometry": {"type": "unmeshed", "d": 3},
        }
    case = small(name, here, **changes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mf.MeanfieldWarning)
        result = mf.run(case, here / "run", progress=False)
    series = result.series
    np.testing.assert_allclose(series["mass"], 1.0, atol=1e-12)
    if case.model.on(case.geometry).convexity == "positive":
        assert np.all(np.diff(series["energy"]) > 0.0)
    about = json.loads((here / "run" / "run.json").read_text("utf-8"))
    assert name in about["interaction"]
    ends = mf.Interaction(case.model.term, 3).series_ends
    if solver == "particles":
        assert (about["harmonic_degree"] is None) == (not ends)
        assert ("self_term" in about) == (name in ("log", "riesz"))
    else:
        # 162 vertices resolve degree 7.
        assert ("truncation" in about) == (not ends or about["harmonic_degree"] == 7)
        if "truncation" in about:
            assert about["truncation"]["degree"] == 7 and 0.0 <= about["series_share"] < 1.0


@pytest.mark.parametrize("name", ["gaussian", "log", "bounded-confidence"])
def test_characteristics_with_kernels(name: str, here: Path) -> None:
    case = small(name, here, solver={"type": "lagrangian"}, geometry={"type": "sphere", "level": 3})
    fixed = small(name, here, geometry={"type": "sphere", "level": 4}, solver={"type": "eulerian"})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mf.MeanfieldWarning)
        moving, still = (mf.run(c, None, progress=False).series for c in (case, fixed))
    for column in ("energy", "mean_1", "mean_2", "mean_3"):
        assert moving[column][-1] == pytest.approx(still[column][-1], abs=2e-3)


def test_a_cut_series_is_told(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = small("onsager", here)
    (here / "case.toml").write_text(case.to_toml(), "utf-8")
    assert cli.main(["run", "case.toml", "-o", "out"]) == 0
    said = capsys.readouterr()
    told = (
        r"the series of the interaction \(onsager, s = 0.6\) is cut at degree 7, .* carried up to"
    )
    assert re.search(told, said.out)
    assert "sphere, 162 vertices, implicit, onsager, s = 0.6" in said.out
    assert "E e^-|beta|" not in said.out + said.err
    assert cli.main(["info", "out"]) == 0
    assert "interaction.type = onsager" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["onsager", "gaussian"])
def test_a_run_goes_on(name: str, here: Path) -> None:
    longer = {"end": 0.2, "outputs": [0.1]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mf.MeanfieldWarning)
        one = mf.run(small(name, here, time=longer), here / "one", progress=False)
        mf.run(small(name, here, time={"end": 0.1}), here / "two", progress=False)
        two = mf.run(small(name, here, time=longer), here / "two", progress=False, resume=True)
    for column in ("energy", "mean_norm"):
        assert two.series[column][-1] == pytest.approx(one.series[column][-1], rel=1e-9)
    with pytest.raises(InputError, match=r"model\.interaction"):
        changed = apply_overrides(raw_case(name), {"model.interaction.strength": 0.5})
        mf.run(mf.Case.from_dict(changed, here), here / "two", progress=False, resume=True)


@needs_launcher
@pytest.mark.parametrize(
    ("number", "name"),
    [(2, "onsager"), *(pytest.param(3, n, marks=pytest.mark.slow) for n in ("series", "riesz"))],
)
def test_kernels_on_several_ranks(number: int, name: str, here: Path, start: Start) -> None:
    case = small(name, here, geometry={"type": "sphere", "level": 3})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mf.MeanfieldWarning)
        one = mf.run(case, None, progress=False)
    (here / "case.toml").write_text(case.to_toml(), "utf-8")
    words = ("-m", "meanfield", "run", "case.toml", "-o", "out", "--no-progress")
    done = start(*ranks(number, *words), cwd=here).finish()
    assert done.code == 0, done.said
    series = mf.RunFolder(here / "out").read_series()
    for column in ("energy", "mean_1", "mean_2", "mean_3", "rho_max"):
        assert series[column][-1] == pytest.approx(one.series[column][-1], rel=1e-8)


def test_density_and_particles_of_a_singular_kernel_agree(here: Path) -> None:
    case = small("log", here, geometry={"type": "circle", "vertices": 120},
                 initial={"type": "fourier", "cos": [0.4, 0.2]}, time={"end": 0.5})  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mf.MeanfieldWarning)
        result = compare(case, Clouds((100, 200), 3, times=(0.5,)), here / "out", progress=False)
    ratios = [row["ratio_w2"] for row in result.rows if row["t"] == 0.5]
    assert len(ratios) == 2 and all(0.2 < ratio < 2.0 for ratio in ratios)


# ------------------------------------------------------------------ automatic choice


@pytest.mark.parametrize(
    ("table", "end", "solver"),
    [
        ({"type": "gaussian", "width": 0.4}, 1.0, mf.Eulerian()),
        ({"type": "gaussian", "width": 0.4}, 1e3, mf.Lagrangian()),
        ({"type": "gaussian", "width": 0.4, "strength": -1.0}, 1e3, mf.Implicit()),
        ({"type": "onsager"}, 1e4, mf.Implicit()),  # its series does not end
        ({"type": "power", "k": 3}, 1e3, mf.Lagrangian()),
        ({"type": "exponential", "beta": 4.0, "strength": 0.25, "link": "log"}, 31.0,
         mf.Lagrangian()),
    ],
)  # fmt: skip
def test_auto(table: dict[str, Any], end: float, solver: object) -> None:
    raw = raw_case() | {"model": {"interaction": table}, "solver": "auto", "time": {"end": end}}
    assert mf.Case.from_dict(raw).solver == solver


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model.interaction.type": "gausian"},
         ["model.interaction.type", "did you mean 'gaussian'"]),
        ({"model.interaction.widht": 0.3},
         ["model.interaction.widht", "'model.interaction.width'"]),
        ({"model.interaction.type": "function", "model.interaction.path": "mine.py",
          "model.interaction.call": "pul"}, ["model.interaction.call", "did you mean 'pull'"]),
        ({"model.interaction.type": "function", "model.interaction.path": "mine.py",
          "model.interaction.call": 3}, ["model.interaction.call", "a text"]),
        ({"model.interaction.type": "exponential", "model.interaction.beta": 2e4},
         ["model.interaction.beta", "|beta| <= 10000, found 20000"]),
        ({"model.interaction.beta": 0.3},
         ["unknown key model.interaction.beta", "[model.interaction] of type 'gaussian' takes"]),
        ({"model.interaction.width": "wide"}, ["model.interaction.width", "'wide'"]),
        ({"model.interaction.link": "sqrt"}, ["model.interaction.link", '"identity" or "log"']),
        ({"model.interaction.type": "riesz", "model.interaction.s": 2.0},
         ["model.interaction.s", "below d - 1 = 2", "found 2"]),
        ({"model.interaction.type": "power"}, ["model.interaction.k is missing", "k = 2"]),
        ({"model.interaction.type": "power", "model.interaction.k": 3,
          "model.interaction.link": "log"}, ["link", "not positive everywhere"]),
        ({"model.interaction.type": "function", "model.interaction.path": "gone.py"},
         ["model.interaction.path", "found no file", "gone.py"]),
        ({"model.interaction": 3}, ["model.interaction", "expected a table", "found 3"]),
        ({"model.interaction.type": "exponential", "model.interaction.beta": 700.0},
         ["model.interaction", "beta = 700", "600"]),
        ({"model.interaction.type": "exponential", "model.interaction.beta": 100.0},
         ["output.precision", "e^100", "float64"]),
        ({"model.beta": 4.0}, ["model.interaction: found together with model.beta"]),
        ({"model.interaction.type": "series", "model.interaction.legendre": [0.0, "a"]},
         ["model.interaction.legendre[1]", "'a'"]),
    ],
)  # fmt: skip
def test_refusals_name_the_key(changes: dict[str, object], words: list[str], here: Path) -> None:
    with pytest.raises(InputError) as caught:
        mf.Case.from_dict(apply_overrides(raw_case(), changes), here)
    text = str(caught.value)
    assert all(word in text for word in words), text
    assert "\n" not in text


def test_the_short_form_and_the_long_one_take_each_others_place() -> None:
    raw = raw_case() | {"model": {"attention": "sa", "beta": 4.0, "value": -1, "kappa": 0.1}}
    changes = {"model.interaction.type": "maier-saupe", "model.interaction.strength": 2.0}
    long = mf.Case.from_dict(apply_overrides(raw, changes)).model
    assert long == mf.Model(interaction=mf.MaierSaupe(strength=2.0), kappa=0.1)
    back = apply_overrides(long_raw := mf.Case.from_dict(apply_overrides(raw, changes)).to_dict(),
                           {"model.attention": "usa", "model.beta": 1.0})  # fmt: skip
    assert "interaction" in long_raw["model"]
    assert mf.Case.from_dict(back).model == mf.Model(attention="usa", beta=1.0, kappa=0.1)


def test_an_interaction_can_be_set_in_one_piece() -> None:
    raw = raw_case() | {"model": {"attention": "sa", "beta": 4.0}}
    changed = apply_overrides(raw, ['model.interaction={type = "power", k = 3}'])
    assert mf.Case.from_dict(changed).model == mf.Model(interaction=mf.Power(k=3))


# ------------------------------------------------------------------ stationary, branch


def test_a_branch_ends_where_the_range_of_its_parameter_does() -> None:
    from meanfield.geometry.laws import Gegenbauer
    from meanfield.steady.branch import find_branches
    from meanfield.steady.equation import Equation

    found = find_branches(Equation(mf.Onsager(), 0.1, 3), "s", 0.8, 1.0, Gegenbauer(3, (0.0, 0.6)))
    clustered = found.branches[1]
    assert clustered.stopped == "the end of the interval"
    assert clustered.column("parameter")[-1] == pytest.approx(1.0, abs=1e-3)


def test_branch_in_any_number(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["branch", str(CASES / "nematic.toml"), "--set", "model.interaction.type=maier-saupe",
             "--set", "geometry.type=zonal", "--set", "geometry.d=3",
             "--set", "geometry.vertices=100", "--set", "initial.type=gegenbauer",
             "--set", "initial.coefficients=[0.0, 0.5]"]  # fmt: skip
    interval = ["--from", "1.0", "--to", "0.7"]
    assert cli.main([*words, "--parameter", "strength", *interval, "-o", "out"]) == 0
    shown = capsys.readouterr().out
    assert "zonal, d = 3, maier-saupe, kappa = 0.105" in shown
    fold = float(re.search(r"fold +strength = ([\d.]+)", shown)[1])  # type: ignore[index]
    assert fold == pytest.approx(0.105 / 0.1485555999225, abs=1e-8)
    assert re.search(r"fold +strength = [\d.]+, c_2 = 0.323597\n", shown)  # even: |m| says nothing
    with open(here / "out" / "events.csv", encoding="utf-8", newline="") as file:
        orders = {row["kind"]: float(row["c_2"]) for row in csv.DictReader(file)}
    assert orders["fold"] == pytest.approx(0.323596876907, abs=1e-6)
    with open(here / "out" / "branch.csv", encoding="utf-8", newline="") as file:
        assert next(csv.reader(file))[:3] == ["branch", "strength", "mean_norm"]
    assert (here / "out" / "figures" / "branch.png").stat().st_size > 10_000
    assert cli.main([*words, "--parameter", "strenth", *interval, "-o", "no"]) == 2
    error = capsys.readouterr().err
    assert "'kappa' or 'strength' expected (did you mean 'strength'?)" in error
    assert not (here / "no").exists()


def test_stationary_writes_what_it_is_a_state_of(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--set", "geometry.level=3", "-o", "state"]
    assert cli.main(["stationary", str(CASES / "nematic.toml"), *words]) == 0
    shown = capsys.readouterr().out
    assert "F - F_uniform" in shown and "even (its mean vanishes)" in shown
    with open(here / "state" / "stationary.csv", encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert list(row)[:6] == ["model", "s", "kappa", "d", "strength", "link"]
    assert row["model"] == "onsager" and float(row["s"]) == 0.5 and float(row["kappa"]) == 0.105
    assert float(row["residual"]) < 1e-13
    about = json.loads((here / "state" / "run.json").read_text("utf-8"))
    assert (about["interaction"], about["energy_kind"]) == ("onsager, s = 0.5", "gradient")
    assert cli.main(["plot", "state"]) == 0


def test_folders_of_earlier_versions_are_drawn(here: Path) -> None:
    # Their run.json says nothing of the interaction, their case.toml names attention.
    case = mf.Case.from_toml(CASES / "noise.toml", ["geometry.level=2", "time.end=0.2",
                                                    "time.outputs=[]"])  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mf.MeanfieldWarning)
        mf.run(case, here / "run", progress=False)
    folder = mf.RunFolder(here / "run")
    assert folder.read_energy() == {"label": "E e^-|beta|", "dirac": 0.125}
    about = folder.read_run()
    for name in ("energy", "interaction", "convexity"):
        about.pop(name)
    folder.write_run(about)
    assert folder.read_energy() == {"label": "E e^-|beta|", "dirac": 0.125}
    assert cli.main(["plot", "run"]) == 0 and cli.main(["info", "run"]) == 0


# ------------------------------------------------------------------ what the case files say


def full_run(name: str) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mf.MeanfieldWarning)
        return mf.run(mf.Case.from_toml(CASES / f"{name}.toml"), None, progress=False).series


@pytest.mark.slow
def test_swarming_and_opinion_gather_into_three() -> None:
    for name in ("swarming", "opinion"):
        series = full_run(name)
        assert series["clusters"][-1] == 3.0
    opinion = full_run("opinion")
    assert np.all(np.diff(opinion["energy"]) > -1e-12)


@pytest.mark.slow
def test_kuramoto_daido_becomes_one_group() -> None:
    series = full_run("kuramoto")
    t, m = series["t"], series["mean_norm"]
    assert float(np.interp(20.0, t, m)) < 2e-3 and series["clusters"][np.searchsorted(t, 20.0)] == 2
    case = mf.Case.from_toml(CASES / "kuramoto.toml")
    from meanfield.geometry.laws import VonMisesFisher
    from meanfield.steady.equation import Equation
    from meanfield.steady.newton import find_stationary

    state = find_stationary(
        Equation(case.model.term, case.model.kappa, 2), VonMisesFisher((0.0, 1.0), 4.0)
    )
    assert m[-1] == pytest.approx(state.mean_norm, abs=1e-3)
    assert m[-1] == pytest.approx(0.915, abs=1e-3)


@pytest.mark.slow
def test_nematic_stays_ordered() -> None:
    series = full_run("nematic")
    assert series["mean_norm"][-1] < 1e-10 and series["clusters"][-1] == 2.0
    assert np.all(np.diff(series["free_energy"]) < 1e-12)
