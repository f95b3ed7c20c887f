"""Titles that name parameters: what stands for a key, where it is shown, what is refused."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from cases import few_tokens

import meanfield as mf
from meanfield import cli
from meanfield.case.titles import resolved_title, values_in_words
from meanfield.figures.mathwords import folded, in_mathtext
from meanfield.figures.reading import parameters_of, title_of
from meanfield.results.folder import RunFolder

TABLE: dict[str, object] = {
    "title": "x",
    "seed": 7,
    "geometry": {"type": "file", "path": "/somewhere/else/ball.msh"},
    "model": {"beta": 4.0, "on": True, "heads": [{"beta": 2.5}, {"beta": {"type": "wave"}}]},
    "time": {"outputs": [0.0, 0.5, 1.0], "many": [0.0, 0.1, 0.2, 0.3, 0.4]},
}


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("no keys", "no keys"),
        ("beta = {model.beta}", "beta = 4"),
        ("{model.beta:.2f}, {seed:03d}", "4.00, 007"),
        ("{{x}} {model.heads.0.beta}", "{x} 2.5"),
        ("{model.heads.1.beta}", "wave"),
        ("{model.heads}", "2 values"),
        ("{geometry.path} on {geometry.type}", "ball.msh on file"),
        ("{time.outputs}; {time.many}; {model.on}", "0, 0.5, 1; 5 values; true"),
        ("{model.kappa}", "none"),  # a key of cases that this one has not
    ],
)
def test_values_stand_for_keys(template: str, told: str) -> None:
    assert resolved_title(template, TABLE) == told


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{model.betta}", r"found \{model.betta\}, expected a key .*did you mean 'model.beta'"),
        ("{beta}", "found {beta}, expected a key"),
        ("{title}", "found {title}, expected a key"),
        ("{}", "found {}, expected a key"),
        ("S^{d-1}", r"found \{d-1\}, expected a key .*a brace that is meant is written twice"),
        ("{model.beta", "brace without a partner"),
        ("model.beta}", "brace without a partner"),
        ("{model.beta!r}", "more than a format"),
        ("{model.beta:{seed}}", "more than a format"),
        ("{model.beta:s}", r"found \{model.beta:s\}, whose format does not suit 4\.0"),
        ("{model.beta:5000}", "at most 1000 letters, found 5000"),
    ],
)
def test_what_is_no_key_is_refused(template: str, message: str) -> None:
    with pytest.raises(mf.InputError, match=message) as error:
        resolved_title(template, TABLE)
    assert "\n" not in str(error.value)


def test_words_of_several_values() -> None:
    assert values_in_words([1, 4.0, 9]) == "1, 4, 9"
    assert values_in_words([3.0, 1.0, 2.0, 5.0, 4.0]) == "1 to 5"
    assert values_in_words(["sa", "usa"]) == "sa, usa"
    assert values_in_words([*"abcde"]) == "5 values"


def test_a_case_shows_what_it_has_and_keeps_what_was_written() -> None:
    case = few_tokens(title="beta = {model.beta} until {time.end}", time__end=2.0)
    again = mf.Case.from_dict(tomllib.loads(case.to_toml()))
    assert case.title == again.title == "beta = {model.beta} until {time.end}"
    assert case.heading == again.heading == f"beta = {case.model.beta:g} until 2"
    with pytest.raises(mf.InputError, match=r"^title: found \{model.gamma\}"):
        few_tokens(title="{model.gamma}")


def test_a_run_of_before_keeps_the_braces_of_its_title() -> None:
    table = {**few_tokens().to_dict(), "title": "on S^{d-1}"}
    with pytest.raises(mf.InputError, match="title"):
        mf.Case.from_dict(table)
    assert mf.Case.from_dict(table, recorded=True).heading == "on S^{d-1}"
    table["title"] = "{model.beta}"
    assert mf.Case.from_dict(table, recorded=True).heading != "{model.beta}"


def test_the_title_of_a_run_goes_with_its_parameters(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def meanfield(*words: str) -> str:
        assert cli.main(words) == 0
        return capsys.readouterr().out

    path = few_tokens.write(tmp_path / "few.toml", title="b = {model.beta}, T = {time.end:.1f}")
    out = tmp_path / "out"
    change = ["--set", "model.beta=9", "--set", "time.end=0.5", "--no-progress"]
    said = meanfield("run", str(path), *change, "-o", str(out))
    assert said.startswith("meanfield: b = 9, T = 0.5\n")
    run = RunFolder.open(out)
    assert run.read_run()["title"] == title_of(run) == "b = 9, T = 0.5"
    assert "title     b = 9, T = 0.5" in meanfield("info", str(out))
    words = parameters_of(run)
    assert "beta = 9" in words and "kappa = 0" in words and "n = " in words
    # Gone on with for longer: the record tells the new end, the case keeps its template.
    meanfield("run", str(out), "--resume", "--set", "time.end=1", "--no-progress")
    assert title_of(run) == "b = 9, T = 1.0"
    assert 'title = "b = {model.beta}, T = {time.end:.1f}"' in run.case_path.read_text("utf-8")
    # Without a record of it the title is that of the case; parameters are not known.
    record = run.read_run()
    run.write_run({k: v for k, v in record.items() if k not in ("title", "parameters")})
    assert title_of(run) == "b = 9, T = 1.0" and parameters_of(run) == ""


def test_a_sweep_tells_all_values_of_what_it_varies(tmp_path: Path) -> None:
    case = few_tokens(title="beta = {model.beta}, n = {solver.number}", time__end=0.2)
    found = mf.sweep(case, {"model.beta": [1.0, 2.0, 4.0]}, tmp_path / "s", seeds=1)
    run = RunFolder.open(tmp_path / "s")
    shown = f"beta = 1, 2, 4, n = {case.solver.number}"
    assert found.table.about["title"] == title_of(run) == shown
    assert "beta" not in parameters_of(run) and "kappa = 0" in parameters_of(run)


def test_a_branch_tells_its_interval(tmp_path: Path) -> None:
    from meanfield.steady.problem import Problem

    table = {
        "title": "kappa = {model.kappa}, beta = {model.beta}, {solver.cfl}, {time.end}",
        "geometry": {"type": "circle", "vertices": 40},
        "model": {"attention": "usa", "beta": 2.0, "kappa": 0.5},
        "initial": {"type": "von-mises-fisher", "mean": [1.0, 0.0], "concentration": 1.0},
        "time": {"end": 3.0},
    }
    path = tmp_path / "case.toml"
    path.write_text(mf.Case.from_dict(table).to_toml().replace("cfl =", "cfl ="), "utf-8")
    problem = Problem.from_toml(path)
    assert problem.title.startswith("kappa = 0.5, beta = 2, ") and problem.title.endswith(", 3")
    assert problem.over("kappa", 0.6, 0.4).title.startswith("kappa = 0.6 to 0.4, beta = 2")
    assert "kappa" not in problem.parameters(["kappa"]) and "beta = 2" in problem.parameters()
    path.write_text(path.read_text("utf-8").replace("{solver.cfl}", "{solver.cfll}"), "utf-8")
    with pytest.raises(mf.InputError, match=r"title: found \{solver.cfll\}"):
        Problem.from_toml(path)


# ------------------------------------------------------------------ as mathtext


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("sa, beta = 4, V = +I", r"sa, $\beta = 4$, $V = +I$"),
        ("kappa = 1e-05 on S^127", r"$\kappa = 10^{-5}$ on $S^{127}$"),
        ("|A| <= 17.9; in time", r"$|A| \leq 17.9$; in time"),
        ("beta = gamma log n", r"$\beta$ = $\gamma$ log n"),
        ("costs $5, d = 3", r"costs \$5, $d = 3$"),
        ("level = 5, Kappa-like", "level = 5, Kappa-like"),
        ("4,000 tokens, n = 4,000", "4,000 tokens, $n = 4{,}000$"),
    ],
)
def test_parameters_are_set_as_on_axes(words: str, told: str) -> None:
    assert in_mathtext(words) == told


def test_an_equation_stays_on_one_line() -> None:
    assert folded("words words beta = 4", 16) == ["words words", r"$\beta = 4$"]
    assert folded("", 16) == []
