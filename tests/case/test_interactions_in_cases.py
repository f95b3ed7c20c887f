"""[model.interaction]: reading, writing, refusing, running, going on, comparing, following."""

from __future__ import annotations

import csv
import re
import tomllib
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import Recipe, about, plain, run
from processes import ROOT, Job, needs_launcher, ranks

import meanfield as mf
from meanfield import cli
from meanfield.case import Unmeshed, apply_overrides
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
def here(inside: Path) -> Path:
    """A folder with a file that holds a kernel, where commands are given."""
    text = "import numpy as np\ndef pull(t):\n    return np.abs(t - 0.2) ** 3 + t\n"
    (inside / "mine.py").write_text(text, "utf-8")
    return inside


interacting = {
    name: plain.but(
        model={"interaction": {"type": name, **table}},
        solver__type="implicit",
        time={"end": 0.2, "outputs": [0.1]},
        output__figures=False,
    )
    for name, table in TABLES.items()
}
gaussian = interacting["gaussian"]
short = gaussian.but(model={"attention": "sa", "beta": 4.0})
"""The same in its short form."""


def test_every_kernel_is_read() -> None:
    assert set(TABLES) == set(KERNELS)


@every_table
def test_cases_are_written_as_they_are_read(name: str, here: Path) -> None:
    case = interacting[name](base=here)
    again = mf.Case.from_dict(tomllib.loads(case.to_toml()))
    assert again == case and not case.differences(again)
    assert name in case.model.describe()
    other = interacting[name]({"model.interaction.strength": 0.25}, here)
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
    case = interacting[name](base=here, **changes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mf.MeanfieldWarning)
        result = run(case, here / "run")
    series = result.series
    np.testing.assert_allclose(series["mass"], 1.0, atol=1e-12)
    if case.model.on(case.geometry).convexity == "positive":
        assert np.all(np.diff(series["energy"]) > 0.0)
    data = about(here / "run")
    assert name in data["interaction"]
    ends = mf.Interaction(case.model.term, 3).series_ends
    if solver == "particles":
        assert (data["harmonic_degree"] is None) == (not ends)
        assert ("self_term" in data) == (name in ("log", "riesz"))
    else:
        # 162 vertices resolve degree 7.
        assert ("truncation" in data) == (not ends or data["harmonic_degree"] == 7)
        if "truncation" in data:
            assert data["truncation"]["degree"] == 7 and 0.0 <= data["series_share"] < 1.0


@pytest.mark.parametrize("name", ["gaussian", "log", "bounded-confidence"])
def test_characteristics_with_kernels(name: str, here: Path) -> None:
    case = interacting[name](
        None, here, solver={"type": "lagrangian"}, geometry={"type": "sphere", "level": 3}
    )
    fixed = interacting[name](
        None, here, geometry={"type": "sphere", "level": 4}, solver={"type": "eulerian"}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mf.MeanfieldWarning)
        moving, still = (run(c).series for c in (case, fixed))
    for column in ("energy", "mean_1", "mean_2", "mean_3"):
        assert moving[column][-1] == pytest.approx(still[column][-1], abs=2e-3)


def test_a_cut_series_is_told(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = interacting["onsager"](base=here)
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
        one = run(interacting[name](base=here, time=longer), here / "one")
        run(interacting[name](base=here, time={"end": 0.1}), here / "two")
        two = run(interacting[name](base=here, time=longer), here / "two", resume=True)
    for column in ("energy", "mean_norm"):
        assert two.series[column][-1] == pytest.approx(one.series[column][-1], rel=1e-9)
    with pytest.raises(InputError, match=r"model\.interaction"):
        changed = interacting[name]({"model.interaction.strength": 0.5}, here)
        run(changed, here / "two", resume=True)


@needs_launcher
@pytest.mark.parametrize(
    ("number", "name"),
    [(2, "onsager"), *(pytest.param(3, n, marks=pytest.mark.slow) for n in ("series", "riesz"))],
)
def test_kernels_on_several_ranks(number: int, name: str, here: Path, start: Start) -> None:
    case = interacting[name](base=here, geometry={"type": "sphere", "level": 3})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mf.MeanfieldWarning)
        one = run(case)
    (here / "case.toml").write_text(case.to_toml(), "utf-8")
    words = ("-m", "meanfield", "run", "case.toml", "-o", "out", "--no-progress", "--trust")
    done = start(*ranks(number, *words), cwd=here).finish()
    assert done.code == 0, done.said
    series = mf.RunFolder(here / "out").read_series()
    for column in ("energy", "mean_1", "mean_2", "mean_3", "rho_max"):
        assert series[column][-1] == pytest.approx(one.series[column][-1], rel=1e-8)


def test_density_and_particles_of_a_singular_kernel_agree(here: Path) -> None:
    case = interacting["log"](base=here, geometry={"type": "circle", "vertices": 120},
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
    made = plain(model={"interaction": table}, solver="auto", time__end=end)
    assert made.solver == solver


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
        gaussian(changes, here)
    text = str(caught.value)
    assert all(word in text for word in words), text
    assert "\n" not in text


def test_the_short_form_and_the_long_one_take_each_others_place() -> None:
    noisy = short.but(model__value=-1, model__kappa=0.1)
    changes = {"model.interaction.type": "maier-saupe", "model.interaction.strength": 2.0}
    long = noisy(changes)
    assert long.model == mf.Model(interaction=mf.MaierSaupe(strength=2.0), kappa=0.1)
    assert "interaction" in long.to_dict()["model"]
    back = Recipe(long.to_dict())({"model.attention": "usa", "model.beta": 1.0})
    assert back.model == mf.Model(attention="usa", beta=1.0, kappa=0.1)


def test_an_interaction_can_be_set_in_one_piece() -> None:
    changed = apply_overrides(short.table(), ['model.interaction={type = "power", k = 3}'])
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
    assert (
        "'kappa', 'strength' or 'diffusion.exponent' expected (did you mean 'strength'?)" in error
    )
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
    interaction = mf.Case.from_toml(CASES / "nematic.toml").model.on(Unmeshed(3))
    energy, uniform = float(row["energy"]), interaction.uniform_energy
    excess = 0.105 * float(row["entropy"]) - interaction.drive * (energy - uniform)
    assert float(row["free_energy_excess"]) == pytest.approx(excess, abs=1e-12) != 0.0
    assert "free_energy" not in row  # which is F itself, as in a series
    data = about(here / "state")
    assert (data["interaction"], data["energy_kind"]) == ("onsager, s = 0.5", "gradient")
    assert cli.main(["plot", "state"]) == 0


def test_folders_of_earlier_versions_are_drawn(here: Path) -> None:
    # Their run.json says nothing of the interaction, their case.toml names attention.
    case = mf.Case.from_toml(CASES / "noise.toml", ["geometry.level=2", "time.end=0.2",
                                                    "time.outputs=[]"])  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mf.MeanfieldWarning)
        run(case, here / "run")
    folder = mf.RunFolder(here / "run")
    assert folder.read_energy() == {"label": "E e^-|beta|", "dirac": 0.125}
    data = folder.read_run()
    for name in ("energy", "interaction", "convexity"):
        data.pop(name)
    folder.write_run(data)
    assert folder.read_energy() == {"label": "E e^-|beta|", "dirac": 0.125}
    assert cli.main(["plot", "run"]) == 0 and cli.main(["info", "run"]) == 0


# ------------------------------------------------------------------ what the case files say


def full_run(name: str) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mf.MeanfieldWarning)
        return run(mf.Case.from_toml(CASES / f"{name}.toml")).series


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
